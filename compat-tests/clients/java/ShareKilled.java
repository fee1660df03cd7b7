import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;

/**
 * Members of a share group whose broker is killed, again and again, while they accept, reject and
 * release. Whoever starts this kills the broker after each line `ok share-killed: round N ...` and
 * starts it again over its data, on the same port. What was answered as accepted or rejected never
 * comes back; everything else is there until somebody ends it.
 */
public final class ShareKilled {
    private static final int PARTITIONS = 3;
    private static final int ROUNDS =
        Integer.parseInt(System.getenv().getOrDefault("ROUNDS", "3"));

    /** Records whose accept or reject was answered without an error, and by which member. */
    private final Map<String, String> done = new ConcurrentHashMap<>();
    /** Those whose accept or reject came to an end that nobody knows, around a kill. */
    private final Set<String> unknown = ConcurrentHashMap.newKeySet();
    private final Set<String> read = ConcurrentHashMap.newKeySet();
    private final Set<String> releasedOnce = ConcurrentHashMap.newKeySet();
    /** What must not be. */
    private final Queue<String> wrong = new ConcurrentLinkedQueue<>();
    /** Records whose send was answered; those whose send was not may be there, too. */
    private final Set<String> sent = ConcurrentHashMap.newKeySet();
    private final Set<String> tried = ConcurrentHashMap.newKeySet();
    private final List<Member> members = new ArrayList<>();
    private final AtomicBoolean ends = new AtomicBoolean();
    private final AtomicBoolean feeds = new AtomicBoolean(true);
    private final String topic;
    private final String group;
    private final Thread feeder = new Thread(this::feed, "feeder");
    private int names;

    public static void main(String[] arguments) throws Exception {
        Check part = new Check("share-killed");
        ShareKilled story = new ShareKilled();
        part.check("round 1 begins: every member reads and acknowledges", 90, story::consumes);
        for (int n = 1; n <= ROUNDS; n++) {
            String then = n < ROUNDS ? "round " + (n + 1) + " begins: " : "";
            part.check(then + "all go on after kill " + n, 120, story::goesOn);
        }
        part.check("nothing is lost, and nothing that was ended comes back", 120, story::ends);
        part.end();
    }

    private ShareKilled() throws Exception {
        topic = Clients.create("share-killed", PARTITIONS);
        group = Shares.group("share-killed", "share.delivery.count.limit", "10");
        feeder.setDaemon(true);
        feeder.start();
        for (int n = 0; n < 3; n++) {
            join();
        }
    }

    private void join() {
        members.add(new Member("m" + names++));
    }

    /** Sends until it is told to stop; what is not answered in time is not counted on. */
    private void feed() {
        try (var producer = Clients.producer("delivery.timeout.ms", "60000",
                "request.timeout.ms", "3000", "linger.ms", "0", "reconnect.backoff.max.ms", "200")) {
            for (int n = 0; feeds.get(); n++) {
                String value = "v" + n;
                tried.add(value);
                producer.send(new ProducerRecord<>(topic, n % PARTITIONS, null, value),
                    (metadata, error) -> {
                        if (error == null) {
                            sent.add(value);
                        }
                    });
                Thread.sleep(2);
            }
        } catch (InterruptedException error) {
            wrong.add("the feeder: " + error);
        }
    }

    /** One member with a thread of its own. */
    private final class Member {
        final String name;
        final Thread thread;
        final AtomicBoolean leaves = new AtomicBoolean();
        /** What was done before this member was there: none of it may come to it. */
        private final Set<String> doneBefore = new HashSet<>(done.keySet());
        volatile int answered;

        Member(String name) {
            this.name = name;
            thread = new Thread(this::run, name);
            thread.setDaemon(true);
            thread.start();
        }

        private void run() {
            try (var member = Shares.member(group, topic, Shares.explicit("max.poll.records", "40",
                    "share.acquire.mode", name.endsWith("1") ? "batch_optimized" : "record_limit",
                    "reconnect.backoff.max.ms", "200"))) {
                while (!leaves.get() && !ends.get()) {
                    round(member);
                }
            } catch (Throwable error) {
                error.printStackTrace();
                wrong.add(name + ": " + error);
            }
        }

