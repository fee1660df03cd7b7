//! Share sessions: which partitions a member of a share group reads from this broker.
//!
//! Invariant: there are never more sessions than the limit, and none remembers more partitions than
//! [`PARTITIONS_PER_SESSION_MAX`]. A session's epoch goes up by one with each request that uses it,
//! so a request that comes twice is noticed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use protocol::{ErrorCode, TopicId};

/// Asks for a new session.
pub const INITIAL_EPOCH: i32 = 0;
/// Ends the session.
pub const FINAL_EPOCH: i32 = -1;
/// How many partitions a session remembers at most; more than any node has.
pub const PARTITIONS_PER_SESSION_MAX: usize = 100_000;

/// The epoch of the request after one with this epoch.
pub fn next_epoch(epoch: i32) -> i32 {
    if epoch < 0 {
        FINAL_EPOCH
    } else {
        epoch.checked_add(1).unwrap_or(1)
    }
}

/// Whose session it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareSessionKey {
    pub group_id: Arc<str>,
    pub member_id: Arc<str>,
}

/// A partition as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionPartition {
    pub topic_id: TopicId,
    pub partition: i32,
}

/// A partition of a session, with the name its topic had when the session heard of it first: none
/// where there was no such topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPartition {
    pub partition: SessionPartition,
    pub topic_name: Option<Arc<str>>,
}

/// What a ShareFetch says of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    pub key: ShareSessionKey,
    pub epoch: i32,
    /// Names the connection that the request came by.
    pub connection: u64,
    pub partitions: Vec<NamedPartition>,
    pub forgotten: Vec<SessionPartition>,
    pub has_acknowledgements: bool,
}

/// How a ShareFetch goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionTurn {
    /// A session began: what the request names is fetched, and all of it is answered.
    New { partitions: Vec<NamedPartition> },
    /// What the session names is fetched, in its order. Of the answer only what
    /// [`ShareSessions::answered`] leaves is sent.
    Next { partitions: Vec<NamedPartition> },
    /// Nothing is fetched; the session ends with the answer.
    Final,
}

/// What is known of a partition's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionAnswer {
    pub partition: SessionPartition,
    pub has_records: bool,
    pub has_error: bool,
}

/// How many groups without a session are remembered for a connection until it ends.
const GROUPS_PER_CONNECTION_MAX: usize = 100;

/// The share sessions of a broker.
#[derive(Debug)]
pub struct ShareSessions {
    /// `group.share.max.share.sessions`
    max_sessions: usize,
    sessions: HashMap<ShareSessionKey, ShareSession>,
    members: HashMap<Arc<str>, usize>,
    connections: HashMap<u64, Connection>,
    emptied_groups: BTreeSet<Arc<str>>,
}

#[derive(Debug, Default)]
struct Connection {
    /// The sessions that it made and that have not ended since.
    sessions: BTreeSet<ShareSessionKey>,
    /// The groups of the sessions that it made.
    groups: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
struct ShareSession {
    epoch: i32,
    connection: u64,
    /// In the order in which they are served: who got records goes to the end.
    order: BTreeMap<u64, SessionPartition>,
    partitions: HashMap<SessionPartition, CachedPartition>,
    places_given: u64,
}

#[derive(Debug)]
struct CachedPartition {
    place: u64,
    topic_name: Option<Arc<str>>,
    /// The next answer names it even if there is nothing to say.
    is_due: bool,
}

impl ShareSession {
    fn new(connection: u64) -> Self {
        ShareSession {
            epoch: next_epoch(INITIAL_EPOCH),
            connection,
            order: BTreeMap::new(),
            partitions: HashMap::new(),
            places_given: 0,
        }
    }

    fn add(&mut self, named: &NamedPartition, is_due: bool) {
        if self.partitions.contains_key(&named.partition) {
            return;
        }
        let cached = CachedPartition {
            place: self.places_given,
            topic_name: named.topic_name.clone(),
            is_due,
        };
        self.order.insert(self.places_given, named.partition);
        self.partitions.insert(named.partition, cached);
        self.places_given += 1;
    }

