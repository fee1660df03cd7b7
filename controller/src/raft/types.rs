//! What openraft is told about us: node identities, log entries, and their format.
//! Only `raft/` knows these types.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use metadata::MetadataRecord;
use metadata::record::{RecordError, decode_batch, encode_batch};
use openraft::{EmptyNode, EntryPayload, Membership};
use protocol::Timestamp;
use thiserror::Error;
use uuid::Uuid;

/// The identity of a voter, as in Kafka: its node id and the directory its log lies in. A wiped
/// disk comes back as another voter, and cannot vote twice in one term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct ReplicaKey {
    pub(crate) id: i32,
    pub(crate) directory_id: Uuid,
}

impl fmt::Display for ReplicaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.id, self.directory_id)
    }
}

/// Records to be agreed on, and what they were decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// The last decision that the image contained when this one was made: if another one came
    /// between, this one does not hold any more.
    pub(crate) decided_at: Option<u64>,
    pub(crate) timestamp: Timestamp,
    pub(crate) records: Arc<Vec<MetadataRecord>>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It changed no metadata: a leader's first entry, or a change of the voters.
    Nothing,
    /// Its records are in force.
    Accepted,
    /// It was decided on an older image: decide again.
    Retry,
}

openraft::declare_raft_types!(
    /// Our types, in openraft's places.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Applied,
        NodeId = ReplicaKey,
        Node = EmptyNode,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Vec<u8>,
        AsyncRuntime = super::runtime::Runtime,
);

pub(crate) type LogId = openraft::LogId<ReplicaKey>;
pub(crate) type Vote = openraft::Vote<ReplicaKey>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type StoredMembership = openraft::StoredMembership<ReplicaKey, EmptyNode>;
pub(crate) type StorageError = openraft::StorageError<ReplicaKey>;
pub(crate) type StorageIOError = openraft::StorageIOError<ReplicaKey>;

pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(
        openraft::CommittedLeaderId::new(term, ReplicaKey::default()),
        index,
    )
}

/// Why bytes in the metadata log, its vote file or its snapshot cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum FormatError {
    #[error("it ends too early")]
    Truncated,
    #[error("{count} bytes follow it")]
    TrailingBytes { count: usize },
    #[error("unknown kind {0}")]
    UnknownKind(u8),
    #[error(
        "its format version is {version}, and this version reads up to {supported}; it was \
         written by a newer version"
    )]
    TooNew { version: u8, supported: u8 },
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Takes fixed-width big-endian values off the front of a buffer.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (head, tail) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(FormatError::Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, FormatError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, FormatError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn replica(&mut self) -> Result<ReplicaKey, FormatError> {
        Ok(ReplicaKey {
            id: self.i32()?,
            directory_id: Uuid::from_bytes(self.array()?),
        })
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, FormatError>,
    ) -> Result<Option<T>, FormatError> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            other => Err(FormatError::UnknownKind(other)),
        }
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn end(&self) -> Result<(), FormatError> {
        match self.0.len() {
            0 => Ok(()),
            count => Err(FormatError::TrailingBytes { count }),
        }
    }
}

pub(crate) fn put_replica(out: &mut Vec<u8>, replica: &ReplicaKey) {
    out.extend_from_slice(&replica.id.to_be_bytes());
    out.extend_from_slice(replica.directory_id.as_bytes());
}

pub(crate) fn put_option<T>(
    out: &mut Vec<u8>,
    value: Option<&T>,
    put: impl FnOnce(&mut Vec<u8>, &T),
) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

pub(crate) fn put_membership(out: &mut Vec<u8>, membership: &Membership<ReplicaKey, EmptyNode>) {
    let put_all = |out: &mut Vec<u8>, replicas: Vec<ReplicaKey>| {
        out.extend_from_slice(&(replicas.len() as u32).to_be_bytes());
        replicas
            .iter()
            .for_each(|replica| put_replica(out, replica));
    };
    let configs = membership.get_joint_config();
    out.extend_from_slice(&(configs.len() as u32).to_be_bytes());
    for voters in configs {
        put_all(out, voters.iter().copied().collect());
    }
    put_all(out, membership.nodes().map(|(id, _)| *id).collect());
}

