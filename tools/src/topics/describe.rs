//! `kafka-topics --describe`: a line for each topic, and one for each of its partitions.
//!
//! Invariant: topics and configs stand in the order of upstream's hash maps, as scripts saw them.

use std::collections::{BTreeMap, BTreeSet};

use metadata::config::java_order;
use protocol::TopicId;

use super::filter;
use crate::admin::cluster::{self, Nodes};
use crate::admin::configs::{self, Entry, Resource, ResourceType, Source};
use crate::admin::topics::{self, Partition, Reassignment, Topic};
use crate::client::Client;
use crate::failure::Failure;
use crate::options::Parsed;
use crate::print::Output;

/// How many partitions an answer holds unless the options say else.
pub(super) const PARTITIONS_PER_ANSWER: i32 = 2000;
const MIN_ISR: &str = "min.insync.replicas";

/// What is known of the cluster when topics are shown.
struct Known<'a> {
    parsed: &'a Parsed,
    live: BTreeSet<i32>,
    moves: BTreeMap<(String, i32), Reassignment>,
}

pub(super) async fn run(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let topics = wanted(parsed, client).await?;
    let resources: Vec<Resource> = topics
        .iter()
        .map(|topic| Resource::new(ResourceType::Topic, &topic.name))
        .collect();
    let configs = configs::describe(client, &resources, false).await?;
    let nodes = cluster::describe(client, Nodes::Brokers).await?.nodes;
    let partitions = topics.iter().map(|topic| {
        let indexes = topic.partitions.iter().map(|partition| partition.index);
        (topic.name.clone(), indexes.collect())
    });
    let moves = topics::reassignments(client, &partitions.collect()).await?;
    let known = Known {
        parsed,
        live: nodes.iter().map(|node| node.id).collect(),
        moves,
    };
    let mut output = Output::stdout();
    for (topic, configs) in topics.iter().zip(&configs) {
        for line in known.lines(topic, configs) {
            output.line(line);
        }
    }
    Ok(())
}

/// The topics that the options mean, in the order in which they are shown.
async fn wanted(parsed: &Parsed, client: &Client) -> Result<Vec<Topic>, Failure> {
    let id = match parsed.value("topic-id")? {
        Some(text) => Some(topic_id(text)?).filter(|id| !id.is_zero()),
        None => None,
    };
    if let Some(id) = id {
        return by_id(parsed, client, id).await;
    }
    let names = filter::matching(parsed, client).await?;
    filter::must_exist(parsed, &names)?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let limit = parsed
        .number("partition-size-limit-per-response")?
        .unwrap_or(PARTITIONS_PER_ANSWER);
    let mut found = topics::by_name(client, &names, limit).await?;
    let order = java_order::of_sized(names.iter().map(String::as_str));
    Ok(order
        .into_iter()
        .filter_map(|name| found.remove(name))
        .collect())
}

async fn by_id(parsed: &Parsed, client: &Client, id: TopicId) -> Result<Vec<Topic>, Failure> {
    let all = topics::list(client).await?;
    let hidden = |name: &str| parsed.has("exclude-internal") && topics::is_internal(name);
    let known = all
        .iter()
        .any(|(name, known)| *known == id && !hidden(name));
    if known {
        return Ok(topics::by_id(client, id).await?.into_iter().collect());
    }
    if parsed.has("if-exists") {
        return Ok(Vec::new());
    }
    Err(Failure::illegal_argument(format!(
        "TopicId '{id}' does not exist as expected"
    )))
}

/// A topic's id out of its text; what is none is refused as Java's decoder refuses it.
fn topic_id(text: &str) -> Result<TopicId, Failure> {
    text.parse()
        .map_err(|_| Failure::illegal_argument(not_an_id(text)))
}

/// The longest text that Java takes for base64 of an id.
const ID_CHARACTERS_MAX: usize = 24;

