//! The output of one event while it is being made.
//!
//! Invariant: what a failed append has to undo or try again goes beside the records.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::{ErrorCode, Timestamp, TopicId};

use super::{
    SharePartitionKey, ShareStateChange, ShareStateCommand, ShareStateConfig, ShareStateRecord,
    ShareStateResponse, ShareStateShard, ShareStateTimer,
};
use crate::{Effect, ReplyTo};

pub(super) struct Turn {
    pub(super) now: Timestamp,
    pub(super) config: Arc<ShareStateConfig>,
    pub(super) records: Vec<ShareStateRecord>,
    pub(super) replies: Vec<(ReplyTo, Result<ShareStateResponse, ErrorCode>)>,
    pub(super) effects: Vec<Effect<ShareStateShard>>,
    pub(super) commands: Vec<ShareStateCommand>,
    pub(super) after_append: AfterAppend,
}

/// What a failed append means besides the answers.
#[derive(Debug, Default)]
pub(super) enum AfterAppend {
    #[default]
    Nothing,
    /// Snapshots for their age.
    ColdSnapshots {
        first: SharePartitionKey,
        is_alone: bool,
    },
    /// The states of these topics are still there.
    Removal(BTreeSet<TopicId>),
}

impl Turn {
    pub(super) fn new(now: Timestamp, config: Arc<ShareStateConfig>) -> Self {
        Turn {
            now,
            config,
            records: Vec::new(),
            replies: Vec::new(),
            effects: Vec::new(),
            commands: Vec::new(),
            after_append: AfterAppend::Nothing,
        }
    }

    pub(super) fn reply(&mut self, token: ReplyTo, response: ShareStateResponse) {
        self.replies.push((token, Ok(response)));
    }

    pub(super) fn fail(&mut self, token: ReplyTo, code: ErrorCode) {
        self.replies.push((token, Err(code)));
    }

    pub(super) fn arm(&mut self, key: ShareStateTimer, delay_ms: i32) {
        let at = Timestamp(self.now.0.saturating_add(i64::from(delay_ms.max(0))));
        self.effects.push(Effect::ArmTimer { key, at });
    }

    pub(super) fn write(&mut self, key: SharePartitionKey, change: ShareStateChange) {
        self.records.push(ShareStateRecord { key, change });
    }
}