pub(crate) fn read_membership(
    fields: &mut Fields<'_>,
) -> Result<Membership<ReplicaKey, EmptyNode>, FormatError> {
    fn read_all(fields: &mut Fields<'_>) -> Result<Vec<ReplicaKey>, FormatError> {
        let count = fields.u32()?;
        (0..count).map(|_| fields.replica()).collect()
    }
    let count = fields.u32()?;
    let mut configs: Vec<BTreeSet<ReplicaKey>> = Vec::new();
    for _ in 0..count {
        configs.push(read_all(fields)?.into_iter().collect());
    }
    let nodes: BTreeMap<ReplicaKey, EmptyNode> = read_all(fields)?
        .into_iter()
        .map(|id| (id, EmptyNode {}))
        .collect();
    Ok(Membership::new(configs, nodes))
}

/// The version of the format of entries: the first byte of each.
const ENTRY_VERSION: u8 = 0;

const KIND_BLANK: u8 = 0;
const KIND_NORMAL: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;

/// The value of the record that holds an entry. Its index and term are the record's offset and
/// the batch's leader epoch.
pub(crate) fn encode_payload(payload: &EntryPayload<TypeConfig>) -> Vec<u8> {
    let mut out = vec![ENTRY_VERSION];
    match payload {
        EntryPayload::Blank => out.push(KIND_BLANK),
        EntryPayload::Normal(proposal) => {
            out.push(KIND_NORMAL);
            put_option(&mut out, proposal.decided_at.as_ref(), |out, index| {
                out.extend_from_slice(&index.to_be_bytes());
            });
            out.extend_from_slice(&proposal.timestamp.0.to_be_bytes());
            encode_batch(&proposal.records, &mut out);
        }
        EntryPayload::Membership(membership) => {
            out.push(KIND_MEMBERSHIP);
            put_membership(&mut out, membership);
        }
    }
    out
}

pub(crate) fn decode_payload(bytes: &[u8]) -> Result<EntryPayload<TypeConfig>, FormatError> {
    let mut fields = Fields(bytes);
    let version = fields.u8()?;
    if version > ENTRY_VERSION {
        return Err(FormatError::TooNew {
            version,
            supported: ENTRY_VERSION,
        });
    }
    let payload = match fields.u8()? {
        KIND_BLANK => EntryPayload::Blank,
        KIND_NORMAL => {
            let decided_at = fields.option(Fields::u64)?;
            let timestamp = Timestamp(fields.i64()?);
            let records = Arc::new(decode_batch(fields.rest())?);
            EntryPayload::Normal(Proposal {
                decided_at,
                timestamp,
                records,
            })
        }
        KIND_MEMBERSHIP => EntryPayload::Membership(read_membership(&mut fields)?),
        other => return Err(FormatError::UnknownKind(other)),
    };
    fields.end()?;
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(id: i32) -> ReplicaKey {
        ReplicaKey {
            id,
            directory_id: Uuid::from_u128(id as u128 + 100),
        }
    }

    fn payloads() -> Vec<EntryPayload<TypeConfig>> {
        let voters = vec![
            BTreeSet::from([replica(1)]),
            BTreeSet::from([replica(1), replica(2)]),
        ];
        let nodes: BTreeMap<_, _> = (1..=3).map(|id| (replica(id), EmptyNode {})).collect();
        vec![
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal {
                decided_at: Some(7),
                timestamp: Timestamp(99),
                records: Arc::new(vec![MetadataRecord::NoOp, MetadataRecord::NoOp]),
            }),
            EntryPayload::Normal(Proposal {
                decided_at: None,
                timestamp: Timestamp(-1),
                records: Arc::new(vec![]),
            }),
            EntryPayload::Membership(Membership::new(voters, nodes)),
        ]
    }

    #[test]
    fn an_entry_survives_the_round_trip() {
        for payload in payloads() {
            let decoded = decode_payload(&encode_payload(&payload)).unwrap();
            assert_eq!(format!("{decoded:?}"), format!("{payload:?}"));
        }
    }

    #[test]
    fn a_cut_entry_is_refused() {
        for payload in payloads() {
            let bytes = encode_payload(&payload);
            for size in 0..bytes.len() {
                assert!(
                    decode_payload(&bytes[..size]).is_err(),
                    "{payload:?} cut to {size}"
                );
            }
        }
    }

    #[test]
    fn an_entry_of_a_newer_version_is_refused_with_that_reason() {
        let error = decode_payload(&[1, KIND_BLANK]).unwrap_err();
        assert_eq!(
            error,
            FormatError::TooNew {
                version: 1,
                supported: 0
            }
        );
    }
}
