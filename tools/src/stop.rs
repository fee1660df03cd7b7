//! Why a tool ends before its work is done, and what it prints then.
//!
//! Invariant: every stop but `Done` ends with exit code 1, as upstream's do, `--help` included.

use std::process::ExitCode;

use crate::client::{Properties, load_properties};
use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::print;

/// The version whose tools these are, as `--version` prints it.
pub const UPSTREAM_VERSION: &str = "4.3.1";

/// Why a tool ends.
#[derive(Debug)]
pub enum Stop {
    /// The options are no use: their message, then what options there are, on standard error.
    Usage(String),
    /// `--version`.
    Version,
    /// A message on standard error and nothing else.
    Message(String),
    /// Something failed: the tool's own words around it.
    Failed(Failure),
    /// Everything is said; this is the exit code.
    Done(u8),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl Stop {
    /// Prints what is to be printed. Upstream's tools differ in how they print a failure.
    pub fn end(self, options: &Options, failed: impl FnOnce(&Failure)) -> ExitCode {
        match self {
            Stop::Usage(message) => {
                print::error(&format!("{message}\n{}", options.usage()));
                ExitCode::FAILURE
            }
            Stop::Version => {
                crate::say!("{UPSTREAM_VERSION}");
                ExitCode::SUCCESS
            }
            Stop::Message(message) => {
                crate::complain!("{message}");
                ExitCode::FAILURE
            }
            Stop::Failed(failure) => {
                failed(&failure);
                ExitCode::FAILURE
            }
            Stop::Done(code) => ExitCode::from(code),
        }
    }
}

/// What a finished tool ends with.
pub fn finish(
    result: Result<(), Stop>,
    options: &Options,
    failed: impl FnOnce(&Failure),
) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => stop.end(options, failed),
    }
}

/// A command line and the properties of `--command-config`, for the tools that complain of either with
/// the exception's text and then the exception.
pub(crate) fn prepared(
    options: &Options,
    args: &[String],
    read: impl FnOnce(&Options, &[String]) -> Result<Parsed, Stop>,
) -> Result<(Parsed, Properties), ExitCode> {
    let prepared = read(options, args).and_then(|parsed| {
        let properties = match parsed.value("command-config")? {
            Some(path) => load_properties(path)?,
            None => Properties::new(),
        };
        Ok((parsed, properties))
    });
    prepared.map_err(|stop| {
        stop.end(options, |failure| {
            crate::complain!("{failure}\n{}\n", failure.trace());
        })
    })
}
