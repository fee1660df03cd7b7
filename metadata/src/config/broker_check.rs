//! The checks of a broker's keys against each other, at the start and before a change at run time.
//!
//! Invariant: upstream's order and words: every row by itself first, then groups, then the rest.

use std::collections::BTreeMap;

use super::broker::{BROKER_CONFIGS, find_broker_config};
use super::error::ConfigError;
use super::listeners::{ListenerProperties, Listeners};
use super::names;
use super::resolve::ConfigMap;
use super::value::Value;

/// What must hold between two keys.
#[derive(Clone, Copy)]
enum Relation {
    AtLeast,
    AtMost,
    Below,
}

const RELATIONS: &[(&str, Relation, &str)] = &{
    use Relation::{AtLeast, AtMost, Below};
    [
        (
            "group.consumer.max.heartbeat.interval.ms",
            AtLeast,
            "group.consumer.min.heartbeat.interval.ms",
        ),
        (
            "group.consumer.heartbeat.interval.ms",
            AtLeast,
            "group.consumer.min.heartbeat.interval.ms",
        ),
        (
            "group.consumer.heartbeat.interval.ms",
            AtMost,
            "group.consumer.max.heartbeat.interval.ms",
        ),
        (
            "group.consumer.max.session.timeout.ms",
            AtLeast,
            "group.consumer.min.session.timeout.ms",
        ),
        (
            "group.consumer.session.timeout.ms",
            AtLeast,
            "group.consumer.min.session.timeout.ms",
        ),
        (
            "group.consumer.session.timeout.ms",
            AtMost,
            "group.consumer.max.session.timeout.ms",
        ),
        (
            "group.consumer.heartbeat.interval.ms",
            Below,
            "group.consumer.session.timeout.ms",
        ),
        (
            "group.consumer.max.assignment.interval.ms",
            AtLeast,
            "group.consumer.min.assignment.interval.ms",
        ),
        (
            "group.consumer.assignment.interval.ms",
            AtLeast,
            "group.consumer.min.assignment.interval.ms",
        ),
        (
            "group.consumer.assignment.interval.ms",
            AtMost,
            "group.consumer.max.assignment.interval.ms",
        ),
        (
            "group.share.max.heartbeat.interval.ms",
            AtLeast,
            "group.share.min.heartbeat.interval.ms",
        ),
        (
            "group.share.heartbeat.interval.ms",
            AtLeast,
            "group.share.min.heartbeat.interval.ms",
        ),
        (
            "group.share.heartbeat.interval.ms",
            AtMost,
            "group.share.max.heartbeat.interval.ms",
        ),
        (
            "group.share.max.session.timeout.ms",
            AtLeast,
            "group.share.min.session.timeout.ms",
        ),
        (
            "group.share.session.timeout.ms",
            AtLeast,
            "group.share.min.session.timeout.ms",
        ),
        (
            "group.share.session.timeout.ms",
            AtMost,
            "group.share.max.session.timeout.ms",
        ),
        (
            "group.share.heartbeat.interval.ms",
            Below,
            "group.share.session.timeout.ms",
        ),
        (
            "group.share.max.assignment.interval.ms",
            AtLeast,
            "group.share.min.assignment.interval.ms",
        ),
        (
            "group.share.assignment.interval.ms",
            AtLeast,
            "group.share.min.assignment.interval.ms",
        ),
        (
            "group.share.assignment.interval.ms",
            AtMost,
            "group.share.max.assignment.interval.ms",
        ),
        (
            "group.streams.max.heartbeat.interval.ms",
            AtLeast,
            "group.streams.min.heartbeat.interval.ms",
        ),
        (
            "group.streams.heartbeat.interval.ms",
            AtLeast,
            "group.streams.min.heartbeat.interval.ms",
        ),
        (
            "group.streams.heartbeat.interval.ms",
            AtMost,
            "group.streams.max.heartbeat.interval.ms",
        ),
        (
            "group.streams.max.session.timeout.ms",
            AtLeast,
            "group.streams.min.session.timeout.ms",
        ),
        (
            "group.streams.session.timeout.ms",
            AtLeast,
            "group.streams.min.session.timeout.ms",
        ),
        (
            "group.streams.session.timeout.ms",
            AtMost,
            "group.streams.max.session.timeout.ms",
        ),
        (
            "group.streams.heartbeat.interval.ms",
            Below,
            "group.streams.session.timeout.ms",
        ),
        (
            "group.streams.max.assignment.interval.ms",
            AtLeast,
            "group.streams.min.assignment.interval.ms",
        ),
        (
            "group.streams.assignment.interval.ms",
            AtLeast,
            "group.streams.min.assignment.interval.ms",
        ),
        (
            "group.streams.assignment.interval.ms",
            AtMost,
            "group.streams.max.assignment.interval.ms",
        ),
        (
            "group.streams.num.standby.replicas",
            AtMost,
            "group.streams.max.standby.replicas",
        ),
        (
            "group.share.max.delivery.count.limit",
            AtLeast,
            "group.share.delivery.count.limit",
        ),
        (
            "group.share.delivery.count.limit",
            AtLeast,
            "group.share.min.delivery.count.limit",
        ),
        (
            "group.share.max.partition.max.record.locks",
            AtLeast,
            "group.share.partition.max.record.locks",
        ),
        (
            "group.share.partition.max.record.locks",
            AtLeast,
            "group.share.min.partition.max.record.locks",
        ),
        (
            "group.share.record.lock.duration.ms",
            AtLeast,
            "group.share.min.record.lock.duration.ms",
        ),
        (
            "group.share.max.record.lock.duration.ms",
            AtLeast,
            "group.share.record.lock.duration.ms",
        ),
        (
            "group.share.max.share.sessions",
            AtLeast,
            "group.share.max.size",
        ),
    ]
};

