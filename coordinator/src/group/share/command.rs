//! What is asked of the share coordinator, and what becomes of its answers.
//!
//! Invariant: a command leaves when the record that says so is committed, and its answer comes back
//! as a request. Whoever waits for it is answered once, then or when the record could not be
//! written; if the shard ends meanwhile, by the runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::messages::delete_groups_response::DeletableGroupResult;
use protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use protocol::messages::delete_share_group_state_request::{
    DeleteStateData, PartitionData as DeletedPartition,
};
use protocol::messages::delete_share_group_state_response::{
    DeleteStateResult, PartitionResult as DeleteResult,
};
use protocol::messages::initialize_share_group_state_request::{
    InitializeStateData, PartitionData as InitializedPartition,
};
use protocol::messages::initialize_share_group_state_response::{
    InitializeStateResult, PartitionResult as InitializeResult,
};
use protocol::messages::{
    AlterShareGroupOffsetsResponse, DeleteShareGroupStateRequest, DeleteShareGroupStateResponse,
    GroupId, InitializeShareGroupStateRequest, InitializeShareGroupStateResponse,
};
use protocol::{ErrorCode, Offset, StrBytes, TopicId};
use uuid::Uuid;

use super::super::turn::{AfterAppend, Turn, text};
use super::super::{GroupResponse, GroupShard};
use super::group::ShareGroup;
use super::record::ShareGroupEntry;
use super::state::ByTopic;
use crate::ReplyTo;
use crate::share_state::{SharePartitionKey, ShareStateRequest, ShareStateResponse, StateEpoch};

/// The start offset of a share partition where `share.auto.offset.reset` is to decide.
const NO_OFFSET: i64 = -1;

/// Work for the share coordinator. What it answered comes back as a [`GroupCommandAnswer`].
#[derive(Clone, Debug, PartialEq)]
pub enum GroupCommand {
    InitializeShareGroupState {
        /// Whose request waits for it, if any does.
        for_request: Option<Uuid>,
        request: InitializeShareGroupStateRequest,
    },
    DeleteShareGroupState {
        for_request: Uuid,
        request: DeleteShareGroupStateRequest,
    },
}

/// What the share coordinator answered to a command. Where it could not be asked, whoever carries
/// out commands answers for it, an error for each partition.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupCommandAnswer {
    Initialized {
        group_id: GroupId,
        for_request: Option<Uuid>,
        response: InitializeShareGroupStateResponse,
    },
    Deleted {
        group_id: GroupId,
        for_request: Uuid,
        response: DeleteShareGroupStateResponse,
    },
}

impl GroupCommand {
    pub fn group_id(&self) -> &StrBytes {
        match self {
            GroupCommand::InitializeShareGroupState { request, .. } => &request.group_id,
            GroupCommand::DeleteShareGroupState { request, .. } => &request.group_id,
        }
    }

    /// What the share coordinator is to be asked, a share partition each.
    pub fn requests(&self) -> Vec<ShareStateRequest> {
        let key = |topic_id: Uuid, partition| SharePartitionKey {
            group_id: Arc::from(self.group_id().as_str()),
            topic_id: TopicId(topic_id),
            partition,
        };
        match self {
            GroupCommand::InitializeShareGroupState { request, .. } => {
                let topics = request.topics.iter().flat_map(|topic| {
                    topic.partitions.iter().map(|partition| {
                        let start_offset = partition.start_offset;
                        ShareStateRequest::Initialize {
                            key: key(topic.topic_id, partition.partition),
                            state_epoch: StateEpoch(partition.state_epoch),
                            start_offset: (start_offset != NO_OFFSET)
                                .then_some(Offset(start_offset)),
                        }
                    })
                });
                topics.collect()
            }
            GroupCommand::DeleteShareGroupState { request, .. } => {
                let topics = request.topics.iter().flat_map(|topic| {
                    topic.partitions.iter().map(|partition| {
                        let key = key(topic.topic_id, partition.partition);
                        ShareStateRequest::Delete { key }
                    })
                });
                topics.collect()
            }
        }
    }

