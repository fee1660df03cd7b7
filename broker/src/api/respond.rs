//! From a response value to the pieces of an answer.

use bytes::Bytes;
use protocol::response::{self, ResponseBuf};
use protocol::{Decodable, Encodable};
use storage::LogSlice;

use super::error_codes::ErrorCodes;
use super::{Refusal, RequestContext};
use crate::network::Chunk;

/// What goes back on the connection.
pub(crate) enum Reply {
    /// The pieces of one answer, its length first.
    Answer(Vec<Chunk>),
    /// Nothing is sent (Produce with acks=0).
    Nothing,
    /// Nothing is sent, and nothing ever after: a rule swallowed the answer.
    Silence,
}

/// What handlers may return.
pub(super) trait IntoReply {
    fn into_reply(self, ctx: &RequestContext) -> Result<Reply, Refusal>;
}

impl<R: Encodable + ErrorCodes> IntoReply for R {
    fn into_reply(self, ctx: &RequestContext) -> Result<Reply, Refusal> {
        count_errors(ctx, &self);
        let mut buffer = start(ctx);
        buffer
            .put(&self, ctx.version)
            .map_err(|error| unwritable(ctx, &error))?;
        finish(ctx, buffer, Vec::new())
    }
}

/// An answer to Fetch: records stay in their files until they are sent.
pub(super) struct FetchReply {
    pub(super) response: response::fetch::FetchResponse,
    /// What `RecordsField::External` stands for, in the order of the partitions.
    pub(super) slices: Vec<LogSlice>,
}

impl From<response::fetch::FetchResponse> for FetchReply {
    fn from(response: response::fetch::FetchResponse) -> Self {
        FetchReply {
            response,
            slices: Vec::new(),
        }
    }
}

/// An answer to ShareFetch, as [`FetchReply`].
pub(super) struct ShareFetchReply {
    pub(super) response: response::share_fetch::ShareFetchResponse,
    pub(super) slices: Vec<LogSlice>,
}

impl From<response::share_fetch::ShareFetchResponse> for ShareFetchReply {
    fn from(response: response::share_fetch::ShareFetchResponse) -> Self {
        ShareFetchReply {
            response,
            slices: Vec::new(),
        }
    }
}

fn count_errors(ctx: &RequestContext, response: &impl ErrorCodes) {
    for code in response.error_codes() {
        ctx.node.meters.count_error(ctx.api.key, code);
    }
}

impl IntoReply for FetchReply {
    fn into_reply(self, ctx: &RequestContext) -> Result<Reply, Refusal> {
        count_errors(ctx, &self.response);
        let mut buffer = start(ctx);
        buffer
            .put_fetch(&self.response, ctx.version)
            .map_err(|error| unwritable(ctx, &error))?;
        finish(ctx, buffer, self.slices)
    }
}

impl IntoReply for ShareFetchReply {
    fn into_reply(self, ctx: &RequestContext) -> Result<Reply, Refusal> {
        count_errors(ctx, &self.response);
        let mut buffer = start(ctx);
        buffer
            .put_share_fetch(&self.response, ctx.version)
            .map_err(|error| unwritable(ctx, &error))?;
        finish(ctx, buffer, self.slices)
    }
}

fn start(ctx: &RequestContext) -> ResponseBuf {
    ResponseBuf::new(ctx.api.key, ctx.version, ctx.correlation_id)
}

fn finish(
    ctx: &RequestContext,
    buffer: ResponseBuf,
    slices: Vec<LogSlice>,
) -> Result<Reply, Refusal> {
    let written = buffer.finish().map_err(|error| unwritable(ctx, &error))?;
    let mut slices = slices.into_iter();
    let mut chunks = Vec::with_capacity(written.len());
    for chunk in written {
        match chunk {
            response::Chunk::Bytes(bytes) => chunks.push(Chunk::Bytes(bytes)),
            // Externals come in the order in which they were put.
            response::Chunk::External { .. } => {
                let ranges = slices.next().into_iter().flat_map(|slice| slice.chunks);
                chunks.extend(ranges.map(Chunk::File));
            }
        }
    }
    Ok(Reply::Answer(chunks))
}

fn unwritable(ctx: &RequestContext, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::Unwritable {
        name: ctx.api.name,
        version: ctx.version,
        reason: error.to_string(),
    }
}

/// Reads a body that the guard has let through.
pub(super) fn decode<R: Decodable>(ctx: &RequestContext, mut body: Bytes) -> Result<R, Refusal> {
    R::decode(&mut body, ctx.version).map_err(|error| Refusal::Malformed {
        name: ctx.api.name,
        version: ctx.version,
        reason: error.to_string(),
    })
}
