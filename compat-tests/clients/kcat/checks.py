"""kcat (librdkafka as Debian ships it) as a person uses it: produce, consume, list, query, group."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import BOOTSTRAP, Part, equal, eventually, unique  # noqa: E402

part = Part("kcat")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def kcat(*arguments, stdin="", deadline=30, status=0):
    """Runs kcat to its end and returns what it printed; a hang is a failure."""
    done = subprocess.run(
        ["kcat", "-b", BOOTSTRAP, *arguments],
        input=stdin.encode(),
        capture_output=True,
        timeout=deadline,
    )
    if status is not None and done.returncode != status:
        raise AssertionError(f"kcat {arguments} ended with {done.returncode}: {done.stderr!r}")
    return done.stdout.decode(), done.stderr.decode()


def produce(topic, lines, *arguments):
    kcat("-P", "-t", topic, *arguments, stdin="".join(f"{line}\n" for line in lines))


def consume(topic, *arguments):
    """Everything in the topic, as kcat's JSON objects."""
    out, _ = kcat(
        *["-C", "-q", "-t", topic, "-o", "beginning", "-e", "-J", "-X", "fetch.wait.max.ms=50"],
        *arguments,
    )
    return [json.loads(line) for line in out.splitlines()]


def metadata(*arguments):
    out, _ = kcat("-L", "-J", *arguments)
    return json.loads(out)


def lists_the_broker():
    answer = metadata()
    equal(len(answer["brokers"]), 1, "brokers")
    equal(answer["brokers"][0]["name"], BOOTSTRAP, "advertised address")
    equal(answer["controllerid"], answer["brokers"][0]["id"], "controller")


def creates_a_topic_on_first_produce():
    topic = unique("kcat-auto")
    produce(topic, ["first"])
    (described,) = metadata("-t", topic)["topics"]
    equal(described["topic"], topic)
    broker = metadata()["brokers"][0]["id"]
    expected = {"partition": 0, "leader": broker, "replicas": [{"id": broker}]}
    equal(len(described["partitions"]), 1, "partitions")
    got = described["partitions"][0]
    equal({key: got[key] for key in expected}, expected)
    equal(got["isrs"], [{"id": broker}], "isr")
    equal([record["payload"] for record in consume(topic)], ["first"])


def round_trip(codec, acks):
    def body():
        topic = unique(f"kcat-{codec}-{acks}")
        lines = [f"key{n}:value {n} {'x' * (n % 50)}" for n in range(500)]
        headers = ["-H", "trace=abc", "-H", "trace=again", "-H", "empty="]
        before = int(time.time() * 1000)
        produce(topic, lines, "-K:", "-z", codec, "-X", f"acks={acks}", *headers)
        # Without an answer (acks=0) the last bytes may still be on their way.
        records = eventually(
            lambda: (got := consume(topic)) and len(got) >= 500 and got, what="500 records"
        )
        after = int(time.time() * 1000)
        equal([r["offset"] for r in records], list(range(500)), "offsets")
        equal([f"{r['key']}:{r['payload']}" for r in records], lines, "records")
        for record in records:
            equal(
                record["headers"],
                ["trace", "abc", "trace", "again", "empty", ""],
                "headers",
            )
            equal(record["tstype"], "create")
            assert before <= record["ts"] <= after, (before, record["ts"], after)

    return body


def idempotent_producer_writes_each_record_once():
    topic = unique("kcat-idempotent")
    lines = [f"record {n}" for n in range(2000)]
    produce(
        topic, lines, "-X", "enable.idempotence=true", "-X", "batch.num.messages=50", "-X",
        "linger.ms=0",
    )
    equal([r["payload"] for r in consume(topic)], lines)


def null_values_and_null_keys_come_back_null():
    topic = unique("kcat-null")
    produce(topic, ["tombstone:", "kept:value"], "-K:", "-Z")
    produce(topic, ["no key"])
    equal(
        [(r["key"], r["payload"]) for r in consume(topic)],
        [("tombstone", None), ("kept", "value"), (None, "no key")],
    )


def consuming_an_empty_topic_ends():
    topic = unique("kcat-empty")
    # Asking for a topic's metadata by name creates it.
    eventually(lambda: metadata("-t", topic)["topics"][0]["partitions"], what="topic created")
    _, err = kcat("-C", "-t", topic, "-o", "beginning", "-e", deadline=20)
    assert "Reached end of topic" in err, err
    equal(consume(topic), [])


def consuming_an_exhausted_topic_ends_at_its_end():
    topic = unique("kcat-end")
    produce(topic, ["a", "b", "c"])
    _, err = kcat("-C", "-t", topic, "-o", "beginning", "-e", deadline=20)
    assert f"Reached end of topic {topic} [0] at offset 3" in err, err
    out, _ = kcat("-C", "-q", "-t", topic, "-o", "3", "-e", deadline=20)
    equal(out, "")


def offsets_choose_where_to_start():
    topic = unique("kcat-offsets")
    produce(topic, [str(n) for n in range(10)])
    for offset, expected in [("7", "789"), ("-2", "89"), ("end", "")]:
        out, _ = kcat("-C", "-q", "-t", topic, "-o", offset, "-e")
        equal(out.replace("\n", ""), expected, f"from {offset}")
    out, _ = kcat("-C", "-q", "-t", topic, "-p", "0", "-o", "2", "-c", "3")
    equal(out, "2\n3\n4\n")


