"""Named checks, one line of output each.

    @check("a frame of zero bytes is refused")
    def _():
        assert ...

    finish()
"""

import os
import sys
import time
import traceback

_failed = 0


class Skip(Exception):
    """Raised in a check that cannot run here; says why."""


def check(name):
    """Runs the decorated function at once and prints how it went."""

    def run(body):
        global _failed
        begun = time.monotonic()
        try:
            body()
        except Skip as reason:
            print(f"skip {name}: {reason}")
        except Exception as error:  # a check's failure must not hide the checks after it
            _failed += 1
            text = " ".join(str(error).split()) or type(error).__name__
            print(f"FAIL {name}: {text}")
            traceback.print_exc()
        else:
            print(f"ok {name} ({time.monotonic() - begun:.1f} s)")
        return body

    return run


def finish():
    """Ends the script with the status that its checks deserve."""
    sys.exit(1 if _failed else 0)


def equal(got, expected, what="value"):
    assert got == expected, f"{what}: got {got!r}, expected {expected!r}"


def close(got, expected, tolerance, what="value"):
    assert abs(got - expected) <= tolerance, f"{what}: got {got!r}, expected {expected!r} within {tolerance}"


# How many times as long as usual to wait: sanitizers make everything slow.
PATIENCE = float(os.environ.get("PATIENCE", "1"))


def eventually(condition, what, seconds=10.0):
    """Waits until the condition holds; its value is returned."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"still waiting after {seconds} s: {what}")
        time.sleep(0.02)
