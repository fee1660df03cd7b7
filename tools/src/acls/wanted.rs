//! Which ACLs a command line of `kafka-acls` speaks of.
//!
//! Invariant: nothing is asked of a broker before all of it is known to be valid.

use std::collections::{BTreeMap, BTreeSet};

use super::binding::{
    self, ALLOW, ANY, DENY, Entry, Pattern, UNKNOWN, operation, pattern, resource,
};
use crate::failure::Failure;
use crate::options::Parsed;
use crate::stop::Stop;

/// Entries by the resources that they are for; without any, all entries are meant.
pub(super) type Wanted = BTreeMap<Pattern, BTreeSet<Entry>>;

const CLUSTER_NAME: &str = "kafka-cluster";

/// The resources of the options.
pub(super) fn resources(parsed: &Parsed) -> Result<BTreeSet<Pattern>, Failure> {
    let pattern = pattern_type(parsed)?;
    let mut found = BTreeSet::new();
    for (option, kind) in [
        ("topic", resource::TOPIC),
        ("group", resource::GROUP),
        ("transactional-id", resource::TRANSACTIONAL_ID),
        ("delegation-token", resource::DELEGATION_TOKEN),
        ("user-principal", resource::USER),
    ] {
        // Upstream takes the spaces around a transactional id for part of it.
        let keeps_spaces = kind == resource::TRANSACTIONAL_ID;
        for name in parsed.values(option) {
            let name = if keeps_spaces { name } else { name.trim() };
            found.insert(Pattern {
                kind,
                name: name.to_owned(),
                pattern,
            });
        }
    }
    let cluster = parsed.has("cluster") || parsed.has("idempotent");
    if cluster && pattern == pattern::LITERAL {
        found.insert(the_cluster());
    }
    Ok(found)
}

fn the_cluster() -> Pattern {
    Pattern {
        kind: resource::CLUSTER,
        name: CLUSTER_NAME.to_owned(),
        pattern: pattern::LITERAL,
    }
}

fn pattern_type(parsed: &Parsed) -> Result<i8, Failure> {
    match parsed.value("resource-pattern-type")? {
        Some(name) => binding::pattern_named(name),
        None => Ok(pattern::LITERAL),
    }
}

/// What `--add` adds.
pub(super) fn to_add(parsed: &Parsed) -> Result<Wanted, Stop> {
    let pattern = pattern_type(parsed)?;
    if ![pattern::LITERAL, pattern::PREFIXED].contains(&pattern) {
        let name = binding::name_of(binding::PATTERN_TYPES, pattern);
        return Err(Stop::Usage(format!(
            "A '--resource-pattern-type' value of '{name}' is not valid when adding acls."
        )));
    }
    let wanted = to_remove(parsed)?;
    if wanted.values().any(BTreeSet::is_empty) {
        return Err(Stop::Usage(
            "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs."
                .to_owned(),
        ));
    }
    Ok(wanted)
}

/// What `--remove` takes away.
pub(super) fn to_remove(parsed: &Parsed) -> Result<Wanted, Stop> {
    let mut wanted = Wanted::new();
    let of_role = parsed.has("producer") || parsed.has("consumer");
    if !of_role {
        let named = parsed.values("operation").iter();
        let mut operations: Vec<i8> = named.map(|it| binding::operation_named(it)).collect();
        if operations.is_empty() {
            operations.push(operation::ALL);
        }
        let entries = entries(parsed, &operations)?;
        let all = named_resources(parsed)?.into_iter();
        wanted.extend(all.map(|resource| (resource, entries.clone())));
    }
    let mut add = |kind: i8, operations: &[i8]| -> Result<(), Stop> {
        let entries = entries(parsed, operations)?;
        for resource in named_resources(parsed)? {
            if resource.kind == kind {
                wanted.entry(resource).or_default().extend(entries.clone());
            }
        }
        Ok(())
    };
    use operation::{CREATE, DESCRIBE, IDEMPOTENT_WRITE, READ, WRITE};
    if parsed.has("producer") {
        add(resource::TOPIC, &[WRITE, DESCRIBE, CREATE])?;
        add(resource::TRANSACTIONAL_ID, &[WRITE, DESCRIBE])?;
    }
    if parsed.has("consumer") {
        add(resource::TOPIC, &[READ, DESCRIBE])?;
        add(resource::GROUP, &[READ])?;
    }
    if parsed.has("producer") && parsed.has("idempotent") {
        wanted.insert(the_cluster(), entries(parsed, &[IDEMPOTENT_WRITE])?);
    }
    check_operations(&wanted)?;
    Ok(wanted)
}

