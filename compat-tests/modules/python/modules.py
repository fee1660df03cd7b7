"""Starts the KafkaContainer of Testcontainers for Python in both of its modes on the image named in the
environment, and tries it out with confluent-kafka: topics, records, a group. One line of JSON a mode."""

import json
import os
import sys
import time
import traceback

import confluent_kafka
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.network import Network
from testcontainers.kafka import KafkaContainer

VALUES = [b"eins", b"zwei", b"drei"]
LIMIT = 30


def committed(admin):
    """What the group has committed in the topic `words`, by the admin's word."""
    asked = ConsumerGroupTopicPartitions("readers", [TopicPartition("words", 0)])
    answer = admin.list_consumer_group_offsets([asked])["readers"].result(LIMIT)
    return answer.topic_partitions[0].offset


def try_out(bootstrap):
    config = {"bootstrap.servers": bootstrap}
    admin = AdminClient(config)
    admin.create_topics([NewTopic("orders", 3, 1)])["orders"].result(LIMIT)
    metadata = admin.list_topics(timeout=LIMIT)
    assert len(metadata.brokers) == 1, f"a cluster of one node, not {metadata.brokers}"
    assert len(metadata.topics["orders"].partitions) == 3, f"topics: {metadata.topics}"
    failures = []
    producer = confluent_kafka.Producer(config)
    for value in VALUES:
        producer.produce(
            "words", value, key=b"key", headers=[("length", bytes([len(value)]))],
            on_delivery=lambda error, _: error and failures.append(error),
        )
    left = producer.flush(LIMIT)
    assert left == 0 and not failures, f"{left} records not sent, {failures}"
    consumer = confluent_kafka.Consumer(config | {"group.id": "readers", "auto.offset.reset": "earliest"})
    consumer.subscribe(["words"])
    seen = []
    deadline = time.monotonic() + LIMIT
    while len(seen) < len(VALUES) and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            seen.append((message.key(), message.value(), message.headers()))
    expected = [(b"key", value, [("length", bytes([len(value)]))]) for value in VALUES]
    assert seen == expected, f"expected {expected}, consumed {seen}"
    consumer.commit(asynchronous=False)
    consumer.close()
    assert committed(admin) == len(VALUES), f"the group has committed {committed(admin)}"


def try_out_from_beside(container, network):
    """Produces from a second container on the network, by the alias, what is then consumed from here."""
    server = "--bootstrap-server kafka:9092 --topic words"
    with DockerContainer(os.environ["APACHE_IMAGE"]).with_network(network).with_command("sleep 120") as beside:
        code, output = beside.exec(["bash", "-c", f"echo eins | kafka-console-producer {server}"])
        assert code == 0, f"a producer on the network ended with {code}: {output}"
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": container.get_bootstrap_server(), "group.id": "g", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["words"])
    message = None
    deadline = time.monotonic() + LIMIT
    while (message is None or message.error()) and time.monotonic() < deadline:
        message = consumer.poll(0.2)
    assert message is not None and message.value() == b"eins", f"consumed {message}"
    consumer.close()


def run(mode, container, check):
    """Starts the container, does what is to be done with it, and says how it went."""
    seconds = 0
    try:
        begin = time.monotonic()
        container.start()
        seconds = time.monotonic() - begin
        check(container)
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
    without = os.environ.get("WITHOUT", "")

    def wanted(mode):
        return not without or without not in mode

    def on_host(container):
        try_out(container.get_bootstrap_server())

    mode = "KafkaContainer, ZooKeeper (its default)"
    if wanted(mode):
        run(mode, KafkaContainer(image), on_host)
    mode = "KafkaContainer.with_kraft()"
    if wanted(mode):
        run(mode, KafkaContainer(image).with_kraft(), on_host)
    mode = "KafkaContainer.with_kraft() on a network"
    if wanted(mode):
        with Network() as network:
            container = KafkaContainer(image).with_kraft().with_network(network).with_network_aliases("kafka")
            run(mode, container, lambda started: try_out_from_beside(started, network))
    print("end python")


main()
