//! Turns lines of standard input into records, as upstream's `LineMessageReader` does.
//!
//! Invariant: a line that does not hold what the properties announce is an error that names its number,
//! unless errors are ignored.

use std::io::BufRead;

use bytes::Bytes;
use protocol::Header;
use regex::Regex;

use crate::client::Properties;
use crate::console::properties::is_true;
use crate::failure::Failure;

const KAFKA_EXCEPTION: &str = "org.apache.kafka.common.KafkaException";

/// What one line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<Header>,
}

/// How a line is cut into headers, key and value.
#[derive(Debug)]
pub(super) struct LineReader {
    parse_key: bool,
    key_separator: String,
    parse_headers: bool,
    headers_delimiter: String,
    headers_separator: Regex,
    headers_key_separator: String,
    ignore_error: bool,
    null_marker: Option<String>,
    line_number: u64,
}

impl LineReader {
    pub(super) fn new(properties: &Properties) -> Result<Self, Failure> {
        let is = |name: &str| properties.get(name).is_some_and(|text| is_true(text));
        let text = |name: &str, default: &str| {
            properties
                .get(name)
                .map_or(default, String::as_str)
                .to_owned()
        };
        let key_separator = text("key.separator", "\t");
        let headers_delimiter = text("headers.delimiter", "\t");
        let headers_separator = text("headers.separator", ",");
        let headers_key_separator = text("headers.key.separator", ":");
        let null_marker = properties.get("null.marker").cloned();
        let differ = |one: (&str, &str), other: (&str, &str)| {
            if one.1 == other.1 {
                let message = format!("{} and {} may not be equal", one.0, other.0);
                return Err(Failure::new(KAFKA_EXCEPTION, message));
            }
            Ok(())
        };
        let delimiter = ("headers.delimiter", headers_delimiter.as_str());
        let separator = ("headers.separator", headers_separator.as_str());
        let inner = ("headers.key.separator", headers_key_separator.as_str());
        differ(delimiter, separator)?;
        differ(delimiter, inner)?;
        differ(separator, inner)?;
        if let Some(marker) = &null_marker {
            let marker = ("null.marker", marker.as_str());
            differ(marker, ("key.separator", &key_separator))?;
            differ(marker, separator)?;
            differ(marker, delimiter)?;
            differ(marker, inner)?;
        }
        let headers_separator = Regex::new(&headers_separator).map_err(|error| {
            Failure::new("java.util.regex.PatternSyntaxException", error.to_string())
        })?;
        Ok(LineReader {
            parse_key: is("parse.key"),
            key_separator,
            parse_headers: is("parse.headers"),
            headers_delimiter,
            headers_separator,
            headers_key_separator,
            ignore_error: is("ignore.error"),
            null_marker,
            line_number: 0,
        })
    }

    /// The record of the next line.
    pub(super) fn record(&mut self, line: &str) -> Result<Record, Failure> {
        self.line_number += 1;
        let mut rest = line;
        let mut headers = None;
        if self.parse_headers {
            let cut = self.cut(line, rest, &self.headers_delimiter, "headers delimiter")?;
            if let Some((front, behind)) = cut {
                (headers, rest) = (Some(front), behind);
            }
        }
        let mut key = None;
        if self.parse_key
            && let Some((front, behind)) =
                self.cut(line, rest, &self.key_separator, "key separator")?
        {
            (key, rest) = (Some(front), behind);
        }
        let headers = headers.filter(|text| !self.is_null(text));
        Ok(Record {
            key: key.and_then(|text| self.bytes(text)),
            value: self.bytes(rest),
            headers: headers.map_or(Ok(Vec::new()), |text| self.headers(text))?,
        })
    }

