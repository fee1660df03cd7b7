//! What the tests of the real process share: a node as a child process, a blocking client on a raw
//! socket, and a model of what a log must hold.
//!
//! Invariant: every wait has a deadline, and a node that a test leaves behind is killed.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file is a crate of its own and uses a part"
)]

pub(crate) mod client;
pub(crate) mod consumer_groups;
pub(crate) mod groups;
pub(crate) mod http;
pub(crate) mod node;
pub(crate) mod requests;
pub(crate) mod share_groups;
pub(crate) mod shares;
pub(crate) mod transactions;
pub(crate) mod usage;

use std::time::{Duration, Instant};

pub(crate) use client::Client;
pub(crate) use node::{Node, Start};

/// How long anything may take that a test waits for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Asks again and again until there is an answer.
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, ask)
}

/// As [`eventually`], with a deadline of its own.
pub(crate) fn within<T>(deadline: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The seed of a test with chance in it: printed, and taken from `KLAMM_TEST_SEED` where set.
pub(crate) fn seed(test: &str) -> u64 {
    let given = std::env::var("KLAMM_TEST_SEED").ok();
    let seed = given.map_or_else(rand::random, |text| text.parse().unwrap());
    println!("{test}: KLAMM_TEST_SEED={seed}");
    seed
}
