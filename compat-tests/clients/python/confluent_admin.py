"""librdkafka's admin client: topics, configs, groups and offsets, and what it must refuse."""

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    OFFSET_END,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from confluent_clients import consumer, create, deliver, has_code, read, take, text
from harness import BOOTSTRAP, START, equal, eventually, raises, soon_equal, unique

admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def refused(code, future):
    """The future must fail with exactly this code; returns its message."""
    error = raises(KafkaException, lambda: future.result(30), has_code(code))
    return error.args[0].str()


def new_topic(topic, **config):
    """The future of one topic's creation."""
    return admin.create_topics([NewTopic(topic, **config)])[topic]


def topic_configs(topic):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return admin.describe_configs([resource])[resource].result(30)


def alter(topic, operation, name, value=None):
    entry = ConfigEntry(name, value, incremental_operation=operation)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    return admin.incremental_alter_configs([resource])[resource]


def describe_topic(topic):
    """The description of a topic that exists, as soon as the broker knows of it."""

    def described():
        try:
            return admin.describe_topics(TopicCollection([topic]))[topic].result(30)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise

    return eventually(described, what=f"description of {topic}")


def listed(topic):
    return topic in admin.list_topics(timeout=10).topics


def the_cluster_is_described():
    cluster = admin.describe_cluster(include_authorized_operations=False).result(30)
    equal(len(cluster.nodes), 1, "nodes")
    equal(f"{cluster.nodes[0].host}:{cluster.nodes[0].port}", BOOTSTRAP)
    equal(cluster.controller.id, cluster.nodes[0].id, "controller")
    equal(len(cluster.cluster_id), 22, "length of the cluster id")


def a_topic_is_created_described_and_deleted():
    topic = create("ca-topic", partitions=3)
    described = describe_topic(topic)
    assert listed(topic)
    (node,) = admin.describe_cluster().result(30).nodes
    equal([p.id for p in described.partitions], [0, 1, 2])
    for partition in described.partitions:
        equal(partition.leader.id, node.id)
        equal([n.id for n in partition.replicas], [node.id])
        equal([n.id for n in partition.isr], [node.id])
    equal(described.is_internal, False)
    admin.delete_topics([topic])[topic].result(30)
    eventually(lambda: not listed(topic), what="topic gone")
    refused(
        KafkaError.UNKNOWN_TOPIC_OR_PART, admin.describe_topics(TopicCollection([topic]))[topic]
    )


def a_topic_created_again_is_empty_and_another():
    topic = create("ca-again")
    deliver(topic, [{"value": "old"}])
    before = describe_topic(topic).topic_id
    admin.delete_topics([topic])[topic].result(30)
    eventually(lambda: not listed(topic), what="topic gone")
    new_topic(topic, num_partitions=1).result(30)
    assert str(describe_topic(topic).topic_id) != str(before), before
    (report,) = deliver(topic, [{"value": "new"}])
    equal(report.offset(), 0)
    equal([text(m.value()) for m in read(topic, 1)], ["new"])


def partitions_are_added():
    topic = create("ca-partitions", partitions=2)
    deliver(topic, [{"value": "kept", "partition": 1}])
    admin.create_partitions([NewPartitions(topic, 4)])[topic].result(30)
    eventually(lambda: len(describe_topic(topic).partitions) == 4, what="four partitions")
    (report,) = deliver(topic, [{"value": "new", "partition": 3}])
    equal((report.partition(), report.offset()), (3, 0))
    equal([text(m.value()) for m in read(topic, 1, partition=1)], ["kept"])
    for count in [4, 3]:
        refused(
            KafkaError.INVALID_PARTITIONS,
            admin.create_partitions([NewPartitions(topic, count)])[topic],
        )


def configs_are_described_with_their_defaults():
    topic = create("ca-configs", retention_ms="3600000", cleanup_policy="delete")
    configs = topic_configs(topic)
    expected = {
        "cleanup.policy": "delete",
        "compression.type": "producer",
        "max.message.bytes": "1048588",
        "message.timestamp.type": "CreateTime",
        "min.insync.replicas": "1",
        "retention.bytes": "-1",
        "retention.ms": "3600000",
        "segment.bytes": "1073741824",
        "segment.ms": "604800000",
    }
    equal({key: configs[key].value for key in expected}, expected)
    # Where the source of min.insync.replicas is depends on the cluster's feature levels.
    changed = {key for key in configs if not configs[key].is_default} - {"min.insync.replicas"}
    equal(changed, {"cleanup.policy", "retention.ms"}, "configs of the topic itself")
    equal(configs["retention.ms"].source, ConfigSource.DYNAMIC_TOPIC_CONFIG.value)
    equal(configs["segment.ms"].source, ConfigSource.DEFAULT_CONFIG.value)


