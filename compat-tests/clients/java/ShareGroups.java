import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Share groups (KIP-932): who gets which records. */
public final class ShareGroups {
    private ShareGroups() {}

    public static void main(String[] arguments) {
        Check part = new Check("share-groups");
        part.check("members_share_partitions_and_each_record_comes_once", ShareGroups::once);
        part.check("random_acknowledgements_end_every_record_once", ShareGroups::random);
        part.check("each_group_gets_every_record", ShareGroups::twoGroups);
        part.check("a_group_begins_where_its_reset_says", ShareGroups::resets);
        part.check("a_member_changes_its_topics", ShareGroups::changes);
        part.check("a_member_finds_added_partitions", ShareGroups::addedPartitions);
        part.check("deleted_records_are_passed_over", ShareGroups::deletedRecords);
        part.check("a_topic_that_is_made_again_is_read_from_its_start", ShareGroups::again);
        part.check("committed_groups_see_no_aborted_records", ShareGroups::committedOnly);
        part.check("uncommitted_groups_see_all_records", ShareGroups::uncommitted);
        ShareGroupsLocks.run(part);
        ShareGroupsAdmin.run(part);
        part.end();
    }

    /** By value, the members that it came to and its delivery counts. */
    private static final class Deliveries {
        final Map<String, List<String>> of = new ConcurrentHashMap<>();
        final Set<String> members = ConcurrentHashMap.newKeySet();

        void add(String member, ConsumerRecord<String, String> record) {
            of.computeIfAbsent(record.value(), value -> Collections.synchronizedList(
                new ArrayList<>())).add(member + " " + record.deliveryCount().orElseThrow());
            members.add(member);
        }
    }

    /** Three members at work beside each other, on what is sent meanwhile. */
    private static void once() throws Exception {
        String topic = Clients.create("sh-once", 2);
        String group = Shares.group("sh-once");
        Deliveries deliveries = new Deliveries();
        AtomicBoolean ends = new AtomicBoolean();
        List<String> sent = new ArrayList<>();
        ExecutorService threads = Executors.newFixedThreadPool(3);
        List<Future<?>> running = new ArrayList<>();
        for (String name : List.of("a", "b", "c")) {
            running.add(threads.submit(() -> {
                try (var member = Shares.member(group, topic, "max.poll.records", "20")) {
                    while (!ends.get()) {
                        member.poll(Duration.ofMillis(50))
                            .forEach(record -> deliveries.add(name, record));
                    }
                }
            }));
        }
        for (int n = 0; n < 10 || (deliveries.members.size() < 3 && n < 200); n++) {
            sent.addAll(Clients.sendValues(topic, 2, "v" + n + "-", 60));
        }
        Check.eventually(20, "every record read", () -> deliveries.of.size() >= sent.size());
        ends.set(true);
        for (Future<?> one : running) {
            one.get(20, TimeUnit.SECONDS);
        }
        threads.shutdown();
        Check.equal(deliveries.members, Set.of("a", "b", "c"), "members that got records");
        Check.equal(new TreeSet<>(deliveries.of.keySet()), new TreeSet<>(sent), "records");
        deliveries.of.forEach((value, to) -> {
            Check.equal(to.size(), 1, value + " came to " + to);
            Check.that(to.get(0).endsWith(" 1"), value + " came to " + to);
        });
        Shares.allDone(group, topic, 2);
    }

    /** What a record came to, by its value. */
    private static final class Ends {
        final Map<String, AcknowledgeType> ended = new ConcurrentHashMap<>();
        final Map<String, Integer> released = new ConcurrentHashMap<>();
        final Random random = new Random(7);

        /** The same record is never in two hands, so this is no race. */
        AcknowledgeType choose(ConsumerRecord<String, String> record) {
            String value = record.value();
            Check.that(!ended.containsKey(value), value + " comes again");
            Check.equal((int) record.deliveryCount().orElseThrow(),
                released.getOrDefault(value, 0) + 1, "delivery count of " + value);
            int chance = random.nextInt(10);
            if (chance < 3 && released.getOrDefault(value, 0) < 3) {
                released.merge(value, 1, Integer::sum);
                return AcknowledgeType.RELEASE;
            }
            AcknowledgeType type = chance < 5 ? AcknowledgeType.REJECT : AcknowledgeType.ACCEPT;
            ended.put(value, type);
            return type;
        }
    }

