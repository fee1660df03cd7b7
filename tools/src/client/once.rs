//! One request without retries, for what retries in its own way: producers, consumers, members of groups.
//!
//! Invariant: a failure that may come from an outdated view of the cluster drops that view.

use std::time::Duration;

use protocol::{ErrorCode, Request};
use tokio::time::Instant;

use super::{Client, Target};
use crate::failure::Failure;

impl Client {
    /// Asks once, in no newer version than `newest`, and waits so long for the answer.
    pub async fn ask<R: Request>(
        &self,
        to: Target<'_>,
        newest: i16,
        wait: Duration,
        build: impl FnOnce(i16) -> R,
    ) -> Result<R::Response, Failure> {
        let asked = async {
            let connection = self.find(to, Instant::now() + wait).await?;
            let version = connection.version::<R>()?.min(newest);
            connection.ask(&build(version), version).await
        };
        let answer = tokio::time::timeout(wait, asked)
            .await
            .unwrap_or_else(|_| Err(Failure::of(ErrorCode::RequestTimedOut, None)));
        if answer.is_err() {
            self.state.forget(to);
        }
        answer
    }

    /// Sends a request that has no answer.
    pub async fn tell<R: Request>(
        &self,
        to: Target<'_>,
        newest: i16,
        wait: Duration,
        build: impl FnOnce(i16) -> R,
    ) -> Result<(), Failure> {
        let told = async {
            let connection = self.find(to, Instant::now() + wait).await?;
            let version = connection.version::<R>()?.min(newest);
            connection.tell(&build(version), version).await
        };
        let told = tokio::time::timeout(wait, told)
            .await
            .unwrap_or_else(|_| Err(Failure::of(ErrorCode::RequestTimedOut, None)));
        if told.is_err() {
            self.state.forget(to);
        }
        told
    }

    /// Drops what is remembered of who that is, after an answer that says it is outdated.
    pub fn forget(&self, to: Target<'_>) {
        self.state.forget(to);
    }
}
