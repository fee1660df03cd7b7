//! A run of offsets.
//!
//! Invariant: a range holds at least one offset; no sum of its borders overflows, whatever a client
//! sent as an offset.

use protocol::Offset;

/// The offsets from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OffsetRange {
    first: Offset,
    last: Offset,
}

impl OffsetRange {
    /// None where nothing lies between the two.
    pub fn new(first: Offset, last: Offset) -> Option<Self> {
        (first <= last).then_some(OffsetRange { first, last })
    }

    pub fn single(offset: Offset) -> Self {
        OffsetRange {
            first: offset,
            last: offset,
        }
    }

    pub fn first(self) -> Offset {
        self.first
    }

    pub fn last(self) -> Offset {
        self.last
    }

    /// How many offsets it holds.
    pub fn count(self) -> i64 {
        let beyond_first = self.last.0.saturating_sub(self.first.0);
        beyond_first.saturating_add(1)
    }

    pub fn contains(self, other: OffsetRange) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    pub fn intersection(self, other: OffsetRange) -> Option<Self> {
        OffsetRange::new(self.first.max(other.first), self.last.min(other.last))
    }

    /// What of it lies before the offset.
    pub fn before(self, offset: Offset) -> Option<Self> {
        let last = Offset(offset.0.checked_sub(1)?);
        OffsetRange::new(self.first, self.last.min(last))
    }

    /// What of it lies at the offset and behind it.
    pub fn starting_at(self, offset: Offset) -> Option<Self> {
        OffsetRange::new(self.first.max(offset), self.last)
    }

    /// What of it lies behind the offset.
    pub fn behind(self, offset: Offset) -> Option<Self> {
        let first = Offset(offset.0.checked_add(1)?);
        self.starting_at(first)
    }

    /// Its first so many offsets.
    pub fn take(self, count: i64) -> Option<Self> {
        let beyond_first = count.checked_sub(1).filter(|count| *count >= 0)?;
        let last = Offset(self.first.0.saturating_add(beyond_first));
        OffsetRange::new(self.first, self.last.min(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64) -> OffsetRange {
        OffsetRange::new(Offset(first), Offset(last)).expect("a range of the test")
    }

    #[test]
    fn a_range_is_cut_at_an_offset() {
        let whole = range(10, 19);
        assert_eq!(whole.before(Offset(15)), Some(range(10, 14)));
        assert_eq!(whole.starting_at(Offset(15)), Some(range(15, 19)));
        assert_eq!(whole.behind(Offset(15)), Some(range(16, 19)));
        assert_eq!(whole.before(Offset(10)), None);
        assert_eq!(whole.behind(Offset(19)), None);
        assert_eq!(whole.take(3), Some(range(10, 12)));
        assert_eq!(whole.take(0), None);
        assert_eq!(whole.take(100), Some(whole));
    }

    #[test]
    fn the_farthest_offsets_overflow_nothing() {
        let all = range(i64::MIN, i64::MAX);
        assert_eq!(all.count(), i64::MAX);
        assert_eq!(all.behind(Offset(i64::MAX)), None);
        assert_eq!(all.before(Offset(i64::MIN)), None);
        assert_eq!(
            range(i64::MAX, i64::MAX).take(i64::MAX),
            Some(range(i64::MAX, i64::MAX))
        );
        assert_eq!(all.take(i64::MAX), Some(range(i64::MIN, -2)));
        for count in [0, -1, i64::MIN] {
            assert_eq!(all.take(count), None);
        }
    }
}
