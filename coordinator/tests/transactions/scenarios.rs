//! Conversations with a transaction coordinator, as text: one file per subject in `scenarios/`.
//!
//! `REWRITE=1 cargo test -p coordinator --test transactions` writes what the shard answers now into
//! the files; read the difference before believing it. A producer is an id and an epoch: `7/0`. New
//! producer ids count from 1, times are milliseconds since the start.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use coordinator::transaction::{
    FlexibleFields, ListFilter, TransactionCommand, TransactionCoordinatorConfig,
    TransactionLogValue, TransactionRecord, TransactionRequest, TransactionResponse,
    TransactionState, TransactionVersionLevel,
};
use datadriven::TestCase;
use protocol::{ErrorCode, ProducerEpoch, ProducerId, Timestamp, TopicPartition};

use crate::runtime::{Runtime, START, Step};

#[test]
fn conversations_go_as_written() {
    datadriven::walk("tests/transactions/scenarios", |file| {
        let mut scenario = Scenario::new();
        file.run(|case| scenario.run(case));
    });
}

struct Scenario {
    runtime: Runtime,
    last_token: u64,
    /// The last order to write markers, per transactional id.
    due: BTreeMap<Arc<str>, (ProducerId, ProducerEpoch)>,
}

impl Scenario {
    fn new() -> Self {
        let config = TransactionCoordinatorConfig {
            transaction_version: TransactionVersionLevel::new(2),
            ..TransactionCoordinatorConfig::default()
        };
        Scenario {
            runtime: Runtime::new(config),
            last_token: 0,
            due: BTreeMap::new(),
        }
    }

    fn run(&mut self, case: &mut TestCase) -> String {
        let mut args = Args::of(case);
        let text = match case.directive.as_str() {
            "config" => self.configure(&mut args),
            "level" => {
                let level = args.number("to", 2);
                self.runtime.config.transaction_version.set(level);
                String::new()
            }
            "advance" => self.advance(&mut args),
            "reload" => {
                let step = self.runtime.reload();
                self.show(&step)
            }
            "put-back" => {
                let length = args.number("records", usize::MAX);
                let step = self.runtime.put_back(length);
                self.show(&step)
            }
            "jump" => {
                let step = self.runtime.jump(args.number("ms", 0));
                self.show(&step)
            }
            "log" => self.log(&mut args),
            "timers" => self.show_timers(),
            "fail-append" => {
                self.runtime.fail_next_append = ErrorCode::try_from_code(args.number("code", 0));
                String::new()
            }
            "list" => self.list(&mut args, case.input.trim()),
            request => {
                let request = self.request(request, &mut args);
                self.ask(request)
            }
        };
        args.check_all_used();
        text
    }

    fn configure(&mut self, args: &mut Args) -> String {
        let config = &mut self.runtime.config;
        config.transaction_max_timeout_ms =
            args.number("max-timeout", config.transaction_max_timeout_ms);
        config.abort_timed_out_interval_ms =
            args.number("abort-interval", config.abort_timed_out_interval_ms);
        config.transactional_id_expiration_ms =
            args.number("expiration", config.transactional_id_expiration_ms);
        config.remove_expired_interval_ms =
            args.number("remove-interval", config.remove_expired_interval_ms);
        config.batch_bytes_max = args.number("batch-bytes", config.batch_bytes_max);
        config.two_phase_commit_enable = args.flag("two-phase-commit");
        let step = self.runtime.reload();
        self.show(&step)
    }

    /// Another leader wrote this before.
    fn log(&mut self, args: &mut Args) -> String {
        let (producer_id, producer_epoch) = args.producer().expect("a producer");
        let state = args.text("state").unwrap_or_default();
        let value = TransactionLogValue {
            producer_id,
            producer_epoch,
            timeout_ms: args.number("timeout", 60_000),
            state: TransactionState::from_name(&state).expect("a state"),
            partitions: args.partitions(),
            last_update: Timestamp(self.runtime.now),
            start: (state != "Empty").then_some(Timestamp(self.runtime.now)),
            flexible: Some(FlexibleFields {
                previous_producer_id: Some(producer_id),
                next_producer_id: None,
                client_transaction_version: args.number("client", 2),
            }),
        };
        self.runtime.log.push(TransactionRecord {
            transactional_id: Arc::from(args.text("id").unwrap_or_default()),
            value: Some(value),
        });
        // New producer ids are newer than this one.
        while self.runtime.spare() < producer_id {}
        let step = self.runtime.reload();
        self.show(&step)
    }

    fn advance(&mut self, args: &mut Args) -> String {
        let ms = args.number("ms", 0i64);
        let mut text = String::new();
        for (at, step) in self.runtime.advance(ms) {
            let shown = self.show(&step);
            if !shown.is_empty() {
                let _ = writeln!(text, "at {}:", at - START);
                text.push_str(&shown);
            }
        }
        text
    }

