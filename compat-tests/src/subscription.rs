//! What a consumer of a classic group tells it and is told: Kafka's `ConsumerProtocol`. The bytes
//! of a subscription are of version 0 to 3; what a version lacks is left out.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscription {
    #[serde(default)]
    version: i16,
    topics: Vec<String>,
    /// Pairs of a topic and its partitions.
    #[serde(default)]
    owned: Vec<(String, Vec<i32>)>,
    #[serde(default = "no_generation")]
    generation: i32,
    rack: Option<String>,
}

fn no_generation() -> i32 {
    -1
}

/// As `hex:` and hexadecimal digits.
pub(crate) fn encode(subscription: Value) -> Result<String> {
    let subscription: Subscription =
        serde_json::from_value(subscription).context("$subscription")?;
    let version = subscription.version;
    let mut bytes = version.to_be_bytes().to_vec();
    count(&mut bytes, subscription.topics.len())?;
    for topic in &subscription.topics {
        text(&mut bytes, topic)?;
    }
    // No user data.
    bytes.extend((-1_i32).to_be_bytes());
    if version >= 1 {
        put_topics(&mut bytes, subscription.owned)?;
    }
    if version >= 2 {
        bytes.extend(subscription.generation.to_be_bytes());
    }
    if version >= 3 {
        match &subscription.rack {
            Some(rack) => text(&mut bytes, rack)?,
            None => bytes.extend((-1_i16).to_be_bytes()),
        }
    }
    Ok(format!("hex:{}", crate::codec::format_hex(&bytes)))
}

/// An assignment, version 0, of pairs of a topic and its partitions.
pub(crate) fn encode_assignment(topics: Value) -> Result<String> {
    let topics = serde_json::from_value(topics).context("$assignment")?;
    let mut bytes = 0_i16.to_be_bytes().to_vec();
    put_topics(&mut bytes, topics)?;
    bytes.extend((-1_i32).to_be_bytes());
    Ok(format!("hex:{}", crate::codec::format_hex(&bytes)))
}

fn put_topics(bytes: &mut Vec<u8>, topics: Vec<(String, Vec<i32>)>) -> Result<()> {
    count(bytes, topics.len())?;
    for (topic, partitions) in topics {
        text(bytes, &topic)?;
        count(bytes, partitions.len())?;
        bytes.extend(partitions.iter().flat_map(|index| index.to_be_bytes()));
    }
    Ok(())
}

fn count(bytes: &mut Vec<u8>, count: usize) -> Result<()> {
    bytes.extend(i32::try_from(count)?.to_be_bytes());
    Ok(())
}

fn text(bytes: &mut Vec<u8>, text: &str) -> Result<()> {
    bytes.extend(i16::try_from(text.len())?.to_be_bytes());
    bytes.extend(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_version_has_its_fields_and_no_others() {
        let of = |version| {
            let owned = json!([["a", [1]]]);
            encode(json!({ "version": version, "topics": ["a"], "owned": owned })).unwrap()
        };
        let first = "00000001000161ffffffff";
        let owned = "000000010001610000000100000001";
        assert_eq!(of(0), format!("hex:0000{first}"));
        assert_eq!(of(1), format!("hex:0001{first}{owned}"));
        assert_eq!(of(3), format!("hex:0003{first}{owned}ffffffffffff"));
    }
}
