//! What stands in front of a request's body, and which header a response gets.
//!
//! Invariant: no frame panics; what is read is exactly the header, the body is the rest, uncopied.

use bytes::{Buf, Bytes};
use kafka_protocol::protocol::StrBytes;

use crate::error::ProtocolError;
use crate::schema;
use crate::varint::{ByteSource, read_unsigned};

/// A frame with its header read and its body as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFrame {
    pub api_key: i16,
    pub api_version: i16,
    pub correlation_id: i32,
    /// Upstream treats null as empty; the difference is kept for those who log.
    pub client_id: Option<StrBytes>,
    pub body: Bytes,
}

const API_VERSIONS: i16 = 18;
const CLIENT_ID: &str = "ClientId";
const TAGGED_FIELDS: &str = "the header's tagged fields";

/// API key and version, before anything else is read.
pub fn peek_key_and_version(frame: &[u8]) -> Option<(i16, i16)> {
    let mut front = frame.first_chunk::<4>()?.as_slice();
    Some((front.get_i16(), front.get_i16()))
}

/// The version of the header in front of a request: 2 has tagged fields.
///
/// Upstream reads the header of a version that does not exist as that of the nearest one that does;
/// an ApiVersions request of a newer client is answered so.
fn request_header_version(api_key: i16, version: i16) -> Result<i16, ProtocolError> {
    let request = schema::request(api_key).ok_or(ProtocolError::UnknownApiKey(api_key))?;
    Ok(if request.is_flexible(version) { 2 } else { 1 })
}

/// The version of the header in front of a response: 1 has tagged fields.
pub fn response_header_version(api_key: i16, version: i16) -> i16 {
    // A client that asks for versions cannot know yet what the broker speaks (KIP-511).
    if api_key == API_VERSIONS {
        return 0;
    }
    let flexible =
        schema::request(api_key).is_some_and(|request| version >= request.response_flexible_from);
    i16::from(flexible)
}

/// Reads the header of a request. The version need not be one that exists.
pub fn decode_request_header(mut frame: Bytes) -> Result<RequestFrame, ProtocolError> {
    let cut_off = |_| ProtocolError::HeaderCutOff;
    let api_key = frame.try_get_i16().map_err(cut_off)?;
    let api_version = frame.try_get_i16().map_err(cut_off)?;
    let header_version = request_header_version(api_key, api_version)?;
    let correlation_id = frame.try_get_i32().map_err(cut_off)?;
    let client_id = read_client_id(&mut frame)?;
    if header_version >= 2 {
        skip_tagged_fields(&mut frame)?;
    }
    Ok(RequestFrame {
        api_key,
        api_version,
        correlation_id,
        client_id,
        body: frame,
    })
}

fn read_client_id(frame: &mut Bytes) -> Result<Option<StrBytes>, ProtocolError> {
    let length = frame
        .try_get_i16()
        .map_err(|_| ProtocolError::HeaderCutOff)?;
    let Ok(length) = usize::try_from(length) else {
        return Ok(None);
    };
    if length > frame.len() {
        let left = frame.len();
        return Err(ProtocolError::Length {
            field: CLIENT_ID,
            length: length as u32,
            left,
        });
    }
    let bytes = frame.split_to(length);
    // As upstream: what is not UTF-8 is replaced, not refused.
    Ok(Some(StrBytes::from_utf8(bytes.clone()).unwrap_or_else(
        |_| StrBytes::from_string(String::from_utf8_lossy(&bytes).into_owned()),
    )))
}

fn skip_tagged_fields(frame: &mut Bytes) -> Result<(), ProtocolError> {
    let mut source = HeaderBytes(frame);
    let count = read_unsigned(&mut source)?;
    for _ in 0..count {
        read_unsigned(&mut source)?;
        let length = read_unsigned(&mut source)?;
        let left = source.0.len();
        if length as usize > left {
            return Err(ProtocolError::Length {
                field: TAGGED_FIELDS,
                length,
                left,
            });
        }
        source.0.advance(length as usize);
    }
    Ok(())
}

