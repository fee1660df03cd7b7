use parking_lot::Mutex;

use super::*;
use crate::control::fixture;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;

/// Two loggers, and what was done to them.
#[derive(Default)]
struct TwoLoggers {
    changes: Mutex<Vec<(String, Option<String>)>>,
}

impl Loggers for TwoLoggers {
    fn level(&self, logger: &str) -> Option<String> {
        ["root", "klamm"]
            .contains(&logger)
            .then(|| "INFO".to_owned())
    }

    fn set_level(&self, logger: &str, level: Option<&str>) {
        self.changes
            .lock()
            .push((logger.to_owned(), level.map(str::to_owned)));
    }
}

fn key<'a>(name: &'a str, code: i8, value: Option<&'a str>) -> KeyChange<'a> {
    KeyChange {
        name,
        operation: Operation::from_code(code),
        code,
        value,
    }
}

fn resource<'a>(
    resource_type: i8,
    resource_name: &'a str,
    keys: Vec<KeyChange<'a>>,
) -> ResourceChange<'a> {
    ResourceChange {
        resource_type,
        resource_name,
        keys,
        replaces: false,
    }
}

/// As a node with the least that server.properties must have.
fn settings() -> Settings {
    let properties = [
        ("node.id", "1"),
        ("process.roles", "broker,controller"),
        ("controller.listener.names", "CONTROLLER"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("controller.quorum.bootstrap.servers", "localhost:9093"),
    ];
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let properties: BTreeMap<_, _> = properties.into_iter().map(owned).collect();
    let static_properties = std::sync::Arc::new(metadata::config::with_node_id(properties));
    Settings {
        static_properties,
        ..Settings::default()
    }
}

fn check_all(resources: &[ResourceChange<'_>], loggers: &TwoLoggers) -> Answers {
    check(resources, false, &fixture::image(), &settings(), loggers)
}

fn refusal(resource: ResourceChange<'_>) -> (i16, String) {
    let answers = check_all(&[resource], &TwoLoggers::default());
    let Some(Some(Err(error))) = answers.into_iter().next() else {
        panic!("a refusal");
    };
    (error.code.code(), error.message.unwrap())
}

#[test]
fn topics_and_brokers_are_left_to_the_controller() {
    let resources = [
        resource(TOPIC, "t", vec![key("retention.ms", 0, Some("1"))]),
        resource(BROKER, "1", vec![key("log.cleaner.threads", 0, Some("2"))]),
        resource(BROKER, "", vec![key("log.cleaner.threads", 1, None)]),
    ];
    assert_eq!(
        check_all(&resources, &TwoLoggers::default()),
        [None, None, None]
    );
}

#[test]
fn advertised_listeners_of_a_broker_may_change_at_run_time() {
    let set = |broker, value| {
        let keys = vec![key("advertised.listeners", 0, Some(value))];
        resource(BROKER, broker, keys)
    };
    let resources = [set("1", "PLAINTEXT://127.0.0.1:32768")];
    assert_eq!(check_all(&resources, &TwoLoggers::default()), [None]);
    let refusals = [
        (
            "1",
            "NOWHERE://a:1",
            "No security protocol defined for listener NOWHERE",
        ),
        (
            "1",
            "PLAINTEXT://0.0.0.0:1",
            "cannot use the nonroutable meta-address",
        ),
        (
            "1",
            "SSL://a:1",
            "must be a listener name defined in advertised.listeners",
        ),
        ("", "PLAINTEXT://a:1", "broker id must be specified"),
    ];
    for (broker, value, reason) in refusals {
        let (code, message) = refusal(set(broker, value));
        assert_eq!(code, 42, "{message}");
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn every_fault_has_its_code_and_words() {
    let set = |name, value| vec![key(name, 0, Some(value))];
    let refusals = [
        (
            resource(
                TOPIC,
                "t",
                vec![key("a", 0, Some("1")), key("a", 0, Some("2"))],
            ),
            42,
            "Error due to duplicate config keys",
        ),
        (
            resource(
                TOPIC,
                "t",
                vec![key("a", 0, None), key("b", 2, None), key("c", 1, None)],
            ),
            42,
            "Null value not supported for : a, b",
        ),
        (resource(77, "t", vec![]), 42, "Unknown resource type 77"),
        (
            resource(BROKER, "9", set("log.cleaner.threads", "2")),
            42,
            "Unexpected broker id, expected 1, but received 9",
        ),
        (
            resource(BROKER, "odd", set("log.cleaner.threads", "2")),
            42,
            "Node id must be an integer, but it is: odd",
        ),
        (
            resource(BROKER, "1", set("node.id", "2")),
            42,
            "Cannot update these configs dynamically: [node.id]",
        ),
        (
            resource(BROKER, "1", set("log.cleaner.threads", "banana")),
            42,
            "Invalid value banana for configuration log.cleaner.threads: Not a number of type INT",
        ),
    ];
    for (resource, code, message) in refusals {
        assert_eq!(refusal(resource), (code, message.to_owned()));
    }
}

#[test]
fn every_fault_of_a_logger_has_its_code_and_words() {
    let set = |name, value| vec![key(name, 0, Some(value))];
    let refusals = [
        (
            resource(LOGGER, "9", set("root", "INFO")),
            42,
            "Unexpected node id. Expected 1, but received 9",
        ),
        (
            resource(LOGGER, "1", set("odd", "INFO")),
            40,
            "Logger odd does not exist!",
        ),
        (
            resource(LOGGER, "1", set("root", "LOUD")),
            40,
            "Cannot set the log level of root to LOUD as it is not a supported log level. Valid \
             log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
        ),
        (
            resource(LOGGER, "1", vec![key("root", 1, None)]),
            42,
            "Removing the log level of the root logger is not allowed",
        ),
        (
            resource(LOGGER, "1", vec![key("root", 2, Some("INFO"))]),
            42,
            "APPEND operation is not allowed for the BROKER_LOGGER resource",
        ),
    ];
    for (resource, code, message) in refusals {
        assert_eq!(refusal(resource), (code, message.to_owned()));
    }
}

#[test]
fn a_resource_that_comes_twice_is_refused_twice() {
    let resources = [
        resource(TOPIC, "t", vec![]),
        resource(TOPIC, "u", vec![]),
        resource(TOPIC, "t", vec![]),
    ];
    let answers = check_all(&resources, &TwoLoggers::default());
    assert!(answers[1].is_none());
    for answer in [&answers[0], &answers[2]] {
        let Some(Err(error)) = answer else {
            panic!("a refusal")
        };
        assert_eq!(
            error.message.as_deref(),
            Some("Each resource must appear at most once.")
        );
    }
}

#[test]
fn the_old_api_knows_no_loggers() {
    let mut old = resource(LOGGER, "1", vec![key("root", 0, Some("INFO"))]);
    old.replaces = true;
    assert_eq!(refusal(old), (42, "Unknown resource type 8".to_owned()));
}

#[test]
fn loggers_change_here_and_all_or_none() {
    let loggers = TwoLoggers::default();
    let keys = vec![key("klamm", 0, Some("DEBUG")), key("odd", 0, Some("DEBUG"))];
    let answers = check_all(&[resource(LOGGER, "1", keys)], &loggers);
    assert!(matches!(answers[0], Some(Err(_))));
    assert!(loggers.changes.lock().is_empty());
    let keys = vec![key("klamm", 1, None), key("root", 0, Some("WARN"))];
    let answers = check_all(&[resource(LOGGER, "1", keys)], &loggers);
    assert_eq!(answers, [Some(Ok(()))]);
    let expected = [
        ("klamm".to_owned(), None),
        ("root".to_owned(), Some("WARN".to_owned())),
    ];
    assert_eq!(*loggers.changes.lock(), expected);
}

#[test]
fn validate_only_leaves_loggers_alone() {
    let loggers = TwoLoggers::default();
    let resources = [resource(LOGGER, "1", vec![key("root", 0, Some("WARN"))])];
    let answers = check(
        &resources,
        true,
        &fixture::image(),
        &Settings::default(),
        &loggers,
    );
    assert_eq!(answers, [Some(Ok(()))]);
    assert!(loggers.changes.lock().is_empty());
}
