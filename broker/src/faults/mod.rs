//! Faults on request: rules that delay requests, answer them with errors, or cut and swallow
//! answers.
//!
//! Invariants: without rules a request costs one atomic load; a rule decides from its own count
//! and its own seeded generator alone, in the order in which requests match it.

mod rule;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use protocol::ErrorCode;

use rule::Rule;
pub(crate) use rule::{Spec, error_name};

/// The most rules there may be.
const RULES_MAX: usize = 1000;

/// The rules of a node, in the order in which they came.
#[derive(Default)]
pub(crate) struct Faults {
    /// How many rules there are, for those who need not look.
    count: AtomicUsize,
    rules: Mutex<Rules>,
}

#[derive(Default)]
struct Rules {
    last_id: u64,
    rules: Vec<Rule>,
}

/// What a rule looks at in a request.
pub(crate) struct Asked<'a> {
    pub(crate) api: i16,
    pub(crate) client_id: &'a str,
    pub(crate) topics: &'a Topics,
}

/// The topics a request is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Topics {
    /// None.
    #[default]
    None,
    /// All there are, unnamed.
    All,
    /// These; without a partition the topic as such.
    Some(Vec<(Arc<str>, Option<i32>)>),
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// It is answered with this error.
    Error(ErrorCode),
    /// The connection is closed, and the request is not looked at.
    Cut,
    /// The request is carried out, and the connection closed in place of an answer.
    CutAfter,
    /// The request is carried out and never answered, nor is any after it on its connection.
    Swallow,
    /// As `Swallow`, but the request is not carried out.
    Drop,
}

/// An error of some partitions of a request only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionFault {
    /// Every topic where none is named.
    pub(crate) topic: Option<Arc<str>>,
    /// Every partition where none is named.
    pub(crate) partition: Option<i32>,
    pub(crate) code: ErrorCode,
}

/// What the rules decided of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) delay: Duration,
    /// Of the request as a whole.
    pub(crate) action: Option<Action>,
    pub(crate) partitions: Vec<PartitionFault>,
}

impl PartitionFault {
    pub(crate) fn is_of(&self, topic: &str, partition: Option<i32>) -> bool {
        let same_topic = self.topic.as_deref().is_none_or(|it| it == topic);
        same_topic && (self.partition.is_none() || self.partition == partition)
    }
}

impl Faults {
    /// Whether there is no rule at all.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Adds rules and gives them back with their ids; all or, where there were too many, none.
    pub(crate) fn add(&self, specs: Vec<Spec>) -> Option<Vec<serde_json::Value>> {
        let mut rules = self.rules.lock();
        if rules.rules.len() + specs.len() > RULES_MAX {
            return None;
        }
        let mut added = Vec::with_capacity(specs.len());
        for spec in specs {
            rules.last_id += 1;
            let rule = Rule::new(rules.last_id, spec);
            added.push(rule.to_json());
            rules.rules.push(rule);
        }
        self.count.store(rules.rules.len(), Ordering::Relaxed);
        Some(added)
    }

    /// The rules as they are now, with their counts.
    pub(crate) fn list(&self) -> Vec<serde_json::Value> {
        self.rules.lock().rules.iter().map(Rule::to_json).collect()
    }

    /// One rule as it is now.
    pub(crate) fn get(&self, id: u64) -> Option<serde_json::Value> {
        let rules = self.rules.lock();
        let rule = rules.rules.iter().find(|rule| rule.id() == id);
        rule.map(Rule::to_json)
    }

    /// Removes the rule `id`, or all; gives back what they were.
    pub(crate) fn remove(&self, id: Option<u64>) -> Vec<serde_json::Value> {
        let mut rules = self.rules.lock();
        let mut removed = Vec::new();
        rules.rules.retain(|rule| {
            let goes = id.is_none_or(|id| rule.id() == id);
            if goes {
                removed.push(rule.to_json());
            }
            !goes
        });
        self.count.store(rules.rules.len(), Ordering::Relaxed);
        removed
    }

    /// How often each rule was hit: its id and the count.
    pub(crate) fn hits(&self) -> Vec<(u64, u64)> {
        let rules = self.rules.lock();
        let hits = rules.rules.iter().map(|rule| (rule.id(), rule.hits()));
        hits.collect()
    }

    /// Asks the rules in their order. Delays add up; the first rule that says something else of
    /// the whole request is the last that is asked.
    pub(crate) fn decide(&self, asked: &Asked<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &mut self.rules.lock().rules {
            if !rule.fires(asked) {
                continue;
            }
            verdict.delay += rule.delay();
            match rule.action() {
                None => {}
                Some(Action::Error(code)) if rule.is_of_partitions(asked.api, code) => {
                    verdict.partitions.push(rule.partition_fault(code));
                }
                Some(action) => {
                    verdict.action = Some(action);
                    return verdict;
                }
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests;
