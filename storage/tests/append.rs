//! What an append takes and what it refuses, with upstream's codes.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use bytes::{Bytes, BytesMut};
use protocol::control::{EndTransactionMarker, end_transaction_marker};
use protocol::{
    BatchBuilder, Compression, ErrorCode, LeaderEpoch, Offset, Producer, ProducerEpoch, ProducerId,
    RecordBatch, Timestamp, TimestampType,
};
use storage::{AppendOrigin, CleanupPolicy, Log, LogConfig, LogDir, TargetCompression};
use support::*;

struct Setup {
    log: std::sync::Arc<Log>,
    _dir: LogDir,
    _folder: tempfile::TempDir,
}

fn setup(config: LogConfig) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let log = open_log(&dir, config);
    Setup {
        log,
        _dir: dir,
        _folder: folder,
    }
}

fn refusal(log: &Log, records: Bytes) -> ErrorCode {
    let end = log.log_end_offset();
    let error = append(log, records).unwrap_err();
    assert_eq!(log.log_end_offset(), end, "something was appended");
    ErrorCode::from(&error)
}

fn stored(log: &Log) -> Vec<RecordBatch> {
    let end = log.log_end_offset();
    let slice = log
        .read(log.log_start_offset(), end, 1 << 20, true)
        .unwrap();
    let mut bytes = slice.read().unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = RecordBatch::split_first(&mut bytes).unwrap() {
        batch.verify_crc().unwrap();
        batches.push(batch);
    }
    batches
}

fn changed(records: &Bytes, position: usize, bytes: &[u8]) -> Bytes {
    let mut copy = BytesMut::from(&records[..]);
    copy[position..position + bytes.len()].copy_from_slice(bytes);
    copy.freeze()
}

/// Changes bytes that the CRC covers, and makes it good.
fn forged(records: &Bytes, position: usize, bytes: &[u8]) -> Bytes {
    let copy = changed(records, position, bytes);
    let crc = crc_fast::crc32_iscsi(&copy[21..]);
    changed(&copy, 17, &crc.to_be_bytes())
}

#[test]
fn a_damaged_or_misplaced_batch_is_refused() {
    let setup = setup(LogConfig {
        max_message_bytes: 200,
        ..LogConfig::default()
    });
    let log = &setup.log;
    let good = batch(&["a", "b"]);
    let with = |position, bytes: &[u8]| refusal(log, forged(&good, position, bytes));
    assert_eq!(
        refusal(log, changed(&good, 70, b"x")),
        ErrorCode::CorruptMessage
    );
    assert_eq!(
        refusal(log, changed(&good, 16, &[1])),
        ErrorCode::InvalidRecord
    );
    assert_eq!(
        refusal(log, changed(&good, 16, &[7])),
        ErrorCode::CorruptMessage
    );
    assert_eq!(
        refusal(log, changed(&good, 0, &9i64.to_be_bytes())),
        ErrorCode::InvalidRecord
    );
    assert_eq!(with(23, &7i32.to_be_bytes()), ErrorCode::InvalidRecord);
    assert_eq!(with(57, &3i32.to_be_bytes()), ErrorCode::InvalidRecord);
    assert_eq!(with(57, &0i32.to_be_bytes()), ErrorCode::InvalidRecord);
    assert_eq!(with(21, &0x20i16.to_be_bytes()), ErrorCode::InvalidRecord);
    assert_eq!(
        with(21, &6i16.to_be_bytes()),
        ErrorCode::UnsupportedCompressionType
    );
    assert_eq!(refusal(log, Bytes::new()), ErrorCode::InvalidRecord);
    assert_eq!(
        refusal(log, good.slice(..good.len() - 1)),
        ErrorCode::InvalidRecord
    );
    assert_eq!(
        refusal(log, batch(&["x".repeat(200).as_str()])),
        ErrorCode::MessageTooLarge
    );
    let twice = Bytes::from([&good[..], &good[..]].concat());
    assert_eq!(refusal(log, twice), ErrorCode::InvalidRecord);
    // The offset delta of the first record: a hole that upstream lets pass.
    assert_eq!(with(64, &[2]), ErrorCode::InvalidRecord);
    append(log, good).unwrap();
}

