"""`martlet serve` as a process: started on free ports, known by its ready line, ended and reaped."""

import contextlib
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from harness.checks import PATIENCE

BINARY = os.environ["MARTLET"]
ROOT = pathlib.Path(os.environ["ROOT"])
MODELS = ROOT / "models"
WORK = pathlib.Path(os.environ["WORK"])

_ADDRESS = re.compile(r"(tcp://[^\s,;]+:\d+|unix:[^\s,;]+)")
_ADMIN = re.compile(r"http://([^\s,;/]+:\d+)")


def martlet(*arguments, input=None, timeout=60, environment=None):
    """Runs a subcommand to its end: (exit status, standard output, standard error)."""
    done = subprocess.run(
        [BINARY, *map(str, arguments)], input=input, capture_output=True, text=True, timeout=timeout,
        env={**os.environ, **(environment or {})})
    return done.returncode, done.stdout, done.stderr


def directory():
    """A fresh directory that goes when the run ends."""
    return pathlib.Path(tempfile.mkdtemp(dir=WORK))


def copy_models(*names, bare=False):
    """A model repository holding copies of committed models; `bare` leaves nothing but the model files."""
    models = directory()
    for name in names:
        if bare:
            (models / name / "1").mkdir(parents=True)
            shutil.copy(MODELS / name / "1" / "model.onnx", models / name / "1")
        else:
            shutil.copytree(MODELS / name, models / name)
    return models


class Server:
    """A running server. `addresses` are its listeners as printed, `rpc` the first of them, `admin` HOST:PORT."""

    def __init__(self, models, *arguments, listen=("tcp://127.0.0.1:0",), admin="127.0.0.1:0", environment=None,
                 log_directory=None):
        command = [BINARY, "serve", "--models", str(models)]
        for address in listen:
            command += ["--listen", address]
        if admin is not None:
            command += ["--admin", admin]
        command += map(str, arguments)
        self.log_path = (log_directory or directory()) / "log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
        self.addresses, self.admin, self.killed = [], None, False
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def _wait_until_ready(self, seconds=30):
        seconds *= PATIENCE
        end = time.monotonic() + seconds
        while True:
            for line in self.log().splitlines():
                if re.search(r"\bready\b", line) and _ADDRESS.search(line):
                    self.addresses = _ADDRESS.findall(line)
                    found = _ADMIN.search(line)
                    self.admin = found.group(1) if found else None
                    self.rpc = self.addresses[0]
                    return
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}: {self.log()[-2000:]}")
            if time.monotonic() > end:
                raise AssertionError(f"the server was not ready after {seconds} s: {self.log()[-2000:]}")
            time.sleep(0.01)

    def url(self, address=None):
        """The listener as a client's URL: ttrpc://HOST:PORT or ttrpc+unix:PATH."""
        address = address or self.rpc
        return "ttrpc+" + address if address.startswith("unix:") else "ttrpc" + address.removeprefix("tcp")

    def log(self):
        return self.log_path.read_text(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    @contextlib.contextmanager
    def stopped(self):
        """Stops the process, so that what is sent meanwhile waits for it in one heap."""
        self.signal(signal.SIGSTOP)
        try:
            # The signal takes effect some time after it is sent; what is sent before that is still read.
            end = time.monotonic() + 10
            while {open(path).read().rsplit(")", 1)[1].split()[0] for path in
                   glob.glob(f"/proc/{self.process.pid}/task/*/stat")} != {"T"}:
                assert time.monotonic() < end, "the server did not stop"
                time.sleep(0.001)
            yield
            # The last bytes of it are with the system by now, and soon with the server's sockets.
            time.sleep(0.1)
        finally:
            self.signal(signal.SIGCONT)

    def get(self, path):
        """An admin page: (HTTP status, body)."""
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name, **labels):
        """The sum of the samples of this name that carry these labels; 0 when there is none."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            found = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
            if found and found.group(1) == name:
                has = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found.group(2) or ""))
                if all(has.get(key) == value for key, value in labels.items()):
                    total += float(found.group(3))
        return total

    def wait(self, seconds=30):
        """The exit status, once the process has ended."""
        return self.process.wait(timeout=seconds * PATIENCE)

    def stop(self, seconds=30):
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        self.killed = True
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        died = self.process.poll() is not None and self.process.returncode < 0 and not self.killed
        self.kill()
        if kind is not None:
            print(f"  the server's log:\n{self.log()[-3000:]}")
        elif died:
            raise AssertionError(f"the server died of signal {-self.process.returncode}: {self.log()[-2000:]}")


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.strip()]
