//! `--describe`: offsets and lag, members, or the state of share groups.
//!
//! Invariant: nothing is printed before all groups are described, and the groups come in the order of
//! their names.

use super::calls::{self, Described, Member, Offsets};
use super::group_names;
use crate::client::Client;
use crate::consumer_groups::describe::{Column, print_table};
use crate::consumer_groups::{error, executed, unchecked};
use crate::failure::Failure;
use crate::options::Parsed;
use crate::print;

/// What stands where there is nothing.
const NOTHING: &str = "-";
/// The narrowest columns.
const NARROW: usize = 15;

pub(super) async fn run(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let mut groups = Vec::new();
    for name in group_names(parsed, client).await? {
        groups.push(calls::describe(client, &name).await.map_err(executed)?);
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
            let offsets = calls::offsets(client, &group.group).await;
            tables.push(offsets.map_err(executed).map_err(unchecked)?);
        }
        for (group, offsets) in groups.iter().zip(&tables) {
            print_offsets(&group.group, offsets, verbose);
        }
    }
    Ok(())
}

/// Says that a group has no members; whether a table of that many rows follows.
fn has_table(group: &Described, rows: usize) -> bool {
    let name = &group.group;
    match group.state.as_str() {
        "Dead" => {
            error(&format!("Share group '{name}' does not exist."));
            return false;
        }
        "Empty" => crate::complain!("\nShare group '{name}' has no active members."),
        _ => {}
    }
    rows > 0
}

fn print_offsets(group: &str, offsets: &Offsets, verbose: bool) {
    if offsets.is_empty() {
        print::line(format!(
            "\nShare group '{group}' has no offset information."
        ));
        return;
    }
    let mut columns = vec![
        Column::at_least("GROUP", NARROW),
        Column::at_least("TOPIC", NARROW),
        Column::fixed("PARTITION", 10),
    ];
    if verbose {
        columns.push(Column::fixed("LEADER-EPOCH", 13));
    }
    columns.extend([Column::fixed("START-OFFSET", 13), Column::fixed("LAG", 0)]);
    let shown = |number: Option<i64>| number.map_or(NOTHING.to_owned(), |it| it.to_string());
    let rows = offsets.iter().map(|(partition, reached)| {
        let mut cells = vec![
            group.to_owned(),
            partition.topic.to_string(),
            partition.partition.to_string(),
        ];
        if verbose {
            cells.push(shown(reached.map(|it| i64::from(it.leader_epoch))));
        }
        cells.push(shown(reached.map(|it| it.start_offset)));
        cells.push(shown(reached.and_then(|it| it.lag)));
        cells
    });
    print_table(&columns, &rows.collect::<Vec<_>>());
}

fn print_state(group: &Described, verbose: bool) {
    // The table stands whatever the state is.
    has_table(group, 1);
    let mut columns = vec![
        Column::at_least("GROUP", NARROW),
        Column::at_least("COORDINATOR (ID)", 25),
        Column::fixed("STATE", 15),
    ];
    let coordinator = &group.coordinator;
    let mut cells = vec![
        group.group.clone(),
        format!(
            "{}:{}  ({})",
            coordinator.host, coordinator.port, coordinator.id
        ),
        group.state.clone(),
    ];
    if verbose {
        columns.push(Column::fixed("GROUP-EPOCH", 12));
        columns.push(Column::fixed("ASSIGNMENT-EPOCH", 17));
        cells.push(group.epoch.to_string());
        cells.push(group.assignment_epoch.to_string());
    }
    columns.push(Column::fixed("#MEMBERS", 0));
    cells.push(group.members.len().to_string());
    print_table(&columns, &[cells]);
}

fn print_members(group: &Described, verbose: bool) {
    if !has_table(group, group.members.len()) {
        return;
    }
    let mut columns = vec![
        Column::at_least("GROUP", NARROW),
        Column::at_least("CONSUMER-ID", NARROW),
        Column::at_least("HOST", NARROW),
        Column::at_least("CLIENT-ID", NARROW),
        Column::fixed("#PARTITIONS", 12),
    ];
    if verbose {
        columns.push(Column::fixed("MEMBER-EPOCH", 13));
    }
    columns.push(Column::fixed("ASSIGNMENT", 0));
    let rows = group.members.iter().map(|member| {
        let count: usize = member.assigned.values().map(Vec::len).sum();
        let mut cells = vec![
            group.group.clone(),
            member.id.clone(),
            member.host.clone(),
            member.client.clone(),
            count.to_string(),
        ];
        if verbose {
            cells.push(member.epoch.to_string());
        }
        cells.push(assignment(member));
        cells
    });
    print_table(&columns, &rows.collect::<Vec<_>>());
}

/// `a:0,1;b:0`.
fn assignment(member: &Member) -> String {
    let topics = member.assigned.iter().map(|(topic, partitions)| {
        let numbers: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!("{topic}:{}", numbers.join(","))
    });
    topics.collect::<Vec<_>>().join(";")
}
