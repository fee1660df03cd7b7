//! `kafka-server-start`, `kafka-server-stop` and `zookeeper-server-start`, as scripts call them.
//!
//! Invariant: a stop reaches only servers of this very program, and a start in the foreground is
//! `klamm server`.

use std::fs::{File, create_dir_all, read, read_dir, read_link};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::Context;
use klamm::ServerConfig;
use rustix::process::{Pid, Signal, kill_process};

use super::log4j;
use super::server::{Server, run};

const USAGE: &str =
    "USAGE: kafka-server-start [-daemon] server.properties [--override property=value]*";

/// What `kafka-server-start` was asked for.
#[derive(Debug, PartialEq, Eq, Default)]
struct Start {
    daemon: bool,
    properties: PathBuf,
    overrides: Vec<String>,
}

/// `None` where the words are not a start: upstream prints its usage then.
fn parse(args: &[String]) -> Option<Start> {
    let mut start = Start::default();
    let mut words = args.iter();
    let properties = loop {
        match words.next()?.as_str() {
            "-daemon" => start.daemon = true,
            // Of the Java process: its name, its collector's log.
            "-name" => drop(words.next()?),
            "-loggc" => {}
            word if word.starts_with('-') => return None,
            word => break word,
        }
    };
    start.properties = properties.into();
    while let Some(word) = words.next() {
        let pair = match word.strip_prefix("--override=") {
            Some(pair) => pair.to_owned(),
            None if word == "--override" => words.next()?.clone(),
            None => return None,
        };
        start.overrides.push(pair);
    }
    Some(start)
}