fn not_an_id(text: &str) -> String {
    if text.len() > ID_CHARACTERS_MAX {
        let prefix: String = text.chars().take(ID_CHARACTERS_MAX).collect();
        return format!(
            "Input string with prefix `{prefix}` is too long to be decoded as a base64 UUID"
        );
    }
    if text.len() == 1 {
        return "Input byte[] should at least have 2 bytes for base64 bytes".to_owned();
    }
    let digits = text.trim_end_matches('=');
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    if let Some(byte) = digits.bytes().find(|byte| !is_digit(byte)) {
        return format!("Illegal base64 character {byte:x}");
    }
    if digits.len() % 4 == 1 {
        return "Last unit does not have enough valid bits".to_owned();
    }
    format!(
        "Input string `{text}` decoded as {} bytes, which is not equal to the expected 16 bytes of \
         a base64-encoded UUID",
        digits.len() * 3 / 4
    )
}

impl Known<'_> {
    /// What is shown of a topic.
    fn lines(&self, topic: &Topic, configs: &[Entry]) -> Vec<String> {
        let mut lines = Vec::new();
        let only_overridden = self.parsed.has("topics-with-overrides");
        let all = !self.reports();
        let overridden = configs.iter().any(|entry| entry.source != Source::DEFAULT);
        if all && (!only_overridden || overridden) {
            lines.push(self.topic_line(topic, configs));
        }
        if !only_overridden {
            let min_isr = min_isr(configs);
            let mut partitions: Vec<&Partition> = topic.partitions.iter().collect();
            partitions.sort_by_key(|partition| partition.index);
            for partition in partitions {
                if all || self.is_reported(topic, partition, min_isr) {
                    lines.push(self.partition_line(topic, partition));
                }
            }
        }
        lines
    }

    fn reports(&self) -> bool {
        self.parsed.has("unavailable-partitions")
            || self.parsed.has("under-replicated-partitions")
            || self.parsed.has("under-min-isr-partitions")
            || self.parsed.has("at-min-isr-partitions")
    }

    fn is_reported(&self, topic: &Topic, partition: &Partition, min_isr: usize) -> bool {
        let in_sync = partition.isr.len();
        let has = |name| self.parsed.has(name);
        let leaderless = partition.leader.is_none();
        let unavailable = partition
            .leader
            .is_none_or(|leader| !self.live.contains(&leader));
        (has("under-replicated-partitions") && self.replication_factor(topic, partition) > in_sync)
            || (has("unavailable-partitions") && unavailable)
            || (has("under-min-isr-partitions") && (leaderless || in_sync < min_isr))
            || (has("at-min-isr-partitions") && in_sync == min_isr)
    }

    fn move_of(&self, topic: &Topic, partition: &Partition) -> Option<&Reassignment> {
        self.moves.get(&(topic.name.clone(), partition.index))
    }

    /// Replicas that are on their way do not count.
    fn replication_factor(&self, topic: &Topic, partition: &Partition) -> usize {
        let replicas = &partition.replicas;
        match self.move_of(topic, partition) {
            Some(change)
                if replicas
                    .iter()
                    .any(|id| change.adding.contains(id) || change.removing.contains(id)) =>
            {
                change.replicas.len() - change.adding.len().min(change.replicas.len())
            }
            Some(_) | None => replicas.len(),
        }
    }

    fn topic_line(&self, topic: &Topic, configs: &[Entry]) -> String {
        let factor = topic
            .partitions
            .iter()
            .min_by_key(|partition| partition.index)
            .map_or(0, |first| self.replication_factor(topic, first));
        let id = if topic.id.is_zero() {
            String::new()
        } else {
            format!("\tTopicId: {}", topic.id)
        };
        format!(
            "Topic: {}{id}\tPartitionCount: {}\tReplicationFactor: {factor}\tConfigs: {}",
            topic.name,
            topic.partitions.len(),
            shown_configs(configs)
        )
    }

    fn partition_line(&self, topic: &Topic, partition: &Partition) -> String {
        let leader = partition
            .leader
            .map_or_else(|| "none".to_owned(), |leader| leader.to_string());
        let change = self.move_of(topic, partition).map(|change| {
            format!(
                "\tAdding Replicas: {}\tRemoving Replicas: {}",
                joined(&change.adding),
                joined(&change.removing)
            )
        });
        let or_none = |ids: &Option<Vec<i32>>| {
            ids.as_ref()
                .map_or_else(|| "N/A".to_owned(), |ids| joined(ids))
        };
        format!(
            "\tTopic: {}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}{}\tElr: \
             {}\tLastKnownElr: {}",
            topic.name,
            partition.index,
            joined(&partition.replicas),
            joined(&partition.isr),
            change.unwrap_or_default(),
            or_none(&partition.elr),
            or_none(&partition.last_known_elr)
        )
    }
}

