//! `kafka-storage`: formats the log directory of this node, and tells of it.
//!
//! A directory that was formatted here belongs to the cluster id that was given; one that was not is
//! formatted by the first start. What this broker cannot start with is refused, never passed over.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use controller::{METADATA_VERSION, SUPPORTED_FEATURES};
use klamm::ServerConfig;
use storage::LogDirOptions;
use uuid::Uuid;

use super::features::{FEATURES, LATEST, MetadataVersion, feature_by_name};

/// What is said before the tool ends with 1.
type Refusal = String;

pub(super) fn run(args: &[String]) -> ExitCode {
    let matches = match tools::argparse::parse(command(), args) {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let done = match matches.subcommand() {
        Some(("format", matches)) => format(matches),
        Some(("info", matches)) => return info(matches),
        Some(("version-mapping", matches)) => version_mapping(matches),
        Some(("feature-dependencies", matches)) => feature_dependencies(matches),
        _ => {
            tools::say!("{}", base64(storage::new_uuid()));
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            tools::complain!("{refusal}");
            ExitCode::FAILURE
        }
    }
}

fn base64(id: Uuid) -> String {
    protocol::ids::uuid_to_base64(id)
}

fn valued(name: &'static str, short: char, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .short(short)
        .help(help)
        .allow_hyphen_values(true)
}

fn flag(name: &'static str, short: char, help: &'static str) -> Arg {
    let arg = Arg::new(name).long(name).short(short).help(help);
    arg.action(ArgAction::SetTrue)
}

fn command() -> Command {
    let config = || valued("config", 'c', "The node's server.properties.").required(true);
    let release = || {
        valued(
            "release-version",
            'r',
            "A release, for example 4.3 or 4.3-IV0.",
        )
    };
    let features =
        || valued("feature", 'f', "NAME=LEVEL; may be given many times.").action(ArgAction::Append);
    let format = Command::new("format")
        .about("Formats the log directory of this node.")
        .arg(config())
        .arg(valued("cluster-id", 't', "The cluster id to use.").required(true))
        .arg(
            valued("add-scram", 'S', "Credentials of a user; not served yet.")
                .action(ArgAction::Append),
        )
        .arg(flag(
            "ignore-formatted",
            'g',
            "A directory that is formatted is no error.",
        ))
        .arg(release())
        .arg(features())
        .arg(flag(
            "standalone",
            's',
            "This controller alone is the first quorum.",
        ))
        .arg(flag(
            "no-initial-controllers",
            'N',
            "The quorum is told later.",
        ))
        .arg(valued(
            "initial-controllers",
            'I',
            "The first quorum: id@host:port:directory id.",
        ))
        .group(ArgGroup::new("quorum").args([
            "standalone",
            "no-initial-controllers",
            "initial-controllers",
        ]));
    Command::new("kafka-storage")
        .about("Formats the log directory of a node, and tells of it.")
        .subcommand_required(true)
        .subcommand(
            Command::new("info")
                .about("Tells of the log directory.")
                .arg(config()),
        )
        .subcommand(format)
        .subcommand(
            Command::new("version-mapping")
                .about("The feature levels that belong to a release.")
                .arg(release()),
        )
        .subcommand(
            Command::new("feature-dependencies")
                .about("What a feature's level depends on.")
                .arg(features().required(true)),
        )
        .subcommand(Command::new("random-uuid").about("Prints a random uuid."))
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

fn texts<'a>(matches: &'a ArgMatches, name: &str) -> Vec<&'a str> {
    let values = matches.get_many::<String>(name);
    values.map_or_else(Vec::new, |values| values.map(String::as_str).collect())
}

fn load(matches: &ArgMatches) -> Result<ServerConfig, Refusal> {
    let file = text(matches, "config").map(Path::new);
    ServerConfig::load(file, &[]).map_err(|error| error.to_string())
}

