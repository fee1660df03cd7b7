import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * The word count of Kafka Streams, at least once: lines in, a repartition topic between, counts
 * kept in a store with a changelog topic, counts out. The second run begins without local state.
 */
public final class WordCount {
    private static final String APPLICATION = Check.unique("word-count");
    private static final int PARTITIONS = 2;
    private static final List<String> FIRST = List.of("the quick brown fox", "jumps over the dog",
        "The lazy dog sleeps", "", "quick quick slow", "the end of the first part");
    private static final List<String> SECOND = List.of("the dog wakes", "and the fox is gone",
        "quick said the dog");

    private static final String REPARTITION = APPLICATION + "-words-repartition";
    private static final String CHANGELOG = APPLICATION + "-counts-changelog";

    private static String input;
    private static String output;
    /** Every count told for a word, in the order of the output topic. */
    private static final Map<String, List<Long>> TOLD = new TreeMap<>();

    private WordCount() {}

    public static void main(String[] arguments) {
        Check part = new Check("streams");
        part.check("a_word_count_runs_to_its_end", 120, () -> {
            input = Clients.create("wc-input", PARTITIONS);
            output = Clients.create("wc-output", PARTITIONS);
            count(FIRST, FIRST);
        });
        part.check("its_topics_are_as_streams_makes_them", WordCount::topics);
        part.check("its_offsets_are_committed_to_the_end", WordCount::offsets);
        part.check("it_goes_on_from_its_changelog_without_local_state", 120, () -> {
            List<String> all = new ArrayList<>(FIRST);
            all.addAll(SECOND);
            count(SECOND, all);
        });
        part.end();
    }

    private static Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream(input)
            .flatMapValues(line -> Arrays.asList(line.toLowerCase().split("\\W+")))
            .filter((key, word) -> !word.isEmpty())
            .groupBy((key, word) -> word, Grouped.as("words"))
            .count(Materialized.as("counts"))
            .toStream()
            .to(output, Produced.with(Serdes.String(), Serdes.Long()));
        return builder.build();
    }

    private static Properties config(Path state) {
        Properties properties = Clients.properties(
            StreamsConfig.APPLICATION_ID_CONFIG, APPLICATION,
            StreamsConfig.STATE_DIR_CONFIG, state.toString(),
            StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE,
            StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0",
            StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, "500",
            StreamsConfig.REPARTITION_PURGE_INTERVAL_MS_CONFIG, "500",
            // Streams does not leave its group on close; the next run waits for its session.
            StreamsConfig.consumerPrefix("session.timeout.ms"), "6000",
            StreamsConfig.consumerPrefix("heartbeat.interval.ms"), "1000",
            StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        return properties;
    }

    /** Sends the lines, runs until all lines so far are counted, and compares every count. */
    private static void count(List<String> lines, List<String> allLines) throws Exception {
        for (String line : lines) {
            Clients.send(List.of(new ProducerRecord<>(input, line)));
        }
        Map<String, List<Long>> expected = new TreeMap<>();
        allLines.stream().flatMap(line -> Stream.of(line.toLowerCase().split("\\W+")))
            .filter(word -> !word.isEmpty())
            .forEach(word -> expected.computeIfAbsent(word, key -> new ArrayList<>())
                .add(expected.get(word).size() + 1L));
        Path state = Files.createTempDirectory("word-count");
        try (KafkaStreams streams = new KafkaStreams(topology(), config(state))) {
            streams.setUncaughtExceptionHandler(error -> {
                error.printStackTrace();
                return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler
                    .StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            int total = expected.values().stream().mapToInt(List::size).sum();
            readOutput(total);
            // What was read of the repartition topic and committed is deleted by Streams.
            Check.soonEqual("records deleted from " + REPARTITION, (long) total,
                WordCount::repartitionStart);
            Check.that(streams.state().isRunningOrRebalancing(), "state " + streams.state());
            Check.that(streams.close(Duration.ofSeconds(30)), "did not close");
        } finally {
            delete(state);
        }
        Check.equal(TOLD, expected, "counts");
    }

    /** Reads the output topic from its start, until it has `total` counts. */
    private static void readOutput(int total) {
        Properties properties = Clients.properties("fetch.max.wait.ms", "50");
        List<TopicPartition> partitions = partitions(output);
        TOLD.clear();
        try (KafkaConsumer<String, Long> consumer = new KafkaConsumer<>(properties,
                new StringDeserializer(), Serdes.Long().deserializer())) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long end = System.nanoTime() + Duration.ofSeconds(90).toNanos();
            int read = 0;
            while (read < total) {
                Check.that(System.nanoTime() < end, "only " + read + " of " + total + " counts");
                for (ConsumerRecord<String, Long> record :
                        consumer.poll(Duration.ofMillis(200))) {
                    read++;
                    TOLD.computeIfAbsent(record.key(), key -> new ArrayList<>())
                        .add(record.value());
                }
            }
        }
    }

    private static long repartitionStart() {
        List<TopicPartition> partitions = partitions(REPARTITION);
        try (KafkaConsumer<String, String> consumer = Clients.consumer(null)) {
            return consumer.beginningOffsets(partitions).values().stream()
                .mapToLong(Long::longValue).sum();
        }
    }

    private static List<TopicPartition> partitions(String topic) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (int n = 0; n < PARTITIONS; n++) {
            partitions.add(new TopicPartition(topic, n));
        }
        return partitions;
    }

    private static void topics() throws Exception {
        for (String topic : List.of(REPARTITION, CHANGELOG)) {
            Check.equal(Clients.describe(topic).partitions().size(), PARTITIONS, topic);
        }
        Check.equal(policy(CHANGELOG), "compact", "policy of the changelog");
        Check.equal(policy(REPARTITION), "delete", "policy of the repartition topic");
    }

    private static String policy(String topic) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return Clients.get(Clients.ADMIN.describeConfigs(List.of(resource)).all()).get(resource)
            .get("cleanup.policy").value();
    }

    private static void offsets() throws Exception {
        Map<TopicPartition, OffsetAndMetadata> committed = Clients.get(Clients.ADMIN
            .listConsumerGroupOffsets(APPLICATION).partitionsToOffsetAndMetadata());
        long lines = committed.entrySet().stream().filter(e -> e.getKey().topic().equals(input))
            .mapToLong(e -> e.getValue().offset()).sum();
        Check.equal(lines, (long) FIRST.size(), "committed lines");
    }

    private static void delete(Path folder) throws Exception {
        try (Stream<Path> files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
        }
    }
}
