//! Coordinators on this node: state machines of the crate `coordinator` over partitions led here.

mod cluster_view;
mod groups;
mod held;
pub(crate) mod markers;
mod runtime;
pub(crate) mod share_groups;
mod share_state;
mod timers;
mod transactions;
mod view;

pub(crate) use cluster_view::ClusterView;
pub(crate) use groups::{GROUP_TOPIC, GroupCoordinator, HeldGroups};
pub(crate) use runtime::MarkerWrite;
pub(crate) use share_state::{HeldShareStates, SHARE_STATE_TOPIC, ShareCoordinator};
pub(crate) use transactions::{HeldTransactions, TRANSACTION_TOPIC, TransactionCoordinator};

#[cfg(test)]
mod group_tests;
