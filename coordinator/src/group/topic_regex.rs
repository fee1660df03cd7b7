//! Regular expressions that name the topics of a subscription.
//!
//! Invariant: a pattern that is taken costs a bounded time and bounded memory to make, and one step
//! per byte of a topic's name to match, whatever the pattern is: it is made into a table of states
//! at once, and what needs too large a table is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::re2::{self, Texts};
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::{Anchored, Input};

/// Bytes of the automaton that a pattern stands for: enough for one of the greatest length that lists
/// topics.
const NFA_MAX: usize = 1024 * 1024;

/// Bytes of its states while the table is made.
const DETERMINIZE_MAX: usize = 1024 * 1024;

/// Bytes of the table: enough for such a list, too.
const TABLE_MAX: usize = 4 * 1024 * 1024;

/// Why a pattern cannot be subscribed. It is answered with `INVALID_REGULAR_EXPRESSION`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {reason}.")]
pub(crate) struct InvalidRegularExpression {
    pattern: String,
    reason: String,
}

/// A pattern that was found valid. It is for names of topics alone, which are ASCII.
#[derive(Clone, Debug)]
pub(crate) struct TopicRegex(dense::DFA<Vec<u32>>);

impl TopicRegex {
    pub(crate) fn new(pattern: &str) -> Result<Self, InvalidRegularExpression> {
        compile(pattern)
            .map(TopicRegex)
            .map_err(|reason| InvalidRegularExpression {
                pattern: pattern.to_owned(),
                reason,
            })
    }

    /// Whether it matches all of the name.
    pub(crate) fn matches(&self, topic_name: &str) -> bool {
        let input = Input::new(topic_name).anchored(Anchored::Yes);
        matches!(self.0.try_search_fwd(&input), Ok(Some(_)))
    }
}

fn compile(pattern: &str) -> Result<dense::DFA<Vec<u32>>, String> {
    let translated = re2::translate(pattern, Texts::Ascii).map_err(|error| error.to_string())?;
    let table = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .determinize_size_limit(Some(DETERMINIZE_MAX))
        .dfa_size_limit(Some(TABLE_MAX));
    let nfa = thompson::Config::new()
        .nfa_size_limit(Some(NFA_MAX))
        .which_captures(thompson::WhichCaptures::None);
    dense::Builder::new()
        .configure(table)
        .thompson(nfa)
        .build(&translated)
        .map_err(|error| error.to_string())
}

/// The topics that each of the patterns matches. One that is not valid matches none: patterns are
/// checked when they are subscribed, and only a log of another version could hold such.
pub(crate) fn resolve<'a>(
    patterns: impl IntoIterator<Item = &'a Arc<str>>,
    topic_names: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<Arc<str>, BTreeSet<Arc<str>>> {
    let names: Vec<Arc<str>> = topic_names.into_iter().map(Arc::from).collect();
    // One table at a time: they are large.
    let matching = |pattern| match TopicRegex::new(pattern) {
        Ok(regex) => {
            let matching = names.iter().filter(|name| regex.matches(name));
            matching.cloned().collect()
        }
        Err(error) => {
            tracing::error!(%error, "a stored pattern is not taken");
            BTreeSet::new()
        }
    };
    let patterns = patterns.into_iter();
    patterns
        .map(|pattern| (pattern.clone(), matching(pattern)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<Arc<str>> {
        names.into_iter().map(Arc::from).collect()
    }

    #[test]
    fn each_pattern_is_resolved_to_the_topics_that_it_matches_as_a_whole() {
        let patterns: Vec<Arc<str>> = ["foo.*", "foo|bar", "ba", "[", "__.*", "(?i)FOO-1"]
            .map(Arc::from)
            .into();
        let topics = ["bar", "foo", "foo-1", "a-foo", "__consumer_offsets"];
        let resolved = resolve(&patterns, topics);
        let expected = [
            ("foo.*", names(["foo", "foo-1"])),
            ("foo|bar", names(["bar", "foo"])),
            ("ba", names([])),
            ("[", names([])),
            ("__.*", names(["__consumer_offsets"])),
            ("(?i)FOO-1", names(["foo-1"])),
        ];
        let expected = expected.map(|(pattern, names)| (Arc::from(pattern), names));
        assert_eq!(resolved, expected.into());
    }

    #[test]
    fn an_invalid_pattern_is_named_with_what_is_wrong() {
        let error = TopicRegex::new("a[b").unwrap_err();
        let text = "SubscribedTopicRegex `a[b` is not a valid regular expression: \
                    missing closing ].";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_pattern_that_takes_too_many_states_is_refused() {
        let patterns = [
            "(a|b)*a(a|b){30}",
            "(a{0,100}){0,100}b",
            ".*a.{100}.*b.{100}",
            "((.*b)[a-z]{0,30}){0,30}",
        ];
        for pattern in patterns {
            assert!(TopicRegex::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn patterns_as_people_write_them_are_taken() {
        let list: Vec<_> = (0..400)
            .map(|index| format!("some-topic.with.a-long-name-{index}"))
            .collect();
        let list = list.join("|");
        let last = "some-topic.with.a-long-name-399";
        let unlike = |index: u32| {
            let number = u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("{number:016x}-{index}")
        };
        let unlike = (0..700).map(unlike).chain([last.to_owned()]);
        let unlike = unlike.collect::<Vec<_>>().join("|");
        let cases = [
            (list.as_str(), last),
            (unlike.as_str(), last),
            (".*", last),
            (".*topic.*long.*name.*", last),
            (r"(?i)^SOME[-_.]topic\.(with|without)\..{1,30}$", last),
            (r"[\pL\pN._-]{1,60}", last),
            (r"[a-z]+-[a-z]+\.\w+\.[\w-]{2,40}\d{3}", last),
        ];
        for (pattern, name) in cases {
            assert!(TopicRegex::new(pattern).unwrap().matches(name), "{pattern}");
        }
    }
}
