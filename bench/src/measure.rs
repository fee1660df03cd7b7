//! One run: every measurement of both brokers and of the bare loops, round by round.
//!
//! Only one of them works at a time, and each has a data folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::batch::Codec;
use crate::load::{self, Case, Moved, Percentiles, Prebuilt};
use crate::process;
use crate::rebalances::{self, Group};
use crate::server::{Kind, Programs, Server};
use crate::transactions::Producers;
use crate::wire::Connection;

/// A consumer's default for `max.partition.fetch.bytes`.
pub(crate) const FETCH_BYTES: i32 = 1 << 20;
/// A consumer that was set to read a log in large pieces.
const FETCH_BYTES_LARGE: i32 = 16 << 20;
/// What a load of a million records sends.
const MILLION: Case = Case {
    record_size: 100,
    partitions: 1,
    codec: Codec::None,
    batch_bytes: 64 * 1024,
};
const RESTART: Case = Case {
    record_size: 1024,
    partitions: 100,
    codec: Codec::None,
    batch_bytes: 64 * 1024,
};
/// The bare sendfile is over in a blink: it is asked more often.
const SENDFILE_REPEATS: usize = 5;
const RESTART_PAYLOAD: u64 = 1_000_000_000;

/// How much of each measurement is made.
pub(crate) struct Plan {
    pub(crate) start_rounds: usize,
    pub(crate) idle: Duration,
    pub(crate) rounds: usize,
    pub(crate) payload: u64,
    pub(crate) warm_up: u64,
    pub(crate) latency_count: usize,
    pub(crate) transactions: usize,
    pub(crate) rebalances: usize,
    pub(crate) restart_rounds: usize,
}

impl Plan {
    pub(crate) fn full() -> Self {
        Plan {
            start_rounds: 5,
            idle: Duration::from_secs(5),
            rounds: 3,
            payload: 500_000_000,
            warm_up: 500_000_000,
            latency_count: 20_000,
            transactions: 8_000,
            rebalances: 40,
            restart_rounds: 3,
        }
    }

    pub(crate) fn quick() -> Self {
        Plan {
            start_rounds: 1,
            idle: Duration::from_secs(2),
            rounds: 1,
            payload: 300_000_000,
            warm_up: 300_000_000,
            latency_count: 5_000,
            transactions: 2_000,
            rebalances: 20,
            restart_rounds: 1,
        }
    }
}

/// The cases: two record sizes, two counts of partitions, two codecs, and upstream's default batch.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for record_size in [100, 1024] {
        for partitions in [1, 12] {
            for codec in [Codec::None, Codec::Lz4] {
                cases.push(Case {
                    record_size,
                    partitions,
                    codec,
                    batch_bytes: 64 * 1024,
                });
            }
        }
    }
    cases.push(Case {
        record_size: 100,
        partitions: 1,
        codec: Codec::None,
        batch_bytes: 16 * 1024,
    });
    cases
}

/// One stretch of work: what moved, and whose processor time it took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) moved: Moved,
    pub(crate) server_cpu: f64,
    pub(crate) generator_cpu: f64,
}

impl Sample {
    pub(crate) fn cpu_per_gb(&self) -> f64 {
        self.server_cpu * 1e9 / self.moved.payload as f64
    }

    pub(crate) fn generator_cpu_per_gb(&self) -> f64 {
        self.generator_cpu * 1e9 / self.moved.payload as f64
    }

    pub(crate) fn cpu_ms_each(&self) -> f64 {
        self.server_cpu * 1e3 / self.moved.records as f64
    }

    pub(crate) fn ms_each(&self) -> f64 {
        self.moved.time.as_secs_f64() * 1e3 / self.moved.records as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.moved.records as f64 / self.moved.time.as_secs_f64()
    }

    pub(crate) fn mb_per_second(&self) -> f64 {
        self.moved.payload as f64 / 1e6 / self.moved.time.as_secs_f64()
    }

    pub(crate) fn wire_mb_per_second(&self) -> f64 {
        self.moved.wire as f64 / 1e6 / self.moved.time.as_secs_f64()
    }
}

