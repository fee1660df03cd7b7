import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;

/**
 * Members of one group, most often on one topic, polled in turn by one thread. Each commits what it
 * read before it gives partitions up, so that the group together reads every record once.
 */
final class Members implements AutoCloseable {
    final List<KafkaConsumer<String, String>> consumers = new ArrayList<>();
    final List<List<Integer>> revoked = new ArrayList<>();
    final List<List<Integer>> lost = new ArrayList<>();
    final List<String> values = new ArrayList<>();
    private final String group;
    private final List<String> topics;

    Members(String group, String topic) {
        this(group, List.of(topic));
    }

    Members(String group, List<String> topics) {
        this.group = group;
        this.topics = topics;
    }

    /** Adds a member and returns its number. */
    int join(String... pairs) {
        return join(topics, pairs);
    }

    int join(List<String> ownTopics, String... pairs) {
        int number = add(pairs);
        consumers.get(number).subscribe(ownTopics, listener(number));
        return number;
    }

    /** Adds a member without a subscription and returns its number. */
    int add(String... pairs) {
        consumers.add(Clients.consumer(group, timed(pairs)));
        revoked.add(new ArrayList<>());
        lost.add(new ArrayList<>());
        return consumers.size() - 1;
    }

    /** With the times of a classic member; the broker sets those of the consumer protocol. */
    private static String[] timed(String... pairs) {
        if (List.of(pairs).contains("group.protocol")) {
            return pairs;
        }
        String[] all = new String[pairs.length + 4];
        System.arraycopy(pairs, 0, all, 4, pairs.length);
        all[0] = "heartbeat.interval.ms";
        all[1] = "300";
        all[2] = "session.timeout.ms";
        all[3] = "6000";
        return all;
    }

    ConsumerRebalanceListener listener(int number) {
        KafkaConsumer<String, String> consumer = consumers.get(number);
        return new ConsumerRebalanceListener() {
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
        };
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

    /** The partitions each member owns now, of any topic; an empty set for one that left. */
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
                List<Set<TopicPartition>> owned = consumers.stream()
                    .map(one -> one == null ? Set.<TopicPartition>of() : one.assignment()).toList();
                long distinct = owned.stream().flatMap(Set::stream).distinct().count();
                return distinct == total
                    && owned.stream().map(Set::size).sorted().toList().equals(wanted);
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
