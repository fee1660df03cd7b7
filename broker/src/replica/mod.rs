//! The replicas this node hosts: which partitions, and what may be read and written there.

mod manager;
mod partition;
mod waiting;

pub(crate) use manager::Manager;
pub(crate) use partition::{Isolation, Partition, PartitionRead, ReadRequest};
pub(crate) use waiting::ReadyList;

#[cfg(test)]
mod tests;
