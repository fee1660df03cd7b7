//! A case's view of the broker: named connections, variables, and the steps of a scenario. What the
//! broker does comes back masked; only a setup that fails is an error.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::case::{Raw, Send, Step};
use crate::codec::{self, RequestHeader};
use crate::connection::{Connection, Observation};
use crate::mask::Masks;
use crate::mutate::{Change, Mutation};
use crate::path::{self, Variables};
use crate::run::names;
use crate::schema::{Api, Schemas};

const ANSWER_DEADLINE: Duration = Duration::from_secs(20);
/// How long the lack of an answer is watched where the recording has none.
const SILENCE_DEADLINE: Duration = Duration::from_millis(1500);
const SETUP_DEADLINE: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_millis(20);
const CLIENT_ID: &str = "compat";
/// Unknown topic, no leader yet, not the leader, loading, no coordinator, not the coordinator,
/// markers still to be written, unknown topic id: upstream may answer them shortly after a topic or
/// group was made or a transaction was ended.
const TRANSIENT_ERRORS: [i64; 8] = [3, 5, 6, 14, 15, 16, 51, 100];

pub(crate) struct Client<'a> {
    address: SocketAddr,
    schemas: &'a Schemas,
    masks: &'a Masks,
    versions: BTreeMap<String, i16>,
    connections: BTreeMap<String, Connection>,
    pending: BTreeMap<String, Pending<'a>>,
    pub(crate) variables: Variables,
    next_correlation_id: i32,
    expects_silence: bool,
}

/// A request whose answer has not been read.
struct Pending<'a> {
    api: &'a Api,
    version: i16,
    correlation_id: i32,
    connection: String,
}

/// What came back, before it is masked.
enum Reply {
    Answer(Value),
    Other(Value),
}

impl<'a> Client<'a> {
    pub(crate) fn new(
        address: SocketAddr,
        schemas: &'a Schemas,
        masks: &'a Masks,
        salt: &str,
        id: &str,
    ) -> Self {
        Self {
            address,
            schemas,
            masks,
            versions: BTreeMap::new(),
            connections: BTreeMap::new(),
            pending: BTreeMap::new(),
            variables: names(id, id, salt),
            next_correlation_id: 1,
            expects_silence: false,
        }
    }

    /// The version in which an API's requests go out unless a step says another.
    pub(crate) fn version_of(&mut self, api: &str, version: i16) {
        self.versions.insert(api.to_owned(), version);
        self.versions.retain(|name, _| name == api);
    }

    pub(crate) fn begin_case(&mut self, case: &str, expects_silence: bool) {
        self.variables.insert("case".to_owned(), Value::from(case));
        self.expects_silence = expects_silence;
    }

