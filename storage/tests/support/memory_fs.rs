//! A file system in memory that can fail and crash.
//!
//! It forgets, at a crash, everything the rules allow it to forget: bytes that no sync covered,
//! names that no folder sync covered.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use protocol::Timestamp;
use storage::{DirEntry, Fs, FsFile, OpenMode};

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Io,
    NoSpace,
    /// A write takes half of its bytes, the next one fails; other calls fail at once.
    ShortWrite,
    /// No descriptor is left for an open; other calls go well.
    TooManyFiles,
    /// This call and all after it fail: the process was killed in front of it.
    Killed,
}

/// What a crash leaves of bytes that were written and not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    Lost,
    /// The file has its new size, and zeros where the bytes should be.
    Zeros,
    Half,
    Kept,
}

#[derive(Default)]
struct Content {
    data: Vec<u8>,
    synced: Vec<u8>,
}

type File = Arc<Mutex<Content>>;

#[derive(Clone)]
enum Node {
    Folder,
    File(File),
}

#[derive(Default)]
struct State {
    names: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// Calls so far that may fail.
    calls: usize,
    fail_at: Option<(usize, Fault)>,
    /// Every call from here on fails so, until it is lifted.
    full: bool,
    failed: Vec<&'static str>,
}

#[derive(Clone, Default)]
pub(crate) struct MemoryFs {
    state: Arc<Mutex<State>>,
}

struct MemoryFile {
    fs: MemoryFs,
    content: File,
}

