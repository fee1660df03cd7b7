"""Members of one group, of Java and of librdkafka, and everything that befalls them.

Every event carries the time at which the client itself saw it, before it went on: a member that is
told of a partition only after another gave it up says so in this order.
"""

import os
import subprocess
import threading
import time
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException

from classic_members import AiokafkaMember, KafkaPythonMember
from harness import BOOTSTRAP, eventually

HERE = os.path.dirname(os.path.abspath(__file__))
CLASSIC_TIMES = {"heartbeat.interval.ms": "300", "session.timeout.ms": "6000"}
# What a group says to a commit of a member that is no longer what it thinks it is.
REFUSED = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.FENCED_MEMBER_EPOCH,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._TIMED_OUT,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}


class Event(NamedTuple):
    time: int
    kind: str
    member: str
    # Partitions, (partition, offset, value) of a record, {partition: offset} of a commit, or a text.
    detail: object


class Events:
    """What happened so far, in the order in which it became known."""

    def __init__(self):
        self.lock = threading.Lock()
        self.list = []

    def add(self, kind, member, detail, at=None):
        with self.lock:
            self.list.append(Event(at or time.time_ns(), kind, member, detail))

    def forget(self, member):
        with self.lock:
            self.list = [event for event in self.list if event.member != member]

    def sorted(self):
        with self.lock:
            return sorted(self.list)

    def of(self, *kinds):
        return [event for event in self.sorted() if event.kind in kinds]

    def values(self):
        return [event.detail[2] for event in self.of("record")]

    def owned(self):
        """The partitions that each member has now."""
        owned = {}
        for event in self.sorted():
            mine = owned.setdefault(event.member, set())
            if event.kind == "assigned":
                mine |= set(event.detail)
            elif event.kind in ("revoked", "lost"):
                mine -= set(event.detail)
            elif event.kind == "left":
                mine.clear()
        return {member: partitions for member, partitions in owned.items() if partitions}


