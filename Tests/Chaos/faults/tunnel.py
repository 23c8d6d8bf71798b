"""Two network namespaces and a cable between them that loses and delays packets, or is cut.

The cable is a process that carries packets between two TUN devices, one in each namespace: what the kernel's netem does,
where the kernel has none. Retransmissions and half-open connections are the kernel's own.
"""

import ctypes
import fcntl
import heapq
import multiprocessing
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time

from harness.checks import Skip

from faults.target import IS_APART, connect, null_frame

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
NEAR, FAR = "10.213.7.1", "10.213.7.2"


def _device(address):
    number = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(number, TUNSETIFF, struct.pack("16sH22x", b"chaos", IFF_TUN | IFF_NO_PI))
    for command in (["ip", "address", "add", f"{address}/24", "dev", "chaos"], ["ip", "link", "set", "chaos", "up"]):
        subprocess.run(command, check=True)
    return number


class Cable:
    """`loss` is a share of packets, `delay` and `jitter` are seconds; all can be set while it carries."""

    def __init__(self):
        if not IS_APART:
            raise Skip("needs root's rights for namespaces")
        self._settings = multiprocessing.Array("d", [0.0, 0.0, 0.0])
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        # The far end: a process in a namespace of its own, which runs what it is told.
        self._calls, calls = multiprocessing.Pipe()
        self._far = multiprocessing.Process(target=self._live, args=(theirs, calls), daemon=True)
        self._far.start()
        _, numbers, _, _ = socket.recv_fds(ours, 1, 1)
        near = _device(NEAR)
        self._carrier = multiprocessing.Process(target=self._carry, args=(near, numbers[0]), daemon=True)
        self._carrier.start()
        os.close(near)
        os.close(numbers[0])

    def set(self, loss=0.0, delay=0.0, jitter=0.0):
        self._settings[:] = [loss, delay, jitter]

    def call(self, function, *arguments):
        """Runs a function at the far end; its result."""
        self._calls.send((function, arguments))
        kind, value = self._calls.recv()
        assert kind == "done", value
        return value

    def close(self):
        for process in (self._far, self._carrier):
            process.kill()
            process.join()

    def _live(self, channel, calls):
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            os._exit(1)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        number = _device(FAR)
        socket.send_fds(channel, [b"x"], [number])
        os.close(number)
        while True:
            function, arguments = calls.recv()
            try:
                calls.send(("done", function(*arguments)))
            except Exception as error:  # told to the caller, who fails
                calls.send(("failed", f"{type(error).__name__}: {error}"))

    def _carry(self, near, far):
        generator = random.Random(7)
        waiting, turn = [], 0
        other = {near: far, far: near}
        while True:
            now = time.monotonic()
            wait = max(0.0, waiting[0][0] - now) if waiting else 1.0
            readable, _, _ = select.select([near, far], [], [], wait)
            loss, delay, jitter = self._settings[:]
            now = time.monotonic()
            for number in readable:
                for _ in range(64):
                    try:
                        packet = os.read(number, 65_536)
                    except BlockingIOError:
                        break
                    if generator.random() < loss:
                        continue
                    turn += 1
                    heapq.heappush(waiting, (now + delay + jitter * generator.random(), turn, other[number], packet))
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, number, packet = heapq.heappop(waiting)
                try:
                    os.write(number, packet)
                except OSError:
                    pass


def _call_often(address, requests, connections, seconds):
    """At the far end: calls on several connections in turn; (calls, slowest)."""
    from harness.ttrpc import Client
    from harness.scoring import SCORING
    import scoring_pb2 as scoring
    clients = []
    for _ in range(connections):
        # Who connects on a bad cable and says nothing until all others have connected as well may be too late.
        clients.append(Client(address, 30.0))
        clients[-1].send(SCORING, "Score", requests[0])
        clients[-1].receive()
    calls, slowest, end = 0, 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        for client in clients:
            client.send(SCORING, "Score", requests[calls % len(requests)])
        for client in clients:
            _, code, message, payload = client.receive()
            assert code == 0, f"status {code}: {message}"
            assert scoring.ScoreResponse.FromString(payload).rows == 1
            calls += 1
        slowest = max(slowest, time.monotonic() - begun)
    for client in clients:
        client.close()
    return calls, slowest


_kept = []


def _leave(address, count):
    """At the far end: opens connections and calls, half of them for answers that are not read, and keeps them."""
    for index in range(count):
        one = connect(address)
        one.sendall(null_frame(response_bytes=300_000 if index % 2 else 0))
        _kept.append(one)
    time.sleep(0.5)
    return count


def _forget():
    for one in _kept:
        one.close()
    _kept.clear()


def lossy(target, cable, loss, delay, jitter, seconds):
    """Calls over a bad cable: late, but answered, and nobody else's."""
    address = f"tcp://{NEAR}:" + target.rpc.rpartition(":")[2]
    requests = [request.SerializeToString() for request in target.requests]
    cable.set(loss, delay, jitter)
    calls, slowest = cable.call(_call_often, address, requests, 20, seconds)
    cable.set()
    return (f"{loss * 100:.0f}% lost each way, {delay * 1000:.0f} to {(delay + jitter) * 1000:.0f} ms delay: {calls} calls "
            f"answered, the slowest round in {slowest:.1f} s")


def cut(target, cable, count, ending):
    """The cable is cut under open connections: no end, no reset, only silence."""
    address = f"tcp://{NEAR}:" + target.rpc.rpartition(":")[2]
    before = target.metric("martlet_connections")
    cable.set()
    cable.call(_leave, address, count)
    assert target.metric("martlet_connections") - before == count
    cable.set(loss=1.0)
    begun = time.monotonic()
    while target.metric("martlet_connections") > before:
        assert time.monotonic() - begun < ending, f"{target.metric('martlet_connections')} connections are still there"
        target.good_call()
        time.sleep(0.2)
    took = time.monotonic() - begun
    cable.call(_forget)
    cable.set()
    return f"{count} connections, half of them with answers on the way; gone after {took:.0f} s"
