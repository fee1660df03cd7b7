//! What the guard lets pass is decoded without a panic and in bounded memory.
//!
//! Alone in its file: the allocator counts for the whole process.

mod support;

use std::alloc::System;

use bytes::Bytes;
use protocol::check_request;
use protocol::guard::{DECODED_SIZE_BASE, DECODED_SIZE_PER_BYTE};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::Random;
use support::requests::{codecs, mutate, random_body};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const BODIES_PER_VERSION: usize = 15_000;
/// What an error takes, with its backtrace.
const ERROR_SIZE: usize = 64 * 1024;

#[test]
fn a_damaged_request_is_refused_or_decoded_in_bounded_memory() {
    let seed = 4;
    let mut random = Random(seed);
    let (mut passed, mut refused, mut decoded) = (0, 0, 0);
    for codec in codecs() {
        for version in codec.versions.clone() {
            for _ in 0..BODIES_PER_VERSION {
                let mut body = random_body(&mut random, codec.api_key, version);
                mutate(&mut random, &mut body);
                let region = Region::new(ALLOCATOR);
                let checked = check_request(codec.api_key, version, &body);
                assert_eq!(region.change().bytes_allocated, 0, "the guard allocates");
                if checked.is_err() {
                    refused += 1;
                    continue;
                }
                passed += 1;
                let body = Bytes::from(body);
                let region = Region::new(ALLOCATOR);
                decoded += usize::from((codec.decode)(body.clone(), version).is_ok());
                let allocated = region.change().bytes_allocated;
                let bound = DECODED_SIZE_BASE + DECODED_SIZE_PER_BYTE * body.len() + ERROR_SIZE;
                assert!(
                    allocated <= bound,
                    "key {} v{version}: {allocated} bytes for {body:02x?}",
                    codec.api_key
                );
            }
        }
    }
    println!("seed {seed}: {refused} refused, {passed} passed, {decoded} decoded");
    // The loop tests nothing unless many pass and many do not.
    assert!(refused > passed / 8 && passed > refused / 8 && decoded > passed / 2);
}
