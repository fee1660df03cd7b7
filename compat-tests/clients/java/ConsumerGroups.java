import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnreleasedInstanceIdException;
import org.apache.kafka.common.errors.UnsupportedAssignorException;

/**
 * Consumer groups of KIP-848 (`group.protocol=consumer`), whose partitions the broker assigns. Run
 * with today's client and with an old one, which has less of it: what only today's has is elsewhere
 * ({@link ConsumerGroupsToday}).
 */
public final class ConsumerGroups {
    static final String[] CONSUMER = {"group.protocol", "consumer"};

    private ConsumerGroups() {}

    public static void main(String[] arguments) {
        Check part = new Check(arguments[0]);
        boolean today = arguments[0].equals("consumer-groups");
        part.check("three_members_share_partitions_uniform", 90,
            () -> threeMembers("uniform", today));
        part.check("three_members_share_partitions_range", 90, () -> threeMembers("range", today));
        part.check("each_assignor_shares_two_topics_its_own_way", ConsumerGroups::twoTopics);
        part.check("members_with_different_topics_get_their_own", ConsumerGroups::different);
        part.check("group_resumes_from_commit", ConsumerGroups::resumes);
        part.check("auto_commit_is_made_on_close", ConsumerGroups::autoCommit);
        part.check("a_member_seeks_and_pauses", ConsumerGroups::seeks);
        part.check("a_member_changes_its_topics", ConsumerGroups::changes);
        part.check("a_member_finds_added_partitions", ConsumerGroups::addedPartitions);
        part.check("a_topic_that_is_made_again_is_read_from_its_start", ConsumerGroups::again);
        part.check("a_pattern_of_the_client_finds_a_new_topic", ConsumerGroups::clientPattern);
        part.check("a_static_member_comes_back_to_what_it_had", ConsumerGroups::staticMember);
        part.check("a_second_static_member_of_one_name_is_refused", ConsumerGroups::unreleased);
        part.check("a_member_that_polls_too_late_loses_its_partitions", ConsumerGroups::pollsLate);
        part.check("an_assignor_that_is_not_there_is_refused", ConsumerGroups::unknownAssignor);
        part.check("consume_transform_produce_is_exactly_once", 90,
            () -> TransactionsOffsets.chain("cg-chain", CONSUMER));
        if (today) {
            ConsumerGroupsToday.run(part);
            ConsumerGroupsAdmin.run(part);
        }
        part.end();
    }

    static String[] with(String... pairs) {
        String[] all = new String[pairs.length + 2];
        System.arraycopy(CONSUMER, 0, all, 0, 2);
        System.arraycopy(pairs, 0, all, 2, pairs.length);
        return all;
    }

    /** Sets configs of a group; a null takes one away. */
    static void configure(String group, String... pairs) throws Exception {
        List<AlterConfigOp> changes = new ArrayList<>();
        for (int i = 0; i < pairs.length; i += 2) {
            changes.add(new AlterConfigOp(new ConfigEntry(pairs[i], pairs[i + 1]),
                pairs[i + 1] == null ? AlterConfigOp.OpType.DELETE : AlterConfigOp.OpType.SET));
        }
        Clients.get(Clients.ADMIN.incrementalAlterConfigs(Map.of(
            new ConfigResource(ConfigResource.Type.GROUP, group), changes)).all());
    }

    private static void threeMembers(String assignor, boolean today) throws Exception {
        String topic = Clients.create("cg-share-" + assignor, 6);
        List<String> sent = new ArrayList<>(Clients.sendValues(topic, 6, "a", 60));
        String[] config = with("group.remote.assignor", assignor);
        try (Members members = new Members(Check.unique("cg-share-" + assignor), topic)) {
            members.join(config);
            members.settle(6);
            members.join(config);
            members.settle(3, 3);
            members.join(config);
            members.settle(2, 2, 2);
            if (assignor.equals("uniform")) {
                Check.equal(members.revoked.get(0).size(), 4, "revocations of the first member");
            }
            members.leave(1);
            members.settle(3, 3, 0);
            sent.addAll(Clients.sendValues(topic, 6, "b", 60));
            members.pollUntil(30, "every record read",
                () -> new TreeSet<>(members.values).size() >= sent.size());
            sent.sort(null);
            // The old client may give out records that it had fetched of a partition after it has
            // committed and given up that partition.
            List<String> read = today ? new ArrayList<>(members.values)
                : new ArrayList<>(new TreeSet<>(members.values));
            read.sort(null);
            Check.equal(read, sent, "records read by the group");
            Check.equal(members.lost, List.of(List.of(), List.of(), List.of()), "lost");
        }
    }

