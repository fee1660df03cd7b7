//! Topics in one line: `orders:3,payments:1:cleanup.policy=compact`.
//!
//! Invariant: what `KAFKA_CREATE_TOPICS` of older images took is taken too: a number behind the
//! partitions is the replication factor, a bare word the cleanup policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Place, SeedError, SeedTopic};

const EXPECTED: &str = "expected name[:partitions[:replicas]][:key=value...], and commas between \
                        topics";

/// The topics of `text`, the value of the setting `source`.
pub(super) fn parse(source: &str, text: &str) -> Result<Vec<SeedTopic>, SeedError> {
    let place = Place {
        source: Arc::from(source),
        position: None,
    };
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(|entry| topic(&place, entry))
        .collect()
}

fn topic(place: &Place, entry: &str) -> Result<SeedTopic, SeedError> {
    let wrong = |what: String| place.wrong(format!("{entry:?}: {what}; {EXPECTED}"));
    let mut fields = entry.split(':').map(str::trim);
    let name = fields.next().unwrap_or_default();
    let mut topic = SeedTopic {
        name: name.to_owned(),
        partitions: None,
        replication_factor: None,
        configs: BTreeMap::new(),
        records: Vec::new(),
        place: Place {
            source: Arc::from(format!("{}: {name}", place.source)),
            position: None,
        },
    };
    if name.is_empty() {
        return Err(wrong("a topic needs a name".to_owned()));
    }
    for field in fields {
        if let Some((key, value)) = field.split_once('=') {
            let value = value.trim().to_owned();
            topic.configs.insert(key.trim().to_owned(), value);
        } else if let Ok(number) = field.parse::<i32>() {
            if topic.partitions.is_none() {
                topic.partitions = Some(number);
            } else if topic.replication_factor.is_none() {
                let factor = i16::try_from(number);
                let factor = factor.map_err(|_| wrong(format!("{number} replicas")))?;
                topic.replication_factor = Some(factor);
            } else {
                return Err(wrong(format!("{field} is a third number")));
            }
        } else if matches!(field, "compact" | "delete") {
            let key = "cleanup.policy".to_owned();
            topic.configs.insert(key, field.to_owned());
        } else {
            return Err(wrong(format!("{field:?} is no number and no key=value")));
        }
    }
    Ok(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let topics = parse("klamm.topics", text).unwrap();
        let shown = topics.iter().map(|topic| {
            let (partitions, replicas) = (topic.partitions, topic.replication_factor);
            format!(
                "{} {partitions:?} {replicas:?} {:?}",
                topic.name, topic.configs
            )
        });
        shown.collect()
    }

    #[test]
    fn topics_are_read_with_partitions_and_settings() {
        assert_eq!(
            shown("orders:3, payments:1:cleanup.policy=compact:retention.ms=-1,plain"),
            [
                "orders Some(3) None {}",
                "payments Some(1) None {\"cleanup.policy\": \"compact\", \"retention.ms\": \"-1\"}",
                "plain None None {}",
            ]
        );
        assert_eq!(shown(" ,\n, "), Vec::<String>::new());
    }

    #[test]
    fn what_older_images_took_is_taken() {
        assert_eq!(
            shown("Topic1:1:3,\nTopic2:2:1:compact"),
            [
                "Topic1 Some(1) Some(3) {}",
                "Topic2 Some(2) Some(1) {\"cleanup.policy\": \"compact\"}",
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_shown_with_what_was_expected() {
        for (text, expected) in [
            (
                "a:x",
                "klamm.topics: \"a:x\": \"x\" is no number and no key=value; expected name[",
            ),
            ("a:1:1:1", "1 is a third number"),
            (":3", "a topic needs a name"),
            ("a:1:70000", "70000 replicas"),
        ] {
            let error = parse("klamm.topics", text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
