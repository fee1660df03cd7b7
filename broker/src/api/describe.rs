//! Brokers and partitions as Metadata and its siblings show them to a client of one listener.
//!
//! Invariant: a client is told only endpoints of the listener that it came in by.

use metadata::{BrokerRegistration, MetadataImage, PartitionRegistration};
use protocol::messages::BrokerId;
use protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

use super::RequestContext;

/// A broker that a listener reaches.
pub(super) struct Node {
    pub(super) id: i32,
    pub(super) host: StrBytes,
    pub(super) port: i32,
    pub(super) rack: Option<StrBytes>,
    pub(super) fenced: bool,
}

/// The brokers that have the listener, fenced ones too, in the order of their ids.
pub(super) fn nodes<'a>(
    listener: &'a str,
    image: &'a MetadataImage,
) -> impl Iterator<Item = Node> + 'a {
    image.cluster.brokers().filter_map(|broker| {
        let address = image.endpoint(broker, listener)?;
        Some(Node {
            id: broker.id,
            host: StrBytes::from_string(address.host.to_owned()),
            port: address.port.into(),
            rack: broker.rack.clone().map(StrBytes::from_string),
            fenced: broker.fenced,
        })
    })
}

/// The broker that clients are to take for the controller: any that is alive, for all of them
/// hand on what is the controller's to decide. This one, where it can be.
pub(super) fn controller_id(ctx: &RequestContext, image: &MetadataImage) -> Option<i32> {
    let own = ctx.node.config.node_id;
    let alive = |broker: &&BrokerRegistration| !broker.fenced;
    let own = image.cluster.broker(own).filter(alive);
    own.or_else(|| image.cluster.brokers().find(alive))
        .map(|broker| broker.id)
}

/// One partition, as the clients of one listener see it.
pub(super) struct PartitionView<'a> {
    image: &'a MetadataImage,
    listener: &'a str,
    partition: &'a PartitionRegistration,
}

impl<'a> PartitionView<'a> {
    pub(super) fn new(
        listener: &'a str,
        image: &'a MetadataImage,
        partition: &'a PartitionRegistration,
    ) -> Self {
        PartitionView {
            image,
            listener,
            partition,
        }
    }

    pub(super) fn replicas(&self) -> Vec<BrokerId> {
        broker_ids(&self.partition.replicas)
    }

    pub(super) fn isr(&self) -> Vec<BrokerId> {
        broker_ids(&self.partition.isr)
    }

    /// Those of `replicas` that can be reached.
    pub(super) fn reachable(&self, replicas: &[i32]) -> Vec<BrokerId> {
        let reached = replicas.iter().filter(|id| {
            let broker = self
                .image
                .cluster
                .broker(**id)
                .filter(|broker| !broker.fenced);
            broker.is_some_and(|broker| self.image.endpoint(broker, self.listener).is_some())
        });
        reached.map(|id| BrokerId(*id)).collect()
    }

    /// Replicas whose broker, listener or log directory is not there.
    pub(super) fn offline_replicas(&self) -> Vec<BrokerId> {
        let ids = self.partition.replicas.iter().enumerate();
        let offline = ids.filter(|(position, id)| {
            let directory = self.partition.directories.get(*position);
            !self.image.cluster.broker(**id).is_some_and(|broker| {
                !broker.fenced
                    && self.image.endpoint(broker, self.listener).is_some()
                    && directory.is_none_or(|directory| is_online(broker, *directory))
            })
        });
        offline.map(|(_, id)| BrokerId(*id)).collect()
    }

    /// The leader.
    ///
    /// # Errors
    /// `LEADER_NOT_AVAILABLE` where there is none, `LISTENER_NOT_FOUND` where it has not the
    /// listener of the request.
    pub(super) fn leader(&self) -> Result<i32, ErrorCode> {
        let leader = self
            .partition
            .leader
            .and_then(|id| self.image.cluster.broker(id));
        let leader = leader.ok_or(ErrorCode::LeaderNotAvailable)?;
        self.image
            .endpoint(leader, self.listener)
            .ok_or(ErrorCode::ListenerNotFound)?;
        Ok(leader.id)
    }
}

pub(super) fn broker_ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().map(|id| BrokerId(*id)).collect()
}

