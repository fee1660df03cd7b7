//! Segment files by name, whose descriptors come from a bounded cache that opens them again.
//!
//! Invariant: holding a `SegmentFile` holds no descriptor; at most the cache's capacity is open,
//! besides those in use at the moment.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use protocol::Offset;

use crate::error::Error;
use crate::fs::{Fs, FsFile, OpenMode, read_full};

/// The folder of a log; it is renamed when the log is deleted.
pub(crate) type LogFolder = Arc<RwLock<PathBuf>>;

/// Open descriptors of one log directory, the least recently used closed first.
pub(crate) struct FileCache {
    fs: Arc<dyn Fs>,
    capacity: usize,
    opened: Mutex<VecDeque<Weak<SegmentFile>>>,
}

impl FileCache {
    pub(crate) fn new(fs: Arc<dyn Fs>, capacity: usize) -> FileCache {
        FileCache {
            fs,
            capacity: capacity.max(1),
            opened: Mutex::new(VecDeque::new()),
        }
    }

    fn admit(&self, file: &Arc<SegmentFile>) {
        let mut opened = self.opened.lock();
        opened.push_back(Arc::downgrade(file));
        Self::shrink(&mut opened, self.capacity);
    }

    /// Closes what was not used since it was last looked at; everything gets a second chance.
    fn shrink(opened: &mut VecDeque<Weak<SegmentFile>>, capacity: usize) {
        let mut chances = opened.len() * 2;
        while opened.len() > capacity && chances > 0 {
            chances -= 1;
            let Some(oldest) = opened.pop_front() else {
                break;
            };
            let Some(file) = oldest.upgrade() else {
                continue;
            };
            if file.used.swap(false, Ordering::Relaxed) && chances > 0 {
                opened.push_back(oldest);
            } else {
                *file.handle.lock() = None;
            }
        }
    }

    /// Opens a file; when the process is out of descriptors, closes half of ours and tries again.
    pub(crate) fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        let result = self.fs.open(path, mode);
        let out_of_descriptors =
            [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| errno.raw_os_error());
        match result {
            Err(error)
                if error
                    .raw_os_error()
                    .is_some_and(|code| out_of_descriptors.contains(&code)) =>
            {
                {
                    let mut opened = self.opened.lock();
                    let half = opened.len() / 2;
                    Self::shrink(&mut opened, half);
                }
                self.fs.open(path, mode)
            }
            result => result,
        }
    }
}

/// A segment's file, open or not.
pub struct SegmentFile {
    base_offset: Offset,
    folder: LogFolder,
    name: Mutex<String>,
    cache: Arc<FileCache>,
    handle: Mutex<Option<Arc<dyn FsFile>>>,
    used: AtomicBool,
}

impl SegmentFile {
    pub(crate) fn new(
        base_offset: Offset,
        folder: LogFolder,
        name: String,
        cache: Arc<FileCache>,
    ) -> Arc<SegmentFile> {
        Arc::new(SegmentFile {
            base_offset,
            folder,
            name: Mutex::new(name),
            cache,
            handle: Mutex::new(None),
            used: AtomicBool::new(false),
        })
    }

    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    pub fn path(&self) -> PathBuf {
        self.folder.read().join(&*self.name.lock())
    }

    /// Renames the file within its folder. Nobody opens it meanwhile: another file may get its name.
    pub(crate) fn rename(&self, fs: &dyn Fs, name: String) -> Result<(), Error> {
        let _nobody_opens = self.handle.lock();
        let from = self.path();
        let to = self.folder.read().join(&name);
        fs.rename(&from, &to)
            .map_err(|error| Error::io("rename", from, error))?;
        *self.name.lock() = name;
        Ok(())
    }

    /// Takes a file that was just made into the cache.
    pub(crate) fn set_handle(self: &Arc<Self>, file: Arc<dyn FsFile>) {
        *self.handle.lock() = Some(file);
        self.cache.admit(self);
    }

