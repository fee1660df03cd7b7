use std::path::Path;

use openraft::EntryPayload;
use openraft::storage::RaftLogStorageExt;
use protocol::Timestamp;
use storage::{LogDir, LogDirOptions, RealFs};
use uuid::Uuid;

use super::*;
use crate::raft::open_log;
use crate::raft::types::Proposal;

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp(5)
    }
}

fn me() -> ReplicaKey {
    ReplicaKey {
        id: 1,
        directory_id: Uuid::from_u128(1),
    }
}

struct Opened {
    store: LogStore,
    log: Arc<Log>,
    log_dir: LogDir,
}

fn open_with(folder: &Path, snapshot: Option<LogId>) -> Result<Opened, Error> {
    let options = LogDirOptions {
        kv_in_memory: true,
        ..LogDirOptions::new(1)
    };
    let log_dir = LogDir::open(folder, options)?;
    let log = open_log(&log_dir)?;
    let files = Files::new(Arc::new(RealFs), folder.join("__cluster_metadata-0"));
    let health = Arc::new(Health::default());
    let clock = Arc::new(StoppedClock);
    let store = LogStore::open(Arc::clone(&log), files, clock, health, me(), snapshot)?;
    Ok(Opened {
        store,
        log,
        log_dir,
    })
}

fn open(folder: &Path) -> Opened {
    open_with(folder, None).unwrap()
}

fn entry(term: u64, index: u64) -> Entry {
    let proposal = Proposal {
        decided_at: index.checked_sub(1),
        timestamp: Timestamp(index as i64),
        records: Arc::new(vec![metadata::MetadataRecord::NoOp; index as usize % 3]),
    };
    Entry {
        log_id: log_id(term, index),
        payload: EntryPayload::Normal(proposal),
    }
}

async fn indexes(
    store: &mut LogStore,
    range: impl RangeBounds<u64> + Clone + Debug + Send,
) -> Vec<u64> {
    let entries = store.try_get_log_entries(range).await.unwrap();
    entries.iter().map(|entry| entry.log_id.index).collect()
}

#[tokio::test]
async fn entries_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    let written: Vec<Entry> = (0..40).map(|index| entry(1 + index / 10, index)).collect();
    opened.store.blocking_append(written.clone()).await.unwrap();
    let live = opened.store.try_get_log_entries(..).await.unwrap();
    drop(opened);
    let mut opened = open(folder.path());
    let read = opened.store.try_get_log_entries(..).await.unwrap();
    for entries in [live, read] {
        assert_eq!(format!("{entries:?}"), format!("{written:?}"));
    }
    assert_eq!(indexes(&mut opened.store, 3..6).await, [3, 4, 5]);
    assert_eq!(indexes(&mut opened.store, 38..=99).await, [38, 39]);
    let state = opened.store.get_log_state().await.unwrap();
    assert_eq!(
        (state.last_purged_log_id, state.last_log_id),
        (None, Some(log_id(4, 39)))
    );
}

#[tokio::test]
async fn recent_entries_are_read_without_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    opened
        .store
        .blocking_append((0..100).map(|index| entry(1, index)))
        .await
        .unwrap();
    assert!(opened.store.shared.recent.lock().len() <= RECENT_ENTRIES_MAX);
    assert_eq!(indexes(&mut opened.store, 98..100).await, [98, 99]);
    assert_eq!(indexes(&mut opened.store, 10..12).await, [10, 11]);
    assert_eq!(
        indexes(&mut opened.store, 80..100).await,
        (80..100).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_limited_read_gives_at_least_one_entry() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    opened
        .store
        .blocking_append((0..100).map(|index| entry(1, index)))
        .await
        .unwrap();
    let read = opened.store.shared.read(0, 50, 1).unwrap();
    assert!(!read.is_empty() && read.len() <= 50);
    assert_eq!(read[0].log_id.index, 0);
}

#[tokio::test]
async fn truncating_lets_other_entries_take_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    opened
        .store
        .blocking_append((0..10).map(|index| entry(1, index)))
        .await
        .unwrap();
    opened.store.truncate(log_id(1, 7)).await.unwrap();
    opened.store.blocking_append([entry(2, 7)]).await.unwrap();
    for _ in 0..2 {
        let state = opened.store.get_log_state().await.unwrap();
        assert_eq!(state.last_log_id, Some(log_id(2, 7)));
        assert_eq!(indexes(&mut opened.store, ..).await.len(), 8);
        drop(opened);
        opened = open(folder.path());
    }
}

