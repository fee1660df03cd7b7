//! `--describe`: partitions with offsets and lag, members, or the state of groups.
//!
//! Invariant: nothing is printed before all groups are described, and the groups come in the order of
//! their names.

use std::collections::BTreeMap;

use protocol::TopicPartition;

use super::calls::{self, Committed};
use super::described::{Described, Member, describe};
use super::offsets::{LATEST, offsets};
use super::{error, executed, group_names, unchecked};
use crate::client::Client;
use crate::failure::Failure;
use crate::options::Parsed;
use crate::print::Output;

/// What stands where there is nothing.
const NOTHING: &str = "-";
/// The narrowest columns.
const NARROW: usize = 15;

pub(super) async fn run(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let mut groups = Vec::new();
    let mut names = group_names(parsed, client).await?;
    names.sort();
    names.dedup();
    for name in &names {
        groups.push(describe(client, name).await.map_err(executed)?);
    }
    let verbose = parsed.has("verbose");
    if parsed.has("members") {
        groups
            .iter()
            .for_each(|group| print_members(group, verbose));
    } else if parsed.has("state") {
        groups.iter().for_each(|group| print_state(group, verbose));
    } else {
        let mut tables = Vec::new();
        for group in &groups {
            tables.push(rows_of(group, client).await?);
        }
        for (group, rows) in groups.iter().zip(&tables) {
            print_offsets(group, rows, verbose);
        }
    }
    Ok(())
}

/// Says what there is to say of the state; whether a table of that many rows follows.
fn has_table(group: &Described, rows: usize) -> bool {
    let name = &group.group;
    match group.state.as_str() {
        "Dead" => {
            error(&format!("Consumer group '{name}' does not exist."));
            return false;
        }
        "Empty" => crate::complain!("\nConsumer group '{name}' has no active members."),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            crate::complain!("\nWarning: Consumer group '{name}' is rebalancing.");
        }
        _ => {}
    }
    rows > 0
}

/// A partition that the group reads or has read.
struct Row<'a> {
    partition: TopicPartition,
    committed: Option<Committed>,
    end: Option<i64>,
    member: Option<&'a Member>,
}

impl Row<'_> {
    fn lag(&self) -> Option<i64> {
        Some(self.end? - self.committed?.offset)
    }

    fn cells(&self, group: &str, verbose: bool) -> Vec<String> {
        let shown = |number: Option<i64>| number.map_or(NOTHING.to_owned(), |it| it.to_string());
        let of_member = |field: fn(&Member) -> &String| {
            self.member
                .map_or(NOTHING.to_owned(), |member| field(member).clone())
        };
        let mut cells = vec![
            group.to_owned(),
            self.partition.topic.to_string(),
            self.partition.partition.to_string(),
        ];
        if verbose {
            let epoch = self.committed.and_then(|committed| committed.leader_epoch);
            cells.push(shown(epoch.map(i64::from)));
        }
        cells.extend([
            shown(self.committed.map(|committed| committed.offset)),
            shown(self.end),
            shown(self.lag()),
            of_member(|member| &member.id),
            of_member(|member| &member.host),
            of_member(|member| &member.client),
        ]);
        cells
    }
}

async fn rows_of<'a>(group: &'a Described, client: &Client) -> Result<Vec<Row<'a>>, Failure> {
    let committed = calls::committed(client, &group.group)
        .await
        .map_err(executed)
        .map_err(unchecked)?;
    // The members with the most partitions come first, then what nobody reads.
    let mut members: Vec<&Member> = group.members.iter().collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.assigned.len()));
    let mut owned: Vec<(TopicPartition, Option<&Member>)> = Vec::new();
    for member in members {
        owned.extend(member.assigned.iter().map(|it| (it.clone(), Some(member))));
    }
    let read: Vec<TopicPartition> = owned
        .iter()
        .map(|(partition, _)| partition.clone())
        .collect();
    let others = committed
        .keys()
        .filter(|partition| !read.contains(partition));
    owned.extend(others.map(|partition| (partition.clone(), None)));
    let partitions: Vec<TopicPartition> = owned.iter().map(|(it, _)| it.clone()).collect();
    let ends: BTreeMap<TopicPartition, i64> = offsets(client, &partitions, LATEST).await?;
    let rows = owned.into_iter().map(|(partition, member)| Row {
        committed: committed.get(&partition).copied(),
        end: ends.get(&partition).copied(),
        partition,
        member,
    });
    Ok(rows.collect())
}

fn print_offsets(group: &Described, rows: &[Row<'_>], verbose: bool) {
    if !has_table(group, rows.len()) {
        return;
    }
    let mut columns = vec![
        Column::at_least("GROUP", NARROW),
        Column::at_least("TOPIC", NARROW),
        Column::fixed("PARTITION", 10),
    ];
    if verbose {
        columns.push(Column::fixed("LEADER-EPOCH", NARROW));
    }
    columns.extend([
        Column::fixed("CURRENT-OFFSET", NARROW),
        Column::fixed("LOG-END-OFFSET", NARROW),
        Column::fixed("LAG", NARROW),
        Column::at_least("CONSUMER-ID", NARROW),
        Column::at_least("HOST", NARROW),
        Column::fixed("CLIENT-ID", 0),
    ]);
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.cells(&group.group, verbose))
        .collect();
    print_table(&columns, &cells);
}

