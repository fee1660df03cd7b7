//! Which values a config may have, besides its type.
//!
//! Invariant: a check refuses exactly what upstream's validator of the same row refuses, with its
//! words; `Display` is what upstream's documents show as valid values.

use std::collections::BTreeSet;
use std::fmt;

use super::duration::is_non_negative;
use super::error::ConfigError;
use super::listeners::host_and_port;
use super::value::Value;

/// The limits of one config.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Valid {
    Any,
    Range {
        min: Option<f64>,
        max: Option<f64>,
    },
    /// -1 or 1 to 9.
    GzipLevel,
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
    /// A list without empty items; its items are among `items` unless that is empty. Duplicates
    /// are dropped before the check.
    List {
        items: &'static [&'static str],
        empty: bool,
        null: bool,
    },
    /// As a list that may not be empty, but a comma at its end counts for nothing: a module of
    /// Testcontainers writes one, which older versions of upstream took.
    Listeners {
        null: bool,
    },
    NonEmpty,
    NonNull,
    ThrottledReplicas,
    QuorumVoters,
    QuorumBootstrapServers,
    ShareAutoOffsetReset,
}

impl Valid {
    /// Takes out of a list what does not count, before it is checked.
    pub(super) fn tidy(self, items: &mut Vec<String>) {
        if matches!(self, Valid::Listeners { .. }) {
            while items.last().is_some_and(String::is_empty) {
                items.pop();
            }
        }
        if matches!(self, Valid::List { .. } | Valid::Listeners { .. }) {
            let mut seen = BTreeSet::new();
            items.retain(|item| seen.insert(item.clone()));
        }
    }

    /// Checks the value of `key`; `None` is null.
    pub fn check(self, key: &str, value: Option<&Value>) -> Result<(), ConfigError> {
        match self {
            Valid::Any => Ok(()),
            Valid::Range { min, max } => check_range(key, value, min, max),
            Valid::GzipLevel => check_gzip_level(key, value),
            Valid::OneOf(choices) => check_choice(key, value, choices),
            Valid::OneOfIgnoringCase(choices) => check_choice_ignoring_case(key, value, choices),
            Valid::List { items, empty, null } => check_list(key, value, items, empty, null),
            Valid::Listeners { null } => check_list(key, value, &[], false, null),
            Valid::NonEmpty => match value {
                Some(Value::String(text)) if text.is_empty() => {
                    Err(ConfigError::new(key, "", "String must be non-empty"))
                }
                _ => Ok(()),
            },
            Valid::NonNull => match value {
                None => Err(ConfigError::new(key, "null", "entry must be non null")),
                Some(_) => Ok(()),
            },
            Valid::ThrottledReplicas => check_throttled_replicas(key, value),
            Valid::QuorumVoters => items(value)
                .iter()
                .try_for_each(|entry| check_voter(key, entry)),
            Valid::QuorumBootstrapServers => items(value)
                .iter()
                .try_for_each(|entry| check_bootstrap_server(key, entry)),
            Valid::ShareAutoOffsetReset => check_share_auto_offset_reset(key, value),
        }
    }
}

impl fmt::Display for Valid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Valid::Any => Ok(()),
            Valid::Range { min, max } => {
                f.write_str("[")?;
                min.iter().try_for_each(|min| write!(f, "{min},"))?;
                f.write_str("...")?;
                max.iter().try_for_each(|max| write!(f, ",{max}"))?;
                f.write_str("]")
            }
            Valid::GzipLevel => f.write_str("[1,...,9] or -1"),
            Valid::OneOf(choices) => write!(f, "[{}]", choices.join(", ")),
            Valid::OneOfIgnoringCase(choices) => {
                write!(f, "(case insensitive) [{}]", choices.join(", "))
            }
            Valid::List { items: [], .. } | Valid::Listeners { .. } => Ok(()),
            Valid::List { items, .. } => write!(f, "[{}]", items.join(", ")),
            Valid::NonEmpty => f.write_str("non-empty string"),
            Valid::NonNull => f.write_str("non-null string"),
            Valid::ThrottledReplicas => {
                f.write_str("[partitionId]:[brokerId],[partitionId]:[brokerId],...")
            }
            Valid::QuorumVoters | Valid::QuorumBootstrapServers => f.write_str("non-empty list"),
            Valid::ShareAutoOffsetReset => {
                f.write_str("[latest, earliest, by_duration:PnDTnHnMn.nS]")
            }
        }
    }
}

