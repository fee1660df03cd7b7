//! Kafka's variable-length integers, read from slices and written to vectors.
//!
//! Invariant: reading never takes more than 5 bytes (32 bits) or 10 bytes (64 bits), and, as upstream
//! does, drops bits of the last byte that have no place in the number.

use bytes::BufMut;

/// Where bytes come from, one at a time. `E` is what the reader says when there are none left.
pub(crate) trait ByteSource {
    type Error;

    fn next_byte(&mut self) -> Result<u8, Self::Error>;

    /// What to say of a number that goes on for too many bytes.
    fn too_long(&self) -> Self::Error;
}

#[inline(always)]
pub(crate) fn read_unsigned<S: ByteSource>(source: &mut S) -> Result<u32, S::Error> {
    // Most numbers are lengths and counts of one byte or two: those are read without a call.
    let first = source.next_byte()?;
    if first < 0x80 {
        return Ok(u32::from(first));
    }
    let second = source.next_byte()?;
    let value = u32::from(first & 0x7f) | u32::from(second & 0x7f) << 7;
    if second < 0x80 {
        return Ok(value);
    }
    read_behind_two(source, value)
}

#[inline(never)]
fn read_behind_two<S: ByteSource>(source: &mut S, mut value: u32) -> Result<u32, S::Error> {
    for shift in [14, 21, 28] {
        let byte = source.next_byte()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(source.too_long())
}

#[inline]
pub(crate) fn read_unsigned_long<S: ByteSource>(source: &mut S) -> Result<u64, S::Error> {
    let first = source.next_byte()?;
    if first < 0x80 {
        return Ok(u64::from(first));
    }
    let mut value = u64::from(first & 0x7f);
    for shift in [7, 14, 21, 28, 35, 42, 49, 56, 63] {
        let byte = source.next_byte()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(source.too_long())
}

#[inline(always)]
pub(crate) fn read_int<S: ByteSource>(source: &mut S) -> Result<i32, S::Error> {
    let zigzag = read_unsigned(source)?;
    Ok((zigzag >> 1) as i32 ^ -((zigzag & 1) as i32))
}

#[inline]
pub(crate) fn read_long<S: ByteSource>(source: &mut S) -> Result<i64, S::Error> {
    let zigzag = read_unsigned_long(source)?;
    Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
}

pub(crate) fn write_unsigned(target: &mut impl BufMut, mut value: u32) {
    while value >= 0x80 {
        target.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    target.put_u8(value as u8);
}

pub(crate) fn write_int(target: &mut impl BufMut, value: i32) {
    write_unsigned(target, ((value << 1) ^ (value >> 31)) as u32);
}

pub(crate) fn write_long(target: &mut impl BufMut, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        target.put_u8(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    target.put_u8(zigzag as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Slice<'a>(&'a [u8]);

    impl ByteSource for Slice<'_> {
        type Error = &'static str;

        fn next_byte(&mut self) -> Result<u8, Self::Error> {
            let (&first, rest) = self.0.split_first().ok_or("end")?;
            self.0 = rest;
            Ok(first)
        }

        fn too_long(&self) -> Self::Error {
            "too long"
        }
    }

    #[test]
    fn every_number_comes_back() {
        let longs =
            (0..64).flat_map(|bit| [1i64 << bit, -(1i64 << (bit % 63)), (1i64 << (bit % 63)) - 1]);
        for long in longs.chain([0, i64::MAX, i64::MIN]) {
            let mut bytes = Vec::new();
            write_long(&mut bytes, long);
            assert_eq!(read_long(&mut Slice(&bytes)), Ok(long));
            let int = long as i32;
            bytes.clear();
            write_int(&mut bytes, int);
            assert_eq!(read_int(&mut Slice(&bytes)), Ok(int));
            bytes.clear();
            write_unsigned(&mut bytes, int as u32);
            assert_eq!(read_unsigned(&mut Slice(&bytes)), Ok(int as u32));
        }
    }

    #[test]
    fn a_number_that_never_ends_is_refused() {
        assert_eq!(read_unsigned(&mut Slice(&[0x80; 9])), Err("too long"));
        assert_eq!(read_unsigned_long(&mut Slice(&[0x80; 19])), Err("too long"));
        assert_eq!(read_unsigned(&mut Slice(&[0x80; 4])), Err("end"));
    }
}
