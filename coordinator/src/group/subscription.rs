//! The topics that a consumer's metadata names.
//!
//! Invariant: reads the prefix that all versions of the consumer protocol share, and nothing else.

use crate::wire::Reader;

/// The subscribed topics, or none when the metadata is not a consumer's subscription.
pub(crate) fn subscribed_topics(metadata: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader::new(metadata);
    let _version = reader.i16().ok()?;
    let mut topics = Vec::new();
    for _ in 0..reader.count().ok()? {
        topics.push(reader.string().ok()?.to_string());
    }
    // User data follows in every version; -1 stands for none.
    let user_data = reader.i32().ok()?;
    if user_data >= 0 {
        reader.skip(user_data as usize).ok()?;
    } else if user_data != -1 {
        return None;
    }
    Some(topics)
}