    fn forget(&mut self, partition: &SessionPartition) {
        if let Some(cached) = self.partitions.remove(partition) {
            self.order.remove(&cached.place);
        }
    }

    fn partitions(&self) -> Vec<NamedPartition> {
        let partitions = self.order.values();
        partitions
            .map(|partition| NamedPartition {
                partition: *partition,
                topic_name: self
                    .partitions
                    .get(partition)
                    .and_then(|cached| cached.topic_name.clone()),
            })
            .collect()
    }

    /// Whether an answer about a partition is sent, and what follows from it.
    fn answered(&mut self, answer: PartitionAnswer) -> bool {
        let Some(cached) = self.partitions.get_mut(&answer.partition) else {
            // It was forgotten meanwhile; what it says is said.
            return answer.has_records || answer.has_error;
        };
        let is_sent = answer.has_records || answer.has_error || cached.is_due;
        // After an error the next answer names it again, so that the error is seen to be over.
        cached.is_due = answer.has_error;
        if answer.has_records {
            self.order.remove(&cached.place);
            cached.place = self.places_given;
            self.order.insert(self.places_given, answer.partition);
            self.places_given += 1;
        }
        is_sent
    }
}

impl ShareSessions {
    pub fn new(max_sessions: usize) -> Self {
        ShareSessions {
            max_sessions,
            sessions: HashMap::new(),
            members: HashMap::new(),
            connections: HashMap::new(),
            emptied_groups: BTreeSet::new(),
        }
    }

    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// How many partitions all sessions remember.
    pub fn partition_count(&self) -> usize {
        let sessions = self.sessions.values();
        sessions.map(|session| session.partitions.len()).sum()
    }

    /// What a session names, in its order.
    pub fn partitions(&self, key: &ShareSessionKey) -> Vec<NamedPartition> {
        let session = self.sessions.get(key);
        session.map(ShareSession::partitions).unwrap_or_default()
    }

    /// Takes a ShareFetch in. `ShareSessionLimitReached` is answered as late as the fetch wanted to
    /// wait, lest the client asks again at once.
    pub fn fetch(&mut self, request: &SessionRequest) -> Result<SessionTurn, ErrorCode> {
        if request.epoch == FINAL_EPOCH {
            return match self.sessions.contains_key(&request.key) {
                true => Ok(SessionTurn::Final),
                false => Err(ErrorCode::ShareSessionNotFound),
            };
        }
        if request.epoch == INITIAL_EPOCH {
            return self.begin(request);
        }
        let session = Self::current(&mut self.sessions, &request.key, request.epoch)?;
        let new = request.partitions.iter();
        let new = new.filter(|named| !session.partitions.contains_key(&named.partition));
        if session.partitions.len() + new.count() > PARTITIONS_PER_SESSION_MAX {
            return Err(ErrorCode::InvalidRequest);
        }
        for named in &request.partitions {
            session.add(named, true);
        }
        for partition in &request.forgotten {
            session.forget(partition);
        }
        session.epoch = next_epoch(session.epoch);
        let partitions = session.partitions();
        Ok(SessionTurn::Next { partitions })
    }

    fn begin(&mut self, request: &SessionRequest) -> Result<SessionTurn, ErrorCode> {
        let too_many = request.partitions.len() > PARTITIONS_PER_SESSION_MAX;
        if request.has_acknowledgements || too_many {
            return Err(ErrorCode::InvalidRequest);
        }
        self.end(&request.key);
        if self.sessions.len() >= self.max_sessions {
            return Err(ErrorCode::ShareSessionLimitReached);
        }
        let mut session = ShareSession::new(request.connection);
        for named in &request.partitions {
            session.add(named, false);
        }
        let partitions = session.partitions();
        self.sessions.insert(request.key.clone(), session);
        *self
            .members
            .entry(request.key.group_id.clone())
            .or_default() += 1;
        let connection = self.connections.entry(request.connection).or_default();
        connection.sessions.insert(request.key.clone());
        connection.groups.insert(request.key.group_id.clone());
        Ok(SessionTurn::New { partitions })
    }

