//! `--list`: the names of share groups, with their states where those are asked for.

use crate::admin::groups::{self, Listed};
use crate::client::Client;
use crate::consumer_groups::list::{chosen, ordered};
use crate::consumer_groups::{executed, unchecked};
use crate::failure::Failure;
use crate::options::Parsed;
use crate::print::Output;

const STATES: &[&str] = &["Stable", "Empty", "Dead"];
const TYPE: &str = "Share";

pub(super) async fn run(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let mut output = Output::stdout();
    if !parsed.has("state") {
        for group in all(client).await? {
            output.line(group.id);
        }
        return Ok(());
    }
    let states = chosen(parsed.value("state")?, STATES, "state list", "states")?;
    let groups = listed(client, &states).await?;
    let widest = groups.iter().map(|group| group.id.chars().count()).max();
    let width = widest.unwrap_or(0).max(15);
    output.line(format!("{:<width$} STATE", "GROUP"));
    for group in groups {
        output.line(format!("{:<width$} {}", group.id, group.state));
    }
    Ok(())
}

/// All share groups.
pub(super) async fn all(client: &Client) -> Result<Vec<Listed>, Failure> {
    listed(client, &[]).await.map_err(unchecked)
}

async fn listed(client: &Client, states: &[String]) -> Result<Vec<Listed>, Failure> {
    let listed = groups::listed(client, states, &[TYPE.to_owned()]).await;
    Ok(ordered(listed.map_err(executed)?))
}
