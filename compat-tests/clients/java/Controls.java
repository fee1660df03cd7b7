import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListConfigResourcesOptions;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;

/**
 * Java clients on a broker whose clock is moved and whose state is reset while they run. The broker
 * is in test mode, its HTTP port is at ADMIN, and its state after the start has one topic with
 * records.
 */
public final class Controls {
    private static final String SEEDED = "seeded";
    private static final List<String> VALUES = List.of("one", "two", "three");
    private static final TopicPartition WHERE = new TopicPartition(SEEDED, 0);
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private Controls() {}

    public static void main(String[] arguments) {
        Check part = new Check("controls-java");
        part.check("a consumer whose session the clock ends rejoins and goes on",
            Controls::sessionEnds);
        part.check("a group and an idempotent producer live through a reset",
            Controls::liveThroughReset);
        part.check("positions beyond the end of a reset topic are out of range, others go on",
            Controls::positions);
        part.check("a snapshot is restored under a running consumer", Controls::snapshot);
        part.check("what producer, consumer and admin push of their metrics stands in /metrics",
            Controls::clientMetrics);
        part.end();
    }

    private static String post(String path, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("ADMIN") + path))
            .timeout(Duration.ofSeconds(20))
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
        HttpResponse<String> answer = HTTP.send(request, HttpResponse.BodyHandlers.ofString());
        Check.equal(answer.statusCode(), 200, path + " " + body + ": " + answer.body());
        return answer.body();
    }

    private static String get(String path) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("ADMIN") + path))
            .timeout(Duration.ofSeconds(20))
            .build();
        HttpResponse<String> answer = HTTP.send(request, HttpResponse.BodyHandlers.ofString());
        Check.equal(answer.statusCode(), 200, path + ": " + answer.body());
        return answer.body();
    }

    /** Whether a client has pushed a metric whose name begins so. */
    private static boolean hasPushed(Uuid client, String name) throws Exception {
        String label = "client_instance_id=\"" + client + "\"";
        return get("/metrics").lines()
            .anyMatch(line -> line.startsWith(name) && line.contains(label));
    }

    /** Clients ask for subscriptions when they start: one there is then counts at once. */
    private static void clientMetrics() throws Exception {
        reset();
        ConfigResource subscription =
            new ConfigResource(ConfigResource.Type.CLIENT_METRICS, Check.unique("pushed"));
        List<AlterConfigOp> configs = List.of(
            set("metrics", "org.apache.kafka."), set("interval.ms", "500"),
            set("match", "client_software_name=apache-kafka-java"));
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", Check.BOOTSTRAP))) {
            admin.incrementalAlterConfigs(Map.of(subscription, configs)).all().get(20, TimeUnit.SECONDS);
            Collection<ConfigResource> listed = admin.listConfigResources(
                    Set.of(ConfigResource.Type.CLIENT_METRICS), new ListConfigResourcesOptions())
                .all().get(20, TimeUnit.SECONDS);
            Check.equal(List.copyOf(listed), List.of(subscription), "subscriptions");
        }
        Duration patience = Duration.ofSeconds(20);
        try (Admin admin = Admin.create(Map.<String, Object>of(
                "bootstrap.servers", Check.BOOTSTRAP, "enable.metrics.push", "true"));
            KafkaProducer<String, String> producer = Clients.producer();
            KafkaConsumer<String, String> consumer = Clients.consumer(Check.unique("pushing"))) {
            producer.send(new ProducerRecord<>(SEEDED, "four")).get(20, TimeUnit.SECONDS);
            consumer.assign(List.of(WHERE));
            consumer.seekToBeginning(List.of(WHERE));
            Uuid producerId = producer.clientInstanceId(patience);
            Uuid adminId = admin.clientInstanceId(patience);
            consumer.poll(Duration.ofMillis(100));
            Uuid consumerId = consumer.clientInstanceId(patience);
            Check.eventually(30, "the metrics of three clients stand in /metrics", () -> {
                consumer.poll(Duration.ofMillis(100));
                return hasPushed(producerId, "org_apache_kafka_producer_")
                    && hasPushed(consumerId, "org_apache_kafka_consumer_")
                    && hasPushed(adminId, "org_apache_kafka_admin_");
            });
        }
        reset();
    }

    private static AlterConfigOp set(String name, String value) {
        return new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET);
    }

    private static void reset() throws Exception {
        post("/v1/reset", "");
    }

    /** Counts what happens to the partitions of a member. */
    private static final class Changes implements ConsumerRebalanceListener {
        final AtomicInteger assigned = new AtomicInteger();
        final AtomicInteger lost = new AtomicInteger();

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            assigned.addAndGet(partitions.size());
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            lost.addAndGet(partitions.size());
        }
    }

    private static KafkaConsumer<String, String> member(String group, Changes changes,
        String... pairs) {
        String[] all = new String[pairs.length + 2];
        all[0] = "heartbeat.interval.ms";
        all[1] = "200";
        System.arraycopy(pairs, 0, all, 2, pairs.length);
        KafkaConsumer<String, String> consumer = Clients.consumer(Check.unique(group), all);
        consumer.subscribe(List.of(SEEDED), changes);
        return consumer;
    }

    /** Polls until these values came, in this order and no others. */
    private static void expect(KafkaConsumer<String, String> consumer, List<String> values) {
        Check.equal(Clients.values(Clients.take(consumer, values.size())), values, "values");
    }

    private static long send(KafkaProducer<String, String> producer, String value)
        throws Exception {
        return producer.send(new ProducerRecord<>(SEEDED, 0, null, value))
            .get(30, TimeUnit.SECONDS).offset();
    }

    private static void sessionEnds() throws Exception {
        reset();
        Changes changes = new Changes();
        try (KafkaConsumer<String, String> consumer = member("session", changes);
            KafkaProducer<String, String> producer = Clients.producer()) {
            expect(consumer, VALUES);
            consumer.commitSync(Duration.ofSeconds(10));
            Check.equal(changes.assigned.get(), 1, "partitions assigned");
            // The session is 45 s, the default of the client.
            post("/v1/clock", "{\"advance_ms\": 46000}");
            Check.eventually(20, "the member has joined again", () -> {
                consumer.poll(Duration.ofMillis(50));
                return changes.assigned.get() == 2;
            });
            Check.equal(changes.lost.get(), 1, "partitions lost");
            Check.equal(send(producer, "later"), 3L, "offset");
            expect(consumer, List.of("later"));
            consumer.commitSync(Duration.ofSeconds(10));
            Check.equal(consumer.committed(Set.of(WHERE)).get(WHERE).offset(), 4L, "committed");
        } finally {
            post("/v1/clock", "{\"reset\": true}");
        }
    }

    private static void liveThroughReset() throws Exception {
        reset();
        Uuid id = Clients.describe(SEEDED).topicId();
        Changes changes = new Changes();
        try (KafkaConsumer<String, String> consumer = member("reset", changes);
            KafkaProducer<String, String> producer = Clients.producer("linger.ms", "0")) {
            List<String> before = new ArrayList<>(VALUES);
            for (int round = 1; round <= 3; round++) {
                int joined = round;
                for (int n = 0; n < 20; n++) {
                    Check.equal(send(producer, "x" + n), 3L + n, "offset in round " + round);
                    before.add("x" + n);
                }
                expect(consumer, before);
                consumer.commitSync(Duration.ofSeconds(10));
                reset();
                Check.equal(Clients.describe(SEEDED).topicId(), id, "topic id");
                // It may read the topic once more before it learns that its group has ended.
                Check.eventually(20, "the member has joined again", () -> {
                    consumer.poll(Duration.ofMillis(50));
                    return changes.assigned.get() == joined + 1;
                });
                consumer.seekToBeginning(List.of(WHERE));
                before = new ArrayList<>(VALUES);
            }
            Check.equal(send(producer, "last"), 3L, "offset after all resets");
        }
    }

    private static void positions() throws Exception {
        reset();
        try (KafkaConsumer<String, String> beyond =
                Clients.consumer(null, "auto.offset.reset", "none");
            KafkaConsumer<String, String> inside =
                Clients.consumer(null, "auto.offset.reset", "none");
            KafkaConsumer<String, String> earliest = Clients.consumer(null);
            KafkaProducer<String, String> producer = Clients.producer()) {
            for (int n = 0; n < 10; n++) {
                send(producer, "x" + n);
            }
            for (KafkaConsumer<String, String> consumer : List.of(beyond, earliest)) {
                consumer.assign(List.of(WHERE));
                consumer.seekToBeginning(List.of(WHERE));
                Clients.take(consumer, 13);
            }
            inside.assign(List.of(WHERE));
            inside.seek(WHERE, 1);
            Check.equal(inside.position(WHERE), 1L, "position");
            reset();
            OffsetOutOfRangeException error = Check.raises(OffsetOutOfRangeException.class, () -> {
                long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
                while (System.nanoTime() < end) {
                    beyond.poll(Duration.ofMillis(50));
                }
                return "nothing for 20 s";
            });
            Check.equal(error.offsetOutOfRangePartitions(), Map.of(WHERE, 13L), "position");
            expect(inside, VALUES.subList(1, 3));
            expect(earliest, VALUES);
        }
    }

    private static void snapshot() throws Exception {
        reset();
        Changes changes = new Changes();
        try (KafkaConsumer<String, String> consumer = member("snapshot", changes);
            KafkaProducer<String, String> producer = Clients.producer()) {
            expect(consumer, VALUES);
            send(producer, "four");
            expect(consumer, List.of("four"));
            consumer.commitSync(Duration.ofSeconds(10));
            post("/v1/snapshot", "{\"name\": \"four\"}");
            send(producer, "five");
            expect(consumer, List.of("five"));
            consumer.commitSync(Duration.ofSeconds(10));
            post("/v1/restore", "{\"name\": \"four\"}");
            Check.eventually(20, "the member has joined again", () -> {
                consumer.poll(Duration.ofMillis(50));
                return changes.assigned.get() == 2;
            });
            // It goes on from what was committed when the snapshot was taken.
            Check.equal(send(producer, "another five"), 4L, "offset");
            expect(consumer, List.of("another five"));
        }
    }
}
