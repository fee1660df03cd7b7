//! DescribeShareGroupOffsets: what to ask of whom, and the answer made of what they said.
//!
//! Invariant: pure. Where the share coordinator has nothing, or cannot say, there is no offset; that
//! is no error, as in OffsetFetch.

use std::collections::{BTreeMap, BTreeSet};

use protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestTopic;
use protocol::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
    DescribeShareGroupOffsetsResponseTopic,
};
use protocol::messages::{GroupId, TopicName};
use protocol::{ErrorCode, TopicId};

use super::command::message_of;
use crate::group::MetadataView;
use crate::group::turn::text;
use crate::java::{bucket, grown_table_size, uuid_hash};

/// Stands where there is no start offset, and where there is no lag.
const NONE: i64 = -1;

/// Where a share partition stands, as the share coordinator has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharePartitionSummary {
    pub start_offset: Option<i64>,
    pub leader_epoch: i32,
    /// How many records behind the start are done with; not known where nobody reads the partition.
    pub delivery_complete_count: Option<i32>,
}

impl SharePartitionSummary {
    /// What a lag is counted from, if it can be told.
    pub fn done(&self) -> Option<i64> {
        let count = i64::from(self.delivery_complete_count?);
        self.start_offset.map(|start| start.saturating_add(count))
    }
}

/// The share partitions of one group that are to be described.
#[derive(Clone, Debug)]
pub struct DescribedOffsets {
    group_id: GroupId,
    topics: BTreeMap<TopicId, (TopicName, BTreeSet<i32>)>,
    /// Topics that are not there.
    absent: Vec<DescribeShareGroupOffsetsResponseTopic>,
}

impl DescribedOffsets {
    /// Those that the request names. Whether the group is there does not matter.
    pub fn of_topics(
        group_id: GroupId,
        topics: &[DescribeShareGroupOffsetsRequestTopic],
        view: &dyn MetadataView,
    ) -> Self {
        let mut described = DescribedOffsets {
            group_id,
            topics: BTreeMap::new(),
            absent: Vec::new(),
        };
        for topic in topics {
            let partitions = topic.partitions.iter().copied();
            match view.topic_id(&topic.topic_name) {
                Some(topic_id) if !topic.partitions.is_empty() => {
                    let known = described.topics.entry(topic_id);
                    let known = known.or_insert((topic.topic_name.clone(), BTreeSet::new()));
                    known.1.extend(partitions);
                }
                Some(_) => {}
                None => {
                    let partitions = partitions.map(no_offset);
                    let absent = DescribeShareGroupOffsetsResponseTopic::default()
                        .with_topic_name(topic.topic_name.clone())
                        .with_partitions(partitions.collect());
                    described.absent.push(absent);
                }
            }
        }
        described
    }

    /// Those that the group has, as [`crate::group::GroupRequest::SharePartitions`] tells.
    pub fn of_group(
        group_id: GroupId,
        partitions: Vec<(TopicId, Vec<i32>)>,
        view: &dyn MetadataView,
    ) -> Self {
        let topics = partitions.into_iter().filter_map(|(topic_id, partitions)| {
            let name = TopicName(text(&view.topic_name(topic_id)?));
            let partitions: BTreeSet<i32> = partitions.into_iter().collect();
            (!partitions.is_empty()).then_some((topic_id, (name, partitions)))
        });
        DescribedOffsets {
            group_id,
            topics: topics.collect(),
            absent: Vec::new(),
        }
    }

    /// For which the share coordinator is to be asked.
    pub fn places(&self) -> impl Iterator<Item = (TopicId, i32)> + '_ {
        self.topics.iter().flat_map(|(topic_id, (_, partitions))| {
            let topic_id = *topic_id;
            partitions.iter().map(move |index| (topic_id, *index))
        })
    }

    /// The answer, made of what the share coordinator said and of where the partitions end. The end
    /// is asked for where a lag can be told.
    pub fn answer(
        self,
        summaries: &BTreeMap<(TopicId, i32), SharePartitionSummary>,
        end_of: impl Fn(TopicId, i32) -> Result<i64, ErrorCode>,
    ) -> DescribeShareGroupOffsetsResponseGroup {
        let table_size = grown_table_size(self.topics.len());
        let mut topics: Vec<_> = self.topics.into_iter().collect();
        // Upstream keeps topics and partitions in HashMaps.
        topics.sort_by_key(|(topic_id, _)| bucket(uuid_hash(topic_id.0), table_size));
        let topics = topics.into_iter().map(|(topic_id, (name, partitions))| {
            let table_size = grown_table_size(partitions.len());
            let mut partitions: Vec<_> = partitions.into_iter().collect();
            partitions.sort_by_key(|index| bucket(*index, table_size));
            let partitions = partitions.into_iter().map(|index| {
                let Some(summary) = summaries.get(&(topic_id, index)) else {
                    return no_offset(index);
                };
                describe(index, summary, || end_of(topic_id, index))
            });
            DescribeShareGroupOffsetsResponseTopic::default()
                .with_topic_name(name)
                .with_topic_id(topic_id.0)
                .with_partitions(partitions.collect())
        });
        let topics = topics.chain(self.absent);
        DescribeShareGroupOffsetsResponseGroup::default()
            .with_group_id(self.group_id)
            .with_topics(topics.collect())
    }
}

