//! Batches and the records in them: built, read, damaged, checked.

mod support;

use bytes::Bytes;
use kafka_protocol::records as theirs;
use protocol::batch::{LOG_OVERHEAD, Producer};
use protocol::records::walk;
use protocol::{
    Attributes, BatchBuilder, BatchError, BatchHeader, Compression, ErrorCode, HEADER_SIZE, Header,
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Record, RecordBatch, Timestamp, TimestampType,
};
use support::Random;

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

const MAX_DECOMPRESSED: usize = 1 << 20;

struct Source {
    timestamp: Timestamp,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
}

fn random_field(random: &mut Random) -> Option<Vec<u8>> {
    let size = [0, 1, 10, 63, 64, 200, 9000][random.below(7)];
    (!random.chance(4)).then(|| random.bytes(size))
}

fn random_records(random: &mut Random, count: usize) -> Vec<Source> {
    let mut record = || Source {
        timestamp: Timestamp(1_700_000_000_000 + random.i64() % 100_000),
        key: random_field(random),
        value: random_field(random),
        headers: (0..random.below(3))
            .map(|_| Header {
                // The same key twice is legal, and their order counts.
                key: Bytes::from_static(b"trace"),
                value: random_field(random).map(Bytes::from),
            })
            .collect(),
    };
    (0..count).map(|_| record()).collect()
}

fn build(builder: BatchBuilder, records: &[Source]) -> RecordBatch {
    let mut builder = builder;
    for record in records {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.push(record.timestamp, key, value, &record.headers);
    }
    builder.build()
}

fn parse(bytes: impl Into<Bytes>) -> Result<RecordBatch, BatchError> {
    let batch = RecordBatch::split_first(&mut bytes.into())?;
    Ok(batch.expect("there are bytes"))
}

fn read_all(batch: &RecordBatch) -> Result<Vec<Record>, BatchError> {
    batch.records_within(MAX_DECOMPRESSED)?.collect()
}

/// The timestamps of the records, as the walk sees them.
fn walk_all(batch: &RecordBatch) -> Result<Vec<Timestamp>, BatchError> {
    let mut timestamps = Vec::new();
    walk(batch, MAX_DECOMPRESSED, |record| {
        assert_eq!(record.index as usize, timestamps.len());
        timestamps.push(record.timestamp);
        Ok(())
    })?;
    Ok(timestamps)
}

/// A batch with these record bytes and the header of another; length and CRC are made right.
fn with_records(header: &RecordBatch, records: &[u8]) -> Vec<u8> {
    let mut batch = header.bytes().split_at(HEADER_SIZE).0.to_vec();
    batch.extend_from_slice(records);
    repair(&mut batch);
    batch
}

fn repair(batch: &mut [u8]) {
    let length = (batch.len() - LOG_OVERHEAD) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc_fast::crc32_iscsi(batch.split_at(21).1);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

fn compress(codec: Compression, records: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let written = match codec {
        Compression::None => Ok(records.to_vec()),
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(records).and_then(|()| encoder.finish())
        }
        Compression::Snappy => snap::raw::Encoder::new()
            .compress_vec(records)
            .map_err(std::io::Error::from),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            let written = encoder.write_all(records);
            written.and_then(|()| encoder.finish().map_err(std::io::Error::from))
        }
        Compression::Zstd => zstd::bulk::compress(records, 1),
    };
    written.expect("compressing to memory cannot fail")
}

