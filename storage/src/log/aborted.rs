//! The transactions that were given up: in memory for readers, and in a file of the log's folder.
//!
//! Invariant: entries are in the order of their markers, in memory and in the file. What the file
//! lacks stands behind the newest producer snapshot, so the start finds it in the log; a file that
//! is damaged is made anew from the log.

use std::io::IoSlice;
use std::path::Path;

use bytes::{Buf, BufMut};
use protocol::{Offset, ProducerId};
use tracing::{debug, warn};

use super::types::{AbortedTransaction, EndedTransaction};
use super::{Log, Writer};
use crate::error::Error;
use crate::fs::{Durable, Fs, OpenMode, read_file, write_all};

/// The file: entries of four big-endian numbers (producer id, first, last and last stable offset)
/// and their CRC.
pub(super) const ABORTED: &str = "aborted-transactions";
const ENTRY: usize = 36;
const COVERED: usize = 32;
/// Entries of deleted transactions that the file may hold besides as many others.
const DELETED_MAX: usize = 64;

/// What is known of the file. Only a writer touches it.
#[derive(Debug, Default)]
pub(super) struct AbortedFile {
    size: u64,
    /// It must be written anew before it can be added to.
    stale: bool,
    unsynced: bool,
}

impl AbortedFile {
    /// A file that holds so many entries; none stands for a file that is not there. Nobody knows
    /// whether it was synced.
    pub(super) fn holding(entries: usize, stale: bool) -> AbortedFile {
        AbortedFile {
            size: (entries * ENTRY) as u64,
            stale,
            unsynced: entries > 0,
        }
    }
}

pub(super) fn encode(entries: &[AbortedTransaction]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY);
    for entry in entries {
        bytes.put_i64(entry.producer_id.0);
        bytes.put_i64(entry.first_offset.0);
        bytes.put_i64(entry.last_offset.0);
        bytes.put_i64(entry.last_stable_offset.0);
        let covered = bytes.len().saturating_sub(COVERED);
        let crc = crc_fast::crc32_iscsi(bytes.get(covered..).unwrap_or_default());
        bytes.put_u32(crc);
    }
    bytes
}

fn decode(entry: &[u8]) -> Option<AbortedTransaction> {
    let (mut fields, mut crc) = entry.split_at_checked(COVERED)?;
    if crc.try_get_u32().ok()? != crc_fast::crc32_iscsi(fields) {
        return None;
    }
    Some(AbortedTransaction {
        producer_id: ProducerId(fields.try_get_i64().ok()?),
        first_offset: Offset(fields.try_get_i64().ok()?),
        last_offset: Offset(fields.try_get_i64().ok()?),
        last_stable_offset: Offset(fields.try_get_i64().ok()?),
    })
}

/// The entries of a log's file, and whether they are all that was written into it.
pub(super) fn read(fs: &dyn Fs, folder: &Path) -> (Vec<AbortedTransaction>, bool) {
    let path = folder.join(ABORTED);
    let content = match read_file(fs, &path) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (Vec::new(), true),
        Err(error) => {
            warn!(file = %path.display(), %error, "read from the log instead");
            return (Vec::new(), false);
        }
    };
    let mut entries: Vec<AbortedTransaction> = Vec::with_capacity(content.len() / ENTRY);
    for bytes in content.chunks(ENTRY) {
        let last = entries.last().map_or(Offset(-1), |last| last.last_offset);
        match decode(bytes).filter(|entry| entry.last_offset > last) {
            Some(entry) => entries.push(entry),
            None => {
                warn!(file = %path.display(), "damaged: read from the log instead");
                return (entries, false);
            }
        }
    }
    (entries, true)
}

impl Log {
    /// The aborted transactions that overlap `[from, to)`.
    pub fn aborted_transactions(&self, from: Offset, to: Offset) -> Vec<AbortedTransaction> {
        let all = self.aborted.lock();
        let first = all.partition_point(|it| it.last_offset < from);
        let mut found = Vec::new();
        for transaction in all.iter().skip(first) {
            if transaction.first_offset < to {
                found.push(*transaction);
            }
            // Those that ended later began behind it.
            if transaction.last_stable_offset >= to {
                break;
            }
        }
        found
    }

    /// A transaction ended, and readers do not see it yet.
    pub(super) fn note_ended(&self, writer: &mut Writer, ended: EndedTransaction) {
        if let Some(aborted) = ended.aborted() {
            self.aborted.lock().push(aborted);
            self.add_to_file(writer, aborted);
        }
        let (first, last) = (ended.first_offset, ended.last_offset);
        self.unreplicated.lock().insert(first, last);
    }

    fn add_to_file(&self, writer: &mut Writer, aborted: AbortedTransaction) {
        let known = &mut writer.aborted_file;
        known.unsynced = true;
        if known.stale {
            return;
        }
        let path = self.folder().join(ABORTED);
        let mode = if known.size == 0 {
            OpenMode::Create
        } else {
            OpenMode::ReadWrite
        };
        let bytes = encode(&[aborted]);
        let opened = self.shared.files.open(&path, mode);
        let written =
            opened.and_then(|file| write_all(&*file, &mut [IoSlice::new(&bytes)], known.size));
        match written {
            Ok(()) => known.size += bytes.len() as u64,
            Err(error) => {
                // The start reads it from the log unless this is made good before.
                known.stale = true;
                debug!(file = %path.display(), %error, "an aborted transaction is not written down");
            }
        }
    }

