import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.CloseOptions.GroupMembershipOperation;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;

/**
 * Kafka Streams, exactly once (v2): amounts for words are counted and summed behind a repartition
 * topic. The first instance is a JVM that dies in the middle of a transaction, the second is closed
 * in the middle of its input, the third ends; what was written must be the exact image of what was
 * read, each update once and in order.
 */
public final class ExactlyOnce {
    private static final String APPLICATION = Check.unique("exactly-once");
    private static final String INPUT = Check.unique("eo-input");
    private static final String COUNTS = Check.unique("eo-counts");
    private static final String SUMS = Check.unique("eo-sums");
    private static final String HALT = "halt";
    private static final int PARTITIONS = 2;
    private static final int WORDS = 17;
    /** The record on which the first instance dies. */
    private static final int HALT_AT = 400;
    /** How many records there are for each instance. */
    private static final int FIRST = 450;
    private static final int SECOND = 850;
    private static final int TOTAL = 1200;

    private ExactlyOnce() {}

    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 0) {
            runUntilHalt(Path.of(arguments[0]));
            return;
        }
        Path state = Files.createTempDirectory("exactly-once");
        Check part = new Check("exactly-once");
        part.check("an_instance_dies_in_the_middle_of_a_transaction", 120, () -> dies(state));
        part.check("the_next_is_closed_in_the_middle_and_the_third_ends", 150, () -> ends(state));
        part.check("each_update_of_the_counts_was_written_once", () -> image(COUNTS, counts()));
        part.check("each_update_of_the_sums_was_written_once", () -> image(SUMS, sums()));
        part.check("the_changelog_has_the_sums", ExactlyOnce::changelog);
        part.check("what_was_read_is_committed", ExactlyOnce::offsets);
        delete(state);
        part.end();
    }

    // ---- the application ----

    private static Topology topology(boolean halts) {
        StreamsBuilder builder = new StreamsBuilder();
        KGroupedStream<String, String> words = builder.<String, String>stream(INPUT)
            .selectKey((key, value) -> value.split(" ")[0])
            .mapValues(value -> value.split(" ")[1])
            .groupByKey(Grouped.as("words"));
        words.count(Materialized.as("counts")).toStream().mapValues(String::valueOf).to(COUNTS);
        KStream<String, String> sums = words.aggregate(() -> "0",
            (word, amount, sum) -> String.valueOf(Long.parseLong(sum) + Long.parseLong(amount)),
            Materialized.as("sums")).toStream();
        sums.to(SUMS);
        if (halts) {
            // What was forwarded to the topic above belongs to the transaction that is open now.
            sums.filter((word, sum) -> word.equals(HALT)).foreach((word, sum) -> halt());
        }
        return builder.build();
    }

    /** Dies without a word as soon as its open transaction has reached the broker. */
    private static void halt() {
        try {
            Check.eventually(30, "an open transaction", () -> open(SUMS) > 0);
            Runtime.getRuntime().halt(9);
        } catch (Exception error) {
            throw new AssertionError(error);
        }
    }

    private static KafkaStreams streams(Path state, boolean halts) {
        Properties properties = Clients.properties(
            StreamsConfig.APPLICATION_ID_CONFIG, APPLICATION,
            StreamsConfig.STATE_DIR_CONFIG, state.toString(),
            StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2,
            StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0",
            StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "100",
            StreamsConfig.NUM_STREAM_THREADS_CONFIG, "2",
            StreamsConfig.consumerPrefix("session.timeout.ms"), "6000",
            StreamsConfig.consumerPrefix("heartbeat.interval.ms"), "500",
            StreamsConfig.consumerPrefix("max.poll.records"), "20",
            StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest",
            StreamsConfig.producerPrefix("linger.ms"), "0");
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        return new KafkaStreams(topology(halts), properties);
    }

    // ---- the three instances ----

    private static void runUntilHalt(Path state) throws Exception {
        try (KafkaStreams streams = streams(state, true)) {
            streams.start();
            Thread.sleep(Duration.ofSeconds(100).toMillis());
        }
    }

    private static void dies(Path state) throws Exception {
        for (String topic : List.of("eo-input", "eo-counts", "eo-sums")) {
            Clients.create(topic, PARTITIONS);
        }
        feed(0, FIRST);
        Process instance = new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256m",
            "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
            System.getProperty("java.class.path"), "ExactlyOnce", state.toString())
            .redirectErrorStream(true)
            .redirectOutput(new File("/dev/stderr")).start();
        try {
            Check.that(instance.waitFor(90, TimeUnit.SECONDS), "it lives after 90 s");
        } finally {
            instance.destroyForcibly();
        }
        Check.equal(instance.exitValue(), 9, "status of the instance");
        Check.that(open(SUMS) > 0, "its transaction is open");
        Check.that(!read(SUMS).containsKey(HALT), "and its last update is not to be seen");
    }

    private static void ends(Path state) throws Exception {
        feed(FIRST, SECOND);
        runUntil(state, (FIRST + SECOND) / 2);
        feed(SECOND, TOTAL);
        runUntil(state, TOTAL);
    }

    /** Runs an instance until that many updates are committed, and closes it. */
    private static void runUntil(Path state, int updates) throws Exception {
        AtomicReference<Throwable> failure = new AtomicReference<>();
        try (KafkaStreams streams = streams(state, false);
            KafkaConsumer<String, String> consumer =
                Clients.consumer(null, "isolation.level", Transactions.COMMITTED)) {
            streams.setUncaughtExceptionHandler(error -> {
                failure.set(error);
                return StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse
                    .SHUTDOWN_CLIENT;
            });
            consumer.assign(Stream.of(COUNTS, SUMS).flatMap(topic -> IntStream.range(0, PARTITIONS)
                .mapToObj(partition -> new TopicPartition(topic, partition))).toList());
            Map<String, Integer> seen = new HashMap<>();
            streams.start();
            Check.eventually(60, updates + " updates", () -> {
                Check.equal(failure.get(), null, "failure");
                consumer.poll(Duration.ofMillis(50))
                    .forEach(record -> seen.merge(record.topic(), 1, Integer::sum));
                return seen.getOrDefault(COUNTS, 0) >= updates
                    && seen.getOrDefault(SUMS, 0) >= updates;
            });
            Check.that(streams.close(CloseOptions.timeout(Duration.ofSeconds(30))
                .withGroupMembershipOperation(GroupMembershipOperation.LEAVE_GROUP)),
                "did not close");
        }
        Check.equal(failure.get(), null, "failure");
    }

    // ---- input and output ----

    private static String word(int n) {
        return n == HALT_AT ? HALT : "word" + n % WORDS;
    }

    /** Sends the records of these numbers, a few at a time; a word stays in one partition. */
    private static void feed(int from, int to) throws Exception {
        try (KafkaProducer<String, String> producer = Clients.producer("linger.ms", "0")) {
            for (int n = from; n < to; n++) {
                producer.send(new ProducerRecord<>(
                    INPUT, n % WORDS % PARTITIONS, null, word(n) + " " + n));
                if (n % 5 == 0) {
                    producer.flush();
                }
            }
        }
    }

    private static Map<String, List<String>> counts() {
        Map<String, List<String>> updates = new TreeMap<>();
        for (int n = 0; n < TOTAL; n++) {
            List<String> counts = updates.computeIfAbsent(word(n), word -> new ArrayList<>());
            counts.add(String.valueOf(counts.size() + 1));
        }
        return updates;
    }

    private static Map<String, List<String>> sums() {
        Map<String, List<String>> updates = new TreeMap<>();
        Map<String, Long> sums = new HashMap<>();
        for (int n = 0; n < TOTAL; n++) {
            updates.computeIfAbsent(word(n), word -> new ArrayList<>())
                .add(String.valueOf(sums.merge(word(n), (long) n, Long::sum)));
        }
        return updates;
    }

    /** The committed updates of each word, in their order. */
    private static Map<String, List<String>> read(String topic) {
        Map<String, List<String>> updates = new TreeMap<>();
        for (int partition = 0; partition < PARTITIONS; partition++) {
            for (ConsumerRecord<String, String> record :
                    Transactions.all(Transactions.COMMITTED, topic, partition)) {
                updates.computeIfAbsent(record.key(), word -> new ArrayList<>())
                    .add(record.value());
            }
        }
        return updates;
    }

    /** How much of a topic belongs to transactions that are open. */
    private static long open(String topic) {
        long open = 0;
        for (int partition = 0; partition < PARTITIONS; partition++) {
            open += Transactions.end(Transactions.UNCOMMITTED, topic, partition)
                - Transactions.end(Transactions.COMMITTED, topic, partition);
        }
        return open;
    }

    private static void image(String topic, Map<String, List<String>> expected) {
        Check.equal(read(topic), expected, "updates");
        long all = 0;
        for (int partition = 0; partition < PARTITIONS; partition++) {
            all += Transactions.all(Transactions.UNCOMMITTED, topic, partition).size();
        }
        Check.that(all > TOTAL, "what the first instance left was aborted, not lost: " + all);
    }

    private static void changelog() {
        Map<String, String> last = new TreeMap<>();
        read(APPLICATION + "-sums-changelog").forEach(
            (word, updates) -> last.put(word, updates.get(updates.size() - 1)));
        Map<String, String> expected = new TreeMap<>();
        sums().forEach((word, updates) -> expected.put(word, updates.get(updates.size() - 1)));
        Check.equal(last, expected, "sums in the changelog");
    }

    private static void offsets() throws Exception {
        Map<TopicPartition, OffsetAndMetadata> committed = Clients.get(Clients.ADMIN
            .listConsumerGroupOffsets(APPLICATION).partitionsToOffsetAndMetadata());
        for (String topic : List.of(INPUT, APPLICATION + "-words-repartition")) {
            for (int partition = 0; partition < PARTITIONS; partition++) {
                long end = Transactions.end(Transactions.COMMITTED, topic, partition);
                Check.equal(committed.get(new TopicPartition(topic, partition)).offset(), end,
                    "committed offset of " + topic + " " + partition);
            }
        }
    }

    private static void delete(Path folder) throws Exception {
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
        }
    }
}
