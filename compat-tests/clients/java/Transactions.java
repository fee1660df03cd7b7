import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.InvalidTxnTimeoutException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * The transactional producer and the read_committed consumer. The same program runs with a client
 * of today (transactions v2: a new epoch after every end) and with one of before 4.0 (classic).
 */
public final class Transactions {
    static final String COMMITTED = "read_committed";
    static final String UNCOMMITTED = "read_uncommitted";
    /** Whether this client ends its transactions as of KIP-890. */
    static final boolean V2 = AppInfoParser.getVersion().charAt(0) >= '4';

    private Transactions() {}

    public static void main(String[] arguments) {
        Check part = new Check(arguments[0]);
        part.check("commits_and_aborts_are_seen_exactly", Transactions::commitsAndAborts);
        part.check("an_open_transaction_holds_back_what_comes_after_it", Transactions::holdsBack);
        part.check("a_transaction_that_times_out_is_aborted_and_its_producer_goes_on",
            Transactions::timesOut);
        part.check("a_second_producer_of_one_id_fences_the_first", Transactions::zombies);
        part.check("a_refused_record_ends_in_an_abort_and_the_producer_goes_on",
            Transactions::refusedRecord);
        part.check("many_transactions_side_by_side_are_all_or_nothing", Transactions::sideBySide);
        part.check("a_time_out_beyond_the_brokers_is_refused", Transactions::timeOutTooLong);
        TransactionsOffsets.run(part);
        TransactionsAdmin.run(part);
        part.end();
    }

    // ---- the steps that every check takes ----

    static KafkaProducer<String, String> producer(String id, String... pairs) {
        List<String> all = new ArrayList<>(List.of("transactional.id", id, "linger.ms", "5"));
        all.addAll(List.of(pairs));
        return Clients.producer(all.toArray(String[]::new));
    }

    /** A producer that has fenced all earlier ones of its id. */
    static KafkaProducer<String, String> initialised(String id, String... pairs) {
        KafkaProducer<String, String> producer = producer(id, pairs);
        producer.initTransactions();
        return producer;
    }

    /** Sends one record for each value and returns the offset of each. */
    static List<Long> send(KafkaProducer<String, String> producer, String topic, int partition,
        List<String> values) throws Exception {
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        for (String value : values) {
            futures.add(producer.send(new ProducerRecord<>(topic, partition, null, value)));
        }
        producer.flush();
        List<Long> offsets = new ArrayList<>();
        for (Future<RecordMetadata> future : futures) {
            offsets.add(future.get(30, TimeUnit.SECONDS).offset());
        }
        return offsets;
    }

    static List<String> named(String prefix, int count) {
        List<String> values = new ArrayList<>();
        for (int n = 0; n < count; n++) {
            values.add(prefix + n);
        }
        return values;
    }

