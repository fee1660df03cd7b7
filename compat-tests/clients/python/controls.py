"""librdkafka on a broker whose clock is moved and whose state is reset while clients run.

The broker is in test mode, its HTTP port is at ADMIN, and its state after the start has one topic
with records.
"""

import json
import os
import socket
import struct
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from confluent_kafka import KafkaError, KafkaException, TopicPartition  # noqa: E402

import confluent_clients  # noqa: E402
from harness import Part, equal, eventually, unique  # noqa: E402

SEEDED = "seeded"
VALUES = ["one", "two", "three"]

part = Part("controls-python")


def post(path, **body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(os.environ["ADMIN"] + path, data=data, method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def values(messages):
    return [message.value().decode() for message in messages]


def send(client, value):
    """Produces one record and returns its offset."""
    reports = []
    client.produce(SEEDED, value, on_delivery=lambda *report: reports.append(report))
    equal(client.flush(30), 0, "records left in the queue")
    error, message = reports[0]
    if error is not None:
        raise KafkaException(error)
    return message.offset()


class Member:
    """A member of a group of its own that counts what happens to its partitions."""

    def __init__(self, group):
        self.assigned = 0
        self.lost = 0
        # What came with the poll that brought the assignment.
        self.early = []
        self.client = confluent_clients.consumer(
            unique(group), heartbeat_interval_ms=200, session_timeout_ms=45_000
        )
        self.client.subscribe(
            [SEEDED], on_assign=self.on_assign, on_revoke=lambda *_: None, on_lost=self.on_lost
        )

    def on_assign(self, _client, partitions):
        self.assigned += len(partitions)

    def on_lost(self, _client, partitions):
        self.lost += len(partitions)

    def expect(self, wanted):
        early, self.early = self.early, []
        rest = confluent_clients.take(self.client, len(wanted) - len(early))
        equal(values(early + rest), wanted)

    def wait_until_assigned(self, count):
        def joined():
            message = self.client.poll(0.05)
            if self.assigned == count and message is not None and not message.error():
                self.early.append(message)
            return self.assigned == count

        eventually(joined, what="the member has joined again")


def a_consumer_whose_session_the_clock_ends_rejoins():
    post("/v1/reset")
    member = Member("session")
    client = confluent_clients.producer(enable_idempotence=True)
    member.expect(VALUES)
    member.client.commit(asynchronous=False)
    post("/v1/clock", advance_ms=46_000)
    member.wait_until_assigned(2)
    equal(member.lost, 1, "partitions lost")
    equal(send(client, "later"), 3)
    member.expect(["later"])
    member.client.close()
    post("/v1/clock", reset=True)


def a_group_and_an_idempotent_producer_live_through_a_reset():
    post("/v1/reset")
    member = Member("reset")
    client = confluent_clients.producer(enable_idempotence=True, linger_ms=0)
    for round_ in range(1, 4):
        for n in range(20):
            equal(send(client, f"x{n}"), 3 + n, f"offset in round {round_}")
        member.expect(VALUES + [f"x{n}" for n in range(20)])
        member.client.commit(asynchronous=False)
        post("/v1/reset")
        # It may read the topic once more before it learns that its group has ended.
        member.wait_until_assigned(round_ + 1)
    equal(send(client, "last"), 3)
    member.client.close()


def an_idempotent_producer_in_full_flow_lives_through_resets():
    post("/v1/reset")
    client = confluent_clients.producer(enable_idempotence=True, linger_ms=1)
    failed = []

    def on_delivery(error, _message):
        if error is not None:
            failed.append(str(error))

    for n in range(20_000):
        client.produce(SEEDED, f"flow {n}", on_delivery=on_delivery)
        client.poll(0)
        if n % 4000 == 3999:
            post("/v1/reset")
    equal(client.flush(60), 0, "records left in the queue")
    equal(failed, [], "errors")
    post("/v1/reset")
    equal(send(client, "last"), 3)


def positions_beyond_the_end_are_out_of_range_and_others_go_on():
    post("/v1/reset")
    client = confluent_clients.producer()
    for n in range(10):
        send(client, f"x{n}")
    beyond = confluent_clients.consumer(unique("beyond"), auto_offset_reset="error")
    earliest = confluent_clients.consumer(unique("earliest"))
    for consumer in [beyond, earliest]:
        consumer.assign([TopicPartition(SEEDED, 0, 0)])
        equal(len(confluent_clients.take(consumer, 13)), 13)
    post("/v1/reset")
    end = time.monotonic() + 20
    error = None
    while error is None:
        if time.monotonic() > end:
            raise AssertionError("no error in 20 s")
        message = beyond.poll(0.1)
        error = message.error() if message is not None else None
    equal(error.code(), KafkaError._AUTO_OFFSET_RESET)
    equal(values(confluent_clients.take(earliest, 3)), VALUES)
    inside = confluent_clients.consumer(unique("inside"), auto_offset_reset="error")
    inside.assign([TopicPartition(SEEDED, 0, 1)])
    equal(values(confluent_clients.take(inside, 2)), VALUES[1:])
    post("/v1/reset")
    equal(send(client, "four"), 3)
    equal(values(confluent_clients.take(inside, 1)), ["four"])
    for consumer in [beyond, earliest, inside]:
        consumer.close()


def subscribe_to_client_metrics(name, **configs):
    """IncrementalAlterConfigs version 0 by hand: the library has no name for this resource."""

    def text(value):
        data = value.encode()
        return struct.pack(">h", len(data)) + data

    rows = b"".join(
        text(key) + b"\0" + text(value) for key, value in configs.items()
    )
    body = struct.pack(">ib", 1, 16) + text(name) + struct.pack(">i", len(configs)) + rows + b"\0"
    frame = struct.pack(">hhi", 44, 0, 1) + text("controls") + body
    host, port = os.environ["BOOTSTRAP"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(struct.pack(">i", len(frame)) + frame)
        answer = connection.makefile("rb")
        size = struct.unpack(">i", answer.read(4))[0]
        # Correlation id, throttle time, one row: its error code.
        equal(struct.unpack(">iiih", answer.read(size)[:14]), (1, 0, 1, 0), "subscribed")


def what_clients_push_of_their_metrics_stands_in_metrics():
    post("/v1/reset")
    configs = {"metrics": "*", "interval.ms": "500", "match": "client_software_name=.*librdkafka.*|confluent.*"}
    subscribe_to_client_metrics(unique("pushed"), **configs)
    client = confluent_clients.producer(client_id="pushing-producer")
    reader = confluent_clients.consumer(unique("pushing"), client_id="pushing-consumer")
    reader.assign([TopicPartition(SEEDED, 0, 0)])
    equal(send(client, "four"), 3)

    def pushed():
        client.poll(0)
        reader.poll(0.1)
        with urllib.request.urlopen(os.environ["ADMIN"] + "/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith("org_apache_kafka_")]
        return all(
            any(line.startswith(f"org_apache_kafka_{kind}_") and f'client_id="pushing-{kind}"' in line for line in found)
            for kind in ["producer", "consumer"]
        )

    eventually(pushed, seconds=40, what="the metrics of both clients")
    reader.close()
    post("/v1/reset")


for body in [
    a_consumer_whose_session_the_clock_ends_rejoins,
    a_group_and_an_idempotent_producer_live_through_a_reset,
    an_idempotent_producer_in_full_flow_lives_through_resets,
    positions_beyond_the_end_are_out_of_range_and_others_go_on,
    what_clients_push_of_their_metrics_stands_in_metrics,
]:
    part.check(body.__name__, body)
part.end()
