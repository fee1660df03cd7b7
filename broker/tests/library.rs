//! A broker inside a test: several side by side, and gone when dropped, whatever runtime there is.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::TcpStream;
use std::path::PathBuf;

use klamm::{Broker, ServerConfig};

fn ephemeral() -> ServerConfig {
    ServerConfig::ephemeral(&[]).unwrap()
}

/// Whether somebody answers there, and where the data lies.
fn traces(broker: &Broker) -> (String, PathBuf) {
    let (address, folder) = (broker.bootstrap_servers(), broker.data_folder().to_owned());
    assert!(TcpStream::connect(&address).is_ok() && folder.is_dir());
    (address, folder)
}

fn assert_gone((address, folder): (String, PathBuf)) {
    assert!(TcpStream::connect(&address).is_err(), "{address} answers");
    assert!(!folder.exists(), "{} is there", folder.display());
}

#[test]
fn a_dropped_broker_is_gone_where_there_is_no_runtime() {
    let broker = Broker::start_blocking(ephemeral()).unwrap();
    let traces = traces(&broker);
    drop(broker);
    assert_gone(traces);
}

#[tokio::test]
async fn a_dropped_broker_is_gone_in_a_runtime_of_one_thread() {
    let broker = Broker::start(ephemeral()).await.unwrap();
    let traces = traces(&broker);
    drop(broker);
    assert_gone(traces);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_broker_is_gone() {
    let broker = Broker::start_blocking(ephemeral()).unwrap();
    let traces = traces(&broker);
    broker.stop().await;
    assert_gone(traces);
}

#[tokio::test]
async fn several_brokers_live_side_by_side() {
    let mut brokers = Vec::new();
    for _ in 0..4 {
        brokers.push(Broker::start(ephemeral()).await.unwrap());
    }
    let all: Vec<_> = brokers.iter().map(traces).collect();
    let first = brokers.remove(0);
    drop(first);
    for (at, of) in all.into_iter().enumerate() {
        if at == 0 {
            assert_gone(of);
        } else {
            assert!(TcpStream::connect(&of.0).is_ok() && of.1.is_dir());
        }
    }
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = Broker::start(ephemeral()).await.unwrap();
    let listener = format!("PLAINTEXT://{}", first.bootstrap_servers());
    let config = ServerConfig::ephemeral(&[("listeners", &listener)]).unwrap();
    let error = Broker::start(config).await.err().unwrap().to_string();
    assert!(error.contains(&first.bootstrap_servers()), "{error}");
}

#[test]
fn a_broker_that_is_started_again_with_the_same_settings_keeps_its_data() {
    let config = ephemeral();
    let first = Broker::start_blocking(config.clone()).unwrap();
    let folder = first.data_folder().to_owned();
    drop(first);
    let second = Broker::start_blocking(config).unwrap();
    assert_eq!(second.data_folder(), folder);
}
