//! The `Store` on disk: one small RocksDB.
//!
//! Invariant: no write-ahead log (every row can be rebuilt), and all families are flushed together,
//! so what is found after a crash is the state of one moment.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, Direction,
    FlushOptions, IteratorMode, LogLevel, Options, ReadOptions, WriteBatch, WriteOptions,
};

use super::{Change, Family, Row, Store};
use crate::error::Error;

const MEBIBYTE: usize = 1 << 20;

pub(crate) struct RocksStore {
    db: DB,
}

fn failed(action: &'static str) -> impl FnOnce(rocksdb::Error) -> Error {
    move |error| Error::Kv {
        action,
        message: error.into_string(),
    }
}

/// Whether the disk is full: the database itself is as good as before.
pub(super) fn is_no_space(error: &Error) -> bool {
    matches!(error, Error::Kv { message, .. } if message.contains("No space left on device"))
}

fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_atomic_flush(true);
    // Bounded memory and few files: the rows are small and the logs are the truth.
    options.set_max_open_files(256);
    options.set_write_buffer_size(4 * MEBIBYTE);
    options.set_max_write_buffer_number(2);
    options.set_db_write_buffer_size(8 * MEBIBYTE);
    options.set_max_total_wal_size(16 * MEBIBYTE as u64);
    options.set_arena_block_size(64 * 1024);
    options.set_max_background_jobs(2);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_keep_log_file_num(1);
    options.set_log_level(LogLevel::Fatal);
    options.set_skip_stats_update_on_db_open(true);
    options.set_manifest_preallocation_size(0);
    options.set_compression_type(DBCompressionType::None);
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(MEBIBYTE));
    table.set_cache_index_and_filter_blocks(true);
    options.set_block_based_table_factory(&table);
    options
}

fn without_wal() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}

impl RocksStore {
    pub(crate) fn open(folder: &Path) -> Result<RocksStore, Error> {
        let options = options();
        let families =
            Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), options.clone()));
        let db = DB::open_cf_descriptors(&options, folder, families).map_err(failed("open"))?;
        Ok(RocksStore { db })
    }

    pub(crate) fn remove(folder: &Path) -> Result<(), Error> {
        match std::fs::remove_dir_all(folder) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("remove", folder, error)),
        }
    }

    fn handle(&self, family: Family) -> Result<&rocksdb::ColumnFamily, Error> {
        self.db.cf_handle(family.name()).ok_or(Error::Kv {
            action: "find the column family",
            message: family.name().to_owned(),
        })
    }
}

impl Store for RocksStore {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.db
            .get_cf(self.handle(family)?, key)
            .map_err(failed("get"))
    }

    fn last_in(&self, family: Family, low: &[u8], high: &[u8]) -> Result<Option<Row>, Error> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(low);
        let mut rows = self.db.raw_iterator_cf_opt(self.handle(family)?, options);
        rows.seek_for_prev(high);
        let row = match rows.item() {
            Some((key, value)) if key >= low => Some((key.to_vec(), value.to_vec())),
            Some(_) | None => None,
        };
        rows.status().map_err(failed("seek"))?;
        Ok(row)
    }

    fn scan(
        &self,
        family: Family,
        low: &[u8],
        high: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        let mut options = ReadOptions::default();
        if let Some(high) = high {
            options.set_iterate_upper_bound(high);
        }
        let mode = IteratorMode::From(low, Direction::Forward);
        for row in self.db.iterator_cf_opt(self.handle(family)?, options, mode) {
            let (key, value) = row.map_err(failed("scan"))?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), Error> {
        let mut batch = WriteBatch::default();
        for change in changes {
            match change {
                Change::Put(family, key, value) => {
                    batch.put_cf(self.handle(family)?, key, value);
                }
                Change::Delete(family, key) => batch.delete_cf(self.handle(family)?, key),
                Change::DeleteRange(family, low, high) => {
                    batch.delete_range_cf(self.handle(family)?, low, high);
                }
            }
        }
        self.db
            .write_opt(batch, &without_wal())
            .map_err(failed("write"))
    }

    fn flush(&self) -> Result<(), Error> {
        let families = Family::ALL
            .iter()
            .map(|family| self.handle(*family))
            .collect::<Result<Vec<_>, _>>()?;
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.db
            .flush_cfs_opt(&families, &options)
            .map_err(failed("flush"))
    }
}
