//! The key-value views of the logs: the only place that knows RocksDB.
//!
//! Invariant: everything in here can be rebuilt from the logs and the small checkpoint files. A
//! view that is lost, behind or cannot be written makes a lookup slower, never wrong; so opening
//! never fails: a damaged database is made anew, and where that fails too the views live in memory.
//!
//! ```text
//! Kv ── Store (trait) ── RocksStore     one database per log directory, few column families
//!                     └─ MemoryStore    a map: tests, simulation, last resort
//! ```

mod coordinator_view;
mod keys;
mod log_state;
mod memory;
mod offset_index;
mod rocks;

pub use coordinator_view::{CoordinatorView, ViewBatch};
pub(crate) use keys::LogId;
pub(crate) use log_state::SegmentSummary;
pub(crate) use offset_index::IndexEntry;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use tracing::{info, warn};

use crate::error::Error;
use memory::MemoryStore;
use rocks::RocksStore;

/// The folder of the database inside the log directory.
pub(crate) const FOLDER: &str = "klamm.rocksdb";

/// The column families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// Offset and time index of segments.
    SegmentIndex,
    /// Segment summaries, producer state.
    LogState,
    /// Rows of the coordinators, opaque here.
    CoordinatorView,
}

impl Family {
    pub(crate) const ALL: [Family; 3] = [
        Family::SegmentIndex,
        Family::LogState,
        Family::CoordinatorView,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Family::SegmentIndex => "segment_index",
            Family::LogState => "log_state",
            Family::CoordinatorView => "coordinator_view",
        }
    }
}

/// One change of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put(Family, Vec<u8>, Vec<u8>),
    Delete(Family, Vec<u8>),
    /// From the first key (inclusive) to the second (exclusive).
    DeleteRange(Family, Vec<u8>, Vec<u8>),
}

type Row = (Vec<u8>, Vec<u8>);

/// An ordered map per family; a batch is applied whole or not at all.
pub(crate) trait Store: Send + Sync {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    /// The last row with a key in `[low, high]`.
    fn last_in(&self, family: Family, low: &[u8], high: &[u8]) -> Result<Option<Row>, Error>;
    /// Rows in `[low, high)` in key order (to the end where `high` is `None`), until the visitor
    /// says no.
    fn scan(
        &self,
        family: Family,
        low: &[u8],
        high: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error>;
    fn write(&self, changes: Vec<Change>) -> Result<(), Error>;
    /// Makes everything written durable.
    fn flush(&self) -> Result<(), Error>;
}

/// The views of one log directory.
pub struct Kv {
    folder: Option<PathBuf>,
    store: RwLock<Box<dyn Store>>,
    /// A write failed: the database may refuse all further ones until it is opened again.
    failed: Mutex<bool>,
}

impl Kv {
    /// Opens the database in a folder; a damaged one is removed and made anew.
    pub(crate) fn open(folder: &Path) -> Kv {
        let opened = open_store(folder);
        Kv {
            folder: Some(folder.to_owned()),
            failed: Mutex::new(opened.is_none()),
            store: RwLock::new(opened.unwrap_or_else(memory_store)),
        }
    }

    /// A view that is gone with the process.
    pub fn in_memory() -> Kv {
        Kv {
            folder: None,
            store: RwLock::new(memory_store()),
            failed: Mutex::new(false),
        }
    }

    /// Closes the database; what is put afterwards is forgotten.
    pub(crate) fn close(&self) {
        if self.folder.is_some() {
            *self.failed.lock() = false;
            *self.store.write() = memory_store();
        }
    }

    /// The rows of the coordinators.
    pub fn coordinator_view(&self) -> CoordinatorView<'_> {
        CoordinatorView::new(self)
    }

    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.store.read().get(family, key)
    }

    fn last_in(&self, family: Family, low: &[u8], high: &[u8]) -> Result<Option<Row>, Error> {
        self.store.read().last_in(family, low, high)
    }

    fn scan(
        &self,
        family: Family,
        low: &[u8],
        high: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        self.store.read().scan(family, low, high, visit)
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), Error> {
        let result = self.store.read().write(changes);
        if result.is_err() {
            *self.failed.lock() = true;
        }
        result
    }

    /// Makes everything written durable.
    pub fn flush(&self) -> Result<(), Error> {
        let result = self.store.read().flush();
        if result.is_err() {
            *self.failed.lock() = true;
        }
        result
    }

    /// Opens the database again after a failed write (RocksDB latches its first background error).
    pub(crate) fn reopen_if_failed(&self) {
        let Some(folder) = &self.folder else { return };
        let mut failed = self.failed.lock();
        if !*failed {
            return;
        }
        let mut store = self.store.write();
        // The database must be closed before it can be opened.
        *store = memory_store();
        if let Some(opened) = open_store(folder) {
            *store = opened;
            *failed = false;
            info!(folder = %folder.display(), "the key-value view is open again");
        }
    }
}

