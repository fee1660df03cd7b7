//! The wire comparison against fresh containers of both images: each must answer what is recorded.

use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};

use crate::broker::{Broker, Kind};

const OURS: &str = "our_image_answers_as_recorded";
const UPSTREAM: &str = "upstream_s_image_answers_as_recorded";
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Names the program that compares; it is built in another workspace.
const PROGRAM: &str = "KLAMM_COMPAT_TESTS";

pub(crate) fn compare(wanted: Option<&str>) -> Vec<(&'static str, Result<()>)> {
    let runs = [(OURS, Kind::Ours), (UPSTREAM, Kind::Upstream)];
    let runs = runs
        .into_iter()
        .filter(|(name, _)| crate::is_wanted(name, wanted));
    runs.map(|(name, kind)| (name, check(kind))).collect()
}

fn check(kind: Kind) -> Result<()> {
    let settings = settings()?;
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let command = command()?;
    // Ours has the levels of `server.features` by itself.
    let command = (kind == Kind::Upstream).then_some(command.as_str());
    let broker = Broker::start_by(kind, &settings, command)?;
    let program = std::env::var(PROGRAM).with_context(|| {
        format!("{PROGRAM} is not set: it names the built program compat-tests, usually target/release/compat-tests")
    })?;
    let mut check = Command::new(&program);
    check.args([
        "--folder",
        FOLDER,
        "check",
        "--bootstrap",
        &broker.bootstrap,
    ]);
    if kind == Kind::Upstream {
        check.arg("--upstream");
    }
    let output = check.output().with_context(|| format!("{program} check"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default().to_owned();
    println!("{kind:?} image: {last}");
    ensure!(
        !last.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.success() {
        return Ok(());
    }
    let shown: Vec<&str> = text.lines().take(60).collect();
    Err(anyhow!("{}\n{last}", shown.join("\n")))
}

/// `server.properties` as variables of the images.
fn settings() -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(format!("{FOLDER}/server.properties"))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let variable = |(key, value): (&str, &str)| {
        let name = key.to_uppercase().replace('.', "_");
        (format!("KAFKA_{name}"), value.to_owned())
    };
    Ok(pairs.map(variable).collect())
}

/// Formats upstream's data with the levels of `server.features`, then starts it as its image does,
/// which leaves formatted data alone.
fn command() -> Result<String> {
    let text = std::fs::read_to_string(format!("{FOLDER}/server.features"))?;
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains('='));
    let features: Vec<String> = lines.map(|line| format!("--feature {line}")).collect();
    Ok(format!(
        "printf '%s\\n' node.id=1 process.roles=broker,controller listeners=PLAINTEXT://:9092,CONTROLLER://localhost:9093 \
         controller.listener.names=CONTROLLER controller.quorum.voters=1@localhost:9093 log.dirs=/tmp/kraft-combined-logs \
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT >/tmp/format.properties \
         && PATH=$PATH:/opt/kafka/bin && kafka-storage.sh format --ignore-formatted -t 5L6g3nShT-eMCtK--X86sw \
         -c /tmp/format.properties {} && export CLUSTER_ID=5L6g3nShT-eMCtK--X86sw && exec /etc/kafka/docker/run",
        features.join(" ")
    ))
}
