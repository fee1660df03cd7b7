"""Compose files as people write them: the settings of the published examples, the health checks and the
containers beside that make topics. The commands are played; docker compose itself is not needed."""

from engine import Container, Failed, docker, new_network, wait_until

STARTED = "Kafka Server started"

# The single node of apache/kafka's own examples.
APACHE_EXAMPLE = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@broker:29093",
    "KAFKA_LISTENERS": "CONTROLLER://:29093,PLAINTEXT_HOST://:9092,PLAINTEXT://:29092",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "CLUSTER_ID": "4L6g3nShT-eMCtK--X86sw",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_LOG_DIRS": "/tmp/kraft-combined-logs",
}

# The broker of Confluent's.
CONFLUENT_EXAMPLE = APACHE_EXAMPLE | {
    "KAFKA_LISTENERS": "PLAINTEXT://broker:29092,CONTROLLER://broker:29093,PLAINTEXT_HOST://0.0.0.0:9092",
    "KAFKA_JMX_PORT": "9101",
    "KAFKA_JMX_HOSTNAME": "localhost",
    "CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qk",
}

HEALTH_CHECKS = [
    "kafka-topics --bootstrap-server localhost:9092 --list",
    "kafka-topics --bootstrap-server broker:29092 --list > /dev/null 2>&1 || exit 1",
    "/opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:9092 --list",
    "./opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:9092 --describe",
    "kafka-topics.sh --bootstrap-server=localhost:9092 --list",
    "kafka-broker-api-versions --bootstrap-server localhost:9092",
    "/opt/kafka/bin/kafka-broker-api-versions.sh --bootstrap-server localhost:9092 || exit 1",
    "/usr/bin/kafka-broker-api-versions --bootstrap-server=localhost:9092",
    "kafka-cluster cluster-id --bootstrap-server localhost:9092",
    "/opt/kafka/bin/kafka-cluster.sh cluster-id --bootstrap-server localhost:9092 || exit 1",
    "kafka-consumer-groups --bootstrap-server localhost:9092 --list",
    "cub kafka-ready -b localhost:9092 1 20",
    "ub kafka-ready 1 20 -b broker:29092",
    "nc -z localhost 9092",
    "nc -vz localhost 9092 || exit 1",
    "nc -z -w 5 broker 29092",
    "bash -c 'nc -z localhost 9092'",
    "bash -c 'cat < /dev/null > /dev/tcp/localhost/9092'",
    "timeout 5 bash -c '</dev/tcp/broker/29092'",
    "echo > /dev/tcp/localhost/9092",
    "netstat -ltn | grep -c 9092",
    "ps aux | grep -v grep | grep -q kafka",
]

UNHEALTHY = [
    "nc -z localhost 9099",
    "cub kafka-ready -b localhost:9099 1 1",
    "cub kafka-ready -b localhost:9092 2 1",
    "echo > /dev/tcp/localhost/9099",
]

INIT = """
cub kafka-ready -b broker:29092 1 30
kafka-topics --bootstrap-server broker:29092 --list
kafka-topics --create --if-not-exists --bootstrap-server broker:29092 --topic orders --partitions 3 --replication-factor 1
kafka-topics --create --if-not-exists --bootstrap-server broker:29092 --topic orders --partitions 3 --replication-factor 1
kafka-configs --bootstrap-server broker:29092 --alter --entity-type topics --entity-name orders --add-config retention.ms=60000
echo 'k:v' | kafka-console-producer --bootstrap-server broker:29092 --topic orders --property parse.key=true --property key.separator=:
kafka-topics --bootstrap-server broker:29092 --describe --topic orders
"""


def example(image, name, settings):
    network = new_network(f"compose-{name}")
    inside = ["--network", network, "--network-alias", "broker"]
    # Both listeners are advertised: the health check's is the one that is asked.
    health = [
        *("--health-cmd", "kafka-topics --bootstrap-server localhost:9092 --list || exit 1"),
        *("--health-interval", "1s", "--health-timeout", "10s", "--health-retries", "10"),
    ]
    advertised = {"KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT_HOST://localhost:9092,PLAINTEXT://broker:29092"}
    try:
        with Container(image, env=settings | advertised, options=[*inside, "--hostname", "broker", *health]) as broker:
            broker.wait_for(STARTED)
            for check in HEALTH_CHECKS:
                broker.run("/bin/sh", "-c", check)
            for check in UNHEALTHY:
                done = docker("exec", broker.id, "/bin/sh", "-c", check, check=False)
                if done.returncode == 0:
                    raise Failed(f"{check}: succeeded")
            wait_until("healthy", 60, lambda: broker.inspect("{{.State.Health.Status}}") == "healthy")
            makes_topics(image, network)
            text = broker.output()
            if " ERROR " in text or "panicked" in text:
                raise Failed(f"the log has errors\n{text}")
            docker("stop", broker.id)
    finally:
        docker("network", "rm", network, check=False)


def makes_topics(image, network):
    command = ["sh", "-e", "-c", INIT]
    with Container(image, *command, options=["--network", network]) as init:
        code = init.wait_for_end(60)
        text = init.output()
        if code != 0 or "PartitionCount: 3" not in text or "retention.ms=60000" not in text:
            raise Failed(f"the container that makes topics ended with {code}\n{text}")


def the_example_of_apache(image):
    example(image, "apache", APACHE_EXAMPLE)


def the_example_of_confluent(image):
    example(image, "confluent", CONFLUENT_EXAMPLE)


def levels_of_loggers_follow_the_variables(image):
    loud = {"KAFKA_LOG4J_ROOT_LOGLEVEL": "WARN", "KAFKA_LOG4J_LOGGERS": "kafka.request.logger=OFF,kafka=INFO"}
    for settings, shown in (({"KAFKA_LOG4J_ROOT_LOGLEVEL": "WARN"}, False), (loud, True)):
        with Container(image, env=settings, ports=[9092]) as container:
            container.wait_for(STARTED)
            container.run("kafka-topics", "--bootstrap-server", "localhost:9092", "--create", "--topic", "t")
            docker("stop", container.id)
            if ("topic created" in container.output()) != shown:
                raise Failed(f"{settings}: topic created is {'not ' if shown else ''}logged\n{container.output()}")


TESTS = {
    "the compose example of apache/kafka": the_example_of_apache,
    "the compose example of Confluent": the_example_of_confluent,
    "levels of loggers follow the variables": levels_of_loggers_follow_the_variables,
}
