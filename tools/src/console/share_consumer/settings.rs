//! What the properties of a share consumer say.
//!
//! Invariant: defaults and refusals are those of Java's share consumer; what cannot be followed is
//! refused.

use std::time::Duration;

use crate::client::Properties;
use crate::console::properties::{CONFIG_EXCEPTION, boolean, int, long, one_of};
use crate::failure::Failure;

/// The properties of consumers that a share group has no use for.
const UNSUPPORTED: [&str; 10] = [
    "auto.offset.reset",
    "enable.auto.commit",
    "group.instance.id",
    "isolation.level",
    "partition.assignment.strategy",
    "interceptor.classes",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "group.protocol",
    "group.remote.assignor",
];

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) group: String,
    pub(super) rack: Option<String>,
    pub(super) request_timeout: Duration,
    pub(super) retry_backoff: Duration,
    pub(super) retry_backoff_max: Duration,
    pub(super) metadata_max_age: Duration,
    pub(super) creates_topics: bool,
    pub(super) checks_crcs: bool,
    pub(super) fetch_min_bytes: i32,
    pub(super) fetch_max_bytes: i32,
    pub(super) fetch_max_wait_ms: i32,
    pub(super) max_records: i32,
}

impl Settings {
    pub(super) fn new(properties: &Properties) -> Result<Self, Failure> {
        let given = UNSUPPORTED
            .into_iter()
            .filter(|name| properties.contains_key(*name));
        let given: Vec<&str> = given.collect();
        if !given.is_empty() {
            return Err(Failure::new(
                CONFIG_EXCEPTION,
                format!(
                    "{} cannot be set when using a share group.",
                    given.join(", ")
                ),
            ));
        }
        // The version of ShareFetch that is spoken has no other mode.
        let mode = "share.acquire.mode";
        one_of(properties, mode, "batch_optimized", &["batch_optimized"])?;
        let ms = |name, default| {
            let ms = long(properties, name, default, 0)?;
            Ok::<Duration, Failure>(Duration::from_millis(ms.unsigned_abs()))
        };
        let request_timeout_ms = int(properties, "request.timeout.ms", 30_000, 0)?;
        let retry_backoff = ms("retry.backoff.ms", 100)?;
        Ok(Settings {
            group: properties.get("group.id").cloned().unwrap_or_default(),
            rack: properties
                .get("client.rack")
                .filter(|rack| !rack.is_empty())
                .cloned(),
            request_timeout: Duration::from_millis(request_timeout_ms.unsigned_abs().into()),
            retry_backoff,
            retry_backoff_max: ms("retry.backoff.max.ms", 1000)?.max(retry_backoff),
            metadata_max_age: ms("metadata.max.age.ms", 300_000)?,
            creates_topics: boolean(properties, "allow.auto.create.topics", true)?,
            checks_crcs: boolean(properties, "check.crcs", true)?,
            fetch_min_bytes: int(properties, "fetch.min.bytes", 1, 0)?,
            fetch_max_bytes: int(properties, "fetch.max.bytes", 52_428_800, 0)?,
            fetch_max_wait_ms: int(properties, "fetch.max.wait.ms", 500, 0)?,
            max_records: int(properties, "max.poll.records", 500, 1)?,
        })
    }

    /// The pause after so many failures in a row.
    pub(super) fn pause(&self, attempts: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1).min(16));
        let pause = self.retry_backoff.saturating_mul(doubled);
        pause.min(self.retry_backoff_max)
    }
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
    fn what_a_share_group_has_no_use_for_is_refused() {
        let refused = settings(&[("isolation.level", "x"), ("auto.offset.reset", "earliest")]);
        assert_eq!(
            refused.unwrap_err().to_string(),
            "auto.offset.reset, isolation.level cannot be set when using a share group."
        );
        assert!(settings(&[("share.acquire.mode", "record_limit")]).is_err());
        assert!(settings(&[("max.poll.records", "0")]).is_err());
    }

    #[test]
    fn a_pause_grows_up_to_its_bound() {
        let settings = settings(&[]).unwrap();
        let pauses = [1, 2, 3, 9].map(|attempts| settings.pause(attempts).as_millis());
        assert_eq!(pauses, [100, 200, 400, 1000]);
    }
}
