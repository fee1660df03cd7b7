//! One connection to a broker: requests go out in order, answers find who asked by their number.
//!
//! Invariant: who asked gets the answer or a failure; a connection that lost an answer answers nobody.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, RequestHeader};
use protocol::messages::{ResponseHeader, api_versions_response::ApiVersion};
use protocol::{Decodable, Encodable, ErrorCode, HeaderVersion, Request, StrBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use super::address::Address;
use super::settings::Settings;
use crate::failure::Failure;

/// No answer of a broker is larger than what its socket.request.max.bytes lets in by far.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// The newest ApiVersions that brokers of 4.3.1 know; they say so to who asks for a newer one.
const API_VERSIONS_NEWEST: i16 = 4;

/// Who waits for which answer; none once the connection is gone.
type Waiting = Arc<Mutex<HashMap<i32, oneshot::Sender<Bytes>>>>;

/// A connection whose broker said what it can do.
#[derive(Debug)]
pub(super) struct Connection {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Waiting,
    gone: Arc<AtomicBool>,
    next: AtomicI32,
    client_id: StrBytes,
    /// What the broker said it can do.
    pub(super) versions: ApiVersionsResponse,
    ranges: BTreeMap<i16, (i16, i16)>,
}

impl Connection {
    /// Connects and asks what the broker can do.
    pub(super) async fn open(to: &Address, settings: &Settings) -> std::io::Result<Self> {
        let connecting = TcpStream::connect((to.host.as_str(), to.port));
        let stream = tokio::time::timeout(settings.connect_timeout, connecting).await??;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let waiting = Waiting::default();
        let gone = Arc::new(AtomicBool::new(false));
        tokio::spawn(read_answers(
            reader,
            Arc::clone(&waiting),
            Arc::clone(&gone),
        ));
        let mut connection = Connection {
            writer: tokio::sync::Mutex::new(writer),
            waiting,
            gone,
            next: AtomicI32::new(0),
            client_id: StrBytes::from_string(settings.client_id.clone()),
            versions: ApiVersionsResponse::default(),
            ranges: BTreeMap::new(),
        };
        let asking = connection.ask_versions();
        let versions = tokio::time::timeout(settings.request_timeout, asking).await?;
        connection.versions = versions.map_err(|failure| {
            std::io::Error::other(format!("{to} is no Kafka broker: {failure}"))
        })?;
        connection.ranges = connection.versions.api_keys.iter().map(range_of).collect();
        Ok(connection)
    }

    /// Whether no answer can come any more.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The newest version of a request that both sides know.
    pub(super) fn version<R: Request>(&self) -> Result<i16, Failure> {
        let name = || ApiKey::try_from(R::KEY).map_or_else(|()| R::KEY.to_string(), api_name);
        let Some((min, max)) = self.ranges.get(&R::KEY) else {
            return Err(Failure::unsupported(format!(
                "The node does not support {}",
                name()
            )));
        };
        let newest = R::VERSIONS.max.min(*max);
        if newest < R::VERSIONS.min.max(*min) {
            return Err(Failure::unsupported(format!(
                "The node does not support {} with version in range [{},{}]. The supported range is \
                 [{min},{max}].",
                name(),
                R::VERSIONS.min,
                R::VERSIONS.max
            )));
        }
        Ok(newest)
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn ask<R: Request>(
        &self,
        request: &R,
        version: i16,
    ) -> Result<R::Response, Failure> {
        let mut body = self.ask_bytes(request, version).await?;
        R::Response::decode(&mut body, version).map_err(|error| unreadable::<R>(version, &error))
    }

    /// Sends a request that its broker will not answer.
    pub(super) async fn tell<R: Request>(&self, request: &R, version: i16) -> Result<(), Failure> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = frame(request, version, number, &self.client_id)?;
        let written = self.writer.lock().await.write_all(&frame).await;
        if written.is_err() || self.is_gone() {
            self.gone.store(true, Ordering::Release);
            return Err(Failure::disconnected());
        }
        Ok(())
    }

    async fn ask_bytes<R: Request>(&self, request: &R, version: i16) -> Result<Bytes, Failure> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = frame(request, version, number, &self.client_id)?;
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).insert(number, answer);
        // Looked at after entering the list, which the reader empties after setting it.
        if self.is_gone() {
            return Err(Failure::disconnected());
        }
        let written = self.writer.lock().await.write_all(&frame).await;
        if written.is_err() {
            self.gone.store(true, Ordering::Release);
            return Err(Failure::disconnected());
        }
        let mut body = answered.await.map_err(|_| Failure::disconnected())?;
        let header_version = R::Response::header_version(version);
        ResponseHeader::decode(&mut body, header_version)
            .map_err(|error| unreadable::<R>(version, &error))?;
        Ok(body)
    }

    async fn ask_versions(&self) -> Result<ApiVersionsResponse, Failure> {
        let mut version = API_VERSIONS_NEWEST;
        loop {
            let request = ApiVersionsRequest::default()
                .with_client_software_name(StrBytes::from_static_str("klamm-tools"))
                .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
            let mut body = self.ask_bytes(&request, version).await?;
            let code = body
                .first_chunk::<2>()
                .map(|code| i16::from_be_bytes(*code));
            let too_new = code == Some(ErrorCode::UnsupportedVersion.code());
            // A broker that does not know the version answers as version 0 (KIP-511).
            let answered_as = if too_new { 0 } else { version };
            let answer = ApiVersionsResponse::decode(&mut body, answered_as)
                .map_err(|error| unreadable::<ApiVersionsRequest>(answered_as, &error))?;
            if !too_new {
                return match Failure::from_answer(answer.error_code, None) {
                    Some(failure) => Err(failure),
                    None => Ok(answer),
                };
            }
            let newest = answer
                .api_keys
                .iter()
                .find(|row| row.api_key == ApiVersionsRequest::KEY)
                .map_or(0, |row| row.max_version);
            if newest >= version {
                return Err(Failure::of(ErrorCode::UnsupportedVersion, None));
            }
            version = newest.max(0);
        }
    }
}

