use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::{ErrorCode, Timestamp};
use storage::{DirEntry, Fs, FsFile, OpenMode, RealFs};

use super::harness::*;

/// The real file system, on a disk that is full, or does not sync, while a flag is up.
#[derive(Clone, Default)]
struct Faults {
    full: Arc<AtomicBool>,
    no_sync: Arc<AtomicBool>,
}

struct Disk {
    faults: Faults,
}

struct DiskFile {
    file: Arc<dyn FsFile>,
    faults: Faults,
}

impl Faults {
    fn room(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl FsFile for DiskFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }

    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        self.faults.room()?;
        self.file.write_vectored_at(buffers, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.faults.no_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk does not sync"));
        }
        self.file.sync_data()
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        self.faults.room()?;
        self.file.reserve(size)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
}

impl Fs for Disk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        if mode == OpenMode::Create {
            self.faults.room()?;
        }
        let file = RealFs.open(path, mode)?;
        let faults = self.faults.clone();
        Ok(Arc::new(DiskFile { file, faults }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        RealFs.list(folder)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        RealFs.create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.sync_dir(path)
    }

    fn modified(&self, path: &Path) -> io::Result<Timestamp> {
        RealFs.modified(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        RealFs.lock(path)
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        RealFs.space(path)
    }
}

async fn faulty_node(folder: &Path) -> (Node, Faults) {
    let faults = Faults::default();
    let fs = Arc::new(Disk {
        faults: faults.clone(),
    });
    let node = Start {
        fs,
        ..Start::default()
    }
    .on(folder)
    .await
    .unwrap();
    node.register(1).await;
    assert_eq!(node.create("before").await, 0);
    (node, faults)
}

async fn full_node(folder: &Path) -> (Node, Arc<AtomicBool>) {
    let (node, faults) = faulty_node(folder).await;
    faults.full.store(true, Ordering::SeqCst);
    (node, faults.full)
}

#[tokio::test]
async fn a_full_disk_stops_changes_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (node, full) = full_node(folder.path()).await;
    let request = create_request("waits", 1).with_timeout_ms(200);
    let response = node.handle.create_topics(context(), request).await;
    assert_eq!(
        response.topics[0].error_code,
        ErrorCode::RequestTimedOut.code()
    );
    assert!(node.handle.is_disk_full());
    // Nobody queues behind it, and reads go on.
    assert_eq!(
        node.create("refused").await,
        ErrorCode::KafkaStorageError.code()
    );
    assert_eq!(node.topic_names(), ["before"]);
    full.store(false, Ordering::SeqCst);
    tokio::time::timeout(DEADLINE, async {
        while node.handle.is_disk_full() || node.topic_names().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(node.create("after").await, 0);
    assert_eq!(node.topic_names(), ["after", "before", "waits"]);
    node.stop().await;
    let node = start(folder.path()).await;
    assert_eq!(node.topic_names(), ["after", "before", "waits"]);
    node.stop().await;
}

#[tokio::test]
async fn a_controller_stops_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (node, _full) = full_node(folder.path()).await;
    let request = create_request("waits", 1).with_timeout_ms(200);
    node.handle.create_topics(context(), request).await;
    tokio::time::timeout(DEADLINE, node.controller.shutdown())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_failed_sync_stops_the_controller_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let (node, faults) = faulty_node(folder.path()).await;
    faults.no_sync.store(true, Ordering::SeqCst);
    assert_ne!(node.create("lost").await, 0);
    let reason = tokio::time::timeout(DEADLINE, node.handle.stopped())
        .await
        .unwrap();
    println!("{reason}");
    // The next sync would succeed, but nobody knows what the first one lost.
    faults.no_sync.store(false, Ordering::SeqCst);
    assert_ne!(node.create("after").await, 0);
    assert_eq!(node.topic_names(), ["before"]);
    let copy = killed_copy(folder.path());
    tokio::time::timeout(DEADLINE, node.controller.shutdown())
        .await
        .unwrap();
    let node = start(copy.path()).await;
    assert!(node.topic_names().contains(&"before".to_owned()));
    assert!(!node.topic_names().contains(&"after".to_owned()));
    node.stop().await;
}

#[tokio::test]
async fn the_metadata_log_has_its_room_before_it_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let probe = RealFs
        .open(&folder.path().join("probe"), OpenMode::Create)
        .unwrap();
    if probe.reserve(4096).is_err() {
        println!("this file system cannot reserve room");
        return;
    }
    let node = start(&folder.path().join("data")).await;
    let segment = folder
        .path()
        .join("data/__cluster_metadata-0/00000000000000000000.log");
    let metadata = std::fs::metadata(segment).unwrap();
    assert!(metadata.len() < 4096);
    assert!(
        metadata.blocks() * 512 > 1024 * 1024,
        "{} blocks",
        metadata.blocks()
    );
    node.stop().await;
}