#[tokio::test]
async fn purging_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    opened
        .store
        .blocking_append((0..10).map(|index| entry(1, index)))
        .await
        .unwrap();
    opened.store.purge(log_id(1, 6)).await.unwrap();
    for _ in 0..2 {
        let state = opened.store.get_log_state().await.unwrap();
        assert_eq!(state.last_purged_log_id, Some(log_id(1, 6)));
        assert_eq!(state.last_log_id, Some(log_id(1, 9)));
        assert_eq!(indexes(&mut opened.store, ..).await, [7, 8, 9]);
        drop(opened);
        opened = open_with(folder.path(), Some(log_id(1, 8))).unwrap();
    }
}

#[tokio::test]
async fn a_log_behind_a_snapshot_starts_anew_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    opened
        .store
        .blocking_append((0..3).map(|index| entry(1, index)))
        .await
        .unwrap();
    // A follower that took over a snapshot far ahead of its log.
    opened.store.purge(log_id(4, 99)).await.unwrap();
    opened.store.blocking_append([entry(4, 100)]).await.unwrap();
    assert_eq!(indexes(&mut opened.store, ..).await, [100]);
    drop(opened);
    let mut opened = open_with(folder.path(), Some(log_id(4, 99))).unwrap();
    assert_eq!(indexes(&mut opened.store, ..).await, [100]);
    assert_eq!(opened.log.log_start_offset(), Offset(100));
}

#[tokio::test]
async fn a_vote_is_kept_but_not_as_a_leader() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    assert_eq!(opened.store.read_vote().await.unwrap(), None);
    opened
        .store
        .save_vote(&Vote::new_committed(3, me()))
        .await
        .unwrap();
    drop(opened);
    let mut opened = open(folder.path());
    assert_eq!(
        opened.store.read_vote().await.unwrap(),
        Some(Vote::new(3, me()))
    );
}

#[tokio::test]
async fn a_lost_vote_is_at_least_the_last_term_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    opened
        .store
        .blocking_append([entry(1, 0), entry(7, 1)])
        .await
        .unwrap();
    opened.store.save_vote(&Vote::new(7, me())).await.unwrap();
    drop(opened);
    std::fs::remove_file(folder.path().join("__cluster_metadata-0/quorum-state")).unwrap();
    let mut opened = open(folder.path());
    assert_eq!(
        opened.store.read_vote().await.unwrap(),
        Some(Vote::new(7, me()))
    );
}

#[tokio::test]
async fn durable_entries_that_are_gone_are_refused_unless_a_snapshot_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    opened
        .store
        .blocking_append((0..5).map(|index| entry(1, index)))
        .await
        .unwrap();
    opened.log_dir.close().unwrap();
    drop(opened);
    let segment = folder
        .path()
        .join("__cluster_metadata-0/00000000000000000000.log");
    std::fs::OpenOptions::new()
        .write(true)
        .open(segment)
        .unwrap()
        .set_len(100)
        .unwrap();
    let error = open_with(folder.path(), Some(log_id(1, 2))).err().unwrap();
    assert!(
        matches!(error, Error::LostEntries { last: 4, .. }),
        "{error}"
    );
    let mut opened = open_with(folder.path(), Some(log_id(1, 4))).unwrap();
    let state = opened.store.get_log_state().await.unwrap();
    assert_eq!(state.last_log_id, Some(log_id(1, 4)));
    opened.store.blocking_append([entry(2, 5)]).await.unwrap();
    assert_eq!(indexes(&mut opened.store, ..).await, [5]);
}

#[tokio::test]
async fn a_purge_that_was_cut_short_is_finished_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    opened
        .store
        .blocking_append((0..10).map(|index| entry(1, index)))
        .await
        .unwrap();
    // The purge point is written first, the log is cut after it.
    let purged = Some(log_id(1, 4));
    let change = |state: &mut QuorumState| state.purged = purged;
    opened.store.shared.save_state(change).await.unwrap();
    drop(opened);
    let mut opened = open_with(folder.path(), Some(log_id(1, 6))).unwrap();
    assert_eq!(opened.log.log_start_offset(), Offset(5));
    assert_eq!(indexes(&mut opened.store, ..).await, [5, 6, 7, 8, 9]);
    let state = opened.store.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, purged);
    // Without the snapshot that let them go, entries are missing.
    drop(opened);
    let error = open_with(folder.path(), Some(log_id(1, 3))).err().unwrap();
    assert!(
        matches!(error, Error::MissingSnapshot { first: 5 }),
        "{error}"
    );
}
