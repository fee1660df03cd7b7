//! Listener strings: `listeners`, `advertised.listeners`, `listener.security.protocol.map` and the
//! keys that name listeners.
//!
//! Invariant: what upstream 4.3.1 accepts is accepted, with the same meaning; all else is refused
//! with key, value and what was expected.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::error::ConfigError;
use super::valid::Valid;
use super::value::{Value, parse_list};
use crate::image::{Address, SecurityProtocol};

const LISTENERS: &str = "listeners";
pub(crate) const ADVERTISED_LISTENERS: &str = "advertised.listeners";
const PROTOCOL_MAP: &str = "listener.security.protocol.map";
const CONTROLLER_LISTENER_NAMES: &str = "controller.listener.names";
const INTER_BROKER_LISTENER_NAME: &str = "inter.broker.listener.name";

/// The protocols by their names in configs.
const SECURITY_PROTOCOLS: [(&str, SecurityProtocol); 4] = [
    ("PLAINTEXT", SecurityProtocol::Plaintext),
    ("SSL", SecurityProtocol::Ssl),
    ("SASL_PLAINTEXT", SecurityProtocol::SaslPlaintext),
    ("SASL_SSL", SecurityProtocol::SaslSsl),
];

/// One listener: where it binds, or what it tells clients to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// In upper case.
    pub name: String,
    /// `None` where the string names no host: all interfaces.
    pub host: Option<String>,
    /// 0 lets the system choose.
    pub port: u16,
    pub security_protocol: SecurityProtocol,
}

/// The listener keys as they stand in server.properties, with defaults filled in.
#[derive(Debug, Clone, Copy)]
pub struct ListenerProperties<'a> {
    pub listeners: &'a str,
    pub advertised_listeners: Option<&'a str>,
    pub protocol_map: &'a str,
    /// Whether the map was set: only the default is completed by the controller listeners.
    pub protocol_map_is_set: bool,
    pub controller_listener_names: &'a str,
    pub inter_broker_listener_name: Option<&'a str>,
    /// Names the listener between brokers where `inter_broker_listener_name` does not.
    pub security_inter_broker_protocol: &'a str,
}

/// All listeners of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// For clients and brokers.
    pub broker: Vec<Listener>,
    /// For the controllers of the quorum.
    pub controller: Vec<Listener>,
    /// What clients are told, controller listeners left out; `None` where nothing is configured
    /// and the broker infers it from what it bound.
    pub advertised: Option<Vec<Listener>>,
    pub inter_broker_name: String,
    pub protocol_map: BTreeMap<String, SecurityProtocol>,
}

impl Listeners {
    /// Reads the keys and checks them against each other, as upstream does at its start.
    pub fn parse(properties: &ListenerProperties<'_>) -> Result<Listeners, ConfigError> {
        let controller_names: Vec<String> = parse_list(properties.controller_listener_names);
        let protocol_map = effective_protocol_map(properties, &controller_names)?;
        let all = parse_listeners(LISTENERS, properties.listeners, &protocol_map)?;
        require_distinct_ports(properties.listeners, &all)?;
        let advertised = properties
            .advertised_listeners
            .map(|text| parse_listeners(ADVERTISED_LISTENERS, text, &protocol_map))
            .transpose()?;
        let inter_broker_name = inter_broker_name(properties, &protocol_map)?;
        let is_controller = |listener: &Listener| controller_names.contains(&listener.name);
        let (controller, broker): (Vec<Listener>, Vec<Listener>) =
            all.into_iter().partition(is_controller);
        let advertised = advertised.map(|mut advertised| {
            advertised.retain(|listener| !is_controller(listener));
            advertised
        });
        let listeners = Listeners {
            broker,
            controller,
            advertised,
            inter_broker_name,
            protocol_map,
        };
        listeners.check(properties)?;
        Ok(listeners)
    }

