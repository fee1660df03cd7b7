//! The finalized feature levels of the cluster.
//! A feature at level 0 is not listed: level 0 and absence are the same thing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::record::MetadataRecord;

/// The finalized features by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeaturesImage {
    finalized: BTreeMap<String, i16>,
}

impl FeaturesImage {
    /// The finalized level, 0 where there is none.
    pub fn level(&self, name: &str) -> i16 {
        self.finalized.get(name).copied().unwrap_or(0)
    }

    /// All features above level 0, in name order.
    pub fn finalized(&self) -> impl Iterator<Item = (&str, i16)> {
        self.finalized
            .iter()
            .map(|(name, level)| (name.as_str(), *level))
    }

    pub(super) fn write(&self, records: &mut Vec<MetadataRecord>) {
        records.extend(
            self.finalized
                .iter()
                .map(|(name, level)| MetadataRecord::FeatureLevel {
                    name: name.clone(),
                    level: *level,
                }),
        );
    }
}

/// Changed feature levels.
#[derive(Debug, Clone)]
pub struct FeaturesDelta {
    next: Arc<FeaturesImage>,
    changed: BTreeSet<String>,
}

impl FeaturesDelta {
    pub(super) fn new(base: &Arc<FeaturesImage>) -> FeaturesDelta {
        FeaturesDelta {
            next: Arc::clone(base),
            changed: BTreeSet::new(),
        }
    }

    pub(super) fn between(base: &FeaturesImage, next: &Arc<FeaturesImage>) -> FeaturesDelta {
        let names = base.finalized.keys().chain(next.finalized.keys());
        let changed = names
            .filter(|name| base.level(name) != next.level(name))
            .cloned();
        FeaturesDelta {
            changed: changed.collect(),
            next: Arc::clone(next),
        }
    }

    /// The names of the features whose level was set.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        self.changed.iter().map(String::as_str)
    }

    pub(super) fn set(&mut self, name: &str, level: i16) {
        let next = Arc::make_mut(&mut self.next);
        if level == 0 {
            next.finalized.remove(name);
        } else {
            next.finalized.insert(name.to_owned(), level);
        }
        self.changed.insert(name.to_owned());
    }

    pub(super) fn apply(&self) -> Arc<FeaturesImage> {
        Arc::clone(&self.next)
    }
}
