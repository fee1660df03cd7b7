//! Quotas of users, clients and addresses, and SCRAM credentials of users.
//!
//! Invariant: one command changes either quotas or credentials.

use metadata::config::java_order;
use protocol::ErrorCode;

use super::entities::Entities;
use super::executed;
use crate::admin::quotas::{self, Match, Part, Quotas};
use crate::admin::scram::{self, Credential, ITERATIONS_MIN, Mechanism};
use crate::client::Client;
use crate::failure::Failure;
use crate::print;

const CLIENT_QUOTAS: [&str; 4] = [
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
];
const IP_QUOTAS: [&str; 1] = ["connection_creation_rate"];

/// A part of an entity as the wire calls it, and as it is shown.
const PARTS: [(&str, &str, &str); 3] = [
    ("users", "user", "user-principal"),
    ("clients", "client-id", "client-id"),
    ("ips", "ip", "ip"),
];

fn wire_type(kind: &str) -> Result<&'static str, Failure> {
    let found = PARTS.iter().find(|(it, _, _)| *it == kind);
    found
        .map(|(_, wire, _)| *wire)
        .ok_or_else(|| Failure::illegal_argument(format!("Unexpected entity type {kind}")))
}

pub(super) async fn describe(entities: &Entities, client: &Client) -> Result<(), Failure> {
    for quotas in described(entities, client).await? {
        print::line(shown(&quotas));
    }
    let default = entities.names.iter().any(String::is_empty);
    if entities.has_type("clients") || entities.has_type("ips") || default {
        return Ok(());
    }
    let users = scram::describe(client, &entities.names)
        .await
        .map_err(executed)?;
    for (user, described) in users {
        match described {
            Ok(infos) => {
                let infos: Vec<String> = infos
                    .iter()
                    .map(|(mechanism, iterations)| {
                        format!("{}=iterations={iterations}", mechanism_name(*mechanism))
                    })
                    .collect();
                print::line(format!(
                    "SCRAM credential configs for user-principal '{user}' are {}",
                    infos.join(", ")
                ));
            }
            Err(failure) => print::line(format!(
                "Error retrieving SCRAM credential configs for user-principal '{user}': \
                 ExecutionException: {}",
                failure.named()
            )),
        }
    }
    Ok(())
}

fn mechanism_name(code: i8) -> &'static str {
    match code {
        1 => Mechanism::Sha256.name(),
        2 => Mechanism::Sha512.name(),
        _ => "UNKNOWN",
    }
}

/// The quotas of the entities that the options mean.
async fn described(entities: &Entities, client: &Client) -> Result<Vec<Quotas>, Failure> {
    if entities.names.len() > entities.types.len() {
        return Err(Failure::illegal_argument(
            "More entity names specified than entity types",
        ));
    }
    let mut parts = Vec::new();
    for (at, kind) in entities.types.iter().enumerate() {
        let wanted = match entities.names.get(at).map(String::as_str) {
            Some("") => Match::Default,
            Some(name) => Match::Name(name.to_owned()),
            None => Match::Any,
        };
        parts.push((wire_type(kind)?, wanted));
    }
    quotas::describe(client, &parts).await.map_err(executed)
}

fn shown(quotas: &Quotas) -> String {
    let parts = PARTS.iter().filter_map(|(_, wire, shown)| {
        let (_, name) = quotas.entity.iter().find(|(kind, _)| kind == wire)?;
        Some(match name {
            Some(name) => format!("{shown} '{name}'"),
            None => format!("the default {shown}"),
        })
    });
    let parts: Vec<String> = parts.collect();
    let order = java_order::of_sized(quotas.values.iter().map(|(name, _)| name.as_str()));
    let values = order.into_iter().filter_map(|name| {
        let (_, value) = quotas.values.iter().find(|(it, _)| it == name)?;
        Some(format!("{name}={}", java_double(*value)))
    });
    let values: Vec<String> = values.collect();
    format!(
        "Quota configs for {} are {}",
        parts.join(", "),
        values.join(", ")
    )
}

