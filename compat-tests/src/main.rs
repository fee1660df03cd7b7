//! `compat-tests record | check | coverage`: the command line of the wire comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use compat_tests::case;
use compat_tests::compare::Listed;
use compat_tests::coverage::unprobed;
use compat_tests::mask::Masks;
use compat_tests::recording::{Recording, error_codes};
use compat_tests::report::Report;
use compat_tests::run::{Answers, CaseKey, Runner, Selection};
use compat_tests::schema::{Compared, Schemas};

/// How much of the comparison may differ, for whatever good reasons.
const LISTED_PERCENT_MAX: usize = 1;

#[derive(Parser)]
#[command(about = "Compares a broker, field by field, with what upstream Apache Kafka answers.")]
struct Arguments {
    /// The folder with `cases` and `recordings`.
    #[arg(long, default_value = "compat-tests", global = true)]
    folder: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Write down what a live upstream answers.
    Record {
        #[command(flatten)]
        target: Target,
    },
    /// Send all cases to a live broker and compare its answers with the recordings.
    Check {
        #[command(flatten)]
        target: Target,
        /// All findings, wording included, as JSON.
        #[arg(long)]
        json: Option<PathBuf>,
        /// The broker is upstream itself, whose UNKNOWN_SERVER_ERRORs are right.
        #[arg(long)]
        upstream: bool,
        /// Write the run's figures to `results/wire.json`, from which the compatibility page is made.
        #[arg(long)]
        write_results: bool,
        /// How many cases with open differences are printed.
        #[arg(long, default_value_t = 100)]
        show: usize,
    },
    /// Count the recorded cases and the error codes among them, and name the fields not probed.
    Coverage,
}

#[derive(clap::Args)]
struct Target {
    #[arg(long)]
    bootstrap: String,
    /// Only this API.
    #[arg(long)]
    api: Option<String>,
    /// Only cases of this pattern, for example `plain v3*`.
    #[arg(long)]
    case: Option<String>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let folder = &arguments.folder;
    match &arguments.verb {
        Verb::Record { target } => record(folder, target),
        Verb::Check {
            target,
            json,
            upstream,
            write_results,
            show,
        } => {
            let listed = if *upstream {
                Listed::upstream()
            } else {
                Listed::load()?
            };
            let output = Output {
                json: json.as_deref(),
                write_results: *write_results,
                show: *show,
                upstream: *upstream,
            };
            check(folder, target, &output, &listed)
        }
        Verb::Coverage => coverage(folder),
    }
}

fn run(folder: &Path, target: &Target, recording: &Recording) -> Result<Answers> {
    let schemas = Schemas::load()?;
    let compared = Compared::load()?;
    let names = compared.versions.keys();
    let keys = names
        .map(|name| Ok(schemas.api(name)?.key))
        .collect::<Result<_>>()?;
    let masks = Masks::load(keys)?;
    let files = case::load(&folder.join("cases"))?;
    let silent = |key: &CaseKey| {
        recording
            .get(key)
            .is_some_and(|answer| answer.to_string().contains("\"silence\""))
    };
    let runner = Runner {
        address: resolve(&target.bootstrap)?,
        schemas: &schemas,
        masks: &masks,
        compared: &compared,
        salt: salt(),
        silent: &silent,
    };
    let selection = Selection {
        api: target.api.clone(),
        case: target.case.clone(),
    };
    runner.run(&files, &selection)
}

fn resolve(bootstrap: &str) -> Result<SocketAddr> {
    bootstrap
        .to_socket_addrs()?
        .next()
        .with_context(|| format!("{bootstrap} is no address"))
}

/// Tells this run's topics and groups from those of earlier runs; always nine letters long, so
/// that it changes no size.
fn salt() -> String {
    let since = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.as_micros());
    let letters = (0..8).map(|place| {
        let digit = (since / 26_u128.pow(place) % 26) as u8;
        char::from(b'a' + digit)
    });
    std::iter::once('q').chain(letters).collect()
}

fn record(folder: &Path, target: &Target) -> Result<ExitCode> {
    let path = folder.join("recordings");
    let mut recording = Recording::load(&path)?;
    let answers = run(folder, target, &Recording::default())?;
    let mut failures = 0;
    for (key, answer) in &answers {
        match answer {
            Ok(answer) => recording.insert(key, answer.clone()),
            Err(error) => {
                failures += 1;
                println!("{} {key}: {error}", key.api);
            }
        }
    }
    if target.case.is_none() {
        let key = |key: &CaseKey| (key.api.clone(), key.to_string());
        let made: BTreeSet<(String, String)> = answers.keys().map(key).collect();
        recording.retain(&made, target.api.as_deref());
    }
    if failures > 0 {
        println!("FAILED: {failures} cases could not be run; nothing is recorded");
        return Ok(ExitCode::FAILURE);
    }
    if raise_floor(folder, recording.len())?.is_none() {
        println!("FAILED: fewer cases than the floor; nothing is recorded");
        return Ok(ExitCode::FAILURE);
    }
    recording.save(&path)?;
    println!(
        "{} cases recorded, {} in all",
        answers.len(),
        recording.len()
    );
    Ok(ExitCode::SUCCESS)
}

