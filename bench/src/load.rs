//! The work: a producer with N requests in flight, a consumer of a full log, one record at a time.
//!
//! Requests are built before the clock starts, so the generator only moves bytes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};

use crate::batch::{self, Codec, Seeded};
use crate::wire::{self, Connection};

/// Partitions that one Produce request carries a batch for, at most.
const PARTITIONS_PER_REQUEST: usize = 12;
/// Different batches per partition, before the same bytes come again.
const VARIANTS: usize = 16;
/// What upstream's producer keeps in flight by default.
pub(crate) const IN_FLIGHT: usize = 5;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) record_size: usize,
    pub(crate) partitions: usize,
    pub(crate) codec: Codec,
    pub(crate) batch_bytes: usize,
}

/// What was moved, and in which time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moved {
    pub(crate) records: u64,
    /// Bytes of record values, before compression.
    pub(crate) payload: u64,
    /// Bytes of batches, as they lie in the log.
    pub(crate) wire: u64,
    pub(crate) time: Duration,
}

/// A case's requests, ready to be sent again and again.
pub(crate) struct Prebuilt {
    requests: Vec<Vec<u8>>,
    records_per_batch: usize,
    case: Case,
    topic: String,
}

pub(crate) fn now_ms() -> Result<i64> {
    Ok(i64::try_from(
        SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis(),
    )?)
}

impl Prebuilt {
    pub(crate) fn new(topic: &str, case: Case) -> Result<Self> {
        let mut random = Seeded::new(case.record_size as u64);
        let records_per_batch = batch::records_per_batch(case.record_size, case.batch_bytes);
        let partitions: Vec<i32> = (0..i32::try_from(case.partitions)?).collect();
        let now = now_ms()?;
        let mut requests = Vec::new();
        for _ in 0..VARIANTS {
            for group in partitions.chunks(PARTITIONS_PER_REQUEST) {
                let mut batches = Vec::new();
                for partition in group {
                    let batch = batch::build(
                        &mut random,
                        case.record_size,
                        records_per_batch,
                        case.codec,
                        now,
                    )?;
                    batches.push((*partition, batch));
                }
                requests.push(wire::produce(topic, &batches));
            }
        }
        Ok(Prebuilt {
            requests,
            records_per_batch,
            case,
            topic: topic.to_owned(),
        })
    }

    /// Rounds that bring every partition its share of `payload` bytes.
    fn rounds(&self, payload: u64) -> usize {
        let per_round = self.records_per_batch * self.case.record_size * self.case.partitions;
        (payload as usize).div_ceil(per_round)
    }

    fn requests_per_round(&self) -> usize {
        self.case.partitions.div_ceil(PARTITIONS_PER_REQUEST)
    }

    /// Sends about `payload` bytes, each partition the same, with `IN_FLIGHT` requests on the way.
    pub(crate) fn produce(&self, connection: &mut Connection, payload: u64) -> Result<Moved> {
        let rounds = self.rounds(payload);
        let total = rounds * self.requests_per_round();
        let mut wire = 0;
        let mut answered = 0;
        let started = Instant::now();
        for (sent, request) in self.requests.iter().cycle().take(total).enumerate() {
            if sent - answered == IN_FLIGHT {
                taken(connection)?;
                answered += 1;
            }
            connection.send(request)?;
            wire += request.len() as u64;
        }
        while answered < total {
            taken(connection)?;
            answered += 1;
        }
        let records = (rounds * self.records_per_batch * self.case.partitions) as u64;
        Ok(Moved {
            records,
            payload: records * self.case.record_size as u64,
            wire,
            time: started.elapsed(),
        })
    }

    /// Creates the topic and waits until each of its partitions has taken one record.
    /// Returns how many records that put there.
    pub(crate) fn create(&self, connection: &mut Connection) -> Result<u64> {
        connection.create_topic(&self.topic, self.case.partitions)?;
        // A request for several partitions could not be repeated: some may have taken it.
        for request in single_for_each(&self.topic, i32::try_from(self.case.partitions)?)? {
            connection.produce_until_taken(&request)?;
        }
        Ok(self.case.partitions as u64)
    }

    /// Reads `records` records from the start, one Fetch at a time, as one consumer does.
    pub(crate) fn consume(
        &self,
        connection: &mut Connection,
        records: u64,
        partition_bytes: i32,
    ) -> Result<Moved> {
        let mut offsets: Vec<(i32, i64)> = (0..i32::try_from(self.case.partitions)?)
            .map(|index| (index, 0))
            .collect();
        let mut found = Vec::new();
        let mut moved = Moved::default();
        let started = Instant::now();
        while moved.records < records {
            connection.send(&wire::fetch(&self.topic, &offsets, partition_bytes))?;
            connection.fetched(&mut found)?;
            for part in &found {
                let Some(next) = part.next_offset else {
                    continue;
                };
                moved.records += part.records;
                moved.wire += part.bytes;
                for (_, offset) in offsets
                    .iter_mut()
                    .filter(|(index, _)| *index == part.partition)
                {
                    *offset = next;
                }
            }
        }
        ensure!(
            moved.records == records,
            "read {} records where {records} were written",
            moved.records
        );
        moved.time = started.elapsed();
        moved.payload = records * self.case.record_size as u64;
        Ok(moved)
    }
}

fn taken(connection: &mut Connection) -> Result<()> {
    let code = connection.produced()?;
    ensure!(code == 0, "produce answered error code {code}");
    Ok(())
}

/// Milliseconds to an acknowledgement of one record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

/// Sends one record of 100 bytes, waits for its acknowledgement, and does so again.
///
/// The topic is there, or the other end is the bare loop, which knows none.
pub(crate) fn one_at_a_time(
    connection: &mut Connection,
    topic: &str,
    count: usize,
) -> Result<Percentiles> {
    let request = single(topic)?;
    let mut times = Vec::with_capacity(count);
    // The first fifth warms both sides up.
    for index in 0..count + count / 5 {
        let started = Instant::now();
        connection.send(&request)?;
        taken(connection)?;
        if index >= count / 5 {
            times.push(started.elapsed());
        }
    }
    times.sort_unstable();
    let at = |per_mille: usize| {
        let index = (times.len() * per_mille / 1000).min(times.len().saturating_sub(1));
        times
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    Ok(Percentiles {
        p50: at(500),
        p99: at(990),
        p999: at(999),
    })
}

/// A Produce request of one record of 100 bytes for partition 0.
pub(crate) fn single(topic: &str) -> Result<Vec<u8>> {
    let batch = batch::build(&mut Seeded::new(1), 100, 1, Codec::None, now_ms()?)?;
    Ok(wire::produce(topic, &[(0, batch)]))
}

/// One record for each of `partitions` partitions, in as many requests.
pub(crate) fn single_for_each(topic: &str, partitions: i32) -> Result<Vec<Vec<u8>>> {
    let batch = batch::build(&mut Seeded::new(1), 100, 1, Codec::None, now_ms()?)?;
    Ok((0..partitions)
        .map(|partition| wire::produce(topic, &[(partition, batch.clone())]))
        .collect())
}
