import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Makes share groups and their members, and the few steps that every file of their checks takes. */
final class Shares {
    /** A member in explicit mode. */
    static final String[] EXPLICIT = {"share.acknowledgement.mode", "explicit"};

    private Shares() {}

    /** A group that no other run uses, which begins at the earliest records, with these configs. */
    static String group(String name, String... configs) throws Exception {
        String group = Check.unique(name);
        ConsumerGroups.configure(group, "share.auto.offset.reset", "earliest");
        if (configs.length > 0) {
            ConsumerGroups.configure(group, configs);
        }
        return group;
    }

    static String[] explicit(String... pairs) {
        String[] all = new String[pairs.length + 2];
        System.arraycopy(EXPLICIT, 0, all, 0, 2);
        System.arraycopy(pairs, 0, all, 2, pairs.length);
        return all;
    }

    static KafkaShareConsumer<String, String> member(
        String group, List<String> topics, String... pairs) {
        var properties = Clients.properties("group.id", group, "fetch.max.wait.ms", "50");
        properties.putAll(Clients.properties(pairs));
        var member = new KafkaShareConsumer<>(
            properties, new StringDeserializer(), new StringDeserializer());
        member.subscribe(topics);
        return member;
    }

    static KafkaShareConsumer<String, String> member(String group, String topic, String... pairs) {
        return member(group, List.of(topic), pairs);
    }

    /** Polls until something comes. */
    static List<ConsumerRecord<String, String>> poll(KafkaShareConsumer<String, String> member) {
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        while (records.isEmpty()) {
            Check.that(System.nanoTime() < end, "no records for 20 s");
            member.poll(Duration.ofMillis(100)).forEach(records::add);
        }
        return records;
    }

    /** Polls until there are `count` records, and fails when there are more. */
    static List<ConsumerRecord<String, String>> take(KafkaShareConsumer<String, String> member,
        int count, BiConsumer<KafkaShareConsumer<String, String>,
            ConsumerRecord<String, String>> acknowledge) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        while (records.size() < count) {
            for (ConsumerRecord<String, String> record : poll(member)) {
                acknowledge.accept(member, record);
                records.add(record);
            }
        }
        Check.equal(Clients.values(records).size(), count, "records " + Clients.values(records));
        return records;
    }

    /** The same, by a member in implicit mode, which accepts them. */
    static List<ConsumerRecord<String, String>> take(
        KafkaShareConsumer<String, String> member, int count) {
        List<ConsumerRecord<String, String>> records = take(member, count, (one, record) -> {});
        commit(member);
        return records;
    }

    /** The same, each acknowledged so, which is committed. */
    static List<ConsumerRecord<String, String>> take(
        KafkaShareConsumer<String, String> member, int count, AcknowledgeType type) {
        List<ConsumerRecord<String, String>> records =
            take(member, count, (one, record) -> one.acknowledge(record, type));
        commit(member);
        return records;
    }

    /** Commits what is acknowledged, of which nothing may be refused. */
    static void commit(KafkaShareConsumer<String, String> member) {
        commitSync(member).forEach((where, error) ->
            Check.equal(error, Optional.empty(), "commit of " + where));
    }

    static Map<TopicIdPartition, Optional<KafkaException>> commitSync(
        KafkaShareConsumer<String, String> member) {
        return member.commitSync(Duration.ofSeconds(20));
    }

    /** Nothing comes for so long. */
    static void nothing(KafkaShareConsumer<String, String> member, int millis) {
        long end = System.nanoTime() + Duration.ofMillis(millis).toNanos();
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        while (System.nanoTime() < end) {
            member.poll(Duration.ofMillis(50)).forEach(records::add);
        }
        Check.equal(Clients.values(records), List.of(), "records");
    }

    static List<Integer> deliveries(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(one -> (int) one.deliveryCount().orElseThrow()).toList();
    }

    static List<Integer> times(int count, int each) {
        return java.util.Collections.nCopies(count, each);
    }

    static SharePartitionOffsetInfo offset(String group, String topic, int partition)
        throws Exception {
        TopicPartition where = new TopicPartition(topic, partition);
        return Clients.get(Clients.ADMIN.listShareGroupOffsets(Map.of(group,
            new ListShareGroupOffsetsSpec().topicPartitions(List.of(where))))
            .partitionsToOffsetInfo(group)).get(where);
    }

    /** No record of these partitions is left for the group: none that is new, and none in flight. */
    static void allDone(String group, String topic, int partitions) throws Exception {
        for (int partition = 0; partition < partitions; partition++) {
            int number = partition;
            Check.soonEqual("lag in partition " + partition, 0L, () -> {
                SharePartitionOffsetInfo info = offset(group, topic, number);
                return info == null ? -1L : (long) info.lag().orElse(-1L);
            });
        }
    }
}
