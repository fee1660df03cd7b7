//! Which topics a command means: all, those a pattern matches, internal ones or not.
//!
//! Invariant: a pattern must match a whole name; a comma in it stands for "or".

use fancy_regex::Regex;

use crate::admin::topics;
use crate::client::Client;
use crate::failure::Failure;
use crate::options::Parsed;

/// The names of the topics that the options mean, in their order.
pub(super) async fn matching(parsed: &Parsed, client: &Client) -> Result<Vec<String>, Failure> {
    let pattern = parsed.value("topic")?;
    let without_internal = parsed.has("exclude-internal");
    let all = topics::list(client).await?.into_keys();
    let pattern = pattern.map(compile).transpose()?;
    let mut names = Vec::new();
    for name in all {
        let named = match &pattern {
            Some(pattern) => matches(pattern, &name)?,
            None => true,
        };
        if named && !(without_internal && topics::is_internal(&name)) {
            names.push(name);
        }
    }
    Ok(names)
}

/// A pattern of topic names, as options and property files have them.
fn compile(text: &str) -> Result<Regex, Failure> {
    let text: String = text.trim().replace(',', "|").replace(' ', "");
    let text = text.trim_matches(['"', '\'']);
    Regex::new(&format!(r"\A(?:{text})\z")).map_err(|_| {
        Failure::new(
            "java.lang.RuntimeException",
            format!("{text} is an invalid regex."),
        )
    })
}

fn matches(pattern: &Regex, name: &str) -> Result<bool, Failure> {
    pattern.is_match(name).map_err(|error| {
        Failure::illegal_argument(format!("the pattern takes too long on '{name}': {error}"))
    })
}

/// Refuses to go on where a topic was named and there is none, unless `--if-exists` allows it.
pub(super) fn must_exist(parsed: &Parsed, found: &[String]) -> Result<(), Failure> {
    let named = parsed.value("topic")?.filter(|name| !name.is_empty());
    match named {
        Some(name) if found.is_empty() && !parsed.has("if-exists") => Err(
            Failure::illegal_argument(format!("Topic '{name}' does not exist as expected")),
        ),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        for (pattern, name, expected) in [
            ("t.*", "t1", true),
            ("t", "t1", false),
            ("a, b", "b", true),
            ("'a'", "a", true),
            ("^(?!__).*", "__consumer_offsets", false),
            ("^(?!__).*", "orders", true),
            ("a|b", "ab", false),
        ] {
            let compiled = compile(pattern).unwrap();
            assert_eq!(
                matches(&compiled, name).unwrap(),
                expected,
                "{pattern} {name}"
            );
        }
        assert_eq!(
            compile("*").unwrap_err().to_string(),
            "* is an invalid regex."
        );
    }
}
