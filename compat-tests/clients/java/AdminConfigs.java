import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigType;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.ConfigResource.Type;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidRequestException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** Configs of topics, of the broker and of groups through the admin client. */
final class AdminConfigs {
    private static final Admin ADMIN = Clients.ADMIN;

    private AdminConfigs() {}

    static void run(Check part) {
        part.check("topic_configs_come_with_defaults_sources_and_types", AdminConfigs::described);
        part.check("topic_configs_are_set_appended_subtracted_and_deleted", AdminConfigs::altered);
        part.check("a_config_change_takes_effect", AdminConfigs::takesEffect);
        part.check("a_validated_config_change_changes_nothing", AdminConfigs::validated);
        part.check("wrong_topic_configs_are_refused", AdminConfigs::wrong);
        part.check("broker_configs_are_described_and_altered", AdminConfigs::broker);
        part.check("cluster_default_configs_reach_topics", AdminConfigs::clusterDefault);
        part.check("group_configs_are_set_and_deleted", AdminConfigs::groups);
        part.check("config_resources_are_listed", AdminConfigs::resources);
    }

    private static ConfigResource topic(String name) {
        return new ConfigResource(Type.TOPIC, name);
    }

    private static Config configs(ConfigResource resource) throws Exception {
        DescribeConfigsOptions options = new DescribeConfigsOptions().includeSynonyms(true);
        return Clients.get(ADMIN.describeConfigs(List.of(resource), options).all()).get(resource);
    }

    private static AlterConfigOp op(OpType type, String name, String value) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    private static void alter(ConfigResource resource, AlterConfigOp... ops) throws Exception {
        Collection<AlterConfigOp> all = List.of(ops);
        Clients.get(ADMIN.incrementalAlterConfigs(Map.of(resource, all)).all());
    }

    private static void refused(ConfigResource resource, OpType type, String name, String value) {
        Check.raises(InvalidConfigurationException.class, () -> {
            alter(resource, op(type, name, value));
            return name + " = " + value;
        });
    }

    private static void soon(ConfigResource resource, String name, String value) throws Exception {
        Check.soonEqual(name, value, () -> configs(resource).get(name).value());
    }

    private static void described() throws Exception {
        Config configs = configs(topic(Clients.create("jc-described", 1,
            "retention.ms", "3600000", "flush.messages", "7")));
        Map<String, String> defaults = Map.of("cleanup.policy", "delete", "compression.type",
            "producer", "max.message.bytes", "1048588", "message.timestamp.type", "CreateTime",
            "retention.bytes", "-1", "segment.bytes", "1073741824", "segment.ms", "604800000",
            "retention.ms", "3600000", "unclean.leader.election.enable", "false");
        defaults.forEach((name, value) -> Check.equal(configs.get(name).value(), value, name));
        ConfigEntry given = configs.get("retention.ms");
        Check.equal(given.source(), ConfigSource.DYNAMIC_TOPIC_CONFIG, "source");
        Check.equal(given.type(), ConfigType.LONG, "type");
        Check.equal(given.isReadOnly(), false, "read only");
        Check.equal(given.isSensitive(), false, "sensitive");
        List<String> names = new ArrayList<>();
        configs.get("flush.messages").synonyms()
            .forEach(s -> names.add(s.name() + "=" + s.value() + " " + s.source()));
        Check.equal(names, List.of("flush.messages=7 DYNAMIC_TOPIC_CONFIG",
            "log.flush.interval.messages=9223372036854775807 DEFAULT_CONFIG"), "synonyms");
        ConfigEntry byDefault = configs.get("segment.ms");
        Check.equal(byDefault.source(), ConfigSource.DEFAULT_CONFIG, "source");
        Check.equal(configs.get("cleanup.policy").type(), ConfigType.LIST, "type of a list");
        Check.equal(configs.get("segment.bytes").type(), ConfigType.INT, "type of a number");
        Check.equal(configs.get("preallocate").type(), ConfigType.BOOLEAN, "type of a flag");
        Check.raises(UnknownTopicOrPartitionException.class,
            () -> configs(topic(Check.unique("jc-nowhere"))));
    }

