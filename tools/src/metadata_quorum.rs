//! `kafka-metadata-quorum`: the controllers' quorum, in short or by replica.
//!
//! Invariant: adding and removing controllers goes to the cluster, which knows whether it can.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use protocol::StrBytes;
use protocol::ids::{uuid_from_base64, uuid_to_base64};
use protocol::messages::describe_quorum_request::{PartitionData, TopicData};
use protocol::messages::describe_quorum_response::{Node, PartitionData as Quorum, ReplicaState};
use protocol::messages::{DescribeQuorumRequest, DescribeQuorumResponse, TopicName};

use crate::argparse;
use crate::client::{Client, Properties, Target, block_on, load_properties};
use crate::failure::Failure;
use crate::print;
use crate::stop::Stop;

const LOG: &str = "__cluster_metadata";

fn command() -> Command {
    let value = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .allow_hyphen_values(true)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue)
    };
    let dry_run = || flag("dry-run", "Say what would be done.");
    Command::new("kafka-metadata-quorum")
        .about("Describes the quorum of the controllers.")
        .subcommand_required(true)
        .arg(value("bootstrap-server", "Brokers to ask first."))
        .arg(value("bootstrap-controller", "Controllers to ask first."))
        .arg(value(
            "command-config",
            "A file with settings of the client.",
        ))
        .group(ArgGroup::new("bootstrap").args(["bootstrap-server", "bootstrap-controller"]))
        .subcommand(
            Command::new("describe")
                .about("Describes the quorum.")
                .arg(flag("status", "In short."))
                .arg(flag("replication", "By replica."))
                .arg(flag("human-readable", "With --replication: times as ages.")),
        )
        .subcommand(
            Command::new("add-controller")
                .about("Adds a controller to the quorum.")
                .arg(dry_run()),
        )
        .subcommand(
            Command::new("remove-controller")
                .about("Removes a controller from the quorum.")
                .arg(
                    value("controller-id", "The controller's node id.")
                        .short('i')
                        .required(true)
                        .value_parser(clap::value_parser!(i32)),
                )
                .arg(
                    value("controller-directory-id", "The id of its log directory.")
                        .short('d')
                        .required(true),
                )
                .arg(dry_run()),
        )
}

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let matches = match argparse::parse(command(), args) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    if text("bootstrap-server")
        .or(text("bootstrap-controller"))
        .is_none()
    {
        crate::complain!(
            "kafka-metadata-quorum: error: one of the arguments --bootstrap-server \
             --bootstrap-controller is required"
        );
        return ExitCode::FAILURE;
    }
    match act(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Failed(failure)) => {
            crate::complain!("{failure}\n{}\n", failure.trace());
            ExitCode::FAILURE
        }
        Err(Stop::Message(message) | Stop::Usage(message)) => {
            crate::complain!("{message}");
            ExitCode::FAILURE
        }
        Err(Stop::Version) => ExitCode::SUCCESS,
        Err(Stop::Done(code)) => ExitCode::from(code),
    }
}

fn terse(message: &str) -> Stop {
    Stop::Message(message.to_owned())
}

fn act(matches: &ArgMatches) -> Result<(), Stop> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let config = text("command-config");
    let properties = match config {
        Some(path) if !std::path::Path::new(path).exists() => {
            return Err(Stop::Message(format!(
                "Properties file {path} does not exists!"
            )));
        }
        Some(path) => load_properties(path)?,
        None => Properties::new(),
    };
    let client = match text("bootstrap-controller") {
        Some(controllers) => Client::controller_admin(controllers, &properties)?,
        None => Client::admin(text("bootstrap-server").unwrap_or_default(), &properties)?,
    };
    match matches.subcommand() {
        Some(("describe", matches)) => describe(matches, &client),
        Some(("add-controller", _)) if config.is_none() => Err(terse(
            "You must supply the configuration file of the controller you are adding when using \
             add-controller.",
        )),
        Some(("add-controller", _)) => Err(terse(
            "add-controller is not served by these tools: the quorum of a node that starts with \
             them is the node itself; use the tools of Apache Kafka for a cluster of several \
             controllers",
        )),
        Some(("remove-controller", matches)) => remove(matches),
        _ => Err(terse("what is to be done? expected describe")),
    }
}

