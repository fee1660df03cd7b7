//! Who is told when the metadata changes.
//! Publishers run one after the other in a fixed order, and every one has run before a reader or
//! a response sees the new image.

use std::sync::Arc;

use crate::image::{MetadataDelta, MetadataImage};

/// A part of the node that follows the metadata image.
pub trait MetadataPublisher: Send {
    /// A name for logs.
    fn name(&self) -> &'static str;

    /// Takes notice of `image`, which is the base of `delta` with `delta` applied. Called in log
    /// order, never twice for one image. Must be quick: the next metadata change waits for it.
    fn publish(&mut self, delta: &MetadataDelta, image: &Arc<MetadataImage>);
}
