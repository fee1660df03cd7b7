//! Memory that requests on their way in may hold, all connections together
//! (`queued.max.request.bytes`).
//!
//! Invariants: what is held never exceeds the budget by more than one frame; somebody can always
//! go on. A frame takes room as its bytes arrive. Where none is left, one frame at a time may read
//! on beyond the budget, so frames that wait for each other's room are no deadlock; frames that
//! stand still are cut by their reader (`STALL`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What each connection may hold without asking.
const FREE: usize = 64 * 1024;
/// Room is counted in pieces of this size.
const PIECE: usize = 1024;
/// How long a frame that holds room may stand still.
pub(super) const STALL: Duration = Duration::from_secs(30);
/// The budget where none is configured: upstream has none at all, and can be made to run out of
/// memory by eight connections (W1).
const DEFAULT: usize = 256 * 1024 * 1024;

/// The room there is.
pub(super) struct Budget {
    pieces: Arc<Semaphore>,
    /// How many there are in all.
    all: usize,
    /// The right to go beyond.
    beyond: Arc<Semaphore>,
}

/// Room that one connection holds; dropping it gives it back.
#[derive(Default)]
pub(super) struct Held {
    permits: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// Room for `configured` bytes; none or a negative number means the default. A frame of the
    /// largest size always fits.
    pub(super) fn new(configured: i64, frame_bytes_max: usize) -> Self {
        let configured = usize::try_from(configured).ok().filter(|bytes| *bytes > 0);
        let bytes = configured.unwrap_or(DEFAULT).max(frame_bytes_max);
        let all = (bytes / PIECE).min(Semaphore::MAX_PERMITS);
        Budget {
            pieces: Arc::new(Semaphore::new(all)),
            all,
            beyond: Arc::new(Semaphore::new(1)),
        }
    }

    /// Bytes that are held, and how many may be.
    pub(super) fn used(&self) -> (usize, usize) {
        let free = self.pieces.available_permits().min(self.all);
        ((self.all - free) * PIECE, self.all * PIECE)
    }
}

impl Held {
    /// Whether anything is held that others may wait for.
    pub(super) fn is_some(&self) -> bool {
        self.permits.is_some() || self.beyond.is_some()
    }

    /// Waits until `bytes` in all may be held.
    pub(super) async fn cover(&mut self, budget: &Budget, bytes: usize) {
        let wanted = bytes.saturating_sub(FREE).div_ceil(PIECE);
        let have = self
            .permits
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = wanted.checked_sub(have).filter(|more| *more > 0) else {
            return;
        };
        if self.beyond.is_some() {
            return;
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        // A semaphore fails only when it is closed, and these never are.
        tokio::select! {
            biased;
            Ok(taken) = budget.pieces.clone().acquire_many_owned(more) => match &mut self.permits {
                Some(permits) => permits.merge(taken),
                None => self.permits = Some(taken),
            },
            Ok(beyond) = budget.beyond.clone().acquire_owned() => self.beyond = Some(beyond),
            else => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: usize = 1024 * 1024;

    /// Whether that much may be held at once.
    async fn covers(held: &mut Held, budget: &Budget, bytes: usize) -> bool {
        tokio::select! {
            biased;
            () = held.cover(budget, bytes) => true,
            () = tokio::task::yield_now() => false,
        }
    }

    #[tokio::test]
    async fn small_frames_take_no_room() {
        let budget = Budget::new(1, 0);
        for _ in 0..100 {
            let mut held = Held::default();
            assert!(covers(&mut held, &budget, FREE).await);
            assert!(!held.is_some());
        }
    }

    #[tokio::test]
    async fn one_frame_at_a_time_goes_beyond_the_budget() {
        let budget = Budget::new(MEBIBYTE as i64, MEBIBYTE);
        let (mut first, mut second, mut third) =
            (Held::default(), Held::default(), Held::default());
        assert!(covers(&mut first, &budget, MEBIBYTE / 2).await);
        assert!(covers(&mut second, &budget, MEBIBYTE / 2 + FREE).await);
        // Nobody could go on; one may.
        assert!(covers(&mut first, &budget, MEBIBYTE).await);
        assert!(!covers(&mut second, &budget, MEBIBYTE).await);
        assert!(!covers(&mut third, &budget, MEBIBYTE).await);
        drop(first);
        assert!(covers(&mut second, &budget, MEBIBYTE).await);
        drop(second);
        assert!(covers(&mut third, &budget, MEBIBYTE).await);
    }

    #[tokio::test]
    async fn room_is_given_back() {
        let budget = Budget::new(MEBIBYTE as i64, MEBIBYTE);
        for _ in 0..10 {
            let mut held = Held::default();
            assert!(covers(&mut held, &budget, MEBIBYTE / 2).await);
            assert!(covers(&mut held, &budget, MEBIBYTE).await);
            assert!(held.beyond.is_none());
        }
    }
}
