//! What is printed of a record, by the names and properties of upstream's formatters.
//!
//! Invariant: a formatter writes one record as a whole, or fails and has written a beginning of it.

use bytes::Bytes;
use protocol::{Record, TimestampType};

use super::coordinator::CoordinatorFormatter;
use super::deserializer::Deserializer;
use crate::client::Properties;
use crate::console::log;
use crate::console::properties::is_true;
use crate::failure::Failure;

const PACKAGE: &str = "org.apache.kafka.tools.consumer.";

/// A record and where it stands.
#[derive(Clone, Debug)]
pub(in crate::console) struct Consumed<'r> {
    pub(in crate::console) partition: i32,
    pub(in crate::console) timestamp_type: TimestampType,
    pub(in crate::console) record: &'r Record,
    /// How often it has been delivered, where a share group counts that.
    pub(in crate::console) delivery: Option<i16>,
}

/// One of upstream's formatters.
#[derive(Debug)]
pub(in crate::console) enum Formatter {
    Default(Box<DefaultFormatter>),
    NoOp,
    Coordinator(CoordinatorFormatter),
}

impl Formatter {
    /// The formatter of a class.
    pub(in crate::console) fn of_class(
        class: &str,
        properties: &Properties,
    ) -> Result<Self, Failure> {
        let name = class.strip_prefix(PACKAGE).unwrap_or_default();
        let coordinator = |formatter| Ok(Formatter::Coordinator(formatter));
        match name {
            // The logging one adds a line at level INFO, which upstream's tools do not show.
            "DefaultMessageFormatter" | "LoggingMessageFormatter" => Ok(Formatter::Default(
                Box::new(DefaultFormatter::new(properties)),
            )),
            "NoOpMessageFormatter" => Ok(Formatter::NoOp),
            "OffsetsMessageFormatter" => coordinator(CoordinatorFormatter::Offsets),
            "GroupMetadataMessageFormatter" => coordinator(CoordinatorFormatter::GroupMetadata),
            "TransactionLogMessageFormatter" => coordinator(CoordinatorFormatter::TransactionLog),
            _ => Err(Failure::new("java.lang.ClassNotFoundException", class)),
        }
    }

    pub(in crate::console) fn write(
        &self,
        consumed: &Consumed<'_>,
        output: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        match self {
            Formatter::Default(formatter) => formatter.write(consumed, output),
            Formatter::NoOp => Ok(()),
            Formatter::Coordinator(formatter) => formatter.write(consumed.record, output),
        }
    }
}

/// `DefaultMessageFormatter`: the parts of a record that are asked for, in upstream's order.
#[derive(Debug)]
pub(in crate::console) struct DefaultFormatter {
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: String,
    line_separator: String,
    headers_separator: String,
    null_literal: Bytes,
    key_deserializer: Option<Deserializer>,
    value_deserializer: Option<Deserializer>,
    headers_deserializer: Option<Deserializer>,
}

impl DefaultFormatter {
    fn new(properties: &Properties) -> Self {
        let prints = |name: &str, default: bool| {
            let text = properties.get(&format!("print.{name}"));
            text.map_or(default, |text| is_true(text))
        };
        let text = |name: &str, default: &str| {
            let text = properties.get(name);
            text.map_or(default, String::as_str).to_owned()
        };
        DefaultFormatter {
            timestamp: prints("timestamp", false),
            partition: prints("partition", false),
            offset: prints("offset", false),
            delivery: prints("delivery", false),
            epoch: prints("epoch", false),
            headers: prints("headers", false),
            key: prints("key", false),
            value: prints("value", true),
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: Bytes::from(text("null.literal", "null")),
            key_deserializer: deserializer(properties, "key.deserializer"),
            value_deserializer: deserializer(properties, "value.deserializer"),
            headers_deserializer: deserializer(properties, "headers.deserializer"),
        }
    }

    fn write(&self, consumed: &Consumed<'_>, output: &mut Vec<u8>) -> Result<(), Failure> {
        let record = consumed.record;
        let parts = [
            self.timestamp,
            self.partition,
            self.offset,
            self.delivery,
            self.epoch,
            self.headers,
            self.key,
            self.value,
        ];
        let last = parts.iter().rposition(|is_printed| *is_printed);
        for (at, is_printed) in parts.iter().enumerate() {
            if !is_printed {
                continue;
            }
            match at {
                0 => output.extend(timestamp(consumed).as_bytes()),
                1 => output.extend(format!("Partition:{}", consumed.partition).as_bytes()),
                2 => output.extend(format!("Offset:{}", record.offset.0).as_bytes()),
                3 => output.extend(delivery(consumed).as_bytes()),
                // Upstream's tools do not hand it on to their formatters.
                4 => output.extend(b"Epoch:NOT_PRESENT"),
                5 => self.write_headers(record, output)?,
                6 => self.write_field(record.key.as_ref(), self.key_deserializer, output)?,
                _ => self.write_field(record.value.as_ref(), self.value_deserializer, output)?,
            }
            let separator = if Some(at) == last {
                &self.line_separator
            } else {
                &self.key_separator
            };
            output.extend(separator.as_bytes());
        }
        Ok(())
    }

