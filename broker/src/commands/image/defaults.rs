//! Lays the user's settings over the image's defaults, so that any part of them starts a broker.
//!
//! Invariant: what the user set stays as it is, but for what no broker could read (a trailing comma); a
//! default that would contradict it gives way.

use std::collections::BTreeSet;

use metadata::config::ConfigMap;

const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const PROTOCOL_MAP: &str = "listener.security.protocol.map";
const CONTROLLER_NAMES: &str = "controller.listener.names";
const INTER_BROKER_NAME: &str = "inter.broker.listener.name";
const VOTERS: &str = "controller.quorum.voters";

/// Lists that modules build by appending, and may end with a comma or be empty.
const LISTS: [&str; 5] = [
    LISTENERS,
    ADVERTISED,
    PROTOCOL_MAP,
    CONTROLLER_NAMES,
    VOTERS,
];

/// Defaults that stand or fall with another key: (default, what makes it pointless).
const GIVES_WAY: [(&str, &str); 3] = [
    ("log.dirs", "log.dir"),
    (INTER_BROKER_NAME, "security.inter.broker.protocol"),
    (VOTERS, "controller.quorum.bootstrap.servers"),
];

/// One entry of a list of listeners: `NAME://host:port`.
#[derive(Clone)]
struct Entry {
    name: String,
    host: String,
    port: String,
}

/// Takes out what only a broker with ZooKeeper could use, and names it.
pub(super) fn without_zookeeper(mut properties: ConfigMap) -> (ConfigMap, Vec<String>) {
    let is_zookeepers =
        |key: &String| key.starts_with("zookeeper.") || key == "inter.broker.protocol.version";
    let ignored: Vec<String> = properties
        .keys()
        .filter(|key| is_zookeepers(key))
        .cloned()
        .collect();
    properties.retain(|key, _| !is_zookeepers(key));
    (properties, ignored)
}

/// The user's settings with the defaults underneath.
pub(super) fn merge(user: ConfigMap, defaults: ConfigMap) -> ConfigMap {
    let user = tidy(user);
    let mut merged = defaults.clone();
    for (default, _) in GIVES_WAY
        .iter()
        .filter(|(_, other)| user.contains_key(*other))
    {
        merged.remove(*default);
    }
    merged.extend(user.clone());
    merge_node_id(&user, &mut merged);
    merge_protocol_map(&user, &defaults, &mut merged);
    merge_listeners(&user, &defaults, &mut merged);
    merge_inter_broker_name(&user, &mut merged);
    merge_voters(&user, &mut merged);
    merged
}

