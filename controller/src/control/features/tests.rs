use protocol::StrBytes;
use protocol::messages::update_features_request::FeatureUpdateKey;

use super::*;
use crate::control::fixture::{self, Fixture};

fn update(feature: &str, level: i16, upgrade_type: i8) -> FeatureUpdateKey {
    FeatureUpdateKey::default()
        .with_feature(StrBytes::from_string(feature.to_owned()))
        .with_max_version_level(level)
        .with_upgrade_type(upgrade_type)
}

fn decide(updates: Vec<FeatureUpdateKey>, api_version: i16) -> Decision<UpdateFeaturesResponse> {
    let request = UpdateFeaturesRequest::default().with_feature_updates(updates);
    let mut fixture = Fixture::default();
    update_features(
        &request,
        api_version,
        &fixture::image(),
        &mut fixture.environment(),
    )
}

fn reason(feature: &str, level: i16, upgrade_type: i8) -> String {
    let decision = decide(vec![update(feature, level, upgrade_type)], 1);
    assert_eq!(decision.response.error_code, 95);
    assert!(decision.records.is_empty() && decision.response.results.is_empty());
    let message = decision.response.error_message.unwrap().to_string();
    let prefix = "The update failed for all features since the following feature had an error: ";
    message.strip_prefix(prefix).unwrap().to_owned()
}

#[test]
fn a_new_cluster_finalizes_only_what_is_served() {
    let image = fixture::image();
    let finalized: Vec<_> = image.features.finalized().collect();
    assert_eq!(
        finalized,
        [
            (GROUP_VERSION, 1),
            (METADATA_VERSION, 30),
            (SHARE_VERSION, 1),
            (TRANSACTION_VERSION, 2)
        ]
    );
}

fn goes_down_and_up_again(name: &str, lower: &[(i16, i8)], highest: i16) {
    let set = |level| MetadataRecord::FeatureLevel {
        name: name.to_owned(),
        level,
    };
    for &(level, upgrade_type) in lower {
        let decision = decide(vec![update(name, level, upgrade_type)], 2);
        assert_eq!(decision.response.error_code, 0);
        assert_eq!(decision.records, [set(level)]);
    }
    let mut fixture = Fixture::default();
    let lowered = fixture::apply(&fixture::image(), &[set(0)]);
    assert_eq!(lowered.features.level(name), 0);
    let request =
        UpdateFeaturesRequest::default().with_feature_updates(vec![update(name, highest, 1)]);
    let decision = update_features(&request, 2, &lowered, &mut fixture.environment());
    assert_eq!(decision.records, [set(highest)]);
}

#[test]
fn the_transaction_version_goes_down_and_up_again() {
    goes_down_and_up_again(TRANSACTION_VERSION, &[(1, 2), (0, 3)], 2);
}

#[test]
fn the_group_version_goes_down_and_up_again() {
    goes_down_and_up_again(GROUP_VERSION, &[(0, 2), (0, 3)], 1);
}

#[test]
fn the_level_there_is_may_be_set_again() {
    let decision = decide(vec![update(METADATA_VERSION, 30, 1)], 1);
    assert_eq!(
        (
            decision.response.error_code,
            decision.response.error_message
        ),
        (0, None)
    );
    assert_eq!(decision.response.results.len(), 1);
    assert_eq!(
        decision.response.results[0].error_message.as_deref(),
        Some("NONE")
    );
    assert!(decision.records.is_empty());
    // From version 2 on there is one answer for all.
    assert!(
        decide(vec![update(METADATA_VERSION, 30, 1)], 2)
            .response
            .results
            .is_empty()
    );
}

#[test]
fn the_share_version_goes_down() {
    let decision = decide(vec![update(SHARE_VERSION, 0, 2)], 2);
    assert_eq!(decision.response.error_code, 0);
    let lowered = MetadataRecord::FeatureLevel {
        name: SHARE_VERSION.to_owned(),
        level: 0,
    };
    assert_eq!(decision.records, [lowered]);
}

#[test]
fn every_refusal_has_upstreams_words() {
    let refusals = [
        (
            ("odd.version", 1, 1),
            "Invalid update version 1 for feature odd.version. Local controller 1 does not \
             support this feature.",
        ),
        (
            ("odd.version", 0, 1),
            "Invalid update version 0 for feature odd.version. Feature odd.version not found.",
        ),
        (
            (METADATA_VERSION, 31, 1),
            "Invalid update version 31 for feature metadata.version. Local controller 1 only \
             supports versions 7-30",
        ),
        (
            (METADATA_VERSION, 29, 1),
            "Invalid update version 29 for feature metadata.version. Can't downgrade the version \
             of this feature without setting the upgrade type to either safe or unsafe downgrade.",
        ),
        (
            (METADATA_VERSION, 29, 2),
            "Unsupported metadata.version downgrade from 30 to 29. Refusing to perform the \
             requested downgrade because it might delete metadata information.",
        ),
        (
            (METADATA_VERSION, 29, 3),
            "Unsupported metadata.version downgrade from 30 to 29. Unsafe metadata downgrade is \
             not supported in this version.",
        ),
        (
            (TRANSACTION_VERSION, 1, 1),
            "Invalid update version 1 for feature transaction.version. Can't downgrade the \
             version of this feature without setting the upgrade type to either safe or unsafe \
             downgrade.",
        ),
        (
            (TRANSACTION_VERSION, 3, 1),
            "Invalid update version 3 for feature transaction.version. Local controller 1 only \
             supports versions 0-2",
        ),
        (
            ("group.version", -1, 1),
            "Invalid update version -1 for feature group.version. A feature version cannot be \
             less than 0.",
        ),
        (
            ("group.version", 1, 4),
            "Invalid update version 1 for feature group.version. The controller does not support \
             the given upgrade type.",
        ),
        (
            ("streams.version", 1, 1),
            "Invalid update version 1 for feature streams.version. Local controller 1 does not \
             support this feature.",
        ),
        (
            (GROUP_VERSION, 2, 1),
            "Invalid update version 2 for feature group.version. Local controller 1 only \
             supports versions 0-1",
        ),
        (
            (GROUP_VERSION, 0, 1),
            "Invalid update version 0 for feature group.version. Can't downgrade the version of \
             this feature without setting the upgrade type to either safe or unsafe downgrade.",
        ),
    ];
    for ((feature, level, upgrade_type), words) in refusals {
        assert_eq!(reason(feature, level, upgrade_type), words);
    }
}

#[test]
fn the_last_word_on_a_feature_counts() {
    let updates = vec![
        update(METADATA_VERSION, 99, 1),
        update(METADATA_VERSION, 30, 1),
    ];
    assert_eq!(decide(updates, 1).response.error_code, 0);
}

#[test]
fn every_broker_must_be_able_to_run_a_level() {
    let mut image = fixture::image();
    let MetadataRecord::RegisterBroker(mut old) = fixture::broker(2, None, false) else {
        panic!("a registration");
    };
    old.features.clear();
    image = fixture::apply(&image, &[MetadataRecord::RegisterBroker(old)]);
    let request = UpdateFeaturesRequest::default().with_feature_updates(vec![update(
        METADATA_VERSION,
        30,
        1,
    )]);
    let mut fixture = Fixture::default();
    let decision = update_features(&request, 2, &image, &mut fixture.environment());
    let message = decision.response.error_message.unwrap().to_string();
    assert!(
        message.ends_with("Broker 2 does not support this feature."),
        "{message}"
    );
}
