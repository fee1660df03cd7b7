import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
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
 * environment, and produces and consumes with kafka-clients. One line of JSON a mode.
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

        mode("kafka.KafkaContainer", () -> new KafkaContainer(apache),
                c -> produceAndConsume(c.getBootstrapServers()));
        mode("kafka.KafkaContainer with a listener on a network alias", () -> onNetwork(apache), c -> {
            produceBesides(c, apache);
        });
        mode("kafka.ConfluentKafkaContainer", () -> new ConfluentKafkaContainer(confluent),
                c -> produceAndConsume(c.getBootstrapServers()));
        legacy(confluent);
        System.out.println("end java");
        System.exit(0);
    }

    /** The deprecated class: it is what most projects still use. */
    @SuppressWarnings("deprecation")
    private static void legacy(DockerImageName image) {
        mode("containers.KafkaContainer, KRaft",
                () -> new org.testcontainers.containers.KafkaContainer(image).withKraft(),
                c -> produceAndConsume(c.getBootstrapServers()));
        mode("containers.KafkaContainer, embedded ZooKeeper",
                () -> new org.testcontainers.containers.KafkaContainer(image),
                c -> produceAndConsume(c.getBootstrapServers()));
        mode("containers.KafkaContainer, external ZooKeeper",
                () -> new org.testcontainers.containers.KafkaContainer(image)
                        .withExternalZookeeper("zookeeper:2181"),
                c -> produceAndConsume(c.getBootstrapServers()));
    }

    private static KafkaContainer onNetwork(DockerImageName image) {
        return new KafkaContainer(image).withNetwork(Network.newNetwork()).withListener("kafka:19092");
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

    private static void produceAndConsume(String bootstrap) throws Exception {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        try (Admin admin = Admin.create(config)) {
            int nodes = admin.describeCluster().nodes().get(30, TimeUnit.SECONDS).size();
            require(nodes == 1, "a cluster of one node, not " + nodes);
        }
        try (var producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (String value : VALUES) {
                producer.send(new ProducerRecord<>("words", "key", value)).get(30, TimeUnit.SECONDS);
            }
        }
        consume(bootstrap);
    }

    private static void consume(String bootstrap) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", bootstrap);
        config.put("group.id", "readers");
        config.put("auto.offset.reset", "earliest");
        List<String> seen = new ArrayList<>();
        try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of("words"));
            long deadline = System.nanoTime() + LIMIT.toNanos();
            while (seen.size() < VALUES.size() && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(200)).forEach(record -> seen.add(record.value()));
            }
            consumer.commitSync(LIMIT);
        }
        require(seen.equals(VALUES), "expected " + VALUES + ", consumed " + seen);
    }

    /** Produces from a second container on the network, by the alias, what is then consumed from here. */
    private static void produceBesides(KafkaContainer kafka, DockerImageName image) throws Exception {
        try (GenericContainer<?> beside = new GenericContainer<>(image)
                .withNetwork(kafka.getNetwork()).withCommand("sleep", "120")) {
            beside.start();
            ExecResult result = beside.execInContainer("bash", "-c", "printf '%s\\n' " + String.join(" ", VALUES)
                    + " | kafka-console-producer --bootstrap-server kafka:19092 --topic words");
            require(result.getExitCode() == 0, "a producer on the network ended with " + result);
        }
        consume(kafka.getBootstrapServers());
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
