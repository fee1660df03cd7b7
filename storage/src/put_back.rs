//! Putting logs back to what they held: the one operation that takes records away from a log that
//! goes on under its name and topic id.
//!
//! Invariant: of each log there is, at any moment and after any crash of the process, either what
//! it held before or what it is put back to. The new folder is laid out aside, the old one renamed
//! away, the new one renamed into its place; a crash between the two is finished at the next start.
//! Of two log start offsets such a log may have the lower one. Records are not synced: a power
//! failure may take some that were put back.
//!
//! ```text
//! klamm.kept/7-orders-0/         what a log held            (gone with the process)
//! klamm.put-back.<unique>/orders-0/   laid out, to be renamed to orders-0
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use protocol::{Offset, TopicId, TopicPartition};
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::config::LogConfig;
use crate::dir::{LogDir, name_aside};
use crate::error::Error;
use crate::fs::Fs;
use crate::log::{Log, LogContent};
use crate::shared::CheckpointFile;

/// What logs held.
const KEPT: &str = "klamm.kept";
/// Folders of logs that are laid out, below a folder whose name begins so.
const LAID_OUT: &str = "klamm.put-back.";

/// A log that is to be put back.
pub struct PutBack {
    pub topic_partition: TopicPartition,
    pub topic_id: TopicId,
    pub config: LogConfig,
    /// `None` empties it.
    pub content: Option<Arc<LogContent>>,
    /// Whether it is opened, too. If not, [`LogDir::create_or_open`] finds it.
    pub open: bool,
}

/// The log as it is now, where it was to be opened. A log that failed must be taken offline.
pub type PutBackResult = Result<Option<Arc<Log>>, Error>;

/// What a directory remembers between two calls.
#[derive(Default)]
pub(crate) struct PutBacks {
    kept: AtomicU64,
    former: Mutex<Former>,
}

/// Folders of former logs, which somebody may still read for a while.
#[derive(Default)]
struct Former {
    recent: Vec<PathBuf>,
    older: Vec<PathBuf>,
}

/// What is to be done with one log.
struct Plan<'a> {
    wanted: &'a PutBack,
    former: Option<Arc<Log>>,
    /// It is as it should be.
    is_there: bool,
}

impl LogDir {
    /// Keeps what a log holds now. It is gone when the value is dropped, and with the process.
    ///
    /// # Errors
    /// [`Error::Closed`] for a log that is deleted, and what the file system says.
    pub fn keep(&self, log: &Arc<Log>) -> Result<LogContent, Error> {
        let number = self.put_backs.kept.fetch_add(1, Ordering::Relaxed);
        let folder = self.shared.path.join(KEPT).join(number.to_string());
        log.keep(&folder)
    }

    /// Puts logs back, each as a new log under its name; the former ones take no writes any more.
    /// A log that is as it should be stays.
    ///
    /// The caller sees to it that nobody creates or deletes these logs meanwhile.
    ///
    /// # Errors
    /// What the file system says. If it fails as a whole no log has changed.
    pub fn put_back(&self, wanted: &[PutBack]) -> Result<Vec<PutBackResult>, Error> {
        self.shared.check_online()?;
        let plans: Vec<Plan<'_>> = wanted.iter().map(|wanted| self.plan(wanted)).collect();
        let unique = Uuid::new_v4().simple();
        let root = self.shared.path.join(format!("{LAID_OUT}{unique}"));
        let prepared = self.lay_out(&plans, &root).and_then(|()| {
            self.take_out(&plans);
            let lowered = self.lower_checkpoints(&plans);
            lowered.inspect_err(|_| self.take_in(&plans))
        });
        if let Err(error) = prepared {
            remove(&*self.shared.fs, &root);
            return Err(error);
        }
        self.close_former(&plans);
        let changes = plans.iter().map(|plan| self.swap(plan, &root));
        let results: Vec<PutBackResult> = changes.collect();
        if results.iter().all(Result::is_ok) {
            // Else the next start finishes what failed.
            remove(&*self.shared.fs, &root);
        }
        Ok(results)
    }