#[test]
fn what_is_built_is_read_back_with_every_codec() {
    let mut random = Random(10);
    for codec in CODECS {
        for round in 0..60 {
            let count = 1 + random.below(40);
            let records = random_records(&mut random, count);
            let base_offset = Offset(random.next() as i64 >> 2 & i64::MAX);
            let base_sequence = i32::MAX - 5;
            let (id, epoch) = (ProducerId(7), ProducerEpoch(3));
            let builder = BatchBuilder::new(base_offset)
                .compression(codec)
                .leader_epoch(LeaderEpoch(5))
                .producer(Producer {
                    id,
                    epoch,
                    base_sequence,
                });
            let batch = build(builder, &records);
            batch.verify_crc().expect("the CRC was just made");
            assert_eq!(parse(batch.bytes().clone()).as_ref(), Ok(&batch));
            let read = read_all(&batch).expect("it was just built");
            assert_eq!(read.len(), count, "{codec:?} round {round}");
            for (index, (source, record)) in records.iter().zip(&read).enumerate() {
                assert_eq!(record.offset, Offset(base_offset.0 + index as i64));
                assert_eq!(record.timestamp, source.timestamp);
                let sequence = (base_sequence as u32 + index as u32) & i32::MAX as u32;
                assert_eq!(record.sequence, Some(sequence as i32));
                assert_eq!(record.key.as_deref(), source.key.as_deref());
                assert_eq!(record.value.as_deref(), source.value.as_deref());
                assert_eq!(record.headers, source.headers);
            }
            let max = records
                .iter()
                .map(|record| record.timestamp)
                .max()
                .expect("not empty");
            let walked: Vec<Timestamp> = records.iter().map(|record| record.timestamp).collect();
            assert_eq!(walk_all(&batch), Ok(walked));
            assert_eq!(batch.header().max_timestamp, max);
        }
    }
}

#[test]
fn kafka_protocol_reads_what_we_build_and_we_read_what_it_builds() {
    let mut random = Random(11);
    for _ in 0..200 {
        let count = 1 + random.below(20);
        let mut records = random_records(&mut random, count);
        // It keeps headers in a map: one of a key.
        records
            .iter_mut()
            .for_each(|record| record.headers.truncate(1));
        let ours = build(BatchBuilder::new(Offset(42)), &records);
        let mut bytes = ours.bytes().clone();
        let decoded = theirs::RecordBatchDecoder::decode(&mut bytes).expect("it reads ours");
        assert_eq!(decoded.records.len(), count);
        for (source, record) in records.iter().zip(&decoded.records) {
            assert_eq!(record.key.as_deref(), source.key.as_deref());
            assert_eq!(record.value.as_deref(), source.value.as_deref());
            assert_eq!(record.timestamp, source.timestamp.0);
        }
        let mut encoded = bytes::BytesMut::new();
        let options = theirs::RecordEncodeOptions {
            version: 2,
            compression: theirs::Compression::None,
        };
        theirs::RecordBatchEncoder::encode(&mut encoded, &decoded.records, &options)
            .expect("it encodes what it read");
        let again = parse(encoded.freeze()).expect("we read theirs");
        again.verify_crc().expect("its CRC holds");
        assert_eq!(read_all(&again), read_all(&ours));
    }
}

#[test]
fn every_damaged_byte_of_an_uncompressed_batch_is_found() {
    let mut random = Random(12);
    let records = random_records(&mut random, 5);
    let batch = build(BatchBuilder::new(Offset(3)), &records);
    for at in 0..batch.bytes().len() {
        // Base offset and leader epoch are the log's to write: the CRC leaves them out.
        if at < 8 || (12..16).contains(&at) {
            continue;
        }
        for bit in 0..8 {
            let mut damaged = batch.bytes().to_vec();
            damaged[at] ^= 1 << bit;
            let found = parse(damaged).and_then(|batch| batch.verify_crc());
            assert!(found.is_err(), "byte {at}, bit {bit}");
        }
    }
}