    private static void twoTopics() throws Exception {
        String one = Clients.create("cg-two-one", 3);
        String two = Clients.create("cg-two-two", 3);
        for (String assignor : List.of("range", "uniform")) {
            try (Members members =
                    new Members(Check.unique("cg-two-" + assignor), List.of(one, two))) {
                members.join(with("group.remote.assignor", assignor));
                members.join(with("group.remote.assignor", assignor));
                // Range gives each topic's partitions to the same members.
                members.settle(assignor.equals("range") ? new Integer[] {2, 4}
                    : new Integer[] {3, 3});
                for (KafkaConsumer<String, String> consumer : members.consumers) {
                    Set<Integer> ofOne = partitions(consumer, one);
                    Set<Integer> ofTwo = partitions(consumer, two);
                    Check.equal(ofOne.equals(ofTwo), assignor.equals("range"), "the same of both");
                }
            }
        }
    }

    private static Set<Integer> partitions(KafkaConsumer<?, ?> consumer, String topic) {
        Set<Integer> partitions = new TreeSet<>();
        consumer.assignment().stream().filter(where -> where.topic().equals(topic))
            .forEach(where -> partitions.add(where.partition()));
        return partitions;
    }

    private static void different() throws Exception {
        String one = Clients.create("cg-different-one", 4);
        String two = Clients.create("cg-different-two", 4);
        try (Members members = new Members(Check.unique("cg-different"), List.of())) {
            members.join(List.of(one), CONSUMER);
            members.join(List.of(one, two), CONSUMER);
            members.join(List.of(two), CONSUMER);
            members.pollUntil(30, "all eight", () -> members.consumers.stream()
                .mapToInt(consumer -> consumer.assignment().size()).sum() == 8
                && members.consumers.stream().flatMap(consumer -> consumer.assignment().stream())
                    .distinct().count() == 8
                && members.consumers.stream().noneMatch(consumer -> consumer.assignment().isEmpty()));
            Check.equal(partitions(members.consumers.get(0), two), Set.of(), "of the other topic");
            Check.equal(partitions(members.consumers.get(2), one), Set.of(), "of the other topic");
        }
    }

    private static void resumes() throws Exception {
        String topic = Clients.create("cg-resume", 2);
        String group = Check.unique("cg-resume");
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        Clients.sendValues(topic, 2, "v", 20);
        try (KafkaConsumer<String, String> first = Clients.consumer(group, CONSUMER)) {
            first.subscribe(List.of(topic));
            Clients.take(first, 20);
            Check.that(first.groupMetadata().generationId() > 0, "member epoch");
            first.commitSync(Map.of(zero, new OffsetAndMetadata(4, "a note")));
            CompletableFuture<Long> answer = new CompletableFuture<>();
            first.commitAsync(Map.of(one, new OffsetAndMetadata(3)), (offsets, error) -> {
                if (error == null) {
                    answer.complete(offsets.get(one).offset());
                } else {
                    answer.completeExceptionally(error);
                }
            });
            Check.eventually(20, "the commit is answered", () -> {
                first.poll(Duration.ofMillis(20));
                return answer.isDone();
            });
            Check.equal(answer.get(), 3L, "offset that was committed");
        }
        try (KafkaConsumer<String, String> second = Clients.consumer(group, CONSUMER)) {
            second.subscribe(List.of(topic));
            List<Long> offsets = new ArrayList<>(Clients.offsets(Clients.take(second, 13)));
            offsets.sort(null);
            List<Long> expected = new ArrayList<>(Clients.range(4, 10));
            expected.addAll(Clients.range(3, 10));
            expected.sort(null);
            Check.equal(offsets, expected, "offsets after the commit");
            Map<TopicPartition, OffsetAndMetadata> committed = second.committed(Set.of(zero, one));
            Check.equal(committed.get(zero).offset(), 4L, "committed");
            Check.equal(committed.get(zero).metadata(), "a note", "metadata");
            second.commitSync();
            committed = second.committed(Set.of(zero, one));
            Check.equal(committed.get(zero).offset(), 10L, "committed");
            Check.equal(committed.get(one).offset(), 10L, "committed");
        }
    }

