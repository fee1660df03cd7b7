//! Responses that are written in chunks, against kafka-protocol's own encoder.

mod support;

use bytes::Bytes;
use kafka_protocol::messages::fetch_response as theirs;
use kafka_protocol::messages::{BrokerId, ProducerId, ResponseHeader, TopicName};
use protocol::response::fetch as ours;
use protocol::{Chunk, Encodable, RecordsField, ResponseBuf, StrBytes};
use support::Random;
use uuid::Uuid;

const FETCH: i16 = 1;
const SHARE_FETCH: i16 = 78;

/// The same response for both encoders, and what lies outside of ours.
struct Pair {
    theirs: theirs::FetchResponse,
    ours: ours::FetchResponse,
    external: Vec<Bytes>,
}

fn random_pair(random: &mut Random, version: i16) -> Pair {
    let mut pair = Pair {
        theirs: theirs::FetchResponse::default(),
        ours: ours::FetchResponse::default(),
        external: Vec::new(),
    };
    let (throttle_time_ms, error_code) = (random.i32(), random.i32() as i16);
    let session_id = if version >= 7 { random.i32() } else { 0 };
    pair.theirs.throttle_time_ms = throttle_time_ms;
    pair.theirs.error_code = error_code;
    pair.theirs.session_id = session_id;
    pair.ours = pair
        .ours
        .with_throttle_time_ms(throttle_time_ms)
        .with_error_code(error_code)
        .with_session_id(session_id);
    for _ in 0..random.below(4) {
        add_topic(random, version, &mut pair);
    }
    if version >= 16 && random.chance(2) {
        let (id, port) = (BrokerId(random.i32()), random.i32());
        let host = StrBytes::from_string(random.text(9));
        let rack = random
            .chance(2)
            .then(|| StrBytes::from_string(random.text(3)));
        let node = theirs::NodeEndpoint::default()
            .with_node_id(id)
            .with_port(port);
        let node = node.with_host(host.clone()).with_rack(rack.clone());
        pair.theirs.node_endpoints.push(node);
        pair.ours.node_endpoints.push(ours::NodeEndpoint {
            node_id: id,
            host,
            port,
            rack,
        });
    }
    pair
}

fn add_topic(random: &mut Random, version: i16, pair: &mut Pair) {
    let size = random.below(200);
    let (topic, topic_id) = (
        TopicName(random.text(size).into()),
        Uuid::from_u128(random.next().into()),
    );
    let (topic, topic_id) = if version >= 13 {
        (TopicName::default(), topic_id)
    } else {
        (topic, Uuid::nil())
    };
    let mut their_topic = theirs::FetchableTopicResponse::default();
    their_topic.topic = topic.clone();
    their_topic.topic_id = topic_id;
    let mut our_topic = ours::FetchableTopicResponse {
        topic,
        topic_id,
        ..Default::default()
    };
    for _ in 0..random.below(5) {
        let (theirs, ours) = random_partition(random, version, &mut pair.external);
        their_topic.partitions.push(theirs);
        our_topic.partitions.push(ours);
    }
    pair.theirs.responses.push(their_topic);
    pair.ours.responses.push(our_topic);
}

fn random_partition(
    random: &mut Random,
    version: i16,
    external: &mut Vec<Bytes>,
) -> (theirs::PartitionData, ours::PartitionData) {
    let mut theirs = theirs::PartitionData::default();
    let mut ours = ours::PartitionData::default();
    macro_rules! both {
        ($($field:ident).+ = $value:expr) => {
            let value = $value;
            theirs.$($field).+ = value.clone();
            ours.$($field).+ = value;
        };
    }
    both!(partition_index = random.i32());
    both!(error_code = random.i32() as i16);
    both!(high_watermark = random.i64());
    both!(last_stable_offset = random.i64());
    both!(log_start_offset = random.i64());
    if version >= 11 {
        both!(preferred_read_replica = BrokerId(random.i32()));
    }
    if version >= 12 && random.chance(2) {
        both!(diverging_epoch.epoch = random.i32());
        both!(diverging_epoch.end_offset = random.i64());
        both!(current_leader.leader_id = BrokerId(random.i32()));
        both!(snapshot_id.end_offset = random.i64());
    }
    let transactions = (!random.chance(3)).then(|| random.below(3));
    theirs.aborted_transactions = transactions.map(|_| Vec::new());
    ours.aborted_transactions = transactions.map(|_| Vec::new());
    for _ in 0..transactions.unwrap_or(0) {
        let (producer_id, first_offset) = (ProducerId(random.i64()), random.i64());
        let their_list = theirs.aborted_transactions.get_or_insert_default();
        let their = theirs::AbortedTransaction::default().with_producer_id(producer_id);
        their_list.push(their.with_first_offset(first_offset));
        let our_list = ours.aborted_transactions.get_or_insert_default();
        our_list.push(ours::AbortedTransaction {
            producer_id,
            first_offset,
        });
    }
    let size = [0, 1, 100, 4096, 4097, 20_000][random.below(6)];
    let records = Bytes::from(random.bytes(size));
    theirs.records = Some(records.clone());
    ours.records = match random.below(4) {
        0 => {
            theirs.records = None;
            RecordsField::Null
        }
        1 => RecordsField::Bytes(records),
        _ => {
            external.push(records.clone());
            RecordsField::External(records.len())
        }
    };
    (theirs, ours)
}

