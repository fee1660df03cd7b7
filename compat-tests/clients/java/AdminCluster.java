import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeClusterResult;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.LogDirDescription;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.admin.ReplicaInfo;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.SecurityDisabledException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** What the admin client asks of the cluster itself. */
final class AdminCluster {
    private static final Admin ADMIN = Clients.ADMIN;

    private AdminCluster() {}

    static void run(Check part) {
        part.check("the_cluster_is_described", AdminCluster::cluster);
        part.check("features_are_described", AdminCluster::features);
        part.check("the_quorum_is_described", AdminCluster::quorum);
        part.check("log_dirs_tell_the_size_of_a_replica", AdminCluster::logDirs);
        part.check("an_election_is_not_needed", AdminCluster::elections);
        part.check("no_reassignment_is_under_way", AdminCluster::reassignments);
        part.check("acls_are_disabled_without_an_authorizer", AdminCluster::acls);
    }

    private static void cluster() throws Exception {
        DescribeClusterResult cluster = ADMIN.describeCluster();
        Check.equal(Clients.get(cluster.clusterId()).length(), 22, "length of the cluster id");
        Check.equal(AdminTopics.node().host() + ":" + AdminTopics.node().port(), Check.BOOTSTRAP,
            "address");
        Check.equal(Clients.get(cluster.controller()), AdminTopics.node(), "controller");
    }

    private static void features() throws Exception {
        FeatureMetadata features = Clients.get(ADMIN.describeFeatures().featureMetadata());
        Check.that(features.finalizedFeatures().containsKey("metadata.version"),
            "finalized: " + features.finalizedFeatures());
        Check.that(features.supportedFeatures().containsKey("metadata.version"),
            "supported: " + features.supportedFeatures());
        Check.that(features.finalizedFeaturesEpoch().isPresent(), "no epoch");
    }

    private static void quorum() throws Exception {
        QuorumInfo quorum = Clients.get(ADMIN.describeMetadataQuorum().quorumInfo());
        int id = AdminTopics.node().id();
        Check.equal(quorum.leaderId(), id, "leader");
        Check.equal(quorum.voters().size(), 1, "voters");
        Check.equal(quorum.voters().get(0).replicaId(), id, "voter");
        Check.that(quorum.highWatermark() > 0, "high watermark " + quorum.highWatermark());
        Check.equal(quorum.observers(), List.of(), "observers");
    }

    private static long size(String topic) throws Exception {
        int id = AdminTopics.node().id();
        Map<String, LogDirDescription> dirs =
            Clients.get(ADMIN.describeLogDirs(List.of(id)).allDescriptions()).get(id);
        Check.equal(dirs.size(), 1, "log dirs");
        LogDirDescription dir = dirs.values().iterator().next();
        Check.equal(dir.error(), null, "error");
        Check.that(dir.totalBytes().orElse(-1) > 0, "total bytes");
        Check.that(dir.usableBytes().orElse(-1) > 0, "usable bytes");
        ReplicaInfo replica = dir.replicaInfos().get(new TopicPartition(topic, 0));
        Check.equal(replica.offsetLag(), 0L, "lag");
        Check.equal(replica.isFuture(), false, "future");
        return replica.size();
    }

    private static void logDirs() throws Exception {
        String topic = Clients.create("jl-log-dirs", 1);
        Clients.send(List.of(new ProducerRecord<>(topic, "v")));
        long one = size(topic);
        // A batch of one record: 61 bytes of header, then the record with its length before it.
        Check.equal(one, 61L + 8, "size of one record");
        Clients.send(List.of(new ProducerRecord<>(topic, "x".repeat(1000))));
        Check.equal(size(topic), one + 61 + 1009, "size of two records");
    }

    private static void elections() throws Exception {
        TopicPartition where = new TopicPartition(Clients.create("jl-elect", 1), 0);
        Clients.describe(where.topic());
        Map<TopicPartition, Optional<Throwable>> result = Clients.get(
            ADMIN.electLeaders(ElectionType.PREFERRED, Set.of(where)).partitions());
        Check.equal(result.get(where).orElseThrow().getClass(), ElectionNotNeededException.class,
            "result");
        TopicPartition nowhere = new TopicPartition(Check.unique("jl-nowhere"), 0);
        result = Clients.get(
            ADMIN.electLeaders(ElectionType.PREFERRED, Set.of(nowhere)).partitions());
        Check.equal(result.get(nowhere).orElseThrow().getClass(),
            UnknownTopicOrPartitionException.class, "result");
    }

    private static void reassignments() throws Exception {
        Check.equal(Clients.get(ADMIN.listPartitionReassignments().reassignments()), Map.of(),
            "reassignments");
    }

    private static void acls() {
        Check.raises(SecurityDisabledException.class,
            () -> Clients.get(ADMIN.describeAcls(AclBindingFilter.ANY).values()));
    }
}
