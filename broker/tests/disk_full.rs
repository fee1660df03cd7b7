//! A full disk stops writes, not the node: reads and administration go on, deleting makes room, and
//! writes resume by themselves.
//!
//! The disk is a small tmpfs in a mount namespace of its own, so nothing is left behind; that needs
//! root or user namespaces, and the test says so where it has neither.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use protocol::messages::join_group_request::JoinGroupRequestProtocol;
use protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, MetadataRequest, SyncGroupRequest,
};
use support::requests::{Read, batch, text};
use support::{Client, Node, Start, eventually, within};

const DISK: &str = "40m";
/// From the moment there is room to the first write.
const RESUMED: Duration = Duration::from_secs(5);

/// A process that holds a small file system.
struct Disk {
    holder: Child,
    /// The folder as the broker sees it.
    folder: PathBuf,
    _place: tempfile::TempDir,
}

impl Disk {
    fn mount() -> Disk {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().to_owned();
        let script = format!(
            "mount -t tmpfs -o size={DISK} klamm-test '{}' && echo mounted && exec sleep 600",
            folder.display()
        );
        let mut holder = Command::new("unshare")
            .args(user_namespace(&["--user", "--map-root-user"]))
            .args(["--mount", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare of util-linux");
        let mut line = String::new();
        let output = holder.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert_eq!(
            line.trim(),
            "mounted",
            "this test mounts a tmpfs, which takes root or user namespaces"
        );
        Disk {
            holder,
            folder,
            _place: place,
        }
    }

    /// Starts a broker that sees the disk.
    fn start(&self) -> Start {
        let pid = self.holder.id().to_string();
        let mut command = vec!["nsenter", "--target", &pid, "--mount"];
        command.extend(user_namespace(&["--user", "--preserve-credentials"]));
        command.push("--");
        Start::new(&self.folder)
            .with("log.flush.offset.checkpoint.interval.ms", 200)
            .with("log.retention.check.interval.ms", 200)
            .through(&command)
    }

    /// The folder as this process sees it.
    fn seen(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.folder.strip_prefix("/").unwrap())
    }

    /// Takes all the room there is.
    fn fill(&self) -> PathBuf {
        let path = self.seen().join("ballast");
        let mut file = File::create(&path).unwrap();
        let block = vec![0; 64 * 1024];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&block[..512]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The file system goes with the last process in it.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Root needs no user namespace to mount something.
fn user_namespace<'a>(options: &[&'a str]) -> Vec<&'a str> {
    if rustix::process::geteuid().is_root() {
        Vec::new()
    } else {
        options.to_vec()
    }
}

/// Topics, and every record that was acknowledged.
struct Load {
    topics: Vec<(&'static str, Vec<Read>)>,
}

impl Load {
    fn new(client: &mut Client) -> Load {
        let topics = [
            ("plain", vec![]),
            ("synced", vec![("flush.messages", "1")]),
            ("rolling", vec![("internal.segment.bytes", "65536")]),
        ];
        for (topic, configs) in &topics {
            client.create(topic, 1, configs);
        }
        Load {
            topics: topics.map(|(topic, _)| (topic, Vec::new())).into(),
        }
    }

    /// Produces to one topic.
    fn produce(&mut self, client: &mut Client, at: usize, size: usize) -> Result<(), ErrorCode> {
        let (topic, records) = &mut self.topics[at];
        let value = format!("{topic} {} {}", records.len(), "x".repeat(size)).into_bytes();
        let offset = client.produce(topic, 0, batch(&[&value]))?;
        records.push((offset, value));
        Ok(())
    }

    /// Produces until every topic is refused, always with the code that names it.
    fn produce_until_full(&mut self, client: &mut Client) {
        for at in 0..self.topics.len() {
            eventually("a produce that is refused", || {
                let code = self.produce(client, at, 5_000).err()?;
                assert_eq!(code, ErrorCode::KafkaStorageError);
                Some(())
            });
        }
    }

