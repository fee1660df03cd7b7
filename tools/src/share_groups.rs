//! `kafka-share-groups`: lists, describes and deletes share groups, and resets or deletes their offsets.
//!
//! Invariant: what fails once there is a client is told on standard output behind `Error:`, and the exit
//! code is 0, as with upstream's tool; a wrong command line ends with 1.

mod calls;
mod delete;
mod describe;
mod list;
mod options;
mod reset;

use std::process::ExitCode;

use crate::client::{Client, block_on};
use crate::consumer_groups::{client_within, error};
use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::stop::{Stop, finish};

const ILLEGAL_ARGUMENT: &str = "java.lang.IllegalArgumentException";
/// How long each call may take unless `--timeout` says otherwise.
const TIMEOUT_MS: i64 = 30_000;

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options::options();
    let parsed = match read(&options, args) {
        Ok(parsed) => parsed,
        Err(stop) => return finish(Err(stop), &options, uncaught),
    };
    let result = act(&parsed).or_else(|stop| match stop {
        Stop::Failed(failure) if failure.class() == ILLEGAL_ARGUMENT => {
            Err(Stop::Usage(failure.to_string()))
        }
        Stop::Failed(failure) => {
            error(&format!(
                "Executing share group command failed due to {failure}"
            ));
            crate::complain!("{}", failure.trace());
            Ok(())
        }
        stop @ (Stop::Usage(_) | Stop::Version | Stop::Message(_) | Stop::Done(_)) => Err(stop),
    });
    finish(result, &options, uncaught)
}

fn read(options: &Options, args: &[String]) -> Result<Parsed, Stop> {
    let parsed = options.parse(args)?;
    options::check(options, args, &parsed)?;
    Ok(parsed)
}

/// What Java prints where nobody catches an exception.
fn uncaught(failure: &Failure) {
    crate::complain!("Exception in thread \"main\" {}", failure.trace());
}

fn act(parsed: &Parsed) -> Result<(), Stop> {
    let client = client_within(parsed, TIMEOUT_MS)?;
    block_on(async {
        if parsed.has("list") {
            list::run(parsed, &client).await?;
        } else if parsed.has("describe") {
            describe::run(parsed, &client).await?;
        } else if parsed.has("delete") {
            delete::groups(parsed, &client).await?;
        } else if parsed.has("reset-offsets") {
            reset::run(parsed, &client).await?;
        } else {
            delete::offsets(parsed, &client).await?;
        }
        Ok(())
    })
}

/// The groups that the command line names, or all there are, each once and by their names.
async fn group_names(parsed: &Parsed, client: &Client) -> Result<Vec<String>, Failure> {
    let mut names = if parsed.has("all-groups") {
        let listed = list::all(client).await?;
        listed.into_iter().map(|group| group.id).collect()
    } else {
        parsed.values("group").to_vec()
    };
    names.sort();
    names.dedup();
    Ok(names)
}
