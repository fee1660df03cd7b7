//! What members of a group of KIP-848 send, and what they are told.
//!
//! A heartbeat tells only what changed, as clients do: no field for what the broker knows.

use anyhow::{Result, ensure};

use super::{Answer, Connection, RETRIABLE, Request, refused};

const CONSUMER_GROUP_HEARTBEAT: (i16, i16) = (68, 1);
const INCREMENTAL_ALTER_CONFIGS: (i16, i16) = (44, 0);
const RESOURCE_GROUP: i8 = 32;
const KEY_TYPE_GROUP: i8 = 0;
const REBALANCE_TIMEOUT_MS: i32 = 60_000;

pub(crate) type TopicId = [u8; 16];

/// What a member says of itself.
pub(crate) struct Heartbeat<'a> {
    pub(crate) group: &'a str,
    pub(crate) member: &'a str,
    /// 0 joins, -1 leaves.
    pub(crate) epoch: i32,
    /// Said when it joins.
    pub(crate) topic: Option<&'a str>,
    /// What it has, said when it joins and when that changed; the id is that of its topic.
    pub(crate) owned: Option<(Option<TopicId>, &'a [i32])>,
}

/// What it is told.
pub(crate) struct Told {
    pub(crate) epoch: i32,
    /// What it has to have from now on, if that changes.
    pub(crate) assignment: Option<Assignment>,
}

#[derive(Default)]
pub(crate) struct Assignment {
    pub(crate) topic: Option<TopicId>,
    pub(crate) partitions: Vec<i32>,
}

fn heartbeat(beat: &Heartbeat<'_>) -> Vec<u8> {
    const NULL: u8 = 0;
    let mut request = Request::flexible(CONSUMER_GROUP_HEARTBEAT);
    request.compact_bytes(beat.group.as_bytes());
    request.compact_bytes(beat.member.as_bytes());
    request.i32(beat.epoch);
    // Neither an instance id nor a rack.
    request.0.extend_from_slice(&[NULL, NULL]);
    request.i32(beat.topic.map_or(-1, |_| REBALANCE_TIMEOUT_MS));
    match beat.topic {
        None => request.0.push(NULL),
        Some(topic) => {
            request.compact(1);
            request.compact_bytes(topic.as_bytes());
        }
    }
    // Neither a pattern nor an assignor of its own.
    request.0.extend_from_slice(&[NULL, NULL]);
    match beat.owned {
        None => request.0.push(NULL),
        Some((Some(id), partitions)) if !partitions.is_empty() => {
            request.compact(1);
            request.0.extend_from_slice(&id);
            request.compact(partitions.len());
            for partition in partitions {
                request.i32(*partition);
            }
            request.no_tags();
        }
        Some(_) => request.compact(0),
    }
    request.no_tags();
    request.finish()
}

fn assignment(answer: &mut Answer<'_>) -> Result<Option<Assignment>> {
    if i8::from_be_bytes(answer.take(1)?.try_into()?) < 0 {
        return Ok(None);
    }
    let mut assignment = Assignment::default();
    for _ in 0..answer.compact()? {
        assignment.topic = Some(answer.take(16)?.try_into()?);
        for _ in 0..answer.compact()? {
            assignment.partitions.push(answer.i32()?);
        }
        no_tags(answer)?;
    }
    no_tags(answer)?;
    Ok(Some(assignment))
}

fn no_tags(answer: &mut Answer<'_>) -> Result<()> {
    ensure!(answer.take(1)? == [0], "a tagged field nobody knows");
    Ok(())
}

impl Connection {
    pub(crate) fn find_group_coordinator(&mut self, group: &str) -> Result<Result<(), i16>> {
        self.find_coordinator(group, KEY_TYPE_GROUP)
    }

    pub(crate) fn send_heartbeat(&mut self, beat: &Heartbeat<'_>) -> Result<()> {
        self.send(&heartbeat(beat))
    }

    /// The answer to a heartbeat; none where it has to be sent again.
    pub(crate) fn told(&mut self) -> Result<Option<Told>> {
        let mut answer = self.answer()?;
        // Tagged fields of the header, throttle time.
        answer.take(5)?;
        let code = answer.i16()?;
        if RETRIABLE.contains(&code) {
            return Ok(None);
        }
        ensure!(
            code == 0,
            "ConsumerGroupHeartbeat answered error code {code}"
        );
        for _ in ["error message", "member id"] {
            let length = answer.compact()?;
            answer.take(length)?;
        }
        let epoch = answer.i32()?;
        answer.i32()?;
        let assignment = assignment(&mut answer)?;
        Ok(Some(Told { epoch, assignment }))
    }

    /// Sets one config of a group.
    pub(crate) fn configure_group(&mut self, group: &str, name: &str, value: &str) -> Result<()> {
        let mut request = Request::new(INCREMENTAL_ALTER_CONFIGS);
        request.count(1);
        request.i8(RESOURCE_GROUP);
        request.string(group);
        request.count(1);
        request.string(name);
        request.i8(0);
        request.string(value);
        request.i8(0);
        self.send(&request.finish())?;
        let mut answer = self.answer()?;
        answer.take(8)?;
        let done = refused(answer.i16()?);
        ensure!(
            done.is_ok(),
            "IncrementalAlterConfigs answered error code {done:?}"
        );
        Ok(())
    }
}
