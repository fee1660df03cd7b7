//! What members of a classic group of consumers tell each other: subscriptions and assignments.
//!
//! Invariant: any version of either is read as far as it is known; what is cut off is an error.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use protocol::TopicPartition;

use super::assignor::Member;
use crate::failure::Failure;

/// The version that is written: with a generation and a rack, both none.
const SUBSCRIPTION_VERSION: i16 = 3;
const ASSIGNMENT_VERSION: i16 = 3;
/// The first version that tells what a member has.
const OWNED_SINCE: i16 = 1;

/// A subscription to these topics of a member that has nothing yet.
pub(super) fn write_subscription(topics: &[String]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(SUBSCRIPTION_VERSION);
    bytes.put_i32(topics.len() as i32);
    for topic in topics {
        write_text(&mut bytes, topic);
    }
    bytes.put_i32(-1);
    bytes.put_i32(0);
    bytes.put_i32(-1);
    bytes.put_i16(-1);
    bytes.freeze()
}

/// What a member subscribes to and has.
pub(super) fn read_subscription(
    id: String,
    instance_id: Option<String>,
    mut bytes: Bytes,
) -> Result<Member, Failure> {
    let version = bytes.try_get_i16().map_err(|_| cut_off())?;
    let mut topics = Vec::new();
    for _ in 0..read_count(&mut bytes)? {
        topics.push(read_text(&mut bytes)?);
    }
    skip_bytes(&mut bytes)?;
    let owned = if version >= OWNED_SINCE {
        read_partitions(&mut bytes)?
    } else {
        Vec::new()
    };
    Ok(Member {
        id,
        instance_id,
        topics,
        owned,
    })
}

pub(super) fn write_assignment(partitions: &[TopicPartition]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(ASSIGNMENT_VERSION);
    let mut by_topic: std::collections::BTreeMap<&str, Vec<i32>> = Default::default();
    for partition in partitions {
        by_topic
            .entry(&partition.topic)
            .or_default()
            .push(partition.partition);
    }
    bytes.put_i32(by_topic.len() as i32);
    for (topic, partitions) in by_topic {
        write_text(&mut bytes, topic);
        bytes.put_i32(partitions.len() as i32);
        partitions.into_iter().for_each(|id| bytes.put_i32(id));
    }
    bytes.put_i32(-1);
    bytes.freeze()
}

/// The partitions of an assignment; an empty one is that of a member that gets nothing.
pub(super) fn read_assignment(mut bytes: Bytes) -> Result<Vec<TopicPartition>, Failure> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    bytes.try_get_i16().map_err(|_| cut_off())?;
    read_partitions(&mut bytes)
}

fn read_partitions(bytes: &mut Bytes) -> Result<Vec<TopicPartition>, Failure> {
    let mut partitions = Vec::new();
    for _ in 0..read_count(bytes)? {
        let topic = read_text(bytes)?;
        for _ in 0..read_count(bytes)? {
            let id = bytes.try_get_i32().map_err(|_| cut_off())?;
            partitions.push(TopicPartition::new(topic.as_str(), id));
        }
    }
    Ok(partitions)
}

fn write_text(bytes: &mut BytesMut, text: &str) {
    bytes.put_i16(text.len() as i16);
    bytes.put_slice(text.as_bytes());
}

fn read_text(bytes: &mut Bytes) -> Result<String, Failure> {
    let length = bytes.try_get_i16().map_err(|_| cut_off())?;
    let length = usize::try_from(length).map_err(|_| cut_off())?;
    if length > bytes.len() {
        return Err(cut_off());
    }
    Ok(String::from_utf8_lossy(&bytes.split_to(length)).into_owned())
}

fn read_count(bytes: &mut Bytes) -> Result<i32, Failure> {
    bytes.try_get_i32().map_err(|_| cut_off())
}

fn skip_bytes(bytes: &mut Bytes) -> Result<(), Failure> {
    let length = usize::try_from(read_count(bytes)?).unwrap_or(0);
    if length > bytes.len() {
        return Err(cut_off());
    }
    bytes.advance(length);
    Ok(())
}

fn cut_off() -> Failure {
    Failure::new(
        "org.apache.kafka.common.protocol.types.SchemaException",
        "what another member of the group sent is cut off",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As upstream 4.3.1's console consumer was seen to write them.
    #[test]
    fn both_are_written_as_upstream_writes_them() {
        let subscription = write_subscription(&["a1".to_owned()]);
        assert_eq!(
            &*subscription,
            b"\0\x03\0\0\0\x01\0\x02a1\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff"
        );
        let assignment = write_assignment(&[TopicPartition::new("a1", 0)]);
        assert_eq!(
            &*assignment,
            b"\0\x03\0\0\0\x01\0\x02a1\0\0\0\x01\0\0\0\0\xff\xff\xff\xff"
        );
    }

    #[test]
    fn what_is_written_is_read() {
        let member = read_subscription(
            "m".to_owned(),
            None,
            write_subscription(&["a".to_owned(), "b".to_owned()]),
        );
        assert_eq!(member.unwrap().topics, ["a", "b"]);
        let partitions = [TopicPartition::new("a", 1), TopicPartition::new("b", 0)];
        let read = read_assignment(write_assignment(&partitions)).unwrap();
        assert_eq!(read, partitions);
        assert_eq!(read_assignment(Bytes::new()).unwrap(), []);
        assert!(read_assignment(Bytes::from_static(b"\0\x01\0\0\0\x05")).is_err());
    }
}