fn remove(matches: &ArgMatches) -> Result<(), Stop> {
    let id = matches
        .get_one::<i32>("controller-id")
        .copied()
        .unwrap_or_default();
    if id < 0 {
        return Err(Stop::Message(format!(
            "Invalid negative --controller-id: {id}"
        )));
    }
    let directory = matches.get_one::<String>("controller-directory-id");
    let directory = directory.map_or("", String::as_str);
    if uuid_from_base64(directory).is_err() {
        return Err(Stop::Message(format!(
            "Failed to parse --controller-directory-id: {directory} is not a Kafka uuid"
        )));
    }
    if matches.get_flag("dry-run") {
        print::line(format!(
            "DRY RUN of removing  KRaft controller {id} with directory id {directory}"
        ));
        return Ok(());
    }
    Err(terse(
        "remove-controller is not served by these tools: the quorum of a node that starts with them \
         is the node itself; use the tools of Apache Kafka for a cluster of several controllers",
    ))
}

fn describe(matches: &ArgMatches, client: &Client) -> Result<(), Stop> {
    let [status, replication, ages] =
        ["status", "replication", "human-readable"].map(|name| matches.get_flag(name));
    if status && replication {
        return Err(terse(
            "Only one of --status or --replication should be specified with describe sub-command",
        ));
    }
    if status && ages {
        return Err(terse(
            "The option --human-readable is only supported along with --replication",
        ));
    }
    if !status && !replication {
        return Err(terse(
            "One of --status or --replication must be specified with describe sub-command",
        ));
    }
    block_on(async {
        if replication {
            let (quorum, _) = ask(client).await?;
            print_replication(&quorum, ages)
        } else {
            let cluster = client.cluster().await.map_err(executed)?;
            let (quorum, nodes) = ask(client).await?;
            let id = cluster.id.unwrap_or_else(|| "null".to_owned());
            print_status(&id, &quorum, &nodes)
        }
    })
}

async fn ask(client: &Client) -> Result<(Quorum, Vec<Node>), Failure> {
    let build = |_| {
        let topic = TopicData::default()
            .with_topic_name(TopicName(StrBytes::from_static_str(LOG)))
            .with_partitions(vec![PartitionData::default()]);
        Ok(DescribeQuorumRequest::default().with_topics(vec![topic]))
    };
    let read = |answer: DescribeQuorumResponse| {
        if let Some(failure) =
            Failure::from_answer(answer.error_code, answer.error_message.as_deref())
        {
            return Err(failure);
        }
        let mut partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
        let quorum = partitions.next().ok_or_else(|| {
            let code = protocol::ErrorCode::UnknownServerError;
            Failure::of(code, Some("the answer tells of no quorum"))
        })?;
        match Failure::from_answer(quorum.error_code, quorum.error_message.as_deref()) {
            Some(failure) => Err(failure),
            None => Ok((quorum, answer.nodes)),
        }
    };
    let call = client.call("describeMetadataQuorum", Target::Any, build, read);
    call.await.map_err(executed)
}

fn leader(quorum: &Quorum) -> Result<&ReplicaState, Failure> {
    let mut voters = quorum.current_voters.iter();
    voters
        .find(|voter| voter.replica_id == quorum.leader_id)
        .ok_or_else(|| Failure::new("java.util.NoSuchElementException", "No value present"))
}

