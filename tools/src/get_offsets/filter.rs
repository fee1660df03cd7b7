//! Which partitions are asked for.
//!
//! Invariant: a topic's name must match its expression as a whole, in which a comma is an "or".

use regex::Regex;

use super::terse;
use crate::failure::Failure;
use crate::stop::Stop;

/// Takes a partition where one of its rules does.
#[derive(Debug)]
pub(super) struct Filter(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    topic: Regex,
    partitions: Partitions,
}

#[derive(Debug, PartialEq, Eq)]
enum Partitions {
    All,
    Listed(Vec<i32>),
    Between { from: i32, to: i32 },
}

impl Filter {
    /// One expression for topics, and a list of partitions that is empty for all.
    pub(super) fn of_topics_and_partitions(topic: &str, partitions: &str) -> Result<Self, Stop> {
        let listed: Result<Vec<i32>, _> = partitions
            .split(',')
            // As Java's split, which drops what is empty at the end.
            .filter(|id| !id.is_empty())
            .map(str::parse)
            .collect();
        let listed = listed.map_err(|_| {
            terse(format!(
                "--partitions expects a comma separated list of numeric partition ids, but received: \
                 {partitions}"
            ))
        })?;
        let partitions = if listed.is_empty() {
            Partitions::All
        } else {
            Partitions::Listed(listed)
        };
        let topic = topic_expression(topic)?;
        Ok(Filter(vec![Rule { topic, partitions }]))
    }

    /// A list of rules like `topic:0-3`.
    pub(super) fn of_patterns(patterns: &str) -> Result<Self, Failure> {
        patterns
            .split(',')
            .map(rule)
            .collect::<Result<_, _>>()
            .map(Filter)
    }

    pub(super) fn takes_topic(&self, topic: &str) -> bool {
        self.0.iter().any(|rule| rule.topic.is_match(topic))
    }

    pub(super) fn takes(&self, topic: &str, partition: i32) -> bool {
        self.0
            .iter()
            .any(|rule| rule.topic.is_match(topic) && rule.partitions.take(partition))
    }
}

impl Partitions {
    fn take(&self, partition: i32) -> bool {
        match self {
            Partitions::All => true,
            Partitions::Listed(ids) => ids.contains(&partition),
            Partitions::Between { from, to } => (*from..*to).contains(&partition),
        }
    }
}

/// An expression for topics as upstream reads it: spaces and quotes around it are dropped.
fn topic_expression(text: &str) -> Result<Regex, Failure> {
    let quotes = ['"', '\''];
    let text = text.trim().replace(',', "|").replace(' ', "");
    let text = text.trim_start_matches(quotes).trim_end_matches(quotes);
    Regex::new(&format!("^(?:{text})$")).map_err(|_| {
        Failure::new(
            "java.lang.RuntimeException",
            format!("{text} is an invalid regex."),
        )
    })
}

fn rule(text: &str) -> Result<Rule, Failure> {
    let invalid = || {
        let message = format!("Invalid rule specification: {text}");
        let terse = Failure::new("org.apache.kafka.tools.TerseException", message);
        let named = terse.named();
        terse.within("java.lang.RuntimeException", named)
    };
    let (topic, partitions) = match text.split_once(':') {
        None => (text, None),
        Some((topic, partitions)) => (topic, Some(partitions)),
    };
    let partitions = partitions.map_or(Some(Partitions::All), partitions_of);
    Ok(Rule {
        partitions: partitions.ok_or_else(invalid)?,
        topic: topic_expression(if topic.is_empty() { ".*" } else { topic })?,
    })
}

/// What stands behind the colon: nothing, a number, `from-to`, `from-`, `-to`.
fn partitions_of(text: &str) -> Option<Partitions> {
    let number = |text: &str, default: i32| {
        if text.is_empty() {
            return Some(default);
        }
        // A plus sign is none of the digits.
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse().ok())?
    };
    match text.split_once('-') {
        Some((from, to)) => Some(Partitions::Between {
            from: number(from, 0)?,
            to: number(to, i32::MAX)?,
        }),
        None if text.is_empty() => Some(Partitions::All),
        None => Some(Partitions::Listed(vec![number(text, 0)?])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(filter: &Filter) -> Vec<String> {
        let topics = ["a", "ab", "b.c"];
        let all = topics
            .iter()
            .flat_map(|topic| (0..4).map(move |partition| (*topic, partition)));
        all.filter(|(topic, partition)| filter.takes(topic, *partition))
            .map(|(topic, partition)| format!("{topic}:{partition}"))
            .collect()
    }

    #[test]
    fn rules_name_topics_and_ranges_of_partitions() {
        let patterns = |text| taken(&Filter::of_patterns(text).unwrap());
        assert_eq!(patterns("a:1,b.c:2-"), ["a:1", "b.c:2", "b.c:3"]);
        assert_eq!(patterns("a.*:-1"), ["a:0", "ab:0"]);
        assert_eq!(patterns(":3"), ["a:3", "ab:3", "b.c:3"]);
        assert_eq!(patterns("ab:1-3"), ["ab:1", "ab:2"]);
        assert_eq!(patterns("a").len(), 4);
        for text in ["a:x", "a:1:2", "a:1-x", "a:+1"] {
            let error = Filter::of_patterns(text).unwrap_err();
            assert!(
                error.to_string().contains("Invalid rule specification"),
                "{text}"
            );
        }
    }

    #[test]
    fn topics_and_partitions_are_lists_too() {
        let filter = |topic, partitions| {
            taken(&Filter::of_topics_and_partitions(topic, partitions).unwrap())
        };
        assert_eq!(filter("a,b.c", "0,3"), ["a:0", "a:3", "b.c:0", "b.c:3"]);
        assert_eq!(filter(" 'a b' ", "1"), ["ab:1"]);
        assert_eq!(filter("a", ",").len(), 4);
        assert!(Filter::of_topics_and_partitions("(", "").is_err());
        assert!(Filter::of_topics_and_partitions("a", "x").is_err());
    }
}
