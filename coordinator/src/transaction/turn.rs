//! The output of one event while it is being made.
//!
//! Invariant: beside each record goes what no record keeps, in the same order.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::{ErrorCode, Timestamp};

use super::record::TransactionRecord;
use super::steps::{Soft, Step};
use super::{
    TransactionCommand, TransactionCoordinatorConfig, TransactionResponse, TransactionShard,
    TransactionState, TransactionTimer,
};
use crate::{Effect, ReplyTo};

pub(crate) struct Turn {
    pub(crate) now: Timestamp,
    pub(crate) config: Arc<TransactionCoordinatorConfig>,
    /// The finalized level of `transaction.version`, the same for the whole turn.
    pub(crate) level: i16,
    pub(crate) records: Vec<TransactionRecord>,
    pub(crate) soft: VecDeque<Soft>,
    pub(crate) replies: Vec<(ReplyTo, Result<TransactionResponse, ErrorCode>)>,
    pub(crate) effects: Vec<Effect<TransactionShard>>,
    pub(crate) commands: Vec<TransactionCommand>,
    pub(crate) after_append: AfterAppend,
}

/// What a failed append means besides the answers.
#[derive(Debug, Default)]
pub(crate) enum AfterAppend {
    #[default]
    Nothing,
    /// The end of this transaction is written again, later.
    Completion(Arc<str>),
    /// The removal of ids is put off.
    Expiration,
}

impl Turn {
    pub(crate) fn new(now: Timestamp, config: Arc<TransactionCoordinatorConfig>) -> Self {
        Turn {
            now,
            level: config.transaction_version.get(),
            config,
            records: Vec::new(),
            soft: VecDeque::new(),
            replies: Vec::new(),
            effects: Vec::new(),
            commands: Vec::new(),
            after_append: AfterAppend::Nothing,
        }
    }

    pub(crate) fn reply(&mut self, token: ReplyTo, response: TransactionResponse) {
        self.replies.push((token, Ok(response)));
    }

    pub(crate) fn fail(&mut self, token: ReplyTo, code: ErrorCode) {
        self.replies.push((token, Err(code)));
    }

    pub(crate) fn arm(&mut self, key: TransactionTimer, delay_ms: i32) {
        let at = Timestamp(self.now.0.saturating_add(i64::from(delay_ms.max(0))));
        self.effects.push(Effect::ArmTimer { key, at });
    }

    /// Writes the step, and has the markers written where it is the end of a transaction.
    pub(crate) fn write(&mut self, transactional_id: &Arc<str>, step: Step) {
        let Step { mut value, soft } = step;
        if self.level < 1 {
            // Version 0 of the record has no room for it.
            value.flexible = None;
        }
        let record = TransactionRecord {
            transactional_id: transactional_id.clone(),
            value: Some(value),
        };
        self.commands.extend(record.markers());
        self.records.push(record);
        self.soft.push_back(soft);
    }

    pub(crate) fn remove(&mut self, transactional_id: &Arc<str>) {
        self.records.push(TransactionRecord {
            transactional_id: transactional_id.clone(),
            value: None,
        });
        self.soft.push_back(Soft::default());
    }
}

impl TransactionRecord {
    /// The work that is due while this is the last record of its transactional id.
    pub(crate) fn markers(&self) -> Option<TransactionCommand> {
        let value = self.value.as_ref()?;
        if !value.state.is_prepared() {
            return None;
        }
        Some(TransactionCommand::WriteMarkers {
            transactional_id: self.transactional_id.clone(),
            producer_id: value.producer_id,
            producer_epoch: value.producer_epoch,
            committed: value.state == TransactionState::PrepareCommit,
            transaction_version: (value.flexible)
                .map_or(0, |fields| fields.client_transaction_version),
            partitions: value.partitions.clone(),
        })
    }
}
