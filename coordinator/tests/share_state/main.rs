//! The share coordinator: conversations, properties, and what upstream wrote and answered.

mod fixtures;
mod properties;
mod runtime;
mod scenarios;
