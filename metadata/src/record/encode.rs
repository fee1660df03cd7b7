//! Metadata records to bytes, always in the newest format version.

use super::codec::Writer;
use super::{MetadataRecord, Partition, PartitionChange, RegisterBroker};
use crate::config::ConfigResource;

/// Appends `record` to `out`.
pub fn encode(record: &MetadataRecord, out: &mut Vec<u8>) {
    let record_type = record.record_type();
    let mut writer = Writer(out);
    writer.u8(record_type as u8);
    writer.u8(record_type.version());
    write_fields(&mut writer, record);
}

/// Appends `count, (size, record)*` to `out`.
pub fn encode_batch(records: &[MetadataRecord], out: &mut Vec<u8>) {
    let mut one = Vec::new();
    Writer(out).unsigned(records.len() as u64);
    for record in records {
        one.clear();
        encode(record, &mut one);
        Writer(out).unsigned(one.len() as u64);
        out.extend_from_slice(&one);
    }
}

fn write_fields(writer: &mut Writer<'_>, record: &MetadataRecord) {
    match record {
        MetadataRecord::RegisterBroker(broker) => write_register_broker(writer, broker),
        MetadataRecord::UnregisterBroker {
            broker_id,
            broker_epoch,
        } => {
            writer.signed(i64::from(*broker_id));
            writer.signed(*broker_epoch);
        }
        MetadataRecord::BrokerRegistrationChange {
            broker_id,
            broker_epoch,
            fenced,
            in_controlled_shutdown,
            log_dirs,
        } => {
            writer.signed(i64::from(*broker_id));
            writer.signed(*broker_epoch);
            writer.option(fenced.as_ref(), |writer, fenced| writer.bool(*fenced));
            writer.option(in_controlled_shutdown.as_ref(), |writer, value| {
                writer.bool(*value)
            });
            writer.option(log_dirs.as_ref(), |writer, uuids| writer.uuids(uuids));
        }
        MetadataRecord::Topic { name, topic_id } => {
            writer.string(name);
            writer.uuid(&topic_id.0);
        }
        MetadataRecord::Partition(partition) => write_partition(writer, partition),
        MetadataRecord::PartitionChange(change) => write_partition_change(writer, change),
        MetadataRecord::RemoveTopic { topic_id } => writer.uuid(&topic_id.0),
        MetadataRecord::Config {
            resource,
            name,
            value,
        } => {
            write_resource(writer, resource);
            writer.string(name);
            writer.option(value.as_ref(), |writer, value| writer.string(value));
        }
        MetadataRecord::FeatureLevel { name, level } => {
            writer.string(name);
            writer.signed(i64::from(*level));
        }
        MetadataRecord::ProducerIds {
            broker_id,
            broker_epoch,
            next_producer_id,
        } => {
            writer.signed(i64::from(*broker_id));
            writer.signed(*broker_epoch);
            writer.signed(next_producer_id.0);
        }
        MetadataRecord::NoOp => {}
    }
}

fn write_register_broker(writer: &mut Writer<'_>, broker: &RegisterBroker) {
    writer.signed(i64::from(broker.broker_id));
    writer.uuid(&broker.incarnation_id);
    writer.signed(broker.broker_epoch);
    writer.list(&broker.endpoints, |writer, endpoint| {
        writer.string(&endpoint.name);
        writer.string(&endpoint.host);
        writer.unsigned(u64::from(endpoint.port));
        writer.u8(endpoint.security_protocol as u8);
    });
    writer.list(&broker.features, |writer, feature| {
        writer.string(&feature.name);
        writer.signed(i64::from(feature.min_level));
        writer.signed(i64::from(feature.max_level));
    });
    writer.option(broker.rack.as_ref(), |writer, rack| writer.string(rack));
    writer.bool(broker.fenced);
    writer.bool(broker.in_controlled_shutdown);
    writer.uuids(&broker.log_dirs);
}

fn write_partition(writer: &mut Writer<'_>, partition: &Partition) {
    writer.signed(i64::from(partition.partition_id));
    writer.uuid(&partition.topic_id.0);
    writer.ids(&partition.replicas);
    writer.uuids(&partition.directories);
    writer.ids(&partition.isr);
    writer.ids(&partition.removing_replicas);
    writer.ids(&partition.adding_replicas);
    writer.option(partition.leader.as_ref(), |writer, id| {
        writer.signed(i64::from(*id))
    });
    writer.u8(partition.leader_recovery_state as u8);
    writer.signed(i64::from(partition.leader_epoch.0));
    writer.signed(i64::from(partition.partition_epoch));
    writer.ids(&partition.eligible_leader_replicas);
    writer.ids(&partition.last_known_elr);
}

fn write_partition_change(writer: &mut Writer<'_>, change: &PartitionChange) {
    writer.uuid(&change.topic_id.0);
    writer.signed(i64::from(change.partition_id));
    writer.option(change.leader.as_ref(), |writer, leader| {
        writer.option(leader.as_ref(), |writer, id| writer.signed(i64::from(*id)));
    });
    writer.option(change.isr.as_ref(), |writer, ids| writer.ids(ids));
    writer.option(change.replicas.as_ref(), |writer, ids| writer.ids(ids));
    writer.option(change.directories.as_ref(), |writer, uuids| {
        writer.uuids(uuids)
    });
    writer.option(change.removing_replicas.as_ref(), |writer, ids| {
        writer.ids(ids)
    });
    writer.option(change.adding_replicas.as_ref(), |writer, ids| {
        writer.ids(ids)
    });
    writer.option(change.leader_recovery_state.as_ref(), |writer, state| {
        writer.u8(*state as u8)
    });
    writer.option(change.eligible_leader_replicas.as_ref(), |writer, ids| {
        writer.ids(ids)
    });
    writer.option(change.last_known_elr.as_ref(), |writer, ids| {
        writer.ids(ids)
    });
}

/// Upstream's resource types; a cluster default is a broker without an id.
pub(super) mod resource_type {
    pub(in crate::record) const TOPIC: u8 = 2;
    pub(in crate::record) const BROKER: u8 = 4;
    pub(in crate::record) const BROKER_LOGGER: u8 = 8;
    pub(in crate::record) const CLIENT_METRICS: u8 = 16;
    pub(in crate::record) const GROUP: u8 = 32;
}

fn write_resource(writer: &mut Writer<'_>, resource: &ConfigResource) {
    match resource {
        ConfigResource::Topic(name) => {
            writer.u8(resource_type::TOPIC);
            writer.string(name);
        }
        ConfigResource::Broker(id) => {
            writer.u8(resource_type::BROKER);
            writer.option(id.as_ref(), |writer, id| writer.signed(i64::from(*id)));
        }
        ConfigResource::BrokerLogger(id) => {
            writer.u8(resource_type::BROKER_LOGGER);
            writer.signed(i64::from(*id));
        }
        ConfigResource::ClientMetrics(name) => {
            writer.u8(resource_type::CLIENT_METRICS);
            writer.string(name);
        }
        ConfigResource::Group(name) => {
            writer.u8(resource_type::GROUP);
            writer.string(name);
        }
    }
}
