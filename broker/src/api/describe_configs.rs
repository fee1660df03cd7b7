//! DescribeConfigs: what is set, where, and what it comes to.

use std::sync::Arc;

use metadata::config::{
    ConfigResource, ConfigResourceType, ConfigSource, DescribedConfig, DescribedSynonym, describe,
};
use protocol::error_code::error_message;
use protocol::messages::describe_configs_request::DescribeConfigsResource;
use protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use protocol::{ErrorCode, StrBytes};

use super::RequestContext;
use crate::config::broker_layers;

/// A refusal with its message.
type Refused = (ErrorCode, Option<String>);

/// Parts of an answer that are left out unless asked for.
#[derive(Clone, Copy)]
struct Details {
    synonyms: bool,
    documentation: bool,
}

pub(super) async fn handle(
    ctx: &RequestContext,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let known = |it: &DescribeConfigsResource| ConfigResourceType::from_code(it.resource_type);
    if request
        .resources
        .iter()
        .any(|resource| known(resource).is_none())
    {
        return refused_whole(request);
    }
    let details = Details {
        synonyms: request.include_synonyms,
        documentation: request.include_documentation,
    };
    let results = request.resources.into_iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match configs(ctx, &resource) {
            Ok(configs) => {
                let asked = configs
                    .into_iter()
                    .filter(|config| is_asked(&resource, &config.name));
                result.with_configs(asked.map(|config| shape(config, details)).collect())
            }
            Err((code, message)) => result
                .with_error_code(code.code())
                // Upstream sends an empty text where it has nothing to say.
                .with_error_message(Some(error_message(message.unwrap_or_default()))),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// One sort of resource that nobody knows refuses the request.
fn refused_whole(request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let message = "This most likely occurs because of a request being malformed by the client \
                   library or the message was sent to an incompatible broker. See the broker logs \
                   for more details.";
    let results = request.resources.into_iter().map(|resource| {
        DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name)
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_error_message(Some(StrBytes::from_static_str(message)))
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// No keys asks for all of them.
fn is_asked(resource: &DescribeConfigsResource, name: &str) -> bool {
    match &resource.configuration_keys {
        Some(keys) if !keys.is_empty() => keys.iter().any(|key| key.as_str() == name),
        Some(_) | None => true,
    }
}

fn configs(
    ctx: &RequestContext,
    asked: &DescribeConfigsResource,
) -> Result<Vec<DescribedConfig>, Refused> {
    let resource = resource(ctx, asked)?;
    if matches!(resource, ConfigResource::BrokerLogger(_)) {
        return Ok(loggers(ctx));
    }
    let layers = broker_layers(&ctx.node.config, &ctx.image);
    let layers = match resource {
        ConfigResource::Topic(_) | ConfigResource::Group(_) | ConfigResource::ClientMetrics(_) => {
            layers.with_overrides(ctx.image.configs.of(&resource))
        }
        ConfigResource::Broker(_) | ConfigResource::BrokerLogger(_) => layers,
    };
    Ok(describe(&resource, &layers))
}

/// What the request names, if it is here.
fn resource(
    ctx: &RequestContext,
    asked: &DescribeConfigsResource,
) -> Result<ConfigResource, Refused> {
    let name = asked.resource_name.as_str();
    let invalid = |message: String| Err((ErrorCode::InvalidRequest, Some(message)));
    let sort = ConfigResourceType::from_code(asked.resource_type);
    match sort.ok_or((ErrorCode::InvalidRequest, None))? {
        ConfigResourceType::Topic => {
            controller::topic_name::validate(name)
                .map_err(|reason| (ErrorCode::InvalidTopicException, Some(reason)))?;
            let topic = ctx.image.topics.by_name(name);
            let topic = topic.ok_or((ErrorCode::UnknownTopicOrPartition, None))?;
            Ok(ConfigResource::Topic(topic.name.clone()))
        }
        ConfigResourceType::Broker if name.is_empty() => Ok(ConfigResource::Broker(None)),
        ConfigResourceType::Broker => {
            let own = own_id(ctx, name, " or empty string,")?;
            Ok(ConfigResource::Broker(Some(own)))
        }
        ConfigResourceType::BrokerLogger if name.is_empty() => {
            invalid("Broker id must not be empty".to_owned())
        }
        ConfigResourceType::BrokerLogger => {
            Ok(ConfigResource::BrokerLogger(own_id(ctx, name, "")?))
        }
        ConfigResourceType::ClientMetrics if name.is_empty() => {
            invalid("Client metrics subscription name must not be empty".to_owned())
        }
        ConfigResourceType::ClientMetrics => Ok(ConfigResource::ClientMetrics(Arc::from(name))),
        ConfigResourceType::Group if name.is_empty() => {
            invalid("Group name must not be empty".to_owned())
        }
        ConfigResourceType::Group => Ok(ConfigResource::Group(Arc::from(name))),
    }
}

/// A broker tells its own configs only; `expected` words what else would be right.
fn own_id(ctx: &RequestContext, name: &str, expected: &str) -> Result<i32, Refused> {
    let own = ctx.node.config.node_id;
    let message = match name.parse::<i32>() {
        Ok(id) if id == own => return Ok(own),
        Ok(_) => format!("Unexpected broker id, expected {own}{expected} but received {name}"),
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err((ErrorCode::InvalidRequest, Some(message)))
}

/// Log levels have no rows in the tables.
fn loggers(ctx: &RequestContext) -> Vec<DescribedConfig> {
    let loggers = ctx
        .node
        .loggers
        .all()
        .into_iter()
        .map(|(name, level)| DescribedConfig {
            name,
            value: Some(level),
            source: ConfigSource::DynamicBrokerLogger,
            read_only: false,
            sensitive: false,
            synonyms: Vec::new(),
            kind: None,
            doc: Some(""),
        });
    loggers.collect()
}

fn shape(config: DescribedConfig, details: Details) -> DescribeConfigsResourceResult {
    let synonyms = config
        .synonyms
        .iter()
        .filter(|_| details.synonyms)
        .map(synonym)
        .collect();
    // The empty one of loggers is given out whether it was asked for or not.
    let documentation = config
        .doc
        .filter(|doc| details.documentation || doc.is_empty());
    let kind = config.kind_code();
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_string(config.name))
        .with_value(config.value.map(StrBytes::from_string))
        .with_read_only(config.read_only)
        .with_config_source(config.source.code())
        .with_is_sensitive(config.sensitive)
        .with_synonyms(synonyms)
        .with_config_type(kind)
        .with_documentation(documentation.map(StrBytes::from_static_str))
}

fn synonym(synonym: &DescribedSynonym) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(StrBytes::from_string(synonym.name.clone()))
        .with_value(synonym.value.clone().map(StrBytes::from_string))
        .with_source(synonym.source.code())
}
