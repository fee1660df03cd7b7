//! The list of addresses by which a tool finds its cluster.
//!
//! Invariant: what upstream's clients take for an address is one, and nothing else.

use std::net::ToSocketAddrs;

use crate::failure::Failure;
use crate::print;

const CONFIG_EXCEPTION: &str = "org.apache.kafka.common.config.ConfigException";

/// Host and port of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// Reads a list like `one:9092, two:9092` that stands in the setting of that name.
pub(super) fn parse_list(text: &str, setting: &str) -> Result<Vec<Address>, Failure> {
    let mut addresses = Vec::new();
    for entry in text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
    {
        addresses.push(parse(entry).ok_or_else(|| {
            Failure::new(
                CONFIG_EXCEPTION,
                format!("Invalid url in {setting}: {entry}"),
            )
        })?);
    }
    if addresses.is_empty() {
        return Err(none_resolvable(setting));
    }
    Ok(addresses)
}

/// Those of the list whose names are known; the others are told, and one must be left.
pub(super) fn resolvable(list: Vec<Address>, setting: &str) -> Result<Vec<Address>, Failure> {
    let is_known = |address: &Address| {
        let known = (address.host.as_str(), address.port).to_socket_addrs();
        let known = known.is_ok_and(|mut known| known.next().is_some());
        if !known {
            print::log(
                "WARN",
                &format!(
                    "Couldn't resolve server {address} from {setting} as DNS resolution failed for {}",
                    address.host
                ),
                "org.apache.kafka.clients.ClientUtils",
            );
        }
        known
    };
    let known: Vec<Address> = list.into_iter().filter(is_known).collect();
    if known.is_empty() {
        return Err(none_resolvable(setting));
    }
    Ok(known)
}

fn none_resolvable(setting: &str) -> Failure {
    Failure::new(
        CONFIG_EXCEPTION,
        format!("No resolvable bootstrap urls given in {setting}"),
    )
}

/// `host:port`, `[v6]:port`, either behind `PROTOCOL://`.
fn parse(entry: &str) -> Option<Address> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || "-%._".contains(character);
    let rest = match entry.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(is_name) => rest,
        Some(_) => return None,
        None => entry,
    };
    let (host, port) = rest.rsplit_once(':')?;
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    let is_host = host
        .chars()
        .all(|character| is_name(character) || character == ':');
    if host.is_empty() || !is_host || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Address {
        host: host.to_owned(),
        port: port.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_java_reads_it() {
        let shown = |text| {
            let list = parse_list(text, "bootstrap.servers").unwrap();
            list.iter()
                .map(Address::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(shown("a:1, b-c.d:2,,"), "a:1 b-c.d:2");
        assert_eq!(shown("PLAINTEXT://127.0.0.1:9092"), "127.0.0.1:9092");
        assert_eq!(shown("[::1]:9092"), "::1:9092");
    }

    #[test]
    fn an_address_without_a_port_is_named() {
        let error = parse_list("localhost", "bootstrap.servers").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid url in bootstrap.servers: localhost"
        );
        for text in ["a:", "a:x", ":1", "a:70000", "a b:1", "a:-1"] {
            assert!(parse_list(text, "bootstrap.servers").is_err(), "{text}");
        }
    }
}