    /// Steps that must succeed.
    pub(crate) fn prepare(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            if let Step::Send(send) = step
                && send.later.is_none()
                && !send.no_answer
            {
                self.send_until_ok(send)?;
            } else {
                self.step(step)?;
            }
        }
        Ok(())
    }

    /// One step; the masked observation unless the step is of the setup's kind.
    pub(crate) fn step(&mut self, step: &Step) -> Result<Option<Value>> {
        match step {
            Step::Send(send) => {
                let seen = self.request(send, &send.body, None)?;
                return Ok(seen.filter(|_| !send.unobserved));
            }
            Step::Await(wait) => {
                let name = path::interpolate(&wait.name, &self.variables)?;
                let pending = self.pending.remove(&name);
                let pending = pending.with_context(|| format!("nothing is called {name:?}"))?;
                let deadline = wait.deadline_ms.map(Duration::from_millis);
                let reply = self.receive(&pending, deadline)?;
                let seen = self.observe(pending.api, reply, &wait.save)?;
                if !wait.unobserved {
                    return Ok(Some(seen));
                }
                // What is not compared must at least hold what is kept of it.
                let is_kept = |name: &String| {
                    let value = self.variables.get(name);
                    value.is_some_and(|value| !value.is_null())
                };
                anyhow::ensure!(
                    !wait.save.is_empty() && wait.save.keys().all(is_kept),
                    "the answer called {name:?} lacks what is kept of it: {seen}"
                );
                return Ok(None);
            }
            Step::Raw(raw) => return self.raw(raw).map(Some),
            Step::Topic(topic) => crate::prepare::topic(self, topic)?,
            Step::Produce(produce) => crate::prepare::produce(self, produce)?,
            Step::Group(group) => crate::prepare::group(self, group)?,
            Step::Transactional(producer) => crate::prepare::transactional(self, producer)?,
            Step::Settled(id) => crate::prepare::settled(self, id)?,
            Step::Join(join) => crate::prepare::join(self, join)?,
            Step::Consumer(consumer) => crate::prepare::consumer(self, consumer)?,
            Step::Sharer(sharer) => crate::prepare::sharer(self, sharer)?,
            Step::Disconnect(name) => {
                self.connections.remove(name);
            }
        }
        Ok(None)
    }

    /// Sends a request, mutated or not, and gives what is seen of it.
    pub(crate) fn request(
        &mut self,
        send: &Send,
        body: &Value,
        mutation: Option<&Mutation>,
    ) -> Result<Option<Value>> {
        let until = Instant::now() + SETUP_DEADLINE;
        loop {
            let pending = self.transmit(send, body, mutation)?;
            if let Some(name) = &send.later {
                self.pending.insert(name.clone(), pending);
                return Ok(None);
            }
            if send.no_answer {
                return Ok(None);
            }
            let mut reply = self.receive(&pending, send.deadline_ms.map(Duration::from_millis))?;
            if let Reply::Answer(answer) = &mut reply {
                self.keep_only(answer, &send.only)?;
            }
            let done = match &reply {
                Reply::Answer(answer) => {
                    let codes = error_codes(answer);
                    self.has(answer, &send.until)?
                        && !codes.iter().any(|code| send.retry.contains(code))
                }
                Reply::Other(_) => true,
            };
            if done || Instant::now() > until {
                if let Reply::Answer(answer) = &mut reply {
                    for place in &send.any {
                        if let Some(value) = path::get_mut(answer, place) {
                            *value = Value::from("<any>");
                        }
                    }
                }
                return self.observe(pending.api, reply, &send.save).map(Some);
            }
            std::thread::sleep(RETRY_PAUSE);
        }
    }

    fn keep_only(&self, answer: &mut Value, only: &BTreeMap<String, String>) -> Result<()> {
        for (place, text) in only {
            let text = path::interpolate(text, &self.variables)?;
            if let Some(Value::Array(items)) = path::get_mut(answer, place) {
                items.retain(|item| item.to_string().contains(&text));
            }
        }
        Ok(())
    }

    fn has(&self, answer: &Value, wanted: &BTreeMap<String, Value>) -> Result<bool> {
        for (place, value) in wanted {
            let value = path::substitute(value, &self.variables)?;
            if path::get(answer, place) != Some(&value) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn transmit(
        &mut self,
        send: &Send,
        body: &Value,
        mutation: Option<&Mutation>,
    ) -> Result<Pending<'a>> {
        let under_test = || self.versions.keys().next().cloned();
        let name = send.api.clone().or_else(under_test).context("no API")?;
        let api = self.schemas.api(&name)?;
        let latest = api.request.versions.high - i16::from(api.request.latest_unstable);
        let version = send
            .version
            .or_else(|| self.versions.get(&name).copied())
            .unwrap_or(latest);
        let mut body = if body.is_null() {
            json!({})
        } else {
            body.clone()
        };
        if let Some(mutation) = mutation {
            mutation.apply(&mut body);
        }
        let body = path::substitute(&body, &self.variables)?;
        self.next_correlation_id += 1;
        let client_id = send.client_id.as_deref().unwrap_or(CLIENT_ID);
        let client_id = &path::interpolate(client_id, &self.variables)?;
        let header = RequestHeader {
            key: api.key,
            version,
            correlation_id: self.next_correlation_id,
            client_id: (!send.no_client_id).then_some(client_id),
            tags: send.header_tags.as_ref(),
        };
        let frame = frame_of(api, &header, &body, mutation)?;
        let connection = send.on.clone().unwrap_or_else(|| "main".to_owned());
        let sent = self.connection(&connection)?.send_frame(&frame)?;
        if !sent {
            // It was closed behind our back; the request belongs on a fresh one.
            self.connections.remove(&connection);
            self.connection(&connection)?.send_frame(&frame)?;
        }
        Ok(Pending {
            api,
            version,
            correlation_id: self.next_correlation_id,
            connection,
        })
    }

    fn connection(&mut self, name: &str) -> Result<&mut Connection> {
        if !self.connections.contains_key(name) {
            self.connections
                .insert(name.to_owned(), Connection::open(self.address)?);
        }
        self.connections.get_mut(name).context("just inserted")
    }

    fn receive(&mut self, pending: &Pending, deadline: Option<Duration>) -> Result<Reply> {
        let usual = if self.expects_silence {
            SILENCE_DEADLINE
        } else {
            ANSWER_DEADLINE
        };
        let connection = self.connections.get_mut(&pending.connection);
        let seen = match connection {
            Some(connection) => connection.receive(deadline.unwrap_or(usual)),
            None => Ok(Observation::Closed),
        };
        let reply = match seen {
            Ok(Observation::Frame(frame)) => read(pending, &frame),
            Ok(Observation::Closed) => Reply::Other(json!("closed")),
            Ok(Observation::Silence) => Reply::Other(json!("silence")),
            Err(error) => Reply::Other(json!({ "broken": format!("{error:#}") })),
        };
        if matches!(reply, Reply::Other(_)) {
            self.connections.remove(&pending.connection);
        }
        Ok(reply)
    }

    fn observe(
        &mut self,
        api: &Api,
        reply: Reply,
        save: &BTreeMap<String, String>,
    ) -> Result<Value> {
        let mut answer = match reply {
            Reply::Other(seen) => return Ok(seen),
            Reply::Answer(answer) => answer,
        };
        for (name, place) in save {
            let value = path::get(&answer, place).cloned().unwrap_or(Value::Null);
            self.variables.insert(name.clone(), value);
        }
        self.masks.apply(&api.name, &mut answer, &self.variables);
        Ok(answer)
    }

    fn send_until_ok(&mut self, send: &Send) -> Result<()> {
        let until = Instant::now() + SETUP_DEADLINE;
        loop {
            let pending = self.transmit(send, &send.body, None)?;
            let name = pending.api.name.clone();
            let answer = match self.receive(&pending, None)? {
                Reply::Answer(answer) => answer,
                Reply::Other(seen) => bail!("{name} v{}: {seen}", pending.version),
            };
            let code = error_codes(&answer)
                .into_iter()
                .find(|code| !send.allow.contains(code));
            let done = code.is_none() && self.has(&answer, &send.until)?;
            if done {
                self.observe(pending.api, Reply::Answer(answer), &send.save)?;
                return Ok(());
            }
            let hopeless = code.is_some_and(|code| !TRANSIENT_ERRORS.contains(&code));
            if hopeless || Instant::now() > until {
                bail!("{name} v{}: {answer}", pending.version);
            }
            std::thread::sleep(RETRY_PAUSE);
        }
    }

    /// A request of the setup in a fixed version, repeated until it succeeds; the raw answer.
    pub(crate) fn call(&mut self, api: &str, version: i16, body: Value, on: &str) -> Result<Value> {
        let send = Send {
            api: Some(api.to_owned()),
            version: Some(version),
            body,
            on: Some(on.to_owned()),
            save: BTreeMap::from([("_answer".to_owned(), String::new())]),
            ..Send::default()
        };
        self.send_until_ok(&send)?;
        self.variables
            .remove("_answer")
            .context("an answer was saved")
    }

    fn raw(&mut self, raw: &Raw) -> Result<Value> {
        let mut connection = Connection::open(self.address)?;
        let hex = path::interpolate(&raw.hex, &self.variables)?;
        let mut bytes = codec::parse_hex(&hex)?;
        bytes.resize(bytes.len() + raw.zeros, 0);
        connection.send_bytes(&bytes);
        if raw.half_close {
            connection.close_our_half();
        }
        let usual = if self.expects_silence {
            SILENCE_DEADLINE
        } else {
            ANSWER_DEADLINE
        };
        let deadline = raw.deadline_ms.map_or(usual, Duration::from_millis);
        let frame = match connection.receive(deadline) {
            Ok(Observation::Frame(frame)) => frame,
            Ok(Observation::Closed) => return Ok(json!("closed")),
            Ok(Observation::Silence) => return Ok(json!("silence")),
            Err(error) => return Ok(json!({ "broken": format!("{error:#}") })),
        };
        let Some((name, version)) = &raw.answer else {
            return Ok(json!({ "frame": codec::format_hex(&frame) }));
        };
        let api = self.schemas.api(name)?;
        let reply = match codec::decode_response(api, *version, &frame) {
            Ok(answer) => Reply::Answer(answer),
            Err(error) => Reply::Other(json!({ "undecodable": format!("{error:#}") })),
        };
        self.observe(api, reply, &BTreeMap::new())
    }
}

