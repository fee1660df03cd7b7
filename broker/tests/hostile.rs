//! Hostile and broken clients: they are answered or cut off, they cost little, and the others do
//! not notice.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DeleteGroupsRequest, DeleteRecordsRequest,
    DescribeClusterRequest, DescribeConfigsRequest, DescribeGroupsRequest,
    DescribeTopicPartitionsRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest,
    IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
    OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest, ResponseHeader,
    SyncGroupRequest,
};
use protocol::{Decodable, ErrorCode, Message as _};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use support::client::{Question, frame, framed};
use support::requests::{
    batch, checked, create_request, delete_request, fetch_request, produce_request, text,
};
use support::usage::resident_bytes;
use support::{Client, DEADLINE, Node, Start, eventually};

const MEBIBYTE: u64 = 1024 * 1024;
/// What frames of 100 MiB that do not come may cost, a thousand of them.
const GROWTH_MAX: u64 = 64 * MEBIBYTE;

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// A client that behaves, and is always served.
struct Witness {
    client: Client,
    next: i64,
}

impl Witness {
    fn new(node: &Node) -> Witness {
        let mut client = node.client();
        client.create("witness", 1, &[]);
        Witness { client, next: 0 }
    }

    fn is_served(&mut self) {
        let asked = Instant::now();
        assert_eq!(
            self.client.produce("witness", 0, batch(&["x"])),
            Ok(self.next)
        );
        self.next += 1;
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "served after {:?}",
            asked.elapsed()
        );
    }
}

#[test]
fn a_length_without_bytes_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut witness = Witness::new(&node);
    witness.is_served();
    let before = resident_bytes(node.pid());
    let announced = 100 * MEBIBYTE as u32;
    let crowd = (0..1_000).map(|_| {
        let mut stream = connect(node.address());
        stream.write_all(&announced.to_be_bytes()).unwrap();
        stream.write_all(&[0; 1024]).unwrap();
        stream
    });
    let crowd = crowd.collect::<Vec<_>>();
    for _ in 0..20 {
        witness.is_served();
    }
    let growth = resident_bytes(node.pid()).saturating_sub(before);
    println!(
        "1,000 frames of 100 MiB announced, 1 KiB sent: {} KiB more",
        growth / 1024
    );
    assert!(growth < GROWTH_MAX, "{growth} bytes");
    // One byte more than is taken is refused at once.
    let mut stream = connect(node.address());
    stream.write_all(&(announced + 1).to_be_bytes()).unwrap();
    assert_eq!(std::io::Read::read(&mut stream, &mut [0; 1]).unwrap(), 0);
    drop(crowd);
    node.stop();
}

#[test]
fn frames_that_do_come_share_one_budget() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path())
        .with("socket.request.max.bytes", 8 * MEBIBYTE)
        .with("queued.max.request.bytes", 16 * MEBIBYTE)
        .with("message.max.bytes", 8 * MEBIBYTE);
    let node = start.ready();
    let mut witness = Witness::new(&node);
    witness.is_served();
    let before = resident_bytes(node.pid());
    // Thirty times all but the last byte of a large frame: 210 MiB if all of it were taken.
    let size = 7 * MEBIBYTE as usize;
    let block = vec![0; 64 * 1024];
    let crowd = (0..30).map(|_| {
        let mut stream = connect(node.address());
        stream
            .set_write_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        stream.write_all(&(size as u32).to_be_bytes()).unwrap();
        let mut sent = 0;
        while sent + block.len() < size && stream.write_all(&block).is_ok() {
            sent += block.len();
        }
        stream
    });
    let crowd = crowd.collect::<Vec<_>>();
    for _ in 0..20 {
        witness.is_served();
    }
    let growth = resident_bytes(node.pid()).saturating_sub(before);
    println!(
        "30 frames of 7 MiB with a budget of 16: {} MiB more",
        growth / MEBIBYTE
    );
    assert!(growth < 60 * MEBIBYTE, "{growth} bytes");
    // The room comes back.
    drop(crowd);
    let mut client = node.client();
    let large = vec![b'x'; 6 * MEBIBYTE as usize];
    for _ in 0..5 {
        client.produce("witness", 0, batch(&[&large])).unwrap();
    }
    node.stop();
}

/// A header of a version without tagged fields, and a body.
fn raw(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut bytes = key.to_be_bytes().to_vec();
    bytes.extend(version.to_be_bytes());
    bytes.extend([0, 0, 0, 1, 0xff, 0xff]);
    bytes.extend(body);
    framed(&bytes)
}

/// As `raw`, in a version with tagged fields.
fn raw_flexible(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let tagged = [&[0], body].concat();
    raw(key, version, &tagged)
}

