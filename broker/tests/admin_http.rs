//! The HTTP port: off unless asked for, there before the broker is ready, gone with it.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::io::Write;
use std::net::TcpStream;

use klamm::{Broker, ServerConfig};
use support::{Client, Start, eventually};

fn start(folder: &tempfile::TempDir) -> Start {
    Start::new(folder.path()).with("klamm.admin.listener", "127.0.0.1:0")
}

#[test]
fn there_is_no_http_port_unless_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for start in [
        Start::new(folder.path()),
        Start::new(folder.path()).with("klamm.admin.listener", " "),
        Start::new(folder.path()).variable("KLAMM_ADMIN_LISTENER", ""),
    ] {
        let ended = start.ready().stop();
        assert!(!ended.text().contains("HTTP port"), "{}", ended.text());
        assert_eq!(ended.complaints(), Vec::<String>::new());
    }
}

#[test]
fn the_environment_asks_for_it_and_an_override_counts_before() {
    let folder = tempfile::tempdir().unwrap();
    let start = Start::new(folder.path()).variable("KLAMM_ADMIN_LISTENER", "http://127.0.0.1:0");
    let node = start.ready();
    assert_eq!(node.http().get("/healthz").ok()["status"], "ok");
    node.stop();
    let node = start.with("klamm.admin.listener", "").ready();
    assert!(!node.stop().text().contains("HTTP port"));
}

#[test]
fn ready_means_that_a_produce_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let lines = node.lines();
    let place = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
    assert!(place("HTTP port: http://127.0.0.1:") < place("Kafka Server started"));
    let ready = node.http().get("/readyz").ok();
    assert_eq!(ready["status"], "ready");
    assert_eq!(ready["node_id"], 1);
    assert_eq!(ready["cluster_id"].as_str().unwrap().len(), 22);
    let mut client = node.client();
    client.create("t", 1, &[]);
    client
        .produce("t", 0, support::requests::batch(&["x"]))
        .unwrap();
    let ended = node.stop();
    assert_eq!(ended.complaints(), Vec::<String>::new());
}

#[test]
fn an_address_that_is_none_stops_the_start_and_says_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let ended = start(&folder).with("klamm.admin.listener", "8080").ends();
    let text = ended.text();
    assert!(
        text.contains("klamm.admin.listener=8080: expected host:port"),
        "{text}"
    );
    let ended = start(&folder).with("klamm.test.mode", "perhaps").ends();
    let text = ended.text();
    assert!(
        text.contains("klamm.test.mode") && text.contains("perhaps"),
        "{text}"
    );
}

#[test]
fn a_port_in_use_stops_the_start_and_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let ended = start(&folder).with("klamm.admin.listener", &address).ends();
    assert!(!ended.status.success());
    let expected = format!("cannot listen on {address} (listener klamm.admin.listener)");
    assert!(ended.text().contains(&expected), "{}", ended.text());
}

#[test]
fn wrong_paths_and_methods_are_answered_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let http = node.http();
    let answer = http.get("/v1/nothing?x=1");
    assert_eq!(answer.error(404), "there is nothing at /v1/nothing");
    let paths = answer.json()["paths"].clone();
    assert!(paths.as_array().unwrap().contains(&"/readyz".into()));
    let answer = http.delete("/healthz");
    assert!(
        answer
            .error(405)
            .contains("DELETE is not what /healthz takes")
    );
    assert!(
        answer.head.to_lowercase().contains("allow: get,head"),
        "{}",
        answer.head
    );
    for path in paths.as_array().unwrap() {
        let path = path.as_str().unwrap();
        assert_ne!(http.ask("OPTIONS", path, "").status, 404, "{path}");
    }
}

#[test]
fn a_stop_waits_for_no_http_client() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(&folder).ready();
    let idle: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect(node.http().address()).unwrap())
        .collect();
    let mut half = TcpStream::connect(node.http().address()).unwrap();
    half.write_all(b"POST /v1/faults HTTP/1.1\r\nContent-Length: 10\r\n\r\n{")
        .unwrap();
    assert_eq!(node.http().get("/healthz").status, 200);
    let ended = node.stop();
    assert!(ended.after.as_secs() < 2, "{:?}", ended.after);
    drop((idle, half));
}

#[test]
fn an_embedded_broker_tells_where_its_http_port_is_and_takes_it_along() {
    let folder = tempfile::tempdir().unwrap();
    let properties = [
        ("listeners", "PLAINTEXT://127.0.0.1:0".to_owned()),
        ("log.dirs", folder.path().display().to_string()),
        ("klamm.admin.listener", "127.0.0.1:0".to_owned()),
    ];
    let properties = properties.map(|(key, value)| (key.to_owned(), value));
    let config = ServerConfig::from_properties(properties.into()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(Broker::start(config)).unwrap();
    let http = support::http::Http::new(broker.admin_address().unwrap());
    http.get("/readyz").ok();
    Client::connect(broker.address().unwrap()).create("t", 1, &[]);
    runtime.block_on(broker.stop());
    eventually("nobody listens any more", || {
        TcpStream::connect(http.address()).is_err().then_some(())
    });
}

/// The method, path and body of a line of the documents that calls curl.
fn curl(line: &str) -> (String, String, String) {
    let quoted: Vec<&str> = line.split('\'').collect();
    let body = line.contains(" -d ").then(|| quoted[quoted.len() - 2]);
    let (_, rest) = line.split_once("localhost:8080").unwrap();
    let path = rest.split(['\'', ' ']).next().unwrap();
    let method = match line.split_once("-X ") {
        Some((_, rest)) => rest.split(' ').next().unwrap(),
        None if body.is_some() => "POST",
        None => "GET",
    };
    // What is waited for is not there: one look is enough.
    let (path, _) = path.split_once("&timeout_ms").unwrap_or((path, ""));
    let path = if path.starts_with("/v1/wait") {
        format!("{path}&timeout_ms=0")
    } else {
        path.to_owned()
    };
    (method.to_owned(), path, body.unwrap_or("").to_owned())
}

#[test]
fn every_curl_of_the_documents_is_understood() {
    for document in ["README.md", "docs/reset-and-clock.md", "docs/admin.md"] {
        let folder = tempfile::tempdir().unwrap();
        let start = start(&folder).with("klamm.test.mode", "true");
        let node = start.with("klamm.topics", "orders:3").ready();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        let calls = text.lines().filter(|line| line.starts_with("curl "));
        let calls: Vec<_> = calls.map(curl).collect();
        assert!(calls.len() > 10 || document == "docs/admin.md");
        for (method, path, body) in calls {
            let answer = node.http().ask(&method, &path, &body);
            let is_understood = match path.starts_with("/v1/wait") {
                true => [200, 408].contains(&answer.status),
                false => [200, 201].contains(&answer.status),
            };
            assert!(
                is_understood,
                "{document}: {method} {path} {body}: {answer:?}"
            );
        }
    }
}