def an_offset_out_of_range_is_reset_as_configured():
    topic = unique("kcat-range")
    produce(topic, ["a", "b"])
    out, _ = kcat("-C", "-q", "-t", topic, "-o", "100", "-e", "-X", "auto.offset.reset=earliest")
    equal(out, "a\nb\n")
    _, err = kcat(
        "-C", "-t", topic, "-o", "100", "-e", "-X", "auto.offset.reset=error", status=1
    )
    assert "out of range" in err.lower(), err


def query_answers_offsets_by_time():
    topic = unique("kcat-query")
    produce(topic, ["a"])
    time.sleep(0.02)
    between = int(time.time() * 1000)
    time.sleep(0.02)
    produce(topic, ["b", "c"])

    def query(time_ms):
        out, _ = kcat("-Q", "-t", f"{topic}:0:{time_ms}")
        return out.strip()

    equal(query(between), f"{topic} [0] offset 1")
    equal(query(between - 60_000), f"{topic} [0] offset 0")
    equal(query(between + 60_000), f"{topic} [0] offset -1")
    equal(query(-1), f"{topic} [0] offset 3")
    equal(query(-2), f"{topic} [0] offset 0")
    out, _ = kcat("-C", "-q", "-t", topic, "-o", f"s@{between}", "-e")
    equal(out, "b\nc\n")


def group_resumes_from_commit():
    topic, group = unique("kcat-resume"), unique("kcat-resume-group")
    produce(topic, [str(n) for n in range(10)])
    earliest = ["-X", "auto.offset.reset=earliest"]
    out, _ = kcat("-q", "-c", "4", *earliest, "-G", group, topic, deadline=40)
    equal(out.split(), ["0", "1", "2", "3"])
    out, _ = kcat("-q", "-e", *earliest, "-G", group, topic, deadline=40)
    equal(out.split(), ["4", "5", "6", "7", "8", "9"])


class Member:
    """A kcat group member that runs until it is ended; its output lies in files."""

    def __init__(self, group, topic, *arguments):
        self.out = tempfile.TemporaryFile()
        self.err = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["kcat", "-b", BOOTSTRAP, "-u", "-X", "auto.offset.reset=earliest", *arguments]
            + ["-G", group, topic],
            stdout=self.out,
            stderr=self.err,
        )

    def read(self, file):
        return os.pread(file.fileno(), 1 << 20, 0).decode()

    def records(self):
        return self.read(self.out).split()

    def assigned(self):
        """Its partitions after the last rebalance it told of; None before the first."""
        told = [line for line in self.read(self.err).splitlines() if "rebalanced" in line]
        if not told:
            return None
        if "assigned: " not in told[-1] or told[-1].endswith("assigned: "):
            return []
        return told[-1].split("assigned: ")[1].split(", ")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)


def a_leaving_member_hands_its_partition_over():
    topic, group = unique("kcat-members"), unique("kcat-members-group")
    produce(topic, ["a", "b"])
    members = [Member(group, topic), Member(group, topic)]
    try:
        owned = [f"{topic} [0]"]

        def settled():
            now = [member.assigned() for member in members]
            return sorted(now, key=str) == sorted([owned, []], key=str)

        eventually(settled, 40, "one of two members owns the partition")
        owner = next(member for member in members if member.assigned() == owned)
        (other,) = [member for member in members if member is not owner]
        eventually(lambda: owner.records() == ["a", "b"], 20, "the owner reads")
        owner.end()
        eventually(lambda: other.assigned() == owned, 30, "the other takes over")
        produce(topic, ["c"])
        eventually(lambda: other.records() == ["c"], 20, "the other reads on from the commit")
    finally:
        for member in members:
            if member.process.poll() is None:
                member.end()


def consuming_an_unknown_topic_is_an_error():
    _, err = kcat("-C", "-t", unique("kcat-nowhere"), "-e", "-o", "beginning", status=1)
    assert "Unknown topic or partition" in err, err


def a_record_too_large_is_refused_by_the_broker():
    topic = unique("kcat-large")
    produce(topic, ["small"])
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(1_200_000))
        file.flush()
        _, err = kcat(
            "-P", "-t", topic, "-X", "message.max.bytes=5000000", file.name, status=1
        )
    assert "Message size too large" in err, err
    equal([r["payload"] for r in consume(topic)], ["small"])


part.check("lists_the_broker", lists_the_broker)
part.check("creates_a_topic_on_first_produce", creates_a_topic_on_first_produce)
for codec in CODECS:
    for acks in ["0", "1", "all"]:
        part.check(f"round_trip_{codec}_acks_{acks}", round_trip(codec, acks))
for body in [
    idempotent_producer_writes_each_record_once,
    null_values_and_null_keys_come_back_null,
    consuming_an_empty_topic_ends,
    consuming_an_exhausted_topic_ends_at_its_end,
    offsets_choose_where_to_start,
    an_offset_out_of_range_is_reset_as_configured,
    query_answers_offsets_by_time,
    group_resumes_from_commit,
    a_leaving_member_hands_its_partition_over,
    consuming_an_unknown_topic_is_an_error,
    a_record_too_large_is_refused_by_the_broker,
]:
    part.check(body.__name__, body)
part.end()
