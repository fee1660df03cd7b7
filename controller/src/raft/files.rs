//! Small files that are replaced as a whole: a crash leaves the old or the new content, never a
//! mixture, and what was damaged is noticed by its checksum.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{Fs, OpenMode};
use thiserror::Error;

use super::types::{Fields, FormatError};

const MAGIC: [u8; 8] = *b"KLAMMCTL";
const HEADER_SIZE: usize = MAGIC.len() + 1 + 4 + 8;
/// Storage removes files of this name from a folder it opens.
const PART_SUFFIX: &str = ".tmp";

/// Why a file cannot be read.
#[derive(Debug, Error)]
pub(crate) enum FileError {
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: &'static str },
    #[error("{} cannot be read: {reason}", path.display())]
    Format { path: PathBuf, reason: FormatError },
}

impl FileError {
    /// Whether there is no room; then another try may succeed.
    pub(crate) fn is_no_space(&self) -> bool {
        match self {
            FileError::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            FileError::Damaged { .. } | FileError::Format { .. } => false,
        }
    }
}

/// The folder of the metadata log, through the door that tests can fail.
#[derive(Clone)]
pub(crate) struct Files {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
}

impl Files {
    pub(crate) fn new(fs: Arc<dyn Fs>, folder: PathBuf) -> Files {
        Files { fs, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The names that end in `suffix`, in order.
    pub(crate) fn names(&self, suffix: &str) -> Result<Vec<String>, FileError> {
        let entries = self
            .fs
            .list(&self.folder)
            .map_err(|source| failed("list", &self.folder, source))?;
        let names = entries.into_iter().map(|entry| entry.name);
        let mut names: Vec<String> = names.filter(|name| name.ends_with(suffix)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Replaces the content of a file; it is durable when this returns.
    pub(crate) fn replace(&self, name: &str, version: u8, payload: &[u8]) -> Result<(), FileError> {
        let path = self.path(name);
        let part = self.path(&format!("{name}{PART_SUFFIX}"));
        let written = self.write(&part, version, payload);
        if written.is_err() {
            // Leave nothing behind on a full disk. A part that stays does no harm.
            let _ = self.fs.remove_file(&part);
        }
        written?;
        self.fs
            .rename(&part, &path)
            .map_err(|source| failed("rename", &path, source))?;
        self.fs
            .sync_dir(&self.folder)
            .map_err(|source| failed("sync", &self.folder, source))
    }

    fn write(&self, path: &Path, version: u8, payload: &[u8]) -> Result<(), FileError> {
        let mut header = Vec::with_capacity(HEADER_SIZE);
        header.extend_from_slice(&MAGIC);
        header.push(version);
        header.extend_from_slice(&checksum(version, payload).to_be_bytes());
        header.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        let io = |source| failed("write", path, source);
        let file = self.fs.open(path, OpenMode::Create).map_err(io)?;
        let bytes = [header.as_slice(), payload].concat();
        let mut position = 0;
        while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
            match file.write_vectored_at(&[IoSlice::new(rest)], position as u64) {
                Ok(0) => return Err(io(io::ErrorKind::WriteZero.into())),
                Ok(count) => position += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io(error)),
            }
        }
        file.sync_data().map_err(io)
    }

    /// The content of a file; `None` if there is no such file.
    pub(crate) fn read(&self, name: &str, supported: u8) -> Result<Option<Vec<u8>>, FileError> {
        let path = self.path(name);
        let bytes = match self.read_all(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &path, source)),
        };
        let damaged = |reason| FileError::Damaged {
            path: path.clone(),
            reason,
        };
        let mut fields = Fields(&bytes);
        let header = (fields.array::<8>(), fields.u8(), fields.u32(), fields.u64());
        let (Ok(magic), Ok(version), Ok(checksum_read), Ok(size)) = header else {
            return Err(damaged("it is too short"));
        };
        if magic != MAGIC {
            return Err(damaged("it does not begin as it should"));
        }
        if version > supported {
            let reason = FormatError::TooNew { version, supported };
            return Err(FileError::Format { path, reason });
        }
        let payload = fields.rest();
        if payload.len() as u64 != size {
            return Err(damaged("its size is not what it says"));
        }
        if checksum(version, payload) != checksum_read {
            return Err(damaged("its checksum does not fit"));
        }
        Ok(Some(payload.to_vec()))
    }

    fn read_all(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.fs.open(path, OpenMode::Read)?;
        let size = usize::try_from(file.size()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; size];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), FileError> {
        let path = self.path(name);
        match self.fs.remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path, source))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn checksum(version: u8, payload: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&[version]);
    digest.update(payload);
    // A CRC of 32 bits in a wider return value.
    digest.finalize() as u32
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> FileError {
    FileError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use storage::RealFs;

    use super::*;

    fn files() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(Arc::new(RealFs), folder.path().to_owned());
        (folder, files)
    }

    #[test]
    fn the_last_content_is_read_back() {
        let (_folder, files) = files();
        assert!(files.read("a", 1).unwrap().is_none());
        files.replace("a", 1, b"one").unwrap();
        files.replace("a", 1, b"two").unwrap();
        assert_eq!(files.read("a", 1).unwrap().unwrap(), b"two");
        assert_eq!(files.names("").unwrap(), ["a"]);
    }

    #[test]
    fn every_damage_is_noticed() {
        let (_folder, files) = files();
        files.replace("a", 1, b"content").unwrap();
        let good = std::fs::read(files.path("a")).unwrap();
        for size in 0..good.len() {
            std::fs::write(files.path("a"), &good[..size]).unwrap();
            assert!(
                matches!(files.read("a", 1), Err(FileError::Damaged { .. })),
                "{size}"
            );
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x10;
            std::fs::write(files.path("a"), &bad).unwrap();
            assert!(files.read("a", 1).is_err(), "{index}");
        }
        std::fs::write(files.path("a"), [&good[..], b"x"].concat()).unwrap();
        assert!(files.read("a", 1).is_err());
    }

    #[test]
    fn a_newer_version_is_refused_with_that_reason() {
        let (_folder, files) = files();
        files.replace("a", 2, b"content").unwrap();
        let error = files.read("a", 1).unwrap_err();
        assert!(error.to_string().contains("newer version"), "{error}");
    }
}
