//! The tables: medians and ranges of all rounds, ratios, and the budgets beside them.

mod budgets;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::batch::Codec;
use crate::load::Percentiles;
use crate::measure::{CaseSamples, Measured, Run, Sample, cases, name_of};
use crate::server::Kind;

const BEGIN: &str = "<!-- measured by scripts/bench: begin -->";
const END: &str = "<!-- measured by scripts/bench: end -->";
const ABSENT: &str = "–";

/// What one column of one row says.
#[derive(Clone, Copy, Debug)]
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (*values.first()?, *values.last()?);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(Spread {
        median: (lower + upper) / 2.0,
        low,
        high,
    })
}

/// A median, and how many of its digits mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn cell(spread: Option<Spread>) -> String {
    match spread {
        None => ABSENT.to_owned(),
        Some(one) if one.low == one.high => number(one.median),
        Some(many) => {
            format!(
                "{} ({}–{})",
                number(many.median),
                number(many.low),
                number(many.high)
            )
        }
    }
}

fn ratio(upper: Option<Spread>, lower: Option<Spread>) -> Option<f64> {
    let (upper, lower) = (upper?.median, lower?.median);
    (lower > 0.0).then(|| upper / lower)
}

fn ratio_cell(ratio: Option<f64>) -> String {
    ratio.map_or(ABSENT.to_owned(), |ratio| format!("{}×", number(ratio)))
}

/// Reads one number per round out of what was measured.
type Column<'a> = &'a dyn Fn(&Measured) -> Option<Spread>;

/// Reads one percentile of a round.
type PerRound = fn(&Percentiles) -> f64;

/// Reads one number of a stretch of work.
type PerSample = fn(&Sample) -> f64;

struct Both<'a> {
    klamm: Option<&'a Measured>,
    upstream: Option<&'a Measured>,
}

impl Both<'_> {
    fn pair(&self, column: Column<'_>) -> (Option<Spread>, Option<Spread>) {
        (self.klamm.and_then(column), self.upstream.and_then(column))
    }

    fn case(
        &self,
        index: usize,
        column: &dyn Fn(&CaseSamples) -> Option<Spread>,
    ) -> (Option<Spread>, Option<Spread>) {
        self.pair(&|measured| measured.cases.get(index).and_then(column))
    }

    fn bare(&self, index: usize, value: fn(&Sample) -> f64) -> Option<Spread> {
        self.case(index, &|case| over(&case.bare, value)).0
    }

    fn sendfile(&self, value: fn(&Sample) -> f64) -> Option<Spread> {
        self.pair(&|measured| over(&measured.sendfile, value)).0
    }
}

fn over(samples: &[Sample], value: fn(&Sample) -> f64) -> Option<Spread> {
    spread(samples.iter().map(value))
}

/// Everything between the marks of `docs/performance.md`.
pub(crate) fn markdown(run: &Run, measured: &[Measured], about: &str) -> String {
    let find = |kind| {
        run.kinds
            .iter()
            .position(|other| *other == kind)
            .and_then(|index| measured.get(index))
    };
    let both = Both {
        klamm: find(Kind::Klamm),
        upstream: find(Kind::Upstream),
    };
    let mut out = format!("{}\n\n", about.trim());
    budgets::table(&mut out, &both);
    singles(&mut out, &both);
    per_case(&mut out, &both);
    latency(&mut out, &both);
    transactions(&mut out, &both);
    rebalances(&mut out, &both);
    generator(&mut out, &both);
    budgets::case_by_case(&mut out, &both);
    out
}

fn heading(out: &mut String, title: &str, columns: &[&str]) {
    if !out.ends_with("\n\n") {
        out.push('\n');
    }
    let _ = writeln!(out, "### {title}\n");
    row(out, columns.iter().map(|name| (*name).to_owned()));
    row(out, columns.iter().map(|_| "---".to_owned()));
}