fn range_of(row: &ApiVersion) -> (i16, (i16, i16)) {
    (row.api_key, (row.min_version, row.max_version))
}

/// An API's name as Java writes it: `DESCRIBE_TOPIC_PARTITIONS`.
#[must_use]
pub(crate) fn api_name(key: ApiKey) -> String {
    let mut name = String::new();
    for letter in format!("{key:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

fn unreadable<R: Request>(version: i16, error: &dyn std::fmt::Display) -> Failure {
    let key = R::KEY;
    Failure::new(
        "org.apache.kafka.common.protocol.types.SchemaException",
        format!("the answer to API {key} version {version} cannot be read: {error}"),
    )
}

fn frame<R: Request>(
    request: &R,
    version: i16,
    number: i32,
    client_id: &StrBytes,
) -> Result<BytesMut, Failure> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(number)
        .with_client_id(Some(client_id.clone()));
    let unwritable = |error: anyhow::Error| {
        Failure::unsupported(format!(
            "API {} version {version} cannot say what was asked: {error}",
            R::KEY
        ))
    };
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header
        .encode(&mut frame, R::header_version(version))
        .map_err(unwritable)?;
    request.encode(&mut frame, version).map_err(unwritable)?;
    let size = i32::try_from(frame.len() - 4)
        .map_err(|_| Failure::illegal_argument("the request is larger than 2 GiB"))?;
    if let Some(front) = frame.first_chunk_mut::<4>() {
        *front = size.to_be_bytes();
    }
    Ok(frame)
}

async fn read_answers(mut reader: OwnedReadHalf, waiting: Waiting, gone: Arc<AtomicBool>) {
    while let Ok(frame) = read_frame(&mut reader).await {
        let number = frame
            .first_chunk::<4>()
            .map(|number| i32::from_be_bytes(*number));
        let asker = number.and_then(|number| lock(&waiting).remove(&number));
        match asker {
            // Who gave up waiting left the other end; the answer is nobody's.
            Some(asker) => drop(asker.send(frame)),
            None => break,
        }
    }
    gone.store(true, Ordering::Release);
    lock(&waiting).clear();
}

async fn read_frame(reader: &mut OwnedReadHalf) -> std::io::Result<Bytes> {
    let size = reader.read_i32().await?;
    let size = usize::try_from(size)
        .ok()
        .filter(|size| (4..=ANSWER_BYTES_MAX).contains(size))
        .ok_or_else(|| std::io::Error::other(format!("an answer of {size} bytes")))?;
    let mut frame = BytesMut::new();
    let mut rest = (&mut *reader).take(size as u64);
    // The buffer grows with what arrives, not with what was claimed.
    while rest.read_buf(&mut frame).await? > 0 {}
    if frame.remaining() < size {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(frame.freeze())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apis_are_named_as_in_java() {
        assert_eq!(api_name(ApiKey::Metadata), "METADATA");
        assert_eq!(
            api_name(ApiKey::DescribeTopicPartitions),
            "DESCRIBE_TOPIC_PARTITIONS"
        );
    }
}