struct HeaderBytes<'a>(&'a mut Bytes);

impl ByteSource for HeaderBytes<'_> {
    type Error = ProtocolError;

    fn next_byte(&mut self) -> Result<u8, ProtocolError> {
        self.0.try_get_u8().map_err(|_| ProtocolError::HeaderCutOff)
    }

    fn too_long(&self) -> ProtocolError {
        ProtocolError::NumberTooLong {
            field: TAGGED_FIELDS,
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{ApiKey, RequestHeader};
    use kafka_protocol::protocol::Encodable;

    use super::*;

    fn every_key() -> impl Iterator<Item = ApiKey> {
        (0..200).filter_map(|key| ApiKey::try_from(key).ok())
    }

    #[test]
    fn every_header_that_kafka_protocol_writes_is_read() {
        for key in every_key() {
            for version in key.valid_versions().min..=key.valid_versions().max {
                let header_version = key.request_header_version(version);
                assert_eq!(
                    request_header_version(key as i16, version),
                    Ok(header_version)
                );
                for client_id in [None, Some(StrBytes::new()), Some("client-1".into())] {
                    let mut header = RequestHeader::default()
                        .with_request_api_key(key as i16)
                        .with_request_api_version(version)
                        .with_correlation_id(0x0102_0304)
                        .with_client_id(client_id.clone());
                    if header_version >= 2 {
                        header = header.with_unknown_tagged_field(77, Bytes::from_static(b"x"));
                    }
                    let mut frame = Vec::new();
                    header.encode(&mut frame, header_version).unwrap();
                    frame.extend_from_slice(b"body");
                    assert_eq!(peek_key_and_version(&frame), Some((key as i16, version)));
                    let read = decode_request_header(Bytes::from(frame)).unwrap();
                    assert_eq!((read.api_key, read.api_version), (key as i16, version));
                    assert_eq!(read.correlation_id, 0x0102_0304);
                    assert_eq!(read.client_id, client_id);
                    assert_eq!(read.body, "body");
                }
            }
        }
    }

    #[test]
    fn response_headers_are_those_of_kafka_protocol() {
        for key in every_key() {
            for version in key.valid_versions().min..=key.valid_versions().max {
                let expected = key.response_header_version(version);
                assert_eq!(
                    response_header_version(key as i16, version),
                    expected,
                    "{key:?} {version}"
                );
            }
        }
    }

    #[test]
    fn every_cut_of_a_header_is_an_error() {
        let frame = Bytes::from_static(b"\x00\x12\x00\x03\x00\x00\x00\x07\x00\x02ab\x01\x05\x02xy");
        assert!(
            decode_request_header(frame.clone())
                .unwrap()
                .body
                .is_empty()
        );
        for end in 0..frame.len() {
            assert!(
                decode_request_header(frame.slice(..end)).is_err(),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_and_an_unknown_version_is_not() {
        let unknown_key = Bytes::from_static(b"\x03\xe8\x00\x00\x00\x00\x00\x07\xff\xff");
        assert_eq!(
            decode_request_header(unknown_key),
            Err(ProtocolError::UnknownApiKey(1000))
        );
        let newer = Bytes::from_static(b"\x00\x12\x00\x63\x00\x00\x00\x07\xff\xff\x00rest");
        assert_eq!(decode_request_header(newer).unwrap().body, "rest");
    }

    #[test]
    fn a_client_id_that_is_not_utf_8_is_replaced() {
        let frame = Bytes::from_static(b"\x00\x03\x00\x00\x00\x00\x00\x07\x00\x02\xffz");
        let header = decode_request_header(frame).unwrap();
        assert_eq!(
            header.client_id,
            Some(StrBytes::from_static_str("\u{fffd}z"))
        );
    }
}
