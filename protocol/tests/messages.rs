//! The messages we generate, against kafka-protocol's where it knows the version.

mod support;

use bytes::Bytes;
use kafka_protocol::messages as theirs;
use protocol::messages as ours;
use protocol::{Decodable, Encodable, HeaderVersion, Message, Request};
use support::Random;
use support::requests::random_body;

/// Reads the bytes with one type and writes them again.
fn rewrite<M: Decodable + Encodable>(bytes: &[u8], version: i16) -> Result<Vec<u8>, String> {
    let mut source = Bytes::copy_from_slice(bytes);
    let message = M::decode(&mut source, version).map_err(|error| error.to_string())?;
    let mut encoded = Vec::new();
    message
        .encode(&mut encoded, version)
        .map_err(|error| error.to_string())?;
    assert_eq!(message.compute_size(version).ok(), Some(encoded.len()));
    Ok(encoded)
}

fn check_request<Theirs: Request, Ours: Request>(last: i16) {
    assert_eq!(Theirs::KEY, Ours::KEY);
    assert_eq!(Theirs::VERSIONS.min, Ours::VERSIONS.min);
    assert_eq!(Ours::VERSIONS.max, last);
    let mut random = Random(30);
    for version in Theirs::VERSIONS.min..=Theirs::VERSIONS.max {
        assert_eq!(
            Theirs::header_version(version),
            Ours::header_version(version)
        );
        for _ in 0..500 {
            let body = random_body(&mut random, Ours::KEY, version);
            let expected = rewrite::<Theirs>(&body, version);
            assert_eq!(
                rewrite::<Ours>(&body, version),
                expected,
                "version {version}: {body:02x?}"
            );
            assert!(expected.is_ok());
            let (cut, _) = body.split_at(random.below(body.len()));
            assert!(
                rewrite::<Ours>(cut, version).is_err(),
                "version {version}: {cut:02x?}"
            );
        }
    }
}

#[test]
fn our_requests_read_and_write_as_kafka_protocol_s() {
    check_request::<theirs::ListOffsetsRequest, ours::ListOffsetsRequest>(11);
    check_request::<theirs::DescribeLogDirsRequest, ours::DescribeLogDirsRequest>(5);
    check_request::<theirs::OffsetCommitRequest, ours::OffsetCommitRequest>(10);
    check_request::<theirs::OffsetFetchRequest, ours::OffsetFetchRequest>(10);
    check_request::<theirs::WriteTxnMarkersRequest, ours::WriteTxnMarkersRequest>(2);
    check_request::<theirs::ShareFetchRequest, ours::ShareFetchRequest>(2);
    check_request::<theirs::ShareAcknowledgeRequest, ours::ShareAcknowledgeRequest>(2);
}

fn check_response<Theirs, Ours>(last: i16, message: impl Fn(&mut Random, i16) -> Theirs)
where
    Theirs: Message + Encodable + Decodable + HeaderVersion,
    Ours: Message + Encodable + Decodable + HeaderVersion,
{
    assert_eq!(Theirs::VERSIONS.min, Ours::VERSIONS.min);
    assert_eq!(Ours::VERSIONS.max, last);
    let mut random = Random(31);
    for version in Theirs::VERSIONS.min..=Theirs::VERSIONS.max {
        assert_eq!(
            Theirs::header_version(version),
            Ours::header_version(version)
        );
        for _ in 0..200 {
            let mut bytes = Vec::new();
            let written = message(&mut random, version).encode(&mut bytes, version);
            written.expect("the version has what was set");
            assert_eq!(
                rewrite::<Ours>(&bytes, version).as_ref(),
                Ok(&bytes),
                "version {version}"
            );
        }
    }
}

fn topic(random: &mut Random) -> theirs::TopicName {
    let size = random.below(30);
    theirs::TopicName(random.text(size).into())
}

