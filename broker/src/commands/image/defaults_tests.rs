//! What the defaults do under settings that the Testcontainers modules, Quarkus and people make.

use klamm::ServerConfig;

use super::*;

fn map(pairs: &[(&str, &str)]) -> ConfigMap {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The file that the image has.
fn defaults() -> ConfigMap {
    let file = include_str!("../../../../docker/apache/server.properties");
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The merged settings, which a broker takes.
fn merged(user: &[(&str, &str)]) -> ConfigMap {
    let merged = merge(map(user), defaults());
    let taken = ServerConfig::from_properties(merged.clone());
    assert!(taken.is_ok(), "{:?}", taken.err());
    merged
}

#[test]
fn without_settings_the_defaults_hold() {
    assert_eq!(merged(&[]), defaults());
}

#[test]
fn a_single_setting_lies_over_the_defaults() {
    let mut expected = defaults();
    expected.insert("num.partitions".to_owned(), "3".to_owned());
    assert_eq!(merged(&[("num.partitions", "3")]), expected);
}

#[test]
fn a_broker_id_is_the_node_id_and_the_voter() {
    let merged = merged(&[("broker.id", "7")]);
    assert_eq!(merged["node.id"], "7");
    assert_eq!(merged[VOTERS], "7@localhost:9093");
}

#[test]
fn a_negative_broker_id_is_none() {
    let merged = merged(&[("broker.id", "-1")]);
    assert_eq!(merged["node.id"], "1");
    assert!(!merged.contains_key("broker.id"));
}

#[test]
fn a_controller_listener_is_added_on_a_port_of_its_own() {
    let merged = merged(&[
        (
            LISTENERS,
            "PLAINTEXT://0.0.0.0:9092,BROKER://localhost:9093",
        ),
        (
            ADVERTISED,
            "PLAINTEXT://localhost:32768,BROKER://localhost:9093",
        ),
        (PROTOCOL_MAP, "BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
        (INTER_BROKER_NAME, "BROKER"),
    ]);
    assert_eq!(
        merged[LISTENERS],
        "PLAINTEXT://0.0.0.0:9092,BROKER://localhost:9093,CONTROLLER://:9094"
    );
    assert_eq!(merged[VOTERS], "1@localhost:9094");
}

#[test]
fn listeners_follow_from_the_advertised_ones() {
    let merged = merged(&[
        (ADVERTISED, "INSIDE://kafka:29092,OUTSIDE://localhost:9092"),
        (PROTOCOL_MAP, "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT"),
    ]);
    assert_eq!(
        merged[LISTENERS],
        "INSIDE://0.0.0.0:29092,OUTSIDE://0.0.0.0:9092,CONTROLLER://:9093"
    );
    assert_eq!(merged[INTER_BROKER_NAME], "INSIDE");
}

#[test]
fn advertised_listeners_follow_from_the_listeners() {
    let merged = merged(&[(LISTENERS, "PLAINTEXT://0.0.0.0:19092,CONTROLLER://:9093")]);
    assert_eq!(merged[ADVERTISED], "PLAINTEXT://localhost:19092");
}

#[test]
fn trailing_commas_and_empty_hosts_are_taken() {
    let merged = merged(&[
        (
            LISTENERS,
            "PLAINTEXT://:9092,BROKER://:9093,CONTROLLER://:9094,",
        ),
        (ADVERTISED, "PLAINTEXT://127.0.0.1:32768,BROKER://4f1:9093,"),
        (
            PROTOCOL_MAP,
            "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,",
        ),
        (INTER_BROKER_NAME, "BROKER"),
        (VOTERS, "1@localhost:9094,"),
    ]);
    assert_eq!(
        merged[ADVERTISED],
        "PLAINTEXT://127.0.0.1:32768,BROKER://4f1:9093"
    );
    assert_eq!(
        merged[LISTENERS],
        "PLAINTEXT://:9092,BROKER://:9093,CONTROLLER://:9094"
    );
}

#[test]
fn listener_names_may_have_hyphens() {
    let merged = merged(&[
        (
            LISTENERS,
            "PLAINTEXT://0.0.0.0:9092,CONTROLLER://0.0.0.0:9094,TC-0://0.0.0.0:19092",
        ),
        (ADVERTISED, "PLAINTEXT://localhost:1,TC-0://kafka:19092"),
        (
            PROTOCOL_MAP,
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TC-0:PLAINTEXT",
        ),
    ]);
    assert!(merged[LISTENERS].contains("TC-0://0.0.0.0:19092"));
}

#[test]
fn the_users_protocols_win_over_those_of_the_defaults() {
    let merged = merged(&[(PROTOCOL_MAP, "plaintext:PLAINTEXT,SSL:PLAINTEXT")]);
    assert_eq!(
        merged[PROTOCOL_MAP],
        "plaintext:PLAINTEXT,SSL:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,\
         SASL_SSL:SASL_SSL"
    );
}

#[test]
fn another_name_for_the_controllers_listener_is_used() {
    let merged = merged(&[(CONTROLLER_NAMES, "CTRL"), (PROTOCOL_MAP, "CTRL:PLAINTEXT")]);
    assert_eq!(merged[LISTENERS], "PLAINTEXT://:9092,CTRL://:9093");
    assert_eq!(merged[ADVERTISED], "PLAINTEXT://localhost:9092");
}

#[test]
fn the_users_folder_stands_alone() {
    assert!(!merged(&[("log.dir", "/data")]).contains_key("log.dirs"));
}

#[test]
fn voters_with_an_alias_are_kept() {
    let merged = merged(&[(VOTERS, "1@no-such-alias:9094")]);
    assert_eq!(merged[VOTERS], "1@no-such-alias:9094");
}

#[test]
fn what_cannot_be_read_is_left_for_the_broker_to_refuse() {
    let merged = merge(map(&[(LISTENERS, "nonsense")]), defaults());
    assert_eq!(merged[LISTENERS], "nonsense");
    let refused = ServerConfig::from_properties(merged)
        .err()
        .map(|error| error.to_string());
    assert!(refused.is_some_and(|reason| reason.contains("nonsense")));
}

#[test]
fn settings_of_zookeeper_are_taken_out_and_named() {
    let user = map(&[
        ("zookeeper.connect", "localhost:2181"),
        ("num.partitions", "2"),
    ]);
    let (kept, ignored) = without_zookeeper(user);
    assert_eq!(kept, map(&[("num.partitions", "2")]));
    assert_eq!(ignored, ["zookeeper.connect"]);
}