fn no_offset(index: i32) -> DescribeShareGroupOffsetsResponsePartition {
    DescribeShareGroupOffsetsResponsePartition::default()
        .with_partition_index(index)
        .with_start_offset(NONE)
        .with_lag(NONE)
}

fn describe(
    index: i32,
    summary: &SharePartitionSummary,
    end: impl Fn() -> Result<i64, ErrorCode>,
) -> DescribeShareGroupOffsetsResponsePartition {
    let described = no_offset(index)
        .with_start_offset(summary.start_offset.unwrap_or(NONE))
        .with_leader_epoch(summary.leader_epoch);
    let Some(done) = summary.done() else {
        return described;
    };
    match end() {
        // Negative where an offset was set beyond the end.
        Ok(end) => described.with_lag(end.saturating_sub(done)),
        Err(code) => DescribeShareGroupOffsetsResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(code.code())
            .with_error_message(message_of(code)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::StrBytes;
    use uuid::Uuid;

    use super::*;
    use crate::group::{GroupConfig, TopicView};

    /// `foo` and `bar`.
    #[derive(Debug)]
    struct View;

    const FOO: TopicId = TopicId(Uuid::from_u128(1));
    const BAR: TopicId = TopicId(Uuid::from_u128(2));

    impl TopicView for View {
        fn topic_id(&self, name: &str) -> Option<TopicId> {
            match name {
                "foo" => Some(FOO),
                "bar" => Some(BAR),
                _ => None,
            }
        }

        fn partition_count(&self, _: TopicId) -> Option<i32> {
            Some(2)
        }
    }

    impl MetadataView for View {
        fn version(&self) -> i64 {
            0
        }

        fn topic_name(&self, topic_id: TopicId) -> Option<Arc<str>> {
            [(FOO, "foo"), (BAR, "bar")]
                .into_iter()
                .find(|(id, _)| *id == topic_id)
                .map(|(_, name)| Arc::from(name))
        }

        fn topic_names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
            Box::new(["bar", "foo"].into_iter())
        }

        fn racks(&self, _: TopicId, _: i32) -> Vec<Arc<str>> {
            Vec::new()
        }

        fn group_config(&self, _: &str) -> GroupConfig {
            GroupConfig::default()
        }
    }

    fn group() -> GroupId {
        GroupId(StrBytes::from_static_str("g"))
    }

    fn asked(name: &'static str, partitions: &[i32]) -> DescribeShareGroupOffsetsRequestTopic {
        DescribeShareGroupOffsetsRequestTopic::default()
            .with_topic_name(TopicName(StrBytes::from_static_str(name)))
            .with_partitions(partitions.to_vec())
    }

    fn summary(start: Option<i64>, count: Option<i32>) -> SharePartitionSummary {
        SharePartitionSummary {
            start_offset: start,
            leader_epoch: 3,
            delivery_complete_count: count,
        }
    }

    /// Name and partition with start offset, leader epoch, lag and error.
    fn shown(
        group: &DescribeShareGroupOffsetsResponseGroup,
    ) -> Vec<(String, i32, i64, i32, i64, i16)> {
        let topics = group.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| {
                (
                    topic.topic_name.to_string(),
                    partition.partition_index,
                    partition.start_offset,
                    partition.leader_epoch,
                    partition.lag,
                    partition.error_code,
                )
            })
        });
        topics.collect()
    }

    #[test]
    fn what_the_share_coordinator_does_not_have_has_no_offset_and_no_lag() {
        let topics = [
            asked("foo", &[0, 7]),
            asked("nope", &[1]),
            asked("bar", &[]),
        ];
        let described = DescribedOffsets::of_topics(group(), &topics, &View);
        assert_eq!(described.places().collect::<Vec<_>>(), [(FOO, 0), (FOO, 7)]);
        let summaries = [((FOO, 0), summary(None, None))].into();
        let answer = described.answer(&summaries, |_, _| panic!("no lag can be told"));
        let expected = [
            ("foo".to_owned(), 0, -1, 3, -1, 0),
            ("foo".to_owned(), 7, -1, 0, -1, 0),
            ("nope".to_owned(), 1, -1, 0, -1, 0),
        ];
        assert_eq!(shown(&answer), expected);
        assert!(
            answer
                .topics
                .last()
                .is_some_and(|topic| topic.topic_id.is_nil())
        );
    }

    #[test]
    fn a_lag_is_what_is_left_up_to_the_end_of_the_partition() {
        let partitions = vec![
            (FOO, vec![0, 1]),
            (BAR, vec![1]),
            (TopicId(Uuid::from_u128(9)), vec![0]),
        ];
        let described = DescribedOffsets::of_group(group(), partitions, &View);
        let summaries = [
            ((FOO, 0), summary(Some(5), Some(2))),
            ((FOO, 1), summary(Some(7), None)),
            ((BAR, 1), summary(Some(4), Some(0))),
        ];
        let ends = |topic_id, _| match topic_id {
            FOO => Ok(17),
            _ => Err(ErrorCode::NotLeaderOrFollower),
        };
        let answer = described.answer(&summaries.into(), ends);
        let mut answered = shown(&answer);
        answered.sort();
        let not_leader = ErrorCode::NotLeaderOrFollower.code();
        let expected = [
            ("bar".to_owned(), 1, 0, 0, -1, not_leader),
            ("foo".to_owned(), 0, 5, 3, 10, 0),
            ("foo".to_owned(), 1, 7, 3, -1, 0),
        ];
        assert_eq!(answered, expected);
    }
}
