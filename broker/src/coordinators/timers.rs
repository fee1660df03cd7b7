//! The armed timers of one shard: one per key, fired in the order of their deadlines.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use protocol::Timestamp;

/// A timer key is armed at most once; arming it again moves it.
pub(super) struct Timers<K> {
    deadlines: HashMap<K, (Timestamp, u64)>,
    queue: BTreeMap<(Timestamp, u64), K>,
    armed: u64,
}

impl<K: Eq + Hash + Clone> Timers<K> {
    pub(super) fn new() -> Self {
        Timers {
            deadlines: HashMap::new(),
            queue: BTreeMap::new(),
            armed: 0,
        }
    }

    pub(super) fn arm(&mut self, key: K, at: Timestamp) {
        self.cancel(&key);
        self.armed += 1;
        let place = (at, self.armed);
        self.deadlines.insert(key.clone(), place);
        self.queue.insert(place, key);
    }

    pub(super) fn cancel(&mut self, key: &K) {
        if let Some(place) = self.deadlines.remove(key) {
            self.queue.remove(&place);
        }
    }

    /// Moves all timers in time.
    pub(super) fn shift(&mut self, by_ms: i64) {
        if by_ms == 0 {
            return;
        }
        let moved = |(at, armed): (Timestamp, u64)| (Timestamp(at.0.saturating_add(by_ms)), armed);
        for place in self.deadlines.values_mut() {
            *place = moved(*place);
        }
        let queue = std::mem::take(&mut self.queue);
        self.queue = queue
            .into_iter()
            .map(|(place, key)| (moved(place), key))
            .collect();
    }

    /// When the next timer comes due.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// Takes the first timer that is due.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<K> {
        let entry = self
            .queue
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        let key = entry.remove();
        self.deadlines.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_and_once() {
        let mut timers = Timers::new();
        timers.arm("b", Timestamp(20));
        timers.arm("a", Timestamp(10));
        timers.arm("b", Timestamp(5));
        assert_eq!(timers.next_deadline(), Some(Timestamp(5)));
        assert_eq!(timers.pop_due(Timestamp(10)), Some("b"));
        assert_eq!(timers.pop_due(Timestamp(10)), Some("a"));
        assert_eq!(timers.pop_due(Timestamp(100)), None);
    }

    #[test]
    fn shifted_timers_keep_their_order_and_can_be_cancelled() {
        let mut timers = Timers::new();
        timers.arm("a", Timestamp(10));
        timers.arm("b", Timestamp(20));
        timers.shift(-5);
        assert_eq!(timers.next_deadline(), Some(Timestamp(5)));
        timers.cancel(&"a");
        assert_eq!(timers.pop_due(Timestamp(14)), None);
        assert_eq!(timers.pop_due(Timestamp(15)), Some("b"));
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_cancelled_timer_does_not_fire() {
        let mut timers = Timers::new();
        timers.arm("a", Timestamp(10));
        timers.cancel(&"a");
        assert_eq!(timers.next_deadline(), None);
        assert_eq!(timers.pop_due(Timestamp(100)), None);
    }
}
