//! What is read off the node: logs, partitions, groups, connections, memory.
//!
//! Invariant: nothing here changes anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use coordinator::RequestMeta;
use coordinator::group::{GroupRequest, GroupResponse};
use metadata::BrokerRegistration;
use prometheus::Error;

use super::Page;
use crate::api::Node;

/// The counts of a topic.
#[derive(Default)]
pub(super) struct TopicCounts {
    pub(super) messages_in: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// Upstream's states of classic groups, with the end of the metric's name.
const GROUP_STATES: [(&str, &str); 5] = [
    ("Empty", "empty"),
    ("PreparingRebalance", "preparingrebalance"),
    ("CompletingRebalance", "completingrebalance"),
    ("Stable", "stable"),
    ("Dead", "dead"),
];

/// Upstream's states of consumer groups.
const CONSUMER_GROUP_STATES: [&str; 5] = ["Empty", "Assigning", "Reconciling", "Stable", "Dead"];

/// Upstream's states of share groups.
const SHARE_GROUP_STATES: [&str; 3] = ["Empty", "Stable", "Dead"];

/// The types and protocols of groups that are not classic.
const CONSUMER: &str = "consumer";
const SHARE: &str = "share";

/// The counts of the partitions that are here now, by topic.
pub(super) fn by_topic(node: &Node) -> BTreeMap<String, TopicCounts> {
    let mut topics: BTreeMap<String, TopicCounts> = BTreeMap::new();
    for partition in node.replicas.all() {
        let topic = partition.topic_partition().topic.to_string();
        let (counts, meters) = (topics.entry(topic).or_default(), partition.meters());
        counts.messages_in += meters.messages_in.load(Ordering::Relaxed);
        counts.bytes_in += meters.bytes_in.load(Ordering::Relaxed);
        counts.bytes_out += meters.bytes_out.load(Ordering::Relaxed);
    }
    topics
}

/// How many groups are in each state, by type.
pub(super) struct GroupCounts {
    classic: Vec<(&'static str, i64)>,
    consumer: Vec<(&'static str, i64)>,
    share: Vec<(&'static str, i64)>,
    /// Of consumer and of share groups, since their shards were loaded.
    consumer_rebalances: u64,
    share_rebalances: u64,
}

pub(super) async fn groups(node: &Node) -> GroupCounts {
    let meta = RequestMeta {
        api_version: 5,
        client_id: Arc::from("klamm"),
        client_host: Arc::from(""),
    };
    let request = GroupRequest::ListGroups {
        states: Vec::new(),
        types: Vec::new(),
    };
    let mut counts = GroupCounts {
        classic: GROUP_STATES.iter().map(|(state, _)| (*state, 0)).collect(),
        consumer: CONSUMER_GROUP_STATES.map(|state| (state, 0)).to_vec(),
        share: SHARE_GROUP_STATES.map(|state| (state, 0)).to_vec(),
        consumer_rebalances: 0,
        share_rebalances: 0,
    };
    for answer in node.groups.ask_all(&meta, &GroupRequest::Counts).await {
        if let Ok(GroupResponse::Counts(found)) = answer {
            counts.consumer_rebalances += found.consumer_group_rebalances;
            counts.share_rebalances += found.share_group_rebalances;
        }
    }
    for answer in node.groups.ask_all(&meta, &request).await {
        let Ok(GroupResponse::ListGroups(listed)) = answer else {
            continue;
        };
        for group in listed {
            let of_type = match group.group_type.as_str() {
                CONSUMER => &mut counts.consumer,
                SHARE => &mut counts.share,
                _ => &mut counts.classic,
            };
            let state = group.group_state.as_str();
            if let Some((_, count)) = of_type.iter_mut().find(|(known, _)| *known == state) {
                *count += 1;
            }
        }
    }
    counts
}

pub(super) fn add(page: &Page, node: &Node, groups: &GroupCounts) -> Result<(), Error> {
    add_logs(page, node)?;
    add_partitions(page, node)?;
    add_controller(page, node)?;
    add_network(page, node)?;
    add_groups(page, groups)
}

fn add_groups(page: &Page, groups: &GroupCounts) -> Result<(), Error> {
    let total = |counts: &[(&str, i64)]| counts.iter().map(|(_, count)| count).sum();
    let classic = total(&groups.classic);
    // As upstream's, older than the other groups: these are the classic ones.
    let name = "kafka_coordinator_group_groupmetadatamanager_numgroups";
    page.gauge(name, "Classic groups", classic)?;
    for ((_, count), (_, state)) in groups.classic.iter().zip(GROUP_STATES) {
        let help = "Classic groups in this state";
        page.gauge(&format!("{name}{state}"), help, *count)?;
    }
    let by_protocol = [
        ("classic", classic),
        (CONSUMER, total(&groups.consumer)),
        (SHARE, total(&groups.share)),
    ];
    page.gauges(
        "kafka_server_groupcoordinatormetrics_group_count",
        "Groups by protocol",
        &["protocol"],
        by_protocol
            .into_iter()
            .map(|(name, count)| (vec![name.to_owned()], count)),
    )?;
    let by_state = [
        (
            "consumer_group_count",
            "Consumer groups (KIP-848) by state",
            &groups.consumer,
        ),
        (
            "share_group_count",
            "Share groups (KIP-932) by state",
            &groups.share,
        ),
    ];
    for (name, help, counts) in by_state {
        let counts = counts.iter();
        page.gauges(
            &format!("kafka_server_groupcoordinatormetrics_{name}"),
            help,
            &["state"],
            counts.map(|(state, count)| (vec![(*state).to_owned()], *count)),
        )?;
    }
    page.counter(
        "kafka_server_groupcoordinatormetrics_consumer_group_rebalance_count",
        "How often the epoch of a consumer group was raised",
        groups.consumer_rebalances,
    )?;
    page.counter(
        "kafka_server_groupcoordinatormetrics_share_group_rebalance_count",
        "How often the epoch of a share group was raised",
        groups.share_rebalances,
    )
}

fn add_logs(page: &Page, node: &Node) -> Result<(), Error> {
    let partitions = node.replicas.all();
    type Of = fn(&crate::replica::Partition) -> i64;
    let families: [(&str, &str, Of); 4] = [
        ("size", "Bytes of a log", |it| {
            i64::try_from(it.log().size_in_bytes()).unwrap_or(i64::MAX)
        }),
        ("logstartoffset", "First offset of a log", |it| {
            it.log().log_start_offset().0
        }),
        ("logendoffset", "Offset of a log's next record", |it| {
            it.log().log_end_offset().0
        }),
        ("highwatermark", "Offset up to which consumers read", |it| {
            it.high_watermark().0
        }),
    ];
    for (name, help, of) in families {
        let values = partitions.iter().map(|partition| {
            let at = partition.topic_partition();
            (
                vec![at.topic.to_string(), at.partition.to_string()],
                of(partition),
            )
        });
        let name = if name == "highwatermark" {
            "kafka_cluster_partition_highwatermark".to_owned()
        } else {
            format!("kafka_log_log_{name}")
        };
        page.gauges(&name, help, &["topic", "partition"], values)?;
    }
    Ok(())
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn add_partitions(page: &Page, node: &Node) -> Result<(), Error> {
    let image = node.controller.image();
    let partitions = image
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter());
    let under = partitions
        .filter(|(_, partition)| partition.isr.len() < partition.replicas.len())
        .count();
    // One node leads whatever lies on it.
    let here = count(node.replicas.all().len());
    let families = [
        ("partitioncount", "Partitions of this node", here),
        ("leadercount", "Partitions that this node leads", here),
        (
            "underreplicatedpartitions",
            "Partitions with fewer replicas in sync than they have",
            count(under),
        ),
        (
            "offlinereplicacount",
            "Replicas of this node whose log cannot be used",
            count(node.replicas.offline()),
        ),
    ];
    for (name, help, value) in families {
        page.gauge(&format!("kafka_server_replicamanager_{name}"), help, value)?;
    }
    // Upstream's number for a broker that runs.
    let state = if node.is_ready() { 3 } else { 1 };
    page.gauge("kafka_server_kafkaserver_brokerstate", "3: running", state)
}

fn add_controller(page: &Page, node: &Node) -> Result<(), Error> {
    let image = node.controller.image();
    let brokers = |which: fn(&BrokerRegistration) -> bool| {
        count(
            image
                .cluster
                .brokers()
                .filter(|broker| which(broker))
                .count(),
        )
    };
    let all: Vec<_> = image
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter())
        .collect();
    let leaderless = all
        .iter()
        .filter(|(_, partition)| partition.leader.is_none())
        .count();
    let families = [
        (
            "activecontrollercount",
            "1: this node is the controller",
            1, // One node is its own.
        ),
        (
            "activebrokercount",
            "Brokers that serve",
            brokers(BrokerRegistration::is_active),
        ),
        (
            "fencedbrokercount",
            "Brokers that are fenced",
            brokers(|broker| broker.fenced),
        ),
        ("globaltopiccount", "Topics", count(image.topics.len())),
        ("globalpartitioncount", "Partitions", count(all.len())),
        (
            "offlinepartitionscount",
            "Partitions without a leader",
            count(leaderless),
        ),
    ];
    for (name, help, value) in families {
        page.gauge(
            &format!("kafka_controller_kafkacontroller_{name}"),
            help,
            value,
        )?;
    }
    Ok(())
}

fn add_network(page: &Page, node: &Node) -> Result<(), Error> {
    let meters = &node.meters;
    page.gauge(
        "kafka_server_socketservermetrics_connection_count",
        "Open connections of clients",
        meters.connections.load(Ordering::Relaxed),
    )?;
    page.counter(
        "kafka_server_socketservermetrics_connection_creation_total",
        "Connections that were accepted",
        meters.connections_created.load(Ordering::Relaxed),
    )?;
    let (used, all) = node.resources.request_bytes();
    page.gauge(
        "klamm_request_memory_used_bytes",
        "Memory that large requests on their way in hold",
        i64::try_from(used).unwrap_or(i64::MAX),
    )?;
    page.gauge(
        "klamm_request_memory_max_bytes",
        "Memory that requests on their way in may hold (queued.max.request.bytes)",
        i64::try_from(all).unwrap_or(i64::MAX),
    )?;
    let share = if all == 0 {
        0.0
    } else {
        used as f64 / all as f64
    };
    page.ratio(
        "klamm_request_memory_used_ratio",
        "Share of the memory for requests that is held",
        share,
    )
}
