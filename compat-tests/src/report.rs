//! What a check found: counts per API and version, and every open difference.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::compare::{Difference, Listed, Standing, compare};
use crate::recording::{Recording, error_codes};
use crate::run::{Answers, CaseKey};

#[derive(Debug, Default)]
struct Counts {
    same: usize,
    different: usize,
    listed: usize,
    failing: usize,
    wording: usize,
}

/// One case that is not the same.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub api: String,
    pub case: String,
    /// Why there is no answer to compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    pub differences: Vec<Difference>,
}

impl Finding {
    fn is_open(&self) -> bool {
        let mut differences = self.differences.iter();
        self.failure.is_some() || differences.any(|found| found.standing == Standing::Open)
    }
}

#[derive(Debug, Default)]
pub struct Report {
    counts: BTreeMap<(String, i16), Counts>,
    pub findings: Vec<Finding>,
    /// How many cases each row of the list covers.
    rows: BTreeMap<usize, usize>,
}

impl Report {
    pub fn new(answers: &Answers, recording: &Recording, listed: &Listed) -> Self {
        let mut report = Self::default();
        for (key, answer) in answers {
            report.add(key, answer, recording.get(key), listed);
        }
        report
    }

    fn add(
        &mut self,
        key: &CaseKey,
        answer: &Result<Value, String>,
        recorded: Option<&Value>,
        listed: &Listed,
    ) {
        let counts = self
            .counts
            .entry((key.api.clone(), key.version))
            .or_default();
        let finding = |failure, differences| Finding {
            api: key.api.clone(),
            case: key.to_string(),
            failure,
            differences,
        };
        let (ours, upstream) = match (answer, recorded) {
            (Ok(ours), Some(upstream)) => (ours, upstream),
            (Err(error), _) => {
                counts.different += 1;
                self.findings.push(finding(Some(error.clone()), Vec::new()));
                return;
            }
            (Ok(_), None) => {
                counts.different += 1;
                self.findings
                    .push(finding(Some("it is not recorded".to_owned()), Vec::new()));
                return;
            }
        };
        let case = format!("{} {key}", key.api);
        let differences = compare(&case, upstream, ours, listed);
        let has = |standing| differences.iter().any(|found| found.standing == standing);
        if has(Standing::Open) {
            counts.different += 1;
        } else if has(Standing::Listed) && is_failing(upstream) {
            counts.failing += 1;
        } else if has(Standing::Listed) {
            counts.listed += 1;
        } else {
            counts.same += 1;
        }
        counts.wording += usize::from(has(Standing::Wording));
        let rows: BTreeSet<usize> = differences.iter().filter_map(|found| found.row).collect();
        for row in rows {
            *self.rows.entry(row).or_default() += 1;
        }
        if !differences.is_empty() {
            self.findings.push(finding(None, differences));
        }
    }

    pub fn cases(&self) -> usize {
        self.counts
            .values()
            .map(|counts| counts.same + counts.different + counts.listed + counts.failing)
            .sum()
    }

    pub fn different(&self) -> usize {
        self.counts.values().map(|counts| counts.different).sum()
    }

    /// Cases with a difference that is on the list, and with none that is not; upstream answers them.
    pub fn listed(&self) -> usize {
        self.counts.values().map(|counts| counts.listed).sum()
    }

    /// Cases on the list in which upstream itself fails: it has no answer to be the same as.
    pub fn failing(&self) -> usize {
        self.counts.values().map(|counts| counts.failing).sum()
    }

    /// Rows of the list that no case showed: they are gone and should leave the list.
    pub fn unseen(&self, listed: &Listed) -> Vec<String> {
        let rows = listed.rows().enumerate();
        let unseen = rows.filter(|(row, _)| !self.rows.contains_key(row));
        unseen
            .map(|(_, (case, place, _))| format!("{case} {place}"))
            .collect()
    }

    /// The run in figures, from which the compatibility page is made.
    pub fn results(&self, listed: &Listed, seconds: f64) -> Value {
        let counts = self.counts.iter().map(|((api, version), counts)| {
            json!({
                "api": api, "version": version, "same": counts.same,
                "listed": counts.listed, "failing": counts.failing, "different": counts.different,
            })
        });
        let rows = listed.rows().enumerate().map(|(row, (case, place, why))| {
            let cases = self.rows.get(&row).copied().unwrap_or_default();
            json!({ "case": case, "place": place, "why": why, "cases": cases })
        });
        json!({
            "cases": self.cases(), "listed": self.listed(), "failing": self.failing(), "different": self.different(),
            "seconds": seconds.round(), "counts": counts.collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }

    pub fn print_counts(&self) {
        println!(
            "{:<28}{:>8}{:>8}{:>11}{:>8}{:>9}{:>9}",
            "API", "version", "same", "different", "listed", "failing", "wording"
        );
        let mut total = Counts::default();
        for ((api, version), counts) in &self.counts {
            let Counts {
                same,
                different,
                listed,
                failing,
                wording,
            } = counts;
            println!(
                "{api:<28}{version:>8}{same:>8}{different:>11}{listed:>8}{failing:>9}{wording:>9}"
            );
            total.same += same;
            total.different += different;
            total.listed += listed;
            total.failing += failing;
            total.wording += wording;
        }
        let Counts {
            same,
            different,
            listed,
            failing,
            wording,
        } = total;
        println!(
            "{:<28}{:>8}{same:>8}{different:>11}{listed:>8}{failing:>9}{wording:>9}",
            "all", ""
        );
    }

    /// The cases that differ otherwise than the list says: API and case.
    pub fn open_cases(&self) -> impl Iterator<Item = (String, String)> {
        let open = self.findings.iter().filter(|finding| finding.is_open());
        open.map(|finding| (finding.api.clone(), finding.case.clone()))
    }

    /// The first open differences of each case, at most `limit` cases.
    pub fn print_findings(&self, limit: usize) {
        let open = self.findings.iter().filter(|finding| finding.is_open());
        for finding in open.take(limit) {
            println!("FAILED {} {}", finding.api, finding.case);
            if let Some(failure) = &finding.failure {
                println!("    {}", shorten(failure));
            }
            let differences = finding.differences.iter();
            for found in differences
                .filter(|found| found.standing == Standing::Open)
                .take(8)
            {
                let (upstream, ours) = (found.upstream.to_string(), found.ours.to_string());
                println!(
                    "    {}: upstream {}, here {}",
                    found.place,
                    shorten(&upstream),
                    shorten(&ours)
                );
            }
        }
    }
}

/// Whether upstream fails in this case: UNKNOWN_SERVER_ERROR, or no answer at all.
fn is_failing(upstream: &Value) -> bool {
    let silent = upstream.as_array().into_iter().flatten();
    error_codes(upstream).contains(&-1) || silent.into_iter().any(|seen| seen == "silence")
}

fn shorten(text: &str) -> String {
    const LENGTH_MAX: usize = 300;
    if text.chars().count() <= LENGTH_MAX {
        return text.to_owned();
    }
    text.chars().take(LENGTH_MAX).chain("...".chars()).collect()
}
