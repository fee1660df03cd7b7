"""What the image promises whoever starts it: its shape, its settings, its lines, its end."""

import json
import os
import re
import tempfile
from datetime import datetime

from engine import Container, Failed, docker, kcat, new_network, produces_and_consumes

APACHE = "/etc/kafka/docker/run"
CONFLUENT = "/etc/confluent/docker/run"
STARTED = "Kafka Server started"

# What libraries wait for. Each must come once: Java's counts.
READY_LINES = [
    r"\[KafkaServer id=\d+\] started",
    r"The broker has been unfenced\. Transitioning from RECOVERY to RUNNING\.",
    r"\[KafkaRaftServer nodeId=\d+\] Kafka Server started",
    r"Kafka broker started",
    r"Creating new log file",
]
# Upstream says it after five seconds; who sets the advertised listeners by then waits for it.
SAID_LAST = r"Checking need to trigger auto leader balancing"

SIZE_MAX = 60_000_000
STOP_SECONDS_MAX = 1.0


def expect(holds, what):
    if not holds:
        raise Failed(what)


def properties(container, path="/opt/kafka/config/server.properties"):
    lines = container.run("cat", path).splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: re.sub(r"\\(.)", r"\1", value) for key, value in pairs}


def cluster_id(container, folder):
    found = re.search(r"^cluster.id=(.*)$", container.run("cat", f"{folder}/meta.properties"), re.M)
    return found.group(1) if found else None


def fixed_port():
    """A port that both sides have, for listeners that say localhost:9092."""
    return ["--publish", "127.0.0.1:9092:9092"]


def the_image_has_the_shape_of_upstreams(image):
    config = json.loads(docker("inspect", image).stdout)[0]["Config"]
    expect(config.get("Entrypoint") is None, f"entrypoint {config.get('Entrypoint')}")
    expect(config["Cmd"] == [APACHE], f"command {config['Cmd']}")
    expect(config["User"] == "appuser", f"user {config['User']}")
    expect(config.get("Healthcheck") is None, "there is a health check")
    expect("9092/tcp" in config["ExposedPorts"], f"ports {config['ExposedPorts']}")
    volumes = {"/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"}
    expect(set(config["Volumes"]) == volumes, f"volumes {config['Volumes']}")


def both_tags_are_one_image(image):
    repository = image.rsplit(":", 1)[0]
    ids = {
        docker("inspect", "--format", "{{.Id}}", f"{repository}:{tag}").stdout
        for tag in ("4.3.1", "8.3.0")
    }
    expect(len(ids) == 1, f"{repository}:4.3.1 and :8.3.0 differ")


def the_image_is_small(image):
    size = int(docker("inspect", "--format", "{{.Size}}", image).stdout)
    print(f"  {image}: {size / 1e6:.1f} MB, at most {SIZE_MAX / 1e6:.0f} MB")
    expect(size <= SIZE_MAX, f"{size} bytes")


def shell(image, script, options=()):
    words = ["run", "--rm", "--label", "klamm.contract", *options, image, "sh", "-c", script]
    return docker(*words).stdout.decode()


def the_shell_is_bash_and_keeps_variables_with_hyphens(image):
    name = "KAFKA_LISTENER_NAME_SECURE_SCRAM-SHA-512_SASL_JAAS_CONFIG"
    got = shell(image, "readlink -f /proc/$$/exe; env", ["--env", f"{name}=kept"])
    expect("/bash" in got.splitlines()[0], got.splitlines()[0])
    expect(f"{name}=kept" in got, "the variable is gone")


def commands_that_scripts_use_are_there(image):
    got = shell(
        image,
        "set -e; sleep 0.1; printf 'a=1\\nb=2\\n' > /tmp/f; sed -i /b/d /tmp/f; grep -c a /tmp/f;"
        " cut -d= -f2 /tmp/f; awk -F= '{print $1}' /tmp/f; chmod 755 /tmp/f; id -un; cat /tmp/f;"
        " for c in env nc hostname wget timeout ps tr head tail xargs; do command -v $c >/dev/null; done",
    )
    expect(got.split() == ["1", "1", "a", "appuser", "a=1"], got)


def hostname_gives_one_address(image):
    networks = []
    try:
        networks += [new_network("one"), new_network("other")]
        with Container(
            image, "sh", "-c", "sleep infinity", options=["--network", networks[0]]
        ) as container:
            docker("network", "connect", networks[1], container.id)
            got = container.run("hostname", "-i")
            expect(re.fullmatch(r"\d+(\.\d+){3}\n", got), f"hostname -i: {got!r}")
            expect(container.run("hostname").strip() == container.hostname, "hostname")
    finally:
        for network in networks:
            docker("network", "rm", network, check=False)