    fn check(&self, properties: &ListenerProperties<'_>) -> Result<(), ConfigError> {
        let refuse = |key: &str, value: Option<&str>, sentence: &str| {
            Err(ConfigError::sentence(
                key,
                value,
                format!("requirement failed: {sentence}"),
            ))
        };
        let advertised = self.advertised.as_deref().unwrap_or(&self.broker);
        if advertised.is_empty() {
            return refuse(
                LISTENERS,
                Some(properties.listeners),
                "There must be at least one broker advertised listener. Perhaps all listeners \
                 appear in controller.listener.names?",
            );
        }
        // Upstream insists on its default name PLAINTEXT too, whether or not brokers use it.
        if !advertised
            .iter()
            .any(|listener| listener.name == self.inter_broker_name)
        {
            let sentence = format!(
                "inter.broker.listener.name must be a listener name defined in \
                 advertised.listeners. The valid options based on currently configured listeners \
                 are {}",
                names(advertised)
            );
            let value = properties.inter_broker_listener_name;
            return refuse(INTER_BROKER_LISTENER_NAME, value, &sentence);
        }
        let value = properties.advertised_listeners;
        let is_known =
            |listener: &Listener| self.broker.iter().any(|known| known.name == listener.name);
        if !advertised.iter().all(is_known) {
            let all = [self.broker.as_slice(), self.controller.as_slice()].concat();
            let sentence = format!(
                "advertised.listeners listener names must be equal to or a subset of the ones \
                 defined in listeners. Found {}. The valid options based on the current \
                 configuration are {}",
                names(advertised),
                names(&all)
            );
            return refuse(ADVERTISED_LISTENERS, value, &sentence);
        }
        // Upstream refuses to start where a listener on 0.0.0.0 is not advertised otherwise; here
        // the broker infers an address that clients can use.
        if self.advertised.is_some()
            && advertised
                .iter()
                .any(|listener| listener.host.as_deref() == Some("0.0.0.0"))
        {
            return refuse(
                ADVERTISED_LISTENERS,
                value,
                "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a \
                 routable IP address.",
            );
        }
        Ok(())
    }
}

fn names(listeners: &[Listener]) -> String {
    let names: Vec<&str> = listeners
        .iter()
        .map(|listener| listener.name.as_str())
        .collect();
    names.join(",")
}

fn inter_broker_name(
    properties: &ListenerProperties<'_>,
    protocol_map: &BTreeMap<String, SecurityProtocol>,
) -> Result<String, ConfigError> {
    let Some(value) = properties.inter_broker_listener_name else {
        return Ok(properties.security_inter_broker_protocol.to_uppercase());
    };
    let name = value.to_uppercase();
    if protocol_map.contains_key(&name) {
        return Ok(name);
    }
    let sentence = format!(
        "Listener with name {name} defined in inter.broker.listener.name not found in \
         {PROTOCOL_MAP}."
    );
    Err(ConfigError::sentence(
        INTER_BROKER_LISTENER_NAME,
        Some(value),
        sentence,
    ))
}

/// The protocol of each listener name. Where the map is not set, controller listeners are
/// plaintext, unless TLS or SASL is in use somewhere.
fn effective_protocol_map(
    properties: &ListenerProperties<'_>,
    controller_names: &[String],
) -> Result<BTreeMap<String, SecurityProtocol>, ConfigError> {
    let mut map = parse_protocol_map(properties.protocol_map)?;
    if properties.protocol_map_is_set {
        return Ok(map);
    }
    let secured = |name: &str| matches!(name, "SSL" | "SASL_SSL" | "SASL_PLAINTEXT");
    let mut listener_names = Vec::new();
    for entry in parse_list(properties.listeners)
        .iter()
        .filter(|entry| !entry.is_empty())
    {
        let Some((name, _)) = entry.split_once(':') else {
            return Err(malformed(LISTENERS, properties.listeners, entry));
        };
        listener_names.push(name.to_uppercase());
    }
    if listener_names
        .iter()
        .chain(controller_names)
        .any(|name| secured(name))
    {
        return Ok(map);
    }
    for name in controller_names.iter().filter(|name| *name != "PLAINTEXT") {
        if name.trim().is_empty() {
            return Err(ConfigError::sentence(
                CONTROLLER_LISTENER_NAMES,
                Some(properties.controller_listener_names),
                "Configuration 'controller.listener.names' values must not be empty.",
            ));
        }
        map.insert(name.clone(), SecurityProtocol::Plaintext);
    }
    Ok(map)
}

