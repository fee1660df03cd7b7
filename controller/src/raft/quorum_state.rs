//! What a voter must never forget: whom it voted for, how far its log was cut, and who it is.
//! It lies in one small file beside the log, and is durable before anything rests on it.

use super::files::{FileError, Files};
use super::types::{Fields, FormatError, LogId, ReplicaKey, Vote, log_id, put_option, put_replica};

const FILE: &str = "quorum-state";
const VERSION: u8 = 0;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuorumState {
    /// The voter this log belongs to.
    pub(crate) me: ReplicaKey,
    pub(crate) vote: Option<Vote>,
    /// The last entry that was cut off the front of the log.
    pub(crate) purged: Option<LogId>,
}

impl QuorumState {
    /// `None` if there is no file: a new voter, or one that lost it.
    pub(crate) fn read(files: &Files) -> Result<Option<QuorumState>, FileError> {
        let Some(bytes) = files.read(FILE, VERSION)? else {
            return Ok(None);
        };
        let state = decode(&bytes).map_err(|reason| FileError::Format {
            path: files.path(FILE),
            reason,
        })?;
        Ok(Some(state))
    }

    pub(crate) fn write(&self, files: &Files) -> Result<(), FileError> {
        files.replace(FILE, VERSION, &encode(self))
    }
}

fn encode(state: &QuorumState) -> Vec<u8> {
    let mut out = Vec::new();
    put_replica(&mut out, &state.me);
    put_option(&mut out, state.vote.as_ref(), |out, vote| {
        out.extend_from_slice(&vote.leader_id.term.to_be_bytes());
        put_option(out, vote.leader_id.voted_for.as_ref(), put_replica);
        out.push(u8::from(vote.committed));
    });
    put_option(&mut out, state.purged.as_ref(), put_log_id);
    out
}

pub(crate) fn put_log_id(out: &mut Vec<u8>, id: &LogId) {
    out.extend_from_slice(&id.leader_id.term.to_be_bytes());
    out.extend_from_slice(&id.index.to_be_bytes());
}

pub(crate) fn read_log_id(fields: &mut Fields<'_>) -> Result<LogId, FormatError> {
    Ok(log_id(fields.u64()?, fields.u64()?))
}

fn decode(bytes: &[u8]) -> Result<QuorumState, FormatError> {
    let mut fields = Fields(bytes);
    let me = fields.replica()?;
    let vote = fields.option(|fields| {
        let term = fields.u64()?;
        let voted_for = fields.option(Fields::replica)?;
        let committed = fields.u8()? != 0;
        Ok(Vote {
            leader_id: openraft::LeaderId { term, voted_for },
            committed,
        })
    })?;
    let purged = fields.option(read_log_id)?;
    fields.end()?;
    Ok(QuorumState { me, vote, purged })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::RealFs;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_state_survives_the_round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(Arc::new(RealFs), folder.path().to_owned());
        let me = ReplicaKey {
            id: 3,
            directory_id: Uuid::from_u128(9),
        };
        assert_eq!(QuorumState::read(&files).unwrap(), None);
        let none = QuorumState {
            me,
            vote: None,
            purged: None,
        };
        let full = QuorumState {
            me,
            vote: Some(Vote::new_committed(7, me)),
            purged: Some(log_id(6, 123)),
        };
        for state in [none, full] {
            state.write(&files).unwrap();
            assert_eq!(QuorumState::read(&files).unwrap(), Some(state));
        }
    }
}
