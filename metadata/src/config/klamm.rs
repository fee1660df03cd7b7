//! The configs that Klamm has and upstream has not: what tests need of a broker.
//!
//! Invariant: every name begins with `klamm.`; none is ever shown to clients, so that answers stay
//! upstream's.

use super::def::config_table;

config_table! {
    pub(super) const ROWS;

    /// The address of the HTTP port, host:port or http://host:port; without one there is none.
    "klamm.admin.listener" String;
    /// Lets the HTTP port do what can lose data: reset, restore, the clock, faults and crashes.
    "klamm.test.mode" Boolean = "false";
    /// Topics and records that are there when the broker is ready, as YAML.
    "klamm.seed" String;
    /// A YAML file with topics and records that are there when the broker is ready.
    "klamm.seed.file" String;
    /// Topics that are there when the broker is ready: name:partitions:key=value,... .
    "klamm.topics" String;
    /// Users that are there when the broker is ready; refused until it serves SASL.
    "klamm.users" String;
}

/// The environment variable that sets a key: `KLAMM_ADMIN_LISTENER` for `klamm.admin.listener`.
pub fn environment_variable(key: &str) -> String {
    key.to_uppercase().replace(['.', '-'], "_")
}
