//! What upstream makes of a server.properties at its start, against what the checks make of it
//! (`fixtures/upstream-starts.tsv`).

use metadata::SecurityProtocol;
use metadata::config::{
    BrokerConfig, ConfigMap, Layers, Listener, Listeners, TopicConfig, check_properties,
    unknown_properties, with_node_id,
};

const STARTS: &str = include_str!("fixtures/upstream-starts.tsv");

fn properties<'a>(changes: impl IntoIterator<Item = &'a str>) -> ConfigMap {
    let base = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", "1@localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
    ];
    let mut properties: ConfigMap = base
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    for change in changes {
        match change.split_once('=') {
            Some((key, value)) => {
                properties.insert(key.to_owned(), value.to_owned());
            }
            None => {
                properties.remove(change);
            }
        }
    }
    with_node_id(properties)
}

fn shown(listeners: &[Listener]) -> String {
    let protocol = |protocol| match protocol {
        SecurityProtocol::Plaintext => "PLAINTEXT",
        SecurityProtocol::Ssl => "SSL",
        SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
        SecurityProtocol::SaslSsl => "SASL_SSL",
    };
    let shown: Vec<String> = listeners
        .iter()
        .map(|listener| {
            let host = listener.host.as_deref().unwrap_or_default();
            let (name, protocol) = (&listener.name, protocol(listener.security_protocol));
            format!("{name}({protocol}){host} {}", listener.port)
        })
        .collect();
    shown.join(",")
}

fn outcome(listeners: &Listeners) -> String {
    let advertised = listeners.advertised.as_ref().unwrap_or(&listeners.broker);
    [
        shown(&listeners.broker),
        shown(&listeners.controller),
        shown(advertised),
        listeners.inter_broker_name.clone(),
    ]
    .join(" | ")
}

/// Where upstream's words come from the JVM and say nothing of the config, ours say what was
/// expected.
const WORDED_BY_THE_JVM: [&str; 4] = [
    "Error parsing configuration property 'listener.security.protocol.map': begin 0, end -1",
    "Error parsing configuration property 'max.connections.per.ip.overrides': begin 0, end -1",
    "Duplicate key ListenerName(A)",
    "For input string: \"x\"",
];

/// What upstream refuses and Klamm takes, with the reason.
fn is_taken_all_the_same(fields: &[&str]) -> bool {
    // One node is its own controller, so it needs no listener for other controllers.
    let controller_listener =
        "requirement failed: controller.listener.names must contain at least one value appearing";
    // Testcontainers' module for .NET ends its listeners with a comma.
    let trailing_comma = fields[2..].iter().any(|change| {
        let of_listeners =
            change.starts_with("listeners=") || change.starts_with("advertised.listeners=");
        of_listeners && change.ends_with(',')
    });
    fields[1].starts_with(controller_listener) || trailing_comma
}

#[test]
fn a_server_properties_is_taken_or_refused_as_upstream_does() {
    let mut checked = 0;
    let mut differences = Vec::new();
    for line in STARTS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let properties = properties(fields[2..].iter().copied());
        let result = check_properties(&properties);
        checked += 1;
        if is_taken_all_the_same(&fields) {
            assert!(result.is_ok(), "{line}");
            continue;
        }
        let ours = match &result {
            Ok(listeners) => format!("ok\t{}", outcome(listeners)),
            Err(error)
                if WORDED_BY_THE_JVM
                    .iter()
                    .any(|words| fields[1].starts_with(words)) =>
            {
                assert!(error.message().contains(&error.key), "{line}: {error}");
                continue;
            }
            Err(error) => format!("error\t{}", error.message()),
        };
        if ours != fields[..2].join("\t") {
            differences.push(format!("{line}\n  but ours: {ours}\n"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.concat());
    assert_eq!(checked, 132);
}

#[test]
fn what_passes_the_check_can_be_read() {
    let mut read = 0;
    for line in STARTS.lines().filter(|line| line.starts_with("ok\t")) {
        let layers = Layers::of_properties(properties(line.split('\t').skip(2)));
        BrokerConfig::parse(&layers).unwrap_or_else(|error| panic!("{line}: {error}"));
        TopicConfig::parse(&layers).unwrap_or_else(|error| panic!("{line}: {error}"));
        read += 1;
    }
    assert!(read > 30, "{read}");
}

#[test]
fn an_error_names_key_value_and_what_was_expected() {
    let error = check_properties(&properties(["num.partitions=many"])).unwrap_err();
    assert_eq!(error.key, "num.partitions");
    assert_eq!(error.value.as_deref(), Some("many"));
    assert_eq!(error.expected, "Not a number of type INT");
    let shown = check_properties(&properties(["controller.quorum.voters=x@h:1"])).unwrap_err();
    assert_eq!(
        shown.to_string(),
        "controller.quorum.voters=x@h:1: Failed to parse voter ID as an integer from x"
    );
}

#[test]
fn hours_and_minutes_give_a_topic_its_milliseconds() {
    let topic = |changes: &[&str]| {
        let layers = Layers::of_properties(properties(changes.iter().copied()));
        TopicConfig::parse(&layers).unwrap()
    };
    assert_eq!(topic(&[]).retention_ms, 7 * 24 * 3_600_000);
    assert_eq!(topic(&["log.retention.hours=2"]).retention_ms, 7_200_000);
    assert_eq!(
        topic(&["log.retention.hours=2", "log.retention.minutes=3"]).retention_ms,
        180_000
    );
    assert_eq!(
        topic(&["log.retention.minutes=3", "log.retention.ms=4"]).retention_ms,
        4
    );
    assert_eq!(topic(&["log.retention.ms=-5"]).retention_ms, -1);
    assert_eq!(topic(&["log.retention.hours=-1"]).retention_ms, -1);
    assert_eq!(topic(&["log.roll.hours=1"]).segment_ms, 3_600_000);
    assert_eq!(topic(&["log.flush.scheduler.interval.ms=5"]).flush_ms, 5);
    assert_eq!(topic(&["message.max.bytes=77"]).max_message_bytes, 77);
}

#[test]
fn the_nearest_layer_counts() {
    let layer = |value: &str| {
        std::sync::Arc::new(ConfigMap::from([(
            "log.retention.ms".to_owned(),
            value.to_owned(),
        )]))
    };
    let mut layers = Layers::of_properties(properties(["log.retention.ms=4"]));
    let retention = |layers: &Layers| TopicConfig::parse(layers).unwrap().retention_ms;
    assert_eq!(retention(&layers), 4);
    layers.cluster = layer("3");
    assert_eq!(retention(&layers), 3);
    layers.broker = layer("2");
    assert_eq!(retention(&layers), 2);
    let own = ConfigMap::from([("retention.ms".to_owned(), "1".to_owned())]);
    assert_eq!(retention(&layers.with_overrides(own.into())), 1);
}

#[test]
fn unknown_keys_are_named() {
    let properties = properties([
        "num.partitons=3",
        "listener.name.plaintext.max.connections=5",
        "listener.name.plaintext.what=5",
        "config.providers.file.class=x",
        "log.dirs=/data",
    ]);
    assert_eq!(
        unknown_properties(&properties),
        ["listener.name.plaintext.what", "num.partitons"]
    );
}

#[test]
fn limits_of_single_addresses_are_checked() {
    let start = |limits: &str| {
        let text = format!("max.connections.per.ip.overrides={limits}");
        check_properties(&properties([text.as_str()]))
    };
    assert!(start("a:1,::1:2").is_ok());
    assert!(start("a:one").is_err());
}
