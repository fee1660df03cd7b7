//! Where each leader's records begin.
//!
//! Invariant: epochs and start offsets both grow from entry to entry.

use protocol::{LeaderEpoch, Offset};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EpochEntry {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) start_offset: Offset,
}

/// The leader epochs of a log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<EpochEntry>,
    /// The checkpoint file does not say the same.
    dirty: bool,
}

impl LeaderEpochs {
    /// Takes the entries of a checkpoint file; those that break the order push out what they break.
    pub(crate) fn from_checkpoint(entries: impl IntoIterator<Item = EpochEntry>) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for entry in entries {
            epochs.assign(entry.epoch, entry.start_offset);
        }
        epochs.dirty = false;
        epochs
    }

    pub(crate) fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// Whether the checkpoint file must be written; it counts as written from now on.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    pub(crate) fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    /// Notes where an epoch begins, unless it is known. A conflict is decided for the newer entry.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) {
        if epoch.0 < 0 || start_offset.0 < 0 {
            return;
        }
        if let Some(latest) = self.entries.last()
            && latest.epoch == epoch
            && start_offset >= latest.start_offset
        {
            return;
        }
        while self
            .entries
            .pop_if(|entry| entry.epoch >= epoch || entry.start_offset >= start_offset)
            .is_some()
        {}
        self.entries.push(EpochEntry {
            epoch,
            start_offset,
        });
        self.dirty = true;
    }

    pub(crate) fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    pub(crate) fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first().copied()
    }

    pub(crate) fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        let count = self
            .entries
            .partition_point(|entry| entry.start_offset <= offset);
        Some(self.entries.get(count.checked_sub(1)?)?.epoch)
    }

    /// The largest epoch at or below the one asked for, and where it ends; as upstream answers
    /// OffsetForLeaderEpoch.
    pub(crate) fn end_offset_for(
        &self,
        epoch: LeaderEpoch,
        log_end_offset: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if epoch.0 < 0 {
            return None;
        }
        if self.latest() == Some(epoch) {
            return Some((epoch, log_end_offset));
        }
        let higher = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end = self.entries.get(higher)?.start_offset;
        // Older than all we know: the records are gone, a follower starts with what is left.
        let floor = higher
            .checked_sub(1)
            .and_then(|floor| self.entries.get(floor));
        Some((floor.map_or(epoch, |floor| floor.epoch), end))
    }

    /// Forgets epochs that begin at or behind the new end of the log.
    pub(crate) fn truncate_from_end(&mut self, end_offset: Offset) {
        while self
            .entries
            .pop_if(|entry| entry.start_offset >= end_offset)
            .is_some()
        {
            self.dirty = true;
        }
    }

    /// Forgets epochs that end at or in front of the new start of the log.
    pub(crate) fn truncate_from_start(&mut self, start_offset: Offset) {
        let count = self
            .entries
            .partition_point(|entry| entry.start_offset <= start_offset);
        let Some(last) = count.checked_sub(1) else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(last)
            && (last > 0 || entry.start_offset != start_offset)
        {
            entry.start_offset = start_offset;
            self.entries.drain(..last);
            self.dirty = true;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.dirty |= !self.entries.is_empty();
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let entries = entries.iter().map(|&(epoch, start)| EpochEntry {
            epoch: LeaderEpoch(epoch),
            start_offset: Offset(start),
        });
        LeaderEpochs::from_checkpoint(entries)
    }

    fn shown(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
        epochs
            .entries()
            .iter()
            .map(|entry| (entry.epoch.0, entry.start_offset.0))
            .collect()
    }

    #[test]
    fn an_epoch_is_noted_once() {
        let mut epochs = epochs(&[]);
        epochs.assign(LeaderEpoch(2), Offset(6));
        epochs.assign(LeaderEpoch(2), Offset(9));
        assert_eq!(shown(&epochs), [(2, 6)]);
        assert!(epochs.take_dirty());
        assert!(!epochs.take_dirty());
    }

    #[test]
    fn a_conflicting_entry_pushes_out_what_it_breaks() {
        let mut epochs = epochs(&[(1, 0), (2, 10), (3, 20)]);
        epochs.assign(LeaderEpoch(4), Offset(10));
        assert_eq!(shown(&epochs), [(1, 0), (4, 10)]);
        epochs.assign(LeaderEpoch(0), Offset(30));
        assert_eq!(shown(&epochs), [(0, 30)]);
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(2, 5), (4, 10), (5, 20)]);
        let end = |epoch| {
            epochs
                .end_offset_for(LeaderEpoch(epoch), Offset(33))
                .map(|(epoch, offset)| (epoch.0, offset.0))
        };
        assert_eq!(end(-1), None);
        assert_eq!(end(1), Some((1, 5)));
        assert_eq!(end(2), Some((2, 10)));
        assert_eq!(end(3), Some((2, 10)));
        assert_eq!(end(4), Some((4, 20)));
        assert_eq!(end(5), Some((5, 33)));
        assert_eq!(end(6), None);
    }

    #[test]
    fn a_truncation_keeps_what_is_left_of_the_log() {
        let mut cut = epochs(&[(2, 5), (4, 10), (5, 20)]);
        cut.truncate_from_end(Offset(20));
        assert_eq!(shown(&cut), [(2, 5), (4, 10)]);
        cut.truncate_from_start(Offset(7));
        assert_eq!(shown(&cut), [(2, 7), (4, 10)]);
        cut.truncate_from_start(Offset(10));
        assert_eq!(shown(&cut), [(4, 10)]);
        cut.truncate_from_start(Offset(3));
        assert_eq!(shown(&cut), [(4, 10)]);
        assert_eq!(cut.epoch_for_offset(Offset(9)), None);
        assert_eq!(cut.epoch_for_offset(Offset(10)), Some(LeaderEpoch(4)));
    }
}