    private static void autoCommit() throws Exception {
        String topic = Clients.create("cg-auto-commit", 1);
        String group = Check.unique("cg-auto-commit");
        Clients.sendValues(topic, 1, "v", 5);
        try (KafkaConsumer<String, String> first =
                Clients.consumer(group, with("enable.auto.commit", "true"))) {
            first.subscribe(List.of(topic));
            Clients.take(first, 5);
        }
        TopicPartition where = new TopicPartition(topic, 0);
        Map<TopicPartition, OffsetAndMetadata> committed = Clients.get(
            Clients.ADMIN.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        Check.equal(committed.get(where).offset(), 5L, "committed");
    }

    private static void seeks() throws Exception {
        String topic = Clients.create("cg-seek", 2);
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        Clients.sendValues(topic, 2, "v", 20);
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(Check.unique("cg-seek"), CONSUMER)) {
            consumer.subscribe(List.of(topic));
            Clients.take(consumer, 20);
            consumer.pause(Set.of(zero));
            consumer.seek(zero, 0);
            consumer.seek(one, 7);
            Check.equal(Clients.values(Clients.take(consumer, 3)), List.of("v15", "v17", "v19"),
                "values of the one that goes on");
            Check.equal(consumer.poll(Duration.ofMillis(300)).count(), 0, "records while it waits");
            consumer.resume(Set.of(zero));
            Check.equal(Clients.offsets(Clients.take(consumer, 10)), Clients.range(0, 10),
                "offsets of the other");
        }
    }

