//! A transactional producer on a raw socket, of either kind of client, and a consumer of committed
//! records.

use std::collections::{BTreeSet, HashMap};
use std::io;

use bytes::Bytes;
use protocol::control::EndTransactionMarker;
use protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use protocol::messages::describe_transactions_response::TransactionState;
use protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest,
    FindCoordinatorRequest, GroupId, InitProducerIdRequest, OffsetFetchRequest, TransactionalId,
    TxnOffsetCommitRequest,
};
use protocol::{BatchBuilder, ErrorCode, Offset, Producer, ProducerEpoch, ProducerId, RecordBatch};

use super::requests::{Read, build, checked, fetch_request, produce_request, text, topic_name};
use super::{Client, eventually};

/// How long a transaction may last.
pub(crate) const TIMEOUT_MS: i32 = 60_000;

/// The transactions a client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Partitions are added by requests of their own, and one epoch lasts.
    V1,
    /// KIP-890: a produce adds its partitions, and the epoch is raised at every end.
    V2,
}

/// A transactional producer, as far as it knows itself.
#[derive(Clone, Debug)]
pub(crate) struct Transactional {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    sequences: HashMap<(String, i32), i32>,
}

pub(crate) fn transactional_id(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

/// Is it worth to ask again?
pub(crate) fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ConcurrentTransactions
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            | ErrorCode::NotEnoughReplicas
    )
}

impl Transactional {
    /// The producer of a transactional id, begun anew.
    pub(crate) fn begin(client: &mut Client, id: &str, kind: Kind) -> Transactional {
        Transactional::begin_with(client, id, kind, TIMEOUT_MS)
    }

    pub(crate) fn begin_with(
        client: &mut Client,
        id: &str,
        kind: Kind,
        timeout_ms: i32,
    ) -> Transactional {
        let request = FindCoordinatorRequest::default()
            .with_key(text(id))
            .with_key_type(1);
        assert_eq!(client.ask(3, request).error_code, 0);
        eventually("a producer id", || {
            let begun = Transactional::try_begin(client, id, kind, timeout_ms);
            begun.unwrap().ok()
        })
    }

