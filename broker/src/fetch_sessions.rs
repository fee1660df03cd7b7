//! Incremental fetch sessions (KIP-227): what a consumer wants, remembered between fetches.
//!
//! Invariant: a session's epoch grows by one with each fetch, and an answer leaves out only what
//! the client was told before. Sessions are a cache: losing one costs a full fetch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::messages::FetchRequest;
use protocol::response::fetch::PartitionData;
use protocol::{ErrorCode, StrBytes};
use tokio::time::Instant;
use uuid::Uuid;

/// A session that was not used for so long may be evicted
/// (`min.incremental.fetch.session.eviction.ms` upstream, not configurable since KIP-227).
const EVICT_AFTER: Duration = Duration::from_secs(120);

const NO_SESSION: i32 = 0;
const FIRST_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// What a fetch wants of one partition, as the client said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) key: Key,
    pub(crate) fetch_offset: i64,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: i32,
}

/// A partition as a client names it: by topic name up to version 12, by topic id after.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) topic: StrBytes,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
}

/// How the answer to a fetch is filled.
pub(crate) enum FetchContext {
    /// No session: every partition is answered.
    Sessionless(Vec<Wanted>),
    /// A session was created: every partition is answered, once.
    Full {
        id: i32,
        session: Arc<Mutex<FetchSession>>,
        wanted: Vec<Wanted>,
    },
    /// Within a session: only partitions with news are answered.
    Incremental {
        id: i32,
        session: Arc<Mutex<FetchSession>>,
        wanted: Vec<Wanted>,
    },
}

/// The sessions of this broker.
pub(crate) struct FetchSessions {
    slots: usize,
    sessions: Mutex<HashMap<i32, Arc<Mutex<FetchSession>>>>,
}

/// One session.
pub(crate) struct FetchSession {
    epoch: i32,
    by_topic_id: bool,
    last_used: Instant,
    next_place: u64,
    /// Partitions in the order in which they are read; one that had data goes to the end, so that
    /// all get their turn when `max_bytes` is short.
    order: BTreeMap<u64, Known>,
    places: HashMap<Key, u64>,
}

struct Known {
    wanted: Wanted,
    /// The marks the client was last told; `None` after an error.
    told: Option<(i64, i64)>,
}

impl FetchContext {
    pub(crate) fn wanted(&self) -> &[Wanted] {
        match self {
            FetchContext::Sessionless(wanted)
            | FetchContext::Full { wanted, .. }
            | FetchContext::Incremental { wanted, .. } => wanted,
        }
    }

    /// The session id that the answer carries.
    pub(crate) fn session_id(&self) -> i32 {
        match self {
            FetchContext::Sessionless(_) => NO_SESSION,
            FetchContext::Full { id, .. } | FetchContext::Incremental { id, .. } => *id,
        }
    }

    /// Whether `answer` for a partition must be sent; notes what the client is told by it.
    /// `records` is the size of the records in it.
    pub(crate) fn must_send(&self, key: &Key, answer: &PartitionData, records: usize) -> bool {
        match self {
            FetchContext::Sessionless(_) => true,
            FetchContext::Full { session, .. } => {
                session.lock().note(key, answer, records);
                true
            }
            FetchContext::Incremental { session, .. } => session.lock().note(key, answer, records),
        }
    }
}

impl FetchSessions {
    pub(crate) fn new(slots: usize) -> Self {
        FetchSessions {
            slots,
            sessions: Mutex::default(),
        }
    }

    /// Opens, continues or closes a session as the request asks.
    ///
    /// # Errors
    /// `FETCH_SESSION_ID_NOT_FOUND`, `INVALID_FETCH_SESSION_EPOCH` and
    /// `FETCH_SESSION_TOPIC_ID_ERROR`, each of the whole request.
    pub(crate) fn context(
        &self,
        request: &FetchRequest,
        version: i16,
    ) -> Result<FetchContext, ErrorCode> {
        let by_topic_id = version >= 13;
        if request.session_epoch == FIRST_EPOCH || request.session_epoch == FINAL_EPOCH {
            if request.session_id != NO_SESSION {
                self.sessions.lock().remove(&request.session_id);
            }
            let wanted = wanted(request);
            if request.session_epoch == FINAL_EPOCH {
                return Ok(FetchContext::Sessionless(wanted));
            }
            return Ok(self.open(wanted, by_topic_id));
        }
        let session = self.sessions.lock().get(&request.session_id).cloned();
        let session = session.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let mut locked = session.lock();
        if locked.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if locked.by_topic_id != by_topic_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        locked.update(request);
        if locked.order.is_empty() {
            // The map's lock is never taken under a session's.
            drop(locked);
            self.sessions.lock().remove(&request.session_id);
            return Ok(FetchContext::Sessionless(Vec::new()));
        }
        locked.epoch = if locked.epoch == i32::MAX {
            1
        } else {
            locked.epoch + 1
        };
        locked.last_used = Instant::now();
        let wanted = locked
            .order
            .values()
            .map(|known| known.wanted.clone())
            .collect();
        drop(locked);
        Ok(FetchContext::Incremental {
            id: request.session_id,
            session,
            wanted,
        })
    }

