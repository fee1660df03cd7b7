use metadata::MetadataRecord;
use protocol::Timestamp;
use storage::RealFs;

use super::*;
use crate::control::{features, fixture};
use crate::raft::types::log_id;

/// Notes the offset of every image it is shown.
#[derive(Clone, Default)]
struct Offsets(Arc<Mutex<Vec<Option<Offset>>>>);

impl MetadataPublisher for Offsets {
    fn name(&self) -> &'static str {
        "offsets"
    }

    fn publish(&mut self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        assert_eq!(&delta.apply(image.provenance), image.as_ref());
        self.0.lock().push(image.provenance.offset);
    }
}

struct Machine {
    machine: StateMachine,
    published: Arc<Published>,
    offsets: Offsets,
    _folder: tempfile::TempDir,
}

fn machine() -> Machine {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(Arc::new(RealFs), folder.path().to_owned());
    let offsets = Offsets::default();
    let state = State::empty();
    let publishers: Vec<Box<dyn MetadataPublisher>> = vec![Box::new(offsets.clone())];
    let published = Arc::new(Published::new(Arc::clone(&state.image), publishers));
    let machine = StateMachine::new(
        Arc::clone(&published),
        files,
        Arc::new(Health::default()),
        &state,
    );
    Machine {
        machine,
        published,
        offsets,
        _folder: folder,
    }
}

fn entry(index: u64, decided_at: Option<u64>, records: Vec<MetadataRecord>) -> Entry {
    let proposal = Proposal {
        decided_at,
        timestamp: Timestamp(7),
        records: Arc::new(records),
    };
    Entry {
        log_id: log_id(2, index),
        payload: EntryPayload::Normal(proposal),
    }
}

fn blank(index: u64) -> Entry {
    Entry {
        log_id: log_id(2, index),
        payload: EntryPayload::Blank,
    }
}

fn broker(id: i32) -> Vec<MetadataRecord> {
    vec![fixture::broker(id, None, false)]
}

#[tokio::test]
async fn a_decision_on_an_older_image_changes_nothing() {
    let Machine {
        mut machine,
        published,
        ..
    } = machine();
    let entries = [
        blank(0),
        entry(1, None, features::bootstrap_records()),
        entry(2, Some(1), broker(1)),
        // Decided before the one above was in force.
        entry(3, Some(1), broker(2)),
        // A blank entry between them is no decision.
        blank(4),
        entry(5, Some(2), broker(3)),
    ];
    let results = machine.apply(entries).await.unwrap();
    use Applied::{Accepted, Nothing, Retry};
    assert_eq!(
        results,
        [Nothing, Accepted, Accepted, Retry, Nothing, Accepted]
    );
    let image = published.image();
    let brokers: Vec<i32> = image.cluster.brokers().map(|broker| broker.id).collect();
    assert_eq!(brokers, [1, 3]);
    assert_eq!(image.provenance.offset, Some(Offset(5)));
    assert_eq!(image.provenance.timestamp, Timestamp(7));
    let (applied, _) = machine.applied_state().await.unwrap();
    assert_eq!(applied, Some(log_id(2, 5)));
}

#[tokio::test]
async fn publishers_see_the_start_as_one_change_and_then_every_change() {
    let Machine {
        mut machine,
        published,
        offsets,
        ..
    } = machine();
    machine
        .apply([entry(0, None, broker(1)), entry(1, Some(0), broker(2))])
        .await
        .unwrap();
    assert!(offsets.0.lock().is_empty());
    published.go_live();
    published.go_live();
    machine.apply([entry(2, Some(1), broker(3))]).await.unwrap();
    assert_eq!(*offsets.0.lock(), [Some(Offset(1)), Some(Offset(2))]);
}

#[tokio::test]
async fn a_log_that_contradicts_itself_stops_the_machine() {
    let Machine { mut machine, .. } = machine();
    let unknown = MetadataRecord::UnregisterBroker {
        broker_id: 5,
        broker_epoch: 1,
    };
    assert!(
        machine
            .apply([entry(0, None, vec![unknown])])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_snapshot_brings_another_machine_to_the_same_state() {
    let Machine {
        mut machine,
        published,
        _folder,
        ..
    } = machine();
    let topics = fixture::image_with_topic("t", 3).write();
    machine.apply([entry(0, None, topics)]).await.unwrap();
    let built = machine
        .get_snapshot_builder()
        .await
        .build_snapshot()
        .await
        .unwrap();
    assert_eq!(built.meta.last_log_id, Some(log_id(2, 0)));
    let current = machine.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!(
        (&current.meta, &current.snapshot),
        (&built.meta, &built.snapshot)
    );

    let Machine {
        machine: mut other,
        published: shown,
        offsets,
        _folder: _other,
        ..
    } = self::machine();
    other.apply([entry(0, None, broker(9))]).await.unwrap();
    shown.go_live();
    other
        .install_snapshot(&built.meta, built.snapshot)
        .await
        .unwrap();
    assert_eq!(shown.image(), published.image());
    assert!(shown.image().cluster.broker(9).is_none());
    assert_eq!(offsets.0.lock().len(), 2);
    // The fence goes on from where the snapshot stands.
    let results = other.apply([entry(1, Some(0), broker(2))]).await.unwrap();
    assert_eq!(results, [Applied::Accepted]);
}
