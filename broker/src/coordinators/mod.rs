//! Coordinators on this node: state machines of the crate `coordinator` over partitions led here.

mod groups;
mod held;
mod runtime;
mod timers;
mod view;

pub(crate) use groups::{GROUP_TOPIC, GroupCoordinator, HeldGroups};
pub(crate) use runtime::MarkerWrite;
