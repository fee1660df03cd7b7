//! The transaction coordinator: conversations, properties, and the bytes that upstream wrote.

mod fixtures;
mod properties;
mod runtime;
mod scenarios;
