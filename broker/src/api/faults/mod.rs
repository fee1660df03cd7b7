//! Where the rules of `crate::faults` meet requests.
//!
//! Invariants: what an error is given for is not carried out; an answer that carries one is a
//! whole answer of that API and version. Every row of the API table has an answer of errors.

mod refused;
mod topics;

use std::ops::ControlFlow;

use protocol::{ErrorCode, Request};

use super::respond::IntoReply;
use super::{Refusal, Reply, RequestContext};
use crate::faults::{Action, Asked, Topics};

/// A request that faults can happen to.
pub(super) trait Faultable: Request {
    /// What it is answered with.
    type Answer: IntoReply;

    /// The answer that gives `code` for all of it, where upstream's would have it.
    fn refused(self, ctx: &RequestContext, code: ErrorCode) -> Self::Answer;

    /// The topics it is about.
    fn topics(&self, _ctx: &RequestContext) -> Topics {
        Topics::None
    }
}

/// What becomes of a request that is carried out.
pub(super) enum After {
    Answer,
    Swallow,
    Cut,
}

impl After {
    pub(super) fn of(self, reply: Result<Reply, Refusal>) -> Result<Reply, Refusal> {
        match self {
            After::Answer => reply,
            After::Swallow => reply.map(|_| Reply::Silence),
            After::Cut => Err(Refusal::Cut),
        }
    }
}

/// Asks the rules: the request goes on, or there is an answer already.
pub(super) async fn before<R: Faultable>(
    ctx: &mut RequestContext,
    request: R,
) -> ControlFlow<Result<Reply, Refusal>, (R, After)> {
    let topics = request.topics(ctx);
    let verdict = ctx.node.faults.decide(&Asked {
        api: ctx.api.key,
        client_id: ctx.client_id(),
        topics: &topics,
    });
    if !verdict.delay.is_zero() {
        tokio::time::sleep(verdict.delay).await;
        // What is known by now counts, as for a request that comes late.
        ctx.image = ctx.node.controller.image();
    }
    ctx.faults = verdict.partitions;
    match verdict.action {
        None => ControlFlow::Continue((request, After::Answer)),
        Some(Action::Error(code)) => ControlFlow::Break(request.refused(ctx, code).into_reply(ctx)),
        Some(Action::Cut) => ControlFlow::Break(Err(Refusal::Cut)),
        Some(Action::CutAfter) => ControlFlow::Continue((request, After::Cut)),
        Some(Action::Swallow) => ControlFlow::Continue((request, After::Swallow)),
        Some(Action::Drop) => ControlFlow::Break(Ok(Reply::Silence)),
    }
}
