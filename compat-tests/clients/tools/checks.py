"""Upstream's command-line tools, run for real: what they print and how they exit is compared."""

import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from harness import BOOTSTRAP, Part, equal, eventually, unique  # noqa: E402

UPSTREAM = os.path.join(HERE, "..", "..", "..", "scripts", "upstream")
SERVER = ["--bootstrap-server", BOOTSTRAP]

# What a client of one node meets, and the versions that upstream 4.3.1 advertises for it.
VERSIONS = {
    "Produce": "0 to 13",
    "Fetch": "4 to 18",
    "ListOffsets": "1 to 11",
    "Metadata": "0 to 13",
    "OffsetCommit": "2 to 10",
    "OffsetFetch": "1 to 10",
    "FindCoordinator": "0 to 6",
    "JoinGroup": "0 to 9",
    "Heartbeat": "0 to 4",
    "LeaveGroup": "0 to 5",
    "SyncGroup": "0 to 5",
    "DescribeGroups": "0 to 6",
    "ListGroups": "0 to 5",
    "SaslHandshake": "0 to 1",
    "ApiVersions": "0 to 4",
    "CreateTopics": "2 to 7",
    "DeleteTopics": "1 to 6",
    "DeleteRecords": "0 to 2",
    "InitProducerId": "0 to 5",
    "OffsetForLeaderEpoch": "2 to 4",
    "DescribeAcls": "1 to 3",
    "CreateAcls": "1 to 3",
    "DeleteAcls": "1 to 3",
    "DescribeConfigs": "1 to 4",
    "AlterConfigs": "0 to 2",
    "DescribeLogDirs": "1 to 5",
    "CreatePartitions": "0 to 3",
    "DeleteGroups": "0 to 2",
    "ElectLeaders": "0 to 2",
    "IncrementalAlterConfigs": "0 to 1",
    "ListPartitionReassignments": "0",
    "OffsetDelete": "0",
    "DescribeQuorum": "0 to 2",
    "UpdateFeatures": "0 to 2",
    "DescribeCluster": "0 to 2",
    "DescribeProducers": "0",
    "ListConfigResources": "0 to 1",
    "DescribeTopicPartitions": "0",
    "ConsumerGroupHeartbeat": "0 to 1",
    "ConsumerGroupDescribe": "0 to 1",
}

part = Part("tools")


