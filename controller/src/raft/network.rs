//! The way to the other voters.
//! There are none yet: a quorum of one sends nothing, and whoever is asked for cannot be reached.
//! A cluster brings the real client here, and nothing else of `raft/` changes.

use std::future::Future;

use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{EmptyNode, OptionalSend, Snapshot};
use thiserror::Error;

use super::types::{ReplicaKey, TypeConfig, Vote};

#[derive(Debug, Clone, Copy, Error)]
#[error("there is no connection to voter {target}")]
struct NoConnection {
    target: ReplicaKey,
}

/// Makes connections to voters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network;

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: ReplicaKey, _node: &EmptyNode) -> Connection {
        Connection { target }
    }
}

/// A connection to one voter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    target: ReplicaKey,
}

type RpcResult<T> = Result<T, RPCError<ReplicaKey, EmptyNode, RaftError<ReplicaKey>>>;

impl Connection {
    fn unreachable(self) -> Unreachable {
        Unreachable::new(&NoConnection {
            target: self.target,
        })
    }
}

impl RaftNetwork<TypeConfig> for Connection {
    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<ReplicaKey>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<ReplicaKey>,
        _option: RPCOption,
    ) -> RpcResult<VoteResponse<ReplicaKey>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot<TypeConfig>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<ReplicaKey>, StreamingError<TypeConfig, Fatal<ReplicaKey>>> {
        let error = NetworkError::new(&NoConnection {
            target: self.target,
        });
        Err(StreamingError::Network(error))
    }
}
