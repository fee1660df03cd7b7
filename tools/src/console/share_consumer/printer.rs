//! Prints the records that were acquired, and says how each is acknowledged.
//!
//! Invariant: an acknowledgement stands for a record that was printed, that could not be and is
//! rejected, or for an offset that has no record.

use std::io::Write;

use bytes::Bytes;
use protocol::RecordBatch;

use super::LOGGER;
use super::session::Partition;
use crate::console::consumer::formatter::{Consumed, Formatter};
use crate::console::log;
use crate::failure::Failure;

/// How offsets are acknowledged, as the protocol has it.
const GAP: i8 = 0;
pub(super) const ACCEPT: i8 = 1;
pub(super) const RELEASE: i8 = 2;
pub(super) const REJECT: i8 = 3;

/// When so much waits to be written, it is.
const BUFFER_BYTES: usize = 64 * 1024;

/// Offsets that are acknowledged alike, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) kind: i8,
}

/// Offsets that were acquired, both ends included, and how often they have been delivered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acquired {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) delivery: i16,
}

/// What a fetch brought of a partition.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) partition: Partition,
    pub(super) records: Bytes,
    /// In the order of their offsets.
    pub(super) acquired: Vec<Acquired>,
}

/// How printing went.
pub(super) enum Printed {
    All,
    /// As many records as are wanted.
    Enough,
    /// Nobody reads standard output any more.
    Unread,
    /// A batch that cannot be read.
    Corrupt(Failure),
    Failed(Failure),
}

#[derive(Debug)]
pub(super) struct Printer<W> {
    pub(super) formatter: Formatter,
    /// How what was printed is acknowledged.
    pub(super) kind: i8,
    pub(super) rejects_errors: bool,
    pub(super) checks_crcs: bool,
    pub(super) max_messages: Option<u64>,
    pub(super) count: u64,
    pub(super) output: W,
    pub(super) buffer: Vec<u8>,
}

impl<W: Write> Printer<W> {
    pub(super) fn has_enough(&self) -> bool {
        self.max_messages.is_some_and(|max| self.count >= max)
    }

    /// Prints what was acquired, and adds how it is acknowledged.
    pub(super) fn print(&mut self, piece: &Piece, acks: &mut Vec<Ack>) -> Printed {
        let mut seen = Vec::new();
        let mut records = piece.records.clone();
        let mut printed = Printed::All;
        while let (Printed::All, Ok(Some(batch))) =
            (&printed, RecordBatch::split_first(&mut records))
        {
            let header = batch.header();
            let (first, last) = (header.base_offset.0, header.last_offset().0);
            let is_acquired = |it: &Acquired| it.first <= last && first <= it.last;
            if !header.attributes.is_control() && piece.acquired.iter().any(is_acquired) {
                printed = self.print_batch(piece, &batch, &mut seen);
            }
        }
        let is_whole = matches!(printed, Printed::All);
        acknowledge(&piece.acquired, &seen, is_whole, acks);
        printed
    }

