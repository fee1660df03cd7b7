use proptest::prelude::*;

use super::*;
use crate::image::SecurityProtocol;

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn ids() -> impl Strategy<Value = Vec<i32>> {
    proptest::collection::vec(any::<i32>(), 0..4)
}

fn uuids() -> impl Strategy<Value = Vec<Uuid>> {
    proptest::collection::vec(uuid(), 0..4)
}

fn recovery_state() -> impl Strategy<Value = LeaderRecoveryState> {
    prop_oneof![
        Just(LeaderRecoveryState::Recovered),
        Just(LeaderRecoveryState::Recovering)
    ]
}

fn maybe<T: std::fmt::Debug + Clone>(
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(strategy)
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    (".{0,9}", ".{0,9}", any::<u16>(), 0i16..4).prop_map(|(name, host, port, protocol)| Endpoint {
        name,
        host,
        port,
        security_protocol: SecurityProtocol::from_id(protocol).unwrap(),
    })
}

fn feature() -> impl Strategy<Value = FeatureRange> {
    (".{0,9}", any::<i16>(), any::<i16>()).prop_map(|(name, min_level, max_level)| FeatureRange {
        name,
        min_level,
        max_level,
    })
}

fn register_broker() -> impl Strategy<Value = MetadataRecord> {
    (
        (any::<i32>(), uuid(), any::<i64>()),
        proptest::collection::vec(endpoint(), 0..3),
        proptest::collection::vec(feature(), 0..3),
        (maybe(".{0,9}"), any::<bool>(), any::<bool>(), uuids()),
    )
        .prop_map(
            |((broker_id, incarnation_id, broker_epoch), endpoints, features, rest)| {
                MetadataRecord::RegisterBroker(RegisterBroker {
                    broker_id,
                    incarnation_id,
                    broker_epoch,
                    endpoints,
                    features,
                    rack: rest.0,
                    fenced: rest.1,
                    in_controlled_shutdown: rest.2,
                    log_dirs: rest.3,
                })
            },
        )
}

fn partition() -> impl Strategy<Value = MetadataRecord> {
    (
        (any::<i32>(), uuid(), ids(), uuids(), ids()),
        (ids(), ids(), maybe(any::<i32>()), recovery_state()),
        (any::<i32>(), any::<i32>(), ids(), ids()),
    )
        .prop_map(|(place, state, epochs)| {
            MetadataRecord::Partition(Partition {
                partition_id: place.0,
                topic_id: TopicId(place.1),
                replicas: place.2,
                directories: place.3,
                isr: place.4,
                removing_replicas: state.0,
                adding_replicas: state.1,
                leader: state.2,
                leader_recovery_state: state.3,
                leader_epoch: LeaderEpoch(epochs.0),
                partition_epoch: epochs.1,
                eligible_leader_replicas: epochs.2,
                last_known_elr: epochs.3,
            })
        })
}

fn partition_change() -> impl Strategy<Value = MetadataRecord> {
    (
        (
            uuid(),
            any::<i32>(),
            maybe(maybe(any::<i32>())),
            maybe(ids()),
            maybe(ids()),
        ),
        (maybe(uuids()), maybe(ids()), maybe(ids())),
        (maybe(recovery_state()), maybe(ids()), maybe(ids())),
    )
        .prop_map(|(first, second, third)| {
            MetadataRecord::PartitionChange(PartitionChange {
                topic_id: TopicId(first.0),
                partition_id: first.1,
                leader: first.2,
                isr: first.3,
                replicas: first.4,
                directories: second.0,
                removing_replicas: second.1,
                adding_replicas: second.2,
                leader_recovery_state: third.0,
                eligible_leader_replicas: third.1,
                last_known_elr: third.2,
            })
        })
}

fn resource() -> impl Strategy<Value = ConfigResource> {
    prop_oneof![
        ".{0,9}".prop_map(|name| ConfigResource::Topic(name.into())),
        maybe(any::<i32>()).prop_map(ConfigResource::Broker),
        any::<i32>().prop_map(ConfigResource::BrokerLogger),
        ".{0,9}".prop_map(|name| ConfigResource::ClientMetrics(name.into())),
        ".{0,9}".prop_map(|name| ConfigResource::Group(name.into())),
    ]
}

