"""aiokafka: a client of its own on asyncio, with its own wire code."""

import asyncio
import contextlib
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import MessageSizeTooLargeError, OffsetOutOfRangeError

from harness import BOOTSTRAP, START, equal, unique


def producer(**config):
    return AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **config)


def consumer(*topics, **config):
    config = {"auto_offset_reset": "earliest", "fetch_max_wait_ms": 50, **config}
    config.setdefault("enable_auto_commit", False)
    return AIOKafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, **config)


@contextlib.asynccontextmanager
async def admin_client():
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def create(name, partitions=1, **config):
    topic = unique(name)
    async with admin_client() as admin:
        new = NewTopic(topic, partitions, 1, topic_configs=dotted(config))
        answer = await admin.create_topics([new])
        # Upstream may answer before the topic is served.
        await until(lambda: admin.list_topics(), lambda topics: topic in topics)
    async with consumer() as client:
        await client.end_offsets([TopicPartition(topic, n) for n in range(partitions)])
    equal([error[1] for error in answer.topic_errors], [0], "error codes")
    return topic


def dotted(config):
    return {key.replace("_", "."): value for key, value in config.items()}


async def send(topic, records, **config):
    """Sends (partition, timestamp, key, value, headers) and returns the offsets."""
    async with producer(**config) as client:
        futures = [
            await client.send(
                topic, value, key, partition, timestamp_ms=timestamp, headers=headers
            )
            for partition, timestamp, key, value, headers in records
        ]
        return [getattr(await future, "offset", None) for future in futures]


async def send_values(topic, partitions, values):
    records = [(n % partitions, None, None, v.encode(), []) for n, v in enumerate(values)]
    return await send(topic, records)


async def take(client, count, seconds=30):
    """Exactly `count` records."""
    records = []
    end = time.monotonic() + seconds
    while len(records) < count:
        if time.monotonic() > end:
            raise AssertionError(f"only {len(records)} of {count} records in {seconds} s")
        for batch in (await client.getmany(timeout_ms=200)).values():
            records += batch
    equal(len(records), count, "records")
    return records


async def read(topic, count, partition=0):
    async with consumer() as client:
        where = TopicPartition(topic, partition)
        client.assign([where])
        records = await take(client, count)
        equal(await client.position(where), (await client.end_offsets([where]))[where], "end")
        return records


def round_trip(codec, acks):
    async def body():
        topic = await create(f"aio-{codec}-{acks}")
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
        offsets = await send(
            topic,
            sent,
            compression_type=None if codec == "none" else codec,
            acks=acks,
            linger_ms=5,
        )
        if acks != 0:
            equal(offsets, list(range(200)), "offsets answered")
        got = await read(topic, 200)
        equal([r.offset for r in got], list(range(200)), "offsets")
        equal(
            [(r.partition, r.timestamp, r.key, r.value, list(r.headers)) for r in got],
            sent,
            "records",
        )

    return body


async def idempotent_producer_keeps_order():
    topic = await create("aio-idempotent")
    values = [f"{n}" for n in range(1000)]
    records = [(0, None, None, v.encode(), []) for v in values]
    offsets = await send(topic, records, enable_idempotence=True, max_batch_size=500)
    equal(offsets, list(range(1000)), "offsets answered")
    equal([r.value.decode() for r in await read(topic, 1000)], values)


async def a_topic_is_created_on_first_produce():
    topic = unique("aio-auto")
    async with producer() as client:
        told = await client.send_and_wait(topic, b"first")
    equal((told.partition, told.offset), (0, 0))
    equal([r.value for r in await read(topic, 1)], [b"first"])


async def offsets_and_times_are_exact():
    topic = await create("aio-offsets")
    await send(topic, [(0, START + n * 1000, None, b"v", []) for n in range(10)])
    async with consumer() as client:
        where = TopicPartition(topic, 0)
        client.assign([where])
        equal(await client.beginning_offsets([where]), {where: 0}, "beginning")
        equal(await client.end_offsets([where]), {where: 10}, "end")
        found = await client.offsets_for_times({where: START + 2500})
        equal((found[where].offset, found[where].timestamp), (3, START + 3000))
        equal(await client.offsets_for_times({where: START + 60_000}), {where: None})
        client.seek(where, 6)
        equal([r.offset for r in await take(client, 4)], [6, 7, 8, 9])


async def an_offset_out_of_range_is_told():
    topic = await create("aio-range")
    await send_values(topic, 1, ["a"])
    async with consumer(auto_offset_reset="none") as client:
        where = TopicPartition(topic, 0)
        client.assign([where])
        client.seek(where, 50)
        try:
            await asyncio.wait_for(client.getone(), 20)
        except OffsetOutOfRangeError as error:
            equal(error.args[0], {where: 50})
        else:
            raise AssertionError("a record at offset 50")


async def a_record_too_large_is_refused():
    topic = await create("aio-large", max_message_bytes="1000")
    async with producer() as client:
        try:
            await client.send_and_wait(topic, b"x" * 2000)
        except MessageSizeTooLargeError:
            pass
        else:
            raise AssertionError("accepted")
        equal((await client.send_and_wait(topic, b"fits")).offset, 0)


async def group_resumes_from_commit():
    topic, group = await create("aio-resume"), unique("aio-resume")
    await send_values(topic, 1, [f"{n}" for n in range(10)])
    where = TopicPartition(topic, 0)
    async with consumer(topic, group_id=group) as first:
        await take(first, 10)
        await first.commit({where: (4, "a note")})
    async with consumer(topic, group_id=group) as second:
        equal([r.offset for r in await take(second, 6)], list(range(4, 10)))
        equal(await second.committed(where), 4)


