//! The checks of a broker's keys against each other, at the start and before a change at run time.
//!
//! Invariant: upstream's order and words: every row by itself first, then groups, then the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::KLAMM_CONFIGS;
use super::broker::BROKER_CONFIGS;
use super::def::find;
use super::error::ConfigError;
use super::listeners::{ListenerProperties, Listeners, is_host};
use super::names;
use super::resolve::ConfigMap;
use super::value::{Value, parse_list};

/// An assignor's name, and upstream's class of it: either stands in a list.
type BuiltIn = (&'static str, &'static str);

const CONSUMER_ASSIGNORS: [BuiltIn; 2] = [
    (
        "uniform",
        "org.apache.kafka.coordinator.group.assignor.UniformAssignor",
    ),
    (
        "range",
        "org.apache.kafka.coordinator.group.assignor.RangeAssignor",
    ),
];

const SHARE_ASSIGNORS: [BuiltIn; 1] = [(
    "simple",
    "org.apache.kafka.coordinator.group.assignor.SimpleAssignor",
)];

fn built_in_name(known: &[BuiltIn], text: &str) -> Option<&'static str> {
    let mut known = known.iter();
    let found = known.find(|(name, class)| *name == text || *class == text);
    found.map(|(name, _)| *name)
}

/// The name of an assignor of consumer groups that `group.consumer.assignors` names or whose class
/// it names.
pub fn consumer_assignor(text: &str) -> Option<&'static str> {
    built_in_name(&CONSUMER_ASSIGNORS, text)
}

/// What must hold between two keys.
#[derive(Clone, Copy)]
enum Relation {
    AtLeast,
    AtMost,
    Below,
}

use Relation::{AtLeast, AtMost, Below};

/// What holds for consumer, share and streams groups alike, without `group.<sort>.`.
const OF_GROUPS: [(&str, Relation, &str); 10] = [
    (
        "max.heartbeat.interval.ms",
        AtLeast,
        "min.heartbeat.interval.ms",
    ),
    (
        "heartbeat.interval.ms",
        AtLeast,
        "min.heartbeat.interval.ms",
    ),
    ("heartbeat.interval.ms", AtMost, "max.heartbeat.interval.ms"),
    ("max.session.timeout.ms", AtLeast, "min.session.timeout.ms"),
    ("session.timeout.ms", AtLeast, "min.session.timeout.ms"),
    ("session.timeout.ms", AtMost, "max.session.timeout.ms"),
    ("heartbeat.interval.ms", Below, "session.timeout.ms"),
    (
        "max.assignment.interval.ms",
        AtLeast,
        "min.assignment.interval.ms",
    ),
    (
        "assignment.interval.ms",
        AtLeast,
        "min.assignment.interval.ms",
    ),
    (
        "assignment.interval.ms",
        AtMost,
        "max.assignment.interval.ms",
    ),
];

const OF_STREAMS_GROUPS: [(&str, Relation, &str); 1] =
    [("num.standby.replicas", AtMost, "max.standby.replicas")];

const OF_SHARE_GROUPS: [(&str, Relation, &str); 7] = [
    ("max.delivery.count.limit", AtLeast, "delivery.count.limit"),
    ("delivery.count.limit", AtLeast, "min.delivery.count.limit"),
    (
        "max.partition.max.record.locks",
        AtLeast,
        "partition.max.record.locks",
    ),
    (
        "partition.max.record.locks",
        AtLeast,
        "min.partition.max.record.locks",
    ),
    (
        "record.lock.duration.ms",
        AtLeast,
        "min.record.lock.duration.ms",
    ),
    (
        "max.record.lock.duration.ms",
        AtLeast,
        "record.lock.duration.ms",
    ),
    ("max.share.sessions", AtLeast, "max.size"),
];

/// The values of all rows.
struct Values<'a> {
    properties: &'a ConfigMap,
    parsed: BTreeMap<&'static str, Value>,
}

