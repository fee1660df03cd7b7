"""How long a container takes until it serves, beside what /bin/true takes in the same image."""

import selectors
import statistics
import subprocess
import time

from engine import LABEL, Failed

ROUNDS = 9
ALLOWED_SECONDS = 0.100
RUN = ("docker", "run", "--label", LABEL)


def seconds_of_true(image):
    begun = time.monotonic()
    subprocess.run([*RUN, "--rm", image, "/bin/true"], check=True, timeout=60)
    return time.monotonic() - begun


def seconds_until_ready(image):
    begun = time.monotonic()
    command = [*RUN, "--rm", image]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            said = b""
            while b"Kafka Server started" not in said:
                if not selector.select(timeout=30):
                    process.kill()
                    raise Failed(f"not ready within 30 s: {said.decode(errors='replace')}")
                more = process.stdout.read1()
                if not more:
                    raise Failed(f"ended before it was ready: {said.decode(errors='replace')}")
                said += more
        took = time.monotonic() - begun
        # The signal is handed on to the container, which is process 1 and stops.
        process.terminate()
        process.wait(timeout=30)
    return took


def it_is_ready_100_ms_after_what_true_takes(image):
    pairs = [(seconds_of_true(image), seconds_until_ready(image)) for _ in range(ROUNDS)]
    true, ready = (statistics.median(column) for column in zip(*pairs))
    print(f"  median of {ROUNDS}: /bin/true {true * 1000:.0f} ms, ready {ready * 1000:.0f} ms")
    if ready - true > ALLOWED_SECONDS:
        raise Failed(f"ready {(ready - true) * 1000:.0f} ms later than /bin/true, allowed are 100")


TESTS = {"it is ready 100 ms after what /bin/true takes": it_is_ready_100_ms_after_what_true_takes}
