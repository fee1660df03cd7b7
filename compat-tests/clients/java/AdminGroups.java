import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ClassicGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** Groups and offsets through the admin client. */
final class AdminGroups {
    private static final Admin ADMIN = Clients.ADMIN;

    private AdminGroups() {}

    static void run(Check part) {
        part.check("groups_are_listed_described_and_deleted", AdminGroups::lifecycle);
        part.check("offsets_of_a_group_are_listed_altered_and_deleted", AdminGroups::offsets);
        part.check("a_static_member_is_removed_by_the_admin", AdminGroups::removeMember);
        part.check("offsets_are_listed_by_every_spec", AdminGroups::listOffsets);
    }

    private static ConsumerGroupDescription describe(String group) throws Exception {
        return Clients.get(ADMIN.describeConsumerGroups(List.of(group)).all()).get(group);
    }

    private static Optional<GroupListing> listing(String group, ListGroupsOptions options)
        throws Exception {
        return Clients.get(ADMIN.listGroups(options).all()).stream()
            .filter(found -> found.groupId().equals(group)).findFirst();
    }

    private static void lifecycle() throws Exception {
        String topic = Clients.create("jg-groups", 2);
        String group = Check.unique("jg-groups");
        Clients.sendValues(topic, 2, "v", 4);
        try (KafkaConsumer<String, String> consumer =
                Clients.consumer(group, "client.id", "a-client")) {
            consumer.subscribe(List.of(topic));
            Clients.take(consumer, 4);
            consumer.commitSync();
            GroupListing listed =
                listing(group, ListGroupsOptions.forConsumerGroups()).orElseThrow();
            Check.equal(listed.groupState(), Optional.of(GroupState.STABLE), "state listed");
            Check.equal(listed.type(), Optional.of(GroupType.CLASSIC), "type listed");
            Check.equal(listed.protocol(), "consumer", "protocol listed");
            Check.equal(listing(group, new ListGroupsOptions()
                .inGroupStates(Set.of(GroupState.EMPTY))), Optional.empty(), "listed as empty");
            ConsumerGroupDescription described = describe(group);
            Check.equal(described.groupState(), GroupState.STABLE, "state");
            Check.equal(described.partitionAssignor(), "range", "assignor");
            Check.equal(described.coordinator(), AdminTopics.node(), "coordinator");
            Check.equal(described.members().size(), 1, "members");
            MemberDescription member = described.members().iterator().next();
            Check.equal(member.clientId(), "a-client", "client id");
            Check.equal(member.host(), "/127.0.0.1", "host");
            Check.equal(member.consumerId(), consumer.groupMetadata().memberId(), "member id");
            Check.equal(member.groupInstanceId(), Optional.empty(), "instance id");
            Check.equal(member.assignment().topicPartitions(),
                Set.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1)), "assignment");
            Check.raises(GroupNotEmptyException.class,
                () -> Clients.get(ADMIN.deleteConsumerGroups(List.of(group)).all()));
        }
        ConsumerGroupDescription described = describe(group);
        Check.equal(described.groupState(), GroupState.EMPTY, "state after the close");
        Check.equal(described.members().size(), 0, "members after the close");
        Clients.get(ADMIN.deleteConsumerGroups(List.of(group)).all());
        Check.equal(listing(group, new ListGroupsOptions()), Optional.empty(), "after the delete");
        Check.raises(GroupIdNotFoundException.class,
            () -> Clients.get(ADMIN.deleteConsumerGroups(List.of(group)).all()));
        Check.raises(GroupIdNotFoundException.class, () -> describe(group));
        Check.raises(GroupIdNotFoundException.class, () -> {
            ClassicGroupDescription classic =
                Clients.get(ADMIN.describeClassicGroups(List.of(group)).all()).get(group);
            return classic.state();
        });
    }

    private static Map<TopicPartition, OffsetAndMetadata> committed(String group)
        throws Exception {
        return Clients.get(
            ADMIN.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
    }

    private static void offsets() throws Exception {
        String topic = Clients.create("jg-offsets", 2);
        String group = Check.unique("jg-offsets");
        Clients.sendValues(topic, 2, "v", 10);
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        Map<TopicPartition, OffsetAndMetadata> change =
            Map.of(zero, new OffsetAndMetadata(2, "altered"));
        try (KafkaConsumer<String, String> consumer = Clients.consumer(group)) {
            consumer.subscribe(List.of(topic));
            Clients.take(consumer, 10);
            consumer.commitSync();
            Check.equal(committed(group).get(zero).offset(), 5L, "committed");
            Check.raises(UnknownMemberIdException.class,
                () -> Clients.get(ADMIN.alterConsumerGroupOffsets(group, change).all()));
            Check.raises(GroupSubscribedToTopicException.class,
                () -> Clients.get(ADMIN.deleteConsumerGroupOffsets(group, Set.of(zero)).all()));
        }
        Clients.get(ADMIN.alterConsumerGroupOffsets(group, change).all());
        Check.equal(committed(group).get(zero).offset(), 2L, "altered");
        Check.equal(committed(group).get(zero).metadata(), "altered", "metadata");
        Clients.get(ADMIN.deleteConsumerGroupOffsets(group, Set.of(one)).all());
        Check.equal(committed(group).keySet(), Set.of(zero), "partitions after the delete");
        try (KafkaConsumer<String, String> consumer = Clients.consumer(group)) {
            consumer.subscribe(List.of(topic));
            Check.equal(Clients.take(consumer, 8).size(), 8, "records after the change");
        }
    }

    private static void removeMember() throws Exception {
        String topic = Clients.create("jg-remove", 1);
        String group = Check.unique("jg-remove");
        KafkaConsumer<String, String> consumer =
            Clients.consumer(group, "group.instance.id", "stays");
        Clients.sendValues(topic, 1, "v", 1);
        consumer.subscribe(List.of(topic));
        Clients.take(consumer, 1);
        // A static member does not leave when it closes.
        consumer.close();
        MemberDescription member = describe(group).members().iterator().next();
        Check.equal(member.groupInstanceId(), Optional.of("stays"), "instance id");
        Clients.get(ADMIN.removeMembersFromConsumerGroup(group,
            new RemoveMembersFromConsumerGroupOptions(
                Set.of(new MemberToRemove("stays")))).all());
        Check.equal(describe(group).groupState(), GroupState.EMPTY, "state");
    }

    private static void listOffsets() throws Exception {
        String topic = Clients.create("jg-list-offsets", 1);
        long start = Check.START;
        long[] times = {start, start + 5000, start + 1000};
        for (long time : times) {
            Clients.send(List.of(new ProducerRecord<>(topic, 0, time, null, "v")));
        }
        TopicPartition where = new TopicPartition(topic, 0);
        equalOffset(where, OffsetSpec.earliest(), 0, -1);
        equalOffset(where, OffsetSpec.latest(), 3, -1);
        equalOffset(where, OffsetSpec.maxTimestamp(), 1, start + 5000);
        equalOffset(where, OffsetSpec.forTimestamp(start + 1), 1, start + 5000);
        equalOffset(where, OffsetSpec.forTimestamp(start + 6000), -1, -1);
        equalOffset(where, OffsetSpec.earliestLocal(), 0, -1);
        equalOffset(where, OffsetSpec.latestTiered(), -1, -1);
    }

    private static void equalOffset(TopicPartition where, OffsetSpec spec, long offset, long time)
        throws Exception {
        ListOffsetsResultInfo found =
            Clients.get(ADMIN.listOffsets(Map.of(where, spec)).partitionResult(where));
        Check.equal(found.offset(), offset, "offset for " + spec.getClass().getSimpleName());
        Check.equal(found.timestamp(), time, "time for " + spec.getClass().getSimpleName());
    }
}
