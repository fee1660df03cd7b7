import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.testcontainers.DockerClientFactory;
import org.testcontainers.containers.Container.ExecResult;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.Network;
import org.testcontainers.kafka.ConfluentKafkaContainer;
import org.testcontainers.kafka.KafkaContainer;
import org.testcontainers.utility.DockerImageName;

/**
 * Starts each Kafka container class of the Testcontainers modules on the images named in the
 * environment, and tries it out with kafka-clients: topics, records, a group. One line of JSON a mode.
 */
public final class Modules {
    private static final Duration LIMIT = Duration.ofSeconds(30);
    private static final List<String> VALUES = List.of("eins", "zwei", "drei");

    /** What a mode does once its container has started. */
    private interface Check<C> {
        void on(C container) throws Exception;
    }

    public static void main(String[] arguments) {
        // What it costs to find the engine is no part of a start.
        DockerClientFactory.instance().client();
        DockerImageName apache = DockerImageName.parse(System.getenv("APACHE_IMAGE"))
                .asCompatibleSubstituteFor("apache/kafka");
        DockerImageName confluent = DockerImageName.parse(System.getenv("CONFLUENT_IMAGE"))
                .asCompatibleSubstituteFor("confluentinc/cp-kafka");

        if (System.getenv("TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX") != null) {
            // The prefix leads to the image: the code has upstream's name.
            mode("kafka.KafkaContainer of apache/kafka, by the prefix in the environment",
                    () -> new KafkaContainer("apache/kafka:4.3.1"), c -> tryOut(c.getBootstrapServers()));
        } else {
            current(apache, confluent);
            legacy(confluent);
        }
        System.out.println("end java");
        System.exit(0);
    }

    private static void current(DockerImageName apache, DockerImageName confluent) {
        mode("kafka.KafkaContainer", () -> new KafkaContainer(apache), c -> tryOut(c.getBootstrapServers()));
        mode("kafka.KafkaContainer with a listener on a network alias",
                () -> new KafkaContainer(apache).withNetwork(Network.newNetwork()).withListener("kafka:19092"),
                c -> tryOutFromBeside(c, c.getBootstrapServers(), apache));
        mode("kafka.ConfluentKafkaContainer", () -> new ConfluentKafkaContainer(confluent),
                c -> tryOut(c.getBootstrapServers()));
        mode("kafka.ConfluentKafkaContainer with a listener on a network alias",
                () -> new ConfluentKafkaContainer(confluent)
                        .withNetwork(Network.newNetwork()).withListener("kafka:19092"),
                c -> tryOutFromBeside(c, c.getBootstrapServers(), apache));
    }

    /** The deprecated class: it is what most projects still use. */
    @SuppressWarnings("deprecation")
    private static void legacy(DockerImageName image) {
        mode("containers.KafkaContainer, KRaft",
                () -> new org.testcontainers.containers.KafkaContainer(image).withKraft(),
                c -> tryOut(c.getBootstrapServers()));
        mode("containers.KafkaContainer, KRaft, with a listener on a network alias",
                () -> new org.testcontainers.containers.KafkaContainer(image).withKraft()
                        .withNetwork(Network.newNetwork()).withListener(() -> "kafka:19092"),
                c -> tryOutFromBeside(c, c.getBootstrapServers(), image));
        mode("containers.KafkaContainer, embedded ZooKeeper",
                () -> new org.testcontainers.containers.KafkaContainer(image),
                c -> tryOut(c.getBootstrapServers()));
        mode("containers.KafkaContainer, external ZooKeeper",
                () -> new org.testcontainers.containers.KafkaContainer(image)
                        .withExternalZookeeper("zookeeper:2181"),
                c -> tryOut(c.getBootstrapServers()));
    }