/// The frame as the socket would see it.
fn assemble(chunks: Vec<Chunk>, external: &[Bytes]) -> Vec<u8> {
    let mut frame = Vec::new();
    for chunk in chunks {
        match chunk {
            Chunk::Bytes(bytes) => frame.extend_from_slice(&bytes),
            Chunk::External { index, len } => {
                assert_eq!(external[index].len(), len);
                frame.extend_from_slice(&external[index]);
            }
        }
    }
    frame
}

fn expected_frame(body: &impl Encodable, version: i16, header_version: i16) -> Vec<u8> {
    let mut frame = vec![0; 4];
    let header = ResponseHeader::default().with_correlation_id(77);
    header
        .encode(&mut frame, header_version)
        .expect("the header has the version");
    body.encode(&mut frame, version)
        .expect("the body has the version");
    let size = frame.len() as i32 - 4;
    frame[..4].copy_from_slice(&size.to_be_bytes());
    frame
}

#[test]
fn a_fetch_response_is_what_kafka_protocol_writes() {
    let mut random = Random(1);
    for version in 4..=18 {
        for _ in 0..300 {
            let pair = random_pair(&mut random, version);
            let expected = expected_frame(&pair.theirs, version, i16::from(version >= 12));
            let mut response = ResponseBuf::new(FETCH, version, 77);
            response.put_fetch(&pair.ours, version).unwrap();
            let frame = assemble(response.finish().unwrap(), &pair.external);
            assert_eq!(frame, expected, "version {version}: {:?}", pair.ours);
        }
    }
}

/// Version 2 has nothing that version 1 has not.
#[test]
fn a_share_fetch_response_is_what_kafka_protocol_writes() {
    use kafka_protocol::messages::share_fetch_response as theirs;
    use protocol::response::share_fetch as ours;
    let mut random = Random(2);
    for _ in 0..300 {
        let mut external = Vec::new();
        let mut their_topic = theirs::ShareFetchableTopicResponse::default();
        let mut our_topic = ours::ShareFetchableTopicResponse::default();
        their_topic.topic_id = Uuid::from_u128(random.next().into());
        our_topic.topic_id = their_topic.topic_id;
        for _ in 0..random.below(4) {
            let (index, code, delivery_count) = (random.i32(), random.i32() as i16, 3);
            let (first, last) = (random.i64(), random.i64());
            let size = random.below(9_000);
            let records = Bytes::from(random.bytes(size));
            let acquired = theirs::AcquiredRecords::default()
                .with_first_offset(first)
                .with_last_offset(last)
                .with_delivery_count(delivery_count);
            let partition = theirs::PartitionData::default()
                .with_partition_index(index)
                .with_error_code(code)
                .with_acknowledge_error_code(code)
                .with_records(Some(records.clone()))
                .with_acquired_records(vec![acquired]);
            their_topic.partitions.push(partition);
            let acquired = ours::AcquiredRecords::default()
                .with_first_offset(first)
                .with_last_offset(last)
                .with_delivery_count(delivery_count);
            let partition = ours::PartitionData::default()
                .with_partition_index(index)
                .with_error_code(code)
                .with_acknowledge_error_code(code)
                .with_records(RecordsField::External(records.len()))
                .with_acquired_records(vec![acquired]);
            our_topic.partitions.push(partition);
            external.push(records);
        }
        let lock_ms = random.i32();
        let theirs = theirs::ShareFetchResponse::default()
            .with_acquisition_lock_timeout_ms(lock_ms)
            .with_responses(vec![their_topic]);
        let ours = ours::ShareFetchResponse::default()
            .with_acquisition_lock_timeout_ms(lock_ms)
            .with_responses(vec![our_topic]);
        let expected = expected_frame(&theirs, 1, 1);
        for version in 1..=2 {
            let mut response = ResponseBuf::new(SHARE_FETCH, version, 77);
            response.put_share_fetch(&ours, version).unwrap();
            let frame = assemble(response.finish().unwrap(), &external);
            assert_eq!(frame, expected, "version {version}: {ours:?}");
        }
    }
}

#[test]
fn long_records_are_not_copied() {
    let records = Bytes::from(vec![7; 100_000]);
    let partition =
        ours::PartitionData::default().with_records(RecordsField::Bytes(records.clone()));
    let topic = ours::FetchableTopicResponse::default().with_partitions(vec![partition]);
    let body = ours::FetchResponse::default().with_responses(vec![topic]);
    let mut response = ResponseBuf::new(FETCH, 17, 1);
    response.put_fetch(&body, 17).unwrap();
    let chunks = response.finish().unwrap();
    let is_same =
        |chunk: &Chunk| matches!(chunk, Chunk::Bytes(bytes) if bytes.as_ptr() == records.as_ptr());
    assert!(chunks.iter().any(is_same));
}

#[test]
fn a_message_without_records_is_one_chunk() {
    let body = kafka_protocol::messages::MetadataResponse::default();
    let mut response = ResponseBuf::new(3, 12, 77);
    response.put(&body, 12).unwrap();
    let chunks = response.finish().unwrap();
    assert_eq!(chunks.len(), 1);
    assert_eq!(assemble(chunks, &[]), expected_frame(&body, 12, 1));
}

#[test]
fn a_version_that_does_not_exist_is_refused() {
    let mut response = ResponseBuf::new(FETCH, 19, 1);
    assert!(
        response
            .put_fetch(&ours::FetchResponse::default(), 19)
            .is_err()
    );
    assert!(
        response
            .put_fetch(&ours::FetchResponse::default(), 3)
            .is_err()
    );
}