/// The values of all rows.
struct Values<'a> {
    properties: &'a ConfigMap,
    parsed: BTreeMap<&'static str, Value>,
}

/// Checks a whole server.properties, see [`super::with_node_id`], and gives its listeners.
pub fn check_properties(properties: &ConfigMap) -> Result<Listeners, ConfigError> {
    let values = Values::parse(properties)?;
    for (left, relation, right) in RELATIONS {
        values.check_relation(left, *relation, right)?;
    }
    values.check_share_assignors()?;
    values.check_node()?;
    values.check_logs()?;
    values.check_replication()?;
    let listeners = values.listeners()?;
    values.check_connections()?;
    Ok(listeners)
}

/// The keys that no row knows, for a warning by name.
pub fn unknown_properties(properties: &ConfigMap) -> Vec<&str> {
    let is_known = |name: &str| {
        find_broker_config(name).is_some()
            || name.starts_with("config.providers.")
            || names::synonyms(name)
                .into_iter()
                .any(|name| find_broker_config(name).is_some())
    };
    properties
        .keys()
        .map(String::as_str)
        .filter(|name| !is_known(name))
        .collect()
}

impl<'a> Values<'a> {
    fn parse(properties: &'a ConfigMap) -> Result<Values<'a>, ConfigError> {
        let mut parsed = BTreeMap::new();
        for def in BROKER_CONFIGS {
            let value = match properties.get(def.name) {
                Some(text) => Some(def.parse(text)?),
                None => def.default_value()?,
            };
            match value {
                Some(value) => {
                    parsed.insert(def.name, value);
                }
                None => def.valid.check(def.name, None)?,
            }
        }
        Ok(Values { properties, parsed })
    }

    /// A whole number, `None` for null.
    fn number(&self, name: &str) -> Option<i64> {
        match self.parsed.get(name)? {
            Value::Int(number) => Some(i64::from(*number)),
            Value::Short(number) => Some(i64::from(*number)),
            Value::Long(number) => Some(*number),
            Value::Boolean(_)
            | Value::String(_)
            | Value::Double(_)
            | Value::List(_)
            | Value::Class(_)
            | Value::Password(_) => None,
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.parsed.get(name).map(Value::to_text)
    }

    fn items(&self, name: &str) -> &[String] {
        match self.parsed.get(name) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// Fails as a requirement of upstream's does.
    fn require(&self, holds: bool, key: &str, sentence: &str) -> Result<(), ConfigError> {
        if holds {
            return Ok(());
        }
        let value = self.text(key);
        let sentence = format!("requirement failed: {sentence}");
        Err(ConfigError::sentence(key, value.as_deref(), sentence))
    }

    fn check_relation(
        &self,
        left: &str,
        relation: Relation,
        right: &str,
    ) -> Result<(), ConfigError> {
        let (one, other) = (self.number(left), self.number(right));
        let (holds, words) = match relation {
            Relation::AtLeast => (one >= other, "greater than or equal to"),
            Relation::AtMost => (one <= other, "less than or equal to"),
            Relation::Below => (one < other, "less than"),
        };
        if holds {
            return Ok(());
        }
        let sentence = format!("{left} must be {words} {right}");
        Err(ConfigError::sentence(
            left,
            self.text(left).as_deref(),
            sentence,
        ))
    }

    fn check_share_assignors(&self) -> Result<(), ConfigError> {
        let key = "group.share.assignors";
        let count = self.items(key).len();
        if count == 1 {
            return Ok(());
        }
        let sentence = format!("{key} must contain exactly one assignor, but found {count}");
        Err(ConfigError::sentence(
            key,
            self.text(key).as_deref(),
            sentence,
        ))
    }

    fn check_node(&self) -> Result<(), ConfigError> {
        let (node, broker) = (self.text("node.id"), self.text("broker.id"));
        if node == broker {
            return Ok(());
        }
        let sentence = "You must set `node.id` to the same value as `broker.id`.";
        Err(ConfigError::sentence("node.id", node.as_deref(), sentence))
    }

    fn check_logs(&self) -> Result<(), ConfigError> {
        // Hours and minutes are at least zero where they count, so only milliseconds can be wrong.
        let roll = self.number("log.roll.ms").unwrap_or(1);
        self.require(
            roll >= 1,
            "log.roll.ms",
            "log.roll.ms must be greater than or equal to 1",
        )?;
        let jitter = self.number("log.roll.jitter.ms").unwrap_or(0);
        self.require(
            jitter >= 0,
            "log.roll.jitter.ms",
            "log.roll.jitter.ms must be greater than or equal to 0",
        )?;
        let (key, retention) = self.retention();
        // A negative retention, in whichever unit, is for ever; zero is refused.
        self.require(
            retention != 0,
            key,
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
        )?;
        let buffer = self.number("log.cleaner.dedupe.buffer.size").unwrap_or(0);
        let threads = self.number("log.cleaner.threads").unwrap_or(1).max(1);
        self.require(
            buffer / threads > 1024 * 1024,
            "log.cleaner.dedupe.buffer.size",
            "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
        )
    }

    fn retention(&self) -> (&'static str, i64) {
        [
            "log.retention.ms",
            "log.retention.minutes",
            "log.retention.hours",
        ]
        .into_iter()
        .find_map(|key| self.number(key).map(|number| (key, number)))
        .unwrap_or(("log.retention.ms", -1))
    }

    fn check_replication(&self) -> Result<(), ConfigError> {
        let key = "replica.fetch.wait.max.ms";
        let wait = self.number(key);
        self.require(
            wait <= self.number("replica.socket.timeout.ms"),
            key,
            "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to \
             prevent unnecessary socket timeouts",
        )?;
        self.require(
            wait <= self.number("replica.lag.time.max.ms"),
            key,
            "replica.fetch.wait.max.ms should always be less than or equal to \
             replica.lag.time.max.ms to prevent frequent changes in ISR",
        )
    }

    fn listeners(&self) -> Result<Listeners, ConfigError> {
        let protocol_map = "listener.security.protocol.map";
        let inter_broker = self.text("inter.broker.listener.name");
        let security_protocol = "security.inter.broker.protocol";
        if inter_broker.is_some() && self.properties.contains_key(security_protocol) {
            let sentence = format!(
                "Only one of inter.broker.listener.name and {security_protocol} should be set."
            );
            let value = self.text(security_protocol);
            return Err(ConfigError::sentence(
                security_protocol,
                value.as_deref(),
                sentence,
            ));
        }
        Listeners::parse(&ListenerProperties {
            listeners: &self.text("listeners").unwrap_or_default(),
            advertised_listeners: self.text("advertised.listeners").as_deref(),
            protocol_map: &self.text(protocol_map).unwrap_or_default(),
            protocol_map_is_set: self.properties.contains_key(protocol_map),
            controller_listener_names: &self.text("controller.listener.names").unwrap_or_default(),
            inter_broker_listener_name: inter_broker.as_deref(),
            security_inter_broker_protocol: &self.text(security_protocol).unwrap_or_default(),
        })
    }

    fn check_connections(&self) -> Result<(), ConfigError> {
        let queued = self.number("queued.max.request.bytes");
        self.require(
            queued <= Some(0) || queued >= self.number("socket.request.max.bytes"),
            "queued.max.request.bytes",
            "queued.max.request.bytes must be larger or equal to socket.request.max.bytes",
        )?;
        let overrides = self
            .text("max.connections.per.ip.overrides")
            .unwrap_or_default();
        self.require(
            self.number("max.connections.per.ip") != Some(0) || !overrides.is_empty(),
            "max.connections.per.ip",
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides \
             property is set.",
        )?;
        let delay = self
            .number("connection.failed.authentication.delay.ms")
            .unwrap_or(0);
        let idle = self.number("connections.max.idle.ms").unwrap_or(-1);
        self.require(
            idle < 0 || delay < idle,
            "connection.failed.authentication.delay.ms",
            &format!(
                "connection.failed.authentication.delay.ms={delay} should always be less than \
                 connections.max.idle.ms={idle} to prevent failed authentication responses from \
                 timing out"
            ),
        )
    }
}

#[cfg(test)]
#[path = "broker_check_tests.rs"]
mod tests;
