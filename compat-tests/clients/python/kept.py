"""What earlier runs wrote to this broker is still there, also after it was stopped or killed.

Topic and group have the same name in every run: a run reads what all runs before it wrote, goes on
from what the last one committed, and writes some more. Run it, restart the broker, run it again.
"""

import asyncio
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from confluent_kafka import TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

import aiokafka_checks  # noqa: E402
import confluent_clients  # noqa: E402
import kafka_python_checks  # noqa: E402
from harness import BOOTSTRAP, Part, equal, eventually  # noqa: E402

TOPIC = "kept-between-runs"
PARTITIONS = 2
COUNT = 50

part = Part("kept")


def create_unless_there():
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    if TOPIC in admin.list_topics(timeout=20).topics:
        return
    admin.create_topics([NewTopic(TOPIC, num_partitions=PARTITIONS)])[TOPIC].result(30)
    client = confluent_clients.consumer(TOPIC)
    for partition in range(PARTITIONS):
        eventually(lambda: confluent_clients.served(client, TOPIC, partition), what="served")
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


create_unless_there()
for body in [
    confluent_reads_all,
    aiokafka_reads_all,
    kafka_python_reads_all,
    the_group_goes_on_from_its_commit,
]:
    part.check(body.__name__, body)
part.end()
