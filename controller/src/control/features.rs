//! UpdateFeatures, and the features of this version.
//! A level is finalized only if this controller and every registered broker can run it; what is
//! not served yet has no level above 0.

use std::collections::BTreeMap;

use metadata::{MetadataImage, MetadataRecord};
use protocol::ErrorCode;
use protocol::messages::update_features_response::UpdatableFeatureResult;
use protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use super::api_error::ApiError;
use super::{Decision, Environment};

pub const METADATA_VERSION: &str = "metadata.version";

/// From level 1 on there are consumer groups (KIP-848).
pub const GROUP_VERSION: &str = "group.version";
/// From level 1 on there are share groups (KIP-932).
pub const SHARE_VERSION: &str = "share.version";

/// From level 2 on a producer's epoch is raised at every end of a transaction (KIP-890).
pub const TRANSACTION_VERSION: &str = "transaction.version";

/// A feature and the levels this version can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportedFeature {
    pub name: &'static str,
    pub min_level: i16,
    /// 0: known, but not served.
    pub max_level: i16,
    /// What a new cluster starts with.
    pub initial_level: i16,
}

const fn not_served(name: &'static str) -> SupportedFeature {
    SupportedFeature {
        name,
        min_level: 0,
        max_level: 0,
        initial_level: 0,
    }
}

/// The features of Kafka 4.3.1, in name order.
pub const SUPPORTED: &[SupportedFeature] = &[
    not_served("eligible.leader.replicas.version"),
    SupportedFeature {
        name: GROUP_VERSION,
        min_level: 0,
        max_level: 1,
        initial_level: 1,
    },
    not_served("kraft.version"),
    SupportedFeature {
        name: METADATA_VERSION,
        min_level: 7,
        max_level: 30,
        initial_level: 30,
    },
    SupportedFeature {
        name: SHARE_VERSION,
        min_level: 0,
        max_level: 1,
        initial_level: 1,
    },
    not_served("streams.version"),
    SupportedFeature {
        name: TRANSACTION_VERSION,
        min_level: 0,
        max_level: 2,
        initial_level: 2,
    },
];

