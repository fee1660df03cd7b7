//! `kafka-cluster`: the cluster's id, its endpoints, and taking a dead broker out of it.
//!
//! Invariant: what the cluster cannot do is said on standard output and is no error, as upstream has it.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use protocol::ErrorCode;

use crate::admin::cluster::{self, DescribedNode, Nodes};
use crate::argparse;
use crate::client::{Client, block_on, load_properties};
use crate::failure::Failure;
use crate::print;

const ID_WIDTH: usize = 10;
/// How wide a rack's column is where no broker has one.
const RACK_WIDTH: usize = 10;

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let matches = match argparse::parse(command(), args) {
        Ok(matches) => matches,
        // This one of upstream's tools ends with 1 even where it was asked for help.
        Err(_) => return ExitCode::FAILURE,
    };
    let Some((name, matches)) = matches.subcommand() else {
        return ExitCode::FAILURE;
    };
    match act(name, matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            crate::complain!("{failure}\n{}\n", failure.trace());
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    let connecting = |name: &'static str, about: &'static str| {
        Command::new(name)
            .about(about)
            .arg(text(
                "bootstrap-server",
                Some('b'),
                "Addresses of brokers, host:port.",
            ))
            .arg(text(
                "bootstrap-controller",
                Some('C'),
                "Addresses of controllers, host:port.",
            ))
            .arg(text("config", None, "Deprecated: use --command-config."))
            .arg(text(
                "command-config",
                Some('c'),
                "A properties file for the client.",
            ))
            .group(
                ArgGroup::new("connection")
                    .args(["bootstrap-server", "bootstrap-controller"])
                    .required(true),
            )
    };
    let id = text("id", Some('i'), "The broker's id.")
        .required(true)
        .value_parser(value_parser!(i32))
        .allow_negative_numbers(true);
    let fenced = Arg::new("include-fenced-brokers")
        .long("include-fenced-brokers")
        .action(ArgAction::SetTrue)
        .help("Lists brokers too that are fenced.");
    Command::new("kafka-cluster")
        .about("The Kafka cluster tool.")
        .subcommand_required(true)
        .subcommand(connecting("cluster-id", "Tells the cluster's id."))
        .subcommand(connecting("unregister", "Takes a broker out of the cluster.").arg(id))
        .subcommand(connecting("list-endpoints", "Lists endpoints.").arg(fenced))
}

fn text(name: &'static str, short: Option<char>, help: &'static str) -> Arg {
    let arg = Arg::new(name).long(name).help(help);
    match short {
        Some(letter) => arg.short(letter),
        None => arg,
    }
}

fn act(name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let client = connect(matches)?;
    match name {
        "cluster-id" => block_on(cluster_id(&client)),
        "unregister" => {
            let id = matches.get_one::<i32>("id").copied().unwrap_or_default();
            block_on(unregister(&client, id))
        }
        _ => {
            let controllers = matches.contains_id("bootstrap-controller");
            let nodes = match (controllers, matches.get_flag("include-fenced-brokers")) {
                (true, true) => {
                    return Err(Failure::illegal_argument(
                        "The option --include-fenced-brokers is only supported with \
                         --bootstrap-server option",
                    ));
                }
                (true, false) => Nodes::Controllers,
                (false, true) => Nodes::BrokersAndFenced,
                (false, false) => Nodes::Brokers,
            };
            block_on(list_endpoints(&client, nodes))
        }
    }
}

fn connect(matches: &ArgMatches) -> Result<Client, Failure> {
    let value = |name: &str| matches.get_one::<String>(name);
    let path = match (value("config"), value("command-config")) {
        (Some(_), Some(_)) => {
            return Err(Failure::new(
                "net.sourceforge.argparse4j.inf.ArgumentParserException",
                "--config and --command-config cannot be specified together.",
            ));
        }
        (Some(path), None) => {
            print::line(
                "Option --config has been deprecated and will be removed in a future version. Use \
                 --command-config instead.",
            );
            Some(path)
        }
        (None, path) => path,
    };
    let properties = match path {
        Some(path) => load_properties(path)?,
        None => BTreeMap::new(),
    };
    match value("bootstrap-controller") {
        Some(controllers) => Client::controller_admin(controllers, &properties),
        None => {
            let servers = value("bootstrap-server").map_or("", String::as_str);
            Client::admin(servers, &properties)
        }
    }
}

async fn cluster_id(client: &Client) -> Result<(), Failure> {
    let nodes = Nodes::of(client);
    let described = cluster::describe(client, nodes).await.map_err(executed)?;
    print::line(format!("Cluster ID: {}", described.id));
    Ok(())
}

async fn unregister(client: &Client, id: i32) -> Result<(), Failure> {
    match cluster::unregister(client, id).await {
        Ok(()) => print::line(format!("Broker {id} is no longer registered.")),
        Err(failure) if failure.is(ErrorCode::UnsupportedVersion) => {
            print::line("The target cluster does not support the broker unregistration API.");
        }
        Err(failure) => return Err(executed(failure)),
    }
    Ok(())
}

async fn list_endpoints(client: &Client, nodes: Nodes) -> Result<(), Failure> {
    match cluster::describe(client, nodes).await {
        Ok(described) => {
            for line in table(&described.nodes, nodes == Nodes::Controllers) {
                print::line(line);
            }
        }
        Err(failure) if failure.is(ErrorCode::UnsupportedVersion) => {
            print::line(failure.to_string());
        }
        Err(failure) => return Err(executed(failure)),
    }
    Ok(())
}

fn table(nodes: &[DescribedNode], controllers: bool) -> Vec<String> {
    let host = nodes.iter().map(|node| node.host.len()).max();
    let host = host.unwrap_or(100);
    let rack = nodes.iter().filter_map(|node| node.rack.as_ref());
    let rack = rack.map(String::len).max().unwrap_or(RACK_WIDTH);
    let line = |id: &str, name: &str, port: &str, zone: &str, state: &str, kind: &str| {
        let state = if controllers {
            String::new()
        } else {
            format!("{state:<10} ")
        };
        format!("{id:<ID_WIDTH$} {name:<host$} {port:<10} {zone:<rack$} {state}{kind:<15}")
    };
    let mut lines = vec![line("ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE")];
    for node in nodes {
        let state = if node.fenced { "fenced" } else { "unfenced" };
        let kind = if controllers { "controller" } else { "broker" };
        let zone = node.rack.as_deref().unwrap_or("null");
        lines.push(line(
            &node.id.to_string(),
            &node.host,
            &node.port.to_string(),
            zone,
            state,
            kind,
        ));
    }
    lines
}

/// What a broker answered, as Java's futures hand it on.
fn executed(failure: Failure) -> Failure {
    let message = failure.named();
    failure.within("java.util.concurrent.ExecutionException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_stand_in_columns_as_wide_as_their_widest() {
        let node = |id, fenced, rack: Option<&str>| DescribedNode {
            id,
            host: "127.0.0.1".to_owned(),
            port: 9092,
            rack: rack.map(str::to_owned),
            fenced,
        };
        assert_eq!(
            table(&[node(1, false, None)], false),
            [
                "ID         HOST      PORT       RACK       STATE      ENDPOINT_TYPE  ",
                "1          127.0.0.1 9092       null       unfenced   broker         ",
            ]
        );
        assert_eq!(
            table(&[node(1, false, Some("r"))], true),
            [
                "ID         HOST      PORT       RACK ENDPOINT_TYPE  ",
                "1          127.0.0.1 9092       r controller     ",
            ]
        );
    }

    #[test]
    fn the_command_line_is_a_sound_one() {
        command().debug_assert();
    }
}