fn memory_store() -> Box<dyn Store> {
    Box::new(MemoryStore::default())
}

/// The database; `None` where it cannot be had at the moment.
fn open_store(folder: &Path) -> Option<Box<dyn Store>> {
    let first = match RocksStore::open(folder) {
        Ok(store) => return Some(Box::new(store)),
        Err(error) => error,
    };
    if rocks::is_no_space(&first) {
        warn!(folder = %folder.display(), error = %first, "the key-value view waits for room");
        return None;
    }
    warn!(folder = %folder.display(), error = %first, "the key-value view is made anew");
    match RocksStore::remove(folder).and_then(|()| RocksStore::open(folder)) {
        Ok(store) => Some(Box::new(store)),
        Err(error) => {
            warn!(folder = %folder.display(), %error, "the key-value view stays in memory");
            None
        }
    }
}

/// A view that is opened on a thread of its own, and waited for at its first use.
pub(crate) struct LazyKv {
    kv: OnceLock<Kv>,
    opening: Mutex<Option<JoinHandle<Kv>>>,
    folder: Option<PathBuf>,
}

impl LazyKv {
    pub(crate) fn open(folder: PathBuf) -> LazyKv {
        let path = folder.clone();
        let opening = std::thread::Builder::new()
            .name("kv-open".into())
            .spawn(move || Kv::open(&path))
            .ok();
        LazyKv {
            kv: OnceLock::new(),
            opening: Mutex::new(opening),
            folder: Some(folder),
        }
    }

    pub(crate) fn ready(kv: Kv) -> LazyKv {
        LazyKv {
            kv: OnceLock::from(kv),
            opening: Mutex::new(None),
            folder: None,
        }
    }

    /// Closes the database, wherever its opening is.
    pub(crate) fn close(&self) {
        if self.kv.get().is_some() || self.opening.lock().is_some() {
            self.get().close();
        }
    }

    pub(crate) fn get(&self) -> &Kv {
        self.kv.get_or_init(|| {
            let opened = self
                .opening
                .lock()
                .take()
                .and_then(|thread| thread.join().ok());
            match (opened, &self.folder) {
                (Some(kv), _) => kv,
                (None, Some(folder)) => Kv::open(folder),
                (None, None) => Kv::in_memory(),
            }
        })
    }
}

impl Drop for LazyKv {
    /// A process that ends while RocksDB still opens is aborted by it.
    fn drop(&mut self) {
        if let Some(opening) = self.opening.get_mut().take() {
            // What it opened, or why it panicked, interests nobody any more.
            drop(opening.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database that latched an error.
    struct Broken;

    fn broken<T>() -> Result<T, Error> {
        Err(Error::Kv {
            action: "write",
            message: "No space left on device".into(),
        })
    }

    impl Store for Broken {
        fn get(&self, _: Family, _: &[u8]) -> Result<Option<Vec<u8>>, Error> {
            Ok(None)
        }

        fn last_in(&self, _: Family, _: &[u8], _: &[u8]) -> Result<Option<Row>, Error> {
            Ok(None)
        }

        fn scan(
            &self,
            _: Family,
            _: &[u8],
            _: Option<&[u8]>,
            _: &mut dyn FnMut(&[u8], &[u8]) -> bool,
        ) -> Result<(), Error> {
            Ok(())
        }

        fn write(&self, _: Vec<Change>) -> Result<(), Error> {
            broken()
        }

        fn flush(&self) -> Result<(), Error> {
            broken()
        }
    }

    #[test]
    fn a_database_that_refused_a_write_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let kv = Kv {
            folder: Some(folder.path().join("kv")),
            store: RwLock::new(Box::new(Broken)),
            failed: Mutex::new(false),
        };
        kv.reopen_if_failed();
        kv.coordinator_view().put(b"k", b"v").unwrap_err();
        kv.reopen_if_failed();
        kv.coordinator_view().put(b"k", b"v").unwrap();
        kv.flush().unwrap();
        drop(kv);
        let kv = Kv::open(&folder.path().join("kv"));
        assert_eq!(
            kv.coordinator_view().get(b"k").unwrap().as_deref(),
            Some(&b"v"[..])
        );
    }

    #[test]
    fn a_closed_database_can_be_opened_while_the_old_one_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kv");
        let old = Kv::open(&path);
        old.coordinator_view().put(b"k", b"v").unwrap();
        old.flush().unwrap();
        old.close();
        let new = Kv::open(&path);
        assert_eq!(
            new.coordinator_view().get(b"k").unwrap().as_deref(),
            Some(&b"v"[..])
        );
        assert_eq!(old.coordinator_view().get(b"k").unwrap(), None);
    }
}
