//! The small text files beside the logs, in upstream's formats.
//!
//! Invariant: reading never fails on what a line holds. A line that makes no sense is left out, so
//! garbage costs the logs that it names, which are then rebuilt from their segments.

use std::collections::BTreeMap;
use std::fmt::Write;

use protocol::{LeaderEpoch, Offset, TopicId, TopicPartition};
use uuid::Uuid;

use crate::log::EpochEntry;

pub(crate) const META_PROPERTIES: &str = "meta.properties";
pub(crate) const LOCK: &str = ".lock";
pub(crate) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(crate) const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
pub(crate) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
pub(crate) const COMPACTED_UP_TO: &str = "cleaner-offset-checkpoint";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
pub(crate) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";

/// An offset for each log.
pub(crate) type Offsets = BTreeMap<TopicPartition, Offset>;

/// What was read, and whether something had to be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed<T> {
    pub(crate) value: T,
    pub(crate) damaged: bool,
}

/// The lines behind version and count.
fn entry_lines(content: &[u8]) -> (Vec<&str>, bool) {
    // Lines are told apart before UTF-8 is looked at: garbage in one does not reach the others.
    let mut lines = content
        .split(|byte| *byte == b'\n')
        .map(std::str::from_utf8);
    let version = lines.next().and_then(Result::ok).map(str::trim);
    let count = lines
        .next()
        .and_then(Result::ok)
        .and_then(|line| line.trim().parse().ok());
    let mut damaged = version != Some("0") || count.is_none();
    let mut entries = Vec::new();
    for line in lines {
        match line.map(str::trim) {
            Ok("") => {}
            Ok(line) => entries.push(line),
            Err(_) => damaged = true,
        }
    }
    damaged |= count.is_some_and(|count: usize| count != entries.len());
    (entries, damaged)
}

