"""Kafka Connect with its file source and file sink: what goes through the broker comes out whole."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from harness import BOOTSTRAP, Part, equal, eventually, soon_equal, unique  # noqa: E402
from worker import DEPS, Worker, free_port, write  # noqa: E402

UPSTREAM = os.path.join(HERE, "..", "..", "..", "scripts", "upstream")
FOLDER = tempfile.mkdtemp(prefix="connect-")
SOURCE = "org.apache.kafka.connect.file.FileStreamSourceConnector"
SINK = "org.apache.kafka.connect.file.FileStreamSinkConnector"
STRINGS = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.storage.StringConverter",
}
INTERNAL = {kind: unique(f"connect-{kind}") for kind in ["configs", "offsets", "status"]}

part = Part("connect")
workers = []


def start(kind, settings, *connectors):
    """A worker with `settings` that has started."""
    port = free_port()
    common = {
        "bootstrap.servers": BOOTSTRAP,
        "listeners": f"http://127.0.0.1:{port}",
        "plugin.path": os.path.join(DEPS, "connect"),
        "plugin.discovery": "service_load",
        "offset.flush.interval.ms": 500,
        **STRINGS,
    }
    name = os.path.join(FOLDER, f"worker-{len(workers)}")
    files = [write(f"{name}.properties", {**common, **settings}), *connectors]
    worker = Worker(kind, files, port, os.path.join(FOLDER, "workers.log"))
    workers.append(worker)
    eventually(worker.ready, seconds=90, what="the worker's REST interface")
    return worker


def standalone(*connectors):
    offsets = os.path.join(FOLDER, "standalone.offsets")
    return start("ConnectStandalone", {"offset.storage.file.filename": offsets}, *connectors)


def distributed():
    topics = {f"{name}.storage.topic": INTERNAL[kind] for name, kind in
              [("config", "configs"), ("offset", "offsets"), ("status", "status")]}
    factors = {f"{name}.storage.replication.factor": 1 for name in ["config", "offset", "status"]}
    return start("ConnectDistributed", {
        "group.id": unique("connect-cluster"),
        "offset.storage.partitions": 5,
        "status.storage.partitions": 2,
        "exactly.once.source.support": "enabled",
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 1000,
        "scheduled.rebalance.max.delay.ms": 0,
        **topics,
        **factors,
    })


def path(name):
    return os.path.join(FOLDER, name)


def lines(word, count):
    return [f"{word} {n}" for n in range(count)]


def append(name, written):
    with open(path(name), "a") as file:
        file.writelines(f"{line}\n" for line in written)


def content(name):
    if not os.path.exists(path(name)):
        return []
    with open(path(name)) as file:
        return file.read().splitlines()


def source(topic, file):
    return {"connector.class": SOURCE, "tasks.max": 1, "file": path(file), "topic": topic}


def sink(topic, file):
    return {"connector.class": SINK, "tasks.max": 1, "file": path(file), "topics": topic}


def tool(name, *arguments):
    done = subprocess.run([UPSTREAM, "tool", name, "--bootstrap-server", BOOTSTRAP, *arguments],
                          capture_output=True, timeout=60, check=True)
    return done.stdout.decode()


def committed(topic):
    """The values of the records of a topic that no transaction hides."""
    out = tool("kafka-console-consumer", "--topic", topic, "--from-beginning", "--timeout-ms", "3000",
               "--command-property", "isolation.level=read_committed")
    return out.splitlines()


def a_standalone_worker_copies_a_file_and_goes_on_where_it_was_stopped():
    topic = unique("connect-standalone")
    connectors = [
        write(path("source.properties"), {"name": "lines-in", **source(topic, "in.txt")}),
        write(path("sink.properties"), {"name": "lines-out", **sink(topic, "out.txt")}),
    ]
    before, between, after = lines("before", 500), lines("between", 500), lines("after", 500)
    append("in.txt", before)
    worker = standalone(*connectors)
    soon_equal(lambda: content("out.txt"), before, seconds=60)
    equal(worker.end(), 143, "how a worker ends that is asked to")
    append("in.txt", between)
    worker = standalone(*connectors)
    soon_equal(lambda: content("out.txt"), before + between, seconds=60)
    append("in.txt", after)
    soon_equal(lambda: content("out.txt"), before + between + after, seconds=60)
    worker.end()


def running(worker, connector):
    soon_equal(lambda: worker.states(connector), ["RUNNING", "RUNNING"], connector, seconds=60)


def put(worker, connector, config):
    # While the worker still joins its group it answers that another must be asked, or none.
    eventually(lambda: worker.ask("PUT", f"/connectors/{connector}/config", config)[0] in (200, 201),
               seconds=60, what=f"{connector} accepted")
    running(worker, connector)


class Distributed:
    """The checks of one distributed worker, each of which goes on where the one before ended."""

    def __init__(self):
        self.topic = unique("connect-distributed")
        self.worker = None
        self.written = []

    def write(self, word, count=300):
        self.written += lines(word, count)
        append("distributed-in.txt", lines(word, count))

    def copies_a_file(self):
        self.worker = distributed()
        self.write("first")
        put(self.worker, "in", source(self.topic, "distributed-in.txt"))
        put(self.worker, "out", sink(self.topic, "distributed-out.txt"))
        soon_equal(lambda: content("distributed-out.txt"), self.written, seconds=60)

    def keeps_its_state_in_compacted_topics(self):
        for kind, partitions in [("configs", 1), ("offsets", 5), ("status", 2)]:
            out = tool("kafka-topics", "--describe", "--topic", INTERNAL[kind])
            first = dict(field.split(": ", 1) for field in out.splitlines()[0].split("\t") if ": " in field)
            equal(first["PartitionCount"], str(partitions), f"partitions of {kind}")
            equal("cleanup.policy=compact" in first["Configs"], True, f"{kind} is compacted: {first['Configs']}")

    def pauses_and_resumes(self):
        equal(self.worker.ask("PUT", "/connectors/out/pause")[0], 202, "pause")
        soon_equal(lambda: self.worker.states("out"), ["PAUSED", "PAUSED"], seconds=30)
        self.write("while paused")
        soon_equal(lambda: committed(self.topic), self.written, seconds=60)
        equal(self.worker.ask("PUT", "/connectors/out/resume")[0], 202, "resume")
        soon_equal(lambda: content("distributed-out.txt"), self.written, seconds=60)

    def killed_goes_on_and_its_source_writes_every_line_once(self):
        self.write("before the kill", 2000)
        eventually(lambda: len(content("distributed-out.txt")) > 600, seconds=60, what="the first of them")
        self.worker.end(signal.SIGKILL)
        self.write("after the kill")
        self.worker = distributed()
        running(self.worker, "in")
        running(self.worker, "out")
        soon_equal(lambda: committed(self.topic), self.written, seconds=90)
        # A sink is at least once: what it had not committed it writes again, and nothing is left out.
        soon_equal(lambda: list(dict.fromkeys(content("distributed-out.txt"))), self.written, seconds=60)

    def begins_again_where_its_offsets_are_deleted(self):
        size = os.path.getsize(path("distributed-in.txt"))
        soon_equal(lambda: self.worker.ask("GET", "/connectors/in/offsets")[1], {"offsets": [{
            "partition": {"filename": path("distributed-in.txt")}, "offset": {"position": size}}]}, seconds=30)
        equal(self.worker.ask("PUT", "/connectors/in/stop")[0], 204, "stop")
        soon_equal(lambda: self.worker.states("in"), ["STOPPED"], seconds=30)
        equal(self.worker.ask("DELETE", "/connectors/in/offsets")[0], 200, "offsets deleted")
        equal(self.worker.ask("PUT", "/connectors/in/resume")[0], 202, "resume")
        soon_equal(lambda: committed(self.topic), self.written * 2, seconds=90)

    def forgets_a_deleted_connector(self):
        for connector in ["in", "out"]:
            equal(self.worker.ask("DELETE", f"/connectors/{connector}")[0], 204, "delete")
        soon_equal(lambda: self.worker.ask("GET", "/connectors"), (200, []), seconds=30)
        equal(self.worker.end(), 143, "how a worker ends that is asked to")


def main():
    atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
    part.check("a standalone worker copies a file and goes on where it was stopped",
               a_standalone_worker_copies_a_file_and_goes_on_where_it_was_stopped, deadline=150)
    one = Distributed()
    for name, body in [
        ("a distributed worker copies a file", one.copies_a_file),
        ("it keeps its state in compacted topics", one.keeps_its_state_in_compacted_topics),
        ("a sink pauses and resumes", one.pauses_and_resumes),
        ("a killed worker goes on, and its source writes every line once",
         one.killed_goes_on_and_its_source_writes_every_line_once),
        ("a source begins again when its offsets are deleted", one.begins_again_where_its_offsets_are_deleted),
        ("deleted connectors are forgotten", one.forgets_a_deleted_connector),
    ]:
        part.check(name, body, deadline=150)
    for worker in workers:
        if worker.process.poll() is None:
            worker.end(signal.SIGKILL)
    if part.failures:
        with open(os.path.join(FOLDER, "workers.log")) as log:
            sys.stderr.write(log.read()[-20000:])
    shutil.rmtree(FOLDER, ignore_errors=True)
    part.end()


main()
