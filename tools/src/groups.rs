//! `kafka-groups`: all groups of a cluster, with their types and protocols.
//!
//! Invariant: they stand in the order in which upstream's tool prints them.

use std::process::ExitCode;
use std::time::Duration;

use protocol::messages::{ListGroupsRequest, ListGroupsResponse};

use crate::client::{Client, Properties, Target, block_on, load_properties};
use crate::failure::Failure;
use crate::java_map::{in_order, text_hash};
use crate::options::{Options, Parsed};
use crate::print::{self, Output};
use crate::stop::{Stop, finish};

const ABOUT: &str = "This tool helps to list groups of all types.";
const TYPES: [&str; 4] = ["Classic", "Consumer", "Share", "Streams"];
/// How long upstream's tool waits for the list.
const PATIENCE: Duration = Duration::from_secs(30);
const MIN_WIDTH: usize = 20;

/// A group as a broker lists it.
#[derive(Debug)]
struct Listed {
    id: String,
    kind: String,
    protocol: String,
}

fn options() -> Options {
    Options::new()
        .flags(&[
            ("list", "Lists groups."),
            (
                "consumer",
                "Groups of consumers, of whatever type, and those with offsets alone.",
            ),
            ("share", "Share groups."),
            ("streams", "Streams groups."),
        ])
        .values(&[
            (
                "bootstrap-server",
                "String: server to connect to",
                "REQUIRED: Addresses of brokers, host:port, parted by commas.",
            ),
            (
                "command-config",
                "String: command config property file",
                "A properties file for the client.",
            ),
            (
                "group-type",
                "String: type",
                "Groups of this type: classic, consumer, share or streams.",
            ),
            (
                "protocol",
                "String: protocol",
                "Groups with this type of protocol.",
            ),
        ])
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options();
    let prepared = read(&options, args).and_then(|parsed| {
        let properties = match parsed.value("command-config")? {
            Some(path) => load_properties(path)?,
            None => Properties::new(),
        };
        Ok((parsed, properties))
    });
    let (parsed, properties) = match prepared {
        Ok(prepared) => prepared,
        Err(stop) => {
            return stop.end(&options, |failure| {
                crate::complain!("{failure}\n{}\n", failure.trace());
            });
        }
    };
    let listed = list(&parsed, &properties).map_err(Stop::from);
    finish(listed, &options, |failure| {
        print::line(format!("Error while executing groups command : {failure}"));
        print::log_error(failure, "org.apache.kafka.tools.GroupsCommand");
    })
}

fn read(options: &Options, args: &[String]) -> Result<Parsed, Stop> {
    let usage = |failure: Failure| Stop::Usage(failure.to_string());
    let parsed = options.parse(args).map_err(usage)?;
    let helps = parsed.has("help") || parsed.has("version");
    if !helps && !parsed.has("bootstrap-server") {
        return Err(Stop::Usage(
            "Missing required option(s) [bootstrap-server]".to_owned(),
        ));
    }
    options.help_or_version(args, &parsed, ABOUT)?;
    if !parsed.has("list") {
        return Err(Stop::Usage(
            "Command must include exactly one action: --list.".to_owned(),
        ));
    }
    if let Some(kind) = parsed.value("group-type")?
        && type_named(kind).is_none()
    {
        let refused = Failure::illegal_argument("--group-type must be a valid group type.");
        return Err(refused.into());
    }
    let [consumer, share, streams] = ["consumer", "share", "streams"];
    let [kind, protocol] = ["group-type", "protocol"];
    options.exclude(&parsed, consumer, &[kind, protocol, share, streams])?;
    options.exclude(&parsed, share, &[consumer, kind, protocol, streams])?;
    options.exclude(&parsed, streams, &[consumer, kind, protocol, share])?;
    Ok(parsed)
}

fn type_named(name: &str) -> Option<&'static str> {
    let mut types = TYPES.into_iter();
    types.find(|known| known.eq_ignore_ascii_case(name))
}

fn list(parsed: &Parsed, properties: &Properties) -> Result<(), Failure> {
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let client = Client::admin(servers, properties)?;
    let asked = block_on(async { tokio::time::timeout(PATIENCE, ask(&client)).await });
    // Upstream's own waiting ends with an exception that has no text.
    let late = |_| {
        Err(Failure::new(
            "java.util.concurrent.TimeoutException",
            "null",
        ))
    };
    let groups = asked.unwrap_or_else(late)?;
    let groups = in_order(groups, |group| text_hash(&group.id));
    let kind = parsed.value("group-type")?.and_then(type_named);
    let protocol = parsed.value("protocol")?;
    let is_wanted = |group: &Listed| {
        let of_protocol = protocol.is_none_or(|wanted| group.protocol == wanted);
        if let Some(kind) = kind {
            return group.kind == kind && of_protocol;
        }
        if protocol.is_some() {
            return of_protocol;
        }
        if parsed.has("consumer") {
            let of_consumers = ["", "consumer"].contains(&group.protocol.as_str());
            return of_consumers || group.kind == "Consumer";
        }
        (!parsed.has("share") || group.kind == "Share")
            && (!parsed.has("streams") || group.kind == "Streams")
    };
    show(groups.into_iter().filter(is_wanted).collect());
    Ok(())
}

async fn ask(client: &Client) -> Result<Vec<Listed>, Failure> {
    let cluster = client.cluster().await.map_err(|failure| {
        let why = if failure.is_retriable() {
            Failure::timed_out("Timed out waiting for a node assignment. Call: findAllBrokers")
        } else {
            failure
        };
        why.within(
            "org.apache.kafka.common.KafkaException",
            "Failed to find brokers to send ListGroups",
        )
    })?;
    let mut listed = Vec::new();
    for node in cluster.nodes.keys() {
        let read = |answer: ListGroupsResponse| match Failure::from_answer(answer.error_code, None)
        {
            Some(failure) => Err(failure),
            None => Ok(answer.groups),
        };
        let build = |_| Ok(ListGroupsRequest::default());
        let call = client.call("listGroups", Target::Node(*node), build, read);
        listed.extend(call.await?.into_iter().map(|group| Listed {
            id: group.group_id.0.to_string(),
            kind: type_named(&group.group_type).unwrap_or("").to_owned(),
            protocol: group.protocol_type.to_string(),
        }));
    }
    Ok(listed)
}

fn show(groups: Vec<Listed>) {
    let cells = |group: &Listed| [group.id.clone(), group.kind.clone(), group.protocol.clone()];
    let rows: Vec<[String; 3]> = groups.iter().map(cells).collect();
    let widths = rows.iter().flatten().map(|cell| cell.chars().count());
    let width = widths.max().unwrap_or(0).max(MIN_WIDTH);
    let mut output = Output::stdout();
    output.line(format!(
        "{:<width$} {:<width$} {:<width$}",
        "GROUP", "TYPE", "PROTOCOL"
    ));
    for [id, kind, protocol] in rows {
        output.line(format!("{id:<width$} {kind:<width$} {protocol:<width$} "));
    }
}
