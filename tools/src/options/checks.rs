//! Which options go together, in the words upstream's tools share.
//!
//! Invariant: every refusal here prints its message, then the usage, and ends with exit code 1.

use super::{Options, Parsed};
use crate::stop::Stop;

impl Options {
    /// Stops where help or the version is asked for, or nothing is.
    pub fn help_or_version(
        &self,
        args: &[String],
        parsed: &Parsed,
        about: &str,
    ) -> Result<(), Stop> {
        if args.is_empty() || parsed.has("help") {
            return Err(Stop::Usage(about.to_owned()));
        }
        if parsed.has("version") {
            return Err(Stop::Version);
        }
        Ok(())
    }

    /// All of these must be there.
    pub fn require(&self, parsed: &Parsed, names: &[&str]) -> Result<(), Stop> {
        for name in names {
            if !parsed.has(name) {
                let shown = self.shown(name);
                return Err(Stop::Usage(format!(
                    "Missing required argument \"{shown}\""
                )));
            }
        }
        Ok(())
    }

    /// Where `used` is there, none of the others may be.
    pub fn exclude(&self, parsed: &Parsed, used: &str, others: &[&str]) -> Result<(), Stop> {
        if !parsed.has(used) {
            return Ok(());
        }
        for other in others {
            if parsed.has(other) {
                return Err(Stop::Usage(format!(
                    "Option \"{}\" can't be used with option \"{}\"",
                    self.shown(used),
                    self.shown(other)
                )));
            }
        }
        Ok(())
    }

    /// Exactly one of these must be there.
    pub fn one_of(&self, parsed: &Parsed, names: &[&str]) -> Result<(), Stop> {
        if names.iter().filter(|name| parsed.has(name)).count() == 1 {
            return Ok(());
        }
        let shown: Vec<String> = names.iter().map(|name| self.shown(name)).collect();
        Err(Stop::Usage(format!(
            "Exactly one of the following arguments is required: {}",
            shown.join(", ")
        )))
    }

    /// An option as upstream shows one: a list of its names.
    #[must_use]
    pub fn shown(&self, name: &str) -> String {
        let option = self
            .known
            .iter()
            .find(|option| option.names.contains(&name));
        let names = option.map_or_else(
            || name.to_owned(),
            |option| option.sorted_names().join(", "),
        );
        format!("[{names}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::new()
            .flag("list", "")
            .flag("describe", "")
            .value("topic", "String", "")
    }

    fn usage(result: Result<(), Stop>) -> String {
        match result {
            Err(Stop::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_named_in_brackets() {
        let options = options();
        let parsed = options
            .parse(&["--list".to_owned(), "--describe".to_owned()])
            .unwrap();
        assert_eq!(
            usage(options.require(&parsed, &["list", "topic"])),
            "Missing required argument \"[topic]\""
        );
        assert_eq!(
            usage(options.exclude(&parsed, "list", &["topic", "describe"])),
            "Option \"[list]\" can't be used with option \"[describe]\""
        );
        assert_eq!(
            usage(options.one_of(&parsed, &["list", "describe"])),
            "Exactly one of the following arguments is required: [list], [describe]"
        );
        assert!(options.exclude(&parsed, "topic", &["list"]).is_ok());
    }
}
