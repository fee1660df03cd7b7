//! How many connections there may be, in all and per address.
//!
//! Invariant: a connection counts from the moment it is accepted until its guard is dropped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// The connections of one listener, counted.
pub(crate) struct Limits {
    max_connections: usize,
    max_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
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
            max_connections,
            max_per_address,
            counts: Mutex::default(),
        })
    }

    /// Counts a connection from `address`, unless that would be one too many.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admitted> {
        let mut counts = self.counts.lock();
        let counts = &mut *counts;
        let of_address = counts.per_address.entry(address).or_default();
        if counts.all >= self.max_connections || *of_address >= self.max_per_address {
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
        let mut counts = self.limits.counts.lock();
        counts.all -= 1;
        if let Some(of_address) = counts.per_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                counts.per_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_connection_too_many_is_refused_until_one_ends() {
        let limits = Limits::new(2, 1);
        let (a, b, c) = (address(1), address(2), address(3));
        let first = limits.admit(a).unwrap();
        assert!(limits.admit(a).is_none(), "one per address");
        let _second = limits.admit(b).unwrap();
        assert!(limits.admit(c).is_none(), "two in all");
        drop(first);
        assert!(limits.admit(c).is_some());
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
    }
}
