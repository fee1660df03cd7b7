"""librdkafka through confluent-kafka: producing, consuming, groups."""

import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from harness import BOOTSTRAP, START, equal, eventually, raises, unique

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def producer(**config):
    return Producer({"bootstrap.servers": BOOTSTRAP, "linger.ms": 5, **dotted(config)})


def consumer(group, **config):
    return Consumer(
        {
            "bootstrap.servers": BOOTSTRAP,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
            **dotted(config),
        }
    )


def dotted(config):
    return {key.replace("_", "."): value for key, value in config.items()}


def create(name, partitions=1, **config):
    """Creates a topic and waits until it is served: upstream may answer before."""
    topic = create_now(name, partitions, **config)
    client = consumer(topic)
    for partition in range(partitions):
        eventually(lambda: served(client, topic, partition), what=f"partition {partition} served")
    client.close()
    return topic


def served(client, topic, partition):
    try:
        return client.get_watermark_offsets(TopicPartition(topic, partition), 10) == (0, 0)
    except KafkaException:
        return False


def create_now(name, partitions=1, **config):
    """Creates a topic and returns its name."""
    topic = unique(name)
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    new = NewTopic(topic, num_partitions=partitions, config=dotted(config))
    admin.create_topics([new])[topic].result(30)
    return topic


def deliver(topic, records, **config):
    """Produces `records` (keyword arguments of `produce`) and returns what was reported."""
    reports = []
    client = producer(**config)
    for record in records:
        client.produce(topic, on_delivery=lambda *report: reports.append(report), **record)
    equal(client.flush(30), 0, "records left in the queue")
    for error, _ in reports:
        if error is not None:
            raise KafkaException(error)
    return [message for _, message in reports]


def read(topic, count, partition=0, **config):
    """The first `count` records of one partition, and proof that there are no more."""
    client = consumer(unique("read"), enable_partition_eof=True, **config)
    # So that it knows the leader; it would look again only after half a second.
    client.list_topics(topic, 20)
    client.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    try:
        return take(client, count, until_end=True)
    finally:
        client.close()


def take(client, count, until_end=False, seconds=30):
    """Polls `count` records; with `until_end` also the end of the partition, right after them."""
    records = []
    end = time.monotonic() + seconds
    while len(records) < count or until_end:
        message = client.poll(0.2)
        if time.monotonic() > end:
            raise AssertionError(f"only {len(records)} of {count} records in {seconds} s")
        if message is None:
            continue
        if message.error():
            if message.error().code() == KafkaError._PARTITION_EOF:
                if until_end and len(records) >= count:
                    equal(len(records), count, "records")
                    return records
                continue
            raise KafkaException(message.error())
        records.append(message)
    return records


def has_code(*codes):
    return lambda error: error.args[0].code() in codes


def round_trip(codec, acks):
    def body():
        topic = create(f"c-{codec}-{acks}")
        sent = [
            {
                "key": None if n % 5 == 0 else f"key {n}",
                "value": None if n % 7 == 0 else f"value {n} " + "ab" * (n % 90),
                "headers": [("trace", b"\x00\xff"), ("n", str(n).encode()), ("null", None)],
                "timestamp": START + n,
            }
            for n in range(1, 301)
        ]
        reports = deliver(topic, sent, compression_type=codec, acks=acks)
        if acks != "0":
            equal([m.offset() for m in reports], list(range(300)), "offsets of the reports")
        got = read(topic, 300)
        equal([m.offset() for m in got], list(range(300)), "offsets")
        for message, record in zip(got, sent):
            equal(text(message.key()), record["key"], "key")
            equal(text(message.value()), record["value"], "value")
            equal(message.headers(), record["headers"], "headers")
            equal(message.timestamp(), (TIMESTAMP_CREATE_TIME, record["timestamp"]), "time")
            equal(message.leader_epoch(), 0, "leader epoch")

    return body


def text(value):
    return None if value is None else value.decode()


