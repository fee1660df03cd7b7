//! Configs of topics, brokers, groups and client metrics subscriptions.
//!
//! Invariant: what concerns one broker is asked of that broker; all else of any.

use protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
    describe_configs_request, describe_configs_response, incremental_alter_configs_request,
};

use super::text;
use crate::client::{Client, Target};
use crate::failure::Failure;

/// What a config belongs to, with its code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceType {
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

/// What configs belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub kind: ResourceType,
    /// Of brokers, the empty name stands for all of them.
    pub name: String,
}

impl Resource {
    pub fn new(kind: ResourceType, name: impl Into<String>) -> Self {
        Resource {
            kind,
            name: name.into(),
        }
    }

    /// Who answers for it.
    fn target(&self) -> Target<'static> {
        match self.kind {
            ResourceType::Broker | ResourceType::BrokerLogger => {
                self.name.parse().map_or(Target::Any, Target::Node)
            }
            ResourceType::Topic | ResourceType::ClientMetrics | ResourceType::Group => Target::Any,
        }
    }
}

/// One config and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub value: Option<String>,
    pub source: Source,
    pub sensitive: bool,
    pub synonyms: Vec<Synonym>,
}

/// A value that counts, or would where those before it were not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub source: Source,
    pub name: String,
    pub value: Option<String>,
}

/// Where a value comes from, by its code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(pub i8);

impl Source {
    pub const DYNAMIC_TOPIC: Source = Source(1);
    pub const DYNAMIC_BROKER: Source = Source(2);
    pub const DYNAMIC_DEFAULT_BROKER: Source = Source(3);
    pub const DEFAULT: Source = Source(5);
    pub const CLIENT_METRICS: Source = Source(7);
    pub const GROUP: Source = Source(8);

    /// Upstream's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "DYNAMIC_TOPIC_CONFIG",
            2 => "DYNAMIC_BROKER_CONFIG",
            3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            4 => "STATIC_BROKER_CONFIG",
            5 => "DEFAULT_CONFIG",
            6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
            7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
            8 => "DYNAMIC_GROUP_CONFIG",
            _ => "UNKNOWN",
        }
    }
}

/// The configs of each resource, in the resources' order; the first that has none to show is the
/// failure.
pub async fn describe(
    client: &Client,
    resources: &[Resource],
    synonyms: bool,
) -> Result<Vec<Vec<Entry>>, Failure> {
    let Some(first) = resources.first() else {
        return Ok(Vec::new());
    };
    let rows = resources.iter().map(|resource| {
        describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(resource.kind as i8)
            .with_resource_name(text(&resource.name))
            .with_configuration_keys(None)
    });
    let request = DescribeConfigsRequest::default()
        .with_resources(rows.collect())
        .with_include_synonyms(synonyms);
    let answer = client
        .call(
            "describeConfigs",
            first.target(),
            |_| Ok(request.clone()),
            Ok,
        )
        .await?;
    let mut found = Vec::new();
    for resource in resources {
        let row = answer.results.iter().find(|row| {
            row.resource_type == resource.kind as i8 && *row.resource_name == *resource.name
        });
        let Some(row) = row else {
            return Err(Failure::new(
                "org.apache.kafka.common.KafkaException",
                format!(
                    "The broker does not answer for the configs of '{}'",
                    resource.name
                ),
            ));
        };
        match Failure::from_answer(row.error_code, row.error_message.as_deref()) {
            Some(failure) => return Err(failure.not_retried()),
            None => found.push(row.configs.iter().map(entry).collect()),
        }
    }
    Ok(found)
}

fn entry(row: &describe_configs_response::DescribeConfigsResourceResult) -> Entry {
    let synonyms = row.synonyms.iter().map(|row| Synonym {
        source: Source(row.source),
        name: row.name.to_string(),
        value: row.value.as_ref().map(ToString::to_string),
    });
    Entry {
        name: row.name.to_string(),
        value: row.value.as_ref().map(ToString::to_string),
        source: Source(row.config_source),
        sensitive: row.is_sensitive,
        synonyms: synonyms.collect(),
    }
}

/// A change of one config: its new value, or none to take it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub name: String,
    pub value: Option<String>,
}

/// Sets and takes away configs of one resource.
pub async fn alter(
    client: &Client,
    resource: &Resource,
    changes: &[Change],
) -> Result<(), Failure> {
    let configs = changes.iter().map(|change| {
        incremental_alter_configs_request::AlterableConfig::default()
            .with_name(text(&change.name))
            .with_config_operation(i8::from(change.value.is_none()))
            .with_value(Some(text(change.value.as_deref().unwrap_or_default())))
    });
    let row = incremental_alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(resource.kind as i8)
        .with_resource_name(text(&resource.name))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![row]);
    client
        .call(
            "incrementalAlterConfigs",
            resource.target(),
            |_| Ok(request.clone()),
            |answer| {
                for row in &answer.responses {
                    if let Some(failure) =
                        Failure::from_answer(row.error_code, row.error_message.as_deref())
                    {
                        return Err(failure.not_retried());
                    }
                }
                Ok(())
            },
        )
        .await
}

/// The names of what has configs of that kind.
pub async fn list(client: &Client, kind: ResourceType) -> Result<Vec<String>, Failure> {
    let build = |version| {
        if version < 1 && kind != ResourceType::ClientMetrics {
            return Err(Failure::unsupported(
                "The v0 ListConfigResources only supports CLIENT_METRICS",
            ));
        }
        let request = ListConfigResourcesRequest::default();
        Ok(if version < 1 {
            request
        } else {
            request.with_resource_types(vec![kind as i8])
        })
    };
    client
        .call("listConfigResources", Target::Any, build, |answer| {
            if let Some(failure) = Failure::from_answer(answer.error_code, None) {
                return Err(failure);
            }
            let rows = answer.config_resources.into_iter();
            Ok(rows.map(|row| row.resource_name.to_string()).collect())
        })
        .await
}
