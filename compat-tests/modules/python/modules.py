"""Starts the KafkaContainer of Testcontainers for Python in both of its modes on the image named in the
environment, and produces and consumes with confluent-kafka. One line of JSON a mode."""

import json
import os
import sys
import time
import traceback

import confluent_kafka
from confluent_kafka.admin import AdminClient
from testcontainers.core.docker_client import DockerClient
from testcontainers.kafka import KafkaContainer

VALUES = [b"eins", b"zwei", b"drei"]
LIMIT = 30


def produce_and_consume(bootstrap):
    config = {"bootstrap.servers": bootstrap}
    brokers = AdminClient(config).list_topics(timeout=LIMIT).brokers
    assert len(brokers) == 1, f"a cluster of one node, not {brokers}"
    failures = []
    producer = confluent_kafka.Producer(config)
    for value in VALUES:
        producer.produce("words", value, key=b"key", on_delivery=lambda error, _: error and failures.append(error))
    left = producer.flush(LIMIT)
    assert left == 0 and not failures, f"{left} records not sent, {failures}"
    consumer = confluent_kafka.Consumer(config | {"group.id": "readers", "auto.offset.reset": "earliest"})
    consumer.subscribe(["words"])
    seen = []
    deadline = time.monotonic() + LIMIT
    while len(seen) < len(VALUES) and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            seen.append(message.value())
    assert seen == VALUES, f"expected {VALUES}, consumed {seen}"
    consumer.commit(asynchronous=False)
    consumer.close()


def run(mode, container):
    """The seconds that the container's start took, and what went wrong."""
    seconds = 0
    try:
        begin = time.monotonic()
        container.start()
        seconds = time.monotonic() - begin
        produce_and_consume(container.get_bootstrap_server())
        error = ""
    except Exception as raised:
        traceback.print_exc()
        wrapped = container.get_wrapped_container()
        if wrapped is not None:
            sys.stderr.write(wrapped.logs().decode(errors="replace"))
        error = repr(raised)
    finally:
        container.stop()
    client = f"confluent-kafka {confluent_kafka.__version__}"
    print(json.dumps({"mode": mode, "client": client, "seconds": round(seconds, 2), "error": error}), flush=True)


def main():
    # What it costs to find the engine is no part of a start.
    DockerClient().client.ping()
    image = os.environ["CONFLUENT_IMAGE"]
    modes = {
        "KafkaContainer, ZooKeeper (its default)": lambda: KafkaContainer(image),
        "KafkaContainer.with_kraft()": lambda: KafkaContainer(image).with_kraft(),
    }
    without = os.environ.get("WITHOUT", "")
    for mode, container in modes.items():
        if not without or without not in mode:
            run(mode, container())
    print("end python")


main()
