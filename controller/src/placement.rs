//! Where the replicas of new partitions go: striped over racks, then over the brokers of a rack.
//! No broker holds two replicas of a partition, a fenced broker never comes first, and unfenced
//! brokers are used up before fenced ones. Random only in where it begins.

use std::collections::BTreeMap;

use metadata::ClusterImage;
use rand::Rng;
use rand::seq::SliceRandom;
use thiserror::Error;

/// Why partitions cannot be placed; the messages are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PlacementError {
    #[error(
        "Invalid replication factor {replication_factor}: the replication factor must be positive."
    )]
    NotPositive { replication_factor: i32 },
    #[error("All brokers are currently fenced.")]
    AllFenced,
    #[error(
        "The target replication factor of {replication_factor} cannot be reached because only \
         {brokers} broker(s) are registered or some brokers have all their log directories \
         cordoned."
    )]
    TooFewBrokers {
        replication_factor: i32,
        brokers: usize,
    },
}

/// The replicas of `partitions` new partitions, the first of each being its leader.
pub(crate) fn place(
    cluster: &ClusterImage,
    partitions: i32,
    replication_factor: i32,
    rng: &mut impl Rng,
) -> Result<Vec<Vec<i32>>, PlacementError> {
    let mut racks = Racks::new(cluster, rng);
    let replicas = racks.check(replication_factor)?;
    Ok((0..partitions)
        .map(|_| racks.place(replicas, rng))
        .collect())
}

/// Brokers of one rack and of one state, handed out in turn. Each new partition is an epoch and
/// begins one broker further on.
#[derive(Default)]
struct Brokers {
    ids: Vec<i32>,
    taken: usize,
    offset: usize,
    epoch: usize,
}

impl Brokers {
    fn begin_at_random(&mut self, rng: &mut impl Rng) {
        self.ids.sort_unstable();
        if !self.ids.is_empty() {
            self.offset = rng.random_range(0..self.ids.len());
        }
    }

    fn next(&mut self, epoch: usize) -> Option<i32> {
        if self.ids.is_empty() {
            return None;
        }
        if self.epoch != epoch {
            self.epoch = epoch;
            self.taken = 0;
            self.offset = (self.offset + 1) % self.ids.len();
        }
        if self.taken >= self.ids.len() {
            return None;
        }
        let id = self
            .ids
            .get((self.taken + self.offset) % self.ids.len())
            .copied();
        self.taken += 1;
        id
    }
}

#[derive(Default)]
struct Rack {
    unfenced: Brokers,
    fenced: Brokers,
}

struct Racks {
    racks: Vec<Rack>,
    brokers: usize,
    unfenced: usize,
    epoch: usize,
    offset: usize,
}

impl Racks {
    fn new(cluster: &ClusterImage, rng: &mut impl Rng) -> Racks {
        let mut by_name: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let (mut brokers, mut unfenced) = (0, 0);
        // A broker on its way out gets no new replicas.
        for broker in cluster
            .brokers()
            .filter(|broker| !broker.in_controlled_shutdown)
        {
            let rack = by_name.entry(broker.rack.as_deref()).or_default();
            brokers += 1;
            if broker.fenced {
                rack.fenced.ids.push(broker.id);
            } else {
                unfenced += 1;
                rack.unfenced.ids.push(broker.id);
            }
        }
        let mut racks: Vec<Rack> = by_name.into_values().collect();
        for rack in &mut racks {
            rack.fenced.begin_at_random(rng);
            rack.unfenced.begin_at_random(rng);
        }
        let offset = if racks.is_empty() {
            0
        } else {
            rng.random_range(0..racks.len())
        };
        Racks {
            racks,
            brokers,
            unfenced,
            epoch: 0,
            offset,
        }
    }

    fn check(&self, replication_factor: i32) -> Result<usize, PlacementError> {
        let replicas = usize::try_from(replication_factor).unwrap_or(0);
        if replicas == 0 {
            Err(PlacementError::NotPositive { replication_factor })
        } else if self.unfenced == 0 {
            Err(PlacementError::AllFenced)
        } else if replicas > self.brokers {
            Err(PlacementError::TooFewBrokers {
                replication_factor,
                brokers: self.brokers,
            })
        } else {
            Ok(replicas)
        }
    }

    /// One partition. `check` has passed: an unfenced broker exists, and enough brokers in all.
    fn place(&mut self, replicas: usize, rng: &mut impl Rng) -> Vec<i32> {
        // Every broker has led once: shuffle, so that the same sets do not come again.
        if self.epoch > 0 && self.unfenced > 1 && self.epoch.is_multiple_of(self.unfenced) {
            self.shuffle(rng);
        }
        let count = self.racks.len();
        self.offset %= count;
        let epoch = self.epoch;
        let mut placed = Vec::with_capacity(replicas);
        let mut leader_rack = None;
        for index in (0..count).map(|step| (self.offset + step) % count) {
            if let Some(id) = self
                .racks
                .get_mut(index)
                .and_then(|rack| rack.unfenced.next(epoch))
            {
                placed.push(id);
                leader_rack = Some(index);
                break;
            }
        }
        let mut index = self.offset;
        while placed.len() < replicas {
            if leader_rack == Some(index) {
                // Its turn of the first round is over: the leader is there.
                leader_rack = None;
            } else if let Some(rack) = self.racks.get_mut(index) {
                placed.extend(
                    rack.unfenced
                        .next(epoch)
                        .or_else(|| rack.fenced.next(epoch)),
                );
            }
            index = (index + 1) % count;
        }
        self.epoch += 1;
        self.offset += 1;
        placed
    }

    fn shuffle(&mut self, rng: &mut impl Rng) {
        self.racks.shuffle(rng);
        for rack in &mut self.racks {
            rack.fenced.ids.shuffle(rng);
            rack.unfenced.ids.shuffle(rng);
        }
    }
}

#[cfg(test)]
mod tests;