fn print_status(cluster: &str, quorum: &Quorum, nodes: &[Node]) -> Result<(), Stop> {
    let leader = leader(quorum)?;
    let last = quorum
        .current_voters
        .iter()
        .min_by_key(|voter| voter.log_end_offset);
    let last = last.unwrap_or(leader);
    let lag_ms = if last.replica_id == leader.replica_id {
        0
    } else if leader.last_caught_up_timestamp >= 0 && last.last_caught_up_timestamp >= 0 {
        leader.last_caught_up_timestamp - last.last_caught_up_timestamp
    } else {
        -1
    };
    let lines = [
        ("ClusterId", cluster.to_owned()),
        ("LeaderId", quorum.leader_id.0.to_string()),
        ("LeaderEpoch", quorum.leader_epoch.to_string()),
        ("HighWatermark", quorum.high_watermark.to_string()),
        (
            "MaxFollowerLag",
            (leader.log_end_offset - last.log_end_offset).to_string(),
        ),
        ("MaxFollowerLagTimeMs", lag_ms.to_string()),
        ("CurrentVoters", replicas(&quorum.current_voters, nodes)),
        ("CurrentObservers", replicas(&quorum.observers, nodes)),
    ];
    for (name, value) in lines {
        print::line(format!("{:<24}{value}", format!("{name}:")));
    }
    Ok(())
}

/// `[{"id": 1, "directoryId": "...", "endpoints": ["CONTROLLER://host:9093"]}]`.
fn replicas(replicas: &[ReplicaState], nodes: &[Node]) -> String {
    let shown = replicas.iter().map(|replica| {
        let mut fields = vec![format!("\"id\": {}", replica.replica_id.0)];
        if !replica.replica_directory_id.is_nil() {
            let id = uuid_to_base64(replica.replica_directory_id);
            fields.push(format!("\"directoryId\": \"{id}\""));
        }
        let node = nodes.iter().find(|node| node.node_id == replica.replica_id);
        let listeners = node.map_or(&[][..], |node| node.listeners.as_slice());
        if !listeners.is_empty() {
            let endpoints = listeners
                .iter()
                .map(|it| format!("\"{}://{}:{}\"", it.name, it.host, it.port));
            let endpoints = endpoints.collect::<Vec<_>>().join(", ");
            fields.push(format!("\"endpoints\": [{endpoints}]"));
        }
        format!("{{{}}}", fields.join(", "))
    });
    format!("[{}]", shown.collect::<Vec<_>>().join(", "))
}

fn print_replication(quorum: &Quorum, ages: bool) -> Result<(), Stop> {
    let leader = leader(quorum)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let time = |at: i64| match at {
        ..0 => "-1".to_owned(),
        at if ages => format!("{} ms ago", (now - at).max(0)),
        at => at.to_string(),
    };
    let row = |replica: &ReplicaState, status: &str| {
        vec![
            replica.replica_id.0.to_string(),
            uuid_to_base64(replica.replica_directory_id),
            replica.log_end_offset.to_string(),
            (leader.log_end_offset - replica.log_end_offset).to_string(),
            time(replica.last_fetch_timestamp),
            time(replica.last_caught_up_timestamp),
            status.to_owned(),
        ]
    };
    let followers = quorum
        .current_voters
        .iter()
        .filter(|voter| voter.replica_id != leader.replica_id)
        .map(|voter| row(voter, "Follower"));
    let observers = quorum
        .observers
        .iter()
        .map(|observer| row(observer, "Observer"));
    let rows: Vec<Vec<String>> = std::iter::once(row(leader, "Leader"))
        .chain(followers)
        .chain(observers)
        .collect();
    let headers = [
        "NodeId",
        "DirectoryId",
        "LogEndOffset",
        "Lag",
        "LastFetchTimestamp",
        "LastCaughtUpTimestamp",
        "Status",
    ];
    print::Output::stdout().bytes(print::table(&headers, &rows).as_bytes());
    Ok(())
}

/// What `get` of a Java future throws for a failed call.
fn executed(failure: Failure) -> Failure {
    let message = failure.named();
    failure.within("java.util.concurrent.ExecutionException", message)
}
