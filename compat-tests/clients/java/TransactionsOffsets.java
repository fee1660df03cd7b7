import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TimeoutException;

/** Offsets that are committed with their transaction: consume, transform, produce. */
final class TransactionsOffsets {
    private TransactionsOffsets() {}

    static void run(Check part) {
        part.check("offsets_of_a_transaction_are_pending_until_it_ends",
            TransactionsOffsets::pending);
        part.check("offsets_of_a_member_that_is_gone_are_refused",
            TransactionsOffsets::memberGone);
        part.check("consume_transform_produce_is_exactly_once", 90, () -> chain("t-chain"));
    }

    @SuppressWarnings("removal")
    private static void pending() throws Exception {
        String topic = Clients.create("t-pending", 1);
        String group = Check.unique("t-pending");
        TopicPartition where = new TopicPartition(topic, 0);
        ConsumerGroupMetadata anybody = new ConsumerGroupMetadata(group);
        try (KafkaProducer<String, String> producer =
                Transactions.initialised(Check.unique("t-pending"));
            KafkaConsumer<String, String> consumer = Clients.consumer(group)) {
            Long before = null;
            for (long offset = 1; offset <= 4; offset++) {
                boolean commits = offset % 2 == 1;
                producer.beginTransaction();
                producer.sendOffsetsToTransaction(
                    Map.of(where, new OffsetAndMetadata(offset, "at " + offset)), anybody);
                // A consumer asks for stable offsets only: it waits for the transaction.
                Check.raises(TimeoutException.class,
                    () -> consumer.committed(Set.of(where), Duration.ofMillis(200)));
                Check.equal(plainOffset(group, where), before, "committed before the end");
                if (commits) {
                    producer.commitTransaction();
                    before = offset;
                } else {
                    producer.abortTransaction();
                }
                OffsetAndMetadata after = consumer.committed(Set.of(where)).get(where);
                Check.equal(after.offset(), before, "committed after the end");
                Check.equal(after.metadata(), "at " + before, "metadata");
            }
        }
    }

    /** What is committed, without waiting for transactions that are open. */
    private static Long plainOffset(String group, TopicPartition where) throws Exception {
        OffsetAndMetadata found = Clients.get(Clients.ADMIN.listConsumerGroupOffsets(group)
            .partitionsToOffsetAndMetadata()).get(where);
        return found == null ? null : found.offset();
    }

    @SuppressWarnings("removal")
    private static void memberGone() throws Exception {
        String topic = Clients.create("t-gone", 1);
        String group = Check.unique("t-gone");
        TopicPartition where = new TopicPartition(topic, 0);
        Clients.sendValues(topic, 1, "v", 3);
        try (KafkaProducer<String, String> producer =
                Transactions.initialised(Check.unique("t-gone"));
            KafkaConsumer<String, String> consumer = Clients.consumer(group)) {
            consumer.subscribe(List.of(topic));
            Clients.take(consumer, 3);
            ConsumerGroupMetadata now = consumer.groupMetadata();
            Map<TopicPartition, OffsetAndMetadata> offsets =
                Map.of(where, new OffsetAndMetadata(3));
            List<ConsumerGroupMetadata> refused = List.of(
                new ConsumerGroupMetadata(group, now.generationId() + 1, now.memberId(),
                    now.groupInstanceId()),
                new ConsumerGroupMetadata(group, now.generationId(), "somebody else",
                    now.groupInstanceId()));
            for (ConsumerGroupMetadata metadata : refused) {
                producer.beginTransaction();
                Check.raises(CommitFailedException.class, () -> {
                    producer.sendOffsetsToTransaction(offsets, metadata);
                    producer.commitTransaction();
                    return "committed";
                });
                producer.abortTransaction();
                Check.equal(plainOffset(group, where), null, "committed");
            }
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(offsets, now);
            producer.commitTransaction();
            Check.equal(consumer.committed(Set.of(where)).get(where).offset(), 3L, "committed");
        }
    }

