//! The bytes of `__consumer_offsets` as upstream 4.3.1 wrote them, and as older brokers did.
//!
//! `fixtures/upstream-4.3.1.txt` was read from a live broker's log: clients of several languages
//! joined, committed and left. Each line is a key and a value in hex, a dash for a tombstone.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use coordinator::group::WireError;
use coordinator::group::record::{
    AssignedTopic, ConsumerGroupEntry, ConsumerGroupRecord, CurrentMemberAssignmentValue, Decoded,
    GroupMetadataValue, GroupRecord, MemberMetadata, OffsetCommitKey, OffsetCommitValue,
    RecordError, ShareGroupEntry,
};
use coordinator::group::{GroupCoordinatorConfig, GroupShard};
use coordinator::{RecordMeta, Shard};
use protocol::{Offset, Timestamp, TopicId};
use uuid::Uuid;

const UPSTREAM: [&str; 3] = [
    include_str!("fixtures/upstream-4.3.1.txt"),
    include_str!("fixtures/upstream-4.3.1-consumer-groups.txt"),
    include_str!("fixtures/upstream-4.3.1-share-groups.txt"),
];

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
    let lines = UPSTREAM.iter().flat_map(|file| file.lines());
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let (key, value) = line.split_once(' ').expect("key and value");
        (from_hex(key), (value != "-").then(|| from_hex(value)))
    })
}