    fn plan<'a>(&self, wanted: &'a PutBack) -> Plan<'a> {
        let former = self.log(&wanted.topic_partition);
        let is_there = former.as_ref().is_some_and(|log| {
            let end = |content: &LogContent| content.offsets().1;
            match &wanted.content {
                Some(content) if end(content) > Offset::ZERO => content.is_still_in(log),
                Some(_) | None => log.log_end_offset() == Offset::ZERO,
            }
        });
        Plan {
            wanted,
            former,
            is_there,
        }
    }

    fn lay_out(&self, plans: &[Plan<'_>], root: &Path) -> Result<(), Error> {
        for Plan { wanted, .. } in changed(plans) {
            let folder = root.join(wanted.topic_partition.to_string());
            match &wanted.content {
                Some(content) => content.lay_out(&self.shared, &folder, wanted.topic_id)?,
                None => self.make_log_folder(wanted.topic_id, &folder)?,
            }
        }
        Ok(())
    }

    /// No checkpoint is written of the former logs any more.
    fn take_out(&self, plans: &[Plan<'_>]) {
        let mut logs = self.logs.lock();
        for plan in changed(plans) {
            logs.remove(&plan.wanted.topic_partition);
        }
    }

    fn take_in(&self, plans: &[Plan<'_>]) {
        let mut logs = self.logs.lock();
        for plan in changed(plans) {
            if let Some(former) = &plan.former {
                logs.insert(plan.wanted.topic_partition.clone(), Arc::clone(former));
            }
        }
    }

    /// What the checkpoints say must be true of what a log holds and of what it will hold.
    fn lower_checkpoints(&self, plans: &[Plan<'_>]) -> Result<(), Error> {
        for file in CheckpointFile::ALL {
            self.shared.update_checkpoint(file, |offsets| {
                for plan in changed(plans) {
                    let of = &plan.wanted.topic_partition;
                    let known = offsets.remove(of).unwrap_or_default();
                    let lower = match file {
                        // Above the end they would be taken for records that were lost.
                        CheckpointFile::RecoveryPoints
                        | CheckpointFile::HighWatermarks
                        | CheckpointFile::CompactedUpTo => Offset::ZERO,
                        CheckpointFile::LogStartOffsets => plan.log_start().min(known),
                    };
                    if lower > Offset::ZERO {
                        offsets.insert(of.clone(), lower);
                    }
                }
            })?;
        }
        Ok(())
    }

    fn close_former(&self, plans: &[Plan<'_>]) {
        let mut had_rows = false;
        for former in changed(plans).filter_map(|plan| plan.former.as_ref()) {
            had_rows |= former.close_for_put_back();
        }
        if had_rows && let Err(error) = self.shared.kv().flush() {
            warn!(%error, "rows of the former logs may come back after a crash");
        }
    }

    fn swap(&self, plan: &Plan<'_>, root: &Path) -> PutBackResult {
        let wanted = plan.wanted;
        let of = &wanted.topic_partition;
        if plan.is_there {
            if let (Some(content), Some(log)) = (&wanted.content, &plan.former) {
                content.is_now_in(log);
            }
            return Ok(plan.former.clone());
        }
        let name = of.to_string();
        let place = self.shared.path.join(&name);
        let aside = self.shared.path.join(name_aside(of, "delete"));
        match self.shared.fs.rename(&place, &aside) {
            Ok(()) => {
                if let Some(former) = &plan.former {
                    former.folder_renamed(aside.clone());
                }
                self.put_backs.former.lock().recent.push(aside);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("rename", place, error)),
        }
        let laid_out = root.join(&name);
        let renamed = self.shared.fs.rename(&laid_out, &place);
        renamed.map_err(|error| Error::io("rename", laid_out, error))?;
        let log_start = plan.log_start();
        if log_start > plan.first_segment() {
            let file = CheckpointFile::LogStartOffsets;
            self.shared.update_checkpoint(file, |offsets| {
                offsets.insert(of.clone(), log_start);
            })?;
        }
        if !wanted.open {
            return Ok(None);
        }
        let log = self.create_or_open(of, wanted.topic_id, wanted.config.clone())?;
        if let Some(content) = &wanted.content {
            content.is_now_in(&log);
        }
        debug!(log = %of, end = log.log_end_offset().0, "the log was put back");
        Ok(Some(log))
    }

    /// Removes folders of former logs, those that were there the last time already.
    pub fn remove_former_logs(&self) {
        let folders = {
            let mut former = self.put_backs.former.lock();
            let recent = std::mem::take(&mut former.recent);
            std::mem::replace(&mut former.older, recent)
        };
        for folder in folders {
            remove(&*self.shared.fs, &folder);
        }
    }
}

impl Plan<'_> {
    fn log_start(&self) -> Offset {
        let content = self.wanted.content.as_ref();
        content.map_or(Offset::ZERO, |content| content.offsets().0)
    }

    fn first_segment(&self) -> Offset {
        let content = self.wanted.content.as_ref();
        content.map_or(Offset::ZERO, |content| content.first_segment())
    }
}

fn changed<'a, 'b>(plans: &'a [Plan<'b>]) -> impl Iterator<Item = &'a Plan<'b>> {
    plans.iter().filter(|plan| !plan.is_there)
}

fn remove(fs: &dyn Fs, folder: &Path) {
    match fs.remove_dir_all(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => debug!(folder = %folder.display(), %error, "stays until the next start"),
    }
}

/// Finishes, at a start, what a crash cut short: a log whose former folder was renamed away gets
/// the one that was laid out for it. Says which names are of no more use.
pub(crate) fn finish(fs: &dyn Fs, path: &Path, names: &[String]) -> Vec<String> {
    let mut useless = Vec::new();
    for name in names {
        if name.starts_with(LAID_OUT) {
            for entry in fs.list(&path.join(name)).unwrap_or_default() {
                if entry.is_dir && !names.contains(&entry.name) {
                    finish_one(
                        fs,
                        &path.join(name).join(&entry.name),
                        &path.join(&entry.name),
                    );
                }
            }
        } else if name != KEPT {
            continue;
        }
        // Under another name it stands in nobody's way while it is removed.
        let to = format!("{name}.{}-delete", Uuid::new_v4().simple());
        match fs.rename(&path.join(name), &path.join(&to)) {
            Ok(()) => useless.push(to),
            Err(error) => warn!(name, %error, "could not be set aside for its removal"),
        }
    }
    useless
}

fn finish_one(fs: &dyn Fs, from: &Path, to: &Path) {
    match fs.rename(from, to) {
        Ok(()) => info!(log = %to.display(), "the log was being put back: finished"),
        Err(error) => warn!(log = %to.display(), %error, "could not be put back"),
    }
}
