//! What a config belongs to: a topic, a broker or all brokers, a group, a client metrics
//! subscription, or the loggers of a broker.
//!
//! Invariant: a resource made from a name on the wire gives that name back, but for the spelling
//! of a broker id (`007` is `7`).

use std::fmt;
use std::sync::Arc;

/// The owner of configs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResource {
    Topic(Arc<str>),
    /// `None` is the cluster default: it holds for every broker that has no value of its own.
    Broker(Option<i32>),
    BrokerLogger(i32),
    ClientMetrics(Arc<str>),
    Group(Arc<str>),
}

/// The sorts of [`ConfigResource`], by their numbers on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigResourceType {
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

impl ConfigResourceType {
    pub fn from_code(code: i8) -> Option<ConfigResourceType> {
        Some(match code {
            2 => ConfigResourceType::Topic,
            4 => ConfigResourceType::Broker,
            8 => ConfigResourceType::BrokerLogger,
            16 => ConfigResourceType::ClientMetrics,
            32 => ConfigResourceType::Group,
            _ => return None,
        })
    }

    pub fn code(self) -> i8 {
        self as i8
    }

    /// The name in upstream's messages.
    pub fn name(self) -> &'static str {
        match self {
            ConfigResourceType::Topic => "TOPIC",
            ConfigResourceType::Broker => "BROKER",
            ConfigResourceType::BrokerLogger => "BROKER_LOGGER",
            ConfigResourceType::ClientMetrics => "CLIENT_METRICS",
            ConfigResourceType::Group => "GROUP",
        }
    }
}

impl ConfigResource {
    pub fn resource_type(&self) -> ConfigResourceType {
        match self {
            ConfigResource::Topic(_) => ConfigResourceType::Topic,
            ConfigResource::Broker(_) => ConfigResourceType::Broker,
            ConfigResource::BrokerLogger(_) => ConfigResourceType::BrokerLogger,
            ConfigResource::ClientMetrics(_) => ConfigResourceType::ClientMetrics,
            ConfigResource::Group(_) => ConfigResourceType::Group,
        }
    }

    /// The name on the wire; the cluster default of brokers is the empty name.
    pub fn name(&self) -> String {
        match self {
            ConfigResource::Topic(name)
            | ConfigResource::ClientMetrics(name)
            | ConfigResource::Group(name) => name.to_string(),
            ConfigResource::Broker(None) => String::new(),
            ConfigResource::Broker(Some(id)) | ConfigResource::BrokerLogger(id) => id.to_string(),
        }
    }
}

/// As upstream writes it in messages.
impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource_type = self.resource_type().name();
        write!(
            f,
            "ConfigResource(type={resource_type}, name='{}')",
            self.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_from_the_wire_comes_back() {
        let known: Vec<i8> = (i8::MIN..=i8::MAX)
            .filter(|code| ConfigResourceType::from_code(*code).is_some())
            .collect();
        assert_eq!(known, [2, 4, 8, 16, 32]);
        for code in known {
            assert_eq!(
                ConfigResourceType::from_code(code).map(ConfigResourceType::code),
                Some(code)
            );
        }
    }

    #[test]
    fn the_cluster_default_has_the_empty_name() {
        assert_eq!(ConfigResource::Broker(None).name(), "");
        assert_eq!(
            ConfigResource::Broker(Some(1)).to_string(),
            "ConfigResource(type=BROKER, name='1')"
        );
    }
}
