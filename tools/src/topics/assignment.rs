//! `--replica-assignment 1:2,2:3`: the brokers of each partition.
//!
//! Invariant: every partition has as many brokers, each once.

use std::collections::BTreeSet;

use crate::failure::Failure;

/// Reads an assignment.
pub(super) fn parse(text: &str) -> Result<Vec<Vec<i32>>, Failure> {
    let mut partitions: Vec<Vec<i32>> = Vec::new();
    for (at, part) in split(text, ',').into_iter().enumerate() {
        let brokers = brokers(part)?;
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<i32> = brokers
            .iter()
            .copied()
            .filter(|broker| !seen.insert(*broker))
            .collect();
        if !twice.is_empty() {
            let twice: Vec<String> = twice.iter().map(i32::to_string).collect();
            return Err(Failure::new(
                "org.apache.kafka.tools.AdminCommandFailedException",
                format!(
                    "Partition replica lists may not contain duplicate entries: {}",
                    twice.join(",")
                ),
            ));
        }
        if partitions
            .first()
            .is_some_and(|first| first.len() != brokers.len())
        {
            return Err(Failure::new(
                "org.apache.kafka.tools.AdminOperationException",
                format!("Partition {at} has different replication factor: {brokers:?}"),
            ));
        }
        partitions.push(brokers);
    }
    Ok(partitions)
}

fn brokers(part: &str) -> Result<Vec<i32>, Failure> {
    let ids = split(part, ':').into_iter();
    ids.map(|id| {
        let id = id.trim();
        id.parse().map_err(|_| {
            Failure::new(
                "java.lang.NumberFormatException",
                format!("For input string: \"{id}\""),
            )
        })
    })
    .collect()
}

/// As Java splits: what is empty at the end counts for nothing.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(separator).collect();
    if parts.len() > 1 {
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn partitions_are_parted_by_commas_and_brokers_by_colons() {
        assert_eq!(parse("1:2, 2:3,").unwrap(), [[1, 2], [2, 3]]);
        assert_eq!(parse("7").unwrap(), [[7]]);
        assert_eq!(parse(",").unwrap(), [[0; 0]; 0]);
    }

    #[test]
    fn what_is_no_assignment_is_refused_in_upstreams_words() {
        assert_eq!(
            refused("1:1"),
            "Partition replica lists may not contain duplicate entries: 1"
        );
        assert_eq!(
            refused("1:2,1"),
            "Partition 1 has different replication factor: [1]"
        );
        assert_eq!(refused("a"), "For input string: \"a\"");
        assert_eq!(refused("1,,2"), "For input string: \"\"");
    }
}
