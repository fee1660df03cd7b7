//! The numbers and names of Kafka that must not be mixed up.
//!
//! Invariant: a newtype here is a plain value; no sentinel is hidden in it unless its field says so.

use std::fmt;
use std::ops::Sub;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

/// The position of a record in its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub i64);

impl Offset {
    pub const ZERO: Offset = Offset(0);

    /// The offset behind this one (the largest has none).
    pub fn next(self) -> Offset {
        Offset(self.0.saturating_add(1))
    }
}

impl From<i64> for Offset {
    fn from(value: i64) -> Self {
        Offset(value)
    }
}

impl Sub for Offset {
    type Output = i64;

    fn sub(self, other: Offset) -> i64 {
        self.0 - other.0
    }
}

/// The epoch of a partition's leader. A batch header that was never given one holds -1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderEpoch(pub i32);

impl LeaderEpoch {
    /// What a producer writes: it does not know the epoch.
    pub const NONE: LeaderEpoch = LeaderEpoch(-1);
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub i64);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerEpoch(pub i16);

/// Milliseconds since 1970 (UTC). A record without one holds -1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// A record without a timestamp.
    pub const NONE: Timestamp = Timestamp(-1);
}

macro_rules! display_as_number {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }
    )*};
}

display_as_number!(Offset, LeaderEpoch, ProducerId, ProducerEpoch, Timestamp);

/// The identity of a topic; a deleted topic's name may come back, its id does not.
///
/// Shown as Kafka shows it: URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// What stands on the wire where a topic id is not known.
    pub const ZERO: TopicId = TopicId(Uuid::nil());

    pub fn is_zero(self) -> bool {
        self.0.is_nil()
    }
}

impl From<Uuid> for TopicId {
    fn from(id: Uuid) -> Self {
        TopicId(id)
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&uuid_to_base64(self.0))
    }
}

/// The text is not 22 characters of URL-safe base64 that hold 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Kafka uuid: expected 22 characters of URL-safe base64")]
pub struct InvalidUuid;

impl FromStr for TopicId {
    type Err = InvalidUuid;

    fn from_str(text: &str) -> Result<Self, InvalidUuid> {
        uuid_from_base64(text).map(TopicId)
    }
}

const BASE64_CHARACTERS: usize = 22;
const BASE64_ALPHABET: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Kafka's text form of any uuid (topic, directory, cluster, member).
pub fn uuid_to_base64(id: Uuid) -> String {
    // 22 characters hold 132 bits: the 128 of the uuid, then four zeros.
    let bits = id.as_u128();
    (0..BASE64_CHARACTERS)
        .map(|index| {
            let shift = 128 - 6 * (index as i32 + 1);
            let six = if shift >= 0 {
                bits >> shift
            } else {
                bits << -shift
            } & 0x3f;
            char::from(BASE64_ALPHABET.get(six as usize).copied().unwrap_or(b'A'))
        })
        .collect()
}

/// Reads Kafka's text form of a uuid.
pub fn uuid_from_base64(text: &str) -> Result<Uuid, InvalidUuid> {
    let (mut bits, mut count) = (0u128, 0);
    for character in text.bytes() {
        let six = BASE64_ALPHABET
            .iter()
            .position(|&known| known == character)
            .ok_or(InvalidUuid)? as u128;
        count += 1;
        if count == BASE64_CHARACTERS {
            // The last character holds two bits of the uuid; Java ignores the four behind them.
            bits = bits << 2 | six >> 4;
        } else {
            bits = bits << 6 | six;
        }
    }
    if count != BASE64_CHARACTERS {
        return Err(InvalidUuid);
    }
    Ok(Uuid::from_u128(bits))
}

/// A partition by its topic's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        TopicPartition {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_id_is_shown_as_java_shows_it() {
        // java: new Uuid(0x0102030405060708L, 0x090a0b0c0d0e0f10L).toString()
        let id = TopicId(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10));
        assert_eq!(id.to_string(), "AQIDBAUGBwgJCgsMDQ4PEA");
        assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(TopicId(Uuid::max()).to_string(), "_____________________w");
    }

    #[test]
    fn every_topic_id_is_read_back() {
        let mut bits = 1u128;
        for _ in 0..1000 {
            bits = bits
                .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
                .wrapping_add(1);
            let id = TopicId(Uuid::from_u128(bits));
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in [
            "",
            "AAAA",
            "AAAAAAAAAAAAAAAAAAAAA+",
            "AAAAAAAAAAAAAAAAAAAAAAA",
            "ä",
        ] {
            assert_eq!(text.parse::<TopicId>(), Err(InvalidUuid), "{text}");
        }
    }

    #[test]
    fn a_topic_partition_is_shown_as_its_folder_is_named() {
        assert_eq!(TopicPartition::new("orders", 7).to_string(), "orders-7");
    }
}
