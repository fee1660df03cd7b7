//! A `Store` of maps: for tests, for simulation, and where no database can be opened.
//!
//! Invariant: behaves as `RocksStore` does, but forgets with the process.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::RwLock;

use super::{Change, Family, Row, Store};
use crate::error::Error;

type Rows = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

#[derive(Default)]
pub(crate) struct MemoryStore {
    rows: RwLock<Rows>,
}

impl Store for MemoryStore {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.rows.read().get(&(family, key.to_vec())).cloned())
    }

    fn last_in(&self, family: Family, low: &[u8], high: &[u8]) -> Result<Option<Row>, Error> {
        if low > high {
            return Ok(None);
        }
        let rows = self.rows.read();
        let mut range = rows.range((family, low.to_vec())..=(family, high.to_vec()));
        Ok(range
            .next_back()
            .map(|((_, key), value)| (key.clone(), value.clone())))
    }

    fn scan(
        &self,
        family: Family,
        low: &[u8],
        high: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Error> {
        if high.is_some_and(|high| high <= low) {
            return Ok(());
        }
        let upper = match high {
            Some(high) => Bound::Excluded((family, high.to_vec())),
            None => Bound::Unbounded,
        };
        let rows = self.rows.read();
        for ((of, key), value) in rows.range((Bound::Included((family, low.to_vec())), upper)) {
            if *of != family || !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), Error> {
        let mut rows = self.rows.write();
        for change in changes {
            match change {
                Change::Put(family, key, value) => {
                    rows.insert((family, key), value);
                }
                Change::Delete(family, key) => {
                    rows.remove(&(family, key));
                }
                Change::DeleteRange(family, low, high) => {
                    rows.retain(|(of, key), _| *of != family || *key < low || *key >= high);
                }
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }
}
