//! What a transaction may do in a log, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::control::EndTransactionMarker;
use protocol::{ErrorCode, Offset, ProducerEpoch, ProducerId, RecordBatch, Timestamp};
use storage::{
    AppendError, AppendInfo, AppendOrigin, Error, Log, LogConfig, LogDir, LogDirOptions, PutBack,
};
use support::memory_fs::{Fault, MemoryFs, Unsynced};
use support::*;

const PRODUCER: i64 = 4;

struct Setup {
    fs: MemoryFs,
    dir: LogDir,
    log: Arc<Log>,
}

fn open(fs: MemoryFs, config: LogConfig) -> Setup {
    try_open(fs, config).unwrap()
}

fn try_open(fs: MemoryFs, config: LogConfig) -> Result<Setup, Error> {
    let options = LogDirOptions {
        fs: Arc::new(fs.clone()),
        kv_in_memory: true,
        ..LogDirOptions::new(1)
    };
    let dir = LogDir::open("/logs", options)?;
    let log = dir.create_or_open(&partition(), topic_id(), config)?;
    log.set_high_watermark(log.log_end_offset());
    Ok(Setup { fs, dir, log })
}

fn setup() -> Setup {
    open(MemoryFs::default(), LogConfig::default())
}

fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 300,
        ..LogConfig::default()
    }
}

impl Setup {
    /// A client's batch, verified as a broker does it.
    fn write(&self, epoch: i16, sequence: i32) -> Result<AppendInfo, AppendError> {
        let guard = self
            .log
            .begin_verification(producer(PRODUCER, epoch, sequence), false, NOW)?;
        self.write_with(epoch, sequence, guard)
    }

    fn write_with(
        &self,
        epoch: i16,
        sequence: i32,
        guard: Option<storage::VerificationGuard>,
    ) -> Result<AppendInfo, AppendError> {
        let records = transactional(PRODUCER, epoch, sequence, &["a"]);
        let info = append_verified(&self.log, records, guard)?;
        self.log.set_high_watermark(info.log_end_offset);
        Ok(info)
    }

    fn end(
        &self,
        committed: bool,
        (epoch, coordinator_epoch, version): (i16, i32, i16),
    ) -> Result<AppendInfo, AppendError> {
        let marker = EndTransactionMarker {
            committed,
            coordinator_epoch,
        };
        let producer = (ProducerId(PRODUCER), ProducerEpoch(epoch));
        let info = self
            .log
            .append_marker(producer, marker, version, EPOCH, NOW)?;
        self.log.set_high_watermark(info.log_end_offset);
        Ok(info)
    }

    fn aborted(&self) -> Vec<(i64, i64)> {
        let all = self.log.aborted_transactions(Offset(0), Offset(i64::MAX));
        all.iter()
            .map(|it| (it.first_offset.0, it.last_offset.0))
            .collect()
    }
}

fn code(result: Result<AppendInfo, AppendError>) -> ErrorCode {
    ErrorCode::from(&result.unwrap_err())
}

#[test]
fn a_transaction_is_opened_with_the_guard_of_its_verification_only() {
    let setup = setup();
    let plain = || transactional(PRODUCER, 0, 0, &["a"]);
    assert_eq!(
        code(append(&setup.log, plain())),
        ErrorCode::InvalidTxnState
    );
    let other = setup
        .log
        .begin_verification(producer(5, 0, 0), false, NOW)
        .unwrap();
    assert_eq!(
        code(setup.write_with(0, 0, other)),
        ErrorCode::InvalidTxnState
    );
    setup.write(0, 0).unwrap();
    // It is open now: nothing to verify.
    let guard = setup
        .log
        .begin_verification(producer(PRODUCER, 0, 1), false, NOW);
    assert_eq!(guard.unwrap(), None);
    setup.write_with(0, 1, None).unwrap();
    // Of another epoch nothing is known.
    let bumped = setup
        .log
        .begin_verification(producer(PRODUCER, 1, 0), false, NOW);
    assert!(bumped.unwrap().is_some());
    assert_eq!(
        code(setup.write_with(1, 0, None)),
        ErrorCode::InvalidTxnState
    );
}

