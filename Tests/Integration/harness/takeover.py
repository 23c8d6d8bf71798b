"""The hand-over between two servers from outside: its messages, and callers that live through restarts."""

import array
import socket
import struct
import threading

from harness.scoring import SCORING, probabilities, scoring
from harness.ttrpc import OK, UNAVAILABLE, Client, Disconnected

HELLO, OFFER, READY, RELEASED, REFUSED = 1, 2, 3, 4, 5


def message(kind, body=b"", version=1, magic=b"MTKO"):
    return magic + bytes([version, kind]) + body


def hello(process=1):
    return message(HELLO, struct.pack(">i", process))


class Successor:
    """A process that says that it takes over, in plain sockets."""

    def __init__(self, path, timeout=10):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.sockets = []

    def send(self, data):
        self.socket.send(data)

    def receive(self):
        """The next message as (kind, body); None at the end. Descriptors that come with it are kept."""
        data, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(4 * 64))
        for level, kind, content in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            numbers = array.array("i")
            numbers.frombytes(content)
            self.sockets += [socket.socket(fileno=number) for number in numbers]
        if not data:
            return None
        assert data[:5] == b"MTKO\x01", data
        return data[5], data[6:]

    def close(self):
        for one in self.sockets:
            one.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Caller(threading.Thread):
    """Keeps calls in flight, and connects anew when it is told UNAVAILABLE; counts what became of each call."""

    def __init__(self, address, requests, expected, in_flight=4):
        super().__init__(daemon=True)
        self.address, self.requests, self.expected, self.in_flight = address, requests, expected, in_flight
        self.ending = threading.Event()
        self.answered = self.refused = self.lost = self.wrong = self.unreached = self.connections = 0
        self.problems = []

    def run(self):
        while not self.ending.is_set():
            try:
                client = Client(self.address)
            except OSError as error:
                self.unreached += 1
                self.problems.append(f"no connection: {error}")
                self.ending.wait(0.01)
                continue
            self.connections += 1
            with client:
                self._use(client)

    def _use(self, client):
        out = {}
        row = self.connections
        refused = False
        try:
            while True:
                while len(out) < self.in_flight and not refused and not self.ending.is_set():
                    row = (row + 1) % len(self.requests)
                    out[client.send(SCORING, "Score", self.requests[row])] = row
                if not out:
                    return
                stream, code, text, payload = client.receive()
                answered = out.pop(stream)
                if code == UNAVAILABLE:
                    self.refused += 1
                    refused = True
                elif code != OK:
                    self.wrong += 1
                    self.problems.append(f"status {code}: {text}")
                else:
                    self.answered += 1
                    answer = scoring.ScoreResponse.FromString(payload).classification
                    got, expected = probabilities(answer)[0], self.expected[answered]
                    if any(abs(got[name] - value) > 1e-6 for name, value in expected.items()):
                        self.wrong += 1
                        self.problems.append(f"row {answered}: {got}")
        except (Disconnected, OSError) as error:
            self.lost += len(out)
            self.problems.append(f"{len(out)} calls lost: {error}")
