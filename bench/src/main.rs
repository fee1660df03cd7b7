//! Measures Klamm beside upstream Kafka on the same work and prints the result as Markdown.
//!
//! It speaks the wire and knows none of our crates; one broker or bare loop works at a time.

mod bare;
mod batch;
mod load;
mod measure;
mod process;
mod rebalances;
mod report;
mod server;
mod transactions;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use measure::{Plan, Run};
use server::{Kind, Programs};

#[derive(Parser)]
#[command(about = "Measures Klamm beside upstream Kafka on the same work")]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs the brokers and the bare loops one after the other and prints tables.
    Run(RunArguments),
    /// Fills a topic of a broker that runs already and reads it, for a profiler beside it.
    Load(LoadArguments),
    /// Forms a group on a broker that runs already and changes it, for a profiler beside it.
    Rebalances(RebalancesArguments),
    /// Receives frames, writes them to a file, answers.
    BareSink(BareArguments),
    /// Sends a file to whoever connects.
    BareSendfile(BareArguments),
}

#[derive(clap::Args)]
struct RunArguments {
    /// The klamm binary.
    #[arg(long)]
    klamm: PathBuf,
    /// The script that starts an upstream broker.
    #[arg(long)]
    upstream: PathBuf,
    /// One round of little work: about two minutes.
    #[arg(long)]
    quick: bool,
    /// Measure this broker alone: klamm or upstream.
    #[arg(long)]
    only: Option<String>,
    /// Cores of a broker that starts, as taskset takes them.
    #[arg(long)]
    start_cores: String,
    /// Cores of a broker or bare loop under load.
    #[arg(long)]
    load_cores: String,
    /// Where the data folders go.
    #[arg(long)]
    folder: PathBuf,
    /// A document whose part between the marks is replaced by the tables.
    #[arg(long)]
    write: Option<PathBuf>,
    /// A line about the machine and the command, for the head of the tables.
    #[arg(long, default_value = "")]
    about: String,
}

#[derive(clap::Args)]
struct LoadArguments {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long, default_value = "load")]
    topic: String,
    #[arg(long, default_value_t = 100)]
    record_size: usize,
    #[arg(long, default_value_t = 1)]
    partitions: usize,
    #[arg(long)]
    lz4: bool,
    #[arg(long, default_value_t = 64 * 1024)]
    batch_bytes: usize,
    /// Bytes of record values to produce.
    #[arg(long, default_value_t = 1_000_000_000)]
    payload: u64,
    /// How often the topic is read.
    #[arg(long, default_value_t = 1)]
    reads: usize,
}

#[derive(clap::Args)]
struct RebalancesArguments {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long, default_value = "rebalances")]
    topic: String,
    /// How often a member leaves or joins.
    #[arg(long, default_value_t = 100)]
    count: usize,
}

#[derive(clap::Args)]
struct BareArguments {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    file: PathBuf,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Verb::Run(arguments) => run(arguments),
        Verb::Load(arguments) => load(&arguments),
        Verb::Rebalances(arguments) => rebalances(&arguments),
        Verb::BareSink(arguments) => bare::sink(arguments.address, &arguments.file),
        Verb::BareSendfile(arguments) => bare::source(arguments.address, &arguments.file),
    }
}

fn load(arguments: &LoadArguments) -> Result<()> {
    let case = load::Case {
        record_size: arguments.record_size,
        partitions: arguments.partitions,
        codec: if arguments.lz4 {
            batch::Codec::Lz4
        } else {
            batch::Codec::None
        },
        batch_bytes: arguments.batch_bytes,
    };
    let mut connection = wire::Connection::open(arguments.address)?;
    let prebuilt = load::Prebuilt::new(&arguments.topic, case)?;
    let mut records = prebuilt.create(&mut connection)?;
    let tell = |what: &str, moved: &load::Moved| {
        let (mb, seconds) = (moved.payload as f64 / 1e6, moved.time.as_secs_f64());
        println!(
            "{what} {} records, {mb:.0} MB, {:.0} MB/s",
            moved.records,
            mb / seconds
        );
    };
    let produced = prebuilt.produce(&mut connection, arguments.payload)?;
    tell("produced", &produced);
    records += produced.records;
    for _ in 0..arguments.reads {
        tell(
            "fetched",
            &prebuilt.consume(&mut connection, records, measure::FETCH_BYTES)?,
        );
    }
    connection.delete_topic(&arguments.topic)
}

fn rebalances(arguments: &RebalancesArguments) -> Result<()> {
    let (address, topic) = (arguments.address, &arguments.topic);
    let mut connection = wire::Connection::open(address)?;
    rebalances::create_topic(&mut connection, address, topic)?;
    let mut group = rebalances::Group::begin(address, topic, topic)?;
    for (what, moved) in [
        ("formed", group.form()?),
        ("changed", group.change(arguments.count)?),
    ] {
        let ms = moved.time.as_secs_f64() * 1e3;
        println!("{what} {} times in {ms:.0} ms", moved.records);
    }
    group.end()?;
    connection.delete_topic(topic)
}

fn run(arguments: RunArguments) -> Result<()> {
    let kinds = match arguments.only.as_deref() {
        None => vec![Kind::Klamm, Kind::Upstream],
        Some("klamm") => vec![Kind::Klamm],
        Some("upstream") => vec![Kind::Upstream],
        Some(other) => bail!("--only takes klamm or upstream, not {other}"),
    };
    let folder = measure::new_folder(&arguments.folder)?;
    let run = Run {
        programs: Programs {
            klamm: arguments.klamm,
            upstream: arguments.upstream,
            start_cores: arguments.start_cores,
            load_cores: arguments.load_cores,
        },
        plan: if arguments.quick {
            Plan::quick()
        } else {
            Plan::full()
        },
        kinds,
        folder: folder.clone(),
    };
    let load_before = process::load_average();
    let measured = run.all();
    // On success only: the brokers' logs beside the data tell what went wrong.
    let measured =
        measured.inspect_err(|_| eprintln!("logs and data are kept in {}", folder.display()))?;
    std::fs::remove_dir_all(&folder)?;
    let about = format!(
        "{} Load average of the machine at the start: {load_before}, at the end: {}.",
        arguments.about,
        process::load_average()
    );
    let text = report::markdown(&run, &measured, &about);
    print!("{text}");
    if let Some(document) = arguments.write {
        report::replace_in(&document, &text)?;
    }
    Ok(())
}
