//! Prints the records of fetched batches, and knows how far it came.
//!
//! Invariant: a position is the offset behind the last record that was printed, or passed over because
//! nobody is to see it.

use std::collections::{BTreeSet, VecDeque};
use std::io::Write;

use bytes::Bytes;
use protocol::{RecordBatch, TopicPartition};

use super::formatter::{Consumed, Formatter};
use super::offsets::Positions;
use crate::console::log;
use crate::failure::Failure;

use super::LOGGER;

/// How printing went.
pub(super) enum Printed {
    All,
    /// As many records as are wanted.
    Enough,
    /// Nobody reads standard output any more.
    Unread,
    Failed(Failure),
}

#[derive(Debug)]
pub(super) struct Printer<W> {
    pub(super) formatter: Formatter,
    pub(super) skips_errors: bool,
    pub(super) checks_crcs: bool,
    pub(super) max_messages: Option<u64>,
    pub(super) count: u64,
    pub(super) positions: Positions,
    pub(super) output: W,
    pub(super) buffer: Vec<u8>,
}

/// When so much waits to be written, it is.
const BUFFER_BYTES: usize = 64 * 1024;

impl<W: Write> Printer<W> {
    pub(super) fn has_enough(&self) -> bool {
        self.max_messages.is_some_and(|max| self.count >= max)
    }

    /// Prints what was fetched of a partition from an offset on.
    pub(super) fn print(
        &mut self,
        partition: &TopicPartition,
        from: i64,
        mut records: Bytes,
        aborted: Vec<(i64, i64)>,
    ) -> Printed {
        let mut transactions = Transactions::new(aborted);
        self.positions.entry(partition.clone()).or_insert(from);
        while let Ok(Some(batch)) = RecordBatch::split_first(&mut records) {
            let header = batch.header();
            if header.last_offset().0 < from {
                continue;
            }
            if !transactions.shows(&batch) {
                self.positions
                    .insert(partition.clone(), header.next_offset().0);
                continue;
            }
            match self.print_batch(partition, from, &batch) {
                Printed::All => {}
                ended @ (Printed::Enough | Printed::Unread | Printed::Failed(_)) => {
                    let written = self.flush();
                    return if written { ended } else { Printed::Unread };
                }
            }
            self.positions
                .insert(partition.clone(), batch.header().next_offset().0);
        }
        if self.buffer.len() >= BUFFER_BYTES && !self.flush() {
            return Printed::Unread;
        }
        Printed::All
    }

    fn print_batch(
        &mut self,
        partition: &TopicPartition,
        from: i64,
        batch: &RecordBatch,
    ) -> Printed {
        let corrupt = |error: protocol::BatchError| {
            let offset = batch.header().base_offset.0;
            Printed::Failed(Failure::new(
                "org.apache.kafka.common.KafkaException",
                format!(
                    "Received exception when fetching the next record from {partition}. If needed, \
                     please seek past the record to continue consumption. The batch at offset {offset} \
                     is corrupt: {error}"
                ),
            ))
        };
        if self.checks_crcs
            && let Err(error) = batch.verify_crc()
        {
            return corrupt(error);
        }
        let records = match batch.records() {
            Ok(records) => records,
            Err(error) => return corrupt(error),
        };
        let timestamp_type = batch.header().attributes.timestamp_type();
        for record in records {
            let record = match record {
                Ok(record) => record,
                Err(error) => return corrupt(error),
            };
            if record.offset.0 < from {
                continue;
            }
            self.count += 1;
            let consumed = Consumed {
                partition: partition.partition,
                timestamp_type,
                record: &record,
                delivery: None,
            };
            let position = record.offset.0 + 1;
            let formatted = self.formatter.write(&consumed, &mut self.buffer);
            if let Some(known) = self.positions.get_mut(partition) {
                *known = position;
            }
            if let Err(failure) = formatted {
                if !self.skips_errors {
                    return Printed::Failed(failure);
                }
                let message = "Error processing message, skipping this message: ";
                log::error(LOGGER, message, &failure);
            }
            if self.has_enough() {
                return Printed::Enough;
            }
            if self.buffer.len() >= BUFFER_BYTES && !self.flush() {
                return Printed::Unread;
            }
        }
        Printed::All
    }

    /// Writes what waits; false where nobody reads it.
    pub(super) fn flush(&mut self) -> bool {
        let written = self.output.write_all(&self.buffer);
        self.buffer.clear();
        written.and_then(|()| self.output.flush()).is_ok()
    }
}

