//! The assignors against what upstream's were seen to give, and against what they promise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::TopicId;
use uuid::Uuid;

use super::*;

/// Topics by id, with their number of partitions.
#[derive(Clone, Debug, Default)]
struct Topics(BTreeMap<TopicId, i32>);

impl TopicView for Topics {
    fn topic_id(&self, name: &str) -> Option<TopicId> {
        let id = TopicId(Uuid::parse_str(name).ok()?);
        self.0.contains_key(&id).then_some(id)
    }

    fn partition_count(&self, topic_id: TopicId) -> Option<i32> {
        self.0.get(&topic_id).copied()
    }
}

/// One group of the fixtures.
struct Fixture<'a> {
    head: &'a str,
    topics: Vec<(TopicId, i32)>,
    /// Of a share group.
    assignable: Option<TopicPartitions>,
    /// Member id, what was given, what upstream made of it.
    members: Vec<(&'a str, MemberSpec, &'a str)>,
}

fn read_fixtures(text: &str) -> Vec<Fixture<'_>> {
    let mut fixtures = Vec::<Fixture<'_>>::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<_> = line.split(' ').collect();
        match *words.as_slice() {
            ["group", ..] => fixtures.push(Fixture {
                head: line,
                topics: Vec::new(),
                assignable: None,
                members: Vec::new(),
            }),
            ["topic", id, count, ref assignable @ ..] => {
                let id = TopicId(Uuid::parse_str(id).unwrap());
                let fixture = fixtures.last_mut().unwrap();
                fixture.topics.push((id, count.parse().unwrap()));
                if let [partitions] = assignable {
                    let assignable = fixture.assignable.get_or_insert_default();
                    assignable.insert(id, read_partitions(partitions));
                }
            }
            ["member", id, instance_id, subscribed, before, after] => {
                let fixture = fixtures.last_mut().unwrap();
                let topics = &fixture.topics;
                let subscribed = subscribed.split(',').map(|index| topic(topics, index));
                let spec = MemberSpec {
                    instance_id: (instance_id != "-").then(|| Arc::from(instance_id)),
                    subscribed: subscribed.collect(),
                    assigned: Arc::new(read_assignment(topics, before)),
                };
                fixture.members.push((id, spec, after));
            }
            _ => panic!("{line}"),
        }
    }
    fixtures
}

fn topic(topics: &[(TopicId, i32)], index: &str) -> TopicId {
    topics[index.parse::<usize>().unwrap()].0
}

/// `0:1,3-5;2:0` or `-`: partitions by the place of the topic.
fn read_assignment(topics: &[(TopicId, i32)], text: &str) -> TopicPartitions {
    let of_topic = |text: &str| {
        let (index, partitions) = text.split_once(':').unwrap();
        (topic(topics, index), read_partitions(partitions))
    };
    match text {
        "-" => TopicPartitions::new(),
        _ => text.split(';').map(of_topic).collect(),
    }
}

/// `1,3-5` or `-`.
fn read_partitions(text: &str) -> BTreeSet<i32> {
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        first.parse::<i32>().unwrap()..=last.parse::<i32>().unwrap()
    };
    match text {
        "-" => BTreeSet::new(),
        _ => text.split(',').flat_map(range).collect(),
    }
}

/// Empty where all is as upstream has it.
fn difference(fixture: &Fixture<'_>) -> String {
    let (name, subscription) = fixture.head["group ".len()..].split_once(' ').unwrap();
    let members = fixture.members.iter();
    let spec = GroupSpec {
        members: members
            .map(|(id, spec, _)| (Arc::from(*id), spec.clone()))
            .collect(),
        subscription: match subscription {
            "homogeneous" => SubscriptionType::Homogeneous,
            "heterogeneous" => SubscriptionType::Heterogeneous,
            other => panic!("{other}"),
        },
        assignable: fixture.assignable.clone().map(Arc::new),
    };
    let topics = Topics(fixture.topics.iter().copied().collect());
    let assignor: &dyn Assignor = match name {
        "simple" => &simple::SimpleAssignor,
        _ => assignor(name).unwrap(),
    };
    let ours = assignor.assign(&spec, &topics).unwrap();
    let mut text = String::new();
    for (member_id, _, expected) in &fixture.members {
        let expected = read_assignment(&fixture.topics, expected);
        let ours = ours.get(*member_id).cloned().unwrap_or_default();
        if *ours != expected {
            let _ = writeln!(text, "{member_id}: {ours:?}, upstream has {expected:?}");
        }
    }
    text
}

#[test]
fn groups_are_assigned_as_upstream_assigns_them() {
    let files = [
        include_str!("../../../tests/fixtures/assignors-4.3.1.txt"),
        include_str!("../../../tests/fixtures/assignor-simple-4.3.1.txt"),
    ];
    for file in files {
        let fixtures = read_fixtures(file);
        assert!(fixtures.len() > 100, "{}", fixtures.len());
        for (index, fixture) in fixtures.iter().enumerate() {
            let difference = difference(fixture);
            assert!(
                difference.is_empty(),
                "{index}, {}: {difference}",
                fixture.head
            );
        }
    }
}

