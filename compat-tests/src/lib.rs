//! The wire comparison with upstream Apache Kafka: cases are data, requests go out raw, answers are
//! decoded by Kafka's own schemas, masked by rule and compared field by field with what upstream
//! answered. It depends on none of our crates, so it cannot share their mistakes.

mod batch;
pub mod case;
mod client;
mod codec;
pub mod compare;
mod connection;
pub mod coverage;
pub mod mask;
mod mutate;
mod path;
mod prepare;
pub mod recording;
pub mod report;
pub mod run;
pub mod schema;
mod subscription;