fn print_members(group: &Described, verbose: bool) {
    let has_instances = group.members.iter().any(|member| member.instance.is_some());
    // The header stands alone where a group has no members.
    let told = group.state == "Dead";
    if !has_table(group, 1) || told {
        return;
    }
    let mut columns = vec![
        Column::at_least("GROUP", NARROW),
        Column::at_least("CONSUMER-ID", NARROW),
    ];
    if has_instances {
        columns.push(Column::at_least("GROUP-INSTANCE-ID", 17));
    }
    columns.extend([
        Column::at_least("HOST", NARROW),
        Column::at_least("CLIENT-ID", NARROW),
        // Upstream's line ends with a blank where no other column follows.
        Column::fixed("#PARTITIONS", if verbose { NARROW } else { NARROW + 1 }),
    ]);
    if verbose {
        columns.extend([
            Column::fixed("CURRENT-EPOCH", NARROW),
            Column::at_least("CURRENT-ASSIGNMENT", 20),
            Column::fixed("TARGET-EPOCH", NARROW),
            Column::at_least("TARGET-ASSIGNMENT", 20),
        ]);
        if group.is_migrating() {
            columns.push(Column::fixed("UPGRADED", 0));
        }
    }
    let rows: Vec<Vec<String>> = group
        .members
        .iter()
        .map(|member| member_cells(group, member, has_instances, verbose))
        .collect();
    print_table(&columns, &rows);
}

fn member_cells(
    group: &Described,
    member: &Member,
    has_instances: bool,
    verbose: bool,
) -> Vec<String> {
    let mut cells = vec![group.group.clone(), member.id.clone()];
    if has_instances {
        cells.push(member.instance.clone().unwrap_or_default());
    }
    cells.extend([
        member.host.clone(),
        member.client.clone(),
        member.assigned.len().to_string(),
    ]);
    if verbose {
        let target = member.target.as_ref();
        let number = |number: Option<i32>| number.map_or(NOTHING.to_owned(), |it| it.to_string());
        cells.push(number(target.map(|(epoch, _)| *epoch)));
        cells.push(assignment(&member.assigned));
        cells.push(number(group.epochs.map(|(_, target)| target)));
        cells.push(target.map_or(NOTHING.to_owned(), |(_, partitions)| assignment(partitions)));
        if group.is_migrating() {
            let upgraded = member.upgraded.map(|it| it.to_string());
            cells.push(upgraded.unwrap_or_else(|| NOTHING.to_owned()));
        }
    }
    cells
}

/// `a:0,1;b:0`.
fn assignment(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for partition in partitions {
        let numbers = topics.entry(&partition.topic).or_default();
        numbers.push(partition.partition.to_string());
    }
    if topics.is_empty() {
        return NOTHING.to_owned();
    }
    let shown = topics
        .iter()
        .map(|(topic, numbers)| format!("{topic}:{}", numbers.join(",")));
    shown.collect::<Vec<_>>().join(";")
}

fn print_state(group: &Described, verbose: bool) {
    if !has_table(group, 1) {
        return;
    }
    let mut columns = vec![
        Column::at_least("GROUP", NARROW),
        Column::at_least("COORDINATOR (ID)", 25),
        Column::fixed("ASSIGNMENT-STRATEGY", 20),
        Column::fixed("STATE", 20),
    ];
    let coordinator = &group.coordinator;
    let assignor = if group.assignor.is_empty() {
        NOTHING.to_owned()
    } else {
        group.assignor.clone()
    };
    let mut cells = vec![
        group.group.clone(),
        format!(
            "{}:{}  ({})",
            coordinator.host, coordinator.port, coordinator.id
        ),
        assignor,
        group.state.clone(),
    ];
    if verbose {
        let shown = |epoch: Option<i32>| epoch.map_or(NOTHING.to_owned(), |it| it.to_string());
        columns.push(Column::fixed("GROUP-EPOCH", NARROW));
        columns.push(Column::fixed("TARGET-ASSIGNMENT-EPOCH", 25));
        cells.push(shown(group.epochs.map(|(epoch, _)| epoch)));
        cells.push(shown(group.epochs.map(|(_, target)| target)));
    }
    columns.push(Column::fixed("#MEMBERS", 0));
    cells.push(group.members.len().to_string());
    print_table(&columns, &[cells]);
}

/// A column of a table; it grows with its cells, or not.
pub(crate) struct Column {
    header: &'static str,
    width: usize,
    grows: bool,
}

impl Column {
    pub(crate) fn at_least(header: &'static str, width: usize) -> Column {
        Column {
            header,
            width,
            grows: true,
        }
    }

    pub(crate) fn fixed(header: &'static str, width: usize) -> Column {
        Column {
            header,
            width,
            grows: false,
        }
    }
}

/// An empty line, then the header and the rows, each cell padded to its column.
pub(crate) fn print_table(columns: &[Column], rows: &[Vec<String>]) {
    let width = |at: usize, column: &Column| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        if column.grows {
            widest.max(column.width)
        } else {
            column.width
        }
    };
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, it)| width(at, it))
        .collect();
    let mut output = Output::stdout();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        output.bytes(format!("\n{}", padded.collect::<Vec<_>>().join(" ")).as_bytes());
    };
    line(&mut columns.iter().map(|column| column.header));
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    output.line("");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_a_list_by_topic() {
        let of = |pairs: &[(&str, i32)]| {
            let partitions: Vec<TopicPartition> = pairs
                .iter()
                .map(|(topic, id)| TopicPartition::new(*topic, *id))
                .collect();
            assignment(&partitions)
        };
        assert_eq!(of(&[("a", 0), ("b", 0), ("a", 1)]), "a:0,1;b:0");
        assert_eq!(of(&[]), "-");
    }
}
