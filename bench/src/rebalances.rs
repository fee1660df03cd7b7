//! Rebalances of one large group of KIP-848: members join, one leaves, it joins again.
//!
//! Members send their heartbeats in turn and without a pause while anything moves, so that the broker's
//! work is timed and not the interval of its heartbeats. A rebalance is over when every member is in
//! one epoch and has its share, and every partition has one owner.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::load::Moved;
use crate::transactions::until_done;
use crate::wire::Connection;
use crate::wire::groups::{Heartbeat, Told, TopicId};

pub(crate) const MEMBERS: usize = 100;
pub(crate) const PARTITIONS: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(120);

struct Member {
    connection: Connection,
    id: String,
    epoch: i32,
    topic: Option<TopicId>,
    owned: Vec<i32>,
    /// Whether the broker does not know yet that it has what it was told to have.
    unsaid: bool,
    away: bool,
}

impl Member {
    fn new(address: SocketAddr, index: usize) -> Result<Self> {
        Ok(Member {
            connection: Connection::open(address)?,
            id: format!("member-{index}"),
            epoch: 0,
            topic: None,
            owned: Vec::new(),
            unsaid: false,
            away: false,
        })
    }

    fn send(&mut self, group: &str, topic: &str) -> Result<()> {
        let joins = self.epoch == 0;
        let owned = (joins || self.unsaid).then_some((self.topic, self.owned.as_slice()));
        self.connection.send_heartbeat(&Heartbeat {
            group,
            member: &self.id,
            epoch: self.epoch,
            topic: joins.then_some(topic),
            owned,
        })
    }

    fn receive(&mut self) -> Result<()> {
        let Some(Told { epoch, assignment }) = self.connection.told()? else {
            return Ok(());
        };
        self.epoch = epoch;
        self.unsaid = false;
        if let Some(assignment) = assignment {
            self.topic = assignment.topic.or(self.topic);
            self.owned = assignment.partitions;
            self.unsaid = true;
        }
        Ok(())
    }

    fn leave(&mut self, group: &str) -> Result<()> {
        self.connection.send_heartbeat(&Heartbeat {
            group,
            member: &self.id,
            epoch: -1,
            topic: None,
            owned: None,
        })?;
        ensure!(self.connection.told()?.is_some(), "a leave was put off");
        self.epoch = 0;
        self.owned.clear();
        self.unsaid = false;
        self.away = true;
        Ok(())
    }
}

/// The members of a group, each with its connection.
pub(crate) struct Group {
    members: Vec<Member>,
    group: String,
    topic: String,
    next: usize,
}

impl Group {
    /// Opens the connections; nobody joins yet.
    pub(crate) fn begin(address: SocketAddr, topic: &str, group: &str) -> Result<Self> {
        let mut control = Connection::open(address)?;
        until_done("FindCoordinator", || control.find_group_coordinator(group))?;
        // Else the broker waits before each assignment, and this is what would be timed.
        control.configure_group(group, "consumer.assignment.interval.ms", "0")?;
        let members = (0..MEMBERS).map(|index| Member::new(address, index));
        Ok(Group {
            members: members.collect::<Result<_>>()?,
            group: group.to_owned(),
            topic: topic.to_owned(),
            next: 0,
        })
    }

    /// Every member joins; the time until the group is stable.
    pub(crate) fn form(&mut self) -> Result<Moved> {
        let started = Instant::now();
        self.settle()?;
        Ok(moved(1, started))
    }

    /// So many rebalances: one member after the other leaves, and joins again.
    pub(crate) fn change(&mut self, rebalances: usize) -> Result<Moved> {
        let started = Instant::now();
        for _ in 0..rebalances.div_ceil(2) {
            let index = self.next % MEMBERS;
            self.next += 1;
            self.members[index].leave(&self.group)?;
            self.settle()?;
            self.members[index].away = false;
            self.settle()?;
        }
        Ok(moved(rebalances.div_ceil(2) * 2, started))
    }

    /// Everybody leaves.
    pub(crate) fn end(mut self) -> Result<()> {
        let group = &self.group;
        self.members
            .iter_mut()
            .try_for_each(|member| member.leave(group))
    }

    fn settle(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let (group, topic) = (&self.group, &self.topic);
            let mut here = self.members.iter_mut().filter(|member| !member.away);
            here.try_for_each(|member| member.send(group, topic))?;
            let mut here = self.members.iter_mut().filter(|member| !member.away);
            here.try_for_each(Member::receive)?;
            if self.is_stable() {
                return Ok(());
            }
            ensure!(
                started.elapsed() < PATIENCE,
                "the group is not stable after {PATIENCE:?}"
            );
        }
    }

    fn is_stable(&self) -> bool {
        let here: Vec<&Member> = self.members.iter().filter(|member| !member.away).collect();
        let epoch = here.first().map(|member| member.epoch);
        let share = PARTITIONS / here.len().max(1);
        let mut owners = vec![0; PARTITIONS];
        for member in &here {
            if Some(member.epoch) != epoch || member.unsaid || member.owned.len() < share {
                return false;
            }
            for partition in &member.owned {
                let index = usize::try_from(*partition).unwrap_or(PARTITIONS);
                match owners.get_mut(index) {
                    Some(count) => *count += 1,
                    None => return false,
                }
            }
        }
        owners.iter().all(|count| *count == 1)
    }
}

/// Makes the topic, and waits until groups know of it, by a group of one member that is not measured.
pub(crate) fn create_topic(
    connection: &mut Connection,
    address: SocketAddr,
    topic: &str,
) -> Result<()> {
    let started = Instant::now();
    connection.create_topic(topic, PARTITIONS)?;
    let group = format!("{topic}-is-there");
    until_done("FindCoordinator", || {
        connection.find_group_coordinator(&group)
    })?;
    let mut member = Member::new(address, 0)?;
    while member.owned.len() < PARTITIONS {
        member.send(&group, topic)?;
        member.receive()?;
        ensure!(
            started.elapsed() < PATIENCE,
            "groups do not know of the topic after {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    member.leave(&group)
}

fn moved(rebalances: usize, started: Instant) -> Moved {
    Moved {
        records: rebalances as u64,
        payload: 0,
        wire: 0,
        time: started.elapsed(),
    }
}
