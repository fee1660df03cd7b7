"""aiokafka: transactions of the classic protocol, in its own wire code."""

import asyncio

from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced

from aiokafka_checks import consumer, create, producer, send_values, take, until
from harness import equal, unique

COMMITTED = "read_committed"
UNCOMMITTED = "read_uncommitted"


async def values(topic, level, count, partition=0):
    """Exactly `count` values, and nothing behind them."""
    async with consumer(isolation_level=level) as client:
        client.assign([TopicPartition(topic, partition)])
        records = await take(client, count) if count else []
        equal(await client.getmany(timeout_ms=150), {}, "what comes after")
        return [record.value.decode() for record in records]


async def commits_and_aborts_are_seen_exactly():
    topic = await create("at-seen")
    committed, every = [], []
    async with producer(transactional_id=unique("at-seen")) as client:
        for n in range(8):
            some = [f"{n}.{m}" for m in range(3)]
            every += some
            await client.begin_transaction()
            for value in some:
                await client.send_and_wait(topic, value.encode(), partition=0)
            if n % 3 == 1:
                await client.abort_transaction()
            else:
                await client.commit_transaction()
                committed += some
        equal(await values(topic, COMMITTED, len(committed)), committed, "committed")
        equal(await values(topic, UNCOMMITTED, len(every)), every, "everything")


async def a_second_producer_of_one_id_fences_the_first():
    topic, name = await create("at-fenced"), unique("at-fenced")
    first = producer(transactional_id=name)
    await first.start()
    await first.begin_transaction()
    await first.send_and_wait(topic, b"first", partition=0)
    async with producer(transactional_id=name) as second:
        try:
            await first.commit_transaction()
            raise AssertionError("the first has committed")
        except ProducerFenced:
            pass
        async with second.transaction():
            await second.send_and_wait(topic, b"second", partition=0)
    await first.stop()
    equal(await values(topic, COMMITTED, 1), ["second"], "committed")
    equal(await values(topic, UNCOMMITTED, 2), ["first", "second"], "everything")


async def a_chain_is_exactly_once():
    count = 120
    source, target = await create("at-in", 1), await create("at-out", 1)
    group = unique("at-chain")
    await send_values(source, 1, [f"v{n}" for n in range(count)])
    where = TopicPartition(source, 0)
    async with (
        producer(transactional_id=group) as writer,
        consumer(source, group_id=group, isolation_level=COMMITTED) as reader,
    ):
        done, ended, every = 0, 0, 0
        while done < count:
            records = (await reader.getmany(timeout_ms=200, max_records=10)).get(where, [])
            if not records:
                continue
            await writer.begin_transaction()
            for record in records:
                await writer.send_and_wait(target, record.value + b"!", partition=0)
            every += len(records)
            offsets = {where: records[-1].offset + 1}
            await writer.send_offsets_to_transaction(offsets, group)
            ended += 1
            if ended % 3 == 0:
                await writer.abort_transaction()
                reader.seek(where, await reader.committed(where))
            else:
                await writer.commit_transaction()
                done += len(records)
            # The client does not ask for stable offsets, so a marker may still be on its way.
            await until(lambda: reader.committed(where), lambda offset: (offset or 0) == done)
    expected = [f"v{n}!" for n in range(count)]
    equal(await values(target, COMMITTED, count), expected, "output")
    assert every > count, every
    equal(len(await values(target, UNCOMMITTED, every)), every, "output with what was aborted")


def run(part):
    for body in [
        commits_and_aborts_are_seen_exactly,
        a_second_producer_of_one_id_fences_the_first,
        a_chain_is_exactly_once,
    ]:
        part.check(
            f"aiokafka_{body.__name__}",
            lambda body=body: asyncio.run(asyncio.wait_for(body(), 55)),
        )