    /// What follows from the answers to [`GroupCommand::requests`], in their order. Where one is
    /// missing, nobody could be asked.
    pub fn answered(
        &self,
        answers: Vec<Result<ShareStateResponse, ErrorCode>>,
    ) -> GroupCommandAnswer {
        let mut answers = answers.into_iter();
        // Code and message, 0 and none for what went well.
        let mut next = || match answers.next() {
            Some(Ok(ShareStateResponse::Refused { code, message })) => {
                let own = || message_of(code);
                let message = message.map(StrBytes::from_static_str);
                (code.code(), message.or_else(own))
            }
            Some(Ok(
                ShareStateResponse::Done
                | ShareStateResponse::Read { .. }
                | ShareStateResponse::Summary { .. },
            )) => (0, None),
            Some(Err(code)) => (code.code(), message_of(code)),
            None => {
                let code = ErrorCode::CoordinatorNotAvailable;
                (code.code(), message_of(code))
            }
        };
        match self {
            GroupCommand::InitializeShareGroupState {
                for_request,
                request,
            } => {
                let results = request.topics.iter().map(|topic| {
                    let partitions = topic.partitions.iter().map(|partition| {
                        let (code, message) = next();
                        InitializeResult::default()
                            .with_partition(partition.partition)
                            .with_error_code(code)
                            .with_error_message(message)
                    });
                    InitializeStateResult::default()
                        .with_topic_id(topic.topic_id)
                        .with_partitions(partitions.collect())
                });
                let results = results.collect();
                GroupCommandAnswer::Initialized {
                    group_id: GroupId(request.group_id.clone()),
                    for_request: *for_request,
                    response: InitializeShareGroupStateResponse::default().with_results(results),
                }
            }
            GroupCommand::DeleteShareGroupState {
                for_request,
                request,
            } => {
                let results = request.topics.iter().map(|topic| {
                    let partitions = topic.partitions.iter().map(|partition| {
                        let (code, message) = next();
                        DeleteResult::default()
                            .with_partition(partition.partition)
                            .with_error_code(code)
                            .with_error_message(message)
                    });
                    DeleteStateResult::default()
                        .with_topic_id(topic.topic_id)
                        .with_partitions(partitions.collect())
                });
                let results = results.collect();
                GroupCommandAnswer::Deleted {
                    group_id: GroupId(request.group_id.clone()),
                    for_request: *for_request,
                    response: DeleteShareGroupStateResponse::default().with_results(results),
                }
            }
        }
    }
}

/// Kafka's own sentences, for the codes that are sent with them.
pub(crate) fn message_of(code: ErrorCode) -> Option<StrBytes> {
    // Kafka's enum is not ours: a code without a row here is sent without a sentence.
    #[allow(clippy::wildcard_enum_match_arm)]
    let message = match code {
        ErrorCode::InvalidGroupId => "The group id is invalid.",
        ErrorCode::CoordinatorLoadInProgress => {
            "The coordinator is loading and hence can't process requests."
        }
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        ErrorCode::NotCoordinator => "This is not the correct coordinator.",
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::UnknownServerError => {
            "The server experienced an unexpected error when processing the request."
        }
        _ => return None,
    };
    Some(StrBytes::from_static_str(message))
}

impl GroupCommandAnswer {
    pub fn group_id(&self) -> &GroupId {
        match self {
            GroupCommandAnswer::Initialized { group_id, .. }
            | GroupCommandAnswer::Deleted { group_id, .. } => group_id,
        }
    }
}

/// Who waits for the share coordinator, and what is known of the answer so far.
#[derive(Clone, Debug)]
pub(crate) enum Awaited {
    AlterOffsets {
        token: ReplyTo,
        response: AlterShareGroupOffsetsResponse,
    },
    DeleteOffsets {
        token: ReplyTo,
        /// The topics that were refused.
        responses: Vec<DeleteShareGroupOffsetsResponseTopic>,
    },
    DeleteGroup {
        token: ReplyTo,
    },
}

impl Awaited {
    pub(crate) fn token(&self) -> ReplyTo {
        match self {
            Awaited::AlterOffsets { token, .. }
            | Awaited::DeleteOffsets { token, .. }
            | Awaited::DeleteGroup { token } => *token,
        }
    }
}

