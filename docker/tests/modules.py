"""Each Testcontainers module's start, played by hand: its command, its script, its settings and the line
it waits for, as docs/image.md lists them. Of .NET this is the only check; the others run for real too."""

from engine import Container, Failed, docker, kcat, new_network, produces_and_consumes

CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
UNFENCED = r"Transitioning from RECOVERY to RUNNING."
ZOOKEEPER_STARTED = r"\[KafkaServer id=\d+\] started"
STARTED = r"Kafka Server started"


def waiting(path, run):
    return f"while [ ! -f {path} ]; do sleep 0.1; done; {run}"


def ends_up_usable(container, port, pattern, topic="contract"):
    container.wait_for(pattern)
    produces_and_consumes(f"127.0.0.1:{container.port(port)}", topic)


def java_settings():
    return {
        "CLUSTER_ID": CLUSTER_ID,
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9092,BROKER://0.0.0.0:9093,CONTROLLER://0.0.0.0:9094",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_NODE_ID": "1",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_LOG_FLUSH_INTERVAL_MESSAGES": "9223372036854775807",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }


def java(image, run):
    path = "/tmp/testcontainers_start.sh"
    with Container(
        image, "sh", "-c", waiting(path, path), env=java_settings(), ports=[9092]
    ) as container:
        advertised = (
            f"PLAINTEXT://127.0.0.1:{container.port(9092)},BROKER://{container.hostname}:9093"
        )
        container.copy(
            path, f"#!/bin/bash\nexport KAFKA_ADVERTISED_LISTENERS={advertised}\n{run}\n"
        )
        ends_up_usable(container, 9092, UNFENCED)


def java_apache(image):
    java(image, "/etc/kafka/docker/run")


def java_confluent(image):
    java(image, "/etc/confluent/docker/run")


def java_extra_listener(image):
    """withListener: a name with a hyphen, bound to an alias, and the alias advertised."""
    network = new_network("alias")
    settings = java_settings()
    settings["KAFKA_LISTENERS"] = "TC-0://kafka:19092," + settings["KAFKA_LISTENERS"]
    settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"] += ",TC-0:PLAINTEXT"
    path = "/tmp/testcontainers_start.sh"
    try:
        with Container(
            image,
            *("sh", "-c", waiting(path, path)),
            env=settings,
            ports=[9092],
            options=["--network", network, "--network-alias", "kafka"],
        ) as container:
            advertised = (
                f"PLAINTEXT://127.0.0.1:{container.port(9092)},"
                f"BROKER://{container.hostname}:9093,TC-0://kafka:19092"
            )
            container.copy(
                path,
                f"#!/bin/bash\nexport KAFKA_ADVERTISED_LISTENERS={advertised}\n/etc/kafka/docker/run\n",
            )
            ends_up_usable(container, 9092, UNFENCED)
            offsets = container.run(
                "kafka-get-offsets", "--bootstrap-server", "kafka:19092", "--topic", "contract"
            )
            if offsets.strip() != "contract:0:1":
                raise Failed(f"through the alias: {offsets!r}")
    finally:
        docker("network", "rm", network, check=False)


def java_legacy_settings():
    return {
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_BROKER_ID": "1",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_LOG_FLUSH_INTERVAL_MESSAGES": "9223372036854775807",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }


def java_legacy(image, settings, script, pattern):
    path = "/testcontainers_start.sh"
    with Container(
        image, "-c", waiting(path, path), entrypoint="sh", env=settings, ports=[9093]
    ) as container:
        advertised = (
            f"PLAINTEXT://127.0.0.1:{container.port(9093)},BROKER://{container.hostname}:9092"
        )
        container.copy(
            path, f"#!/bin/bash\nexport KAFKA_ADVERTISED_LISTENERS={advertised}\n{script}"
        )
        ends_up_usable(container, 9093, pattern)


def java_legacy_kraft(image):
    settings = java_legacy_settings() | {
        "CLUSTER_ID": CLUSTER_ID,
        "KAFKA_NODE_ID": "1",
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
    }
    script = f"""sed -i '/KAFKA_ZOOKEEPER_CONNECT/d' /etc/confluent/docker/configure
echo 'kafka-storage format --ignore-formatted --cluster-id={CLUSTER_ID} -c /etc/kafka/kafka.properties' >> /etc/confluent/docker/configure
echo '' > /etc/confluent/docker/ensure
/etc/confluent/docker/run
"""
    java_legacy(image, settings, script, UNFENCED)


def java_legacy_zookeeper(image):
    script = """echo 'clientPort=2181' > zookeeper.properties
echo 'dataDir=/var/lib/zookeeper/data' >> zookeeper.properties
echo 'dataLogDir=/var/lib/zookeeper/log' >> zookeeper.properties
zookeeper-server-start zookeeper.properties &
export KAFKA_ZOOKEEPER_CONNECT='localhost:2181'
echo '' > /etc/confluent/docker/ensure
/etc/confluent/docker/run
"""
    java_legacy(image, java_legacy_settings(), script, ZOOKEEPER_STARTED)


def go(image):
    path = "/usr/sbin/testcontainers_start.sh"
    settings = {
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094",
        "KAFKA_REST_BOOTSTRAP_SERVERS": "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_BROKER_ID": "1",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_LOG_FLUSH_INTERVAL_MESSAGES": "9223372036854775807",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        # An alias of a network that this container is not in.
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@no-such-alias:9094",
    }
    with Container(
        image, "-c", waiting(path, f"bash {path}"), entrypoint="sh", env=settings, ports=[9093]
    ) as container:
        script = f"""#!/bin/bash
source /etc/confluent/docker/bash-config
export KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:{container.port(9093)},BROKER://{container.hostname}:9092
echo Starting Kafka KRaft mode
sed -i '/KAFKA_ZOOKEEPER_CONNECT/d' /etc/confluent/docker/configure
echo 'kafka-storage format --ignore-formatted -t "$(kafka-storage random-uuid)" -c /etc/kafka/kafka.properties' >> /etc/confluent/docker/configure
echo '' > /etc/confluent/docker/ensure
/etc/confluent/docker/configure
/etc/confluent/docker/launch
"""
        container.copy(path, script, 0o755)
        ends_up_usable(container, 9093, UNFENCED)


def python(image, settings, script, pattern):
    path = "/tc-start.sh"
    settings = settings | {
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_BROKER_ID": "1",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_LOG_FLUSH_INTERVAL_MESSAGES": "10000000",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    } | settings
    with Container(
        image, "sh", "-c", waiting(path, f"sh {path}"), env=settings, ports=[9093]
    ) as container:
        advertised = (
            f"PLAINTEXT://127.0.0.1:{container.port(9093)},BROKER://$(hostname -i):9092"
        )
        container.copy(
            path,
            f"#!/bin/bash\n{script}export KAFKA_ADVERTISED_LISTENERS={advertised}\n"
            ". /etc/confluent/docker/bash-config\n"
            "/etc/confluent/docker/configure\n/etc/confluent/docker/launch\n",
        )
        ends_up_usable(container, 9093, pattern)


def python_zookeeper(image):
    script = """echo 'clientPort=2181' > zookeeper.properties
echo 'dataDir=/var/lib/zookeeper/data' >> zookeeper.properties
echo 'dataLogDir=/var/lib/zookeeper/log' >> zookeeper.properties
zookeeper-server-start zookeeper.properties &
export KAFKA_ZOOKEEPER_CONNECT='localhost:2181'
"""
    python(image, {}, script, ZOOKEEPER_STARTED)


def python_kraft(image):
    settings = {
        "CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qk",
        "KAFKA_NODE_ID": "1",
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
        "TC_KAFKA_LIMIT_BROKER_TO_FIRST_HOST": "false",
    }
    script = """sed -i '/KAFKA_ZOOKEEPER_CONNECT/d' /etc/confluent/docker/configure
echo 'kafka-storage format --ignore-formatted --cluster-id=MkU3OEVBNTcwNTJENDM2Qk -c /etc/kafka/kafka.properties' >> /etc/confluent/docker/configure
"""
    python(image, settings, script, STARTED)


def node(image):
    path = "/tmp/testcontainers_start.sh"
    settings = {
        "CLUSTER_ID": CLUSTER_ID,
        "KAFKA_LISTENERS": "BROKER://0.0.0.0:9092,PLAINTEXT://0.0.0.0:9093,CONTROLLER://0.0.0.0:9094",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_BROKER_ID": "1",
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_LOG_FLUSH_INTERVAL_MESSAGES": "9223372036854775807",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE": "false",
    }
    command = "echo 'Waiting for script...'; " + waiting(path, path)
    with Container(image, "-c", command, entrypoint="sh", env=settings, ports=[9093]) as container:
        container.wait_for("Waiting for script...")
        advertised = (
            f"PLAINTEXT://127.0.0.1:{container.port(9093)},BROKER://{container.hostname}:9092"
        )
        container.copy(
            path,
            f"#!/bin/bash\nexport KAFKA_ADVERTISED_LISTENERS={advertised}\n/etc/confluent/docker/run\n",
        )
        container.wait_for(UNFENCED)
        # How it knows that the port is open: one of these from the inside.
        probes = [
            "cat /proc/net/tcp* | awk '{print $2}' | grep -i :2385",
            "nc -vz -w 1 localhost 9093",
            "</dev/tcp/localhost/9093",
        ]
        for probe in probes:
            shell = "/bin/bash" if probe.startswith("<") else "/bin/sh"
            container.run(shell, "-c", probe)
        produces_and_consumes(f"127.0.0.1:{container.port(9093)}")


def rust_apache(image):
    path = "/opt/kafka/testcontainers_start.sh"
    settings = {
        "CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9092,BROKER://0.0.0.0:9093,CONTROLLER://0.0.0.0:9094",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://localhost:9092,BROKER://localhost:9092",
        "KAFKA_BROKER_ID": "1",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
    }
    command = waiting(path, f"chmod 755 {path} && {path}")
    with Container(
        image, "-c", command, entrypoint="bash", env=settings, ports=[9092]
    ) as container:
        # Written by the container's user, not copied.
        advertised = f"PLAINTEXT://127.0.0.1:{container.port(9092)},BROKER://localhost:9093"
        script = f"#!/usr/bin/env bash\nexport KAFKA_ADVERTISED_LISTENERS={advertised}\n/etc/kafka/docker/run \n"
        container.run("sh", "-c", f"echo '{script}' > {path}.new && mv {path}.new {path}")
        ends_up_usable(container, 9092, STARTED)


def rust_confluent(image):
    settings = {
        "KAFKA_ZOOKEEPER_CONNECT": "localhost:2181",
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9093,BROKER://0.0.0.0:9092",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://localhost:9093,BROKER://localhost:9092",
        "KAFKA_BROKER_ID": "1",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    }
    script = """echo 'clientPort=2181' > zookeeper.properties;
echo 'dataDir=/var/lib/zookeeper/data' >> zookeeper.properties;
echo 'dataLogDir=/var/lib/zookeeper/log' >> zookeeper.properties;
zookeeper-server-start zookeeper.properties &
. /etc/confluent/docker/bash-config &&
/etc/confluent/docker/configure &&
/etc/confluent/docker/launch"""
    with Container(image, "/bin/bash", "-c", script, env=settings, ports=[9093]) as container:
        container.wait_for("Creating new log file")
        port = container.port(9093)
        container.run(
            *("kafka-configs", "--alter", "--bootstrap-server", "0.0.0.0:9092"),
            *("--entity-type", "brokers", "--entity-name", "1", "--add-config"),
            f"advertised.listeners=[PLAINTEXT://127.0.0.1:{port},BROKER://localhost:9092]",
        )
        container.wait_for("Checking need to trigger auto leader balancing")
        brokers = kcat("-L", "-b", f"127.0.0.1:{port}")
        if f"127.0.0.1:{port}" not in brokers:
            raise Failed(f"the new address is not answered at once: {brokers}")
        produces_and_consumes(f"127.0.0.1:{port}")


def dotnet_settings():
    return {
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,BROKER://:9093,CONTROLLER://:9094",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_LOG_FLUSH_INTERVAL_MESSAGES": "9223372036854775807",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }


def dotnet(image, settings, before, run, pattern):
    path = "/testcontainers.sh"
    with Container(
        image, "-c", waiting(path, path), entrypoint="/bin/sh", env=settings, ports=[9092]
    ) as container:
        # There are no other listeners: the list ends with a comma.
        advertised = (
            f"PLAINTEXT://127.0.0.1:{container.port(9092)},BROKER://{container.hostname}:9093,"
        )
        container.copy(
            path,
            f"#!/bin/bash\n{before}export KAFKA_ADVERTISED_LISTENERS={advertised}\nexec {run}\n",
        )
        ends_up_usable(container, 9092, pattern)


def dotnet_apache(image):
    dotnet(image, dotnet_settings(), "", "/etc/kafka/docker/run", UNFENCED)


def dotnet_confluent(image):
    kraft = {"KAFKA_NODE_ID", "KAFKA_PROCESS_ROLES", "KAFKA_CONTROLLER_LISTENER_NAMES"}
    kraft.add("KAFKA_CONTROLLER_QUORUM_VOTERS")
    settings = {name: value for name, value in dotnet_settings().items() if name not in kraft}
    settings |= {
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,BROKER://:9093",
        "KAFKA_BROKER_ID": "1",
        "KAFKA_ZOOKEEPER_CONNECT": "localhost:2181",
    }
    before = """echo '' > /etc/confluent/docker/ensure
echo 'clientPort=2181' > zookeeper.properties
echo 'dataDir=/var/lib/zookeeper/data' >> zookeeper.properties
echo 'dataLogDir=/var/lib/zookeeper/log' >> zookeeper.properties
zookeeper-server-start zookeeper.properties &
"""
    dotnet(image, settings, before, "/etc/confluent/docker/run", ZOOKEEPER_STARTED)


def quarkus(image):
    """In a shared network: no CONTROLLER listener, and its port is the brokers' own."""
    path = "/tmp/testcontainers_start.sh"
    settings = java_settings() | {
        "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9092,BROKER://localhost:9093",
    }
    del settings["KAFKA_CONTROLLER_QUORUM_VOTERS"]
    with Container(
        image, "sh", "-c", waiting(path, path), env=settings, ports=[9092]
    ) as container:
        advertised = f"PLAINTEXT://127.0.0.1:{container.port(9092)},BROKER://localhost:9093"
        container.copy(
            path,
            f"#!/bin/bash\nexport KAFKA_ADVERTISED_LISTENERS={advertised}\n/etc/kafka/docker/run\n",
        )
        ends_up_usable(container, 9092, UNFENCED)
        container.wait_for("Kafka broker started")


TESTS = {
    "Java KafkaContainer": java_apache,
    "Java ConfluentKafkaContainer": java_confluent,
    "Java KafkaContainer with a listener at an alias": java_extra_listener,
    "Java legacy KafkaContainer, KRaft": java_legacy_kraft,
    "Java legacy KafkaContainer, ZooKeeper": java_legacy_zookeeper,
    "Go": go,
    "Python, ZooKeeper": python_zookeeper,
    "Python, KRaft": python_kraft,
    "Node": node,
    "Rust apache": rust_apache,
    "Rust confluent": rust_confluent,
    ".NET, Apache": dotnet_apache,
    ".NET, Confluent": dotnet_confluent,
    "Quarkus in a shared network": quarkus,
}