#[test]
fn records_more_than_a_segment_holds_are_refused() {
    let setup = setup(LogConfig {
        segment_bytes: 300,
        ..LogConfig::default()
    });
    let large = batch(&["x".repeat(300).as_str()]);
    assert_eq!(refusal(&setup.log, large), ErrorCode::RecordListTooLarge);
}

#[test]
fn a_timestamp_out_of_bounds_names_its_record() {
    let setup = setup(LogConfig {
        timestamp_before_max_ms: 1000,
        timestamp_after_max_ms: 500,
        ..LogConfig::default()
    });
    let at = |offset: i64| Timestamp(NOW.0 + offset);
    let times = [at(-1000), at(-1001), at(500), at(501), Timestamp::NONE];
    let records = batch_at(&times, &["a", "b", "c", "d", "e"]).bytes().clone();
    let error = append(&setup.log, records).unwrap_err();
    assert_eq!(ErrorCode::from(&error), ErrorCode::InvalidTimestamp);
    let indexes: Vec<i32> = error
        .record_errors
        .iter()
        .map(|(index, _)| *index)
        .collect();
    assert_eq!(indexes, [1, 3]);
    assert_eq!(
        error.message.as_deref(),
        Some("One or more records have been rejected due to invalid timestamp")
    );
    assert_eq!(
        error.record_errors[0].1.as_deref(),
        Some(
            "Timestamp 1699999998999 of message with offset 1 is out of range. The timestamp \
             should be within [1699999999000, 1700000000500]"
        )
    );
}

#[test]
fn a_record_without_a_key_is_refused_where_compaction_needs_one() {
    let cleanup = CleanupPolicy {
        delete: false,
        compact: true,
    };
    let setup = setup(LogConfig {
        cleanup,
        ..LogConfig::default()
    });
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let mut builder = BatchBuilder::new(Offset(0)).compression(compression);
        builder.push(NOW, Some(b"k"), Some(b"v"), &[]);
        builder.push(NOW, None, Some(b"v"), &[]);
        let error = append(&setup.log, builder.build().bytes().clone()).unwrap_err();
        assert_eq!(ErrorCode::from(&error), ErrorCode::InvalidRecord);
        assert_eq!(
            error.message.as_deref(),
            Some(
                "One or more records have been rejected due to 1 record errors in total, and \
                 only showing the first three errors at most: [RecordError(batchIndex=1, \
                 message='Compacted topic cannot accept message without key in topic partition \
                 orders-0')]"
            )
        );
    }
    append(&setup.log, batch(&["with a key"])).unwrap();
}

#[test]
fn a_batch_is_stored_as_it_came() {
    let setup = setup(LogConfig::default());
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let mut builder = BatchBuilder::new(Offset(0)).compression(compression);
        for _ in 0..20 {
            builder.push(
                NOW,
                None,
                Some(b"a value that is there again and again"),
                &[],
            );
        }
        let sent = builder.build();
        append(&setup.log, sent.bytes().clone()).unwrap();
        let kept = stored(&setup.log).pop().unwrap();
        assert_eq!(kept.bytes()[16..], sent.bytes()[16..]);
        assert_eq!(kept.header().partition_leader_epoch, EPOCH);
    }
}

#[test]
fn a_max_timestamp_that_lies_is_corrected() {
    let setup = setup(LogConfig::default());
    let sent = batch(&["a", "b"]);
    append(&setup.log, forged(&sent, 35, &(NOW.0 + 77).to_be_bytes())).unwrap();
    assert_eq!(stored(&setup.log)[0].header().max_timestamp, NOW);
}

#[test]
fn log_append_time_replaces_what_the_producer_wrote() {
    let timestamp_type = TimestampType::LogAppendTime;
    let setup = setup(LogConfig {
        timestamp_type,
        ..LogConfig::default()
    });
    let records = batch_at(&[Timestamp(5), Timestamp(6)], &["a", "b"])
        .bytes()
        .clone();
    let info = append(&setup.log, records).unwrap();
    assert_eq!(info.log_append_time, Some(NOW));
    let kept = &stored(&setup.log)[0];
    assert_eq!(kept.header().max_timestamp, NOW);
    assert_eq!(
        kept.header().attributes.timestamp_type(),
        TimestampType::LogAppendTime
    );
    assert!(
        kept.records()
            .unwrap()
            .all(|record| record.unwrap().timestamp == NOW)
    );
    let mut claimed = BatchBuilder::new(Offset(0)).timestamp_type(TimestampType::LogAppendTime);
    claimed.push(NOW, None, None, &[]);
    let claimed = claimed.build().bytes().clone();
    assert_eq!(refusal(&setup.log, claimed), ErrorCode::InvalidTimestamp);
}