def tools_are_on_the_path_by_both_names(image):
    listed = shell(image, "klamm tools").split()
    wanted = {
        "kafka-storage", "kafka-server-start", "zookeeper-server-start", "kafka-configs",
        "kafka-topics", "kafka-console-producer", "kafka-console-consumer", "kafka-consumer-groups",
        "kafka-broker-api-versions", "kafka-cluster",
    }  # fmt: skip
    expect(wanted <= set(listed), f"missing: {sorted(wanted - set(listed))}")
    names = [name + end for name in listed for end in ("", ".sh")]
    script = "".join(
        f"command -v {name} >/dev/null || echo {name}; [ -x /opt/kafka/bin/{name} ] || echo /{name};"
        for name in names
    )
    missing = shell(image, script)
    expect(missing == "", f"not found: {missing.split()}")
    for call in ("kafka-storage", "kafka-storage.sh", "/opt/kafka/bin/kafka-storage.sh"):
        uuid = shell(image, f"{call} random-uuid").strip()
        expect(re.fullmatch(r"[\w-]{22}", uuid), f"{call} random-uuid: {uuid!r}")


def folders_are_writable_for_the_user(image):
    folders = [
        *("/tmp", "/opt/kafka", "/opt/kafka/config", "/etc/kafka", "/etc/kafka/secrets"),
        *("/mnt/shared/config", "/var/lib/kafka/data", "/etc/kafka/docker", "."),
        *("/etc/confluent/docker", "/usr/logs"),
    ]
    files = [
        *(f"/etc/kafka/docker/{name}" for name in ("run", "configure", "configureDefaults")),
        *(f"/etc/kafka/docker/{name}" for name in ("bash-config", "launch")),
        *(f"/etc/confluent/docker/{name}" for name in ("run", "bash-config", "configure")),
        *(f"/etc/confluent/docker/{name}" for name in ("ensure", "launch")),
    ]
    script = "".join(f"touch {folder}/x || echo {folder};" for folder in folders)
    script += "".join(f"echo >> {file} || echo {file};" for file in files)
    # As appuser, and as any user of the root group.
    for options in ([], ["--user", "4711:0"]):
        refused = shell(image, script, options)
        expect(refused == "", f"not writable {options}: {refused.split()}")


def started_by_default_it_serves(image):
    with Container(image, options=fixed_port()) as container:
        container.wait_for(READY_LINES[-1])
        # At the first of the lines already, all holds that they say.
        produces_and_consumes("127.0.0.1:9092")
        container.wait_for(STARTED)
        container.wait_for(SAID_LAST)
        text = container.stdout()
        for line in [*READY_LINES, SAID_LAST]:
            count = len(re.findall(line, text))
            expect(count == 1, f"{line}: {count} times\n{text}")
        expect(not re.search(" (WARN|ERROR) ", container.output()), container.output())
        name = container.run("cat", "/proc/1/comm").strip()
        expect(name == "kafka-server-st", f"process 1 is {name}")
        identity = cluster_id(container, "/tmp/kraft-combined-logs")
        expect(identity == "5L6g3nShT-eMCtK--X86sw", f"cluster id {identity}")
        stops_at_once(container)


def stops_at_once(container):
    """From the signal's arrival to the end of process 1; the engine adds a time of its own."""
    docker("kill", "--signal", "TERM", container.id)
    container.wait_for_end()
    text = container.output()
    arrived = re.search(r"(\S+)Z +INFO SIGTERM: stopping", text)
    expect(arrived, f"no word of the signal\n{text}")
    begun, ended = instant(arrived.group(1)), instant(container.inspect("{{.State.FinishedAt}}"))
    took = (ended - begun).total_seconds()
    print(f"  stopped in {took * 1000:.0f} ms")
    expect(took <= STOP_SECONDS_MAX, f"took {took:.2f} s to stop")
    code = int(container.inspect("{{.State.ExitCode}}"))
    expect(code in (0, 143), f"exit code {code}")


