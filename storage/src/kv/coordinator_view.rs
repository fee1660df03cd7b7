//! Rows that the coordinators keep of their logs; what is in them is the coordinator's affair.
//!
//! Invariant: a batch is applied whole or not at all. Rows may be lost, all of them, at any crash:
//! their owner stamps them with the offset they are true for.

use super::{Change, Family, Kv, keys};
use crate::error::Error;

/// One change of a batch of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RowChange {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    DeletePrefix(Vec<u8>),
}

/// Changes that are applied together, in order.
#[derive(Clone, Debug, Default)]
pub struct ViewBatch {
    changes: Vec<RowChange>,
}

impl ViewBatch {
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.changes.push(RowChange::Put(key.into(), value.into()));
        self
    }

    pub fn delete(&mut self, key: impl Into<Vec<u8>>) -> &mut Self {
        self.changes.push(RowChange::Delete(key.into()));
        self
    }

    /// Removes every key that begins with this.
    pub fn delete_prefix(&mut self, prefix: impl Into<Vec<u8>>) -> &mut Self {
        self.changes.push(RowChange::DeletePrefix(prefix.into()));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// The coordinators' rows of one log directory.
#[derive(Clone, Copy)]
pub struct CoordinatorView<'a> {
    kv: &'a Kv,
}

impl<'a> CoordinatorView<'a> {
    pub(super) fn new(kv: &'a Kv) -> CoordinatorView<'a> {
        CoordinatorView { kv }
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.kv.get(Family::CoordinatorView, key)
    }

    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let mut batch = ViewBatch::default();
        batch.put(key, value);
        self.write(batch)
    }

    pub fn delete(&self, key: &[u8]) -> Result<(), Error> {
        let mut batch = ViewBatch::default();
        batch.delete(key);
        self.write(batch)
    }

    /// Visits the rows whose key begins with a prefix, in key order, until the visitor says no.
    pub fn scan_prefix(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        let high = keys::prefix_end(prefix);
        self.kv
            .scan(Family::CoordinatorView, prefix, high.as_deref(), &mut visit)
    }

    pub fn write(&self, batch: ViewBatch) -> Result<(), Error> {
        let mut changes = Vec::with_capacity(batch.changes.len());
        for change in batch.changes {
            match change {
                RowChange::Put(key, value) => {
                    changes.push(Change::Put(Family::CoordinatorView, key, value));
                }
                RowChange::Delete(key) => {
                    changes.push(Change::Delete(Family::CoordinatorView, key));
                }
                RowChange::DeletePrefix(prefix) => self.delete_prefix(&prefix, &mut changes)?,
            }
        }
        self.kv.write(changes)
    }

    fn delete_prefix(&self, prefix: &[u8], changes: &mut Vec<Change>) -> Result<(), Error> {
        if let Some(high) = keys::prefix_end(prefix) {
            changes.push(Change::DeleteRange(
                Family::CoordinatorView,
                prefix.to_vec(),
                high,
            ));
            return Ok(());
        }
        // No key is behind all of these: name them one by one.
        self.scan_prefix(prefix, |key, _| {
            changes.push(Change::Delete(Family::CoordinatorView, key.to_vec()));
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(view: CoordinatorView<'_>, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        view.scan_prefix(prefix, |key, _| {
            found.push(key.to_vec());
            true
        })
        .unwrap();
        found
    }

    fn a_batch_is_applied_in_order(kv: &Kv) {
        let view = kv.coordinator_view();
        view.put(b"a1", b"old").unwrap();
        view.put(b"b1", b"stays").unwrap();
        let mut batch = ViewBatch::default();
        batch
            .delete_prefix(*b"a")
            .put(*b"a2", *b"new")
            .put(*b"c", *b"")
            .delete(*b"c");
        view.write(batch).unwrap();
        assert_eq!(keys(view, b"a"), [b"a2"]);
        assert_eq!(view.get(b"a1").unwrap(), None);
        assert_eq!(view.get(b"b1").unwrap().as_deref(), Some(&b"stays"[..]));
        assert_eq!(view.get(b"c").unwrap(), None);
        assert_eq!(keys(view, b"").len(), 2);
        view.delete(b"b1").unwrap();
        assert_eq!(keys(view, b""), [b"a2"]);
        view.put(&[255, 255], b"last").unwrap();
        let mut batch = ViewBatch::default();
        batch.delete_prefix([255]);
        view.write(batch).unwrap();
        assert_eq!(keys(view, b""), [b"a2"]);
    }

    #[test]
    fn both_stores_apply_a_batch_in_order() {
        a_batch_is_applied_in_order(&Kv::in_memory());
        let folder = tempfile::tempdir().unwrap();
        a_batch_is_applied_in_order(&Kv::open(&folder.path().join("kv")));
    }

    #[test]
    fn flushed_rows_are_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kv");
        let kv = Kv::open(&path);
        kv.coordinator_view().put(b"group", b"row").unwrap();
        kv.flush().unwrap();
        drop(kv);
        let kv = Kv::open(&path);
        let row = kv.coordinator_view().get(b"group").unwrap();
        assert_eq!(row.as_deref(), Some(&b"row"[..]));
    }

    #[test]
    fn a_damaged_database_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kv");
        drop(Kv::open(&path));
        std::fs::write(path.join("CURRENT"), b"garbage").unwrap();
        let kv = Kv::open(&path);
        kv.coordinator_view().put(b"k", b"v").unwrap();
        assert_eq!(
            kv.coordinator_view().get(b"k").unwrap().as_deref(),
            Some(&b"v"[..])
        );
    }
}