/// Reads `listener.security.protocol.map`: `NAME:PROTOCOL,...`, where the last of two entries with
/// one name holds.
pub fn parse_protocol_map(text: &str) -> Result<BTreeMap<String, SecurityProtocol>, ConfigError> {
    let expected = "pairs NAME:PROTOCOL with commas between, where PROTOCOL is one of PLAINTEXT, \
                    SSL, SASL_PLAINTEXT, SASL_SSL";
    let mut map = BTreeMap::new();
    let mut spelled: BTreeMap<String, String> = BTreeMap::new();
    let mut entries = parse_list(text);
    while entries.last().is_some_and(String::is_empty) {
        entries.pop();
    }
    for entry in entries {
        let Some((name, protocol)) = entry.rsplit_once(':') else {
            return Err(ConfigError::new(PROTOCOL_MAP, text, expected));
        };
        let (name, protocol) = (name.trim(), protocol.trim());
        if name.is_empty() {
            let sentence = "The provided listener name is null or empty string";
            return Err(ConfigError::sentence(PROTOCOL_MAP, Some(text), sentence));
        }
        let Some(protocol) = security_protocol(protocol) else {
            let sentence =
                format!("Invalid security protocol `{protocol}` defined in {PROTOCOL_MAP}");
            return Err(ConfigError::sentence(PROTOCOL_MAP, Some(text), sentence));
        };
        let upper = name.to_uppercase();
        if let Some(earlier) = spelled.insert(upper.clone(), name.to_owned())
            && earlier != name
        {
            let expected = format!("each listener name once, but {upper} stands there twice");
            return Err(ConfigError::new(PROTOCOL_MAP, text, expected));
        }
        map.insert(upper, protocol);
    }
    Ok(map)
}

fn security_protocol(name: &str) -> Option<SecurityProtocol> {
    SECURITY_PROTOCOLS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, protocol)| *protocol)
}

