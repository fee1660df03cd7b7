//! Too many open files: accept waits, files are closed and opened again, nothing dies and nothing
//! that was acknowledged is lost.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use support::requests::{Read, batch};
use support::usage::{cpu_time, open_files};
use support::{Client, Node, Start, eventually};

/// Descriptors that the broker may have.
const LIMIT: usize = 200;
const CONNECTIONS: usize = 500;
const PARTITIONS: i32 = 100;
const MEASURED: Duration = Duration::from_millis(700);
const WINDOWS: usize = 4;

fn start(folder: &std::path::Path) -> Start {
    let limit = format!("--nofile={LIMIT}:{LIMIT}");
    Start::new(folder)
        .with("socket.listen.backlog.size", CONNECTIONS)
        .with("log.flush.offset.checkpoint.interval.ms", 1500)
        .through(&["prlimit", limit.as_str(), "--"])
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect_timeout(&address, support::DEADLINE).unwrap()
}

/// Batches to all partitions, in turn; segments roll after every few.
fn load(client: &mut Client, acknowledged: &mut [Vec<Read>], rounds: usize) {
    for _ in 0..rounds {
        for (partition, records) in (0..).zip(acknowledged.iter_mut()) {
            let value = format!("{partition} {} {}", records.len(), "x".repeat(900));
            let offset = client
                .produce("rolling", partition, batch(&[&value]))
                .unwrap();
            records.push((offset, value.into_bytes()));
        }
    }
}

fn verify(node: &Node, acknowledged: &[Vec<Read>]) {
    let mut client = node.client();
    for (partition, records) in (0..).zip(acknowledged) {
        assert!(
            client.read_all("rolling", partition) == *records,
            "partition {partition}"
        );
    }
}

#[test]
fn a_node_without_descriptors_serves_whom_it_has_and_waits_for_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = start(folder.path()).ready();
    let mut client = node.client();
    client.create("rolling", PARTITIONS, &[("internal.segment.bytes", "4096")]);
    let mut acknowledged = vec![Vec::new(); PARTITIONS as usize];
    load(&mut client, &mut acknowledged, 3);
    let crowd = (0..CONNECTIONS)
        .map(|_| connect(node.address()))
        .collect::<Vec<_>>();
    node.wait_for_line("cannot accept a connection");
    // Segments that roll need new files all the time; those have to come from somewhere.
    load(&mut client, &mut acknowledged, 9);
    assert!(open_files(node.pid()) <= LIMIT);
    // Nothing is waited for: the accept loop has to show what it costs. A checkpoint of a hundred logs
    // falls into some of the windows; what spins does so in all.
    let windows = (0..WINDOWS).map(|_| {
        let used = cpu_time(node.pid());
        std::thread::sleep(MEASURED);
        cpu_time(node.pid()) - used
    });
    let used = windows.min().unwrap();
    println!("{used:?} of processor time in {MEASURED:?} without descriptors");
    assert!(
        used <= MEASURED / 20,
        "accept spins: {used:?} in {MEASURED:?}"
    );
    let complaints = node.complaints();
    assert!(
        complaints.len() < 20,
        "{} lines:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
    assert!(node.is_running());
    // Those who waited are served when others go.
    drop(crowd);
    eventually("a new connection is served", || {
        let mut late = Client::try_connect(node.address()).ok()?;
        late.set_deadline(Duration::from_secs(5));
        late.try_produce("rolling", 0, batch(&["late"])).ok()
    })
    .unwrap();
    let end = acknowledged[0].len() as i64;
    acknowledged[0].push((end, b"late".to_vec()));
    load(&mut client, &mut acknowledged, 3);
    verify(&node, &acknowledged);
    drop(client);
    node.kill();
    let node = start(folder.path()).ready();
    verify(&node, &acknowledged);
    node.stop();
}
