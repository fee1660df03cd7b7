import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.errors.InvalidRecordStateException;

/**
 * Records of share groups from delivery to acknowledgement: locks, their time-out and renewal,
 * delivery counts, and members that end. The broker allows locks of a second.
 */
final class ShareGroupsLocks {
    private ShareGroupsLocks() {}

    static void run(Check part) {
        part.check("each_mode_of_acknowledgement_wants_its_own", ShareGroupsLocks::modes);
        part.check("a_released_record_comes_again", ShareGroupsLocks::released);
        part.check("a_rejected_record_never_comes_again", ShareGroupsLocks::rejected);
        part.check("a_record_is_given_up_at_the_delivery_limit", ShareGroupsLocks::limit);
        part.check("a_lock_times_out", ShareGroupsLocks::timesOut);
        part.check("a_renewed_lock_holds", ShareGroupsLocks::renewed);
        part.check("a_group_may_refuse_to_renew", ShareGroupsLocks::renewRefused);
        part.check("batches_are_acquired_whole_or_by_the_record", ShareGroupsLocks::acquireModes);
        part.check("a_partition_has_no_more_locks_than_it_may", ShareGroupsLocks::maxLocks);
        part.check("commits_call_back", ShareGroupsLocks::callbacks);
        part.check("a_closed_member_gives_back", ShareGroupsLocks::closed);
        part.check("a_killed_member_is_taken_over", ShareGroupsLocks::killed);
    }

    private static void modes() throws Exception {
        String topic = Clients.create("sh-modes", 1);
        String group = Shares.group("sh-modes");
        Clients.sendValues(topic, 1, "v", 3);
        try (var member = Shares.member(group, topic, Shares.EXPLICIT)) {
            var records = Shares.poll(member);
            Check.equal(records.size(), 3, "records");
            member.acknowledge(records.get(0));
            Check.raises(IllegalStateException.class, () -> member.poll(Duration.ofMillis(50)));
            // So is acknowledged only what could not be made out.
            Check.raises(IllegalStateException.class, () -> {
                member.acknowledge(topic, 0, 1, AcknowledgeType.ACCEPT);
                return "acknowledged";
            });
            member.acknowledge(records.get(1), AcknowledgeType.REJECT);
            member.acknowledge(records.get(2), AcknowledgeType.RELEASE);
            Check.equal(Clients.offsets(Shares.take(member, 1, AcknowledgeType.ACCEPT)),
                List.of(2L), "offsets");
        }
        Shares.allDone(group, topic, 1);
        Clients.sendValues(topic, 1, "w", 2);
        try (var member = Shares.member(group, topic)) {
            var records = Shares.poll(member);
            // Who acknowledges one in implicit mode is told to take the other.
            Check.raises(IllegalStateException.class, () -> {
                member.acknowledge(records.get(0));
                return "acknowledged";
            });
            Shares.commit(member);
        }
        Shares.allDone(group, topic, 1);
    }

    private static void released() throws Exception {
        String topic = Clients.create("sh-released", 1);
        String group = Shares.group("sh-released");
        Clients.sendValues(topic, 1, "v", 6);
        try (var member = Shares.member(group, topic, Shares.EXPLICIT)) {
            var first = Shares.take(member, 6, (one, record) -> one.acknowledge(record,
                record.offset() % 3 == 1 ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT));
            Check.equal(Shares.deliveries(first), Shares.times(6, 1), "first delivery counts");
            Shares.commit(member);
            var second = Shares.take(member, 2, AcknowledgeType.RELEASE);
            Check.equal(Clients.offsets(second), List.of(1L, 4L), "offsets");
            Check.equal(Shares.deliveries(second), Shares.times(2, 2), "second delivery counts");
            Check.equal(Shares.offset(group, topic, 0).startOffset(), 1L, "start");
        }
        try (var other = Shares.member(group, topic, Shares.EXPLICIT)) {
            var third = Shares.take(other, 2, AcknowledgeType.ACCEPT);
            Check.equal(Clients.offsets(third), List.of(1L, 4L), "offsets");
            Check.equal(Shares.deliveries(third), Shares.times(2, 3), "third delivery counts");
            Shares.nothing(other, 200);
        }
        Shares.allDone(group, topic, 1);
    }