#[test]
fn a_verification_that_was_overtaken_by_a_marker_opens_nothing() {
    let setup = setup();
    let begin = || {
        setup
            .log
            .begin_verification(producer(PRODUCER, 0, 0), false, NOW)
            .unwrap()
    };
    let guard = begin();
    setup.end(false, (0, 0, 1)).unwrap();
    // Not even when another verification is under way.
    let later = begin();
    assert_eq!(
        code(setup.write_with(0, 0, guard)),
        ErrorCode::InvalidTxnState
    );
    setup.write_with(0, 0, later.clone()).unwrap();
    setup.end(true, (0, 0, 1)).unwrap();
    assert_eq!(
        code(setup.write_with(0, 1, later)),
        ErrorCode::InvalidTxnState
    );
    assert_eq!(setup.log.last_stable_offset(), setup.log.log_end_offset());
}

#[test]
fn without_verification_any_transaction_is_opened() {
    let config = LogConfig {
        verify_transactions: false,
        ..LogConfig::default()
    };
    let setup = open(MemoryFs::default(), config);
    setup.write_with(0, 0, None).unwrap();
    assert_eq!(setup.log.last_stable_offset(), Offset(0));
}

#[test]
fn a_coordinator_verifies_as_clients_do_but_has_no_sequences() {
    let setup = setup();
    let write = |guard| {
        let records = transactional(PRODUCER, 0, -1, &["offset"]);
        let origin = AppendOrigin::Coordinator;
        setup
            .log
            .append_verified(records, EPOCH, origin, NOW, guard)
    };
    assert_eq!(code(write(None)), ErrorCode::InvalidTxnState);
    let guard = setup
        .log
        .begin_verification(producer(PRODUCER, 0, -1), false, NOW)
        .unwrap();
    write(guard).unwrap();
    write(None).unwrap();
    let producers = setup.log.active_producers();
    assert_eq!(producers[0].last_sequence, None);
    assert_eq!(producers[0].current_transaction_start, Some(Offset(0)));
}

#[test]
fn an_idle_verification_expires_and_an_open_transaction_does_not() {
    let config = LogConfig {
        producer_id_expiration_ms: 1000,
        retention_ms: -1,
        ..LogConfig::default()
    };
    let setup = open(MemoryFs::default(), config);
    let guard = setup
        .log
        .begin_verification(producer(PRODUCER, 0, 0), false, NOW)
        .unwrap();
    setup.log.apply_retention(Timestamp(NOW.0 + 999)).unwrap();
    setup.write_with(0, 0, guard).unwrap();
    let late = setup
        .log
        .begin_verification(producer(5, 0, 0), false, NOW)
        .unwrap();
    setup.log.apply_retention(Timestamp(NOW.0 + 1000)).unwrap();
    let records = transactional(5, 0, 0, &["a"]);
    let refused = append_verified(&setup.log, records, late);
    assert_eq!(code(refused), ErrorCode::InvalidTxnState);
    assert_eq!(setup.log.active_producers().len(), 1);
    setup.end(true, (0, 0, 1)).unwrap();
    setup.log.apply_retention(Timestamp(NOW.0 + 1000)).unwrap();
    assert_eq!(setup.log.active_producers().len(), 0);
}

#[test]
fn the_first_batch_that_was_verified_comes_first() {
    let setup = setup();
    let begin = |sequence, version2| {
        let producer = producer(PRODUCER, 0, sequence);
        setup
            .log
            .begin_verification(producer, version2, NOW)
            .unwrap()
    };
    let guard = begin(3, false);
    begin(5, false);
    let early = setup.write_with(0, 5, guard.clone());
    assert_eq!(code(early), ErrorCode::OutOfOrderSequenceNumber);
    // Of an unknown producer any sequence is taken, but for the one that comes first.
    setup.write_with(0, 3, guard).unwrap();

    let other = |sequence, guard| {
        let records = transactional(6, 0, sequence, &["a"]);
        append_verified(&setup.log, records, guard)
    };
    let guard = setup
        .log
        .begin_verification(producer(6, 0, 3), true, NOW)
        .unwrap();
    // With version 2 each transaction begins at 0.
    let late = other(3, guard.clone());
    assert_eq!(code(late), ErrorCode::OutOfOrderSequenceNumber);
    setup
        .log
        .begin_verification(producer(6, 0, 0), true, NOW)
        .unwrap();
    other(0, guard).unwrap();
}