/// How the line about the formatting names the directory, and the directory's id if it was given.
type Kind = (&'static str, Option<Uuid>);

fn format(matches: &ArgMatches) -> Result<(), Refusal> {
    let config = load(matches)?;
    if !texts(matches, "add-scram").is_empty() {
        return Err(
            "--add-scram: SCRAM is not served yet: format without it, and use \
             PLAINTEXT listeners"
                .to_owned(),
        );
    }
    check_levels(matches)?;
    let (kind, directory_id) = quorum(matches, &config)?;
    let folder = config.data_folder();
    let cluster_id = text(matches, "cluster-id").unwrap_or_default();
    if folder.exists() && !folder.is_dir() {
        tools::say!(
            "I/O error trying to read log directory {}. Ignoring...",
            folder.display()
        );
        return Err("No available log directories to format.".to_owned());
    }
    let found = storage::read_identity(folder).map_err(|error| error.to_string())?;
    if let Some(found) = found {
        let file = folder.join("meta.properties");
        if found.cluster_id != cluster_id {
            return Err(format!(
                "Invalid cluster.id in: {}. Expected {cluster_id}, but read {}",
                file.display(),
                found.cluster_id
            ));
        }
        if found.node_id != config.node_id() {
            return Err(format!(
                "Stored node id {} doesn't match previous node id {} in {}. Use the node id that \
                 the data was written with, or remove the data.",
                found.node_id,
                config.node_id(),
                file.display()
            ));
        }
        if !matches.get_flag("ignore-formatted") {
            return Err(format!(
                "Log directory {} is already formatted. Use --ignore-formatted to ignore this \
                 directory and format the others.",
                folder.display()
            ));
        }
        tools::say!("All of the log directories are already formatted.");
        return Ok(());
    }
    let mut options = LogDirOptions::new(config.node_id());
    options.cluster_id = Some(cluster_id.to_owned());
    options.directory_id = directory_id;
    tools::say!("Bootstrap metadata: {}", bootstrap_metadata());
    tools::say!(
        "Formatting {kind} {} with metadata.version {}.",
        folder.display(),
        MetadataVersion::of_level(LATEST).map_or("", |version| version.name)
    );
    storage::format(folder, &options).map_err(|error| error.to_string())?;
    Ok(())
}

/// The records that a new node's metadata begins with, in upstream's notation.
fn bootstrap_metadata() -> String {
    let mut begins: Vec<_> = SUPPORTED_FEATURES
        .iter()
        .filter(|feature| feature.initial_level > 0)
        .collect();
    begins.sort_by_key(|feature| feature.name != METADATA_VERSION);
    let records = begins.iter().map(|feature| {
        format!(
            "ApiMessageAndVersion(FeatureLevelRecord(name='{}', featureLevel={}) at version 0)",
            feature.name, feature.initial_level
        )
    });
    format!(
        "BootstrapMetadata(records=[{}], metadataVersionLevel={LATEST}, source=format command)",
        records.collect::<Vec<_>>().join(", ")
    )
}

/// A new node starts with the levels of this version; others would be promised in vain.
fn check_levels(matches: &ArgMatches) -> Result<(), Refusal> {
    let mut version = text(matches, "release-version")
        .map(|name| stable_version(name, LATEST))
        .transpose()?;
    for pair in texts(matches, "feature") {
        let (name, level) = parse_level(pair)?;
        if name != METADATA_VERSION {
            check_level(name, level)?;
            continue;
        }
        if text(matches, "release-version").is_some() {
            return Err(
                "Use --release-version instead of --feature metadata.version=X to avoid \
                 ambiguity."
                    .to_owned(),
            );
        }
        version = Some(MetadataVersion::of_level(level).ok_or_else(|| {
            format!(
                "No MetadataVersion with feature level {level}. Valid feature levels are from 7 \
                 to {}.",
                MetadataVersion::newest()
            )
        })?);
    }
    match version {
        Some(version) if version.level != LATEST => Err(format!(
            "metadata.version {} is not served: a new node starts with {}; format without \
             --release-version and --feature metadata.version",
            version.name,
            MetadataVersion::of_level(LATEST).map_or("", |version| version.name)
        )),
        Some(_) | None => Ok(()),
    }
}

fn parse_level(pair: &str) -> Result<(&str, i16), Refusal> {
    let (name, level) = pair.split_once('=').ok_or_else(|| {
        format!("Can't parse feature=level string {pair}: equals sign not found.")
    })?;
    let level = level.trim().parse().map_err(|_| {
        format!("Can't parse feature=level string {pair}: unable to parse {level} as a short.")
    })?;
    Ok((name.trim(), level))
}

fn check_level(name: &str, level: i16) -> Result<(), Refusal> {
    let Some(feature) = feature_by_name(name) else {
        let mut names: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        names.sort_unstable();
        return Err(format!(
            "Unsupported feature: {name}. Supported features are: {}",
            names.join(", ")
        ));
    };
    if !(0..=feature.max_level).contains(&level) {
        return Err(format!("No feature:{name} with feature level {level}"));
    }
    let served = SUPPORTED_FEATURES.iter().find(|served| served.name == name);
    // Of the quorum's own version nothing but the single node shows.
    let initial = served.map_or(0, |served| served.initial_level);
    if level != initial && served.is_some_and(|served| level <= served.max_level) {
        return Err(format!(
            "{name}={level}: a new node starts with level {initial}; format without --feature \
             {name}, start the node, and set it with kafka-features"
        ));
    }
    if level != initial && name != "kraft.version" {
        return Err(format!(
            "{name}={level} is not served: a new node starts with level {initial}; format \
             without --feature {name}"
        ));
    }
    Ok(())
}

fn stable_version(name: &str, newest: i16) -> Result<MetadataVersion, Refusal> {
    MetadataVersion::parse(name).ok_or_else(|| {
        format!(
            "Unknown metadata.version '{name}'. Supported metadata.version are: {}",
            MetadataVersion::names(newest)
        )
    })
}

fn quorum(matches: &ArgMatches, config: &ServerConfig) -> Result<Kind, Refusal> {
    let voters_given = config.is_set("controller.quorum.voters");
    let initial = text(matches, "initial-controllers");
    let dynamic = matches.get_flag("standalone") || initial.is_some();
    if voters_given && dynamic {
        return Err(
            "You cannot specify controller.quorum.voters and format the node with \
             --initial-controllers or --standalone. If you want to use dynamic quorum, please \
             remove controller.quorum.voters and specify controller.quorum.bootstrap.servers \
             instead."
                .to_owned(),
        );
    }
    let wants_choice = !voters_given && config.is_set("controller.quorum.bootstrap.servers");
    if wants_choice && !dynamic && !matches.get_flag("no-initial-controllers") {
        return Err(
            "Because controller.quorum.voters is not set on this controller, you must \
             specify one of the following: --standalone, --initial-controllers, or \
             --no-initial-controllers."
                .to_owned(),
        );
    }
    if let Some(controllers) = initial {
        let id = directory_id(controllers, config.node_id())?;
        return Ok(("dynamic metadata voter directory", Some(id)));
    }
    if dynamic {
        return Ok(("dynamic metadata voter directory", None));
    }
    Ok(("metadata directory", None))
}

/// The directory id in `id@host:port:directory`, which must name this node alone.
fn directory_id(controllers: &str, node_id: i32) -> Result<Uuid, Refusal> {
    let refuse = |reason: &str| {
        Err(format!(
            "--initial-controllers {controllers}: {reason}; expected \
             {node_id}@HOST:PORT:DIRECTORY_ID"
        ))
    };
    let Some((id, address)) = controllers.split_once('@') else {
        return Err("No @ found in dynamic voter string.".to_owned());
    };
    if controllers.contains(',') {
        return refuse("a quorum of several controllers is not served");
    }
    if id.trim().parse() != Ok(node_id) {
        return refuse("another node than this one is the controller");
    }
    let id = address.rsplit(':').next().unwrap_or_default().trim();
    match protocol::ids::uuid_from_base64(id) {
        Ok(id) => Ok(id),
        Err(_) => refuse("the directory id is not a Kafka uuid"),
    }
}

fn info(matches: &ArgMatches) -> ExitCode {
    let config = match load(matches) {
        Ok(config) => config,
        Err(refusal) => {
            tools::complain!("{refusal}");
            return ExitCode::FAILURE;
        }
    };
    let folder = config.data_folder();
    let (found, problem) = look_at(folder);
    if folder.is_dir() {
        tools::say!("Found log directory:\n  {}\n", folder.display());
    }
    if let Some(found) = found {
        let id = found.directory_id.map(base64);
        let id = id.map_or_else(String::new, |id| format!("directory.id={id}, "));
        tools::say!(
            "Found metadata: {{cluster.id={}, {id}node.id={}, version=1}}\n",
            found.cluster_id,
            found.node_id
        );
    }
    match problem {
        None => ExitCode::SUCCESS,
        Some(problem) => {
            tools::say!("Found problem:\n  {problem}\n");
            ExitCode::FAILURE
        }
    }
}

fn look_at(folder: &Path) -> (Option<storage::MetaProperties>, Option<String>) {
    let path = folder.display();
    if !folder.exists() {
        return (None, Some(format!("{path} does not exist")));
    }
    if !folder.is_dir() {
        return (None, Some(format!("{path} is not a directory")));
    }
    match storage::read_identity(folder) {
        Ok(Some(found)) => (Some(found), None),
        Ok(None) => (None, Some(format!("{path} is not formatted."))),
        Err(error) => {
            let file: PathBuf = folder.join("meta.properties");
            (
                None,
                Some(format!("Error loading {}: {error}", file.display())),
            )
        }
    }
}

fn version_mapping(matches: &ArgMatches) -> Result<(), Refusal> {
    let newest = MetadataVersion::of_level(LATEST).map_or("", |version| version.name);
    let name = text(matches, "release-version").unwrap_or(newest);
    let version = stable_version(name, MetadataVersion::newest())?;
    tools::say!("metadata.version={} ({name})", version.level);
    for feature in FEATURES {
        tools::say!("{}={}", feature.name, feature.default_level(version));
    }
    Ok(())
}

fn feature_dependencies(matches: &ArgMatches) -> Result<(), Refusal> {
    for pair in texts(matches, "feature") {
        dependencies_of(pair)?;
    }
    Ok(())
}

fn dependencies_of(pair: &str) -> Result<(), Refusal> {
    let (name, level) = pair.split_once('=').ok_or_else(|| {
        format!(
            "Invalid feature format: {pair}. Expected format: 'feature=version' (e.g. \
             'group.version=1')"
        )
    })?;
    let level: i16 = level
        .parse()
        .map_err(|_| format!("Invalid version format: {level} for feature {name}"))?;
    if name == METADATA_VERSION {
        let version = MetadataVersion::of_level(level)
            .ok_or_else(|| format!("Unknown metadata.version {level}"))?;
        tools::say!("{name}={level} ({}) has no dependencies.", version.name);
        return Ok(());
    }
    let feature = feature_by_name(name).ok_or_else(|| format!("Unknown feature: {name}"))?;
    if !(0..=feature.max_level).contains(&level) {
        return Err(format!(
            "Feature level {level} is not supported for feature {name}"
        ));
    }
    match feature.requires.and_then(MetadataVersion::of_level) {
        Some(version) if level > 0 => {
            tools::say!("{name}={level} requires:");
            tools::say!("    metadata.version={} ({})", version.level, version.name);
        }
        Some(_) | None => tools::say!("{name}={level} has no dependencies."),
    }
    Ok(())
}
