//! The order in which upstream walks the members, topics and partitions of a group.
//!
//! Invariant: the order rests on the keys and their number alone. Upstream walks hash tables, and
//! who gets a partition that several could have is decided by that; it is followed as far as it
//! rests on the keys. Keys in one bucket upstream walks as they were put, which nobody can know
//! later: here they go by themselves, ascending, or as the caller gives them.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::TopicId;

use super::{GroupSpec, MemberSpec, TopicPartitions};
use crate::java::{bucket, copied_table_size, grown_table_size, string_hash, uuid_hash};

/// The members of a group as upstream walks the map of them.
pub(super) fn members(spec: &GroupSpec) -> Vec<(&Arc<str>, &MemberSpec)> {
    let table_size = grown_table_size(spec.members.len());
    let mut members: Vec<_> = spec.members.iter().collect();
    members.sort_by_cached_key(|(member_id, _)| bucket(string_hash(member_id), table_size));
    members
}

/// Names of topics as upstream walks a set that was made from them.
pub(super) fn copied_names(names: &BTreeSet<Arc<str>>) -> Vec<&Arc<str>> {
    let table_size = copied_table_size(names.len());
    let mut names: Vec<_> = names.iter().collect();
    names.sort_by_cached_key(|name| bucket(string_hash(name), table_size));
    names
}

/// Topics as upstream walks a set that was made from them.
pub(super) fn copied_topics(topics: &[TopicId]) -> Vec<TopicId> {
    let table_size = copied_table_size(topics.len());
    let mut topics = topics.to_vec();
    topics.sort_by_key(|topic_id| bucket(uuid_hash(topic_id.0), table_size));
    topics
}

/// The topics of an assignment as upstream walks the map that it read from a record.
pub(super) fn assigned_topics(assigned: &TopicPartitions) -> Vec<(TopicId, &BTreeSet<i32>)> {
    let table_size = grown_table_size(assigned.len());
    let mut topics: Vec<_> = assigned.iter().map(|(id, of_it)| (*id, of_it)).collect();
    topics.sort_by_key(|(topic_id, _)| bucket(uuid_hash(topic_id.0), table_size));
    topics
}

/// The partitions of one topic as upstream walks the set that it read from a record.
pub(super) fn assigned_partitions(assigned: &BTreeSet<i32>) -> Vec<i32> {
    let table_size = copied_table_size(assigned.len());
    let mut partitions: Vec<_> = assigned.iter().copied().collect();
    // An Integer is its own hash.
    partitions.sort_by_key(|partition| bucket(*partition, table_size));
    partitions
}

/// What topics are ordered by where upstream sorts them: its ids compare as signed numbers.
pub(super) fn topic_id_key(topic_id: TopicId) -> (i64, i64) {
    let (most, least) = topic_id.0.as_u64_pair();
    (most as i64, least as i64)
}
