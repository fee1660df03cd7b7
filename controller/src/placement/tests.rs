use std::collections::{BTreeMap, BTreeSet};

use metadata::MetadataImage;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::control::fixture;

fn cluster(brokers: &[(i32, Option<&str>, bool)]) -> MetadataImage {
    let records: Vec<_> = brokers
        .iter()
        .map(|(id, rack, fenced)| fixture::broker(*id, *rack, *fenced))
        .collect();
    fixture::apply(&MetadataImage::default(), &records)
}

fn placed(image: &MetadataImage, partitions: i32, factor: i32, seed: u64) -> Vec<Vec<i32>> {
    place(
        &image.cluster,
        partitions,
        factor,
        &mut StdRng::seed_from_u64(seed),
    )
    .unwrap()
}

fn error(image: &MetadataImage, factor: i32) -> String {
    let mut rng = StdRng::seed_from_u64(1);
    place(&image.cluster, 1, factor, &mut rng)
        .unwrap_err()
        .to_string()
}

#[test]
fn one_broker_gets_everything() {
    let image = cluster(&[(1, None, false)]);
    assert_eq!(placed(&image, 3, 1, 1), [[1], [1], [1]]);
}

#[test]
fn what_cannot_be_placed_is_refused_in_upstreams_words() {
    let one = cluster(&[(1, None, false)]);
    assert_eq!(
        error(&one, 2),
        "The target replication factor of 2 cannot be reached because only 1 broker(s) are \
         registered or some brokers have all their log directories cordoned."
    );
    assert_eq!(
        error(&one, 0),
        "Invalid replication factor 0: the replication factor must be positive."
    );
    assert_eq!(
        error(&cluster(&[(1, None, true)]), 1),
        "All brokers are currently fenced."
    );
    assert_eq!(
        error(&MetadataImage::default(), 1),
        "All brokers are currently fenced."
    );
}

#[test]
fn every_partition_has_a_replica_in_every_rack() {
    let racks = [
        (1, Some("a")),
        (2, Some("a")),
        (3, Some("b")),
        (4, Some("b")),
        (5, Some("c")),
    ];
    let brokers: Vec<_> = racks.iter().map(|(id, rack)| (*id, *rack, false)).collect();
    let rack_of: BTreeMap<i32, &str> = racks
        .iter()
        .map(|(id, rack)| (*id, rack.unwrap()))
        .collect();
    for seed in 0..20 {
        for replicas in placed(&cluster(&brokers), 12, 3, seed) {
            let racks: BTreeSet<&str> = replicas.iter().map(|id| rack_of[id]).collect();
            assert_eq!(racks.len(), 3, "{replicas:?}");
        }
    }
}

#[test]
fn leaders_are_spread_over_the_brokers() {
    let brokers: Vec<_> = (1..=4).map(|id| (id, None, false)).collect();
    for seed in 0..20 {
        let mut leads: BTreeMap<i32, usize> = BTreeMap::new();
        for replicas in placed(&cluster(&brokers), 40, 2, seed) {
            *leads.entry(replicas[0]).or_default() += 1;
        }
        assert!(leads.values().all(|count| *count == 10), "{leads:?}");
    }
}

#[test]
fn one_seed_gives_one_placement() {
    let brokers: Vec<_> = (1..=5).map(|id| (id, None, false)).collect();
    let image = cluster(&brokers);
    assert_eq!(placed(&image, 20, 3, 9), placed(&image, 20, 3, 9));
}

proptest! {
    #[test]
    fn replicas_differ_and_a_live_one_leads(
        states in proptest::collection::vec((0usize..4, any::<bool>()), 1..9),
        partitions in 1i32..30,
        factor in 1i32..9,
        seed in any::<u64>(),
    ) {
        const RACKS: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];
        let brokers: Vec<_> = (1..)
            .zip(&states)
            .map(|(id, (rack, fenced))| (id, RACKS[*rack], *fenced))
            .collect();
        let image = cluster(&brokers);
        let mut rng = StdRng::seed_from_u64(seed);
        let result = place(&image.cluster, partitions, factor, &mut rng);
        let live = states.iter().filter(|(_, fenced)| !fenced).count();
        if live == 0 || factor as usize > states.len() {
            prop_assert!(result.is_err());
            return Ok(());
        }
        for replicas in result.unwrap() {
            let distinct: BTreeSet<i32> = replicas.iter().copied().collect();
            prop_assert_eq!(distinct.len(), factor as usize);
            prop_assert!(!states[replicas[0] as usize - 1].1);
            // Fenced brokers fill up only what live ones cannot, rack by rack.
            if live == states.len() {
                prop_assert!(replicas.iter().all(|id| !states[*id as usize - 1].1));
            }
        }
    }
}
