//! The few requests a load needs, written by hand, and a connection that reads answers as a stream.
//!
//! Versions are the newest before the flexible ones: both brokers serve them, and the bytes around
//! the records are as few as in the newest.

pub(crate) mod groups;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const PRODUCE: (i16, i16) = (0, 8);
const FETCH: (i16, i16) = (1, 11);
const API_VERSIONS: (i16, i16) = (18, 0);
const CREATE_TOPICS: (i16, i16) = (19, 4);
const DELETE_TOPICS: (i16, i16) = (20, 3);
const FIND_COORDINATOR: (i16, i16) = (10, 2);
/// Transactions v2 begin with these versions, which are flexible.
const PRODUCE_ADDING: (i16, i16) = (0, 12);
const INIT_PRODUCER_ID: (i16, i16) = (22, 4);
const END_TXN: (i16, i16) = (26, 5);

/// Error codes that a client answers by trying again.
const RETRIABLE: [i16; 6] = [3, 5, 6, 7, 14, 15];
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
const READ_BUFFER: usize = 256 * 1024;
/// More than any answer but a fetch has.
const ANSWER_SIZE_MAX: usize = 1 << 20;

/// A request under construction: length, header, body.
pub(crate) struct Request(Vec<u8>);

impl Request {
    fn new((key, version): (i16, i16)) -> Self {
        let mut request = Request(vec![0; 4]);
        request.i16(key);
        request.i16(version);
        request.i32(0);
        request.string("bench");
        request
    }

    /// One of a flexible version, without tagged fields.
    fn flexible(api: (i16, i16)) -> Self {
        let mut request = Request::new(api);
        request.no_tags();
        request
    }

    fn no_tags(&mut self) {
        self.0.push(0);
    }

    /// Lengths and counts of flexible versions are one more than they are.
    fn compact(&mut self, count: usize) {
        let mut rest = count + 1;
        while rest >= 0x80 {
            self.0.push((rest & 0x7F) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    fn compact_bytes(&mut self, value: &[u8]) {
        self.compact(value.len());
        self.0.extend_from_slice(value);
    }

    fn i8(&mut self, value: i8) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn i16(&mut self, value: i16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Names here are short constants of ours.
    fn string(&mut self, value: &str) {
        self.i16(value.len() as i16);
        self.0.extend_from_slice(value.as_bytes());
    }

    fn count(&mut self, count: usize) {
        self.i32(count as i32);
    }

    fn finish(mut self) -> Vec<u8> {
        let length = (self.0.len() - 4) as i32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// A Produce request with acks=all: one batch for each partition named.
pub(crate) fn produce(topic: &str, batches: &[(i32, Vec<u8>)]) -> Vec<u8> {
    let mut request = Request::new(PRODUCE);
    request.i16(-1);
    request.i16(-1);
    request.i32(30_000);
    request.count(1);
    request.string(topic);
    request.count(batches.len());
    for (partition, batch) in batches {
        request.i32(*partition);
        request.count(batch.len());
        request.0.extend_from_slice(batch);
    }
    request.finish()
}

/// A Fetch request outside any session, with a consumer's usual bounds but for `partition_bytes`.
pub(crate) fn fetch(topic: &str, offsets: &[(i32, i64)], partition_bytes: i32) -> Vec<u8> {
    let mut request = Request::new(FETCH);
    request.i32(-1);
    request.i32(500);
    request.i32(1);
    request.i32(50 << 20);
    request.i8(0);
    request.i32(0);
    request.i32(-1);
    request.count(1);
    request.string(topic);
    request.count(offsets.len());
    for (partition, offset) in offsets {
        request.i32(*partition);
        request.i32(-1);
        request.i64(*offset);
        request.i64(-1);
        request.i32(partition_bytes);
    }
    request.count(0);
    request.string("");
    request.finish()
}

/// The answer's bytes, read in order.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, rest) = self
            .0
            .split_at_checked(count)
            .context("the answer is shorter than its fields")?;
        self.0 = rest;
        Ok(head)
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into()?))
    }

    /// A length or count of a flexible version; null counts as none.
    fn compact(&mut self) -> Result<usize> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let [byte] = self.take(1)?.try_into()?;
            value |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return Ok(value.saturating_sub(1));
            }
            ensure!(shift < 35, "a length longer than five bytes");
        }
    }

    fn nullable_string(&mut self) -> Result<()> {
        let length = self.i16()?;
        self.take(usize::try_from(length).unwrap_or(0)).map(drop)
    }
}

/// What a Fetch answer brought for one partition.
#[derive(Default)]
pub(crate) struct Fetched {
    pub(crate) partition: i32,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Where to go on, if a whole batch came.
    pub(crate) next_offset: Option<i64>,
}

/// Who a transactional producer is at the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

fn refused(code: i16) -> Result<(), i16> {
    if code == 0 { Ok(()) } else { Err(code) }
}