/// Reads a list `NAME://host:port,...`; `key` is for the errors.
pub fn parse_listeners(
    key: &str,
    text: &str,
    protocols: &BTreeMap<String, SecurityProtocol>,
) -> Result<Vec<Listener>, ConfigError> {
    let mut listeners: Vec<Listener> = Vec::new();
    let mut entries = parse_list(text);
    let valid = Valid::Listeners { null: false };
    valid.tidy(&mut entries);
    valid.check(key, Some(&Value::List(entries.clone())))?;
    for entry in &entries {
        let listener = parse_listener(key, text, entry, protocols)?;
        if listeners
            .iter()
            .any(|earlier| earlier.name == listener.name)
        {
            let reason = "Each listener must have a different name, listeners: ";
            return Err(refused(key, text, &format!("{reason}{}", shown(text))));
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

/// The address of one listener in `advertised.listeners`, which was checked when it was set; a host
/// or port that it leaves open is the registered one.
pub(crate) fn advertised_address<'a>(
    text: &'a str,
    listener: &str,
    registered: Option<Address<'a>>,
) -> Option<Address<'a>> {
    let is_wanted = |entry: &&str| {
        let name = entry.split_once("://").map(|(name, _)| name.trim());
        name.is_some_and(|name| name.eq_ignore_ascii_case(listener))
    };
    let entry = text.split(',').find(is_wanted)?;
    let (_, address) = entry.split_once("://")?;
    let (host, port) = address.trim().rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    let port = port.parse::<u16>().ok()?;
    Some(Address {
        host: if host.is_empty() {
            registered?.host
        } else {
            host
        },
        port: if port == 0 { registered?.port } else { port },
    })
}

fn parse_listener(
    key: &str,
    text: &str,
    entry: &str,
    protocols: &BTreeMap<String, SecurityProtocol>,
) -> Result<Listener, ConfigError> {
    let parts = entry.rsplit_once("://").and_then(|(name, address)| {
        let (host, port) = address.rsplit_once(':')?;
        let digits = port.strip_prefix('-').unwrap_or(port);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let host = host.strip_prefix('[').unwrap_or(host);
        let host = host.strip_suffix(']').unwrap_or(host);
        (is_number && is_host(host)).then_some((name, host, port))
    });
    let Some((name, host, port)) = parts else {
        return Err(malformed(key, text, entry));
    };
    if name.trim().is_empty() {
        return Err(refused(
            key,
            text,
            "The provided listener name is null or empty string",
        ));
    }
    let Ok(port) = port.parse::<u16>() else {
        return Err(refused(key, text, &format!("port out of range:{port}")));
    };
    let name = name.to_uppercase();
    let Some(security_protocol) = protocols.get(&name).copied() else {
        return Err(refused(
            key,
            text,
            &format!("No security protocol defined for listener {name}"),
        ));
    };
    let host = (!host.is_empty()).then(|| host.to_owned());
    Ok(Listener {
        name,
        host,
        port,
        security_protocol,
    })
}

/// Two listeners may share a port only where one has an IPv4 address and the other an IPv6 one.
fn require_distinct_ports(text: &str, listeners: &[Listener]) -> Result<(), ConfigError> {
    let mut by_port: BTreeMap<u16, Vec<Option<IpAddr>>> = BTreeMap::new();
    for listener in listeners.iter().filter(|listener| listener.port != 0) {
        let address = listener.host.as_deref().and_then(|host| host.parse().ok());
        by_port.entry(listener.port).or_default().push(address);
    }
    for (port, addresses) in by_port.iter().filter(|(_, addresses)| addresses.len() > 1) {
        let shown = shown(text);
        let reason = match addresses.as_slice() {
            [Some(one), Some(other)] if one.is_ipv4() != other.is_ipv4() => continue,
            [Some(_), Some(_)] => format!(
                "If you have two listeners on the same port then one needs to be IPv4 and the \
                 other IPv6, listeners: {shown}, port: {port}"
            ),
            addresses if addresses.iter().filter(|address| address.is_none()).count() > 1 => {
                format!("Each listener must have a different port, listeners: {shown}")
            }
            _ => format!(
                "Each listener must have a different port unless exactly one listener has an IPv4 \
                 address and the other IPv6 address, listeners: {shown}, port: {port}"
            ),
        };
        return Err(refused(LISTENERS, text, &reason));
    }
    Ok(())
}

fn malformed(key: &str, text: &str, entry: &str) -> ConfigError {
    refused(
        key,
        text,
        &format!("Unable to parse {entry} to a broker endpoint"),
    )
}

fn refused(key: &str, text: &str, reason: &str) -> ConfigError {
    let sentence = format!(
        "Error creating broker listeners from '{}': {reason}",
        shown(text)
    );
    ConfigError::sentence(key, Some(text), sentence)
}

/// A list as Java shows it.
fn shown(text: &str) -> String {
    format!("[{}]", parse_list(text).join(", "))
}

/// Host and port of `[protocol://]host:port`, where an IPv6 host may stand in brackets.
pub(super) fn host_and_port(address: &str) -> Option<(&str, &str)> {
    let address = match address.split_once("://") {
        Some((protocol, address)) if is_host(protocol) && !protocol.contains(':') => address,
        Some(_) => return None,
        None => address,
    };
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_port && is_host(host)).then_some((host, port))
}

pub(super) fn is_host(text: &str) -> bool {
    text.bytes().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'%' | b'.' | b'_' | b':')
    })
}

#[cfg(test)]
#[path = "listeners_tests.rs"]
mod tests;
