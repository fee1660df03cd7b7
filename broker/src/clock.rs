//! The broker's two clocks: the service clock, which a test may move, and the system's, which
//! nobody moves. This is the one place that reads the time of day.
//!
//! Invariant: retention, group and offset expiry, record timestamps and whatever else a user
//! configures as a time ask the service clock; Raft, sockets, request deadlines and syncs keep the
//! system's. A service clock that nobody has moved costs one relaxed load.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use protocol::Timestamp;
use tokio::sync::watch;

/// The time of day as the operating system has it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl SystemClock {
    /// Milliseconds since 1970.
    pub(crate) fn now(self) -> Timestamp {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }
}

impl controller::Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemClock::now(*self)
    }
}

/// The service clock. Clones are one clock.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// False: the service clock is the system's, and `course` need not be asked.
    moved: AtomicBool,
    course: Mutex<Course>,
    /// Told at every change of course: whoever sleeps looks again.
    changed: watch::Sender<()>,
}

/// How the service clock goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// As the system's, so many milliseconds ahead.
    Ahead(i64),
    Frozen(Timestamp),
}

impl Course {
    fn at(self, system: Timestamp) -> Timestamp {
        match self {
            Course::Ahead(ms) => later(system, ms),
            Course::Frozen(at) => at,
        }
    }
}

fn later(than: Timestamp, ms: i64) -> Timestamp {
    Timestamp(than.0.saturating_add(ms))
}

/// What is asked of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Forward, or back where it is negative.
    Advance(i64),
    Set(Timestamp),
    /// Stands still from now on.
    Freeze,
    /// Goes on from where it stands.
    Resume,
    /// Is the system's clock again.
    Reset,
}

/// Where the clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) now: Timestamp,
    pub(crate) system: Timestamp,
    pub(crate) frozen: bool,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            shared: Arc::new(Shared {
                moved: AtomicBool::new(false),
                course: Mutex::new(Course::Ahead(0)),
                changed: watch::Sender::new(()),
            }),
        }
    }
}

impl Clock {
    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> Timestamp {
        let system = SystemClock.now();
        if !self.shared.moved.load(Ordering::Relaxed) {
            return system;
        }
        self.shared.course.lock().at(system)
    }

    /// Whether it is another than the system's.
    pub(crate) fn is_moved(&self) -> bool {
        self.shared.moved.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self) -> Reading {
        let system = SystemClock.now();
        let course = *self.shared.course.lock();
        Reading {
            now: course.at(system),
            system,
            frozen: matches!(course, Course::Frozen(_)),
        }
    }

    /// A clock of its own that goes as this one: to try a change on.
    pub(crate) fn clone_course(&self) -> Clock {
        let clock = Clock::default();
        *clock.shared.course.lock() = *self.shared.course.lock();
        clock
    }

    /// Changes the clock's course, all changes as one; says by how many milliseconds it jumped.
    pub(crate) fn change(&self, changes: &[Change]) -> i64 {
        let jumped = {
            let mut course = self.shared.course.lock();
            let system = SystemClock.now();
            let before = course.at(system);
            for change in changes {
                *course = changed(*course, system, *change);
            }
            self.shared
                .moved
                .store(*course != Course::Ahead(0), Ordering::Relaxed);
            course.at(system).0.saturating_sub(before.0)
        };
        self.shared.changed.send_replace(());
        jumped
    }

    /// Completes when `now()` has reached `at`, however the clock gets there.
    pub(crate) fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = self.clone();
        Box::pin(async move {
            let mut changes = clock.shared.changed.subscribe();
            loop {
                let reading = clock.read();
                let left = at.0.saturating_sub(reading.now.0);
                if left <= 0 {
                    return;
                }
                let wait = Duration::from_millis(left.unsigned_abs());
                tokio::select! {
                    () = tokio::time::sleep(wait), if !reading.frozen => {}
                    // The sender lives as long as the clock, which is held here.
                    _ = changes.changed() => {}
                }
            }
        })
    }
}

fn changed(course: Course, system: Timestamp, change: Change) -> Course {
    let ahead_of_system = |at: Timestamp| Course::Ahead(at.0.saturating_sub(system.0));
    match (change, course) {
        (Change::Advance(by), Course::Ahead(ms)) => Course::Ahead(ms.saturating_add(by)),
        (Change::Advance(by), Course::Frozen(at)) => Course::Frozen(later(at, by)),
        (Change::Set(to), Course::Ahead(_)) => ahead_of_system(to),
        (Change::Set(to), Course::Frozen(_)) => Course::Frozen(to),
        (Change::Freeze, course) => Course::Frozen(course.at(system)),
        (Change::Resume, course) => ahead_of_system(course.at(system)),
        (Change::Reset, Course::Ahead(_) | Course::Frozen(_)) => Course::Ahead(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_clock_that_nobody_moved_is_the_systems() {
        let clock = Clock::default();
        let (before, now, after) = (SystemClock.now(), clock.now(), SystemClock.now());
        assert!(before <= now && now <= after);
        assert!(!clock.read().frozen);
    }

    #[test]
    fn a_moved_clock_goes_on_from_there_and_a_reset_brings_it_back() {
        let clock = Clock::default();
        let before = clock.now();
        assert_eq!(clock.change(&[Change::Advance(HOUR)]), HOUR);
        assert!(clock.now() >= later(before, HOUR));
        assert_eq!(clock.change(&[Change::Advance(-HOUR / 2)]), -HOUR / 2);
        assert!(clock.now() < later(before, HOUR));
        clock.change(&[Change::Reset]);
        assert!(!clock.shared.moved.load(Ordering::Relaxed));
    }

    #[test]
    fn a_frozen_clock_stands_still_where_it_is_set() {
        let clock = Clock::default();
        clock.change(&[Change::Set(Timestamp(5_000)), Change::Freeze]);
        assert_eq!(clock.now(), Timestamp(5_000));
        assert_eq!(clock.change(&[Change::Advance(10)]), 10);
        assert_eq!(clock.now(), Timestamp(5_010));
        assert_eq!(clock.change(&[Change::Resume]), 0);
        let reading = clock.read();
        assert!(!reading.frozen && reading.now.0 < 5_010 + HOUR);
    }

    /// Longer than what a sleeper is still to wait, were its clock not stopped or set back.
    const A_WHILE: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_jumps_and_not_while_it_is_frozen() {
        let clock = Clock::default();
        clock.change(&[Change::Freeze]);
        let mut sleeper = clock.sleep_until(later(clock.now(), 5));
        assert!(tokio::time::timeout(A_WHILE, &mut sleeper).await.is_err());
        clock.change(&[Change::Advance(5)]);
        tokio::time::timeout(10 * A_WHILE, sleeper).await.unwrap();
    }

    #[tokio::test]
    async fn a_sleeper_whose_clock_is_set_back_sleeps_longer() {
        let clock = Clock::default();
        let mut sleeper = tokio::spawn(clock.sleep_until(later(clock.now(), 5)));
        clock.change(&[Change::Advance(-HOUR)]);
        assert!(tokio::time::timeout(A_WHILE, &mut sleeper).await.is_err());
        clock.change(&[Change::Advance(2 * HOUR)]);
        tokio::time::timeout(10 * A_WHILE, sleeper)
            .await
            .unwrap()
            .unwrap();
    }
}