#[test]
fn behind_a_marker_of_a_new_epoch_sequences_start_again_and_nothing_is_a_duplicate() {
    let setup = setup();
    setup.write(0, 0).unwrap();
    setup.end(true, (1, 0, 2)).unwrap();
    assert_eq!(
        code(setup.write(0, 1)),
        ErrorCode::InvalidProducerEpoch,
        "the old epoch is over"
    );
    assert_eq!(code(setup.write(1, 1)), ErrorCode::OutOfOrderSequenceNumber);
    setup.log.apply_retention(NOW).unwrap();
    let first = setup.write(1, 0);
    let first = first.unwrap();
    assert!(
        !first.duplicate,
        "the same sequence, in another transaction"
    );
    assert_eq!(first.base_offset, Offset(2));
    assert!(setup.write(1, 0).unwrap().duplicate);
    // A marker of the same epoch, as before version 2, lets the sequences go on.
    setup.end(true, (1, 0, 1)).unwrap();
    assert!(setup.write(1, 0).unwrap().duplicate);
    setup.write(1, 1).unwrap();
}

#[test]
fn a_marker_is_judged_by_the_version_of_its_transaction() {
    let setup = setup();
    setup.write(3, 0).unwrap();
    for version in [0, 1, 2] {
        let old = setup.end(false, (2, 0, version));
        assert_eq!(code(old), ErrorCode::InvalidProducerEpoch, "{version}");
    }
    // Of version 2 a late marker, which would end the next transaction.
    assert_eq!(
        code(setup.end(true, (3, 0, 2))),
        ErrorCode::InvalidProducerEpoch
    );
    assert_eq!(setup.log.last_stable_offset(), Offset(0));
    setup.end(true, (4, 7, 2)).unwrap();
    assert_eq!(setup.log.last_stable_offset(), Offset(2));
    // The same again changes nothing, and so does one of an older version.
    setup.end(true, (4, 7, 2)).unwrap();
    setup.end(false, (4, 7, 1)).unwrap();
    assert_eq!(setup.aborted(), []);
    let fenced = setup.end(false, (5, 6, 2));
    assert_eq!(code(fenced), ErrorCode::TransactionCoordinatorFenced);
    let producers = setup.log.active_producers();
    assert_eq!(producers[0].coordinator_epoch, Some(7));
    assert_eq!(producers[0].producer_epoch, ProducerEpoch(4));
}

#[test]
fn a_transaction_ends_for_readers_when_its_marker_is_replicated() {
    let setup = setup();
    setup.write(0, 0).unwrap();
    append(&setup.log, batch(&["plain"])).unwrap();
    setup.log.set_high_watermark(Offset(2));
    assert_eq!(setup.log.last_stable_offset(), Offset(0));
    let marker = EndTransactionMarker {
        committed: true,
        coordinator_epoch: 0,
    };
    let producer = (ProducerId(PRODUCER), ProducerEpoch(0));
    setup
        .log
        .append_marker(producer, marker, 1, EPOCH, NOW)
        .unwrap();
    assert_eq!(setup.log.last_stable_offset(), Offset(0));
    setup.log.set_high_watermark(Offset(2));
    assert_eq!(setup.log.last_stable_offset(), Offset(0));
    setup.log.set_high_watermark(Offset(3));
    assert_eq!(setup.log.last_stable_offset(), Offset(3));
}

#[test]
fn records_outside_an_open_transaction_are_refused() {
    let setup = setup();
    setup.write(0, 0).unwrap();
    let outside = append(&setup.log, idempotent(PRODUCER, 0, 1, &["a"]));
    assert_eq!(code(outside), ErrorCode::InvalidTxnState);
}

fn aborted_file(fs: &MemoryFs) -> Option<PathBuf> {
    let named = |path: &PathBuf| path.ends_with(Path::new("orders-0/aborted-transactions"));
    fs.files().into_iter().find(named)
}

/// Some transactions, aborted and committed, over several segments.
fn written(setup: &Setup) -> Vec<(i64, i64)> {
    for number in 0..12i16 {
        setup.write(number, 0).unwrap();
        append(&setup.log, batch(&["plain"])).unwrap();
        setup.end(number % 3 == 0, (number + 1, 0, 2)).unwrap();
        if number == 5 {
            setup.log.sync_to(setup.log.log_end_offset()).unwrap();
            setup.dir.checkpoint().unwrap();
        }
    }
    let aborted = setup.aborted();
    assert_eq!(aborted.len(), 8);
    aborted
}

#[test]
fn aborted_transactions_outlive_every_crash() {
    for unsynced in [Unsynced::Lost, Unsynced::Kept] {
        let setup = open(MemoryFs::default(), small_segments());
        let aborted = written(&setup);
        let again = open(setup.fs.after_crash(unsynced), small_segments());
        let end = again.log.log_end_offset();
        let expected: Vec<_> = aborted.into_iter().filter(|it| it.1 < end.0).collect();
        assert_eq!(again.aborted(), expected, "{unsynced:?}");
        assert!(expected.len() >= 4);
    }
}

