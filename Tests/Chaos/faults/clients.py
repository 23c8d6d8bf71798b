"""Clients that go away, say nonsense, dawdle or come in crowds."""

import contextlib
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time

from harness.scoring import SCORING, score_request
from harness.ttrpc import Client

from faults.target import connect, die_with_parent, null_frame, request_frame

RESET = struct.pack("ii", 1, 0)


@contextlib.contextmanager
def victim(address, phase, count):
    """A process with so many connections in that phase; it is killed at the end."""
    process = subprocess.Popen([sys.executable, "-m", "faults.victim", address, phase, str(count)],
                               stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def killed(target, phase, count):
    """kill -9 of a client with so many connections."""
    with victim(target.rpc, phase, count) as process:
        if phase == "a call unanswered":
            # The server stands still, so that no call is answered before the client is gone.
            time.sleep(0.5)
            with target.stopped():
                time.sleep(1 + count / 1000)
                process.kill()
                process.wait()
        else:
            assert process.stdout.readline() == b"ready\n", "the client did not get so far"
            process.send_signal(signal.SIGKILL)
            process.wait()
    return f"{count} connections"


def crowd(address, count, wait=True, first=b""):
    """So many sockets that connect at once, none waiting for the one before."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    sockets = []
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.connect((host, int(port)))
        sockets.append(one)
    if wait:
        poll = select.epoll()
        for one in sockets:
            poll.register(one.fileno(), select.EPOLLOUT)
        by_number = {one.fileno(): one for one in sockets}
        left, end = set(by_number), time.monotonic() + 30
        while left:
            assert time.monotonic() < end, f"{len(left)} of {count} connections were not accepted"
            for number, _ in poll.poll(0.1):
                if number in left:
                    left.discard(number)
                    poll.unregister(number)
                    error = by_number[number].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    assert error == 0, f"connect: {error}"
                    if first:
                        by_number[number].send(first)
        poll.close()
    return sockets


def close_all(sockets, reset=True):
    for one in sockets:
        if reset:
            # Ports in TIME_WAIT would be used up by the next crowd.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        one.close()


def answered(sockets, count, seconds=30):
    """Waits until so many of them have been sent something or have been ended; returns how many."""
    poll = select.epoll()
    for one in sockets:
        poll.register(one.fileno(), select.EPOLLIN)
    seen, end = set(), time.monotonic() + seconds
    while len(seen) < count and time.monotonic() < end:
        for number, _ in poll.poll(0.1):
            if number not in seen:
                seen.add(number)
                poll.unregister(number)
    poll.close()
    return len(seen)


def storm(target, count, waves=3):
    """Crowds that connect, call once each and reset."""
    slowest = 0.0
    for _ in range(waves):
        sockets = crowd(target.rpc, count, first=null_frame())
        got = answered(sockets, count)
        slowest = max(slowest, target.good_call())
        close_all(sockets)
        assert got == count, f"{got} of {count} were answered"
    return f"{waves} times {count} connections, a call each; meanwhile a call took {slowest * 1000:.0f} ms"


def garbage(target, count, seed=1):
    """Bytes of other protocols and of none."""
    generator = random.Random(seed)
    greetings = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
                 b"SSH-2.0-x\r\n", b"*1\r\n$4\r\nPING\r\n"]
    for index in range(count):
        with connect(target.rpc) as one:
            data = greetings[index % len(greetings)] if index % 2 else b"\x00" + generator.randbytes(
                generator.randrange(1, 5_000))
            with contextlib.suppress(OSError):
                one.sendall(data)
                if index % 3 == 0:
                    one.shutdown(socket.SHUT_WR)
                    one.settimeout(5)
                    while one.recv(65_536):
                        pass
    return f"{count} connections"


def large_calls(target, count):
    """Calls of 4,000 rows on so many connections, which the reactors share."""
    rows = [index % len(target.golden.rows) for index in range(4_000)]
    call = request_frame(SCORING, "Score", score_request(target.description, target.golden, rows))
    with contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(Client(target.rpc, 30.0)) for _ in range(count)]
        for one in open_ones:
            one.socket.sendall(call)
            _, code, message, _ = one.receive()
            assert code == 0, f"status {code}: {message}"


def slow_loris(target, count, seconds, ending):
    """So many peers that send a byte of a frame at a time; all are gone after `ending` seconds."""
    sockets = crowd(target.rpc, count)
    call = null_frame(request_bytes=1_000)
    slowest, sent, begun = 0.0, 0, time.monotonic()
    while time.monotonic() - begun < seconds:
        for one in sockets:
            with contextlib.suppress(OSError):
                one.send(call[sent:sent + 1])
        sent += 1
        slowest = max(slowest, target.good_call())
        time.sleep(0.2)
    gone = answered(sockets, count, ending)
    close_all(sockets)
    assert gone == count, f"{count - gone} of {count} are still connected"
    return f"{count} connections; meanwhile a call took {slowest * 1000:.0f} ms"


def silent(target, count, ending):
    """So many peers that connect and say nothing."""
    sockets = crowd(target.rpc, count)
    gone = answered(sockets, count, ending)
    close_all(sockets)
    assert gone == count, f"{count - gone} of {count} are still connected"
    return f"{count} connections"


def half_closed(target, count):
    """Peers that end their direction behind a call and never read the answer, nor close."""
    sockets = [connect(target.rpc) for _ in range(count)]
    for one in sockets:
        one.sendall(null_frame(response_bytes=2_000_000))
        one.shutdown(socket.SHUT_WR)
    time.sleep(3)
    took = target.good_call()
    close_all(sockets)
    return f"{count} connections; meanwhile a call took {took * 1000:.0f} ms"


def deaf(target, count, seconds, ending):
    """Peers that ask for large answers and read none, while another one calls."""
    sockets = []
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        host, _, port = target.rpc.removeprefix("tcp://").rpartition(":")
        one.connect((host, int(port)))
        one.setblocking(False)
        sockets.append(one)
    most, times, stream, end = 0.0, [], 1, time.monotonic() + seconds
    while time.monotonic() < end:
        for one in sockets:
            with contextlib.suppress(OSError):
                one.send(null_frame(stream, response_bytes=1_000_000))
        stream += 2
        times.append(target.good_call())
        most = max(most, target.metric("martlet_buffer_bytes"))
    limit = time.monotonic() + ending
    while target.metric("martlet_connections") > 0:
        assert time.monotonic() < limit, f"{target.metric('martlet_connections')} are still connected"
        time.sleep(0.1)
    close_all(sockets)
    return (f"{count} connections, buffers of {most / (1 << 20):.0f} MiB at most; meanwhile {len(times)} calls were "
            f"answered, the slowest in {max(times) * 1000:.0f} ms")