    private static void altered() throws Exception {
        ConfigResource topic = topic(Clients.create("jc-altered", 1));
        alter(topic, op(OpType.SET, "retention.ms", "1234567"),
            op(OpType.SET, "segment.ms", "7654321"));
        soon(topic, "retention.ms", "1234567");
        Check.equal(configs(topic).get("segment.ms").value(), "7654321", "segment.ms");
        alter(topic, op(OpType.APPEND, "cleanup.policy", "compact"));
        soon(topic, "cleanup.policy", "delete,compact");
        alter(topic, op(OpType.SUBTRACT, "cleanup.policy", "delete"));
        soon(topic, "cleanup.policy", "compact");
        alter(topic, op(OpType.DELETE, "retention.ms", null));
        soon(topic, "retention.ms", "604800000");
        Check.equal(configs(topic).get("retention.ms").source(), ConfigSource.DEFAULT_CONFIG,
            "source after the delete");
        Check.equal(configs(topic).get("segment.ms").value(), "7654321", "segment.ms still");
    }

    private static void takesEffect() throws Exception {
        String name = Clients.create("jc-effect", 1);
        ConfigResource topic = topic(name);
        alter(topic, op(OpType.SET, "max.message.bytes", "500"));
        soon(topic, "max.message.bytes", "500");
        ProducerRecord<String, String> record = new ProducerRecord<>(name, "x".repeat(1000));
        Check.raises(RecordTooLargeException.class, () -> Clients.send(List.of(record)));
        alter(topic, op(OpType.DELETE, "max.message.bytes", null));
        soon(topic, "max.message.bytes", "1048588");
        Check.equal(Clients.send(List.of(record)), List.of(0L), "offset");
    }

    private static void validated() throws Exception {
        ConfigResource topic = topic(Clients.create("jc-validated", 1));
        Map<ConfigResource, Collection<AlterConfigOp>> change =
            Map.of(topic, List.of(op(OpType.SET, "retention.ms", "5")));
        Clients.get(ADMIN.incrementalAlterConfigs(change,
            new AlterConfigsOptions().validateOnly(true)).all());
        Check.equal(configs(topic).get("retention.ms").value(), "604800000", "retention.ms");
        Map<ConfigResource, Collection<AlterConfigOp>> wrong =
            Map.of(topic, List.of(op(OpType.SET, "retention.ms", "banana")));
        Check.raises(InvalidConfigurationException.class, () -> Clients.get(
            ADMIN.incrementalAlterConfigs(wrong, new AlterConfigsOptions().validateOnly(true))
                .all()));
    }

    private static void wrong() throws Exception {
        ConfigResource topic = topic(Clients.create("jc-wrong", 1));
        InvalidConfigurationException error = Check.raises(InvalidConfigurationException.class,
            () -> {
                alter(topic, op(OpType.SET, "retention.ms", "banana"));
                return "banana";
            });
        Check.equal(error.getMessage(), "Invalid value banana for configuration retention.ms: "
            + "Not a number of type LONG", "message");
        refused(topic, OpType.SET, "retention.ms", "-2");
        refused(topic, OpType.SET, "no.such.config", "1");
        refused(topic, OpType.SET, "cleanup.policy", "burn");
        refused(topic, OpType.SET, "compression.type", "best");
        refused(topic, OpType.SET, "min.insync.replicas", "0");
        refused(topic, OpType.SET, "preallocate", "perhaps");
        refused(topic, OpType.APPEND, "retention.ms", "1");
        Check.equal(configs(topic).get("retention.ms").value(), "604800000", "retention.ms");
        String other = Check.unique("jc-wrong-new");
        Check.raises(InvalidConfigurationException.class, () -> Clients.get(
            ADMIN.createTopics(List.of(new NewTopic(other, 1, (short) 1)
                .configs(Map.of("retention.ms", "banana")))).all()));
        Check.that(!Clients.get(ADMIN.listTopics().names()).contains(other), "created");
        Check.raises(UnknownTopicOrPartitionException.class, () -> {
            alter(topic(Check.unique("jc-nowhere")), op(OpType.SET, "retention.ms", "1"));
            return "altered";
        });
    }

