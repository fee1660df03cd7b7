//! The options of `kafka-configs`, and which of them go together.
//!
//! Invariant: they are checked in upstream's order, so that of several mistakes the same is named.

use metadata::config::{CLIENT_METRICS_CONFIGS, ConfigDef, GROUP_CONFIGS, TOPIC_CONFIGS};

use super::entities::Entities;
use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::stop::Stop;

const TYPES: [&str; 8] = [
    "topics",
    "clients",
    "users",
    "brokers",
    "ips",
    "client-metrics",
    "groups",
    "broker-loggers",
];
/// The types that have a default for those without configs of their own.
const WITH_DEFAULT: [&str; 4] = ["users", "clients", "brokers", "ips"];

const FLAGS: &[(&str, &str)] = &[
    ("alter", "Changes configs."),
    ("describe", "Shows configs."),
    ("all", "With --describe, also what was never changed."),
    (
        "entity-default",
        "The default of users, clients, brokers or ips, in place of one of them.",
    ),
    ("client-defaults", "The default of all clients."),
    ("user-defaults", "The default of all users."),
    ("broker-defaults", "The default of all brokers."),
    ("ip-defaults", "The default of all addresses."),
];

const VALUES: &[(&str, &str, &str)] = &[
    (
        "bootstrap-server",
        "String: server to connect to",
        "Addresses of brokers, host:port, parted by commas.",
    ),
    (
        "bootstrap-controller",
        "String: controller to connect to",
        "Addresses of controllers, host:port, parted by commas.",
    ),
    (
        "command-config",
        "String: command config property file",
        "A properties file for the client.",
    ),
    (
        "entity-type",
        "String",
        "What has configs: topics/clients/users/brokers/broker-loggers/ips/client-metrics/groups",
    ),
    (
        "entity-name",
        "String",
        "Which one: a topic's name, client's id, user's principal, broker's id, address, \
         subscription's name or group's id",
    ),
    (
        "add-config-file",
        "String",
        "A properties file of configs to set.",
    ),
    ("delete-config", "String", "Configs to take away: 'k1,k2'"),
    ("topic", "String", "A topic's name."),
    ("client", "String", "A client's id."),
    ("user", "String", "A user's principal."),
    ("broker", "String", "A broker's id."),
    (
        "broker-logger",
        "String",
        "The id of a broker whose loggers are meant.",
    ),
    ("ip", "String", "An address."),
    ("group", "String", "A group's id."),
    (
        "client-metrics",
        "String",
        "The name of a client metrics subscription.",
    ),
];

pub(super) fn options() -> Options {
    Options::new()
        .flags(FLAGS)
        .values(VALUES)
        .value("add-config", "String", add_config_help())
}

fn add_config_help() -> String {
    let names = |table: &'static [ConfigDef]| {
        let mut names: Vec<&str> = table
            .iter()
            .filter(|def| !def.internal)
            .map(|def| def.name)
            .collect();
        names.sort_unstable();
        names.join("\n")
    };
    format!(
        "Configs to set: 'k1=v1,k2=[v1,v2,v2],k3=v3'; brackets hold values with commas together. \
         Of topics there are:\n{}\nOf client-metrics:\n{}\nOf groups:\n{}\nOf users and clients: \
         consumer_byte_rate, controller_mutation_rate, producer_byte_rate, request_percentage; of \
         users also SCRAM-SHA-256 and SCRAM-SHA-512; of ips: connection_creation_rate. Those of \
         brokers are told in the documentation.",
        names(TOPIC_CONFIGS),
        names(CLIENT_METRICS_CONFIGS),
        names(GROUP_CONFIGS)
    )
}

/// Refuses options that do not go together.
pub(super) fn check(options: &Options, parsed: &Parsed, entities: &Entities) -> Result<(), Stop> {
    if parsed.has("alter") == parsed.has("describe") {
        return Err(Stop::Usage(
            "Command must include exactly one action: --describe, --alter".to_owned(),
        ));
    }
    options.exclude(
        parsed,
        "describe",
        &["alter", "add-config", "delete-config"],
    )?;
    check_types(parsed, entities)?;
    check_names(parsed, entities)?;
    if parsed.has("describe") {
        check_describe(parsed, entities)?;
    } else {
        check_alter(parsed, entities)?;
    }
    Ok(())
}

fn refuse(message: impl Into<String>) -> Result<(), Failure> {
    Err(Failure::illegal_argument(message))
}

