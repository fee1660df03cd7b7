use std::path::{Path, PathBuf};

use super::harness::*;
use crate::{Error, Settings, SnapshotPolicy};

fn metadata_folder(folder: &Path) -> PathBuf {
    folder.join("__cluster_metadata-0")
}

/// The segment files, in order.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(metadata_folder(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    segments.sort();
    segments
}

fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(metadata_folder(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "checkpoint"))
        .collect()
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    for number in 0..10 {
        assert_eq!(node.create(&format!("t{number}")).await, 0);
        if number % 3 == 2 {
            assert_eq!(node.delete(&format!("t{}", number - 1)).await, 0);
        }
        let copy = killed_copy(folder.path());
        let again = start(copy.path()).await;
        assert_eq!(again.handle.image().topics, node.handle.image().topics);
        assert_eq!(again.handle.image().configs, node.handle.image().configs);
        again.stop().await;
    }
    node.stop().await;
}

#[tokio::test]
async fn a_torn_tail_loses_only_the_entry_it_was_part_of() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    node.create("before").await;
    let size_before = std::fs::metadata(&segments(folder.path())[0])
        .unwrap()
        .len();
    node.create("last").await;
    // Without a clean stop nobody has said how far the log was durable.
    let killed = killed_copy(folder.path());
    node.stop().await;
    let folder = killed;
    let size = std::fs::metadata(&segments(folder.path())[0])
        .unwrap()
        .len();
    assert!(size > size_before);
    for cut in size_before..size {
        let copy = killed_copy(folder.path());
        let segment = std::fs::OpenOptions::new()
            .write(true)
            .open(&segments(copy.path())[0]);
        segment.unwrap().set_len(cut).unwrap();
        let again = start(copy.path()).await;
        assert_eq!(again.topic_names(), ["before"], "cut at {cut}");
        // The log goes on where it was cut.
        assert_eq!(again.create("last").await, 0);
        again.stop().await;
        let again = start(copy.path()).await;
        assert_eq!(again.topic_names(), ["before", "last"], "cut at {cut}");
        again.stop().await;
    }
}

#[tokio::test]
async fn entries_that_were_durable_and_are_gone_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    let size_before = std::fs::metadata(&segments(folder.path())[0])
        .unwrap()
        .len();
    node.create("last").await;
    node.stop().await;
    for cut in [size_before, size_before + 10] {
        let copy = killed_copy(folder.path());
        let segment = std::fs::OpenOptions::new()
            .write(true)
            .open(&segments(copy.path())[0]);
        segment.unwrap().set_len(cut).unwrap();
        let error = Start::default().on(copy.path()).await.err().unwrap();
        assert!(matches!(error, Error::LostEntries { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_lost_or_damaged_vote_file_is_made_anew_from_the_log() {
    for damage in [None, Some(0), Some(10), Some(30)] {
        let folder = tempfile::tempdir().unwrap();
        let node = start(folder.path()).await;
        node.register(1).await;
        node.create("a").await;
        node.stop().await;
        let vote = metadata_folder(folder.path()).join("quorum-state");
        match damage {
            None => std::fs::remove_file(&vote).unwrap(),
            Some(size) => {
                let bytes = std::fs::read(&vote).unwrap();
                std::fs::write(&vote, &bytes[..size]).unwrap();
            }
        }
        let node = start(folder.path()).await;
        assert_eq!(node.topic_names(), ["a"]);
        assert_eq!(node.create("b").await, 0);
        node.stop().await;
        let node = start(folder.path()).await;
        assert_eq!(node.topic_names(), ["a", "b"]);
        node.stop().await;
    }
}

fn often() -> Start {
    let snapshots = SnapshotPolicy {
        bytes_between: u64::MAX,
        entries_between: 5,
        entries_kept: 2,
    };
    Start {
        snapshots,
        ..Start::default()
    }
}

/// A folder whose log was cut behind a snapshot.
async fn cut_folder() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let node = often().on(folder.path()).await.unwrap();
    node.register(1).await;
    for number in 0..20 {
        assert_eq!(node.create(&format!("t{number:02}")).await, 0);
    }
    let consensus = &node.handle.consensus;
    consensus.wait_until_purged(DEADLINE).await.unwrap();
    let names = node.topic_names();
    node.stop().await;
    (folder, names)
}

#[tokio::test]
async fn the_log_is_cut_behind_a_snapshot() {
    let (folder, names) = cut_folder().await;
    assert_eq!(checkpoints(folder.path()).len(), 1);
    for _ in 0..3 {
        let node = often().on(folder.path()).await.unwrap();
        assert_eq!(node.topic_names(), names);
        assert_eq!(node.notes.topics().len(), names.len());
        node.stop().await;
    }
}

#[tokio::test]
async fn a_cut_log_without_its_vote_file_comes_back() {
    let (folder, names) = cut_folder().await;
    std::fs::remove_file(metadata_folder(folder.path()).join("quorum-state")).unwrap();
    let node = often().on(folder.path()).await.unwrap();
    assert_eq!(node.topic_names(), names);
    assert_eq!(node.create("more").await, 0);
    node.stop().await;
    let node = often().on(folder.path()).await.unwrap();
    assert_eq!(node.topic_names().len(), names.len() + 1);
    node.stop().await;
}

#[tokio::test]
async fn a_cut_log_without_its_snapshot_is_refused() {
    let (folder, _) = cut_folder().await;
    std::fs::remove_file(&checkpoints(folder.path())[0]).unwrap();
    let error = often().on(folder.path()).await.err().unwrap();
    assert!(matches!(error, Error::MissingSnapshot { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused() {
    let (folder, _) = cut_folder().await;
    let path = &checkpoints(folder.path())[0];
    let mut bytes = std::fs::read(path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let error = often().on(folder.path()).await.err().unwrap();
    assert!(matches!(error, Error::Snapshot(_)), "{error}");
}

#[tokio::test]
async fn an_unfinished_snapshot_does_no_harm() {
    let (folder, names) = cut_folder().await;
    let part =
        metadata_folder(folder.path()).join("99999999999999999999-0000000009.checkpoint.tmp");
    std::fs::write(part, b"torn").unwrap();
    let node = often().on(folder.path()).await.unwrap();
    assert_eq!(node.topic_names(), names);
    node.stop().await;
}

#[tokio::test]
async fn a_log_from_another_disk_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    start(folder.path()).await.stop().await;
    let other = tempfile::tempdir().unwrap();
    start(other.path()).await.stop().await;
    std::fs::remove_dir_all(metadata_folder(other.path())).unwrap();
    std::fs::rename(
        metadata_folder(folder.path()),
        metadata_folder(other.path()),
    )
    .unwrap();
    let error = Start::default().on(other.path()).await.err().unwrap();
    assert!(matches!(error, Error::ForeignLog { .. }), "{error}");
}

#[tokio::test]
async fn a_topic_id_is_never_drawn_twice_in_two_lives() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(folder.path()).await;
    node.register(1).await;
    node.create("a").await;
    let first = node.handle.image().topics.by_name("a").unwrap().id;
    node.delete("a").await;
    node.stop().await;
    let node = Start {
        seed: 2,
        settings: Settings::default(),
        ..Start::default()
    }
    .on(folder.path())
    .await
    .unwrap();
    node.register(2).await;
    node.create("a").await;
    assert_ne!(node.handle.image().topics.by_name("a").unwrap().id, first);
    node.stop().await;
}