/// All rounds of one case; `bare` and `fetch_large` are empty where they are not measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct CaseSamples {
    pub(crate) produce: Vec<Sample>,
    pub(crate) fetch: Vec<Sample>,
    pub(crate) fetch_large: Vec<Sample>,
    pub(crate) bare: Vec<Sample>,
}

/// Everything measured of one broker, a value per round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) first_answer_ms: Vec<f64>,
    pub(crate) first_ack_ms: Vec<f64>,
    pub(crate) restart_first_ms: Vec<f64>,
    pub(crate) restart_all_ms: Vec<f64>,
    pub(crate) rss_idle: Vec<f64>,
    pub(crate) rss_produced: Vec<f64>,
    pub(crate) rss_fetched: Vec<f64>,
    pub(crate) rss_end: Vec<f64>,
    pub(crate) cases: Vec<CaseSamples>,
    pub(crate) latency: Vec<Percentiles>,
    pub(crate) bare_latency: Vec<Percentiles>,
    pub(crate) sendfile: Vec<Sample>,
    /// Their records are transactions.
    pub(crate) transactions: Vec<Sample>,
    /// A whole group joins: one rebalance to measure.
    pub(crate) group_forms: Vec<Sample>,
    /// Their records are rebalances.
    pub(crate) rebalances: Vec<Sample>,
}

pub(crate) struct Run {
    pub(crate) programs: Programs,
    pub(crate) plan: Plan,
    pub(crate) kinds: Vec<Kind>,
    /// A new folder; each broker gets a folder inside.
    pub(crate) folder: PathBuf,
}

impl Run {
    /// One `Measured` for each of `kinds`.
    pub(crate) fn all(&self) -> Result<Vec<Measured>> {
        let mut measured = vec![Measured::default(); self.kinds.len()];
        for round in 0..self.plan.start_rounds {
            for (kind, into) in self.kinds.iter().zip(&mut measured) {
                say(&format!("{}: start, round {}", kind.name(), round + 1));
                self.start(*kind, into)?;
            }
        }
        for (kind, into) in self.kinds.iter().zip(&mut measured) {
            self.load(*kind, into)
                .with_context(|| format!("the load on {}", kind.name()))?;
        }
        for round in 0..self.plan.restart_rounds {
            for (kind, into) in self.kinds.iter().zip(&mut measured) {
                say(&format!("{}: restart, round {}", kind.name(), round + 1));
                self.restart(*kind, into)?;
            }
        }
        Ok(measured)
    }

    fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        Ok(folder)
    }

    /// An empty folder, to the first answer and to the first acknowledged record.
    fn start(&self, kind: Kind, into: &mut Measured) -> Result<()> {
        let folder = self.fresh("start")?;
        let request = load::single("first")?;
        let mut server = Server::broker(&self.programs, kind, &self.programs.start_cores, &folder)?;
        let mut connection = server.connect()?;
        connection.api_versions()?;
        into.first_answer_ms.push(ms_since(server.started));
        connection.create_topic("first", 1)?;
        connection.produce_until_taken(&request)?;
        into.first_ack_ms.push(ms_since(server.started));
        server.kill()?;
        fs::remove_dir_all(folder)?;
        Ok(())
    }

    fn load(&self, kind: Kind, into: &mut Measured) -> Result<()> {
        let folder = self.fresh("load")?;
        let mut server = Server::broker(&self.programs, kind, &self.programs.load_cores, &folder)?;
        let mut connection = server.connect()?;
        connection.api_versions()?;
        std::thread::sleep(self.plan.idle);
        into.rss_idle.push(process::rss_mb(server.pid())?);
        say(&format!("{}: a million records", kind.name()));
        let million = Prebuilt::new("million", MILLION)?;
        let mut records = million.create(&mut connection)?;
        records += million.produce(&mut connection, 100 * 1_000_000)?.records;
        into.rss_produced.push(process::rss_mb(server.pid())?);
        million.consume(&mut connection, records, FETCH_BYTES)?;
        into.rss_fetched.push(process::rss_mb(server.pid())?);
        million.produce(&mut connection, self.plan.warm_up)?;
        drop(million);
        into.cases = vec![CaseSamples::default(); cases().len()];
        for round in 0..self.plan.rounds {
            for (case, samples) in cases().into_iter().zip(&mut into.cases) {
                say(&format!(
                    "{}: {}, round {}",
                    kind.name(),
                    name_of(&case),
                    round + 1
                ));
                if kind == Kind::Klamm {
                    samples.bare.push(self.bare_sink(case)?);
                }
                self.case(&server, &mut connection, case, samples)?;
            }
            if kind == Kind::Klamm {
                for _ in 0..SENDFILE_REPEATS {
                    into.sendfile.push(self.bare_sendfile()?);
                }
            }
            say(&format!(
                "{}: one record at a time, round {}",
                kind.name(),
                round + 1
            ));
            self.latency(kind, &mut connection, into)?;
        }
        say(&format!("{}: transactions", kind.name()));
        self.transactions(&server, into)?;
        say(&format!("{}: rebalances", kind.name()));
        self.rebalances(&server, into)?;
        into.rss_end.push(process::rss_mb(server.pid())?);
        server.kill()?;
        fs::remove_dir_all(folder)?;
        Ok(())
    }

    /// A topic is filled, read from its start to its end, and deleted.
    fn case(
        &self,
        server: &Server,
        connection: &mut Connection,
        case: Case,
        samples: &mut CaseSamples,
    ) -> Result<()> {
        let topic = format!("case-{}", samples.produce.len());
        let topic = format!("{topic}-{}", name_of(&case).replace([' ', ','], "-"));
        let prebuilt = Prebuilt::new(&topic, case)?;
        let mut records = prebuilt.create(connection)?;
        let produced = sample(server.pid(), || {
            prebuilt.produce(connection, self.plan.payload)
        })?;
        records += produced.moved.records;
        samples.produce.push(produced);
        let mut read = |bytes| {
            sample(server.pid(), || {
                prebuilt.consume(connection, records, bytes)
            })
        };
        samples.fetch.push(read(FETCH_BYTES)?);
        if case.partitions == 1 && case.codec == Codec::None {
            samples.fetch_large.push(read(FETCH_BYTES_LARGE)?);
        }
        connection.delete_topic(&topic)
    }

    /// After as many to warm up: the first of them make `__transaction_state`.
    fn transactions(&self, server: &Server, into: &mut Measured) -> Result<()> {
        let mut producers = Producers::begin(server.address(), "transactions")?;
        producers.commit(self.plan.transactions)?;
        for _ in 0..self.plan.rounds {
            let committed = sample(server.pid(), || producers.commit(self.plan.transactions))?;
            into.transactions.push(committed);
        }
        Ok(())
    }

    /// After a group that warms up: the first makes `__consumer_offsets`.
    fn rebalances(&self, server: &Server, into: &mut Measured) -> Result<()> {
        const TOPIC: &str = "rebalances";
        let warm_up = self.plan.rebalances.div_ceil(2);
        let mut connection = Connection::open(server.address())?;
        rebalances::create_topic(&mut connection, server.address(), TOPIC)?;
        for round in 0..=self.plan.rounds {
            let mut group = Group::begin(server.address(), TOPIC, &format!("{TOPIC}-{round}"))?;
            let formed = sample(server.pid(), || group.form())?;
            let count = if round == 0 {
                warm_up
            } else {
                self.plan.rebalances
            };
            let changed = sample(server.pid(), || group.change(count))?;
            if round > 0 {
                into.group_forms.push(formed);
                into.rebalances.push(changed);
            }
            group.end()?;
        }
        connection.delete_topic(TOPIC)
    }

    /// One record at a time; beside Klamm, the bare loop tells what the machine itself takes.
    fn latency(&self, kind: Kind, connection: &mut Connection, into: &mut Measured) -> Result<()> {
        connection.create_topic("single", 1)?;
        connection.produce_until_taken(&load::single("single")?)?;
        let count = self.plan.latency_count;
        into.latency
            .push(load::one_at_a_time(connection, "single", count)?);
        if kind == Kind::Klamm {
            let file = self.folder.join("bare-sink");
            let mut server = Server::bare(&self.programs, "bare-sink", &file)?;
            let mut connection = server.connect()?;
            into.bare_latency
                .push(load::one_at_a_time(&mut connection, "single", count)?);
            server.kill()?;
            fs::remove_file(file)?;
        }
        Ok(())
    }

    /// The same requests, sent to a loop that receives and writes.
    fn bare_sink(&self, case: Case) -> Result<Sample> {
        let file = self.folder.join("bare-sink");
        let mut server = Server::bare(&self.programs, "bare-sink", &file)?;
        let mut connection = server.connect()?;
        let prebuilt = Prebuilt::new("bare", case)?;
        let sample = sample(server.pid(), || {
            prebuilt.produce(&mut connection, self.plan.payload)
        });
        server.kill()?;
        fs::remove_file(file)?;
        sample
    }

    /// A file as large as a case's log, sent by sendfile and discarded as fetched records are.
    fn bare_sendfile(&self) -> Result<Sample> {
        let file = self.folder.join("bare-sendfile");
        let size = usize::try_from(self.plan.payload)?;
        let text: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        fs::write(&file, text)?;
        let mut server = Server::bare(&self.programs, "bare-sendfile", &file)?;
        // The file is sent from the moment of the connection on: the whole of it is timed.
        let pid = server.pid();
        let before = process::cpu_seconds(std::process::id())?;
        let mut connection = server.connect()?;
        let started = Instant::now();
        connection.skip(size)?;
        let moved = Moved {
            records: 0,
            payload: self.plan.payload,
            wire: self.plan.payload,
            time: started.elapsed(),
        };
        let sample = Sample {
            moved,
            // All its work since its start was this.
            server_cpu: process::cpu_seconds(pid)?,
            generator_cpu: process::cpu_seconds(std::process::id())? - before,
        };
        server.kill()?;
        fs::remove_file(file)?;
        Ok(sample)
    }

    /// 100 partitions of 10 MB, kill -9, and the time until records are acknowledged again.
    fn restart(&self, kind: Kind, into: &mut Measured) -> Result<()> {
        let folder = self.fresh("restart")?;
        let mut server = Server::broker(&self.programs, kind, &self.programs.start_cores, &folder)?;
        let mut connection = server.connect()?;
        let prebuilt = Prebuilt::new("restart", RESTART)?;
        prebuilt.create(&mut connection)?;
        prebuilt.produce(&mut connection, RESTART_PAYLOAD)?;
        drop(prebuilt);
        server.kill()?;
        let requests = load::single_for_each("restart", RESTART.partitions as i32)?;
        let mut server = Server::broker(&self.programs, kind, &self.programs.start_cores, &folder)?;
        let mut connection = server.connect()?;
        for (index, request) in requests.iter().enumerate() {
            connection.produce_until_taken(request)?;
            if index == 0 {
                into.restart_first_ms.push(ms_since(server.started));
            }
        }
        into.restart_all_ms.push(ms_since(server.started));
        server.kill()?;
        fs::remove_dir_all(folder)?;
        Ok(())
    }
}