/// A number as Java prints a double.
fn java_double(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => text,
    }
}

pub(super) async fn alter(
    entities: &Entities,
    added: &[(String, String)],
    deleted: &[String],
    client: &Client,
) -> Result<(), Failure> {
    if entities.kind() == "ips" {
        let names = added.iter().map(|(name, _)| name).chain(deleted);
        let unknown: Vec<&str> = names
            .map(String::as_str)
            .filter(|name| !IP_QUOTAS.contains(name))
            .collect();
        if !unknown.is_empty() {
            return Err(Failure::illegal_argument(format!(
                "Only connection quota configs can be added for 'ips' using --bootstrap-server. \
                 Unexpected config names: {}",
                unknown.join(",")
            )));
        }
        return alter_quotas(entities, added, deleted, client).await;
    }
    check_names(entities, added, deleted)?;
    let is_quota = |name: &str| CLIENT_QUOTAS.contains(&name);
    if added.iter().any(|(name, _)| is_quota(name)) || deleted.iter().any(|name| is_quota(name)) {
        return alter_quotas(entities, added, deleted, client).await;
    }
    let user = entities.name().unwrap_or_default();
    let credentials = added.iter().filter_map(|(name, value)| {
        let mechanism = Mechanism::named(name)?;
        Some(credential(mechanism, value))
    });
    let credentials = credentials.collect::<Result<Vec<Credential>, Failure>>()?;
    let deletions: Vec<Mechanism> = deleted
        .iter()
        .filter_map(|name| Mechanism::named(name))
        .collect();
    scram::alter(client, user, &credentials, &deletions)
        .await
        .map_err(executed)
}

/// Refuses names that are neither quotas nor, for users alone, credentials.
fn check_names(
    entities: &Entities,
    added: &[(String, String)],
    deleted: &[String],
) -> Result<(), Failure> {
    let added: Vec<&str> = added.iter().map(|(name, _)| name.as_str()).collect();
    let deleted: Vec<&str> = deleted.iter().map(String::as_str).collect();
    let is_scram = |name: &&str| Mechanism::named(name).is_some();
    let is_unknown = |name: &&str| !CLIENT_QUOTAS.contains(name) && !is_scram(name);
    let clients = entities.kind() == "clients" || entities.types.len() == 2;
    // What stands in the way: the unknown first, then credentials where they are none of theirs.
    let wrong = |names: &[&str]| {
        let mut wrong: Vec<String> = Vec::new();
        wrong.extend(
            names
                .iter()
                .copied()
                .filter(|it| is_unknown(it))
                .map(str::to_owned),
        );
        if clients {
            wrong.extend(
                names
                    .iter()
                    .copied()
                    .filter(|it| is_scram(it))
                    .map(str::to_owned),
            );
        }
        wrong.join(", ")
    };
    let (kinds, owner) = if clients {
        ("quota", "clients")
    } else {
        ("quota and SCRAM credential", "users")
    };
    let collections = [
        ("added", "Set", wrong(&added)),
        ("deleted", "ArrayBuffer", wrong(&deleted)),
    ];
    for (done, collection, names) in collections {
        if !names.is_empty() {
            return Err(Failure::illegal_argument(format!(
                "Only {kinds} configs can be {done} for '{owner}' using --bootstrap-server. \
                 Unexpected config names: {collection}({names})"
            )));
        }
    }
    let all = || added.iter().chain(&deleted);
    if !clients && all().any(is_scram) {
        if entities.names.iter().any(String::is_empty) {
            return Err(Failure::illegal_argument(
                "The use of --entity-default or --user-defaults is not allowed with User SCRAM \
                 Credentials using --bootstrap-server.",
            ));
        }
        if all().any(|name| CLIENT_QUOTAS.contains(name)) {
            return Err(Failure::illegal_argument(
                "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' \
                 using --bootstrap-server.",
            ));
        }
    }
    Ok(())
}

