"""One check per line for the parts written in Python: `ok PART: name` or `FAILED PART: name: why`.

A check is a function that raises when the broker's answer is not exactly what it must be. Each has
a deadline; one that hangs is failed and left behind, and the others go on.
"""

import os
import sys
import threading
import time
import traceback

BOOTSTRAP = os.environ["BOOTSTRAP"]
RUN_ID = os.environ["RUN_ID"]
# Old enough to be no other time, and young enough not to be deleted by retention.
START = int(time.time() * 1000) - 3_600_000


class Part:
    """Collects the checks of one part and prints each as it ends."""

    def __init__(self, name):
        self.name = name
        self.failures = 0

    def check(self, name, body, deadline=60):
        """Runs `body()` on a thread of its own and prints whether it passed."""
        outcome = []

        def run():
            try:
                body()
                outcome.append(None)
            except BaseException as error:  # A check may also end in SystemExit.
                traceback.print_exc()
                outcome.append(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(deadline)
        reason = outcome[0] if outcome else f"not done after {deadline} s"
        if reason is None:
            print(f"ok {self.name}: {name}", flush=True)
        else:
            self.failures += 1
            print(f"FAILED {self.name}: {name}: {' '.join(reason.split())}", flush=True)
            sys.stderr.flush()

    def end(self, line=None):
        """Says that all checks ran, and leaves even if a hung check still has threads."""
        print(f"end {line or self.name}", flush=True)
        os._exit(1 if self.failures else 0)


def unique(name):
    """A topic or group name that no other run uses."""
    return f"{name}-{RUN_ID}"


def equal(actual, expected, what="value"):
    """Raises unless both are the same."""
    if actual != expected:
        raise AssertionError(f"{what}: got {shorten(actual)}, expected {shorten(expected)}")


def shorten(value, limit=600):
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + "..."


def raises(kind, body, test=lambda error: True):
    """Runs `body()`, which must raise `kind`, and returns the error."""
    try:
        result = body()
    except kind as error:
        if not test(error):
            raise AssertionError(f"another error than expected: {error!r}") from error
        return error
    raise AssertionError(f"no error, but {shorten(result)}")


def eventually(body, seconds=20, what="condition"):
    """Calls `body()` until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = body()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} not reached within {seconds} s; last: {shorten(value)}")
        time.sleep(0.1)


def soon_equal(body, expected, what="value", seconds=10):
    """Waits until `body()` gives `expected`: a broker may answer an admin request before the
    change has reached everything that reads it.
    """
    end = time.monotonic() + seconds
    while (actual := body()) != expected:
        if time.monotonic() > end:
            equal(actual, expected, what)
        time.sleep(0.05)
