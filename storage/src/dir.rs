//! One log directory: its identity, its lock, its logs.
//!
//! Invariant: one process at a time; a folder is a log of the topic whose id lies in it; what the
//! checkpoint files say of a name is said of the topic that has it now.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};
use protocol::{Offset, TopicId, TopicPartition};
use tracing::{info, warn};
use uuid::Uuid;

use crate::checkpoint::{
    CLEAN_SHUTDOWN, CLEAN_SHUTDOWN_CONTENT, LOCK, PARTITION_METADATA, parse_offsets,
    parse_partition_metadata, render_partition_metadata,
};
use crate::config::LogConfig;
use crate::error::Error;
use crate::fs::{DirEntry, Durable, Fs, RealFs, read_file};
use crate::identity::{identity, take_clean_marker};
use crate::kv::{self, Kv, LazyKv};
use crate::log::{Listing, Log, OpenRequest};
use crate::put_back::{self, PutBacks};
use crate::shared::{CheckpointFile, Checkpoints, Shared};

/// Segment files that are held open at once, by default.
const OPEN_FILES_MAX: usize = 4096;

/// Leaves at least half of the process's descriptors to others.
fn open_files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let half = limit.and_then(|limit| usize::try_from(limit / 2).ok());
    half.map_or(OPEN_FILES_MAX, |half| half.min(OPEN_FILES_MAX))
}

/// Threads that close logs: they wait for syncs, and the file system commits for many at once.
const CLOSING_THREADS: usize = 64;
/// Upstream bounds the name of a folder that waits for its removal.
const FOLDER_NAME_MAX: usize = 255;

/// How a log directory is opened.
pub struct LogDirOptions {
    pub fs: Arc<dyn Fs>,
    pub node_id: i32,
    /// Must be what the directory says; an empty directory is formatted with it, or with a new one.
    pub cluster_id: Option<String>,
    /// What an empty directory is formatted with; a random one where it is not given.
    pub directory_id: Option<Uuid>,
    pub open_files_max: usize,
    /// Keeps the views in memory (tests, simulation).
    pub kv_in_memory: bool,
}

impl LogDirOptions {
    pub fn new(node_id: i32) -> LogDirOptions {
        LogDirOptions {
            fs: Arc::new(RealFs),
            node_id,
            cluster_id: None,
            directory_id: None,
            open_files_max: open_files_max(),
            kv_in_memory: false,
        }
    }
}

/// A log that was found in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLog {
    pub topic_partition: TopicPartition,
    /// `None` where `partition.metadata` is missing or damaged.
    pub topic_id: Option<TopicId>,
}

/// An open log directory.
pub struct LogDir {
    pub(crate) shared: Arc<Shared>,
    cluster_id: String,
    was_closed_cleanly: bool,
    found: Mutex<Vec<FoundLog>>,
    pub(crate) put_backs: PutBacks,
    pub(crate) logs: Mutex<BTreeMap<TopicPartition, Arc<Log>>>,
    /// Logs that some thread is opening; the others wait for it.
    opening: Mutex<BTreeSet<TopicPartition>>,
    opened: Condvar,
    /// Held as long as the directory is.
    _lock: DirLock,
}

type DirLock = Box<dyn Send + Sync>;

/// The right to open a log.
struct OpeningTurn<'a> {
    dir: &'a LogDir,
    topic_partition: TopicPartition,
}

impl Drop for OpeningTurn<'_> {
    fn drop(&mut self) {
        self.dir.opening.lock().remove(&self.topic_partition);
        self.dir.opened.notify_all();
    }
}

impl Drop for LogDir {
    fn drop(&mut self) {
        // Whoever still holds a log must not hold the database, which the next to come opens.
        self.shared.close_kv();
    }
}

