//! Quotas of users, clients and addresses.
//!
//! Invariant: an entity is compared part by part; a part without a name is the default of its kind.

use protocol::messages::{
    AlterClientQuotasRequest, DescribeClientQuotasRequest, alter_client_quotas_request,
    describe_client_quotas_request,
};

use super::text;
use crate::client::{Client, Target};
use crate::failure::Failure;

/// What a part of an entity may be called when it is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    Name(String),
    Default,
    Any,
}

/// A part of an entity: `user`, `client-id` or `ip`, and its name unless it is the default.
pub type Part = (String, Option<String>);

/// An entity with its quotas.
#[derive(Clone, Debug, PartialEq)]
pub struct Quotas {
    pub entity: Vec<Part>,
    pub values: Vec<(String, f64)>,
}

/// The quotas of the entities that have these parts and no others.
pub async fn describe(
    client: &Client,
    parts: &[(&'static str, Match)],
) -> Result<Vec<Quotas>, Failure> {
    let components = parts.iter().map(|(kind, wanted)| {
        let component =
            describe_client_quotas_request::ComponentData::default().with_entity_type(text(kind));
        match wanted {
            Match::Name(name) => component.with_match_type(0).with_match(Some(text(name))),
            Match::Default => component.with_match_type(1).with_match(None),
            Match::Any => component.with_match_type(2).with_match(None),
        }
    });
    let request = DescribeClientQuotasRequest::default()
        .with_components(components.collect())
        .with_strict(true);
    let answer = client
        .call(
            "describeClientQuotas",
            Target::Any,
            |_| Ok(request.clone()),
            |answer| match Failure::from_answer(answer.error_code, answer.error_message.as_deref())
            {
                Some(failure) => Err(failure),
                None => Ok(answer),
            },
        )
        .await?;
    let entries = answer.entries.unwrap_or_default().into_iter();
    Ok(entries
        .map(|entry| Quotas {
            entity: entry
                .entity
                .into_iter()
                .map(|part| {
                    let name = part.entity_name.map(|name| name.to_string());
                    (part.entity_type.to_string(), name)
                })
                .collect(),
            values: entry
                .values
                .into_iter()
                .map(|row| (row.key.to_string(), row.value))
                .collect(),
        })
        .collect())
}

/// Sets quotas of an entity, or takes those without a value away.
pub async fn alter(
    client: &Client,
    entity: &[Part],
    changes: &[(String, Option<f64>)],
) -> Result<(), Failure> {
    let parts = entity.iter().map(|(kind, name)| {
        alter_client_quotas_request::EntityData::default()
            .with_entity_type(text(kind))
            .with_entity_name(name.as_deref().map(text))
    });
    let operations = changes.iter().map(|(key, value)| {
        alter_client_quotas_request::OpData::default()
            .with_key(text(key))
            .with_value(value.unwrap_or_default())
            .with_remove(value.is_none())
    });
    let entry = alter_client_quotas_request::EntryData::default()
        .with_entity(parts.collect())
        .with_ops(operations.collect());
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
    client
        .call(
            "alterClientQuotas",
            Target::Any,
            |_| Ok(request.clone()),
            |answer| {
                let rows = answer.entries.iter();
                let failed = rows
                    .filter_map(|row| {
                        Failure::from_answer(row.error_code, row.error_message.as_deref())
                    })
                    .next();
                failed.map_or(Ok(()), |failure| Err(failure.not_retried()))
            },
        )
        .await
}
