import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.DescribeProducersResult.PartitionProducerState;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.NoOffsetForPartitionException;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTimestampException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;

/** Produced records come back exactly, with every codec and every acks, or are refused. */
final class ProduceConsume {
    private static final long START = Check.START;

    private ProduceConsume() {}

    static void run(Check part) {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (String acks : List.of("0", "1", "all")) {
                part.check("round_trip_" + codec + "_acks_" + acks, () -> roundTrip(codec, acks));
            }
        }
        part.check("log_append_time_is_the_brokers_time", ProduceConsume::logAppendTime);
        part.check("idempotent_producer_keeps_order_with_five_requests_in_flight",
            ProduceConsume::idempotent);
        part.check("keys_spread_over_partitions_and_keep_their_order", ProduceConsume::partitions);
        part.check("a_topic_is_created_on_first_produce", ProduceConsume::createdByProducer);
        part.check("a_topic_is_created_on_first_consume", ProduceConsume::createdByConsumer);
        part.check("the_first_produce_after_a_create_never_fails", ProduceConsume::firstProduce);
        part.check("offsets_times_and_positions_are_exact", ProduceConsume::offsetsAndTimes);
        part.check("a_record_larger_than_the_fetch_limits_is_still_read",
            ProduceConsume::largerThanFetch);
        part.check("a_long_poll_returns_when_records_come", ProduceConsume::longPoll);
        part.check("a_record_too_large_for_the_topic_is_refused", ProduceConsume::tooLarge);
        part.check("a_record_out_of_time_bounds_is_refused", ProduceConsume::outOfBounds);
        part.check("a_record_without_a_key_is_refused_where_logs_are_compacted",
            ProduceConsume::compactedNeedsKeys);
        part.check("offsets_out_of_range_are_told", ProduceConsume::outOfRange);
        part.check("unknown_and_invalid_topics_are_told", ProduceConsume::unknownTopics);
    }

    private static void roundTrip(String codec, String acks) throws Exception {
        String topic = Clients.create("j-" + codec + "-" + acks, 1);
        List<ProducerRecord<String, String>> sent = new ArrayList<>();
        for (int n = 0; n < 300; n++) {
            String key = n % 5 == 0 ? null : "key " + n;
            String value = n % 7 == 0 ? null : "value " + n + " " + "ab".repeat(n % 90);
            List<Header> headers = n % 3 == 0 ? List.of() : List.of(
                new RecordHeader("trace", new byte[] {0, -1, 7}),
                new RecordHeader("trace", Clients.bytes("again " + n)),
                new RecordHeader("empty", new byte[0]),
                new RecordHeader("null", (byte[]) null));
            sent.add(new ProducerRecord<>(topic, 0, START + n, key, value, headers));
        }
        List<Long> offsets = Clients.send(sent, "compression.type", codec, "acks", acks,
            "enable.idempotence", String.valueOf(acks.equals("all")), "linger.ms", "20");
        boolean answered = !acks.equals("0");
        Check.equal(offsets.stream().distinct().sorted().toList(),
            answered ? Clients.range(0, 300) : List.of(-1L), "offsets answered");
        List<ConsumerRecord<String, String>> got = Clients.read(topic, 0, 300);
        Check.equal(Clients.offsets(got), Clients.range(0, 300), "offsets");
        for (int n = 0; n < 300; n++) {
            ConsumerRecord<String, String> record = got.get(n);
            Check.equal(record.key(), sent.get(n).key(), "key of " + n);
            Check.equal(record.value(), sent.get(n).value(), "value of " + n);
            Check.equal(record.timestamp(), START + n, "timestamp of " + n);
            Check.equal(record.timestampType(), TimestampType.CREATE_TIME, "type of " + n);
            Check.equal(record.leaderEpoch().orElse(-1), 0, "leader epoch of " + n);
            Check.equal(Arrays.toString(record.headers().toArray()),
                Arrays.toString(sent.get(n).headers().toArray()), "headers of " + n);
        }
    }

    private static void logAppendTime() throws Exception {
        String topic = Clients.create("j-append-time", 1, "message.timestamp.type",
            "LogAppendTime");
        long before = System.currentTimeMillis();
        try (KafkaProducer<String, String> producer =
                Clients.producer("compression.type", "snappy")) {
            long told = producer.send(new ProducerRecord<>(topic, 0, 1000L, null, "a"))
                .get(30, TimeUnit.SECONDS).timestamp();
            long after = System.currentTimeMillis();
            Check.that(before <= told && told <= after, "time answered: " + told);
            ConsumerRecord<String, String> record = Clients.read(topic, 0, 1).get(0);
            Check.equal(record.timestampType(), TimestampType.LOG_APPEND_TIME, "type");
            Check.equal(record.timestamp(), told, "time read");
        }
    }

    private static void idempotent() throws Exception {
        String topic = Clients.create("j-idempotent", 1);
        List<ProducerRecord<String, String>> sent = new ArrayList<>();
        List<String> values = new ArrayList<>();
        for (int n = 0; n < 3000; n++) {
            values.add("record " + n);
            sent.add(new ProducerRecord<>(topic, 0, null, "record " + n));
        }
        List<Long> offsets = Clients.send(sent, "batch.size", "300", "linger.ms", "0",
            "max.in.flight.requests.per.connection", "5");
        Check.equal(offsets, Clients.range(0, 3000), "offsets answered");
        Check.equal(Clients.values(Clients.read(topic, 0, 3000)), values, "values");
        TopicPartition where = new TopicPartition(topic, 0);
        PartitionProducerState state =
            Clients.get(Clients.ADMIN.describeProducers(List.of(where)).partitionResult(where));
        Check.equal(state.activeProducers().size(), 1, "active producers");
        ProducerState producer = state.activeProducers().get(0);
        Check.that(producer.producerId() >= 0, "producer id " + producer.producerId());
        Check.equal(producer.producerEpoch(), 0, "producer epoch");
        Check.equal(producer.lastSequence(), 2999, "last sequence");
        Check.equal(producer.currentTransactionStartOffset().isPresent(), false, "transaction");
    }

    private static void partitions() throws Exception {
        String topic = Clients.create("j-partitions", 6);
        Map<Integer, List<String>> placed = new HashMap<>();
        try (KafkaProducer<String, String> producer = Clients.producer()) {
            for (int n = 0; n < 300; n++) {
                int partition = producer.send(
                        new ProducerRecord<>(topic, "user-" + n % 20, "v" + n))
                    .get(30, TimeUnit.SECONDS).partition();
                placed.computeIfAbsent(partition, key -> new ArrayList<>()).add("v" + n);
            }
        }
        Check.that(placed.size() > 2, "partitions used: " + placed.keySet());
        for (Map.Entry<Integer, List<String>> entry : placed.entrySet()) {
            List<String> values = entry.getValue();
            Check.equal(Clients.values(Clients.read(topic, entry.getKey(), values.size())), values,
                "partition " + entry.getKey());
        }
    }

    private static void createdByProducer() throws Exception {
        String topic = Check.unique("j-auto");
        Check.equal(Clients.send(List.of(new ProducerRecord<>(topic, "first"))), List.of(0L),
            "offset");
        Check.equal(Clients.values(Clients.read(topic, 0, 1)), List.of("first"), "values");
        Check.equal(Clients.describe(topic).partitions().size(), 1, "partitions");
    }

    private static void createdByConsumer() throws Exception {
        String topic = Check.unique("j-auto-consumer");
        try (KafkaConsumer<String, String> consumer = Clients.consumer(null)) {
            Check.eventually(20, "topic created",
                () -> !consumer.partitionsFor(topic).isEmpty());
        }
        Check.equal(Clients.describe(topic).partitions().size(), 1, "partitions");
    }

    private static void firstProduce() throws Exception {
        for (int n = 0; n < 10; n++) {
            String topic = Clients.createNow("j-first-" + n, 3);
            List<ProducerRecord<String, String>> records = new ArrayList<>();
            for (int partition = 0; partition < 3; partition++) {
                records.add(new ProducerRecord<>(topic, partition, null, "first"));
            }
            Check.equal(Clients.send(records, "delivery.timeout.ms", "10000",
                "request.timeout.ms", "5000"), List.of(0L, 0L, 0L), "offsets");
        }
    }

    private static void offsetsAndTimes() throws Exception {
        String topic = Clients.create("j-offsets", 1);
        List<ProducerRecord<String, String>> sent = new ArrayList<>();
        for (int n = 0; n < 50; n++) {
            sent.add(new ProducerRecord<>(topic, 0, START + n * 1000L, null, "v" + n));
        }
        Clients.send(sent, "batch.size", "100");
        TopicPartition where = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(null, "max.poll.records", "5")) {
            consumer.assign(List.of(where));
            Check.equal(consumer.beginningOffsets(List.of(where)), Map.of(where, 0L), "beginning");
            Check.equal(consumer.endOffsets(List.of(where)), Map.of(where, 50L), "end");
            Map<Long, Long> times = Map.of(START - 5, 0L, START, 0L, START + 7000, 7L,
                START + 7001, 8L, START + 49_000, 49L);
            for (Map.Entry<Long, Long> time : times.entrySet()) {
                OffsetAndTimestamp found =
                    consumer.offsetsForTimes(Map.of(where, time.getKey())).get(where);
                long expected = time.getValue();
                Check.equal(found.offset(), expected, "offset at " + time.getKey());
                Check.equal(found.timestamp(), START + expected * 1000, "time found");
            }
            Check.equal(consumer.offsetsForTimes(Map.of(where, START + 49_001)).get(where), null,
                "offset after the last record");
            consumer.seek(where, 33);
            Check.equal(Clients.offsets(Clients.take(consumer, 5)), Clients.range(33, 38), "sought");
            Check.equal(consumer.position(where), 38L, "position");
            Check.equal(consumer.currentLag(where).orElse(-1), 12L, "lag");
        }
    }

    private static void largerThanFetch() throws Exception {
        String topic = Clients.create("j-fetch-limit", 2);
        List<ProducerRecord<String, String>> sent = new ArrayList<>();
        for (int n = 0; n < 6; n++) {
            sent.add(new ProducerRecord<>(topic, n % 2, null, String.valueOf(n).repeat(300_000)));
        }
        Clients.send(sent);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(null,
                "max.partition.fetch.bytes", "1000", "fetch.max.bytes", "1000")) {
            consumer.assign(List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1)));
            List<String> got = new ArrayList<>(Clients.values(Clients.take(consumer, 6)));
            got.sort(null);
            Check.equal(got, sent.stream().map(ProducerRecord::value).toList(), "values");
        }
    }

    private static void longPoll() throws Exception {
        String topic = Clients.create("j-long-poll", 1);
        TopicPartition where = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(null, "fetch.max.wait.ms", "20000")) {
            consumer.assign(List.of(where));
            consumer.seek(where, 0);
            Check.equal(consumer.poll(java.time.Duration.ofMillis(500)).count(), 0, "records");
            long before = System.nanoTime();
            Clients.sendValues(topic, 1, "v", 1);
            Check.equal(Clients.values(Clients.take(consumer, 1)), List.of("v0"), "values");
            long took = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - before);
            Check.that(took < 10_000, "the poll took " + took + " ms");
        }
    }

    private static void tooLarge() throws Exception {
        String topic = Clients.create("j-too-large", 1, "max.message.bytes", "1000");
        Check.raises(RecordTooLargeException.class,
            () -> Clients.send(List.of(new ProducerRecord<>(topic, "x".repeat(2000)))));
        Check.equal(Clients.send(List.of(new ProducerRecord<>(topic, "x".repeat(900)))),
            List.of(0L), "offset of a record that fits");
    }

    private static void outOfBounds() throws Exception {
        String topic = Clients.create("j-bounds", 1, "message.timestamp.before.max.ms", "60000",
            "message.timestamp.after.max.ms", "60000");
        long now = System.currentTimeMillis();
        for (long time : List.of(now - 120_000, now + 120_000)) {
            Check.raises(InvalidTimestampException.class,
                () -> Clients.send(List.of(new ProducerRecord<>(topic, 0, time, null, "wrong"))));
        }
        Check.equal(Clients.send(List.of(new ProducerRecord<>(topic, 0, now, null, "right"))),
            List.of(0L), "offset");
    }

    private static void compactedNeedsKeys() throws Exception {
        String topic = Clients.create("j-compacted", 1, "cleanup.policy", "compact");
        Check.raises(InvalidRecordException.class,
            () -> Clients.send(List.of(new ProducerRecord<>(topic, 0, null, "no key"))));
        Check.equal(Clients.send(List.of(new ProducerRecord<>(topic, 0, "key", null))),
            List.of(0L), "offset of a record with a key");
    }

    private static void outOfRange() throws Exception {
        String topic = Clients.create("j-range", 1);
        Clients.sendValues(topic, 1, "v", 3);
        TopicPartition where = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(null, "auto.offset.reset", "none")) {
            consumer.assign(List.of(where));
            Check.raises(NoOffsetForPartitionException.class,
                () -> consumer.poll(java.time.Duration.ofSeconds(10)));
            consumer.seek(where, 100);
            OffsetOutOfRangeException error = Check.raises(OffsetOutOfRangeException.class,
                () -> Clients.take(consumer, 1));
            Check.equal(error.offsetOutOfRangePartitions(), Map.of(where, 100L), "offsets");
        }
        try (KafkaConsumer<String, String> consumer = Clients.consumer(null)) {
            consumer.assign(List.of(where));
            consumer.seek(where, 100);
            Check.equal(Clients.offsets(Clients.take(consumer, 3)), Clients.range(0, 3), "reset");
        }
    }

    private static void unknownTopics() throws Exception {
        try (KafkaProducer<String, String> producer = Clients.producer("max.block.ms", "1500")) {
            Check.raises(InvalidTopicException.class,
                () -> producer.send(new ProducerRecord<>("no/slashes", "v")).get());
            String topic = Clients.create("j-few", 1);
            Check.raises(TimeoutException.class,
                () -> producer.send(new ProducerRecord<>(topic, 5, null, "v")).get());
        }
        try (KafkaConsumer<String, String> consumer = Clients.consumer(null,
                "allow.auto.create.topics", "false")) {
            String nowhere = Check.unique("j-nowhere");
            Check.equal(consumer.partitionsFor(nowhere), List.of(), "partitions");
            Check.that(!Clients.get(Clients.ADMIN.listTopics().names()).contains(nowhere),
                "a topic was created");
        }
    }
}