fn items(value: Option<&Value>) -> &[String] {
    match value {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

fn check_range(
    key: &str,
    value: Option<&Value>,
    min: Option<f64>,
    max: Option<f64>,
) -> Result<(), ConfigError> {
    let Some((value, number)) = value.and_then(|value| Some((value, value.as_number()?))) else {
        return Err(ConfigError::new(key, "null", "Value must be non-null"));
    };
    if let Some(min) = min
        && number < min
    {
        let expected = format!("Value must be at least {min}");
        return Err(ConfigError::new(key, &value.to_string(), expected));
    }
    if let Some(max) = max
        && number > max
    {
        let expected = format!("Value must be no more than {max}");
        return Err(ConfigError::new(key, &value.to_string(), expected));
    }
    Ok(())
}

fn check_gzip_level(key: &str, value: Option<&Value>) -> Result<(), ConfigError> {
    match value {
        Some(Value::Int(-1 | 1..=9)) => Ok(()),
        Some(value) => Err(ConfigError::new(
            key,
            &value.to_string(),
            "Value must be between 1 and 9 or equal to -1",
        )),
        None => Err(ConfigError::new(key, "null", "Value must be non-null")),
    }
}

fn check_choice(key: &str, value: Option<&Value>, choices: &[&str]) -> Result<(), ConfigError> {
    let text = value.map_or_else(|| "null".to_owned(), Value::to_string);
    if value.is_some() && choices.contains(&text.as_str()) {
        return Ok(());
    }
    let expected = format!("String must be one of: {}", choices.join(", "));
    Err(ConfigError::new(key, &text, expected))
}

fn check_choice_ignoring_case(
    key: &str,
    value: Option<&Value>,
    choices: &[&str],
) -> Result<(), ConfigError> {
    let text = value.map_or_else(|| "null".to_owned(), Value::to_string);
    if value.is_some()
        && choices
            .iter()
            .any(|choice| choice.eq_ignore_ascii_case(&text))
    {
        return Ok(());
    }
    let expected = format!(
        "String must be one of (case insensitive): {}",
        choices.join(", ")
    );
    Err(ConfigError::new(key, &text, expected))
}

fn check_list(
    key: &str,
    value: Option<&Value>,
    choices: &[&str],
    empty_allowed: bool,
    null_allowed: bool,
) -> Result<(), ConfigError> {
    let Some(Value::List(list)) = value else {
        if null_allowed {
            return Ok(());
        }
        let sentence = format!("Configuration '{key}' values must not be null.");
        return Err(ConfigError::sentence(key, None, sentence));
    };
    let text = list.join(",");
    if list.is_empty() && !empty_allowed {
        let valid = match choices {
            [] => "any non-empty value".to_owned(),
            choices => format!("[{}]", choices.join(", ")),
        };
        let sentence =
            format!("Configuration '{key}' must not be empty. Valid values include: {valid}");
        return Err(ConfigError::sentence(key, Some(&text), sentence));
    }
    for item in list {
        if item.is_empty() {
            let sentence = format!("Configuration '{key}' values must not be empty.");
            return Err(ConfigError::sentence(key, Some(&text), sentence));
        }
        if !choices.is_empty() && !choices.contains(&item.as_str()) {
            let expected = format!("String must be one of: {}", choices.join(", "));
            return Err(ConfigError::new(key, item, expected));
        }
    }
    Ok(())
}

fn check_throttled_replicas(key: &str, value: Option<&Value>) -> Result<(), ConfigError> {
    let Some(value @ Value::List(list)) = value else {
        return Ok(());
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_replica = |item: &String| {
        item.is_empty()
            || item
                .split_once(':')
                .is_some_and(|(partition, id)| number(partition) && number(id))
    };
    if list.iter().all(is_replica) || list.concat() == "*" {
        return Ok(());
    }
    let expected = format!(
        "{key} must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
    );
    Err(ConfigError::new(key, &value.to_string(), expected))
}

fn check_voter(key: &str, entry: &str) -> Result<(), ConfigError> {
    let form = "Each entry should be in the form `{id}@{host}:{port}`.";
    let refuse = |sentence: String| Err(ConfigError::sentence(key, Some(entry), sentence));
    let (Some((id, address)), false) = (entry.split_once('@'), entry.ends_with('@')) else {
        return refuse(format!("Invalid configuration value for {key}. {form}"));
    };
    if address.contains('@') {
        return refuse(format!("Invalid configuration value for {key}. {form}"));
    }
    if id.parse::<i32>().is_err() {
        return refuse(format!("Failed to parse voter ID as an integer from {id}"));
    }
    check_address(address, || {
        format!("Failed to parse host name from entry {entry} for the configuration {key}. {form}")
    })
    .map_err(|sentence| ConfigError::sentence(key, Some(entry), sentence))
}

fn check_bootstrap_server(key: &str, entry: &str) -> Result<(), ConfigError> {
    check_address(entry, || {
        format!(
            "Failed to parse host name from {entry} for the configuration {key}. Each entry \
             should be in the form \"{{host}}:{{port}}\""
        )
    })
    .map_err(|sentence| ConfigError::sentence(key, Some(entry), sentence))
}

fn check_address(address: &str, malformed: impl FnOnce() -> String) -> Result<(), String> {
    let Some((_, port)) = host_and_port(address) else {
        return Err(malformed());
    };
    match port.parse::<u16>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("port out of range:{port}")),
    }
}

fn check_share_auto_offset_reset(key: &str, value: Option<&Value>) -> Result<(), ConfigError> {
    let text = value.map_or_else(|| "null".to_owned(), Value::to_string);
    let known = match text.split_once(':') {
        Some((prefix, duration)) => prefix == "by_duration" && is_non_negative(duration),
        None => text == "earliest" || text == "latest",
    };
    if value.is_some() && known {
        return Ok(());
    }
    let expected = format!(
        "Invalid value `{text}` for configuration {key}. The value must be either 'earliest', \
         'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
    );
    Err(ConfigError::new(key, &text, expected))
}
