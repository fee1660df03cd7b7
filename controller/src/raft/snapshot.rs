//! Snapshots of the metadata: the records of an image in one checksummed file beside the log.
//! The newest file holds everything up to its last entry; older ones go once it is durable.

use std::sync::Arc;

use metadata::record::{decode_batch, encode_batch};
use metadata::{MetadataDelta, MetadataImage, Provenance, ReplayError};
use protocol::{LeaderEpoch, Offset, Timestamp};
use thiserror::Error;

use super::files::{FileError, Files};
use super::quorum_state::{put_log_id, read_log_id};
use super::types::{
    Fields, FormatError, LogId, StoredMembership, put_membership, put_option, read_membership,
};

const SUFFIX: &str = ".checkpoint";
const VERSION: u8 = 0;

/// Why a snapshot cannot be loaded.
#[derive(Debug, Error)]
pub(crate) enum SnapshotError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Format(#[from] FormatError),
    #[error("the records of the snapshot contradict each other: {0}")]
    Replay(#[from] ReplayError),
}

/// All that the state machine knows after an entry.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
    pub(crate) image: Arc<MetadataImage>,
}

impl State {
    pub(crate) fn empty() -> State {
        State {
            applied: None,
            membership: StoredMembership::default(),
            image: Arc::new(MetadataImage::default()),
        }
    }

    /// As upstream names its snapshots: the first offset that is not in it, and the last epoch.
    pub(crate) fn file_name(&self) -> String {
        let (end, term) = self.applied.map_or((0, 0), |applied| {
            (applied.index + 1, applied.leader_id.term)
        });
        format!("{end:020}-{term:010}{SUFFIX}")
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_option(&mut out, self.applied.as_ref(), put_log_id);
        put_option(&mut out, self.membership.log_id().as_ref(), put_log_id);
        put_membership(&mut out, self.membership.membership());
        let provenance = self.image.provenance;
        put_option(&mut out, provenance.offset.as_ref(), |out, offset| {
            out.extend_from_slice(&offset.0.to_be_bytes());
        });
        out.extend_from_slice(&provenance.epoch.0.to_be_bytes());
        out.extend_from_slice(&provenance.timestamp.0.to_be_bytes());
        encode_batch(&self.image.write(), &mut out);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<State, SnapshotError> {
        let mut fields = Fields(bytes);
        let applied = fields.option(read_log_id)?;
        let membership_log_id = fields.option(read_log_id)?;
        let membership = read_membership(&mut fields)?;
        let provenance = Provenance {
            offset: fields.option(Fields::i64)?.map(Offset),
            epoch: LeaderEpoch(fields.i32()?),
            timestamp: Timestamp(fields.i64()?),
        };
        let records = decode_batch(fields.rest()).map_err(FormatError::from)?;
        let mut delta = MetadataDelta::new(Arc::default());
        for record in &records {
            delta.replay(record)?;
        }
        Ok(State {
            applied,
            membership: StoredMembership::new(membership_log_id, membership),
            image: Arc::new(delta.apply(provenance)),
        })
    }

    /// Writes the snapshot; older ones are removed once it is durable.
    pub(crate) fn save(&self, files: &Files) -> Result<(), FileError> {
        let name = self.file_name();
        files.replace(&name, VERSION, &self.encode())?;
        for older in files.names(SUFFIX)?.iter().filter(|other| **other < name) {
            files.remove(older)?;
        }
        Ok(())
    }

    /// The newest snapshot; `None` where none was ever taken.
    ///
    /// A damaged one is not passed over: the log before it may be gone already.
    pub(crate) fn load(files: &Files) -> Result<Option<State>, SnapshotError> {
        let Some(name) = files.names(SUFFIX)?.pop() else {
            return Ok(None);
        };
        match files.read(&name, VERSION)? {
            Some(bytes) => State::decode(&bytes).map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use openraft::{EmptyNode, Membership};
    use storage::RealFs;
    use uuid::Uuid;

    use super::*;
    use crate::control::fixture;
    use crate::raft::types::{ReplicaKey, log_id};

    fn state(index: u64) -> State {
        let me = ReplicaKey {
            id: 1,
            directory_id: Uuid::from_u128(8),
        };
        let nodes = BTreeMap::from([(me, EmptyNode {})]);
        let membership = Membership::new(vec![BTreeSet::from([me])], nodes);
        State {
            applied: Some(log_id(3, index)),
            membership: StoredMembership::new(Some(log_id(0, 0)), membership),
            image: Arc::new(fixture::image_with_topic("t", 3)),
        }
    }

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(Arc::new(RealFs), folder.path().to_owned());
        (folder, files)
    }

    #[test]
    fn a_snapshot_gives_the_same_state_back() {
        let (_folder, files) = files();
        assert!(State::load(&files).unwrap().is_none());
        let state = state(41);
        state.save(&files).unwrap();
        let loaded = State::load(&files).unwrap().unwrap();
        assert_eq!(loaded.image, state.image);
        assert_eq!(loaded.applied, state.applied);
        assert_eq!(loaded.membership, state.membership);
        assert_eq!(
            files.names("").unwrap(),
            ["00000000000000000042-0000000003.checkpoint"]
        );
    }

    #[test]
    fn only_the_newest_snapshot_stays() {
        let (_folder, files) = files();
        for index in [3, 7, 100] {
            state(index).save(&files).unwrap();
        }
        assert_eq!(files.names("").unwrap().len(), 1);
        assert_eq!(
            State::load(&files).unwrap().unwrap().applied,
            Some(log_id(3, 100))
        );
    }

    #[test]
    fn a_damaged_snapshot_is_reported() {
        let (_folder, files) = files();
        let state = state(3);
        state.save(&files).unwrap();
        let path = files.path(&state.file_name());
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = State::load(&files).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }

    #[test]
    fn an_unfinished_snapshot_is_passed_over() {
        let (_folder, files) = files();
        state(3).save(&files).unwrap();
        std::fs::write(
            files.path(&format!("{}.tmp", state(9).file_name())),
            b"torn",
        )
        .unwrap();
        assert_eq!(
            State::load(&files).unwrap().unwrap().applied,
            Some(log_id(3, 3))
        );
    }
}
