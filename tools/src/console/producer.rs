//! `kafka-console-producer`: a record for each line of standard input.
//!
//! Invariant: whatever ends the tool, the lines that were read before are delivered or reported first.

mod batch;
mod partitioner;
mod reader;
mod sender;
mod settings;

use std::io::{BufReader, IsTerminal, Stdin};
use std::process::ExitCode;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::log;
use super::properties::{CONFIG_EXCEPTION, key_values, merge};
use super::signals::Signals;
use crate::bootstrap;
use crate::client::{Client, Properties, block_on, load_properties};
use crate::failure::Failure;
use crate::options::{Options, Parsed};
use crate::print;
use crate::stop::{Stop, finish};
use batch::Lengths;
use reader::{LineReader, Lines, Record};
use sender::Sender;
use settings::Settings;

const ABOUT: &str = "This tool helps to read data from standard input and publish it to Kafka.";
const LINE_READER: &str = "org.apache.kafka.tools.LineMessageReader";
const CALLBACK: &str = "org.apache.kafka.clients.producer.internals.ErrorLoggingCallback";
const EXECUTION_EXCEPTION: &str = "java.util.concurrent.ExecutionException";
/// Lines are handed over in pieces of at most so many.
const LINES_AT_ONCE: usize = 512;
/// Pieces that may wait to be sent.
const PIECES: usize = 16;

const READER_PROPERTIES: &str = "key=value for the reader of lines. The keys and their defaults:\n \
     parse.key=false\n parse.headers=false\n ignore.error=false\n key.separator=\\t\n \
     headers.delimiter=\\t\n headers.separator=,\n headers.key.separator=:\n null.marker=   a key, \
     value or header value equal to it is null\nA line is \"h1:v1,h2:v2...\\tkey\\tvalue\", without \
     what is not parsed.";

fn options() -> Options {
    let options = Options::new()
        .value("topic", "String: topic", "REQUIRED: The topic to produce to.")
        .value(
            "bootstrap-server",
            "String: server to connect to",
            "REQUIRED: The brokers to connect to, as HOST1:PORT1,HOST2:PORT2.",
        )
        .flag("sync", "Sends one record after the other, and waits for each.")
        .optional_value(
            "compression-codec",
            "String: compression-codec",
            "none, gzip, snappy, lz4 or zstd; gzip without a value.",
        )
        .value(
            "line-reader",
            "String: reader_class",
            "The class that makes records of lines. (default: org.apache.kafka.tools.LineMessageReader)",
        )
        .value(
            "property",
            "String: prop",
            "(DEPRECATED) As --reader-property, which is to be used instead.",
        )
        .value("reader-property", "String: prop", READER_PROPERTIES)
        .value(
            "reader-config",
            "String: config file",
            "A properties file for the reader; --reader-property wins over it.",
        )
        .value(
            "producer-property",
            "String: producer_prop",
            "(DEPRECATED) As --command-property, which is to be used instead.",
        )
        .value(
            "command-property",
            "String: producer_prop",
            "key=value for the producer.",
        )
        .value(
            "producer.config",
            "String: config file",
            "(DEPRECATED) As --command-config, which is to be used instead.",
        )
        .value(
            "command-config",
            "String: config file",
            "A properties file for the producer; --command-property wins over it.",
        );
    MERGED.iter().fold(options, |options, merged| {
        let default = format!(
            "Sets {} of the producer. (default: {})",
            merged.property, merged.default
        );
        options.value(merged.option, merged.kind, default)
    })
}

/// An option that sets a property of the producer.
struct Merged {
    option: &'static str,
    kind: &'static str,
    property: &'static str,
    default: &'static str,
}

const fn merged(
    option: &'static str,
    kind: &'static str,
    property: &'static str,
    default: &'static str,
) -> Merged {
    Merged {
        option,
        kind,
        property,
        default,
    }
}

/// In this order: of two options for one property the later one wins, as in upstream's tool.
#[rustfmt::skip]
const MERGED: &[Merged] = &[
    merged("timeout", "Long: timeout_ms", "linger.ms", "1000"),
    merged("request-required-acks", "String: request required acks", "acks", "-1"),
    merged("request-timeout-ms", "Integer: request timeout ms", "request.timeout.ms", "1500"),
    merged("message-send-max-retries", "Integer", "retries", "3"),
    merged("retry-backoff-ms", "Long", "retry.backoff.ms", "100"),
    merged("socket-buffer-size", "Integer: size", "send.buffer.bytes", "102400"),
    merged("max-memory-bytes", "Long: total memory in bytes", "buffer.memory", "33554432"),
    merged("batch-size", "Integer: size", "batch.size", "16384"),
    merged("max-partition-memory-bytes", "Integer: memory in bytes per partition", "batch.size", "16384"),
    merged("metadata-expiry-ms", "Long: metadata expiration interval", "metadata.max.age.ms", "300000"),
    merged("max-block-ms", "Long: max block on send", "max.block.ms", "60000"),
];