fn named_resources(parsed: &Parsed) -> Result<BTreeSet<Pattern>, Stop> {
    let found = resources(parsed)?;
    if found.is_empty() {
        return Err(Stop::Usage(
            "You must provide at least one resource: --topic <topic> or --cluster or --group <group> \
             or --delegation-token <Delegation Token ID>"
                .to_owned(),
        ));
    }
    Ok(found)
}

fn entries(parsed: &Parsed, operations: &[i8]) -> Result<BTreeSet<Entry>, Failure> {
    let principals = |option: &str| {
        let texts = parsed.values(option).iter();
        texts
            .map(|text| binding::principal(text))
            .collect::<Result<Vec<_>, _>>()
    };
    let hosts = |option: &str| match parsed.values(option) {
        [] => vec!["*".to_owned()],
        hosts => hosts.iter().map(|host| host.trim().to_owned()).collect(),
    };
    let sides = [
        (principals("allow-principal")?, hosts("allow-host"), ALLOW),
        (principals("deny-principal")?, hosts("deny-host"), DENY),
    ];
    let mut entries = BTreeSet::new();
    for (principals, hosts, permission) in &sides {
        for principal in principals {
            for operation in operations {
                if *operation == ANY {
                    return Err(Failure::illegal_argument("operation must not be ANY"));
                }
                entries.extend(hosts.iter().map(|host| Entry {
                    principal: principal.clone(),
                    host: host.clone(),
                    operation: *operation,
                    permission: *permission,
                }));
            }
        }
    }
    Ok(entries)
}

fn check_operations(wanted: &Wanted) -> Result<(), Stop> {
    for (resource, entries) in wanted {
        let supported = binding::supported(resource.kind);
        let valid = |entry: &Entry| {
            entry.operation == operation::ALL || supported.contains(&entry.operation)
        };
        if !entries.iter().all(valid) {
            let mut all = vec![operation::ALL];
            all.extend(supported);
            all.retain(|code| *code != UNKNOWN);
            return Err(Stop::Usage(format!(
                "ResourceType {} only supports operations {}",
                binding::name_of(binding::RESOURCE_TYPES, resource.kind),
                binding::shown_operations(&all)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::options::options;
    use super::*;

    fn parsed(line: &str) -> Parsed {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        options().parse(&words).unwrap()
    }

    #[test]
    fn a_role_has_the_operations_it_needs() {
        let line =
            "--producer --consumer --topic t --group g --allow-principal User:a --idempotent";
        let wanted = to_add(&parsed(line)).unwrap();
        let counts: Vec<(i8, usize)> = wanted
            .iter()
            .map(|(it, all)| (it.kind, all.len()))
            .collect();
        let expected = [
            (resource::TOPIC, 4),
            (resource::GROUP, 1),
            (resource::CLUSTER, 1),
        ];
        assert_eq!(counts, expected);
    }

    #[test]
    fn principals_operations_and_hosts_are_multiplied() {
        let line = "--topic t --allow-principal User:a --allow-principal User:b --operation Read \
                    --operation Write --allow-host h1 --allow-host h2 --deny-principal User:c";
        let wanted = to_add(&parsed(line)).unwrap();
        assert_eq!(wanted.values().map(BTreeSet::len).sum::<usize>(), 10);
    }

    #[test]
    fn what_no_resource_supports_is_refused() {
        let line = "--topic t --allow-principal User:a --operation ClusterAction";
        let Err(Stop::Usage(message)) = to_add(&parsed(line)) else {
            panic!("it was taken");
        };
        assert!(
            message.starts_with("ResourceType TOPIC only supports"),
            "{message}"
        );
        assert!(to_add(&parsed("--topic t --resource-pattern-type match")).is_err());
        assert!(to_remove(&parsed("--cluster --resource-pattern-type prefixed")).is_err());
    }
}
