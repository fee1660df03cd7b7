//! Start and stop: what a node says when it cannot start, and that it stops at once whatever goes
//! on.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::messages::join_group_request::JoinGroupRequestProtocol;
use protocol::messages::{GroupId, JoinGroupRequest};
use rustix::process::Signal;
use support::node::Ended;
use support::requests::{batch, fetch_request, text};
use support::usage::cpu_time;
use support::{Client, Start, eventually};

/// How long a stop may take.
const STOP: Duration = Duration::from_secs(1);
const QUIET: Duration = Duration::from_secs(3);
const READY: &str = "Kafka Server started";

fn join_request(member: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(bytes::Bytes::from_static(b"\0\0"));
    JoinGroupRequest::default()
        .with_group_id(GroupId(text("waiting")))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// One member is in the group, a second one waits for it to join again.
fn wait_in_a_join(start: &mut Client, second: &mut Client) {
    start.find_coordinator("waiting");
    let member = eventually("a member id", || {
        let response = start.ask(7, join_request(""));
        (!response.member_id.is_empty()).then_some(response.member_id)
    });
    let joined = start.ask(7, join_request(&member));
    assert_eq!(joined.error_code, 0);
    let response = second.ask(7, join_request(""));
    second.send(7, &join_request(&response.member_id)).unwrap();
}

fn stop_under_load(signal: Signal) {
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path());
    let node = start.ready();
    let address = node.address();
    let mut client = node.client();
    client.create("load", 1, &[]);
    client.create("still", 1, &[]);
    let mut joiner = node.client();
    wait_in_a_join(&mut client, &mut joiner);
    let idle = (0..100).map(|_| node.client()).collect::<Vec<_>>();
    let mut waiting = node.client();
    waiting
        .send(12, &fetch_request("still", 0, 0, 30_000))
        .unwrap();
    let mut half = node.client();
    half.send_raw(&[0, 0, 1, 0, 0]).unwrap();
    let stopping = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let loads = [0; 3].map(|_| {
            scope.spawn(|| {
                let mut acknowledged = 0_usize;
                // The stop may come before the first of its requests.
                let Ok(mut client) = Client::try_connect(address) else {
                    return acknowledged;
                };
                while let Ok(answer) = client.try_produce("load", 0, batch(&["x"])) {
                    answer.unwrap();
                    acknowledged += 1;
                }
                assert!(stopping.load(Ordering::SeqCst), "cut before the stop");
                acknowledged
            })
        });
        eventually("some load", || {
            (client.offset("load", 0, -1).unwrap() > 100).then_some(())
        });
        stopping.store(true, Ordering::SeqCst);
        let ended = node.stop_by(signal);
        println!("{signal:?}: stopped after {:?}", ended.after);
        assert!(ended.after < STOP, "took {:?}", ended.after);
        let acknowledged: usize = loads.map(|load| load.join().unwrap()).into_iter().sum();
        // A clean stop leaves a log that nothing has to be cut from.
        let node = start.ready();
        let there = node.client().read_all("load", 0).len();
        assert!(
            there >= acknowledged,
            "{acknowledged} acknowledged, {there} there"
        );
        assert_eq!(node.complaints(), Vec::<String>::new());
    });
    drop((idle, waiting, half, joiner));
}

#[test]
fn sigterm_stops_a_busy_node_within_a_second() {
    stop_under_load(Signal::TERM);
}

#[test]
fn an_interrupt_stops_a_busy_node_within_a_second() {
    stop_under_load(Signal::INT);
}

/// The start is refused with a message that says all of `words`, and no node was ready.
fn refused(ended: &Ended, words: &[&str]) {
    let text = ended.text();
    assert!(!ended.status.success(), "it started:\n{text}");
    assert_eq!(ended.status.code(), Some(1), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
    assert!(
        !text.contains(READY) && !text.contains("panicked"),
        "{text}"
    );
}

#[test]
fn a_folder_serves_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path());
    let node = start.ready();
    let path = folder.path().display().to_string();
    refused(&start.ends(), &[&path, "locked by another process"]);
    // The first one did not notice.
    let mut client = node.client();
    client.create("on", 1, &[]);
    client.produce("on", 0, batch(&["x"])).unwrap();
    node.kill();
    start.ready().stop();
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let start = Start::new(folder.path());
    let on_taken = start
        .clone()
        .with("listeners", format!("PLAINTEXT://{address}"));
    refused(&on_taken.ends(), &["cannot listen", &address, "in use"]);
    // Nothing stands in the way of the next start.
    start.ready().stop();
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, b"not a folder").unwrap();
    let below = file.join("data");
    refused(&Start::new(&below).ends(), &[&below.display().to_string()]);
    // For root every folder is writable, but for those the kernel makes.
    let foreign = if rustix::process::geteuid().is_root() {
        Path::new("/proc/klamm-data").to_owned()
    } else {
        let closed = folder.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o500)).unwrap();
        closed
    };
    refused(
        &Start::new(&foreign).ends(),
        &[&foreign.display().to_string()],
    );
}

