"""librdkafka through confluent-kafka: transactions."""

import time

from confluent_kafka import (
    OFFSET_BEGINNING,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from confluent_clients import consumer, create, deliver, has_code, producer, text
from harness import BOOTSTRAP, equal, eventually, raises, unique

COMMITTED = "read_committed"
UNCOMMITTED = "read_uncommitted"
LEVELS = {
    COMMITTED: IsolationLevel.READ_COMMITTED,
    UNCOMMITTED: IsolationLevel.READ_UNCOMMITTED,
}

# One for all: a new one may take seconds for its first answer.
ADMIN = AdminClient({"bootstrap.servers": BOOTSTRAP})


def transactional(name, **config):
    """A producer that has fenced all earlier ones of its id."""
    client = producer(transactional_id=name, **config)
    client.init_transactions(30)
    return client


def send(client, topic, values, partition=0):
    """Produces the values and waits for them; returns their offsets."""
    reports = []
    for value in values:
        client.produce(
            topic, value, partition=partition, on_delivery=lambda *report: reports.append(report)
        )
    equal(client.flush(30), 0, "records left in the queue")
    for error, _ in reports:
        if error is not None:
            raise KafkaException(error)
    return [message.offset() for _, message in reports]


def end_of(topic, partition, level):
    where = TopicPartition(topic, partition)
    asked = ADMIN.list_offsets({where: OffsetSpec.latest()}, isolation_level=LEVELS[level])
    return asked[where].result(20).offset


def values(topic, level, partition=0):
    """The values from the start of a partition to what is its end at this isolation level."""
    end = end_of(topic, partition, level)
    if end == 0:
        return []
    client = consumer(unique("read"), isolation_level=level, enable_partition_eof=True)
    # So that it knows the leader; it would look again only after half a second.
    client.list_topics(topic, 20)
    client.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    found, deadline = [], time.monotonic() + 30
    try:
        while True:
            message = client.poll(0.2)
            assert time.monotonic() < deadline, f"only {len(found)} records in 30 s"
            if message is None:
                continue
            if message.error() is None:
                found.append(text(message.value()))
            elif message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
            # The end of the partition is told where the isolation level has it.
            elif message.offset() >= end:
                return found
    finally:
        client.close()


def commits_and_aborts_are_seen_exactly():
    topic = create("ct-seen", partitions=2)
    client = transactional(unique("ct-seen"))
    committed, every = [], []
    for n in range(9):
        client.begin_transaction()
        some = [f"{n}.{m}" for m in range(3)]
        # Three records and a marker each.
        equal(send(client, topic, some), list(range(n * 4, n * 4 + 3)), "offsets")
        every += some
        if n % 3 == 1:
            client.abort_transaction(30)
        else:
            send(client, topic, some, 1)
            client.commit_transaction(30)
            committed += some
    client.begin_transaction()
    send(client, topic, ["open"])
    equal(values(topic, COMMITTED), committed, "committed")
    equal(values(topic, COMMITTED, 1), committed, "committed in the other partition")
    equal(values(topic, UNCOMMITTED), [*every, "open"], "everything")
    equal([end_of(topic, 0, level) for level in LEVELS], [36, 37], "ends")
    client.commit_transaction(30)
    equal(values(topic, COMMITTED), [*committed, "open"], "committed in the end")
    equal([end_of(topic, 0, level) for level in LEVELS], [38, 38], "ends")


def a_second_producer_of_one_id_fences_the_first():
    topic, name = create("ct-fenced"), unique("ct-fenced")
    first = transactional(name)
    first.begin_transaction()
    send(first, topic, ["first"])
    second = transactional(name)
    second.begin_transaction()
    send(second, topic, ["second"])
    error = raises(
        KafkaException,
        lambda: first.commit_transaction(30),
        has_code(KafkaError._FENCED),
    )
    assert error.args[0].fatal(), error
    second.commit_transaction(30)
    equal(values(topic, COMMITTED), ["second"], "committed")
    equal(values(topic, UNCOMMITTED), ["first", "second"], "everything")


def a_transaction_that_times_out_is_aborted():
    topic, name = create("ct-time-out"), unique("ct-time-out")
    client = transactional(name, transaction_timeout_ms=1000)
    client.begin_transaction()
    send(client, topic, ["late"])
    eventually(lambda: end_of(topic, 0, COMMITTED) == 2, 30, "the abort by the coordinator")
    raises(KafkaException, lambda: client.commit_transaction(30), has_code(KafkaError._FENCED))
    again = transactional(name)
    again.begin_transaction()
    send(again, topic, ["in time"])
    again.commit_transaction(30)
    equal(values(topic, COMMITTED), ["in time"], "committed")


def a_refused_record_ends_in_aborts_and_a_new_epoch():
    topic = create("ct-refused", partitions=2, max_message_bytes="1000")
    client = transactional(unique("ct-refused"))

    def fails(value, partition, *codes):
        raises(KafkaException, lambda: send(client, topic, [value], partition), has_code(codes[0]))
        error = raises(KafkaException, lambda: client.commit_transaction(30), has_code(codes[1]))
        assert error.args[0].txn_requires_abort(), error
        client.abort_transaction(30)

    client.begin_transaction()
    send(client, topic, ["before"], 1)
    fails("x" * 2000, 0, KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.MSG_SIZE_TOO_LARGE)
    # The client misses the sequence number of what was refused, and asks for a new epoch (KIP-360).
    client.begin_transaction()
    fails("after", 0, KafkaError._PURGE_QUEUE, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)
    for n in range(2):
        client.begin_transaction()
        for partition in range(2):
            send(client, topic, [f"after {n}"], partition)
        client.commit_transaction(30)
    for partition in range(2):
        equal(values(topic, COMMITTED, partition), ["after 0", "after 1"], "committed")


def a_chain_is_exactly_once_through_aborts_and_a_restart():
    """Reads, writes and commits in one transaction. Every third is aborted and done again; in the
    middle the program is replaced by another while its transaction is open."""
    partitions, count = 2, 200
    source, target = create("ct-in", partitions), create("ct-out", partitions)
    group = unique("ct-chain")
    deliver(source, [{"value": f"v{n}", "partition": n % partitions} for n in range(count)])

    def instance():
        reader = consumer(group, isolation_level=COMMITTED, session_timeout_ms=10_000)
        writer = transactional(group)
        reader.subscribe([source])
        return reader, writer

    def transform(reader, writer):
        messages = eventually(lambda: reader.consume(20, 0.2), 30, "records")
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
        writer.begin_transaction()
        for message in messages:
            writer.produce(target, message.value() + b"!", partition=message.partition())
        writer.send_offsets_to_transaction(
            reader.position(reader.assignment()), reader.consumer_group_metadata(), 30
        )
        equal(writer.flush(30), 0, "records left in the queue")
        return len(messages)

    def committed(reader):
        asked = [TopicPartition(source, n) for n in range(partitions)]
        return {p.partition: max(p.offset, 0) for p in reader.committed(asked, 30)}

    def run(reader, writer, goal):
        ended = 0
        while sum(committed(reader).values()) < goal:
            transform(reader, writer)
            ended += 1
            if ended % 3 == 0:
                writer.abort_transaction(30)
                for partition, offset in committed(reader).items():
                    reader.seek(TopicPartition(source, partition, offset))
            else:
                writer.commit_transaction(30)

    reader, writer = instance()
    run(reader, writer, count // 2)
    assert transform(reader, writer) > 0
    reader_2, writer_2 = instance()
    raises(KafkaException, lambda: writer.commit_transaction(30), has_code(KafkaError._FENCED))
    reader.close()
    run(reader_2, writer_2, count)
    equal(set(committed(reader_2).values()), {count // partitions}, "committed offsets")
    reader_2.close()
    every = 0
    for partition in range(partitions):
        expected = [f"v{n}!" for n in range(partition, count, partitions)]
        equal(values(target, COMMITTED, partition), expected, "output")
        every += len(values(target, UNCOMMITTED, partition))
    assert every > count, f"there is aborted output, too: {every}"


def run(part):
    for body in [
        commits_and_aborts_are_seen_exactly,
        a_second_producer_of_one_id_fences_the_first,
        a_transaction_that_times_out_is_aborted,
        a_refused_record_ends_in_aborts_and_a_new_epoch,
        a_chain_is_exactly_once_through_aborts_and_a_restart,
    ]:
        part.check(f"confluent_{body.__name__}", body, deadline=90)
