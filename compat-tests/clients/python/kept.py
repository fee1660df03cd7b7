"""What earlier runs wrote to this broker is still there, also after it was stopped or killed.

Topic and group have the same name in every run: a run reads what all runs before it wrote, goes on
from what the last one committed, and writes some more. Run it, restart the broker, run it again.
In the topic of transactions every run leaves a commit, an abort and a transaction that is open.
"""

import asyncio
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from confluent_kafka import (  # noqa: E402
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import NewTopic  # noqa: E402

import aiokafka_checks  # noqa: E402
import confluent_clients  # noqa: E402
import confluent_transactions as transactions  # noqa: E402
import kafka_python_checks  # noqa: E402
from harness import BOOTSTRAP, Part, equal, eventually, raises  # noqa: E402

TOPIC = "kept-between-runs"
TRANSACTIONS = "kept-between-runs-in-transactions"
PARTITIONS = 2
COUNT = 50

part = Part("kept")


def create_unless_there():
    admin = transactions.ADMIN
    there = admin.list_topics(timeout=20).topics
    for topic in [TOPIC, TRANSACTIONS]:
        if topic in there:
            continue
        admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS)])[topic].result(30)
        client = confluent_clients.consumer(topic)
        for partition in range(PARTITIONS):
            eventually(lambda: confluent_clients.served(client, topic, partition), what="served")
        client.close()


def ends():
    """How many records each partition has."""
    client = confluent_clients.consumer(TOPIC)
    marks = [client.get_watermark_offsets(TopicPartition(TOPIC, n), 20) for n in range(PARTITIONS)]
    client.close()
    equal([low for low, _ in marks], [0] * PARTITIONS, "log start offsets")
    return [high for _, high in marks]


def expected(partition, count):
    return [f"record {n} of partition {partition}" for n in range(count)]


def confluent_reads_all():
    for partition, count in enumerate(ends()):
        if count:
            got = confluent_clients.read(TOPIC, count, partition)
            equal([m.value().decode() for m in got], expected(partition, count))


def aiokafka_reads_all():
    async def body():
        for partition, count in enumerate(ends()):
            got = await aiokafka_checks.read(TOPIC, count, partition)
            equal([r.value.decode() for r in got], expected(partition, count))

    asyncio.run(asyncio.wait_for(body(), 50))


def kafka_python_reads_all():
    for partition, count in enumerate(ends()):
        got = kafka_python_checks.read(TOPIC, count, partition)
        equal([r.value.decode() for r in got], expected(partition, count))


def the_group_goes_on_from_its_commit():
    before = ends()
    group = confluent_clients.consumer(TOPIC, session_timeout_ms=10_000)
    partitions = [TopicPartition(TOPIC, n) for n in range(PARTITIONS)]
    committed = [p.offset for p in group.committed(partitions, 20)]
    # -1001: the first run finds no commit.
    equal(committed, [count or -1001 for count in before], "committed by the run before")
    for partition, count in enumerate(before):
        values = expected(partition, count + COUNT)[count:]
        confluent_clients.deliver(
            TOPIC,
            [{"value": value, "partition": partition} for value in values],
            **{"enable.idempotence": True, "compression.type": "lz4"},
        )
    group.subscribe([TOPIC])
    got = confluent_clients.take(group, COUNT * PARTITIONS)
    for partition, count in enumerate(before):
        values = [m.value().decode() for m in got if m.partition() == partition]
        equal(values, expected(partition, count + COUNT)[count:], f"of partition {partition}")
    group.commit(asynchronous=False)
    group.close()


def in_transactions(runs, *kinds):
    """What that many runs have left in each partition, of these kinds of transactions."""
    return [f"{kind} {run}.{n}" for run in range(runs) for kind in kinds for n in range(5)]


def one_offset(partitions):
    """The offset that all partitions have; runs are counted by it."""
    (offset,) = {max(p.offset, 0) for p in partitions}
    return offset


WHERES = [TopicPartition(TRANSACTIONS, n) for n in range(PARTITIONS)]
# A producer that goes would abort its transaction: they live as long as this program.
KEPT_OPEN = []


def runs_told():
    """The offsets that are committed, without waiting for a transaction that is open."""
    asked = [ConsumerGroupTopicPartitions(TRANSACTIONS, WHERES)]
    found = transactions.ADMIN.list_consumer_group_offsets(asked)[TRANSACTIONS].result(20)
    return one_offset(found.topic_partitions)


def see(runs, ends_wanted):
    everything = in_transactions(runs, "commit", "abort", "open")
    for partition in range(PARTITIONS):
        got = transactions.values(TRANSACTIONS, transactions.COMMITTED, partition)
        equal(got, in_transactions(runs, "commit"), f"committed in {partition}")
        got = transactions.values(TRANSACTIONS, transactions.UNCOMMITTED, partition)
        equal(got, everything, f"everything in {partition}")
        got = [transactions.end_of(TRANSACTIONS, partition, n) for n in transactions.LEVELS]
        equal(got, ends_wanted, f"last stable offset and end of {partition}")


def leave(client, group, kind, runs):
    """Leaves records and offsets in a transaction that ends as its kind says."""
    client.begin_transaction()
    for partition in range(PARTITIONS):
        values = in_transactions(runs + 1, kind)[runs * 5 :]
        transactions.send(client, TRANSACTIONS, values, partition)
    # Only what is committed with its transaction counts.
    offset = runs + 1 if kind == "commit" else 1_000_000
    offsets = [TopicPartition(TRANSACTIONS, n, offset) for n in range(PARTITIONS)]
    client.send_offsets_to_transaction(offsets, group.consumer_group_metadata(), 30)
    if kind == "commit":
        client.commit_transaction(30)
    elif kind == "abort":
        client.abort_transaction(30)
    if kind != "open":
        equal(one_offset(group.committed(WHERES, 30)), runs + 1, f"committed after {kind}")
    equal(runs_told(), runs + 1, f"committed after {kind}")


def transactions_are_all_or_nothing():
    runs = runs_told()
    # This check runs first: the other topic has as many runs.
    equal(ends(), [runs * COUNT] * PARTITIONS, "records of the other topic")
    group = confluent_clients.consumer(TRANSACTIONS)
    if runs:
        # A run has 15 records and 3 markers; the last transaction is open.
        see(runs, [runs * 18 - 6, runs * 18 - 1])
        raises(
            KafkaException,
            lambda: group.committed(WHERES, 1),
            confluent_clients.has_code(KafkaError._TIMED_OUT),
        )
    # The next of its id aborts what the run before has left open.
    client = transactions.transactional(TRANSACTIONS, transaction_timeout_ms=600_000)
    see(runs, [runs * 18, runs * 18])
    equal(one_offset(group.committed(WHERES, 30)), runs, "committed")
    for kind in ["commit", "abort", "open"]:
        leave(client, group, kind, runs)
    KEPT_OPEN.append(client)
    group.close()


create_unless_there()
for body in [
    transactions_are_all_or_nothing,
    confluent_reads_all,
    aiokafka_reads_all,
    kafka_python_reads_all,
    the_group_goes_on_from_its_commit,
]:
    part.check(body.__name__, body)
part.end()