#[test]
fn our_responses_read_and_write_as_kafka_protocol_s() {
    use theirs::describe_log_dirs_response as dirs;
    use theirs::list_offsets_response as offsets;
    check_response::<_, ours::ListOffsetsResponse>(11, |random, version| {
        let partitions = (0..random.below(4)).map(|_| {
            let partition = offsets::ListOffsetsPartitionResponse::default()
                .with_partition_index(random.i32())
                .with_error_code(random.i32() as i16)
                .with_timestamp(random.i64())
                .with_offset(random.i64());
            let epoch = if version >= 4 { random.i32() } else { -1 };
            partition.with_leader_epoch(epoch)
        });
        let partitions = partitions.collect();
        let topic = offsets::ListOffsetsTopicResponse::default()
            .with_name(topic(random))
            .with_partitions(partitions);
        let response = theirs::ListOffsetsResponse::default().with_topics(vec![topic]);
        response.with_throttle_time_ms(random.i32())
    });
    check_response::<_, ours::DescribeLogDirsResponse>(5, |random, _| {
        let partition = dirs::DescribeLogDirsPartition::default()
            .with_partition_index(random.i32())
            .with_partition_size(random.i64())
            .with_offset_lag(random.i64())
            .with_is_future_key(random.chance(2));
        let topic = dirs::DescribeLogDirsTopic::default()
            .with_name(topic(random))
            .with_partitions(vec![partition]);
        let result = dirs::DescribeLogDirsResult::default()
            .with_error_code(random.i32() as i16)
            .with_log_dir(random.text(20).into())
            .with_topics(vec![topic])
            .with_total_bytes(random.i64())
            .with_usable_bytes(random.i64());
        theirs::DescribeLogDirsResponse::default()
            .with_throttle_time_ms(random.i32())
            .with_error_code(random.i32() as i16)
            .with_results(vec![result])
    });
}

#[test]
fn our_answer_to_share_acknowledge_reads_and_writes_as_kafka_protocol_s() {
    use theirs::share_acknowledge_response as acknowledge;
    check_response::<_, ours::ShareAcknowledgeResponse>(2, |random, _| {
        let partition = acknowledge::PartitionData::default()
            .with_partition_index(random.i32())
            .with_error_code(random.i32() as i16)
            .with_error_message(random.chance(2).then(|| random.text(20).into()));
        let topic = acknowledge::ShareAcknowledgeTopicResponse::default()
            .with_topic_id(uuid::Uuid::from_u128(random.next().into()))
            .with_partitions(vec![partition]);
        theirs::ShareAcknowledgeResponse::default()
            .with_throttle_time_ms(random.i32())
            .with_error_code(random.i32() as i16)
            .with_error_message(random.chance(2).then(|| random.text(20).into()))
            .with_responses(vec![topic])
    });
}

#[test]
fn what_a_newer_version_adds_stands_where_the_specs_say() {
    let result = ours::describe_log_dirs_response::DescribeLogDirsResult::default();
    let response =
        ours::DescribeLogDirsResponse::default().with_results(vec![result.with_is_cordoned(true)]);
    let mut bytes = Vec::new();
    response.encode(&mut bytes, 5).unwrap();
    // Throttle time, error code, one result: error, path, topics, total, usable, cordoned, tags.
    let minus_one = [0xff; 8];
    let expected = [
        &[0; 6][..],
        &[2],
        &[0, 0],
        &[1],
        &[1],
        &minus_one,
        &minus_one,
        &[1],
        &[0],
        &[0],
    ]
    .concat();
    assert_eq!(bytes, expected);
    assert_eq!(
        rewrite::<ours::DescribeLogDirsResponse>(&bytes, 5),
        Ok(bytes)
    );
    // The flag may be left out of an older version.
    let mut older = Vec::new();
    response.encode(&mut older, 4).unwrap();
    assert_eq!(older.len(), expected.len() - 1);
}

#[test]
fn a_topic_id_takes_the_place_of_the_name_from_version_ten_on() {
    let id = uuid::Uuid::from_u128(0x0102);
    let topic = ours::offset_commit_request::OffsetCommitRequestTopic::default()
        .with_name(theirs::TopicName("t".into()))
        .with_topic_id(id);
    let request = ours::OffsetCommitRequest::default().with_topics(vec![topic]);
    let read = |version| {
        let mut bytes = Vec::new();
        request.encode(&mut bytes, version).unwrap();
        let read = ours::OffsetCommitRequest::decode(&mut Bytes::from(bytes), version).unwrap();
        let topic = read.topics.into_iter().next().unwrap();
        (topic.name.0.to_string(), topic.topic_id)
    };
    assert_eq!(read(9), ("t".to_string(), uuid::Uuid::nil()));
    assert_eq!(read(10), (String::new(), id));
}

#[test]
fn what_a_version_cannot_say_is_refused() {
    let request = ours::ListOffsetsRequest::default().with_isolation_level(1);
    assert!(request.encode(&mut Vec::new(), 1).is_err());
    assert!(request.encode(&mut Vec::new(), 2).is_ok());
    assert!(request.encode(&mut Vec::new(), 12).is_err());
    assert!(ours::ListOffsetsRequest::decode(&mut Bytes::from_static(&[0; 40]), 12).is_err());
}
