import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ShareGroupDescription;
import org.apache.kafka.clients.admin.ShareMemberDescription;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InconsistentGroupProtocolException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Share groups as the admin client sees and changes them. */
final class ShareGroupsAdmin {
    private static final Admin ADMIN = Clients.ADMIN;

    private ShareGroupsAdmin() {}

    static void run(Check part) {
        part.check("groups_are_listed_and_described", ShareGroupsAdmin::described);
        part.check("offsets_are_listed", ShareGroupsAdmin::offsets);
        part.check("offsets_are_altered", ShareGroupsAdmin::altered);
        part.check("offsets_are_deleted", ShareGroupsAdmin::offsetsDeleted);
        part.check("a_group_is_deleted", ShareGroupsAdmin::deleted);
        part.check("configs_of_a_group_are_checked_and_shown", ShareGroupsAdmin::configs);
        part.check("a_group_has_one_protocol", ShareGroupsAdmin::oneProtocol);
    }

    private static ShareGroupDescription describe(String group) throws Exception {
        return Clients.get(ADMIN.describeShareGroups(List.of(group)).describedGroups().get(group));
    }

    private static List<GroupListing> listed(String group, ListGroupsOptions options)
        throws Exception {
        return Clients.get(ADMIN.listGroups(options).all()).stream()
            .filter(one -> one.groupId().equals(group)).toList();
    }

    private static void described() throws Exception {
        String topic = Clients.create("sh-describe", 3);
        String group = Shares.group("sh-describe");
        GroupListing stable = new GroupListing(group, Optional.of(GroupType.SHARE), "share",
            Optional.of(GroupState.STABLE));
        try (var one = Shares.member(group, topic, "client.id", "first");
            var two = Shares.member(group, topic, "client.id", "second")) {
            Check.eventually(20, "two members with partitions", () -> {
                one.poll(Duration.ofMillis(50));
                two.poll(Duration.ofMillis(50));
                if (listed(group, new ListGroupsOptions()).isEmpty()) {
                    return false;
                }
                var members = describe(group).members();
                return members.size() == 2 && members.stream()
                    .noneMatch(member -> member.assignment().topicPartitions().isEmpty());
            });
            ShareGroupDescription description = describe(group);
            Check.equal(description.groupState(), GroupState.STABLE, "state");
            Check.equal(description.coordinator().id(), 1, "coordinator");
            Check.equal(description.targetAssignmentEpoch(), description.groupEpoch(), "epochs");
            Map<String, Integer> partitions = new TreeMap<>();
            for (ShareMemberDescription member : description.members()) {
                Check.equal(member.memberEpoch(), description.groupEpoch(), "epoch of a member");
                Check.equal(member.host(), "/127.0.0.1", "host");
                Check.equal(member.rackId(), Optional.empty(), "rack");
                partitions.put(member.clientId(), member.assignment().topicPartitions().size());
            }
            Check.equal(partitions.keySet(), Set.of("first", "second"), "client ids");
            Check.equal(partitions.values().stream().sorted().toList(), List.of(1, 2),
                "how many partitions each has");
            Check.equal(listed(group, ListGroupsOptions.forShareGroups()), List.of(stable), "share");
            Check.equal(listed(group, ListGroupsOptions.forConsumerGroups()), List.of(), "consumer");
            Check.equal(listed(group, new ListGroupsOptions().withTypes(Set.of(GroupType.SHARE))
                .inGroupStates(Set.of(GroupState.EMPTY))), List.of(), "empty ones");
        }
        Check.equal(describe(group).groupState(), GroupState.EMPTY, "state");
        Check.equal(List.copyOf(describe(group).members()), List.of(), "members");
        Check.raises(GroupIdNotFoundException.class, () -> describe(Check.unique("sh-nobody")));
    }