    fn request(&mut self, directive: &str, args: &mut Args) -> TransactionRequest {
        let transactional_id: Arc<str> = Arc::from(args.text("id").unwrap_or_default());
        match directive {
            "init" => TransactionRequest::InitProducerId {
                transactional_id,
                timeout_ms: args.number("timeout", 60_000),
                enable_2pc: args.flag("two-phase-commit"),
                keep_prepared: args.flag("keep-prepared"),
                expected: args.producer(),
                spare: None,
            },
            "add" | "verify" => {
                let (producer_id, producer_epoch) = args.producer().expect("a producer");
                TransactionRequest::AddPartitions {
                    transactional_id,
                    producer_id,
                    producer_epoch,
                    partitions: args.partitions(),
                    verify_only: directive == "verify",
                    version2: args.flag("v2"),
                }
            }
            "commit" | "abort" => {
                let (producer_id, producer_epoch) = args.producer().expect("a producer");
                TransactionRequest::EndTxn {
                    transactional_id,
                    producer_id,
                    producer_epoch,
                    committed: directive == "commit",
                    version2: args.flag("v2"),
                    spare: None,
                }
            }
            "describe" => TransactionRequest::Describe { transactional_id },
            "markers-written" => {
                let due = self.due.get(&transactional_id).copied();
                let (producer_id, producer_epoch) =
                    args.producer().or(due).expect("markers are due");
                TransactionRequest::MarkersWritten {
                    transactional_id,
                    producer_id,
                    producer_epoch,
                }
            }
            "found-producer-id" => TransactionRequest::AbortTimedOut {
                transactional_id,
                spare: self.runtime.spare(),
            },
            unknown => panic!("unknown directive {unknown}"),
        }
    }

    /// The pattern is the input.
    fn list(&mut self, args: &mut Args, pattern: &str) -> String {
        let states = args.list("states").unwrap_or_default();
        let states: Vec<&str> = states.iter().map(String::as_str).collect();
        let producers = args.list("producers").unwrap_or_default();
        let producers = producers
            .iter()
            .map(|id| ProducerId(id.parse().expect("a producer id")));
        let least = args.number("longer-than", -1);
        match ListFilter::new(&states, producers, least, Some(pattern)) {
            Ok(filter) => {
                let unknown = filter.unknown_states().join(",");
                let mut text = self.ask(TransactionRequest::List(Arc::new(filter)));
                if !unknown.is_empty() {
                    let _ = writeln!(text, "unknown states: {unknown}");
                }
                text
            }
            Err(code) => format!("refused: {code:?}\n"),
        }
    }

    /// Asks, and asks again with a producer id where one is needed, as the broker does.
    fn ask(&mut self, mut request: TransactionRequest) -> String {
        self.last_token += 1;
        let step = self.runtime.request(self.last_token, request.clone());
        let replies: Vec<_> = step.replies.iter().collect();
        assert_eq!(
            replies.len(),
            1,
            "each request is answered once and at once"
        );
        if replies[0].1 != Ok(TransactionResponse::NeedsProducerId) {
            return self.show(&step);
        }
        match &mut request {
            TransactionRequest::InitProducerId { spare, .. }
            | TransactionRequest::EndTxn { spare, .. } => *spare = Some(self.runtime.spare()),
            TransactionRequest::AddPartitions { .. }
            | TransactionRequest::Describe { .. }
            | TransactionRequest::List(_)
            | TransactionRequest::MarkersWritten { .. }
            | TransactionRequest::AbortTimedOut { .. } => {
                panic!("{request:?} needs no producer id")
            }
        }
        self.ask(request)
    }

    fn show_timers(&self) -> String {
        let timers = self.runtime.timers().iter();
        let timers = timers.map(|(key, at)| format!("{key:?} at {}\n", at - START));
        timers.collect()
    }

    fn show(&mut self, step: &Step) -> String {
        let mut text = String::new();
        for record in &step.records {
            let _ = writeln!(text, "record {}", show_record(record));
        }
        for (_, reply) in &step.replies {
            let shown = match reply {
                Ok(response) => show_response(response),
                Err(code) => format!("{code:?}"),
            };
            let _ = writeln!(text, "reply: {shown}");
        }
        for command in &step.commands {
            let _ = writeln!(text, "{}", self.show_command(command));
        }
        text
    }

    fn show_command(&mut self, command: &TransactionCommand) -> String {
        match command {
            TransactionCommand::WriteMarkers {
                transactional_id,
                producer_id,
                producer_epoch,
                committed,
                transaction_version,
                partitions,
            } => {
                let producer = (*producer_id, *producer_epoch);
                self.due.insert(transactional_id.clone(), producer);
                format!(
                    "write markers {transactional_id}: {} of {producer_id}/{producer_epoch} version={transaction_version} ({})",
                    if *committed { "commit" } else { "abort" },
                    show_partitions(partitions)
                )
            }
            TransactionCommand::FindProducerId { transactional_id } => {
                format!("find a producer id for {transactional_id}")
            }
        }
    }
}