    private static void broker() throws Exception {
        String id = AdminTopics.node().idString();
        ConfigResource broker = new ConfigResource(Type.BROKER, id);
        Config configs = configs(broker);
        Check.equal(configs.get("node.id").value(), id, "node.id");
        Check.equal(configs.get("node.id").isReadOnly(), true, "node.id is read only");
        Check.equal(configs.get("log.retention.hours").value(), "168", "log.retention.hours");
        Check.equal(configs.get("num.partitions").type(), ConfigType.INT, "type");
        Check.equal(configs.get("log.cleaner.threads").source(), ConfigSource.DEFAULT_CONFIG,
            "source");
        alter(broker, op(OpType.SET, "log.cleaner.backoff.ms", "14000"));
        soon(broker, "log.cleaner.backoff.ms", "14000");
        Check.equal(configs(broker).get("log.cleaner.backoff.ms").source(),
            ConfigSource.DYNAMIC_BROKER_CONFIG, "source");
        alter(broker, op(OpType.DELETE, "log.cleaner.backoff.ms", null));
        soon(broker, "log.cleaner.backoff.ms", "15000");
        Check.raises(InvalidRequestException.class, () -> {
            alter(broker, op(OpType.SET, "node.id", "70"));
            return "altered";
        });
    }

    private static void clusterDefault() throws Exception {
        ConfigResource everyBroker = new ConfigResource(Type.BROKER, "");
        ConfigResource topic = topic(Clients.create("jc-default", 1));
        alter(everyBroker, op(OpType.SET, "log.index.interval.bytes", "8192"));
        try {
            soon(topic, "index.interval.bytes", "8192");
            Check.equal(configs(topic).get("index.interval.bytes").source(),
                ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG, "source");
            Check.equal(configs(everyBroker).get("log.index.interval.bytes").value(), "8192",
                "default of every broker");
        } finally {
            alter(everyBroker, op(OpType.DELETE, "log.index.interval.bytes", null));
        }
        soon(topic, "index.interval.bytes", "4096");
    }

    private static void groups() throws Exception {
        ConfigResource group = new ConfigResource(Type.GROUP, Check.unique("jc-group"));
        alter(group, op(OpType.SET, "consumer.session.timeout.ms", "50000"));
        soon(group, "consumer.session.timeout.ms", "50000");
        Check.equal(configs(group).get("consumer.session.timeout.ms").source(),
            ConfigSource.DYNAMIC_GROUP_CONFIG, "source");
        refused(group, OpType.SET, "consumer.session.timeout.ms", "banana");
        alter(group, op(OpType.DELETE, "consumer.session.timeout.ms", null));
        ConfigResource broker = new ConfigResource(Type.BROKER, AdminTopics.node().idString());
        soon(group, "consumer.session.timeout.ms",
            configs(broker).get("group.consumer.session.timeout.ms").value());
    }

    private static void resources() throws Exception {
        String topic = Clients.create("jc-resources", 1);
        ConfigResource broker = new ConfigResource(Type.BROKER, AdminTopics.node().idString());
        Check.eventually(10, "resources", () -> {
            Collection<ConfigResource> all = Clients.get(ADMIN.listConfigResources().all());
            return all.contains(topic(topic)) && all.contains(broker);
        });
        TreeSet<String> kinds = new TreeSet<>();
        Clients.get(ADMIN.listConfigResources(java.util.Set.of(Type.BROKER),
            new org.apache.kafka.clients.admin.ListConfigResourcesOptions()).all())
            .forEach(resource -> kinds.add(resource.type() + " " + resource.name()));
        Check.equal(kinds, new TreeSet<>(List.of("BROKER " + broker.name())), "brokers only");
    }
}