class Listener(ConsumerRebalanceListener):
    def __init__(self, client):
        self.client = client

    async def on_partitions_revoked(self, revoked):
        if revoked:
            await self.client.commit()

    async def on_partitions_assigned(self, assigned):
        pass


async def poll_until(members, values, holds, what, seconds=40):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"{what} not within {seconds} s")
        for member in members:
            for batch in (await member.getmany(timeout_ms=20)).values():
                values += [record.value.decode() for record in batch]


def owns(members, sizes):
    """Whether the members own that many partitions each, and every one exactly once."""

    def body():
        owned = [{p.partition for p in member.assignment()} for member in members]
        every = sorted(partition for partitions in owned for partition in partitions)
        return sorted(map(len, owned)) == sorted(sizes) and every == list(range(sum(sizes)))

    return body


def three_members_share_partitions(assignor):
    async def body():
        name = f"aio-share-{assignor.name}"
        topic, group = await create(name, 6), unique(name)
        expected = [f"a{n}" for n in range(60)]
        await send_values(topic, 6, expected)
        members, values = [], []

        async def join():
            member = consumer(
                group_id=group,
                partition_assignment_strategy=[assignor],
                session_timeout_ms=10_000,
                heartbeat_interval_ms=300,
            )
            await member.start()
            member.subscribe([topic], listener=Listener(member))
            members.append(member)

        try:
            await join()
            await poll_until(members, values, owns(members, [6]), "one member's assignment")
            await join()
            await join()
            await poll_until(members, values, owns(members, [2, 2, 2]), "three members")
            # A stop calls no listener, so what was read is committed here.
            await members[1].commit()
            await members.pop(1).stop()
            await poll_until(members, values, owns(members, [3, 3]), "two members")
            more = [f"b{n}" for n in range(60)]
            await send_values(topic, 6, more)
            expected += more
            await poll_until(members, values, lambda: len(values) >= len(expected), "records")
            equal(sorted(values), sorted(expected), "records read by the group")
        finally:
            for member in members:
                await member.stop()

    return body


async def admin_creates_describes_alters_and_deletes():
    topic = await create("aio-admin", 2, retention_ms="3600000")
    async with admin_client() as admin:
        await admin.create_partitions({topic: NewPartitions(3)})
        described = await until(
            lambda: described_topic(admin, topic), lambda t: len(t["partitions"]) == 3
        )
        equal(sorted(p["partition"] for p in described["partitions"]), [0, 1, 2])
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        (answer,) = await admin.describe_configs([resource])
        entries = {entry[0]: entry[1] for entry in answer.resources[0][4]}
        equal(entries["retention.ms"], "3600000")
        equal(entries["segment.ms"], "604800000")
        again = await admin.create_topics([NewTopic(topic, 1, 1)])
        equal(again.topic_errors[0][1], 36, "TOPIC_ALREADY_EXISTS")
        wrong = await admin.create_topics(
            [NewTopic(unique("aio-wrong"), 1, 1, topic_configs={"retention.ms": "banana"})]
        )
        equal(wrong.topic_errors[0][1], 40, "INVALID_CONFIG")
        answer = await admin.delete_topics([topic])
        equal([error[1] for error in answer.topic_error_codes], [0])
        await until(lambda: admin.list_topics(), lambda topics: topic not in topics)


async def described_topic(admin, topic):
    (described,) = await admin.describe_topics([topic])
    return described


async def until(ask, holds, seconds=10):
    """Asks until the answer is as it should be, and returns it."""
    end = time.monotonic() + seconds
    while not holds(answer := await ask()):
        if time.monotonic() > end:
            raise AssertionError(f"still {answer!r} after {seconds} s")
        await asyncio.sleep(0.05)
    return answer


async def admin_lists_and_describes_groups():
    topic, group = await create("aio-groups"), unique("aio-groups")
    await send_values(topic, 1, ["a"])
    async with admin_client() as admin:
        async with consumer(topic, group_id=group, client_id="an-aio-client") as client:
            await take(client, 1)
            await client.commit()
            assert (group, "consumer") in await admin.list_consumer_groups()
            (answer,) = await admin.describe_consumer_groups([group])
            ((code, name, state, kind, _, members, *_),) = answer.groups
            equal((code, name, state, kind), (0, group, "Stable", "consumer"))
            equal([(m[1], m[2]) for m in members], [("an-aio-client", "/127.0.0.1")])
        offsets = await admin.list_consumer_group_offsets(group)
        equal({tp: o.offset for tp, o in offsets.items()}, {TopicPartition(topic, 0): 1})


def run(part):
    def check(name, body, deadline=60):
        part.check(
            f"aiokafka_{name}",
            lambda: asyncio.run(asyncio.wait_for(body(), deadline - 5)),
            deadline=deadline,
        )

    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        for acks in [0, 1, "all"]:
            check(f"round_trip_{codec}_acks_{acks}", round_trip(codec, acks))
    for body in [
        idempotent_producer_keeps_order,
        a_topic_is_created_on_first_produce,
        offsets_and_times_are_exact,
        an_offset_out_of_range_is_told,
        a_record_too_large_is_refused,
        group_resumes_from_commit,
        admin_creates_describes_alters_and_deletes,
        admin_lists_and_describes_groups,
    ]:
        check(body.__name__, body)
    for assignor in [RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor]:
        check(
            f"three_members_share_partitions_{assignor.name}",
            three_members_share_partitions(assignor),
            deadline=90,
        )
