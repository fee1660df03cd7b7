//! AlterShareGroupOffsets and DeleteShareGroupOffsets.
//!
//! Invariant: offsets are moved and deleted in groups without members only; the share coordinator
//! has them, and the group knows for which partitions it does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::messages::alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic;
use protocol::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, DeleteShareGroupStateResponse, GroupId, TopicName,
};
use protocol::{ErrorCode, StrBytes, TopicId};

use super::super::metadata::MetadataView;
use super::super::refusal::Refusal;
use super::super::turn::{Turn, text};
use super::super::{GroupResponse, GroupShard};
use super::GroupCommand;
use super::command::{Awaited, delete_request, initialize_request, message_of};
use super::record::ShareGroupEntry;
use super::state::{ByTopic, NamedPartitions, StatePartitions, all_partitions};
use crate::ReplyTo;
use crate::java::{bucket, grown_table_size, uuid_hash};

/// What upstream says of a topic without offsets.
const NOTHING_TO_DELETE: &str = "There is no offset information to delete.";
/// What upstream says of a group with members.
const NON_EMPTY: &str = "The group is not empty.";

impl GroupShard {
    pub(crate) fn alter_share_offsets(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        request: &AlterShareGroupOffsetsRequest,
    ) {
        if let Err(refusal) = self.carry_out_alter(turn, token, request) {
            let response = AlterShareGroupOffsetsResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(&refusal.message)));
            turn.reply(token, GroupResponse::AlterShareGroupOffsets(response));
        }
    }

    fn carry_out_alter(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        request: &AlterShareGroupOffsetsRequest,
    ) -> Result<(), Refusal> {
        let view = self.metadata.clone();
        let group = self.share_group_or_new(&request.group_id, true)?;
        if group.size() > 0 {
            return Err(Refusal::new(ErrorCode::NonEmptyGroup, NON_EMPTY));
        }
        let mut altered = Altered::default();
        for topic in &request.topics {
            altered.take(topic, &*view);
        }
        let group_id = group.id.clone();
        let epoch = group.epochs.epoch();
        if !altered.topics.is_empty() {
            let state = group.state_partitions.clone().unwrap_or_default();
            let next = state.initializing(&altered.topics, &*view);
            turn.write_share_group(&group_id, vec![ShareGroupEntry::state(&next)]);
        }
        drop(group);
        let response = AlterShareGroupOffsetsResponse::default().with_responses(altered.responses);
        if altered.offsets.is_empty() {
            turn.reply(token, GroupResponse::AlterShareGroupOffsets(response));
            return Ok(());
        }
        self.share_state_asked(turn, &group_id, altered.topics.into_keys());
        let request = initialize_request(&group_id, epoch, altered.offsets.into_iter());
        let awaited = Awaited::AlterOffsets { token, response };
        self.await_share_state(turn, awaited, |id| {
            GroupCommand::InitializeShareGroupState {
                for_request: Some(id),
                request,
            }
        });
        Ok(())
    }

    pub(crate) fn delete_share_offsets(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        request: &DeleteShareGroupOffsetsRequest,
    ) {
        if let Err(refusal) = self.carry_out_delete(turn, token, request) {
            let response = DeleteShareGroupOffsetsResponse::default()
                .with_error_code(refusal.code.code())
                .with_error_message(Some(text(&refusal.message)));
            turn.reply(token, GroupResponse::DeleteShareGroupOffsets(response));
        }
    }

    fn carry_out_delete(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        request: &DeleteShareGroupOffsetsRequest,
    ) -> Result<(), Refusal> {
        let view = self.metadata.clone();
        let group = self.share_group(&request.group_id)?;
        if group.size() > 0 {
            return Err(Refusal::new(ErrorCode::NonEmptyGroup, NON_EMPTY));
        }
        let group_id = group.id.clone();
        let mut deleted = Deleted::default();
        if let Some(state) = &group.state_partitions {
            let mut next = state.clone();
            for topic in &request.topics {
                deleted.take(&mut next, &topic.topic_name, &*view);
            }
            if next != *state {
                turn.write_share_group(&group_id, vec![ShareGroupEntry::state(&next)]);
            }
        }
        let responses = deleted.refused;
        if deleted.topics.is_empty() {
            let response = DeleteShareGroupOffsetsResponse::default().with_responses(responses);
            turn.reply(token, GroupResponse::DeleteShareGroupOffsets(response));
            return Ok(());
        }
        let request = delete_request(&group_id, &deleted.topics);
        let awaited = Awaited::DeleteOffsets { token, responses };
        self.await_share_state(turn, awaited, |for_request| {
            GroupCommand::DeleteShareGroupState {
                for_request,
                request,
            }
        });
        Ok(())
    }

    /// The share coordinator forgot offsets, or some of them.
    pub(crate) fn offsets_deleted(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        group_id: &GroupId,
        mut refused: Vec<DeleteShareGroupOffsetsResponseTopic>,
        response: &DeleteShareGroupStateResponse,
    ) {
        let view = self.metadata.clone();
        let none = StatePartitions::default();
        let group = self.share_groups.get(group_id.as_str());
        let state = group.and_then(|group| group.state_partitions.as_ref());
        let name_of = |topic_id| {
            let deleting = &state.unwrap_or(&none).deleting;
            let name = view.topic_name(topic_id);
            let name = name.or_else(|| deleting.get(&topic_id).cloned());
            TopicName(text(&name.unwrap_or_else(|| Arc::from(""))))
        };
        let mut done = Vec::new();
        for topic in &response.results {
            let mut partitions = topic.partitions.iter();
            let failed = partitions.find(|result| result.error_code != 0);
            let answer = DeleteShareGroupOffsetsResponseTopic::default()
                .with_topic_id(topic.topic_id)
                .with_topic_name(name_of(TopicId(topic.topic_id)));
            match failed {
                Some(result) => refused.push(
                    answer
                        .with_error_code(result.error_code)
                        .with_error_message(result.error_message.clone()),
                ),
                None => done.push(answer),
            }
        }
        let ids: BTreeSet<_> = done.iter().map(|topic| TopicId(topic.topic_id)).collect();
        if let (Some(group), Some(state)) = (group, state) {
            let next = state.deleted(&ids, &*view);
            if next != *state {
                let group_id = group.id.clone();
                turn.write_share_group(&group_id, vec![ShareGroupEntry::state(&next)]);
            }
        }
        // Upstream keeps those that went well in a HashMap.
        let table_size = grown_table_size(done.len());
        done.sort_by_key(|topic| bucket(uuid_hash(topic.topic_id), table_size));
        done.extend(refused);
        let response = DeleteShareGroupOffsetsResponse::default().with_responses(done);
        turn.reply(token, GroupResponse::DeleteShareGroupOffsets(response));
    }

    /// For which partitions of a group there are offsets. A group that is not there has none.
    pub(crate) fn share_partitions(&self, group_id: &str) -> Vec<(TopicId, Vec<i32>)> {
        let group = self.share_groups.get(group_id);
        let state = group.and_then(|group| group.state_partitions.as_ref());
        let topics = state.into_iter().flat_map(|state| &state.initialized);
        topics
            .map(|(topic_id, topic)| (*topic_id, topic.partitions.iter().copied().collect()))
            .collect()
    }
}

