//! Consumer groups: assignments, rebalances eager and cooperative, static members, commits, lag.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::ClientContext;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, RebalanceProtocol,
};
use rdkafka::topic_partition_list::Offset;
use serde_json::{Value, json};

use crate::Named;
use crate::broker::Broker;
use crate::clients::{PATIENCE, admin, consumer, fill, name_of, options, take, topic, until, wait};

pub(crate) const ALL: &[Named] = &[
    Named {
        name: "a_group_resumes_where_it_committed",
        run: resume,
    },
    Named {
        name: "the_lag_is_what_was_not_consumed",
        run: lag,
    },
    Named {
        name: "members_share_the_partitions_eagerly",
        run: eager,
    },
    Named {
        name: "members_share_the_partitions_cooperatively",
        run: cooperative,
    },
    Named {
        name: "a_static_member_comes_back_without_a_rebalance",
        run: static_member,
    },
    Named {
        name: "a_static_member_fences_its_double",
        run: fenced,
    },
    Named {
        name: "groups_are_listed_described_and_deleted",
        run: described,
    },
    Named {
        name: "a_member_that_falls_silent_loses_its_partitions",
        run: expired,
    },
    Named {
        name: "commits_are_refused_where_they_must_be",
        run: refused_commits,
    },
];

/// Counts the rebalances that a member sees.
#[derive(Default)]
struct Counting {
    seen: Mutex<Vec<String>>,
}

impl ClientContext for Counting {}

impl ConsumerContext for Counting {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let what = match rebalance {
            Rebalance::Assign(list) => format!("assign {}", list.count()),
            Rebalance::Revoke(list) => format!("revoke {}", list.count()),
            Rebalance::Error(error) => format!("error {error}"),
        };
        if let Ok(mut seen) = self.seen.lock() {
            seen.push(what);
        }
    }
}

type Member = BaseConsumer<Counting>;

fn member(broker: &Broker, group: &str, settings: &[(&str, &str)]) -> Result<Member> {
    let mut config = broker.client(&[
        ("group.id", group),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("session.timeout.ms", "10000"),
        ("heartbeat.interval.ms", "300"),
    ]);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    Ok(config.create_with_context(Counting::default())?)
}

fn rebalances(member: &Member) -> Value {
    member
        .context()
        .seen
        .lock()
        .map(|seen| json!(*seen))
        .unwrap_or_default()
}

fn assigned(member: &Member) -> Result<BTreeSet<i32>> {
    let assignment = member.assignment()?;
    Ok(assignment
        .elements()
        .iter()
        .map(|one| one.partition())
        .collect())
}

/// Polls all members until they have so many partitions each (in any order), and all of them.
fn settle(members: &[&Member], sizes: &[usize]) -> Result<()> {
    let total: usize = sizes.iter().sum();
    until(|| {
        let mut all = BTreeSet::new();
        let mut found = Vec::new();
        for member in members {
            // A record ahead of the rebalance's end does no harm here.
            let _ = member.poll(Duration::from_millis(20));
            let partitions = assigned(member)?;
            found.push(partitions.len());
            all.extend(partitions);
        }
        found.sort_unstable();
        Ok((found == sizes && all.len() == total).then_some(()))
    })
    .context(format!("members with {sizes:?} partitions"))
}

fn resume(broker: &Broker) -> Result<Value> {
    topic(broker, "resumed", 1, &[])?;
    fill(broker, "resumed", 0, "v", 10)?;
    let mut seen = Vec::new();
    for count in [4, 3, 2] {
        let consumer = consumer(broker, "resumes", &[])?;
        consumer.subscribe(&["resumed"])?;
        let records = take(&consumer, count)?;
        let last = records.last().and_then(|record| record["offset"].as_i64());
        let mut offsets = TopicPartitionList::new();
        let next = Offset::Offset(last.context("an offset")? + 1);
        offsets.add_partition_offset("resumed", 0, next)?;
        consumer.commit(&offsets, CommitMode::Sync)?;
        seen.push(json!([records, committed(&consumer, "resumed", 1)?]));
    }
    Ok(json!(seen))
}

fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: i32,
) -> Result<Value> {
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_range(topic, 0, partitions - 1);
    let found = consumer.committed_offsets(wanted, PATIENCE)?;
    let offsets = found.elements();
    Ok(offsets
        .iter()
        .map(|one| json!([one.partition(), format!("{:?}", one.offset())]))
        .collect())
}

fn lag(broker: &Broker) -> Result<Value> {
    topic(broker, "lagged", 3, &[])?;
    for (partition, count) in [(0, 5), (1, 8)] {
        fill(broker, "lagged", partition, "v", count)?;
    }
    let consumer = consumer(broker, "lags", &[])?;
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("lagged", 0, Offset::Offset(5))?;
    offsets.add_partition_offset("lagged", 1, Offset::Offset(3))?;
    consumer.commit(&offsets, CommitMode::Sync)?;
    let marks: Vec<Value> = (0..3)
        .map(|partition| {
            Ok(json!(
                consumer.fetch_watermarks("lagged", partition, PATIENCE)?
            ))
        })
        .collect::<Result<_>>()?;
    Ok(json!([committed(&consumer, "lagged", 3)?, marks]))
}

fn eager(broker: &Broker) -> Result<Value> {
    topic(broker, "shared", 6, &[])?;
    let settings = [("partition.assignment.strategy", "range")];
    let one = member(broker, "shares", &settings)?;
    one.subscribe(&["shared"])?;
    settle(&[&one], &[6])?;
    let two = member(broker, "shares", &settings)?;
    two.subscribe(&["shared"])?;
    settle(&[&one, &two], &[3, 3])?;
    let three = member(
        broker,
        "shares",
        &[("partition.assignment.strategy", "range,roundrobin")],
    )?;
    three.subscribe(&["shared"])?;
    settle(&[&one, &two, &three], &[2, 2, 2])?;
    drop(three);
    settle(&[&one, &two], &[3, 3])?;
    let all: BTreeSet<i32> = assigned(&one)?.union(&assigned(&two)?).copied().collect();
    Ok(json!([rebalances(&one), rebalances(&two), all]))
}

fn cooperative(broker: &Broker) -> Result<Value> {
    topic(broker, "shared-gently", 4, &[])?;
    let settings = [("partition.assignment.strategy", "cooperative-sticky")];
    let one = member(broker, "shares-gently", &settings)?;
    one.subscribe(&["shared-gently"])?;
    settle(&[&one], &[4])?;
    let before = assigned(&one)?;
    let two = member(broker, "shares-gently", &settings)?;
    two.subscribe(&["shared-gently"])?;
    settle(&[&one, &two], &[2, 2])?;
    // What stays is never taken away meanwhile.
    ensure!(assigned(&one)?.is_subset(&before), "{:?}", assigned(&one)?);
    drop(two);
    settle(&[&one], &[4])?;
    Ok(json!([
        matches!(one.rebalance_protocol(), RebalanceProtocol::Cooperative),
        rebalances(&one)
    ]))
}

fn static_member(broker: &Broker) -> Result<Value> {
    topic(broker, "kept", 2, &[])?;
    let of = |instance| member(broker, "keeps", &[("group.instance.id", instance)]);
    let one = of("one")?;
    one.subscribe(&["kept"])?;
    settle(&[&one], &[2])?;
    let two = of("two")?;
    two.subscribe(&["kept"])?;
    settle(&[&one, &two], &[1, 1])?;
    let (before, had) = (rebalances(&one), assigned(&two)?);
    drop(two);
    let again = of("two")?;
    again.subscribe(&["kept"])?;
    settle(&[&one, &again], &[1, 1])?;
    ensure!(
        assigned(&again)? == had,
        "it got {:?} in place of {had:?}",
        assigned(&again)?
    );
    Ok(json!([before, rebalances(&one), rebalances(&again)]))
}