/// One connection; requests go out as they are, answers are read through one small buffer.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    from: usize,
    until: usize,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection {
            stream,
            buffer: vec![0; READ_BUFFER],
            from: 0,
            until: 0,
            answer: Vec::new(),
        })
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).context("sending a request")
    }

    fn fill(&mut self) -> Result<()> {
        self.from = 0;
        self.until = self
            .stream
            .read(&mut self.buffer)
            .context("reading an answer")?;
        ensure!(self.until > 0, "the broker closed the connection");
        Ok(())
    }

    fn read(&mut self, target: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < target.len() {
            if self.from == self.until {
                self.fill()?;
            }
            let count = (target.len() - done).min(self.until - self.from);
            target[done..done + count].copy_from_slice(&self.buffer[self.from..self.from + count]);
            self.from += count;
            done += count;
        }
        Ok(())
    }

    /// Reads and forgets.
    pub(crate) fn skip(&mut self, mut count: usize) -> Result<()> {
        while count > 0 {
            if self.from == self.until {
                self.fill()?;
            }
            let step = count.min(self.until - self.from);
            self.from += step;
            count -= step;
        }
        Ok(())
    }

    fn i16(&mut self) -> Result<i16> {
        let mut bytes = [0; 2];
        self.read(&mut bytes)?;
        Ok(i16::from_be_bytes(bytes))
    }

    fn i32(&mut self) -> Result<i32> {
        let mut bytes = [0; 4];
        self.read(&mut bytes)?;
        Ok(i32::from_be_bytes(bytes))
    }

    fn count(&mut self) -> Result<usize> {
        Ok(usize::try_from(self.i32()?).unwrap_or(0))
    }

    /// Reads one whole answer, without its correlation id.
    fn answer(&mut self) -> Result<Answer<'_>> {
        let length = self.count()?;
        ensure!(
            (4..=ANSWER_SIZE_MAX).contains(&length),
            "an answer of {length} bytes"
        );
        let mut answer = std::mem::take(&mut self.answer);
        answer.resize(length, 0);
        self.read(&mut answer)?;
        self.answer = answer;
        Ok(Answer(&self.answer[4..]))
    }

    /// Reads the answer to a Produce request: the first error code that is not 0.
    pub(crate) fn produced(&mut self) -> Result<i16> {
        let mut answer = self.answer()?;
        let mut error = 0;
        for _ in 0..answer.i32()? {
            answer.nullable_string()?;
            for _ in 0..answer.i32()? {
                answer.i32()?;
                let code = answer.i16()?;
                if error == 0 {
                    error = code;
                }
                answer.take(24)?;
                for _ in 0..answer.i32()? {
                    answer.i32()?;
                    answer.nullable_string()?;
                }
                answer.nullable_string()?;
            }
        }
        Ok(error)
    }

    /// Sends a Produce request until every partition has taken it.
    pub(crate) fn produce_until_taken(&mut self, request: &[u8]) -> Result<()> {
        loop {
            self.send(request)?;
            match self.produced()? {
                0 => return Ok(()),
                code if RETRIABLE.contains(&code) => std::thread::sleep(Duration::from_millis(1)),
                code => bail!("produce answered error code {code}"),
            }
        }
    }

    pub(crate) fn api_versions(&mut self) -> Result<()> {
        self.send(&Request::new(API_VERSIONS).finish())?;
        let code = self.answer()?.i16()?;
        ensure!(code == 0, "ApiVersions answered error code {code}");
        Ok(())
    }

    /// Creates a topic, or finds it there.
    pub(crate) fn create_topic(&mut self, topic: &str, partitions: usize) -> Result<()> {
        let mut request = Request::new(CREATE_TOPICS);
        request.count(1);
        request.string(topic);
        request.count(partitions);
        request.i16(1);
        request.count(0);
        // The files of a deleted topic leave the disk before the next case needs it.
        request.count(1);
        request.string("file.delete.delay.ms");
        request.string("1000");
        request.i32(30_000);
        request.i8(0);
        let request = request.finish();
        loop {
            self.send(&request)?;
            let mut answer = self.answer()?;
            answer.take(8)?;
            answer.nullable_string()?;
            match answer.i16()? {
                0 | TOPIC_ALREADY_EXISTS => return Ok(()),
                code if RETRIABLE.contains(&code) => std::thread::sleep(Duration::from_millis(1)),
                code => bail!("CreateTopics answered error code {code}"),
            }
        }
    }

    pub(crate) fn find_transaction_coordinator(
        &mut self,
        transactional_id: &str,
    ) -> Result<Result<(), i16>> {
        self.find_coordinator(transactional_id, 1)
    }

    fn find_coordinator(&mut self, key: &str, key_type: i8) -> Result<Result<(), i16>> {
        let mut request = Request::new(FIND_COORDINATOR);
        request.string(key);
        request.i8(key_type);
        self.send(&request.finish())?;
        let mut answer = self.answer()?;
        answer.i32()?;
        Ok(refused(answer.i16()?))
    }

    pub(crate) fn init_producer_id(
        &mut self,
        transactional_id: &str,
    ) -> Result<Result<Identity, i16>> {
        let mut request = Request::flexible(INIT_PRODUCER_ID);
        request.compact_bytes(transactional_id.as_bytes());
        request.i32(60_000);
        request.i64(-1);
        request.i16(-1);
        request.no_tags();
        self.send(&request.finish())?;
        self.identity()
    }

    /// Ends the transaction; what is given back is the identity of the next one.
    pub(crate) fn commit(
        &mut self,
        transactional_id: &str,
        identity: Identity,
    ) -> Result<Result<Identity, i16>> {
        let mut request = Request::flexible(END_TXN);
        request.compact_bytes(transactional_id.as_bytes());
        request.i64(identity.id);
        request.i16(identity.epoch);
        request.i8(1);
        request.no_tags();
        self.send(&request.finish())?;
        self.identity()
    }

    /// The answers to InitProducerId and EndTxn are alike.
    fn identity(&mut self) -> Result<Result<Identity, i16>> {
        let mut answer = self.answer()?;
        // Tagged fields of the header, throttle time.
        answer.take(5)?;
        let code = refused(answer.i16()?);
        let (id, epoch) = (answer.i64()?, answer.i16()?);
        Ok(code.map(|()| Identity { id, epoch }))
    }

    /// Sends one batch, which begins a transaction in its partition.
    pub(crate) fn produce_in_transaction(
        &mut self,
        transactional_id: &str,
        topic: &str,
        partition: i32,
        batch: &[u8],
    ) -> Result<Result<(), i16>> {
        let mut request = Request::flexible(PRODUCE_ADDING);
        request.compact_bytes(transactional_id.as_bytes());
        request.i16(-1);
        request.i32(30_000);
        request.compact(1);
        request.compact_bytes(topic.as_bytes());
        request.compact(1);
        request.i32(partition);
        request.compact_bytes(batch);
        request.no_tags();
        request.no_tags();
        request.no_tags();
        self.send(&request.finish())?;
        let mut answer = self.answer()?;
        answer.take(1)?;
        ensure!(answer.compact()? == 1, "Produce answered no topic");
        let name = answer.compact()?;
        answer.take(name)?;
        ensure!(answer.compact()? == 1, "Produce answered no partition");
        answer.i32()?;
        Ok(refused(answer.i16()?))
    }

    pub(crate) fn delete_topic(&mut self, topic: &str) -> Result<()> {
        let mut request = Request::new(DELETE_TOPICS);
        request.count(1);
        request.string(topic);
        request.i32(30_000);
        self.send(&request.finish())?;
        let mut answer = self.answer()?;
        answer.take(8)?;
        answer.nullable_string()?;
        let code = answer.i16()?;
        ensure!(code == 0, "DeleteTopics answered error code {code}");
        Ok(())
    }

    /// Reads the answer to a Fetch request of one topic; records are walked by their batches'
    /// headers and dropped.
    pub(crate) fn fetched(&mut self, found: &mut Vec<Fetched>) -> Result<()> {
        found.clear();
        // Length, correlation id, throttle time.
        self.skip(12)?;
        let code = self.i16()?;
        ensure!(code == 0, "Fetch answered error code {code}");
        self.skip(4)?;
        for _ in 0..self.count()? {
            let name = usize::try_from(self.i16()?).unwrap_or(0);
            self.skip(name)?;
            for _ in 0..self.count()? {
                let partition = self.fetched_partition()?;
                found.push(partition);
            }
        }
        Ok(())
    }

    fn fetched_partition(&mut self) -> Result<Fetched> {
        let partition = self.i32()?;
        let code = self.i16()?;
        ensure!(
            code == 0,
            "Fetch answered error code {code} for partition {partition}"
        );
        self.skip(24)?;
        let aborted = self.count()?;
        self.skip(aborted * 16 + 4)?;
        let mut rest = self.count()?;
        let mut fetched = Fetched {
            partition,
            ..Fetched::default()
        };
        let mut header = [0; 61];
        while rest > header.len() {
            self.read(&mut header)?;
            rest -= header.len();
            let mut fields = Answer(&header);
            let base = i64::from_be_bytes(fields.take(8)?.try_into()?);
            let size = usize::try_from(fields.i32()?)? + 12;
            fields.take(11)?;
            let last = i64::from(fields.i32()?);
            fields.take(30)?;
            let body = size
                .checked_sub(header.len())
                .context("a batch shorter than its header")?;
            if body > rest {
                // The cut-off batch at the end of an answer is asked for again.
                break;
            }
            self.skip(body)?;
            rest -= body;
            fetched.records += u64::try_from(fields.i32()?)?;
            fetched.bytes += size as u64;
            fetched.next_offset = Some(base + last + 1);
        }
        self.skip(rest)?;
        Ok(fetched)
    }
}