impl LogDir {
    /// Opens a directory, or formats an empty one. The views open on a thread of their own.
    pub fn open(path: impl Into<PathBuf>, options: LogDirOptions) -> Result<LogDir, Error> {
        let path = path.into();
        let fs = Arc::clone(&options.fs);
        let (lock, entries) = lock_and_list(&*fs, &path)?;
        let kv = if options.kv_in_memory {
            LazyKv::ready(Kv::in_memory())
        } else {
            LazyKv::open(path.join(kv::FOLDER))
        };
        let mut names = folders_in(entries);
        let useless = put_back::finish(&*fs, &path, &names);
        if !useless.is_empty() {
            let entries = fs.list(&path);
            names = folders_in(entries.map_err(|error| Error::io("list", &path, error))?);
        }
        let found = find_logs(&*fs, &path, &names);
        let identity = identity(&*fs, &path, &options, !found.is_empty())?;
        let was_closed_cleanly = take_clean_marker(&*fs, &path)?;
        let checkpoints = read_checkpoints(&*fs, &path);
        let directory_id = identity.directory_id.unwrap_or_default();
        let open_files_max = options.open_files_max;
        let shared = Shared::new(fs, path, directory_id, open_files_max, kv, checkpoints);
        let dir = LogDir {
            shared: Arc::new(shared),
            cluster_id: identity.cluster_id,
            was_closed_cleanly,
            found: Mutex::new(found),
            put_backs: PutBacks::default(),
            logs: Mutex::new(BTreeMap::new()),
            opening: Mutex::new(BTreeSet::new()),
            opened: Condvar::new(),
            _lock: lock,
        };
        dir.purge_deleted(&names);
        Ok(dir)
    }

    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    pub fn directory_id(&self) -> Uuid {
        self.shared.directory_id
    }

    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    pub fn was_closed_cleanly(&self) -> bool {
        self.was_closed_cleanly
    }

    /// The logs that were there when the directory was opened.
    pub fn found_logs(&self) -> Vec<FoundLog> {
        self.found.lock().clone()
    }