    fn cut<'l>(
        &self,
        line: &str,
        rest: &'l str,
        separator: &str,
        name: &str,
    ) -> Result<Option<(&'l str, &'l str)>, Failure> {
        let cut = rest.split_once(separator);
        if cut.is_none() && !self.ignore_error {
            let number = self.line_number;
            let message = format!("No {name} found on line number {number}: '{line}'");
            return Err(Failure::new(KAFKA_EXCEPTION, message));
        }
        Ok(cut)
    }

    fn headers(&self, text: &str) -> Result<Vec<Header>, Failure> {
        let mut pairs: Vec<&str> = self.headers_separator.split(text).collect();
        // Java's split has nothing in front of an empty match.
        let begins_empty = self
            .headers_separator
            .find(text)
            .is_some_and(|it| it.end() == 0);
        if begins_empty && pairs.len() > 1 {
            pairs.remove(0);
        }
        // It drops what is empty at the end, but keeps an empty text.
        while pairs.len() > 1 && pairs.last().is_some_and(|pair| pair.is_empty()) {
            pairs.pop();
        }
        if pairs.first().is_some_and(|pair| pair.is_empty()) && pairs.len() == 1 && !text.is_empty()
        {
            pairs.pop();
        }
        pairs.into_iter().map(|pair| self.header(pair)).collect()
    }

    fn header(&self, pair: &str) -> Result<Header, Failure> {
        let Some((key, value)) = pair.split_once(&self.headers_key_separator) else {
            if self.ignore_error {
                return Ok(header(pair, None));
            }
            let number = self.line_number;
            return Err(Failure::new(
                KAFKA_EXCEPTION,
                format!("No header key separator found in pair '{pair}' on line number {number}"),
            ));
        };
        if self.is_null(key) {
            return Err(Failure::new(
                KAFKA_EXCEPTION,
                format!(
                    "Header keys should not be equal to the null marker '{key}' as they can't be null"
                ),
            ));
        }
        Ok(header(key, self.bytes(value)))
    }

    fn is_null(&self, text: &str) -> bool {
        self.null_marker.as_deref() == Some(text)
    }

    fn bytes(&self, text: &str) -> Option<Bytes> {
        (!self.is_null(text)).then(|| Bytes::copy_from_slice(text.as_bytes()))
    }
}

fn header(key: &str, value: Option<Bytes>) -> Header {
    Header {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value,
    }
}

/// The lines of an input as Java reads them: they end with `\n`, `\r` or both, and what is no UTF-8
/// becomes the replacement character.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    skips_line_feed: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Lines {
            input,
            line: Vec::new(),
            skips_line_feed: false,
        }
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> std::io::Result<Option<String>> {
        self.line.clear();
        let mut has_begun = false;
        loop {
            let mut chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                return Ok(has_begun.then(|| self.text()));
            }
            if std::mem::take(&mut self.skips_line_feed)
                && let Some(rest) = chunk.strip_prefix(b"\n")
            {
                if rest.is_empty() {
                    self.input.consume(1);
                    continue;
                }
                self.input.consume(1);
                chunk = self.input.fill_buf()?;
            }
            has_begun = true;
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (front, behind) = chunk.split_at(end.unwrap_or(chunk.len()));
            self.line.extend_from_slice(front);
            let ended_by = behind.first().copied();
            let size = front.len() + usize::from(ended_by.is_some());
            self.input.consume(size);
            if let Some(ended_by) = ended_by {
                // The line feed behind it may not have arrived yet, and nobody shall wait for it.
                self.skips_line_feed = ended_by == b'\r';
                return Ok(Some(self.text()));
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.line).into_owned()
    }
}