/// What an AlterShareGroupOffsets comes to.
#[derive(Default)]
struct Altered {
    topics: ByTopic,
    offsets: BTreeMap<TopicId, BTreeMap<i32, Option<i64>>>,
    responses: Vec<AlterShareGroupOffsetsResponseTopic>,
}

impl Altered {
    fn take(&mut self, topic: &AlterShareGroupOffsetsRequestTopic, view: &dyn MetadataView) {
        let topic_id = view.topic_id(&topic.topic_name);
        let count = topic_id.and_then(|topic_id| view.partition_count(topic_id));
        let mut known = BTreeSet::new();
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let answer =
                AlterShareGroupOffsetsResponsePartition::default().with_partition_index(index);
            // Upstream takes negative ones for partitions, and nobody gets rid of them then.
            if !(0..count.unwrap_or(0)).contains(&index) {
                return answer
                    .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
                    .with_error_message(message_of(ErrorCode::UnknownTopicOrPartition));
            }
            known.insert(index);
            if let Some(topic_id) = topic_id {
                let offsets = self.offsets.entry(topic_id).or_default();
                offsets.insert(index, Some(partition.start_offset));
            }
            answer
        });
        let response = AlterShareGroupOffsetsResponseTopic::default()
            .with_topic_name(topic.topic_name.clone())
            .with_partitions(partitions.collect());
        let Some(topic_id) = topic_id else {
            self.responses.push(response);
            return;
        };
        self.responses.push(response.with_topic_id(topic_id.0));
        // As upstream has it, the group is there then, if only with a topic without partitions.
        let named = NamedPartitions {
            name: Arc::from(topic.topic_name.as_str()),
            partitions: BTreeSet::new(),
        };
        let topic = self.topics.entry(topic_id).or_insert(named);
        topic.partitions.extend(known);
    }
}

/// What a DeleteShareGroupOffsets comes to.
#[derive(Default)]
struct Deleted {
    topics: ByTopic,
    refused: Vec<DeleteShareGroupOffsetsResponseTopic>,
}

impl Deleted {
    fn take(&mut self, state: &mut StatePartitions, name: &TopicName, view: &dyn MetadataView) {
        let mut refuse = |message: Option<StrBytes>| {
            let refused = DeleteShareGroupOffsetsResponseTopic::default()
                .with_topic_name(name.clone())
                .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
                .with_error_message(message);
            self.refused.push(refused);
        };
        let Some(topic_id) = view.topic_id(name) else {
            return refuse(message_of(ErrorCode::UnknownTopicOrPartition));
        };
        if let Some(topic) = state.initialized.remove(&topic_id) {
            state.deleting.insert(topic_id, topic.name.clone());
            self.topics.insert(topic_id, topic);
        } else if state.deleting.contains_key(&topic_id) {
            // An earlier request could not have it forgotten.
            let partitions = all_partitions(topic_id, view).unwrap_or_default();
            let name = Arc::from(name.as_str());
            self.topics
                .insert(topic_id, NamedPartitions { name, partitions });
        } else {
            refuse(Some(StrBytes::from_static_str(NOTHING_TO_DELETE)));
        }
    }
}