/// Runs `work` and takes the processor time of the process `pid` and of this one around it.
fn sample(pid: u32, work: impl FnOnce() -> Result<Moved>) -> Result<Sample> {
    let server = process::cpu_seconds(pid)?;
    let generator = process::cpu_seconds(std::process::id())?;
    let moved = work()?;
    Ok(Sample {
        moved,
        server_cpu: process::cpu_seconds(pid)? - server,
        generator_cpu: process::cpu_seconds(std::process::id())? - generator,
    })
}

pub(crate) fn name_of(case: &Case) -> String {
    let batch = if case.batch_bytes == 16 * 1024 {
        ", batches of 16 KiB"
    } else {
        ""
    };
    format!(
        "{}, {} part., {}{batch}",
        size_name(case.record_size),
        case.partitions,
        case.codec.name()
    )
}

fn size_name(bytes: usize) -> String {
    if bytes.is_multiple_of(1024) {
        format!("{} KiB", bytes / 1024)
    } else {
        format!("{bytes} B")
    }
}

fn ms_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

fn say(text: &str) {
    eprintln!("== {text}");
}

/// A folder of its own for this run, under the system's place for temporary files.
pub(crate) fn new_folder(parent: &Path) -> Result<PathBuf> {
    let folder = parent.join(format!("klamm-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