/// The walk and the iterator are two readers of one grammar.
fn check_agreement(batch: Vec<u8>) -> bool {
    let Ok(batch) = parse(batch) else {
        return false;
    };
    let (walked, read) = (walk_all(&batch), read_all(&batch));
    match (&walked, &read) {
        (Ok(timestamps), Ok(records)) => {
            let read: Vec<Timestamp> = records.iter().map(|record| record.timestamp).collect();
            assert_eq!(timestamps, &read);
            assert!(records.iter().zip(0..).all(|(record, index): (_, i64)| {
                record.offset.0 == batch.header().base_offset.0.saturating_add(index)
            }));
        }
        // The walk alone looks at offsets, and at counts against the header.
        (Err(BatchError::OffsetDelta { .. }), _)
        | (Err(BatchError::InconsistentOffsets { .. } | BatchError::InvalidRecordCount(_)), _)
        | (Err(_), Err(_)) => {}
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => {
            panic!("they disagree: {walked:?} and {read:?} on {batch:02x?}")
        }
    }
    walked.is_ok()
}

#[test]
fn a_damaged_batch_never_panics_whatever_its_crc_says() {
    let mut random = Random(13);
    let (mut passed, mut refused) = (0, 0);
    let mut count = |is_valid| if is_valid { passed += 1 } else { refused += 1 };
    for codec in CODECS {
        for _ in 0..4_000 {
            let size = 1 + random.below(4);
            let mut records = random_records(&mut random, size);
            records.iter_mut().for_each(|record| {
                record.value = record
                    .value
                    .take()
                    .map(|value| value.into_iter().take(40).collect());
            });
            let whole = build(BatchBuilder::new(Offset(0)).compression(codec), &records);
            // Damage the batch as it is,
            let mut damaged = whole.bytes().to_vec();
            support::requests::mutate(&mut random, &mut damaged);
            if damaged.len() >= HEADER_SIZE {
                repair(&mut damaged);
            }
            count(!damaged.is_empty() && check_agreement(damaged));
            // or its records before they are compressed.
            let plain = build(BatchBuilder::new(Offset(0)), &records);
            let mut damaged = plain.record_bytes().to_vec();
            support::requests::mutate(&mut random, &mut damaged);
            count(check_agreement(with_records(
                &whole,
                &compress(codec, &damaged),
            )));
        }
    }
    assert!(
        passed > 1000 && refused > 10_000,
        "{passed} passed, {refused} refused"
    );
}

/// One record as it stands in a batch.
fn record(body: &[u8]) -> Vec<u8> {
    let mut record = vec![(body.len() * 2) as u8];
    record.extend_from_slice(body);
    record
}

/// Checks a batch of these records, as many as are claimed.
fn walk_records(records: &[Vec<u8>], codec: Compression) -> Result<Vec<Timestamp>, ErrorCode> {
    let mut header = BatchBuilder::new(Offset(0)).compression(codec);
    for _ in records {
        header.push(Timestamp(1000), None, None, &[]);
    }
    let batch = with_records(&header.build(), &compress(codec, &records.concat()));
    let batch = parse(batch).expect("only the records are wrong");
    walk_all(&batch).map_err(ErrorCode::from)
}

/// Attributes, timestamp delta, offset delta, then key, value and headers.
const GOOD: &[u8] = &[0, 0, 0, 2, b'k', 2, b'v', 2, 2, b'h', 1];

