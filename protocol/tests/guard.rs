//! The guard against frames that kafka-protocol would die of, and against those it must let pass.

mod support;

use bytes::Bytes;
use kafka_protocol::protocol::Request;
use protocol::messages::*;
use protocol::{
    ProtocolError, StrBytes, admit_request, check_request, decode_request_header, schema,
};
use support::Random;
use support::requests::{codecs, random_body};

fn check(api_key: ApiKey, version: i16, body: &[u8]) -> Result<(), ProtocolError> {
    check_request(api_key as i16, version, body)
}

fn check_encoded<R: Request>(version: i16, request: &R) -> Result<(), ProtocolError> {
    let mut body = Vec::new();
    request
        .encode(&mut body, version)
        .expect("the request has the version");
    check_request(R::KEY, version, &body)
}

/// Each of these made kafka-protocol 0.18 ask for more memory than there is.
#[test]
fn a_few_bytes_cannot_ask_for_gigabytes() {
    let hostile: &[(ApiKey, i16, &[u8])] = &[
        (ApiKey::Metadata, 0, &[0x7f, 0xff, 0xff, 0xff]),
        (ApiKey::Metadata, 0, &[0x03, 0x3c, 0x0c, 0x00, 0xb6]),
        (ApiKey::Metadata, 12, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        (ApiKey::AlterUserScramCredentials, 0, &[0xff, 0xff, 0x7f]),
        (
            ApiKey::AlterUserScramCredentials,
            0,
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        (ApiKey::CreateAcls, 2, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        (ApiKey::DeleteAcls, 3, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        (
            ApiKey::Produce,
            9,
            &[0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        (
            ApiKey::Fetch,
            4,
            &[
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff,
            ],
        ),
        (
            ApiKey::OffsetCommit,
            10,
            &[1, 0, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        (
            ApiKey::TxnOffsetCommit,
            3,
            &[
                1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f,
            ],
        ),
    ];
    for (api_key, version, body) in hostile {
        let result = check(*api_key, *version, body);
        assert!(
            matches!(result, Err(ProtocolError::Count { .. })),
            "{api_key:?} {version}: {result:?}"
        );
    }
}

#[test]
fn the_schema_covers_every_version_that_can_be_decoded() {
    let mut longer = Vec::new();
    for codec in codecs() {
        let request = schema::request(codec.api_key).expect("the schema has the key");
        let (first, last) = request.versions;
        assert_eq!(first, *codec.versions.start(), "{}", request.name);
        assert!(last >= *codec.versions.end(), "{}", request.name);
        if last > *codec.versions.end() {
            longer.push((request.name, last));
        }
        let key = ApiKey::try_from(codec.api_key).expect("kafka-protocol has the key");
        for version in codec.versions {
            let flexible = key.request_header_version(version) >= 2;
            assert_eq!(
                request.is_flexible(version),
                flexible,
                "{} {version}",
                request.name
            );
        }
    }
    // What 4.3.1 has and kafka-protocol lacks, until an issue needs it. What is advertised today
    // is ours.
    longer.sort();
    let expected = [
        ("AddRaftVoter", 1),
        ("BrokerHeartbeat", 2),
        ("InitProducerId", 6),
    ];
    assert_eq!(longer, expected);
    let decodable: Vec<i16> = codecs().iter().map(|codec| codec.api_key).collect();
    let others = schema::REQUESTS
        .iter()
        .filter(|request| !decodable.contains(&request.api_key));
    let others: Vec<_> = others.map(|request| request.name).collect();
    assert_eq!(others, ["StreamsGroupHeartbeat", "StreamsGroupDescribe"]);
}

#[test]
fn the_schema_is_sorted_by_key() {
    assert!(schema::REQUESTS.is_sorted_by(|one, next| one.api_key < next.api_key));
}

#[test]
fn every_request_that_kafka_protocol_writes_passes() {
    let mut random = Random(2);
    for codec in codecs() {
        for version in codec.versions.clone() {
            for _ in 0..100 {
                let body = random_body(&mut random, codec.api_key, version);
                let name = || format!("{} v{version}: {body:02x?}", codec.api_key);
                assert_eq!(
                    check_request(codec.api_key, version, &body),
                    Ok(()),
                    "{}",
                    name()
                );
                let encoded = (codec.round_trip)(Bytes::from(body.clone()), version);
                let encoded = encoded.unwrap_or_else(|error| panic!("{}: {error}", name()));
                assert_eq!(
                    check_request(codec.api_key, version, &encoded),
                    Ok(()),
                    "{}",
                    name()
                );
            }
        }
    }
}

#[test]
fn every_cut_of_a_body_is_refused() {
    let mut random = Random(3);
    for codec in codecs() {
        for version in codec.versions.clone() {
            let body = random_body(&mut random, codec.api_key, version);
            for end in 0..body.len() {
                let (cut, _) = body.split_at(end);
                let result = check_request(codec.api_key, version, cut);
                assert!(
                    result.is_err(),
                    "{} v{version} cut at {end}: {body:02x?}",
                    codec.api_key
                );
            }
        }
    }
}

#[test]
fn a_hundred_thousand_partitions_pass() {
    let indexes = 0..100_000i32;
    let partitions = indexes
        .clone()
        .map(|index| fetch_request::FetchPartition::default().with_partition(index));
    let topic = fetch_request::FetchTopic::default().with_partitions(partitions.collect());
    let fetch = FetchRequest::default().with_topics(vec![topic]);
    assert_eq!(check_encoded(17, &fetch), Ok(()));

    let names = indexes.clone().map(|index| {
        metadata_request::MetadataRequestTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(format!("t{index}")))))
    });
    let metadata = MetadataRequest::default().with_topics(Some(names.collect()));
    for version in [1, 8, 12] {
        assert_eq!(check_encoded(version, &metadata), Ok(()));
    }

    let partitions = indexes.clone().map(|index| {
        list_offsets_request::ListOffsetsPartition::default().with_partition_index(index)
    });
    let topic = list_offsets_request::ListOffsetsTopic::default();
    let topic = topic.with_partitions(partitions.collect());
    let list_offsets = ListOffsetsRequest::default().with_topics(vec![topic]);
    for version in [1, 11] {
        assert_eq!(check_encoded(version, &list_offsets), Ok(()));
    }

    let topic = offset_fetch_request::OffsetFetchRequestTopics::default()
        .with_partition_indexes(indexes.clone().collect());
    let group = offset_fetch_request::OffsetFetchRequestGroup::default();
    let group = group.with_topics(Some(vec![topic]));
    assert_eq!(
        check_encoded(9, &OffsetFetchRequest::default().with_groups(vec![group])),
        Ok(())
    );

    let partitions = indexes.map(|index| {
        produce_request::PartitionProduceData::default()
            .with_index(index)
            .with_records(Some(Bytes::from_static(&[0; 70])))
    });
    let topic = produce_request::TopicProduceData::default();
    let topic = topic.with_partition_data(partitions.collect());
    assert_eq!(
        check_encoded(9, &ProduceRequest::default().with_topic_data(vec![topic])),
        Ok(())
    );
}

#[test]
fn small_elements_cannot_unpack_into_large_ones_without_end() {
    // Five million empty topic names in ten megabytes: 72 bytes of memory for every two.
    let count = 5_000_000u32;
    let mut body = count.to_be_bytes().to_vec();
    body.resize(4 + 2 * count as usize, 0);
    let result = check(ApiKey::Metadata, 1, &body);
    assert!(
        matches!(result, Err(ProtocolError::TooLarge { .. })),
        "{result:?}"
    );

    // A million unknown tagged fields of no length.
    let mut body = vec![0, 0, 1, 0xc0, 0x84, 0x3d];
    for tag in 0..1_000_000u32 {
        body.extend([
            (tag & 0x7f) as u8 | 0x80,
            (tag >> 7 & 0x7f) as u8 | 0x80,
            (tag >> 14) as u8,
            0,
        ]);
    }
    let result = check(ApiKey::Metadata, 12, &body);
    assert!(
        matches!(result, Err(ProtocolError::TooLarge { .. })),
        "{result:?}"
    );
}

#[test]
fn what_stands_behind_the_body_is_ignored_as_upstream_ignores_it() {
    assert_eq!(check(ApiKey::Metadata, 0, &[0, 0, 0, 0, 1, 2, 3]), Ok(()));
}

#[test]
fn tagged_fields_may_come_in_any_order_and_twice_as_upstream_takes_them() {
    // Metadata v12: no topics, two flags; tags 7, 5, 5.
    let body = [1, 0, 0, 3, 7, 1, 0xaa, 5, 0, 5, 2, 1, 2];
    assert_eq!(check(ApiKey::Metadata, 12, &body), Ok(()));
}

#[test]
fn what_must_not_be_null_is_refused_when_it_is() {
    // Metadata v0 could not ask for all topics with null.
    let null = Err(ProtocolError::Null { field: "Topics" });
    assert_eq!(check(ApiKey::Metadata, 0, &[0xff; 4]), null);
    // Version 1 can, but not name no topic.
    assert_eq!(check(ApiKey::Metadata, 1, &[0xff; 4]), Ok(()));
    let null = Err(ProtocolError::Null { field: "Name" });
    assert_eq!(check(ApiKey::Metadata, 1, &[0, 0, 0, 1, 0xff, 0xff]), null);
}

#[test]
fn lengths_below_null_and_names_that_are_not_utf_8_are_refused() {
    let negative = Err(ProtocolError::NegativeLength { field: "Topics" });
    assert_eq!(
        check(ApiKey::Metadata, 1, &[0xff, 0xff, 0xff, 0xfe]),
        negative
    );
    let not_utf8 = Err(ProtocolError::NotUtf8 { field: "Name" });
    assert_eq!(
        check(ApiKey::Metadata, 1, &[0, 0, 0, 1, 0, 1, 0xff]),
        not_utf8
    );
    let too_long = Err(ProtocolError::NumberTooLong { field: "Topics" });
    assert_eq!(check(ApiKey::Metadata, 12, &[0xff; 6]), too_long);
}

#[test]
fn keys_and_versions_that_do_not_exist_are_refused() {
    assert_eq!(
        check_request(999, 0, &[]),
        Err(ProtocolError::UnknownApiKey(999))
    );
    let unsupported = |version| ProtocolError::UnsupportedVersion {
        api_key: 3,
        api_version: version,
    };
    assert_eq!(check_request(3, 14, &[]), Err(unsupported(14)));
    assert_eq!(check_request(3, -1, &[]), Err(unsupported(-1)));
}

fn admit(api_key: ApiKey, version: i16, body: &'static [u8]) -> Result<Bytes, ProtocolError> {
    admit_request(api_key as i16, version, Bytes::from_static(body))
}

/// Seen by sending each of these to 4.3.1.
#[test]
fn what_upstream_reads_is_admitted_in_a_form_that_can_be_decoded() {
    let unchanged = Bytes::from_static(&[0, 0, 0, 1, 0, 1, b'a']);
    assert_eq!(
        admit(ApiKey::Metadata, 1, &[0, 0, 0, 1, 0, 1, b'a']),
        Ok(unchanged)
    );
    // A topic name that is not UTF-8, and one behind it that is.
    let body = &[0, 0, 0, 2, 0, 3, b'a', 0xff, b'z', 0, 1, b'b', 1];
    let admitted = admit(ApiKey::Metadata, 4, body).unwrap();
    let expected = [
        &[0, 0, 0, 2, 0, 5, b'a'][..],
        "\u{fffd}".as_bytes(),
        b"z\0\x01b\x01",
    ]
    .concat();
    assert_eq!(admitted, expected);
    // The same with compact lengths.
    let admitted = admit(ApiKey::Metadata, 9, &[2, 2, 0xff, 0, 1, 0, 0, 0]).unwrap();
    assert_eq!(
        admitted,
        [&[2, 4][..], "\u{fffd}".as_bytes(), &[0, 1, 0, 0, 0]].concat()
    );
    // A count of -2 where null is allowed.
    let admitted = admit(ApiKey::Metadata, 1, &[0xff, 0xff, 0xff, 0xfe]);
    assert_eq!(admitted, Ok(Bytes::from_static(&[0xff; 4])));
    // A cursor announced by 2 instead of 1.
    let cursor = |present| vec![1, 0, 0, 0, 10, present, 2, b'a', 0, 0, 0, 0, 0, 0];
    let body = Bytes::from(cursor(2));
    let admitted = admit_request(ApiKey::DescribeTopicPartitions as i16, 0, body);
    assert_eq!(admitted, Ok(Bytes::from(cursor(1))));
}

#[test]
fn what_upstream_refuses_is_not_admitted() {
    let null = Err(ProtocolError::Null { field: "Name" });
    assert_eq!(admit(ApiKey::Metadata, 1, &[0, 0, 0, 1, 0xff, 0xff]), null);
    let negative = Err(ProtocolError::Null { field: "Topics" });
    assert_eq!(
        admit(ApiKey::Metadata, 0, &[0xff, 0xff, 0xff, 0xfe]),
        negative
    );
    let count = admit(ApiKey::Metadata, 0, &[0x7f, 0xff, 0xff, 0xff]);
    assert!(matches!(count, Err(ProtocolError::Count { .. })));
    // Topic names of 32767 and 32768 bytes.
    for (length, prefix) in [(0x7fff, [0x80, 0x80, 0x02]), (0x8000, [0x81, 0x80, 0x02])] {
        let mut body = vec![2];
        body.extend(prefix);
        body.extend(std::iter::repeat_n(b'a', length));
        body.extend([0, 0, 0, 0, 0]);
        let result = admit_request(ApiKey::Metadata as i16, 9, Bytes::from(body));
        assert_eq!(result.is_ok(), length == 0x7fff, "{result:?}");
    }
}

#[test]
fn what_is_admitted_is_decodable() {
    let mut random = Random(5);
    let mut edited = 0;
    for codec in codecs() {
        for version in codec.versions.clone() {
            for _ in 0..300 {
                let mut body = random_body(&mut random, codec.api_key, version);
                support::requests::mutate(&mut random, &mut body);
                let body = Bytes::from(body);
                let Ok(admitted) = admit_request(codec.api_key, version, body.clone()) else {
                    continue;
                };
                assert_eq!(check_request(codec.api_key, version, &admitted), Ok(()));
                edited += usize::from(admitted != body);
            }
        }
    }
    assert!(edited > 100, "{edited}");
}

#[test]
fn no_header_panics_and_what_is_read_is_the_rest() {
    let mut random = Random(6);
    let mut read = 0;
    for _ in 0..300_000 {
        let size = random.below(40);
        let mut frame = random.bytes(size);
        // A key and a version that exist, more often than chance would have it.
        if let Some(front) = frame.first_chunk_mut::<4>() {
            *front = [0, random.below(95) as u8, 0, random.below(14) as u8];
        }
        if let Some(client_id_length) = frame.get_mut(8..10) {
            client_id_length.copy_from_slice(&[0, random.below(12) as u8]);
        }
        let frame = Bytes::from(frame);
        if let Ok(header) = decode_request_header(frame.clone()) {
            assert!(frame.ends_with(&header.body));
            read += 1;
        }
    }
    assert!(read > 10_000, "{read}");
}