/// What a new cluster's log begins with.
pub(crate) fn bootstrap_records() -> Vec<MetadataRecord> {
    SUPPORTED
        .iter()
        .filter(|feature| feature.initial_level > 0)
        .map(|feature| MetadataRecord::FeatureLevel {
            name: feature.name.to_owned(),
            level: feature.initial_level,
        })
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UpgradeType {
    Upgrade,
    SafeDowngrade,
    UnsafeDowngrade,
    Unknown,
}

pub(crate) fn update_features(
    request: &UpdateFeaturesRequest,
    api_version: i16,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Decision<UpdateFeaturesResponse> {
    // A feature named twice counts as it is named last, in the place of the first.
    let mut updates: Vec<(&str, i16, UpgradeType)> = Vec::new();
    for update in &request.feature_updates {
        let upgrade_type = upgrade_type(update.upgrade_type);
        let update = (
            update.feature.as_str(),
            update.max_version_level,
            upgrade_type,
        );
        match updates.iter_mut().find(|(name, ..)| *name == update.0) {
            Some(earlier) => *earlier = update,
            None => updates.push(update),
        }
    }
    let mut records = Vec::new();
    for (name, level, upgrade_type) in updates {
        match update_feature(name, level, upgrade_type, image, env) {
            Ok(record) => records.extend(record),
            Err(message) => {
                let error = ApiError::new(
                    ErrorCode::InvalidUpdateVersion,
                    format!(
                        "The update failed for all features since the following feature had an \
                         error: {message}"
                    ),
                );
                return Decision::answer(refuse_update_features(&error));
            }
        }
    }
    let mut response = UpdateFeaturesResponse::default().with_error_message(None);
    if api_version <= 1 {
        response.results = request
            .feature_updates
            .iter()
            .map(|update| {
                UpdatableFeatureResult::default()
                    .with_feature(update.feature.clone())
                    .with_error_message(Some("NONE".into()))
            })
            .collect();
    }
    if request.validate_only {
        return Decision::answer(response);
    }
    Decision::atomic(records, response)
}

/// The answer when the request as a whole is refused.
pub(crate) fn refuse_update_features(error: &ApiError) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse::default()
        .with_error_code(error.code.code())
        .with_error_message(error.wire_message())
}

/// Of a request of version 0 it is always an upgrade: `AllowDowngrade` counts for nothing upstream.
fn upgrade_type(code: i8) -> UpgradeType {
    match code {
        1 => UpgradeType::Upgrade,
        2 => UpgradeType::SafeDowngrade,
        3 => UpgradeType::UnsafeDowngrade,
        _ => UpgradeType::Unknown,
    }
}

/// The record that sets the level, if it changes anything; else why it may not be set.
fn update_feature(
    name: &str,
    level: i16,
    upgrade_type: UpgradeType,
    image: &MetadataImage,
    env: &Environment<'_>,
) -> Result<Option<MetadataRecord>, String> {
    let invalid =
        |reason: String| format!("Invalid update version {level} for feature {name}. {reason}");
    if upgrade_type == UpgradeType::Unknown {
        return Err(invalid(
            "The controller does not support the given upgrade type.".into(),
        ));
    }
    let current = image.features.level(name);
    if level < 0 {
        return Err(invalid("A feature version cannot be less than 0.".into()));
    }
    if let Some(reason) = reason_not_supported(name, level, image, env) {
        return Err(invalid(reason));
    }
    if level < current && upgrade_type == UpgradeType::Upgrade {
        return Err(invalid(
            "Can't downgrade the version of this feature without setting the upgrade type to \
             either safe or unsafe downgrade."
                .into(),
        ));
    }
    if level > current && upgrade_type != UpgradeType::Upgrade {
        return Err(invalid("Can't downgrade to a newer version.".into()));
    }
    if !SUPPORTED.iter().any(|feature| feature.name == name) {
        return Err(invalid(format!("Feature {name} not found.")));
    }
    if name == METADATA_VERSION && level < current {
        return Err(metadata_downgrade(level, current, upgrade_type));
    }
    let record = MetadataRecord::FeatureLevel {
        name: name.to_owned(),
        level,
    };
    Ok((level != current).then_some(record))
}

/// Older levels than the newest one lose metadata, and the log has no older form to fall back to.
fn metadata_downgrade(level: i16, current: i16, upgrade_type: UpgradeType) -> String {
    let reason = match upgrade_type {
        UpgradeType::UnsafeDowngrade => {
            "Unsafe metadata downgrade is not supported in this version."
        }
        UpgradeType::Upgrade | UpgradeType::SafeDowngrade | UpgradeType::Unknown => {
            "Refusing to perform the requested downgrade because it might delete metadata \
             information."
        }
    };
    format!("Unsupported metadata.version downgrade from {current} to {level}. {reason}")
}

fn reason_not_supported(
    name: &str,
    level: i16,
    image: &MetadataImage,
    env: &Environment<'_>,
) -> Option<String> {
    let local: BTreeMap<&str, (i16, i16)> = SUPPORTED
        .iter()
        .map(|feature| (feature.name, (feature.min_level, feature.max_level)))
        .collect();
    let what = format!("Local controller {}", env.settings.node_id);
    let range = local.get(name).copied().unwrap_or((0, 0));
    reason_out_of_range(&what, level, range).or_else(|| {
        image.cluster.brokers().find_map(|broker| {
            let range = broker
                .features
                .iter()
                .find(|feature| feature.name == name)
                .map_or((0, 0), |feature| (feature.min_level, feature.max_level));
            reason_out_of_range(&format!("Broker {}", broker.id), level, range)
        })
    })
}

fn reason_out_of_range(what: &str, level: i16, (min, max): (i16, i16)) -> Option<String> {
    if (min..=max).contains(&level) {
        None
    } else if max == 0 {
        Some(format!("{what} does not support this feature."))
    } else {
        Some(format!("{what} only supports versions {min}-{max}"))
    }
}

#[cfg(test)]
mod tests;
