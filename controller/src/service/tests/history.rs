//! Random histories: whatever was answered is there after a kill at any moment, with snapshots
//! taken and the log cut in between.

use protocol::messages::create_partitions_request::CreatePartitionsTopic;
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use protocol::messages::{CreatePartitionsRequest, IncrementalAlterConfigsRequest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::harness::*;
use crate::SnapshotPolicy;
use crate::control::topics::topic_name_of;

const TOPICS: u32 = 8;

fn often(seed: u64) -> Start {
    let snapshots = SnapshotPolicy {
        bytes_between: u64::MAX,
        entries_between: 1 + seed % 7,
        entries_kept: seed % 4,
    };
    Start {
        snapshots,
        seed,
        ..Start::default()
    }
}

impl Node {
    async fn grow(&self, name: &str, count: i32) {
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name_of(name))
            .with_count(count)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_timeout_ms(30_000)
            .with_topics(vec![topic]);
        self.handle.create_partitions(context(), request).await;
    }

    async fn set_retention(&self, name: &str, retention_ms: u32) {
        let config = AlterableConfig::default()
            .with_name("retention.ms".into())
            .with_value(Some(retention_ms.to_string().into()));
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(name.to_owned().into())
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        self.handle
            .incremental_alter_configs(context(), request)
            .await;
    }
}

async fn step(node: &Node, rng: &mut StdRng, epoch: i64) {
    let name = format!("t{}", rng.random_range(0..TOPICS));
    match rng.random_range(0..6) {
        0 | 1 => drop(node.create(&name).await),
        2 => drop(node.delete(&name).await),
        3 => node.grow(&name, rng.random_range(1..9)).await,
        4 => node.set_retention(&name, rng.random_range(1..1000)).await,
        _ => drop(node.handle.allocate_producer_ids(1, epoch).await),
    }
}

async fn history(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut folder = tempfile::tempdir().unwrap();
    let mut node = often(seed).on(folder.path()).await.unwrap();
    let mut incarnation = 1;
    for _ in 0..4 {
        let epoch = node.register(incarnation).await;
        incarnation += 1;
        for _ in 0..rng.random_range(0..15) {
            step(&node, &mut rng, epoch).await;
        }
        let before = node.handle.image();
        let copy = killed_copy(folder.path());
        node.stop().await;
        // Ids are drawn anew in every life, as a real node draws its seed.
        let start = Start {
            seed: seed * 1000 + incarnation as u64,
            ..often(seed)
        };
        node = start.on(copy.path()).await.unwrap();
        folder = copy;
        let after = node.handle.image();
        assert_eq!(after.topics, before.topics, "seed {seed}");
        assert_eq!(after.configs, before.configs, "seed {seed}");
        assert_eq!(after.producer_ids, before.producer_ids, "seed {seed}");
        assert_eq!(after.cluster, before.cluster, "seed {seed}");
        assert_eq!(after.provenance, before.provenance, "seed {seed}");
        assert_eq!(
            node.notes.topics().len(),
            before.topics.len(),
            "seed {seed}"
        );
    }
    node.stop().await;
}

#[tokio::test]
async fn every_history_survives_every_kill() {
    for seed in 0..25 {
        history(seed).await;
    }
}