fn row(out: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn percentile(all: &Measured, value: PerRound) -> Option<Spread> {
    spread(all.latency.iter().map(value))
}

fn singles(out: &mut String, both: &Both<'_>) {
    heading(
        out,
        "Start and memory",
        &["", "Klamm", "upstream", "upstream / Klamm"],
    );
    let rows: [(&str, Column<'_>); 8] = [
        ("start to first answer, ms", &|all| {
            spread(all.first_answer_ms.clone())
        }),
        ("start to first acknowledged record, ms", &|all| {
            spread(all.first_ack_ms.clone())
        }),
        (
            "restart after kill -9 to first acknowledged record, ms",
            &|all| spread(all.restart_first_ms.clone()),
        ),
        (
            "the same, until all 100 partitions acknowledged one, ms",
            &|all| spread(all.restart_all_ms.clone()),
        ),
        ("idle RSS, MB", &|all| spread(all.rss_idle.clone())),
        ("RSS after a million records produced, MB", &|all| {
            spread(all.rss_produced.clone())
        }),
        ("RSS after they were fetched too, MB", &|all| {
            spread(all.rss_fetched.clone())
        }),
        ("RSS at the end of the whole load, MB", &|all| {
            spread(all.rss_end.clone())
        }),
    ];
    for (name, column) in rows {
        let (klamm, upstream) = both.pair(column);
        row(
            out,
            [
                name.to_owned(),
                cell(klamm),
                cell(upstream),
                ratio_cell(ratio(upstream, klamm)),
            ],
        );
    }
    out.push('\n');
}

fn per_case(out: &mut String, both: &Both<'_>) {
    let columns = [
        "",
        "Klamm",
        "upstream",
        "upstream / Klamm",
        "bare loop",
        "Klamm / bare",
    ];
    heading(
        out,
        "Broker CPU seconds per GB produced (acks=all)",
        &columns,
    );
    for (index, case) in cases().iter().enumerate() {
        let pair = both.case(index, &|case| over(&case.produce, Sample::cpu_per_gb));
        case_row(
            out,
            &name_of(case),
            pair,
            true,
            both.bare(index, Sample::cpu_per_gb),
        );
    }
    heading(
        out,
        "Throughput of produce, MB/s",
        &columns_turned(&columns),
    );
    for (index, case) in cases().iter().enumerate() {
        let pair = both.case(index, &|case| over(&case.produce, Sample::mb_per_second));
        case_row(
            out,
            &name_of(case),
            pair,
            false,
            both.bare(index, Sample::mb_per_second),
        );
    }
    heading(out, "Broker CPU seconds per GB fetched", &columns);
    fetch_rows(out, both, Sample::cpu_per_gb, true);
    heading(
        out,
        "Throughput of fetch, MB/s on the wire",
        &columns_turned(&columns),
    );
    fetch_rows(out, both, Sample::wire_mb_per_second, false);
    out.push('\n');
}

fn columns_turned<'a>(columns: &[&'a str; 6]) -> [&'a str; 6] {
    let mut turned = *columns;
    turned[3] = "Klamm / upstream";
    turned
}

fn fetch_rows(out: &mut String, both: &Both<'_>, value: fn(&Sample) -> f64, less_is_better: bool) {
    for (index, case) in cases().iter().enumerate() {
        // A byte of the bare file is a byte of the log: no comparison for packed records.
        let bare = both.sendfile(value).filter(|_| case.codec == Codec::None);
        let pair = both.case(index, &|case| over(&case.fetch, value));
        case_row(out, &name_of(case), pair, less_is_better, bare);
        let pair = both.case(index, &|case| over(&case.fetch_large, value));
        if pair.0.is_some() || pair.1.is_some() {
            let name = format!("{}, 16 MiB per fetch", name_of(case));
            case_row(out, &name, pair, less_is_better, bare);
        }
    }
}

fn case_row(
    out: &mut String,
    name: &str,
    (klamm, upstream): (Option<Spread>, Option<Spread>),
    less_is_better: bool,
    bare: Option<Spread>,
) {
    let versus = if less_is_better {
        ratio(upstream, klamm)
    } else {
        ratio(klamm, upstream)
    };
    row(
        out,
        [
            name.to_owned(),
            cell(klamm),
            cell(upstream),
            ratio_cell(versus),
            cell(bare),
            ratio_cell(ratio(klamm, bare)),
        ],
    );
}

fn latency(out: &mut String, both: &Both<'_>) {
    heading(
        out,
        "One record at a time (100 B, acks=all), ms",
        &["", "Klamm", "upstream", "upstream / Klamm", "bare loop"],
    );
    let rows: [(&str, PerRound); 3] = [
        ("p50", |one| one.p50),
        ("p99", |one| one.p99),
        ("p99.9", |one| one.p999),
    ];
    for (name, value) in rows {
        let (klamm, upstream) = both.pair(&|all| percentile(all, value));
        let bare = both
            .pair(&|all| spread(all.bare_latency.iter().map(value)))
            .0;
        row(
            out,
            [
                name.to_owned(),
                cell(klamm),
                cell(upstream),
                ratio_cell(ratio(upstream, klamm)),
                cell(bare),
            ],
        );
    }
    out.push('\n');
}

