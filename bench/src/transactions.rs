//! Transactions of 100 records: some producers, each with its own connection, one after the other.
//!
//! As clients of transactions v2 do (KIP-890): Produce adds the partition, EndTxn gives the next epoch.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::batch::{self, Codec, Seeded};
use crate::load::Moved;
use crate::wire::{Connection, Identity};

/// Producers at work at the same time, each in a partition of its own.
pub(crate) const PRODUCERS: usize = 8;
const RECORDS: usize = 100;
const RECORD_SIZE: usize = 100;

/// What a client answers by trying again: no coordinator yet, a leader that is not there yet, an end
/// that is not complete, not enough replicas (which old versions say for it).
const RETRIABLE: [i16; 9] = [3, 5, 6, 7, 14, 15, 16, 19, 51];
const BACKOFF: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(60);

struct Producer {
    connection: Connection,
    transactional_id: String,
    topic: String,
    partition: i32,
    identity: Identity,
    batch: Vec<u8>,
}

/// The producers of a run, with their ids.
pub(crate) struct Producers(Vec<Producer>);

/// Asks until the answer has no error that passes.
pub(crate) fn until_done<T>(
    what: &str,
    mut ask: impl FnMut() -> Result<Result<T, i16>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        match ask()? {
            Ok(done) => return Ok(done),
            Err(code) if RETRIABLE.contains(&code) && started.elapsed() < PATIENCE => {
                std::thread::sleep(BACKOFF);
            }
            Err(code) => bail!("{what} answered error code {code}"),
        }
    }
}

impl Producer {
    fn transact(&mut self) -> Result<()> {
        batch::in_transaction(&mut self.batch, self.identity.id, self.identity.epoch);
        let (connection, id) = (&mut self.connection, &self.transactional_id);
        until_done("Produce", || {
            connection.produce_in_transaction(id, &self.topic, self.partition, &self.batch)
        })?;
        self.identity = until_done("EndTxn", || connection.commit(id, self.identity))?;
        Ok(())
    }
}

impl Producers {
    /// Makes the topic, and gives every producer its id.
    pub(crate) fn begin(address: SocketAddr, topic: &str) -> Result<Self> {
        let mut connection = Connection::open(address)?;
        connection.create_topic(topic, PRODUCERS)?;
        let now = crate::load::now_ms()?;
        let mut all = Vec::new();
        for index in 0..PRODUCERS {
            let mut connection = Connection::open(address)?;
            let transactional_id = format!("{topic}-{index}");
            until_done("FindCoordinator", || {
                connection.find_transaction_coordinator(&transactional_id)
            })?;
            let identity = until_done("InitProducerId", || {
                connection.init_producer_id(&transactional_id)
            })?;
            let mut random = Seeded::new(index as u64);
            all.push(Producer {
                connection,
                transactional_id,
                topic: topic.to_owned(),
                partition: i32::try_from(index)?,
                identity,
                batch: batch::build(&mut random, RECORD_SIZE, RECORDS, Codec::None, now)?,
            });
        }
        Ok(Producers(all))
    }

    /// Commits so many transactions in all; `records` counts transactions.
    pub(crate) fn commit(&mut self, transactions: usize) -> Result<Moved> {
        let each = transactions.div_ceil(PRODUCERS);
        let started = Instant::now();
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .0
                .iter_mut()
                .map(|producer| {
                    scope.spawn(move || (0..each).try_for_each(|_| producer.transact()))
                })
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().ok().context("a producer panicked")?)
        })?;
        let count = (each * PRODUCERS) as u64;
        let payload = count * (RECORDS * RECORD_SIZE) as u64;
        Ok(Moved {
            records: count,
            payload,
            wire: payload,
            time: started.elapsed(),
        })
    }
}