pub(super) fn server_start(args: &[String]) -> ExitCode {
    let started = Instant::now();
    let Some(start) = parse(args) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let done = if start.daemon {
        start_daemon(&start)
    } else {
        let log_level = log4j::log_level();
        run(
            Server::of(start.properties, start.overrides, log_level),
            started,
        )
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kafka-server-start: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the server in a process group of its own, so that the terminal's signals do not reach it.
fn start_daemon(start: &Start) -> anyhow::Result<()> {
    let (path, log) = daemon_log().context("no folder for kafkaServer.out; set LOG_DIR")?;
    let program = std::env::current_exe().context("could not find this program")?;
    let mut command = Command::new(program);
    command.arg("kafka-server-start").arg(&start.properties);
    for pair in &start.overrides {
        command.arg("--override").arg(pair);
    }
    let errors = log.try_clone().context("could not share the log")?;
    let child = command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .context("could not start the server")?;
    // Its output is in a file that nobody would look for otherwise.
    eprintln!(
        "kafka-server-start: process {}, log in {}",
        child.id(),
        path.display()
    );
    Ok(())
}

/// `$LOG_DIR/kafkaServer.out`, else in `logs` beside the folder this was called from, else here.
fn daemon_log() -> Option<(PathBuf, File)> {
    let folders = match std::env::var_os("LOG_DIR") {
        Some(folder) => vec![PathBuf::from(folder)],
        None => {
            let called = std::env::args_os().next().map(PathBuf::from);
            let bin = called.as_deref().and_then(Path::parent).map(Path::to_owned);
            let bin = bin.filter(|bin| !bin.as_os_str().is_empty());
            let beside = bin.map(|bin| bin.join("../logs"));
            let fallbacks = [
                PathBuf::from("logs"),
                std::env::temp_dir().join("kafka-logs"),
            ];
            beside.into_iter().chain(fallbacks).collect()
        }
    };
    folders.into_iter().find_map(|folder| {
        create_dir_all(&folder).ok()?;
        let path = folder.join("kafkaServer.out");
        File::create(&path).ok().map(|file| (path, file))
    })
}

/// Sends `$SIGNAL` (TERM) to the servers that run from this program's file; `--node-id` and
/// `--process-role` choose among them.
pub(super) fn server_stop(args: &[String]) -> ExitCode {
    let (node_id, role) = match parse_stop(args) {
        Ok(choice) => choice,
        Err(reason) => {
            eprintln!("kafka-server-stop: {reason}");
            return ExitCode::FAILURE;
        }
    };
    let signal = match std::env::var("SIGNAL").as_deref() {
        Ok("KILL" | "9") => Signal::KILL,
        Ok("INT" | "2") => Signal::INT,
        Ok("TERM" | "15" | "") | Err(_) => Signal::TERM,
        Ok(other) => {
            eprintln!("kafka-server-stop: SIGNAL={other}: expected TERM, INT or KILL");
            return ExitCode::FAILURE;
        }
    };
    let chosen = |server: &RunningServer| {
        let has_id = node_id.is_none_or(|id| server.node_id == Some(id));
        // One node is both.
        let has_role = role
            .as_deref()
            .is_none_or(|it| it == "broker" || it == "controller");
        has_id && has_role
    };
    let servers: Vec<RunningServer> = running_servers().into_iter().filter(chosen).collect();
    if servers.is_empty() {
        println!("No kafka server to stop");
        return ExitCode::FAILURE;
    }
    let mut code = ExitCode::SUCCESS;
    for server in servers {
        if let Err(error) = kill_process(server.pid, signal) {
            eprintln!(
                "kafka-server-stop: process {}: {error}",
                server.pid.as_raw_nonzero()
            );
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn parse_stop(args: &[String]) -> Result<(Option<i32>, Option<String>), String> {
    let (mut node_id, mut role) = (None, None);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), words.next().cloned()),
        };
        match (name, value) {
            ("--node-id", Some(value)) => {
                let id = value.parse();
                node_id = Some(id.map_err(|_| format!("--node-id {value}: expected a number"))?);
            }
            ("--process-role", Some(value)) => role = Some(value),
            _ => {
                return Err(format!(
                    "{word}: expected --node-id=ID or --process-role=ROLE"
                ));
            }
        }
    }
    Ok((node_id, role))
}

struct RunningServer {
    pid: Pid,
    /// `None` where its settings cannot be read any more.
    node_id: Option<i32>,
}

fn running_servers() -> Vec<RunningServer> {
    let program = std::env::current_exe().ok();
    let processes = read_dir("/proc").into_iter().flatten().flatten();
    let found = processes.filter_map(|process| {
        let pid: i32 = process.file_name().to_str()?.parse().ok()?;
        let pid = Pid::from_raw(pid)?;
        if read_link(process.path().join("exe")).ok() != program {
            return None;
        }
        let line = read(process.path().join("cmdline")).ok()?;
        let words: Vec<String> = line
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        let folder = read_link(process.path().join("cwd")).unwrap_or_default();
        server_of(&words).map(|start| RunningServer {
            pid,
            node_id: node_id_of(&start, &folder),
        })
    });
    found.collect()
}

/// What a server was started with, if its command line is one of a server.
fn server_of(words: &[String]) -> Option<Start> {
    let name = Path::new(words.first()?).file_name()?.to_str()?;
    let name = name.strip_suffix(".sh").unwrap_or(name);
    // The line ends with a zero, after which there is nothing.
    let rest = words.get(1..)?.strip_suffix(&[String::new()])?;
    if name == "kafka-server-start" {
        return parse(rest);
    }
    if super::find(name).is_some() {
        return None;
    }
    match rest.split_first()? {
        (word, rest) if word == "kafka-server-start" || word == "kafka-server-start.sh" => {
            parse(rest)
        }
        (word, rest) if word == "server" => Some(parse(rest).unwrap_or_default()),
        _ => None,
    }
}

fn node_id_of(start: &Start, folder: &Path) -> Option<i32> {
    let overrides: Vec<(String, String)> = start
        .overrides
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let file = folder.join(&start.properties);
    let file = (!start.properties.as_os_str().is_empty()).then_some(file.as_path());
    let config = ServerConfig::load(file, &overrides).ok()?;
    Some(config.node_id())
}

/// Scripts of older releases start a ZooKeeper first and put it in the background: this stays there
/// and does nothing, since the node is its own controller.
pub(super) fn zookeeper_start(_: &[String]) -> ExitCode {
    println!("zookeeper-server-start: this broker needs no ZooKeeper; nothing listens here");
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_start_has_a_file_and_overrides() {
        let start = parse(&words(
            "-daemon -name k s.properties --override a=b --override=c=d",
        ));
        let expected = Start {
            daemon: true,
            properties: "s.properties".into(),
            overrides: vec!["a=b".to_owned(), "c=d".to_owned()],
        };
        assert_eq!(start, Some(expected));
        assert_eq!(parse(&words("-daemon")), None);
        assert_eq!(parse(&words("s.properties t.properties")), None);
        assert_eq!(parse(&words("s.properties --override")), None);
        assert_eq!(parse(&words("--help")), None);
    }

    #[test]
    fn only_servers_are_servers() {
        let is_server = |line: &str| {
            let mut words = words(line);
            words.push(String::new());
            server_of(&words).is_some()
        };
        assert!(is_server("/usr/bin/klamm server"));
        assert!(is_server("klamm server s.properties --override a=b"));
        assert!(is_server(
            "/opt/kafka/bin/kafka-server-start.sh s.properties"
        ));
        assert!(!is_server("klamm kafka-topics --list"));
        assert!(!is_server("/usr/bin/kafka-topics server"));
        assert!(!is_server(
            "/opt/kafka/bin/zookeeper-server-start.sh server"
        ));
    }
}
