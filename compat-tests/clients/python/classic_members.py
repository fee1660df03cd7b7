"""Classic members of aiokafka, kafka-python and kafkajs, for a group that has others beside them.

They tell the same events as those of members.py.
"""

import asyncio
import threading

import kafka
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError
from kafka.coordinator.assignors.range import RangePartitionAssignor as KafkaPythonRange
from kafka.structs import OffsetAndMetadata

from harness import BOOTSTRAP

TIMES = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 300}
COMMON = {
    "bootstrap_servers": BOOTSTRAP,
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,
    "fetch_max_wait_ms": 50,
    **TIMES,
}


class Member:
    def __init__(self, events, name, group, topic):
        self.events, self.name, self.group, self.topic = events, name, group, topic
        self.ends = False
        # What was read and is not committed.
        self.next = {}
        self.thread = threading.Thread(target=self.guarded, daemon=True)
        self.thread.start()

    def guarded(self):
        try:
            self.run()
            self.tell("left", "")
        except BaseException as error:
            self.tell("failed", repr(error))

    def tell(self, kind, detail):
        self.events.add(kind, self.name, detail)

    def read(self, batches):
        for batch in batches.values():
            for record in batch:
                value = record.value.decode()
                self.tell("record", (record.partition, record.offset, value))
                self.next[record.partition] = record.offset + 1

    def leave(self):
        self.ends = True
        self.thread.join(30)


class AiokafkaMember(Member, ConsumerRebalanceListener):
    def run(self):
        asyncio.run(self.consume())

    async def consume(self):
        self.client = AIOKafkaConsumer(
            group_id=self.group,
            partition_assignment_strategy=[RangePartitionAssignor],
            **COMMON,
        )
        await self.client.start()
        self.client.subscribe([self.topic], listener=self)
        while not self.ends:
            self.read(await self.client.getmany(timeout_ms=50))
            await self.commit()
        # A stop calls no listener.
        await self.on_partitions_revoked(self.client.assignment())
        await self.client.stop()

    async def on_partitions_assigned(self, assigned):
        self.tell("assigned", [one.partition for one in assigned])

    async def on_partitions_revoked(self, revoked):
        await self.commit()
        self.tell("revoked", [one.partition for one in revoked])

    async def commit(self):
        offsets, self.next = self.next, {}
        if not offsets:
            return
        try:
            await self.client.commit(
                {TopicPartition(self.topic, one): offset for one, offset in offsets.items()}
            )
            self.tell("committed", offsets)
        except (CommitFailedError, IllegalStateError) as error:
            self.tell("refused", repr(error))


class KafkaPythonMember(Member, kafka.ConsumerRebalanceListener):
    def run(self):
        self.client = kafka.KafkaConsumer(
            group_id=self.group, partition_assignment_strategy=[KafkaPythonRange], **COMMON
        )
        self.client.subscribe([self.topic], listener=self)
        while not self.ends:
            self.read(self.client.poll(timeout_ms=50))
            self.commit()
        self.on_partitions_revoked(self.client.assignment())
        self.client.close(autocommit=False)

    def on_partitions_assigned(self, assigned):
        self.tell("assigned", [one.partition for one in assigned])

    def on_partitions_revoked(self, revoked):
        self.commit()
        self.tell("revoked", [one.partition for one in revoked])

    def commit(self):
        offsets, self.next = self.next, {}
        if not offsets:
            return
        try:
            self.client.commit(
                {
                    kafka.TopicPartition(self.topic, one): OffsetAndMetadata(offset, "", -1)
                    for one, offset in offsets.items()
                }
            )
            self.tell("committed", offsets)
        except kafka.errors.CommitFailedError as error:
            self.tell("refused", repr(error))
