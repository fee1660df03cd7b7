//! The brokers of the cluster, as they registered.
//! A broker has one registration, and its epoch rises with every new incarnation.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use uuid::Uuid;

use super::ReplayError;
use crate::record::{MetadataRecord, RegisterBroker};

/// How a listener is secured; the numbers are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecurityProtocol {
    Plaintext = 0,
    Ssl = 1,
    SaslPlaintext = 2,
    SaslSsl = 3,
}

impl SecurityProtocol {
    pub fn id(self) -> i16 {
        self as i16
    }

    pub fn from_id(id: i16) -> Option<SecurityProtocol> {
        Some(match id {
            0 => SecurityProtocol::Plaintext,
            1 => SecurityProtocol::Ssl,
            2 => SecurityProtocol::SaslPlaintext,
            3 => SecurityProtocol::SaslSsl,
            _ => return None,
        })
    }
}

/// Where clients reach a broker on one of its listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name.
    pub name: String,
    pub host: String,
    pub port: u16,
    pub security_protocol: SecurityProtocol,
}

/// What a client connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    pub host: &'a str,
    pub port: u16,
}

/// The levels of a feature that a broker can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureRange {
    pub name: String,
    pub min_level: i16,
    pub max_level: i16,
}

/// One broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistration {
    pub id: i32,
    pub epoch: i64,
    /// A new one for every start of the process.
    pub incarnation: Uuid,
    pub listeners: Vec<Endpoint>,
    pub features: Vec<FeatureRange>,
    pub rack: Option<String>,
    /// A fenced broker leads nothing and is not told to clients.
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub log_dirs: Vec<Uuid>,
}

impl BrokerRegistration {
    pub fn listener(&self, name: &str) -> Option<&Endpoint> {
        self.listeners.iter().find(|listener| listener.name == name)
    }

    /// Whether replicas may be placed here and leaders elected.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }
}

/// The registered brokers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterImage {
    brokers: OrdMap<i32, Arc<BrokerRegistration>>,
}

impl ClusterImage {
    pub fn broker(&self, id: i32) -> Option<&BrokerRegistration> {
        self.brokers.get(&id).map(Arc::as_ref)
    }

    /// All registered brokers, fenced ones too, in the order of their ids.
    pub fn brokers(&self) -> impl Iterator<Item = &BrokerRegistration> {
        self.brokers.values().map(Arc::as_ref)
    }

    pub(super) fn write(&self, records: &mut Vec<MetadataRecord>) {
        records.extend(self.brokers().map(|broker| {
            MetadataRecord::RegisterBroker(RegisterBroker {
                broker_id: broker.id,
                incarnation_id: broker.incarnation,
                broker_epoch: broker.epoch,
                endpoints: broker.listeners.clone(),
                features: broker.features.clone(),
                rack: broker.rack.clone(),
                fenced: broker.fenced,
                in_controlled_shutdown: broker.in_controlled_shutdown,
                log_dirs: broker.log_dirs.clone(),
            })
        }));
    }
}

/// Changed registrations.
#[derive(Debug, Clone)]
pub struct ClusterDelta {
    next: Arc<ClusterImage>,
    changed: BTreeSet<i32>,
}

impl ClusterDelta {
    pub(super) fn new(base: &Arc<ClusterImage>) -> ClusterDelta {
        ClusterDelta {
            next: Arc::clone(base),
            changed: BTreeSet::new(),
        }
    }

    pub(super) fn between(base: &ClusterImage, next: &Arc<ClusterImage>) -> ClusterDelta {
        let ids = base.brokers.keys().chain(next.brokers.keys());
        let changed = ids
            .filter(|id| base.broker(**id) != next.broker(**id))
            .copied();
        ClusterDelta {
            changed: changed.collect(),
            next: Arc::clone(next),
        }
    }

    /// The ids of the brokers that were registered, changed or unregistered.
    pub fn changed(&self) -> impl Iterator<Item = i32> {
        self.changed.iter().copied()
    }

    pub(super) fn register(&mut self, broker: &RegisterBroker) {
        let registration = BrokerRegistration {
            id: broker.broker_id,
            epoch: broker.broker_epoch,
            incarnation: broker.incarnation_id,
            listeners: broker.endpoints.clone(),
            features: broker.features.clone(),
            rack: broker.rack.clone(),
            fenced: broker.fenced,
            in_controlled_shutdown: broker.in_controlled_shutdown,
            log_dirs: broker.log_dirs.clone(),
        };
        Arc::make_mut(&mut self.next)
            .brokers
            .insert(broker.broker_id, Arc::new(registration));
        self.changed.insert(broker.broker_id);
    }

    pub(super) fn unregister(
        &mut self,
        broker_id: i32,
        broker_epoch: i64,
    ) -> Result<(), ReplayError> {
        self.registered(broker_id, broker_epoch)?;
        Arc::make_mut(&mut self.next).brokers.remove(&broker_id);
        self.changed.insert(broker_id);
        Ok(())
    }

    pub(super) fn change(
        &mut self,
        broker_id: i32,
        broker_epoch: i64,
        change: impl FnOnce(&mut BrokerRegistration),
    ) -> Result<(), ReplayError> {
        let mut broker = self.registered(broker_id, broker_epoch)?;
        change(Arc::make_mut(&mut broker));
        Arc::make_mut(&mut self.next)
            .brokers
            .insert(broker_id, broker);
        self.changed.insert(broker_id);
        Ok(())
    }

    fn registered(
        &self,
        broker_id: i32,
        broker_epoch: i64,
    ) -> Result<Arc<BrokerRegistration>, ReplayError> {
        match self.next.brokers.get(&broker_id) {
            Some(broker) if broker.epoch == broker_epoch => Ok(Arc::clone(broker)),
            _ => Err(ReplayError::UnknownBroker {
                broker_id,
                broker_epoch,
            }),
        }
    }

    pub(super) fn apply(&self) -> Arc<ClusterImage> {
        Arc::clone(&self.next)
    }
}