fn transactions(out: &mut String, both: &Both<'_>) {
    let title = format!(
        "Transactions of 100 records of 100 B, {} producers",
        crate::transactions::PRODUCERS
    );
    heading(out, &title, &["", "Klamm", "upstream", "upstream / Klamm"]);
    let rows: [(&str, PerSample); 2] = [
        ("committed per second", Sample::per_second),
        ("broker CPU each, ms", Sample::cpu_ms_each),
    ];
    for (name, value) in rows {
        let (klamm, upstream) = both.pair(&|all| over(&all.transactions, value));
        let versus = ratio_cell(ratio(upstream, klamm));
        row(out, [name.to_owned(), cell(klamm), cell(upstream), versus]);
    }
    out.push('\n');
}

fn rebalances(out: &mut String, both: &Both<'_>) {
    let title = format!(
        "Rebalances of {} members of KIP-848 on {} partitions",
        crate::rebalances::MEMBERS,
        crate::rebalances::PARTITIONS
    );
    heading(out, &title, &["", "Klamm", "upstream", "upstream / Klamm"]);
    type Of = fn(&Measured) -> &[Sample];
    let forms: Of = |all| &all.group_forms;
    let changes: Of = |all| &all.rebalances;
    let rows: [(&str, Of, PerSample); 4] = [
        ("all join at once, until stable, ms", forms, Sample::ms_each),
        ("broker CPU of that, ms", forms, Sample::cpu_ms_each),
        (
            "one leaves or joins, until stable, ms",
            changes,
            Sample::ms_each,
        ),
        ("broker CPU of that, ms", changes, Sample::cpu_ms_each),
    ];
    for (name, of, value) in rows {
        let (klamm, upstream) = both.pair(&|all| over(of(all), value));
        let versus = ratio_cell(ratio(upstream, klamm));
        row(out, [name.to_owned(), cell(klamm), cell(upstream), versus]);
    }
    out.push('\n');
}

fn generator(out: &mut String, both: &Both<'_>) {
    heading(
        out,
        "What the generator itself costs, CPU seconds per GB",
        &[
            "",
            "produce to Klamm",
            "produce to upstream",
            "fetch from Klamm",
            "fetch from upstream",
        ],
    );
    for (index, case) in cases().iter().enumerate() {
        let produce = both.case(index, &|case| {
            over(&case.produce, Sample::generator_cpu_per_gb)
        });
        let fetch = both.case(index, &|case| {
            over(&case.fetch, Sample::generator_cpu_per_gb)
        });
        row(
            out,
            [
                name_of(case),
                cell(produce.0),
                cell(produce.1),
                cell(fetch.0),
                cell(fetch.1),
            ],
        );
    }
}

/// Puts `text` between the marks of `document`.
pub(crate) fn replace_in(document: &Path, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(document)?;
    let (head, rest) = old
        .split_once(BEGIN)
        .context("the document has no begin mark")?;
    let (_, tail) = rest
        .split_once(END)
        .context("the document has no end mark")?;
    std::fs::write(
        document,
        format!("{head}{BEGIN}\n\n{}\n\n{END}{tail}", text.trim()),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::Moved;

    #[test]
    fn a_spread_has_the_middle_value_and_the_ends() {
        let odd = spread([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.low, odd.median, odd.high), (1.0, 2.0, 3.0));
        let even = spread([4.0, 1.0]).unwrap();
        assert_eq!(even.median, 2.5);
        assert!(spread([]).is_none());
    }

    #[test]
    fn rebalances_stand_in_the_tables_with_their_budgets() {
        let measured = |seconds| Measured {
            rebalances: vec![Sample {
                moved: Moved {
                    records: 10,
                    time: Duration::from_secs(seconds),
                    ..Moved::default()
                },
                server_cpu: seconds as f64,
                generator_cpu: 0.0,
            }],
            ..Measured::default()
        };
        let (klamm, upstream) = (measured(1), measured(4));
        let both = Both {
            klamm: Some(&klamm),
            upstream: Some(&upstream),
        };
        let mut out = String::new();
        rebalances(&mut out, &both);
        budgets::table(&mut out, &both);
        for line in [
            "| one leaves or joins, until stable, ms | 100 | 400 | 4.00× |",
            "| rebalances of 100 members per second | upstream's | 2.50 /s | 10.0 /s | met |",
            "| CPU per rebalance | half of upstream's | 200 ms | 100 ms | met |",
        ] {
            assert!(out.contains(line), "{out}");
        }
    }

    #[test]
    fn only_the_part_between_the_marks_is_replaced() {
        let file = std::env::temp_dir().join(format!("klamm-report-{}", std::process::id()));
        std::fs::write(&file, format!("a\n{BEGIN}\nold\n{END}\nz\n")).unwrap();
        replace_in(&file, "new").unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(text, format!("a\n{BEGIN}\n\nnew\n\n{END}\nz\n"));
    }
}