#[test]
fn the_codec_of_the_topic_is_used_where_it_names_one() {
    for target in [Compression::Lz4, Compression::Gzip, Compression::None] {
        let compression = TargetCompression::Codec(target);
        let setup = setup(LogConfig {
            compression,
            ..LogConfig::default()
        });
        for source in [Compression::None, Compression::Zstd, target] {
            let mut builder = BatchBuilder::new(Offset(0)).compression(source);
            for _ in 0..20 {
                builder.push(NOW, Some(b"k"), Some(b"again and again"), &[]);
            }
            append(&setup.log, builder.build().bytes().clone()).unwrap();
            let kept = stored(&setup.log).pop().unwrap();
            assert_eq!(kept.header().attributes.compression(), Ok(target));
            assert_eq!(kept.records().unwrap().count(), 20);
        }
    }
}

#[test]
fn a_retried_batch_is_answered_with_its_first_offset() {
    let setup = setup(LogConfig::default());
    for number in 0..7 {
        append(&setup.log, idempotent(9, 0, number * 2, &["a", "b"])).unwrap();
    }
    for number in 2..7 {
        let again = append(&setup.log, idempotent(9, 0, number * 2, &["a", "b"])).unwrap();
        assert!(again.duplicate);
        assert_eq!(again.base_offset, Offset(i64::from(number) * 2));
        assert_eq!(again.last_offset, Offset(i64::from(number) * 2 + 1));
    }
    let older = refusal(&setup.log, idempotent(9, 0, 2, &["a", "b"]));
    assert_eq!(older, ErrorCode::OutOfOrderSequenceNumber);
    let gap = refusal(&setup.log, idempotent(9, 0, 15, &["a"]));
    assert_eq!(gap, ErrorCode::OutOfOrderSequenceNumber);
    append(&setup.log, idempotent(9, 1, 0, &["a"])).unwrap();
    let fenced = refusal(&setup.log, idempotent(9, 0, 14, &["a"]));
    assert_eq!(fenced, ErrorCode::InvalidProducerEpoch);
    let negative = refusal(&setup.log, idempotent(9, 1, -1, &["a"]));
    assert_eq!(negative, ErrorCode::InvalidRecord);
}

#[test]
fn duplicates_are_known_after_a_clean_stop_and_after_a_crash() {
    for cleanly in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let dir = open_dir(folder.path());
        let log = open_log(&dir, LogConfig::default());
        for number in 0..6 {
            append(&log, idempotent(9, 0, number, &["a"])).unwrap();
        }
        if cleanly {
            dir.close().unwrap();
        }
        drop((log, dir));
        let dir = open_dir(folder.path());
        let log = open_log(&dir, LogConfig::default());
        for number in 1..6 {
            let again = append(&log, idempotent(9, 0, number, &["a"])).unwrap();
            assert!(again.duplicate, "cleanly {cleanly}, batch {number}");
            assert_eq!(again.base_offset, Offset(number.into()));
        }
        append(&log, idempotent(9, 0, 6, &["a"])).unwrap();
    }
}

fn transactional(offset: i64, base_sequence: i32) -> Bytes {
    let producer = Producer {
        id: ProducerId(4),
        epoch: ProducerEpoch(0),
        base_sequence,
    };
    let mut builder = BatchBuilder::new(Offset(offset))
        .producer(producer)
        .transactional();
    builder.push(NOW, None, Some(b"v"), &[]);
    builder.build().bytes().clone()
}

fn marker(committed: bool, coordinator_epoch: i32) -> Bytes {
    let marker = EndTransactionMarker {
        committed,
        coordinator_epoch,
    };
    let producer = (ProducerId(4), ProducerEpoch(0));
    end_transaction_marker(Offset(0), LeaderEpoch(0), NOW, producer, marker)
        .bytes()
        .clone()
}

