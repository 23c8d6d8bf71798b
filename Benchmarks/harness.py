"""What the benchmarks share: messages, processes on a core, and the C client."""

import json
import os
import pathlib
import platform
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BUILT = HERE / ".build"
REALTIME = "--realtime" in sys.argv


# Messages, as far as a benchmark needs them: protobuf's encoding by hand.

def varint(value):
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def frame(service, method, payload, timeout=None):
    """A ttrpc request with a timeout in nanoseconds; the client that sends it sets the stream's number."""
    data = block(1, service.encode()) + block(2, method.encode()) + block(3, payload)
    if timeout:
        data += number(4, timeout)
    return struct.pack(">IIBB", len(data), 1, 1, 0) + data


def infer(model, values, rows=1, timeout=None):
    """A ModelInfer of the floats of so many rows, raw, for one of the models that models.py makes."""
    tensor = block(1, b"input") + block(2, b"FP32") + block(3, varint(rows) + varint(len(values) // rows))
    return frame("inference.GRPCInferenceService", "ModelInfer",
                 block(1, model.encode()) + block(5, tensor) + block(7, struct.pack(f"<{len(values)}f", *values)), timeout)


# Processes

class Process:
    """A server on one core; `port` is where it listens."""

    def __init__(self, command, core, ready, environment=None):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={**os.environ, **(environment or {})}, preexec_fn=pin(core))
        for line in self.process.stdout:
            found = re.search(ready, line)
            if found:
                self.port = int(found.group(1))
                return
        self.log.seek(0)
        sys.exit(f"{command[0]} ended before it was ready:\n{self.log.read()[-2000:]}")

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def pin(core):
    """What a child process does before it becomes the program."""

    def prepare():
        if core is not None:
            os.sched_setaffinity(0, {core})
        if REALTIME:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))

    return prepare


def echo(request, answer, core):
    command = [BUILT / "echo", "--request-bytes", str(request), "--answer-bytes", str(answer)]
    return Process(command, core, r"listening (\d+)")


def martlet(binary, core, environment=None, models=ROOT / "models", options=()):
    command = [binary, "serve", "--models", models, "--listen", "tcp://127.0.0.1:0", "--admin", "off", *options]
    return Process(command, core, r"ready.*tcp://127\.0\.0\.1:(\d+)", environment)


def client(port, frames, shape, core, answer=None, seconds=None, warmup=0.2, calls=None):
    command = [BUILT / "client", "--port", str(port), "--frames", frames,
               "--connections", str(shape[0]), "--in-flight", str(shape[1])]
    command += ["--calls", str(calls)] if calls else ["--seconds", str(seconds), "--warmup", str(warmup)]
    if answer:
        command += ["--answer-bytes", str(answer)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin(core))
    if done.returncode:
        sys.exit(f"the client failed: {done.stderr or done.stdout}")
    return json.loads(done.stdout)


def answer_bytes(port, request):
    """Length of the whole answer to a call, which must be a good one."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        data = b""
        while len(data) < 10 or len(data) < 10 + struct.unpack_from(">I", data)[0]:
            part = connection.recv(65536)
            if not part:
                sys.exit("the server ended the connection instead of answering")
            data += part
    if data[10:11] != b"\x12":
        sys.exit(f"the server refused the call: {data[10:300]!r}")
    return len(data)


# Allocations

def mallocs(binary, kinds, cores, calls):
    """{call: {shape: allocations a call}}"""
    with tempfile.TemporaryDirectory() as directory:
        counts = pathlib.Path(directory) / "counts"
        server = martlet(binary, cores[0], {
            "LD_PRELOAD": str(BUILT / "interposer.so"), "MALLOC_COUNT_FILE": str(counts)})

        def count():
            before = counts.read_text().count("\n") if counts.exists() else 0
            server.signal(signal.SIGUSR1)
            end = time.monotonic() + 10
            while not counts.exists() or counts.read_text().count("\n") == before:
                if time.monotonic() > end:
                    sys.exit("the allocation counter does not answer")
                time.sleep(0.01)
            return int(counts.read_text().splitlines()[-1].split()[1])

        def allocations(path, shape, calls):
            before = count()
            client(server.port, path, shape, cores[1], calls=calls)
            time.sleep(0.05)
            return count() - before

        results = {}
        try:
            for kind, (path, _) in kinds.items():
                results[kind] = {}
                for shape in ((1, 1), (8, 8)):
                    allocations(path, shape, calls // 4)  # buffers grow to what this load needs
                    once, twice = (allocations(path, shape, n) for n in (calls, 2 * calls))
                    results[kind][f"{shape[0]}x{shape[1]}"] = (twice - once) / calls
        finally:
            server.stop()
        return results


# Figures

def median(rounds, pick):
    return statistics.median(pick(found) for found in rounds)


def machine(cores):
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                 platform.machine())
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "system": platform.system(),
            "pinned": cores[0] is not None, "realtime": REALTIME, "load_average": os.getloadavg()[0]}


def write_between(page, name, text):
    """Puts text into docs/PAGE between the markers of that name."""
    path = ROOT / "docs" / page
    content = path.read_text()
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if content.count(begin) != 1 or content.count(end) != 1:
        sys.exit(f"docs/{page} has no place for the table: one line {begin} and one {end}")
    before, rest = content.split(begin)
    path.write_text(before + begin + "\n" + text + end + rest.split(end)[1])
