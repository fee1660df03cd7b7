"""Upstream's tools behind one long-lived JVM: see Driver.java."""

import json
import os
import subprocess

# A run that takes longer has failed.
DEADLINE_MS = 30_000


class Upstream:
    def __init__(self, classes, scripts_upstream, log):
        classpath = subprocess.run(
            [scripts_upstream, "classpath"], check=True, capture_output=True, text=True
        ).stdout.strip()
        classes_of_tools = subprocess.run(
            [scripts_upstream, "classes"], check=True, capture_output=True, text=True
        ).stdout
        self.classes = dict(line.split() for line in classes_of_tools.splitlines())
        self.log = log
        command = ["java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += [f"-Dlog4j2.configurationFile={os.path.join(classes, 'log4j2.properties')}"]
        command += ["-cp", f"{classes}:{classpath}", "Driver"]
        self.command = command
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            encoding="utf-8",
        )

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the JVM that runs upstream's tools ended by itself")
        return json.loads(line)

    def tool(self, name, args, stdin):
        """Returns the exit code (None where it does not end), standard output, standard error."""
        if name not in self.classes:
            raise SystemExit(f"upstream has no tool called {name!r}")
        answer = self.ask(
            **{"do": "tool", "class": self.classes[name]}, args=args, stdin=stdin, timeout_ms=DEADLINE_MS
        )
        if answer.get("ended"):
            # The tool ended the process that it shares with others: they go on in a new one.
            answer["code"] = self.process.wait(30)
            self.start()
        return answer["code"], answer["out"], answer["err"]

    def join(self, topics, commits, properties, waits):
        answer = self.ask(
            do="join",
            topics=topics,
            commits=commits,
            properties=properties,
            timeout_ms=DEADLINE_MS if waits else 0,
        )
        return answer["joined"]

    def share(self, topics, reads, properties):
        answer = self.ask(
            do="share", topics=topics, reads=reads, properties=properties, timeout_ms=DEADLINE_MS
        )
        return answer["joined"]

    def open(self, partitions, properties):
        return self.ask(do="open", partitions=partitions, properties=properties)["opened"]

    def leave(self):
        self.ask(do="leave")

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