    private static void offsets() throws Exception {
        String topic = Clients.create("sh-offsets", 2);
        String group = Shares.group("sh-offsets");
        TopicPartition first = new TopicPartition(topic, 0);
        TopicPartition second = new TopicPartition(topic, 1);
        Clients.sendValues(topic, 2, "v", 20);
        try (var member = Shares.member(group, topic, Shares.EXPLICIT)) {
            Shares.take(member, 20, (one, record) -> one.acknowledge(record,
                record.partition() == 0 && record.offset() == 4
                    ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT));
            Shares.commit(member);
            Check.soonEqual("first partition",
                new SharePartitionOffsetInfo(0, Optional.of(0), Optional.of(1L)),
                () -> Shares.offset(group, topic, 0));
            Check.soonEqual("second partition",
                new SharePartitionOffsetInfo(0, Optional.of(0), Optional.of(0L)),
                () -> Shares.offset(group, topic, 1));
            Map<TopicPartition, SharePartitionOffsetInfo> all = Clients.get(ADMIN
                .listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
                .partitionsToOffsetInfo(group));
            Check.equal(all.keySet(), Set.of(first, second), "partitions");
            Shares.take(member, 1, AcknowledgeType.ACCEPT);
        }
        Clients.sendValues(topic, 1, "w", 5);
        Check.soonEqual("first partition",
            new SharePartitionOffsetInfo(4, Optional.of(0), Optional.of(5L)),
            () -> Shares.offset(group, topic, 0));
    }

    private static void altered() throws Exception {
        String topic = Clients.create("sh-altered", 1);
        String group = Shares.group("sh-altered");
        TopicPartition where = new TopicPartition(topic, 0);
        Clients.sendValues(topic, 1, "v", 10);
        try (var member = Shares.member(group, topic)) {
            Shares.take(member, 10);
            Check.raises(GroupNotEmptyException.class, () -> Clients.get(
                ADMIN.alterShareGroupOffsets(group, Map.of(where, 3L)).all()));
        }
        Shares.allDone(group, topic, 1);
        Clients.get(ADMIN.alterShareGroupOffsets(group, Map.of(where, 7L)).all());
        Check.soonEqual("offset", new SharePartitionOffsetInfo(7, Optional.of(0), Optional.of(3L)),
            () -> Shares.offset(group, topic, 0));
        Check.raises(UnknownTopicOrPartitionException.class, () -> Clients.get(
            ADMIN.alterShareGroupOffsets(group,
                Map.of(new TopicPartition(Check.unique("sh-no-such"), 0), 3L)).all()));
        try (var member = Shares.member(group, topic)) {
            var records = Shares.take(member, 3);
            Check.equal(Clients.offsets(records), Clients.range(7, 10), "offsets");
            Check.equal(Shares.deliveries(records), Shares.times(3, 1), "delivery counts");
        }
        Shares.allDone(group, topic, 1);
    }

    private static void offsetsDeleted() throws Exception {
        String topic = Clients.create("sh-forgotten", 1);
        String kept = Clients.create("sh-kept", 1);
        String group = Shares.group("sh-forgotten");
        Clients.sendValues(topic, 1, "v", 4);
        Clients.sendValues(kept, 1, "k", 4);
        try (var member = Shares.member(group, List.of(topic, kept))) {
            Shares.take(member, 8);
            Check.raises(GroupNotEmptyException.class, () -> Clients.get(
                ADMIN.deleteShareGroupOffsets(group, Set.of(topic)).all()));
        }
        Shares.allDone(group, topic, 1);
        Shares.allDone(group, kept, 1);
        Clients.get(ADMIN.deleteShareGroupOffsets(group, Set.of(topic)).all());
        Check.soonEqual("topics", Set.of(new TopicPartition(kept, 0)), () -> Clients.get(ADMIN
            .listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
            .partitionsToOffsetInfo(group)).keySet());
        // It begins anew, where the group's reset says.
        try (var member = Shares.member(group, List.of(topic, kept))) {
            Check.equal(Clients.values(Shares.take(member, 4)), List.of("v0", "v1", "v2", "v3"),
                "values");
            Shares.nothing(member, 200);
        }
    }

