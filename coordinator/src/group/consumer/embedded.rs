//! The embedded protocol of classic consumers: what they subscribe, and how they are told what
//! they have.
//!
//! Invariant: reads what all versions share and what each adds, and nothing behind it.

use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;

use crate::wire::{Reader, WireError};

/// Partitions of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedTopic {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<i32>,
}

/// A consumer's subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) version: i16,
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) owned: Vec<NamedTopic>,
    pub(crate) rack_id: Option<Arc<str>>,
}

/// A consumer's assignment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConsumerAssignment {
    pub(crate) topics: Vec<NamedTopic>,
    /// An assignor of the client's own keeps something there.
    pub(crate) has_user_data: bool,
}

pub(crate) fn read_subscription(bytes: &[u8]) -> Result<Subscription, WireError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    let count = reader.count()?;
    let mut topics = Vec::new();
    for _ in 0..count {
        topics.push(reader.string()?);
    }
    skip_user_data(&mut reader)?;
    let owned = if version >= 1 {
        read_topics(&mut reader)?
    } else {
        Vec::new()
    };
    if version >= 2 {
        let _generation = reader.i32()?;
    }
    let rack_id = if version >= 3 {
        reader.nullable_string()?
    } else {
        None
    };
    Ok(Subscription {
        version,
        topics,
        owned,
        rack_id,
    })
}

pub(crate) fn read_assignment(bytes: &[u8]) -> Result<ConsumerAssignment, WireError> {
    let mut reader = Reader::new(bytes);
    let _version = reader.i16()?;
    let topics = read_topics(&mut reader)?;
    let has_user_data = skip_user_data(&mut reader)? > 0;
    Ok(ConsumerAssignment {
        topics,
        has_user_data,
    })
}

/// As a consumer of this version reads it: the versions differ in their number alone.
pub(crate) fn put_assignment(version: i16, topics: &[NamedTopic]) -> Bytes {
    let mut buffer = BytesMut::new();
    buffer.put_i16(version);
    buffer.put_i32(topics.len() as i32);
    for topic in topics {
        buffer.put_i16(topic.name.len() as i16);
        buffer.put_slice(topic.name.as_bytes());
        buffer.put_i32(topic.partitions.len() as i32);
        topic
            .partitions
            .iter()
            .for_each(|partition| buffer.put_i32(*partition));
    }
    buffer.put_i32(-1);
    buffer.freeze()
}

fn read_topics(reader: &mut Reader<'_>) -> Result<Vec<NamedTopic>, WireError> {
    let mut topics = Vec::new();
    for _ in 0..reader.count()? {
        let name = reader.string()?;
        let mut partitions = Vec::new();
        for _ in 0..reader.count()? {
            partitions.push(reader.i32()?);
        }
        topics.push(NamedTopic { name, partitions });
    }
    Ok(topics)
}

/// How many bytes of it there are; null is none.
fn skip_user_data(reader: &mut Reader<'_>) -> Result<usize, WireError> {
    match reader.i32()? {
        -1 => Ok(0),
        count => {
            let count = usize::try_from(count).map_err(|_| WireError::Length)?;
            reader.skip(count)?;
            Ok(count)
        }
    }
}