    /// Sets aside, under a name ending in `-stray`, the logs found at the start that belong to no
    /// topic there is: a crash cut their deletion short, or the metadata is another's.
    ///
    /// They are kept, as upstream keeps them: only a person can tell. Looks at each log once.
    pub fn set_strays_aside(&self, is_known: impl Fn(&FoundLog) -> bool) -> Result<(), Error> {
        let found = std::mem::take(&mut *self.found.lock());
        let mut result = Ok(());
        for stray in found.iter().filter(|found| !is_known(found)) {
            let topic_partition = &stray.topic_partition;
            let _turn = self.turn_to_open(topic_partition);
            if self.log(topic_partition).is_some() {
                continue;
            }
            match self.rename_folder(topic_partition, "stray") {
                Ok(to) => {
                    let kept = to.display();
                    warn!(log = %topic_partition, %kept, "no topic has this log: set aside");
                    result = result.and(self.shared.forget_checkpoints(&[topic_partition]));
                }
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// A log that is open.
    pub fn log(&self, topic_partition: &TopicPartition) -> Option<Arc<Log>> {
        self.logs.lock().get(topic_partition).map(Arc::clone)
    }

    /// The log of a partition: the open one, the one on the disk, or a new one.
    ///
    /// Several threads may open different logs at once: a log that was not closed cleanly is read
    /// from its recovery point.
    pub fn create_or_open(
        &self,
        topic_partition: &TopicPartition,
        topic_id: TopicId,
        config: LogConfig,
    ) -> Result<Arc<Log>, Error> {
        let _turn = self.turn_to_open(topic_partition);
        if let Some(log) = self.log(topic_partition) {
            check_topic_id(topic_partition, topic_id, log.topic_id())?;
            return Ok(log);
        }
        let folder = self.shared.path.join(topic_partition.to_string());
        let (listing, is_new) = match Listing::read(&*self.shared.fs, &folder) {
            Ok(listing) => {
                self.check_metadata(topic_partition, topic_id, &folder)?;
                (listing, false)
            }
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.make_folder(topic_partition, topic_id, &folder)?;
                (Listing::default(), true)
            }
            Err(error) => return Err(error),
        };
        let request = OpenRequest {
            shared: Arc::clone(&self.shared),
            topic_partition: topic_partition.clone(),
            topic_id,
            config,
            folder,
            listing,
            is_new,
        };
        let log = Arc::new(request.open()?);
        self.logs
            .lock()
            .insert(topic_partition.clone(), Arc::clone(&log));
        Ok(log)
    }

    /// Waits until no other thread opens this log.
    fn turn_to_open(&self, topic_partition: &TopicPartition) -> OpeningTurn<'_> {
        let mut opening = self.opening.lock();
        while !opening.insert(topic_partition.clone()) {
            self.opened.wait(&mut opening);
        }
        OpeningTurn {
            dir: self,
            topic_partition: topic_partition.clone(),
        }
    }

    fn make_folder(
        &self,
        topic_partition: &TopicPartition,
        topic_id: TopicId,
        folder: &Path,
    ) -> Result<(), Error> {
        // What the files say of this name, they say of a topic that is gone.
        self.shared.forget_checkpoints(&[topic_partition])?;
        self.make_log_folder(topic_id, folder)
    }

    pub(crate) fn make_log_folder(&self, topic_id: TopicId, folder: &Path) -> Result<(), Error> {
        let fs = &*self.shared.fs;
        fs.create_dir_all(folder)
            .map_err(|error| Error::io("create", folder, error))?;
        self.write_metadata(topic_id, folder)
    }

    fn write_metadata(&self, topic_id: TopicId, folder: &Path) -> Result<(), Error> {
        let content = render_partition_metadata(topic_id);
        let path = folder.join(PARTITION_METADATA);
        // Durable with the first sync of the log, which is before anything in it is.
        self.shared
            .replace_file(&path, content.as_bytes(), Durable::No)
    }

    fn check_metadata(
        &self,
        topic_partition: &TopicPartition,
        topic_id: TopicId,
        folder: &Path,
    ) -> Result<(), Error> {
        match read_topic_id(&*self.shared.fs, folder) {
            Some(found) => check_topic_id(topic_partition, topic_id, found),
            None => {
                warn!(log = %topic_partition, %topic_id, "writes partition.metadata anew");
                self.write_metadata(topic_id, folder)
            }
        }
    }

    /// Closes a log and removes it.
    pub fn delete(&self, log: &Arc<Log>) -> Result<(), Error> {
        let failed = self.delete_all(std::slice::from_ref(log));
        failed
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Closes logs and removes them; says which could not be. However many they are, checkpoints
    /// are written and synced once.
    pub fn delete_all(&self, logs: &[Arc<Log>]) -> Vec<(TopicPartition, Error)> {
        let mut failed = Vec::new();
        let mut renamed = Vec::new();
        for log in logs {
            log.close_for_deletion();
            let of = log.topic_partition();
            self.logs.lock().remove(of);
            // First, so that no half of it is found after a crash.
            match self.rename_folder(of, "delete") {
                Ok(to) => {
                    log.folder_renamed(to.clone());
                    renamed.push((of, to));
                }
                Err(error) => failed.push((of.clone(), error)),
            }
        }
        let names: Vec<&TopicPartition> = renamed.iter().map(|(of, _)| *of).collect();
        if let Some((first, _)) = renamed.first()
            && let Err(error) = self.shared.forget_checkpoints(&names)
        {
            failed.push(((*first).clone(), error));
            return failed;
        }
        for (of, to) in renamed {
            match self.shared.fs.remove_dir_all(&to) {
                Ok(()) => info!(log = %of, "deleted the log"),
                Err(error) => failed.push((of.clone(), Error::io("remove", &to, error))),
            }
        }
        failed
    }

    /// Removes a log that was found and that nobody has opened, without looking into it. One that
    /// is not there is removed already.
    pub fn delete_found(&self, topic_partition: &TopicPartition) -> Result<(), Error> {
        let _turn = self.turn_to_open(topic_partition);
        if let Some(log) = self.log(topic_partition) {
            return self.delete(&log);
        }
        match self.remove_folder(topic_partition) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(())
            }
            result => result,
        }
    }

    /// Renames a log's folder first, so that no half of it is found after a crash.
    fn remove_folder(&self, topic_partition: &TopicPartition) -> Result<(), Error> {
        let to = self.rename_folder(topic_partition, "delete")?;
        self.shared.forget_checkpoints(&[topic_partition])?;
        let fs = &*self.shared.fs;
        fs.remove_dir_all(&to)
            .map_err(|error| Error::io("remove", &to, error))?;
        info!(log = %topic_partition, "deleted the log");
        Ok(())
    }