def configs_are_set_appended_subtracted_and_deleted():
    topic = create("ca-alter")
    op = AlterConfigOpType

    def altered(name, operation, value, expected):
        alter(topic, operation, name, value).result(30)
        soon_equal(lambda: topic_configs(topic)[name].value, expected, f"{name} after {operation}")

    altered("retention.ms", op.SET, "1234567", "1234567")
    altered("cleanup.policy", op.APPEND, "compact", "delete,compact")
    altered("cleanup.policy", op.SUBTRACT, "compact", "delete")
    altered("retention.ms", op.DELETE, None, "604800000")
    equal(topic_configs(topic)["retention.ms"].is_default, True)


def a_config_change_takes_effect():
    topic = create("ca-effect")
    alter(topic, AlterConfigOpType.SET, "max.message.bytes", "500").result(30)
    soon_equal(lambda: topic_configs(topic)["max.message.bytes"].value, "500")
    raises(
        KafkaException,
        lambda: deliver(topic, [{"value": "x" * 1000}]),
        has_code(KafkaError.MSG_SIZE_TOO_LARGE),
    )
    alter(topic, AlterConfigOpType.DELETE, "max.message.bytes").result(30)
    soon_equal(lambda: topic_configs(topic)["max.message.bytes"].value, "1048588")
    (report,) = deliver(topic, [{"value": "x" * 1000}])
    equal(report.offset(), 0)


def wrong_configs_are_refused():
    topic = create("ca-wrong")
    code = KafkaError.INVALID_CONFIG
    said = refused(code, alter(topic, AlterConfigOpType.SET, "retention.ms", "banana"))
    equal(
        said,
        "Invalid value banana for configuration retention.ms: Not a number of type LONG",
    )
    refused(code, alter(topic, AlterConfigOpType.SET, "no.such.config", "1"))
    refused(code, alter(topic, AlterConfigOpType.SET, "cleanup.policy", "burn"))
    refused(code, alter(topic, AlterConfigOpType.SET, "min.insync.replicas", "0"))
    refused(code, alter(topic, AlterConfigOpType.APPEND, "retention.ms", "1"))
    equal(topic_configs(topic)["retention.ms"].value, "604800000")
    other = unique("ca-wrong-new")
    refused(code, new_topic(other, num_partitions=1, config={"retention.ms": "banana"}))
    assert not listed(other)
    refused(
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        alter(unique("ca-nowhere"), AlterConfigOpType.SET, "retention.ms", "1"),
    )


def wrong_topics_are_refused():
    topic = create("ca-exists")
    refused(KafkaError.TOPIC_ALREADY_EXISTS, new_topic(topic, num_partitions=1))
    refused(KafkaError.TOPIC_EXCEPTION, new_topic("no/slashes", num_partitions=1))
    refused(KafkaError.TOPIC_EXCEPTION, new_topic("x" * 250, num_partitions=1))
    refused(
        KafkaError.INVALID_REPLICATION_FACTOR,
        new_topic(unique("ca-rf"), num_partitions=1, replication_factor=2),
    )
    refused(KafkaError.INVALID_PARTITIONS, new_topic(unique("ca-zero"), num_partitions=0))
    nowhere = unique("ca-nowhere")
    refused(KafkaError.UNKNOWN_TOPIC_OR_PART, admin.delete_topics([nowhere])[nowhere])
    refused(
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        admin.create_partitions([NewPartitions(nowhere, 2)])[nowhere],
    )


def a_validated_topic_is_not_created():
    topic = unique("ca-validate")
    admin.create_topics([NewTopic(topic, num_partitions=1)], validate_only=True)[topic].result(30)
    assert not listed(topic)


def replicas_may_be_assigned_by_hand():
    (node,) = admin.describe_cluster().result(30).nodes
    topic = unique("ca-assigned")
    new_topic(topic, num_partitions=2, replica_assignment=[[node.id], [node.id]]).result(30)
    equal(len(describe_topic(topic).partitions), 2)
    refused(
        KafkaError.INVALID_REPLICA_ASSIGNMENT,
        new_topic(
            unique("ca-misassigned"), num_partitions=1, replica_assignment=[[node.id + 70]]
        ),
    )


def list_offsets(topic, spec):
    where = TopicPartition(topic, 0)
    isolation = IsolationLevel.READ_UNCOMMITTED
    futures = admin.list_offsets({where: spec}, isolation_level=isolation)
    return futures[where].result(30)