    /// Nothing that was acknowledged is lost or changed, nothing else is there.
    fn verify(&self, client: &mut Client) {
        for (topic, records) in &self.topics {
            let found = client.read_all(topic, 0);
            assert_eq!(found.len(), records.len(), "{topic}");
            assert!(
                found == *records,
                "{topic}: other records than were acknowledged"
            );
        }
    }
}

/// A group of one member, stable.
struct Member {
    client: Client,
    id: protocol::StrBytes,
    generation: i32,
}

const GROUP: &str = "followers";
/// A group without members: its consumers only commit.
const SIMPLE: &str = "simple";

impl Member {
    fn join(node: &Node) -> Member {
        let mut client = node.client();
        client.find_coordinator(GROUP);
        let mut join = JoinGroupRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_session_timeout_ms(60_000)
            .with_rebalance_timeout_ms(60_000)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![
                JoinGroupRequestProtocol::default()
                    .with_name(text("range"))
                    .with_metadata(bytes::Bytes::from_static(b"\0\0")),
            ]);
        join.member_id = eventually("a member id", || {
            let response = client.ask(7, join.clone());
            (!response.member_id.is_empty()).then_some(response.member_id)
        });
        let joined = client.ask(7, join.clone());
        assert_eq!(joined.error_code, 0);
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(join.member_id.clone())
            .with_assignment(bytes::Bytes::from_static(b"\0\0"));
        let sync = SyncGroupRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_generation_id(joined.generation_id)
            .with_member_id(join.member_id.clone())
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(vec![assignment]);
        assert_eq!(client.ask(5, sync).error_code, 0);
        Member {
            client,
            id: join.member_id,
            generation: joined.generation_id,
        }
    }

    fn heartbeat(&mut self) {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone());
        assert_eq!(self.client.ask(4, request).error_code, 0);
    }
}

fn resumes(client: &mut Client, load: &mut Load) {
    let room = Instant::now();
    for at in 0..load.topics.len() {
        within(RESUMED, "a write after there is room", || {
            load.produce(client, at, 100).ok()
        });
    }
    println!("writes resumed {:?} after there was room", room.elapsed());
}

/// What must go on while nothing can be written.
fn goes_on(node: &Node, load: &Load, member: &mut Member) {
    let mut client = node.client();
    load.verify(&mut client);
    let metadata = client.ask(12, MetadataRequest::default().with_topics(None));
    assert!(metadata.topics.len() > load.topics.len());
    member.heartbeat();
    assert_eq!(client.committed(SIMPLE, "plain"), Ok(3));
    // Refused with a name and in time, or taken where there was room for it.
    let create = client.try_create("one-more", 1).unwrap();
    println!("CreateTopics on a full disk: {create:?}");
    let commit = client.try_commit(SIMPLE, "plain", 3).unwrap();
    println!("OffsetCommit on a full disk: {commit:?}");
}

#[test]
fn writes_wait_for_room_and_nothing_else_does() {
    let disk = Disk::mount();
    let mut node = disk.start().ready();
    let mut client = node.client();
    let mut load = Load::new(&mut client);
    for at in 0..3 {
        for _ in 0..50 {
            load.produce(&mut client, at, 1_000).unwrap();
        }
    }
    let mut member = Member::join(&node);
    client.try_commit(SIMPLE, "plain", 3).unwrap().unwrap();
    for _ in 0..2 {
        let ballast = disk.fill();
        load.produce_until_full(&mut client);
        goes_on(&node, &load, &mut member);
        // Checkpoints are due several times meanwhile.
        std::thread::sleep(Duration::from_millis(700));
        load.produce_until_full(&mut client);
        assert!(node.is_running());
        std::fs::remove_file(ballast).unwrap();
        resumes(&mut client, &mut load);
        client.create(&format!("after-{}", load.topics[0].1.len()), 3, &[]);
        load.verify(&mut client);
        member.heartbeat();
    }
    drop((client, member));
    node.kill();
    let node = disk.start().ready();
    load.verify(&mut node.client());
    node.stop();
}

