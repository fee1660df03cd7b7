//! The same steps on upstream's image and on ours, through a stock client: each scenario gives what
//! it observed, and the two observations must be equal. Needs a Docker engine and both images
//! (`scripts/test compat` sees to them).

mod admin;
mod broker;
mod clients;
mod groups;
mod records;
mod restart;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use broker::{Broker, Kind};

/// What a scenario observed; equal on both brokers.
type Scenario = fn(&Broker) -> Result<Value>;

struct Named {
    name: &'static str,
    run: Scenario,
}

/// Old segments and logs to compact are looked for at once, not only every five minutes.
const OFTEN: [(&str, &str); 3] = [
    ("KAFKA_LOG_CLEANER_BACKOFF_MS", "300"),
    ("KAFKA_LOG_RETENTION_CHECK_INTERVAL_MS", "1000"),
    ("KAFKA_LOG_INITIAL_TASK_DELAY_MS", "500"),
];

/// As many scenarios at once as a small machine bears.
const THREADS: usize = 4;

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error:#}\ntest result: FAILED. 0 passed; 1 failed");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<usize> {
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let all = [records::ALL, groups::ALL, admin::ALL].concat_named();
    let start = Instant::now();
    let (upstream, ours) = both(&OFTEN)?;
    println!(
        "both brokers serve after {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let side_by_side: Vec<&Named> = all
        .iter()
        .copied()
        .filter(|one| is_wanted(one.name, wanted.as_deref()))
        .collect();
    let mut outcomes = compare_all(&side_by_side, &upstream, &ours);
    // Others would see their broker go.
    for one in restart::ALL
        .iter()
        .filter(|one| is_wanted(one.name, wanted.as_deref()))
    {
        outcomes.push((one.name, compare(one, &upstream, &ours)));
    }
    drop((upstream, ours));
    // Alone: a small machine has no room for a third broker, and answers would come late.
    outcomes.extend(wire::compare(wanted.as_deref()));
    outcomes.sort_by_key(|(name, _)| *name);
    let mut failed = 0;
    for (name, outcome) in &outcomes {
        match outcome {
            Ok(()) => println!("test {name} ... ok"),
            Err(error) => {
                failed += 1;
                println!("test {name} ... FAILED\n    {error:#}");
            }
        }
    }
    let passed = outcomes.len() - failed;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {word}. {passed} passed; {failed} failed; {:.1} s",
        start.elapsed().as_secs_f64()
    );
    Ok(failed + usize::from(outcomes.is_empty()))
}

trait Concatenated {
    fn concat_named(self) -> Vec<&'static Named>;
}

impl<const N: usize> Concatenated for [&'static [Named]; N] {
    fn concat_named(self) -> Vec<&'static Named> {
        self.into_iter().flatten().collect()
    }
}

fn is_wanted(name: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| name.contains(wanted))
}

/// Starts a container of each, side by side.
fn both(settings: &[(&str, &str)]) -> Result<(Broker, Broker)> {
    std::thread::scope(|scope| {
        let upstream = scope.spawn(|| Broker::start(Kind::Upstream, settings));
        let ours = Broker::start(Kind::Ours, settings);
        let upstream = upstream.join().map_err(|_| anyhow!("the start panicked"))?;
        Ok((upstream?, ours?))
    })
}

fn compare_all<'a>(
    scenarios: &[&'a Named],
    upstream: &Broker,
    ours: &Broker,
) -> Vec<(&'a str, Result<()>)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut outcomes = Vec::new();
        while let Some(one) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            outcomes.push((one.name, compare(one, upstream, ours)));
        }
        outcomes
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let outcomes = threads.into_iter().map(|thread| thread.join());
        outcomes.flat_map(Result::unwrap_or_default).collect()
    })
}

fn compare(scenario: &Named, upstream: &Broker, ours: &Broker) -> Result<()> {
    let observe = |broker: &Broker| -> Result<Value> {
        let seen = catch_unwind(AssertUnwindSafe(|| (scenario.run)(broker)));
        seen.map_err(|_| anyhow!("it panicked"))?
            .with_context(|| format!("on {:?}", broker.kind))
    };
    let (theirs, ours) = std::thread::scope(|scope| -> Result<(Value, Value)> {
        let theirs = scope.spawn(|| observe(upstream));
        let ours = observe(ours);
        Ok((
            theirs.join().map_err(|_| anyhow!("a thread panicked"))??,
            ours?,
        ))
    })?;
    anyhow::ensure!(!is_nothing(&theirs), "nothing was observed: {theirs}");
    match first_difference("", &theirs, &ours) {
        None => Ok(()),
        Some((place, theirs, ours)) => Err(anyhow!("{place}: upstream {theirs}, here {ours}")),
    }
}

fn is_nothing(seen: &Value) -> bool {
    match seen {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn first_difference(place: &str, theirs: &Value, ours: &Value) -> Option<(String, Value, Value)> {
    match (theirs, ours) {
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys());
            names.into_iter().find_map(|name| {
                let of = |object: &serde_json::Map<String, Value>| {
                    object.get(name).cloned().unwrap_or(json!("nothing"))
                };
                first_difference(&format!("{place}.{name}"), &of(left), &of(right))
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            pairs.into_iter().find_map(|(index, (left, right))| {
                first_difference(&format!("{place}[{index}]"), left, right)
            })
        }
        _ if theirs == ours => None,
        _ => Some((place.to_owned(), theirs.clone(), ours.clone())),
    }
}