/// The arguments of a directive. Each must be asked for.
struct Args {
    values: BTreeMap<String, Vec<String>>,
}

impl Args {
    fn of(case: &mut TestCase) -> Args {
        let values = std::mem::take(&mut case.args);
        Args {
            values: values.into_iter().collect(),
        }
    }

    fn check_all_used(&self) {
        assert!(
            self.values.is_empty(),
            "unknown arguments: {:?}",
            self.values
        );
    }

    fn list(&mut self, name: &str) -> Option<Vec<String>> {
        self.values.remove(name)
    }

    fn flag(&mut self, name: &str) -> bool {
        self.values.remove(name).is_some()
    }

    /// A dash stands for the empty text, `long` for one that is too long.
    fn text(&mut self, name: &str) -> Option<String> {
        let value = self.list(name)?.pop()?;
        Some(match value.as_str() {
            "-" => String::new(),
            "long" => "x".repeat(40_000),
            _ => value,
        })
    }

    fn number<N: std::str::FromStr>(&mut self, name: &str, default: N) -> N {
        let Some(text) = self.text(name) else {
            return default;
        };
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number"))
    }

    /// `(id,epoch)`
    fn producer(&mut self) -> Option<(ProducerId, ProducerEpoch)> {
        let both = self.list("producer")?;
        let [id, epoch] = both.as_slice() else {
            panic!("a producer is an id and an epoch, not {both:?}");
        };
        let id = ProducerId(id.parse().expect("a producer id"));
        Some((id, ProducerEpoch(epoch.parse().expect("an epoch"))))
    }

    fn partitions(&mut self) -> Vec<TopicPartition> {
        let names = self.list("partitions").unwrap_or_default();
        let partitions = names.iter().map(|name| {
            let (topic, partition) = name.rsplit_once('-').expect("topic-partition");
            TopicPartition::new(topic, partition.parse().expect("a partition"))
        });
        partitions.collect()
    }
}

fn show_record(record: &TransactionRecord) -> String {
    let id = &record.transactional_id;
    let Some(value) = &record.value else {
        return format!("{id} tombstone");
    };
    let mut text = format!(
        "{id} {} {}/{} timeout={} start={} update={}",
        value.state.name(),
        value.producer_id,
        value.producer_epoch,
        value.timeout_ms,
        show_time(value.start),
        value.last_update.0 - START,
    );
    if !value.partitions.is_empty() {
        let _ = write!(text, " ({})", show_partitions(&value.partitions));
    }
    match value.flexible {
        Some(fields) => {
            let id = |id: Option<ProducerId>| id.map_or("-".to_owned(), |id| id.to_string());
            let _ = write!(
                text,
                " previous={} next={} client={}",
                id(fields.previous_producer_id),
                id(fields.next_producer_id),
                fields.client_transaction_version
            );
        }
        None => text.push_str(" v0"),
    }
    text
}

fn show_time(time: Option<Timestamp>) -> String {
    time.map_or("-".to_owned(), |time| (time.0 - START).to_string())
}

fn show_partitions(partitions: &[TopicPartition]) -> String {
    let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
    names.join(",")
}

fn show_response(response: &TransactionResponse) -> String {
    match response {
        TransactionResponse::InitProducerId {
            producer_id,
            producer_epoch,
        } => format!("producer {producer_id}/{producer_epoch}"),
        TransactionResponse::AddPartitions(partitions) => {
            let partitions = partitions.iter().map(|(partition, code)| {
                let code = code.map_or("ok".to_owned(), |code| format!("{code:?}"));
                format!("{partition}={code}")
            });
            partitions.collect::<Vec<_>>().join(" ")
        }
        TransactionResponse::EndTxn { producer: None } => "ended".to_owned(),
        TransactionResponse::EndTxn {
            producer: Some((id, epoch)),
        } => format!("ended, go on as {id}/{epoch}"),
        TransactionResponse::Describe(described) => format!(
            "{} {}/{} timeout={} start={} ({})",
            described.state.name(),
            described.producer_id,
            described.producer_epoch,
            described.timeout_ms,
            show_time(described.start),
            show_partitions(&described.partitions)
        ),
        TransactionResponse::List(listed) => {
            let listed = listed.iter().map(|transaction| {
                let (id, producer) = (&transaction.transactional_id, transaction.producer_id);
                format!(" {id}={}/{producer}", transaction.state.name())
            });
            format!("list{}", listed.collect::<String>())
        }
        TransactionResponse::NeedsProducerId => "a producer id is needed".to_owned(),
        TransactionResponse::Done => "done".to_owned(),
    }
}