    pub(crate) fn try_begin(
        client: &mut Client,
        id: &str,
        kind: Kind,
        timeout_ms: i32,
    ) -> io::Result<Result<Transactional, ErrorCode>> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(transactional_id(id)))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let version = match kind {
            Kind::V1 => 4,
            Kind::V2 => 5,
        };
        let answer = client.try_ask(version, request)?;
        Ok(checked(answer.error_code).map(|()| Transactional {
            id: id.to_owned(),
            kind,
            producer_id: answer.producer_id.0,
            epoch: answer.producer_epoch,
            sequences: HashMap::new(),
        }))
    }

    pub(crate) fn add(&self, client: &mut Client, topic: &str, partition: i32) {
        eventually("the partition in the transaction", || {
            match self.try_add(client, topic, partition).unwrap() {
                Ok(()) => Some(()),
                Err(code) if is_passing(code) => None,
                Err(code) => panic!("{topic}-{partition} was not added: {code:?}"),
            }
        });
    }

    pub(crate) fn try_add(
        &self,
        client: &mut Client,
        topic: &str,
        partition: i32,
    ) -> io::Result<Result<(), ErrorCode>> {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id(&self.id))
            .with_v3_and_below_producer_id(self.producer_id.into())
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![topic]);
        let answer = client.try_ask(3, request)?;
        let topic = &answer.results_by_topic_v3_and_below[0];
        let code = topic.results_by_partition[0].partition_error_code;
        Ok(checked(code))
    }

    /// Writes in the transaction, as a client of this kind does.
    pub(crate) fn write(
        &mut self,
        client: &mut Client,
        topic: &str,
        partition: i32,
        values: &[impl AsRef<[u8]>],
    ) -> i64 {
        if self.kind == Kind::V1 {
            self.add(client, topic, partition);
        }
        eventually("the records in the transaction", || {
            match self.try_write(client, topic, partition, values).unwrap() {
                Ok(offset) => Some(offset),
                Err(code) if is_passing(code) => None,
                Err(code) => panic!("{topic}-{partition} takes no records: {code:?}"),
            }
        })
    }

    /// Sends records without adding their partition first.
    pub(crate) fn try_write(
        &mut self,
        client: &mut Client,
        topic: &str,
        partition: i32,
        values: &[impl AsRef<[u8]>],
    ) -> io::Result<Result<i64, ErrorCode>> {
        let version = match self.kind {
            Kind::V1 => 11,
            Kind::V2 => 12,
        };
        self.try_write_at(client, version, topic, partition, values)
    }

    pub(crate) fn try_write_at(
        &mut self,
        client: &mut Client,
        version: i16,
        topic: &str,
        partition: i32,
        values: &[impl AsRef<[u8]>],
    ) -> io::Result<Result<i64, ErrorCode>> {
        let records = self.records(topic, partition, values);
        let request = produce_request(topic, partition, -1, Some(records))
            .with_transactional_id(Some(transactional_id(&self.id)));
        let response = client.try_ask(version, request)?;
        let answer = &response.responses[0].partition_responses[0];
        let written = checked(answer.error_code).map(|()| answer.base_offset);
        if written.is_ok() {
            let sequence = self.sequences.entry((topic.to_owned(), partition));
            *sequence.or_default() += i32::try_from(values.len()).unwrap();
        }
        Ok(written)
    }

    fn records(&self, topic: &str, partition: i32, values: &[impl AsRef<[u8]>]) -> Bytes {
        let key = (topic.to_owned(), partition);
        let producer = Producer {
            id: ProducerId(self.producer_id),
            epoch: ProducerEpoch(self.epoch),
            base_sequence: self.sequences.get(&key).copied().unwrap_or(0),
        };
        let batch = BatchBuilder::new(Offset::ZERO).transactional();
        build(batch.producer(producer), values)
    }

    /// Commits offsets with the transaction, as a client of this kind does.
    pub(crate) fn commit_offset(&self, client: &mut Client, group: &str, topic: &str, offset: i64) {
        if self.kind == Kind::V1 {
            eventually("the group in the transaction", || {
                match self.try_add_group(client, group).unwrap() {
                    Ok(()) => Some(()),
                    Err(code) if is_passing(code) => None,
                    Err(code) => panic!("the group was not added: {code:?}"),
                }
            });
        }
        eventually("the offset in the transaction", || {
            let committed = self.try_commit_offset(client, group, topic, offset);
            match committed.unwrap() {
                Ok(()) => Some(()),
                Err(code) if is_passing(code) => None,
                Err(code) => panic!("the offset was not taken: {code:?}"),
            }
        });
    }

    pub(crate) fn try_add_group(
        &self,
        client: &mut Client,
        group: &str,
    ) -> io::Result<Result<(), ErrorCode>> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(transactional_id(&self.id))
            .with_producer_id(self.producer_id.into())
            .with_producer_epoch(self.epoch)
            .with_group_id(GroupId(text(group)));
        let answer = client.try_ask(3, request)?;
        Ok(checked(answer.error_code))
    }

    pub(crate) fn try_commit_offset(
        &self,
        client: &mut Client,
        group: &str,
        topic: &str,
        offset: i64,
    ) -> io::Result<Result<(), ErrorCode>> {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("")));
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(transactional_id(&self.id))
            .with_group_id(GroupId(text(group)))
            .with_producer_id(self.producer_id.into())
            .with_producer_epoch(self.epoch)
            .with_generation_id(-1)
            .with_topics(vec![topic]);
        let version = match self.kind {
            Kind::V1 => 3,
            Kind::V2 => 5,
        };
        let answer = client.try_ask(version, request)?;
        Ok(checked(answer.topics[0].partitions[0].error_code))
    }

    pub(crate) fn end(&mut self, client: &mut Client, committed: bool) {
        eventually("the end of the transaction", || {
            match self.try_end(client, committed).unwrap() {
                Ok(()) => Some(()),
                Err(code) if is_passing(code) => None,
                Err(code) => panic!("the transaction was not ended: {code:?}"),
            }
        });
    }

    pub(crate) fn try_end(
        &mut self,
        client: &mut Client,
        committed: bool,
    ) -> io::Result<Result<(), ErrorCode>> {
        let request = EndTxnRequest::default()
            .with_transactional_id(transactional_id(&self.id))
            .with_producer_id(self.producer_id.into())
            .with_producer_epoch(self.epoch)
            .with_committed(committed);
        let version = match self.kind {
            Kind::V1 => 4,
            Kind::V2 => 5,
        };
        let answer = client.try_ask(version, request)?;
        if let Err(code) = checked(answer.error_code) {
            return Ok(Err(code));
        }
        if self.kind == Kind::V2 {
            let next = (answer.producer_id.0, answer.producer_epoch);
            assert!(
                next.0 != self.producer_id || next.1 == self.epoch + 1,
                "{next:?} after {self:?}"
            );
            (self.producer_id, self.epoch) = next;
            self.sequences.clear();
        }
        Ok(Ok(()))
    }
}