#[test]
fn malformed_records_are_invalid_with_every_codec() {
    let malformed: &[(&str, Vec<Vec<u8>>)] = &[
        ("null header key", vec![record(&[0, 0, 0, 1, 1, 2, 1, 1])]),
        (
            "header count too large",
            vec![record(&[0, 0, 0, 1, 1, 200, 1])],
        ),
        ("negative header count", vec![record(&[0, 0, 0, 1, 1, 1])]),
        (
            "bytes behind the headers",
            vec![record(&[0, 0, 0, 1, 1, 0, 7, 7])],
        ),
        ("length too small", vec![vec![6, 0, 0, 0, 1, 1, 0]]),
        ("negative length", vec![vec![1, 0, 0, 0, 1, 1, 0]]),
        (
            "length beyond the batch",
            vec![vec![0xfe, 0x7f, 0, 0, 0, 1, 1, 0]],
        ),
        (
            "overlong length",
            vec![vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0]],
        ),
        (
            "overlong timestamp",
            vec![record(&[
                0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0,
            ])],
        ),
        (
            "key beyond the record",
            vec![record(&[0, 0, 0, 100, b'k', 1, 0])],
        ),
        (
            "value beyond the record",
            vec![record(&[0, 0, 0, 1, 100, 0]), record(GOOD)],
        ),
        ("wrong first offset", vec![record(&[0, 0, 10, 1, 1, 0])]),
        (
            "wrong second offset",
            vec![record(GOOD), record(&[0, 0, 14, 1, 1, 0])],
        ),
        ("negative offset", vec![record(&[0, 0, 1, 1, 1, 0])]),
        (
            "bytes behind the records",
            vec![[record(GOOD), vec![0, 0]].concat()],
        ),
        ("too few records", vec![record(GOOD), vec![]]),
    ];
    for codec in CODECS {
        assert!(walk_records(&[record(GOOD)], codec).is_ok(), "{codec:?}");
        for (name, records) in malformed {
            let result = walk_records(records, codec);
            assert_eq!(result, Err(ErrorCode::InvalidRecord), "{name}, {codec:?}");
        }
    }
}

#[test]
fn any_negative_field_length_is_null_as_upstream_reads_it() {
    assert!(walk_records(&[record(&[0, 0, 0, 3, 5, 0])], Compression::None).is_ok());
}

#[test]
fn a_body_that_cannot_be_decompressed_is_corrupt() {
    let header = BatchBuilder::new(Offset(0));
    for codec in CODECS.iter().skip(1) {
        let mut header = header.clone().compression(*codec);
        header.push(Timestamp(1000), None, None, &[]);
        let header = header.build();
        for records in [&b"hello world"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff"] {
            let batch = parse(with_records(&header, records)).expect("the header is right");
            let result = walk_all(&batch).map_err(ErrorCode::from);
            assert_eq!(result, Err(ErrorCode::CorruptMessage), "{codec:?}");
        }
    }
}

#[test]
fn a_codec_that_does_not_exist_is_unsupported() {
    let mut random = Random(14);
    let batch = build(
        BatchBuilder::new(Offset(0)),
        &random_records(&mut random, 1),
    );
    for codec in 5..=7 {
        let mut bytes = batch.bytes().to_vec();
        bytes[22] |= codec;
        repair(&mut bytes);
        let result = walk_all(&parse(bytes).expect("it has a header"));
        assert_eq!(
            result,
            Err(BatchError::UnknownCompression(i16::from(codec)))
        );
        let code = result.map_err(ErrorCode::from);
        assert_eq!(code, Err(ErrorCode::UnsupportedCompressionType));
    }
}

#[test]
fn the_header_must_agree_with_the_records() {
    let mut random = Random(15);
    let batch = build(
        BatchBuilder::new(Offset(0)),
        &random_records(&mut random, 3),
    );
    for (count, last_offset_delta) in [
        (0, 0),
        (0, -1),
        (-1, 2),
        (3, 1),
        (3, 5),
        (3, -1),
        (2, 1),
        (4, 3),
    ] {
        let mut bytes = batch.bytes().to_vec();
        bytes[23..27].copy_from_slice(&i32::to_be_bytes(last_offset_delta));
        bytes[57..61].copy_from_slice(&i32::to_be_bytes(count));
        repair(&mut bytes);
        let result = walk_all(&parse(bytes).expect("it has a header"));
        let code = result.map_err(ErrorCode::from);
        assert_eq!(
            code,
            Err(ErrorCode::InvalidRecord),
            "{count} {last_offset_delta}"
        );
    }
}

