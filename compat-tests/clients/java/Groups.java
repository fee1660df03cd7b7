import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.FencedInstanceIdException;
import org.apache.kafka.common.errors.InconsistentGroupProtocolException;
import org.apache.kafka.common.errors.InvalidGroupIdException;
import org.apache.kafka.common.errors.InvalidSessionTimeoutException;
import org.apache.kafka.common.errors.OffsetMetadataTooLarge;

/** Consumer groups of the classic protocol: commits, rebalances, static members, time-outs. */
final class Groups {
    private static final String EAGER = "org.apache.kafka.clients.consumer.RangeAssignor";
    private static final String STICKY = "org.apache.kafka.clients.consumer.StickyAssignor";
    private static final String COOPERATIVE =
        "org.apache.kafka.clients.consumer.CooperativeStickyAssignor";

    private Groups() {}

    static void run(Check part) {
        part.check("group_resumes_from_commit", Groups::resumes);
        part.check("auto_commit_is_made_on_close", Groups::autoCommit);
        part.check("a_simple_consumer_commits_without_a_group_membership", Groups::simpleConsumer);
        part.check("three_members_share_partitions_eager", 90,
            () -> threeMembers("eager", EAGER));
        part.check("three_members_share_partitions_sticky", 90,
            () -> threeMembers("sticky", STICKY));
        part.check("three_members_share_partitions_cooperative", 90,
            () -> threeMembers("cooperative", COOPERATIVE));
        part.check("a_static_member_comes_back_without_a_rebalance", Groups::staticMember);
        part.check("a_second_static_member_of_one_name_fences_the_first", Groups::fenced);
        part.check("a_silent_member_is_removed_after_its_session", Groups::sessionTimeout);
        part.check("a_member_that_was_removed_cannot_commit", Groups::removedCannotCommit);
        part.check("a_pattern_subscription_finds_a_new_topic", Groups::pattern);
        part.check("a_consumer_finds_added_partitions", Groups::addedPartitions);
        part.check("members_without_a_common_protocol_are_refused", Groups::noCommonProtocol);
        part.check("a_session_time_out_of_bounds_is_refused", Groups::sessionOutOfBounds);
        part.check("a_commit_with_too_much_metadata_is_refused", Groups::tooMuchMetadata);
        part.check("offsets_of_a_deleted_topic_are_gone", Groups::deletedTopic);
        part.check("an_empty_group_id_is_refused", Groups::emptyGroupId);
    }

    private static void resumes() throws Exception {
        String topic = Clients.create("j-resume", 2);
        String group = Check.unique("j-resume");
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        Clients.sendValues(topic, 2, "v", 20);
        try (KafkaConsumer<String, String> first = Clients.consumer(group)) {
            first.subscribe(List.of(topic));
            Clients.take(first, 20);
            Check.equal(first.groupMetadata().generationId(), 1, "generation");
            first.commitSync(Map.of(zero, new OffsetAndMetadata(4, "a note")));
        }
        try (KafkaConsumer<String, String> second = Clients.consumer(group)) {
            second.subscribe(List.of(topic));
            List<Long> offsets = new ArrayList<>(Clients.offsets(Clients.take(second, 16)));
            offsets.sort(null);
            List<Long> expected = new ArrayList<>(Clients.range(4, 10));
            expected.addAll(Clients.range(0, 10));
            expected.sort(null);
            Check.equal(offsets, expected, "offsets after the commit");
            Map<TopicPartition, OffsetAndMetadata> committed =
                second.committed(Set.of(zero, one));
            Check.equal(committed.get(zero).offset(), 4L, "committed");
            Check.equal(committed.get(zero).metadata(), "a note", "metadata");
            Check.equal(committed.get(one), null, "partition without a commit");
            second.commitSync();
            committed = second.committed(Set.of(zero, one));
            Check.equal(committed.get(zero).offset(), 10L, "committed");
            Check.equal(committed.get(one).offset(), 10L, "committed");
        }
    }