/// What a consumer of committed records has of a partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) records: Vec<Read>,
    pub(crate) last_stable_offset: i64,
    pub(crate) high_watermark: i64,
}

impl Committed {
    pub(crate) fn values(&self) -> Vec<String> {
        let values = self.records.iter();
        values
            .map(|(_, value)| String::from_utf8(value.clone()).unwrap())
            .collect()
    }

    /// No transaction is open.
    pub(crate) fn is_settled(&self) -> bool {
        self.last_stable_offset == self.high_watermark
    }
}

impl Client {
    /// Reads a partition as a consumer of committed records does.
    pub(crate) fn read_committed(&mut self, topic: &str, partition: i32) -> Committed {
        let mut offset = 0;
        let mut records = Vec::new();
        loop {
            let request = fetch_request(topic, partition, offset, 0).with_isolation_level(1);
            let response = self.ask(12, request);
            let data = &response.responses[0].partitions[0];
            assert_eq!((response.error_code, data.error_code), (0, 0));
            let mut bytes = data.records.clone().expect("records are empty, never null");
            if bytes.is_empty() {
                return Committed {
                    records,
                    last_stable_offset: data.last_stable_offset,
                    high_watermark: data.high_watermark,
                };
            }
            let aborted = data.aborted_transactions.iter().flatten();
            let mut aborted: Vec<(i64, i64)> = aborted
                .map(|it| (it.first_offset, it.producer_id.0))
                .collect();
            aborted.sort_unstable();
            aborted.reverse();
            let mut out = BTreeSet::new();
            while let Ok(Some(batch)) = RecordBatch::split_first(&mut bytes) {
                let header = batch.header();
                let next = header.next_offset().0;
                while aborted.last().is_some_and(|(first, _)| *first < next) {
                    out.extend(aborted.pop().map(|(_, producer)| producer));
                }
                let producer = header.producer.map(|producer| producer.id.0);
                for record in batch.records().unwrap() {
                    let record = record.unwrap();
                    if header.attributes.is_control() {
                        let marker = EndTransactionMarker::read(&record).unwrap().unwrap();
                        if !marker.committed {
                            out.remove(&producer.unwrap());
                        }
                    } else if !producer.is_some_and(|producer| {
                        header.attributes.is_transactional() && out.contains(&producer)
                    }) && record.offset.0 >= offset
                    {
                        records.push((record.offset.0, record.value.unwrap_or_default().to_vec()));
                    }
                }
                offset = next;
            }
        }
    }

    /// Waits until no transaction is open in a partition; what is committed there then.
    pub(crate) fn settled(&mut self, topic: &str, partition: i32) -> Vec<String> {
        eventually("the last stable offset at the high watermark", || {
            let seen = self.read_committed(topic, partition);
            seen.is_settled().then(|| seen.values())
        })
    }

    pub(crate) fn describe_transaction(&mut self, id: &str) -> TransactionState {
        let request = DescribeTransactionsRequest::default()
            .with_transactional_ids(vec![transactional_id(id)]);
        self.ask(0, request).transaction_states.remove(0)
    }

    /// The committed offset that no open transaction can change any more.
    pub(crate) fn stable_offset(&mut self, group: &str, topic: &str) -> Result<i64, ErrorCode> {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(vec![0]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(group)))
            .with_member_epoch(-1)
            .with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default()
            .with_groups(vec![group])
            .with_require_stable(true);
        let response = self.ask(8, request);
        let group = &response.groups[0];
        checked(group.error_code)?;
        let partition = &group.topics[0].partitions[0];
        checked(partition.error_code).map(|()| partition.committed_offset)
    }
}
