//! What a tool's properties say about how to talk to the cluster.
//!
//! Invariant: a setting that these tools cannot follow, such as TLS, is refused and never ignored.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

use crate::failure::Failure;

const CONFIG_EXCEPTION: &str = "org.apache.kafka.common.config.ConfigException";

/// Properties by their names, as files and options give them.
pub type Properties = BTreeMap<String, String>;

/// Reads a properties file, as `--command-config` names one.
pub fn load_properties(path: &str) -> Result<Properties, Failure> {
    let file = File::open(path).map_err(|error| {
        Failure::new(
            "java.nio.file.NoSuchFileException",
            if error.kind() == std::io::ErrorKind::NotFound {
                path.to_owned()
            } else {
                format!("{path}: {error}")
            },
        )
    })?;
    let read = java_properties::read(BufReader::new(file)).map_err(|error| {
        Failure::illegal_argument(format!("{path} is no properties file: {error}"))
    })?;
    Ok(read.into_iter().collect())
}

/// How to talk to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub client_id: String,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long a call may take with all its retries.
    pub api_timeout: Duration,
    pub retry_backoff: Duration,
    pub retry_backoff_max: Duration,
    pub connect_timeout: Duration,
}

impl Settings {
    /// From properties, with the defaults of upstream's admin client.
    pub fn from_properties(properties: &Properties) -> Result<Self, Failure> {
        let protocol = properties
            .get("security.protocol")
            .map_or("PLAINTEXT", |text| text.trim());
        if !protocol.eq_ignore_ascii_case("PLAINTEXT") {
            return Err(Failure::new(
                CONFIG_EXCEPTION,
                format!(
                    "Invalid value {protocol} for configuration security.protocol: these tools \
                     connect without TLS and SASL only; use a listener of protocol PLAINTEXT"
                ),
            ));
        }
        let request_timeout = millis(properties, "request.timeout.ms", 30_000)?;
        let api_timeout = match properties.get("default.api.timeout.ms") {
            Some(_) => millis(properties, "default.api.timeout.ms", 60_000)?,
            // As upstream: the default gives way to a longer request time-out.
            None => request_timeout.max(Duration::from_secs(60)),
        };
        if api_timeout < request_timeout {
            return Err(Failure::new(
                CONFIG_EXCEPTION,
                format!(
                    "The specified value of default.api.timeout.ms must be no smaller than the value \
                     of request.timeout.ms ({} < {} ms).",
                    api_timeout.as_millis(),
                    request_timeout.as_millis()
                ),
            ));
        }
        Ok(Settings {
            client_id: properties
                .get("client.id")
                .filter(|id| !id.is_empty())
                .map_or("adminclient-1", String::as_str)
                .to_owned(),
            request_timeout,
            api_timeout,
            retry_backoff: millis(properties, "retry.backoff.ms", 100)?,
            retry_backoff_max: millis(properties, "retry.backoff.max.ms", 1000)?,
            connect_timeout: millis(properties, "socket.connection.setup.timeout.ms", 10_000)?,
        })
    }
}

/// A time in milliseconds.
fn millis(properties: &Properties, name: &str, default: u64) -> Result<Duration, Failure> {
    let Some(text) = properties.get(name) else {
        return Ok(Duration::from_millis(default));
    };
    let number: i32 = text.trim().parse().map_err(|_| {
        Failure::new(
            CONFIG_EXCEPTION,
            format!("Invalid value {text} for configuration {name}: Not a number of type INT"),
        )
    })?;
    u64::try_from(number)
        .map(Duration::from_millis)
        .map_err(|_| {
            Failure::new(
                CONFIG_EXCEPTION,
                format!("Invalid value {text} for configuration {name}: Value must be at least 0"),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, Failure> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::from_properties(&pairs.collect())
    }

    #[test]
    fn the_defaults_are_those_of_the_admin_client() {
        let defaults = settings(&[]).unwrap();
        assert_eq!(defaults.request_timeout, Duration::from_secs(30));
        assert_eq!(defaults.api_timeout, Duration::from_secs(60));
        let longer = settings(&[("request.timeout.ms", "90000")]).unwrap();
        assert_eq!(longer.api_timeout, Duration::from_secs(90));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for (name, value) in [
            ("security.protocol", "SSL"),
            ("security.protocol", "SASL_PLAINTEXT"),
            ("request.timeout.ms", "soon"),
            ("request.timeout.ms", "-1"),
            ("default.api.timeout.ms", "10"),
        ] {
            let error = settings(&[(name, value)]).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(settings(&[("security.protocol", "plaintext")]).is_ok());
    }
}