pub(crate) fn initialize_request(
    group_id: &str,
    state_epoch: i32,
    topics: impl Iterator<Item = (TopicId, BTreeMap<i32, Option<i64>>)>,
) -> InitializeShareGroupStateRequest {
    let topics = topics.map(|(topic_id, offsets)| {
        let partitions = offsets.into_iter().map(|(index, start_offset)| {
            InitializedPartition::default()
                .with_partition(index)
                .with_state_epoch(state_epoch)
                .with_start_offset(start_offset.unwrap_or(NO_OFFSET))
        });
        InitializeStateData::default()
            .with_topic_id(topic_id.0)
            .with_partitions(partitions.collect())
    });
    InitializeShareGroupStateRequest::default()
        .with_group_id(text(group_id))
        .with_topics(topics.collect())
}

pub(crate) fn delete_request(group_id: &str, topics: &ByTopic) -> DeleteShareGroupStateRequest {
    // A topic of which no partition was altered has none.
    let topics = topics
        .iter()
        .filter(|(_, topic)| !topic.partitions.is_empty());
    let topics = topics.map(|(topic_id, topic)| {
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|index| DeletedPartition::default().with_partition(*index));
        DeleteStateData::default()
            .with_topic_id(topic_id.0)
            .with_partitions(partitions.collect())
    });
    DeleteShareGroupStateRequest::default()
        .with_group_id(text(group_id))
        .with_topics(topics.collect())
}

fn error_of(code: i16) -> Option<ErrorCode> {
    (code != 0).then(|| ErrorCode::try_from_code(code).unwrap_or(ErrorCode::UnknownServerError))
}

impl GroupShard {
    /// Leaves a command whose answer somebody waits for.
    pub(crate) fn await_share_state(
        &mut self,
        turn: &mut Turn,
        awaited: Awaited,
        command: impl FnOnce(Uuid) -> GroupCommand,
    ) {
        let id = self.ids.next_uuid();
        turn.commands.push(command(id));
        self.awaited.insert(id, awaited);
        turn.after_append = AfterAppend::ShareStateAwaited(id);
    }

    pub(crate) fn share_state_asked(
        &mut self,
        turn: &Turn,
        group_id: &str,
        topics: impl Iterator<Item = TopicId>,
    ) {
        if let Some(group) = self.share_groups.get_mut(group_id) {
            let asked_at = &mut group.soft.asked_at;
            asked_at.extend(topics.map(|topic_id| (topic_id, turn.now)));
        }
    }

    pub(crate) fn share_state_changed(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        change: &GroupCommandAnswer,
    ) {
        turn.reply(token, GroupResponse::ShareStateChanged);
        match change {
            GroupCommandAnswer::Initialized {
                group_id,
                for_request,
                response,
            } => {
                let awaited = for_request.and_then(|id| self.awaited.remove(&id));
                self.state_initialized(turn, group_id, awaited, response);
            }
            GroupCommandAnswer::Deleted {
                group_id,
                for_request,
                response,
            } => match self.awaited.remove(for_request) {
                Some(Awaited::DeleteOffsets { token, responses }) => {
                    self.offsets_deleted(turn, token, group_id, responses, response);
                }
                Some(Awaited::DeleteGroup { token }) => {
                    self.group_state_deleted(turn, token, group_id, response);
                }
                // An answer to the shard before this one.
                None | Some(Awaited::AlterOffsets { .. }) => {}
            },
        }
    }

