//! What the `klamm` program can be asked to do on this machine; tools that speak to a cluster lie in
//! the crate `tools`.

mod features;
pub(crate) mod image;
mod log4j;
pub(crate) mod server;
mod start;
mod storage;

use std::process::ExitCode;

/// A command: its arguments without its name, and what it ends with.
type Command = fn(&[String]) -> ExitCode;

/// The commands that have a name of upstream's, without the `.sh` that some of its images add.
const COMMANDS: &[(&str, Command)] = &[
    ("kafka-server-start", start::server_start),
    ("kafka-server-stop", start::server_stop),
    ("kafka-storage", storage::run),
    ("zookeeper-server-start", start::zookeeper_start),
];

/// The command or tool of that name, with or without `.sh`.
pub(crate) fn find(name: &str) -> Option<Command> {
    let bare = name.strip_suffix(".sh").unwrap_or(name);
    let command = COMMANDS.iter().find(|(known, _)| *known == bare);
    command.map(|(_, run)| *run).or_else(|| tools::find(name))
}

/// The names under which this program answers as one of upstream's, in the order of the alphabet.
pub(crate) fn names() -> Vec<&'static str> {
    let commands = COMMANDS.iter().map(|(name, _)| *name);
    let mut names: Vec<_> = commands.chain(tools::names()).collect();
    names.sort_unstable();
    names
}
