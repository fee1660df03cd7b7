//! `--list`: the names of groups, with their types and states where those are asked for; and
//! `--validate-regex`.

use protocol::re2;

use super::calls;
use super::{executed, unchecked};
use crate::admin::groups::Listed;
use crate::client::Client;
use crate::failure::Failure;
use crate::java_map::{in_order, text_hash};
use crate::options::Parsed;
use crate::print::{self, Output};

const STATES: &[&str] = &[
    "Reconciling",
    "Dead",
    "CompletingRebalance",
    "Stable",
    "PreparingRebalance",
    "Empty",
    "Assigning",
];
const TYPES: &[&str] = &["Consumer", "Classic"];

pub(super) async fn run(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let (with_type, with_state) = (parsed.has("type"), parsed.has("state"));
    if !with_type && !with_state {
        let mut output = Output::stdout();
        for name in names(client).await? {
            output.line(name);
        }
        return Ok(());
    }
    let types = chosen(parsed.value("type")?, TYPES, "types list", "types")?;
    let states = chosen(parsed.value("state")?, STATES, "state list", "states")?;
    let listed = calls::list(client, &states, &types)
        .await
        .map_err(executed)?;
    print_listed(&ordered(listed), with_type, with_state);
    Ok(())
}

/// The names of all consumer groups.
pub(super) async fn names(client: &Client) -> Result<Vec<String>, Failure> {
    let listed = calls::list(client, &[], &[])
        .await
        .map_err(executed)
        .map_err(unchecked)?;
    Ok(ordered(listed).into_iter().map(|row| row.id).collect())
}

pub(crate) fn ordered(listed: Vec<Listed>) -> Vec<Listed> {
    in_order(listed, |row| text_hash(&row.id))
}

/// The words of a list, as they are known.
pub(crate) fn chosen(
    list: Option<&str>,
    known: &[&str],
    what: &str,
    many: &str,
) -> Result<Vec<String>, Failure> {
    let Some(list) = list.filter(|list| !list.is_empty()) else {
        return Ok(Vec::new());
    };
    let find = |word: &str| {
        known
            .iter()
            .find(|name| name.eq_ignore_ascii_case(word.trim()))
    };
    let words = list
        .split(',')
        .map(|word| find(word).map(ToString::to_string));
    words.collect::<Option<_>>().ok_or_else(|| {
        Failure::illegal_argument(format!(
            "Invalid {what} '{list}'. Valid {many} are: {}",
            known.join(", ")
        ))
    })
}

fn print_listed(listed: &[Listed], with_type: bool, with_state: bool) {
    let widest = listed.iter().map(|row| row.id.chars().count()).max();
    let width = widest.unwrap_or(0).max(15) + 10;
    let mut output = Output::stdout();
    let mut line = |group: &str, kind: &str, state: &str| {
        let mut text = format!("{group:<width$}");
        for (shown, cell) in [(with_type, kind), (with_state, state)] {
            if shown {
                text.push_str(&format!(" {cell:<20}"));
            }
        }
        output.line(text);
    };
    line("GROUP", "TYPE", "STATE");
    for row in listed {
        line(&row.id, &row.kind, &row.state);
    }
}

/// Consumers subscribe by the expressions of RE2, and so do these.
pub(super) fn validate(expression: &str) {
    print::line(match re2::whole(expression) {
        Ok(_) => format!("The regular expression `{expression}` is valid."),
        Err(reason) => format!("The regular expression `{expression}` is invalid: {reason}."),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_known_in_any_case_and_others_are_named() {
        let of = |list| chosen(Some(list), STATES, "state list", "states");
        assert_eq!(of("stable, EMPTY").unwrap(), ["Stable", "Empty"]);
        let said = of("foo").unwrap_err().to_string();
        assert!(
            said.starts_with("Invalid state list 'foo'. Valid states are: Reconciling, Dead, ")
        );
        assert!(
            chosen(None, TYPES, "types list", "types")
                .unwrap()
                .is_empty()
        );
    }
}
