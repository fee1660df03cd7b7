//! Brokers come, become active and go.
//! A broker's epoch rises with every registration; whoever acts for a broker names its epoch, so
//! that an earlier incarnation can change nothing any more.

use metadata::image::FeatureRange;
use metadata::record::RegisterBroker;
use metadata::{Endpoint, MetadataImage, MetadataRecord};
use protocol::ErrorCode;
use uuid::Uuid;

use super::{Decision, Environment, election, features};

/// What a broker tells of itself when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub broker_id: i32,
    /// New for every start of the process.
    pub incarnation_id: Uuid,
    pub listeners: Vec<Endpoint>,
    pub rack: Option<String>,
    pub log_dirs: Vec<Uuid>,
}

/// Registers a broker, fenced until [`unfence_broker`]. Its earlier incarnation loses what it led.
pub(crate) fn register_broker(
    registration: &Registration,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Decision<Result<i64, ErrorCode>> {
    let mut sorted = registration.log_dirs.clone();
    sorted.sort_unstable();
    let reserved = |id: &Uuid| id.as_u128() <= 100;
    if registration.log_dirs.is_empty() || sorted.iter().any(reserved) || has_pair(&sorted) {
        return Decision::answer(Err(ErrorCode::InvalidRequest));
    }
    let before = image.cluster.broker(registration.broker_id);
    if let Some(before) = before.filter(|before| before.incarnation == registration.incarnation_id)
    {
        // The same start asks again: its answer was lost.
        return Decision::answer(Ok(before.epoch));
    }
    // As upstream, where a log offset is the epoch: it rises, and never comes twice.
    let next = image.provenance.offset.map_or(0, |offset| offset.0 + 1);
    let epoch = before.map_or(next, |before| next.max(before.epoch + 1));
    let mut records = Vec::new();
    if before.is_some_and(|before| !before.fenced) {
        records = election::broker_gone(registration.broker_id, image, env.settings);
    }
    records.push(MetadataRecord::RegisterBroker(RegisterBroker {
        broker_id: registration.broker_id,
        incarnation_id: registration.incarnation_id,
        broker_epoch: epoch,
        endpoints: registration.listeners.clone(),
        features: features::SUPPORTED
            .iter()
            .map(|feature| FeatureRange {
                name: feature.name.to_owned(),
                min_level: feature.min_level,
                max_level: feature.max_level,
            })
            .collect(),
        rack: registration.rack.clone(),
        fenced: true,
        in_controlled_shutdown: false,
        log_dirs: registration.log_dirs.clone(),
    }));
    Decision::divisible(records, Ok(epoch))
}

fn has_pair(sorted: &[Uuid]) -> bool {
    sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .any(|(one, next)| one == next)
}

/// Makes a registered broker active: it gets the partitions that wait for it.
pub(crate) fn unfence_broker(
    broker_id: i32,
    broker_epoch: i64,
    image: &MetadataImage,
    env: &mut Environment<'_>,
) -> Decision<Result<(), ErrorCode>> {
    if let Err(code) = check_epoch(broker_id, broker_epoch, image) {
        return Decision::answer(Err(code));
    }
    let fenced = image
        .cluster
        .broker(broker_id)
        .is_some_and(|broker| broker.fenced);
    if !fenced {
        return Decision::answer(Ok(()));
    }
    let mut records = vec![MetadataRecord::BrokerRegistrationChange {
        broker_id,
        broker_epoch,
        fenced: Some(false),
        in_controlled_shutdown: None,
        log_dirs: None,
    }];
    records.extend(election::broker_back(broker_id, image, env.settings));
    Decision::divisible(records, Ok(()))
}

/// Whether this is the broker's current registration.
pub(crate) fn check_epoch(
    broker_id: i32,
    broker_epoch: i64,
    image: &MetadataImage,
) -> Result<(), ErrorCode> {
    match image.cluster.broker(broker_id) {
        Some(broker) if broker.epoch == broker_epoch => Ok(()),
        Some(_) | None => Err(ErrorCode::StaleBrokerEpoch),
    }
}

#[cfg(test)]
mod tests;
