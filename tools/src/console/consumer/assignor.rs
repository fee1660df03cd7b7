//! How a leader of a classic group spreads partitions over its members.
//!
//! Invariant: every partition of a subscribed topic goes to exactly one member that subscribes to it, but
//! for those that a cooperative member must first give up, which go to nobody yet.

use std::collections::{BTreeMap, BTreeSet};

use protocol::TopicPartition;

/// What a member said when it joined.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) instance_id: Option<String>,
    pub(super) topics: Vec<String>,
    /// What it has, as far as that counts.
    pub(super) owned: Vec<TopicPartition>,
}

pub(super) type Assignment = BTreeMap<String, Vec<TopicPartition>>;

/// Java's range assignor: each topic by itself, in ranges, to the members in their order.
pub(super) fn range(members: &[Member], partitions: &BTreeMap<String, i32>) -> Assignment {
    let mut ordered: Vec<&Member> = members.iter().collect();
    // Members with a fixed name come first, by that name.
    ordered.sort_by_key(|member| {
        let instance = member.instance_id.clone();
        (instance.is_none(), instance, member.id.clone())
    });
    let mut assignment: Assignment = members
        .iter()
        .map(|member| (member.id.clone(), Vec::new()))
        .collect();
    for (topic, count) in partitions {
        let subscribed: Vec<&&Member> = ordered
            .iter()
            .filter(|member| member.topics.contains(topic))
            .collect();
        let Ok(members) = i32::try_from(subscribed.len()) else {
            continue;
        };
        if members == 0 {
            continue;
        }
        let (share, extra) = (count / members, count % members);
        let mut next = 0;
        for (at, member) in (0..).zip(subscribed) {
            let size = share + i32::from(at < extra);
            let range = (next..next + size).map(|id| TopicPartition::new(topic.as_str(), id));
            assignment
                .entry(member.id.clone())
                .or_default()
                .extend(range);
            next += size;
        }
    }
    assignment
}

/// Keeps what members have as far as shares stay even; what moves goes to nobody until its owner has
/// given it up.
pub(super) fn cooperative_sticky(
    members: &[Member],
    partitions: &BTreeMap<String, i32>,
) -> Assignment {
    let all: BTreeSet<TopicPartition> = partitions
        .iter()
        .flat_map(|(topic, count)| (0..*count).map(|id| TopicPartition::new(topic.as_str(), id)))
        .collect();
    let may_have = |member: &Member, partition: &TopicPartition| {
        member.topics.iter().any(|it| **it == *partition.topic)
    };
    let mut owner: BTreeMap<TopicPartition, String> = BTreeMap::new();
    for member in members {
        for partition in &member.owned {
            if all.contains(partition) && may_have(member, partition) {
                owner
                    .entry(partition.clone())
                    .or_insert_with(|| member.id.clone());
            }
        }
    }
    let mut assignment: Assignment = members
        .iter()
        .map(|member| (member.id.clone(), Vec::new()))
        .collect();
    for (partition, member) in &owner {
        assignment
            .entry(member.clone())
            .or_default()
            .push(partition.clone());
    }
    for partition in all.iter().filter(|it| !owner.contains_key(*it)) {
        let candidates = members.iter().filter(|member| may_have(member, partition));
        let least = candidates.min_by_key(|member| size_of(&assignment, &member.id));
        if let Some(member) = least {
            let id = member.id.clone();
            assignment.entry(id).or_default().push(partition.clone());
        }
    }
    while let Some((partition, from, to)) = uneven(members, &assignment, &may_have) {
        assignment
            .entry(from)
            .or_default()
            .retain(|it| *it != partition);
        assignment.entry(to).or_default().push(partition);
    }
    // What another member still has is withheld from its new one (KIP-429).
    for (id, assigned) in &mut assignment {
        assigned.retain(|partition| owner.get(partition).is_none_or(|has| has == id));
        assigned.sort();
    }
    assignment
}

fn size_of(assignment: &Assignment, member: &str) -> usize {
    assignment.get(member).map_or(0, Vec::len)
}

/// A partition that a member has who has at least two more than another that may have it.
fn uneven(
    members: &[Member],
    assignment: &Assignment,
    may_have: &impl Fn(&Member, &TopicPartition) -> bool,
) -> Option<(TopicPartition, String, String)> {
    let mut by_size: Vec<&Member> = members.iter().collect();
    by_size.sort_by_key(|member| size_of(assignment, &member.id));
    for to in &by_size {
        for from in by_size.iter().rev() {
            if size_of(assignment, &from.id) < size_of(assignment, &to.id) + 2 {
                continue;
            }
            let has = assignment.get(&from.id)?;
            if let Some(partition) = has.iter().rev().find(|it| may_have(to, it)) {
                return Some((partition.clone(), from.id.clone(), to.id.clone()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, topics: &[&str], owned: &[(&str, i32)]) -> Member {
        Member {
            id: id.to_owned(),
            instance_id: None,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            owned: owned
                .iter()
                .map(|(topic, id)| TopicPartition::new(*topic, *id))
                .collect(),
        }
    }

    fn shown(assignment: &Assignment) -> String {
        let members = assignment.iter().map(|(id, assigned)| {
            let assigned: Vec<String> = assigned.iter().map(TopicPartition::to_string).collect();
            format!("{id}: {}", assigned.join(" "))
        });
        members.collect::<Vec<_>>().join("; ")
    }

    fn topics(rows: &[(&str, i32)]) -> BTreeMap<String, i32> {
        rows.iter()
            .map(|(topic, count)| ((*topic).to_owned(), *count))
            .collect()
    }

    #[test]
    fn ranges_go_to_members_in_their_order() {
        let members = [member("b", &["t", "u"], &[]), member("a", &["t"], &[])];
        assert_eq!(
            shown(&range(&members, &topics(&[("t", 3), ("u", 1)]))),
            "a: t-0 t-1; b: t-2 u-0"
        );
    }

    #[test]
    fn what_moves_is_first_given_up() {
        let members = [
            member("a", &["t"], &[("t", 0), ("t", 1), ("t", 2), ("t", 3)]),
            member("b", &["t"], &[]),
        ];
        let first = cooperative_sticky(&members, &topics(&[("t", 4)]));
        assert_eq!(shown(&first), "a: t-0 t-1; b: ");
        let members = [
            member("a", &["t"], &[("t", 0), ("t", 1)]),
            member("b", &["t"], &[]),
        ];
        let second = cooperative_sticky(&members, &topics(&[("t", 4)]));
        assert_eq!(shown(&second), "a: t-0 t-1; b: t-2 t-3");
    }

    #[test]
    fn nobody_gets_a_topic_it_did_not_ask_for() {
        let members = [member("a", &["t"], &[]), member("b", &["u"], &[("t", 0)])];
        let sticky = cooperative_sticky(&members, &topics(&[("t", 3), ("u", 1)]));
        assert_eq!(shown(&sticky), "a: t-0 t-1 t-2; b: u-0");
    }
}
