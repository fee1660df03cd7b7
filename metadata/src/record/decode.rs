//! Bytes to metadata records, for every format version ever written.

use protocol::{LeaderEpoch, ProducerId, TopicId};

use super::codec::Reader;
use super::encode::resource_type;
use super::{MetadataRecord, Partition, PartitionChange, RecordError, RecordType, RegisterBroker};
use crate::config::ConfigResource;
use crate::image::{Endpoint, FeatureRange, LeaderRecoveryState, SecurityProtocol};

/// Reads one record that fills `bytes`.
pub fn decode(bytes: &[u8]) -> Result<MetadataRecord, RecordError> {
    let mut reader = Reader(bytes);
    let record_type = RecordType::parse(reader.u8()?)?;
    let version = reader.u8()?;
    if version > record_type.version() {
        return Err(RecordError::TooNew {
            record: record_type.name(),
            version,
            supported: record_type.version(),
        });
    }
    let record = read_fields(&mut reader, record_type)?;
    reader.end()?;
    Ok(record)
}

/// Reads what [`super::encode_batch`] wrote, which fills `bytes`.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<MetadataRecord>, RecordError> {
    let mut reader = Reader(bytes);
    let records = reader.list(|reader| decode(reader.bytes()?))?;
    reader.end()?;
    Ok(records)
}

fn read_fields(
    reader: &mut Reader<'_>,
    record_type: RecordType,
) -> Result<MetadataRecord, RecordError> {
    Ok(match record_type {
        RecordType::RegisterBroker => MetadataRecord::RegisterBroker(read_register_broker(reader)?),
        RecordType::UnregisterBroker => MetadataRecord::UnregisterBroker {
            broker_id: reader.i32()?,
            broker_epoch: reader.signed()?,
        },
        RecordType::BrokerRegistrationChange => MetadataRecord::BrokerRegistrationChange {
            broker_id: reader.i32()?,
            broker_epoch: reader.signed()?,
            fenced: reader.option(Reader::bool)?,
            in_controlled_shutdown: reader.option(Reader::bool)?,
            log_dirs: reader.option(Reader::uuids)?,
        },
        RecordType::Topic => MetadataRecord::Topic {
            name: reader.shared_str()?,
            topic_id: read_topic_id(reader)?,
        },
        RecordType::Partition => MetadataRecord::Partition(read_partition(reader)?),
        RecordType::PartitionChange => {
            MetadataRecord::PartitionChange(read_partition_change(reader)?)
        }
        RecordType::RemoveTopic => MetadataRecord::RemoveTopic {
            topic_id: read_topic_id(reader)?,
        },
        RecordType::Config => MetadataRecord::Config {
            resource: read_resource(reader)?,
            name: reader.string()?,
            value: reader.option(Reader::string)?,
        },
        RecordType::FeatureLevel => MetadataRecord::FeatureLevel {
            name: reader.string()?,
            level: reader.i16()?,
        },
        RecordType::ProducerIds => MetadataRecord::ProducerIds {
            broker_id: reader.i32()?,
            broker_epoch: reader.signed()?,
            next_producer_id: ProducerId(reader.signed()?),
        },
        RecordType::NoOp => MetadataRecord::NoOp,
    })
}

fn read_topic_id(reader: &mut Reader<'_>) -> Result<TopicId, RecordError> {
    reader.uuid().map(TopicId)
}

fn read_register_broker(reader: &mut Reader<'_>) -> Result<RegisterBroker, RecordError> {
    Ok(RegisterBroker {
        broker_id: reader.i32()?,
        incarnation_id: reader.uuid()?,
        broker_epoch: reader.signed()?,
        endpoints: reader.list(read_endpoint)?,
        features: reader.list(|reader| {
            Ok(FeatureRange {
                name: reader.string()?,
                min_level: reader.i16()?,
                max_level: reader.i16()?,
            })
        })?,
        rack: reader.option(Reader::string)?,
        fenced: reader.bool()?,
        in_controlled_shutdown: reader.bool()?,
        log_dirs: reader.uuids()?,
    })
}

fn read_endpoint(reader: &mut Reader<'_>) -> Result<Endpoint, RecordError> {
    let name = reader.string()?;
    let host = reader.string()?;
    let port = reader.unsigned()?;
    let port = u16::try_from(port).map_err(|_| RecordError::Malformed {
        what: "port",
        value: port as i64,
    })?;
    let id = reader.u8()?;
    let security_protocol =
        SecurityProtocol::from_id(i16::from(id)).ok_or(RecordError::Malformed {
            what: "security protocol",
            value: i64::from(id),
        })?;
    Ok(Endpoint {
        name,
        host,
        port,
        security_protocol,
    })
}

fn read_recovery_state(reader: &mut Reader<'_>) -> Result<LeaderRecoveryState, RecordError> {
    match reader.u8()? {
        0 => Ok(LeaderRecoveryState::Recovered),
        1 => Ok(LeaderRecoveryState::Recovering),
        other => Err(RecordError::Malformed {
            what: "leader recovery state",
            value: i64::from(other),
        }),
    }
}

fn read_partition(reader: &mut Reader<'_>) -> Result<Partition, RecordError> {
    Ok(Partition {
        partition_id: reader.i32()?,
        topic_id: read_topic_id(reader)?,
        replicas: reader.ids()?,
        directories: reader.uuids()?,
        isr: reader.ids()?,
        removing_replicas: reader.ids()?,
        adding_replicas: reader.ids()?,
        leader: reader.option(Reader::i32)?,
        leader_recovery_state: read_recovery_state(reader)?,
        leader_epoch: LeaderEpoch(reader.i32()?),
        partition_epoch: reader.i32()?,
        eligible_leader_replicas: reader.ids()?,
        last_known_elr: reader.ids()?,
    })
}

fn read_partition_change(reader: &mut Reader<'_>) -> Result<PartitionChange, RecordError> {
    Ok(PartitionChange {
        topic_id: read_topic_id(reader)?,
        partition_id: reader.i32()?,
        leader: reader.option(|reader| reader.option(Reader::i32))?,
        isr: reader.option(Reader::ids)?,
        replicas: reader.option(Reader::ids)?,
        directories: reader.option(Reader::uuids)?,
        removing_replicas: reader.option(Reader::ids)?,
        adding_replicas: reader.option(Reader::ids)?,
        leader_recovery_state: reader.option(read_recovery_state)?,
        eligible_leader_replicas: reader.option(Reader::ids)?,
        last_known_elr: reader.option(Reader::ids)?,
    })
}

fn read_resource(reader: &mut Reader<'_>) -> Result<ConfigResource, RecordError> {
    Ok(match reader.u8()? {
        resource_type::TOPIC => ConfigResource::Topic(reader.shared_str()?),
        resource_type::BROKER => ConfigResource::Broker(reader.option(Reader::i32)?),
        resource_type::BROKER_LOGGER => ConfigResource::BrokerLogger(reader.i32()?),
        resource_type::CLIENT_METRICS => ConfigResource::ClientMetrics(reader.shared_str()?),
        resource_type::GROUP => ConfigResource::Group(reader.shared_str()?),
        other => {
            return Err(RecordError::Malformed {
                what: "resource type",
                value: i64::from(other),
            });
        }
    })
}
