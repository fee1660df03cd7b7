//! What tests may do to a running node: one thing at a time.
//!
//! Invariant: without `klamm.test.mode=true` nothing of it is done, and a produce pays nothing
//! for it.

mod put_back;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::ErrorCode;
use tokio::sync::{MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::api::Node;
use crate::clock::{Change, Reading};
use crate::housekeeping;
pub(crate) use put_back::Counts;
use snapshot::Snapshot;

/// Snapshots that are kept at once, beside the one that was taken at the start.
const SNAPSHOTS_MAX: usize = 64;

/// The last millisecond of the year 9999, which RFC 3339 can still say.
const CLOCK_LAST: i64 = 253_402_300_799_999;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("there is no snapshot {name:?}; there are: {}", names(known))]
    UnknownSnapshot { name: String, known: Vec<String> },
    #[error(
        "{SNAPSHOTS_MAX} snapshots are kept already: delete one, or take it under its name again"
    )]
    TooManySnapshots,
    #[error("the node has not started in test mode")]
    NotStarted,
    #[error("the metadata could not be put back: {0:?}")]
    Metadata(ErrorCode),
    #[error("topics were created under the names of those that are put back, again and again")]
    NamesTaken,
    #[error("the clock would stand at {at} ms since 1970; expected 0 to {CLOCK_LAST}")]
    ClockOutOfRange { at: i64 },
    #[error("the logs could not be kept or put back: {0}")]
    Storage(#[from] storage::Error),
}

fn names(known: &[String]) -> String {
    if known.is_empty() {
        return "none".to_owned();
    }
    known.join(", ")
}

/// The state of the test controls.
pub(crate) struct TestControls {
    turn: tokio::sync::Mutex<()>,
    /// Held for reading by each produce, from its append to its answer, and for writing while logs
    /// are put back: so every produce comes whole before or whole after. `None` outside of test
    /// mode.
    appends: Option<RwLock<()>>,
    snapshots: Mutex<Snapshots>,
}

#[derive(Default)]
struct Snapshots {
    initial: Option<Arc<Snapshot>>,
    named: BTreeMap<String, Arc<Snapshot>>,
}

/// A snapshot as it is listed.
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) topics: usize,
    pub(crate) records: i64,
}

impl TestControls {
    pub(crate) fn new(test_mode: bool) -> TestControls {
        TestControls {
            turn: tokio::sync::Mutex::default(),
            appends: test_mode.then(RwLock::default),
            snapshots: Mutex::default(),
        }
    }

    /// Waits until no other control is at work. Held, on purpose, while this one is.
    async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Keeps logs from being put back until it is dropped.
    pub(crate) async fn appending(&self) -> Option<RwLockReadGuard<'_, ()>> {
        match &self.appends {
            Some(appends) => Some(appends.read().await),
            None => None,
        }
    }

    async fn no_appends(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        match &self.appends {
            Some(appends) => Some(appends.write().await),
            None => None,
        }
    }

    /// The snapshots by name, without the one of the start.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let snapshots = self.snapshots.lock();
        let listed = snapshots.named.iter().map(|(name, snapshot)| Listed {
            name: name.clone(),
            topics: snapshot.topics(),
            records: snapshot.records(),
        });
        listed.collect()
    }

    /// Forgets a snapshot.
    ///
    /// # Errors
    /// There is none of that name.
    pub(crate) fn delete(&self, name: &str) -> Result<(), ControlError> {
        let mut snapshots = self.snapshots.lock();
        let removed = snapshots.named.remove(name);
        let known = snapshots.named.keys().cloned().collect();
        drop(snapshots);
        removed
            .map(drop)
            .ok_or_else(|| ControlError::UnknownSnapshot {
                name: name.to_owned(),
                known,
            })
    }

    fn named(&self, name: &str) -> Result<Arc<Snapshot>, ControlError> {
        let snapshots = self.snapshots.lock();
        let found = snapshots.named.get(name).cloned();
        found.ok_or_else(|| ControlError::UnknownSnapshot {
            name: name.to_owned(),
            known: snapshots.named.keys().cloned().collect(),
        })
    }
}

/// The start is over: what there is now is what a reset comes back to.
pub(crate) async fn started(node: &Arc<Node>) -> Result<(), ControlError> {
    // Transactions that a kill interrupted may just be completed.
    let _no_appends = node.test_controls.no_appends().await;
    let snapshot = Snapshot::take(node).await?;
    node.test_controls.snapshots.lock().initial = Some(Arc::new(snapshot));
    Ok(())
}

/// Back to the state after the start, when there were no rules of faults and the clock was the
/// system's.
pub(crate) async fn reset(node: &Arc<Node>) -> Result<Counts, ControlError> {
    let controls = &node.test_controls;
    let _turn = controls.turn().await;
    let initial = controls.snapshots.lock().initial.clone();
    let mut counts = put_back::put_back(node, initial.ok_or(ControlError::NotStarted)?).await?;
    counts.faults_removed = node.faults.remove(None).len();
    node.crash_points.set(None);
    node.telemetry.clear();
    if node.clock.is_moved() {
        move_clock(node, &[Change::Reset]).await;
    }
    Ok(counts)
}

/// Keeps the state as it is now under a name, in place of what was kept under it.
pub(crate) async fn keep(node: &Arc<Node>, name: &str) -> Result<Listed, ControlError> {
    let controls = &node.test_controls;
    let _turn = controls.turn().await;
    {
        let snapshots = controls.snapshots.lock();
        if snapshots.named.len() >= SNAPSHOTS_MAX && !snapshots.named.contains_key(name) {
            return Err(ControlError::TooManySnapshots);
        }
    }
    let snapshot = {
        let _no_appends = controls.no_appends().await;
        Snapshot::take(node).await?
    };
    let listed = Listed {
        name: name.to_owned(),
        topics: snapshot.topics(),
        records: snapshot.records(),
    };
    let snapshot = Arc::new(snapshot);
    let former = controls
        .snapshots
        .lock()
        .named
        .insert(name.to_owned(), snapshot);
    // Its files are removed, not under the lock.
    drop(former);
    Ok(listed)
}

/// Back to the state that was kept under a name.
pub(crate) async fn restore(node: &Arc<Node>, name: &str) -> Result<Counts, ControlError> {
    let controls = &node.test_controls;
    let _turn = controls.turn().await;
    put_back::put_back(node, controls.named(name)?).await
}

/// Changes the clock's course; all that is due then is done when this returns.
pub(crate) async fn change_clock(
    node: &Arc<Node>,
    changes: &[Change],
) -> Result<Reading, ControlError> {
    let _turn = node.test_controls.turn().await;
    let trial = node.clock.clone_course();
    trial.change(changes);
    let at = trial.read().now.0;
    if !(0..=CLOCK_LAST).contains(&at) {
        return Err(ControlError::ClockOutOfRange { at });
    }
    move_clock(node, changes).await;
    Ok(node.clock.read())
}

async fn move_clock(node: &Arc<Node>, changes: &[Change]) {
    let by_ms = node.clock.change(changes);
    node.transactions.clock_moved(by_ms).await;
    node.groups.clock_moved(by_ms).await;
    node.shares.clock_moved(by_ms);
    node.share_states.clock_moved(by_ms).await;
    let node = node.clone();
    let done = tokio::task::spawn_blocking(move || housekeeping::clock_moved(&node)).await;
    if let Err(panicked) = done {
        std::panic::resume_unwind(panicked.into_panic());
    }
}