fn render(lines: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("0\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

pub(crate) fn render_offsets(offsets: &Offsets) -> String {
    render(
        offsets
            .iter()
            .map(|(log, offset)| format!("{} {} {offset}", log.topic, log.partition)),
    )
}

pub(crate) fn parse_offsets(content: &[u8]) -> Parsed<Offsets> {
    let (lines, mut damaged) = entry_lines(content);
    let mut value = Offsets::new();
    for line in lines {
        match parse_offset_line(line) {
            Some((log, offset)) => {
                value.insert(log, offset);
            }
            None => damaged = true,
        }
    }
    Parsed { value, damaged }
}

fn parse_offset_line(line: &str) -> Option<(TopicPartition, Offset)> {
    let mut fields = line.split_ascii_whitespace();
    let topic = fields.next()?;
    let partition = fields
        .next()?
        .parse()
        .ok()
        .filter(|partition| *partition >= 0)?;
    let offset = fields.next()?.parse().ok().filter(|offset| *offset >= 0)?;
    fields
        .next()
        .is_none()
        .then(|| (TopicPartition::new(topic, partition), Offset(offset)))
}

pub(crate) fn render_epochs(entries: &[EpochEntry]) -> String {
    render(
        entries
            .iter()
            .map(|entry| format!("{} {}", entry.epoch, entry.start_offset)),
    )
}

pub(crate) fn parse_epochs(content: &[u8]) -> Parsed<Vec<EpochEntry>> {
    let (lines, mut damaged) = entry_lines(content);
    let mut value: Vec<EpochEntry> = Vec::new();
    for line in lines {
        let entry = line.split_once(' ').and_then(|(epoch, offset)| {
            Some(EpochEntry {
                epoch: LeaderEpoch(epoch.parse().ok().filter(|epoch| *epoch >= 0)?),
                start_offset: Offset(offset.trim().parse().ok().filter(|offset| *offset >= 0)?),
            })
        });
        match entry {
            Some(entry) => value.push(entry),
            None => damaged = true,
        }
    }
    let sorted = |pair: &[EpochEntry]| match pair {
        [one, two] => one.epoch < two.epoch && one.start_offset <= two.start_offset,
        _ => true,
    };
    damaged |= !value.windows(2).all(sorted);
    Parsed { value, damaged }
}

pub(crate) fn render_partition_metadata(topic_id: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

pub(crate) fn parse_partition_metadata(content: &[u8]) -> Option<TopicId> {
    let text = std::str::from_utf8(content).ok()?;
    let value_of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start().strip_prefix(':').map(str::trim)
    };
    if value_of("version")? != "0" {
        return None;
    }
    value_of("topic_id")?
        .parse()
        .ok()
        .filter(|id: &TopicId| !id.is_zero())
}

pub(crate) const CLEAN_SHUTDOWN_CONTENT: &str = "{\"version\":0,\"brokerEpoch\":-1}";

/// What `meta.properties` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: i32,
    /// Directories of Kafka before 3.7 have none.
    pub directory_id: Option<Uuid>,
}

pub(crate) fn render_meta_properties(properties: &MetaProperties) -> String {
    let mut text = String::from("#\n");
    // The keys in order, as upstream writes them.
    let _ = writeln!(text, "cluster.id={}", properties.cluster_id);
    if let Some(id) = properties.directory_id {
        let _ = writeln!(text, "directory.id={}", protocol::ids::uuid_to_base64(id));
    }
    let _ = writeln!(text, "node.id={}", properties.node_id);
    text.push_str("version=1\n");
    text
}

/// Reads `meta.properties`; the error says what is missing.
pub(crate) fn parse_meta_properties(content: &[u8]) -> Result<MetaProperties, &'static str> {
    let text = std::str::from_utf8(content).map_err(|_| "is not text")?;
    let value_of = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name).then(|| value.trim().replace('\\', ""))
        })
    };
    if value_of("version").as_deref() != Some("1") {
        return Err("version is not 1");
    }
    let cluster_id = value_of("cluster.id").ok_or("cluster.id is missing")?;
    let node_id = value_of("node.id").ok_or("node.id is missing")?;
    let node_id = node_id.parse().map_err(|_| "node.id is not a number")?;
    let directory_id = match value_of("directory.id") {
        Some(text) => {
            let id = protocol::ids::uuid_from_base64(&text);
            Some(id.map_err(|_| "directory.id is not a Kafka uuid")?)
        }
        None => None,
    };
    Ok(MetaProperties {
        cluster_id,
        node_id,
        directory_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_back() {
        let offsets = Offsets::from([
            (TopicPartition::new("a", 0), Offset(7)),
            (TopicPartition::new("b-c", 11), Offset(0)),
        ]);
        let text = render_offsets(&offsets);
        assert_eq!(text, "0\n2\na 0 7\nb-c 11 0\n");
        assert_eq!(
            parse_offsets(text.as_bytes()),
            Parsed {
                value: offsets,
                damaged: false
            }
        );
    }

    #[test]
    fn a_garbage_line_costs_only_itself() {
        let text = b"0\n3\na 0 7\n\xff\xfe garbage\nb 1 9\n";
        let parsed = parse_offsets(text);
        assert!(parsed.damaged);
        assert_eq!(parsed.value.len(), 2);
        for garbage in [
            &b""[..],
            b"garbage",
            b"\0\0\0",
            b"0\n1\na 0 -7\n",
            b"0\n1\na 0 1 2\n",
        ] {
            assert_eq!(parse_offsets(garbage).value, Offsets::new());
            assert!(parse_offsets(garbage).damaged);
        }
    }

    #[test]
    fn epochs_are_read_back() {
        let entries = vec![
            EpochEntry {
                epoch: LeaderEpoch(0),
                start_offset: Offset(0),
            },
            EpochEntry {
                epoch: LeaderEpoch(3),
                start_offset: Offset(12),
            },
        ];
        let text = render_epochs(&entries);
        assert_eq!(text, "0\n2\n0 0\n3 12\n");
        assert_eq!(
            parse_epochs(text.as_bytes()),
            Parsed {
                value: entries,
                damaged: false
            }
        );
        for garbage in ["", "0\n1\nx y\n", "0\n2\n0 0\n", "0\n2\n3 0\n1 5\n"] {
            assert!(parse_epochs(garbage.as_bytes()).damaged, "{garbage:?}");
        }
    }

    #[test]
    fn the_topic_id_is_read_back() {
        let id = TopicId(Uuid::from_u128(42));
        let text = render_partition_metadata(id);
        assert_eq!(parse_partition_metadata(text.as_bytes()), Some(id));
        assert_eq!(parse_partition_metadata(b"version: 1\ntopic_id: x"), None);
        assert_eq!(parse_partition_metadata(b""), None);
    }

    #[test]
    fn meta_properties_are_read_back() {
        let properties = MetaProperties {
            cluster_id: "5L6g3nShT-eMCtK--X86sw".into(),
            node_id: 3,
            directory_id: Some(Uuid::from_u128(1)),
        };
        let text = render_meta_properties(&properties);
        assert_eq!(parse_meta_properties(text.as_bytes()), Ok(properties));
        assert_eq!(
            parse_meta_properties(b"version=1\nnode.id=1\n"),
            Err("cluster.id is missing")
        );
    }
}
