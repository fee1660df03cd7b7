//! Which ends of transactions may go: those that end nothing any more (KIP-534).
//!
//! Invariant: a marker stays while the log holds a batch of its transaction, since readers could not
//! tell then how it ended; and with the last abort marker goes its row of the aborted transactions,
//! since a reader who is told of one leaves records out until its marker comes.

use std::collections::HashSet;

use protocol::control::EndTransactionMarker;
use protocol::{BatchBuilder, Offset, ProducerId, RecordBatch, Timestamp};

use super::Run;
use super::rewrite::Left;
use crate::error::Error;

/// What a run through the log has seen of transactions so far.
#[derive(Default)]
pub(super) struct Seen {
    /// Producers with a batch in the log since their last marker, read before anything was left out:
    /// what goes in this run is there until then, for whoever reads now.
    open: HashSet<ProducerId>,
}

/// What the next start must not believe in: it is gone from the log.
#[derive(Default)]
pub(super) struct Gone {
    /// Behind the last tombstone or marker that was left out.
    pub(super) below: Offset,
    /// The last marker that was left out.
    pub(super) last_marker: Option<Offset>,
    /// Where markers stood that ended aborted transactions.
    pub(super) abort_markers: Vec<Offset>,
}

impl Gone {
    pub(super) fn at(&mut self, offset: Offset) {
        self.below = self.below.max(offset.next());
    }
}

impl Seen {
    pub(super) fn data(&mut self, batch: &RecordBatch) {
        let header = batch.header();
        if let Some(producer) = header.producer
            && header.attributes.is_transactional()
        {
            self.open.insert(producer.id);
        }
    }
}

impl Run<'_> {
    /// Decides about the batch of a marker.
    pub(super) fn filter_marker(
        &self,
        batch: &RecordBatch,
        seen: &mut Seen,
        gone: &mut Gone,
    ) -> Result<Left, Error> {
        let header = batch.header();
        let (Some(producer), Some(record)) = (header.producer, batch.records()?.next()) else {
            return Ok(Left::AsItIs);
        };
        let record = record?;
        let Some(marker) = EndTransactionMarker::read(&record)? else {
            return Ok(Left::AsItIs);
        };
        if seen.open.remove(&producer.id) {
            return Ok(Left::AsItIs);
        }
        let Some(horizon) = header.delete_horizon() else {
            // Whoever read the transaction's records before they went may still wait for its end.
            let horizon = self.now.0.saturating_add(self.config.delete_retention_ms);
            let mut left = BatchBuilder::replacing(header, Some(Timestamp(horizon)))?;
            left.keep(&record);
            return Ok(Left::Less(left.build()));
        };
        // The last trace of a producer is its epoch.
        let epochs = &self.last_of_producers.epochs;
        if self.now < horizon || epochs.contains(&(producer.id, producer.epoch)) {
            return Ok(Left::AsItIs);
        }
        gone.at(header.last_offset());
        gone.last_marker = gone.last_marker.max(Some(header.last_offset()));
        if !marker.committed {
            gone.abort_markers.push(header.last_offset());
        }
        Ok(Left::Nothing)
    }
}
