//! The way of one member to its target assignment: first it gives up, then it gets what is free.
//!
//! Invariant: pure. A member moves to the target's epoch only when it has nothing left to give up,
//! and is given no partition that another member holds.

use std::collections::{BTreeMap, BTreeSet};

use protocol::messages::consumer_group_heartbeat_request::TopicPartitions as Owned;
use protocol::{ErrorCode, TopicId};

use super::super::assignor::TopicPartitions;
use super::Refusal;
use super::member::{Assignment, Member, MemberState};

/// What decides over a member's next step.
pub(crate) struct Reconciliation<'a> {
    pub(crate) target_epoch: i32,
    pub(crate) target: &'a TopicPartitions,
    /// The topics it subscribes, as far as they exist.
    pub(crate) subscribed: &'a BTreeSet<TopicId>,
    pub(crate) has_subscription_changed: bool,
    /// What the member says it has; none where it did not say.
    pub(crate) owned: Option<&'a [Owned]>,
    /// Whether any member holds a partition.
    pub(crate) is_held: &'a dyn Fn(TopicId, i32) -> bool,
}

impl Reconciliation<'_> {
    /// The member after this step; the same where it cannot go on.
    pub(crate) fn step(&self, member: &Member) -> Result<Member, Refusal> {
        match member.state {
            MemberState::Stable if member.epoch != self.target_epoch => {
                Ok(self.next(member, member.epoch))
            }
            MemberState::Stable => Ok(self.drop_unsubscribed(member)),
            MemberState::UnrevokedPartitions if self.still_owns(&member.pending_revocation) => {
                Ok(self.drop_unsubscribed(member))
            }
            MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => {
                Ok(self.next(member, member.epoch))
            }
            MemberState::Unknown if self.owned.is_some_and(<[Owned]>::is_empty) => {
                Ok(self.next(member, self.target_epoch))
            }
            MemberState::Unknown => Err(Refusal::new(
                ErrorCode::FencedMemberEpoch,
                "The consumer group member is in a unknown state. \
                 The member must abandon all its partitions and rejoin.",
            )),
        }
    }

    /// Whether the member has not given up all of these. Who does not say has them still.
    fn still_owns(&self, partitions: &Assignment) -> bool {
        let Some(owned) = self.owned else {
            return true;
        };
        owned.iter().any(|topic| {
            let revoked = partitions.get(&TopicId(topic.topic_id));
            revoked.is_some_and(|revoked| {
                let mut indexes = topic.partitions.iter();
                indexes.any(|index| revoked.contains_key(index))
            })
        })
    }

    /// A member that stays where it is gives up what it does not subscribe any more.
    fn drop_unsubscribed(&self, member: &Member) -> Member {
        if !self.has_subscription_changed {
            return member.clone();
        }
        let mut updated = member.clone();
        let (kept, dropped): (Assignment, Assignment) = std::mem::take(&mut updated.assigned)
            .into_iter()
            .partition(|(topic_id, _)| self.subscribed.contains(topic_id));
        if dropped.is_empty() {
            return member.clone();
        }
        let mut pending = member.pending_revocation.clone();
        for (topic_id, epochs) in dropped {
            pending.entry(topic_id).or_default().extend(epochs);
        }
        updated.assigned = kept;
        updated.update_epoch(member.epoch);
        if self.still_owns(&pending) {
            updated.state = MemberState::UnrevokedPartitions;
            updated.pending_revocation = pending;
        }
        updated
    }

    fn next(&self, member: &Member, epoch: i32) -> Member {
        let mut steps = Steps::default();
        let topics: BTreeSet<_> = self.target.keys().chain(member.assigned.keys()).collect();
        for topic_id in topics {
            self.next_of_topic(member, *topic_id, &mut steps);
        }
        let mut updated = member.clone();
        updated.assigned = steps.kept;
        if !steps.revoked.is_empty() && self.still_owns(&steps.revoked) {
            updated.state = MemberState::UnrevokedPartitions;
            updated.update_epoch(epoch);
            updated.pending_revocation = steps.revoked;
            return updated;
        }
        for (topic_id, partition) in steps.free {
            let epochs = updated.assigned.entry(topic_id).or_default();
            epochs.insert(partition, self.target_epoch);
        }
        updated.state = if steps.is_waiting {
            MemberState::UnreleasedPartitions
        } else {
            MemberState::Stable
        };
        updated.update_epoch(self.target_epoch);
        updated.pending_revocation = Assignment::new();
        updated
    }

    fn next_of_topic(&self, member: &Member, topic_id: TopicId, steps: &mut Steps) {
        let nothing = (BTreeSet::new(), BTreeMap::new());
        let target = match self.target.get(&topic_id) {
            Some(target) if self.subscribed.contains(&topic_id) => target,
            Some(_) | None => &nothing.0,
        };
        let assigned = member.assigned.get(&topic_id).unwrap_or(&nothing.1);
        for (partition, epoch) in assigned {
            let side = if target.contains(partition) {
                &mut steps.kept
            } else {
                &mut steps.revoked
            };
            side.entry(topic_id).or_default().insert(*partition, *epoch);
        }
        let own_revoked = member.pending_revocation.get(&topic_id);
        for partition in target.iter().filter(|index| !assigned.contains_key(index)) {
            let was_own = own_revoked.is_some_and(|own| own.contains_key(partition));
            if (self.is_held)(topic_id, *partition) && !was_own {
                steps.is_waiting = true;
            } else {
                steps.free.push((topic_id, *partition));
            }
        }
    }
}

#[derive(Default)]
struct Steps {
    kept: Assignment,
    revoked: Assignment,
    free: Vec<(TopicId, i32)>,
    /// Something of the target is in another's hands.
    is_waiting: bool,
}
