//! Writing down what is known, now and then and at the end.
//!
//! Invariant: after `close` nothing is written to the log, and opening it again reads no data but
//! the tail.

use protocol::Offset;
use tracing::debug;

use super::Log;
use crate::error::Error;
use crate::fs::Durable;

/// Producers that are written into the view at every checkpoint; more wait for a roll or the end.
const CHECKPOINTED_PRODUCERS_MAX: usize = 1000;

impl Log {
    /// Brings views and recovery point up to date, without syncing the active segment.
    pub(crate) fn prepare_checkpoint(&self) -> Result<(), Error> {
        self.sync_sealed()?;
        self.sync_aborted()?;
        let end = self.end.lock().clone();
        end.segment.spill(self.index());
        let mut writer = self.writer()?;
        if writer.producers.entries().len() <= CHECKPOINTED_PRODUCERS_MAX
            && !writer.producers.entries().is_empty()
        {
            self.write_producer_row(&mut writer);
        }
        Ok(())
    }

    /// Syncs everything, writes the producers down, and takes no writes any more.
    pub(crate) fn close(&self) -> Result<(), Error> {
        let turn = self.sync.turn();
        {
            let mut writer = self.writer.lock();
            if !writer.open {
                return Ok(());
            }
            writer.open = false;
            if writer.torn {
                let end = self.end.lock().clone();
                let path = end.segment.file.path();
                let cut = end.segment.file.open()?.set_len(end.position);
                cut.map_err(|error| Error::io("cut", path, error))?;
            }
            self.write_snapshot(&mut writer);
            self.write_producer_row(&mut writer);
            let end = self.end.lock().clone();
            end.segment.spill(self.index());
        }
        if self.recovery_point() < self.log_end_offset() {
            self.sync_all(&turn)?;
        }
        self.write_epochs(Durable::Yes)
    }

    /// Takes no writes any more, because the log is going to be deleted.
    pub(crate) fn close_for_deletion(&self) {
        let _turn = self.sync.turn();
        self.writer.lock().open = false;
        if let Err(error) = self.shared.kv().delete_log(self.id) {
            debug!(%error, "rows of a deleted log stay");
        }
    }

    /// What the checkpoint files say of this log: recovery point, start, high watermark.
    pub(crate) fn checkpoint_offsets(&self) -> (Offset, Offset, Offset) {
        (
            self.recovery_point(),
            self.log_start_offset(),
            self.high_watermark_checkpoint(),
        )
    }

    /// The log's folder has another name now.
    pub(crate) fn folder_renamed(&self, to: std::path::PathBuf) {
        *self.folder.write() = to;
    }
}
