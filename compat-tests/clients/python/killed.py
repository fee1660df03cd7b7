"""Members of Java and of librdkafka in a group of KIP-848 whose broker is killed, again and again.

Whoever starts this kills the broker after each line `ok killed: round N ...` and starts it again
over its data, on the same port. The members go on: nothing is lost, and no commit goes back.
"""

import os
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from confluent_clients import create  # noqa: E402
from harness import BOOTSTRAP, Part, equal, unique  # noqa: E402
from judge import (  # noqa: E402
    Feed,
    Watch,
    each_begins_at_the_commit,
    everything_is_read,
    one_owner_at_a_time,
)
from members import Group  # noqa: E402

PARTITIONS = 12
# As many kills as scripts/test makes.
ROUNDS = int(os.environ.get("ROUNDS", "3"))


def connect():
    host, port = BOOTSTRAP.rsplit(":", 1)
    return socket.create_connection((host, int(port)), 1)


def accepts():
    try:
        connect().close()
        return True
    except OSError:
        return False


def wait_for_kill(seconds=60):
    """A connection on which nothing is said ends only with the broker."""
    try:
        with connect() as connection:
            connection.settimeout(seconds)
            connection.recv(1)
    except TimeoutError as error:
        raise AssertionError(f"nobody killed the broker for {seconds} s") from error
    except ConnectionError:
        # It has been killed already.
        pass


class Story:
    def __init__(self):
        topic = create("killed", partitions=PARTITIONS)
        self.group = Group(unique("killed"), topic)
        self.feed = Feed(topic, PARTITIONS)
        self.watch = Watch(self.group.group, topic, PARTITIONS)
        for name in ["j1", "c1", "j2", "c2"]:
            self.group.join(name)

    def consumes(self):
        """Each member reads records that are new, and commits them."""
        self.group.settle(PARTITIONS, 60)
        start = time.time_ns()
        for kind in ["record", "committed"]:
            self.group.wait(
                lambda: {one.member for one in self.group.events.of(kind) if one.time > start}
                >= set(self.group.members),
                f"{kind} of each member",
                60,
            )

    def goes_on(self, number):
        """Each time a member joins just before the broker is killed, every second time a classic one."""
        if number % 2:
            self.group.join(f"c{number + 10}")
        else:
            self.group.join(f"j{number + 10}", classic="range")
        wait_for_kill()
        self.group.wait(accepts, "the broker is back", 60)
        self.consumes()

    def ends(self):
        everything_is_read(self.group, self.feed, 60)
        self.group.close()
        events = self.group.events
        equal(events.of("failed"), [], "members that failed")
        one_owner_at_a_time(events)
        each_begins_at_the_commit(events, may_be_ahead=True)
        committed = self.watch.stop()
        for event in events.of("committed"):
            for partition, offset in event.detail.items():
                if committed[partition] < offset:
                    raise AssertionError(f"{offset} of {partition} was committed: {committed}")
        ends = {partition: 0 for partition in range(PARTITIONS)}
        for event in events.of("record"):
            ends[event.detail[0]] = max(ends[event.detail[0]], event.detail[1] + 1)
        equal(committed, ends, "committed at the end")


part = Part("killed")
story = Story()
part.check("round 1 begins: every member reads and commits", story.consumes, 90)
for number in range(1, ROUNDS + 1):
    then = f"round {number + 1} begins: " if number < ROUNDS else ""
    part.check(f"{then}all go on after kill {number}", lambda: story.goes_on(number), 120)
part.check("nothing is lost, and no commit went back", story.ends, 120)
part.end()
