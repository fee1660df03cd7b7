//! How many connections there may be, in all and per address.
//!
//! Invariant: a connection counts from the moment it is accepted until its guard is dropped, whatever
//! listener it came by.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The connections of a node, counted; the limits may change while it runs.
pub(crate) struct Limits {
    counts: Mutex<Counts>,
    /// A connection ended, or there may be more of them.
    room: Notify,
}

struct Counts {
    max_connections: usize,
    max_per_address: usize,
    all: usize,
    per_address: HashMap<IpAddr, usize>,
}

/// One counted connection.
pub(crate) struct Admitted {
    limits: Arc<Limits>,
    address: IpAddr,
}

impl Limits {
    pub(crate) fn new(max_connections: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Limits {
            counts: Mutex::new(Counts {
                max_connections,
                max_per_address,
                all: 0,
                per_address: HashMap::new(),
            }),
            room: Notify::new(),
        })
    }

    /// Sets `max.connections` and `max.connections.per.ip` anew; who is connected stays.
    pub(crate) fn change(&self, max_connections: usize, max_per_address: usize) {
        {
            let mut counts = self.counts.lock();
            counts.max_connections = max_connections;
            counts.max_per_address = max_per_address;
        }
        self.room.notify_waiters();
    }

    /// Returns when one more connection may be served: with too many in all, clients wait.
    pub(crate) async fn room(&self) {
        loop {
            let changed = self.room.notified();
            {
                let counts = self.counts.lock();
                if counts.all < counts.max_connections {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Counts a connection from `address`, unless that would be one too many of that address.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admitted> {
        let mut counts = self.counts.lock();
        let counts = &mut *counts;
        let of_address = counts.per_address.entry(address).or_default();
        if *of_address >= counts.max_per_address {
            if *of_address == 0 {
                counts.per_address.remove(&address);
            }
            return None;
        }
        *of_address += 1;
        counts.all += 1;
        Some(Admitted {
            limits: self.clone(),
            address,
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        {
            let mut counts = self.limits.counts.lock();
            counts.all -= 1;
            if let Some(of_address) = counts.per_address.get_mut(&self.address) {
                *of_address -= 1;
                if *of_address == 0 {
                    counts.per_address.remove(&self.address);
                }
            }
        }
        self.limits.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn an_address_with_too_many_connections_is_refused_until_one_ends() {
        let limits = Limits::new(usize::MAX, 1);
        let (a, b) = (address(1), address(2));
        let first = limits.admit(a).unwrap();
        assert!(limits.admit(a).is_none(), "one per address");
        let _second = limits.admit(b).unwrap();
        drop(first);
        assert!(limits.admit(a).is_some());
    }

    #[test]
    fn with_too_many_connections_in_all_the_next_one_waits() {
        let limits = Limits::new(1, usize::MAX);
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(pin!(limits.room()).poll(&mut context), Poll::Ready(()));
        let first = limits.admit(address(1)).unwrap();
        {
            let mut waiting = pin!(limits.room());
            assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
            drop(first);
            assert_eq!(waiting.poll(&mut context), Poll::Ready(()));
        }
        let _second = limits.admit(address(1)).unwrap();
        let mut waiting = pin!(limits.room());
        assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);
        limits.change(2, usize::MAX);
        assert_eq!(waiting.poll(&mut context), Poll::Ready(()));
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
    }
}
