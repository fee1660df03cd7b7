"""One worker of Kafka Connect as a process, and its REST interface."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
DEPS = os.environ["KLAMM_DEPS"]
LOG4J = os.path.join(HERE, "..", "java", "log4j2.properties")


def write(path, settings):
    """A properties file of `settings`, whose path is returned."""
    with open(path, "w") as file:
        file.writelines(f"{key}={value}\n" for key, value in settings.items())
    return path


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def parsed(body):
    """JSON as a value. A worker that has not wholly started answers with a page."""
    try:
        return json.loads(body or b"null")
    except ValueError:
        return body.decode(errors="replace")


class Worker:
    """A running worker. `kind` is ConnectStandalone or ConnectDistributed, whose command line is
    `files`; `ready()` says whether it has started.
    """

    def __init__(self, kind, files, port, log):
        with open(os.path.join(DEPS, "clients.classpath")) as file:
            classpath = file.read().strip()
        self.url = f"http://127.0.0.1:{port}"
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
                + [f"-Dlog4j2.configurationFile={LOG4J}", "-cp", classpath]
                + [f"org.apache.kafka.connect.cli.{kind}", *files],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def ask(self, method, path, body=None):
        """The status and the answer of a request; 0 and None while nothing listens."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, parsed(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, parsed(error.read())
        except OSError:
            return 0, None

    def states(self, connector):
        """The states of a connector and of its tasks."""
        status, answer = self.ask("GET", f"/connectors/{connector}/status")
        if status != 200:
            return None
        return [answer["connector"]["state"], *(task["state"] for task in answer["tasks"])]

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the worker ended with {self.process.returncode}")
        return self.ask("GET", "/connectors")[0] == 200

    def end(self, how=signal.SIGTERM, seconds=30):
        """Ends the process by a signal and waits for it; a deaf one is killed."""
        self.process.send_signal(how)
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        self.process.kill()
        return self.process.wait()
