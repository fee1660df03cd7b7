//! The filters of ListTransactions.
//!
//! Invariant: a filter is made once per request and asked per transaction; a pattern that does not
//! compile never gets that far.

use std::collections::BTreeSet;

use protocol::{ErrorCode, ProducerId, Timestamp, re2};
use regex::Regex;

use super::state::TransactionState;

/// Which transactions ListTransactions shows: those that pass all of its filters.
#[derive(Clone, Debug)]
pub struct ListFilter {
    /// None where the request named no state at all.
    states: Option<BTreeSet<TransactionState>>,
    unknown_states: Vec<String>,
    producer_ids: BTreeSet<ProducerId>,
    min_duration_ms: Option<i64>,
    pattern: Option<Regex>,
}

impl ListFilter {
    /// `producer_ids` and `states` do not filter where they are empty, nor does a negative
    /// `min_duration_ms` or an empty `pattern`.
    ///
    /// # Errors
    /// `INVALID_REGULAR_EXPRESSION` for a pattern that does not compile.
    pub fn new(
        states: &[&str],
        producer_ids: impl IntoIterator<Item = ProducerId>,
        min_duration_ms: i64,
        pattern: Option<&str>,
    ) -> Result<Self, ErrorCode> {
        let mut unknown: Vec<String> = Vec::new();
        let mut known = BTreeSet::new();
        for name in states {
            match TransactionState::from_name(name) {
                Some(state) => {
                    known.insert(state);
                }
                None if unknown.iter().any(|before| before == name) => {}
                None => unknown.push((*name).to_owned()),
            }
        }
        let pattern = pattern.filter(|pattern| !pattern.is_empty());
        Ok(ListFilter {
            states: (!states.is_empty()).then_some(known),
            unknown_states: unknown,
            producer_ids: producer_ids.into_iter().collect(),
            min_duration_ms: (min_duration_ms >= 0).then_some(min_duration_ms),
            pattern: pattern
                .map(re2::whole)
                .transpose()
                .map_err(|_| ErrorCode::InvalidRegularExpression)?,
        })
    }

    /// The names of states that are none, for the answer.
    pub fn unknown_states(&self) -> &[String] {
        &self.unknown_states
    }

    pub(crate) fn passes(
        &self,
        now: Timestamp,
        transactional_id: &str,
        producer_id: ProducerId,
        state: TransactionState,
        start: Option<Timestamp>,
    ) -> bool {
        // A transaction that never began counts as begun at -1, as upstream has it.
        let age = now.0.saturating_sub(start.unwrap_or(Timestamp::NONE).0);
        (self.producer_ids.is_empty() || self.producer_ids.contains(&producer_id))
            && (self.states.as_ref()).is_none_or(|states| states.contains(&state))
            && self.min_duration_ms.is_none_or(|least| age > least)
            && (self.pattern.as_ref()).is_none_or(|pattern| pattern.is_match(transactional_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pattern_is_named() {
        let refused = ListFilter::new(&[], [], -1, Some("[")).err();
        assert_eq!(refused, Some(ErrorCode::InvalidRegularExpression));
        assert!(ListFilter::new(&[], [], -1, Some("")).is_ok());
    }
}