impl<R: std::io::Read> Lines<std::io::BufReader<R>> {
    /// Whether the next line is here already.
    pub(super) fn has_more(&self) -> bool {
        let buffered = self.input.buffer();
        buffered.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> Result<LineReader, Failure> {
        let pairs = properties
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        LineReader::new(&pairs.collect())
    }

    fn shown(record: &Record) -> String {
        let text = |bytes: &Option<Bytes>| {
            let bytes = bytes.as_deref();
            bytes.map_or("null".into(), |it| String::from_utf8_lossy(it).into_owned())
        };
        let headers: Vec<String> = record
            .headers
            .iter()
            .map(|header| {
                let key = String::from_utf8_lossy(&header.key);
                format!("{key}:{}", text(&header.value))
            })
            .collect();
        format!(
            "{}|{}|{}",
            headers.join(","),
            text(&record.key),
            text(&record.value)
        )
    }

    fn read(properties: &[(&str, &str)], line: &str) -> String {
        match reader(properties).unwrap().record(line) {
            Ok(record) => shown(&record),
            Err(failure) => failure.to_string(),
        }
    }

    const KEY: (&str, &str) = ("parse.key", "true");
    const HEADERS: (&str, &str) = ("parse.headers", "True ");
    const IGNORE: (&str, &str) = ("ignore.error", "true");
    const NULL: (&str, &str) = ("null.marker", "NULL");

    #[test]
    fn a_line_is_headers_then_key_then_value() {
        assert_eq!(read(&[], "k\tv"), "|null|k\tv");
        assert_eq!(read(&[KEY], "k\tv\tw"), "|k|v\tw");
        assert_eq!(read(&[KEY], "\t"), "||");
        assert_eq!(read(&[HEADERS, KEY], "a:1,b:2,,\tk\tv"), "a:1,b:2|k|v");
        assert_eq!(read(&[HEADERS], ",\tv"), "|null|v");
        assert_eq!(read(&[KEY, ("key.separator", ":")], "::d"), "||:d");
        assert_eq!(
            read(&[HEADERS, ("headers.separator", "\\|")], "a:1|b:2\tv"),
            "a:1,b:2|null|v"
        );
    }

    /// As upstream 4.3.1 was seen to answer.
    #[test]
    fn what_is_missing_is_named_with_its_line() {
        assert_eq!(
            read(&[KEY], "nokey"),
            "No key separator found on line number 1: 'nokey'"
        );
        assert_eq!(
            read(&[HEADERS, KEY], "\tk\tv"),
            "No header key separator found in pair '' on line number 1"
        );
        assert_eq!(
            read(&[HEADERS], "nohdr\tv"),
            "No header key separator found in pair 'nohdr' on line number 1"
        );
        // The separator is a regular expression, and this one matches everywhere.
        assert_eq!(
            read(&[HEADERS, ("headers.separator", "|")], "a:b|c:d\tv"),
            "No header key separator found in pair 'a' on line number 1"
        );
        assert_eq!(read(&[KEY, IGNORE], "c"), "|null|c");
        assert_eq!(read(&[HEADERS, IGNORE], "nohdr\tv"), "nohdr:null|null|v");
        assert_eq!(read(&[HEADERS, IGNORE], "x"), "|null|x");
    }

    #[test]
    fn the_null_marker_stands_for_null() {
        assert_eq!(
            read(&[NULL, KEY, HEADERS], "NULL\tNULL\tNULL"),
            "|null|null"
        );
        assert_eq!(read(&[NULL, KEY, HEADERS], "a:NULL\tk\tv"), "a:null|k|v");
        assert_eq!(
            read(&[NULL, HEADERS], "NULL:a\tv"),
            "Header keys should not be equal to the null marker 'NULL' as they can't be null"
        );
    }

    #[test]
    fn separators_differ() {
        for (properties, message) in [
            (
                [("headers.delimiter", ","), IGNORE],
                "headers.delimiter and headers.separator",
            ),
            (
                [("headers.key.separator", ","), IGNORE],
                "headers.separator and headers.key.separator",
            ),
            (
                [("key.separator", "NULL"), NULL],
                "null.marker and key.separator",
            ),
        ] {
            let error = reader(&properties).unwrap_err();
            assert_eq!(error.to_string(), format!("{message} may not be equal"));
        }
    }

    #[test]
    fn lines_end_as_java_ends_them() {
        for capacity in [1, 2, 3, 64] {
            let input = b"a\r\nb\rc\n\n\r\n\xff\nlast".as_slice();
            let mut lines = Lines::new(std::io::BufReader::with_capacity(capacity, input));
            let mut read = Vec::new();
            while let Some(line) = lines.next().unwrap() {
                read.push(line);
            }
            assert_eq!(
                read,
                ["a", "b", "c", "", "", "\u{fffd}", "last"],
                "{capacity}"
            );
        }
        assert_eq!(Lines::new(b"".as_slice()).next().unwrap(), None);
        let mut lines = Lines::new(b"a\r\n".as_slice());
        assert_eq!(lines.next().unwrap().as_deref(), Some("a"));
        assert_eq!(lines.next().unwrap(), None);
    }
}
