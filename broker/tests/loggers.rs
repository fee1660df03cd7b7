//! BROKER_LOGGER configs: the levels of the log, changed while the node runs (KIP-412).
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::collections::BTreeMap;

use protocol::ErrorCode;
use protocol::messages::describe_configs_request::DescribeConfigsResource;
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};
use support::client::framed;
use support::requests::text;
use support::{Client, Node, Start};

const LOGGERS: i8 = 8;
const SET: i8 = 0;
const DELETE: i8 = 1;

fn alter(client: &mut Client, changes: &[(&str, i8, Option<&str>)]) -> (i16, Option<String>) {
    let configs = changes.iter().map(|(logger, operation, level)| {
        AlterableConfig::default()
            .with_name(text(logger))
            .with_config_operation(*operation)
            .with_value(level.map(text))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(LOGGERS)
        .with_resource_name(text("1"))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.ask(1, request).responses.remove(0);
    let message = answer.error_message.map(|message| message.to_string());
    (answer.error_code, message)
}

fn levels(client: &mut Client) -> BTreeMap<String, String> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(LOGGERS)
        .with_resource_name(text("1"))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let result = client.ask(4, request).results.remove(0);
    assert_eq!(result.error_code, 0);
    let level =
        |config: protocol::messages::describe_configs_response::DescribeConfigsResourceResult| {
            (config.name.to_string(), config.value.unwrap().to_string())
        };
    result.configs.into_iter().map(level).collect()
}

const REFUSED: &str = "closing the connection";

/// Sends what no broker knows; it is told at DEBUG by `klamm.network`.
fn send_nonsense(node: &Node) {
    let mut client = node.client();
    client.send_raw(&framed(&[0x7f; 12])).unwrap();
    assert!(client.is_closed());
}

fn told(node: &Node) -> usize {
    node.lines()
        .iter()
        .filter(|line| line.contains(REFUSED))
        .count()
}

/// Something that is told at INFO, whatever the level of the others is.
fn mark(node: &Node, client: &mut Client, topic: &str) {
    client.create(topic, 1, &[]);
    client.try_delete(topic).unwrap().unwrap();
    node.wait_for_line(&format!("topic={topic}"));
}

#[test]
fn a_level_that_is_set_counts_at_once_and_goes_back_when_it_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    send_nonsense(&node);
    mark(&node, &mut client, "first");
    assert_eq!(told(&node), 0);

    let set = alter(&mut client, &[("klamm.network", SET, Some("DEBUG"))]);
    assert_eq!(set, (0, None));
    send_nonsense(&node);
    node.wait_for_line(REFUSED);
    assert_eq!(told(&node), 1);

    let deleted = alter(&mut client, &[("klamm.network", DELETE, None)]);
    assert_eq!(deleted, (0, None));
    send_nonsense(&node);
    mark(&node, &mut client, "second");
    assert_eq!(told(&node), 1);
    node.stop();
}

#[test]
fn loggers_inherit_and_root_is_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    let before = levels(&mut client);
    assert_eq!(before["root"], "INFO");
    assert_eq!(before["klamm.api"], "INFO");
    assert_eq!(before["openraft"], "WARN");
    let changes = [
        ("klamm", SET, Some("ERROR")),
        ("klamm.api", SET, Some("TRACE")),
        ("root", SET, Some("WARN")),
        ("storage", SET, Some("FATAL")),
    ];
    assert_eq!(alter(&mut client, &changes), (0, None));
    let after = levels(&mut client);
    let is = |logger: &str| after[logger].as_str();
    assert_eq!(is("klamm"), "ERROR");
    assert_eq!(is("klamm.api"), "TRACE");
    assert_eq!(is("klamm.network"), "ERROR");
    assert_eq!(is("metadata"), "WARN");
    // Errors are the least that is logged.
    assert_eq!(is("storage"), "ERROR");
    assert_eq!(alter(&mut client, &[("klamm", DELETE, None)]), (0, None));
    assert_eq!(levels(&mut client)["klamm.network"], "WARN");
    node.stop();
}

#[test]
fn what_cannot_be_set_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    let before = levels(&mut client);
    let ok = ("klamm", SET, Some("DEBUG"));
    let (invalid_config, invalid_request) = (
        ErrorCode::InvalidConfig.code(),
        ErrorCode::InvalidRequest.code(),
    );
    for (change, code, words) in [
        (
            ("kafka.server.KafkaApis", SET, Some("DEBUG")),
            invalid_config,
            "Logger kafka.server.KafkaApis does not exist!",
        ),
        (
            ("storage", SET, Some("LOUD")),
            invalid_config,
            "Cannot set the log level of storage to LOUD",
        ),
        (
            ("root", DELETE, None),
            invalid_request,
            "Removing the log level of the root logger is not allowed",
        ),
        (
            ("storage", 2, Some("DEBUG")),
            invalid_request,
            "APPEND operation is not allowed for the BROKER_LOGGER resource",
        ),
    ] {
        let (refused, message) = alter(&mut client, &[ok, change]);
        assert_eq!(refused, code, "{change:?}");
        assert!(message.unwrap().contains(words), "{change:?}");
    }
    assert_eq!(levels(&mut client), before);
    assert_eq!(node.stop().complaints(), Vec::<String>::new());
}
