//! `kafka-groups`: all groups of a cluster, with their types and protocols.
//!
//! Invariant: they stand in the order in which upstream's tool prints them.

use std::process::ExitCode;

use crate::admin::groups::{self, Listed};
use crate::client::{Client, Properties, block_on, in_time};
use crate::failure::Failure;
use crate::java_map::{in_order, text_hash};
use crate::options::{Options, Parsed};
use crate::print::{self, Output};
use crate::stop::{Stop, finish, prepared};

const ABOUT: &str = "This tool helps to list groups of all types.";
const TYPES: [&str; 4] = ["Classic", "Consumer", "Share", "Streams"];
const MIN_WIDTH: usize = 20;

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
    let (parsed, properties) = match prepared(&options, args, read) {
        Ok(prepared) => prepared,
        Err(code) => return code,
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

/// The type as upstream prints it; nothing where it is not known.
fn kind_of(group: &Listed) -> &'static str {
    type_named(&group.kind).unwrap_or_default()
}

fn list(parsed: &Parsed, properties: &Properties) -> Result<(), Failure> {
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let client = Client::admin(servers, properties)?;
    let groups = block_on(in_time(groups::listed(&client, &[], &[])))?;
    let groups = in_order(groups, |group| text_hash(&group.id));
    let kind = parsed.value("group-type")?.and_then(type_named);
    let protocol = parsed.value("protocol")?;
    let is_wanted = |group: &Listed| {
        let of_protocol = protocol.is_none_or(|wanted| group.protocol == wanted);
        if let Some(kind) = kind {
            return kind_of(group) == kind && of_protocol;
        }
        if protocol.is_some() {
            return of_protocol;
        }
        if parsed.has("consumer") {
            let of_consumers = ["", "consumer"].contains(&group.protocol.as_str());
            return of_consumers || kind_of(group) == "Consumer";
        }
        (!parsed.has("share") || kind_of(group) == "Share")
            && (!parsed.has("streams") || kind_of(group) == "Streams")
    };
    show(groups.into_iter().filter(is_wanted).collect());
    Ok(())
}

fn show(groups: Vec<Listed>) {
    let cells = |group: &Listed| {
        [
            group.id.clone(),
            kind_of(group).to_owned(),
            group.protocol.clone(),
        ]
    };
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
