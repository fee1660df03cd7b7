//! Plans of offsets as CSV: `topic,partition,offset` for one group, the group in front for several.
//!
//! Invariant: what `--export` prints `--from-file` reads.

use std::collections::BTreeMap;

use protocol::TopicPartition;

use crate::failure::Failure;

/// New offsets by group.
pub(super) type Plan = BTreeMap<String, Vec<(TopicPartition, i64)>>;

/// Reads a plan; lines without a group are of `group`, if it is the only one.
pub(super) fn parse(text: &str, only_group: Option<&str>) -> Result<Plan, Failure> {
    let lines: Vec<Vec<String>> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(cells)
        .collect();
    // As upstream: the first line tells which of the two kinds it is.
    let without_group = only_group.filter(|_| {
        let second = lines.first().and_then(|cells| cells.get(1));
        second.is_none_or(|cell| cell.trim().parse::<i32>().is_ok())
    });
    let mut plan = Plan::new();
    for cells in lines {
        let mut cells = cells.into_iter();
        let group = match without_group {
            Some(group) => group.to_owned(),
            None => cells.next().unwrap_or_default(),
        };
        let topic = cells.next().unwrap_or_default();
        let partition: i32 = number(cells.next())?;
        let offset: i64 = number(cells.next())?;
        let entry = (TopicPartition::new(topic.as_str(), partition), offset);
        plan.entry(group).or_default().push(entry);
    }
    Ok(plan)
}

/// A number; what is missing is 0.
fn number<T: std::str::FromStr + Default>(cell: Option<String>) -> Result<T, Failure> {
    let Some(cell) = cell else {
        return Ok(T::default());
    };
    cell.trim().parse().map_err(|_| {
        Failure::new(
            "java.lang.RuntimeException",
            format!("the plan has {cell:?} where a number belongs: expected lines of topic,partition,offset"),
        )
    })
}

fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let Some(cell) = cells.last_mut() else { break };
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cell.push(other),
        }
    }
    cells
}

/// A line of a plan.
pub(super) fn line(group: Option<&str>, partition: &TopicPartition, offset: i64) -> String {
    let topic = quoted(&partition.topic);
    let number = partition.partition;
    match group {
        Some(group) => format!("{},{topic},{number},{offset}", quoted(group)),
        None => format!("{topic},{number},{offset}"),
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let partition = TopicPartition::new("t", 3);
        let text = line(Some("a,\"b\""), &partition, 7);
        let plan = parse(&text, None).unwrap();
        assert_eq!(plan.get("a,\"b\""), Some(&vec![(partition.clone(), 7)]));
        let text = line(None, &partition, 7);
        let plan = parse(&text, Some("g")).unwrap();
        assert_eq!(plan.get("g"), Some(&vec![(partition, 7)]));
    }

    #[test]
    fn one_group_may_be_named_in_its_plan() {
        let plan = parse("g,t,0,1\nh,t,1,0\n", Some("g")).unwrap();
        assert_eq!(plan.len(), 2);
        assert!(parse("g,t,x,1", None).is_err());
    }
}