    fn write_headers(&self, record: &Record, output: &mut Vec<u8>) -> Result<(), Failure> {
        if record.headers.is_empty() {
            output.extend(b"NO_HEADERS");
        }
        for (at, header) in record.headers.iter().enumerate() {
            if at > 0 {
                output.extend(self.headers_separator.as_bytes());
            }
            output.extend(String::from_utf8_lossy(&header.key).as_bytes());
            output.push(b':');
            self.write_field(header.value.as_ref(), self.headers_deserializer, output)?;
        }
        Ok(())
    }

    fn write_field(
        &self,
        bytes: Option<&Bytes>,
        deserializer: Option<Deserializer>,
        output: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        // As upstream: the literal for null is deserialized too.
        let bytes = bytes.unwrap_or(&self.null_literal);
        match deserializer {
            None => output.extend_from_slice(bytes),
            Some(deserializer) => output.extend(deserializer.text(bytes)?.as_bytes()),
        }
        Ok(())
    }
}

fn timestamp(consumed: &Consumed<'_>) -> String {
    let timestamp = consumed.record.timestamp.0;
    match consumed.timestamp_type {
        TimestampType::CreateTime => format!("CreateTime:{timestamp}"),
        TimestampType::LogAppendTime => format!("LogAppendTime:{timestamp}"),
    }
}

fn delivery(consumed: &Consumed<'_>) -> String {
    match consumed.delivery {
        Some(count) => format!("Delivery:{count}"),
        None => "Delivery:NOT_PRESENT".to_owned(),
    }
}

fn deserializer(properties: &Properties, name: &str) -> Option<Deserializer> {
    let class = properties.get(name)?;
    let found = Deserializer::of_class(class);
    let is_raw = class.ends_with(".ByteArrayDeserializer");
    if found.is_none() && !is_raw {
        log::error(
            "org.apache.kafka.tools.consumer.DefaultMessageFormatter",
            &format!("Unable to instantiate a deserializer from {class}"),
            &Failure::new("java.lang.ClassNotFoundException", class),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use protocol::{Header, Offset, Timestamp};

    use super::*;

    fn record() -> Record {
        Record {
            offset: Offset(7),
            timestamp: Timestamp(1234),
            sequence: None,
            key: Some(Bytes::from_static(b"k")),
            value: None,
            headers: vec![
                Header {
                    key: Bytes::from_static(b"a"),
                    value: Some(Bytes::from_static(b"1")),
                },
                Header {
                    key: Bytes::from_static(b"b"),
                    value: None,
                },
            ],
        }
    }

    fn written(properties: &[(&str, &str)]) -> String {
        let pairs = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let class = "org.apache.kafka.tools.consumer.DefaultMessageFormatter";
        let formatter = Formatter::of_class(class, &pairs.collect()).unwrap();
        let mut output = Vec::new();
        let consumed = Consumed {
            partition: 3,
            timestamp_type: TimestampType::CreateTime,
            record: &record(),
            delivery: None,
        };
        formatter.write(&consumed, &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn the_parts_stand_in_upstreams_order() {
        let all = [
            ("print.key", "true"),
            ("print.offset", "TRUE "),
            ("print.partition", "true"),
            ("print.timestamp", "true"),
            ("print.epoch", "true"),
            ("print.headers", "true"),
        ];
        assert_eq!(
            written(&all),
            "CreateTime:1234\tPartition:3\tOffset:7\tEpoch:NOT_PRESENT\ta:1,b:null\tk\tnull\n"
        );
    }

    #[test]
    fn separators_and_what_stands_for_null_can_be_set() {
        let set = [
            ("print.key", "true"),
            ("key.separator", "|"),
            ("line.separator", "$"),
            ("null.literal", "NIL"),
        ];
        assert_eq!(written(&set), "k|NIL$");
        assert_eq!(written(&[("print.value", "false")]), "");
        assert_eq!(
            written(&[("print.value", "false"), ("print.key", "true")]),
            "k\n"
        );
    }
}
