//! DeleteShareGroupOffsets: makes a share group without members forget topics (KIP-932).

use coordinator::group::{GroupRequest, GroupResponse};
use protocol::ErrorCode;
use protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use protocol::messages::{DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse};

use super::{RequestContext, groups, share_states};

pub(super) async fn handle(
    ctx: &RequestContext,
    mut request: DeleteShareGroupOffsetsRequest,
) -> DeleteShareGroupOffsetsResponse {
    if !groups::are_share_groups_served(ctx) {
        return refused(ErrorCode::UnsupportedVersion);
    }
    let mut answered = Vec::new();
    request.topics.retain(|topic| {
        let outcome = ctx.check_fault(&topic.topic_name, None);
        if let Err(code) = outcome {
            let answer = DeleteShareGroupOffsetsResponseTopic::default()
                .with_topic_name(topic.topic_name.clone())
                .with_error_code(code.code())
                .with_error_message(Some(share_states::words(code)));
            answered.push(answer);
        }
        outcome.is_ok()
    });
    let asked = GroupRequest::DeleteShareGroupOffsets(request);
    let GroupResponse::DeleteShareGroupOffsets(response) = groups::ask(ctx, asked).await else {
        unreachable!("the coordinator answers in kind")
    };
    if response.error_code != 0 {
        return response;
    }
    answered.extend(response.responses);
    DeleteShareGroupOffsetsResponse::default().with_responses(answered)
}

/// The same code for all.
pub(super) fn refused(code: ErrorCode) -> DeleteShareGroupOffsetsResponse {
    DeleteShareGroupOffsetsResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(share_states::words(code)))
}
