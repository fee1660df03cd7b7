//! The config overrides that were set at run time, by resource.
//! A resource without overrides is not listed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;

use crate::config::ConfigResource;
use crate::record::MetadataRecord;

/// The overrides of every resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigsImage {
    resources: OrdMap<ConfigResource, Arc<BTreeMap<String, String>>>,
}

impl ConfigsImage {
    /// One override.
    pub fn get(&self, resource: &ConfigResource, name: &str) -> Option<&str> {
        self.resources.get(resource)?.get(name).map(String::as_str)
    }

    /// The overrides of one resource, by name; empty where there are none.
    pub fn of(&self, resource: &ConfigResource) -> Arc<BTreeMap<String, String>> {
        self.resources
            .get(resource)
            .map(Arc::clone)
            .unwrap_or_default()
    }

    /// The resources that have overrides.
    pub fn resources(&self) -> impl Iterator<Item = &ConfigResource> {
        self.resources.keys()
    }

    pub(super) fn write(&self, records: &mut Vec<MetadataRecord>) {
        for (resource, configs) in &self.resources {
            records.extend(configs.iter().map(|(name, value)| MetadataRecord::Config {
                resource: resource.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            }));
        }
    }
}

/// Changed overrides.
#[derive(Debug, Clone)]
pub struct ConfigsDelta {
    next: Arc<ConfigsImage>,
    changed: BTreeMap<ConfigResource, BTreeSet<String>>,
}

impl ConfigsDelta {
    pub(super) fn new(base: &Arc<ConfigsImage>) -> ConfigsDelta {
        ConfigsDelta {
            next: Arc::clone(base),
            changed: BTreeMap::new(),
        }
    }

    pub(super) fn between(base: &ConfigsImage, next: &Arc<ConfigsImage>) -> ConfigsDelta {
        let mut changed: BTreeMap<ConfigResource, BTreeSet<String>> = BTreeMap::new();
        for resource in base.resources.keys().chain(next.resources.keys()) {
            let (before, after) = (base.of(resource), next.of(resource));
            let names = before.keys().chain(after.keys());
            for name in names.filter(|name| before.get(*name) != after.get(*name)) {
                changed
                    .entry(resource.clone())
                    .or_default()
                    .insert(name.clone());
            }
        }
        ConfigsDelta {
            changed,
            next: Arc::clone(next),
        }
    }

    /// The resources of which an override was set or removed, with the names of those.
    pub fn changed(&self) -> impl Iterator<Item = (&ConfigResource, &BTreeSet<String>)> {
        self.changed.iter()
    }

    /// Whether an override of this resource was set or removed.
    pub fn is_changed(&self, resource: &ConfigResource) -> bool {
        self.changed.contains_key(resource)
    }

    pub(super) fn set(&mut self, resource: &ConfigResource, name: &str, value: Option<&str>) {
        let next = Arc::make_mut(&mut self.next);
        let mut configs = next.of(resource);
        let overrides = Arc::make_mut(&mut configs);
        match value {
            Some(value) => {
                overrides.insert(name.to_owned(), value.to_owned());
            }
            None => {
                overrides.remove(name);
            }
        }
        if overrides.is_empty() {
            next.resources.remove(resource);
        } else {
            next.resources.insert(resource.clone(), configs);
        }
        self.changed
            .entry(resource.clone())
            .or_default()
            .insert(name.to_owned());
    }

    pub(super) fn remove_topic(&mut self, name: &Arc<str>) {
        let resource = ConfigResource::Topic(Arc::clone(name));
        if !self.next.resources.contains_key(&resource) {
            return;
        }
        let removed = Arc::make_mut(&mut self.next).resources.remove(&resource);
        let names = removed.iter().flat_map(|configs| configs.keys().cloned());
        self.changed.entry(resource).or_default().extend(names);
    }

    pub(super) fn apply(&self) -> Arc<ConfigsImage> {
        Arc::clone(&self.next)
    }
}