    /// What the session `id` wants, where there is one.
    pub(crate) fn keys(&self, id: i32) -> Vec<Key> {
        let session = self.sessions.lock().get(&id).cloned();
        session.map_or_else(Vec::new, |session| {
            session.lock().places.keys().cloned().collect()
        })
    }

    fn open(&self, wanted: Vec<Wanted>, by_topic_id: bool) -> FetchContext {
        let mut sessions = self.sessions.lock();
        if !make_room(&mut sessions, self.slots) {
            return FetchContext::Sessionless(wanted);
        }
        let id = free_id(&sessions);
        let mut session = FetchSession {
            epoch: FIRST_EPOCH + 1,
            by_topic_id,
            last_used: Instant::now(),
            next_place: 0,
            order: BTreeMap::new(),
            places: HashMap::new(),
        };
        for wanted in &wanted {
            session.want(wanted.clone());
        }
        let session = Arc::new(Mutex::new(session));
        sessions.insert(id, session.clone());
        FetchContext::Full {
            id,
            session,
            wanted,
        }
    }
}

fn make_room(sessions: &mut HashMap<i32, Arc<Mutex<FetchSession>>>, slots: usize) -> bool {
    if sessions.len() < slots {
        return true;
    }
    let oldest = sessions
        .iter()
        .map(|(id, session)| (session.lock().last_used, *id))
        .min();
    match oldest {
        Some((last_used, id)) if last_used.elapsed() > EVICT_AFTER => {
            sessions.remove(&id).is_some()
        }
        Some(_) | None => false,
    }
}

/// Ids are random as upstream's are, so that a client of an earlier run does not hit a session.
fn free_id(sessions: &HashMap<i32, Arc<Mutex<FetchSession>>>) -> i32 {
    loop {
        let id = rand::random_range(1..i32::MAX);
        if !sessions.contains_key(&id) {
            return id;
        }
    }
}

/// What a request wants. Of a partition that is named twice the last counts.
pub(crate) fn wanted(request: &FetchRequest) -> Vec<Wanted> {
    let mut all: Vec<Wanted> = Vec::new();
    let mut places = HashMap::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let wanted = Wanted {
                key: Key {
                    topic: topic.topic.0.clone(),
                    topic_id: topic.topic_id,
                    partition: partition.partition,
                },
                fetch_offset: partition.fetch_offset,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
                max_bytes: partition.partition_max_bytes,
            };
            let place = *places.entry(wanted.key.clone()).or_insert(all.len());
            match all.get_mut(place) {
                Some(earlier) => *earlier = wanted,
                None => all.push(wanted),
            }
        }
    }
    all
}

impl FetchSession {
    fn update(&mut self, request: &FetchRequest) {
        for wanted in wanted(request) {
            self.want(wanted);
        }
        for topic in &request.forgotten_topics_data {
            for &partition in &topic.partitions {
                let key = Key {
                    topic: topic.topic.0.clone(),
                    topic_id: topic.topic_id,
                    partition,
                };
                if let Some(place) = self.places.remove(&key) {
                    self.order.remove(&place);
                }
            }
        }
    }

    fn want(&mut self, wanted: Wanted) {
        if let Some(known) = self
            .places
            .get(&wanted.key)
            .and_then(|at| self.order.get_mut(at))
        {
            known.wanted = wanted;
            return;
        }
        self.places.insert(wanted.key.clone(), self.next_place);
        self.order
            .insert(self.next_place, Known { wanted, told: None });
        self.next_place += 1;
    }

    fn note(&mut self, key: &Key, answer: &PartitionData, records: usize) -> bool {
        let Some(&place) = self.places.get(key) else {
            return true;
        };
        let Some(known) = self.order.get_mut(&place) else {
            return true;
        };
        let marks = (answer.high_watermark, answer.log_start_offset);
        let failed = answer.error_code != 0;
        let news =
            records > 0 || failed || known.told != Some(marks) || answer.diverging_epoch.epoch >= 0;
        known.told = (!failed).then_some(marks);
        if records > 0
            && let Some(known) = self.order.remove(&place)
        {
            self.places.insert(key.clone(), self.next_place);
            self.order.insert(self.next_place, known);
            self.next_place += 1;
        }
        news
    }
}
