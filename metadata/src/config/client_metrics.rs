//! The configs of client metrics subscriptions (KIP-714), and which clients one is for.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named. What
//! was accepted as a subscription can be matched with clients.

use fancy_regex::Regex;

use super::def::config_table;
use super::error::InvalidConfig;
use super::value::java_trim;

config_table! {
    pub(in crate::config) const ROWS;

    /// The prefixes of the metrics that clients push; * is all of them.
    "metrics" List = "", any_list, cluster_wide;
    /// How often clients push their metrics.
    "interval.ms" Int = "300000", cluster_wide;
    /// Which clients the subscription is for, as name=pattern.
    "match" List = "", any_list, cluster_wide;
}

/// What is known of a client, and can be matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAttribute {
    InstanceId,
    ClientId,
    SoftwareName,
    SoftwareVersion,
    SourceAddress,
    SourcePort,
}

impl ClientAttribute {
    fn named(name: &str) -> Option<ClientAttribute> {
        Some(match name {
            "client_instance_id" => ClientAttribute::InstanceId,
            "client_id" => ClientAttribute::ClientId,
            "client_software_name" => ClientAttribute::SoftwareName,
            "client_software_version" => ClientAttribute::SoftwareVersion,
            "client_source_address" => ClientAttribute::SourceAddress,
            "client_source_port" => ClientAttribute::SourcePort,
            _ => return None,
        })
    }
}

/// Which clients a subscription is for: all of its patterns match; none is every client.
#[derive(Debug, Clone, Default)]
pub struct ClientMatch {
    patterns: Vec<(ClientAttribute, Regex)>,
}

impl ClientMatch {
    /// Reads the items of `match`, each `attribute=regular expression`.
    ///
    /// # Errors
    /// An item that is something else, an unknown attribute, a pattern that does not compile.
    pub fn parse(items: &[String]) -> Result<ClientMatch, InvalidConfig> {
        let mut patterns: Vec<(ClientAttribute, Regex)> = Vec::with_capacity(items.len());
        for item in items {
            let (attribute, pattern) = parse_item(item).ok_or_else(|| {
                InvalidConfig::config(format!("Illegal client matching pattern: {item}"))
            })?;
            // As in upstream's map the last one of an attribute counts.
            patterns.retain(|(earlier, _)| *earlier != attribute);
            patterns.push((attribute, pattern));
        }
        Ok(ClientMatch { patterns })
    }

    /// Whether the client that `attribute` tells of is meant. What is not known matches nothing.
    pub fn is_match<'a>(&self, attribute: impl Fn(ClientAttribute) -> Option<&'a str>) -> bool {
        self.patterns.iter().all(|(of, pattern)| {
            // A pattern that is too hard to match (it gives up) matches nothing.
            attribute(*of).is_some_and(|text| pattern.is_match(text).unwrap_or(false))
        })
    }
}

/// `key=pattern`. As upstream splits it, equal signs at the end do not count.
fn parse_item(item: &str) -> Option<(ClientAttribute, Regex)> {
    let (name, pattern) = item.trim_end_matches('=').split_once('=')?;
    if pattern.is_empty() || pattern.contains('=') {
        return None;
    }
    let attribute = ClientAttribute::named(java_trim(name))?;
    let pattern = java_trim(pattern);
    // Compiled alone first: `)(` must not become a pattern by what is put around it.
    Regex::new(pattern).ok()?;
    let whole = Regex::new(&format!(r"\A(?:{pattern})\z")).ok()?;
    Some((attribute, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(items: &[&str]) -> Result<ClientMatch, InvalidConfig> {
        let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
        ClientMatch::parse(&items)
    }

    fn matches(items: &[&str], client_id: Option<&'static str>) -> bool {
        parse(items).unwrap().is_match(|attribute| match attribute {
            ClientAttribute::ClientId => client_id,
            ClientAttribute::SoftwareName => Some("librdkafka"),
            ClientAttribute::InstanceId
            | ClientAttribute::SoftwareVersion
            | ClientAttribute::SourceAddress
            | ClientAttribute::SourcePort => None,
        })
    }

    #[test]
    fn all_patterns_match_and_each_the_whole_text() {
        assert!(matches(&[], None));
        assert!(matches(&["client_id=app-.*"], Some("app-1")));
        assert!(!matches(&["client_id=app"], Some("app-1")));
        assert!(!matches(&["client_id=a|app"], Some("app-1")));
        assert!(!matches(&["client_id=.*"], None));
        let both = ["client_id=app-1", "client_software_name=librd.*"];
        assert!(matches(&both, Some("app-1")));
        assert!(!matches(&both, Some("app-2")));
        assert!(!matches(&["client_source_port=.*"], Some("app-1")));
    }

    #[test]
    fn of_two_patterns_of_one_attribute_the_last_counts() {
        assert!(matches(&["client_id=a", "client_id=b"], Some("b")));
        assert!(!matches(&["client_id=a", "client_id=b"], Some("a")));
    }

    #[test]
    fn javas_patterns_that_look_around_are_understood() {
        assert!(matches(&["client_id=(?!x).+"], Some("app")));
        assert!(!matches(&["client_id=(?!x).+"], Some("x1")));
    }

    #[test]
    fn what_is_no_pattern_of_an_attribute_is_refused_in_upstreams_words() {
        for wrong in [
            "client_id",
            "client_id=",
            "=a",
            "color=red",
            "client_id=a=b",
            "client_id=(",
            "client_id=)(",
            "client_id=*",
        ] {
            let refused = parse(&[wrong]).unwrap_err();
            assert_eq!(refused.code, protocol::ErrorCode::InvalidConfig);
            let words = format!("Illegal client matching pattern: {wrong}");
            assert_eq!(refused.message, words);
        }
        assert!(matches(&["client_id=a=="], Some("a")));
    }
}