    private static void autoCommit() throws Exception {
        String topic = Clients.create("j-auto-commit", 1);
        String group = Check.unique("j-auto-commit");
        Clients.sendValues(topic, 1, "v", 5);
        try (KafkaConsumer<String, String> first =
                Clients.consumer(group, "enable.auto.commit", "true")) {
            first.subscribe(List.of(topic));
            Clients.take(first, 5);
        }
        TopicPartition where = new TopicPartition(topic, 0);
        Map<TopicPartition, OffsetAndMetadata> committed = Clients.get(
            Clients.ADMIN.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        Check.equal(committed.get(where).offset(), 5L, "committed");
    }

    private static void simpleConsumer() throws Exception {
        String topic = Clients.create("j-simple", 1);
        TopicPartition where = new TopicPartition(topic, 0);
        Clients.sendValues(topic, 1, "v", 5);
        String group = Check.unique("j-simple");
        try (KafkaConsumer<String, String> consumer = Clients.consumer(group)) {
            consumer.assign(List.of(where));
            Clients.take(consumer, 5);
            consumer.commitSync();
        }
        try (KafkaConsumer<String, String> consumer = Clients.consumer(group)) {
            consumer.assign(List.of(where));
            Check.equal(consumer.position(where), 5L, "position");
        }
    }

    private static void threeMembers(String name, String assignor) throws Exception {
        String topic = Clients.create("j-share-" + name, 6);
        List<String> sent = new ArrayList<>(Clients.sendValues(topic, 6, "a", 60));
        String[] config = {"partition.assignment.strategy", assignor};
        try (Members members = new Members(Check.unique("j-share-" + name), topic)) {
            members.join(config);
            members.settle(6);
            members.join(config);
            members.join(config);
            members.settle(2, 2, 2);
            Set<Integer> given = new TreeSet<>(members.revoked.get(0));
            if (assignor.equals(COOPERATIVE)) {
                Check.equal(members.revoked.get(0).size(), 4, "revocations of the first member");
            } else {
                Check.equal(given, Set.of(0, 1, 2, 3, 4, 5), "revoked by an eager rebalance");
            }
            members.leave(1);
            members.settle(3, 3, 0);
            sent.addAll(Clients.sendValues(topic, 6, "b", 60));
            members.pollUntil(30, "every record read", () -> members.values.size() >= sent.size());
            sent.sort(null);
            members.values.sort(null);
            Check.equal(members.values, sent, "records read by the group");
            Check.equal(members.lost, List.of(List.of(), List.of(), List.of()), "lost");
        }
    }

    private static void staticMember() throws Exception {
        String topic = Clients.create("j-static", 4);
        String group = Check.unique("j-static");
        try (Members members = new Members(group, topic)) {
            members.join("group.instance.id", "one");
            members.join("group.instance.id", "two");
            members.settle(2, 2);
            TreeSet<Integer> first = members.owned().get(0);
            TreeSet<Integer> second = members.owned().get(1);
            int generation = members.consumers.get(0).groupMetadata().generationId();
            int revocations = members.revoked.get(0).size();
            members.leave(1);
            members.join("group.instance.id", "two");
            members.pollUntil(20, "the assignment it had",
                () -> members.owned().get(2).equals(second));
            Check.equal(members.owned().get(0), first, "assignment of the one that stayed");
            Check.equal(members.revoked.get(0).size(), revocations, "its revocations");
            Check.equal(members.consumers.get(2).groupMetadata().generationId(), generation,
                "generation");
        }
    }

    private static void fenced() throws Exception {
        String topic = Clients.create("j-fenced", 1);
        try (Members members = new Members(Check.unique("j-fenced"), topic)) {
            members.join("group.instance.id", "one");
            members.settle(1);
            KafkaConsumer<String, String> first = members.consumers.set(0, null);
            members.join("group.instance.id", "one");
            members.settle(0, 1);
            Check.raises(FencedInstanceIdException.class, () -> {
                for (int n = 0; n < 200; n++) {
                    first.poll(Duration.ofMillis(50));
                }
                return "ten seconds of polls";
            });
            first.close();
        }
    }

    private static void sessionTimeout() throws Exception {
        String topic = Clients.create("j-session", 4);
        try (Members members = new Members(Check.unique("j-session"), topic)) {
            members.join();
            members.join();
            members.settle(2, 2);
            long before = System.nanoTime();
            members.consumers.set(1, null).close(CloseOptions.groupMembershipOperation(
                CloseOptions.GroupMembershipOperation.REMAIN_IN_GROUP));
            members.settle(4, 0);
            long took = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - before);
            Check.that(took > 4_000 && took < 12_000, "taken over after " + took + " ms");
        }
    }

