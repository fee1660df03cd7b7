//! Brokers and partitions as Metadata and its siblings show them to a client of one listener.
//!
//! Invariant: a client is told only endpoints of the listener that it came in by.

use metadata::{BrokerRegistration, MetadataImage, PartitionRegistration};
use protocol::messages::BrokerId;
use protocol::{ErrorCode, StrBytes};
use uuid::Uuid;

use super::RequestContext;

/// A broker that the listener of the request reaches.
pub(super) struct Node {
    pub(super) id: i32,
    pub(super) host: StrBytes,
    pub(super) port: i32,
    pub(super) rack: Option<StrBytes>,
    pub(super) fenced: bool,
}

/// The brokers that have the listener of the request, fenced ones too, in the order of their ids.
pub(super) fn nodes<'a>(
    ctx: &'a RequestContext,
    image: &'a MetadataImage,
) -> impl Iterator<Item = Node> + 'a {
    image.cluster.brokers().filter_map(|broker| {
        let listener = broker.listener(&ctx.peer.listener)?;
        Some(Node {
            id: broker.id,
            host: StrBytes::from_string(listener.host.clone()),
            port: listener.port.into(),
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

/// One partition, as the listener of the request sees it.
pub(super) struct PartitionView<'a> {
    image: &'a MetadataImage,
    listener: &'a str,
    partition: &'a PartitionRegistration,
}

impl<'a> PartitionView<'a> {
    pub(super) fn new(
        ctx: &'a RequestContext,
        image: &'a MetadataImage,
        partition: &'a PartitionRegistration,
    ) -> Self {
        PartitionView {
            image,
            listener: &ctx.peer.listener,
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
            broker.is_some_and(|broker| broker.listener(self.listener).is_some())
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
                    && broker.listener(self.listener).is_some()
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
        leader
            .listener(self.listener)
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
