"""Members of Java and of librdkafka in one group: of the consumer protocol (KIP-848), of the classic
one, and of both while the group moves from one to the other, member by member, with records flowing.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from confluent_kafka import ConsumerGroupType  # noqa: E402
from confluent_kafka.admin import AdminClient  # noqa: E402

from confluent_clients import create  # noqa: E402
from harness import BOOTSTRAP, Part, equal, eventually, unique  # noqa: E402
from judge import (  # noqa: E402
    Feed,
    Watch,
    each_begins_at_the_commit,
    everything_is_read,
    once,
    one_owner_at_a_time,
)
from members import Group  # noqa: E402

PARTITIONS = 6
ADMIN = AdminClient({"bootstrap.servers": BOOTSTRAP})


class Scene:
    """A group on a topic that is written to; judged when it ends well."""

    def __init__(self, name, may_lose=False):
        self.may_lose = may_lose
        self.topic = create(name, partitions=PARTITIONS)
        self.group = Group(unique(name), self.topic)

    def __enter__(self):
        self.feed = Feed(self.topic, PARTITIONS)
        self.watch = Watch(self.group.group, self.topic, PARTITIONS)
        return self.group

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                everything_is_read(self.group, self.feed)
        finally:
            self.feed.stopped.set()
            self.group.close()
        if kind is not None:
            return
        events = self.group.events
        equal(events.of("failed"), [], "members that failed")
        if not self.may_lose:
            equal(events.of("lost"), [], "partitions that were lost")
        one_owner_at_a_time(events)
        each_begins_at_the_commit(events)
        once(events, self.feed.sent)
        ends = {partition: 0 for partition in range(PARTITIONS)}
        for event in events.of("record"):
            ends[event.detail[0]] = max(ends[event.detail[0]], event.detail[1] + 1)
        equal(self.watch.stop(), ends, "committed at the end")


def type_of(group):
    described = ADMIN.describe_consumer_groups([group])[group].result(20)
    return described.type


def is_type(group, kind):
    eventually(lambda: type_of(group) == kind, what=f"type {kind}")


def members_of_both_clients_share_a_group():
    with Scene("m-share") as group:
        for name in ["j1", "c1", "j2", "c2"]:
            group.join(name)
            group.settle(PARTITIONS)
        equal(type_of(group.group), ConsumerGroupType.CONSUMER, "type of the group")
        group.leave("j1")
        group.settle(PARTITIONS)
        group.leave("c2")
        group.settle(PARTITIONS)
        group.join("j3")
        group.join("c3")
        group.settle(PARTITIONS)


def moves(strategy, before, there, back):
    """Each member is replaced by one of the consumer protocol, then each of these by a classic one.

    librdkafka gives everything up as lost when the group that it is in becomes a classic one.
    """

    def body():
        with Scene(f"m-move-{strategy}", may_lose=True) as group:
            for name in before:
                group.join(name, classic=strategy)
            group.settle(PARTITIONS)
            equal(type_of(group.group), ConsumerGroupType.CLASSIC, "type before")
            for old, new in there.items():
                group.leave(old)
                group.join(new)
                group.settle(PARTITIONS)
                equal(type_of(group.group), ConsumerGroupType.CONSUMER, f"type with {new}")
            equal(group.events.of("lost"), [], "partitions that were lost on the way there")
            for old, new in back.items():
                group.leave(old)
                group.join(new, classic=strategy)
                group.settle(PARTITIONS)
            is_type(group.group, ConsumerGroupType.CLASSIC)

    return body


def static_members_move_under_their_names():
    """A restart with other settings: nobody leaves, whoever comes back has a name of the group."""
    with Scene("m-static", may_lose=True) as group:
        group.join("j1", classic="range", group_instance_id="one")
        group.join("c1", classic="range", group_instance_id="two")
        group.settle(PARTITIONS)
        for old, new, kind in [
            ("j1", "j2", ConsumerGroupType.CONSUMER),
            ("c1", "c2", ConsumerGroupType.CONSUMER),
            ("c2", "c3", ConsumerGroupType.CONSUMER),
            ("j2", "j3", ConsumerGroupType.CLASSIC),
        ]:
            protocol = {"classic": "range"} if new in ("c3", "j3") else {}
            name = "one" if new.startswith("j") else "two"
            group.leave(old)
            group.join(new, group_instance_id=name, **protocol)
            group.settle(PARTITIONS)
            is_type(group.group, kind)
        # Two names, and no member beside them.
        described = ADMIN.describe_consumer_groups([group.group])[group.group].result(20)
        names = sorted(member.group_instance_id for member in described.members)
        equal(names, ["one", "two"], "members")


def an_assignor_with_data_of_its_own_keeps_a_group_classic():
    with Scene("m-custom") as group:
        for name in ["c1", "c2"]:
            group.join(name, classic="cooperative-sticky")
            group.settle(PARTITIONS)
        group.join("j1")
        group.fails("j1", "unsupported custom assignor")
        group.settle(PARTITIONS)
        equal(type_of(group.group), ConsumerGroupType.CLASSIC, "type after")


def an_empty_group_moves_there_and_back():
    with Scene("m-empty") as group:
        group.join("c1", classic="range")
        group.settle(PARTITIONS)
        group.leave("c1")
        equal(type_of(group.group), ConsumerGroupType.CLASSIC, "type before")
        group.join("j1")
        group.join("c2")
        group.settle(PARTITIONS)
        equal(type_of(group.group), ConsumerGroupType.CONSUMER, "type after")
        group.leave("j1")
        group.leave("c2")
        group.join("j2", classic="cooperative-sticky")
        group.settle(PARTITIONS)
        is_type(group.group, ConsumerGroupType.CLASSIC)


def classic_members_of_python_meet_the_consumer_protocol():
    with Scene("m-python", may_lose=True) as group:
        group.join("a1")
        group.join("k1")
        group.settle(PARTITIONS)
        equal(type_of(group.group), ConsumerGroupType.CLASSIC, "type before")
        group.join("c1")
        group.settle(PARTITIONS)
        equal(type_of(group.group), ConsumerGroupType.CONSUMER, "type with a new member")
        group.join("a2")
        group.settle(PARTITIONS)
        group.leave("k1")
        group.leave("a1")
        group.settle(PARTITIONS)
        group.leave("c1")
        group.settle(PARTITIONS)
        is_type(group.group, ConsumerGroupType.CLASSIC)


def a_classic_member_of_node_meets_the_consumer_protocol():
    with Scene("m-node", may_lose=True) as group:
        group.join("n1")
        group.settle(PARTITIONS)
        group.join("c1")
        group.join("n2")
        group.settle(PARTITIONS)
        equal(type_of(group.group), ConsumerGroupType.CONSUMER, "type with a new member")
        group.leave("n1")
        group.settle(PARTITIONS)
        group.leave("c1")
        group.settle(PARTITIONS)
        is_type(group.group, ConsumerGroupType.CLASSIC)


part = Part("mixed")
for name, body in [
    ("members_of_java_and_librdkafka_share_a_group", members_of_both_clients_share_a_group),
    (
        "a_group_moves_there_and_back_with_eager_members",
        moves(
            "range",
            ["j1", "c1", "j2"],
            {"j1": "j4", "c1": "c4", "j2": "c5"},
            {"c5": "c7", "j4": "j7", "c4": "j8"},
        ),
    ),
    (
        "a_group_moves_there_and_back_with_cooperative_members",
        moves("cooperative-sticky", ["j1", "j2"], {"j2": "c4", "j1": "j4"}, {"c4": "j7", "j4": "j8"}),
    ),
    ("static_members_move_under_their_names", static_members_move_under_their_names),
    ("an_empty_group_moves_there_and_back", an_empty_group_moves_there_and_back),
    (
        "an_assignor_with_data_of_its_own_keeps_a_group_classic",
        an_assignor_with_data_of_its_own_keeps_a_group_classic,
    ),
    (
        "classic_members_of_python_meet_the_consumer_protocol",
        classic_members_of_python_meet_the_consumer_protocol,
    ),
    (
        "a_classic_member_of_node_meets_the_consumer_protocol",
        a_classic_member_of_node_meets_the_consumer_protocol,
    ),
]:
    part.check(name, body, 120)
part.end()
