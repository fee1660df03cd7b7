//! Subscriptions by regular expression: when they are resolved, and to what.
//!
//! Invariant: all expressions of a group are resolved together, so that it moves on once. An
//! expression that is not resolved yet stands for no topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::ErrorCode;

use super::super::metadata::metadata_hash;
use super::super::topic_regex::{self, TopicRegex};
use super::super::turn::Turn;
use super::super::{GroupShard, GroupTimer};
use super::Refusal;
use super::group::{ConsumerGroup, ResolvedAt};
use super::member::Member;
use super::record::ConsumerGroupEntry;
use super::update::Update;

/// Expressions of a group are resolved at most this often.
const REFRESH_MIN_INTERVAL_MS: i64 = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegexChange {
    None,
    /// The group moves on when it is resolved.
    Updated,
    UpdatedAndResolved,
}

impl Update<'_> {
    /// Takes a member's new expression, and says whether the group's are to be resolved.
    pub(crate) fn update_regexes(
        &mut self,
        member: &Member,
        updated: &Member,
        last_new_topics_version: i64,
        is_resolving: bool,
    ) -> Result<RegexChange, Refusal> {
        let (old, new) = (member.regex(), updated.regex());
        let mut is_new = false;
        let mut change = RegexChange::None;
        if member.subscribed_topic_regex != updated.subscribed_topic_regex {
            change = RegexChange::Updated;
            if let Some(old) = old.filter(|old| self.group.regex_subscribers(old) == 1) {
                self.entries.push(ConsumerGroupEntry::unresolved(old));
            }
            match new {
                Some(new) if self.group.regex_subscribers(new) == 0 => {
                    check_regex(new)?;
                    is_new = true;
                }
                Some(new) if self.group.resolved.contains_key(new) => {
                    change = RegexChange::UpdatedAndResolved;
                }
                None if old.is_some() => change = RegexChange::UpdatedAndResolved,
                Some(_) | None => {}
            }
        }
        let has_any = is_new || self.group.members().any(|member| member.regex().is_some());
        if has_any && !is_resolving {
            let is_other = |other: &&Member| other.id != updated.id && other.id != member.id;
            let others = self.group.members().filter(is_other);
            let all = others.chain(std::iter::once(updated));
            let subscribed: BTreeSet<_> = all.filter_map(Member::regex).collect();
            self.resolve = !subscribed.is_empty()
                && self.must_resolve(subscribed.len(), is_new, last_new_topics_version);
        }
        Ok(change)
    }

    fn must_resolve(&self, subscribed: usize, is_new: bool, last_new_topics_version: i64) -> bool {
        // All were resolved together.
        let Some(last) = self.group.resolved_at.values().next() else {
            return true;
        };
        let age = self.now.0.saturating_sub(last.timestamp.0);
        // A clock that was put back makes nobody wait until it is where it was.
        !(0..=REFRESH_MIN_INTERVAL_MS).contains(&age)
            && (is_new
                || subscribed != self.group.resolved.len()
                || last.version < last_new_topics_version
                || age > i64::from(self.config.group_consumer_regex_refresh_interval_ms))
    }
}

fn check_regex(regex: &str) -> Result<(), Refusal> {
    match TopicRegex::new(regex) {
        Ok(_) => Ok(()),
        Err(error) => {
            let code = ErrorCode::InvalidRegularExpression;
            Err(Refusal::new(code, error.to_string()))
        }
    }
}

impl GroupShard {
    /// The expressions of a group are resolved, and it moves on if they stand for other topics.
    pub(crate) fn resolve_regexes(&mut self, turn: &mut Turn, group_id: &Arc<str>) {
        let view = self.metadata.clone();
        let Some(group) = self.consumer_groups.get_mut(group_id) else {
            return;
        };
        let at = ResolvedAt {
            version: view.version(),
            timestamp: turn.now,
        };
        let resolved = topic_regex::resolve(&group.subscribed_regexes(), view.topic_names());
        let mut update = Update::new(group, &*view, &turn.config, turn.now);
        let mut bump = false;
        for (regex, topics) in &resolved {
            let nothing = BTreeSet::new();
            bump |= group.resolved.get(regex).unwrap_or(&nothing) != topics;
            let entry = ConsumerGroupEntry::resolved(regex, topics, at);
            update.entries.push(entry);
        }
        let hash = metadata_hash(&subscribed_topics(group, &resolved), &*view);
        if bump || hash != group.metadata_hash() {
            let epoch = group.epoch().saturating_add(1);
            update.entries.push(ConsumerGroupEntry::epoch(epoch, hash));
            update.metadata_is_fresh(epoch);
        }
        let (entries, refresh) = (update.entries, update.metadata_refresh);
        if refresh.is_some() {
            group.soft.metadata_refresh = refresh;
        }
        turn.write_consumer_group(group_id, entries);
    }

    pub(crate) fn is_resolving(&self, group_id: &Arc<str>) -> bool {
        self.deadlines.contains_key(&GroupTimer::Regex {
            group_id: group_id.clone(),
        })
    }
}

fn subscribed_topics(
    group: &ConsumerGroup,
    resolved: &BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
) -> BTreeSet<Arc<str>> {
    let mut topics = BTreeSet::new();
    for member in group.members() {
        topics.extend(member.subscribed_topic_names.iter().cloned());
    }
    topics.extend(resolved.values().flatten().cloned());
    topics
}
