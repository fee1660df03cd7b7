//! The budgets of one run: limits that upstream, the bare loops or a plain figure set.
//!
//! A verdict is given only where both the value and its limit were measured.

use super::{ABSENT, Both, Column, Spread, heading, number, over, percentile, row, spread};
use crate::batch::Codec;
use crate::measure::{Sample, cases, name_of};

/// Budgets that count in every case.
const PER_CASE: usize = 4;

/// One line of the budgets: `value <= limit` is met.
struct Budget {
    name: String,
    figure: String,
    value: Option<f64>,
    limit: Option<f64>,
    /// More is better: met where `value >= limit`.
    at_least: bool,
    unit: &'static str,
}

impl Budget {
    fn at_most(
        name: &str,
        figure: &str,
        value: Option<Spread>,
        limit: Option<f64>,
        unit: &'static str,
    ) -> Self {
        Budget {
            name: name.to_owned(),
            figure: figure.to_owned(),
            value: value.map(|spread| spread.median),
            limit,
            at_least: false,
            unit,
        }
    }

    fn is_met(&self) -> Option<bool> {
        let (value, limit) = (self.value?, self.limit?);
        Some(if self.at_least {
            value >= limit
        } else {
            value <= limit
        })
    }

    fn cells(&self) -> [String; 5] {
        let show = |value: Option<f64>| {
            value.map_or(ABSENT.to_owned(), |value| {
                format!("{} {}", number(value), self.unit)
            })
        };
        let verdict = match self.is_met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => ABSENT,
        };
        [
            self.name.clone(),
            self.figure.clone(),
            show(self.limit),
            show(self.value),
            verdict.to_owned(),
        ]
    }
}

/// Every budget: of those that count in several cases, in how many it is met.
pub(super) fn table(out: &mut String, both: &Both<'_>) {
    let columns = ["budget", "figure", "limit in this run", "Klamm", ""];
    heading(out, "Budgets", &columns);
    let transactions = budgets_of_transactions(both);
    let rebalances = budgets_of_rebalances(both);
    let of_work = transactions.into_iter().chain(rebalances);
    for budget in budgets_of_one(both).into_iter().chain(of_work) {
        row(out, budget.cells());
    }
    let all = of_cases(both);
    for kind in 0..PER_CASE {
        let of_kind = all
            .iter()
            .filter_map(|(name, budgets)| Some((name.as_str(), budgets.get(kind)?)));
        let of_kind: Vec<_> = of_kind
            .filter(|(_, budget)| budget.is_met().is_some())
            .collect();
        summary(out, &of_kind);
    }
}

/// The budgets that count in several cases, each with its limit there.
pub(super) fn case_by_case(out: &mut String, both: &Both<'_>) {
    heading(
        out,
        "Budgets, case by case",
        &["case", "budget", "limit", "Klamm", ""],
    );
    for (name, budgets) in &of_cases(both) {
        for budget in budgets {
            let [kind, _, limit, value, verdict] = budget.cells();
            row(out, [name.clone(), kind, limit, value, verdict]);
        }
    }
}

fn of_cases(both: &Both<'_>) -> Vec<(String, Vec<Budget>)> {
    cases()
        .iter()
        .enumerate()
        .map(|(index, case)| (name_of(case), budgets_of_case(both, index, case.codec)))
        .collect()
}

/// One line for a budget that counts in several cases.
fn summary(out: &mut String, budgets: &[(&str, &Budget)]) {
    let Some((_, first)) = budgets.first() else {
        return;
    };
    let missed: Vec<&str> = budgets
        .iter()
        .filter(|(_, budget)| budget.is_met() == Some(false))
        .map(|(name, _)| *name)
        .collect();
    let verdict = if missed.is_empty() {
        "met".to_owned()
    } else {
        format!("**missed** with {}", missed.join("; "))
    };
    let met = format!(
        "met in {} of {} cases",
        budgets.len() - missed.len(),
        budgets.len()
    );
    row(
        out,
        [
            first.name.clone(),
            first.figure.clone(),
            "below".to_owned(),
            met,
            verdict,
        ],
    );
}

