import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidReplicaAssignmentException;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Topics and partitions through the admin client. */
final class AdminTopics {
    private static final Admin ADMIN = Clients.ADMIN;

    private AdminTopics() {}

    static void run(Check part) {
        part.check("a_topic_is_created_described_and_deleted", AdminTopics::lifecycle);
        part.check("the_answer_to_a_create_describes_the_topic", AdminTopics::createAnswer);
        part.check("a_topic_is_described_and_deleted_by_id", AdminTopics::byId);
        part.check("a_topic_created_again_is_empty_and_another", AdminTopics::again);
        part.check("many_topics_are_created_and_deleted_at_once", AdminTopics::many);
        part.check("partitions_are_added", AdminTopics::partitionsAdded);
        part.check("wrong_partition_counts_are_refused", AdminTopics::wrongPartitions);
        part.check("wrong_topics_are_refused", AdminTopics::wrongTopics);
        part.check("a_validated_topic_is_not_created", AdminTopics::validated);
        part.check("replicas_may_be_assigned_by_hand", AdminTopics::assigned);
        part.check("records_are_deleted_up_to_an_offset", AdminTopics::recordsDeleted);
        part.check("internal_topics_are_listed_only_when_asked_for", AdminTopics::internal);
    }

    private static CreateTopicsResult create(NewTopic topic) {
        return ADMIN.createTopics(List.of(topic));
    }

    private static boolean listed(String topic) throws Exception {
        return Clients.get(ADMIN.listTopics().names()).contains(topic);
    }

    private static void delete(String topic) throws Exception {
        Clients.get(ADMIN.deleteTopics(List.of(topic)).all());
        Check.eventually(20, "topic gone", () -> !listed(topic));
    }

    static Node node() throws Exception {
        Collection<Node> nodes = Clients.get(ADMIN.describeCluster().nodes());
        Check.equal(nodes.size(), 1, "nodes");
        return nodes.iterator().next();
    }

    private static void lifecycle() throws Exception {
        String topic = Clients.create("ja-topic", 3);
        TopicDescription described = Clients.describe(topic);
        Check.that(listed(topic), "not listed");
        Check.equal(described.isInternal(), false, "internal");
        Check.that(!described.topicId().equals(Uuid.ZERO_UUID), "no topic id");
        List<Node> here = List.of(node());
        List<Integer> numbers = new ArrayList<>();
        for (TopicPartitionInfo partition : described.partitions()) {
            numbers.add(partition.partition());
            Check.equal(partition.leader(), here.get(0), "leader");
            Check.equal(partition.replicas(), here, "replicas");
            Check.equal(partition.isr(), here, "isr");
        }
        Check.equal(numbers, List.of(0, 1, 2), "partitions");
        delete(topic);
        Check.raises(UnknownTopicOrPartitionException.class,
            () -> Clients.get(ADMIN.describeTopics(List.of(topic)).allTopicNames()));
        Check.raises(UnknownTopicOrPartitionException.class,
            () -> Clients.get(ADMIN.deleteTopics(List.of(topic)).all()));
    }

    private static void createAnswer() throws Exception {
        String topic = Check.unique("ja-answer");
        CreateTopicsResult result = create(new NewTopic(topic, 2, (short) 1)
            .configs(Map.of("retention.ms", "60000")));
        Check.equal(Clients.get(result.numPartitions(topic)), 2, "partitions");
        Check.equal(Clients.get(result.replicationFactor(topic)), 1, "replication factor");
        Check.equal(Clients.get(result.config(topic)).get("retention.ms").value(), "60000",
            "config given");
        Check.equal(Clients.get(result.config(topic)).get("segment.ms").value(), "604800000",
            "config by default");
        Check.equal(Clients.get(result.topicId(topic)), Clients.describe(topic).topicId(), "id");
        String other = Check.unique("ja-defaults");
        result = create(new NewTopic(other, java.util.Optional.empty(),
            java.util.Optional.empty()));
        Check.equal(Clients.get(result.numPartitions(other)), 1, "partitions by default");
        Check.equal(Clients.get(result.replicationFactor(other)), 1, "replicas by default");
    }

