//! The states of a transaction, as clients see them and as records hold them.
//!
//! Invariant: names and ids are upstream's, each known in this one table.

/// `PrepareEpochFence` and `Dead` are states of passage in upstream: no record holds them, and no
/// transaction here is ever seen in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionState {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
    Dead,
    PrepareEpochFence,
}

const STATES: [(TransactionState, i8, &str); 8] = [
    (TransactionState::Empty, 0, "Empty"),
    (TransactionState::Ongoing, 1, "Ongoing"),
    (TransactionState::PrepareCommit, 2, "PrepareCommit"),
    (TransactionState::PrepareAbort, 3, "PrepareAbort"),
    (TransactionState::CompleteCommit, 4, "CompleteCommit"),
    (TransactionState::CompleteAbort, 5, "CompleteAbort"),
    (TransactionState::Dead, 6, "Dead"),
    (TransactionState::PrepareEpochFence, 7, "PrepareEpochFence"),
];

impl TransactionState {
    /// As DescribeTransactions and ListTransactions name it.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    pub fn from_name(name: &str) -> Option<Self> {
        let row = STATES.iter().find(|(_, _, known)| *known == name)?;
        Some(row.0)
    }

    pub(crate) fn id(self) -> i8 {
        self.row().1
    }

    pub(crate) fn from_id(id: i8) -> Option<Self> {
        let row = STATES.iter().find(|(_, known, _)| *known == id)?;
        Some(row.0)
    }

    /// The end is decided, and its markers are being written.
    pub(crate) fn is_prepared(self) -> bool {
        matches!(
            self,
            TransactionState::PrepareCommit | TransactionState::PrepareAbort
        )
    }

    fn row(self) -> (TransactionState, i8, &'static str) {
        STATES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_its_own_row() {
        for (index, (state, id, name)) in STATES.into_iter().enumerate() {
            assert_eq!((state as usize, id as usize), (index, index));
            assert_eq!(TransactionState::from_id(id), Some(state));
            assert_eq!(TransactionState::from_name(name), Some(state));
            assert_eq!((state.id(), state.name()), (id, name));
        }
        assert_eq!(TransactionState::from_name("ongoing"), None);
        assert_eq!(TransactionState::from_id(8), None);
    }
}
