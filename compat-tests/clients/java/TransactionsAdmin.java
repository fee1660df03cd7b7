import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;

/** What the admin client tells of transactions, and how it ends them. */
final class TransactionsAdmin {
    private TransactionsAdmin() {}

    static void run(Check part) {
        part.check("transactions_are_described", TransactionsAdmin::described);
        part.check("transactions_are_listed_by_state_producer_and_duration",
            TransactionsAdmin::listed);
        part.check("producers_are_described", TransactionsAdmin::producers);
        part.check("the_epoch_rises_as_the_protocol_has_it", TransactionsAdmin::epochs);
        part.check("a_hanging_transaction_is_aborted", TransactionsAdmin::aborted);
        part.check("producers_are_fenced_by_the_admin_client", TransactionsAdmin::fenced);
        if (Transactions.V2) {
            part.check("a_transaction_is_terminated_by_the_admin_client",
                TransactionsAdmin::terminated);
        }
    }

    private static TransactionDescription describe(String id) throws Exception {
        return Clients.get(Clients.ADMIN.describeTransactions(List.of(id)).description(id));
    }

    private static List<ProducerState> producersOf(TopicPartition where) throws Exception {
        return Clients.get(Clients.ADMIN.describeProducers(List.of(where)).partitionResult(where))
            .activeProducers();
    }