/// Lists without empty entries at their ends; an empty list counts as not set.
fn tidy(mut user: ConfigMap) -> ConfigMap {
    for key in LISTS {
        let Some(value) = user.get_mut(key) else {
            continue;
        };
        let kept: Vec<&str> = items(value).collect();
        *value = kept.join(",");
        if value.is_empty() {
            user.remove(key);
        }
    }
    user
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// `broker.id` is what older settings call `node.id`; a negative one asked ZooKeeper for a number.
fn merge_node_id(user: &ConfigMap, merged: &mut ConfigMap) {
    let broker_id = user.get("broker.id").map(|id| id.trim());
    if user.contains_key("node.id") {
        return;
    }
    match broker_id {
        Some(id) if id.starts_with('-') => {
            merged.remove("broker.id");
        }
        Some(id) => {
            merged.insert("node.id".to_owned(), id.to_owned());
        }
        None => {}
    }
}

/// The user's entries, and those of the defaults for other names.
fn merge_protocol_map(user: &ConfigMap, defaults: &ConfigMap, merged: &mut ConfigMap) {
    let (Some(own), Some(default)) = (user.get(PROTOCOL_MAP), defaults.get(PROTOCOL_MAP)) else {
        return;
    };
    let name = |entry: &str| {
        let name = entry.rsplit_once(':').map_or(entry, |(name, _)| name);
        name.trim().to_uppercase()
    };
    let own_names: BTreeSet<String> = items(own).map(name).collect();
    let added = items(default).filter(|entry| !own_names.contains(&name(entry)));
    let entries: Vec<&str> = items(own).chain(added).collect();
    merged.insert(PROTOCOL_MAP.to_owned(), entries.join(","));
}

fn merge_listeners(user: &ConfigMap, defaults: &ConfigMap, merged: &mut ConfigMap) {
    let default_controllers = names(defaults.get(CONTROLLER_NAMES));
    let controllers = names(merged.get(CONTROLLER_NAMES));
    let default_entries = entries(defaults.get(LISTENERS));
    let default_port = |is_default: &dyn Fn(&Entry) -> bool| {
        let port = default_entries.iter().find(|entry| is_default(entry));
        port.and_then(|entry| entry.port.parse().ok())
    };
    // What cannot be read is left to the broker, which says so.
    let own = match (user.get(LISTENERS), user.get(ADVERTISED)) {
        (Some(own), _) => all_entries(own),
        (None, Some(advertised)) => all_entries(advertised).map(|advertised| {
            let anywhere = |entry| Entry {
                host: "0.0.0.0".to_owned(),
                ..entry
            };
            advertised.into_iter().map(anywhere).collect()
        }),
        (None, None) => {
            let is_brokers = |entry: &&Entry| !default_controllers.contains(&entry.upper_name());
            Some(default_entries.iter().filter(is_brokers).cloned().collect())
        }
    };
    let Some(mut listeners) = own else {
        merged.remove(ADVERTISED);
        merged.extend(
            user.get_key_value(ADVERTISED)
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        return;
    };
    let is_controller = |entry: &Entry| controllers.contains(&entry.upper_name());
    if user.get(ADVERTISED).is_none() {
        let brokers = listeners.iter().filter(|entry| !is_controller(entry));
        let advertised: Vec<String> = brokers.map(Entry::advertised).collect();
        merged.insert(ADVERTISED.to_owned(), advertised.join(","));
    }
    if !listeners.iter().any(is_controller)
        && let Some(name) = controllers.first()
    {
        let wanted = default_port(&|entry| default_controllers.contains(&entry.upper_name()));
        listeners.push(Entry {
            name: name.clone(),
            host: String::new(),
            port: free_port(&listeners, wanted.unwrap_or(9093)).to_string(),
        });
    }
    let listeners: Vec<String> = listeners.iter().map(Entry::to_text).collect();
    merged.insert(LISTENERS.to_owned(), listeners.join(","));
}

/// The first port from `wanted` on that no listener has.
fn free_port(listeners: &[Entry], wanted: u16) -> u16 {
    let taken = |port: &u16| {
        listeners
            .iter()
            .any(|entry| entry.port.parse() == Ok(*port))
    };
    (wanted..=u16::MAX)
        .find(|port| !taken(port))
        .unwrap_or(wanted)
}

/// Brokers among themselves use the default listener where there is one, else the first.
fn merge_inter_broker_name(user: &ConfigMap, merged: &mut ConfigMap) {
    if user.contains_key(INTER_BROKER_NAME) {
        return;
    }
    let Some(default) = merged.get(INTER_BROKER_NAME).cloned() else {
        return;
    };
    let controllers = names(merged.get(CONTROLLER_NAMES));
    let mut advertised: Vec<String> = entries(merged.get(ADVERTISED))
        .iter()
        .map(Entry::upper_name)
        .collect();
    advertised.retain(|name| !controllers.contains(name));
    if let Some(first) = advertised.first()
        && !advertised.contains(&default.to_uppercase())
    {
        merged.insert(INTER_BROKER_NAME.to_owned(), first.clone());
    }
}

/// Where the user names no voters, this node is the only one.
fn merge_voters(user: &ConfigMap, merged: &mut ConfigMap) {
    if user.contains_key(VOTERS) || !merged.contains_key(VOTERS) {
        return;
    }
    let controllers = names(merged.get(CONTROLLER_NAMES));
    let listeners = entries(merged.get(LISTENERS));
    let listener = listeners
        .iter()
        .find(|entry| controllers.contains(&entry.upper_name()));
    if let (Some(node), Some(listener)) = (merged.get("node.id"), listener) {
        let voter = format!("{node}@localhost:{}", listener.port);
        merged.insert(VOTERS.to_owned(), voter);
    }
}

fn names(list: Option<&String>) -> Vec<String> {
    list.map(|list| items(list).map(str::to_uppercase).collect())
        .unwrap_or_default()
}

fn entries(list: Option<&String>) -> Vec<Entry> {
    list.and_then(|list| all_entries(list)).unwrap_or_default()
}

/// `None` where one of them is no listener.
fn all_entries(list: &str) -> Option<Vec<Entry>> {
    items(list).map(Entry::parse).collect()
}

impl Entry {
    fn parse(text: &str) -> Option<Entry> {
        let (name, address) = text.split_once("://")?;
        let (host, port) = address.rsplit_once(':')?;
        Some(Entry {
            name: name.to_owned(),
            host: host.to_owned(),
            port: port.to_owned(),
        })
    }

    fn to_text(&self) -> String {
        format!("{}://{}:{}", self.name, self.host, self.port)
    }

    fn upper_name(&self) -> String {
        self.name.to_uppercase()
    }

    /// What clients are told where the user did not say: as upstream's default, this machine.
    fn advertised(&self) -> String {
        let is_wildcard = matches!(self.host.as_str(), "" | "0.0.0.0" | "::" | "[::]");
        let host = if is_wildcard { "localhost" } else { &self.host };
        format!("{}://{host}:{}", self.name, self.port)
    }
}

#[cfg(test)]
#[path = "defaults_tests.rs"]
mod tests;
