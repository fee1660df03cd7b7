//! The process: moves requests between sockets and the crates that know what to answer.
//!
//! ```text
//! network ─▶ api ─▶ replica (log), coordinators (groups), controller (metadata)
//! ```
//! A [`Broker`] is a value without globals: one process may run several, tests embed it
//! ([`ServerConfig::ephemeral`]).

mod admin;
mod api;
mod broker;
mod cleaner;
mod clock;
mod config;
mod coordinators;
mod crash_points;
mod embedded;
mod faults;
mod fetch_sessions;
mod housekeeping;
mod internal_topics;
mod logging;
mod meters;
mod network;
mod producer_ids;
mod publishers;
mod replica;
mod seed;
mod shares;
mod telemetry;
mod test_controls;

pub use api::{APIS, Api};
pub use broker::StartError;
pub use config::{ServerConfig, StartConfigError};
pub use embedded::Broker;
pub use logging::{Format, Logging};
pub use seed::{Place, SeedError};
