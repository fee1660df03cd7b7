use protocol::StrBytes;
use protocol::messages::{alter_configs_request, incremental_alter_configs_request};

use super::*;
use crate::control::fixture::{self, Fixture};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

fn old(resource_type: i8, name: &str, configs: &[(&str, &str)]) -> AlterConfigsRequest {
    let configs = configs.iter().map(|(name, value)| {
        alter_configs_request::AlterableConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    AlterConfigsRequest::default().with_resources(vec![
        alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(text(name))
            .with_configs(configs.collect()),
    ])
}

fn incremental(
    resource_type: i8,
    name: &str,
    configs: &[(&str, i8, &str)],
) -> IncrementalAlterConfigsRequest {
    let configs = configs.iter().map(|(name, operation, value)| {
        incremental_alter_configs_request::AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(*operation)
            .with_value(Some(text(value)))
    });
    IncrementalAlterConfigsRequest::default().with_resources(vec![
        incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(text(name))
            .with_configs(configs.collect()),
    ])
}

fn image_with(configs: &[(&str, &str)]) -> MetadataImage {
    let records: Vec<_> = configs
        .iter()
        .map(|(name, value)| MetadataRecord::Config {
            resource: ConfigResource::Topic("t".into()),
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
        })
        .collect();
    fixture::apply(&fixture::image_with_topic("t", 1), &records)
}

fn overrides(image: &MetadataImage, records: &[MetadataRecord]) -> Vec<(String, String)> {
    let after = fixture::apply(image, records);
    let configs = after.configs.of(&ConfigResource::Topic("t".into()));
    configs
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn change(
    image: &MetadataImage,
    request: &IncrementalAlterConfigsRequest,
) -> Decision<IncrementalAlterConfigsResponse> {
    let mut fixture = Fixture::default();
    incremental_alter_configs(request, &vec![None], image, &mut fixture.environment())
}

fn refusal(request: &IncrementalAlterConfigsRequest) -> (i16, String) {
    let decision = change(&fixture::image_with_topic("t", 1), request);
    assert!(decision.records.is_empty());
    let response = &decision.response.responses[0];
    (
        response.error_code,
        response.error_message.as_ref().unwrap().to_string(),
    )
}

#[test]
fn the_old_api_replaces_all_overrides() {
    let image = image_with(&[("retention.ms", "1"), ("segment.ms", "2")]);
    let request = old(TOPIC, "t", &[("retention.bytes", "3"), ("segment.ms", "2")]);
    let mut fixture = Fixture::default();
    let decision = alter_configs(&request, &vec![None], &image, &mut fixture.environment());
    let response = &decision.response.responses[0];
    assert_eq!(
        (response.error_code, response.error_message.clone()),
        (0, None)
    );
    assert_eq!(
        overrides(&image, &decision.records),
        pairs(&[("retention.bytes", "3"), ("segment.ms", "2")])
    );
    assert_eq!(decision.records.len(), 2, "what stays is not written again");
}

#[test]
fn set_and_delete_touch_only_what_they_name() {
    let image = image_with(&[("retention.ms", "1"), ("segment.ms", "2")]);
    let request = incremental(
        TOPIC,
        "t",
        &[("retention.ms", 0, "9"), ("segment.ms", 1, "")],
    );
    let decision = change(&image, &request);
    assert_eq!(
        overrides(&image, &decision.records),
        pairs(&[("retention.ms", "9")])
    );
}

#[test]
fn lists_grow_and_shrink_from_what_holds_now() {
    let image = image_with(&[]);
    let append = incremental(TOPIC, "t", &[("cleanup.policy", 2, "compact,delete")]);
    let decision = change(&image, &append);
    assert_eq!(
        overrides(&image, &decision.records),
        pairs(&[("cleanup.policy", "delete,compact")])
    );
    let image = fixture::apply(&image, &decision.records);
    let subtract = incremental(TOPIC, "t", &[("cleanup.policy", 3, "delete,odd")]);
    let decision = change(&image, &subtract);
    assert_eq!(
        overrides(&image, &decision.records),
        pairs(&[("cleanup.policy", "compact")])
    );
}

#[test]
fn every_fault_has_its_code_and_words() {
    let long = "x".repeat(32_768);
    let refusals = [
        (
            incremental(TOPIC, "t", &[("retention.ms", 2, "1")]),
            40,
            "Can't APPEND to key retention.ms because its type is not LIST.",
        ),
        (
            incremental(TOPIC, "t", &[("retention.ms", 0, "banana")]),
            40,
            "Invalid value banana for configuration retention.ms: Not a number of type LONG",
        ),
        (
            incremental(TOPIC, "t", &[("odd", 0, "1")]),
            40,
            "Unknown topic config name: odd",
        ),
        (
            incremental(TOPIC, "t", &[("retention.ms", 0, &long)]),
            40,
            "The configuration value cannot be added because it exceeds the maximum value size \
             of 32767 bytes.",
        ),
        (
            incremental(TOPIC, "x", &[("retention.ms", 0, "1")]),
            3,
            "The topic 'x' does not exist.",
        ),
        (
            incremental(TOPIC, "", &[("retention.ms", 0, "1")]),
            42,
            "Default topic resources are not allowed.",
        ),
        (
            incremental(GROUP, "", &[("consumer.session.timeout.ms", 0, "1")]),
            42,
            "Default group resources are not allowed.",
        ),
        (
            incremental(BROKER, "9", &[("log.cleaner.threads", 0, "1")]),
            102,
            "No node with id 9 found.",
        ),
        (
            incremental(TOPIC, "t", &[("retention.ms", 7, "1")]),
            42,
            "Unknown operations type 7",
        ),
    ];
    for (request, code, message) in refusals {
        assert_eq!(refusal(&request), (code, message.to_owned()));
    }
}

#[test]
fn one_bad_key_keeps_the_resource_as_it_is() {
    let request = incremental(
        TOPIC,
        "t",
        &[("segment.ms", 0, "5"), ("retention.ms", 0, "x")],
    );
    assert_eq!(refusal(&request).0, 40);
}

#[test]
fn a_broker_is_told_again_what_does_not_change() {
    let set = incremental(BROKER, "1", &[("log.cleaner.threads", 0, "2")]);
    let image = fixture::image();
    let first = change(&image, &set);
    assert_eq!(first.records.len(), 1);
    let image = fixture::apply(&image, &first.records);
    // KAFKA-14136: it loads files again, for example.
    assert_eq!(change(&image, &set).records.len(), 1);
}

#[test]
fn validate_only_answers_and_writes_nothing() {
    let request = incremental(TOPIC, "t", &[("retention.ms", 0, "1")]).with_validate_only(true);
    let decision = change(&fixture::image_with_topic("t", 1), &request);
    assert_eq!(decision.response.responses[0].error_code, 0);
    assert!(decision.records.is_empty());
}

#[test]
fn what_the_broker_has_answered_is_not_judged_again() {
    let request = incremental(TOPIC, "t", &[("retention.ms", 0, "1")]);
    let answered = vec![Some(Err(ApiError::new(ErrorCode::InvalidRequest, "no")))];
    let mut fixture = Fixture::default();
    let image = fixture::image_with_topic("t", 1);
    let decision =
        incremental_alter_configs(&request, &answered, &image, &mut fixture.environment());
    assert_eq!(decision.response.responses[0].error_code, 42);
    assert!(decision.records.is_empty());
}
