//! Who a log directory belongs to, and whether it was left in order.
//!
//! Invariant: a directory that holds logs is never given a new identity, and the mark of a clean stop
//! is gone, durably, before anything is written.

use std::path::Path;

use uuid::Uuid;

use crate::checkpoint::{
    CLEAN_SHUTDOWN, META_PROPERTIES, MetaProperties, parse_meta_properties, render_meta_properties,
};
use crate::dir::{LogDirOptions, find_logs, lock_and_list};
use crate::error::Error;
use crate::fs::{Durable, Fs, RealFs, ReplaceError, read_file, replace_file};

/// Who a directory belongs to; `None` where it is not there, or not formatted.
///
/// # Errors
/// A file that cannot be read, or that is not a `meta.properties` of this version.
pub fn read_identity(path: &Path) -> Result<Option<MetaProperties>, Error> {
    let file = path.join(META_PROPERTIES);
    match read_file(&RealFs, &file) {
        Ok(content) => match parse_meta_properties(&content) {
            Ok(found) => Ok(Some(found)),
            Err(reason) => Err(Error::MetaProperties { path: file, reason }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", file, error)),
    }
}

/// Formats an empty directory as its first opening would, without opening it.
///
/// # Errors
/// As for [`LogDir::open`](crate::LogDir::open).
pub fn format(path: &Path, options: &LogDirOptions) -> Result<MetaProperties, Error> {
    let (_lock, entries) = lock_and_list(&*options.fs, path)?;
    let folders: Vec<String> = entries
        .into_iter()
        .filter(|entry| entry.is_dir)
        .map(|entry| entry.name)
        .collect();
    let holds_logs = !find_logs(&*options.fs, path, &folders).is_empty();
    identity(&*options.fs, path, options, holds_logs)
}

/// Reads who the directory belongs to, or writes it into an empty one.
pub(crate) fn identity(
    fs: &dyn Fs,
    path: &Path,
    options: &LogDirOptions,
    holds_logs: bool,
) -> Result<MetaProperties, Error> {
    let file = path.join(META_PROPERTIES);
    let refused = |reason| Error::MetaProperties {
        path: file.clone(),
        reason,
    };
    match read_file(fs, &file) {
        Ok(content) => {
            let mut found = parse_meta_properties(&content).map_err(refused)?;
            if found.node_id != options.node_id {
                let (expected, found) = (options.node_id, found.node_id);
                return Err(Error::NodeId {
                    path: file,
                    expected,
                    found,
                });
            }
            if let Some(expected) = options.cluster_id.clone()
                && found.cluster_id != expected
            {
                let found = found.cluster_id;
                return Err(Error::ClusterId {
                    path: file,
                    expected,
                    found,
                });
            }
            if found.directory_id.is_none() {
                found.directory_id = Some(options.directory_id.unwrap_or_else(new_uuid));
                write_identity(fs, &file, &found)?;
            }
            Ok(found)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if holds_logs {
                return Err(refused("is missing, but the directory holds logs"));
            }
            let new_cluster = || protocol::ids::uuid_to_base64(new_uuid());
            let properties = MetaProperties {
                cluster_id: options.cluster_id.clone().unwrap_or_else(new_cluster),
                node_id: options.node_id,
                directory_id: Some(options.directory_id.unwrap_or_else(new_uuid)),
            };
            write_identity(fs, &file, &properties)?;
            Ok(properties)
        }
        Err(error) => Err(Error::io("read", file, error)),
    }
}

fn write_identity(fs: &dyn Fs, file: &Path, properties: &MetaProperties) -> Result<(), Error> {
    let content = render_meta_properties(properties);
    replace_file(fs, file, content.as_bytes(), Durable::Yes).map_err(|error| match error {
        ReplaceError::Io(error) => Error::io("write", file, error),
        ReplaceError::Sync(error) => Error::io("sync", file, error),
    })
}

/// As upstream makes them: no id begins with a dash, which command lines take for an option.
pub fn new_uuid() -> Uuid {
    loop {
        let id = Uuid::new_v4();
        if !protocol::ids::uuid_to_base64(id).starts_with('-') {
            return id;
        }
    }
}

/// Takes the mark of a clean stop away, durably, before anything is written.
pub(crate) fn take_clean_marker(fs: &dyn Fs, path: &Path) -> Result<bool, Error> {
    let marker = path.join(CLEAN_SHUTDOWN);
    match fs.remove_file(&marker) {
        Ok(()) => {
            fs.sync_dir(path)
                .map_err(|error| Error::io("sync", path, error))?;
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("remove", marker, error)),
    }
}
