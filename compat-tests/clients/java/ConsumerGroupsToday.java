import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.CloseOptions.GroupMembershipOperation;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidRegularExpression;

/** Consumer groups of KIP-848, as far as old clients cannot do it. */
final class ConsumerGroupsToday {
    private static final String[] CONSUMER = ConsumerGroups.CONSUMER;

    private ConsumerGroupsToday() {}

    static void run(Check part) {
        part.check("a_pattern_of_the_broker_finds_a_new_topic", ConsumerGroupsToday::pattern);
        part.check("a_pattern_matches_whole_names", ConsumerGroupsToday::wholeNames);
        part.check("a_pattern_that_is_none_is_refused", ConsumerGroupsToday::badPattern);
        part.check("a_static_member_leaves_for_good_when_it_says_so", ConsumerGroupsToday::leaves);
        part.check("a_group_has_its_own_session_time_out", ConsumerGroupsToday::sessionTimeout);
        part.check("offsets_of_a_member_of_another_epoch_are_refused", ConsumerGroupsToday::epochs);
    }

    private static void pattern() throws Exception {
        String prefix = Check.unique("cg-regex");
        Clients.create("cg-regex", 2);
        Clients.sendValues(prefix, 2, "v", 2);
        try (Members members = new Members(Check.unique("cg-regex"), List.of())) {
            for (int number = 0; number < 2; number++) {
                members.add(CONSUMER);
                members.consumers.get(number).subscribe(
                    new SubscriptionPattern(prefix.replace(".", "\\.") + "(-[a-z]+)?"),
                    members.listener(number));
            }
            members.settle(1, 1);
            // The broker looks at its topics again at most every ten seconds.
            String later = prefix + "-later";
            Clients.sendValues(later, 1, "w", 1);
            Clients.sendValues(prefix + "-1", 1, "x", 1);
            members.pollUntil(40, "the new topic", () -> members.values.size() == 3);
            Check.equal(new TreeSet<>(members.values), new TreeSet<>(List.of("v0", "v1", "w0")),
                "values");
            members.settle(1, 2);
            members.consumers.get(0).unsubscribe();
            members.consumers.get(0).subscribe(List.of(later), members.listener(0));
            members.pollUntil(20, "a topic by its name beside a pattern", () ->
                members.consumers.stream().mapToInt(one -> one.assignment().size()).sum() == 3
                && members.consumers.get(0).assignment().stream()
                    .allMatch(where -> where.topic().equals(later)));
        }
    }

    private static void wholeNames() throws Exception {
        String topic = Clients.create("cg-whole", 1);
        Clients.create("cg-whole-not", 1);
        try (Members members = new Members(Check.unique("cg-whole"), List.of())) {
            members.add(CONSUMER);
            // A part of a name is not enough, as RE2/J's `matches` has it.
            members.consumers.get(0).subscribe(
                new SubscriptionPattern(topic + "|cg-whole-no|whole-not-.*"), members.listener(0));
            members.settle(1);
            Check.equal(members.consumers.get(0).assignment(),
                Set.of(new TopicPartition(topic, 0)), "assignment");
        }
    }

    private static void badPattern() throws Exception {
        // The second is one in Java, and not in RE2.
        for (String pattern : List.of("(", "(?=a)b")) {
            try (KafkaConsumer<String, String> consumer =
                    Clients.consumer(Check.unique("cg-bad-regex"), CONSUMER)) {
                consumer.subscribe(new SubscriptionPattern(pattern));
                Check.raises(InvalidRegularExpression.class, () -> {
                    for (int n = 0; n < 200; n++) {
                        consumer.poll(Duration.ofMillis(50));
                    }
                    return "ten seconds of polls";
                });
            }
        }
    }

    private static void leaves() throws Exception {
        String topic = Clients.create("cg-leaves", 2);
        try (Members members = new Members(Check.unique("cg-leaves"), topic)) {
            members.join(ConsumerGroups.with("group.instance.id", "one"));
            members.join(ConsumerGroups.with("group.instance.id", "two"));
            members.settle(1, 1);
            long before = System.nanoTime();
            members.consumers.set(1, null).close(
                CloseOptions.groupMembershipOperation(GroupMembershipOperation.LEAVE_GROUP));
            members.settle(2, 0);
            long took = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - before);
            Check.that(took < 4_500, "taken over after " + took + " ms");
        }
    }

    /** A static member that is away is gone after the group's own session, not the broker's. */
    private static void sessionTimeout() throws Exception {
        String topic = Clients.create("cg-session", 2);
        String group = Check.unique("cg-session");
        ConsumerGroups.configure(group, "consumer.session.timeout.ms", "2000");
        try (Members members = new Members(group, topic)) {
            members.join(CONSUMER);
            members.join(ConsumerGroups.with("group.instance.id", "away"));
            members.settle(1, 1);
            long before = System.nanoTime();
            members.leave(1);
            members.settle(2, 0);
            long took = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - before);
            Check.that(took > 1_000 && took < 5_500, "taken over after " + took + " ms");
        }
    }

    @SuppressWarnings("removal")
    private static void epochs() throws Exception {
        String topic = Clients.create("cg-epochs", 1);
        String group = Check.unique("cg-epochs");
        TopicPartition where = new TopicPartition(topic, 0);
        Clients.sendValues(topic, 1, "v", 3);
        try (KafkaProducer<String, String> producer =
                Transactions.initialised(Check.unique("cg-epochs"));
            KafkaConsumer<String, String> consumer = Clients.consumer(group, CONSUMER)) {
            consumer.subscribe(List.of(topic));
            Clients.take(consumer, 3);
            ConsumerGroupMetadata now = consumer.groupMetadata();
            Map<TopicPartition, OffsetAndMetadata> offsets =
                Map.of(where, new OffsetAndMetadata(3));
            for (ConsumerGroupMetadata refused : List.of(
                    new ConsumerGroupMetadata(group, now.generationId() + 1, now.memberId(),
                        Optional.empty()),
                    new ConsumerGroupMetadata(group, now.generationId() - 1, now.memberId(),
                        Optional.empty()),
                    new ConsumerGroupMetadata(group, now.generationId(), "somebody else",
                        Optional.empty()))) {
                producer.beginTransaction();
                Check.raises(CommitFailedException.class, () -> {
                    producer.sendOffsetsToTransaction(offsets, refused);
                    producer.commitTransaction();
                    return "committed";
                });
                producer.abortTransaction();
                Check.equal(consumer.committed(Set.of(where)).get(where), null, "committed");
            }
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(offsets, now);
            producer.commitTransaction();
            Check.equal(consumer.committed(Set.of(where)).get(where).offset(), 3L, "committed");
        }
    }
}