    fn rename_folder(&self, log: &TopicPartition, to_be: &str) -> Result<PathBuf, Error> {
        let from = self.shared.path.join(log.to_string());
        let to = self.shared.path.join(name_aside(log, to_be));
        let renamed = self.shared.fs.rename(&from, &to);
        renamed.map_err(|error| Error::io("rename", &from, error))?;
        Ok(to)
    }

    /// Goes on with deletions that a crash cut short, on a thread of its own: they take their time.
    fn purge_deleted(&self, names: &[String]) {
        let deleted: Vec<PathBuf> = names
            .iter()
            .filter(|name| name.ends_with("-delete"))
            .map(|name| self.shared.path.join(name))
            .collect();
        if deleted.is_empty() {
            return;
        }
        let fs = Arc::clone(&self.shared.fs);
        let purge = move || {
            for path in deleted {
                if let Err(error) = fs.remove_dir_all(&path) {
                    warn!(path = %path.display(), %error, "a deleted log stays");
                }
            }
        };
        if let Err(error) = std::thread::Builder::new()
            .name("log-purge".into())
            .spawn(purge)
        {
            warn!(%error, "deleted logs stay until the next start");
        }
    }

    /// Writes recovery points, log start offsets, high watermarks and pending index entries down.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.shared.check_online()?;
        self.shared.kv().reopen_if_failed();
        self.shared.take_reserve();
        let logs: Vec<Arc<Log>> = self.logs.lock().values().map(Arc::clone).collect();
        let mut result = Ok(());
        for log in &logs {
            match log.prepare_checkpoint() {
                Ok(()) | Err(Error::Closed { .. }) => {}
                Err(error) => result = Err(error),
            }
        }
        self.write_checkpoints(&logs)?;
        result
    }

    fn write_checkpoints(&self, logs: &[Arc<Log>]) -> Result<(), Error> {
        for file in CheckpointFile::ALL {
            self.shared.update_checkpoint(file, |offsets| {
                // Under the lock of the files: a log that was deleted, or put back, meanwhile does
                // not come back.
                let open = self.logs.lock();
                let is_open = |log: &&Arc<Log>| {
                    let found = open.get(log.topic_partition());
                    found.is_some_and(|found| Arc::ptr_eq(found, log))
                };
                for log in logs.iter().filter(is_open) {
                    let (recovery_point, log_start, high_watermark) = log.checkpoint_offsets();
                    let compacted = log.compacted_checkpoint();
                    if file == CheckpointFile::CompactedUpTo && compacted == Offset::ZERO {
                        offsets.remove(log.topic_partition());
                        continue;
                    }
                    let offset = match file {
                        CheckpointFile::RecoveryPoints => recovery_point,
                        CheckpointFile::LogStartOffsets => log_start,
                        CheckpointFile::HighWatermarks => high_watermark,
                        CheckpointFile::CompactedUpTo => compacted,
                    };
                    offsets.insert(log.topic_partition().clone(), offset);
                }
            })?;
        }
        Ok(())
    }

    /// Closes all logs, and leaves the mark of a clean stop.
    pub fn close(&self) -> Result<(), Error> {
        let logs: Vec<Arc<Log>> = self.logs.lock().values().map(Arc::clone).collect();
        let result = close_all(&logs);
        self.write_checkpoints(&logs)?;
        if let Err(error) = self.shared.kv().flush() {
            warn!(%error, "the view is not flushed: the next start reads more");
        }
        result?;
        let path = self.shared.path.join(CLEAN_SHUTDOWN);
        self.shared
            .replace_file(&path, CLEAN_SHUTDOWN_CONTENT.as_bytes(), Durable::Yes)
    }

    /// Whether a sync failed; nothing is written any more then.
    pub fn is_offline(&self) -> bool {
        self.shared.is_offline()
    }

    pub fn total_bytes(&self) -> Result<u64, Error> {
        self.space().map(|(total, _)| total)
    }

    pub fn usable_bytes(&self) -> Result<u64, Error> {
        self.space().map(|(_, usable)| usable)
    }

    fn space(&self) -> Result<(u64, u64), Error> {
        let space = self.shared.fs.space(&self.shared.path);
        space.map_err(|error| Error::io("look at", &self.shared.path, error))
    }

    /// The views; waits until they are open.
    pub fn kv(&self) -> &Kv {
        self.shared.kv()
    }
}