    fn print_batch(
        &mut self,
        piece: &Piece,
        batch: &RecordBatch,
        seen: &mut Vec<(i64, i8)>,
    ) -> Printed {
        let corrupt = |error: protocol::BatchError| {
            let offset = batch.header().base_offset.0;
            let number = piece.partition.1;
            Printed::Corrupt(Failure::new(
                "org.apache.kafka.common.errors.CorruptRecordException",
                format!("The batch of partition {number} at offset {offset} is corrupt: {error}"),
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
        for record in records {
            let record = match record {
                Ok(record) => record,
                Err(error) => return corrupt(error),
            };
            let offset = record.offset.0;
            let contains = |it: &&Acquired| (it.first..=it.last).contains(&offset);
            let Some(acquired) = piece.acquired.iter().find(contains) else {
                continue;
            };
            if self.has_enough() {
                return Printed::Enough;
            }
            self.count += 1;
            let consumed = Consumed {
                partition: piece.partition.1,
                timestamp_type: batch.header().attributes.timestamp_type(),
                record: &record,
                delivery: Some(acquired.delivery),
            };
            let kind = match self.formatter.write(&consumed, &mut self.buffer) {
                Ok(()) => self.kind,
                Err(failure) if self.rejects_errors => {
                    let message = "Error processing message, rejecting this message: ";
                    log::error(LOGGER, message, &failure);
                    REJECT
                }
                Err(failure) => return Printed::Failed(failure),
            };
            seen.push((offset, kind));
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

/// Adds the acknowledgements of the offsets that were seen and, where all were looked at, of those
/// without a record.
fn acknowledge(acquired: &[Acquired], seen: &[(i64, i8)], is_whole: bool, acks: &mut Vec<Ack>) {
    let mut add = |first: i64, last: i64, kind: i8| match acks.last_mut() {
        Some(before) if before.kind == kind && before.last.checked_add(1) == Some(first) => {
            before.last = last;
        }
        Some(_) | None => acks.push(Ack { first, last, kind }),
    };
    for range in acquired {
        let mut next = range.first;
        let within = seen
            .iter()
            .filter(|(offset, _)| (range.first..=range.last).contains(offset));
        for (offset, kind) in within {
            if is_whole && next < *offset {
                add(next, *offset - 1, GAP);
            }
            add(*offset, *offset, *kind);
            next = offset.saturating_add(1);
        }
        if is_whole && next <= range.last {
            add(next, range.last, GAP);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{BatchBuilder, Compression, Offset, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::client::Properties;

    fn printer(properties: &[(&str, &str)], max_messages: Option<u64>) -> Printer<Vec<u8>> {
        let class = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";
        let pairs = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let pairs: Properties = pairs.collect();
        Printer {
            formatter: Formatter::of_class(class, &pairs).unwrap(),
            kind: ACCEPT,
            rejects_errors: false,
            checks_crcs: true,
            max_messages,
            count: 0,
            output: Vec::new(),
            buffer: Vec::new(),
        }
    }

    fn piece(batches: &[(i64, &[&str])], acquired: &[(i64, i64, i16)]) -> Piece {
        let mut records = Vec::new();
        for (base, values) in batches {
            let mut builder = BatchBuilder::new(Offset(*base)).compression(Compression::Lz4);
            for value in *values {
                builder.push(Timestamp(0), None, Some(value.as_bytes()), &[]);
            }
            records.extend_from_slice(builder.build().bytes());
        }
        let acquired = acquired.iter().map(|(first, last, delivery)| Acquired {
            first: *first,
            last: *last,
            delivery: *delivery,
        });
        Piece {
            partition: (Uuid::nil(), 3),
            records: records.into(),
            acquired: acquired.collect(),
        }
    }

    fn print(printer: &mut Printer<Vec<u8>>, piece: &Piece) -> (String, Vec<(i64, i64, i8)>) {
        let mut acks = Vec::new();
        printer.print(piece, &mut acks);
        printer.flush();
        let text = String::from_utf8(printer.output.clone()).unwrap();
        let acks = acks.iter().map(|ack| (ack.first, ack.last, ack.kind));
        (text, acks.collect())
    }

    #[test]
    fn only_what_was_acquired_is_printed_with_how_often_it_was_delivered() {
        let piece = piece(&[(0, &["a", "b", "c", "d"])], &[(1, 1, 1), (3, 3, 2)]);
        let mut printer = printer(&[("print.delivery", "true")], None);
        let (text, acks) = print(&mut printer, &piece);
        assert_eq!(text, "Delivery:1\tb\nDelivery:2\td\n");
        assert_eq!(acks, [(1, 1, ACCEPT), (3, 3, ACCEPT)]);
    }

    #[test]
    fn offsets_without_a_record_are_gaps() {
        let piece = piece(&[(2, &["a", "b"]), (7, &["c"])], &[(0, 9, 1)]);
        let (text, acks) = print(&mut printer(&[], None), &piece);
        assert_eq!(text, "a\nb\nc\n");
        let expected = [
            (0, 1, GAP),
            (2, 3, ACCEPT),
            (4, 6, GAP),
            (7, 7, ACCEPT),
            (8, 9, GAP),
        ];
        assert_eq!(acks, expected);
    }

    #[test]
    fn what_is_not_printed_is_not_acknowledged() {
        let piece = piece(&[(0, &["a", "b", "c"])], &[(0, 2, 1)]);
        let mut printer = printer(&[], Some(2));
        let (text, acks) = print(&mut printer, &piece);
        assert_eq!(text, "a\nb\n");
        assert_eq!(acks, [(0, 1, ACCEPT)]);
        assert!(printer.has_enough());
    }

    #[test]
    fn a_record_that_cannot_be_printed_ends_it_or_is_rejected() {
        let class = "org.apache.kafka.common.serialization.LongDeserializer";
        let piece = piece(&[(0, &["12345678", "no", "12345678"])], &[(0, 2, 1)]);
        let mut ends = printer(&[("value.deserializer", class)], None);
        let mut acks = Vec::new();
        assert!(matches!(ends.print(&piece, &mut acks), Printed::Failed(_)));
        assert_eq!(acks.iter().map(|ack| ack.last).max(), Some(0));
        let mut rejects = printer(&[("value.deserializer", class)], None);
        rejects.rejects_errors = true;
        let (_, acks) = print(&mut rejects, &piece);
        assert_eq!(acks, [(0, 0, ACCEPT), (1, 1, REJECT), (2, 2, ACCEPT)]);
        assert_eq!(rejects.count, 3);
    }
}
