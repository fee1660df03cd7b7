//! Properties of producers and consumers, read as Java's clients read them.
//!
//! Invariant: a value that Java's clients refuse is refused in their words.

use std::str::FromStr;

use crate::client::Properties;
use crate::failure::Failure;
use crate::options::Parsed;

pub(super) const CONFIG_EXCEPTION: &str = "org.apache.kafka.common.config.ConfigException";

/// A property's value that is refused, and why.
pub(super) fn invalid(name: &str, value: &str, reason: &str) -> Failure {
    Failure::new(
        CONFIG_EXCEPTION,
        format!("Invalid value {value} for configuration {name}: {reason}"),
    )
}

/// A number that is not below `least`; `kind` is its name in Java's messages.
fn number<T>(
    properties: &Properties,
    name: &str,
    kind: &str,
    default: T,
    least: T,
) -> Result<T, Failure>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let Some(text) = properties.get(name) else {
        return Ok(default);
    };
    let number: T = text
        .trim()
        .parse()
        .map_err(|_| invalid(name, text, &format!("Not a number of type {kind}")))?;
    if number < least {
        return Err(invalid(
            name,
            text,
            &format!("Value must be at least {least}"),
        ));
    }
    Ok(number)
}

pub(super) fn int(
    properties: &Properties,
    name: &str,
    default: i32,
    least: i32,
) -> Result<i32, Failure> {
    number(properties, name, "INT", default, least)
}

pub(super) fn long(
    properties: &Properties,
    name: &str,
    default: i64,
    least: i64,
) -> Result<i64, Failure> {
    number(properties, name, "LONG", default, least)
}

pub(super) fn boolean(properties: &Properties, name: &str, default: bool) -> Result<bool, Failure> {
    match properties.get(name).map(|text| text.trim()) {
        None => Ok(default),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) => Err(invalid(
            name,
            text,
            "Expected value to be either true or false",
        )),
    }
}

/// One of a few words, as it stands in the list.
pub(super) fn one_of(
    properties: &Properties,
    name: &str,
    default: &'static str,
    words: &[&'static str],
) -> Result<&'static str, Failure> {
    let Some(text) = properties.get(name) else {
        return Ok(default);
    };
    let word = words.iter().find(|word| *word == text).copied();
    word.ok_or_else(|| {
        let known = words.join(", ");
        invalid(name, text, &format!("String must be one of: {known}"))
    })
}

/// The `key=value` words of an option.
pub(super) fn key_values(words: &[String]) -> Properties {
    words
        .iter()
        .map(|word| word.split_once('=').unwrap_or((word, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// An option's value wins over the property, and that over the default.
pub(super) fn merge(
    properties: &mut Properties,
    name: &str,
    parsed: &Parsed,
    option: &str,
    default: &str,
) -> Result<(), Failure> {
    match parsed.value(option)? {
        Some(value) => {
            properties.insert(name.to_owned(), value.to_owned());
        }
        None => {
            properties
                .entry(name.to_owned())
                .or_insert_with(|| default.to_owned());
        }
    }
    Ok(())
}

/// As Java's `equalsIgnoreCase("true")` of tools' own properties: everything else is false.
pub(super) fn is_true(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(words: &[&str]) -> Properties {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        key_values(&words)
    }

    #[test]
    fn a_word_is_a_key_and_a_value() {
        let read = properties(&["a=b=c", "d", "e="]);
        assert_eq!(read.get("a").unwrap(), "b=c");
        assert_eq!(read.get("d").unwrap(), "");
        assert_eq!(read.get("e").unwrap(), "");
    }

    #[test]
    fn what_java_refuses_is_refused_in_its_words() {
        let read = properties(&[
            "linger.ms=foo",
            "retry.backoff.ms=-1",
            "acks=7",
            "x=perhaps",
        ]);
        for (error, message) in [
            (
                long(&read, "linger.ms", 0, 0).unwrap_err(),
                "Invalid value foo for configuration linger.ms: Not a number of type LONG",
            ),
            (
                long(&read, "retry.backoff.ms", 0, 0).unwrap_err(),
                "Invalid value -1 for configuration retry.backoff.ms: Value must be at least 0",
            ),
            (
                one_of(&read, "acks", "all", &["all", "-1", "0", "1"]).unwrap_err(),
                "Invalid value 7 for configuration acks: String must be one of: all, -1, 0, 1",
            ),
            (
                boolean(&read, "x", true).unwrap_err(),
                "Invalid value perhaps for configuration x: Expected value to be either true or false",
            ),
        ] {
            assert_eq!(error.to_string(), message);
        }
    }
}