def instant(text):
    """A time as the log and the engine write it, with as many digits as Python reads."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}")


def started_as_confluent_local_it_serves(image):
    with Container(image, CONFLUENT, options=["--publish", "127.0.0.1::9092"]) as container:
        container.wait_for(STARTED)
        given = properties(container, "/etc/kafka/kafka.properties")
        expect(given["advertised.listeners"].endswith("PLAINTEXT_HOST://localhost:9092"), str(given))
        for port in (9092, 29092):
            topics = ["kafka-topics", "--bootstrap-server", f"localhost:{port}"]
            container.run(*topics, "--create", "--topic", f"t{port}")
            expect(f"t{port}" in container.run(*topics, "--list"), f"no topic at {port}")
        identity = cluster_id(container, "/var/lib/kafka/data")
        expect(re.fullmatch(r"[\w-]{22}", identity or ""), f"cluster id {identity}")
        stops_at_once(container)


def a_cluster_id_is_taken(image):
    for run, folder in ((APACHE, "/tmp/kraft-combined-logs"), (CONFLUENT, "/var/lib/kafka/data")):
        with Container(image, run, env={"CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qk"}) as container:
            container.wait_for(STARTED)
            identity = cluster_id(container, folder)
            expect(identity == "MkU3OEVBNTcwNTJENDM2Qk", f"{run}: {identity}")


def defaults_file_and_variables_lie_over_each_other(image):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with open(f"{folder}/server.properties", "w") as file:
            file.write("num.partitions=4\nlog.retention.hours=5\nmessage.max.bytes=2000000\n")
        os.chmod(file.name, 0o644)
        with Container(
            image,
            env={"KAFKA_NUM_PARTITIONS": "7", "KAFKA_LOG_CLEANER_THREADS": "2"},
            options=["--volume", f"{folder}:/mnt/shared/config"],
        ) as container:
            container.wait_for(STARTED)
            given = properties(container)
    expected = {
        "num.partitions": "7",
        "log.cleaner.threads": "2",
        "log.retention.hours": "5",
        "message.max.bytes": "2000000",
        "num.io.threads": "8",
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
    }
    found = {key: given.get(key) for key in expected}
    expect(found == expected, f"{found}")


def arguments_are_variables(image):
    for run, path in (
        (APACHE, "/opt/kafka/config/server.properties"),
        (CONFLUENT, "/etc/kafka/kafka.properties"),
    ):
        with Container(image, run, "KAFKA_NUM_PARTITIONS=9", "KAFKA_NODE_ID=3") as container:
            container.wait_for(r"\[KafkaServer id=3\] started")
            expect("===> Overriding env params with args ..." in container.stdout(), "not said")
            expect(properties(container, path)["num.partitions"] == "9", run)


def variables_of_other_days_are_tolerated(image):
    settings = {
        "KAFKA_BROKER_ID": "2",
        "KAFKA_ZOOKEEPER_CONNECT": "zookeeper:2181",
        "KAFKA_ZOOKEEPER_SESSION_TIMEOUT_MS": "18000",
        "KAFKA_NO_SUCH_SETTING": "1",
        "KAFKA_OPTS": "-Dx=y",
        "KAFKA_HEAP_OPTS": "-Xmx1g",
        "KAFKA_JMX_PORT": "9101",
        "KAFKA_LOG4J_ROOT_LOGLEVEL": "INFO",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "3",
        "KAFKA_CONFLUENT_SUPPORT_METRICS_ENABLE": "false",
    }
    with Container(image, CONFLUENT, env=settings) as container:
        container.wait_for(r"\[KafkaServer id=2\] started")
        text = container.output()
        expect("zookeeper.connect is ignored" in text, text)
        expect("no.such.setting is not a setting" in text, text)
        expect("heap" not in text and "jmx" not in text, text)
        server = ["--bootstrap-server", "localhost:9092"]
        container.run("kafka-topics", *server, "--create", "--topic", "t")
        container.run("sh", "-c", "echo x | kafka-console-producer --bootstrap-server localhost:9092 --topic t")
        # A group needs the internal topic, which has more replicas than there are brokers.
        got = container.run(
            *("timeout", "20", "kafka-console-consumer", *server, "--topic", "t"),
            *("--from-beginning", "--max-messages", "1", "--group", "g"),
        )
        expect(got.splitlines()[0] == "x", got)


def what_is_not_served_stops_the_container(image):
    map_to = "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"
    secure = {
        "KAFKA_LISTENERS": "SECURE://0.0.0.0:9093,BROKER://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094",
        "KAFKA_ADVERTISED_LISTENERS": "SECURE://localhost:9093,BROKER://localhost:9092",
        map_to: "SECURE:SASL_SSL,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
        "KAFKA_LISTENER_NAME_SECURE_SCRAM-SHA-512_SASL_JAAS_CONFIG": "x required;",
    }
    refused = [
        (secure, "TLS and SASL are not served yet"),
        (secure | {map_to: secure[map_to].replace("SASL_SSL", "SSL")}, "TLS and SASL"),
        ({"KAFKA_ADVERTISED_LISTENERS": "SSL://localhost:9092"}, "TLS and SASL are not served yet"),
        ({"KAFKA_LISTENERS": "SASL_PLAINTEXT://:9092,CONTROLLER://:9093"}, "TLS and SASL"),
        ({map_to: "CONTROLLER:SASL_PLAINTEXT,PLAINTEXT:PLAINTEXT"}, "TLS and SASL"),
        (
            {"KAFKA_AUTHORIZER_CLASS_NAME": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"},
            "ACLs are not served yet",
        ),
        ({"KAFKA_NUM_PARTITIONS": "banana"}, "banana"),
        ({"KAFKA_PROCESS_ROLES": "broker"}, "process.roles=broker"),
    ]
    for settings, reason in refused:
        for run in (APACHE, CONFLUENT):
            with Container(image, run, env=settings) as container:
                code = container.wait_for_end()
                text = container.output()
                expect(code != 0, f"{settings}: exit code 0\n{text}")
                expect(reason in text, f"{settings}: {reason!r} is not said\n{text}")
                expect("started" not in text.lower(), text)


def a_volume_keeps_its_data(image):
    volume = docker("volume", "create", "--label", "klamm.contract").stdout.decode().strip()
    options = ["--volume", f"{volume}:/var/lib/kafka/data", *fixed_port()]
    settings = {"KAFKA_LOG_DIRS": "/var/lib/kafka/data"}
    try:
        with Container(image, env=settings, options=options) as container:
            container.wait_for(STARTED)
            kcat("-P", "-b", "127.0.0.1:9092", "-t", "kept", input=b"kept")
            docker("restart", container.id)
            container.wait_for(f"(?s){STARTED}.*{STARTED}")
            docker("stop", container.id)
        with Container(image, env=settings, options=options) as container:
            container.wait_for(STARTED)
            got = kcat("-C", "-b", "127.0.0.1:9092", "-t", "kept", "-o", "beginning", "-e", "-q")
            expect(got == "kept\n", f"consumed {got!r}")
    finally:
        docker("volume", "rm", volume, check=False)


def other_users_may_run_it(image):
    for user in ("0", "4711:0"):
        for run in (APACHE, CONFLUENT):
            with Container(image, run, options=["--user", user]) as container:
                container.wait_for(STARTED)


def the_native_program_is_there(image):
    script = (
        "export CLUSTER_ID=5L6g3nShT-eMCtK--X86sw;"
        "/opt/kafka/kafka.Kafka setup --default-configs-dir /etc/kafka/docker"
        " --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config"
        " && exec /opt/kafka/kafka.Kafka start --config /opt/kafka/config/server.properties"
    )
    with Container(image, "bash", "-c", script, env={"KAFKA_NODE_ID": "4"}) as container:
        container.wait_for(r"\[KafkaServer id=4\] started")
        stops_at_once(container)


def zookeeper_stays_and_does_nothing(image):
    with Container(image, "sh", "-c", "exec zookeeper-server-start /tmp/z.properties") as container:
        container.run("sleep", "0.3")
        expect(container.inspect("{{.State.Running}}") == "true", "it ended")


TESTS = {
    test.__name__.replace("_", " "): test
    for test in (
        the_image_has_the_shape_of_upstreams,
        both_tags_are_one_image,
        the_image_is_small,
        the_shell_is_bash_and_keeps_variables_with_hyphens,
        commands_that_scripts_use_are_there,
        hostname_gives_one_address,
        tools_are_on_the_path_by_both_names,
        folders_are_writable_for_the_user,
        started_by_default_it_serves,
        started_as_confluent_local_it_serves,
        a_cluster_id_is_taken,
        defaults_file_and_variables_lie_over_each_other,
        arguments_are_variables,
        variables_of_other_days_are_tolerated,
        what_is_not_served_stops_the_container,
        a_volume_keeps_its_data,
        other_users_may_run_it,
        the_native_program_is_there,
        zookeeper_stays_and_does_nothing,
    )
}