    private static void byId() throws Exception {
        String topic = Clients.create("ja-id", 1);
        Uuid id = Clients.describe(topic).topicId();
        TopicCollection ids = TopicCollection.ofTopicIds(List.of(id));
        Check.equal(Clients.get(ADMIN.describeTopics(ids).allTopicIds()).get(id).name(), topic,
            "name");
        Clients.get(ADMIN.deleteTopics(ids).all());
        Check.eventually(20, "topic gone", () -> !listed(topic));
        Check.raises(UnknownTopicIdException.class,
            () -> Clients.get(ADMIN.deleteTopics(ids).all()));
        Check.raises(UnknownTopicIdException.class,
            () -> Clients.get(ADMIN.describeTopics(ids).allTopicIds()));
    }

    private static void again() throws Exception {
        String topic = Clients.create("ja-again", 1);
        Clients.sendValues(topic, 1, "old", 3);
        Uuid before = Clients.describe(topic).topicId();
        delete(topic);
        Clients.get(create(new NewTopic(topic, 1, (short) 1)).all());
        Check.that(!Clients.describe(topic).topicId().equals(before), "the same topic id");
        Check.equal(Clients.send(List.of(new ProducerRecord<>(topic, "new"))), List.of(0L),
            "offset");
        Check.equal(Clients.values(Clients.read(topic, 0, 1)), List.of("new"), "values");
    }

    private static void many() throws Exception {
        List<String> names = new ArrayList<>();
        List<NewTopic> topics = new ArrayList<>();
        for (int n = 0; n < 20; n++) {
            names.add(Check.unique("ja-many-" + n));
            topics.add(new NewTopic(names.get(n), 2, (short) 1));
        }
        Clients.get(ADMIN.createTopics(topics).all());
        Check.eventually(20, "topics listed",
            () -> Clients.get(ADMIN.listTopics().names()).containsAll(names));
        Clients.get(ADMIN.deleteTopics(names).all());
        Check.eventually(20, "topics gone", () -> Clients.get(ADMIN.listTopics().names())
            .stream().noneMatch(names::contains));
    }

    private static void partitionsAdded() throws Exception {
        String topic = Clients.create("ja-partitions", 2);
        Clients.sendValues(topic, 2, "v", 4);
        Clients.get(ADMIN.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all());
        Check.soonEqual("partitions", 5, () -> Clients.describe(topic).partitions().size());
        Check.equal(Clients.send(List.of(new ProducerRecord<>(topic, 4, null, "w"))), List.of(0L),
            "offset");
        Check.equal(Clients.values(Clients.read(topic, 1, 2)), List.of("v1", "v3"), "kept");
        Check.equal(Clients.values(Clients.read(topic, 4, 1)), List.of("w"), "new");
    }

    private static void wrongPartitions() throws Exception {
        String topic = Clients.create("ja-shrink", 3);
        for (int count : List.of(1, 3, 0, -2)) {
            Check.raises(InvalidPartitionsException.class, () -> Clients.get(
                ADMIN.createPartitions(Map.of(topic, NewPartitions.increaseTo(count))).all()));
        }
        Check.raises(InvalidReplicaAssignmentException.class, () -> Clients.get(
            ADMIN.createPartitions(Map.of(topic,
                NewPartitions.increaseTo(4, List.of(List.of(12345))))).all()));
        Check.raises(UnknownTopicOrPartitionException.class, () -> Clients.get(
            ADMIN.createPartitions(
                Map.of(Check.unique("ja-nowhere"), NewPartitions.increaseTo(3))).all()));
        Check.equal(Clients.describe(topic).partitions().size(), 3, "partitions");
    }

