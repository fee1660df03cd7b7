import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/**
 * Members of one group on one topic, polled in turn by one thread. Each commits what it read
 * before it gives partitions up, so that the group together reads every record once.
 */
final class Members implements AutoCloseable {
    final List<KafkaConsumer<String, String>> consumers = new ArrayList<>();
    final List<List<Integer>> revoked = new ArrayList<>();
    final List<List<Integer>> lost = new ArrayList<>();
    final List<String> values = new ArrayList<>();
    private final String group;
    private final String topic;

    Members(String group, String topic) {
        this.group = group;
        this.topic = topic;
    }

    /** Adds a member and returns its number. */
    int join(String... pairs) {
        String[] all = new String[pairs.length + 4];
        System.arraycopy(pairs, 0, all, 4, pairs.length);
        all[0] = "heartbeat.interval.ms";
        all[1] = "300";
        all[2] = "session.timeout.ms";
        all[3] = "6000";
        int number = consumers.size();
        KafkaConsumer<String, String> consumer = Clients.consumer(group, all);
        consumers.add(consumer);
        revoked.add(new ArrayList<>());
        lost.add(new ArrayList<>());
        consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                partitions.forEach(p -> revoked.get(number).add(p.partition()));
                consumer.commitSync(Duration.ofSeconds(10));
            }

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}

            @Override
            public void onPartitionsLost(Collection<TopicPartition> partitions) {
                partitions.forEach(p -> lost.get(number).add(p.partition()));
            }
        });
        return number;
    }

    void poll() {
        for (KafkaConsumer<String, String> consumer : consumers) {
            if (consumer != null) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(20))) {
                    values.add(record.value());
                }
            }
        }
    }

    /** The partitions each member owns now; an empty set for one that left. */
    List<TreeSet<Integer>> owned() {
        return consumers.stream().map(consumer -> {
            TreeSet<Integer> partitions = new TreeSet<>();
            if (consumer != null) {
                consumer.assignment().forEach(p -> partitions.add(p.partition()));
            }
            return partitions;
        }).toList();
    }

    void pollUntil(int seconds, String what, Callable<Boolean> holds) throws Exception {
        Check.eventually(seconds, what, () -> {
            poll();
            return holds.call();
        });
    }

    /** Polls until members own that many partitions each, and every partition exactly once. */
    void settle(Integer... sizes) throws Exception {
        List<Integer> wanted = List.of(sizes).stream().sorted().toList();
        int total = wanted.stream().mapToInt(Integer::intValue).sum();
        try {
            pollUntil(40, "assignment", () -> {
                List<TreeSet<Integer>> owned = owned();
                long distinct = owned.stream().flatMap(TreeSet::stream).distinct().count();
                return distinct == total
                    && owned.stream().map(TreeSet::size).sorted().toList().equals(wanted);
            });
        } catch (AssertionError error) {
            throw new AssertionError("assigned " + owned() + " but expected " + wanted, error);
        }
    }

    void leave(int number) {
        consumers.get(number).close();
        consumers.set(number, null);
    }

    @Override
    public void close() {
        consumers.stream().filter(Objects::nonNull).forEach(KafkaConsumer::close);
    }
}