#[test]
fn an_open_transaction_holds_the_last_stable_offset() {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_dir(folder.path());
    let config = LogConfig {
        verify_transactions: false,
        ..LogConfig::default()
    };
    let log = open_log(&dir, config);
    let coordinator = |records| {
        let appended = log
            .append_as_leader(records, EPOCH, AppendOrigin::Coordinator, NOW)
            .map(|_| ());
        log.set_high_watermark(log.log_end_offset());
        appended
    };
    append(&log, batch(&["plain"])).unwrap();
    coordinator(transactional(0, 0)).unwrap();
    append(&log, batch(&["plain"])).unwrap();
    log.set_high_watermark(log.log_end_offset());
    assert_eq!(log.last_stable_offset(), Offset(1));
    coordinator(marker(false, 5)).unwrap();
    assert_eq!(log.last_stable_offset(), Offset(4));
    let aborted = log.aborted_transactions(Offset(0), Offset(4));
    assert_eq!(aborted.len(), 1);
    assert_eq!(
        (aborted[0].first_offset, aborted[0].last_offset),
        (Offset(1), Offset(3))
    );
    assert_eq!(log.aborted_transactions(Offset(4), Offset(9)), []);
    let fenced = coordinator(marker(true, 4)).unwrap_err();
    assert_eq!(
        ErrorCode::from(&fenced),
        ErrorCode::TransactionCoordinatorFenced
    );
    coordinator(transactional(0, 1)).unwrap();
    drop((log, dir));
    let dir = open_dir(folder.path());
    let log = open_log(&dir, LogConfig::default());
    log.set_high_watermark(log.log_end_offset());
    assert_eq!(
        log.last_stable_offset(),
        Offset(4),
        "the open transaction is found again"
    );
    assert_eq!(log.aborted_transactions(Offset(0), Offset(4)), aborted);
}

#[test]
fn a_client_may_not_write_control_records_or_outside_a_known_transaction() {
    let setup = setup(LogConfig::default());
    assert_eq!(
        refusal(&setup.log, marker(true, 0)),
        ErrorCode::InvalidRecord
    );
    assert_eq!(
        refusal(&setup.log, transactional(0, 0)),
        ErrorCode::InvalidTxnState
    );
}

#[test]
fn a_follower_keeps_the_offsets_of_its_leader() {
    let setup = setup(LogConfig::default());
    let at = |offset: i64, epoch: i32| {
        let mut builder = BatchBuilder::new(Offset(offset)).leader_epoch(LeaderEpoch(epoch));
        builder.push(NOW, None, Some(b"v"), &[]);
        builder.build().bytes().clone()
    };
    let records = Bytes::from([&at(5, 1)[..], &at(9, 3)[..]].concat());
    let info = setup.log.append_as_follower(records, NOW).unwrap();
    assert_eq!(
        (info.base_offset, info.log_end_offset),
        (Offset(5), Offset(10))
    );
    assert_eq!(
        setup.log.end_offset_for_epoch(LeaderEpoch(1)),
        Some((LeaderEpoch(1), Offset(9)))
    );
    let error = setup.log.append_as_follower(at(9, 3), NOW).unwrap_err();
    assert_eq!(ErrorCode::from(&error), ErrorCode::OffsetOutOfRange);
    let backwards = Bytes::from([&at(12, 3)[..], &at(11, 3)[..]].concat());
    assert!(setup.log.append_as_follower(backwards, NOW).is_err());
    assert_eq!(setup.log.log_end_offset(), Offset(10));
}

#[test]
fn one_sync_serves_all_that_wait() {
    let setup = setup(LogConfig {
        flush_messages: 1,
        ..LogConfig::default()
    });
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let info = append(&setup.log, batch(&["a"])).unwrap();
                    assert!(info.needs_sync);
                    setup.log.sync_to(info.log_end_offset).unwrap();
                    assert!(setup.log.recovery_point() >= info.log_end_offset);
                }
            });
        }
    });
    assert_eq!(setup.log.log_end_offset(), Offset(160));
    assert_eq!(setup.log.recovery_point(), Offset(160));
}
