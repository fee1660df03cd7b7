//! The transaction coordinator: its contract, conversations, properties, and the bytes that upstream wrote.

mod contract;
mod fixtures;
mod properties;
mod runtime;
mod scenarios;
