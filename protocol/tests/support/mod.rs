//! A generator of numbers that a seed repeats.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod requests;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number below the bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(crate) fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub(crate) fn i32(&mut self) -> i32 {
        self.next() as i32 >> self.below(31)
    }

    pub(crate) fn i64(&mut self) -> i64 {
        self.next() as i64 >> self.below(63)
    }

    pub(crate) fn bytes(&mut self, size: usize) -> Vec<u8> {
        (0..size).map(|_| self.next() as u8).collect()
    }

    pub(crate) fn text(&mut self, size: usize) -> String {
        (0..size)
            .map(|_| char::from(b'a' + self.below(26) as u8))
            .collect()
    }
}