#[test]
fn lengths_and_magics_are_judged_as_upstream_judges_them() {
    let mut random = Random(16);
    let whole = build(
        BatchBuilder::new(Offset(0)),
        &random_records(&mut random, 2),
    );
    let with = |at: usize, bytes: &[u8]| {
        let mut batch = whole.bytes().to_vec();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        parse(batch)
            .and_then(|batch| batch.verify_crc())
            .map_err(ErrorCode::from)
    };
    for length in [0, 13, 14, 48, -1, i32::MIN, i32::MAX] {
        assert_eq!(
            with(8, &length.to_be_bytes()),
            Err(ErrorCode::CorruptMessage),
            "{length}"
        );
    }
    assert_eq!(
        with(8, &(i32::MAX - 20).to_be_bytes()),
        Err(ErrorCode::InvalidRecord)
    );
    assert_eq!(with(16, &[0]), Err(ErrorCode::InvalidRecord));
    assert_eq!(with(16, &[1]), Err(ErrorCode::InvalidRecord));
    assert_eq!(with(16, &[3]), Err(ErrorCode::CorruptMessage));
    assert_eq!(with(16, &[0xff]), Err(ErrorCode::CorruptMessage));
    assert_eq!(with(60, &[9]), Err(ErrorCode::CorruptMessage));
    let size = whole.bytes().len();
    for end in 1..size {
        let cut = parse(whole.bytes().slice(..end));
        assert!(
            matches!(cut, Err(BatchError::Truncated { have, .. }) if have == end),
            "{end}"
        );
    }
}

#[test]
fn batches_are_taken_off_the_front_one_by_one() {
    let mut random = Random(17);
    let batches: Vec<RecordBatch> = (0..4)
        .map(|at| {
            build(
                BatchBuilder::new(Offset(at * 10)),
                &random_records(&mut random, 3),
            )
        })
        .collect();
    let joined: Vec<u8> = batches
        .iter()
        .flat_map(|batch| batch.bytes().to_vec())
        .collect();
    let joined = Bytes::from(joined);
    let mut rest = joined.clone();
    for batch in &batches {
        let split = RecordBatch::split_first(&mut rest)
            .expect("it is whole")
            .expect("it is there");
        assert_eq!(&split, batch);
        // Not copied: a slice of what arrived.
        assert!(joined.as_ptr_range().contains(&split.bytes().as_ptr()));
    }
    assert_eq!(RecordBatch::split_first(&mut rest), Ok(None));
    let mut torn = joined.slice(..joined.len() - 1);
    while let Ok(Some(_)) = RecordBatch::split_first(&mut torn) {}
    assert_eq!(
        torn.len(),
        batches.last().map_or(0, |batch| batch.bytes().len()) - 1
    );
}

#[test]
fn a_new_place_in_the_log_leaves_the_crc_as_it_is() {
    let mut random = Random(18);
    let batch = build(
        BatchBuilder::new(Offset(0)),
        &random_records(&mut random, 3),
    );
    let mut placed = batch.patched_header(Offset(1000), LeaderEpoch(9)).to_vec();
    placed.extend_from_slice(&batch.record_bytes());
    let placed = parse(placed).expect("it is whole");
    placed
        .verify_crc()
        .expect("offset and epoch are outside the CRC");
    assert_eq!(placed.header().base_offset, Offset(1000));
    assert_eq!(placed.header().last_offset(), Offset(1002));
    assert_eq!(placed.header().next_offset(), Offset(1003));
    assert_eq!(placed.header().partition_leader_epoch, LeaderEpoch(9));
    assert_eq!(placed.header().crc, batch.header().crc);
}

