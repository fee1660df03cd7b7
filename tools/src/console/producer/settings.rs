//! What the properties of a producer say.
//!
//! Invariant: defaults and refusals are those of Java's producer; a setting that is not known is ignored,
//! as there.

use std::time::Duration;

use protocol::Compression;

use crate::client::Properties;
use crate::console::properties::{CONFIG_EXCEPTION, boolean, int, long, one_of};
use crate::failure::Failure;

/// How records are batched and sent.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// 0, 1, or -1 for all replicas in sync.
    pub(super) acks: i16,
    pub(super) is_idempotent: bool,
    pub(super) transactional_id: Option<String>,
    pub(super) linger: Duration,
    pub(super) batch_bytes: usize,
    pub(super) compression: Compression,
    pub(super) max_request_bytes: usize,
    pub(super) buffer_bytes: usize,
    pub(super) retries: u32,
    pub(super) delivery_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) retry_backoff: Duration,
    pub(super) retry_backoff_max: Duration,
    pub(super) max_block: Duration,
    pub(super) metadata_max_age: Duration,
}

impl Settings {
    pub(super) fn new(properties: &Properties) -> Result<Self, Failure> {
        let acks = one_of(properties, "acks", "all", &["all", "-1", "0", "1"])?;
        let acks = match acks {
            "0" => 0,
            "1" => 1,
            _ => -1,
        };
        let retries = int(properties, "retries", i32::MAX, 0)?;
        let linger = ms(properties, "linger.ms", 5)?;
        let request_timeout = int_ms(properties, "request.timeout.ms", 30_000)?;
        let retry_backoff = ms(properties, "retry.backoff.ms", 100)?;
        Ok(Settings {
            acks,
            is_idempotent: is_idempotent(properties, acks, retries)?,
            transactional_id: properties.get("transactional.id").cloned(),
            linger,
            batch_bytes: size(int(properties, "batch.size", 16 * 1024, 0)?.into()),
            compression: compression(properties)?,
            max_request_bytes: size(int(properties, "max.request.size", 1 << 20, 0)?.into()),
            buffer_bytes: size(long(properties, "buffer.memory", 32 << 20, 0)?),
            retries: retries.unsigned_abs(),
            delivery_timeout: delivery_timeout(properties, linger + request_timeout)?,
            request_timeout,
            retry_backoff,
            retry_backoff_max: ms(properties, "retry.backoff.max.ms", 1000)?.max(retry_backoff),
            max_block: ms(properties, "max.block.ms", 60_000)?,
            metadata_max_age: ms(properties, "metadata.max.age.ms", 300_000)?,
        })
    }
}

fn size(bytes: i64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn ms(properties: &Properties, name: &str, default: i64) -> Result<Duration, Failure> {
    let ms = long(properties, name, default, 0)?;
    Ok(Duration::from_millis(ms.unsigned_abs()))
}

fn int_ms(properties: &Properties, name: &str, default: i32) -> Result<Duration, Failure> {
    let ms = int(properties, name, default, 0)?;
    Ok(Duration::from_millis(ms.unsigned_abs().into()))
}

fn compression(properties: &Properties) -> Result<Compression, Failure> {
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    let codec = one_of(properties, "compression.type", "none", &codecs)?;
    Ok(match codec {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    })
}

/// Idempotence is on unless another setting speaks against it; who asks for both is told.
fn is_idempotent(properties: &Properties, acks: i16, retries: i32) -> Result<bool, Failure> {
    const NAME: &str = "enable.idempotence";
    let is_wanted = boolean(properties, NAME, true)?;
    let in_flight = int(properties, "max.in.flight.requests.per.connection", 5, 1)?;
    let obstacles = [
        (
            retries == 0,
            "Must set retries to non-zero when using the idempotent producer.",
        ),
        (
            acks != -1,
            "Must set acks to all in order to use the idempotent producer. Otherwise we cannot \
             guarantee idempotence.",
        ),
        (
            in_flight > 5,
            "Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent \
             producer.",
        ),
    ];
    let obstacle = obstacles.into_iter().find(|(stands, _)| *stands);
    match obstacle {
        Some((_, message)) if is_wanted && properties.contains_key(NAME) => {
            Err(Failure::new(CONFIG_EXCEPTION, message))
        }
        Some(_) => Ok(false),
        None => Ok(is_wanted),
    }
}

fn delivery_timeout(properties: &Properties, least: Duration) -> Result<Duration, Failure> {
    const NAME: &str = "delivery.timeout.ms";
    let timeout = int_ms(properties, NAME, 120_000)?;
    if timeout >= least {
        return Ok(timeout);
    }
    if !properties.contains_key(NAME) {
        return Ok(least);
    }
    let message =
        "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms";
    Err(Failure::new(CONFIG_EXCEPTION, message).within(
        "org.apache.kafka.common.KafkaException",
        "Failed to construct kafka producer",
    ))
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
    fn idempotence_gives_way_unless_it_was_asked_for() {
        assert!(settings(&[]).unwrap().is_idempotent);
        for (name, value) in [
            ("acks", "1"),
            ("retries", "0"),
            ("max.in.flight.requests.per.connection", "6"),
            ("enable.idempotence", "false"),
        ] {
            assert!(!settings(&[(name, value)]).unwrap().is_idempotent, "{name}");
        }
        let error = settings(&[("acks", "1"), ("enable.idempotence", "true")]).unwrap_err();
        assert!(error.to_string().starts_with("Must set acks to all"));
    }

    #[test]
    fn the_time_to_deliver_holds_a_request_and_the_linger() {
        let grown = settings(&[("request.timeout.ms", "200000")]).unwrap();
        assert_eq!(grown.delivery_timeout, Duration::from_millis(200_005));
        assert!(settings(&[("delivery.timeout.ms", "100")]).is_err());
    }

    #[test]
    fn a_codec_has_a_name() {
        let codec = |name| settings(&[("compression.type", name)]).map(|it| it.compression);
        assert_eq!(codec("zstd").unwrap(), Compression::Zstd);
        assert!(codec("brotli").is_err());
    }
}
