//! What checking records costs in memory.
//!
//! Alone in its file, and one test: the allocator counts for the whole process.

use std::alloc::System;

use protocol::records::walk;
use protocol::{BatchBuilder, BatchError, Compression, Offset, RecordBatch, Timestamp};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BOMB_SIZE: usize = 100 * 1024 * 1024;

fn allocated(work: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    change.bytes_allocated + change.bytes_reallocated.max(0) as usize
}

fn check(batch: &RecordBatch, max_decompressed: usize) -> Result<(), BatchError> {
    walk(batch, max_decompressed, |_| Ok(()))
}

#[test]
fn checking_records_takes_memory_by_codec_not_by_content() {
    let mut builder = BatchBuilder::new(Offset(0));
    for at in 0..10_000 {
        builder.push(Timestamp(at), Some(b"key"), Some(&[7; 100]), &[]);
    }
    let plain = builder.build();
    assert_eq!(allocated(|| assert!(check(&plain, usize::MAX).is_ok())), 0);

    // Snappy needs its whole block, at most 22 times what arrived; the others a window.
    for (codec, bound) in [
        (Compression::Gzip, 256 * 1024),
        (Compression::Lz4, 512 * 1024),
        (Compression::Zstd, 12 * 1024 * 1024),
    ] {
        let mut builder = BatchBuilder::new(Offset(0)).compression(codec);
        builder.push(Timestamp(1), Some(b"key"), Some(&vec![0; BOMB_SIZE]), &[]);
        let bomb = builder.build();
        assert!(bomb.size_in_bytes() < BOMB_SIZE / 100, "{codec:?}");
        let taken = allocated(|| assert!(check(&bomb, usize::MAX).is_ok()));
        assert!(taken <= bound, "{codec:?} took {taken} bytes");

        let max_decompressed = 1024 * 1024;
        let too_large = Err(BatchError::DecompressedTooLarge {
            max: max_decompressed,
        });
        assert_eq!(check(&bomb, max_decompressed), too_large, "{codec:?}");
        let mut records = bomb
            .records_within(max_decompressed)
            .expect("it has a header");
        let taken = allocated(|| assert!(matches!(records.next(), Some(Err(_)))));
        assert!(taken <= bound, "reading {codec:?} took {taken} bytes");
    }
}