/// Pairs of which one is deprecated: the old name, the new one, and the two as upstream orders them
/// when both are there.
const RENAMED: [(&str, &str, &str); 3] = [
    (
        "property",
        "reader-property",
        "Options --reader-property and --property",
    ),
    (
        "producer-property",
        "command-property",
        "Options --command-property and --producer-property",
    ),
    (
        "producer.config",
        "command-config",
        "Options --command-config and --producer.config",
    ),
];

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options();
    let result = execute(&options, args);
    finish(result, &options, |failure| {
        // What is wrong with the options' values is told without a stack trace.
        if failure.class().starts_with("joptsimple.") {
            crate::complain!("{failure}");
        } else {
            crate::complain!("{}", failure.trace());
        }
    })
}

fn execute(options: &Options, args: &[String]) -> Result<(), Stop> {
    let parsed = options
        .parse(args)
        .map_err(|failure| Stop::Usage(failure.to_string()))?;
    options.help_or_version(args, &parsed, ABOUT)?;
    options.require(&parsed, &["topic"])?;
    let bootstrap = parsed.value("bootstrap-server")?.unwrap_or_default();
    bootstrap::check(bootstrap)?;
    check_renamed(&parsed)?;
    let topic = parsed.value("topic")?.unwrap_or_default();
    let reader = line_reader(&parsed)?;
    let properties = producer_properties(&parsed)?;
    let settings = Settings::new(&properties)?;
    let code = block_on(async {
        let client = Client::new(bootstrap, &client_properties(&properties))?;
        let sender = Sender::new(client, topic.to_owned(), settings);
        produce(sender, topic, reader, parsed.has("sync")).await
    })?;
    match code {
        0 => Ok(()),
        code => Err(Stop::Done(code)),
    }
}

fn check_renamed(parsed: &Parsed) -> Result<(), Stop> {
    for (old, new, both) in RENAMED {
        if parsed.has(old) && parsed.has(new) {
            return Err(Stop::Usage(format!("{both} cannot be specified together.")));
        }
        if parsed.has(old) {
            print::line(format!(
                "Warning: --{old} is deprecated and will be removed in a future version. Use --{new} \
                 instead."
            ));
        }
    }
    if parsed.has("max-partition-memory-bytes") {
        print::line(
            "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka \
             5.0. Use --batch-size instead.",
        );
    }
    Ok(())
}

/// The values of an option under its old or its new name.
fn either<'p>(parsed: &'p Parsed, old: &str, new: &str) -> &'p [String] {
    match parsed.values(new) {
        [] => parsed.values(old),
        values => values,
    }
}

fn line_reader(parsed: &Parsed) -> Result<LineReader, Failure> {
    let class = parsed.value("line-reader")?.unwrap_or(LINE_READER);
    if class != LINE_READER {
        return Err(Failure::new("java.lang.ClassNotFoundException", class));
    }
    let mut properties = match parsed.value("reader-config")? {
        Some(path) => load_properties(path)?,
        None => Properties::new(),
    };
    properties.extend(key_values(either(parsed, "property", "reader-property")));
    LineReader::new(&properties)
}

fn producer_properties(parsed: &Parsed) -> Result<Properties, Failure> {
    let mut properties = match either(parsed, "producer.config", "command-config") {
        [] => Properties::new(),
        [path] => load_properties(path)?,
        [_, _, ..] => {
            return Err(Failure::new(
                "joptsimple.MultipleArgumentsForOptionException",
                "Found multiple arguments for option command-config, but you asked for only one",
            ));
        }
    };
    properties.extend(key_values(either(
        parsed,
        "producer-property",
        "command-property",
    )));
    let codec = match (
        parsed.has("compression-codec"),
        parsed.value("compression-codec")?,
    ) {
        (false, _) => "none",
        (true, None) => "gzip",
        (true, Some(codec)) => codec,
    };
    properties.insert("compression.type".to_owned(), codec.to_owned());
    properties
        .entry("client.id".to_owned())
        .or_insert_with(|| "console-producer".to_owned());
    for row in MERGED {
        if row.kind.starts_with("Integer") {
            parsed.number::<i32>(row.option)?;
        } else if row.kind.starts_with("Long") {
            parsed.number::<i64>(row.option)?;
        }
        merge(
            &mut properties,
            row.property,
            parsed,
            row.option,
            row.default,
        )?;
    }
    if properties.get("batch.size").is_some_and(String::is_empty) {
        return Err(Failure::new(
            CONFIG_EXCEPTION,
            "Invalid value  for configuration batch.size: Not a number of type INT",
        ));
    }
    Ok(properties)
}

