import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.UnknownMemberIdException;

/** Consumer groups of KIP-848 through the admin client. */
final class ConsumerGroupsAdmin {
    private static final Admin ADMIN = Clients.ADMIN;
    private static final String[] CONSUMER = ConsumerGroups.CONSUMER;

    private ConsumerGroupsAdmin() {}

    static void run(Check part) {
        part.check("groups_are_listed_described_and_deleted", ConsumerGroupsAdmin::lifecycle);
        part.check("offsets_of_a_group_are_altered_and_deleted", ConsumerGroupsAdmin::offsets);
        part.check("static_members_are_removed_by_the_admin", ConsumerGroupsAdmin::removes);
        part.check("a_group_has_configs_within_the_brokers_bounds", ConsumerGroupsAdmin::configs);
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
        String topic = Clients.create("cg-groups", 3);
        String group = Check.unique("cg-groups");
        try (Members members = new Members(group, topic)) {
            members.join(ConsumerGroups.with("client.id", "a-client", "client.rack", "a-rack",
                "group.remote.assignor", "range"));
            members.join(ConsumerGroups.with("client.id", "b-client", "group.instance.id", "b",
                "group.remote.assignor", "range"));
            members.settle(1, 2);
            members.pollUntil(10, "a stable group",
                () -> describe(group).groupState() == GroupState.STABLE);
            GroupListing listed =
                listing(group, ListGroupsOptions.forConsumerGroups()).orElseThrow();
            Check.equal(listed.groupState(), Optional.of(GroupState.STABLE), "state listed");
            Check.equal(listed.type(), Optional.of(GroupType.CONSUMER), "type listed");
            Check.equal(listed.protocol(), "consumer", "protocol listed");
            Check.that(listing(group, new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER))
                .inGroupStates(Set.of(GroupState.STABLE))).isPresent(), "listed by its type");
            Check.equal(listing(group, new ListGroupsOptions()
                .withTypes(Set.of(GroupType.CLASSIC))), Optional.empty(), "listed as classic");
            Check.equal(listing(group, new ListGroupsOptions()
                .inGroupStates(Set.of(GroupState.EMPTY))), Optional.empty(), "listed as empty");
            described(members, group);
            Check.raises(GroupNotEmptyException.class,
                () -> Clients.get(ADMIN.deleteConsumerGroups(List.of(group)).all()));
        }
        // One was static: it stays until its session ends, or is removed.
        Clients.get(ADMIN.removeMembersFromConsumerGroup(group,
            new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("b")))).all());
        Check.equal(describe(group).groupState(), GroupState.EMPTY, "state after the close");
        Check.equal(describe(group).type(), GroupType.CONSUMER, "type after the close");
        Clients.get(ADMIN.deleteConsumerGroups(List.of(group)).all());
        Check.equal(listing(group, new ListGroupsOptions()), Optional.empty(), "after the delete");
        Check.raises(GroupIdNotFoundException.class,
            () -> Clients.get(ADMIN.deleteConsumerGroups(List.of(group)).all()));
        Check.raises(GroupIdNotFoundException.class, () -> describe(group));
    }

    private static void described(Members members, String group) throws Exception {
        ConsumerGroupDescription described = describe(group);
        Check.equal(described.type(), GroupType.CONSUMER, "type");
        Check.equal(described.partitionAssignor(), "range", "assignor");
        Check.equal(described.coordinator(), AdminTopics.node(), "coordinator");
        Check.equal(described.isSimpleConsumerGroup(), false, "is simple");
        int epoch = described.groupEpoch().orElseThrow();
        Check.equal(described.targetAssignmentEpoch(), Optional.of(epoch), "epoch of the target");
        Check.equal(described.members().size(), 2, "members");
        for (int number = 0; number < 2; number++) {
            KafkaConsumer<String, String> consumer = members.consumers.get(number);
            MemberDescription member = described.members().stream()
                .filter(one -> one.consumerId().equals(consumer.groupMetadata().memberId()))
                .findFirst().orElseThrow();
            Check.equal(member.clientId(), number == 0 ? "a-client" : "b-client", "client id");
            Check.equal(member.host(), "/127.0.0.1", "host");
            Check.equal(member.rackId(), number == 0 ? Optional.of("a-rack") : Optional.empty(),
                "rack");
            Check.equal(member.groupInstanceId(), number == 0 ? Optional.empty() : Optional.of("b"),
                "instance id");
            Check.equal(member.memberEpoch(), Optional.of(epoch), "epoch of the member");
            Check.equal(member.upgraded(), Optional.of(true), "upgraded");
            Check.equal(member.assignment().topicPartitions(), consumer.assignment(), "assignment");
            Check.equal(member.targetAssignment().orElseThrow().topicPartitions(),
                consumer.assignment(), "target");
        }
    }

    private static Map<TopicPartition, OffsetAndMetadata> committed(String group)
        throws Exception {
        return Clients.get(
            ADMIN.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
    }

    private static void offsets() throws Exception {
        String topic = Clients.create("cg-offsets", 2);
        String group = Check.unique("cg-offsets");
        Clients.sendValues(topic, 2, "v", 10);
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        Map<TopicPartition, OffsetAndMetadata> change =
            Map.of(zero, new OffsetAndMetadata(2, "altered"));
        try (KafkaConsumer<String, String> consumer = Clients.consumer(group, CONSUMER)) {
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
        try (KafkaConsumer<String, String> consumer = Clients.consumer(group, CONSUMER)) {
            consumer.subscribe(List.of(topic));
            Check.equal(Clients.take(consumer, 8).size(), 8, "records after the change");
        }
    }

    private static void removes() throws Exception {
        String topic = Clients.create("cg-remove", 2);
        String group = Check.unique("cg-remove");
        try (Members members = new Members(group, topic)) {
            members.join(ConsumerGroups.with("group.instance.id", "stays"));
            members.join(ConsumerGroups.with("group.instance.id", "goes"));
            members.settle(1, 1);
            members.leave(1);
            Clients.get(ADMIN.removeMembersFromConsumerGroup(group,
                new RemoveMembersFromConsumerGroupOptions(
                    Set.of(new MemberToRemove("goes")))).all());
            members.settle(2, 0);
            Check.raises(UnknownMemberIdException.class,
                () -> Clients.get(ADMIN.removeMembersFromConsumerGroup(group,
                    new RemoveMembersFromConsumerGroupOptions(
                        Set.of(new MemberToRemove("goes")))).memberResult(
                            new MemberToRemove("goes"))));
        }
    }

    private static void configs() throws Exception {
        String group = Check.unique("cg-configs");
        ConsumerGroups.configure(group, "consumer.session.timeout.ms", "9000",
            "consumer.heartbeat.interval.ms", "400");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
        Check.soonEqual("configs", List.of("9000", "400"), () -> {
            Config found = Clients.get(ADMIN.describeConfigs(List.of(resource)).all())
                .get(resource);
            return List.of(found.get("consumer.session.timeout.ms").value(),
                found.get("consumer.heartbeat.interval.ms").value());
        });
        ConsumerGroups.configure(group, "consumer.session.timeout.ms", null);
        ConfigResource broker =
            new ConfigResource(ConfigResource.Type.BROKER, AdminTopics.node().idString());
        String brokers = Clients.get(ADMIN.describeConfigs(List.of(broker)).all()).get(broker)
            .get("group.consumer.session.timeout.ms").value();
        Check.soonEqual("a config that was taken away", brokers, () ->
            Clients.get(ADMIN.describeConfigs(List.of(resource)).all()).get(resource)
                .get("consumer.session.timeout.ms").value());
        for (String[] refused : List.of(
                new String[] {"consumer.session.timeout.ms", "60001"},
                new String[] {"consumer.session.timeout.ms", "0"},
                new String[] {"consumer.heartbeat.interval.ms", "15001"})) {
            Check.raises(InvalidConfigurationException.class, () -> {
                ConsumerGroups.configure(group, refused);
                return "set";
            });
        }
    }
}
