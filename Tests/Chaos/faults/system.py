"""What the system does to a server: stops it, moves its clock, fills its disk, takes its memory."""

import contextlib
import os
import pathlib
import resource
import signal
import socket
import threading
import time

import scoring_pb2 as scoring
from harness.checks import Skip
from harness.scoring import SCORING, score_request
from harness.ttrpc import DEADLINE_EXCEEDED, OK, RESOURCE_EXHAUSTED, Client, Disconnected

from faults.clients import close_all, crowd, garbage
from faults.target import NAME, connect, frame, null_frame, request_frame


class Load(threading.Thread):
    """Good calls one after the other on one connection, until it is ended; notes what went wrong."""

    def __init__(self, target, timeout=30.0, pause=0.001):
        super().__init__(daemon=True)
        self.target, self.timeout, self.pause = target, timeout, pause
        self.ending, self.calls, self.problems = threading.Event(), 0, []

    def run(self):
        try:
            with Client(self.target.rpc, self.timeout) as client:
                while not self.ending.is_set():
                    answer = client.call(SCORING, "Score", self.target.requests[0], scoring.ScoreResponse)
                    if answer.rows != 1:
                        self.problems.append(f"{answer.rows} rows")
                    self.calls += 1
                    time.sleep(self.pause)
        except Exception as error:  # whatever it is, the check says so
            self.problems.append(f"{type(error).__name__}: {error}")

    def end(self):
        self.ending.set()
        self.join(60)


@contextlib.contextmanager
def under_load(target, clients=4, **options):
    """Good calls meanwhile; none may fail."""
    loads = [Load(target, **options) for _ in range(clients)]
    for load in loads:
        load.start()
    try:
        yield loads
    finally:
        for load in loads:
            load.end()
    problems = [problem for load in loads for problem in load.problems]
    assert not problems, problems[:3]


def stopped(target, seconds, count):
    """SIGSTOP under load, callers that go away meanwhile, SIGCONT."""
    with under_load(target) as loads:
        time.sleep(0.3)
        late = [Client(target.rpc) for _ in range(count)]
        with target.stopped():
            for client in late[:count // 2]:
                client.send(SCORING, "Score", target.requests[0].SerializeToString(), 50_000_000)
            for client in late[count // 2:]:
                client.socket.sendall(null_frame())
                client.close()
            crowded = crowd(target.rpc, count, wait=False)
            time.sleep(seconds)
        for client in late[:count // 2]:
            _, code, message, _ = client.receive()
            assert code in (OK, DEADLINE_EXCEEDED), f"status {code}: {message}"
            client.close()
        close_all(crowded)
    return f"{seconds} s; {sum(load.calls for load in loads)} calls around it"


def clock_jumps(target):
    """CLOCK_REALTIME forth and back by up to years, under load; connections and deadlines must not notice."""
    reasons = ("idle", "first_byte_timeout", "slow_writer", "slow_reader")
    before = {reason: target.closed(reason) for reason in reasons}
    jumps = (3600, -3600, 86_400 * 365 * 10, -86_400 * 365 * 20, 0)
    with under_load(target) as loads, Client(target.rpc) as waiting:
        target.good_call()
        waiting.call(SCORING, "Null", scoring.NullRequest(), scoring.NullResponse)
        for jump in jumps:
            target.jump_clock(jump)
            time.sleep(0.3)
            target.good_call()
            answer = waiting.call(SCORING, "Score", target.requests[0], scoring.ScoreResponse,
                                  timeout_nanoseconds=1_000_000_000)
            assert answer.rows == 1
    after = {reason: target.closed(reason) for reason in reasons}
    assert before == after, f"connections ended: {before}, then {after}"
    return f"{len(jumps)} jumps of up to 20 years; {sum(load.calls for load in loads)} calls, none late"


def full_disk(target, filler):
    """The disk of the log has no byte left while there is much to say; then it has again."""
    failed = target.metric("martlet_log_lines_total", result="failed")
    with under_load(target):
        with open(filler, "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4_096))
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0")
        garbage(target, 60)
        time.sleep(1.2)
        target.good_call()
        garbage(target, 10)
        time.sleep(0.3)
        lost = target.metric("martlet_log_lines_total", result="failed") - failed
        os.unlink(filler)
    assert lost > 0, "no line failed: the disk was not full"
    length = len(target.log())
    garbage(target, 3)
    time.sleep(1.5)
    assert len(target.log()) > length, "nothing is logged after there is room again"
    return f"{lost:.0f} lines lost, then logged again"


@contextlib.contextmanager
def memory_limit(target, room):
    """Lets the server have so many bytes more than it has, by a control group where there is one, else by rlimit."""
    process = target.process.pid
    mounts = [line.split() for line in open("/proc/self/mounts")]
    parent, own, limit_file = None, None, None
    for fields in mounts:
        if fields[2] == "cgroup" and "memory" in fields[3].split(","):
            path = next(line.split(":", 2)[2].strip() for line in open(f"/proc/{process}/cgroup")
                        if line.split(":")[1].split(",").count("memory"))
            parent, limit_file = pathlib.Path(fields[1] + path), "memory.limit_in_bytes"
        elif fields[2] == "cgroup2" and parent is None:
            path = next((line.split(":", 2)[2].strip() for line in open(f"/proc/{process}/cgroup")
                         if line.startswith("0:")), None)
            candidate = pathlib.Path(fields[1] + (path or "/"))
            subtree = candidate / "cgroup.subtree_control"
            if path and subtree.exists() and "memory" in subtree.read_text():
                parent, limit_file = candidate, "memory.max"
    limit = target.resident_now() + room
    if parent is not None:
        own = parent / f"martlet-chaos-{process}"
        try:
            own.mkdir()
            (own / limit_file).write_text(str(limit))
            (own / "cgroup.procs").write_text(str(process))
        except OSError:
            with contextlib.suppress(OSError):
                own.rmdir()
            own = None
    try:
        if own is not None:
            yield f"control group of {limit >> 20} MiB"
            return
        size = int(open(f"/proc/{process}/statm").read().split()[0]) * resource.getpagesize()
        before = resource.prlimit(process, resource.RLIMIT_AS, (size + room, resource.RLIM_INFINITY))
        try:
            yield f"RLIMIT_AS of {(size + room) >> 20} MiB"
        finally:
            resource.prlimit(process, resource.RLIMIT_AS, before)
    finally:
        if own is not None:
            (parent / "cgroup.procs").write_text(str(process))
            own.rmdir()


def little_memory(target, room, seconds):
    """More is asked for than the server may have: large frames that do not end, large answers, large calls."""
    call = null_frame(request_bytes=4_000_000)
    rows = [index % len(target.golden.rows) for index in range(4_000)]
    large = request_frame(SCORING, "Score", score_request(target.description, target.golden, rows))
    with memory_limit(target, room) as limit, under_load(target):
        sockets = crowd(target.rpc, 150)
        end, refused, turn = time.monotonic() + seconds, 0, 0
        while time.monotonic() < end:
            for index, one in enumerate(sockets):
                with contextlib.suppress(OSError):
                    if turn == 0 and index % 3 == 0:
                        one.send(call[:3_900_000])
                    elif index % 3 == 1:
                        one.send(null_frame(2 * turn + 1, response_bytes=4_000_000))
                    elif index % 3 == 2 and turn == 0:
                        one.setblocking(True)
                        one.settimeout(0.2)
                        one.sendall(large * 1)
            turn += 1
            target.good_call()
        refused = target.metric("martlet_connections_closed_total", reason="memory")
        close_all(sockets)
        target.good_call()
    return f"{limit}; {refused:.0f} connections ended for want of memory"