async fn alter_quotas(
    entities: &Entities,
    added: &[(String, String)],
    deleted: &[String],
    client: &Client,
) -> Result<(), Failure> {
    let known = described(entities, client).await?.into_iter().next();
    let known = known.map(|quotas| quotas.values).unwrap_or_default();
    let unknown: Vec<&str> = deleted
        .iter()
        .map(String::as_str)
        .filter(|name| known.iter().all(|(it, _)| it != name))
        .collect();
    if !unknown.is_empty() {
        let message = format!("Invalid config(s): {}", unknown.join(","));
        return Err(Failure::of(ErrorCode::InvalidConfig, Some(&message)));
    }
    let mut entity: Vec<Part> = Vec::new();
    for (kind, name) in entities.types.iter().zip(&entities.names) {
        let name = Some(name.clone()).filter(|name| !name.is_empty());
        entity.push((wire_type(kind)?.to_owned(), name));
    }
    let mut changes = Vec::new();
    for (name, value) in added {
        let number: f64 = value.trim().parse().map_err(|_| {
            Failure::illegal_argument(format!(
                "Cannot parse quota configuration value for {name}: {value}"
            ))
        })?;
        changes.push((name.clone(), Some(number)));
    }
    changes.extend(deleted.iter().map(|name| (name.clone(), None)));
    quotas::alter(client, &entity, &changes)
        .await
        .map_err(executed)
}

/// Reads `iterations=8192,password=secret`; the iterations may be left out.
fn credential(mechanism: Mechanism, text: &str) -> Result<Credential, Failure> {
    let name = mechanism.name();
    let invalid = || {
        // Upstream shows the constant's name here.
        let constant = name.replace('-', "_");
        Failure::illegal_argument(format!("Invalid credential property {constant}={text}"))
    };
    let (iterations, rest) = match text.strip_prefix("iterations=") {
        Some(rest) => {
            let (number, rest) = rest.split_once(',').ok_or_else(invalid)?;
            let number = number.parse::<i32>().map_err(|_| invalid())?;
            (number, rest)
        }
        None => (-1, text),
    };
    let password = rest.strip_prefix("password=").ok_or_else(invalid)?;
    let iterations = if iterations == -1 {
        ITERATIONS_MIN
    } else {
        iterations
    };
    if iterations < ITERATIONS_MIN {
        return Err(Failure::illegal_argument(format!(
            "Iterations {iterations} is less than the minimum {ITERATIONS_MIN} required for {name}"
        )));
    }
    Ok(Credential {
        mechanism,
        iterations,
        password: password.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_java_shows_doubles() {
        for (value, text) in [
            (5.0, "5.0"),
            (1e7, "1.0E7"),
            (12_345_678.0, "1.2345678E7"),
            (0.0001, "1.0E-4"),
            (0.5, "0.5"),
            (0.0, "0.0"),
        ] {
            assert_eq!(java_double(value), text);
        }
    }

    #[test]
    fn quotas_are_shown_with_whose_they_are() {
        let quotas = Quotas {
            entity: vec![
                ("client-id".to_owned(), None),
                ("user".to_owned(), Some("u".to_owned())),
            ],
            values: vec![("producer_byte_rate".to_owned(), 5.0)],
        };
        assert_eq!(
            shown(&quotas),
            "Quota configs for user-principal 'u', the default client-id are producer_byte_rate=5.0"
        );
    }

    #[test]
    fn a_credential_has_a_password_and_may_have_iterations() {
        let read = |text| credential(Mechanism::Sha256, text);
        assert_eq!(read("password=a,b").unwrap().iterations, 4096);
        let both = read("iterations=8192,password=x").unwrap();
        assert_eq!((both.iterations, both.password.as_str()), (8192, "x"));
        assert_eq!(
            read("iterations=1,password=x").unwrap_err().to_string(),
            "Iterations 1 is less than the minimum 4096 required for SCRAM-SHA-256"
        );
        assert_eq!(
            read("x").unwrap_err().to_string(),
            "Invalid credential property SCRAM_SHA_256=x"
        );
    }
}