    /// The open file; it stays open as long as it is held.
    pub fn open(self: &Arc<Self>) -> Result<Arc<dyn FsFile>, Error> {
        self.used.store(true, Ordering::Relaxed);
        let mut handle = self.handle.lock();
        if let Some(file) = &*handle {
            return Ok(Arc::clone(file));
        }
        let path = self.path();
        let file = self
            .cache
            .open(&path, OpenMode::ReadWrite)
            .map_err(|error| Error::io("open", path, error))?;
        *handle = Some(Arc::clone(&file));
        drop(handle);
        self.cache.admit(self);
        Ok(file)
    }

    /// Lends the descriptor, for sendfile.
    pub fn with_fd<T>(
        self: &Arc<Self>,
        use_it: impl FnOnce(BorrowedFd<'_>) -> T,
    ) -> Result<T, Error> {
        let file = self.open()?;
        match file.descriptor() {
            Some(descriptor) => Ok(use_it(descriptor)),
            None => {
                let error = io::ErrorKind::Unsupported.into();
                Err(Error::io("lend the descriptor of", self.path(), error))
            }
        }
    }
}

/// Whole batches in a file.
#[derive(Clone)]
pub struct FileRange {
    pub file: Arc<SegmentFile>,
    pub position: u64,
    pub len: usize,
}

impl FileRange {
    pub fn read(&self) -> Result<Bytes, Error> {
        let file = self.file.open()?;
        let mut buffer = vec![0; self.len];
        let filled = read_full(&*file, &mut buffer, self.position)
            .map_err(|error| Error::io("read", self.file.path(), error))?;
        if filled < self.len {
            let error = io::ErrorKind::UnexpectedEof.into();
            return Err(Error::io("read", self.file.path(), error));
        }
        Ok(buffer.into())
    }
}

/// What a read found: whole batches, in order.
#[derive(Clone)]
pub struct LogSlice {
    pub chunks: Vec<FileRange>,
    /// Base offset of the first batch, which may lie below the offset asked for.
    pub first_offset: Option<Offset>,
    /// Where the next read goes on.
    pub next_offset: Offset,
}

impl LogSlice {
    /// Nothing, at the end of what may be read.
    pub fn empty(next_offset: Offset) -> LogSlice {
        LogSlice {
            chunks: Vec::new(),
            first_offset: None,
            next_offset,
        }
    }

    pub fn size_in_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// All of it in memory.
    pub fn read(&self) -> Result<Bytes, Error> {
        if let [only] = self.chunks.as_slice() {
            return only.read();
        }
        let mut all = bytes::BytesMut::with_capacity(self.size_in_bytes());
        for chunk in &self.chunks {
            all.extend_from_slice(&chunk.read()?);
        }
        Ok(all.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::RealFs;

    #[test]
    fn no_more_files_are_open_than_the_cache_holds() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Arc::new(FileCache::new(Arc::new(RealFs), 3));
        let place: LogFolder = Arc::new(RwLock::new(folder.path().to_owned()));
        let files: Vec<_> = (0..10)
            .map(|number| {
                std::fs::write(folder.path().join(format!("{number}")), [number]).unwrap();
                SegmentFile::new(
                    Offset(i64::from(number)),
                    Arc::clone(&place),
                    format!("{number}"),
                    Arc::clone(&cache),
                )
            })
            .collect();
        for _ in 0..3 {
            for (number, file) in files.iter().enumerate() {
                let range = FileRange {
                    file: Arc::clone(file),
                    position: 0,
                    len: 1,
                };
                assert_eq!(range.read().unwrap(), [number as u8].as_slice());
                let open = files
                    .iter()
                    .filter(|file| file.handle.lock().is_some())
                    .count();
                assert!(open <= 3, "{open} files are open");
            }
        }
    }

    #[test]
    fn a_renamed_file_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Arc::new(FileCache::new(Arc::new(RealFs), 1));
        let place: LogFolder = Arc::new(RwLock::new(folder.path().join("a")));
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/x"), b"1").unwrap();
        let file = SegmentFile::new(Offset(0), Arc::clone(&place), "x".into(), cache);
        std::fs::rename(folder.path().join("a"), folder.path().join("b")).unwrap();
        *place.write() = folder.path().join("b");
        let range = FileRange {
            file,
            position: 0,
            len: 1,
        };
        assert_eq!(range.read().unwrap(), b"1".as_slice());
    }
}
