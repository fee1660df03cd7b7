//! `kafka-broker-api-versions`: what each broker says it can do. Health checks call it.
//!
//! Invariant: it asks once: a broker that does not answer is told at once, not after a minute.

use std::collections::BTreeMap;
use std::process::ExitCode;

use protocol::messages::ApiVersionsResponse;
use protocol::schema;

use crate::client::{Client, Cluster, Target, block_on, load_properties};
use crate::failure::Failure;
use crate::options::Options;
use crate::print::Output;
use crate::stop::{Stop, finish};

/// The APIs of brokers that clients of 4.3.1 know: what a broker does not name of them is unsupported.
const CLIENT_APIS: &[(i16, i16)] = &[
    (0, 3),
    (8, 51),
    (55, 55),
    (57, 57),
    (60, 61),
    (64, 66),
    (68, 69),
    (71, 72),
    (74, 81),
    (83, 92),
];
const REQUEST_TIMEOUT_MS: &str = "5000";

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = Options::new().values(&[
        (
            "command-config",
            "String: command config property file",
            "A properties file for the client.",
        ),
        (
            "bootstrap-server",
            "String: server(s) to use for bootstrapping",
            "REQUIRED: Addresses of brokers, host:port, parted by commas.",
        ),
    ]);
    finish(act(&options, args), &options, |failure| {
        crate::complain!("{failure}\n{}\n", failure.trace());
    })
}

fn act(options: &Options, args: &[String]) -> Result<(), Stop> {
    let parsed = options.parse(args)?;
    let about = "This tool helps to retrieve broker version information.";
    options.help_or_version(args, &parsed, about)?;
    options.require(&parsed, &["bootstrap-server"])?;
    let mut properties = match parsed.value("command-config")? {
        Some(path) => load_properties(path)?,
        None => BTreeMap::new(),
    };
    let timeout = || REQUEST_TIMEOUT_MS.to_owned();
    properties
        .entry("request.timeout.ms".to_owned())
        .or_insert_with(timeout);
    let bootstrap = parsed.value("bootstrap-server")?.unwrap_or_default();
    let client = Client::new(bootstrap, &properties)?;
    block_on(show(&client, bootstrap))?;
    Ok(())
}

async fn show(client: &Client, bootstrap: &str) -> Result<(), Failure> {
    let Ok(cluster) = client.cluster().await else {
        let brokers = bootstrap.split(',').map(str::trim).enumerate();
        let brokers: Vec<String> = brokers
            .map(|(at, broker)| format!("{broker} (id: -{} rack: null isFenced: false)", at + 1))
            .collect();
        return Err(Failure::new(
            "java.lang.RuntimeException",
            format!(
                "Request METADATA failed on brokers [{}]",
                brokers.join(", ")
            ),
        ));
    };
    let mut output = Output::stdout();
    for (id, name) in names(&cluster) {
        match client.versions(Target::Node(id)).await {
            Ok(versions) => output.line(format!("{name} -> {}", shown(&versions))),
            Err(failure) => output.line(format!("{name} -> ERROR: {failure}")),
        }
    }
    Ok(())
}

fn names(cluster: &Cluster) -> impl Iterator<Item = (i32, String)> {
    cluster.nodes.values().map(|node| {
        let rack = node.rack.as_deref().unwrap_or("null");
        let name = format!(
            "{} (id: {} rack: {rack} isFenced: false)",
            node.address, node.id
        );
        (node.id, name)
    })
}

/// A line for each API, by key.
fn shown(versions: &ApiVersionsResponse) -> String {
    let known = CLIENT_APIS.iter().flat_map(|(first, last)| *first..=*last);
    let mut lines: BTreeMap<i16, String> = known
        .filter_map(|key| {
            let name = schema::request(key)?.name;
            Some((key, format!("{name}({key}): UNSUPPORTED")))
        })
        .collect();
    for row in &versions.api_keys {
        lines.insert(
            row.api_key,
            range(row.api_key, row.min_version, row.max_version),
        );
    }
    let lines: Vec<String> = lines.into_values().collect();
    format!("(\n\t{}\n)", lines.join(",\n\t"))
}

fn range(key: i16, min: i16, max: i16) -> String {
    let versions = if min == max {
        min.to_string()
    } else {
        format!("{min} to {max}")
    };
    let Some(request) = schema::request(key) else {
        return format!("UNKNOWN({key}): {versions}");
    };
    let (oldest, latest) = request.versions;
    let usable = if latest < min {
        "unusable: node too new".to_owned()
    } else if max < oldest {
        "unusable: node too old".to_owned()
    } else {
        format!("usable: {}", latest.min(max))
    };
    format!("{}({key}): {versions} [{usable}]", request.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::messages::api_versions_response::ApiVersion;

    #[test]
    fn each_api_is_a_line_with_what_can_be_used_of_it() {
        let row = |key, min, max| {
            ApiVersion::default()
                .with_api_key(key)
                .with_min_version(min)
                .with_max_version(max)
        };
        let versions =
            ApiVersionsResponse::default().with_api_keys(vec![row(3, 0, 99), row(9999, 1, 1)]);
        let shown = shown(&versions);
        assert!(shown.starts_with("(\n\tProduce(0): UNSUPPORTED,\n"));
        assert!(shown.contains("\tMetadata(3): 0 to 99 [usable: 13],\n"));
        assert!(shown.ends_with("\tUNKNOWN(9999): 1\n)"));
    }
}
