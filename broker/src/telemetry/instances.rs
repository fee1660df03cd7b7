//! The client instances a broker knows, and what each may do next.
//!
//! Invariant: there are at most [`INSTANCES_MAX`], the longest unused goes first; what is decided here
//! depends on the requests, the subscriptions and the time that is given, nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use protocol::{ErrorCode, Timestamp};
use uuid::Uuid;

use super::subscriptions::{Subscription, Subscriptions};
use super::{Client, Push, compression, expires_at, is_reserved};

/// As upstream's cache.
pub(super) const INSTANCES_MAX: usize = 16_384;

/// All instances.
#[derive(Debug, Default)]
pub(super) struct Instances {
    all: HashMap<Uuid, Instance>,
    /// By the turn in which they were used last.
    used: BTreeMap<u64, Uuid>,
    turn: u64,
    /// On which connection an instance was made.
    connections: HashMap<u64, Uuid>,
}

/// One client.
#[derive(Debug)]
pub(super) struct Instance {
    subscription: Arc<Subscription>,
    last_get: Option<Timestamp>,
    last_push: Option<Timestamp>,
    last_error: Option<ErrorCode>,
    terminating: bool,
    /// Of its last request.
    connection: u64,
    expires_at: Timestamp,
    turn: u64,
}

impl Instances {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// An id that nobody has.
    pub(super) fn new_id(&self) -> Uuid {
        loop {
            let id = Uuid::new_v4();
            // Upstream never makes one that begins with a dash: it would be taken for an option.
            let begins_with_dash = id.as_bytes().first().is_some_and(|byte| byte >> 2 == 0x3e);
            if !is_reserved(id) && !begins_with_dash && !self.all.contains_key(&id) {
                return id;
            }
        }
    }

    /// The instance of a request that has just come; made, or made anew, where there is none or the
    /// subscriptions have changed.
    pub(super) fn of(
        &mut self,
        id: Uuid,
        client: &Client,
        subscriptions: &Subscriptions,
        now: Timestamp,
    ) -> &mut Instance {
        if self.all.get(&id).is_some_and(|it| it.expires_at <= now) {
            self.remove_expired(id);
        }
        let is_current = |it: &Instance| it.subscription.version >= subscriptions.version();
        let known = self.all.get(&id).is_some_and(is_current);
        if !known {
            self.connections.insert(client.connection, id);
            if let Some(outdated) = self.all.remove(&id) {
                self.used.remove(&outdated.turn);
            } else {
                self.make_room();
            }
        }
        self.turn += 1;
        let turn = self.turn;
        let instance = self.all.entry(id).or_insert_with(|| Instance {
            subscription: Arc::new(subscriptions.of_client(id, client)),
            last_get: None,
            last_push: None,
            last_error: None,
            terminating: false,
            connection: client.connection,
            expires_at: now,
            turn,
        });
        self.used.remove(&instance.turn);
        self.used.insert(turn, id);
        instance.turn = turn;
        instance.connection = client.connection;
        instance.expires_at = expires_at(now, instance.subscription.interval_ms);
        instance
    }

    fn make_room(&mut self) {
        while self.all.len() >= INSTANCES_MAX {
            let Some((_, id)) = self.used.pop_first() else {
                return;
            };
            self.all.remove(&id);
        }
    }

    /// Metrics were pushed that could not be read.
    pub(super) fn failed(&mut self, id: Uuid, code: ErrorCode) {
        if let Some(instance) = self.all.get_mut(&id) {
            instance.last_error = Some(code);
        }
    }

    pub(super) fn disconnected(&mut self, connection: u64) {
        if let Some(id) = self.connections.remove(&connection) {
            self.remove(id);
        }
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        let expired = self.all.iter().filter(|(_, it)| it.expires_at <= now);
        let expired: Vec<Uuid> = expired.map(|(id, _)| *id).collect();
        for id in expired {
            self.remove_expired(id);
        }
    }

    fn remove_expired(&mut self, id: Uuid) {
        if let Some(instance) = self.remove(id) {
            self.connections.remove(&instance.connection);
        }
    }

    fn remove(&mut self, id: Uuid) -> Option<Instance> {
        let instance = self.all.remove(&id)?;
        self.used.remove(&instance.turn);
        Some(instance)
    }
}

impl Instance {
    /// GetTelemetrySubscriptions: may it ask now, and what is it to push?
    pub(super) fn get(&mut self, now: Timestamp) -> Result<Arc<Subscription>, ErrorCode> {
        let is_time = self.is_over(self.last_get.max(self.last_push), now);
        if is_time {
            self.last_get = Some(now);
        }
        // A push that was refused for either sends the client here again.
        let sent_here = matches!(
            self.last_error,
            Some(ErrorCode::UnknownSubscriptionId | ErrorCode::UnsupportedCompressionType)
        );
        if !is_time && !sent_here {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        self.last_error = None;
        Ok(self.subscription.clone())
    }

    /// PushTelemetry: may it push this now?
    pub(super) fn push(
        &mut self,
        push: &Push,
        max_bytes: i32,
        now: Timestamp,
    ) -> Result<Arc<Subscription>, ErrorCode> {
        let allowed = self.check(push, max_bytes, now);
        // As upstream, also of a push that is refused: the one behind the next goes through again.
        self.terminating = push.terminating;
        self.last_error = allowed.err();
        allowed.map(|()| self.subscription.clone())
    }

    fn check(&mut self, push: &Push, max_bytes: i32, now: Timestamp) -> Result<(), ErrorCode> {
        if self.terminating {
            return Err(ErrorCode::InvalidRequest);
        }
        // The first push behind a GetTelemetrySubscriptions comes at any time: clients begin with
        // a part of the interval, by chance.
        let is_time = self.last_get > self.last_push || self.is_over(self.last_push, now);
        if is_time {
            self.last_push = Some(now);
        } else if !push.terminating {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        if push.subscription_id != self.subscription.id {
            return Err(ErrorCode::UnknownSubscriptionId);
        }
        if compression(push.compression).is_none() {
            return Err(ErrorCode::UnsupportedCompressionType);
        }
        if push.metrics.len() > usize::try_from(max_bytes).unwrap_or(0) {
            return Err(ErrorCode::TelemetryTooLarge);
        }
        Ok(())
    }

    /// Whether the interval since `last` is over.
    fn is_over(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        let interval = i64::from(self.subscription.interval_ms);
        last.is_none_or(|last| now.0.saturating_sub(last.0) >= interval)
    }
}