    static long end(String isolation, String topic, int partition) {
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(null, "isolation.level", isolation)) {
            TopicPartition where = new TopicPartition(topic, partition);
            return consumer.endOffsets(List.of(where)).get(where);
        }
    }

    /** Every record of a partition from its start to what is its end at this isolation level. */
    static List<ConsumerRecord<String, String>> all(String isolation, String topic, int partition,
        String... pairs) {
        long end = end(isolation, topic, partition);
        List<String> config = new ArrayList<>(List.of("isolation.level", isolation));
        config.addAll(List.of(pairs));
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(null, config.toArray(String[]::new))) {
            TopicPartition where = new TopicPartition(topic, partition);
            consumer.assign(List.of(where));
            consumer.seekToBeginning(List.of(where));
            List<ConsumerRecord<String, String>> records = new ArrayList<>();
            long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
            while (consumer.position(where) < end) {
                Check.that(System.nanoTime() < deadline,
                    "at " + consumer.position(where) + " of " + end + " after 30 s");
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
            }
            records.removeIf(record -> record.offset() >= end);
            return records;
        }
    }

    static List<String> values(String isolation, String topic, int partition) {
        return Clients.values(all(isolation, topic, partition));
    }

    static void soonStable(String topic, int partition) throws Exception {
        Check.eventually(30, "the last stable offset is the end",
            () -> end(COMMITTED, topic, partition) == end(UNCOMMITTED, topic, partition));
    }

    private static List<String> joined(List<?>... lists) {
        List<String> all = new ArrayList<>();
        for (List<?> list : lists) {
            list.forEach(value -> all.add((String) value));
        }
        return all;
    }

    // ---- data ----

    private static void commitsAndAborts() throws Exception {
        String topic = Clients.create("t-seen", 2);
        try (KafkaProducer<String, String> producer = initialised(Check.unique("t-seen"))) {
            for (String name : List.of("a", "b", "c")) {
                producer.beginTransaction();
                long start = 6L * (name.charAt(0) - 'a');
                Check.equal(send(producer, topic, 0, named(name, 5)),
                    Clients.range(start, start + 5), "offsets of " + name);
                if (name.equals("b")) {
                    producer.abortTransaction();
                } else {
                    send(producer, topic, 1, named(name, 3));
                    producer.commitTransaction();
                }
            }
            producer.beginTransaction();
            producer.commitTransaction();
            producer.beginTransaction();
            send(producer, topic, 0, named("d", 2));
            Check.equal(end(COMMITTED, topic, 0), 18L, "last stable offset");
            Check.equal(end(UNCOMMITTED, topic, 0), 20L, "high watermark");
            List<ConsumerRecord<String, String>> seen = all(COMMITTED, topic, 0);
            Check.equal(Clients.values(seen), joined(named("a", 5), named("c", 5)), "committed");
            List<Long> offsets = new ArrayList<>(Clients.range(0, 5));
            offsets.addAll(Clients.range(12, 17));
            Check.equal(Clients.offsets(seen), offsets, "offsets of what is committed");
            Check.equal(values(UNCOMMITTED, topic, 0),
                joined(named("a", 5), named("b", 5), named("c", 5), named("d", 2)), "everything");
            producer.commitTransaction();
        }
        Check.equal(values(COMMITTED, topic, 0),
            joined(named("a", 5), named("c", 5), named("d", 2)), "committed in the end");
        Check.equal(values(COMMITTED, topic, 1), joined(named("a", 3), named("c", 3)),
            "committed in the other partition");
        Check.equal(end(COMMITTED, topic, 1), 8L, "end of the other partition");
    }

    private static void holdsBack() throws Exception {
        String topic = Clients.create("t-holds", 1);
        TopicPartition where = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = initialised(Check.unique("t-holds"));
            KafkaConsumer<String, String> consumer =
                Clients.consumer(null, "isolation.level", COMMITTED)) {
            consumer.assign(List.of(where));
            consumer.seekToBeginning(List.of(where));
            producer.beginTransaction();
            send(producer, topic, 0, List.of("open"));
            Check.equal(Clients.send(List.of(new ProducerRecord<>(topic, 0, null, "plain"))),
                List.of(1L), "offset of a plain record");
            Check.equal(values(UNCOMMITTED, topic, 0), List.of("open", "plain"), "everything");
            Check.equal(end(COMMITTED, topic, 0), 0L, "last stable offset");
            for (int n = 0; n < 5; n++) {
                Check.equal(consumer.poll(Duration.ofMillis(60)).count(), 0, "records held back");
            }
            Check.equal(consumer.currentLag(where).orElse(-1), 0L, "lag to what is stable");
            producer.abortTransaction();
            Check.equal(Clients.values(Clients.take(consumer, 1)), List.of("plain"), "after it");
        }
        Check.equal(values(COMMITTED, topic, 0), List.of("plain"), "committed");
        Check.equal(end(COMMITTED, topic, 0), 3L, "last stable offset after the abort");
    }

    private static void timesOut() throws Exception {
        String topic = Clients.create("t-time-out", 1);
        String id = Check.unique("t-time-out");
        try (KafkaProducer<String, String> producer =
                initialised(id, "transaction.timeout.ms", "300")) {
            producer.beginTransaction();
            send(producer, topic, 0, List.of("late"));
            soonStable(topic, 0);
            Check.equal(end(COMMITTED, topic, 0), 2L, "end after the abort by the coordinator");
            Check.raises(InvalidProducerEpochException.class,
                () -> send(producer, topic, 0, List.of("later")));
            commitFailed(InvalidProducerEpochException.class, producer);
            goOn(producer, topic, id);
        }
        Check.equal(values(COMMITTED, topic, 0), List.of("in time"), "committed");
    }

    /** KIP-588, as far as the client has it: it aborts and goes on; before 4.0 it is fenced. */
    private static void goOn(KafkaProducer<String, String> timedOut, String topic, String id)
        throws Exception {
        if (V2) {
            timedOut.abortTransaction();
            sendInTime(timedOut, topic);
        } else {
            Check.raises(ProducerFencedException.class, () -> {
                timedOut.abortTransaction();
                return "aborted";
            });
            try (KafkaProducer<String, String> next = initialised(id)) {
                sendInTime(next, topic);
            }
        }
    }

    private static void sendInTime(KafkaProducer<String, String> producer, String topic)
        throws Exception {
        producer.beginTransaction();
        send(producer, topic, 0, List.of("in time"));
        producer.commitTransaction();
    }

    /** The commit fails with what failed before it, which the client may wrap once more. */
    private static void commitFailed(Class<? extends KafkaException> kind,
        KafkaProducer<String, String> producer) {
        try {
            producer.commitTransaction();
        } catch (KafkaException error) {
            boolean wrapped = error.getClass() == KafkaException.class && error.getCause() != null;
            Check.equal((wrapped ? error.getCause() : error).getClass(), kind, "error");
            return;
        }
        throw new AssertionError("committed");
    }

    static Callable<String> commit(KafkaProducer<String, String> producer) {
        return () -> {
            producer.commitTransaction();
            return "committed";
        };
    }

    private static void zombies() throws Exception {
        String topic = Clients.create("t-zombie", 1);
        String id = Check.unique("t-zombie");
        try (KafkaProducer<String, String> commits = initialised(id)) {
            commits.beginTransaction();
            send(commits, topic, 0, List.of("of the one that commits"));
            try (KafkaProducer<String, String> sends = initialised(id)) {
                Check.equal(end(COMMITTED, topic, 0), 2L, "aborted by the one after it");
                Check.raises(ProducerFencedException.class, commit(commits));
                sends.beginTransaction();
                send(sends, topic, 0, List.of("of the one that sends"));
                try (KafkaProducer<String, String> last = initialised(id)) {
                    Check.raises(InvalidProducerEpochException.class,
                        () -> send(sends, topic, 0, List.of("too late")));
                    commitFailed(InvalidProducerEpochException.class, sends);
                    Check.raises(ProducerFencedException.class, () -> {
                        sends.abortTransaction();
                        return "aborted";
                    });
                    last.beginTransaction();
                    send(last, topic, 0, List.of("of the last"));
                    last.commitTransaction();
                }
            }
        }
        Check.equal(values(COMMITTED, topic, 0), List.of("of the last"), "committed");
        Check.equal(values(UNCOMMITTED, topic, 0),
            List.of("of the one that commits", "of the one that sends", "of the last"), "all");
    }

    private static void refusedRecord() throws Exception {
        String topic = Clients.create("t-refused", 2, "max.message.bytes", "1000");
        try (KafkaProducer<String, String> producer = initialised(Check.unique("t-refused"))) {
            producer.beginTransaction();
            send(producer, topic, 0, List.of("before"));
            Check.raises(RecordTooLargeException.class,
                () -> send(producer, topic, 1, List.of("x".repeat(2000))));
            commitFailed(RecordTooLargeException.class, producer);
            producer.abortTransaction();
            for (int n = 0; n < 3; n++) {
                producer.beginTransaction();
                send(producer, topic, 0, List.of("after " + n));
                send(producer, topic, 1, List.of("after " + n));
                producer.commitTransaction();
            }
        }
        for (int partition = 0; partition < 2; partition++) {
            Check.equal(values(COMMITTED, topic, partition),
                List.of("after 0", "after 1", "after 2"), "committed in " + partition);
        }
    }

    /** Four producers, each with transactions of which every third is aborted, in one topic. */
    private static void sideBySide() throws Exception {
        int producers = 4;
        int transactions = 15;
        String topic = Clients.create("t-many", 2);
        List<Thread> threads = new ArrayList<>();
        List<Throwable> errors = Collections.synchronizedList(new ArrayList<>());
        for (int number = 0; number < producers; number++) {
            String name = "p" + number;
            Thread thread = new Thread(() -> {
                try (KafkaProducer<String, String> producer = initialised(Check.unique(name))) {
                    for (int n = 0; n < transactions; n++) {
                        producer.beginTransaction();
                        for (int partition = 0; partition < 2; partition++) {
                            send(producer, topic, partition, named(name + " " + n + " ", 4));
                        }
                        if (n % 3 == 2) {
                            producer.abortTransaction();
                        } else {
                            producer.commitTransaction();
                        }
                    }
                } catch (Throwable error) {
                    errors.add(error);
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        Check.equal(errors, List.of(), "errors");
        for (int partition = 0; partition < 2; partition++) {
            Map<String, List<String>> seen = new HashMap<>();
            // Small fetches: the list of aborted transactions belongs to each of them.
            for (String value : Clients.values(
                    all(COMMITTED, topic, partition, "max.partition.fetch.bytes", "300"))) {
                seen.computeIfAbsent(value.substring(0, 2), key -> new ArrayList<>()).add(value);
            }
            Map<String, List<String>> expected = new HashMap<>();
            for (int number = 0; number < producers; number++) {
                List<String> values = new ArrayList<>();
                for (int n = 0; n < transactions; n++) {
                    if (n % 3 != 2) {
                        values.addAll(named("p" + number + " " + n + " ", 4));
                    }
                }
                expected.put("p" + number, values);
            }
            Check.equal(seen, expected, "committed in " + partition);
        }
    }

    private static void timeOutTooLong() {
        try (KafkaProducer<String, String> producer =
                producer(Check.unique("t-long"), "transaction.timeout.ms", "900001")) {
            KafkaException error = Check.raises(KafkaException.class, () -> {
                producer.initTransactions();
                return "initialised";
            });
            Check.that(error.getMessage().endsWith(new InvalidTxnTimeoutException("").getMessage()),
                error.getMessage());
        }
    }
}
