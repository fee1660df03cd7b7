use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::{ErrorCode, Timestamp};
use storage::{DirEntry, Fs, FsFile, OpenMode, RealFs};

use super::harness::*;

/// The real file system, on a disk that is full while the flag is up.
struct Disk {
    full: Arc<AtomicBool>,
}

struct DiskFile {
    file: Arc<dyn FsFile>,
    full: Arc<AtomicBool>,
}

fn room(full: &AtomicBool) -> io::Result<()> {
    if full.load(Ordering::SeqCst) {
        Err(io::ErrorKind::StorageFull.into())
    } else {
        Ok(())
    }
}

impl FsFile for DiskFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }

    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        room(&self.full)?;
        self.file.write_vectored_at(buffers, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        room(&self.full)?;
        self.file.reserve(size)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
}

impl Fs for Disk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        if mode == OpenMode::Create {
            room(&self.full)?;
        }
        let file = RealFs.open(path, mode)?;
        Ok(Arc::new(DiskFile {
            file,
            full: Arc::clone(&self.full),
        }))
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

async fn full_node(folder: &Path) -> (Node, Arc<AtomicBool>) {
    let full = Arc::new(AtomicBool::new(false));
    let fs = Arc::new(Disk {
        full: Arc::clone(&full),
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
    full.store(true, Ordering::SeqCst);
    (node, full)
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
