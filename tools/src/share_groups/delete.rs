//! `--delete` and `--delete-offsets`.
//!
//! Invariant: a group with members is never asked to go; what one group or topic comes to does not keep
//! the others from being deleted.

use protocol::ErrorCode;

use super::calls;
use super::list::all;
use crate::admin::groups::Listed;
use crate::client::Client;
use crate::consumer_groups::calls::delete_group_as;
use crate::consumer_groups::error;
use crate::failure::Failure;
use crate::java_map::{in_order, text_hash};
use crate::options::Parsed;
use crate::print::{self, Output};

pub(super) async fn groups(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let known = all(client).await?;
    let mut names: Vec<String> = if parsed.has("all-groups") {
        known.iter().map(|group| group.id.clone()).collect()
    } else {
        parsed.values("group").to_vec()
    };
    names.sort();
    names.dedup();
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for name in in_order(names, |name| text_hash(name)) {
        let deletes = async {
            may_be_deleted(&known, &name)?;
            delete_group_as(client, "deleteShareGroups(api=DELETE_GROUPS)", &name).await
        };
        match deletes.await {
            Ok(()) => deleted.push(format!("'{name}'")),
            Err(failure) => failed.push((name, failure)),
        }
    }
    let deleted = deleted.join(", ");
    if failed.is_empty() {
        print::line(format!(
            "Deletion of requested share groups ({deleted}) was successful."
        ));
        return Ok(());
    }
    error("Deletion of some share groups failed:");
    for (name, failure) in failed {
        print::line(format!(
            "* Group '{name}' could not be deleted due to: {}",
            failure.named()
        ));
    }
    if !deleted.is_empty() {
        print::line(format!(
            "\nThese share groups were deleted successfully: {deleted}"
        ));
    }
    Ok(())
}

/// What can be said before a coordinator is asked.
fn may_be_deleted(known: &[Listed], name: &str) -> Result<(), Failure> {
    let Some(group) = known.iter().find(|group| group.id == name) else {
        let message = format!("Group '{name}' is not a share group.");
        return Err(Failure::illegal_argument(message));
    };
    match group.state.as_str() {
        "Dead" => Err(Failure::new(
            "java.lang.IllegalStateException",
            format!("Share group '{name}' group state is DEAD."),
        )),
        "Empty" => Ok(()),
        _ => {
            let message = format!("Share group '{name}' is not EMPTY.");
            Err(Failure::of(ErrorCode::NonEmptyGroup, Some(&message)))
        }
    }
}

pub(super) async fn offsets(parsed: &Parsed, client: &Client) -> Result<(), Failure> {
    let group = parsed.value("group")?.unwrap_or_default();
    let mut topics = parsed.values("topic").to_vec();
    topics.sort();
    topics.dedup();
    let mut deleted = calls::delete_offsets(client, group, &topics).await;
    let mut status = |topic: &String| match &mut deleted {
        Ok(rows) => rows.remove(topic).unwrap_or_else(|| {
            Some(Failure::illegal_argument(format!(
                "Offset deletion result for topic \"{topic}\" was not included in the response"
            )))
        }),
        Err(failure) => Some(failure.clone()),
    };
    let statuses: Vec<(String, Option<Failure>)> = topics
        .into_iter()
        .map(|topic| {
            let status = status(&topic);
            (topic, status)
        })
        .collect();
    let first = in_order(statuses.iter().collect(), |(topic, _)| text_hash(topic));
    if let Some(failure) = first.into_iter().find_map(|(_, failure)| failure.as_ref()) {
        tell(failure);
    }
    print_statuses(&statuses);
    Ok(())
}

/// Says what is wrong with the group; what is wrong with topics stands behind them.
fn tell(failure: &Failure) {
    match failure.code() {
        Some(
            ErrorCode::InvalidGroupId
            | ErrorCode::GroupIdNotFound
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::NonEmptyGroup,
        ) => error(&failure.to_string()),
        Some(ErrorCode::TopicAuthorizationFailed | ErrorCode::UnknownTopicOrPartition) => {}
        _ => error(&format!(
            "Encounter some unknown error: {}",
            failure.named()
        )),
    }
}

fn print_statuses(statuses: &[(String, Option<Failure>)]) {
    let widest = statuses
        .iter()
        .map(|(topic, _)| topic.chars().count())
        .max();
    let width = widest.unwrap_or(0).max(15);
    let mut output = Output::stdout();
    let mut row = |topic: &str, status: &str| {
        output.bytes(format!("\n{topic:<width$} {status}").as_bytes());
    };
    row("TOPIC", "STATUS");
    for (topic, failure) in statuses {
        let status = match failure {
            Some(failure) => format!("Error: {failure}"),
            None => "Successful".to_owned(),
        };
        row(topic, &status);
    }
    output.line("");
}