/// Whether `directory` of `broker` holds its replicas (KIP-858). Two reserved ids stand for "not
/// chosen yet", one for "lost".
fn is_online(broker: &BrokerRegistration, directory: Uuid) -> bool {
    match directory.as_u128() {
        0 | 1 => true,
        2 => false,
        _ => broker.log_dirs.is_empty() || broker.log_dirs.contains(&directory),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metadata::image::Endpoint;
    use metadata::record::RegisterBroker;
    use metadata::{
        LeaderRecoveryState, MetadataDelta, MetadataRecord, Provenance, SecurityProtocol,
    };
    use protocol::LeaderEpoch;

    use super::*;

    const DIRECTORY: Uuid = Uuid::from_u128(7_000);

    /// Brokers 1 and 2 with the listeners `IN` and `OUT`, 3 with `IN` alone, 4 fenced.
    fn image() -> MetadataImage {
        let mut delta = MetadataDelta::new(Arc::default());
        for (id, listeners, fenced) in [
            (1, ["IN", "OUT"].as_slice(), false),
            (2, &["IN", "OUT"], false),
            (3, &["IN"], false),
            (4, &["IN", "OUT"], true),
        ] {
            let endpoint = |name: &&str| Endpoint {
                name: (*name).to_owned(),
                host: format!("host-{id}"),
                port: 9_092,
                security_protocol: SecurityProtocol::Plaintext,
            };
            let broker = RegisterBroker {
                broker_id: id,
                incarnation_id: Uuid::from_u128(1_000),
                broker_epoch: 1,
                endpoints: listeners.iter().map(endpoint).collect(),
                features: Vec::new(),
                rack: None,
                fenced,
                in_controlled_shutdown: false,
                log_dirs: vec![DIRECTORY],
            };
            delta
                .replay(&MetadataRecord::RegisterBroker(broker))
                .unwrap();
        }
        delta.apply(Provenance::EMPTY)
    }

    fn partition(replicas: &[(i32, Uuid)], leader: Option<i32>) -> PartitionRegistration {
        PartitionRegistration {
            replicas: replicas.iter().map(|(id, _)| *id).collect(),
            directories: replicas.iter().map(|(_, directory)| *directory).collect(),
            isr: replicas.iter().map(|(id, _)| *id).collect(),
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            eligible_leader_replicas: Vec::new(),
            last_known_elr: Vec::new(),
            leader,
            leader_recovery_state: LeaderRecoveryState::Recovered,
            leader_epoch: LeaderEpoch(3),
            partition_epoch: 5,
        }
    }

    #[test]
    fn clients_see_the_brokers_of_their_listener() {
        let image = image();
        let seen: Vec<_> = nodes("OUT", &image)
            .map(|node| (node.id, node.fenced))
            .collect();
        assert_eq!(seen, [(1, false), (2, false), (4, true)]);
    }

    #[test]
    fn a_leader_without_the_listener_is_told_from_one_that_is_not_there() {
        let image = image();
        let replicas = [(1, DIRECTORY), (3, DIRECTORY)];
        let leader = |listener, leader| {
            PartitionView::new(listener, &image, &partition(&replicas, leader)).leader()
        };
        assert_eq!(leader("OUT", Some(1)), Ok(1));
        assert_eq!(leader("OUT", Some(3)), Err(ErrorCode::ListenerNotFound));
        assert_eq!(leader("IN", Some(3)), Ok(3));
        assert_eq!(leader("OUT", Some(9)), Err(ErrorCode::LeaderNotAvailable));
        assert_eq!(leader("OUT", None), Err(ErrorCode::LeaderNotAvailable));
    }

    #[test]
    fn replicas_are_offline_for_the_want_of_a_broker_a_listener_or_a_directory() {
        let image = image();
        let (not_chosen, lost, other) = (
            Uuid::from_u128(1),
            Uuid::from_u128(2),
            Uuid::from_u128(9_000),
        );
        let offline = |listener, id, directory| {
            let partition = partition(&[(id, directory)], None);
            !PartitionView::new(listener, &image, &partition)
                .offline_replicas()
                .is_empty()
        };
        assert!(!offline("OUT", 1, DIRECTORY));
        assert!(!offline("OUT", 1, not_chosen));
        assert!(offline("OUT", 1, lost));
        assert!(offline("OUT", 1, other));
        assert!(offline("OUT", 3, DIRECTORY));
        assert!(!offline("IN", 3, DIRECTORY));
        assert!(offline("OUT", 4, DIRECTORY));
        assert!(offline("OUT", 9, DIRECTORY));
    }

    #[test]
    fn only_replicas_that_answer_on_the_listener_can_be_reached() {
        let image = image();
        let partition = partition(&[(1, DIRECTORY)], Some(1));
        let view = PartitionView::new("OUT", &image, &partition);
        assert_eq!(view.reachable(&[4, 3, 2, 1, 9]), broker_ids(&[2, 1]));
    }
}