def tool(name, *arguments, stdin="", status=0, deadline=60):
    """Runs a tool to its end; returns its standard output and both outputs together."""
    done = subprocess.run(
        [UPSTREAM, "tool", name, *arguments],
        input=stdin.encode(),
        capture_output=True,
        timeout=deadline,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    if done.returncode != status:
        raise AssertionError(f"{name} ended with {done.returncode}: {out}{err}")
    return out, out + err


def topics(*arguments, **options):
    return tool("kafka-topics", *SERVER, *arguments, **options)


def configs(*arguments, **options):
    return tool("kafka-configs", *SERVER, *arguments, **options)


def groups(*arguments, **options):
    return tool("kafka-consumer-groups", *SERVER, *arguments, **options)


def contains(text, expected):
    if expected not in text:
        raise AssertionError(f"{expected!r} is not in {text!r}")


def rows(text):
    """The lines of a table, split into words."""
    return [line.split() for line in text.splitlines() if line.strip()]


def offsets(topic, *arguments):
    out, _ = tool("kafka-get-offsets", *SERVER, "--topic", topic, *arguments)
    return out.split()


def create(name, partitions):
    topic = unique(name)
    out, _ = topics("--create", "--topic", topic, "--partitions", str(partitions))
    equal(out, f"Created topic {topic}.\n")
    return topic


def produce(topic, lines, *arguments):
    tool(
        "kafka-console-producer",
        *SERVER,
        *["--topic", topic, *arguments],
        stdin="".join(f"{line}\n" for line in lines),
    )


def topics_creates_alters_lists_describes_and_deletes():
    topic = unique("t-topics")
    out, _ = topics(
        *["--create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=3600000"]
    )
    equal(out, f"Created topic {topic}.\n")
    topics("--alter", "--topic", topic, "--partitions", "3")
    out, _ = topics("--describe", "--topic", topic)
    first, *partitions = out.splitlines()
    contains(first, f"Topic: {topic}\tTopicId: ")
    contains(first, "PartitionCount: 3\tReplicationFactor: 1\tConfigs: ")
    contains(first, "retention.ms=3600000")
    equal(len(partitions), 3, "partitions")
    for number, line in enumerate(partitions):
        told = re.fullmatch(
            rf"\tTopic: {re.escape(topic)}\tPartition: {number}\tLeader: (\d+)\tReplicas: (\d+)"
            r"\tIsr: (\d+)\tElr: \tLastKnownElr: ",
            line,
        )
        assert told and len(set(told.groups())) == 1, line
    out, _ = topics("--list")
    assert topic in out.split(), out
    topics("--delete", "--topic", topic)
    out, _ = topics("--list", "--topic", topic)
    equal(out.split(), [])


def topics_tells_what_is_wrong():
    topic = create("t-wrong", 2)
    _, text = topics("--create", "--topic", topic, status=1)
    contains(text, f"Topic '{topic}' already exists.")
    topics("--create", "--topic", topic, "--if-not-exists")
    _, text = topics("--alter", "--topic", topic, "--partitions", "1", status=1)
    contains(
        text,
        f"The topic {topic} currently has 2 partition(s); 1 would not be an increase.",
    )
    nowhere = unique("t-nowhere")
    _, text = topics("--describe", "--topic", nowhere, status=1)
    contains(text, f"Topic '{nowhere}' does not exist as expected")
    _, text = topics("--create", "--topic", nowhere, "--replication-factor", "3", status=1)
    contains(text, "Unable to replicate the partition 3 time(s): The target replication factor ")


def configs_sets_describes_and_deletes():
    topic = create("t-configs", 1)
    entity = ["--entity-type", "topics", "--entity-name", topic]
    out, _ = configs("--alter", *entity, "--add-config", "max.message.bytes=2000,segment.ms=60000")
    equal(out, f"Completed updating config for topic {topic}.\n")
    configs("--alter", *entity, "--delete-config", "segment.ms")
    out, _ = configs("--describe", *entity)
    equal(
        out,
        f"Dynamic configs for topic {topic} are:\n"
        "  max.message.bytes=2000 sensitive=false synonyms="
        "{DYNAMIC_TOPIC_CONFIG:max.message.bytes=2000, DEFAULT_CONFIG:message.max.bytes=1048588}\n",
    )
    out, _ = configs("--describe", "--all", *entity)
    for line in [
        "  cleanup.policy=delete sensitive=false synonyms={DEFAULT_CONFIG:log.cleanup.policy=delete}",
        "  compression.type=producer sensitive=false "
        "synonyms={DEFAULT_CONFIG:compression.type=producer}",
        "  segment.ms=604800000 sensitive=false synonyms={}",
    ]:
        contains(out, line)
    _, text = configs("--alter", *entity, "--add-config", "retention.ms=banana", status=1)
    contains(
        text, "Invalid value banana for configuration retention.ms: Not a number of type LONG"
    )


def console_tools_and_dump_log_carry_every_codec():
    topic = create("t-console", 1)
    expected = []
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    for number, codec in enumerate(codecs):
        produce(
            topic,
            [f"h1:a,h2:b\tkey{number}\tvalue {codec} {n}" for n in range(2)],
            *["--reader-property", "parse.key=true", "--reader-property", "parse.headers=true"],
            *["--compression-codec", codec, "--command-property", "acks=all"],
        )
        for n in range(2):
            offset = len(expected)
            expected.append(
                f"Partition:0\tOffset:{offset}\th1:a,h2:b\tkey{number}\tvalue {codec} {n}"
            )
    properties = ["print.key", "print.partition", "print.offset", "print.headers"]
    out, text = tool(
        "kafka-console-consumer",
        *SERVER,
        *["--topic", topic, "--partition", "0", "--offset", "earliest", "--max-messages", "10"],
        *[word for name in properties for word in ["--formatter-property", f"{name}=true"]],
    )
    lines = [line for line in out.splitlines() if line.startswith("Partition:")]
    equal(lines, expected)
    contains(text, "Processed a total of 10 messages")
    dump_log_reads(topic, codecs, expected)


def consumer_groups_follows_a_group_through_its_life():
    topic, group = create("t-groups", 2), unique("t-groups")
    produce(topic, [f"{n}" for n in range(5)])
    total = sum(int(line.split(":")[2]) for line in offsets(topic))
    equal(total, 5, "records")
    arguments = ["--topic", topic, "--group", group, "--from-beginning"]
    with tempfile.TemporaryFile() as printed:
        consumer = subprocess.Popen(
            [UPSTREAM, "tool", "kafka-console-consumer", *SERVER, *arguments]
            + ["--command-property", "auto.commit.interval.ms=200"],
            stdout=printed,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(
                lambda: numbers(printed) == ["0", "1", "2", "3", "4"], 40, "records consumed"
            )
            eventually(lambda: lag(topic, group) == ["0", "0"], 20, "no lag")
            a_live_group(topic, group)
        finally:
            consumer.terminate()
            consumer.wait(timeout=20)
    an_empty_group(topic, group)


def numbers(printed):
    """The records among what a console consumer printed, which also prints notices."""
    lines = os.pread(printed.fileno(), 1 << 16, 0).decode().splitlines()
    return sorted(line for line in lines if line.isdigit())


def described(topic, group):
    """Rows of the group's offsets, by partition."""
    out, _ = groups("--describe", "--group", group)
    found = [row for row in rows(out) if row[:2] == [group, topic]]
    return sorted(found, key=lambda row: row[2])


def lag(topic, group):
    return [row[5] for row in described(topic, group)]


def a_live_group(topic, group):
    out, _ = groups("--list")
    assert group in out.split(), out
    out, _ = groups("--list", "--state", "stable")
    equal([row for row in rows(out) if row[0] == group], [[group, "Stable"]])
    for row in described(topic, group):
        member, host, client = row[6:9]
        assert member.startswith("console-consumer-"), row
        equal((host, client), ("/127.0.0.1", "console-consumer"))
    out, _ = groups("--describe", "--group", group, "--state")
    (row,) = [row for row in rows(out) if row[0] == group]
    equal((row[1], row[3:]), (BOOTSTRAP, ["range", "Stable", "1"]))
    out, _ = groups("--describe", "--group", group, "--members", "--verbose")
    (row,) = [row for row in rows(out) if row[0] == group]
    equal(row[2:5], ["/127.0.0.1", "console-consumer", "2"])
    contains(" ".join(row[5:]), f"{topic}:0,1")
    _, text = groups("--delete", "--group", group)
    contains(text, "GroupNotEmptyException")


def console_consumers_share_a_group_of_the_consumer_protocol():
    topic, group = create("t-consumer-protocol", 2), unique("t-consumer-protocol")
    produce(topic, [f"{n}" for n in range(5)])
    arguments = ["--topic", topic, "--group", group, "--from-beginning"]
    for setting in ["group.protocol=consumer", "auto.commit.interval.ms=200"]:
        arguments += ["--command-property", setting]
    with tempfile.TemporaryFile() as printed:
        consumers = [
            subprocess.Popen(
                [UPSTREAM, "tool", "kafka-console-consumer", *SERVER, *arguments],
                stdout=printed,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]
        try:
            eventually(
                lambda: numbers(printed) == ["0", "1", "2", "3", "4"], 40, "records consumed"
            )
            two_console_consumers(topic, group)
        finally:
            for consumer in consumers:
                consumer.terminate()
            for consumer in consumers:
                consumer.wait(timeout=20)
    equal(lag(topic, group), ["0", "0"], "lag of the group that is left")
    out, _ = groups("--delete", "--group", group)
    contains(out, f"Deletion of requested consumer groups ('{group}') was successful.")


def two_console_consumers(topic, group):
    def shared():
        out, _ = groups("--describe", "--group", group, "--members", "--verbose")
        mine = [row for row in rows(out) if row[0] == group]
        return mine if sum(f"{topic}:" in " ".join(row) for row in mine) == 2 else None

    for row in eventually(shared, 20, "two members with a partition each"):
        equal(row[2:4], ["/127.0.0.1", "console-consumer"], "a member")
    out, _ = groups("--describe", "--group", group, "--state")
    (row,) = [row for row in rows(out) if row[0] == group]
    equal((row[1], row[3:]), (BOOTSTRAP, ["uniform", "Stable", "2"]), "the group")
    out, _ = groups("--list", "--type", "consumer")
    contains(out, group)


def an_empty_group(topic, group):
    _, text = groups("--describe", "--group", group)
    contains(text, f"Consumer group '{group}' has no active members.")
    ends = {line.split(":")[1]: line.split(":")[2] for line in offsets(topic)}
    for row in described(topic, group):
        equal(row[3:], [ends[row[2]], ends[row[2]], "0", "-", "-", "-"])
    out, _ = groups(
        *["--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute"]
    )
    reset = sorted(row for row in rows(out) if row[0] == group)
    equal(reset, [[group, topic, "0", "0"], [group, topic, "1", "0"]])
    equal([row[5] for row in described(topic, group)], [ends["0"], ends["1"]], "lag")
    out, _ = groups("--delete-offsets", "--group", group, "--topic", f"{topic}:1")
    contains(out, "Successful")
    equal([row[3] for row in described(topic, group)], ["0"], "offsets left")
    out, _ = groups("--delete", "--group", group)
    contains(out, f"Deletion of requested consumer groups ('{group}') was successful.")
    _, text = groups("--describe", "--group", group)
    contains(text, f"Group {group} not found.")


def get_offsets_delete_records_and_log_dirs_agree():
    topic = create("t-offsets", 2)
    produce(topic, [f"record {n}" for n in range(10)], "--sync")
    before = offsets(topic)
    equal(sum(int(line.split(":")[2]) for line in before), 10, "records")
    equal(offsets(topic, "--time", "earliest"), [f"{topic}:0:0", f"{topic}:1:0"])
    empty = log_dir_sizes(create("t-empty", 1))
    equal(list(empty.values()), [0])
    for partition, size in log_dir_sizes(topic).items():
        equal(size > 0, f"{topic}:{partition}:0" not in before, f"size of {partition} is {size}")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        wanted = [{"topic": topic, "partition": n, "offset": -1} for n in range(2)]
        json.dump({"partitions": wanted, "version": 1}, file)
        file.flush()
        out, _ = tool("kafka-delete-records", *SERVER, "--offset-json-file", file.name)
    told = sorted(line for line in out.splitlines() if line.startswith("partition: "))
    ends = [line.split(":")[2] for line in before]
    equal(told, [f"partition: {topic}-{n}\tlow_watermark: {ends[n]}" for n in range(2)])
    equal(offsets(topic, "--time", "earliest"), before)
    equal(offsets(topic, "--time", "latest"), before)


def dump_log_reads(topic, codecs, expected):
    """The broker runs on this machine, so upstream's tool can read the segment it wrote."""
    folder = os.path.join(log_dir(topic)["logDir"], f"{topic}-0")
    file = os.path.join(folder, "00000000000000000000.log")
    out, _ = tool("kafka-dump-log", "--files", file, "--print-data-log", "--deep-iteration")
    batches = re.findall(
        r"^baseOffset: \d+ lastOffset: \d+ count: (\d+) .* magic: 2 compresscodec: (\w+) "
        r"crc: \d+ isvalid: true$",
        out,
        re.M,
    )
    equal(sum(int(count) for count, _ in batches), len(expected), "records in the batches")
    equal(list(dict.fromkeys(codec for _, codec in batches)), codecs, "codecs of the batches")
    records = re.findall(
        r"^\| offset: (\d+) .* headerKeys: \[(.*)\] key: (.*) payload: (.*)$", out, re.M
    )
    # Of headers it prints the names only.
    names_only = [line.replace("h1:a,h2:b", "h1,h2") for line in expected]
    equal([f"Partition:0\tOffset:{o}\t{h}\t{k}\t{v}" for o, h, k, v in records], names_only)


def log_dir(topic):
    """What the broker tells of its one folder and of the topic in it."""
    out, _ = tool("kafka-log-dirs", *SERVER, "--describe", "--topic-list", topic)
    (broker,) = json.loads(out.splitlines()[-1])["brokers"]
    (folder,) = broker["logDirs"]
    equal(folder["error"], None)
    return folder


def log_dir_sizes(topic):
    """Partition number to size."""
    return {
        int(replica["partition"].rsplit("-", 1)[1]): replica["size"]
        for replica in log_dir(topic)["partitions"]
    }


def perf_tests_move_every_record():
    topic = create("t-perf", 3)
    out, _ = tool(
        "kafka-producer-perf-test",
        *["--topic", topic, "--num-records", "50000", "--record-size", "100"],
        *["--throughput", "-1", "--command-property", f"bootstrap.servers={BOOTSTRAP}"],
        *["acks=all", "compression.type=lz4"],
    )
    contains(out, "50000 records sent, ")
    equal(sum(int(line.split(":")[2]) for line in offsets(topic)), 50000, "records")
    out, _ = tool(
        *["kafka-consumer-perf-test", *SERVER, "--topic", topic, "--num-records", "50000"],
    )
    told = [cell.strip() for cell in out.splitlines()[-1].split(",")]
    equal(told[4], "50000", "records consumed")


def broker_api_versions_are_upstreams():
    out, _ = tool("kafka-broker-api-versions", *SERVER)
    contains(out.splitlines()[0], f"{BOOTSTRAP} (id: ")
    found = dict(re.findall(r"^\t(\w+)\(\d+\): (\d+(?: to \d+)?) \[usable: \d+\]", out, re.M))
    equal({name: found.get(name) for name in VERSIONS}, VERSIONS)


def the_cluster_tools_answer():
    out, _ = tool("kafka-metadata-quorum", *SERVER, "describe", "--status")
    told = {row[0]: row[1] for row in rows(out) if len(row) == 2}
    out, _ = tool("kafka-cluster", "cluster-id", *SERVER)
    equal(out, f"Cluster ID: {told['ClusterId:']}\n")
    out, _ = tool("kafka-features", *SERVER, "describe")
    contains(out, "Feature: metadata.version")
    nowhere = unique("t-elect")
    _, text = tool(
        *["kafka-leader-election", *SERVER, "--election-type", "preferred"],
        *["--topic", nowhere, "--partition", "0"],
        status=1,
    )
    contains(text, "UnknownTopicOrPartitionException")


for body in [
    topics_creates_alters_lists_describes_and_deletes,
    topics_tells_what_is_wrong,
    configs_sets_describes_and_deletes,
    console_tools_and_dump_log_carry_every_codec,
    consumer_groups_follows_a_group_through_its_life,
    console_consumers_share_a_group_of_the_consumer_protocol,
    get_offsets_delete_records_and_log_dirs_agree,
    perf_tests_move_every_record,
    broker_api_versions_are_upstreams,
    the_cluster_tools_answer,
]:
    part.check(body.__name__, body, deadline=90)
part.end()