/// Checks a whole server.properties, see [`super::with_node_id`], and gives its listeners.
pub fn check_properties(properties: &ConfigMap) -> Result<Listeners, ConfigError> {
    let values = Values::parse(properties)?;
    values.check_groups()?;
    values.check_relations("consumer", &OF_GROUPS)?;
    values.check_relations("share", &OF_GROUPS)?;
    values.check_relations("streams", &OF_GROUPS)?;
    values.check_relations("streams", &OF_STREAMS_GROUPS)?;
    values.check_relations("share", &OF_SHARE_GROUPS)?;
    let listeners = values.listeners()?;
    values.check_early_start(&listeners)?;
    values.check_node()?;
    values.check_logs()?;
    values.check_replication()?;
    values.check_cordoned_dirs()?;
    values.check_connections()?;
    Ok(listeners)
}

/// The keys that no row knows, for a warning by name.
pub fn unknown_properties(properties: &ConfigMap) -> Vec<&str> {
    let is_known = |name: &str| {
        name.starts_with("config.providers.")
            || names::synonyms(name)
                .into_iter()
                .any(|name| find(BROKER_CONFIGS, name).is_some())
            || find(KLAMM_CONFIGS, name).is_some()
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
        for def in BROKER_CONFIGS.iter().chain(KLAMM_CONFIGS) {
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

    fn check_relations(
        &self,
        sort: &str,
        relations: &[(&str, Relation, &str)],
    ) -> Result<(), ConfigError> {
        for (left, relation, right) in relations {
            let (left, right) = (
                format!("group.{sort}.{left}"),
                format!("group.{sort}.{right}"),
            );
            let (one, other) = (self.number(&left), self.number(&right));
            let (holds, words) = match relation {
                AtLeast => (one >= other, "greater than or equal to"),
                AtMost => (one <= other, "less than or equal to"),
                Below => (one < other, "less than"),
            };
            if !holds {
                let sentence = format!("{left} must be {words} {right}");
                return Err(ConfigError::sentence(
                    &left,
                    self.text(&left).as_deref(),
                    sentence,
                ));
            }
        }
        Ok(())
    }

    /// Protocols, assignors and codecs.
    fn check_groups(&self) -> Result<(), ConfigError> {
        let refuse = |key: &str, sentence: String| {
            Err(ConfigError::sentence(
                key,
                self.text(key).as_deref(),
                sentence,
            ))
        };
        for key in [
            "offsets.topic.compression.codec",
            "share.coordinator.state.topic.compression.codec",
        ] {
            if let Some(id) = self.number(key).filter(|id| !(0..=4).contains(id)) {
                return refuse(key, format!("Unknown compression type id: {id}"));
            }
        }
        // No class is ever loaded, so only the assignors that are built in can be found.
        let built_in: [(&str, &[BuiltIn]); 2] = [
            ("group.consumer.assignors", &CONSUMER_ASSIGNORS),
            ("group.share.assignors", &SHARE_ASSIGNORS),
        ];
        for (key, known) in built_in {
            let items = self.items(key);
            if let Some(name) = items
                .iter()
                .find(|name| built_in_name(known, name).is_none())
            {
                return refuse(key, format!("Class {name} cannot be found"));
            }
        }
        let key = "group.coordinator.rebalance.protocols";
        if self.items(key).iter().any(|protocol| protocol == "classic") {
            return Ok(());
        }
        refuse(
            key,
            "Disabling the 'classic' protocol is not supported.".to_owned(),
        )
    }

    fn check_early_start(&self, listeners: &Listeners) -> Result<(), ConfigError> {
        let key = "early.start.listeners";
        let controller_names = self.items("controller.listener.names");
        let is_known = |name: &&String| {
            let all = listeners.broker.iter().chain(&listeners.controller);
            controller_names.contains(name) || all.into_iter().any(|known| known.name == **name)
        };
        let Some(name) = self.items(key).iter().find(|name| !is_known(name)) else {
            return Ok(());
        };
        let sentence = format!(
            "{key} contains listener {name}, but this is not contained in listeners or \
             controller.listener.names"
        );
        Err(ConfigError::sentence(
            key,
            self.text(key).as_deref(),
            sentence,
        ))
    }

    /// The node's id and its place among the voters, where those are named.
    fn check_node(&self) -> Result<(), ConfigError> {
        let (node, broker) = (self.text("node.id"), self.text("broker.id"));
        if node != broker {
            let sentence = "You must set `node.id` to the same value as `broker.id`.";
            return Err(ConfigError::sentence("node.id", node.as_deref(), sentence));
        }
        let key = "controller.quorum.voters";
        let voters: BTreeSet<i32> = self
            .items(key)
            .iter()
            .filter_map(|voter| voter.split_once('@')?.0.parse().ok())
            .collect();
        let is_voter = voters
            .iter()
            .any(|voter| self.number("node.id") == Some(i64::from(*voter)));
        let is_controller = self
            .items("process.roles")
            .iter()
            .any(|role| role == "controller");
        let shown: Vec<String> = voters.iter().map(i32::to_string).collect();
        let (node, shown) = (node.unwrap_or_default(), shown.join(", "));
        self.require(
            !is_controller || voters.is_empty() || is_voter,
            key,
            &format!(
                "If process.roles contains the 'controller' role, the node id {node} must be \
                 included in the set of voters {key}=Set({shown})"
            ),
        )?;
        self.require(
            is_controller || !is_voter,
            key,
            &format!(
                "If process.roles contains just the 'broker' role, the node id {node} must not be \
                 included in the set of voters {key}=Set({shown})"
            ),
        )
    }

    fn check_cordoned_dirs(&self) -> Result<(), ConfigError> {
        let key = "cordoned.log.dirs";
        let cordoned = self.items(key);
        if cordoned.iter().any(|dir| dir == "*") {
            let sentence = "When cordoned.log.dirs is set to *, it must not contain other values";
            return self.require(cordoned.len() == 1, key, sentence);
        }
        let dirs = match self.items("log.dirs") {
            [] => self.items("log.dir"),
            dirs => dirs,
        };
        let unknown: Vec<&str> = cordoned
            .iter()
            .filter(|dir| !dirs.contains(dir))
            .map(String::as_str)
            .collect();
        self.require(
            unknown.is_empty(),
            key,
            &format!(
                "All entries in cordoned.log.dirs must be present in log.dirs or log.dir. Missing \
                 entries : {}",
                unknown.join(", ")
            ),
        )
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
        self.check_overrides("max.connections.per.ip.overrides", &overrides)?;
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

    fn check_overrides(&self, key: &str, overrides: &str) -> Result<(), ConfigError> {
        let limits = parse_connection_limits(key, overrides)?;
        let invalid: Vec<&str> = limits
            .iter()
            .map(|(host, _)| host.as_str())
            .filter(|host| !is_host(host))
            .collect();
        if invalid.is_empty() {
            return Ok(());
        }
        let sentence = format!("{key} contains invalid addresses : {}", invalid.join(","));
        Err(ConfigError::sentence(key, Some(overrides), sentence))
    }
}

/// Reads `max.connections.per.ip.overrides`: host and limit.
pub(super) fn parse_connection_limits(
    key: &str,
    text: &str,
) -> Result<Vec<(String, i32)>, ConfigError> {
    let expected = "pairs host:limit with commas between";
    let mut limits = Vec::new();
    for entry in parse_list(text).iter().filter(|entry| !entry.is_empty()) {
        let parsed = entry.rsplit_once(':').and_then(|(host, limit)| {
            Some((host.trim().to_owned(), limit.trim().parse::<i32>().ok()?))
        });
        limits.push(parsed.ok_or_else(|| ConfigError::new(key, text, expected))?);
    }
    Ok(limits)
}