/// Topics by their place, each with so many partitions.
fn topics(counts: &[i32]) -> (Topics, Vec<TopicId>) {
    let ids: Vec<_> = (1..)
        .zip(counts)
        .map(|(index, _)| TopicId(Uuid::from_u64_pair(index, index << 17)))
        .collect();
    let topics = ids.iter().copied().zip(counts.iter().copied()).collect();
    (Topics(topics), ids)
}

fn member(instance_id: Option<&str>, subscribed: &[TopicId]) -> MemberSpec {
    MemberSpec {
        instance_id: instance_id.map(Arc::from),
        subscribed: subscribed.into(),
        assigned: Arc::default(),
    }
}

/// How many partitions of each topic there are, who subscribes what, and who claims what: the last
/// may be nonsense.
#[derive(Clone, Debug)]
struct Group {
    topics: Topics,
    spec: GroupSpec,
}

/// Whether each member subscribes each topic; (topic, partition) that it claims.
type DrawnMember = (Vec<bool>, Vec<(usize, i32)>);

fn group() -> impl Strategy<Value = Group> {
    let drawn_member = (vec(any::<bool>(), 5), vec((0..6usize, -1..12i32), 0..12));
    (vec(0..10i32, 1..5), vec(drawn_member, 1..8), any::<bool>()).prop_map(
        |(counts, drawn, is_homogeneous)| {
            let (topics, ids) = topics(&counts);
            let subscribed = |(subscribes, _): &DrawnMember| -> Arc<[TopicId]> {
                let pairs = ids.iter().zip(subscribes);
                pairs.filter(|(_, is)| **is).map(|(id, _)| *id).collect()
            };
            let first = subscribed(&drawn[0]);
            let members = drawn.iter().enumerate().map(|(index, drawn)| {
                let mut assigned = TopicPartitions::new();
                for (topic, partition) in &drawn.1 {
                    let topic_id = ids.get(*topic).copied().unwrap_or(TopicId::ZERO);
                    assigned.entry(topic_id).or_default().insert(*partition);
                }
                let spec = MemberSpec {
                    instance_id: index.is_multiple_of(3).then(|| format!("i-{index}").into()),
                    subscribed: if is_homogeneous {
                        first.clone()
                    } else {
                        subscribed(drawn)
                    },
                    assigned: Arc::new(assigned),
                };
                (Arc::from(format!("m-{index}")), spec)
            });
            let spec = GroupSpec {
                members: members.collect(),
                subscription: if is_homogeneous {
                    SubscriptionType::Homogeneous
                } else {
                    SubscriptionType::Heterogeneous
                },
                assignable: None,
            };
            Group { topics, spec }
        },
    )
}

impl Group {
    fn assign(&self, assignor_name: &str) -> GroupAssignment {
        let assignor = assignor(assignor_name).unwrap();
        assignor.assign(&self.spec, &self.topics).unwrap()
    }

    /// The same group once it has that assignment.
    fn with(&self, assignment: &GroupAssignment) -> Group {
        let mut group = self.clone();
        for (member_id, member) in &mut group.spec.members {
            member.assigned = assignment.get(member_id).cloned().unwrap_or_default();
        }
        group
    }

    /// Every partition of a subscribed topic has one owner, who subscribes the topic.
    fn check_valid(&self, assignment: &GroupAssignment) {
        let mut owned = BTreeSet::new();
        for (member_id, partitions) in assignment {
            for (topic_id, partitions) in &**partitions {
                assert!(self.spec.members[member_id].subscribed.contains(topic_id));
                assert!(!partitions.is_empty());
                for partition in partitions {
                    assert!((0..self.topics.0[topic_id]).contains(partition));
                    assert!(
                        owned.insert((*topic_id, *partition)),
                        "{topic_id} {partition}"
                    );
                }
            }
        }
        let subscribed = self
            .spec
            .members
            .values()
            .flat_map(|member| &*member.subscribed);
        let subscribed: BTreeSet<_> = subscribed.collect();
        let all: i32 = subscribed
            .iter()
            .map(|topic_id| self.topics.0[*topic_id])
            .sum();
        assert_eq!(owned.len(), usize::try_from(all).unwrap());
    }
}

fn load(partitions: &TopicPartitions) -> usize {
    partitions.values().map(BTreeSet::len).sum()
}