def offsets_are_listed_and_records_deleted():
    topic = create("ca-offsets")
    times = [START, START + 5000, START + 1000]
    deliver(topic, [{"value": f"{n}", "timestamp": at} for n, at in enumerate(times)])
    equal(list_offsets(topic, OffsetSpec.earliest()).offset, 0)
    equal(list_offsets(topic, OffsetSpec.latest()).offset, 3)
    newest = list_offsets(topic, OffsetSpec.max_timestamp())
    equal((newest.offset, newest.timestamp), (1, START + 5000), "record of the highest time")
    found = list_offsets(topic, OffsetSpec.for_timestamp(START + 1))
    equal((found.offset, found.timestamp), (1, START + 5000), "first record at or after a time")

    def delete_before(offset):
        where = TopicPartition(topic, 0, offset)
        return admin.delete_records([where])[where]

    equal(delete_before(2).result(30).low_watermark, 2)
    equal(list_offsets(topic, OffsetSpec.earliest()).offset, 2)
    equal([m.offset() for m in read(topic, 1)], [2])
    refused(KafkaError.OFFSET_OUT_OF_RANGE, delete_before(4))
    equal(delete_before(OFFSET_END).result(30).low_watermark, 3)
    equal(read(topic, 0), [])
    (report,) = deliver(topic, [{"value": "next"}])
    equal(report.offset(), 3)


def groups_are_listed_described_and_deleted():
    topic, group = create("ca-groups", partitions=2), unique("ca-groups")
    deliver(topic, [{"value": f"{n}", "partition": n % 2} for n in range(8)])
    member = consumer(group, client_id="a-client", session_timeout_ms=10_000)
    member.subscribe([topic])
    take(member, 8)
    member.commit(asynchronous=False)
    (entry,) = [g for g in admin.list_consumer_groups().result(30).valid if g.group_id == group]
    equal(entry.state, ConsumerGroupState.STABLE)
    equal(entry.is_simple_consumer_group, False)
    described = admin.describe_consumer_groups([group])[group].result(30)
    equal(described.state, ConsumerGroupState.STABLE)
    equal(described.partition_assignor, "range")
    (told,) = described.members
    equal(told.client_id, "a-client")
    assert told.member_id.startswith("a-client-"), told.member_id
    equal(told.host, "/127.0.0.1")
    owned = sorted((p.topic, p.partition) for p in told.assignment.topic_partitions)
    equal(owned, [(topic, 0), (topic, 1)], "assignment")
    refused(KafkaError.NON_EMPTY_GROUP, admin.delete_consumer_groups([group])[group])
    member.close()
    described = admin.describe_consumer_groups([group])[group].result(30)
    equal((described.state, described.members), (ConsumerGroupState.EMPTY, []))
    admin.delete_consumer_groups([group])[group].result(30)
    assert group not in [g.group_id for g in admin.list_consumer_groups().result(30).valid]
    refused(KafkaError.GROUP_ID_NOT_FOUND, admin.delete_consumer_groups([group])[group])


def group_offsets(group, partitions=None):
    request = ConsumerGroupTopicPartitions(group, partitions)
    answer = admin.list_consumer_group_offsets([request])[group].result(30)
    return {(p.topic, p.partition): p.offset for p in answer.topic_partitions}


def offsets_of_a_group_are_listed_and_altered():
    topic, group = create("ca-group-offsets"), unique("ca-group-offsets")
    deliver(topic, [{"value": f"{n}"} for n in range(10)])
    member = consumer(group, session_timeout_ms=10_000)
    member.subscribe([topic])
    take(member, 10)
    member.commit(asynchronous=False)
    equal(group_offsets(group), {(topic, 0): 10})
    change = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 4)])

    def alter_offsets():
        answer = admin.alter_consumer_group_offsets([change])[group].result(30)
        (partition,) = answer.topic_partitions
        return partition.error and partition.error.code()

    equal(alter_offsets(), KafkaError.UNKNOWN_MEMBER_ID, "altered while a member is there")
    member.close()
    equal(alter_offsets(), None, "altered in an empty group")
    equal(group_offsets(group, [TopicPartition(topic, 0)]), {(topic, 0): 4})
    again = consumer(group)
    again.subscribe([topic])
    equal([m.offset() for m in take(again, 6)], list(range(4, 10)))
    again.close()


def run(part):
    for body in [
        the_cluster_is_described,
        a_topic_is_created_described_and_deleted,
        a_topic_created_again_is_empty_and_another,
        partitions_are_added,
        configs_are_described_with_their_defaults,
        configs_are_set_appended_subtracted_and_deleted,
        a_config_change_takes_effect,
        wrong_configs_are_refused,
        wrong_topics_are_refused,
        a_validated_topic_is_not_created,
        replicas_may_be_assigned_by_hand,
        offsets_are_listed_and_records_deleted,
        groups_are_listed_described_and_deleted,
        offsets_of_a_group_are_listed_and_altered,
    ]:
        part.check(f"confluent_{body.__name__}", body)