fn decode(key: &[u8], value: Option<&Bytes>) -> GroupRecord {
    match GroupRecord::decode(key, value) {
        Ok(Decoded::Record(record)) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_upstream_wrote_is_what_we_write() {
    let mut count = 0;
    for (key, value) in upstream_records() {
        let record = decode(&key, value.as_ref());
        assert_eq!(record.encode(), Ok((key, value)), "{record:?}");
        count += 1;
    }
    assert!(count >= 180, "only {count} records");
}

/// Three groups were deleted; of the fourth upstream never got rid.
#[test]
fn the_log_of_upstream_leaves_the_share_groups_that_upstream_had() {
    let mut shard = GroupShard::new(GroupCoordinatorConfig::default(), 0, Uuid::nil);
    let share = UPSTREAM[2].lines().filter(|line| !line.starts_with('#'));
    for (offset, line) in (0..).zip(share) {
        let (key, value) = line.split_once(' ').expect("key and value");
        let value = (value != "-").then(|| from_hex(value));
        let meta = RecordMeta {
            offset: Offset(offset),
            producer: None,
        };
        shard.replay(meta, &decode(&from_hex(key), value.as_ref()));
    }
    let rows: Vec<_> = shard.rows().collect();
    let [GroupRecord::ShareGroup(row)] = rows.as_slice() else {
        panic!("{rows:?}");
    };
    assert_eq!(&*row.group_id, "neg");
    let ShareGroupEntry::StatePartitionMetadata(Some(state)) = &row.entry else {
        panic!("{row:?}");
    };
    let initializing = &state.initializing_topics;
    let partitions: Vec<_> = initializing.iter().map(|topic| &topic.partitions).collect();
    assert_eq!(partitions, [&[-1]]);
}

#[test]
fn a_record_of_a_share_group_that_is_cut_anywhere_is_an_error() {
    let share = upstream_records().filter(|(key, _)| matches!(key[1], 10..=15));
    for (key, value) in share {
        for length in 0..key.len() {
            let decoded = GroupRecord::decode(&key[..length], value.as_ref());
            assert!(decoded.is_err(), "{length} of {key:?}: {decoded:?}");
        }
        let Some(value) = value else { continue };
        for length in 0..value.len() {
            let cut = value.slice(..length);
            let decoded = GroupRecord::decode(&key, Some(&cut));
            assert!(decoded.is_err(), "{length} of {value:?}: {decoded:?}");
        }
        let mut future = BytesMut::from(&*value);
        future[1] = 1;
        let decoded = GroupRecord::decode(&key, Some(&future.freeze()));
        assert!(
            matches!(decoded, Err(RecordError::UnknownVersion { .. })),
            "{decoded:?}"
        );
    }
}

#[test]
fn a_static_member_of_upstream_is_read() {
    let records: Vec<_> = upstream_records().collect();
    let groups = records
        .iter()
        .filter_map(|(key, value)| match decode(key, value.as_ref()) {
            GroupRecord::GroupMetadata { value, .. } => value,
            GroupRecord::OffsetCommit { .. }
            | GroupRecord::ConsumerGroup(_)
            | GroupRecord::ShareGroup(_) => None,
        });
    let members = groups.flat_map(|group| group.members);
    let member = members
        .into_iter()
        .find(|member| member.instance_id.is_some());
    let member = member.expect("a static member among the records");
    assert_eq!(member.instance_id.as_deref(), Some("till-1"));
    assert!(member.member_id.starts_with("till-1-"));
    assert_eq!(&*member.client_host, "/127.0.0.1");
    assert_eq!(
        (member.session_timeout_ms, member.rebalance_timeout_ms),
        (10_000, 60_000)
    );
}

fn offset_key(record_type: i16) -> BytesMut {
    let mut key = BytesMut::new();
    key.put_i16(record_type);
    put_string(&mut key, "g");
    put_string(&mut key, "t");
    key.put_i32(3);
    key
}

fn put_string(buffer: &mut BytesMut, text: &str) {
    buffer.put_i16(text.len() as i16);
    buffer.put_slice(text.as_bytes());
}

/// The value at each version, by the messages' specification.
fn offset_value(version: i16) -> Bytes {
    let mut value = BytesMut::new();
    value.put_i16(version);
    value.put_i64(42);
    if version >= 3 {
        value.put_i32(7);
    }
    if version >= 4 {
        value.put_slice(b"\x03hi");
    } else {
        put_string(&mut value, "hi");
    }
    value.put_i64(1_000);
    if version == 1 {
        value.put_i64(2_000);
    }
    if version >= 4 {
        // A field of a later version, then the topic id, whatever their order.
        value.put_slice(b"\x02\x00\x10");
        value.put_u128(9);
        value.put_slice(b"\x05\x02xx");
    }
    value.freeze()
}

#[test]
fn every_version_of_an_offset_commit_is_read() {
    for (record_type, version) in [(0, 0), (1, 0), (1, 1), (1, 2), (1, 3), (1, 4)] {
        let record = decode(&offset_key(record_type), Some(&offset_value(version)));
        let key = OffsetCommitKey {
            group_id: Arc::from("g"),
            topic: Arc::from("t"),
            partition: 3,
        };
        let value = OffsetCommitValue {
            offset: 42,
            leader_epoch: (version >= 3).then_some(7),
            metadata: Arc::from("hi"),
            commit_timestamp: Timestamp(1_000),
            expire_timestamp: (version == 1).then_some(Timestamp(2_000)),
            topic_id: TopicId(Uuid::from_u128(if version >= 4 { 9 } else { 0 })),
        };
        let expected = GroupRecord::OffsetCommit {
            key,
            value: Some(value),
        };
        assert_eq!(record, expected, "version {version}");
    }
}

fn group_key() -> Bytes {
    Bytes::from_static(b"\x00\x02\x00\x01g")
}

/// A value that can be written with plain and with compact lengths.
struct Writer {
    buffer: BytesMut,
    flexible: bool,
}

impl Writer {
    fn string(&mut self, text: &str) {
        if self.flexible {
            self.buffer.put_u8(text.len() as u8 + 1);
            self.buffer.put_slice(text.as_bytes());
        } else {
            put_string(&mut self.buffer, text);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.flexible {
            self.buffer.put_u8(bytes.len() as u8 + 1);
        } else {
            self.buffer.put_i32(bytes.len() as i32);
        }
        self.buffer.put_slice(bytes);
    }

    fn end_of_struct(&mut self) {
        if self.flexible {
            self.buffer.put_u8(0);
        }
    }
}

fn group_value(version: i16) -> Bytes {
    let mut writer = Writer {
        buffer: BytesMut::new(),
        flexible: version >= 4,
    };
    writer.buffer.put_i16(version);
    writer.string("consumer");
    writer.buffer.put_i32(5);
    writer.string("range");
    writer.string("m");
    if version >= 2 {
        writer.buffer.put_i64(1_000);
    }
    if version >= 4 {
        writer.buffer.put_u8(2);
    } else {
        writer.buffer.put_i32(1);
    }
    writer.string("m");
    if version >= 3 {
        writer.string("i");
    }
    writer.string("client");
    writer.string("/127.0.0.1");
    if version >= 1 {
        writer.buffer.put_i32(60_000);
    }
    writer.buffer.put_i32(10_000);
    writer.bytes(b"subscription");
    writer.bytes(b"assignment");
    writer.end_of_struct();
    writer.end_of_struct();
    writer.buffer.freeze()
}

#[test]
fn every_version_of_a_group_is_read() {
    for version in 0..=4 {
        let member = MemberMetadata {
            member_id: Arc::from("m"),
            instance_id: (version >= 3).then(|| Arc::from("i")),
            client_id: Arc::from("client"),
            client_host: Arc::from("/127.0.0.1"),
            rebalance_timeout_ms: if version >= 1 { 60_000 } else { 10_000 },
            session_timeout_ms: 10_000,
            subscription: Bytes::from_static(b"subscription"),
            assignment: Bytes::from_static(b"assignment"),
        };
        let value = GroupMetadataValue {
            protocol_type: Arc::from("consumer"),
            generation: 5,
            protocol_name: Some(Arc::from("range")),
            leader: Some(Arc::from("m")),
            state_timestamp: (version >= 2).then_some(Timestamp(1_000)),
            members: vec![member],
        };
        let expected = GroupRecord::GroupMetadata {
            group_id: Arc::from("g"),
            value: Some(value),
        };
        assert_eq!(decode(&group_key(), Some(&group_value(version))), expected);
    }
}

#[test]
fn a_record_of_another_type_is_named() {
    let streams_group = Bytes::from_static(b"\x00\x11\x00\x01g");
    let decoded = GroupRecord::decode(&streams_group, Some(&Bytes::from_static(b"\x00\x00")));
    assert_eq!(decoded, Ok(Decoded::UnknownType(17)));
}

#[test]
fn a_record_that_is_cut_anywhere_is_an_error() {
    for (key, value) in [
        (offset_key(1).freeze(), offset_value(4)),
        (group_key(), group_value(3)),
    ] {
        for length in 0..key.len() {
            assert!(
                GroupRecord::decode(&key[..length], None).is_err(),
                "key of {length}"
            );
        }
        for length in 0..value.len() {
            let cut = value.slice(..length);
            assert!(
                GroupRecord::decode(&key, Some(&cut)).is_err(),
                "value of {length}"
            );
        }
    }
}

#[test]
fn a_record_of_a_consumer_group_that_is_cut_anywhere_is_an_error() {
    let mut count = 0;
    for (key, value) in upstream_records().filter(|(key, _)| key[1] > 2) {
        for length in 2..key.len() {
            assert!(
                GroupRecord::decode(&key[..length], None).is_err(),
                "key of {length}"
            );
        }
        for length in 0..value.as_ref().map_or(0, Bytes::len) {
            let cut = value.as_ref().map(|value| value.slice(..length));
            let decoded = GroupRecord::decode(&key, cut.as_ref());
            assert!(decoded.is_err(), "{length} of {value:?}: {decoded:?}");
            count += 1;
        }
    }
    assert!(count > 1_000, "only {count} cuts");
}

#[test]
fn a_version_of_the_future_of_a_consumer_group_is_an_error() {
    for (key, value) in upstream_records().filter(|(key, _)| key[1] > 2) {
        let Some(value) = value else { continue };
        let mut value = BytesMut::from(&value[..]);
        value[1] = 1;
        let expected = Err(RecordError::UnknownVersion {
            record_type: i16::from(key[1]),
            version: 1,
        });
        assert_eq!(GroupRecord::decode(&key, Some(&value.freeze())), expected);
    }
}

#[test]
fn topic_metadata_of_before_the_hash_is_kept_as_it_is() {
    let key = Bytes::from_static(b"\x00\x04\x00\x01g");
    let value = Bytes::from_static(b"\x00\x00 whatever stands there");
    let record = decode(&key, Some(&value));
    let entry = ConsumerGroupEntry::PartitionMetadata(Some(value.clone()));
    let expected = ConsumerGroupRecord {
        group_id: Arc::from("g"),
        entry,
    };
    assert_eq!(record, GroupRecord::ConsumerGroup(expected));
    assert_eq!(record.encode(), Ok((key, Some(value))));
}

/// Records of before 4.3 do not say in which epoch a partition was assigned.
#[test]
fn a_current_assignment_without_epochs_is_read() {
    let key = Bytes::from_static(b"\x00\x08\x00\x01g\x00\x01m");
    let mut value = BytesMut::from(&b"\0\0\0\0\0\x05\0\0\0\x04\0\x02"[..]);
    value.put_u128(9);
    value.put_slice(b"\x02\0\0\0\x03\0\x01\0");
    let value = value.freeze();
    let record = decode(&key, Some(&value));
    let topic = AssignedTopic {
        topic_id: TopicId(Uuid::from_u128(9)),
        partitions: vec![3],
        assignment_epochs: None,
    };
    let current = CurrentMemberAssignmentValue {
        member_epoch: 5,
        previous_member_epoch: 4,
        state: 0,
        assigned_partitions: vec![topic],
        partitions_pending_revocation: Vec::new(),
    };
    let entry = ConsumerGroupEntry::CurrentMemberAssignment {
        member_id: Arc::from("m"),
        value: Some(current),
    };
    let group_id = Arc::from("g");
    let expected = GroupRecord::ConsumerGroup(ConsumerGroupRecord { group_id, entry });
    assert_eq!(record, expected);
    assert_eq!(record.encode(), Ok((key, Some(value))));
}

#[test]
fn a_version_of_the_future_is_an_error() {
    let mut value = BytesMut::from(&offset_value(4)[..]);
    value[1] = 5;
    let decoded = GroupRecord::decode(&offset_key(1), Some(&value.freeze()));
    assert_eq!(
        decoded,
        Err(RecordError::UnknownVersion {
            record_type: 1,
            version: 5
        })
    );
}

#[test]
fn a_count_is_not_believed() {
    let mut value = BytesMut::from(&b"\x00\x03\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"[..]);
    value.put_i64(0);
    value.put_i32(i32::MAX);
    let decoded = GroupRecord::decode(&group_key(), Some(&value.freeze()));
    let error = RecordError::Malformed {
        record_type: 2,
        part: "value",
        error: WireError::Short,
    };
    assert_eq!(decoded, Err(error));
}

#[test]
fn a_string_that_does_not_fit_is_not_cut() {
    let group_id = Arc::from("g".repeat(32_768));
    let record = GroupRecord::GroupMetadata {
        group_id,
        value: None,
    };
    assert_eq!(record.encode(), Err(RecordError::TooLong));
}