impl MemoryFs {
    /// The files there are.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let state = self.state.lock().unwrap();
        let files = state
            .names
            .iter()
            .filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }

    /// Damages a file behind everybody's back.
    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let state = self.state.lock().unwrap();
        let Some(Node::File(file)) = state.names.get(path) else {
            panic!("no {path:?}")
        };
        change(&mut file.lock().unwrap().data);
    }

    /// Lets one call fail, counted from now.
    pub(crate) fn fail_call(&self, number: usize, fault: Fault) {
        let mut state = self.state.lock().unwrap();
        state.fail_at = Some((state.calls + number, fault));
        state.failed.clear();
    }

    /// What failed, in order.
    pub(crate) fn failed(&self) -> Vec<&'static str> {
        self.state.lock().unwrap().failed.clone()
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.state.lock().unwrap().full = full;
    }

    /// The machine stops; this is what it finds when it starts again.
    pub(crate) fn after_crash(&self, unsynced: Unsynced) -> MemoryFs {
        let state = self.state.lock().unwrap();
        let mut names = BTreeMap::new();
        for (path, node) in &state.durable {
            let node = match node {
                Node::Folder => Node::Folder,
                Node::File(file) => Node::File(surviving(&file.lock().unwrap(), unsynced)),
            };
            names.insert(path.clone(), node);
        }
        // A name without its folder is gone.
        let known: Vec<PathBuf> = names.keys().cloned().collect();
        names.retain(|path, _| path.parent().is_none_or(|p| known.iter().any(|k| k == p)));
        let state = State {
            durable: names.clone(),
            names,
            ..State::default()
        };
        MemoryFs {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The process stops, the machine goes on: nothing is lost.
    pub(crate) fn after_kill(&self) -> MemoryFs {
        let state = self.state.lock().unwrap();
        let names: BTreeMap<PathBuf, Node> = state
            .names
            .iter()
            .map(|(path, node)| match node {
                Node::Folder => (path.clone(), Node::Folder),
                Node::File(file) => (
                    path.clone(),
                    Node::File(surviving(&file.lock().unwrap(), Unsynced::Kept)),
                ),
            })
            .collect();
        let state = State {
            durable: names.clone(),
            names,
            ..State::default()
        };
        MemoryFs {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Counts a call; says whether it fails.
    fn call(&self, name: &'static str, writes: bool) -> io::Result<bool> {
        let mut state = self.state.lock().unwrap();
        state.calls += 1;
        if state.full && writes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let Some((number, fault)) = state.fail_at else {
            return Ok(false);
        };
        let is_meant = state.calls == number || fault == Fault::Killed && state.calls > number;
        if !is_meant {
            return Ok(false);
        }
        state.failed.push(name);
        match fault {
            Fault::Io | Fault::Killed => Err(io::Error::from_raw_os_error(5)),
            Fault::TooManyFiles if name == "open" => Err(io::Error::from_raw_os_error(24)),
            Fault::TooManyFiles => Ok(false),
            Fault::NoSpace if !writes => Ok(false),
            Fault::NoSpace => Err(io::ErrorKind::StorageFull.into()),
            Fault::ShortWrite if name == "write" => {
                state.fail_at = Some((number + 1, Fault::NoSpace));
                Ok(true)
            }
            Fault::ShortWrite => Err(io::Error::from_raw_os_error(5)),
        }
    }
}

fn surviving(content: &Content, unsynced: Unsynced) -> File {
    let (data, synced) = (&content.data, &content.synced);
    let data = match unsynced {
        Unsynced::Lost => synced.clone(),
        Unsynced::Kept => data.clone(),
        Unsynced::Half if data.len() > synced.len() && data.starts_with(synced) => {
            let half = synced.len() + (data.len() - synced.len()) / 2;
            data.iter().copied().take(half).collect()
        }
        Unsynced::Zeros if data.len() > synced.len() && data.starts_with(synced) => {
            let mut zeros = synced.clone();
            zeros.resize(data.len(), 0);
            zeros
        }
        Unsynced::Half | Unsynced::Zeros => synced.clone(),
    };
    Arc::new(Mutex::new(Content {
        synced: data.clone(),
        data,
    }))
}

impl FsFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.fs.call("read", false)?;
        let content = self.content.lock().unwrap();
        let rest = content.data.get(position as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_vectored_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let short = self.fs.call("write", true)?;
        let mut bytes: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.to_vec()).collect();
        if short {
            bytes.truncate(bytes.len() / 2);
        }
        let mut content = self.content.lock().unwrap();
        let end = position as usize + bytes.len();
        if content.data.len() < end {
            content.data.resize(end, 0);
        }
        content.data[position as usize..end].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fs.call("sync", true)?;
        let mut content = self.content.lock().unwrap();
        content.synced = content.data.clone();
        Ok(())
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        self.fs.call("set_len", false)?;
        self.content.lock().unwrap().data.resize(size as usize, 0);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.fs.call("size", false)?;
        Ok(self.content.lock().unwrap().data.len() as u64)
    }

    fn reserve(&self, _size: u64) -> io::Result<()> {
        self.fs.call("reserve", true).map(|_| ())
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Fs for MemoryFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn FsFile>> {
        self.call("open", mode == OpenMode::Create)?;
        let mut state = self.state.lock().unwrap();
        let content = match (state.names.get(path), mode) {
            (Some(Node::File(content)), OpenMode::Read | OpenMode::ReadWrite) => content.clone(),
            (Some(Node::File(content)), OpenMode::Create) => {
                content.lock().unwrap().data.clear();
                content.clone()
            }
            (None, OpenMode::Create) => {
                let content = File::default();
                state
                    .names
                    .insert(path.to_owned(), Node::File(content.clone()));
                content
            }
            (Some(Node::Folder), _) => return Err(io::ErrorKind::IsADirectory.into()),
            (None, OpenMode::Read | OpenMode::ReadWrite) => {
                return Err(io::ErrorKind::NotFound.into());
            }
        };
        drop(state);
        Ok(Arc::new(MemoryFile {
            fs: self.clone(),
            content,
        }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<DirEntry>> {
        self.call("list", false)?;
        let state = self.state.lock().unwrap();
        if !matches!(state.names.get(folder), Some(Node::Folder)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(folder));
        Ok(inside
            .map(|(path, node)| DirEntry {
                name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                is_dir: matches!(node, Node::Folder),
                size: match node {
                    Node::Folder => 0,
                    Node::File(content) => content.lock().unwrap().data.len() as u64,
                },
            })
            .collect())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call("create_dir", true)?;
        let mut state = self.state.lock().unwrap();
        let is_log = path.components().count() > 2;
        for folder in path.ancestors() {
            state.names.entry(folder.to_owned()).or_insert(Node::Folder);
            // The log directory itself was made before the process began.
            if !(is_log && folder == path) {
                state
                    .durable
                    .entry(folder.to_owned())
                    .or_insert(Node::Folder);
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", false)?;
        let mut state = self.state.lock().unwrap();
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let moved: Vec<PathBuf> = state
            .names
            .keys()
            .filter(|path| path.starts_with(from))
            .cloned()
            .collect();
        for path in moved {
            let node = state.names.remove(&path).unwrap();
            let rest = path.strip_prefix(from).unwrap();
            let target = if rest.as_os_str().is_empty() {
                to.to_owned()
            } else {
                to.join(rest)
            };
            state.names.insert(target, node);
        }
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("hard_link", true)?;
        let mut state = self.state.lock().unwrap();
        let Some(node @ Node::File(_)) = state.names.get(from).cloned() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if state.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.names.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call("remove", false)?;
        let mut state = self.state.lock().unwrap();
        // Whatever is removed makes room.
        state.full = false;
        let removed = state.names.remove(path);
        removed.map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call("remove_dir", false)?;
        self.state
            .lock()
            .unwrap()
            .names
            .retain(|name, _| !name.starts_with(path));
        Ok(())
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.call("sync_dir", true)?;
        let mut state = self.state.lock().unwrap();
        state
            .durable
            .retain(|path, _| path.parent() != Some(folder));
        let inside: Vec<_> = state
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(folder))
            .map(|(path, node)| (path.clone(), node.clone()))
            .collect();
        state.durable.extend(inside);
        Ok(())
    }

    fn modified(&self, _path: &Path) -> io::Result<Timestamp> {
        self.call("modified", false)?;
        Ok(Timestamp(0))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.call("lock", true)?;
        Ok(Box::new(path.to_owned()))
    }

    fn space(&self, _path: &Path) -> io::Result<(u64, u64)> {
        self.call("space", false)?;
        Ok((1 << 30, 1 << 29))
    }
}