#[test]
fn the_time_of_the_append_makes_a_new_crc_and_is_every_record_s_time() {
    let mut random = Random(19);
    for codec in CODECS {
        let records = random_records(&mut random, 3);
        let batch = build(BatchBuilder::new(Offset(0)).compression(codec), &records);
        let now = Timestamp(1_800_000_000_000);
        let header = batch.patched_header_log_append_time(Offset(5), LeaderEpoch(1), now);
        let mut stamped = header.to_vec();
        stamped.extend_from_slice(&batch.record_bytes());
        let stamped = parse(stamped).expect("it is whole");
        stamped.verify_crc().expect("the CRC was made anew");
        let attributes = stamped.header().attributes;
        assert_eq!(attributes.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(attributes.compression(), Ok(codec));
        let read = read_all(&stamped).expect("it is well-formed");
        assert!(read.iter().all(|record| record.timestamp == now));
        assert_eq!(walk_all(&stamped), Ok(vec![now; 3]));
    }
}

#[test]
fn a_header_is_read_as_the_format_says() {
    let builder = BatchBuilder::new(Offset(0x0102_0304_0506_0708))
        .leader_epoch(LeaderEpoch(0x1112_1314))
        .timestamp_type(TimestampType::LogAppendTime)
        .transactional()
        .producer(Producer {
            id: ProducerId(0x2122),
            epoch: ProducerEpoch(0x3132),
            base_sequence: 0x4142,
        });
    let mut builder = builder;
    builder.push(Timestamp(0x5152), Some(b"key"), None, &[]);
    let batch = builder.build();
    let expected = [
        &[1, 2, 3, 4, 5, 6, 7, 8][..],
        &[0, 0, 0, 59],
        &[0x11, 0x12, 0x13, 0x14],
        &[2],
        &batch.header().crc.to_be_bytes(),
        &[0, 0x18],
        &[0; 4],
        &[0, 0, 0, 0, 0, 0, 0x51, 0x52],
        &[0, 0, 0, 0, 0, 0, 0x51, 0x52],
        &[0, 0, 0, 0, 0, 0, 0x21, 0x22],
        &[0x31, 0x32],
        &[0, 0, 0x41, 0x42],
        &[0, 0, 0, 1],
        &[0x12, 0, 0, 0, 6, b'k', b'e', b'y', 1, 0],
    ];
    let expected = expected.concat();
    assert_eq!(&batch.bytes()[..], &expected[..]);
    let header = BatchHeader::parse(batch.bytes()).expect("it has a header");
    assert_eq!(header.size_in_bytes(), batch.bytes().len());
    assert_eq!(header.attributes, Attributes(0x18));
    assert!(header.attributes.is_transactional() && !header.attributes.is_control());
}

#[test]
fn a_negative_producer_id_is_none() {
    let batch = build(
        BatchBuilder::new(Offset(0)),
        &random_records(&mut Random(20), 1),
    );
    assert_eq!(batch.header().producer, None);
    let mut bytes = batch.bytes().to_vec();
    bytes[43..51].copy_from_slice(&(-2i64).to_be_bytes());
    repair(&mut bytes);
    assert_eq!(parse(bytes).expect("it is whole").header().producer, None);
}

#[test]
fn an_end_transaction_marker_is_what_upstream_writes() {
    use protocol::control::{EndTransactionMarker, end_transaction_marker};
    for committed in [true, false] {
        let marker = EndTransactionMarker {
            committed,
            coordinator_epoch: 7,
        };
        let producer = (ProducerId(12), ProducerEpoch(3));
        let batch =
            end_transaction_marker(Offset(4), LeaderEpoch(2), Timestamp(99), producer, marker);
        let header = batch.header();
        assert!(header.attributes.is_control() && header.attributes.is_transactional());
        assert_eq!(
            header.producer.map(|producer| producer.base_sequence),
            Some(-1)
        );
        let records = read_all(&batch).expect("it is well-formed");
        let [record] = records.as_slice() else {
            panic!("{} records", records.len())
        };
        assert_eq!(
            record.key.as_deref(),
            Some(&[0, 0, 0, u8::from(committed)][..])
        );
        assert_eq!(record.value.as_deref(), Some(&[0, 0, 0, 0, 0, 7][..]));
        assert_eq!(record.sequence, None);
        assert_eq!(EndTransactionMarker::read(record), Ok(Some(marker)));
    }
}
