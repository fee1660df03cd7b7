//! What the leader of a partition may acknowledge.
//!
//! Invariant: `high_watermark <= log_end_offset`, and within one leader epoch the high watermark
//! never goes back (KIP-101).

use std::collections::BTreeMap;

use protocol::{ErrorCode, LeaderEpoch, Offset};

/// The leader's view of its own log end and of the replicas that keep up with it.
#[derive(Debug, Clone)]
pub struct Leader {
    epoch: LeaderEpoch,
    log_end_offset: Offset,
    high_watermark: Offset,
    /// Log end offset of each other in-sync replica, as last told by its fetch.
    in_sync_followers: BTreeMap<i32, Offset>,
}

/// What a change of state asks of the one who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderChange {
    /// The high watermark after the change.
    pub high_watermark: Offset,
    /// Whether the change moved it.
    pub advanced: bool,
}

impl Leader {
    /// Takes over leadership in `epoch`.
    ///
    /// `in_sync_followers` are the other members of the ISR. `high_watermark` is the checkpointed
    /// one: with no follower to wait for, everything in the local log counts as committed.
    pub fn new(
        epoch: LeaderEpoch,
        log_end_offset: Offset,
        high_watermark: Offset,
        in_sync_followers: impl IntoIterator<Item = i32>,
    ) -> Self {
        let in_sync_followers = in_sync_followers
            .into_iter()
            .map(|id| (id, Offset(0)))
            .collect::<BTreeMap<_, _>>();
        let mut leader = Leader {
            epoch,
            log_end_offset,
            high_watermark: high_watermark.min(log_end_offset),
            in_sync_followers,
        };
        leader.advance();
        leader
    }

    /// The epoch in which this replica leads.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// All records below it are on every in-sync replica.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Members of the ISR, the leader among them.
    pub fn in_sync_replicas(&self) -> usize {
        self.in_sync_followers.len() + 1
    }

    /// Whether an acks=all append may be taken: enough replicas in sync.
    ///
    /// # Errors
    /// `NOT_ENOUGH_REPLICAS` when the ISR is smaller than `min.insync.replicas`.
    pub fn check_min_in_sync(&self, min_in_sync_replicas: i32) -> Result<(), ErrorCode> {
        let needed = usize::try_from(min_in_sync_replicas).unwrap_or(0);
        if self.in_sync_replicas() < needed {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        Ok(())
    }

    /// Checks the leader epoch that a client or follower believes in (KIP-320).
    ///
    /// # Errors
    /// `FENCED_LEADER_EPOCH` for an older epoch, `UNKNOWN_LEADER_EPOCH` for one not seen here yet.
    pub fn check_epoch(&self, current: Option<LeaderEpoch>) -> Result<(), ErrorCode> {
        match current {
            Some(epoch) if epoch < self.epoch => Err(ErrorCode::FencedLeaderEpoch),
            Some(epoch) if epoch > self.epoch => Err(ErrorCode::UnknownLeaderEpoch),
            Some(_) | None => Ok(()),
        }
    }

    /// Notes that the local log now ends at `log_end_offset`.
    pub fn appended(&mut self, log_end_offset: Offset) -> LeaderChange {
        // Appends of one log are ordered, their reports here need not be.
        self.log_end_offset = self.log_end_offset.max(log_end_offset);
        self.advance()
    }

    fn advance(&mut self) -> LeaderChange {
        let committed = self
            .in_sync_followers
            .values()
            .copied()
            .fold(self.log_end_offset, |lowest, offset| lowest.min(offset));
        let advanced = committed > self.high_watermark;
        if advanced {
            self.high_watermark = committed;
        }
        assert!(
            self.high_watermark <= self.log_end_offset,
            "high watermark beyond the log end"
        );
        LeaderChange {
            high_watermark: self.high_watermark,
            advanced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_leader_commits_what_it_appends() {
        let mut leader = Leader::new(LeaderEpoch(3), Offset(10), Offset(4), []);
        assert_eq!(leader.high_watermark(), Offset(10));
        assert_eq!(
            leader.appended(Offset(12)),
            LeaderChange {
                high_watermark: Offset(12),
                advanced: true
            }
        );
        assert_eq!(
            leader.appended(Offset(11)),
            LeaderChange {
                high_watermark: Offset(12),
                advanced: false
            }
        );
    }

    #[test]
    fn a_leader_with_a_follower_waits_for_it() {
        let mut leader = Leader::new(LeaderEpoch(3), Offset(10), Offset(4), [2]);
        assert_eq!(leader.high_watermark(), Offset(4));
        assert!(!leader.appended(Offset(12)).advanced);
        assert_eq!(leader.in_sync_replicas(), 2);
    }

    #[test]
    fn epochs_are_fenced_both_ways() {
        let leader = Leader::new(LeaderEpoch(3), Offset(0), Offset(0), []);
        assert_eq!(leader.check_epoch(None), Ok(()));
        assert_eq!(leader.check_epoch(Some(LeaderEpoch(3))), Ok(()));
        assert_eq!(
            leader.check_epoch(Some(LeaderEpoch(2))),
            Err(ErrorCode::FencedLeaderEpoch)
        );
        assert_eq!(
            leader.check_epoch(Some(LeaderEpoch(4))),
            Err(ErrorCode::UnknownLeaderEpoch)
        );
    }

    #[test]
    fn acks_all_needs_min_in_sync_replicas() {
        let leader = Leader::new(LeaderEpoch(3), Offset(0), Offset(0), []);
        assert_eq!(leader.check_min_in_sync(1), Ok(()));
        assert_eq!(
            leader.check_min_in_sync(2),
            Err(ErrorCode::NotEnoughReplicas)
        );
    }
}
