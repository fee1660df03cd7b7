//! `klamm image`: what the scripts of the container image leave to the program, which is to make
//! server.properties from the environment.
//!
//! Invariant: what is written starts a broker; what could not is refused here, by the sentence that the
//! broker would refuse it with.

mod defaults;
mod environment;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use klamm::ServerConfig;
use metadata::config::ConfigMap;

#[derive(Args)]
pub(crate) struct Image {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Subcommand)]
enum ImageCommand {
    /// Writes a server.properties: the defaults, over them a mounted file, over that KAFKA_* variables.
    Configure(Configure),
}

#[derive(Args)]
struct Configure {
    /// The file that lies underneath.
    #[arg(long)]
    defaults: PathBuf,
    /// A file of the user's, which need not exist.
    #[arg(long)]
    mounted: Option<PathBuf>,
    /// Where the result is written.
    #[arg(long)]
    output: PathBuf,
}

pub(crate) fn run(image: Image) -> anyhow::Result<()> {
    match image.command {
        ImageCommand::Configure(arguments) => configure(&arguments),
    }
}

fn configure(arguments: &Configure) -> anyhow::Result<()> {
    let defaults = parse(&read(&arguments.defaults)?, &arguments.defaults)?;
    let mounted = match &arguments.mounted {
        Some(path) if path.exists() => parse(&read(path)?, path)?,
        Some(_) | None => ConfigMap::new(),
    };
    // Not `std::env::vars`, which panics where a value is not UTF-8.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let lines = environment::properties_text(variables);
    let mut wanted = mounted;
    wanted.extend(parse(lines.as_bytes(), Path::new("the KAFKA_* variables"))?);
    let (wanted, ignored) = defaults::without_zookeeper(wanted);
    for key in ignored {
        println!("{key} is ignored: Klamm keeps the cluster's metadata itself");
    }
    let merged = defaults::merge(wanted, defaults);
    ServerConfig::from_properties(merged.clone())?;
    write(&merged, &arguments.output)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn parse(text: &[u8], from: &Path) -> anyhow::Result<ConfigMap> {
    let mut properties = ConfigMap::new();
    java_properties::PropertiesIter::new(text)
        .read_into(|key, value| {
            properties.insert(key, value);
        })
        .with_context(|| format!("cannot read {}", from.display()))?;
    Ok(properties)
}

fn write(properties: &ConfigMap, path: &Path) -> anyhow::Result<()> {
    let mut text = Vec::new();
    let mut writer = java_properties::PropertiesWriter::new(&mut text);
    for (key, value) in properties {
        writer.write(key, value)?;
    }
    writer.finish()?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