    @SuppressWarnings("removal")
    private static void described() throws Exception {
        String topic = Clients.create("t-described", 2);
        String id = Check.unique("t-described");
        Check.raises(TransactionalIdNotFoundException.class, () -> describe(id));
        long before = System.currentTimeMillis();
        try (KafkaProducer<String, String> producer =
                Transactions.initialised(id, "transaction.timeout.ms", "54321")) {
            TransactionDescription empty = describe(id);
            Check.equal(empty.state(), TransactionState.EMPTY, "state");
            Check.equal(empty.topicPartitions(), Set.of(), "partitions");
            Check.equal(empty.transactionStartTimeMs(), OptionalLong.empty(), "start");
            Check.equal(empty.producerEpoch(), 0, "epoch");
            producer.beginTransaction();
            Transactions.send(producer, topic, 0, List.of("a"));
            Transactions.send(producer, topic, 1, List.of("b"));
            TransactionDescription open = describe(id);
            long now = System.currentTimeMillis();
            Check.equal(open.state(), TransactionState.ONGOING, "state");
            Check.equal(open.topicPartitions(),
                Set.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1)), "partitions");
            Check.equal(open.transactionTimeoutMs(), 54321L, "time-out");
            Check.equal(open.producerId(), empty.producerId(), "producer id");
            long start = open.transactionStartTimeMs().orElse(-1);
            Check.that(before <= start && start <= now, before + " " + start + " " + now);
            Check.equal(open.coordinatorId(), Clients.get(
                Clients.ADMIN.describeCluster().controller()).id(), "coordinator");
            producer.sendOffsetsToTransaction(
                Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(1)),
                new ConsumerGroupMetadata(Check.unique("t-described")));
            Set<TopicPartition> partitions = describe(id).topicPartitions();
            Check.equal(partitions.size(), 3, "partitions " + partitions);
            Check.that(partitions.stream().anyMatch(
                where -> where.topic().equals("__consumer_offsets")), "offsets: " + partitions);
            producer.commitTransaction();
            soonState(id, TransactionState.COMPLETE_COMMIT);
            Check.equal(describe(id).topicPartitions(), Set.of(), "partitions");
            producer.beginTransaction();
            Transactions.send(producer, topic, 0, List.of("c"));
            producer.abortTransaction();
            soonState(id, TransactionState.COMPLETE_ABORT);
        }
    }

    private static void soonState(String id, TransactionState state) throws Exception {
        Check.soonEqual("state of " + id, state, () -> describe(id).state());
    }

    private static Map<String, TransactionState> list(ListTransactionsOptions options)
        throws Exception {
        Collection<TransactionListing> all =
            Clients.get(Clients.ADMIN.listTransactions(options).all());
        Map<String, TransactionState> mine = new TreeMap<>();
        for (TransactionListing listing : all) {
            if (listing.transactionalId().startsWith("t-listed")) {
                Check.equal(mine.put(listing.transactionalId(), listing.state()), null, "twice");
            }
        }
        mine.keySet().removeIf(id -> !id.endsWith(Check.unique("")));
        return mine;
    }

    private static void listed() throws Exception {
        String topic = Clients.create("t-listed", 1);
        String empty = Check.unique("t-listed-empty");
        String open = Check.unique("t-listed-open");
        String done = Check.unique("t-listed-done");
        try (KafkaProducer<String, String> one = Transactions.initialised(empty);
            KafkaProducer<String, String> two = Transactions.initialised(open);
            KafkaProducer<String, String> three = Transactions.initialised(done)) {
            two.beginTransaction();
            Transactions.send(two, topic, 0, List.of("a"));
            three.beginTransaction();
            Transactions.send(three, topic, 0, List.of("b"));
            three.commitTransaction();
            soonState(done, TransactionState.COMPLETE_COMMIT);
            Check.equal(list(new ListTransactionsOptions()),
                Map.of(empty, TransactionState.EMPTY, open, TransactionState.ONGOING,
                    done, TransactionState.COMPLETE_COMMIT), "all");
            Check.equal(list(new ListTransactionsOptions().filterStates(
                    List.of(TransactionState.ONGOING, TransactionState.EMPTY))),
                Map.of(empty, TransactionState.EMPTY, open, TransactionState.ONGOING), "by state");
            Check.equal(list(new ListTransactionsOptions().filterProducerIds(
                    List.of(describe(done).producerId()))),
                Map.of(done, TransactionState.COMPLETE_COMMIT), "by producer");
            // One that never began counts as begun long ago.
            Check.equal(list(new ListTransactionsOptions().filterOnDuration(3_600_000)),
                Map.of(empty, TransactionState.EMPTY), "of an hour");
            if (Transactions.V2) {
                Check.equal(list(new ListTransactionsOptions()
                        .filterOnTransactionalIdPattern("t-listed-[eo].*")),
                    Map.of(empty, TransactionState.EMPTY, open, TransactionState.ONGOING),
                    "by pattern");
            }
            two.abortTransaction();
        }
    }

    private static void producers() throws Exception {
        String topic = Clients.create("t-producers", 1);
        TopicPartition where = new TopicPartition(topic, 0);
        String id = Check.unique("t-producers");
        Check.equal(producersOf(where), List.of(), "producers of an empty partition");
        long before = System.currentTimeMillis();
        try (KafkaProducer<String, String> producer = Transactions.initialised(id)) {
            producer.beginTransaction();
            Transactions.send(producer, topic, 0, List.of("a", "b", "c"));
            List<ProducerState> open = producersOf(where);
            Check.equal(open.size(), 1, "producers");
            Check.equal(open.get(0).producerId(), describe(id).producerId(), "producer id");
            Check.equal(open.get(0).producerEpoch(), describe(id).producerEpoch(), "epoch");
            Check.equal(open.get(0).lastSequence(), 2, "sequence");
            Check.equal(open.get(0).currentTransactionStartOffset(), OptionalLong.of(0), "start");
            long stamp = open.get(0).lastTimestamp();
            Check.that(before <= stamp && stamp <= System.currentTimeMillis(), "time " + stamp);
            producer.commitTransaction();
            soonStart(where, OptionalLong.empty());
            producer.beginTransaction();
            Transactions.send(producer, topic, 0, List.of("d"));
            soonStart(where, OptionalLong.of(4));
            Check.equal(producersOf(where).get(0).lastSequence(), Transactions.V2 ? 0 : 3,
                "sequence");
            producer.abortTransaction();
            soonStart(where, OptionalLong.empty());
        }
    }

    private static void soonStart(TopicPartition where, OptionalLong offset) throws Exception {
        Check.soonEqual("start of the transaction in " + where, offset,
            () -> producersOf(where).get(0).currentTransactionStartOffset());
    }

    /** KIP-890: a new epoch after every end; before it an epoch lasts as long as its producer. */
    private static void epochs() throws Exception {
        String topic = Clients.create("t-epochs", 1);
        String id = Check.unique("t-epochs");
        List<Integer> seen = new ArrayList<>();
        for (int instance = 0; instance < 2; instance++) {
            try (KafkaProducer<String, String> producer = Transactions.initialised(id)) {
                for (int n = 0; n < 4; n++) {
                    producer.beginTransaction();
                    Transactions.send(producer, topic, 0, List.of("v"));
                    seen.add(describe(id).producerEpoch());
                    if (n % 2 == 0) {
                        producer.commitTransaction();
                    } else {
                        producer.abortTransaction();
                    }
                }
            }
        }
        Check.equal(seen, Transactions.V2
            ? List.of(0, 1, 2, 3, 5, 6, 7, 8) : List.of(0, 0, 0, 0, 1, 1, 1, 1), "epochs");
    }

    private static void aborted() throws Exception {
        String topic = Clients.create("t-aborted", 1);
        TopicPartition where = new TopicPartition(topic, 0);
        String id = Check.unique("t-aborted");
        Transactions.initialised(id).close();
        try (KafkaProducer<String, String> producer = Transactions.initialised(id)) {
            producer.beginTransaction();
            Transactions.send(producer, topic, 0, List.of("hangs"));
            ProducerState state = producersOf(where).get(0);
            Check.raises(InvalidProducerEpochException.class, () -> Clients.get(
                Clients.ADMIN.abortTransaction(new AbortTransactionSpec(where, state.producerId(),
                    (short) (state.producerEpoch() - 1), 0)).all()));
            Check.equal(Transactions.end(Transactions.COMMITTED, topic, 0), 0L, "stable");
            Clients.get(Clients.ADMIN.abortTransaction(new AbortTransactionSpec(where,
                state.producerId(), (short) state.producerEpoch(),
                state.coordinatorEpoch().orElse(0))).all());
            Check.equal(Transactions.end(Transactions.COMMITTED, topic, 0), 2L, "stable");
            Check.equal(Transactions.values(Transactions.COMMITTED, topic, 0), List.of(), "seen");
            soonStart(where, OptionalLong.empty());
            producer.abortTransaction();
        }
    }

    private static void fenced() throws Exception {
        String topic = Clients.create("t-fenced", 1);
        List<String> ids = List.of(Check.unique("t-fenced-1"), Check.unique("t-fenced-2"));
        try (KafkaProducer<String, String> one = Transactions.initialised(ids.get(0));
            KafkaProducer<String, String> two = Transactions.initialised(ids.get(1))) {
            for (KafkaProducer<String, String> producer : List.of(one, two)) {
                producer.beginTransaction();
                Transactions.send(producer, topic, 0, List.of("a"));
            }
            Clients.get(Clients.ADMIN.fenceProducers(ids).all());
            Transactions.soonStable(topic, 0);
            Check.raises(ProducerFencedException.class, Transactions.commit(one));
            Check.raises(InvalidProducerEpochException.class,
                () -> Transactions.send(two, topic, 0, List.of("b")));
        }
        Check.equal(Transactions.values(Transactions.COMMITTED, topic, 0), List.of(), "seen");
        try (KafkaProducer<String, String> again = Transactions.initialised(ids.get(0))) {
            again.beginTransaction();
            Transactions.send(again, topic, 0, List.of("c"));
            again.commitTransaction();
        }
        Check.equal(Transactions.values(Transactions.COMMITTED, topic, 0), List.of("c"), "seen");
    }

    private static void terminated() throws Exception {
        String topic = Clients.create("t-terminated", 1);
        String id = Check.unique("t-terminated");
        try (KafkaProducer<String, String> producer = Transactions.initialised(id)) {
            producer.beginTransaction();
            Transactions.send(producer, topic, 0, List.of("a"));
            Clients.get(Clients.ADMIN.forceTerminateTransaction(id).result());
            Transactions.soonStable(topic, 0);
            Check.raises(ProducerFencedException.class, Transactions.commit(producer));
        }
        Check.equal(Transactions.values(Transactions.COMMITTED, topic, 0), List.of(), "seen");
    }
}