    /**
     * Reads a topic, writes what it read into another, and commits both in one transaction; every
     * third is aborted and done again, and in the middle the program is replaced by another while
     * its transaction is open.
     */
    static void chain(String name, String... consumerPairs) throws Exception {
        int partitions = 3;
        int count = 300;
        String from = Clients.create(name + "-in", partitions);
        String to = Clients.create(name + "-out", partitions);
        String group = Check.unique(name);
        List<String> sent = Clients.sendValues(from, partitions, "v", count);
        try (Chain first = new Chain(group, from, to, consumerPairs)) {
            first.run(count / 2, false);
            // It leaves its transaction open.
            first.transform(first.poll());
            try (Chain second = new Chain(group, from, to, consumerPairs)) {
                Check.raises(ProducerFencedException.class, Transactions.commit(first.producer));
                first.consumer.close();
                second.run(count, true);
            }
        }
        for (int partition = 0; partition < partitions; partition++) {
            List<String> expected = new ArrayList<>();
            for (int n = partition; n < count; n += partitions) {
                expected.add(sent.get(n) + "!");
            }
            Check.equal(Transactions.values(Transactions.COMMITTED, to, partition), expected,
                "output in " + partition);
            int all = Transactions.values(Transactions.UNCOMMITTED, to, partition).size();
            Check.that(all > expected.size(), "aborted output in " + partition);
            Check.equal(plainOffset(group, new TopicPartition(from, partition)),
                (long) count / partitions, "committed offset of " + partition);
        }
    }

    private static final class Chain implements AutoCloseable {
        final KafkaConsumer<String, String> consumer;
        final KafkaProducer<String, String> producer;
        private final String from;
        private final String to;
        private int transactions;

        Chain(String group, String from, String to, String... consumerPairs) {
            this.from = from;
            this.to = to;
            producer = Transactions.initialised(group);
            String[] pairs = Arrays.copyOf(consumerPairs, consumerPairs.length + 4);
            System.arraycopy(new String[] {"max.poll.records", "20", "isolation.level",
                Transactions.COMMITTED}, 0, pairs, consumerPairs.length, 4);
            consumer = Clients.consumer(group, pairs);
            consumer.subscribe(List.of(from));
        }

        List<ConsumerRecord<String, String>> poll() {
            List<ConsumerRecord<String, String>> records = new ArrayList<>();
            long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
            while (records.isEmpty()) {
                Check.that(System.nanoTime() < end, "no records for 30 s");
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
            }
            return records;
        }

        /** Begins a transaction with the output for these records and their offsets. */
        void transform(Collection<ConsumerRecord<String, String>> records) {
            producer.beginTransaction();
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (ConsumerRecord<String, String> record : records) {
                producer.send(
                    new ProducerRecord<>(to, record.partition(), null, record.value() + "!"));
                offsets.put(new TopicPartition(from, record.partition()),
                    new OffsetAndMetadata(record.offset() + 1));
            }
            producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            producer.flush();
        }

        /** Goes on until that many records are committed in all. */
        void run(int count, boolean exactly) {
            long done = committed();
            while (done < count) {
                List<ConsumerRecord<String, String>> records = poll();
                transform(records);
                if (++transactions % 3 == 0) {
                    producer.abortTransaction();
                    rewind();
                } else {
                    producer.commitTransaction();
                    done += records.size();
                }
            }
            Check.that(!exactly || done == count, done + " instead of " + count + " were done");
            Check.equal(committed(), done, "committed in all");
        }

        private void rewind() {
            Map<TopicPartition, OffsetAndMetadata> committed =
                consumer.committed(consumer.assignment());
            consumer.assignment().forEach(partition -> {
                OffsetAndMetadata offset = committed.get(partition);
                consumer.seek(partition, offset == null ? 0 : offset.offset());
            });
        }

        private long committed() {
            Set<TopicPartition> all = new HashSet<>();
            consumer.partitionsFor(from).forEach(
                info -> all.add(new TopicPartition(from, info.partition())));
            return consumer.committed(all).values().stream()
                .mapToLong(offset -> offset == null ? 0 : offset.offset()).sum();
        }

        @Override
        public void close() {
            consumer.close();
            producer.close(Duration.ZERO);
        }
    }
}
