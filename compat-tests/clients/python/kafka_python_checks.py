"""kafka-python: written in Python alone, with its own wire code."""

import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    InvalidConfigurationError,
    MessageSizeTooLargeError,
    TopicAlreadyExistsError,
)

from harness import BOOTSTRAP, START, equal, eventually, raises, soon_equal, unique


def admin_client():
    return KafkaAdminClient(bootstrap_servers=BOOTSTRAP)


def consumer(*topics, **config):
    config = {
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "fetch_max_wait_ms": 50,
        **config,
    }
    return KafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, **config)


def create(name, partitions=1, **configs):
    topic = unique(name)
    options = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
    admin = admin_client()
    admin.create_topics({topic: options})
    # Upstream may answer before the topic is served.
    soon_equal(lambda: topic in admin.list_topics(), True, "topic listed")
    admin.close()
    client = consumer()
    client.end_offsets([TopicPartition(topic, n) for n in range(partitions)])
    client.close()
    return topic


def send(topic, records, **config):
    """Sends (partition, timestamp, key, value, headers) and returns the offsets."""
    client = KafkaProducer(bootstrap_servers=BOOTSTRAP, **config)
    futures = [
        client.send(topic, value, key, headers, partition, timestamp)
        for partition, timestamp, key, value, headers in records
    ]
    client.flush(30)
    offsets = [future.get(30).offset for future in futures]
    client.close()
    return offsets


def send_values(topic, partitions, values):
    send(topic, [(n % partitions, None, None, v.encode(), []) for n, v in enumerate(values)])


def take(client, count, seconds=30):
    """Exactly `count` records."""
    records = []
    end = time.monotonic() + seconds
    while len(records) < count:
        if time.monotonic() > end:
            raise AssertionError(f"only {len(records)} of {count} records in {seconds} s")
        for batch in client.poll(200).values():
            records += batch
    equal(len(records), count, "records")
    return records


def read(topic, count, partition=0):
    client = consumer()
    where = TopicPartition(topic, partition)
    client.assign([where])
    records = take(client, count)
    equal(client.position(where), client.end_offsets([where])[where], "end")
    client.close()
    return records


def round_trip(codec, acks):
    def body():
        topic = create(f"kp-{codec}-{acks}")
        sent = [
            (
                0,
                START + n,
                None if n % 5 == 0 else f"key {n}".encode(),
                None if n % 5 == 1 else f"value {n} {'ab' * (n % 90)}".encode(),
                [("trace", b"\x00\xff"), ("trace", str(n).encode()), ("empty", b"")],
            )
            for n in range(1, 201)
        ]
        offsets = send(
            topic,
            sent,
            compression_type=None if codec == "none" else codec,
            acks=acks,
            enable_idempotence=acks == "all",
            linger_ms=5,
        )
        if acks != 0:
            equal(offsets, list(range(200)), "offsets answered")
        got = read(topic, 200)
        equal([r.offset for r in got], list(range(200)), "offsets")
        equal(
            [(r.partition, r.timestamp, r.key, r.value, list(r.headers)) for r in got],
            sent,
            "records",
        )

    return body


def a_topic_is_created_on_first_produce():
    topic = unique("kp-auto")
    equal(send(topic, [(None, None, None, b"first", [])]), [0])
    equal([r.value for r in read(topic, 1)], [b"first"])


def offsets_and_times_are_exact():
    topic = create("kp-offsets")
    send(topic, [(0, START + n * 1000, None, b"v", []) for n in range(10)])
    client = consumer()
    where = TopicPartition(topic, 0)
    client.assign([where])
    equal(client.beginning_offsets([where]), {where: 0}, "beginning")
    equal(client.end_offsets([where]), {where: 10}, "end")
    equal(client.offsets_for_times({where: START + 2500})[where].offset, 3)
    equal(client.offsets_for_times({where: START + 60_000}), {where: None})
    client.seek(where, 6)
    equal([r.offset for r in take(client, 4)], [6, 7, 8, 9])
    client.close()


def a_record_too_large_is_refused():
    topic = create("kp-large", **{"max.message.bytes": "1000"})
    raises(
        MessageSizeTooLargeError, lambda: send(topic, [(0, None, None, b"x" * 2000, [])])
    )
    equal(send(topic, [(0, None, None, b"fits", [])]), [0])


