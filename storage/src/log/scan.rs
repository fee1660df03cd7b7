//! Walks the batches of a segment file, with or without looking into them.
//!
//! Invariant: memory is bounded by the window, whatever length a header claims.

use std::io;

use protocol::{BatchError, BatchHeader, HEADER_SIZE};

use crate::fs::{FsFile, read_full};

/// What is read first where only headers are wanted: a walk from an index entry ends soon.
const FIRST_WINDOW: usize = 4 * 1024;
/// What is read at once where only headers are wanted and the walk is long.
const HEADER_WINDOW: usize = 64 * 1024;
/// What is read at once where all bytes are wanted.
const CHECK_WINDOW: usize = 1 << 20;
/// Where the bytes that the CRC covers begin in a batch.
const CRC_START: u64 = 21;

/// What is checked of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Header,
    Crc,
}

/// What stands at the next position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Batch { position: u64, header: BatchHeader },
    Invalid { position: u64, error: BatchError },
    End,
}

pub(crate) struct Scanner<'a> {
    file: &'a dyn FsFile,
    check: Check,
    position: u64,
    end: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl<'a> Scanner<'a> {
    /// Walks from the start of a batch to an end.
    pub(crate) fn new(file: &'a dyn FsFile, check: Check, position: u64, end: u64) -> Scanner<'a> {
        Scanner {
            file,
            check,
            position,
            end,
            window: Vec::new(),
            window_start: position,
        }
    }

    /// Looks at the batch behind the last one.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let position = self.position;
        if position >= self.end {
            return Ok(Step::End);
        }
        let left = self.end - position;
        let header = match BatchHeader::parse(self.bytes(position, HEADER_SIZE)?) {
            Ok(header) => header,
            Err(error) => return Ok(Step::Invalid { position, error }),
        };
        if !has_possible_offsets(&header) {
            let (last_offset_delta, record_count) = (header.last_offset_delta, header.record_count);
            let error = BatchError::InconsistentOffsets {
                last_offset_delta,
                record_count,
            };
            return Ok(Step::Invalid { position, error });
        }
        let size = header.size_in_bytes();
        if size as u64 > left {
            let have = usize::try_from(left).unwrap_or(usize::MAX);
            let error = BatchError::Truncated { have, need: size };
            return Ok(Step::Invalid { position, error });
        }
        if self.check == Check::Crc {
            let computed = self.crc(position + CRC_START, position + size as u64)?;
            if computed != header.crc {
                let error = BatchError::Crc {
                    stored: header.crc,
                    computed,
                };
                return Ok(Step::Invalid { position, error });
            }
        }
        self.position = position + size as u64;
        Ok(Step::Batch { position, header })
    }

    /// The bytes at a position, as many of those wanted as there are.
    fn bytes(&mut self, position: u64, want: usize) -> io::Result<&[u8]> {
        let want = usize::try_from(self.end - position)
            .unwrap_or(usize::MAX)
            .min(want);
        let inside = position.checked_sub(self.window_start).and_then(|skip| {
            let skip = usize::try_from(skip).ok()?;
            (self.window.len().checked_sub(skip)? >= want).then_some(skip)
        });
        let skip = match inside {
            Some(skip) => skip,
            None => {
                self.fill(position, want)?;
                0
            }
        };
        let available = self.window.get(skip..).unwrap_or_default();
        Ok(available.get(..want).unwrap_or(available))
    }

    fn fill(&mut self, position: u64, want: usize) -> io::Result<()> {
        let window = match self.check {
            Check::Header => (self.window.len() * 4).clamp(FIRST_WINDOW, HEADER_WINDOW),
            Check::Crc => CHECK_WINDOW,
        };
        let left = usize::try_from(self.end - position).unwrap_or(usize::MAX);
        self.window.resize(window.max(want).min(left), 0);
        self.window_start = position;
        let filled = read_full(self.file, &mut self.window, position)?;
        self.window.truncate(filled);
        Ok(())
    }

    fn crc(&mut self, from: u64, to: u64) -> io::Result<u32> {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        let mut position = from;
        while position < to {
            let want = usize::try_from(to - position)
                .unwrap_or(usize::MAX)
                .min(CHECK_WINDOW);
            // What is left of the window first: a batch rarely ends where a window does.
            let bytes = self.bytes(position, want)?;
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            digest.update(bytes);
            position += bytes.len() as u64;
        }
        Ok(digest.finalize() as u32)
    }
}

/// Whether there is an offset behind the batch. Its base offset lies outside the CRC.
pub(super) fn has_possible_offsets(header: &BatchHeader) -> bool {
    header.base_offset.0 >= 0 && header.last_offset_delta >= 0 && header.last_offset().0 < i64::MAX
}

/// Looks for a valid batch behind an invalid one.
///
/// Every byte may be its start: a header that parses, an offset above the last one, a CRC that holds.
pub(crate) fn find_valid_batch(
    file: &dyn FsFile,
    from: u64,
    end: u64,
    least_offset: protocol::Offset,
) -> io::Result<Option<(u64, BatchHeader)>> {
    let mut window = Vec::new();
    let mut start = from;
    while start < end {
        let left = usize::try_from(end - start).unwrap_or(usize::MAX);
        window.resize(CHECK_WINDOW.min(left), 0);
        let filled = read_full(file, &mut window, start)?;
        window.truncate(filled);
        if filled < HEADER_SIZE {
            return Ok(None);
        }
        for (skip, candidate) in window.windows(HEADER_SIZE).enumerate() {
            // The magic byte rules out nearly all before anything is parsed.
            if candidate.get(16) != Some(&2) {
                continue;
            }
            let position = start + skip as u64;
            let Ok(header) = BatchHeader::parse(candidate) else {
                continue;
            };
            let plausible = header.base_offset >= least_offset
                && has_possible_offsets(&header)
                && header.size_in_bytes() as u64 <= end - position;
            if plausible
                && let Step::Batch { position, header } =
                    Scanner::new(file, Check::Crc, position, end).step()?
            {
                return Ok(Some((position, header)));
            }
        }
        // A header may lie across the edge of two windows.
        start += (filled - HEADER_SIZE + 1) as u64;
    }
    Ok(None)
}

/// Reads one header; `None` where no valid one stands.
pub(crate) fn header_at(
    file: &dyn FsFile,
    position: u64,
    end: u64,
) -> io::Result<Option<BatchHeader>> {
    let mut buffer = [0; HEADER_SIZE];
    if position.saturating_add(HEADER_SIZE as u64) > end
        || read_full(file, &mut buffer, position)? < HEADER_SIZE
    {
        return Ok(None);
    }
    let header = BatchHeader::parse(&buffer)
        .ok()
        .filter(has_possible_offsets);
    Ok(header.filter(|header| header.size_in_bytes() as u64 <= end - position))
}