    /// Takes a ShareAcknowledge in. One with the final epoch ends the session with its answer; until
    /// then it stays.
    pub fn acknowledge(&mut self, key: &ShareSessionKey, epoch: i32) -> Result<(), ErrorCode> {
        if epoch == INITIAL_EPOCH {
            return Err(ErrorCode::InvalidShareSessionEpoch);
        }
        if epoch == FINAL_EPOCH {
            return match self.sessions.contains_key(key) {
                true => Ok(()),
                false => Err(ErrorCode::ShareSessionNotFound),
            };
        }
        let session = Self::current(&mut self.sessions, key, epoch)?;
        session.epoch = next_epoch(session.epoch);
        Ok(())
    }

    fn current<'a>(
        sessions: &'a mut HashMap<ShareSessionKey, ShareSession>,
        key: &ShareSessionKey,
        epoch: i32,
    ) -> Result<&'a mut ShareSession, ErrorCode> {
        let session = sessions.get_mut(key);
        let session = session.ok_or(ErrorCode::ShareSessionNotFound)?;
        if session.epoch != epoch {
            return Err(ErrorCode::InvalidShareSessionEpoch);
        }
        Ok(session)
    }

    /// Which answers of [`SessionTurn::Next`] to a request with this epoch are sent. Another request
    /// may have come meanwhile; then there is no answer but the error.
    pub fn answered(
        &mut self,
        key: &ShareSessionKey,
        epoch: i32,
        answers: &[PartitionAnswer],
    ) -> Result<Vec<SessionPartition>, ErrorCode> {
        let session = self.sessions.get_mut(key);
        let session = session.filter(|session| session.epoch == next_epoch(epoch));
        let session = session.ok_or(ErrorCode::InvalidShareSessionEpoch)?;
        let sent = answers.iter().filter(|answer| session.answered(**answer));
        Ok(sent.map(|answer| answer.partition).collect())
    }

    /// Ends a session, and says which partitions it read: what the member holds of them is to be
    /// released. None where there is no such session.
    pub fn end(&mut self, key: &ShareSessionKey) -> Option<Vec<NamedPartition>> {
        let session = self.sessions.remove(key)?;
        if let Some(members) = self.members.get_mut(&key.group_id) {
            *members = members.saturating_sub(1);
        }
        // The member may have a new session by another connection when this one's end is seen.
        if let Some(connection) = self.connections.get_mut(&session.connection) {
            connection.sessions.remove(key);
            if connection.groups.len() > GROUPS_PER_CONNECTION_MAX {
                connection.groups.remove(&key.group_id);
                self.note_if_empty(&key.group_id);
            }
        }
        Some(session.partitions())
    }

    /// A connection has ended, and the sessions with it that it made. What their members hold is to
    /// be released: they have gone without a word.
    pub fn disconnected(&mut self, connection: u64) -> Vec<(ShareSessionKey, Vec<NamedPartition>)> {
        let Some(ended) = self.connections.remove(&connection) else {
            return Vec::new();
        };
        let sessions = ended.sessions.into_iter();
        let left = sessions.filter_map(|key| self.end(&key).map(|partitions| (key, partitions)));
        let left = left.collect();
        for group_id in &ended.groups {
            self.note_if_empty(group_id);
        }
        left
    }

    fn note_if_empty(&mut self, group_id: &Arc<str>) {
        if self.members.get(group_id).is_none_or(|count| *count == 0) {
            self.members.remove(group_id);
            self.emptied_groups.insert(group_id.clone());
        }
    }

    /// The groups that have lost their last session and its connection: their share partitions can
    /// go. A group that has a session again is none of them.
    pub fn take_emptied_groups(&mut self) -> BTreeSet<Arc<str>> {
        let mut emptied = std::mem::take(&mut self.emptied_groups);
        emptied.retain(|group_id| !self.members.contains_key(group_id));
        emptied
    }

    /// Share groups were switched off (feature `share.version`).
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.members.clear();
        for connection in self.connections.values_mut() {
            connection.sessions.clear();
        }
    }
}
