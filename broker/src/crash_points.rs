//! The file system with a place in it where the process is killed: before a step of its work with
//! files, in the middle of a write, or after it. `/v1/crash` sets the place.
//!
//! Invariants: only a node in test mode has it between itself and its files; without a place set
//! a call costs one atomic load; what was done before the place is in the files, nothing after it.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use protocol::Timestamp;
use regex::Regex;
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use storage::{DirEntry, Fs, FsFile, OpenMode, RealFs};
use tracing::info;

/// A call that changes something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    /// Whichever of the others.
    #[default]
    Any,
    /// A new file, or one that is emptied.
    Create,
    Write,
    /// A file made durable.
    Sync,
    /// A file cut or extended.
    Resize,
    /// Room reserved for a file.
    Reserve,
    /// A file or folder, or a second name of it.
    Rename,
    Link,
    /// A file or folder.
    Remove,
    CreateFolder,
    /// The names in a folder made durable.
    SyncFolder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum When {
    Before,
    /// Half of the bytes of a write are written.
    Halfway,
    After,
}

/// A place as it is posted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    when: When,
    #[serde(default)]
    operation: Operation,
    #[serde(default)]
    path: String,
    count: Option<u64>,
}

/// A place: the `count`th such call from now on.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Posted")]
pub(crate) struct CrashPoint {
    when: When,
    operation: Operation,
    /// Of a path in the data folder; of a rename, or of a link, `FROM -> TO`.
    path: Regex,
    count: u64,
}

/// What is wrong with a place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CrashPointError {
    #[error("path: {0}; expected a regular expression like \"orders-0/.*\\\\.log$\"")]
    Path(#[from] regex::Error),
    #[error("count: the first such call is 1")]
    Count,
    #[error("when: only a write has a middle; expected \"operation\": \"write\"")]
    Halfway,
}

impl TryFrom<Posted> for CrashPoint {
    type Error = CrashPointError;

    fn try_from(posted: Posted) -> Result<CrashPoint, CrashPointError> {
        let count = posted.count.unwrap_or(1);
        if count == 0 {
            return Err(CrashPointError::Count);
        }
        if posted.when == When::Halfway && posted.operation != Operation::Write {
            return Err(CrashPointError::Halfway);
        }
        Ok(CrashPoint {
            when: posted.when,
            operation: posted.operation,
            path: Regex::new(&posted.path)?,
            count,
        })
    }
}

impl CrashPoint {
    /// As it was posted; `count` is what is left of it.
    pub(crate) fn shown(&self) -> serde_json::Value {
        serde_json::json!({
            "when": self.when,
            "operation": self.operation,
            "path": self.path.as_str(),
            "count": self.count,
        })
    }
}

/// The place, shared by all files of a node.
#[derive(Default)]
pub(crate) struct CrashPoints {
    is_set: AtomicBool,
    point: Mutex<Option<CrashPoint>>,
}

impl CrashPoints {
    /// Sets the place, or removes it; returns the one that was set before.
    pub(crate) fn set(&self, point: Option<CrashPoint>) -> Option<CrashPoint> {
        let mut current = self.point.lock();
        self.is_set.store(point.is_some(), Ordering::Release);
        std::mem::replace(&mut current, point)
    }

    pub(crate) fn get(&self) -> Option<CrashPoint> {
        self.point.lock().clone()
    }

    /// Whether this call is the place, and where in it.
    fn reached(&self, operation: Operation, path: impl FnOnce() -> String) -> Option<When> {
        if !self.is_set.load(Ordering::Acquire) {
            return None;
        }
        let mut point = self.point.lock();
        let point = point.as_mut()?;
        let is_meant = point.operation == Operation::Any || point.operation == operation;
        let path = path();
        if !is_meant || !point.path.is_match(&path) {
            return None;
        }
        point.count = point.count.saturating_sub(1);
        if point.count > 0 {
            return None;
        }
        info!(?operation, path, when = ?point.when, "killed on request");
        Some(point.when)
    }
}

/// Ends the process as `kill -9` does.
fn die() -> ! {
    // Nothing runs on after the call; the abort only tells the compiler so.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

/// The files below a folder, with the place in them.
pub(crate) struct CrashingFs {
    folder: PathBuf,
    points: Arc<CrashPoints>,
}

struct CrashingFile {
    file: Arc<dyn FsFile>,
    path: String,
    points: Arc<CrashPoints>,
}

impl CrashingFs {
    pub(crate) fn new(folder: &Path, points: Arc<CrashPoints>) -> CrashingFs {
        CrashingFs {
            folder: folder.to_owned(),
            points,
        }
    }

    fn name(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.folder).unwrap_or(path);
        inside.display().to_string()
    }

    fn step<T>(
        &self,
        operation: Operation,
        path: impl FnOnce() -> String,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        step(&self.points, operation, path, act)
    }
}

fn step<T>(
    points: &CrashPoints,
    operation: Operation,
    path: impl FnOnce() -> String,
    act: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    match points.reached(operation, path) {
        None => act(),
        Some(When::After) => {
            // Dead either way: what it came to is for the next start to see.
            let _ = act();
            die()
        }
        Some(When::Before | When::Halfway) => die(),
    }
}

impl CrashingFile {
    fn step<T>(&self, operation: Operation, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        step(&self.points, operation, || self.path.clone(), act)
    }

    /// Writes half of the bytes.
    fn tear(&self, buffers: &[IoSlice<'_>], position: u64) {
        let bytes: Vec<u8> = buffers
            .iter()
            .flat_map(|part| part.iter().copied())
            .collect();
        let half = bytes.len() / 2;
        let _ = self
            .file
            .write_vectored_at(&[IoSlice::new(&bytes[..half])], position);
    }
}

impl FsFile for CrashingFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }

    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        match self.points.reached(Operation::Write, || self.path.clone()) {
            None => return self.file.write_vectored_at(buffers, position),
            Some(When::Before) => {}
            Some(When::Halfway) => self.tear(buffers, position),
            Some(When::After) => {
                let _ = self.file.write_vectored_at(buffers, position);
            }
        }
        die()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step(Operation::Sync, || self.file.sync_data())
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        self.step(Operation::Resize, || self.file.set_len(size))
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        self.step(Operation::Reserve, || self.file.reserve(size))
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
}

impl Fs for CrashingFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        let file = match mode {
            OpenMode::Read | OpenMode::ReadWrite => RealFs.open(path, mode)?,
            OpenMode::Create => {
                let open = || RealFs.open(path, mode);
                self.step(Operation::Create, || self.name(path), open)?
            }
        };
        Ok(Arc::new(CrashingFile {
            file,
            path: self.name(path),
            points: self.points.clone(),
        }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        RealFs.list(folder)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let act = || RealFs.create_dir_all(path);
        self.step(Operation::CreateFolder, || self.name(path), act)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let names = || format!("{} -> {}", self.name(from), self.name(to));
        self.step(Operation::Rename, names, || RealFs.rename(from, to))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let names = || format!("{} -> {}", self.name(from), self.name(to));
        self.step(Operation::Link, names, || RealFs.hard_link(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let act = || RealFs.remove_file(path);
        self.step(Operation::Remove, || self.name(path), act)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let act = || RealFs.remove_dir_all(path);
        self.step(Operation::Remove, || self.name(path), act)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let act = || RealFs.sync_dir(path);
        self.step(Operation::SyncFolder, || self.name(path), act)
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
