//! Share partitions and share sessions, from outside.

mod acknowledging;
mod acquiring;
mod fixtures;
mod locks;
mod properties;
mod recorded;
mod sessions;
mod state;
mod upstream;
