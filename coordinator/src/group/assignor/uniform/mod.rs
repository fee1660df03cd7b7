//! The assignor `uniform`: every member has as many partitions as any other, give or take one, and
//! as few as possible change hands.
//!
//! Invariant: balance before stickiness. Where members subscribe different topics (heterogeneous)
//! balance is what upstream reaches: no topic could be shared out better among its subscribers
//! alone, or as many rounds were made as are allowed.

mod balancer;
mod heterogeneous;
mod homogeneous;

use super::{Assignor, AssignorError, GroupAssignment, GroupSpec, SubscriptionType, TopicView};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UniformAssignor;

impl Assignor for UniformAssignor {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn assign(
        &self,
        spec: &GroupSpec,
        topics: &dyn TopicView,
    ) -> Result<GroupAssignment, AssignorError> {
        match spec.subscription {
            SubscriptionType::Homogeneous => homogeneous::assign(spec, topics),
            SubscriptionType::Heterogeneous => heterogeneous::assign(spec, topics),
        }
    }
}