proptest! {
    #[test]
    fn whatever_members_claim_each_partition_gets_one_owner(group in group()) {
        for assignor in ASSIGNORS {
            let first = group.assign(assignor.name());
            group.check_valid(&first);
            let group = group.with(&first);
            group.check_valid(&group.assign(assignor.name()));
        }
    }

    #[test]
    fn members_with_the_same_topics_differ_by_one_partition_at_most(group in group()) {
        if group.spec.subscription == SubscriptionType::Homogeneous {
            let loads: Vec<_> = group.assign("uniform").values().map(|of| load(of)).collect();
            let range = loads.iter().min().zip(loads.iter().max());
            prop_assert!(range.is_none_or(|(least, most)| most - least <= 1), "{loads:?}");
        }
    }

    #[test]
    fn no_partition_could_move_to_a_subscriber_that_is_better_off(group in group()) {
        let assignment = group.assign("uniform");
        for (member_id, partitions) in &assignment {
            for topic_id in partitions.keys() {
                for (other_id, other) in &group.spec.members {
                    let other_load = load(&assignment[other_id]);
                    prop_assert!(
                        !other.subscribed.contains(topic_id) || load(partitions) <= other_load + 1,
                        "{topic_id} from {member_id} to {other_id}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_more_partitions_change_hands_than_have_to(group in group(), left in 0..8usize) {
        if group.spec.subscription == SubscriptionType::Homogeneous {
            // A valid assignment that another one follows: one leaves, another one joins.
            let mut group = group.with(&group.assign("range"));
            if let Some(left) = group.spec.members.keys().nth(left).cloned() {
                let left = group.spec.members.remove(&left).unwrap();
                group.spec.members.insert("new".into(), member(None, &left.subscribed));
            }
            let after = group.assign("uniform");
            let members = group.spec.members.iter();
            let loads: Vec<_> = members.clone().map(|(_, member)| load(&member.assigned)).collect();
            let kept: usize = members.map(|(member_id, member)| {
                let after = after.get(member_id).cloned().unwrap_or_default();
                let kept = member.assigned.iter().filter_map(|(topic_id, before)| {
                    Some(before.intersection(after.get(topic_id)?).count())
                });
                kept.sum::<usize>()
            }).sum();
            let all: usize = after.values().map(|of| load(of)).sum();
            let (share, extra) = (all / loads.len(), all % loads.len());
            let with_extra = loads.iter().filter(|load| **load > share).count().min(extra);
            let could_be_kept: usize = loads.iter().map(|load| *load.min(&share)).sum();
            prop_assert_eq!(kept, could_be_kept + with_extra);
        }
    }

    #[test]
    fn an_assignment_that_is_even_stays(group in group()) {
        for assignor in ASSIGNORS {
            let group = group.with(&group.assign(assignor.name()));
            for (member_id, assigned) in group.assign(assignor.name()) {
                prop_assert!(Arc::ptr_eq(&assigned, &group.spec.members[&member_id].assigned)
                    || assigned.is_empty());
            }
        }
    }
}

#[test]
fn range_gives_a_member_the_same_partitions_of_all_topics() {
    let (topics, ids) = topics(&[7, 7, 7]);
    let members = (0..3).map(|index| (Arc::from(format!("m-{index}")), member(None, &ids)));
    let mut spec = GroupSpec {
        members: members.collect(),
        subscription: SubscriptionType::Homogeneous,
        assignable: None,
    };
    let expected = [0..3, 3..5, 5..7];
    for subscription in [
        SubscriptionType::Homogeneous,
        SubscriptionType::Heterogeneous,
    ] {
        spec.subscription = subscription;
        let assignment = range::RangeAssignor.assign(&spec, &topics).unwrap();
        for (assigned, expected) in assignment.values().zip(expected.clone()) {
            assert_eq!(assigned.len(), 3);
            for partitions in assigned.values() {
                assert_eq!(*partitions, expected.clone().collect());
            }
        }
    }
}

#[test]
fn in_ranges_static_members_keep_their_place_under_any_member_id() {
    let (topics, ids) = topics(&[6, 5]);
    let assign = |member_ids: [&'static str; 3]| {
        let instance_ids = [Some("a"), Some("b"), None];
        let members = member_ids.into_iter().zip(instance_ids);
        let members = members.map(|(id, instance_id)| (Arc::from(id), member(instance_id, &ids)));
        let spec = GroupSpec {
            members: members.collect(),
            subscription: SubscriptionType::Homogeneous,
            assignable: None,
        };
        let assignment = range::RangeAssignor.assign(&spec, &topics).unwrap();
        member_ids.map(|id| assignment[id].clone())
    };
    assert_eq!(assign(["1", "2", "3"]), assign(["9", "8", "0"]));
}

#[test]
fn nobody_is_assigned_anything_where_a_subscribed_topic_is_missing() {
    let (topics, ids) = topics(&[3]);
    let unknown = TopicId(Uuid::from_u128(77));
    for subscription in [
        SubscriptionType::Homogeneous,
        SubscriptionType::Heterogeneous,
    ] {
        let spec = GroupSpec {
            members: [("m".into(), member(None, &[ids[0], unknown]))].into(),
            subscription,
            assignable: None,
        };
        for assignor in ASSIGNORS {
            let refused = Err(AssignorError::UnknownTopic(unknown));
            assert_eq!(assignor.assign(&spec, &topics), refused);
        }
    }
}
