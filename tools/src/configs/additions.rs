//! The configs that `--add-config`, `--add-config-file` and `--delete-config` give.
//!
//! Invariant: a comma or an equals sign in square brackets belongs to a value.

use std::collections::BTreeMap;

use metadata::config::java_order;

use crate::client::load_properties;
use crate::failure::Failure;
use crate::options::Parsed;

/// Names and values, in the order of upstream's properties.
pub(super) fn added(parsed: &Parsed) -> Result<Vec<(String, String)>, Failure> {
    let mut configs = match parsed.value("add-config-file")? {
        Some(path) => load_properties(path)?,
        None => BTreeMap::new(),
    };
    if let Some(text) = parsed.value("add-config")? {
        configs.extend(parse(text)?);
    }
    let is_key = |letter: char| letter.is_ascii_alphanumeric() || "$._-".contains(letter);
    let order = java_order::of_grown(configs.keys().map(String::as_str));
    let mut added = Vec::new();
    for name in order {
        if !name.chars().all(is_key) {
            return Err(Failure::illegal_argument(format!(
                "Invalid character found for config key: {name}"
            )));
        }
        let value = configs.get(name).cloned().unwrap_or_default();
        added.push((name.to_owned(), value));
    }
    Ok(added)
}

/// Names, parted by commas.
pub(super) fn deleted(parsed: &Parsed) -> Vec<String> {
    let words = parsed.values("delete-config").iter();
    words
        .flat_map(|word| word.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = outside(text, ',');
    while pairs.len() > 1 && pairs.last().is_some_and(|pair| pair.is_empty()) {
        pairs.pop();
    }
    let mut configs = BTreeMap::new();
    for pair in pairs {
        let [name, value] = outside(pair, '=')[..] else {
            return Err(Failure::illegal_argument(
                "requirement failed: Invalid entity config: all configs to be added must be in the \
                 format \"key=val\" or  \"key=[val1,val2]\" to group values which contain commas.",
            ));
        };
        let value = value.replace(['[', ']'], "");
        configs.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(configs)
}

/// The parts of a text between the separators that stand in no brackets: behind such a separator a
/// bracket is opened before one is closed.
fn outside(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, _) in text.match_indices(separator) {
        let rest = text.get(at + separator.len_utf8()..).unwrap_or_default();
        let inside = rest
            .split_once(']')
            .is_some_and(|(before, _)| !before.contains('['));
        if !inside {
            parts.push(text.get(begin..at).unwrap_or_default());
            begin = at + separator.len_utf8();
        }
    }
    parts.push(text.get(begin..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn brackets_hold_a_list_together() {
        assert_eq!(
            pairs("a=1, b = [x,y=z] ,c="),
            [pair("a", "1"), pair("b", "x,y=z"), pair("c", "")]
        );
        assert_eq!(
            pairs("cleanup.policy=[compact,delete]"),
            [pair("cleanup.policy", "compact,delete")]
        );
        assert_eq!(pairs("a=1,"), [pair("a", "1")]);
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for text in ["a", "a=b=c", "", "a=1,,b=2"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("requirement failed: "), "{text}: {error}");
        }
    }
}