#[test]
fn a_damaged_file_of_aborted_transactions_is_made_anew_from_the_log() {
    let setup = open(MemoryFs::default(), small_segments());
    let aborted = written(&setup);
    setup.dir.close().unwrap();
    for cut in [0, 1, 40, 100] {
        let fs = setup.fs.after_kill();
        let path = aborted_file(&fs).unwrap();
        fs.damage(&path, |data| {
            data.truncate(cut);
            data.push(1);
        });
        let again = open(fs, small_segments());
        assert_eq!(again.aborted(), aborted, "cut at {cut}");
        again.dir.close().unwrap();
        let once_more = open(again.fs.after_kill(), small_segments());
        assert_eq!(once_more.aborted(), aborted, "cut at {cut}");
    }
}

#[test]
fn transactions_of_deleted_records_are_forgotten() {
    let setup = open(MemoryFs::default(), small_segments());
    for number in 0..200 {
        setup.write(number, 0).unwrap();
        setup.end(false, (number + 1, 0, 2)).unwrap();
    }
    let all = setup.aborted();
    setup.log.advance_log_start(Offset(390)).unwrap();
    assert_eq!(setup.aborted(), all[195..]);
    setup.dir.checkpoint().unwrap();
    let mut size = 0;
    let path = aborted_file(&setup.fs).unwrap();
    setup.fs.damage(&path, |data| size = data.len());
    assert!(size < 100 * 36, "{size} bytes");
    let again = open(setup.fs.after_kill(), small_segments());
    assert_eq!(again.aborted(), all[195..]);
}

#[test]
fn a_log_that_is_put_back_knows_its_transactions() {
    let setup = open(MemoryFs::default(), small_segments());
    let aborted = written(&setup);
    let (open_at, epoch) = (setup.log.log_end_offset(), 12);
    setup.write(epoch, 0).unwrap();
    let content = Arc::new(setup.dir.keep(&setup.log).unwrap());
    setup.end(false, (epoch + 1, 0, 2)).unwrap();
    setup.write(epoch + 1, 0).unwrap();
    setup.end(false, (epoch + 2, 0, 2)).unwrap();
    let wanted = PutBack {
        topic_partition: partition(),
        topic_id: topic_id(),
        config: small_segments(),
        content: Some(content),
        open: true,
    };
    let results = setup.dir.put_back(&[wanted]).unwrap();
    let log = results.into_iter().next().unwrap().unwrap().unwrap();
    log.set_high_watermark(log.log_end_offset());
    let again = Setup { log, ..setup };
    assert_eq!(again.aborted(), aborted);
    assert_eq!(again.log.last_stable_offset(), open_at);
    again.end(false, (epoch + 1, 0, 2)).unwrap();
    assert_eq!(again.aborted().len(), aborted.len() + 1);
    let once_more = open(again.fs.after_kill(), small_segments());
    assert_eq!(once_more.aborted(), again.aborted());
}

#[test]
fn a_truncated_log_forgets_the_transactions_that_ended_above() {
    let setup = open(MemoryFs::default(), small_segments());
    let aborted = written(&setup);
    let (first, last) = aborted[4];
    // The marker goes, and the transaction is open again.
    setup.log.truncate_to(Offset(last)).unwrap();
    setup.log.set_high_watermark(setup.log.log_end_offset());
    assert_eq!(setup.log.last_stable_offset(), Offset(first));
    assert_eq!(setup.aborted(), aborted[..4]);
    let again = open(setup.fs.after_kill(), small_segments());
    assert_eq!(again.log.last_stable_offset(), Offset(first));
    assert_eq!(again.aborted(), aborted[..4]);
    again.log.truncate_fully_and_start_at(Offset(500)).unwrap();
    assert_eq!(again.aborted(), []);
    assert_eq!(again.log.last_stable_offset(), Offset(500));
    let once_more = open(again.fs.after_kill(), small_segments());
    assert_eq!(once_more.aborted(), []);
}

