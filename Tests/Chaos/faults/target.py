"""A server under test: its memory, descriptors, clock, and a good call with a known answer."""

import ctypes
import mmap
import os
import pathlib
import resource
import shutil
import signal
import struct
import subprocess
import time

import scoring_pb2 as scoring
from harness.scoring import Golden, compare, describe, probabilities, score_request, SCORING
from harness.server import MODELS, WORK, Server
from harness.ttrpc import OK, Client, connect, frame, REQUEST
from ttrpc import ttrpc_pb2

HERE = pathlib.Path(__file__).resolve().parent.parent
NAME = "caravan-response"
TEXTS = "credit-risk"
IS_APART = bool(os.environ.get("MARTLET_APART"))


def prepare():
    """A network of our own has no loopback yet and few ports; and many connections need many descriptors."""
    if IS_APART:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for name, value in (("ip_local_port_range", "1024 65535"), ("tcp_tw_reuse", "1")):
            pathlib.Path(f"/proc/sys/net/ipv4/{name}").write_text(value)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 40_000
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, wanted), max(hard, wanted)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def preload():
    """The library that trims and that sets the clock, built for this run."""
    library = WORK / "preload.so"
    if not library.exists():
        # Swift's own clang where there is no other compiler.
        compiler = next(name for name in ("cc", "gcc", "clang") if shutil.which(name))
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, HERE / "preload.c", "-pthread", "-ldl"],
                       check=True)
    return library


def request_frame(service, method, message, stream=1, timeout_nanoseconds=0):
    request = ttrpc_pb2.Request(service=service, method=method, payload=message.SerializeToString(),
                                timeout_nano=timeout_nanoseconds)
    return frame(stream, REQUEST, 0, request.SerializeToString())


def null_frame(stream=1, request_bytes=0, response_bytes=0):
    return request_frame(SCORING, "Null", scoring.NullRequest(payload=bytes(request_bytes),
                                                              response_bytes=response_bytes), stream)


class Target(Server):
    """The server that is abused."""

    def __init__(self, *options, models=MODELS, log_directory=None):
        control = WORK / f"control-{time.monotonic_ns()}"
        control.write_bytes(bytes(16))
        with open(control, "r+b") as file:
            self._control = mmap.mmap(file.fileno(), 16)
        super().__init__(
            models, *options, listen=("tcp://0.0.0.0:0", f"unix:{WORK}/chaos.sock"),
            environment={"LD_PRELOAD": str(preload()), "CHAOS_CONTROL": str(control)}, log_directory=log_directory)
        self.rpc = "tcp://127.0.0.1:" + self.addresses[0].rpartition(":")[2]
        self.golden = Golden.of(MODELS, NAME)
        with Client(self.rpc) as client:
            self.description = describe(client, NAME)
        self.requests = [score_request(self.description, self.golden, [row]) for row in range(len(self.golden.rows))]
        self._row = 0

    def good_call(self, client=None, timeout=10.0):
        """A call on a connection of its own whose answer is known: seconds that it took, connecting included."""
        self._row = (self._row + 1) % len(self.requests)
        begun = time.monotonic()
        with client or Client(self.rpc, timeout) as client:
            answer = client.call(SCORING, "Score", self.requests[self._row], scoring.ScoreResponse)
            took = time.monotonic() - begun
        compare(self.golden, [self._row], probabilities(answer.classification), NAME)
        return took

    def jump_clock(self, seconds):
        struct.pack_into("<q", self._control, 0, seconds)

    def resident(self):
        """Resident bytes after malloc's free memory has been given back."""
        before = struct.unpack_from("<q", self._control, 8)[0]
        self.signal(signal.SIGUSR1)
        end = time.monotonic() + 10
        while struct.unpack_from("<q", self._control, 8)[0] == before:
            assert time.monotonic() < end, "the server does not trim its memory"
            time.sleep(0.005)
        return self.resident_now()

    def resident_now(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS"):
                return int(line.split()[1]) << 10
        raise AssertionError("no VmRSS")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def closed(self, reason):
        return self.metric("martlet_connections_closed_total", reason=reason)


def die_with_parent():
    """Before a child becomes a program: it ends with the test, whatever happens to that."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