    fn state_initialized(
        &mut self,
        turn: &mut Turn,
        group_id: &GroupId,
        awaited: Option<Awaited>,
        response: &InitializeShareGroupStateResponse,
    ) {
        let mut partitions: BTreeMap<TopicId, BTreeSet<i32>> = BTreeMap::new();
        let mut errors: BTreeMap<(Uuid, i32), (ErrorCode, Option<StrBytes>)> = BTreeMap::new();
        for topic in &response.results {
            for result in &topic.partitions {
                let indexes = partitions.entry(TopicId(topic.topic_id)).or_default();
                indexes.insert(result.partition);
                if let Some(code) = error_of(result.error_code) {
                    let error = (code, result.error_message.clone());
                    errors.insert((topic.topic_id, result.partition), error);
                }
            }
        }
        if let Some(((topic_id, partition), (code, _))) = errors.first_key_value() {
            tracing::warn!(
                group = group_id.as_str(), %topic_id, partition, ?code,
                "the state of share partitions could not be initialized"
            );
        }
        let is_altered = matches!(awaited, Some(Awaited::AlterOffsets { .. }));
        if let Some(Awaited::AlterOffsets {
            token,
            mut response,
        }) = awaited
        {
            for topic in &mut response.responses {
                for partition in topic.partitions.iter_mut().filter(|it| it.error_code == 0) {
                    let place = (topic.topic_id, partition.partition_index);
                    if let Some((code, message)) = errors.get(&place) {
                        partition.error_code = code.code();
                        partition.error_message = message.clone();
                    }
                }
            }
            turn.reply(token, GroupResponse::AlterShareGroupOffsets(response));
        }
        let view = self.metadata.clone();
        let Some(group) = self.share_groups.get_mut(group_id.as_str()) else {
            return;
        };
        let state = group.state_partitions.clone().unwrap_or_default();
        let next = if errors.is_empty() {
            state.initialized(&partitions, &*view)
        } else if is_altered {
            // They stay among those that are asked for again once they are subscribed.
            return;
        } else {
            state.uninitialized(&partitions, &*view)
        };
        if next != state {
            let entry = ShareGroupEntry::state(&next);
            turn.write_share_group(&group.id, vec![entry]);
        }
    }

    /// What was kept for a group that is to be deleted is gone, or not.
    fn group_state_deleted(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        group_id: &GroupId,
        response: &DeleteShareGroupStateResponse,
    ) {
        // The last topic has the last word, as upstream has it.
        let failed = response.results.iter().rev().find_map(|topic| {
            let mut partitions = topic.partitions.iter();
            partitions.find_map(|result| error_of(result.error_code))
        });
        let result = match failed {
            Some(code) => Err(code),
            None => self.delete_stateless_share_group(turn, group_id),
        };
        let response = DeletableGroupResult::default()
            .with_group_id(group_id.clone())
            .with_error_code(protocol::code_of(result));
        turn.reply(token, GroupResponse::DeleteGroup(response));
    }

    /// Deletes a group for which there is no state any more.
    pub(crate) fn delete_stateless_share_group(
        &self,
        turn: &mut Turn,
        group_id: &str,
    ) -> Result<(), ErrorCode> {
        let group = self.share_group(group_id).map_err(|refusal| refusal.code)?;
        if group.size() > 0 {
            return Err(ErrorCode::NonEmptyGroup);
        }
        turn.write_share_group_records(group.tombstones());
        Ok(())
    }

    /// DeleteGroups of a share group: first its state, then the group.
    pub(crate) fn delete_share_group(
        &mut self,
        turn: &mut Turn,
        token: ReplyTo,
        group_id: &Arc<str>,
    ) {
        let view = self.metadata.clone();
        let group = self.share_groups.get(group_id);
        let state = group.and_then(|group: &ShareGroup| {
            let is_empty = group.size() == 0;
            group.state_partitions.as_ref().filter(|_| is_empty)
        });
        let deleting = state.map(|state| {
            let (next, topics) = state.deleting_all(&*view);
            (next, delete_request(group_id, &topics))
        });
        let (next, request) = match deleting {
            Some((next, request)) if !request.topics.is_empty() => (next, request),
            Some(_) | None => {
                let result = self.delete_stateless_share_group(turn, group_id);
                let response = DeletableGroupResult::default()
                    .with_group_id(GroupId(text(group_id)))
                    .with_error_code(protocol::code_of(result));
                turn.reply(token, GroupResponse::DeleteGroup(response));
                return;
            }
        };
        turn.write_share_group(group_id, vec![ShareGroupEntry::state(&next)]);
        self.await_share_state(turn, Awaited::DeleteGroup { token }, |for_request| {
            GroupCommand::DeleteShareGroupState {
                for_request,
                request,
            }
        });
    }

    /// The record that a command rests on could not be written: nobody is asked.
    pub(crate) fn share_state_not_asked(&mut self, turn: &mut Turn, id: Uuid, code: ErrorCode) {
        if let Some(awaited) = self.awaited.remove(&id) {
            turn.fail(awaited.token(), code);
        }
    }
}