fn record() -> impl Strategy<Value = MetadataRecord> {
    prop_oneof![
        register_broker(),
        partition(),
        partition_change(),
        (any::<i32>(), any::<i64>()).prop_map(|(broker_id, broker_epoch)| {
            MetadataRecord::UnregisterBroker {
                broker_id,
                broker_epoch,
            }
        }),
        (
            any::<i32>(),
            any::<i64>(),
            maybe(any::<bool>()),
            maybe(any::<bool>()),
            maybe(uuids())
        )
            .prop_map(
                |(broker_id, broker_epoch, fenced, in_controlled_shutdown, log_dirs)| {
                    MetadataRecord::BrokerRegistrationChange {
                        broker_id,
                        broker_epoch,
                        fenced,
                        in_controlled_shutdown,
                        log_dirs,
                    }
                }
            ),
        (".{0,20}", uuid()).prop_map(|(name, id)| MetadataRecord::Topic {
            name: name.into(),
            topic_id: TopicId(id),
        }),
        uuid().prop_map(|id| MetadataRecord::RemoveTopic {
            topic_id: TopicId(id)
        }),
        (resource(), ".{0,20}", maybe(".{0,20}")).prop_map(|(resource, name, value)| {
            MetadataRecord::Config {
                resource,
                name,
                value,
            }
        }),
        (".{0,20}", any::<i16>())
            .prop_map(|(name, level)| MetadataRecord::FeatureLevel { name, level }),
        (any::<i32>(), any::<i64>(), any::<i64>()).prop_map(|(broker_id, broker_epoch, next)| {
            MetadataRecord::ProducerIds {
                broker_id,
                broker_epoch,
                next_producer_id: ProducerId(next),
            }
        }),
        Just(MetadataRecord::NoOp),
    ]
}

proptest! {
    #[test]
    fn a_record_survives_the_round_trip(record in record()) {
        let mut bytes = Vec::new();
        encode(&record, &mut bytes);
        prop_assert_eq!(decode(&bytes).unwrap(), record);
    }

    #[test]
    fn a_cut_batch_is_refused(
        records in proptest::collection::vec(record(), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        encode_batch(&records, &mut bytes);
        prop_assert_eq!(&decode_batch(&bytes).unwrap(), &records);
        prop_assert!(decode_batch(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = decode(&bytes);
        let _ = decode_batch(&bytes);
    }
}

#[test]
fn a_newer_format_version_is_refused_by_name() {
    let mut bytes = Vec::new();
    encode(&MetadataRecord::NoOp, &mut bytes);
    bytes[1] += 1;
    let error = decode(&bytes).unwrap_err();
    assert_eq!(
        error,
        RecordError::TooNew {
            record: "NoOp",
            version: 1,
            supported: 0
        }
    );
    assert!(error.to_string().contains("newer version"));
}

#[test]
fn an_unknown_record_type_is_refused() {
    assert_eq!(
        decode(&[250, 0]),
        Err(RecordError::UnknownType { record_type: 250 })
    );
}

#[test]
fn bytes_behind_a_record_are_refused() {
    let mut bytes = Vec::new();
    encode(&MetadataRecord::NoOp, &mut bytes);
    bytes.push(0);
    assert_eq!(decode(&bytes), Err(RecordError::TrailingBytes { count: 1 }));
}

#[test]
fn a_huge_count_allocates_nothing() {
    let bytes = [0xff, 0xff, 0xff, 0xff, 0x7f];
    assert_eq!(decode_batch(&bytes), Err(RecordError::Truncated));
}

/// Bytes written by format version 0 must open for ever.
#[test]
fn the_first_format_still_opens() {
    let record = MetadataRecord::Config {
        resource: ConfigResource::Topic("orders".into()),
        name: "retention.ms".to_owned(),
        value: Some("60000".to_owned()),
    };
    let bytes = b"\x04\x00\x02\x06orders\x0cretention.ms\x01\x0560000";
    assert_eq!(decode(bytes).unwrap(), record);
    let mut written = Vec::new();
    encode(&record, &mut written);
    assert_eq!(written, bytes);
}
