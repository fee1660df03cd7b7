//! A command line that was read: which options it has, and their values.
//!
//! Invariant: asking for an option that the tool does not know is a bug and ends the program.

use std::str::FromStr;

use super::{Options, Values};
use crate::failure::Failure;

/// What a command line says.
#[derive(Debug)]
pub struct Parsed {
    values: Values,
    /// With every repetition, in the order of the words.
    given: Vec<&'static str>,
    known: Vec<&'static str>,
    /// The words that are neither options nor values of some.
    pub rest: Vec<String>,
}

impl Parsed {
    pub(super) fn new(options: &Options) -> Self {
        Parsed {
            values: Values::new(),
            given: Vec::new(),
            known: options.known.iter().map(super::Opt::name).collect(),
            rest: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, name: &'static str, value: Option<&str>) {
        self.given.push(name);
        if let Some(value) = value {
            self.values.entry(name).or_default().push(value.to_owned());
        }
    }

    /// The options in the order in which they came, each as often as it did.
    #[must_use]
    pub fn given(&self) -> &[&'static str] {
        &self.given
    }

    /// Whether the option is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        assert!(self.known.contains(&name), "no option is called {name}");
        self.given.contains(&name)
    }

    /// All values of an option, in their order.
    #[must_use]
    pub fn values(&self, name: &str) -> &[String] {
        assert!(self.known.contains(&name), "no option is called {name}");
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// The one value of an option.
    pub fn value(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.values(name) {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            [_, _, ..] => Err(Failure::new(
                "joptsimple.MultipleArgumentsForOptionException",
                format!("Found multiple arguments for option {name}, but you asked for only one"),
            )),
        }
    }

    /// The one value of an option, as a number.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.value(name)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            Failure::new(
                "joptsimple.OptionArgumentConversionException",
                format!("Cannot parse argument '{text}' of option {name}"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_one_and_two_are_an_error_only_where_one_is_asked_for() {
        let options =
            Options::new()
                .value("config", "String", "")
                .value("partitions", "Integer", "");
        let words = ["--config", "a=1", "--config", "b=2", "--partitions", "x"];
        let parsed = options.parse(&words.map(str::to_owned)).unwrap();
        assert_eq!(parsed.values("config"), ["a=1", "b=2"]);
        assert_eq!(
            parsed.value("config").unwrap_err().to_string(),
            "Found multiple arguments for option config, but you asked for only one"
        );
        assert_eq!(
            parsed.number::<i32>("partitions").unwrap_err().to_string(),
            "Cannot parse argument 'x' of option partitions"
        );
    }
}
