//! A controller on a real folder, with a clock that stands still and a publisher that takes notes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use metadata::{Endpoint, MetadataDelta, MetadataImage, MetadataPublisher, SecurityProtocol};
use parking_lot::Mutex;
use protocol::Timestamp;
use protocol::messages::create_topics_request::CreatableTopic;
use protocol::messages::{CreateTopicsRequest, DeleteTopicsRequest};
use storage::{Fs, LogDir, LogDirOptions, RealFs};
use uuid::Uuid;

use crate::control::topics::topic_name_of;
use crate::{
    Clock, Controller, ControllerHandle, Error, Loggers, Options, Registration, RequestContext,
    Settings, SnapshotPolicy,
};

/// No test waits longer for anything.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

pub(super) struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }
}

pub(super) struct NoLoggers;

impl Loggers for NoLoggers {
    fn level(&self, _logger: &str) -> Option<String> {
        None
    }

    fn set_level(&self, _logger: &str, _level: Option<&str>) {}
}

/// What the publisher was shown: names of topics, `+` created and `-` deleted.
#[derive(Clone, Default)]
pub(super) struct Notes {
    topics: Arc<Mutex<Vec<String>>>,
    images: Arc<Mutex<Vec<Arc<MetadataImage>>>>,
    /// While it is set, the publisher does not come back.
    pub(super) held: Arc<AtomicBool>,
    waiting: Arc<AtomicBool>,
}

impl Notes {
    pub(super) fn topics(&self) -> Vec<String> {
        self.topics.lock().clone()
    }

    /// Whether the publisher is being held.
    pub(super) fn waits(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(super) fn images(&self) -> Vec<Arc<MetadataImage>> {
        self.images.lock().clone()
    }
}

impl MetadataPublisher for Notes {
    fn name(&self) -> &'static str {
        "notes"
    }

    fn publish(&mut self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        while self.held.load(Ordering::SeqCst) {
            self.waiting.store(true, Ordering::SeqCst);
            std::thread::yield_now();
        }
        self.waiting.store(false, Ordering::SeqCst);
        let created = delta
            .topics_delta()
            .created()
            .map(|topic| format!("+{}", topic.name));
        let deleted = delta
            .topics_delta()
            .deleted()
            .map(|topic| format!("-{}", topic.name));
        self.topics.lock().extend(created.chain(deleted));
        self.images.lock().push(Arc::clone(image));
    }
}

pub(super) struct Start {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) settings: Settings,
    pub(super) snapshots: SnapshotPolicy,
    pub(super) seed: u64,
}

impl Default for Start {
    fn default() -> Start {
        Start {
            fs: Arc::new(RealFs),
            settings: Settings::default(),
            snapshots: SnapshotPolicy::default(),
            seed: 1,
        }
    }
}

pub(super) struct Node {
    pub(super) controller: Controller,
    pub(super) handle: ControllerHandle,
    pub(super) log_dir: Arc<LogDir>,
    pub(super) notes: Notes,
}

impl Start {
    pub(super) async fn on(self, folder: &Path) -> Result<Node, Error> {
        let log_dir = LogDir::open(
            folder,
            LogDirOptions {
                fs: Arc::clone(&self.fs),
                kv_in_memory: true,
                ..LogDirOptions::new(self.settings.node_id)
            },
        )?;
        let log_dir = Arc::new(log_dir);
        let notes = Notes::default();
        let options = Options {
            settings: self.settings,
            clock: Arc::new(StoppedClock),
            fs: self.fs,
            seed: self.seed,
            snapshots: self.snapshots,
            loggers: Arc::new(NoLoggers),
        };
        let publishers: Vec<Box<dyn MetadataPublisher>> = vec![Box::new(notes.clone())];
        let controller = Controller::start(options, Arc::clone(&log_dir), publishers).await?;
        let handle = controller.handle();
        Ok(Node {
            controller,
            handle,
            log_dir,
            notes,
        })
    }
}

pub(super) async fn start(folder: &Path) -> Node {
    Start::default().on(folder).await.unwrap()
}

pub(super) fn context() -> RequestContext {
    RequestContext {
        api_version: 7,
        client_id: "test".into(),
    }
}

pub(super) fn topic(name: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic_name_of(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
}

pub(super) fn create_request(name: &str, partitions: i32) -> CreateTopicsRequest {
    CreateTopicsRequest::default()
        .with_topics(vec![topic(name, partitions)])
        .with_timeout_ms(30_000)
}

pub(super) fn registration(incarnation: u128) -> Registration {
    Registration {
        broker_id: 1,
        incarnation_id: Uuid::from_u128(incarnation),
        listeners: vec![Endpoint {
            name: "PLAINTEXT".to_owned(),
            host: "localhost".to_owned(),
            port: 9092,
            security_protocol: SecurityProtocol::Plaintext,
        }],
        rack: None,
        log_dirs: vec![Uuid::from_u128(4242)],
    }
}

impl Node {
    /// Registers the broker and makes it active.
    pub(super) async fn register(&self, incarnation: u128) -> i64 {
        let epoch = self
            .handle
            .register_broker(registration(incarnation))
            .await
            .unwrap();
        self.handle.unfence(1, epoch).await.unwrap();
        epoch
    }

    /// The error code of creating a topic.
    pub(super) async fn create(&self, name: &str) -> i16 {
        let response = self
            .handle
            .create_topics(context(), create_request(name, 1))
            .await;
        response.topics[0].error_code
    }

    pub(super) async fn delete(&self, name: &str) -> i16 {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![topic_name_of(name)])
            .with_timeout_ms(30_000);
        self.handle
            .delete_topics(context(), request)
            .await
            .responses[0]
            .error_code
    }

    pub(super) fn topic_names(&self) -> Vec<String> {
        self.handle
            .image()
            .topics
            .iter()
            .map(|topic| topic.name.to_string())
            .collect()
    }

    pub(super) async fn stop(self) {
        self.controller.shutdown().await;
        self.log_dir.close().unwrap();
    }
}

/// The folder as a kill -9 at this moment would leave it.
///
/// A snapshot may be written meanwhile: a copy counts only if nothing changed under it.
pub(super) fn killed_copy(folder: &Path) -> tempfile::TempDir {
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        let target = tempfile::tempdir().unwrap();
        if let (Ok(before), Ok(()), Ok(after)) =
            (names(folder), copy(folder, target.path()), names(folder))
            && before == after
        {
            return target;
        }
        std::thread::yield_now();
    }
    panic!("the folder never came to rest");
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Every file with its size and the time of its last change.
fn names(folder: &Path) -> io::Result<BTreeMap<PathBuf, (u64, SystemTime)>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        files.insert(entry.path(), (metadata.len(), metadata.modified()?));
        if metadata.is_dir() {
            files.extend(names(&entry.path())?);
        }
    }
    Ok(files)
}
