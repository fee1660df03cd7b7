//! What the properties of a consumer say.
//!
//! Invariant: defaults and refusals are those of Java's consumer; what cannot be followed is refused.

use std::time::Duration;

use crate::client::Properties;
use crate::console::properties::{boolean, int, invalid, long, one_of};
use crate::failure::Failure;

/// Where to begin where no offset is known, or the known one is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    Earliest,
    Latest,
    /// That long ago.
    Since(Duration),
    /// It is an error.
    None,
}

/// How a leader spreads partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    Range,
    CooperativeSticky,
}

impl Strategy {
    pub(super) fn name(self) -> &'static str {
        match self {
            Strategy::Range => "range",
            Strategy::CooperativeSticky => "cooperative-sticky",
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) group: String,
    pub(super) instance_id: Option<String>,
    pub(super) commits: bool,
    pub(super) commit_interval: Duration,
    pub(super) reset: Reset,
    pub(super) is_read_committed: bool,
    pub(super) session_timeout_ms: i32,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) heartbeat_interval: Duration,
    pub(super) strategies: Vec<Strategy>,
    pub(super) request_timeout: Duration,
    pub(super) retry_backoff: Duration,
    pub(super) retry_backoff_max: Duration,
    pub(super) metadata_max_age: Duration,
    pub(super) creates_topics: bool,
    pub(super) excludes_internal_topics: bool,
    pub(super) checks_crcs: bool,
    pub(super) fetch_min_bytes: i32,
    pub(super) fetch_max_bytes: i32,
    pub(super) fetch_max_wait_ms: i32,
    pub(super) partition_max_bytes: i32,
}

impl Settings {
    pub(super) fn new(properties: &Properties) -> Result<Self, Failure> {
        let levels = ["read_committed", "read_uncommitted"];
        let level = one_of(properties, "isolation.level", "read_uncommitted", &levels)?;
        let protocol = properties
            .get("group.protocol")
            .map_or("classic", String::as_str);
        if !protocol.eq_ignore_ascii_case("classic") {
            return Err(invalid(
                "group.protocol",
                protocol,
                "this tool joins groups by the classic protocol only",
            ));
        }
        // Nothing is taken in pieces here, but a value that Java refuses is refused.
        int(properties, "max.poll.records", 500, 1)?;
        let ms = |name, default| {
            let ms = long(properties, name, default, 0)?;
            Ok::<Duration, Failure>(Duration::from_millis(ms.unsigned_abs()))
        };
        let int_ms = |name, default| {
            let ms = int(properties, name, default, 0)?;
            Ok::<Duration, Failure>(Duration::from_millis(ms.unsigned_abs().into()))
        };
        let retry_backoff = ms("retry.backoff.ms", 100)?;
        Ok(Settings {
            group: properties.get("group.id").cloned().unwrap_or_default(),
            instance_id: properties.get("group.instance.id").cloned(),
            commits: boolean(properties, "enable.auto.commit", true)?,
            commit_interval: int_ms("auto.commit.interval.ms", 5000)?,
            reset: reset(properties)?,
            is_read_committed: level == "read_committed",
            session_timeout_ms: int(properties, "session.timeout.ms", 45_000, 0)?,
            rebalance_timeout_ms: int(properties, "max.poll.interval.ms", 300_000, 1)?,
            heartbeat_interval: int_ms("heartbeat.interval.ms", 3000)?,
            strategies: strategies(properties)?,
            request_timeout: int_ms("request.timeout.ms", 30_000)?,
            retry_backoff,
            retry_backoff_max: ms("retry.backoff.max.ms", 1000)?.max(retry_backoff),
            metadata_max_age: ms("metadata.max.age.ms", 300_000)?,
            creates_topics: boolean(properties, "allow.auto.create.topics", true)?,
            excludes_internal_topics: boolean(properties, "exclude.internal.topics", true)?,
            checks_crcs: boolean(properties, "check.crcs", true)?,
            fetch_min_bytes: int(properties, "fetch.min.bytes", 1, 0)?,
            fetch_max_bytes: int(properties, "fetch.max.bytes", 52_428_800, 0)?,
            fetch_max_wait_ms: int(properties, "fetch.max.wait.ms", 500, 0)?,
            partition_max_bytes: int(properties, "max.partition.fetch.bytes", 1_048_576, 0)?,
        })
    }
}

fn reset(properties: &Properties) -> Result<Reset, Failure> {
    const NAME: &str = "auto.offset.reset";
    let text = properties.get(NAME).map_or("latest", String::as_str);
    match text {
        "earliest" => Ok(Reset::Earliest),
        "latest" => Ok(Reset::Latest),
        "none" => Ok(Reset::None),
        _ => text
            .strip_prefix("by_duration:")
            .and_then(duration)
            .map(Reset::Since)
            .ok_or_else(|| {
                invalid(
                    NAME,
                    text,
                    "Invalid value for auto.offset.reset. Expected earliest, latest, none or \
                     by_duration: with a positive duration like PT1H",
                )
            }),
    }
}

/// A duration of ISO 8601, of days, hours, minutes and seconds.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('P')?;
    let mut is_time = false;
    let mut seconds = 0.0;
    let mut has_part = false;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T') {
            (rest, is_time) = (time, true);
            continue;
        }
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, unit) = rest.split_at(end);
        let factor = match (unit.chars().next()?, is_time) {
            ('D', false) => 86_400.0,
            ('H', true) => 3600.0,
            ('M', true) => 60.0,
            ('S', true) => 1.0,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * factor;
        has_part = true;
        rest = unit.get(1..)?;
    }
    has_part.then(|| Duration::try_from_secs_f64(seconds).ok())?
}

fn strategies(properties: &Properties) -> Result<Vec<Strategy>, Failure> {
    const NAME: &str = "partition.assignment.strategy";
    let Some(text) = properties.get(NAME) else {
        return Ok(vec![Strategy::Range, Strategy::CooperativeSticky]);
    };
    let strategy = |class: &str| match class.trim().rsplit('.').next() {
        Some("RangeAssignor") => Ok(Strategy::Range),
        Some("CooperativeStickyAssignor") => Ok(Strategy::CooperativeSticky),
        Some(_) | None => Err(invalid(
            NAME,
            text,
            "this tool knows RangeAssignor and CooperativeStickyAssignor only",
        )),
    };
    text.split(',').map(strategy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, Failure> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::new(&pairs.collect())
    }

    #[test]
    fn a_reset_may_be_a_duration() {
        let reset = |text| settings(&[("auto.offset.reset", text)]).map(|it| it.reset);
        let ago = |seconds| Reset::Since(Duration::from_secs(seconds));
        assert_eq!(reset("by_duration:PT1H30M").unwrap(), ago(5400));
        assert_eq!(reset("by_duration:P1DT1S").unwrap(), ago(86_401));
        assert_eq!(reset("earliest").unwrap(), Reset::Earliest);
        for text in ["foo", "by_duration:", "by_duration:P", "by_duration:PT1D"] {
            assert!(reset(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for (name, value) in [
            ("group.protocol", "consumer"),
            ("isolation.level", "foo"),
            ("max.poll.records", "0"),
            ("session.timeout.ms", "x"),
            ("partition.assignment.strategy", "org.example.MyAssignor"),
        ] {
            assert!(settings(&[(name, value)]).is_err(), "{name}");
        }
    }
}
