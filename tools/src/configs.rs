//! `kafka-configs`: shows and changes configs of topics, brokers, groups, client metrics
//! subscriptions, quotas, and SCRAM credentials.
//!
//! Invariant: a mistake in the options is one line; what a broker refused comes with its exception.

mod additions;
mod alter;
mod describe;
mod entities;
mod options;
mod users;

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::client::{Client, block_on, load_properties};
use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::stop::{Stop, finish};
use entities::Entities;

/// The exceptions whose text says all; `IllegalArgumentException` and those that are some.
const PLAIN: &[&str] = &[
    "java.lang.IllegalArgumentException",
    "java.lang.NumberFormatException",
    "org.apache.kafka.common.errors.InvalidConfigurationException",
    "org.apache.kafka.common.errors.InvalidTopicException",
    "org.apache.kafka.common.errors.UnsupportedVersionException",
];

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options::options();
    let result = act(&options, args);
    finish(result, &options, |failure| {
        if PLAIN.contains(&failure.class()) || failure.class().starts_with("joptsimple.") {
            crate::complain!("{failure}");
        } else {
            let args = args.join(" ");
            crate::complain!("Error while executing config command with args '{args}'");
            crate::complain!("{}", failure.trace());
        }
    })
}

fn act(options: &Options, args: &[String]) -> Result<(), Stop> {
    let parsed = options.parse(args)?;
    options.help_or_version(
        args,
        &parsed,
        "This tool helps to manipulate and describe entity config for a topic, client, user, broker, \
         ip, client-metrics or group",
    )?;
    let entities = Entities::from_options(&parsed)?;
    options::check(options, &parsed, &entities)?;
    let client = connect(&parsed)?;
    if parsed.has("alter") {
        if entities.types.len() != entities.names.len() {
            return Err(Failure::illegal_argument(
                "An entity name must be specified for every entity type",
            )
            .into());
        }
        block_on(alter::run(&parsed, &entities, &client))?;
    } else {
        block_on(describe::run(&parsed, &entities, &client))?;
    }
    Ok(())
}

fn connect(parsed: &Parsed) -> Result<Client, Failure> {
    let properties = match parsed.value("command-config")? {
        Some(path) => load_properties(path)?,
        None => BTreeMap::new(),
    };
    match parsed.value("bootstrap-server")? {
        Some(servers) => Client::admin(servers, &properties),
        None => {
            let controllers = parsed.value("bootstrap-controller")?;
            Client::controller_admin(controllers.unwrap_or_default(), &properties)
        }
    }
}

/// What a broker answered, as Java's futures hand it on.
fn executed(failure: Failure) -> Failure {
    let message = failure.named();
    failure.within("java.util.concurrent.ExecutionException", message)
}
