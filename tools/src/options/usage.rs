//! The table of options that `--help` shows, in two columns on 80.
//!
//! Invariant: no line is longer than 80 columns unless one word is.

use super::{Argument, Opt, Options};

const WIDTH: usize = 80;
const GAP: usize = 2;
/// What stands before the second and later lines of an entry.
const INDENT: &str = "  ";

impl Options {
    /// All options, in the order of the alphabet, with what they do.
    #[must_use]
    pub fn usage(&self) -> String {
        let mut rows: Vec<(String, &str)> = self
            .known
            .iter()
            .map(|option| (option.signature(), option.help.as_str()))
            .collect();
        rows.sort();
        rows.insert(0, ("------".to_owned(), "-----------"));
        rows.insert(0, ("Option".to_owned(), "Description"));
        let left = column_width(rows.iter().map(|(signature, _)| signature.as_str()));
        let right = WIDTH - GAP - left;
        let mut table = String::new();
        for (signature, help) in &rows {
            let signature = wrap(signature, left);
            let help = wrap(help, right);
            for line in 0..signature.len().max(help.len()) {
                let at = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
                let row = format!("{:left$}{:GAP$}{}", at(&signature), "", at(&help));
                table.push_str(row.trim_end());
                table.push('\n');
            }
        }
        table
    }
}

impl Opt {
    /// The names, one-letter ones first, as joptsimple sorts them.
    pub(super) fn sorted_names(&self) -> Vec<&'static str> {
        let mut names = self.names.clone();
        names.sort_by_key(|name| (name.len() > 1, *name));
        names
    }

    fn signature(&self) -> String {
        let names: Vec<String> = self
            .sorted_names()
            .iter()
            .map(|name| {
                if name.len() == 1 {
                    format!("-{name}")
                } else {
                    format!("--{name}")
                }
            })
            .collect();
        let names = names.join(", ");
        match &self.argument {
            Argument::None => names,
            Argument::Required(kind) => format!("{names} <{kind}>"),
            Argument::Optional(kind) => format!("{names} [{kind}]"),
        }
    }
}

/// As wide as the widest signature, at most half of the line.
fn column_width<'a>(signatures: impl Iterator<Item = &'a str>) -> usize {
    let half = (WIDTH - GAP) / 2;
    signatures.map(str::len).max().unwrap_or(0).min(half)
}

/// The lines of a text; its own line breaks stay.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
            if !line.trim().is_empty() && line.len() + 1 + word.len() > width {
                lines.push(std::mem::replace(&mut line, INDENT.to_owned()));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_is_a_table_of_two_columns() {
        let options = Options::new()
            .value(
                "bootstrap-server",
                "String: server to connect to",
                "REQUIRED: The address of a broker, of the cluster that is to be asked.",
            )
            .value_named(&["topic", "t"], "String: topic", "Which.");
        let usage = options.usage();
        let lines: Vec<&str> = usage.lines().collect();
        assert_eq!(lines.first().unwrap().find("Description"), Some(41));
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{usage}");
        assert!(usage.contains("\n--bootstrap-server <String: server to    REQUIRED: The"));
        assert!(usage.contains("\n  connect to>   "));
        assert!(usage.contains("\n-t, --topic <String: topic> "));
    }
}
