//! What upstream answers to DescribeConfigs and IncrementalAlterConfigs, against what the tables
//! answer (`fixtures/upstream-describe.tsv`, `fixtures/upstream-refusals.tsv`).

use std::collections::BTreeMap;
use std::sync::Arc;

use metadata::config::{
    ConfigMap, ConfigResource, ConfigResourceType, DescribedConfig, InvalidConfig, Layers,
    describe, validate, validate_broker, validate_client_metrics, validate_group, validate_topic,
    with_node_id,
};

const DESCRIBED: &str = include_str!("fixtures/upstream-describe.tsv");
const REFUSALS: &str = include_str!("fixtures/upstream-refusals.tsv");

fn lines(fixture: &str) -> impl Iterator<Item = Vec<&str>> {
    fixture
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
}

/// What was set in one layer.
fn set(layer: &str) -> ConfigMap {
    lines(DESCRIBED)
        .filter(|fields| fields[0] == "set" && fields[1] == layer)
        .map(|fields| (fields[2].to_owned(), fields[3].to_owned()))
        .collect()
}

/// The layers before (`0`) or after (`1`) configs were set at run time.
fn layers(resource: &str, moment: &str) -> Layers {
    let properties = Arc::new(with_node_id(set("properties")));
    let mut cluster = set("cluster-0");
    if moment == "0" {
        let cluster = Arc::new(cluster);
        return Layers {
            cluster,
            properties,
            ..Layers::default()
        };
    }
    cluster.extend(set("cluster"));
    let overrides = match resource {
        "broker" | "cluster" => ConfigMap::new(),
        resource => set(resource),
    };
    Layers {
        overrides: Arc::new(overrides),
        broker: Arc::new(set("broker")),
        cluster: Arc::new(cluster),
        properties,
    }
}

fn resource(name: &str) -> ConfigResource {
    match name {
        "topic" => ConfigResource::Topic("t".into()),
        "broker" => ConfigResource::Broker(Some(1)),
        "cluster" => ConfigResource::Broker(None),
        "group" => ConfigResource::Group("g".into()),
        "metrics" => ConfigResource::ClientMetrics("m".into()),
        other => panic!("no resource is called {other}"),
    }
}

fn shown(config: &DescribedConfig) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "\\N".to_owned());
    let synonyms: Vec<String> = config
        .synonyms
        .iter()
        .map(|synonym| {
            format!(
                "{}={}@{}",
                synonym.name,
                value(&synonym.value),
                synonym.source.code()
            )
        })
        .collect();
    [
        config.name.clone(),
        value(&config.value),
        config.source.code().to_string(),
        if config.read_only { "ro" } else { "rw" }.to_owned(),
        if config.sensitive { "secret" } else { "open" }.to_owned(),
        config.kind_code().to_string(),
        if config.doc.is_some() { "doc" } else { "nodoc" }.to_owned(),
        synonyms.join("; "),
    ]
    .join("\t")
}

/// Entries, order, values, sources, synonyms and types of each resource.
#[test]
fn configs_are_described_as_upstream_describes_them() {
    let mut upstream: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for fields in lines(DESCRIBED).filter(|fields| fields[0] != "set") {
        upstream
            .entry(fields[0])
            .or_default()
            .push(fields[1..].join("\t"));
    }
    assert_eq!(upstream.len(), 9);
    for (label, upstream) in upstream {
        let (name, moment) = label.split_once('-').unwrap();
        let described = describe(&resource(name), &layers(name, moment));
        let ours: Vec<String> = described.iter().map(shown).collect();
        for (ours, upstream) in ours.iter().zip(&upstream) {
            assert_eq!(ours, upstream, "{label}");
        }
        assert_eq!(ours.len(), upstream.len(), "{label}");
    }
}

/// server.properties of the broker that was asked to refuse.
fn plain_properties() -> ConfigMap {
    let properties = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", "1@127.0.0.1:29393"),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        ),
        (
            "listeners",
            "PLAINTEXT://127.0.0.1:29392,CONTROLLER://127.0.0.1:29393",
        ),
        ("advertised.listeners", "PLAINTEXT://127.0.0.1:29392"),
    ];
    let owned = properties.map(|(key, value)| (key.to_owned(), value.to_owned()));
    with_node_id(owned.into_iter().collect())
}

fn alter(resource: &str, configs: &ConfigMap) -> Result<(), InvalidConfig> {
    let layers = Layers::of_properties(plain_properties());
    match resource {
        "topic" => validate_topic(configs, &layers),
        "group" => validate_group("g", configs, &layers),
        "metrics" => validate_client_metrics("m", configs),
        "broker" => validate_broker(configs, true, &layers),
        "cluster" => validate_broker(configs, false, &layers),
        other => panic!("no resource is called {other}"),
    }
}

/// Answers that are not the tables' business, or where upstream trips over itself.
fn is_answered_elsewhere(configs: &[&str]) -> bool {
    // No class is ever loaded, so none can be missing.
    configs.contains(&"principal.builder.class=no.such.Class")
        // Upstream divides by the number of threads and answers "/ by zero".
        || configs.contains(&"log.cleaner.threads=0")
}

#[test]
fn changes_are_refused_with_upstreams_codes_and_words() {
    let mut checked = 0;
    for fields in lines(REFUSALS).filter(|fields| !is_answered_elsewhere(&fields[3..])) {
        // Whether ELR lets the ISR of one broker change is the controller's decision.
        if fields[2].contains("while ELR is enabled") {
            continue;
        }
        let configs: ConfigMap = fields[3..]
            .iter()
            .map(|config| config.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let (code, message) = match alter(fields[0], &configs) {
            Ok(()) => (0, "\\N".to_owned()),
            Err(error) => (error.code.code(), error.message),
        };
        assert_eq!(
            (code.to_string().as_str(), message.as_str()),
            (fields[1], fields[2]),
            "{configs:?}"
        );
        checked += 1;
    }
    assert_eq!(checked, 127);
}

#[test]
fn zero_cleaner_threads_are_refused_by_name() {
    let configs = ConfigMap::from([("log.cleaner.threads".to_owned(), "0".to_owned())]);
    let message = alter("cluster", &configs).unwrap_err().message;
    assert!(
        message.contains("Log cleaner threads should be at least 1"),
        "{message}"
    );
}

#[test]
fn a_value_can_be_checked_by_itself() {
    let topic = |name, value| validate(ConfigResourceType::Topic, name, value);
    assert_eq!(topic("retention.ms", "1"), Ok(()));
    assert_eq!(
        topic("retention.ms", "banana").unwrap_err().message,
        "Invalid value banana for configuration retention.ms: Not a number of type LONG"
    );
    assert_eq!(
        topic("x", "1").unwrap_err().message,
        "Unknown topic config name: x"
    );
    assert_eq!(
        validate(ConfigResourceType::Broker, "my.own.key", "1"),
        Ok(())
    );
}
