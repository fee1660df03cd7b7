//! Options as upstream's tools take them: `--name value`, `--name=value`, `-name value`, repeated,
//! and for some tools abbreviated.
//!
//! Invariant: what is an option, and which word is its value, is decided as joptsimple decides it, and
//! what is wrong is said in its words, since scripts compare them.

mod checks;
mod parsed;
mod usage;

use std::collections::BTreeMap;

pub use parsed::Parsed;

use crate::failure::Failure;

/// The options a tool knows.
#[derive(Debug, Default)]
pub struct Options {
    known: Vec<Opt>,
    abbreviations: bool,
}

#[derive(Debug)]
struct Opt {
    names: Vec<&'static str>,
    argument: Argument,
    help: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Argument {
    None,
    /// The next word, whatever it is; its description in the usage.
    Required(&'static str),
    /// The next word, unless it looks like an option.
    Optional(&'static str),
}

impl Options {
    /// No options but `--help` and `--version`.
    #[must_use]
    pub fn new() -> Self {
        Options::default()
            .flag("help", "Show what the options are.")
            .flag("version", "Show the version of Kafka.")
    }

    /// Takes an unambiguous beginning of an option's name for the name.
    #[must_use]
    pub fn abbreviated(mut self) -> Self {
        self.abbreviations = true;
        self
    }

    /// An option without a value.
    #[must_use]
    pub fn flag(self, name: &'static str, help: impl Into<String>) -> Self {
        self.option(vec![name], Argument::None, help.into())
    }

    /// An option with a value, of that kind ("String: topic" in the usage).
    #[must_use]
    pub fn value(self, name: &'static str, kind: &'static str, help: impl Into<String>) -> Self {
        self.option(vec![name], Argument::Required(kind), help.into())
    }

    /// Options without a value, by name and help.
    #[must_use]
    pub fn flags(self, rows: &[(&'static str, &str)]) -> Self {
        let add = |options: Self, (name, help): &(&'static str, &str)| options.flag(name, *help);
        rows.iter().fold(self, add)
    }

    /// Options with a value, by name, kind and help.
    #[must_use]
    pub fn values(self, rows: &[(&'static str, &'static str, &str)]) -> Self {
        let add = |options: Self, (name, kind, help): &(&'static str, &'static str, &str)| {
            options.value(name, kind, *help)
        };
        rows.iter().fold(self, add)
    }

    /// An option with several names; the first is the one it is asked for by.
    #[must_use]
    pub fn value_named(
        self,
        names: &[&'static str],
        kind: &'static str,
        help: impl Into<String>,
    ) -> Self {
        self.option(names.to_vec(), Argument::Required(kind), help.into())
    }

    /// An option that may be followed by a value.
    #[must_use]
    pub fn optional_value(
        self,
        name: &'static str,
        kind: &'static str,
        help: impl Into<String>,
    ) -> Self {
        self.option(vec![name], Argument::Optional(kind), help.into())
    }

    fn option(mut self, names: Vec<&'static str>, argument: Argument, help: String) -> Self {
        self.known.push(Opt {
            names,
            argument,
            help,
        });
        self
    }

    /// Reads a command line.
    pub fn parse(&self, args: &[String]) -> Result<Parsed, Failure> {
        let mut parsed = Parsed::new(self);
        let mut words = args.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                parsed.rest.extend(words.map(str::to_owned));
                break;
            }
            let Some((name, attached)) = self.option_of(word)? else {
                parsed.rest.push(word.to_owned());
                continue;
            };
            for option in name {
                let value = match option.argument {
                    Argument::None => None,
                    Argument::Required(_) => match attached {
                        Some(value) => Some(value),
                        None => Some(words.next().ok_or_else(|| missing_argument(option))?),
                    },
                    Argument::Optional(_) => {
                        attached.or_else(|| words.next_if(|next| !self.looks_like_an_option(next)))
                    }
                };
                parsed.add(option.name(), value);
            }
        }
        Ok(parsed)
    }

    /// The option or, for a cluster of one-letter ones, options in a word, and the value behind its
    /// equals sign; none where the word is no option.
    #[expect(clippy::type_complexity, reason = "one caller")]
    fn option_of<'w>(
        &self,
        word: &'w str,
    ) -> Result<Option<(Vec<&Opt>, Option<&'w str>)>, Failure> {
        if word == "-" {
            return Ok(None);
        }
        let (long, body) = match word.strip_prefix("--") {
            Some(body) => (true, body),
            None => match word.strip_prefix('-') {
                Some(body) => (false, body),
                None => return Ok(None),
            },
        };
        let (name, attached) = match body.split_once('=') {
            // As joptsimple: an empty value is none, and the next word is taken.
            Some((name, value)) => (name, Some(value).filter(|value| !value.is_empty())),
            None => (body, None),
        };
        if let Some(option) = self.find(name)? {
            return Ok(Some((vec![option], attached)));
        }
        if long {
            return Err(unrecognized(name));
        }
        self.cluster(body).map(|options| Some((options, None)))
    }

    /// `-abc` as `-a -b -c`.
    fn cluster(&self, body: &str) -> Result<Vec<&Opt>, Failure> {
        body.char_indices()
            .map(|(at, letter)| {
                let name = body.get(at..at + letter.len_utf8()).unwrap_or_default();
                self.find(name)?.ok_or_else(|| unrecognized(name))
            })
            .collect()
    }

    fn looks_like_an_option(&self, word: &str) -> bool {
        word.len() > 1 && word.starts_with('-')
    }

    /// The option of that name, or of that beginning of a name.
    fn find(&self, name: &str) -> Result<Option<&Opt>, Failure> {
        let exact = self
            .known
            .iter()
            .find(|option| option.names.contains(&name));
        if exact.is_some() || !self.abbreviations || name.is_empty() {
            return Ok(exact);
        }
        let mut begun = self.known.iter().filter(|option| {
            option
                .names
                .iter()
                .any(|candidate| candidate.starts_with(name))
        });
        let first = begun.next();
        Ok(first.filter(|_| begun.next().is_none()))
    }
}

impl Opt {
    fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

fn unrecognized(name: &str) -> Failure {
    Failure::new(
        "joptsimple.UnrecognizedOptionException",
        format!("{name} is not a recognized option"),
    )
}

fn missing_argument(option: &Opt) -> Failure {
    Failure::new(
        "joptsimple.OptionMissingRequiredArgumentException",
        format!("Option {} requires an argument", option.display()),
    )
}

impl Opt {
    /// As joptsimple shows an option in its messages.
    fn display(&self) -> String {
        match self.names.as_slice() {
            [name] => (*name).to_owned(),
            names => format!("{names:?}").replace('"', ""),
        }
    }
}

/// Values by the option's first name, in the order they came.
type Values = BTreeMap<&'static str, Vec<String>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::new()
            .flag("list", "Lists.")
            .value("topic", "String: topic", "Which topic.")
            .value("partitions", "Integer: # of partitions", "How many.")
            .optional_value("state", "String", "Which state.")
            .flag("x", "X.")
            .flag("y", "Y.")
    }

    fn parse(line: &str) -> Result<Parsed, Failure> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        options().parse(&words)
    }

    #[test]
    fn a_value_follows_its_option_or_its_equals_sign() {
        for line in [
            "--topic a --list",
            "--topic=a --list",
            "-topic a -list",
            "--topic= a --list",
        ] {
            let parsed = parse(line).unwrap();
            assert_eq!(parsed.value("topic").unwrap(), Some("a"), "{line}");
            assert!(parsed.has("list"), "{line}");
        }
    }

    #[test]
    fn a_required_value_is_the_next_word_even_if_it_looks_like_an_option() {
        let parsed = parse("--topic --list").unwrap();
        assert_eq!(parsed.value("topic").unwrap(), Some("--list"));
        assert!(!parsed.has("list"));
        let error = parse("--topic").unwrap_err();
        assert_eq!(error.to_string(), "Option topic requires an argument");
    }

    #[test]
    fn an_optional_value_is_never_an_option() {
        let parsed = parse("--state --list").unwrap();
        assert!(parsed.has("state") && parsed.has("list"));
        assert_eq!(parsed.value("state").unwrap(), None);
        assert_eq!(
            parse("--state Stable").unwrap().value("state").unwrap(),
            Some("Stable")
        );
    }

    #[test]
    fn an_unknown_option_is_named_without_its_dashes() {
        assert_eq!(
            parse("--foo").unwrap_err().to_string(),
            "foo is not a recognized option"
        );
        assert_eq!(
            parse("-zyx").unwrap_err().to_string(),
            "z is not a recognized option"
        );
        assert_eq!(
            parse("--lis").unwrap_err().to_string(),
            "lis is not a recognized option"
        );
    }

    #[test]
    fn one_letter_options_may_be_joined() {
        let parsed = parse("-xy --list").unwrap();
        assert!(parsed.has("x") && parsed.has("y") && parsed.has("list"));
    }

    #[test]
    fn the_beginning_of_one_name_stands_for_it_where_the_tool_says_so() {
        let options = options().abbreviated();
        let parsed = options.parse(&["--top".into(), "a".into()]).unwrap();
        assert_eq!(parsed.value("topic").unwrap(), Some("a"));
        let two = Options::new().flag("abc", "").flag("abd", "").abbreviated();
        assert!(two.parse(&["--ab".into()]).is_err());
    }

    #[test]
    fn words_that_are_no_options_are_kept() {
        let parsed = parse("one --list - -- --topic").unwrap();
        assert_eq!(parsed.rest, ["one", "-", "--topic"]);
        assert!(!parsed.has("topic"));
    }
}
