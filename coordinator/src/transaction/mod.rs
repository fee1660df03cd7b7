//! The transactions of one partition of `__transaction_state`.
//!
//! Invariant: hard state is the last record of each transactional id; it changes in `replay` alone
//! and is equal after the same records, whatever happened in between.

mod api;
mod config;
mod list;
pub mod record;
mod state;

pub use api::{
    DescribedTransaction, ListedTransaction, TransactionCommand, TransactionRequest,
    TransactionResponse, TransactionTimer, append_error,
};
pub use config::{TransactionCoordinatorConfig, TransactionVersionLevel};
pub use list::ListFilter;
pub use state::TransactionState;
