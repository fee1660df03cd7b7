import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TimeoutException;

/**
 * Members of groups for a program in another language, which tells this one by lines which members
 * to add (`join NAME TOPIC KEY=VALUE...`) and to end (`leave NAME`), and reads what befalls them:
 * one line each, with the time in nanoseconds. A member commits what it read after each poll.
 */
public final class MemberHost {
    private static final Map<String, MemberHost> MEMBERS = new HashMap<>();

    private final String name;
    private final KafkaConsumer<String, String> consumer;
    /** What was read and is not committed. */
    private final Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
    private final Thread thread;
    private volatile boolean ends;

    public static void main(String[] arguments) throws Exception {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] words = line.split(" ");
            if (words[0].equals("join")) {
                MEMBERS.put(words[1], new MemberHost(words));
            } else {
                MEMBERS.remove(words[1]).leave();
            }
        }
        Runtime.getRuntime().halt(0);
    }

    private MemberHost(String[] words) {
        name = words[1];
        String[] pairs = new String[(words.length - 3) * 2];
        for (int i = 3; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            pairs[(i - 3) * 2] = pair[0];
            pairs[(i - 3) * 2 + 1] = pair[1];
        }
        consumer = Clients.consumer(null, pairs);
        thread = new Thread(() -> run(words[2]), name);
        thread.start();
    }

    /** One line; written out before the client goes on. */
    private void tell(String what, String detail) {
        Instant now = Instant.now();
        long nanos = now.getEpochSecond() * 1_000_000_000L + now.getNano();
        synchronized (System.out) {
            System.out.println(what + " " + name + " " + nanos + " " + detail);
            System.out.flush();
        }
    }

    private static String list(Collection<TopicPartition> partitions) {
        return partitions.stream().map(one -> String.valueOf(one.partition()))
            .collect(Collectors.joining(","));
    }

    private void run(String topic) {
        try {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    tell("assigned", list(partitions));
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    commit();
                    tell("revoked", list(partitions));
                }

                @Override
                public void onPartitionsLost(Collection<TopicPartition> partitions) {
                    tell("lost", list(partitions));
                }
            });
            while (!ends) {
                for (ConsumerRecord<String, String> one : consumer.poll(Duration.ofMillis(50))) {
                    tell("record", one.partition() + " " + one.offset() + " " + one.value());
                    next.put(new TopicPartition(topic, one.partition()),
                        new OffsetAndMetadata(one.offset() + 1));
                }
                commit();
            }
            consumer.close(CloseOptions.timeout(Duration.ofSeconds(20)));
            tell("left", "");
        } catch (Throwable error) {
            error.printStackTrace();
            tell("failed", error.toString().replaceAll("\\s+", " "));
        }
    }

    /** Commits where each partition is; what a group refuses is read again by somebody. */
    private void commit() {
        try {
            next.keySet().retainAll(consumer.assignment());
            if (!next.isEmpty()) {
                consumer.commitSync(next, Duration.ofSeconds(20));
                tell("committed", next.entrySet().stream()
                    .map(one -> one.getKey().partition() + "=" + one.getValue().offset())
                    .collect(Collectors.joining(",")));
            }
            next.clear();
        } catch (CommitFailedException | RebalanceInProgressException | TimeoutException error) {
            tell("refused", error.toString().replaceAll("\\s+", " "));
        }
    }

    private void leave() throws InterruptedException {
        ends = true;
        thread.join(30_000);
    }
}