#[test]
fn frames_that_mean_nothing_close_their_connection_only() {
    let huge = [0x7f, 0xff, 0xff, 0xff];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("an empty frame", framed(&[])),
        ("a frame of one byte", framed(&[0])),
        ("a header without its end", framed(&[0, 3, 0, 0, 0, 0])),
        ("a negative length", vec![0xff, 0xff, 0xff, 0xff]),
        ("the least length", vec![0x80, 0, 0, 0]),
        ("an unknown key", raw(9_999, 0, &[])),
        ("a negative key", raw(-1, 0, &[])),
        ("an unknown version", raw(0, 99, &[])),
        ("a negative version", raw(3, -1, &[])),
        ("a Metadata of 2^31 topics", raw(3, 0, &huge)),
        (
            "a Metadata of five bytes",
            raw_flexible(3, 9, &[0x03, 0x3c, 0x0c, 0x00, 0xb6]),
        ),
        (
            "a Metadata of 2^32 topics",
            raw_flexible(3, 12, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ),
        (
            "a Produce of 2^31 topics",
            raw(
                0,
                3,
                &[&[0xff; 2][..], &[0xff, 0xff, 0, 0, 0, 1], &huge].concat(),
            ),
        ),
        (
            "a Fetch of 2^31 topics",
            raw(1, 4, &[&[0xff; 4][..], &[0; 13], &huge].concat()),
        ),
        ("a DeleteTopics of 2^31 names", raw(20, 1, &huge)),
        (
            "a string of -2 bytes",
            raw(11, 0, &[0xff, 0xfe, 0, 0, 0, 1]),
        ),
        ("a string beyond the end", raw(10, 0, &[0x7f, 0xff, b'x'])),
        (
            "a client id beyond the end",
            framed(&[0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff]),
        ),
        (
            "tagged fields without end",
            raw_flexible(3, 12, &[0x01, 0x01, 0x00, 0xff, 0xff, 0xff]),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut witness = Witness::new(&node);
    for (case, bytes) in cases {
        let mut client = node.client();
        client.send_raw(&bytes).unwrap();
        assert!(client.is_closed(), "{case}");
        witness.is_served();
    }
    assert_eq!(node.complaints(), Vec::<String>::new());
    node.stop();
}

#[test]
fn an_unknown_version_of_api_versions_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    for version in [5, 99, i16::MAX] {
        let mut client = node.client();
        client.send_raw(&raw_flexible(18, version, &[])).unwrap();
        let mut answer = client.read_frame().unwrap();
        answer.advance(4);
        assert_eq!(
            answer.get_i16(),
            ErrorCode::UnsupportedVersion.code(),
            "{version}"
        );
    }
    node.stop();
}

#[test]
fn half_frames_and_garbage_end_with_their_connection() {
    let mut random = StdRng::seed_from_u64(support::seed("garbage"));
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut witness = Witness::new(&node);
    let whole = frame(12, &MetadataRequest::default().with_topics(None), 1, "half");
    for at in 1..whole.len() {
        let mut stream = connect(node.address());
        stream.write_all(&whole[..at]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(
            std::io::Read::read(&mut stream, &mut [0; 1]).unwrap(),
            0,
            "{at} bytes"
        );
    }
    for _ in 0..200 {
        let mut garbage = vec![0; random.random_range(1..5_000)];
        random.fill_bytes(&mut garbage);
        if random.random_bool(0.5) {
            garbage = framed(&garbage);
        }
        let mut stream = connect(node.address());
        // It may be cut while it still writes.
        let _ = stream.write_all(&garbage);
        let _ = stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let ended = std::io::Read::read_to_end(&mut stream, &mut rest);
        let timed_out = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "the connection stays");
    }
    witness.is_served();
    assert_eq!(node.complaints(), Vec::<String>::new());
    node.stop();
}

/// A valid request to be damaged, and how its answer is read.
struct Specimen {
    key: i16,
    version: i16,
    frame: Vec<u8>,
    read: fn(Bytes, i16) -> String,
}

fn specimen<R: Question>(version: i16, request: R) -> Specimen {
    Specimen {
        key: R::KEY,
        version,
        frame: frame(version, &request, 1, "hostile"),
        read: |mut answer, version| {
            let header = <R::Response as protocol::HeaderVersion>::header_version(version);
            ResponseHeader::decode(&mut answer, header).unwrap();
            format!("{:?}", R::Response::decode(&mut answer, version).unwrap())
        },
    }
}

fn data_specimens() -> Vec<Specimen> {
    let produce = produce_request("target", 0, -1, Some(batch(&["a", "b", "c"])));
    vec![
        specimen(9, produce.clone()),
        specimen(3, produce.with_acks(1)),
        specimen(12, fetch_request("target", 0, 0, 0)),
        specimen(4, fetch_request("target", 1, 3, 0)),
        specimen(12, MetadataRequest::default().with_topics(None)),
        specimen(4, MetadataRequest::default().with_topics(None)),
        specimen(7, list_offsets()),
        specimen(
            4,
            InitProducerIdRequest::default().with_transactional_id(None),
        ),
        specimen(2, OffsetForLeaderEpochRequest::default()),
        specimen(4, ApiVersionsRequest::default()),
        specimen(0, ApiVersionsRequest::default()),
        specimen(2, DeleteRecordsRequest::default()),
        specimen(
            7,
            create_request("hostile", 1, &[("retention.ms", "1")]).with_validate_only(true),
        ),
        specimen(2, CreateTopicsRequest::default().with_validate_only(true)),
        specimen(6, delete_request("no-such-topic")),
        specimen(4, DescribeConfigsRequest::default()),
        specimen(
            1,
            IncrementalAlterConfigsRequest::default().with_validate_only(true),
        ),
        specimen(1, DescribeClusterRequest::default()),
        specimen(
            0,
            DescribeTopicPartitionsRequest::default().with_response_partition_limit(10),
        ),
    ]
}

fn list_offsets() -> ListOffsetsRequest {
    use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
    let partition = ListOffsetsPartition::default().with_timestamp(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(support::requests::topic_name("target"))
        .with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_topics(vec![topic])
}

fn group_specimens() -> Vec<Specimen> {
    let group = || GroupId(text("hostile"));
    vec![
        specimen(
            3,
            FindCoordinatorRequest::default().with_key(text("hostile")),
        ),
        specimen(
            4,
            FindCoordinatorRequest::default().with_coordinator_keys(vec![text("a")]),
        ),
        specimen(
            7,
            JoinGroupRequest::default()
                .with_group_id(group())
                .with_protocol_type(text("c")),
        ),
        specimen(5, SyncGroupRequest::default().with_group_id(group())),
        specimen(4, HeartbeatRequest::default().with_group_id(group())),
        specimen(4, LeaveGroupRequest::default().with_group_id(group())),
        specimen(8, OffsetCommitRequest::default().with_group_id(group())),
        specimen(
            7,
            OffsetFetchRequest::default()
                .with_group_id(group())
                .with_topics(None),
        ),
        specimen(8, OffsetFetchRequest::default()),
        specimen(
            5,
            DescribeGroupsRequest::default().with_groups(vec![group()]),
        ),
        specimen(4, ListGroupsRequest::default()),
        specimen(
            2,
            DeleteGroupsRequest::default().with_groups_names(vec![group()]),
        ),
    ]
}

/// Numbers that break things.
const NUMBERS: [i32; 8] = [i32::MIN, i32::MAX, -1, -2, 0, 1, 0x7fff, 0x00ff_ffff];

/// Damages a frame behind its length; the length is made right again, mostly.
fn mutate(frame: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut body = frame[4..].to_vec();
    for _ in 0..random.random_range(1..=3) {
        // The header is worth less than what is behind it.
        let from = if random.random_bool(0.1) {
            0
        } else {
            8.min(body.len())
        };
        if from >= body.len() {
            break;
        }
        let at = random.random_range(from..body.len());
        match random.random_range(0..6) {
            0 => body[at] ^= 1 << random.random_range(0..8),
            1 => body[at] = random.random(),
            2 => body.truncate(at),
            3 => body.insert(at, random.random()),
            4 => {
                let number = NUMBERS[random.random_range(0..NUMBERS.len())].to_be_bytes();
                let end = body.len().min(at + 4);
                body[at..end].copy_from_slice(&number[..end - at]);
            }
            _ => {
                let piece = body[at..body.len().min(at + 16)].to_vec();
                body.splice(at..at, piece);
            }
        }
    }
    let mut mutated = framed(&body);
    if random.random_bool(0.02) {
        mutated[3] ^= 1;
    }
    mutated
}

/// Sends damaged requests for a while; gives back how many, and how many were answered.
fn attack(address: SocketAddr, specimens: &[Specimen], seed: u64, until: Instant) -> (u32, u32) {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut sent, mut answered) = (0, 0);
    let mut connection = None;
    while Instant::now() < until {
        let specimen = &specimens[random.random_range(0..specimens.len())];
        let mutated = mutate(&specimen.frame, &mut random);
        let mut client = connection.take().unwrap_or_else(|| {
            let client = Client::connect(address);
            // Some wait for more, some wait for what they ask to wait for.
            client.set_deadline(Duration::from_millis(100));
            client
        });
        sent += 1;
        if client.send_raw(&mutated).is_err() {
            continue;
        }
        let Ok(answer) = client.read_frame() else {
            continue;
        };
        answered += 1;
        let expected = [specimen.key.to_be_bytes(), specimen.version.to_be_bytes()].concat();
        // Another key or version is answered in another form.
        if mutated.get(4..8) == Some(&expected[..]) {
            let text = (specimen.read)(answer, specimen.version);
            let unknown = text.contains("error_code: -1,");
            assert!(
                !unknown,
                "seed {seed}: UNKNOWN_SERVER_ERROR to {mutated:02x?}: {text}"
            );
        }
        connection = Some(client);
    }
    (sent, answered)
}

#[test]
fn damaged_requests_never_harm_the_broker() {
    let seed = support::seed("damaged requests");
    let folder = tempfile::tempdir().unwrap();
    let mut node = Start::new(folder.path()).ready();
    let mut witness = Witness::new(&node);
    let mut client = node.client();
    client.create("target", 2, &[]);
    client.find_coordinator("hostile");
    let before = resident_bytes(node.pid());
    let (address, until) = (node.address(), Instant::now() + Duration::from_secs(15));
    let specimens = [data_specimens(), group_specimens()];
    std::thread::scope(|scope| {
        let attacks = (0..4).map(|number| {
            let specimens = &specimens[number % 2];
            scope.spawn(move || attack(address, specimens, seed + number as u64, until))
        });
        let attacks = attacks.collect::<Vec<_>>();
        while Instant::now() < until {
            witness.is_served();
            std::thread::sleep(Duration::from_millis(20));
        }
        let counts = attacks.into_iter().map(|attack| attack.join().unwrap());
        let (sent, answered) = counts.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        println!("{sent} damaged requests, {answered} answered");
        assert!(sent > 1_000 && answered > 100, "hardly anything was tried");
    });
    assert!(node.is_running());
    let growth = resident_bytes(node.pid()).saturating_sub(before);
    println!("{} MiB more", growth / MEBIBYTE);
    assert!(growth < 200 * MEBIBYTE, "{growth} bytes");
    let errors = node
        .complaints()
        .into_iter()
        .filter(|line| line.contains(" ERROR "));
    assert_eq!(errors.collect::<Vec<_>>(), Vec::<String>::new());
    witness.is_served();
    node.stop();
}

#[test]
fn no_request_makes_more_partitions_than_fit() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    for partitions in [i32::MAX, 1_000_000, 10_001] {
        let response = client.ask(7, create_request("huge", partitions, &[]));
        let code = checked(response.topics[0].error_code);
        assert_eq!(code, Err(ErrorCode::PolicyViolation), "{partitions}");
    }
    for partitions in [0, -2, i32::MIN] {
        let response = client.ask(7, create_request("none", partitions, &[]));
        let code = checked(response.topics[0].error_code);
        assert_eq!(code, Err(ErrorCode::InvalidPartitions), "{partitions}");
    }
    node.stop();
}