    private static void random() throws Exception {
        String topic = Clients.create("sh-random", 2);
        String group = Shares.group("sh-random");
        Ends ends = new Ends();
        List<String> sent = Clients.sendValues(topic, 2, "v", 1000);
        ExecutorService threads = Executors.newFixedThreadPool(3);
        List<Future<?>> running = new ArrayList<>();
        for (String mode : List.of("batch_optimized", "record_limit", "record_limit")) {
            running.add(threads.submit(() -> {
                try (var member = Shares.member(group, topic, Shares.explicit(
                        "max.poll.records", "50", "share.acquire.mode", mode))) {
                    while (ends.ended.size() < sent.size()) {
                        member.poll(Duration.ofMillis(50)).forEach(record ->
                            member.acknowledge(record, ends.choose(record)));
                        Shares.commit(member);
                    }
                }
            }));
        }
        for (Future<?> one : running) {
            one.get(40, TimeUnit.SECONDS);
        }
        threads.shutdown();
        Check.equal(ends.ended.keySet(), Set.copyOf(sent), "records");
        Shares.allDone(group, topic, 2);
    }

    private static void twoGroups() throws Exception {
        String topic = Clients.create("sh-two", 1);
        List<String> sent = Clients.sendValues(topic, 1, "v", 50);
        for (String name : List.of("sh-two-a", "sh-two-b")) {
            try (var member = Shares.member(Shares.group(name), topic)) {
                List<ConsumerRecord<String, String>> records = Shares.take(member, 50);
                Check.equal(Clients.values(records), sent, "values");
                Check.equal(Clients.offsets(records), Clients.range(0, 50), "offsets");
                Check.equal(Shares.deliveries(records), Shares.times(50, 1), "delivery counts");
            }
        }
    }

    private static void resets() throws Exception {
        String topic = Clients.create("sh-resets", 1);
        List<ProducerRecord<String, String>> old = new ArrayList<>();
        for (int n = 0; n < 3; n++) {
            old.add(new ProducerRecord<>(topic, 0, Check.START - 7_200_000, null, "old" + n));
        }
        Clients.send(old);
        Clients.sendValues(topic, 1, "now", 3);
        String latest = Check.unique("sh-latest");
        String recent = Check.unique("sh-recent");
        ConsumerGroups.configure(recent, "share.auto.offset.reset", "by_duration:PT30M");
        try (var late = Shares.member(latest, topic); var some = Shares.member(recent, topic)) {
            Check.equal(Clients.values(Shares.take(some, 3)), List.of("now0", "now1", "now2"),
                "of the last half an hour");
            // A group that begins at the end has to have begun before there is more.
            List<String> sent = new ArrayList<>();
            List<String> read = new ArrayList<>();
            Check.eventually(20, "the group has begun", () -> {
                sent.addAll(Clients.sendValues(topic, 1, "new" + sent.size() + "-", 1));
                late.poll(Duration.ofMillis(200)).forEach(record -> read.add(record.value()));
                return !read.isEmpty();
            });
            Check.that(sent.containsAll(read), "sent " + sent + ", read " + read);
            Check.equal(read, sent.subList(sent.indexOf(read.get(0)), sent.size()), "the new");
            Check.equal(Clients.values(Shares.take(some, sent.size())), sent, "the new");
        }
    }

    private static void changes() throws Exception {
        String one = Clients.create("sh-changes-one", 1);
        String two = Clients.create("sh-changes-two", 1);
        String group = Shares.group("sh-changes");
        Clients.sendValues(one, 1, "one", 3);
        Clients.sendValues(two, 1, "two", 3);
        try (var member = Shares.member(group, one)) {
            Check.equal(Clients.values(Shares.take(member, 3)), List.of("one0", "one1", "one2"),
                "of the first topic");
            member.subscribe(List.of(two));
            Check.equal(Clients.values(Shares.take(member, 3)), List.of("two0", "two1", "two2"),
                "of the second topic");
            Clients.sendValues(one, 1, "later", 2);
            Shares.nothing(member, 500);
            member.subscribe(List.of(one, two));
            Check.equal(Clients.values(Shares.take(member, 2)), List.of("later0", "later1"),
                "of both");
        }
        Shares.allDone(group, one, 1);
        Shares.allDone(group, two, 1);
    }

    private static void addedPartitions() throws Exception {
        String topic = Clients.create("sh-added", 1);
        String group = Shares.group("sh-added");
        try (var member = Shares.member(group, topic)) {
            Clients.sendValues(topic, 1, "a", 3);
            Shares.take(member, 3);
            Clients.get(Clients.ADMIN.createPartitions(
                Map.of(topic, NewPartitions.increaseTo(3))).all());
            Check.soonEqual("partitions", 3, () -> Clients.describe(topic).partitions().size());
            List<String> sent = Clients.sendValues(topic, 3, "b", 9);
            Set<String> read = new TreeSet<>(Clients.values(Shares.take(member, 9)));
            Check.equal(read, new TreeSet<>(sent), "records of all partitions");
        }
    }