fn min_isr(configs: &[Entry]) -> usize {
    let entry = configs.iter().find(|entry| entry.name == MIN_ISR);
    entry
        .and_then(|entry| entry.value.as_deref()?.parse().ok())
        .unwrap_or(1)
}

fn shown_configs(configs: &[Entry]) -> String {
    let by_name: BTreeMap<&str, &Entry> = configs
        .iter()
        .map(|entry| (entry.name.as_str(), entry))
        .collect();
    let order = java_order::of_grown(configs.iter().map(|entry| entry.name.as_str()));
    let shown: Vec<String> = order
        .into_iter()
        .filter_map(|name| by_name.get(name))
        .filter(|entry| entry.source != Source::DEFAULT)
        .map(|entry| {
            let value = entry.value.as_deref().unwrap_or("null");
            format!("{}={value}", entry.name)
        })
        .collect();
    shown.join(",")
}

fn joined(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(i32::to_string).collect();
    ids.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::options::options;
    use super::*;

    fn topic() -> Topic {
        let partition = |index, leader, isr: &[i32]| Partition {
            index,
            leader,
            replicas: vec![1, 2],
            isr: isr.to_vec(),
            elr: Some(vec![2]),
            last_known_elr: None,
        };
        Topic {
            name: "t".to_owned(),
            id: TopicId::ZERO,
            partitions: vec![partition(1, None, &[]), partition(0, Some(1), &[1, 2])],
        }
    }

    fn configs() -> Vec<Entry> {
        let entry = |name: &str, value: &str, source| Entry {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            source,
            sensitive: false,
            synonyms: Vec::new(),
        };
        vec![
            entry("min.insync.replicas", "2", Source(4)),
            entry("segment.bytes", "7", Source::DEFAULT),
            entry("cleanup.policy", "compact", Source::DYNAMIC_TOPIC),
        ]
    }

    fn lines(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let parsed = options().parse(&words).unwrap();
        let known = Known {
            parsed: &parsed,
            live: [1].into(),
            moves: BTreeMap::new(),
        };
        known.lines(&topic(), &configs())
    }

    #[test]
    fn a_topic_is_a_line_and_each_partition_one_more() {
        assert_eq!(
            lines(&["--describe"]),
            [
                "Topic: t\tPartitionCount: 2\tReplicationFactor: 2\tConfigs: \
                 cleanup.policy=compact,min.insync.replicas=2",
                "\tTopic: t\tPartition: 0\tLeader: 1\tReplicas: 1,2\tIsr: 1,2\tElr: \
                 2\tLastKnownElr: N/A",
                "\tTopic: t\tPartition: 1\tLeader: none\tReplicas: 1,2\tIsr: \tElr: \
                 2\tLastKnownElr: N/A",
            ]
        );
    }

    #[test]
    fn a_report_shows_only_the_partitions_it_is_about() {
        for (option, partition) in [
            ("--under-replicated-partitions", "Partition: 1"),
            ("--unavailable-partitions", "Partition: 1"),
            ("--under-min-isr-partitions", "Partition: 1"),
            ("--at-min-isr-partitions", "Partition: 0"),
        ] {
            let lines = lines(&["--describe", option]);
            assert_eq!(lines.len(), 1, "{option}");
            assert!(
                lines.iter().all(|line| line.contains(partition)),
                "{option}"
            );
        }
        assert_eq!(lines(&["--describe", "--topics-with-overrides"]).len(), 1);
    }

    #[test]
    fn an_id_that_is_none_is_refused_as_java_refuses_it() {
        let refused = |text| topic_id(text).unwrap_err().to_string();
        assert_eq!(
            refused("abc"),
            "Input string `abc` decoded as 2 bytes, which is not equal to the expected 16 bytes of \
             a base64-encoded UUID"
        );
        assert_eq!(refused("a+b"), "Illegal base64 character 2b");
        assert_eq!(
            refused("abcde"),
            "Last unit does not have enough valid bits"
        );
    }
}
