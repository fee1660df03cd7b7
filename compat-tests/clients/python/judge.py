"""Whether what befell the members of a group was right.

Nothing is lost; no partition has two owners at one time; who gets a partition begins where it was
committed last; committed offsets only go forward.
"""

import threading

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from harness import BOOTSTRAP, equal


class Feed:
    """Writes numbered records into the partitions in turn, all the time, until it is stopped."""

    def __init__(self, topic, partitions, every=0.005):
        self.topic, self.partitions, self.every = topic, partitions, every
        self.sent = []
        self.failed = []
        self.stopped = threading.Event()
        self.client = Producer(
            {
                "bootstrap.servers": BOOTSTRAP,
                "enable.idempotence": True,
                "linger.ms": 2,
                "reconnect.backoff.max.ms": 500,
            }
        )
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        number = 0
        while not self.stopped.wait(self.every):
            self.client.produce(
                self.topic,
                f"v{number}",
                partition=number % self.partitions,
                on_delivery=self.delivered,
            )
            self.client.poll(0)
            number += 1

    def delivered(self, error, message):
        if error is None:
            self.sent.append(message.value().decode())
        else:
            self.failed.append(error)

    def stop(self):
        """Every record is acknowledged after this."""
        self.stopped.set()
        self.thread.join(10)
        equal(self.client.flush(60), 0, "records not acknowledged")
        equal(self.failed, [], "records refused")


class Watch:
    """Asks again and again what a group has committed, as somebody from outside.

    It asks as a consumer: librdkafka's admin client may abort where its broker is away.
    """

    def __init__(self, group, topic, partitions):
        self.asked = [TopicPartition(topic, partition) for partition in range(partitions)]
        self.client = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group})
        self.last = {}
        self.back = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped.wait(0.1):
            try:
                self.look()
            except KafkaException:
                # The broker is away, or the group is not there yet.
                continue

    def look(self):
        now = {
            one.partition: one.offset
            for one in self.client.committed(self.asked, 20)
            if one.offset >= 0
        }
        for partition, offset in self.last.items():
            if now.get(partition, -1) < offset:
                self.back.append((partition, offset, now.get(partition)))
        self.last = now

    def stop(self):
        self.stopped.set()
        self.thread.join(30)
        self.look()
        self.client.close()
        equal(self.back, [], "committed offsets that went back")
        return self.last


def everything_is_read(group, feed, seconds=40):
    """Waits until each record that was acknowledged was read by a member."""
    feed.stop()
    sent = set(feed.sent)
    group.wait(lambda: sent <= set(group.events.values()), f"{len(sent)} records read", seconds)


def one_owner_at_a_time(events):
    """Who was thrown out learns of it only after another has what was its own: it says `lost`."""
    owners, late = {}, set()
    for event in events.sorted():
        if event.kind == "assigned":
            for partition in event.detail:
                owner = owners.get(partition)
                if owner is not None:
                    late.add((owner, event.member, partition))
                owners[partition] = event.member
        elif event.kind in ("revoked", "lost", "left"):
            gone = event.detail if event.kind != "left" else list(owners)
            for partition in gone:
                if owners.get(partition) == event.member:
                    del owners[partition]
                if event.kind == "lost":
                    late = {one for one in late if (one[0], one[2]) != (event.member, partition)}
    equal(sorted(late), [], "owners that had a partition when it was given to another")


def each_begins_at_the_commit(events, may_be_ahead=False):
    """The first record after an assignment is the one at the last commit before it, and the others
    follow one by one. A commit whose answer was lost may have been made: then it is later.
    """
    committed, expected = {}, {}
    for event in events.sorted():
        if event.kind == "assigned":
            for partition in event.detail:
                expected[event.member, partition] = committed.get(partition, 0)
        elif event.kind == "committed":
            for partition, offset in event.detail.items():
                if offset < committed.get(partition, 0):
                    raise AssertionError(f"{event.member} committed {offset} of {partition} late")
                committed[partition] = offset
        elif event.kind == "record":
            partition, offset, _ = event.detail
            wanted = expected.get((event.member, partition))
            if wanted is None:
                raise AssertionError(f"{event.member} read of {partition}, which it has not")
            if offset != wanted and not (may_be_ahead and offset > wanted):
                raise AssertionError(
                    f"{event.member} read {offset} of {partition}, expected was {wanted}"
                )
            expected[event.member, partition] = offset + 1
        elif event.kind in ("revoked", "lost"):
            for partition in event.detail:
                expected.pop((event.member, partition), None)


def once(events, sent):
    """Every record came exactly once, but for partitions that a member lost before it could commit."""
    lost = {partition for event in events.of("lost") for partition in event.detail}
    seen, twice = set(), []
    for event in events.of("record"):
        partition, _, value = event.detail
        if value in seen and partition not in lost:
            twice.append(value)
        seen.add(value)
    equal(twice, [], "records that came twice")
    equal(seen, set(sent), "records")