/// Transactions over several segments, a truncation among them; whatever fails is let pass.
fn work(fs: &MemoryFs) -> Option<()> {
    let options = LogDirOptions {
        fs: Arc::new(fs.clone()),
        kv_in_memory: true,
        ..LogDirOptions::new(1)
    };
    let dir = LogDir::open("/logs", options).ok()?;
    let log = dir.create_or_open(&partition(), topic_id(), small_segments());
    let (log, fs) = (log.ok()?, fs.clone());
    let setup = Setup { fs, dir, log };
    for number in 0..6i16 {
        let _ = setup.write(number, 0);
        let _ = append(&setup.log, batch(&["plain"]));
        let _ = setup.end(number % 3 == 0, (number + 1, 0, 2));
        if number == 2 {
            let _ = setup.log.sync_to(setup.log.log_end_offset());
            let _ = setup.dir.checkpoint();
        }
        if number == 4 {
            let _ = setup
                .log
                .truncate_to(Offset(setup.log.log_end_offset().0 - 1));
        }
    }
    let _ = setup.dir.close();
    Some(())
}

/// What the batches of a log say was committed, by themselves.
fn committed_by_the_log(log: &Log) -> (Vec<(i64, String)>, Offset) {
    let (mut next, end) = (log.log_start_offset(), log.log_end_offset());
    let mut batches: Vec<RecordBatch> = Vec::new();
    while next < end {
        let slice = log.read(next, end, 1 << 20, true).unwrap();
        if slice.is_empty() {
            break;
        }
        let mut bytes = slice.read().unwrap();
        while let Some(batch) = RecordBatch::split_first(&mut bytes).unwrap() {
            batches.push(batch);
        }
        next = slice.next_offset;
    }
    let (mut found, mut stable) = (Vec::new(), end);
    for (number, batch) in batches.iter().enumerate() {
        let header = batch.header();
        if header.attributes.is_control() {
            continue;
        }
        let end = batches[number..].iter().find_map(|later| {
            let is_end = later.header().attributes.is_control()
                && later.header().producer.map(|it| it.id) == header.producer.map(|it| it.id);
            let record = is_end.then(|| later.records().unwrap().next().unwrap().unwrap());
            record.map(|it| EndTransactionMarker::read(&it).unwrap().unwrap().committed)
        });
        let is_transactional = header.attributes.is_transactional();
        if is_transactional && end.is_none() {
            stable = stable.min(header.base_offset);
        }
        if !is_transactional || end == Some(true) {
            found.extend(values_in(batch));
        }
    }
    found.retain(|(offset, _)| *offset < stable.0);
    (found, stable)
}

#[test]
fn readers_of_committed_records_believe_the_log_whichever_call_fails() {
    let (mut number, mut checked) = (0, 0);
    loop {
        number += 1;
        let mut reached = false;
        for fault in [Fault::Io, Fault::NoSpace, Fault::ShortWrite, Fault::Killed] {
            let fs = MemoryFs::default();
            fs.fail_call(number, fault);
            work(&fs);
            reached |= !fs.failed().is_empty();
            let what = format!("call {number} {:?} fails by {fault:?}", fs.failed().first());
            let crashes = [
                Unsynced::Lost,
                Unsynced::Zeros,
                Unsynced::Half,
                Unsynced::Kept,
            ];
            let crashed = crashes.map(|unsynced| fs.after_crash(unsynced));
            for (how, fs) in [fs.after_kill()].into_iter().chain(crashed).enumerate() {
                let what = format!("{what}, crash {how}");
                let is_kill = how == 0;
                let setup = match try_open(fs, small_segments()) {
                    Ok(setup) => setup,
                    // A hole in what was not synced, with records behind it, is told and not cut.
                    Err(Error::Corrupt(_)) if !is_kill => continue,
                    Err(error) => panic!("{what}: {error}"),
                };
                checked += 1;
                let (expected, stable) = committed_by_the_log(&setup.log);
                assert_eq!(setup.log.last_stable_offset(), stable, "{what}");
                assert_eq!(committed(&setup.log), expected, "{what}");
            }
        }
        if !reached {
            break;
        }
    }
    assert!(number > 50, "{number} calls");
    assert!(checked > 15 * number, "{checked} starts of {number} calls");
}

fn committed(log: &Log) -> Vec<(i64, String)> {
    let (mut next, stable) = (log.log_start_offset(), log.last_stable_offset());
    let mut found = Vec::new();
    while next < stable {
        let slice = log.read(next, stable, 1 << 20, true).unwrap();
        if slice.is_empty() {
            break;
        }
        let aborted = log.aborted_transactions(next, slice.next_offset);
        found.extend(committed_in(&slice, &aborted).iter().flat_map(values_in));
        next = slice.next_offset;
    }
    found
}