fn folders_in(entries: Vec<DirEntry>) -> Vec<String> {
    let folders = entries.into_iter().filter(|entry| entry.is_dir);
    folders.map(|entry| entry.name).collect()
}

/// Closes logs on a few threads, since each waits for its sync.
fn close_all(logs: &[Arc<Log>]) -> Result<(), Error> {
    let next = AtomicUsize::new(0);
    let close_some = || {
        let mut result = Ok(());
        while let Some(log) = logs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = log.close() {
                warn!(log = %log.topic_partition(), %error, "not closed cleanly");
                result = Err(error);
            }
        }
        result
    };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..CLOSING_THREADS.min(logs.len()))
            .filter_map(|_| {
                std::thread::Builder::new()
                    .spawn_scoped(scope, close_some)
                    .ok()
            })
            .collect();
        let mut result = close_some();
        for helper in helpers {
            // A panic in there is a bug: the directory does not count as closed.
            result = result.and(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        result
    })
}

fn check_topic_id(
    topic_partition: &TopicPartition,
    expected: TopicId,
    found: TopicId,
) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::InconsistentTopicId {
        topic_partition: topic_partition.clone(),
        expected,
        found,
    })
}

/// As upstream names it: topic, partition, a unique part, what is to be; the topic is cut to fit.
pub(crate) fn name_aside(topic_partition: &TopicPartition, to_be: &str) -> String {
    let unique = Uuid::new_v4().simple();
    let suffix = format!("-{}.{unique}-{to_be}", topic_partition.partition);
    let mut topic = topic_partition.topic.to_string();
    // A folder that was found may have any name, a character of several bytes at its cut included.
    while topic.len() + suffix.len() > FOLDER_NAME_MAX {
        topic.pop();
    }
    topic + &suffix
}

/// The partition that a folder is named after.
fn partition_of(folder: &str) -> Option<TopicPartition> {
    let waits = ["-delete", "-future", "-stray"]
        .iter()
        .any(|suffix| folder.ends_with(suffix));
    let (topic, partition) = folder.rsplit_once('-')?;
    let is_number = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    if waits || topic.is_empty() || !is_number {
        return None;
    }
    Some(TopicPartition::new(topic, partition.parse().ok()?))
}

fn read_topic_id(fs: &dyn Fs, folder: &Path) -> Option<TopicId> {
    let content = read_file(fs, &folder.join(PARTITION_METADATA)).ok()?;
    parse_partition_metadata(&content)
}

/// Makes the directory where there is none, and takes it; the lock is held as long as it lives.
pub(crate) fn lock_and_list(fs: &dyn Fs, path: &Path) -> Result<(DirLock, Vec<DirEntry>), Error> {
    fs.create_dir_all(path)
        .map_err(|error| Error::io("create", path, error))?;
    let lock = fs.lock(&path.join(LOCK)).map_err(|error| {
        if error.kind() == std::io::ErrorKind::WouldBlock {
            Error::Locked { path: path.into() }
        } else {
            Error::io("lock", path.join(LOCK), error)
        }
    })?;
    let entries = fs
        .list(path)
        .map_err(|error| Error::io("list", path, error))?;
    Ok((lock, entries))
}

pub(crate) fn find_logs(fs: &dyn Fs, path: &Path, names: &[String]) -> Vec<FoundLog> {
    let found = names.iter().filter_map(|name| {
        let topic_partition = partition_of(name)?;
        Some(FoundLog {
            topic_partition,
            topic_id: read_topic_id(fs, &path.join(name)),
        })
    });
    found.collect()
}

fn read_checkpoints(fs: &dyn Fs, path: &Path) -> Checkpoints {
    let mut checkpoints = Checkpoints::default();
    for file in CheckpointFile::ALL {
        let path = path.join(file.name());
        // A missing file costs a longer recovery, no more.
        let Ok(content) = read_file(fs, &path) else {
            continue;
        };
        let parsed = parse_offsets(&content);
        if parsed.damaged {
            warn!(file = %path.display(), "damaged: what it should say is read from the logs");
        }
        *checkpoints.of(file) = parsed.value;
    }
    checkpoints
}
