//! The usual setups: a topic that serves, records in it, a group whose coordinator answers, and a
//! member of a stable group. Each returns when the thing can be used, so no case needs to wait.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::case::{Consumer, Join, Produce, Sharer, Topic, Transactional};
use crate::client::Client;
use crate::path;

const SETTLED_DEADLINE: Duration = Duration::from_secs(20);
const SETTLED_PAUSE: Duration = Duration::from_millis(10);

pub(crate) fn topic(client: &mut Client, topic: &Topic) -> Result<()> {
    let name = path::interpolate(&topic.name, &client.variables)?;
    let configs = topic.configs.iter();
    let configs: Vec<Value> = configs
        .map(|(name, value)| json!({ "Name": name, "Value": value }))
        .collect();
    let create = json!({ "TimeoutMs": 10_000, "Topics": [{
        "Name": name, "NumPartitions": topic.partitions, "ReplicationFactor": 1, "Configs": configs,
    }]});
    client.call("CreateTopics", 5, create, "main")?;
    let metadata = json!({ "Topics": [{ "Name": name }], "AllowAutoTopicCreation": false });
    let answer = client.call("Metadata", 10, metadata, "main")?;
    let partitions: Vec<Value> = (0..topic.partitions)
        .map(|index| json!({ "PartitionIndex": index, "Timestamp": -1 }))
        .collect();
    let latest = json!({ "ReplicaId": -1, "Topics": [{ "Name": name, "Partitions": partitions }]});
    client.call("ListOffsets", 5, latest, "main")?;
    if let Some(variable) = &topic.id {
        let id = path::get(&answer, "Topics[0].TopicId")
            .context("a topic id")?
            .clone();
        client.variables.insert(variable.clone(), id);
    }
    Ok(())
}

pub(crate) fn produce(client: &mut Client, produce: &Produce) -> Result<()> {
    let body = json!({ "Acks": -1, "TimeoutMs": 10_000, "TopicData": [{
        "Name": produce.topic,
        "PartitionData": [{ "Index": produce.partition, "Records": { "$batch": produce.batch } }],
    }]});
    client.call("Produce", 7, body, "main")?;
    Ok(())
}

pub(crate) fn group(client: &mut Client, group: &str) -> Result<()> {
    let find = json!({ "Key": group, "KeyType": 0 });
    client.call("FindCoordinator", 3, find, "main")?;
    // Only a loaded coordinator answers this one without an error.
    client.call(
        "OffsetFetch",
        5,
        json!({ "GroupId": group, "Topics": [] }),
        "main",
    )?;
    Ok(())
}

/// Finds the coordinator first: with that upstream makes the topic of the transactions' states.
pub(crate) fn transactional(client: &mut Client, producer: &Transactional) -> Result<()> {
    let find = json!({ "Key": producer.id, "KeyType": 1 });
    client.call("FindCoordinator", 3, find, "main")?;
    let init = json!({
        "TransactionalId": producer.id, "TransactionTimeoutMs": producer.timeout_ms,
        "ProducerId": -1, "ProducerEpoch": -1,
    });
    let answer = client.call("InitProducerId", 4, init, "main")?;
    for (variable, field) in [("pid", "ProducerId"), ("epoch", "ProducerEpoch")] {
        let value = answer.get(field).context(field)?.clone();
        let name = format!("{variable}{}", producer.producer);
        client.variables.insert(name, value);
    }
    Ok(())
}

/// The coordinator writes markers after it has answered; until then the next transaction has to wait.
pub(crate) fn settled(client: &mut Client, id: &str) -> Result<()> {
    let until = Instant::now() + SETTLED_DEADLINE;
    loop {
        let describe = json!({ "TransactionalIds": [id] });
        let answer = client.call("DescribeTransactions", 0, describe, "main")?;
        let state = path::get(&answer, "TransactionStates[0].TransactionState");
        let state = state.and_then(Value::as_str).context("a state")?;
        if !state.starts_with("Prepare") {
            return Ok(());
        }
        ensure!(Instant::now() < until, "the transaction stays {state}");
        std::thread::sleep(SETTLED_PAUSE);
    }
}