/// What of the properties says how to connect.
fn client_properties(properties: &Properties) -> Properties {
    let names = [
        "client.id",
        "security.protocol",
        "socket.connection.setup.timeout.ms",
    ];
    properties
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What the thread that reads standard input says.
#[derive(Debug)]
enum Input {
    Records(Vec<Record>),
    Failed(Failure),
}

/// Reads lines until the end, an error, or until nobody listens.
fn read_input(mut reader: LineReader, input: &mpsc::Sender<Input>) {
    let stdin = std::io::stdin();
    let prompts = stdin.is_terminal() && std::io::stdout().is_terminal();
    let mut lines: Lines<BufReader<Stdin>> = Lines::new(BufReader::with_capacity(1 << 16, stdin));
    let mut records = Vec::new();
    loop {
        if prompts {
            crate::print::Output::stdout().bytes(b">");
        }
        let line = match lines.next() {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(error) => {
                let failure = Failure::new("java.io.IOException", error.to_string());
                let _ = input.blocking_send(Input::Records(records));
                let _ = input.blocking_send(Input::Failed(failure));
                return;
            }
        };
        match reader.record(&line) {
            Ok(record) => records.push(record),
            Err(failure) => {
                let _ = input.blocking_send(Input::Records(records));
                let _ = input.blocking_send(Input::Failed(failure));
                return;
            }
        }
        if records.len() >= LINES_AT_ONCE || !lines.has_more() {
            let piece = std::mem::take(&mut records);
            if input.blocking_send(Input::Records(piece)).is_err() {
                return;
            }
        }
    }
    let _ = input.blocking_send(Input::Records(records));
}

/// Sends all records; the exit code.
async fn produce(
    mut sender: Sender,
    topic: &str,
    reader: LineReader,
    is_sync: bool,
) -> Result<u8, Stop> {
    let mut signals =
        Signals::new().map_err(|error| Failure::new("java.io.IOException", error.to_string()))?;
    let (input, mut lines) = mpsc::channel(PIECES);
    std::thread::spawn(move || read_input(reader, &input));
    let mut waiting: std::collections::VecDeque<Record> = Default::default();
    let mut is_open = true;
    let mut code = 0;
    loop {
        let has_turn = |sender: &Sender| sender.has_room() && (!is_sync || sender.is_idle());
        while code == 0 && has_turn(&sender) {
            let Some(record) = waiting.pop_front() else {
                break;
            };
            if let Err(failure) = sender.push(&record).await {
                code = refused(&record, topic, is_sync, &failure);
            }
        }
        let is_ending = code != 0 || (!is_open && waiting.is_empty());
        sender.flush(is_sync || is_ending || !sender.has_room());
        let due = sender.dispatch().await;
        code = code.max(report(&mut sender, topic, is_sync));
        if is_ending && sender.is_idle() {
            return Ok(code);
        }
        let mut ended = None;
        tokio::select! {
            piece = lines.recv(), if is_open && waiting.is_empty() && code == 0 => match piece {
                Some(Input::Records(records)) => waiting.extend(records),
                Some(Input::Failed(failure)) => {
                    crate::complain!("{}", failure.trace());
                    (is_open, code) = (false, 1);
                }
                None => is_open = false,
            },
            done = sender.ended() => ended = Some(done),
            () = sleep_until(due) => {}
            signal = signals.received() => {
                if code > 1 {
                    // A second signal does not wait for the brokers.
                    return Ok(code);
                }
                (is_open, code) = (false, signal);
            }
        }
        if let Some(ended) = ended {
            sender.complete(ended).await;
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A record that was not even taken for sending: the exit code if it ends the tool.
fn refused(record: &Record, topic: &str, is_sync: bool, failure: &Failure) -> u8 {
    if failure.class() == "java.lang.IllegalStateException" {
        crate::complain!("{}", failure.trace());
        return 1;
    }
    let record = Lengths {
        key: record.key.as_ref().map(bytes::Bytes::len),
        value: record.value.as_ref().map(bytes::Bytes::len),
    };
    undelivered(record, topic, is_sync, failure)
}

/// Tells of what was not delivered: the exit code if that ends the tool.
fn report(sender: &mut Sender, topic: &str, is_sync: bool) -> u8 {
    let mut code = 0;
    for lost in sender.undelivered.drain(..) {
        code = code.max(undelivered(lost.record, topic, is_sync, &lost.failure));
    }
    code
}

fn undelivered(record: Lengths, topic: &str, is_sync: bool, failure: &Failure) -> u8 {
    if is_sync {
        let thrown = failure.clone().within(EXECUTION_EXCEPTION, failure.named());
        crate::complain!("{}", thrown.trace());
        return 1;
    }
    let shown =
        |length: Option<usize>| length.map_or("null".to_owned(), |it| format!("{it} bytes"));
    let message = format!(
        "Error when sending message to topic {topic} with key: {}, value: {} with error:",
        shown(record.key),
        shown(record.value)
    );
    log::error(CALLBACK, &message, failure);
    0
}