    private static void deletedRecords() throws Exception {
        String topic = Clients.create("sh-deleted", 1);
        String group = Shares.group("sh-deleted");
        for (int n = 0; n < 10; n++) {
            Clients.sendValues(topic, 1, "v" + n + "-", 1);
        }
        TopicPartition where = new TopicPartition(topic, 0);
        try (var first = Shares.member(group, topic, Shares.explicit(
                "max.poll.records", "2", "share.acquire.mode", "record_limit"))) {
            Shares.take(first, 2, AcknowledgeType.ACCEPT);
            Clients.get(Clients.ADMIN.deleteRecords(
                Map.of(where, RecordsToDelete.beforeOffset(6))).all());
            List<Long> offsets = new ArrayList<>();
            while (!offsets.contains(9L)) {
                Shares.poll(first).forEach(record -> {
                    offsets.add(record.offset());
                    first.acknowledge(record);
                });
                Shares.commitSync(first);
            }
            // The two that it may have fetched before.
            offsets.removeAll(List.of(2L, 3L));
            Check.equal(offsets, Clients.range(6, 10), "offsets");
        }
        Shares.allDone(group, topic, 1);
    }

    private static void again() throws Exception {
        String topic = Clients.create("sh-again", 1);
        String group = Shares.group("sh-again");
        try (var member = Shares.member(group, topic)) {
            Clients.sendValues(topic, 1, "old", 5);
            Shares.take(member, 5);
            Clients.get(Clients.ADMIN.deleteTopics(List.of(topic)).all());
            Check.soonEqual("topics", false,
                () -> Clients.get(Clients.ADMIN.listTopics().names()).contains(topic));
            Clients.create("sh-again", 1);
            Clients.sendValues(topic, 1, "new", 3);
            Check.equal(Clients.values(Shares.take(member, 3)), List.of("new0", "new1", "new2"),
                "records of the new topic");
        }
    }

    /** Transactions of three records, every second one aborted; returns those that stay. */
    private static List<String> transactions(String topic, KafkaProducer<String, String> producer,
        String prefix) throws Exception {
        List<String> committed = new ArrayList<>();
        for (int n = 0; n < 6; n++) {
            producer.beginTransaction();
            for (int m = 0; m < 3; m++) {
                String value = prefix + n + "-" + m;
                producer.send(new ProducerRecord<>(topic, 0, null, value));
                if (n % 2 == 0) {
                    committed.add(value);
                }
            }
            producer.flush();
            if (n % 2 == 0) {
                producer.commitTransaction();
            } else {
                producer.abortTransaction();
            }
        }
        return committed;
    }

    private static void committedOnly() throws Exception {
        String topic = Clients.create("sh-committed", 1);
        String group = Shares.group("sh-committed", "share.isolation.level", "read_committed");
        try (var producer = Transactions.initialised(Check.unique("sh-committed"));
            var other = Transactions.initialised(Check.unique("sh-committed-other"));
            var member = Shares.member(group, topic)) {
            List<String> committed = transactions(topic, producer, "a");
            Check.equal(Clients.values(Shares.take(member, committed.size())), committed,
                "committed");
            // One that is open holds up what comes after it.
            other.beginTransaction();
            other.send(new ProducerRecord<>(topic, 0, null, "open")).get(20, TimeUnit.SECONDS);
            committed = transactions(topic, producer, "b");
            Shares.nothing(member, 500);
            other.abortTransaction();
            Check.equal(Clients.values(Shares.take(member, committed.size())), committed,
                "committed after the open one");
            Shares.nothing(member, 200);
        }
        Shares.allDone(group, topic, 1);
    }

    private static void uncommitted() throws Exception {
        String topic = Clients.create("sh-uncommitted", 1);
        String group = Shares.group("sh-uncommitted");
        try (var producer = Transactions.initialised(Check.unique("sh-uncommitted"));
            var member = Shares.member(group, topic)) {
            transactions(topic, producer, "a");
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, null, "open")).get(20, TimeUnit.SECONDS);
            List<String> values = Clients.values(Shares.take(member, 19));
            Check.equal(values.get(18), "open", "the last");
            producer.abortTransaction();
            Shares.nothing(member, 200);
        }
        Shares.allDone(group, topic, 1);
    }
}
