//! A blocking client on one raw socket.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use protocol::messages::{RequestHeader, ResponseHeader, ShareFetchRequest};
use protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::DEADLINE;

/// Answers up to this size are looked through for an error that may never be seen.
const LOOKED_THROUGH_MAX: usize = 64 * 1024;

/// A request whose answer can be read and shown.
pub(crate) trait Question: Request<Response: HeaderVersion + Debug> {}
impl<R: Request<Response: HeaderVersion + Debug>> Question for R {}

pub(crate) struct Client {
    stream: TcpStream,
    next_correlation_id: i32,
    pub(crate) client_id: &'static str,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address).unwrap()
    }

    pub(crate) fn try_connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Client {
            stream,
            next_correlation_id: 1,
            client_id: "bad-days",
        })
    }

    pub(crate) fn set_deadline(&self, deadline: Duration) {
        self.stream.set_read_timeout(Some(deadline)).unwrap();
        self.stream.set_write_timeout(Some(deadline)).unwrap();
    }

    /// The answer to a request, at once or never.
    pub(crate) fn ask<R: Question>(&mut self, version: i16, request: R) -> R::Response {
        self.try_ask(version, request).expect("an answer")
    }

    pub(crate) fn try_ask<R: Question>(
        &mut self,
        version: i16,
        request: R,
    ) -> io::Result<R::Response> {
        let correlation_id = self.send(version, &request)?;
        self.answer::<R>(version, correlation_id)
    }

    /// Sends a request without waiting for its answer.
    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<i32> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let frame = frame(version, request, correlation_id, self.client_id);
        self.send_raw(&frame)?;
        Ok(correlation_id)
    }

    pub(crate) fn answer<R: Question>(
        &mut self,
        version: i16,
        correlation_id: i32,
    ) -> io::Result<R::Response> {
        let mut answer = self.read_frame()?;
        let size = answer.len();
        let header =
            ResponseHeader::decode(&mut answer, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, correlation_id);
        // kafka-protocol knows the first version of the answer only; the second is the same.
        let is_share_fetch = R::KEY == ShareFetchRequest::KEY;
        let version = if is_share_fetch { 1 } else { version };
        let response = R::Response::decode(&mut answer, version).unwrap();
        assert!(
            !answer.has_remaining(),
            "the answer is longer than its fields"
        );
        if size <= LOOKED_THROUGH_MAX {
            let text = format!("{response:?}");
            assert!(
                !text.contains("error_code: -1,"),
                "UNKNOWN_SERVER_ERROR in {text}"
            );
        }
        Ok(response)
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// One answer without its length.
    pub(crate) fn read_frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// Whether the other side closes the connection, and sends nothing before.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// A whole request as it goes over the wire.
pub(crate) fn frame<R: Request>(
    version: i16,
    request: &R,
    correlation_id: i32,
    client_id: &'static str,
) -> Vec<u8> {
    let mut body = BytesMut::new();
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str(client_id)))
        .encode(&mut body, R::header_version(version))
        .unwrap();
    request.encode(&mut body, version).unwrap();
    framed(&body)
}

/// Bytes with their length before them.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}