/// Which batches of a fetch belong to aborted transactions.
struct Transactions {
    /// Producers and first offsets, in the order of the offsets.
    aborted: VecDeque<(i64, i64)>,
    /// The producers that are inside of an aborted transaction.
    inside: BTreeSet<i64>,
}

impl Transactions {
    fn new(mut aborted: Vec<(i64, i64)>) -> Self {
        aborted.sort_by_key(|(_, first_offset)| *first_offset);
        Transactions {
            aborted: aborted.into(),
            inside: BTreeSet::new(),
        }
    }

    /// Whether the records of a batch are to be seen: control batches never are.
    fn shows(&mut self, batch: &RecordBatch) -> bool {
        let header = batch.header();
        let last = header.last_offset().0;
        while let Some((producer, _)) = self.aborted.front().filter(|(_, first)| *first <= last) {
            self.inside.insert(*producer);
            self.aborted.pop_front();
        }
        let producer = header.producer.map(|producer| producer.id.0);
        if header.attributes.is_control() {
            // A marker of either kind ends the producer's transaction.
            if let Some(producer) = producer {
                self.inside.remove(&producer);
            }
            return false;
        }
        let is_aborted = producer.is_some_and(|producer| self.inside.contains(&producer));
        !(header.attributes.is_transactional() && is_aborted)
    }
}

#[cfg(test)]
mod tests {
    use protocol::{
        BatchBuilder, Compression, Offset, Producer, ProducerEpoch, ProducerId, Timestamp,
    };

    use super::*;
    use crate::client::Properties;

    fn printer(max_messages: Option<u64>) -> Printer<Vec<u8>> {
        let class = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";
        Printer {
            formatter: Formatter::of_class(class, &Properties::new()).unwrap(),
            skips_errors: false,
            checks_crcs: true,
            max_messages,
            count: 0,
            positions: Positions::new(),
            output: Vec::new(),
            buffer: Vec::new(),
        }
    }

    fn batch(base: i64, producer: Option<i64>, is_control: bool, values: &[&str]) -> Bytes {
        let mut builder = BatchBuilder::new(Offset(base)).compression(Compression::Lz4);
        if let Some(id) = producer {
            builder = builder.transactional().producer(Producer {
                id: ProducerId(id),
                epoch: ProducerEpoch(0),
                base_sequence: 0,
            });
        }
        if is_control {
            builder = builder.control();
        }
        for value in values {
            builder.push(Timestamp(0), None, Some(value.as_bytes()), &[]);
        }
        builder.build().bytes().clone()
    }

    fn print(
        printer: &mut Printer<Vec<u8>>,
        from: i64,
        batches: &[Bytes],
        aborted: Vec<(i64, i64)>,
    ) -> (String, i64) {
        let partition = TopicPartition::new("t", 0);
        printer.print(&partition, from, batches.concat().into(), aborted);
        printer.flush();
        let text = String::from_utf8(printer.output.clone()).unwrap();
        (text, *printer.positions.get(&partition).unwrap())
    }

    #[test]
    fn records_before_the_position_are_passed_over() {
        let batches = [batch(0, None, false, &["a", "b", "c"])];
        let printed = print(&mut printer(None), 1, &batches, Vec::new());
        assert_eq!(printed, ("b\nc\n".to_owned(), 3));
    }

    #[test]
    fn the_position_stands_behind_the_last_record_that_was_wanted() {
        let batches = [batch(0, None, false, &["a", "b", "c"])];
        let mut printer = printer(Some(2));
        let printed = print(&mut printer, 0, &batches, Vec::new());
        assert_eq!(printed, ("a\nb\n".to_owned(), 2));
        assert!(printer.has_enough());
    }

    #[test]
    fn aborted_transactions_and_markers_are_not_seen() {
        let batches = [
            batch(0, Some(7), false, &["aborted"]),
            batch(1, None, false, &["plain"]),
            batch(2, Some(8), false, &["committed"]),
            batch(3, Some(7), true, &["marker"]),
            batch(4, Some(7), false, &["next"]),
            batch(5, Some(8), true, &["marker"]),
        ];
        let printed = print(&mut printer(None), 0, &batches, vec![(7, 0)]);
        assert_eq!(printed, ("plain\ncommitted\nnext\n".to_owned(), 6));
    }

    #[test]
    fn a_damaged_batch_is_not_printed() {
        let mut bytes = batch(0, None, false, &["a"]).to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        let partition = TopicPartition::new("t", 0);
        let printed = printer(None).print(&partition, 0, bytes.into(), Vec::new());
        assert!(matches!(printed, Printed::Failed(_)));
    }
}