    private static void changes() throws Exception {
        String one = Clients.create("cg-changes-one", 2);
        String two = Clients.create("cg-changes-two", 2);
        Clients.sendValues(one, 2, "a", 2);
        Clients.sendValues(two, 2, "b", 2);
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(Check.unique("cg-changes"), CONSUMER)) {
            consumer.subscribe(List.of(one));
            Clients.take(consumer, 2);
            consumer.commitSync();
            consumer.subscribe(List.of(one, two));
            Check.equal(new TreeSet<>(Clients.values(Clients.take(consumer, 2))),
                new TreeSet<>(List.of("b0", "b1")), "values");
            consumer.subscribe(List.of(two));
            Check.eventually(20, "only the second topic", () -> {
                consumer.poll(Duration.ofMillis(20));
                return consumer.assignment().equals(
                    Set.of(new TopicPartition(two, 0), new TopicPartition(two, 1)));
            });
            consumer.unsubscribe();
            Check.equal(consumer.assignment(), Set.of(), "assignment without a subscription");
            consumer.subscribe(List.of(one));
            Clients.sendValues(one, 2, "c", 2);
            Check.equal(new TreeSet<>(Clients.values(Clients.take(consumer, 2))),
                new TreeSet<>(List.of("c0", "c1")), "values after it came back");
        }
    }

    private static void addedPartitions() throws Exception {
        String topic = Clients.create("cg-added", 1);
        try (Members members = new Members(Check.unique("cg-added"), topic)) {
            members.join(CONSUMER);
            members.settle(1);
            Clients.get(Clients.ADMIN.createPartitions(Map.of(topic, NewPartitions.increaseTo(3)))
                .all());
            members.settle(3);
            List<String> sent = Clients.sendValues(topic, 3, "v", 9);
            members.pollUntil(20, "every record read", () -> members.values.size() >= 9);
            members.values.sort(null);
            Check.equal(members.values, sent, "values");
        }
    }

    private static void again() throws Exception {
        String topic = Clients.create("cg-again", 1);
        String group = Check.unique("cg-again");
        Clients.sendValues(topic, 1, "old", 5);
        // Else it would make the topic itself.
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(group, with("allow.auto.create.topics", "false"))) {
            consumer.subscribe(List.of(topic));
            Clients.take(consumer, 5);
            consumer.commitSync();
            Clients.get(Clients.ADMIN.deleteTopics(List.of(topic)).all());
            Check.eventually(20, "nothing is assigned", () -> {
                consumer.poll(Duration.ofMillis(20));
                return consumer.assignment().isEmpty();
            });
            Clients.create("cg-again", 1);
            List<String> sent = Clients.sendValues(topic, 1, "new", 3);
            Check.equal(Clients.values(Clients.take(consumer, 3)), sent, "values");
        }
    }

    private static void clientPattern() throws Exception {
        String prefix = Check.unique("cg-pattern");
        Clients.create("cg-pattern", 1);
        Clients.sendValues(prefix, 1, "v", 1);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(
                Check.unique("cg-pattern"), with("metadata.max.age.ms", "500"))) {
            // The same names with the ending of an older client's run beside it are not meant.
            consumer.subscribe(Pattern.compile(Pattern.quote(prefix) + "(-later)?"));
            Check.equal(Clients.values(Clients.take(consumer, 1)), List.of("v0"), "values");
            consumer.commitSync();
            String other = prefix + "-later";
            Clients.sendValues(other, 1, "w", 1);
            Check.equal(Clients.values(Clients.take(consumer, 1)), List.of("w0"), "values");
            Check.equal(consumer.assignment(), Set.of(new TopicPartition(prefix, 0),
                new TopicPartition(other, 0)), "assignment");
        }
    }

    private static void staticMember() throws Exception {
        String topic = Clients.create("cg-static", 4);
        try (Members members = new Members(Check.unique("cg-static"), topic)) {
            members.join(with("group.instance.id", "one"));
            members.join(with("group.instance.id", "two"));
            members.settle(2, 2);
            TreeSet<Integer> first = members.owned().get(0);
            TreeSet<Integer> second = members.owned().get(1);
            int revocations = members.revoked.get(0).size();
            members.leave(1);
            // Longer than heartbeats and assignments take, shorter than the session.
            long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(2);
            members.pollUntil(20, "a while", () -> System.nanoTime() > until);
            Check.equal(members.owned().get(0), first, "assignment while the other is away");
            members.join(with("group.instance.id", "two"));
            members.pollUntil(20, "the assignment it had",
                () -> members.owned().get(2).equals(second));
            Check.equal(members.owned().get(0), first, "assignment of the one that stayed");
            Check.equal(members.revoked.get(0).size(), revocations, "its revocations");
            members.leave(2);
            // Its session ends.
            members.settle(4, 0, 0);
        }
    }

    private static void unreleased() throws Exception {
        String topic = Clients.create("cg-unreleased", 1);
        try (Members members = new Members(Check.unique("cg-unreleased"), topic)) {
            members.join(with("group.instance.id", "one"));
            members.settle(1);
            members.join(with("group.instance.id", "one"));
            Check.raises(UnreleasedInstanceIdException.class, () -> {
                members.pollUntil(20, "refused", () -> false);
                return "both polled";
            });
            members.consumers.set(1, null).close();
            Clients.sendValues(topic, 1, "v", 3);
            members.pollUntil(20, "the first goes on", () -> members.values.size() == 3);
        }
    }

    private static void pollsLate() throws Exception {
        String topic = Clients.create("cg-late", 2);
        String group = Check.unique("cg-late");
        Clients.sendValues(topic, 2, "v", 4);
        try (Members members = new Members(group, topic);
            KafkaConsumer<String, String> slow =
                Clients.consumer(group, with("max.poll.interval.ms", "1000"))) {
            slow.subscribe(List.of(topic));
            Clients.take(slow, 4);
            members.join(CONSUMER);
            members.settle(2);
            Check.raises(CommitFailedException.class, () -> {
                slow.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(2)));
                return "committed";
            });
            members.pollUntil(20, "every record read", () -> members.values.size() == 4);
            // It comes back.
            Check.eventually(30, "one each", () -> {
                slow.poll(Duration.ofMillis(20));
                members.poll();
                return slow.assignment().size() == 1
                    && members.consumers.get(0).assignment().size() == 1;
            });
        }
    }

    private static void unknownAssignor() throws Exception {
        String topic = Clients.create("cg-assignor", 1);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(
                Check.unique("cg-assignor"), with("group.remote.assignor", "sticky"))) {
            consumer.subscribe(List.of(topic));
            Check.raises(UnsupportedAssignorException.class, () -> {
                for (int n = 0; n < 200; n++) {
                    consumer.poll(Duration.ofMillis(50));
                }
                return "ten seconds of polls";
            });
        }
    }
}