    private static void deleted() throws Exception {
        String topic = Clients.create("sh-delete", 1);
        String group = Shares.group("sh-delete");
        Clients.sendValues(topic, 1, "v", 4);
        try (var member = Shares.member(group, topic)) {
            Shares.take(member, 4);
            Check.raises(GroupNotEmptyException.class, () -> Clients.get(
                ADMIN.deleteShareGroups(List.of(group)).all()));
        }
        Clients.get(ADMIN.deleteShareGroups(List.of(group)).all());
        Check.raises(GroupIdNotFoundException.class, () -> describe(group));
        Check.equal(listed(group, new ListGroupsOptions()), List.of(), "listed");
        Check.raises(GroupIdNotFoundException.class, () -> Clients.get(
            ADMIN.deleteShareGroups(List.of(group)).all()));
        // A new one of its name knows nothing of it.
        try (var member = Shares.member(group, topic)) {
            var records = Shares.take(member, 4);
            Check.equal(Clients.values(records), List.of("v0", "v1", "v2", "v3"), "values");
            Check.equal(Shares.deliveries(records), Shares.times(4, 1), "delivery counts");
        }
    }

    private static void configs() throws Exception {
        String group = Shares.group("sh-configs", "share.record.lock.duration.ms", "20000");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
        var shown = Clients.get(ADMIN.describeConfigs(List.of(resource)).all()).get(resource);
        for (String[] one : List.of(
                new String[] {"share.auto.offset.reset", "earliest"},
                new String[] {"share.record.lock.duration.ms", "20000"},
                new String[] {"share.isolation.level", "read_uncommitted"},
                new String[] {"share.delivery.count.limit", "5"},
                new String[] {"share.partition.max.record.locks", "2000"},
                new String[] {"share.renew.acknowledge.enable", "true"})) {
            Check.equal(shown.get(one[0]).value(), one[1], one[0]);
        }
        Check.equal(shown.get("share.record.lock.duration.ms").source(),
            ConfigEntry.ConfigSource.DYNAMIC_GROUP_CONFIG, "source of what is set");
        for (String[] wrong : List.of(
                new String[] {"share.auto.offset.reset", "by_duration:PT-1H"},
                new String[] {"share.auto.offset.reset", "somewhere"},
                new String[] {"share.isolation.level", "read_all"},
                new String[] {"share.record.lock.duration.ms", "10"},
                new String[] {"share.delivery.count.limit", "1000"},
                new String[] {"share.partition.max.record.locks", "1"},
                new String[] {"share.session.timeout.ms", "1"})) {
            Check.raises(InvalidConfigurationException.class, () -> {
                ConsumerGroups.configure(group, wrong);
                return wrong[0] + " taken";
            });
        }
    }

    private static void oneProtocol() throws Exception {
        String topic = Clients.create("sh-protocol", 1);
        String group = Shares.group("sh-protocol");
        Clients.sendValues(topic, 1, "v", 2);
        try (var member = Shares.member(group, topic)) {
            Shares.take(member, 2);
            refused(GroupIdNotFoundException.class, group, topic, "consumer");
            refused(InconsistentGroupProtocolException.class, group, topic, "classic");
            Clients.sendValues(topic, 1, "w", 2);
            Shares.take(member, 2);
        }
    }

    private static void refused(Class<? extends Throwable> error, String group, String topic,
        String protocol) {
        try (var consumer = Clients.consumer(group, "group.protocol", protocol)) {
            consumer.subscribe(List.of(topic));
            Check.raises(error, () -> {
                for (int n = 0; n < 200; n++) {
                    consumer.poll(Duration.ofMillis(50));
                }
                return "ten seconds of polls";
            });
        }
    }
}