fn check_types(parsed: &Parsed, entities: &Entities) -> Result<(), Failure> {
    let types = &entities.types;
    let twice: Vec<&str> = types
        .iter()
        .enumerate()
        .filter(|(at, kind)| types.iter().take(*at).any(|before| before == *kind))
        .map(|(_, kind)| kind.as_str())
        .collect();
    if !twice.is_empty() {
        return refuse(format!(
            "Duplicate entity type(s) specified: {}",
            twice.join(",")
        ));
    }
    if !parsed.has("bootstrap-server") && !parsed.has("bootstrap-controller") {
        return refuse("Either --bootstrap-server or --bootstrap-controller must be specified.");
    }
    if let Some(kind) = types.iter().find(|kind| !TYPES.contains(&kind.as_str())) {
        return refuse(format!(
            "Invalid entity type {kind}, the entity type must be one of {} with a \
             --bootstrap-server or --bootstrap-controller argument",
            TYPES.join(", ")
        ));
    }
    if types.is_empty() {
        return refuse("At least one entity type must be specified");
    }
    let users_and_clients =
        types.len() == 2 && entities.has_type("users") && entities.has_type("clients");
    if types.len() > 1 && !users_and_clients {
        return refuse("Only 'users' and 'clients' entity types may be specified together");
    }
    let general = ["entity-name", "entity-type", "entity-default"];
    if general.iter().any(|option| parsed.has(option)) && Entities::has_flags(parsed) {
        return refuse(
            "--entity-{type,name,default} should not be used in conjunction with specific entity \
             flags",
        );
    }
    if parsed.has("bootstrap-server") && parsed.has("bootstrap-controller") {
        return refuse("Only one of --bootstrap-server or --bootstrap-controller can be specified");
    }
    Ok(())
}

fn check_names(parsed: &Parsed, entities: &Entities) -> Result<(), Failure> {
    if !entities.names.iter().any(|name| !name.is_empty()) {
        return Ok(());
    }
    let kind = entities.kind();
    let named = |options: &[&str]| {
        let given: Vec<&str> = options
            .iter()
            .copied()
            .filter(|it| parsed.has(it))
            .collect();
        given
            .into_iter()
            .map(|option| Ok(parsed.value(option)?.unwrap_or_default().to_owned()))
            .collect::<Result<Vec<String>, Failure>>()
    };
    if entities.has_type("brokers") || entities.has_type("broker-loggers") {
        for name in named(&["entity-name", "broker", "broker-logger"])? {
            if name.parse::<i32>().is_err() {
                return refuse(format!(
                    "The entity name for {kind} must be a valid integer broker id, but it is: {name}"
                ));
            }
        }
    }
    if entities.has_type("ips") {
        for name in named(&["entity-name", "ip"])? {
            if std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), 0)).is_err() {
                return refuse(format!(
                    "The entity name for {kind} must be a valid IP or resolvable host, but it is: \
                     {name}"
                ));
            }
        }
    }
    Ok(())
}

fn check_describe(parsed: &Parsed, entities: &Entities) -> Result<(), Failure> {
    let types = entities.types.join(",");
    let has_default = WITH_DEFAULT.iter().any(|kind| entities.has_type(kind));
    if !has_default && parsed.has("entity-default") {
        return refuse(format!(
            "--entity-default must not be specified with --describe of {types}"
        ));
    }
    let named = entities.names.iter().any(|name| !name.is_empty());
    if entities.has_type("broker-loggers") && !named {
        return refuse(format!(
            "An entity name must be specified with --describe of {types}"
        ));
    }
    Ok(())
}

fn check_alter(parsed: &Parsed, entities: &Entities) -> Result<(), Failure> {
    let named = entities.names.iter().any(|name| !name.is_empty());
    if WITH_DEFAULT.iter().any(|kind| entities.has_type(kind)) {
        if entities.names.is_empty() {
            return refuse(
                "An entity-name or default entity must be specified with --alter of users, clients, \
                 brokers or ips",
            );
        }
    } else if !named {
        return refuse(format!(
            "An entity name must be specified with --alter of {}",
            entities.types.join(",")
        ));
    }
    let (add, file) = (parsed.has("add-config"), parsed.has("add-config-file"));
    if add && file {
        return refuse("Only one of --add-config or --add-config-file must be specified");
    }
    if !add && !file && !parsed.has("delete-config") {
        return refuse(
            "At least one of --add-config, --add-config-file, or --delete-config must be specified \
             with --alter",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        let words: Vec<String> = format!("--bootstrap-server a:1 {line}")
            .split(' ')
            .map(str::to_owned)
            .collect();
        let options = options();
        let parsed = options.parse(&words).unwrap();
        let entities = Entities::from_options(&parsed).unwrap();
        match check(&options, &parsed, &entities) {
            Err(Stop::Failed(failure)) => failure.to_string(),
            Err(Stop::Usage(message)) => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_does_not_go_together_is_named_in_upstreams_words() {
        for (line, message) in [
            (
                "--alter --describe",
                "Command must include exactly one action: --describe, --alter",
            ),
            (
                "--describe --add-config a=b",
                "Option \"[describe]\" can't be used with option \"[add-config]\"",
            ),
            ("--describe", "At least one entity type must be specified"),
            (
                "--describe --topic a --group b",
                "Only 'users' and 'clients' entity types may be specified together",
            ),
            (
                "--describe --entity-type topics --topic a",
                "Duplicate entity type(s) specified: topics",
            ),
            (
                "--describe --broker x",
                "The entity name for brokers must be a valid integer broker id, but it is: x",
            ),
            (
                "--alter --topic a",
                "At least one of --add-config, --add-config-file, or --delete-config must be \
                 specified with --alter",
            ),
            (
                "--alter --entity-type topics --add-config a=b",
                "An entity name must be specified with --alter of topics",
            ),
        ] {
            assert_eq!(refused(line), message);
        }
    }
}
