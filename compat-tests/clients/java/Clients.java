import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Makes clients, and the few steps that every file of checks takes. */
final class Clients {
    private Clients() {}

    static final Admin ADMIN = Admin.create(properties());

    static Properties properties(String... pairs) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", Check.BOOTSTRAP);
        for (int i = 0; i < pairs.length; i += 2) {
            properties.put(pairs[i], pairs[i + 1]);
        }
        return properties;
    }

    static KafkaProducer<String, String> producer(String... pairs) {
        return new KafkaProducer<>(
            properties(pairs), new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String group, String... pairs) {
        Properties properties = properties();
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("fetch.max.wait.ms", "50");
        if (group != null) {
            properties.put("group.id", group);
        }
        properties.putAll(properties(pairs));
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    static <T> T get(KafkaFuture<T> future) throws Exception {
        return future.get(30, TimeUnit.SECONDS);
    }

    /**
     * Creates a topic with these configs (pairs), waits until each partition is served
     * (upstream may answer before), and returns its name.
     */
    static String create(String name, int partitions, String... configs) throws Exception {
        String topic = createNow(name, partitions, configs);
        Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
        describe(topic).partitions().forEach(partition -> ends.put(
            new TopicPartition(topic, partition.partition()), OffsetSpec.latest()));
        get(ADMIN.listOffsets(ends).all());
        return topic;
    }

    static String createNow(String name, int partitions, String... configs) throws Exception {
        String topic = Check.unique(name);
        Map<String, String> map = new HashMap<>();
        for (int i = 0; i < configs.length; i += 2) {
            map.put(configs[i], configs[i + 1]);
        }
        get(ADMIN.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(map)))
            .all());
        return topic;
    }

    /** The description of a topic that exists, as soon as the broker knows of it. */
    static TopicDescription describe(String topic) throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
        while (true) {
            try {
                return get(ADMIN.describeTopics(List.of(topic)).allTopicNames()).get(topic);
            } catch (ExecutionException error) {
                boolean unknown = error.getCause() instanceof UnknownTopicOrPartitionException;
                if (!unknown || System.nanoTime() > end) {
                    throw error;
                }
                Thread.sleep(20);
            }
        }
    }

    /** Sends the records with one producer and returns the offset of each. */
    static List<Long> send(List<ProducerRecord<String, String>> records, String... pairs)
        throws Exception {
        try (KafkaProducer<String, String> producer = producer(pairs)) {
            List<Future<RecordMetadata>> futures = new ArrayList<>();
            for (ProducerRecord<String, String> record : records) {
                futures.add(producer.send(record));
            }
            producer.flush();
            List<Long> offsets = new ArrayList<>();
            for (Future<RecordMetadata> future : futures) {
                offsets.add(future.get(30, TimeUnit.SECONDS).offset());
            }
            return offsets;
        }
    }

    /** Sends `count` records with the values prefix0, prefix1, ... in turn to the partitions. */
    static List<String> sendValues(String topic, int partitions, String prefix, int count)
        throws Exception {
        List<ProducerRecord<String, String>> records = new ArrayList<>();
        List<String> values = new ArrayList<>();
        for (int n = 0; n < count; n++) {
            values.add(prefix + n);
            records.add(new ProducerRecord<>(topic, n % partitions, null, prefix + n));
        }
        send(records);
        return values;
    }

    /** Polls until there are `count` records; fails when there are more. */
    static List<ConsumerRecord<String, String>> take(
        KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
        while (records.size() < count) {
            Check.that(System.nanoTime() < end, "only " + records.size() + " of " + count);
            consumer.poll(Duration.ofMillis(100)).forEach(records::add);
        }
        Check.equal(records.size(), count, "records");
        return records;
    }

    /** Everything in one partition, which must be `count` records. */
    static List<ConsumerRecord<String, String>> read(
        String topic, int partition, int count, String... pairs) {
        try (KafkaConsumer<String, String> consumer = consumer(null, pairs)) {
            TopicPartition where = new TopicPartition(topic, partition);
            consumer.assign(List.of(where));
            consumer.seekToBeginning(List.of(where));
            List<ConsumerRecord<String, String>> records = take(consumer, count);
            long end = consumer.endOffsets(List.of(where)).get(where);
            Check.equal(consumer.position(where), end, "position after the last record");
            return records;
        }
    }

    static List<String> values(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(ConsumerRecord::value).toList();
    }

    static List<Long> offsets(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(ConsumerRecord::offset).toList();
    }

    static List<Long> range(long from, long to) {
        List<Long> numbers = new ArrayList<>();
        for (long n = from; n < to; n++) {
            numbers.add(n);
        }
        return numbers;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