/// The new floor, or `None` where the count of cases would fall below it.
fn raise_floor(folder: &Path, cases: usize) -> Result<Option<usize>> {
    let path = folder.join("floor");
    let floor: usize = std::fs::read_to_string(&path)?.trim().parse()?;
    if cases < floor {
        return Ok(None);
    }
    std::fs::write(path, format!("{cases}\n"))?;
    Ok(Some(cases))
}

/// What becomes of the findings.
struct Output<'a> {
    json: Option<&'a Path>,
    write_results: bool,
    show: usize,
    upstream: bool,
}

/// Upstream answers a few cases by the moment: another thread of it has seen a write, or not yet. One
/// that differs from its recording is asked again, twice at most; ours gets no second chance.
fn ask_again(
    folder: &Path,
    target: &Target,
    recording: &Recording,
    listed: &Listed,
    answers: &mut Answers,
) -> Result<()> {
    const ROUNDS: usize = 2;
    const CASES_MAX: usize = 20;
    for _ in 0..ROUNDS {
        let report = Report::new(answers, recording, listed);
        let open: BTreeSet<(String, String)> = report.open_cases().collect();
        if open.len() > CASES_MAX {
            break;
        }
        for (api, case) in open {
            println!("asked again: {api} {case}");
            let again = Target {
                bootstrap: target.bootstrap.clone(),
                api: Some(api),
                case: Some(case),
            };
            answers.extend(run(folder, &again, recording)?);
        }
    }
    Ok(())
}

fn check(folder: &Path, target: &Target, output: &Output<'_>, listed: &Listed) -> Result<ExitCode> {
    let start = Instant::now();
    let recording = Recording::load(&folder.join("recordings"))?;
    let mut answers = run(folder, target, &recording)?;
    if output.upstream {
        ask_again(folder, target, &recording, listed, &mut answers)?;
    }
    let report = Report::new(&answers, &recording, listed);
    if let Some(path) = output.json {
        std::fs::write(path, serde_json::to_string_pretty(&report.findings)?)?;
    }
    report.print_findings(output.show);
    report.print_counts();
    let floor: usize = std::fs::read_to_string(folder.join("floor"))?
        .trim()
        .parse()?;
    let cases = report.cases();
    let whole = target.api.is_none() && target.case.is_none();
    println!(
        "{cases} cases, the floor is {floor}, {:.1} s",
        start.elapsed().as_secs_f64()
    );
    if whole {
        for entry in report.unseen(listed) {
            println!("listed, but seen in no case: {entry}");
        }
        println!(
            "{} cases on the list of differences, {:.2} % (at most {LISTED_PERCENT_MAX} %), and {} in which \
             upstream itself fails",
            report.listed(),
            100.0 * report.listed() as f64 / (cases - report.failing()).max(1) as f64,
            report.failing()
        );
    }
    let different = report.different();
    if whole && cases < floor {
        println!("FAILED: fewer cases than the floor");
        return Ok(ExitCode::FAILURE);
    }
    if whole && report.listed() * 100 > (cases - report.failing()) * LISTED_PERCENT_MAX {
        println!("FAILED: too many cases are on the list of differences");
        return Ok(ExitCode::FAILURE);
    }
    if output.write_results {
        let results = report.results(listed, start.elapsed().as_secs_f64());
        let path = folder.join("results").join("wire.json");
        std::fs::create_dir_all(folder.join("results"))?;
        std::fs::write(
            path,
            format!("{}\n", serde_json::to_string_pretty(&results)?),
        )?;
    }
    println!("{} passed, {different} failed", cases - different);
    Ok(if different == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn coverage(folder: &Path) -> Result<ExitCode> {
    let recording = Recording::load(&folder.join("recordings"))?;
    let mut counts: BTreeMap<(&str, &str), (usize, BTreeSet<i64>)> = BTreeMap::new();
    for (api, case, answer) in recording.iter() {
        let version = case.split(' ').nth(1).unwrap_or_default();
        let (count, codes) = counts.entry((api, version)).or_default();
        *count += 1;
        codes.extend(error_codes(answer));
    }
    for ((api, version), (count, codes)) in &counts {
        let codes: Vec<String> = codes.iter().map(i64::to_string).collect();
        println!("{api:<28}{version:>5}{count:>7}  {}", codes.join(" "));
    }
    println!("{} cases", recording.len());
    let files = case::load(&folder.join("cases"))?;
    for place in unprobed(&files, &Schemas::load()?, &Compared::load()?)? {
        println!("not probed: {place}");
    }
    Ok(ExitCode::SUCCESS)
}