class Host:
    """A program in another language that has members, and tells by lines what befalls them."""

    def __init__(self, events, name):
        self.events = events
        self.process = subprocess.Popen(
            [os.path.join(HERE, "..", "run"), "--inside", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            kind, member, at, detail = line.rstrip("\n").split(" ", 3)
            if kind in ("assigned", "revoked", "lost"):
                detail = [int(one) for one in detail.split(",") if one]
            elif kind == "record":
                partition, offset, value = detail.split(" ")
                detail = (int(partition), int(offset), value)
            elif kind == "committed":
                pairs = (one.split("=") for one in detail.split(",") if one)
                detail = {int(partition): int(offset) for partition, offset in pairs}
            self.events.add(kind, member, detail, int(at))

    def command(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


class LibrdkafkaMember:
    def __init__(self, events, name, topic, config):
        self.events, self.name, self.topic = events, name, topic
        self.ends = False
        self.client = Consumer(config)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def tell(self, kind, detail):
        self.events.add(kind, self.name, detail)

    def run(self):
        try:
            self.client.subscribe(
                [self.topic],
                on_assign=lambda _, given: self.tell("assigned", numbers(given)),
                on_revoke=self.revoked,
                on_lost=lambda _, lost: self.tell("lost", numbers(lost)),
            )
            while not self.ends:
                self.poll()
            self.client.close()
            self.tell("left", "")
        except BaseException as error:
            self.tell("failed", repr(error))

    def poll(self):
        any_read = False
        end = time.monotonic() + 0.05
        while (rest := end - time.monotonic()) > 0:
            message = self.client.poll(rest)
            if message is None:
                continue
            if message.error():
                if not message.error().retriable() and message.error().code() not in REFUSED:
                    raise KafkaException(message.error())
                continue
            any_read = True
            value = message.value().decode()
            self.tell("record", (message.partition(), message.offset(), value))
        if any_read:
            self.commit()

    def revoked(self, _client, partitions):
        self.commit()
        self.tell("revoked", numbers(partitions))

    def commit(self):
        try:
            done = self.client.commit(asynchronous=False)
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError._NO_OFFSET:
                return
            if code not in REFUSED and not error.args[0].retriable():
                raise
            self.tell("refused", str(error))
            return
        failed = [one for one in done if one.error]
        if failed:
            self.tell("refused", str(failed))
        made = [one for one in done if not one.error and one.offset >= 0]
        self.tell("committed", {one.partition: one.offset for one in made})

    def leave(self):
        self.ends = True
        self.thread.join(30)


def numbers(partitions):
    return [one.partition for one in partitions]


class Group:
    """A group of members of several clients, told by the first letter of their names: j is of Java,
    c of librdkafka, a of aiokafka, k of kafka-python, n of kafkajs; the last three are classic.
    """

    def __init__(self, group, topic):
        self.group, self.topic = group, topic
        self.events = Events()
        self.hosts = {}
        self.members = {}

    def host(self, name):
        """The program that has this member, if it is not this one."""
        program = {"j": "member-host", "n": "member-host-node"}.get(name[0])
        if program is not None and program not in self.hosts:
            self.hosts[program] = Host(self.events, program)
        return self.hosts.get(program)

    def join(self, name, **config):
        """Adds a member of the consumer protocol, or of the classic one with `classic=STRATEGY`."""
        if name[0] == "n":
            self.host(name).command("join", name, self.topic, self.group)
            self.members[name] = None
            return
        if name[0] in "ak":
            kind = AiokafkaMember if name[0] == "a" else KafkaPythonMember
            self.members[name] = kind(self.events, name, self.group, self.topic)
            return
        strategy = config.pop("classic", None)
        common = {"group.id": self.group, **{k.replace("_", "."): v for k, v in config.items()}}
        if strategy is None:
            common["group.protocol"] = "consumer"
        else:
            common |= CLASSIC_TIMES | {"group.protocol": "classic"}
        if name.startswith("j"):
            if strategy:
                common["partition.assignment.strategy"] = JAVA_STRATEGIES[strategy]
            self.host(name).command(
                "join", name, self.topic, *(f"{key}={value}" for key, value in common.items())
            )
            self.members[name] = None
            return
        if strategy:
            common["partition.assignment.strategy"] = strategy
        common |= {
            "bootstrap.servers": BOOTSTRAP,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
            "reconnect.backoff.max.ms": 500,
        }
        self.members[name] = LibrdkafkaMember(self.events, name, self.topic, common)

    def leave(self, name):
        member = self.members.pop(name)
        if member is None:
            self.host(name).command("leave", name)
        else:
            member.leave()
        self.wait(lambda: any(one.member == name for one in self.events.of("left")), f"{name} left")

    def wait(self, holds, what, seconds=30):
        def alive():
            failed = self.events.of("failed")
            if failed:
                raise AssertionError(f"a member failed: {failed}")
            return holds()

        eventually(alive, seconds, what)

    def fails(self, name, text, seconds=30):
        """Waits until a member has failed so; it counts no longer."""

        def failed():
            mine = [one.detail for one in self.events.of("failed") if one.member == name]
            return mine and text in mine[0]

        eventually(failed, seconds, f"{name} fails with {text}")
        self.members.pop(name)
        self.events.forget(name)

    def settle(self, partitions, seconds=40):
        """Waits until the members that are there have every partition once, and equally many."""

        def settled():
            owned = self.events.owned()
            sizes = sorted(map(len, owned.values()))
            return (
                owned.keys() == self.members.keys()
                and sorted(one for mine in owned.values() for one in mine)
                == list(range(partitions))
                and sizes[-1] - sizes[0] <= 1
            )

        try:
            self.wait(settled, "assignment", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; members have {self.events.owned()}") from error

    def close(self):
        for name in list(self.members):
            member = self.members.pop(name)
            if member is not None:
                member.leave()
            else:
                self.host(name).command("leave", name)
        for host in self.hosts.values():
            host.end()


JAVA_STRATEGIES = {
    "range": "org.apache.kafka.clients.consumer.RangeAssignor",
    "cooperative-sticky": "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
}
