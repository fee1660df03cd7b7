//! Every request that can be decoded, and bodies for them out of the schema.

use bytes::Bytes;
use kafka_protocol::protocol::{Message, Request};
use protocol::messages::*;
use protocol::schema::{self, Field, Kind, Struct};

use super::Random;

/// What a test needs of one request type.
pub(crate) struct Codec {
    pub(crate) api_key: i16,
    pub(crate) versions: std::ops::RangeInclusive<i16>,
    /// The bytes left behind the body.
    pub(crate) decode: fn(Bytes, i16) -> Result<usize, String>,
    /// Decodes, encodes, decodes: the encoded form, when both values are the same.
    pub(crate) round_trip: fn(Bytes, i16) -> Result<Vec<u8>, String>,
}

fn decode<R: Request>(mut body: Bytes, version: i16) -> Result<usize, String> {
    R::decode(&mut body, version).map_err(|error| error.to_string())?;
    Ok(body.len())
}

fn round_trip<R: Request + PartialEq>(mut body: Bytes, version: i16) -> Result<Vec<u8>, String> {
    let value = R::decode(&mut body, version).map_err(|error| error.to_string())?;
    let mut encoded = Vec::new();
    value
        .encode(&mut encoded, version)
        .map_err(|error| error.to_string())?;
    let size = value
        .compute_size(version)
        .map_err(|error| error.to_string())?;
    let again = R::decode(&mut encoded.as_slice(), version).map_err(|error| error.to_string())?;
    if !body.is_empty() {
        return Err(format!("{} bytes are left", body.len()));
    }
    if size != encoded.len() {
        return Err(format!("the size is {}, not {size}", encoded.len()));
    }
    if value == again {
        Ok(encoded)
    } else {
        Err("another value came back".into())
    }
}

macro_rules! codecs {
    ($($name:ident),* $(,)?) => {
        vec![$(Codec {
            api_key: $name::KEY,
            versions: $name::VERSIONS.min..=$name::VERSIONS.max,
            decode: decode::<$name>,
            round_trip: round_trip::<$name>,
        }),*]
    };
}

#[rustfmt::skip]
pub(crate) fn codecs() -> Vec<Codec> {
    codecs![
        AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddRaftVoterRequest,
        AllocateProducerIdsRequest, AlterClientQuotasRequest, AlterConfigsRequest,
        AlterPartitionReassignmentsRequest, AlterPartitionRequest, AlterReplicaLogDirsRequest,
        AlterShareGroupOffsetsRequest, AlterUserScramCredentialsRequest, ApiVersionsRequest,
        AssignReplicasToDirsRequest, BeginQuorumEpochRequest, BrokerHeartbeatRequest,
        BrokerRegistrationRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
        ControllerRegistrationRequest, CreateAclsRequest, CreateDelegationTokenRequest,
        CreatePartitionsRequest, CreateTopicsRequest, DeleteAclsRequest, DeleteGroupsRequest,
        DeleteRecordsRequest, DeleteShareGroupOffsetsRequest, DeleteShareGroupStateRequest,
        DeleteTopicsRequest, DescribeAclsRequest, DescribeClientQuotasRequest,
        DescribeClusterRequest, DescribeConfigsRequest, DescribeDelegationTokenRequest,
        DescribeGroupsRequest, DescribeLogDirsRequest, DescribeProducersRequest,
        DescribeQuorumRequest, DescribeShareGroupOffsetsRequest, DescribeTopicPartitionsRequest,
        DescribeTransactionsRequest, DescribeUserScramCredentialsRequest, ElectLeadersRequest,
        EndQuorumEpochRequest, EndTxnRequest, EnvelopeRequest, ExpireDelegationTokenRequest,
        FetchRequest, FetchSnapshotRequest, FindCoordinatorRequest,
        GetTelemetrySubscriptionsRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
        InitProducerIdRequest, InitializeShareGroupStateRequest, JoinGroupRequest,
        LeaveGroupRequest, ListConfigResourcesRequest, ListGroupsRequest, ListOffsetsRequest,
        ListPartitionReassignmentsRequest, ListTransactionsRequest, MetadataRequest,
        OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
        OffsetForLeaderEpochRequest, ProduceRequest, PushTelemetryRequest,
        ReadShareGroupStateRequest, ReadShareGroupStateSummaryRequest, RemoveRaftVoterRequest,
        RenewDelegationTokenRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
        ShareAcknowledgeRequest, ShareFetchRequest, ShareGroupDescribeRequest,
        ShareGroupHeartbeatRequest, SyncGroupRequest, TxnOffsetCommitRequest,
        UnregisterBrokerRequest, UpdateFeaturesRequest, UpdateRaftVoterRequest, VoteRequest,
        WriteShareGroupStateRequest, WriteTxnMarkersRequest,
    ]
}