fn frame_of(
    api: &Api,
    header: &RequestHeader,
    body: &Value,
    mutation: Option<&Mutation>,
) -> Result<Vec<u8>> {
    let layout = header.version;
    let tag = json!({ "9999": "00ff" });
    let mut header: RequestHeader = header.clone();
    let mut cut = 0;
    let mut append: &[u8] = &[];
    if let Some(mutation) = mutation {
        match &mutation.change {
            Change::Put { .. } | Change::Double { .. } => {}
            Change::Cut(size) => cut = *size,
            Change::Append(bytes) => append = bytes,
            Change::ClaimVersion(version) => header.version = *version,
            Change::HeaderTag => header.tags = Some(&tag),
            Change::NoClientId => header.client_id = None,
        }
    }
    let mut frame = codec::encode_request(api, &header, layout, body)?;
    frame.truncate(frame.len().saturating_sub(cut));
    frame.extend_from_slice(append);
    Ok(frame)
}

fn read(pending: &Pending, frame: &[u8]) -> Reply {
    match codec::response_correlation_id(frame) {
        Ok(id) if id == pending.correlation_id => {}
        other => return Reply::Other(json!({ "wrong correlation id": format!("{other:?}") })),
    }
    match codec::decode_response(pending.api, pending.version, frame) {
        Ok(answer) => Reply::Answer(answer),
        // A refused version is answered in ApiVersions v0, which any client can read.
        Err(error) => match codec::decode_response(pending.api, 0, frame) {
            Ok(answer) if pending.api.name == "ApiVersions" => Reply::Answer(answer),
            _ => Reply::Other(json!({ "undecodable": format!("{error:#}") })),
        },
    }
}

/// All error codes in an answer that are not NONE.
fn error_codes(answer: &Value) -> Vec<i64> {
    match answer {
        Value::Array(items) => items.iter().flat_map(error_codes).collect(),
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| match value.as_i64() {
                Some(code) if name.ends_with("ErrorCode") && code != 0 => vec![code],
                _ => error_codes(value),
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}