    private static void removedCannotCommit() throws Exception {
        String topic = Clients.create("j-removed", 1);
        String group = Check.unique("j-removed");
        Clients.sendValues(topic, 1, "v", 3);
        try (KafkaConsumer<String, String> slow = Clients.consumer(group,
                "max.poll.interval.ms", "1000", "heartbeat.interval.ms", "200")) {
            slow.subscribe(List.of(topic));
            Clients.take(slow, 3);
            Check.eventually(20, "the group is empty", () -> Clients.get(Clients.ADMIN
                .describeConsumerGroups(List.of(group)).all()).get(group).members().isEmpty());
            Check.raises(CommitFailedException.class, () -> {
                slow.commitSync();
                return "committed";
            });
        }
    }

    private static void pattern() throws Exception {
        String prefix = Check.unique("j-pattern");
        Clients.create("j-pattern", 1);
        Clients.sendValues(prefix, 1, "v", 1);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(
                Check.unique("j-pattern"), "metadata.max.age.ms", "500")) {
            consumer.subscribe(Pattern.compile(Pattern.quote(prefix) + ".*"));
            Check.equal(Clients.values(Clients.take(consumer, 1)), List.of("v0"), "values");
            consumer.commitSync();
            String other = prefix + "-later";
            Clients.sendValues(other, 1, "w", 1);
            Check.equal(Clients.values(Clients.take(consumer, 1)), List.of("w0"), "values");
            Check.equal(consumer.assignment(), Set.of(new TopicPartition(prefix, 0),
                new TopicPartition(other, 0)), "assignment");
        }
    }

    private static void addedPartitions() throws Exception {
        String topic = Clients.create("j-added", 1);
        try (Members members = new Members(Check.unique("j-added"), topic)) {
            members.join("metadata.max.age.ms", "500");
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

    private static void noCommonProtocol() throws Exception {
        String topic = Clients.create("j-protocols", 1);
        try (Members members = new Members(Check.unique("j-protocols"), topic)) {
            members.join("partition.assignment.strategy", EAGER);
            members.settle(1);
            members.join("partition.assignment.strategy", STICKY);
            Check.raises(InconsistentGroupProtocolException.class, () -> {
                members.pollUntil(20, "refused", () -> false);
                return "both polled";
            });
        }
    }

    private static void sessionOutOfBounds() throws Exception {
        String topic = Clients.create("j-bounds-session", 1);
        String group = Check.unique("j-bounds-session");
        for (String time : List.of("5999", "1800001")) {
            try (KafkaConsumer<String, String> consumer = Clients.consumer(group,
                    "session.timeout.ms", time, "heartbeat.interval.ms", "100",
                    "max.poll.interval.ms", "2000000", "request.timeout.ms", "2100000")) {
                consumer.subscribe(List.of(topic));
                Check.raises(InvalidSessionTimeoutException.class,
                    () -> consumer.poll(Duration.ofSeconds(20)));
            }
        }
    }

    private static void tooMuchMetadata() throws Exception {
        String topic = Clients.create("j-metadata", 1);
        TopicPartition where = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(Check.unique("j-metadata"))) {
            consumer.assign(List.of(where));
            consumer.commitSync(Map.of(where, new OffsetAndMetadata(1, "x".repeat(4096))));
            Check.raises(OffsetMetadataTooLarge.class, () -> {
                consumer.commitSync(Map.of(where, new OffsetAndMetadata(2, "x".repeat(4097))));
                return "committed";
            });
            Check.equal(consumer.committed(Set.of(where)).get(where).offset(), 1L, "committed");
        }
    }

    private static void deletedTopic() throws Exception {
        String topic = Clients.create("j-deleted", 1);
        String kept = Clients.create("j-deleted-not", 1);
        String group = Check.unique("j-deleted");
        TopicPartition where = new TopicPartition(topic, 0);
        TopicPartition other = new TopicPartition(kept, 0);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(group)) {
            consumer.assign(List.of(where, other));
            consumer.commitSync(
                Map.of(where, new OffsetAndMetadata(7), other, new OffsetAndMetadata(8)));
        }
        Clients.get(Clients.ADMIN.deleteTopics(List.of(topic)).all());
        Check.soonEqual("partitions with a commit", Set.of(other), () -> Clients.get(Clients.ADMIN
            .listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).keySet());
    }

    private static void emptyGroupId() throws Exception {
        String topic = Clients.create("j-no-group", 1);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(null)) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            Check.raises(InvalidGroupIdException.class, () -> {
                consumer.commitSync();
                return "committed";
            });
        }
    }
}
