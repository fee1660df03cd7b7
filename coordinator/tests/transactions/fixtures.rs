//! The bytes of `__transaction_state` as upstream 4.3.1 wrote them.

use std::sync::Arc;

use bytes::Bytes;
use coordinator::transaction::TransactionState;
use coordinator::transaction::record::{
    Decoded, FlexibleFields, RecordError, TransactionLogValue, TransactionRecord,
};
use protocol::{ProducerEpoch, ProducerId, Timestamp, TopicPartition};

const UPSTREAM: &str = include_str!("fixtures/upstream-4.3.1.txt");

fn from_hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).expect("a hex digit") as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn upstream_records() -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
    let lines = UPSTREAM.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let (key, value) = line.split_once(' ').expect("key and value");
        (from_hex(key), (value != "-").then(|| from_hex(value)))
    })
}

fn decode(key: &[u8], value: Option<&Bytes>) -> TransactionRecord {
    match TransactionRecord::decode(key, value) {
        Ok(Decoded::Record(record)) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_upstream_wrote_is_what_we_write() {
    let (mut same, mut reordered) = (0, 0);
    for (key, value) in upstream_records() {
        let record = decode(&key, value.as_ref());
        let (our_key, our_value) = record.encode().expect("it was written before");
        assert_eq!(our_key, key);
        let partitions = record.value.map_or(0, |value| value.partitions.len());
        if partitions > 1 {
            // Upstream writes them as its hash tables order them: only the order may differ.
            let sorted = |value: Option<Bytes>| {
                let mut bytes = value.expect("a value").to_vec();
                bytes.sort_unstable();
                bytes
            };
            assert_eq!(sorted(our_value), sorted(value));
            reordered += 1;
        } else {
            assert_eq!(our_value, value);
            same += 1;
        }
    }
    assert!(
        same >= 60 && reordered >= 9,
        "{same} and {reordered} records"
    );
}

#[test]
fn a_transaction_of_upstream_is_read() {
    let id = |record: &TransactionRecord| record.transactional_id.to_string();
    let records: Vec<_> = upstream_records()
        .map(|(key, value)| decode(&key, value.as_ref()))
        .collect();
    let of = |name: &str, state| {
        records.iter().find_map(|record| {
            let value = record.value.as_ref()?;
            (id(record) == name && value.state == state).then(|| value.clone())
        })
    };
    let committed = of("id-v2", TransactionState::PrepareCommit).expect("a commit");
    assert_eq!(
        committed,
        TransactionLogValue {
            producer_id: ProducerId(0),
            producer_epoch: ProducerEpoch(1),
            timeout_ms: 60_000,
            state: TransactionState::PrepareCommit,
            partitions: [("__consumer_offsets", 0), ("t", 0), ("t", 1), ("u", 2)]
                .map(|(topic, partition)| TopicPartition::new(topic, partition))
                .to_vec(),
            last_update: committed.last_update,
            start: committed.start,
            flexible: Some(FlexibleFields {
                previous_producer_id: Some(ProducerId(0)),
                next_producer_id: None,
                client_transaction_version: 2,
            }),
        }
    );
    assert!(
        committed
            .start
            .is_some_and(|start| start < committed.last_update)
    );
    let old = of("id-v0", TransactionState::Empty).expect("an id");
    assert_eq!((old.start, old.flexible), (None, None));
    let exhausted = of("more", TransactionState::PrepareCommit).expect("a commit");
    assert_eq!(exhausted.producer_epoch, ProducerEpoch(i16::MAX));
    let next = exhausted
        .flexible
        .and_then(|fields| fields.next_producer_id);
    assert_eq!(next, Some(ProducerId(11)));
    let expired = records.iter().filter(|record| record.value.is_none());
    assert_eq!(expired.count(), 9);
}

#[test]
fn what_is_not_known_is_named() {
    let value = from_hex("0001");
    let key = |text| from_hex(text);
    assert_eq!(
        TransactionRecord::decode(&key("000b00016b"), Some(&value)),
        Ok(Decoded::UnknownType(11))
    );
    assert_eq!(
        TransactionRecord::decode(&key("000000016b"), Some(&from_hex("0002"))),
        Ok(Decoded::UnknownVersion(2))
    );
    assert!(matches!(
        TransactionRecord::decode(&key("000000016b"), Some(&value)),
        Err(RecordError::Malformed { part: "value", .. })
    ));
    assert!(matches!(
        TransactionRecord::decode(&key("00000005"), None),
        Err(RecordError::Malformed { part: "key", .. })
    ));
    // A state that is none.
    let value =
        from_hex("0000000000000000000100000000ea6009ffffffff000001a1ff3d78baffffffffffffffff");
    assert_eq!(
        TransactionRecord::decode(&key("000000016b"), Some(&value)),
        Err(RecordError::UnknownState { state: 9 })
    );
}

#[test]
fn tags_of_a_later_version_are_passed_over() {
    // Tag 3 is upstream's NextProducerEpoch, tag 9 nobody's.
    let text = "0001000000000000000100000000ea60040100000000000000050000000000000004\
                0300080000000000000001030200070901ff";
    let record = decode(&from_hex("000000016b"), Some(&from_hex(text)));
    let value = record.value.expect("a value");
    assert_eq!(value.last_update, Timestamp(5));
    let fields = FlexibleFields {
        previous_producer_id: Some(ProducerId(1)),
        ..FlexibleFields::default()
    };
    assert_eq!(value.flexible, Some(fields));
}

#[test]
fn a_name_that_is_too_long_is_refused() {
    let record = TransactionRecord {
        transactional_id: Arc::from("x".repeat(40_000)),
        value: None,
    };
    assert_eq!(record.encode(), Err(RecordError::TooLong));
}