fn budgets_of_one(both: &Both<'_>) -> Vec<Budget> {
    let klamm = |column: Column<'_>| both.pair(column).0;
    let p50 = both.pair(&|all| percentile(all, |one| one.p50));
    let p99 = both.pair(&|all| percentile(all, |one| one.p99));
    let share = |spread: Option<Spread>, part: f64| spread.map(|spread| spread.median / part);
    vec![
        Budget::at_most(
            "start to first answer",
            "20 ms",
            klamm(&|all| spread(all.first_answer_ms.clone())),
            Some(20.0),
            "ms",
        ),
        Budget::at_most(
            "start to first acknowledged record",
            "50 ms",
            klamm(&|all| spread(all.first_ack_ms.clone())),
            Some(50.0),
            "ms",
        ),
        Budget::at_most(
            "idle memory",
            "20 MB",
            klamm(&|all| spread(all.rss_idle.clone())),
            Some(20.0),
            "MB",
        ),
        Budget::at_most(
            "memory after a million records produced",
            "40 MB",
            klamm(&|all| spread(all.rss_produced.clone())),
            Some(40.0),
            "MB",
        ),
        Budget::at_most(
            "memory after they were fetched too",
            "40 MB",
            klamm(&|all| spread(all.rss_fetched.clone())),
            Some(40.0),
            "MB",
        ),
        Budget::at_most(
            "one record at a time, p50",
            "a tenth of upstream's",
            p50.0,
            share(p50.1, 10.0),
            "ms",
        ),
        Budget::at_most(
            "one record at a time, p99",
            "a twentieth of upstream's",
            p99.0,
            share(p99.1, 20.0),
            "ms",
        ),
        Budget::at_most(
            "restart after kill -9, 100 partitions of 10 MB",
            "1 s",
            klamm(&|all| spread(all.restart_first_ms.clone())),
            Some(1000.0),
            "ms",
        ),
    ]
}

fn budgets_of_transactions(both: &Both<'_>) -> [Budget; 2] {
    let committed = both.pair(&|all| over(&all.transactions, Sample::per_second));
    let each = both.pair(&|all| over(&all.transactions, Sample::cpu_ms_each));
    [
        Budget {
            at_least: true,
            ..Budget::at_most(
                "transactions committed per second",
                "upstream's",
                committed.0,
                committed.1.map(|upstream| upstream.median),
                "/s",
            )
        },
        Budget::at_most(
            "CPU per transaction",
            "half of upstream's",
            each.0,
            each.1.map(|upstream| upstream.median / 2.0),
            "ms",
        ),
    ]
}

fn budgets_of_rebalances(both: &Both<'_>) -> [Budget; 2] {
    let rate = both.pair(&|all| over(&all.rebalances, Sample::per_second));
    let each = both.pair(&|all| over(&all.rebalances, Sample::cpu_ms_each));
    [
        Budget {
            at_least: true,
            ..Budget::at_most(
                "rebalances of 100 members per second",
                "upstream's",
                rate.0,
                rate.1.map(|upstream| upstream.median),
                "/s",
            )
        },
        Budget::at_most(
            "CPU per rebalance",
            "half of upstream's",
            each.0,
            each.1.map(|upstream| upstream.median / 2.0),
            "ms",
        ),
    ]
}

fn budgets_of_case(both: &Both<'_>, index: usize, codec: Codec) -> Vec<Budget> {
    let produce = both.case(index, &|case| over(&case.produce, Sample::cpu_per_gb));
    let fetch = both.case(index, &|case| over(&case.fetch, Sample::cpu_per_gb));
    let speed = both.case(index, &|case| over(&case.produce, Sample::mb_per_second));
    let bare = both.bare(index, Sample::cpu_per_gb);
    let produce_limit = match (produce.1, bare) {
        (Some(upstream), Some(bare)) => Some((upstream.median / 10.0).max(bare.median * 2.0)),
        (None, _) | (_, None) => None,
    };
    let mut all = vec![
        Budget::at_most(
            "CPU per GB produced",
            "a tenth of upstream's, or twice the bare loop",
            produce.0,
            produce_limit,
            "s",
        ),
        Budget::at_most(
            "CPU per GB fetched",
            "a quarter of upstream's",
            fetch.0,
            fetch.1.map(|spread| spread.median / 4.0),
            "s",
        ),
        Budget {
            at_least: true,
            ..Budget::at_most(
                "produced per second",
                "twice upstream's",
                speed.0,
                speed.1.map(|spread| spread.median * 2.0),
                "MB/s",
            )
        },
    ];
    if codec == Codec::None {
        let read = both
            .case(index, &|case| over(&case.fetch, Sample::wire_mb_per_second))
            .0;
        let limit = both
            .sendfile(Sample::wire_mb_per_second)
            .map(|spread| spread.median * 0.8);
        all.push(Budget {
            at_least: true,
            ..Budget::at_most(
                "fetch of a full log",
                "80 % of a bare sendfile",
                read,
                limit,
                "MB/s",
            )
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_met_on_its_own_side_of_the_limit() {
        let value = spread([5.0]);
        let most = |limit| Budget::at_most("", "", value, Some(limit), "s").cells()[4].clone();
        assert_eq!(
            (most(6.0).as_str(), most(4.0).as_str()),
            ("met", "**missed**")
        );
        let least = |limit| {
            let budget = Budget::at_most("", "", value, Some(limit), "s");
            Budget {
                at_least: true,
                ..budget
            }
            .cells()[4]
                .clone()
        };
        assert_eq!(
            (least(6.0).as_str(), least(4.0).as_str()),
            ("**missed**", "met")
        );
    }
}