#[test]
fn no_client_writes_to_an_internal_topic() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    client.create("plain", 1, &[]);
    client.find_coordinator("readers");
    eventually("a commit", || {
        client.try_commit("readers", "plain", 5).unwrap().ok()
    });
    for client_id in ["__admin_client", "", "klamm", "controller"] {
        let mut client = node.client();
        client.client_id = client_id;
        for partition in 0..3 {
            let refused = client.produce("__consumer_offsets", partition, batch(&["junk"]));
            assert_eq!(
                refused,
                Err(ErrorCode::InvalidTopicException),
                "{client_id:?}"
            );
            let refused = client.delete_records("__consumer_offsets", partition, -1);
            assert_eq!(
                refused,
                Err(ErrorCode::InvalidTopicException),
                "{client_id:?}"
            );
        }
        // Without acks the closed connection is the answer.
        let request = produce_request("__consumer_offsets", 0, 0, Some(batch(&["junk"])));
        client.send(9, &request).unwrap();
        assert!(client.is_closed(), "{client_id:?}");
        // Nor to the metadata log, which is no topic.
        let mut client = node.client();
        client.client_id = client_id;
        let refused = client.produce("__cluster_metadata", 0, batch(&["junk"]));
        assert!(refused.is_err(), "{client_id:?}");
    }
    assert_eq!(client.committed("readers", "plain"), Ok(5));
    node.stop();
    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    let committed = eventually("the group", || client.committed("readers", "plain").ok());
    assert_eq!(committed, 5);
    node.stop();
}

#[test]
fn null_records_get_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    client.create("plain", 1, &[]);
    for version in ProduceRequest::VERSIONS.min.max(3)..=12 {
        for records in [None, Some(Bytes::new())] {
            let response = client.ask(version, produce_request("plain", 0, -1, records));
            let partition = &response.responses[0].partition_responses[0];
            assert_eq!(
                checked(partition.error_code),
                Err(ErrorCode::InvalidRecord),
                "{version}"
            );
        }
    }
    assert_eq!(client.produce("plain", 0, batch(&["x"])), Ok(0));
    node.stop();
}
