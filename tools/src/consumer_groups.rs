//! `kafka-consumer-groups`: lists, describes and deletes consumer groups, and resets their offsets.
//!
//! Invariant: what fails once there is a client is told on standard output behind `Error:`, and the exit
//! code is 0, as with upstream's tool; a wrong command line ends with 1.

pub(crate) mod calls;
mod delete;
pub(crate) mod describe;
pub(crate) mod described;
pub(crate) mod list;
pub(crate) mod offsets;
mod options;
mod plan;
pub(crate) mod reset;
pub(crate) mod time;

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::client::{Client, Properties, block_on, load_properties};
use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::print;
use crate::stop::{Stop, finish};
pub(crate) use options::unavailable;

const ILLEGAL_ARGUMENT: &str = "java.lang.IllegalArgumentException";
const OPTION_ERRORS: &str = "joptsimple.";

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
                "Executing consumer group command failed due to {failure}"
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
    let class = failure.class();
    debug_assert!(class.starts_with(OPTION_ERRORS), "{class}");
    crate::complain!("Exception in thread \"main\" {}", failure.trace());
}

fn act(parsed: &Parsed) -> Result<(), Stop> {
    if let Some(expression) = parsed.value("validate-regex")? {
        list::validate(expression);
        return Ok(());
    }
    let client = client(parsed)?;
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

fn client(parsed: &Parsed) -> Result<Client, Stop> {
    client_within(parsed, 5000)
}

/// A client as the options of a tool for groups ask for one, with so many milliseconds for each call.
pub(crate) fn client_within(parsed: &Parsed, default_ms: i64) -> Result<Client, Stop> {
    let mut properties = match parsed.value("command-config")? {
        Some(path) => load_properties(path).map_err(unchecked)?,
        None => BTreeMap::new(),
    };
    let timeout_ms = parsed.number::<i64>("timeout")?.unwrap_or(default_ms);
    limit(&mut properties, timeout_ms);
    let bootstrap = parsed.value("bootstrap-server")?.unwrap_or_default();
    Ok(Client::admin(bootstrap, &properties)?)
}

/// Each call has so many milliseconds, whatever the properties say.
fn limit(properties: &mut Properties, timeout_ms: i64) {
    let timeout_ms = timeout_ms.clamp(0, i64::from(i32::MAX)).to_string();
    properties.insert("default.api.timeout.ms".to_owned(), timeout_ms.clone());
    let name = "request.timeout.ms";
    let longer = properties.get(name).is_none_or(|text| {
        let request: i64 = text.trim().parse().unwrap_or(0);
        request > timeout_ms.parse().unwrap_or(0)
    });
    if longer {
        properties.insert(name.to_owned(), timeout_ms);
    }
}

/// The groups that the command line names, or all there are.
async fn group_names(parsed: &Parsed, client: &Client) -> Result<Vec<String>, Failure> {
    if !parsed.has("all-groups") {
        return Ok(parsed.values("group").to_vec());
    }
    list::names(client).await
}

/// Upstream's tool tells its errors on standard output.
pub(crate) fn error(message: &str) {
    print::line(format!("\nError: {message}"));
}

/// What `get` of a Java future throws for a failed call.
pub(crate) fn executed(failure: Failure) -> Failure {
    let message = failure.named();
    failure.within("java.util.concurrent.ExecutionException", message)
}

/// What upstream's tool makes of an exception that it may not throw.
pub(crate) fn unchecked(failure: Failure) -> Failure {
    let message = failure.named();
    failure.within("java.lang.RuntimeException", message)
}
