//! The few file calls this crate makes: the one door to files, so that a test can fail each of them.
//!
//! Invariant: nothing outside this module (and RocksDB) touches the file system.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use protocol::Timestamp;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    Read,
    ReadWrite,
    /// Made, or emptied where it exists; readable too.
    Create,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
    /// Bytes; 0 for a folder.
    pub size: u64,
}

/// An open file. Positions are absolute: there is no cursor to share.
pub trait FsFile: Send + Sync {
    /// Reads at most `buffer.len()` bytes; 0 is the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// May write less than all of it, as the operating system may.
    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize>;
    /// Makes content and size durable.
    fn sync_data(&self) -> io::Result<()>;
    fn set_len(&self, size: u64) -> io::Result<()>;
    fn size(&self) -> io::Result<u64>;
    /// Reserves room without changing the size.
    fn reserve(&self, size: u64) -> io::Result<()>;
    /// The descriptor, where there is one (sendfile).
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

/// The file system.
pub trait Fs: Send + Sync {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>>;
    fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>>;
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    fn modified(&self, path: &Path) -> io::Result<Timestamp>;
    /// Takes the exclusive lock of a file until the guard is dropped; `WouldBlock` when held.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
    /// Total and usable bytes of the volume.
    fn space(&self, path: &Path) -> io::Result<(u64, u64)>;
}

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

struct RealFile(File);

impl FsFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buffer, position)
    }

    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(&self.0, buffers, position)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(
            &self.0,
            rustix::fs::FallocateFlags::KEEP_SIZE,
            0,
            size,
        )?)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

impl Fs for RealFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::ReadWrite => {
                options.write(true);
            }
            OpenMode::Create => {
                options.write(true).create(true).truncate(true);
            }
        }
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // A file may go between listing and looking (a purge).
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let size = if metadata.is_file() {
                metadata.len()
            } else {
                0
            };
            entries.push(DirEntry {
                name,
                is_dir: metadata.is_dir(),
                size,
            });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn modified(&self, path: &Path) -> io::Result<Timestamp> {
        let since = std::fs::metadata(path)?
            .modified()?
            .duration_since(UNIX_EPOCH);
        let millis = since.map(|time| time.as_millis()).unwrap_or(0);
        Ok(Timestamp(i64::try_from(millis).unwrap_or(i64::MAX)))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(std::fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        let stat = rustix::fs::statvfs(path)?;
        Ok((stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize))
    }
}

/// Reads until the buffer is full or the file ends; returns the bytes read.
pub(crate) fn read_full(file: &dyn FsFile, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, position + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes every buffer, however often the operating system takes only a part.
pub(crate) fn write_all(
    file: &dyn FsFile,
    mut buffers: &mut [IoSlice<'_>],
    mut position: u64,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut buffers, 0);
    while !buffers.is_empty() {
        // The system takes at most this many buffers in one call (IOV_MAX).
        let count = buffers.len().min(1024);
        match file.write_vectored_at(&buffers[..count], position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut buffers, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads a small file whole.
pub(crate) fn read_file(fs: &dyn Fs, path: &Path) -> io::Result<Vec<u8>> {
    let file = fs.open(path, OpenMode::Read)?;
    let size = usize::try_from(file.size()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut content = vec![0; size];
    let filled = read_full(&*file, &mut content, 0)?;
    content.truncate(filled);
    Ok(content)
}

/// Copies the first bytes of a file into a new one.
pub(crate) fn copy_file(fs: &dyn Fs, from: &Path, to: &Path, size: u64) -> io::Result<()> {
    const STEP: u64 = 1 << 20;
    let (from, to) = (
        fs.open(from, OpenMode::Read)?,
        fs.open(to, OpenMode::Create)?,
    );
    let mut buffer = vec![0; usize::try_from(size.min(STEP)).unwrap_or(usize::MAX)];
    let mut position = 0;
    while position < size {
        let wanted = usize::try_from((size - position).min(STEP)).unwrap_or(usize::MAX);
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        if read_full(&*from, part, position)? < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write_all(&*to, &mut [IoSlice::new(part)], position)?;
        position += wanted as u64;
    }
    Ok(())
}

/// Whether a small file must outlive a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    Yes,
    /// As soon as its folder is synced, which the caller does.
    WithFolder,
    /// A crash of the process keeps it; what it holds can be rebuilt.
    No,
}

/// Why a small file was not replaced.
#[derive(Debug)]
pub(crate) enum ReplaceError {
    /// Nothing is lost: the old content stands.
    Io(io::Error),
    /// What was written before may be lost, and the operating system will not say so again.
    Sync(io::Error),
}

/// Replaces a small file: whole or not at all, at any crash.
pub(crate) fn replace_file(
    fs: &dyn Fs,
    path: &Path,
    content: &[u8],
    durable: Durable,
) -> Result<(), ReplaceError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = Path::new(&name);
    let file = fs
        .open(temporary, OpenMode::Create)
        .map_err(ReplaceError::Io)?;
    write_all(&*file, &mut [IoSlice::new(content)], 0).map_err(ReplaceError::Io)?;
    if durable != Durable::No {
        file.sync_data().map_err(ReplaceError::Sync)?;
    }
    drop(file);
    fs.rename(temporary, path).map_err(ReplaceError::Io)?;
    match (durable, path.parent()) {
        (Durable::Yes, Some(folder)) => fs.sync_dir(folder).map_err(ReplaceError::Sync),
        (Durable::Yes, None) | (Durable::WithFolder | Durable::No, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_holds_the_new_content_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint");
        for content in [&b"a long first content"[..], b"short"] {
            replace_file(&RealFs, &path, content, Durable::Yes).unwrap();
            assert_eq!(read_file(&RealFs, &path).unwrap(), content);
        }
        assert_eq!(RealFs.list(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn a_held_lock_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let held = RealFs.lock(&path).unwrap();
        assert_eq!(
            RealFs.lock(&path).err().map(|error| error.kind()),
            Some(io::ErrorKind::WouldBlock)
        );
        drop(held);
        RealFs.lock(&path).unwrap();
    }

    #[test]
    fn many_buffers_are_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = RealFs
            .open(&folder.path().join("f"), OpenMode::Create)
            .unwrap();
        let parts: Vec<Vec<u8>> = (0..3000u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        write_all(&*file, &mut slices, 0).unwrap();
        let mut read = vec![0; 12_001];
        assert_eq!(read_full(&*file, &mut read, 0).unwrap(), 12_000);
        assert_eq!(&read[11_996..12_000], &2999u32.to_be_bytes());
    }
}