/// Joins in version 5, which takes a first join without a member id only from static members, and
/// in version 3 otherwise; then syncs, giving every member no partitions.
pub(crate) fn join(client: &mut Client, join: &Join) -> Result<()> {
    group(client, &join.group)?;
    let metadata = json!({ "$subscription": { "topics": join.topics } });
    let protocols: Vec<Value> = join
        .protocols
        .iter()
        .map(|name| json!({ "Name": name, "Metadata": metadata }))
        .collect();
    let instance = join.instance.as_ref();
    let body = json!({
        "GroupId": join.group, "SessionTimeoutMs": join.session_timeout_ms,
        "RebalanceTimeoutMs": 300_000, "MemberId": "", "GroupInstanceId": instance,
        "ProtocolType": join.protocol_type, "Protocols": protocols,
    });
    let version = if instance.is_some() { 5 } else { 3 };
    let joined = client.call("JoinGroup", version, body, &join.member)?;
    let member = joined.get("MemberId").context("a member id")?.clone();
    let generation = joined.get("GenerationId").context("a generation")?.clone();
    let assignment = match &join.assigned {
        None => json!("hex:0000000000000000ffffffff"),
        Some(topics) => json!({ "$assignment": topics }),
    };
    let sync = json!({
        "GroupId": join.group, "GenerationId": generation, "MemberId": member,
        "GroupInstanceId": instance,
        "Assignments": [{ "MemberId": member, "Assignment": assignment }],
    });
    client.call("SyncGroup", 3, sync, &join.member)?;
    client
        .variables
        .insert(format!("{}.member", join.member), member);
    client
        .variables
        .insert(format!("{}.generation", join.member), generation);
    Ok(())
}

/// The first heartbeat of a member, in the version in which it names itself.
pub(crate) fn consumer(client: &mut Client, consumer: &Consumer) -> Result<()> {
    group(client, &consumer.group)?;
    let body = json!({
        "GroupId": consumer.group, "MemberId": consumer.member, "MemberEpoch": 0,
        "InstanceId": consumer.instance, "RebalanceTimeoutMs": 300_000,
        "SubscribedTopicNames": consumer.topics, "SubscribedTopicRegex": consumer.regex,
        "ServerAssignor": consumer.assignor, "TopicPartitions": [],
    });
    let joined = client.call("ConsumerGroupHeartbeat", 1, body, &consumer.member)?;
    let epoch = joined.get("MemberEpoch").context("an epoch")?.clone();
    let name = format!("{}.epoch", consumer.member);
    client.variables.insert(name, epoch);
    Ok(())
}

/// Share state of a new partition is made behind the answer of the first heartbeat, and only then is
/// the partition assigned: so it goes on with the epoch it was given until it has partitions.
pub(crate) fn sharer(client: &mut Client, sharer: &Sharer) -> Result<()> {
    let find = json!({ "Key": sharer.group, "KeyType": 0 });
    client.call("FindCoordinator", 3, find, "main")?;
    let until = Instant::now() + SETTLED_DEADLINE;
    let mut epoch = Value::from(0);
    loop {
        let topics = (epoch == 0).then_some(&sharer.topics);
        let body = json!({
            "GroupId": sharer.group, "MemberId": sharer.member, "MemberEpoch": epoch,
            "SubscribedTopicNames": topics,
        });
        let answer = client.call("ShareGroupHeartbeat", 1, body, &sharer.member)?;
        epoch = answer.get("MemberEpoch").context("an epoch")?.clone();
        if path::get(&answer, "Assignment.TopicPartitions[0]").is_some() {
            break;
        }
        ensure!(
            Instant::now() < until,
            "no partitions were assigned: {answer}"
        );
        std::thread::sleep(SETTLED_PAUSE);
    }
    let name = format!("{}.epoch", sharer.member);
    client.variables.insert(name, epoch);
    Ok(())
}