fn fenced(broker: &Broker) -> Result<Value> {
    topic(broker, "doubled", 1, &[])?;
    let of = || member(broker, "doubles", &[("group.instance.id", "same")]);
    let one = of()?;
    one.subscribe(&["doubled"])?;
    settle(&[&one], &[1])?;
    let two = of()?;
    two.subscribe(&["doubled"])?;
    let error = until(|| {
        let _ = two.poll(Duration::from_millis(20));
        let polled = one.poll(Duration::from_millis(20));
        Ok(polled.and_then(Result::err))
    })?;
    settle(&[&two], &[1])?;
    Ok(json!([name_of(&error), rebalances(&two)]))
}

fn described(broker: &Broker) -> Result<Value> {
    topic(broker, "described", 2, &[])?;
    let of = |consumer: &Member| -> Result<Value> {
        let list = consumer.fetch_group_list(Some("describes"), PATIENCE)?;
        let groups = list.groups().iter().map(|group| {
            let members = group.members().iter().map(|member| {
                let sizes =
                    [member.metadata(), member.assignment()].map(|bytes| bytes.map(<[u8]>::len));
                json!([member.client_id(), sizes])
            });
            let members: Vec<Value> = members.collect();
            json!([
                group.name(),
                group.state(),
                group.protocol_type(),
                group.protocol(),
                members
            ])
        });
        Ok(groups.collect())
    };
    let one = member(broker, "describes", &[("client.id", "somebody")])?;
    let mut seen = vec![of(&one)?];
    one.subscribe(&["described"])?;
    settle(&[&one], &[2])?;
    seen.push(of(&one)?);
    let admin = admin(broker)?;
    let delete = || -> Result<Value> {
        let results = wait(admin.delete_groups(&["describes", "never-there"], &options()))??;
        Ok(results
            .iter()
            .map(|result| json!(format!("{result:?}")))
            .collect())
    };
    seen.push(delete()?);
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("described", 0, Offset::Offset(0))?;
    one.commit(&offsets, CommitMode::Sync)?;
    one.unsubscribe();
    until(|| {
        let _ = one.poll(Duration::from_millis(20));
        let list = one.fetch_group_list(Some("describes"), PATIENCE)?;
        Ok(list
            .groups()
            .iter()
            .any(|group| group.state() == "Empty")
            .then_some(()))
    })?;
    seen.push(of(&one)?);
    seen.push(delete()?);
    seen.push(of(&one)?);
    Ok(json!(seen))
}

fn expired(broker: &Broker) -> Result<Value> {
    topic(broker, "silent", 2, &[])?;
    let settings = [
        ("session.timeout.ms", "6000"),
        ("max.poll.interval.ms", "6500"),
    ];
    let one = member(broker, "silence", &settings)?;
    one.subscribe(&["silent"])?;
    settle(&[&one], &[2])?;
    let two = member(broker, "silence", &settings)?;
    two.subscribe(&["silent"])?;
    settle(&[&one, &two], &[1, 1])?;
    // Now only the second is polled.
    settle(&[&two], &[2])?;
    let error = until(|| Ok(one.poll(Duration::from_millis(100)).and_then(Result::err)))?;
    Ok(json!([name_of(&error), rebalances(&two)]))
}

fn refused_commits(broker: &Broker) -> Result<Value> {
    topic(broker, "uncommitted", 1, &[])?;
    let consumer = consumer(broker, "commits", &[])?;
    let mut seen = Vec::new();
    for (topic, partition) in [("uncommitted", 0), ("uncommitted", 7), ("not-there", 0)] {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(1))?;
        let result = consumer.commit(&offsets, CommitMode::Sync);
        seen.push(result.map_or_else(|error| name_of(&error), |()| json!("taken")));
    }
    // An outsider, while the group has a member.
    let one = member(broker, "commits", &[])?;
    one.subscribe(&["uncommitted"])?;
    settle(&[&one], &[1])?;
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("uncommitted", 0, Offset::Offset(2))?;
    let result = consumer.commit(&offsets, CommitMode::Sync);
    seen.push(result.map_or_else(|error| name_of(&error), |()| json!("taken")));
    seen.push(committed(&consumer, "uncommitted", 1)?);
    Ok(json!(seen))
}
