//! An offset that only moves forward, and those who wait for it to pass a threshold.
//!
//! Invariant: a waiter is woken at most once per registration, after the mark has reached its
//! threshold or the wait has ended with an error; a mark costs nothing while nobody waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use protocol::{ErrorCode, Offset};

/// Which of a waiter's registrations is meant: its own index, a partition's place in a request.
pub type Ticket = usize;

/// Someone who waits: a request, registered at one or many watermarks.
pub trait Waiter: Send + Sync {
    /// The mark that `ticket` was registered for was reached, or will never be.
    fn wake(&self, ticket: Ticket);
}

/// Whether a mark already stands where a waiter wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// No need to wait.
    Yes,
    /// Registered; the waiter will be woken.
    NotYet,
}

/// Who waits, by threshold.
type Waiting = BTreeMap<Offset, Vec<(Weak<dyn Waiter>, Ticket)>>;

/// One offset and its waiters, ordered by threshold.
pub struct Watermark {
    offset: Offset,
    ended: Option<ErrorCode>,
    waiting: Waiting,
    registered: usize,
}

/// Registrations between two sweeps of waiters that gave up (a fetch whose deadline passed).
const SWEEP_EVERY: usize = 64;

impl Watermark {
    /// A mark that stands at `offset`.
    pub fn new(offset: Offset) -> Self {
        Watermark {
            offset,
            ended: None,
            waiting: BTreeMap::new(),
            registered: 0,
        }
    }

    /// Where the mark stands.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Registers `waiter` to be woken once the mark is at or beyond `threshold`.
    ///
    /// Only a weak reference is kept: a waiter that is dropped has unregistered.
    ///
    /// # Errors
    /// The code with which all waiting here has ended.
    pub fn wait_for(
        &mut self,
        threshold: Offset,
        waiter: &Arc<dyn Waiter>,
        ticket: Ticket,
    ) -> Result<Reached, ErrorCode> {
        if let Some(code) = self.ended {
            return Err(code);
        }
        if self.offset >= threshold {
            return Ok(Reached::Yes);
        }
        self.waiting
            .entry(threshold)
            .or_default()
            .push((Arc::downgrade(waiter), ticket));
        self.registered += 1;
        if self.registered.is_multiple_of(SWEEP_EVERY) {
            self.sweep();
        }
        Ok(Reached::NotYet)
    }

    /// Moves the mark forward to `offset` and wakes those it reaches. A lower offset is ignored.
    pub fn advance(&mut self, offset: Offset) {
        if offset <= self.offset {
            return;
        }
        self.offset = offset;
        if self.waiting.is_empty() {
            return;
        }
        let still_waiting = self.waiting.split_off(&Offset(offset.0.saturating_add(1)));
        wake_all(std::mem::replace(&mut self.waiting, still_waiting));
    }

    /// Ends all waiting, now and later, with `code` (leadership lost, topic deleted).
    pub fn end(&mut self, code: ErrorCode) {
        self.ended = Some(code);
        wake_all(std::mem::take(&mut self.waiting));
    }

    fn sweep(&mut self) {
        self.waiting.retain(|_, waiters| {
            waiters.retain(|(waiter, _)| waiter.strong_count() > 0);
            !waiters.is_empty()
        });
    }
}

fn wake_all(waiting: Waiting) {
    for (waiter, ticket) in waiting.into_values().flatten() {
        if let Some(waiter) = waiter.upgrade() {
            waiter.wake(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Woken(Mutex<Vec<Ticket>>);

    impl Waiter for Woken {
        fn wake(&self, ticket: Ticket) {
            self.0.lock().unwrap().push(ticket);
        }
    }

    fn waiter() -> (Arc<Woken>, Arc<dyn Waiter>) {
        let woken = Arc::new(Woken::default());
        (woken.clone(), woken)
    }

    #[test]
    fn a_waiter_is_woken_when_its_threshold_is_reached_and_only_once() {
        let (woken, waiter) = waiter();
        let mut mark = Watermark::new(Offset(5));
        assert_eq!(mark.wait_for(Offset(7), &waiter, 1), Ok(Reached::NotYet));
        assert_eq!(mark.wait_for(Offset(9), &waiter, 2), Ok(Reached::NotYet));
        mark.advance(Offset(6));
        assert!(woken.0.lock().unwrap().is_empty());
        mark.advance(Offset(7));
        mark.advance(Offset(8));
        assert_eq!(*woken.0.lock().unwrap(), [1]);
        mark.advance(Offset(20));
        assert_eq!(*woken.0.lock().unwrap(), [1, 2]);
    }

    #[test]
    fn a_threshold_already_passed_needs_no_waiting() {
        let (_, waiter) = waiter();
        let mut mark = Watermark::new(Offset(5));
        assert_eq!(mark.wait_for(Offset(5), &waiter, 0), Ok(Reached::Yes));
    }

    #[test]
    fn an_ended_mark_wakes_everyone_and_refuses_newcomers() {
        let (woken, waiter) = waiter();
        let mut mark = Watermark::new(Offset(0));
        mark.wait_for(Offset(7), &waiter, 3).unwrap();
        mark.end(ErrorCode::NotLeaderOrFollower);
        assert_eq!(*woken.0.lock().unwrap(), [3]);
        assert_eq!(
            mark.wait_for(Offset(7), &waiter, 4),
            Err(ErrorCode::NotLeaderOrFollower)
        );
    }

    #[test]
    fn waiters_that_gave_up_are_swept() {
        let mut mark = Watermark::new(Offset(0));
        for ticket in 0..SWEEP_EVERY * 3 {
            let (_, waiter) = waiter();
            mark.wait_for(Offset(1 + ticket as i64), &waiter, ticket)
                .unwrap();
        }
        assert!(mark.waiting.len() <= SWEEP_EVERY);
    }

    #[test]
    fn a_lower_offset_does_not_move_the_mark_back() {
        let mut mark = Watermark::new(Offset(5));
        mark.advance(Offset(3));
        assert_eq!(mark.offset(), Offset(5));
    }
}