    private static void rejected() throws Exception {
        String topic = Clients.create("sh-rejected", 1);
        String group = Shares.group("sh-rejected");
        Clients.sendValues(topic, 1, "v", 4);
        try (var member = Shares.member(group, topic, Shares.EXPLICIT)) {
            Shares.take(member, 4, (one, record) -> one.acknowledge(record,
                record.offset() == 2 ? AcknowledgeType.RELEASE : AcknowledgeType.REJECT));
            Shares.commit(member);
            Check.equal(Clients.offsets(Shares.take(member, 1, AcknowledgeType.REJECT)),
                List.of(2L), "offsets");
        }
        Shares.allDone(group, topic, 1);
        Clients.sendValues(topic, 1, "w", 2);
        try (var other = Shares.member(group, topic)) {
            Check.equal(Clients.values(Shares.take(other, 2)), List.of("w0", "w1"), "values");
        }
        Shares.allDone(group, topic, 1);
    }

    private static void limit() throws Exception {
        String topic = Clients.create("sh-limit", 1);
        String usual = Shares.group("sh-limit");
        String low = Shares.group("sh-limit-low", "share.delivery.count.limit", "2");
        Clients.sendValues(topic, 1, "v", 2);
        for (Map.Entry<String, Integer> one : Map.of(usual, 5, low, 2).entrySet()) {
            try (var member = Shares.member(one.getKey(), topic, Shares.EXPLICIT)) {
                Map<Long, Integer> last = new HashMap<>();
                for (int n = 1; n <= one.getValue(); n++) {
                    for (var record : Shares.take(member, 2, AcknowledgeType.RELEASE)) {
                        int count = record.deliveryCount().orElseThrow();
                        Check.equal(count, last.getOrDefault(record.offset(), 0) + 1, "count");
                        last.put(record.offset(), count);
                    }
                }
                Shares.allDone(one.getKey(), topic, 1);
                Shares.nothing(member, 200);
            }
        }
    }

