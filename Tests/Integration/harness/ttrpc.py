"""A ttrpc client in plain sockets: enough of the protocol to be precise about what goes over the wire."""

import socket
import struct

from harness.checks import PATIENCE
from ttrpc import ttrpc_pb2

REQUEST, RESPONSE, DATA = 1, 2, 3
MAXIMUM = 4 << 20

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 0, 1, 2, 3, 4, 5
PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION = 7, 8, 9
UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 12, 13, 14


class CallError(Exception):
    """A call that the server answered with a status other than OK."""

    def __init__(self, code, message):
        super().__init__(f"status {code}: {message}")
        self.code, self.message = code, message


class Disconnected(Exception):
    """The connection ended before the answer came."""


def connect(address, timeout=20.0 * PATIENCE):
    """A connected socket for `tcp://HOST:PORT` or `unix:PATH`."""
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(address.removeprefix("unix:"))
        return connection
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    connection = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def frame(stream, kind, flags, data):
    return struct.pack(">IIBB", len(data), stream, kind, flags) + data


class Client:
    """One connection. `send` and `receive` are apart, so that many calls can be in flight."""

    def __init__(self, address, timeout=20.0 * PATIENCE):
        self.socket = connect(address, timeout)
        self.next_stream = 1

    def send(self, service, method, payload=b"", timeout_nanoseconds=0, metadata=()):
        request = ttrpc_pb2.Request(service=service, method=method, payload=payload, timeout_nano=timeout_nanoseconds)
        for key, value in metadata:
            request.metadata.add(key=key, value=value)
        stream = self.next_stream
        self.next_stream += 2
        self.socket.sendall(frame(stream, REQUEST, 0, request.SerializeToString()))
        return stream

    def receive(self):
        """The next answer: (stream, status code, message, payload)."""
        length, stream, kind, _ = struct.unpack(">IIBB", self._exactly(10))
        data = self._exactly(length)
        assert kind == RESPONSE, f"a frame of type {kind}"
        response = ttrpc_pb2.Response.FromString(data)
        self.details = list(response.status.details)
        return stream, response.status.code, response.status.message, response.payload

    def call(self, service, method, request=None, answer=None, **options):
        """One call on an otherwise idle connection; `request` and `answer` are a message and a message type."""
        payload = request.SerializeToString() if request is not None else b""
        sent = self.send(service, method, payload, **options)
        stream, code, message, payload = self.receive()
        assert stream == sent, f"an answer on stream {stream}, the call was on {sent}"
        if code != OK:
            raise CallError(code, message)
        return answer.FromString(payload) if answer is not None else payload

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except (ConnectionResetError, BrokenPipeError) as error:
                raise Disconnected(str(error)) from error
            if not part:
                raise Disconnected("end of stream")
            data += part
        return bytes(data)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def refused(code, body):
    """Runs the body and returns the message with which the server refused it; any other outcome is an error."""
    try:
        body()
    except CallError as error:
        assert error.code == code, f"expected status {code}, got {error}"
        assert error.message, f"status {code} without a message"
        return error.message
    raise AssertionError(f"expected status {code}, the call was answered")
