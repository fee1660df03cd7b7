import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.AdminClient;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeader;

/** What clients of years ago do: compiled and run with them, unlike the other programs here. */
public final class OldClients {
    private static final int COUNT = 100;
    private static final String STRINGS = "org.apache.kafka.common.serialization.String";

    private OldClients() {}

    public static void main(String[] arguments) {
        Check part = new Check(arguments[0]);
        for (String codec : arguments[1].split(",")) {
            part.check("records_go_and_come_packed_as_" + codec, () -> roundTrip(codec));
        }
        part.check("a_group_goes_on_where_it_was", OldClients::group);
        part.check("offsets_are_found_by_time", OldClients::times);
        part.check("transactions_are_seen_whole_or_not_at_all", OldClients::transactions);
        part.check("topics_are_made_listed_described_and_deleted", OldClients::topics);
        part.end();
    }

    private static void roundTrip(String codec) throws Exception {
        String topic = create("packed-" + codec, 1);
        try (KafkaProducer<String, String> producer = producer("compression.type", codec,
                "enable.idempotence", "true", "acks", "all", "linger.ms", "20")) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int n = 0; n < COUNT; n++) {
                sent.add(producer.send(new ProducerRecord<>(topic, 0, Check.START + n, "key " + n,
                    "value " + n, List.of(new RecordHeader("n", new byte[] {(byte) n})))));
            }
            for (int n = 0; n < COUNT; n++) {
                Check.equal(sent.get(n).get(30, TimeUnit.SECONDS).offset(), (long) n, "offset");
            }
        }
        List<ConsumerRecord<String, String>> got = read(topic, COUNT, "read_uncommitted");
        for (int n = 0; n < COUNT; n++) {
            ConsumerRecord<String, String> record = got.get(n);
            Check.equal(record.offset(), (long) n, "offset");
            Check.equal(record.key() + "=" + record.value(), "key " + n + "=value " + n, "record");
            Check.equal(record.timestamp(), Check.START + n, "timestamp");
            Check.equal((int) record.headers().lastHeader("n").value()[0], n, "header");
        }
    }

    private static void group() throws Exception {
        String topic = create("group", 2);
        produce(topic, 2, COUNT);
        TopicPartition first = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer = consumer("group.id", topic)) {
            consumer.subscribe(List.of(topic));
            Check.equal(poll(consumer, COUNT).size(), COUNT, "records");
            consumer.commitSync(Map.of(first, new OffsetAndMetadata(COUNT / 2 - 10, "note")));
            Check.equal(consumer.committed(first).metadata(), "note", "metadata");
        }
        try (KafkaConsumer<String, String> consumer = consumer("group.id", topic)) {
            consumer.subscribe(List.of(topic));
            // The other partition has no committed offset.
            List<ConsumerRecord<String, String>> again = poll(consumer, 10 + COUNT / 2);
            Check.equal(again.stream().filter(record -> record.partition() == 0).count(), 10L,
                "records that were not committed");
        }
    }

    private static void times() throws Exception {
        String topic = create("times", 1);
        produce(topic, 1, COUNT);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer = consumer("group.id", topic)) {
            var found = consumer.offsetsForTimes(Map.of(partition, Check.START + 40)).get(partition);
            Check.equal(found.offset(), 40L, "offset");
            Check.equal(found.timestamp(), Check.START + 40, "timestamp");
            Check.equal(consumer.beginningOffsets(List.of(partition)).get(partition), 0L, "begin");
            Check.equal(consumer.endOffsets(List.of(partition)).get(partition), (long) COUNT, "end");
        }
    }

    private static void transactions() throws Exception {
        String topic = create("transactions", 1);
        try (KafkaProducer<String, String> producer = producer("transactional.id", topic)) {
            producer.initTransactions();
            for (String value : List.of("aborted", "kept")) {
                producer.beginTransaction();
                for (int n = 0; n < 10; n++) {
                    producer.send(new ProducerRecord<>(topic, 0, null, null, value));
                }
                producer.sendOffsetsToTransaction(
                    Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(value.length())), topic);
                if (value.equals("kept")) {
                    producer.commitTransaction();
                } else {
                    producer.flush();
                    producer.abortTransaction();
                }
            }
        }
        List<ConsumerRecord<String, String>> got = read(topic, 10, "read_committed");
        Check.equal(got.stream().map(ConsumerRecord::value).collect(Collectors.toSet()).toString(),
            "[kept]", "values");
        try (KafkaConsumer<String, String> consumer = consumer("group.id", topic)) {
            Check.equal(consumer.committed(new TopicPartition(topic, 0)).offset(), 4L, "offset");
        }
    }

    private static void topics() throws Exception {
        try (AdminClient admin = AdminClient.create(properties())) {
            String topic = create("topics", 3);
            Check.equal(admin.listTopics().names().get().contains(topic), true, "listed");
            var described = admin.describeTopics(List.of(topic)).all().get().get(topic);
            Check.equal(described.partitions().size(), 3, "partitions");
            admin.deleteTopics(List.of(topic)).all().get();
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
            while (admin.listTopics().names().get().contains(topic)) {
                if (System.nanoTime() > deadline) {
                    throw new AssertionError("the deleted topic is still listed");
                }
            }
        }
    }

    // ---- what the checks share ----

    private static String create(String what, int partitions) throws Exception {
        String topic = "old-" + what + "-" + System.getenv("RUN_ID");
        try (AdminClient admin = AdminClient.create(properties())) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        }
        return topic;
    }

    private static void produce(String topic, int partitions, int count) throws Exception {
        try (KafkaProducer<String, String> producer = producer()) {
            List<Future<RecordMetadata>> sent = IntStream.range(0, count)
                .mapToObj(n -> producer.send(new ProducerRecord<>(topic, n % partitions,
                    Check.START + n, "key", "value")))
                .collect(Collectors.toList());
            for (Future<RecordMetadata> one : sent) {
                one.get(30, TimeUnit.SECONDS);
            }
        }
    }

    private static List<ConsumerRecord<String, String>> read(
            String topic, int count, String isolation) throws Exception {
        try (KafkaConsumer<String, String> consumer = consumer("isolation.level", isolation)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            return poll(consumer, count);
        }
    }

    private static List<ConsumerRecord<String, String>> poll(
            KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> got = new ArrayList<>();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (got.size() < count && System.nanoTime() < deadline) {
            consumer.poll(200).forEach(got::add);
        }
        Check.equal(got.size(), count, "records");
        return got;
    }

    private static KafkaProducer<String, String> producer(String... settings) {
        Properties properties = properties(settings);
        properties.put("key.serializer", STRINGS + "Serializer");
        properties.put("value.serializer", STRINGS + "Serializer");
        return new KafkaProducer<>(properties);
    }

    private static KafkaConsumer<String, String> consumer(String... settings) {
        Properties properties = properties(settings);
        properties.put("key.deserializer", STRINGS + "Deserializer");
        properties.put("value.deserializer", STRINGS + "Deserializer");
        properties.putIfAbsent("group.id", "old-" + System.getenv("RUN_ID"));
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(properties);
    }

    private static Properties properties(String... settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", Check.BOOTSTRAP);
        properties.put("request.timeout.ms", "20000");
        for (int n = 0; n < settings.length; n += 2) {
            properties.put(settings[n], settings[n + 1]);
        }
        return properties;
    }
}