    private static void wrongTopics() throws Exception {
        String topic = Clients.create("ja-exists", 1);
        TopicExistsException exists = Check.raises(TopicExistsException.class,
            () -> Clients.get(create(new NewTopic(topic, 1, (short) 1)).all()));
        Check.equal(exists.getMessage(), "Topic '" + topic + "' already exists.", "message");
        for (String name : List.of("no/slashes", "x".repeat(250), "..", "")) {
            Check.raises(InvalidTopicException.class,
                () -> Clients.get(create(new NewTopic(name, 1, (short) 1)).all()));
        }
        String other = Check.unique("ja-wrong");
        Check.raises(InvalidReplicationFactorException.class,
            () -> Clients.get(create(new NewTopic(other, 1, (short) 2)).all()));
        Check.raises(InvalidReplicationFactorException.class,
            () -> Clients.get(create(new NewTopic(other, 1, (short) 0)).all()));
        Check.raises(InvalidPartitionsException.class,
            () -> Clients.get(create(new NewTopic(other, 0, (short) 1)).all()));
        Check.that(!listed(other), "a refused topic was created");
        String dotted = Clients.create("ja.dotted", 1);
        Check.raises(InvalidTopicException.class, () -> Clients.get(
            create(new NewTopic(dotted.replace('.', '_'), 1, (short) 1)).all()));
    }

    private static void validated() throws Exception {
        String topic = Check.unique("ja-validated");
        Clients.get(ADMIN.createTopics(List.of(new NewTopic(topic, 1, (short) 1)),
            new CreateTopicsOptions().validateOnly(true)).all());
        Check.that(!listed(topic), "a validated topic was created");
    }

    private static void assigned() throws Exception {
        int id = node().id();
        String topic = Check.unique("ja-assigned");
        Clients.get(create(new NewTopic(topic, Map.of(0, List.of(id), 1, List.of(id)))).all());
        Check.equal(Clients.describe(topic).partitions().size(), 2, "partitions");
        String other = Check.unique("ja-misassigned");
        for (Map<Integer, List<Integer>> wrong : List.of(Map.of(0, List.of(id + 70)),
                Map.of(0, List.of(id, id)), Map.of(1, List.of(id)))) {
            Check.raises(InvalidReplicaAssignmentException.class,
                () -> Clients.get(create(new NewTopic(other, wrong)).all()));
        }
    }

    private static void recordsDeleted() throws Exception {
        String topic = Clients.create("ja-delete-records", 1);
        Clients.sendValues(topic, 1, "v", 10);
        TopicPartition where = new TopicPartition(topic, 0);
        Check.equal(deleteBefore(where, 4), 4L, "low watermark");
        Check.equal(Clients.offsets(Clients.read(topic, 0, 6)), Clients.range(4, 10), "offsets");
        Check.equal(deleteBefore(where, 2), 4L, "low watermark after an older offset");
        Check.raises(OffsetOutOfRangeException.class, () -> deleteBefore(where, 11));
        Check.equal(deleteBefore(where, -1), 10L, "low watermark at the end");
        Check.equal(Clients.send(List.of(new ProducerRecord<>(topic, "next"))), List.of(10L),
            "offset");
    }

    private static long deleteBefore(TopicPartition where, long offset) throws Exception {
        try {
            return Clients.get(ADMIN.deleteRecords(
                Map.of(where, RecordsToDelete.beforeOffset(offset))).lowWatermarks().get(where))
                .lowWatermark();
        } catch (ExecutionException error) {
            throw (Exception) error.getCause();
        }
    }

    private static void internal() throws Exception {
        Check.that(!listed("__consumer_offsets"), "listed without being asked for");
        Check.that(Clients.get(ADMIN.listTopics(new ListTopicsOptions().listInternal(true)).names())
            .contains("__consumer_offsets"), "not listed");
        TopicDescription described = Clients.describe("__consumer_offsets");
        Check.equal(described.isInternal(), true, "internal");
        Check.equal(described.partitions().size(), 50, "partitions");
    }
}