def log_append_time_is_the_brokers_time():
    topic = create("c-append-time", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    deliver(topic, [{"value": "a", "timestamp": 1000}, {"value": "b"}], compression_type="lz4")
    after = int(time.time() * 1000)
    for message in read(topic, 2):
        kind, stamp = message.timestamp()
        equal(kind, TIMESTAMP_LOG_APPEND_TIME)
        assert before <= stamp <= after, (before, stamp, after)


def idempotent_producer_keeps_order_with_five_requests_in_flight():
    topic = create("c-idempotent")
    sent = [{"value": f"{n}"} for n in range(5000)]
    reports = deliver(
        topic,
        sent,
        **{"enable.idempotence": True, "max.in.flight": 5, "batch.num.messages": 20},
    )
    equal([m.offset() for m in reports], list(range(5000)), "offsets of the reports")
    equal([text(m.value()) for m in read(topic, 5000)], [r["value"] for r in sent])


def keys_spread_over_partitions_and_keep_their_order():
    topic = create("c-partitions", partitions=6)
    sent = [{"key": f"user-{n % 20}", "value": f"{n}"} for n in range(600)]
    placed = {}
    for message in deliver(topic, sent):
        placed.setdefault(message.partition(), []).append(text(message.value()))
    assert len(placed) > 1, placed.keys()
    for partition, values in placed.items():
        equal([text(m.value()) for m in read(topic, len(values), partition)], values)


def a_topic_is_created_on_first_produce():
    topic = unique("c-auto")
    (report,) = deliver(topic, [{"value": "first"}])
    equal((report.partition(), report.offset()), (0, 0))
    equal([text(m.value()) for m in read(topic, 1)], ["first"])


def the_first_produce_after_a_create_never_fails():
    for n in range(10):
        topic = create_now(f"c-first-{n}", partitions=3)
        sent = [{"value": f"{p}", "partition": p} for p in range(3)]
        reports = deliver(topic, sent, acks="all", message_timeout_ms=10_000)
        equal(sorted((m.partition(), m.offset()) for m in reports), [(0, 0), (1, 0), (2, 0)])


def seek_times_and_watermarks_are_exact():
    topic = create("c-offsets")
    deliver(topic, [{"value": f"{n}", "timestamp": START + n * 1000} for n in range(20)])
    client = consumer(unique("c-offsets"))
    try:
        where = TopicPartition(topic, 0)
        equal(client.get_watermark_offsets(where, 10), (0, 20), "watermarks")

        def offset_at(time_ms):
            (found,) = client.offsets_for_times([TopicPartition(topic, 0, time_ms)], 10)
            return found.offset

        equal(offset_at(START), 0)
        equal(offset_at(START + 5000), 5)
        equal(offset_at(START + 5001), 6)
        equal(offset_at(START - 1), 0)
        equal(offset_at(START + 19_001), -1, "after the last record")
        client.assign([TopicPartition(topic, 0, 12)])
        equal([m.offset() for m in take(client, 8)], list(range(12, 20)))
        client.seek(TopicPartition(topic, 0, 3))
        equal([m.offset() for m in take(client, 2)], [3, 4])
    finally:
        client.close()


def a_record_larger_than_the_fetch_limit_is_still_read():
    topic = create("c-fetch-limit")
    sent = [{"value": f"{n}" * 200_000} for n in range(5)]
    deliver(topic, sent)
    got = read(topic, 5, **{"fetch.message.max.bytes": 1000, "fetch.max.bytes": 1_000_000})
    equal([text(m.value()) for m in got], [r["value"] for r in sent])


def a_record_too_large_for_the_topic_is_refused():
    topic = create("c-too-large", max_message_bytes="1000")
    error = raises(
        KafkaException,
        lambda: deliver(topic, [{"value": "x" * 2000}]),
        has_code(KafkaError.MSG_SIZE_TOO_LARGE),
    )
    assert error is not None
    (report,) = deliver(topic, [{"value": "fits"}])
    equal(report.offset(), 0)


def a_record_out_of_time_bounds_is_refused():
    topic = create("c-bounds", message_timestamp_before_max_ms="60000")
    raises(
        KafkaException,
        lambda: deliver(topic, [{"value": "old", "timestamp": 1000}]),
        has_code(KafkaError.INVALID_TIMESTAMP),
    )
    (report,) = deliver(topic, [{"value": "now"}])
    equal(report.offset(), 0)


def an_unknown_topic_is_an_error_for_a_consumer():
    client = consumer(unique("c-unknown"))
    client.subscribe([unique("c-nowhere")])
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            message = client.poll(0.2)
            if message is not None:
                equal(message.error().code(), KafkaError.UNKNOWN_TOPIC_OR_PART)
                return
        raise AssertionError("no error within 30 s")
    finally:
        client.close()


def group_resumes_from_commit():
    topic, group = create("c-resume"), unique("c-resume")
    deliver(topic, [{"value": f"{n}"} for n in range(20)])
    first = consumer(group)
    first.subscribe([topic])
    got = take(first, 7)
    equal([m.offset() for m in got], list(range(7)))
    (done,) = first.commit(
        offsets=[TopicPartition(topic, 0, 7, metadata="a note")], asynchronous=False
    )
    equal((done.offset, done.error), (7, None))
    first.close()
    second = consumer(group)
    second.subscribe([topic])
    equal([m.offset() for m in take(second, 13)], list(range(7, 20)))
    (committed,) = second.committed([TopicPartition(topic, 0)], 10)
    equal((committed.offset, committed.metadata), (7, "a note"))
    second.close()
    other = consumer(unique("c-other"))
    (none,) = other.committed([TopicPartition(topic, 0)], 10)
    equal(none.offset, -1001, "a group without a commit")
    other.close()


def auto_commit_is_made_on_close():
    topic, group = create("c-auto-commit"), unique("c-auto-commit")
    deliver(topic, [{"value": f"{n}"} for n in range(5)])
    first = consumer(group, enable_auto_commit=True)
    first.subscribe([topic])
    take(first, 5)
    first.close()
    second = consumer(group)
    (committed,) = second.committed([TopicPartition(topic, 0)], 10)
    equal(committed.offset, 5)
    second.close()


class Members:
    """Several members of one group, polled in turn from one thread."""

    def __init__(self, group, topic, count, **config):
        self.topic = topic
        self.records = []
        self.revoked = [[] for _ in range(count)]
        self.clients = []
        for n in range(count):
            own = {key: value(n) if callable(value) else value for key, value in config.items()}
            client = consumer(group, session_timeout_ms=10_000, heartbeat_interval_ms=500, **own)
            self.clients.append(client)

    def join(self, n):
        def revoked(client, partitions):
            self.revoked[n] += [p.partition for p in partitions]
            if self.records:
                committed(client)

        self.clients[n].subscribe([self.topic], on_revoke=revoked)

    def poll(self):
        for client in self.clients:
            if client is None:
                continue
            message = client.poll(0.05)
            if message is not None:
                if message.error():
                    raise KafkaException(message.error())
                self.records.append(text(message.value()))

    def owned(self):
        return [
            sorted(p.partition for p in client.assignment()) if client else []
            for client in self.clients
        ]

    def settle(self, sizes, seconds=40):
        """Polls until the members own that many partitions each, and every one exactly once."""

        def settled():
            self.poll()
            owned = self.owned()
            every = sorted(p for partitions in owned for p in partitions)
            return sorted(map(len, owned)) == sorted(sizes) and every == list(range(sum(sizes)))

        eventually(settled, seconds, f"assignment of {sizes}")

    def leave(self, n):
        self.clients[n].close()
        self.clients[n] = None

    def close(self):
        for n, client in enumerate(self.clients):
            if client is not None:
                self.leave(n)


def committed(client):
    try:
        client.commit(asynchronous=False)
    except KafkaException as error:
        if error.args[0].code() != KafkaError._NO_OFFSET:
            raise


def three_members_share_partitions(strategy):
    def body():
        topic = create(f"c-share-{strategy}", partitions=6)
        deliver(topic, [{"value": f"a{n}", "partition": n % 6} for n in range(60)])
        members = Members(
            unique(f"c-share-{strategy}"), topic, 3, partition_assignment_strategy=strategy
        )
        try:
            members.join(0)
            members.settle([6, 0, 0])
            members.join(1)
            members.join(2)
            members.settle([2, 2, 2])
            if strategy == "cooperative-sticky":
                equal(len(set(members.revoked[0])), 4, "partitions taken from the first member")
            else:
                equal(sorted(set(members.revoked[0])), list(range(6)), "an eager rebalance")
            members.leave(1)
            members.settle([3, 3, 0])
            deliver(topic, [{"value": f"b{n}", "partition": n % 6} for n in range(60)])
            expected = sorted([f"a{n}" for n in range(60)] + [f"b{n}" for n in range(60)])

            def all_read():
                members.poll()
                return len(members.records) >= len(expected)

            eventually(all_read, 30, "every record is read")
            equal(sorted(members.records), expected, "records read by the group")
        finally:
            members.close()

    return body


def a_static_member_comes_back_without_a_rebalance():
    topic, group = create("c-static", partitions=4), unique("c-static")
    members = Members(group, topic, 2, **{"group.instance.id": lambda n: f"instance-{n}"})
    try:
        members.join(0)
        members.join(1)
        members.settle([2, 2])
        before = members.owned()
        kept = list(members.revoked[0])
        members.leave(1)
        again = consumer(
            group,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=500,
            **{"group.instance.id": "instance-1"},
        )
        members.clients[1] = again
        members.join(1)

        def back():
            members.poll()
            return members.owned() == before

        eventually(back, 20, "the same assignment as before")
        equal(members.revoked[0], kept, "partitions taken from the member that stayed")
    finally:
        members.close()


def run(part):
    for codec in CODECS:
        for acks in ["0", "1", "all"]:
            part.check(f"confluent_round_trip_{codec}_acks_{acks}", round_trip(codec, acks))
    for body in [
        log_append_time_is_the_brokers_time,
        idempotent_producer_keeps_order_with_five_requests_in_flight,
        keys_spread_over_partitions_and_keep_their_order,
        a_topic_is_created_on_first_produce,
        the_first_produce_after_a_create_never_fails,
        seek_times_and_watermarks_are_exact,
        a_record_larger_than_the_fetch_limit_is_still_read,
        a_record_too_large_for_the_topic_is_refused,
        a_record_out_of_time_bounds_is_refused,
        an_unknown_topic_is_an_error_for_a_consumer,
        group_resumes_from_commit,
        auto_commit_is_made_on_close,
        a_static_member_comes_back_without_a_rebalance,
    ]:
        part.check(f"confluent_{body.__name__}", body)
    for strategy in ["range", "roundrobin", "cooperative-sticky"]:
        part.check(
            f"confluent_three_members_share_partitions_{strategy.replace('-', '_')}",
            three_members_share_partitions(strategy),
            deadline=90,
        )