#[test]
fn a_bad_value_is_named_with_its_key_and_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("num.partitions", "banana", "INT"),
        ("num.partitions", "0", "at least 1"),
        ("log.retention.ms", "soon", "LONG"),
        ("auto.create.topics.enable", "maybe", "true"),
        ("log.message.timestamp.type", "Sometimes", "CreateTime"),
        ("listeners", "PLAINTEXT//127.0.0.1", "PLAINTEXT//127.0.0.1"),
        ("process.roles", "broker", "process.roles=broker,controller"),
    ];
    for (key, value, expected) in cases {
        let start = Start::new(folder.path()).with(key, value);
        refused(&start.ends(), &[key, value, expected]);
    }
    // The same from a file.
    let file = folder.path().join("server.properties");
    std::fs::write(&file, "# a comment\nnum.partitions=banana\n").unwrap();
    let start = Start::new(folder.path()).argument(file.display().to_string());
    refused(&start.ends(), &["num.partitions", "banana", "INT"]);
    let missing = folder
        .path()
        .join("missing.properties")
        .display()
        .to_string();
    refused(
        &Start::new(folder.path()).argument(&missing).ends(),
        &[&missing],
    );
}

#[test]
fn an_unknown_key_is_warned_of_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path())
        .with("nmu.partitions", "3")
        .ready();
    let complaints = node.complaints();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains("nmu.partitions"), "{complaints:?}");
    node.stop();
}

#[test]
fn an_ephemeral_node_leaves_no_folder() {
    for signal in [Signal::TERM, Signal::INT] {
        let unused = tempfile::tempdir().unwrap();
        let start = Start::new(unused.path())
            .without("log.dirs")
            .argument("--ephemeral");
        let node = start.ready();
        let line = node.wait_for_line(READY);
        let (_, rest) = line.split_once("data in ").unwrap();
        let folder = Path::new(rest.split(',').next().unwrap()).to_owned();
        assert!(
            folder.join("meta.properties").exists(),
            "{}",
            folder.display()
        );
        let mut client = node.client();
        client.create("short-lived", 3, &[]);
        client.produce("short-lived", 0, batch(&["x"])).unwrap();
        node.stop_by(signal);
        assert!(!folder.exists(), "{} is still there", folder.display());
    }
}

#[test]
fn a_folder_of_another_node_is_refused() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = Start::new(first.path()).with("node.id", 1);
    let two = Start::new(second.path()).with("node.id", 2);
    one.ready().stop();
    two.ready().stop();
    let meta = |folder: &Path| folder.join("meta.properties").display().to_string();
    // The folders change places.
    let swapped = Start::new(second.path()).with("node.id", 1);
    refused(
        &swapped.ends(),
        &[&meta(second.path()), "node id is 2, expected 1"],
    );
    let swapped = Start::new(first.path()).with("node.id", 2);
    refused(
        &swapped.ends(),
        &[&meta(first.path()), "node id is 1, expected 2"],
    );
    // The metadata log of another cluster.
    let log = "__cluster_metadata-0";
    std::fs::rename(first.path().join(log), first.path().join("own")).unwrap();
    std::fs::rename(second.path().join(log), first.path().join(log)).unwrap();
    refused(&one.ends(), &[]);
    std::fs::rename(first.path().join(log), second.path().join(log)).unwrap();
    std::fs::rename(first.path().join("own"), first.path().join(log)).unwrap();
    one.ready().stop();
    two.ready().stop();
}

#[test]
fn a_folder_with_logs_and_no_identity_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path());
    start.ready().stop();
    let meta = folder.path().join("meta.properties");
    let content = std::fs::read(&meta).unwrap();
    std::fs::remove_file(&meta).unwrap();
    let path = meta.display().to_string();
    refused(&start.ends(), &[&path, "missing"]);
    std::fs::write(&meta, b"\xff\xfe garbage").unwrap();
    // More than once: what is opened beside it must not abort a process that gives up.
    for _ in 0..20 {
        refused(&start.ends(), &[&path]);
    }
    std::fs::write(&meta, content).unwrap();
    start.ready().stop();
}

#[test]
fn the_ready_line_stands_once_and_says_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path());
    let node = start.ready();
    node.client().create("at-once", 8, &[]);
    node.stop();
    // The client is there the moment the line is, and produces without a second try.
    for _ in 0..5 {
        let node = start.ready();
        let mut client = node.client();
        for partition in 0..8 {
            client.produce("at-once", partition, batch(&["x"])).unwrap();
        }
        let line = node.wait_for_line(READY);
        let folder = folder.path().display().to_string();
        for word in ["nodeId=1", &node.address().to_string(), &folder, " ms)"] {
            assert!(line.contains(word), "{word:?} is not in {line}");
        }
        let ended = node.stop();
        let ready = ended.lines.iter().filter(|line| line.contains(READY));
        assert_eq!(ready.count(), 1, "{}", ended.text());
    }
}

#[test]
fn a_node_at_rest_is_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let node = Start::new(folder.path()).ready();
    let mut client = node.client();
    client.create("rest", 10, &[]);
    client.find_coordinator("rest");
    client.produce("rest", 0, batch(&["x"])).unwrap();
    let mut waiting = node.client();
    waiting
        .send(12, &fetch_request("rest", 0, 1, 30_000))
        .unwrap();
    for line in ["topic=\"rest\"", "topic=\"__consumer_offsets\""] {
        node.wait_for_line(line);
    }
    let (lines, used) = (node.lines().len(), cpu_time(node.pid()));
    // Nothing is waited for: time has to pass with nothing in it.
    std::thread::sleep(QUIET);
    let used = cpu_time(node.pid()) - used;
    assert_eq!(node.lines()[lines..], Vec::<String>::new());
    println!("{used:?} of processor time in {QUIET:?} at rest");
    assert!(used <= QUIET / 50, "{used:?} in {QUIET:?}");
    assert_eq!(node.complaints(), Vec::<String>::new());
    node.stop();
}