    /** The time since then, in milliseconds. */
    private static long since(long nanos) {
        return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - nanos);
    }

    private static void timesOut() throws Exception {
        String topic = Clients.create("sh-lock", 1);
        String group = Shares.group("sh-lock", "share.record.lock.duration.ms", "1500");
        Clients.sendValues(topic, 1, "v", 5);
        try (var slow = Shares.member(group, topic, Shares.EXPLICIT);
            var other = Shares.member(group, topic, Shares.EXPLICIT)) {
            long before = System.nanoTime();
            var held = Shares.poll(slow);
            long after = System.nanoTime();
            Check.equal(held.size(), 5, "records");
            Check.equal(slow.acquisitionLockTimeoutMs(), Optional.of(1500), "lock time-out");
            var taken = Shares.poll(other);
            Check.equal(taken.size(), 5, "records");
            Check.that(since(before) >= 1_450, "taken over after " + since(before) + " ms");
            Check.that(since(after) < 4_000, "taken over after " + since(after) + " ms");
            Check.equal(Shares.deliveries(taken), Shares.times(5, 2), "delivery counts");
            held.forEach(record -> slow.acknowledge(record, AcknowledgeType.RELEASE));
            var refused = Shares.commitSync(slow).values().iterator().next().orElseThrow();
            Check.equal(refused.getClass(), InvalidRecordStateException.class, "refused");
            taken.forEach(other::acknowledge);
            Shares.commit(other);
            Shares.nothing(slow, 200);
        }
        Shares.allDone(group, topic, 1);
    }

    private static void renewed() throws Exception {
        String topic = Clients.create("sh-renew", 1);
        String group = Shares.group("sh-renew", "share.record.lock.duration.ms", "1500");
        Clients.sendValues(topic, 1, "v", 3);
        try (var holder = Shares.member(group, topic, Shares.EXPLICIT);
            var other = Shares.member(group, topic, Shares.EXPLICIT)) {
            var held = Shares.poll(holder);
            Check.equal(held.size(), 3, "records");
            for (int n = 0; n < 5; n++) {
                held.forEach(record -> holder.acknowledge(record, AcknowledgeType.RENEW));
                Shares.commit(holder);
                Shares.nothing(other, 700);
                // What was renewed comes again, to be acknowledged again.
                held = Shares.poll(holder);
                Check.equal(Clients.offsets(held), Clients.range(0, 3), "renewed");
                Check.equal(Shares.deliveries(held), Shares.times(3, 1), "delivery counts");
            }
            held.forEach(record -> holder.acknowledge(record, AcknowledgeType.ACCEPT));
            Shares.commit(holder);
            Shares.nothing(other, 200);
        }
        Shares.allDone(group, topic, 1);
    }

    private static void renewRefused() throws Exception {
        String topic = Clients.create("sh-no-renew", 1);
        String group = Shares.group("sh-no-renew", "share.renew.acknowledge.enable", "false");
        Clients.sendValues(topic, 1, "v", 2);
        try (var member = Shares.member(group, topic, Shares.EXPLICIT)) {
            var held = Shares.poll(member);
            held.forEach(record -> member.acknowledge(record, AcknowledgeType.RENEW));
            var refused = Shares.commitSync(member).values().iterator().next().orElseThrow();
            Check.equal(refused.getClass(), InvalidRecordStateException.class, "refused");
        }
    }

    private static void acquireModes() throws Exception {
        String topic = Clients.create("sh-acquire", 1);
        String whole = Shares.group("sh-acquire-batch");
        String some = Shares.group("sh-acquire-record");
        Clients.sendValues(topic, 1, "v", 10);
        try (var member = Shares.member(whole, topic, Shares.explicit("max.poll.records", "3"))) {
            var records = Shares.poll(member);
            Check.equal(Clients.offsets(records), Clients.range(0, 10), "of a whole batch");
        }
        String[] three =
            Shares.explicit("max.poll.records", "3", "share.acquire.mode", "record_limit");
        try (var one = Shares.member(some, topic, three);
            var two = Shares.member(some, topic, three)) {
            Set<Long> seen = new TreeSet<>();
            Set<Object> fed = new HashSet<>();
            Check.eventually(20, "every record comes", () -> {
                for (var member : List.of(one, two)) {
                    List<Long> offsets = new ArrayList<>();
                    member.poll(Duration.ofMillis(50)).forEach(record -> {
                        offsets.add(record.offset());
                        member.acknowledge(record);
                        fed.add(member);
                    });
                    Check.that(offsets.size() <= 3, "records: " + offsets);
                    offsets.forEach(offset -> Check.that(seen.add(offset), "twice: " + offset));
                }
                return seen.size() == 10;
            });
            Check.equal(fed.size(), 2, "members that got records");
            Check.equal(List.copyOf(seen), Clients.range(0, 10), "offsets");
            Shares.commit(one);
            Shares.commit(two);
        }
        Shares.allDone(some, topic, 1);
    }

    private static void maxLocks() throws Exception {
        String topic = Clients.create("sh-max-locks", 1);
        String group = Shares.group("sh-max-locks", "share.partition.max.record.locks", "100");
        Clients.sendValues(topic, 1, "v", 300);
        String[] limited =
            Shares.explicit("max.poll.records", "50", "share.acquire.mode", "record_limit");
        try (var one = Shares.member(group, topic, limited);
            var two = Shares.member(group, topic, limited);
            var three = Shares.member(group, topic, limited)) {
            var ofOne = Shares.poll(one);
            var ofTwo = Shares.poll(two);
            Check.equal(ofOne.size() + ofTwo.size(), 100, "records with a lock");
            Shares.nothing(three, 500);
            ofOne.forEach(one::acknowledge);
            Shares.commit(one);
            var ofThree = Shares.poll(three);
            Check.equal(ofThree.size(), ofOne.size(), "records with a lock of the third");
            ofTwo.forEach(two::acknowledge);
            Shares.commit(two);
        }
    }

    private static void callbacks() throws Exception {
        String topic = Clients.create("sh-callback", 1);
        String group = Shares.group("sh-callback");
        Clients.sendValues(topic, 1, "v", 6);
        Map<Set<Long>, String> called = new HashMap<>();
        try (var member = Shares.member(group, topic, Shares.EXPLICIT)) {
            member.setAcknowledgementCommitCallback((offsets, error) -> offsets.forEach(
                (where, of) -> {
                    Check.equal(where.topic(), topic, "topic");
                    called.put(new TreeSet<>(of), String.valueOf(error));
                }));
            var records = Shares.poll(member);
            records.subList(0, 2).forEach(member::acknowledge);
            var done = Shares.commitSync(member);
            Check.equal(List.copyOf(done.values()), List.of(Optional.empty()), "answer");
            records.subList(2, 4).forEach(member::acknowledge);
            member.commitAsync();
            records.subList(4, 6).forEach(member::acknowledge);
            Check.eventually(20, "the callback of what was committed",
                () -> {
                    member.poll(Duration.ofMillis(50));
                    return called.size() == 3;
                });
        }
        Check.equal(called, Map.of(Set.of(0L, 1L), "null", Set.of(2L, 3L), "null",
            Set.of(4L, 5L), "null"), "called back");
        Shares.allDone(group, topic, 1);
    }

    private static void closed() throws Exception {
        String topic = Clients.create("sh-closed", 1);
        String group = Shares.group("sh-closed");
        Clients.sendValues(topic, 1, "v", 4);
        try (var member = Shares.member(group, topic, Shares.EXPLICIT)) {
            var records = Shares.poll(member);
            member.acknowledge(records.get(1));
        }
        // The one it had acknowledged is committed by the close.
        for (int delivery : List.of(2, 3)) {
            try (var other = Shares.member(group, topic)) {
                var records = Shares.poll(other);
                Check.equal(Clients.offsets(records), List.of(0L, 2L, 3L), "offsets");
                Check.equal(Shares.deliveries(records), Shares.times(3, delivery), "counts");
                // Neither does a member in implicit mode accept by its close what came last.
            }
        }
        try (var other = Shares.member(group, topic)) {
            Check.equal(Clients.offsets(Shares.take(other, 3)), List.of(0L, 2L, 3L), "offsets");
        }
        Shares.allDone(group, topic, 1);
    }

    private static void killed() throws Exception {
        String topic = Clients.create("sh-killed", 1);
        String group = Shares.group("sh-killed");
        Clients.sendValues(topic, 1, "v", 4);
        Process process = new ProcessBuilder(ProcessHandle.current().info().command().orElseThrow(),
            "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-cp", System.getProperty("java.class.path"), "ShareHolder", group, topic)
            .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        try (var other = Shares.member(group, topic)) {
            String line = process.inputReader().readLine();
            Check.equal(line, "holds 4", "the other process");
            Shares.nothing(other, 300);
            // Its lock has half a minute, its session six seconds: the broker sees that it is gone.
            long before = System.nanoTime();
            process.destroyForcibly().waitFor();
            var records = Shares.take(other, 4);
            Check.equal(Shares.deliveries(records), Shares.times(4, 2), "delivery counts");
            Check.that(since(before) < 5_000, "taken over after " + since(before) + " ms");
        } finally {
            process.destroyForcibly();
        }
        Shares.allDone(group, topic, 1);
    }
}