def group_resumes_from_commit():
    topic, group = create("kp-resume"), unique("kp-resume")
    send_values(topic, 1, [f"{n}" for n in range(10)])
    where = TopicPartition(topic, 0)
    first = consumer(topic, group_id=group)
    take(first, 10)
    first.commit({where: OffsetAndMetadata(4, "a note", -1)})
    first.close()
    second = consumer(topic, group_id=group)
    equal([r.offset for r in take(second, 6)], list(range(4, 10)))
    equal(second.committed(where), 4)
    second.close()


class Member(threading.Thread):
    """A member of a group, polled by a thread of its own until it is told to leave."""

    def __init__(self, group, topic):
        super().__init__(daemon=True)
        self.client = consumer(
            topic, group_id=group, session_timeout_ms=10_000, heartbeat_interval_ms=300
        )
        self.leaving = threading.Event()
        self.owned = []
        self.start()

    def run(self):
        while not self.leaving.is_set():
            self.client.poll(100)
            self.owned = sorted(p.partition for p in self.client.assignment())
        self.client.close()
        self.owned = []

    def leave(self):
        self.leaving.set()
        self.join(20)
        equal(self.is_alive(), False, "still polling")


def two_members_share_partitions_and_one_takes_over():
    topic, group = create("kp-share", 4), unique("kp-share")
    members = [Member(group, topic)]

    def settle(sizes):
        def settled():
            owned = [list(member.owned) for member in members]
            every = sorted(partition for partitions in owned for partition in partitions)
            return sorted(map(len, owned)) == sizes and every == [0, 1, 2, 3]

        eventually(settled, 40, f"assignment of {sizes}")

    settle([4])
    members.append(Member(group, topic))
    settle([2, 2])
    members[0].leave()
    settle([0, 4])
    members[1].leave()


def admin_creates_describes_alters_and_deletes():
    topic = create("kp-admin", 2, **{"retention.ms": "3600000"})
    admin = admin_client()
    admin.create_partitions({topic: 3})

    def partitions():
        (described,) = admin.describe_topics([topic])
        return sorted(p["partition_index"] for p in described["partitions"])

    soon_equal(partitions, [0, 1, 2], "partitions")
    raises(TopicAlreadyExistsError, lambda: admin.create_topics({topic: {}}))
    wrong = {unique("kp-wrong"): {"configs": {"retention.ms": "banana"}}}
    raises(InvalidConfigurationError, lambda: admin.create_topics(wrong))
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"segment.ms": "60000"})])

    def configs():
        told = admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all"
        )
        entries = told["topic"][topic]
        names = ["retention.ms", "segment.ms", "cleanup.policy"]
        return [str(entries[name]["value"]) for name in names]

    soon_equal(configs, ["3600000", "60000", "delete"], "configs")
    send_values(topic, 1, [f"{n}" for n in range(5)])
    where = TopicPartition(topic, 0)
    equal(admin.delete_records({where: 3})[where]["low_watermark"], 3, "low watermark")
    equal([r.offset for r in read(topic, 2)], [3, 4])
    admin.delete_topics([topic])
    soon_equal(lambda: topic in admin.list_topics(), False, "still listed")
    admin.close()


def admin_lists_describes_and_deletes_groups():
    topic, group = create("kp-groups"), unique("kp-groups")
    send_values(topic, 1, ["a"])
    admin = admin_client()
    client = consumer(topic, group_id=group, client_id="a-python-client")
    take(client, 1)
    client.commit()
    assert group in [g["group_id"] for g in admin.list_groups()]
    described = admin.describe_groups([group])[group]
    equal((described["group_state"], described["protocol_type"]), ("Stable", "consumer"))
    (member,) = described["members"]
    equal((member["client_id"], member["client_host"]), ("a-python-client", "/127.0.0.1"))
    client.close()
    offsets = admin.list_group_offsets({group: None})[group]
    equal({tp: o.offset for tp, o in offsets.items()}, {TopicPartition(topic, 0): 1})
    admin.delete_groups([group])
    assert group not in [g["group_id"] for g in admin.list_groups()]
    admin.close()


def run(part):
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        for acks in [0, 1, "all"]:
            part.check(f"kafka_python_round_trip_{codec}_acks_{acks}", round_trip(codec, acks))
    for body in [
        a_topic_is_created_on_first_produce,
        offsets_and_times_are_exact,
        a_record_too_large_is_refused,
        group_resumes_from_commit,
        two_members_share_partitions_and_one_takes_over,
        admin_creates_describes_alters_and_deletes,
        admin_lists_describes_and_deletes_groups,
    ]:
        part.check(f"kafka_python_{body.__name__}", body)
