//! Names of broker keys: which stand for the same thing, and which belong to one listener.
//!
//! Invariant: `listener.name.<listener>.[<mechanism>.]<key>` is a key of one listener, as upstream
//! reads it.

/// Keys of one listener's SASL mechanism, which stands between listener and key.
const MECHANISM_CONFIGS: [&str; 5] = [
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.server.callback.handler.class",
    "connections.max.reauth.ms",
];

/// Keys of one sort, the first that is set counts.
const GROUPS: [&[&str]; 4] = [
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &[
        "log.retention.ms",
        "log.retention.minutes",
        "log.retention.hours",
    ],
    &["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
];

/// TLS keys that can change at run time, but only for one listener.
pub(super) const LISTENER_SECURITY_CONFIGS: [&str; 10] = [
    "ssl.keystore.type",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.key.password",
    "ssl.keystore.key",
    "ssl.keystore.certificate.chain",
    "ssl.truststore.type",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.certificates",
];

/// Listener keys that may be set for all brokers at once.
const CLUSTER_LISTENER_CONFIGS: [&str; 3] = [
    "max.connections",
    "max.connection.creation.rate",
    "num.network.threads",
];

/// The keys behind `name`, in the order in which they are asked: itself, others of its sort, and
/// for a key of one listener the key of all.
pub(super) fn synonyms(name: &str) -> Vec<&str> {
    if let Some(group) = group_of(name) {
        return group.to_vec();
    }
    match listener_key(name) {
        Some(key) => {
            let mechanism = MECHANISM_CONFIGS
                .into_iter()
                .find(|config| key.ends_with(config));
            vec![name, mechanism.unwrap_or(key)]
        }
        None => vec![name],
    }
}

/// The keys that go when `name` is set above them.
pub(super) fn replaced_by(name: &str) -> Vec<&str> {
    group_of(name).map_or_else(|| vec![name], <[&str]>::to_vec)
}

fn group_of(name: &str) -> Option<&'static [&'static str]> {
    // The scheduler's interval stands behind the flush interval, but not the other way round.
    if name == "log.flush.scheduler.interval.ms" {
        return None;
    }
    GROUPS.into_iter().find(|group| group.contains(&name))
}

/// What follows `listener.name.<listener>.`.
pub(super) fn listener_key(name: &str) -> Option<&str> {
    name.strip_prefix("listener.name.")?
        .split_once('.')
        .map(|(_, key)| key)
}

/// Whether a listener's key must be set for one broker, because brokers differ in it.
pub(super) fn is_per_broker_listener_key(key: &str) -> bool {
    !CLUSTER_LISTENER_CONFIGS.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_come_before_minutes_and_hours() {
        let expected = [
            "log.retention.ms",
            "log.retention.minutes",
            "log.retention.hours",
        ];
        assert_eq!(synonyms("log.retention.hours"), expected);
        assert_eq!(
            synonyms("log.flush.scheduler.interval.ms"),
            ["log.flush.scheduler.interval.ms"]
        );
        assert_eq!(synonyms("num.partitions"), ["num.partitions"]);
    }

    #[test]
    fn a_listeners_key_falls_back_to_the_key_of_all() {
        let name = "listener.name.internal.ssl.keystore.location";
        assert_eq!(synonyms(name), [name, "ssl.keystore.location"]);
        let name = "listener.name.internal.scram-sha-256.sasl.jaas.config";
        assert_eq!(synonyms(name), [name, "sasl.jaas.config"]);
        assert_eq!(listener_key("listener.name.internal"), None);
    }
}