/// A well-formed body with all that the schema permits.
pub(crate) fn random_body(random: &mut Random, api_key: i16, version: i16) -> Vec<u8> {
    let request = schema::request(api_key).expect("the key is in the schema");
    let flexible = request.is_flexible(version);
    let mut body = BodyWriter {
        random,
        version,
        flexible,
        body: Vec::new(),
    };
    body.fields(request.fields);
    body.body
}

struct BodyWriter<'a> {
    random: &'a mut Random,
    version: i16,
    flexible: bool,
    body: Vec<u8>,
}

impl BodyWriter<'_> {
    fn fields(&mut self, fields: &'static [Field]) {
        let version = self.version;
        for field in fields.iter().filter(|field| field.is_in(version)) {
            if field.tag.is_none() {
                self.value(field);
            }
        }
        if self.flexible {
            self.tagged_fields(fields);
        }
    }

    fn tagged_fields(&mut self, fields: &'static [Field]) {
        let version = self.version;
        let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in fields.iter().filter(|field| field.is_in(version)) {
            if let Some(tag) = field.tag
                && self.random.chance(2)
            {
                let outer = std::mem::take(&mut self.body);
                self.value(field);
                tagged.push((tag, std::mem::replace(&mut self.body, outer)));
            }
        }
        tagged.sort_by_key(|(tag, _)| *tag);
        if self.random.chance(8) {
            let size = self.random.below(5);
            tagged.push((1000, self.random.bytes(size)));
        }
        self.unsigned(tagged.len());
        for (tag, value) in tagged {
            self.unsigned(tag as usize);
            self.unsigned(value.len());
            self.body.extend_from_slice(&value);
        }
    }

    fn value(&mut self, field: &'static Field) {
        let null = field.is_nullable_in(self.version) && self.random.chance(3);
        if let Kind::Struct(inner) = field.kind {
            self.structure(field, inner, null);
        } else if null {
            self.null(field.kind);
        } else {
            self.plain(field.kind);
        }
    }

    fn structure(&mut self, field: &'static Field, inner: &'static Struct, null: bool) {
        if field.is_nullable_in(self.version) {
            self.body.push(if null { 0xff } else { 1 });
        }
        if !null {
            self.fields(inner.fields);
        }
    }

    fn null(&mut self, kind: Kind) {
        if self.flexible {
            self.body.push(0);
        } else {
            let size = if matches!(kind, Kind::String) { 2 } else { 4 };
            self.body.extend(std::iter::repeat_n(0xff, size));
        }
    }

    fn plain(&mut self, kind: Kind) {
        match kind {
            Kind::Bool => self.body.push(self.random.below(2) as u8),
            Kind::String => {
                let text = {
                    let size = self.random.below(12);
                    self.random.text(size)
                };
                self.length(text.len(), 2);
                self.body.extend_from_slice(text.as_bytes());
            }
            Kind::Bytes | Kind::Records => {
                let bytes = {
                    let size = self.random.below(20);
                    self.random.bytes(size)
                };
                self.length(bytes.len(), 4);
                self.body.extend_from_slice(&bytes);
            }
            Kind::Array(element) => {
                let count = self.random.below(4);
                self.length(count, 4);
                for _ in 0..count {
                    self.plain(*element);
                }
            }
            Kind::Struct(inner) => self.fields(inner.fields),
            Kind::Int8 | Kind::Int16 | Kind::Uint16 | Kind::Int32 | Kind::Int64 | Kind::Uuid => {
                let bytes = self
                    .random
                    .bytes(kind.min_size(self.version, self.flexible));
                self.body.extend_from_slice(&bytes);
            }
            // No NaN: it is not equal to itself.
            Kind::Float64 => self.body.extend_from_slice(&1.5f64.to_be_bytes()),
        }
    }

    fn length(&mut self, length: usize, size: usize) {
        if self.flexible {
            self.unsigned(length + 1);
        } else {
            let bytes = (length as u32).to_be_bytes();
            self.body.extend_from_slice(bytes.split_at(4 - size).1);
        }
    }

    fn unsigned(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.body.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.body.push(value as u8);
    }
}

/// Damages a body the way a broken or hostile client would.
pub(crate) fn mutate(random: &mut Random, body: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let at = random.below(body.len() + 1);
        match random.below(7) {
            0 => body.truncate(at),
            1 => body.insert(at, random.next() as u8),
            2 if at < body.len() => {
                body.remove(at);
            }
            3 => {
                let big = [0x7fff_ffffu32, 0xffff_ffff, 0x8000_0000, 0x00ff_ffff];
                let count = big
                    .get(random.below(4))
                    .copied()
                    .unwrap_or_default()
                    .to_be_bytes();
                let end = (at + 4).min(body.len());
                body.splice(at..end, count);
            }
            4 => {
                let end = (at + 5).min(body.len());
                body.splice(at..end, [0xff, 0xff, 0xff, 0xff, 0x0f]);
            }
            _ => {
                if let Some(byte) = body.get_mut(at) {
                    *byte = if random.chance(2) {
                        *byte ^ 1 << random.below(8)
                    } else {
                        random.next() as u8
                    };
                }
            }
        }
    }
}
