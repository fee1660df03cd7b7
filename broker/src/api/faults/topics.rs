//! Which topics a request is about.
//!
//! Invariant: a topic is known by its name here; an id that no topic has names none.

use std::sync::Arc;

use protocol::TopicId;
use protocol::messages::*;
use uuid::Uuid;

use super::super::RequestContext;
use crate::faults::Topics;
use crate::fetch_sessions::{self, Key};

/// Topics with partitions, out of a request's own lists.
pub(super) fn named<'a, P: IntoIterator<Item = i32>>(
    topics: impl IntoIterator<Item = (&'a TopicName, P)>,
) -> Topics {
    let mut all = Vec::new();
    for (name, partitions) in topics {
        let name: Arc<str> = Arc::from(name.0.as_str());
        all.extend(
            partitions
                .into_iter()
                .map(|index| (name.clone(), Some(index))),
        );
    }
    Topics::Some(all)
}

/// Topics as such.
pub(super) fn whole<'a>(names: impl IntoIterator<Item = &'a str>) -> Topics {
    Topics::Some(
        names
            .into_iter()
            .map(|name| (Arc::from(name), None))
            .collect(),
    )
}

/// The name of a topic that is named by one or by its id.
pub(super) fn name(ctx: &RequestContext, name: &str, id: Uuid) -> Option<Arc<str>> {
    if !name.is_empty() {
        return Some(Arc::from(name));
    }
    let topic = ctx.image.topics.by_id(TopicId(id))?;
    Some(topic.name.clone())
}

/// Topics that are named by name or by id, each with its partitions.
pub(super) fn by_name_or_id<P: IntoIterator<Item = i32>>(
    ctx: &RequestContext,
    topics: impl IntoIterator<Item = (Arc<str>, Uuid, P)>,
) -> Topics {
    let mut all = Vec::new();
    for (given, id, partitions) in topics {
        if let Some(name) = name(ctx, &given, id) {
            all.extend(
                partitions
                    .into_iter()
                    .map(|index| (name.clone(), Some(index))),
            );
        }
    }
    Topics::Some(all)
}

/// What a fetch is about: its own topics and those its session knows.
pub(super) fn of_fetch(ctx: &RequestContext, request: &FetchRequest) -> Topics {
    let own = fetch_sessions::wanted(request);
    let mut keys: Vec<Key> = own.into_iter().map(|wanted| wanted.key).collect();
    keys.extend(ctx.node.fetch_sessions.keys(request.session_id));
    let named = keys.into_iter().filter_map(|key| {
        let name = name(ctx, &key.topic, key.topic_id)?;
        Some((name, Some(key.partition)))
    });
    Topics::Some(named.collect())
}

/// Topics among the resources of a configuration request.
pub(super) fn of_resources<'a>(resources: impl IntoIterator<Item = (i8, &'a str)>) -> Topics {
    const TOPIC: i8 = 2;
    let topics = resources.into_iter().filter(|(kind, _)| *kind == TOPIC);
    whole(topics.map(|(_, name)| name))
}
