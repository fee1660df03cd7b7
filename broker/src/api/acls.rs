//! What the ACL APIs answer without an authorizer.
//!
//! A request with an element that no version knows is not read at all: the connection is closed,
//! as upstream does.

use protocol::StrBytes;

use super::respond::IntoReply;
use super::{Refusal, Reply, RequestContext};

/// The code 0 of resource types, pattern types, operations and permissions.
const UNKNOWN: i8 = 0;

pub(super) fn no_authorizer() -> Option<StrBytes> {
    Some(StrBytes::from_static_str("No Authorizer is configured."))
}

/// An answer to a request whose elements are known.
pub(super) enum Checked<R> {
    Answer(R),
    UnknownElement,
}

impl<R> Checked<R> {
    /// `answer`, unless one of the codes stands for something unknown.
    pub(super) fn new(mut codes: impl Iterator<Item = i8>, answer: R) -> Checked<R> {
        if codes.any(|code| code == UNKNOWN) {
            return Checked::UnknownElement;
        }
        Checked::Answer(answer)
    }
}

impl<R: IntoReply> IntoReply for Checked<R> {
    fn into_reply(self, ctx: &RequestContext) -> Result<Reply, Refusal> {
        match self {
            Checked::Answer(answer) => answer.into_reply(ctx),
            Checked::UnknownElement => Err(Refusal::Malformed {
                name: ctx.api.name,
                version: ctx.version,
                reason: "an element is unknown".to_owned(),
            }),
        }
    }
}
