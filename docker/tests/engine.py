"""Containers for the contract tests: started as libraries start them, and gone at the end."""

import io
import os
import re
import subprocess
import tarfile
import threading
import time

LABEL = "klamm.contract"


class Failed(Exception):
    """What a test found to be wrong."""


def docker(*words, input=None, check=True):
    done = subprocess.run(["docker", *words], input=input, capture_output=True)
    if check and done.returncode != 0:
        raise Failed(f"docker {' '.join(words[:3])}: {done.stderr.decode(errors='replace').strip()}")
    return done


def wait_until(what, seconds, probe):
    """Calls `probe` until it gives something; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds} s")
        # A step of a poll that has a deadline.
        threading.Event().wait(0.02)


class Container:
    """A container of the image, removed by `with`."""

    def __init__(self, image, *command, env=None, entrypoint=None, ports=(), options=()):
        words = ["create", "--label", LABEL]
        for name, value in (env or {}).items():
            words += ["--env", f"{name}={value}"]
        for port in ports:
            words += ["--publish", f"127.0.0.1::{port}"]
        if entrypoint:
            words += ["--entrypoint", entrypoint]
        self.id = docker(*words, *options, image, *command).stdout.decode().strip()

    def __enter__(self):
        try:
            docker("start", self.id)
        except Failed:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        docker("rm", "--force", "--volumes", self.id, check=False)

    def inspect(self, template):
        return docker("inspect", "--format", template, self.id).stdout.decode().strip()

    @property
    def hostname(self):
        return self.inspect("{{.Config.Hostname}}")

    def port(self, inside):
        """The port of this machine that leads to `inside`."""
        lines = docker("port", self.id, f"{inside}/tcp").stdout.decode()
        return int(lines.splitlines()[0].rsplit(":", 1)[1])

    def copy(self, path, text, mode=0o777):
        """Puts a file in as the API does: as root."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(text.encode()), mode
            tar.addfile(entry, io.BytesIO(text.encode()))
        docker("cp", "-", f"{self.id}:/", input=packed.getvalue())

    def run(self, *words, check=True):
        """A command in the container, as its user; gives its output."""
        done = docker("exec", self.id, *words, check=False)
        output = (done.stdout + done.stderr).decode(errors="replace")
        if check and done.returncode != 0:
            raise Failed(f"{' '.join(words)}: exit {done.returncode}: {output.strip()}")
        return output

    def stdout(self):
        return docker("logs", self.id).stdout.decode(errors="replace")

    def output(self):
        done = docker("logs", self.id)
        return (done.stdout + done.stderr).decode(errors="replace")

    def wait_for(self, pattern, seconds=30):
        """Waits until standard output has a line that matches."""

        def probe():
            text = self.stdout()
            if re.search(pattern, text):
                return True
            if self.inspect("{{.State.Running}}") == "false":
                raise Failed(f"ended before {pattern!r}:\n{self.output()}")
            return False

        try:
            wait_until(pattern, seconds, probe)
        except Failed as failed:
            raise Failed(f"{failed}\n{self.output()}") from None

    def wait_for_end(self, seconds=20):
        """The exit code."""
        wait_until("the end", seconds, lambda: self.inspect("{{.State.Running}}") == "false")
        return int(self.inspect("{{.State.ExitCode}}"))


def new_network(name):
    """A network of our own, in which containers find each other by name."""
    name = f"klamm-{name}-{os.getpid()}"
    return docker("network", "create", "--label", LABEL, name).stdout.decode().strip()


def remove_leftovers():
    left = docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}").stdout.decode().split()
    if left:
        docker("rm", "--force", "--volumes", *left, check=False)


def kcat(*words, input=None, seconds=20):
    try:
        done = subprocess.run(
            ["kcat", *words], input=input, capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"kcat {' '.join(words)}: not within {seconds} s") from None
    if done.returncode != 0:
        raise Failed(f"kcat {' '.join(words)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def produces_and_consumes(bootstrap, topic="contract"):
    """A record in, the same record out, at the address a client on this machine has."""
    value = f"through {topic} at {os.getpid()}"
    kcat("-P", "-b", bootstrap, "-t", topic, input=value.encode())
    got = kcat("-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q").strip()
    if value not in got.splitlines():
        raise Failed(f"produced {value!r}, consumed {got!r}")
