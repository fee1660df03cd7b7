//! What `kafka-acls` asks a cluster.
//!
//! Invariant: the first failure of a call's parts is the call's.

use std::collections::BTreeSet;

use protocol::StrBytes;
use protocol::messages::create_acls_request::AclCreation;
use protocol::messages::delete_acls_request::DeleteAclsFilter;
use protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse,
    DescribeAclsRequest, DescribeAclsResponse,
};

use super::binding::{ANY, Entry, Pattern};
use crate::client::{Client, Target};
use crate::failure::Failure;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The ACLs of that resource, or of all resources.
pub(super) async fn describe(
    client: &Client,
    of: Option<&Pattern>,
) -> Result<BTreeSet<(Pattern, Entry)>, Failure> {
    let build = |_| {
        Ok(DescribeAclsRequest::default()
            .with_resource_type_filter(of.map_or(ANY, |it| it.kind))
            .with_resource_name_filter(of.map(|it| text(&it.name)))
            .with_pattern_type_filter(of.map_or(ANY, |it| it.pattern))
            // Else the empty name would be asked for.
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(ANY)
            .with_permission_type(ANY))
    };
    let read = |answer: DescribeAclsResponse| {
        let message = answer.error_message.as_deref();
        if let Some(failure) = Failure::from_answer(answer.error_code, message) {
            return Err(failure);
        }
        let mut found = BTreeSet::new();
        for resource in answer.resources {
            let pattern = Pattern {
                kind: resource.resource_type,
                name: resource.resource_name.to_string(),
                pattern: resource.pattern_type,
            };
            found.extend(resource.acls.into_iter().map(|acl| {
                let entry = Entry {
                    principal: acl.principal.to_string(),
                    host: acl.host.to_string(),
                    operation: acl.operation,
                    permission: acl.permission_type,
                };
                (pattern.clone(), entry)
            }));
        }
        Ok(found)
    };
    client.call("describeAcls", Target::Any, build, read).await
}

pub(super) async fn create(
    client: &Client,
    resource: &Pattern,
    entries: &[Entry],
) -> Result<(), Failure> {
    let creation = |entry: &Entry| {
        AclCreation::default()
            .with_resource_type(resource.kind)
            .with_resource_name(text(&resource.name))
            .with_resource_pattern_type(resource.pattern)
            .with_principal(text(&entry.principal))
            .with_host(text(&entry.host))
            .with_operation(entry.operation)
            .with_permission_type(entry.permission)
    };
    let build = |_| {
        let creations = entries.iter().map(creation).collect();
        Ok(CreateAclsRequest::default().with_creations(creations))
    };
    let read = |answer: CreateAclsResponse| {
        let mut results = answer.results.iter();
        let failed = results.find_map(|result| {
            Failure::from_answer(result.error_code, result.error_message.as_deref())
        });
        failed.map_or(Ok(()), Err)
    };
    client.call("createAcls", Target::Any, build, read).await
}

/// Deletes these entries of the resource, or all where there is none.
pub(super) async fn delete(
    client: &Client,
    resource: &Pattern,
    entries: &[Entry],
) -> Result<(), Failure> {
    let filter = |entry: Option<&Entry>| {
        DeleteAclsFilter::default()
            .with_resource_type_filter(resource.kind)
            .with_resource_name_filter(Some(text(&resource.name)))
            .with_pattern_type_filter(resource.pattern)
            .with_principal_filter(entry.map(|it| text(&it.principal)))
            .with_host_filter(entry.map(|it| text(&it.host)))
            .with_operation(entry.map_or(ANY, |it| it.operation))
            .with_permission_type(entry.map_or(ANY, |it| it.permission))
    };
    let build = |_| {
        let filters = match entries {
            [] => vec![filter(None)],
            entries => entries.iter().map(|entry| filter(Some(entry))).collect(),
        };
        Ok(DeleteAclsRequest::default().with_filters(filters))
    };
    let read = |answer: DeleteAclsResponse| {
        for result in &answer.filter_results {
            let message = result.error_message.as_deref();
            if let Some(failure) = Failure::from_answer(result.error_code, message) {
                return Err(failure);
            }
            let mut acls = result.matching_acls.iter();
            let failed = acls
                .find_map(|acl| Failure::from_answer(acl.error_code, acl.error_message.as_deref()));
            if let Some(failure) = failed {
                return Err(failure);
            }
        }
        Ok(())
    };
    client.call("deleteAcls", Target::Any, build, read).await
}
