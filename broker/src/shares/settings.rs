//! The settings of share groups: each group's own over the broker's, as of one state of the cluster.
//!
//! Invariant: they are those of the metadata that was published last.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use coordinator::share::partition::{AutoOffsetReset, IsolationLevel, ShareGroupSettings};
use metadata::config::{ConfigError, ConfigMap, GroupConfig, ShareAutoOffsetReset};
use metadata::{ConfigResource, MetadataImage};
use parking_lot::RwLock;
use tracing::error;

use crate::config::{self, ServerConfig};

/// What a share group is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) partition: ShareGroupSettings,
    pub(crate) isolation: IsolationLevel,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            partition: ShareGroupSettings::default(),
            isolation: IsolationLevel::ReadUncommitted,
        }
    }
}

/// The settings of all groups.
pub(super) struct SettingsOfGroups {
    config: Arc<ServerConfig>,
    image: Arc<MetadataImage>,
    /// Of groups that set nothing.
    defaults: OnceLock<Settings>,
    /// Of those groups that set something and were asked for.
    own: RwLock<HashMap<Arc<str>, Settings>>,
}

impl SettingsOfGroups {
    pub(super) fn new(config: Arc<ServerConfig>, image: Arc<MetadataImage>) -> Self {
        SettingsOfGroups {
            config,
            image,
            defaults: OnceLock::new(),
            own: RwLock::default(),
        }
    }

    pub(super) fn of(&self, group_id: &Arc<str>) -> Settings {
        let resource = ConfigResource::Group(group_id.clone());
        let own = self.image.configs.of(&resource);
        if own.is_empty() {
            return *self.defaults.get_or_init(|| self.resolve(group_id, own));
        }
        if let Some(known) = self.own.read().get(group_id) {
            return *known;
        }
        let found = self.resolve(group_id, own);
        self.own.write().insert(group_id.clone(), found);
        found
    }

    /// What was set was checked then; should it not be readable, upstream's defaults count.
    fn resolve(&self, group_id: &str, own: Arc<ConfigMap>) -> Settings {
        self.try_resolve(own).unwrap_or_else(|error| {
            error!(group = group_id, %error, "a share group's settings are refused");
            Settings::default()
        })
    }

    fn try_resolve(&self, own: Arc<ConfigMap>) -> Result<Settings, ConfigError> {
        let layers = config::broker_layers(&self.config, &self.image).with_overrides(own);
        let found = GroupConfig::within_bounds(&layers)?;
        let deliveries = i16::try_from(found.share_delivery_count_limit);
        Ok(Settings {
            partition: ShareGroupSettings {
                partition_max_record_locks: found.share_partition_max_record_locks,
                delivery_count_limit: deliveries.unwrap_or(i16::MAX),
                record_lock_duration_ms: found.share_record_lock_duration_ms,
                renew_acknowledge_enable: found.share_renew_acknowledge_enable,
                auto_offset_reset: match found.auto_offset_reset() {
                    ShareAutoOffsetReset::Earliest => AutoOffsetReset::Earliest,
                    ShareAutoOffsetReset::Latest => AutoOffsetReset::Latest,
                    ShareAutoOffsetReset::ByDuration { milliseconds } => {
                        AutoOffsetReset::ByDuration { milliseconds }
                    }
                },
            },
            isolation: if found.share_isolation_level == "read_committed" {
                IsolationLevel::ReadCommitted
            } else {
                IsolationLevel::ReadUncommitted
            },
        })
    }
}