    /// Before the producers are written down, whose state says that these transactions ended.
    pub(super) fn secure_aborted(&self, writer: &mut Writer) -> Result<(), Error> {
        if writer.aborted_file.stale {
            self.rewrite_aborted(writer)
        } else if writer.aborted_file.unsynced {
            self.sync_aborted_file()?;
            writer.aborted_file.unsynced = false;
            Ok(())
        } else {
            Ok(())
        }
    }

    /// As `secure_aborted`, with the writer held for moments only: most of it is done when that
    /// comes.
    pub(super) fn sync_aborted(&self) -> Result<(), Error> {
        let size = {
            let writer = self.writer()?;
            let known = &writer.aborted_file;
            if known.stale || !known.unsynced {
                return Ok(());
            }
            known.size
        };
        self.sync_aborted_file()?;
        let mut writer = self.writer()?;
        if writer.aborted_file.size == size {
            writer.aborted_file.unsynced = false;
        }
        Ok(())
    }

    fn sync_aborted_file(&self) -> Result<(), Error> {
        let folder = self.folder();
        let path = folder.join(ABORTED);
        let file = self.shared.fs.open(&path, OpenMode::ReadWrite);
        let file = file.map_err(|error| Error::io("open", &path, error))?;
        self.shared.sync_file(&*file, &path)?;
        self.shared.sync_folder(&folder)
    }

    /// Makes the file say what memory does, durably.
    fn rewrite_aborted(&self, writer: &mut Writer) -> Result<(), Error> {
        let path = self.folder().join(ABORTED);
        let content = encode(&self.aborted.lock());
        writer.aborted_file.stale = true;
        self.shared.replace_file(&path, &content, Durable::Yes)?;
        writer.aborted_file = AbortedFile {
            size: content.len() as u64,
            ..AbortedFile::default()
        };
        Ok(())
    }

    /// Nobody reads the records of these transactions any more.
    pub(super) fn forget_aborted_below(&self, writer: &mut Writer, start: Offset) {
        let mut aborted = self.aborted.lock();
        aborted.retain(|found| found.last_offset >= start);
        let written = usize::try_from(writer.aborted_file.size).unwrap_or(usize::MAX) / ENTRY;
        if written > 2 * aborted.len() + DELETED_MAX {
            writer.aborted_file.stale = true;
        }
    }

    /// Forgets those whose markers stand at these offsets, durably: none of their records is left, and
    /// the markers are about to go.
    pub(super) fn forget_aborted(
        &self,
        writer: &mut Writer,
        markers: &[Offset],
    ) -> Result<(), Error> {
        let is_gone = |it: &AbortedTransaction| markers.binary_search(&it.last_offset).is_ok();
        let mut aborted = self.aborted.lock();
        if !aborted.iter().any(is_gone) {
            return Ok(());
        }
        aborted.retain(|it| !is_gone(it));
        drop(aborted);
        self.rewrite_aborted(writer)
    }

    /// Forgets those that ended at or above an offset, durably: others will end there.
    pub(super) fn cut_aborted(&self, writer: &mut Writer, offset: Offset) -> Result<(), Error> {
        {
            let mut aborted = self.aborted.lock();
            aborted.retain(|found| found.last_offset < offset);
        }
        self.unreplicated.lock().retain(|_, last| *last < offset);
        if writer.aborted_file.size == 0 && !writer.aborted_file.stale {
            return Ok(());
        }
        self.rewrite_aborted(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::RealFs;

    fn entry(last_offset: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: ProducerId(5),
            first_offset: Offset(last_offset - 3),
            last_offset: Offset(last_offset),
            last_stable_offset: Offset(last_offset + 1),
        }
    }

    #[test]
    fn what_is_written_is_read_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let entries = [entry(10), entry(20), entry(30)];
        let good = encode(&entries);
        let path = folder.path().join(ABORTED);
        let read = || read(&RealFs, folder.path());
        assert_eq!(read(), (Vec::new(), true));
        std::fs::write(&path, &good).unwrap();
        assert_eq!(read(), (entries.to_vec(), true));
        for size in 1..good.len() {
            std::fs::write(&path, &good[..size]).unwrap();
            let whole = size % ENTRY == 0;
            assert_eq!(read(), (entries[..size / ENTRY].to_vec(), whole), "{size}");
        }
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            assert_eq!(read(), (entries[..at / ENTRY].to_vec(), false), "{at}");
        }
        std::fs::write(&path, [&good[..], &[0; ENTRY]].concat()).unwrap();
        assert_eq!(read(), (entries.to_vec(), false));
        std::fs::write(&path, [&good[..], &good[..ENTRY]].concat()).unwrap();
        assert_eq!(read(), (entries.to_vec(), false));
    }
}
