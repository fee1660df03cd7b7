//! ListConfigResources: what has configs (KIP-1142); in version 0 the client metrics alone.

use metadata::config::{ConfigResource, ConfigResourceType};
use protocol::messages::list_config_resources_response::ConfigResource as Listed;
use protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use protocol::{ErrorCode, StrBytes};

use super::{RequestContext, describe};

/// The sorts there are, in the order in which they are listed.
const SORTS: [ConfigResourceType; 5] = [
    ConfigResourceType::Group,
    ConfigResourceType::ClientMetrics,
    ConfigResourceType::BrokerLogger,
    ConfigResourceType::Broker,
    ConfigResourceType::Topic,
];

pub(super) async fn handle(
    ctx: &RequestContext,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let known =
        |sort: &ConfigResourceType| ctx.version >= 1 || *sort == ConfigResourceType::ClientMetrics;
    let asked = request.resource_types;
    if !asked
        .iter()
        .all(|code| ConfigResourceType::from_code(*code).is_some_and(|it| known(&it)))
    {
        return ListConfigResourcesResponse::default()
            .with_error_code(ErrorCode::UnsupportedVersion.code());
    }
    let sorts = SORTS.into_iter().filter(known);
    let sorts = sorts.filter(|sort| asked.is_empty() || asked.contains(&sort.code()));
    let resources = sorts.flat_map(|sort| {
        names(ctx, sort).into_iter().map(move |name| {
            Listed::default()
                .with_resource_name(StrBytes::from_string(name))
                .with_resource_type(sort.code())
        })
    });
    ListConfigResourcesResponse::default().with_config_resources(resources.collect())
}

fn names(ctx: &RequestContext, sort: ConfigResourceType) -> Vec<String> {
    match sort {
        ConfigResourceType::Topic => ctx
            .image
            .topics
            .iter()
            .map(|topic| topic.name.to_string())
            .collect(),
        ConfigResourceType::Broker | ConfigResourceType::BrokerLogger => {
            describe::nodes(&ctx.peer.listener, &ctx.image)
                .map(|node| node.id.to_string())
                .collect()
        }
        ConfigResourceType::Group | ConfigResourceType::ClientMetrics => {
            let of_sort = |it: &&ConfigResource| it.resource_type() == sort;
            ctx.image
                .configs
                .resources()
                .filter(of_sort)
                .map(ConfigResource::name)
                .collect()
        }
    }
}