#[test]
fn deleting_makes_room_on_a_full_disk() {
    let disk = Disk::mount();
    let node = disk.start().ready();
    let mut client = node.client();
    let mut load = Load::new(&mut client);
    client.create("records", 1, &[("internal.segment.bytes", "1048576")]);
    client.create("topic", 1, &[]);
    let value = vec![b'x'; 500_000];
    for _ in 0..10 {
        client.produce("records", 0, batch(&[&value])).unwrap();
        client.produce("topic", 0, batch(&[&value])).unwrap();
    }
    client
        .set_topic_config("records", "file.delete.delay.ms", "0")
        .unwrap()
        .unwrap();
    disk.fill();
    load.produce_until_full(&mut client);
    assert_eq!(client.delete_records("records", 0, -1), Ok(10));
    resumes(&mut client, &mut load);
    assert_eq!(client.offset("records", 0, -2), Ok(10));
    // Full again.
    while load.produce(&mut client, 0, 500_000).is_ok() {}
    load.produce_until_full(&mut client);
    assert_eq!(client.try_delete("topic").unwrap(), Ok(()));
    resumes(&mut client, &mut load);
    drop(client);
    node.kill();
    let node = disk.start().ready();
    let mut client = node.client();
    load.verify(&mut client);
    assert_eq!(client.offset("records", 0, -2), Ok(10));
    assert_ne!(client.topic("topic").error_code, 0);
    node.stop();
}

#[test]
fn a_node_that_died_on_a_full_disk_starts_once_there_is_room() {
    let disk = Disk::mount();
    let node = disk.start().ready();
    let mut client = node.client();
    let mut load = Load::new(&mut client);
    for at in 0..3 {
        load.produce(&mut client, at, 1_000).unwrap();
    }
    let ballast = disk.fill();
    load.produce_until_full(&mut client);
    drop(client);
    node.kill();
    // It waits and says so; it neither gives up nor breaks anything.
    let starting = disk.start().starting();
    starting.wait_for_line("room");
    std::fs::remove_file(ballast).unwrap();
    let node = starting.ready();
    let mut client = node.client();
    load.verify(&mut client);
    resumes(&mut client, &mut load);
    drop(client);
    node.stop();
    assert!(
        Path::new(&disk.seen())
            .join(".kafka_cleanshutdown")
            .exists()
    );
}

/// What cannot be put back for want of room is told, and is put back once there is room.
#[test]
fn a_reset_on_a_full_disk_ends_and_works_once_there_is_room() {
    let disk = Disk::mount();
    let start = disk
        .start()
        .with("klamm.admin.listener", "127.0.0.1:0")
        .with("klamm.test.mode", "true")
        .with(
            "klamm.seed",
            "topics: [{name: kept, partitions: 2, records: [{value: seeded}]}]",
        );
    let node = start.ready();
    let (http, mut client) = (node.http(), node.client());
    let mut load = Load::new(&mut client);
    for round in 0..3 {
        client.produce("kept", 0, batch(&["more"])).unwrap();
        client.try_delete("kept").unwrap().unwrap();
        client.create("kept", 1, &[]);
        let ballast = disk.fill();
        if round == 0 {
            load.produce_until_full(&mut client);
        }
        let nothing = serde_json::json!({});
        let answer = http.post("/v1/reset", &nothing);
        println!("reset on a full disk: {} {}", answer.status, answer.body);
        assert!([200, 500].contains(&answer.status), "{answer:?}");
        assert_eq!(http.get("/healthz").status, 200);
        std::fs::remove_file(ballast).unwrap();
        within(RESUMED, "a reset after there is room", || {
            (http.post("/v1/reset", &nothing).status == 200).then_some(())
        });
        assert_eq!(client.read_all("kept", 0), [(0, b"seeded".to_vec())]);
        assert_eq!(client.topic("kept").partitions.len(), 2);
        assert_ne!(client.topic("plain").error_code, 0);
        for partition in [0, 1] {
            within(RESUMED, "a produce after the reset", || {
                client.produce("kept", partition, batch(&["next"])).ok()
            });
        }
    }
    drop(client);
    node.kill();
    let node = start.ready();
    assert_eq!(node.client().offset("kept", 0, -1), Ok(2));
    node.stop();
}