        private void round(KafkaShareConsumer<String, String> member) {
            Map<Integer, Set<String>> ended = new ConcurrentHashMap<>();
            for (ConsumerRecord<String, String> record : member.poll(Duration.ofMillis(100))) {
                AcknowledgeType type = choose(record);
                member.acknowledge(record, type);
                if (type != AcknowledgeType.RELEASE) {
                    ended.computeIfAbsent(record.partition(), one -> new TreeSet<>())
                        .add(record.value());
                }
            }
            Map<TopicIdPartition, Optional<KafkaException>> answers = Map.of();
            try {
                answers = member.commitSync(Duration.ofSeconds(20));
            } catch (KafkaException error) {
                System.err.println(name + ": commit: " + error);
            }
            Map<Integer, Optional<KafkaException>> of = new ConcurrentHashMap<>();
            answers.forEach((where, error) -> of.put(where.partition(), error));
            ended.forEach((partition, values) -> answered(values, of.get(partition)));
        }

        private AcknowledgeType choose(ConsumerRecord<String, String> record) {
            String value = record.value();
            read.add(value);
            if (doneBefore.contains(value)) {
                wrong.add(value + " was ended by " + done.get(value) + " and came to " + name
                    + ", which joined later, as delivery " + record.deliveryCount().orElseThrow());
            }
            int number = Integer.parseInt(value.substring(1));
            // Each record of these comes to be released once.
            if (number % 3 == 0 && releasedOnce.add(value)) {
                return AcknowledgeType.RELEASE;
            }
            return number % 5 == 0 ? AcknowledgeType.REJECT : AcknowledgeType.ACCEPT;
        }

        private void answered(Set<String> values, Optional<KafkaException> error) {
            if (error == null || error.isPresent()) {
                System.err.println(name + ": " + values.size() + " unknown: " + error);
                unknown.addAll(values);
                return;
            }
            for (String value : values) {
                String other = done.put(value, name);
                if (other != null) {
                    wrong.add(value + " was ended by " + other + " and by " + name);
                }
            }
            answered += values.size();
        }
    }

    /** Every member comes to end 100 records that are new. */
    private void consumes() throws Exception {
        List<Integer> before = members.stream().map(one -> one.answered).toList();
        Check.eventually(60, "each member ends records", () -> {
            Check.equal(List.copyOf(wrong), List.of(), "what must not be");
            for (int n = 0; n < members.size(); n++) {
                if (members.get(n).answered < before.get(n) + 100) {
                    return false;
                }
            }
            return true;
        });
    }

    private static Socket connect() throws Exception {
        String[] parts = Check.BOOTSTRAP.split(":");
        Socket socket = new Socket();
        socket.connect(new InetSocketAddress(parts[0], Integer.parseInt(parts[1])), 1_000);
        return socket;
    }

    private static boolean accepts() {
        try (Socket socket = connect()) {
            return true;
        } catch (Exception error) {
            return false;
        }
    }

    /** A connection on which nothing is said ends only with the broker. */
    private static void waitForKill() throws Exception {
        try (Socket socket = connect()) {
            socket.setSoTimeout(60_000);
            socket.getInputStream().read();
        } catch (SocketTimeoutException error) {
            throw new AssertionError("nobody killed the broker for 60 s", error);
        } catch (java.io.IOException error) {
            // It has been killed already.
        }
    }

    /** After each kill one member more is there, and one that was there goes. */
    private void goesOn() throws Exception {
        waitForKill();
        Check.eventually(60, "the broker is back", ShareKilled::accepts);
        join();
        Member oldest = members.remove(0);
        oldest.leaves.set(true);
        consumes();
    }

    private void ends() throws Exception {
        feeds.set(false);
        feeder.join(60_000);
        Check.eventually(60, "every record is ended", () -> {
            Check.equal(List.copyOf(wrong), List.of(), "what must not be");
            Set<String> left = new TreeSet<>(sent);
            left.removeAll(done.keySet());
            left.removeAll(unknown);
            return left.isEmpty();
        });
        Shares.allDone(group, topic, PARTITIONS);
        ends.set(true);
        for (Member member : members) {
            member.thread.join(20_000);
        }
        // Who comes last finds nothing.
        try (var last = Shares.member(group, topic)) {
            Shares.nothing(last, 1_000);
        }
        Check.equal(List.copyOf(wrong), List.of(), "what must not be");
        Check.that(tried.containsAll(read), "records that nobody sent");
        Set<String> lost = new TreeSet<>(sent);
        lost.removeAll(read);
        Check.equal(lost, Set.of(), "records that came to nobody");
        unknown.removeAll(done.keySet());
        // Around a kill each member has no more than one poll under way.
        int most = ROUNDS * 3 * 40 * 2;
        Check.that(unknown.size() <= most, unknown.size() + " ends that nobody knows");
        System.err.println(sent.size() + " sent, " + done.size() + " ended, " + unknown.size()
            + " unknown, " + releasedOnce.size() + " released");
    }
}