    private static <C extends GenericContainer<?>> void mode(String mode, Supplier<C> supplier, Check<C> check) {
        if (skipped(mode)) {
            return;
        }
        String error = "";
        double seconds = 0;
        C container = null;
        try {
            container = supplier.get();
            long begin = System.nanoTime();
            container.start();
            seconds = (System.nanoTime() - begin) / 1e9;
            check.on(container);
        } catch (Throwable thrown) {
            error = thrown.toString();
            thrown.printStackTrace();
            if (container != null && container.getContainerId() != null) {
                System.err.println(container.getLogs());
            }
        } finally {
            close(container);
        }
        System.out.printf("{\"mode\": %s, \"client\": \"kafka-clients 4.3.1\", \"seconds\": %.2f, \"error\": %s}%n",
                quoted(mode), seconds, quoted(error));
    }

    private static boolean skipped(String mode) {
        String without = System.getenv().getOrDefault("WITHOUT", "");
        return !without.isEmpty() && mode.contains(without);
    }

    private static void close(GenericContainer<?> container) {
        if (container == null) {
            return;
        }
        Network network = container.getNetwork();
        container.stop();
        if (network != null) {
            network.close();
        }
    }

    private static void tryOut(String bootstrap) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            int nodes = admin.describeCluster().nodes().get(30, TimeUnit.SECONDS).size();
            require(nodes == 1, "a cluster of one node, not " + nodes);
            admin.createTopics(List.of(new NewTopic("orders", 3, (short) 1))).all().get(30, TimeUnit.SECONDS);
            Set<String> topics = admin.listTopics().names().get(30, TimeUnit.SECONDS);
            require(topics.contains("orders"), "the list of topics has no orders: " + topics);
        }
        produce(bootstrap);
        consume(bootstrap, true);
    }

    private static void produce(String bootstrap) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap);
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (String value : VALUES) {
                var record = new ProducerRecord<>("words", "key", value);
                record.headers().add("length", new byte[] {(byte) value.length()});
                producer.send(record).get(30, TimeUnit.SECONDS);
            }
        }
    }

    /** Reads as a group, and asks for the group's offset afterwards. */
    private static void consume(String bootstrap, boolean keyed) throws Exception {
        Map<String, Object> config = Map.of(
                "bootstrap.servers", bootstrap, "group.id", "readers", "auto.offset.reset", "earliest");
        List<String> seen = new ArrayList<>();
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of("words"));
            long deadline = System.nanoTime() + LIMIT.toNanos();
            while (seen.size() < VALUES.size() && System.nanoTime() < deadline) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    seen.add(record.value());
                    if (keyed) {
                        Header header = record.headers().lastHeader("length");
                        require("key".equals(record.key()), "key " + record.key());
                        require(header != null && header.value()[0] == record.value().length(), "header " + header);
                    }
                }
            }
            consumer.commitSync(LIMIT);
        }
        require(seen.equals(VALUES), "expected " + VALUES + ", consumed " + seen);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            var offsets = admin.listConsumerGroupOffsets("readers").partitionsToOffsetAndMetadata()
                    .get(30, TimeUnit.SECONDS);
            var committed = offsets.get(new TopicPartition("words", 0));
            require(committed != null && committed.offset() == VALUES.size(), "committed " + offsets);
        }
    }

    /** Produces from a second container on the network, by the alias, what is then consumed from here. */
    private static void tryOutFromBeside(GenericContainer<?> kafka, String bootstrap, DockerImageName image)
            throws Exception {
        try (GenericContainer<?> beside = new GenericContainer<>(image)
                .withNetwork(kafka.getNetwork()).withCommand("sleep", "120")) {
            beside.start();
            ExecResult result = beside.execInContainer("bash", "-c", "printf '%s\\n' " + String.join(" ", VALUES)
                    + " | kafka-console-producer --bootstrap-server kafka:19092 --topic words");
            require(result.getExitCode() == 0, "a producer on the network ended with " + result);
        }
        consume(bootstrap, false);
    }

    private static void require(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(' ');
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    private Modules() {}
}
