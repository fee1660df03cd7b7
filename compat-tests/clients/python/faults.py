"""librdkafka through injected faults (`/v1/faults` at ADMIN): nothing is lost, nothing comes twice."""

import json
import os
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from confluent_kafka import Consumer, Producer  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

from harness import BOOTSTRAP, Part, equal, unique  # noqa: E402

ADMIN = os.environ["ADMIN"]
PARTITIONS = 4
RECORDS = 4000
QUICK = {
    "bootstrap.servers": BOOTSTRAP,
    "reconnect.backoff.ms": 10,
    "reconnect.backoff.max.ms": 100,
    "retry.backoff.ms": 10,
}


def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{ADMIN}{path}", data=data, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


class Faults:
    """Rules that are there inside a `with`, each of which must have been hit at its end."""

    def __init__(self, *rules):
        self.rules = rules

    def __enter__(self):
        self.ids = [rule["id"] for rule in ask("POST", "/v1/faults", list(self.rules))["faults"]]
        return self

    def __exit__(self, kind, error, trace):
        removed = {rule["id"]: rule for rule in ask("DELETE", "/v1/faults")["removed"]}
        if kind is None:
            unused = [removed[rule] for rule in self.ids if removed[rule]["hits"] == 0]
            equal(unused, [], "rules that were never hit")


def create(name):
    topic = unique(name)
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        future.result(30)
    return topic


def produce(topic, **config):
    """Produces numbered records; gives back the offsets that were acknowledged."""
    # How long an answer is waited for is socket.timeout.ms; request.timeout.ms is for the broker.
    producer = Producer({**QUICK, "socket.timeout.ms": 2000, "message.timeout.ms": 90000,
                         "linger.ms": 1, "batch.num.messages": 50, **config})
    offsets, errors = {}, []

    def delivered(error, message):
        if error is not None:
            errors.append(str(error))
        else:
            number = int(message.value())
            offsets[number] = (message.partition(), message.offset())

    for number in range(RECORDS):
        producer.produce(topic, str(number), partition=number % PARTITIONS, on_delivery=delivered)
        producer.poll(0)
    equal(producer.flush(100), 0, "records left in the queue")
    equal(errors, [], "delivery errors")
    return offsets


def consume(topic, group, seconds=60):
    """Reads the whole topic; gives back the numbers by partition, in the order they came."""
    consumer = Consumer({**QUICK, "group.id": group, "auto.offset.reset": "earliest",
                         "auto.commit.interval.ms": 100, "fetch.wait.max.ms": 50,
                         "fetch.error.backoff.ms": 10, "check.crcs": True})
    consumer.subscribe([topic])
    found = {partition: [] for partition in range(PARTITIONS)}
    end = time.monotonic() + seconds
    while sum(map(len, found.values())) < RECORDS and time.monotonic() < end:
        for message in consumer.consume(500, 0.2):
            if message.error() is None:
                found[message.partition()].append(int(message.value()))
            else:
                equal(message.error().fatal(), False, f"fatal: {message.error()}")
    # Anything that came twice would come now.
    for message in consumer.consume(500, 0.5):
        if message.error() is None:
            found[message.partition()].append(int(message.value()))
    consumer.close()
    return found


def whole():
    return {
        partition: list(range(partition, RECORDS, PARTITIONS)) for partition in range(PARTITIONS)
    }


def idempotent():
    topic = create("faults-idempotent")
    rule = {"api": "Produce", "topic": topic}
    with Faults(
        {**rule, "error": "NOT_LEADER_OR_FOLLOWER", "probability": 0.15, "seed": 1},
        {**rule, "partition": 1, "error": "NOT_ENOUGH_REPLICAS", "probability": 0.1, "seed": 2},
        {**rule, "cut": True, "probability": 0.03, "seed": 3},
        {**rule, "cut": "after", "probability": 0.03, "seed": 4},
        {**rule, "swallow": True, "skip": 5, "count": 2},
        {**rule, "drop": True, "skip": 15, "count": 1},
        {**rule, "delay_ms": 20, "probability": 0.1, "seed": 5},
        {"api": "Metadata", "error": "LEADER_NOT_AVAILABLE", "topic": topic, "count": 2},
        {"api": "InitProducerId", "error": "COORDINATOR_LOAD_IN_PROGRESS", "count": 1},
    ):
        offsets = produce(topic, **{"enable.idempotence": True})
    equal(len(offsets), RECORDS, "records acknowledged")
    equal(consume(topic, unique("after")), whole(), "records by partition")
    expected = {n: (n % PARTITIONS, n // PARTITIONS) for n in range(RECORDS)}
    equal(offsets, expected, "offsets")


def plain():
    """Without idempotence nothing comes twice as long as what fails was not done."""
    topic = create("faults-plain")
    rule = {"api": "Produce", "topic": topic}
    with Faults(
        {**rule, "error": "NOT_LEADER_OR_FOLLOWER", "probability": 0.1, "seed": 1},
        {**rule, "cut": True, "probability": 0.05, "seed": 2},
        {**rule, "drop": True, "skip": 10, "count": 1},
    ):
        # Long enough that no answer is late on a slow machine: its records would come twice.
        config = {"enable.idempotence": False, "max.in.flight.requests.per.connection": 1,
                  "socket.timeout.ms": 10000}
        offsets = produce(topic, **config)
    equal(len(offsets), RECORDS, "records acknowledged")
    # librdkafka may send what failed behind what it has sent meanwhile: only idempotence keeps order.
    found = consume(topic, unique("after"))
    equal({partition: sorted(found[partition]) for partition in found}, whole(), "records")


def consumer():
    topic = create("faults-consumer")
    produce(topic)
    group = unique("faulted")
    with Faults(
        {"api": "Fetch", "topic": topic, "error": "NOT_LEADER_OR_FOLLOWER", "skip": 1, "count": 3},
        {"api": "Fetch", "error": "FETCH_SESSION_ID_NOT_FOUND", "skip": 3, "count": 1},
        {"api": "Fetch", "cut": True, "skip": 4, "count": 2},
        {"api": "Fetch", "delay_ms": 100, "skip": 1, "count": 2},
        {"api": "FindCoordinator", "error": "COORDINATOR_NOT_AVAILABLE", "count": 2},
        {"api": "JoinGroup", "error": "COORDINATOR_LOAD_IN_PROGRESS", "count": 1},
        {"api": "SyncGroup", "error": "NOT_COORDINATOR", "count": 1},
        {"api": "OffsetFetch", "error": "COORDINATOR_LOAD_IN_PROGRESS", "count": 1},
        {"api": "OffsetCommit", "topic": topic, "error": "REQUEST_TIMED_OUT", "count": 1},
        {"api": "ListOffsets", "error": "LEADER_NOT_AVAILABLE", "count": 1},
    ):
        found = consume(topic, group)
    equal(found, whole(), "records by partition")
    seen = ask("GET", f"/v1/wait?group={group}&topic={topic}&lag=0&timeout_ms=10000")
    equal(seen["lag"], 0, "lag")


part = Part("controls-faults")
part.check("an idempotent producer retries through errors, cuts and lost answers", idempotent, 120)
part.check("a plain producer retries through errors and cuts", plain, 120)
part.check("a consumer reads on through errors and cuts", consumer, 120)
part.end()
