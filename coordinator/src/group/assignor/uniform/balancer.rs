//! Who of some members is next to give a partition away, and who next to take one.
//!
//! Invariant: the takers are those at the low end of the members sorted by load, which all have
//! `least_level` partitions or were given one since; the givers likewise at the high end. Each range
//! grows as its level reaches the load of its neighbour, so that nothing is sorted twice.

use std::collections::HashMap;
use std::rc::Rc;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Balancer {
    /// The members as they were given at the start.
    list: Option<Rc<[usize]>>,
    /// Ascending by load at the start.
    members: Vec<usize>,
    /// The same for other lists, as they were left.
    set_aside: HashMap<*const usize, Vec<usize>>,
    /// The takers are those below.
    least_end: usize,
    least_next: usize,
    /// One below the load of the least loaded before the first is asked for.
    least_level: isize,
    /// The givers are those from here to `most_end`; beyond are those that have nothing to give.
    most_start: usize,
    most_end: usize,
    /// The givers below this were not asked at this level.
    most_next: usize,
    most_level: isize,
}

impl Balancer {
    /// Begins anew with these members. Their list outlives the balancer, which knows it by its
    /// address.
    pub(super) fn start(&mut self, members: &Rc<[usize]>, loads: &[usize]) {
        if !self
            .list
            .as_ref()
            .is_some_and(|list| Rc::ptr_eq(list, members))
        {
            let sorted = self.set_aside.remove(&members.as_ptr());
            let sorted = sorted.unwrap_or_else(|| members.to_vec());
            let before = std::mem::replace(&mut self.members, sorted);
            if let Some(list) = self.list.replace(members.clone()) {
                self.set_aside.insert(list.as_ptr(), before);
            }
        }
        // As they were sorted when their turn was last, they nearly are: this sort makes use of it.
        self.members.sort_by_key(|member| (loads[*member], *member));
        let load = |member: Option<&usize>| member.map_or(0, |member| loads[*member]);
        let (least, most) = (load(self.members.first()), load(self.members.last()));
        self.least_end = 0;
        self.least_next = 0;
        self.least_level = least.cast_signed() - 1;
        self.most_start = self.members.len();
        self.most_end = self.members.len();
        self.most_next = self.members.len();
        self.most_level = most.cast_signed() + 1;
    }

    /// The next to take a partition; it is taken for granted that it takes one. None only where
    /// there are no members.
    pub(super) fn next_least_loaded(&mut self, loads: &[usize]) -> Option<usize> {
        if self.least_next >= self.least_end {
            self.least_level += 1;
            let is_reached = |member: &usize| loads[*member].cast_signed() == self.least_level;
            let rest = self.members.get(self.least_end..).unwrap_or_default();
            self.least_end += rest.iter().take_while(|member| is_reached(member)).count();
            self.least_next = 0;
        }
        let member = self.members.get(self.least_next).copied();
        self.least_next += 1;
        member
    }

    /// The next to give a partition away; it is taken for granted that it does, unless it is
    /// excluded then. None where nobody is left that could.
    pub(super) fn next_most_loaded(&mut self, loads: &[usize]) -> Option<usize> {
        if self.most_next <= self.most_start {
            let below = self.members.get(..self.most_start).unwrap_or_default();
            self.most_level = match below.last() {
                // All givers had nothing to give: who is next has any load.
                Some(next) if self.most_end <= self.most_start => loads[*next].cast_signed(),
                Some(_) | None => self.most_level - 1,
            };
            let is_reached = |member: &usize| loads[*member].cast_signed() == self.most_level;
            let reached = below.iter().rev().take_while(|member| is_reached(member));
            self.most_start -= reached.count();
            self.most_next = self.most_end;
        }
        self.most_next = self.most_next.checked_sub(1)?;
        self.members.get(self.most_next).copied()
    }

    /// The one that was asked last to give has nothing.
    pub(super) fn exclude_most_loaded(&mut self) {
        if let Some(last) = self.most_end.checked_sub(1) {
            self.members.swap(self.most_next, last);
            self.most_end = last;
        }
    }

    /// Whether the levels of givers and takers are that close that no move makes them closer.
    pub(super) fn is_balanced(&self) -> bool {
        self.most_level - self.least_level <= 1
    }
}
