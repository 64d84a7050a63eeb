//! One direction: the interface by which it leaves, the tree there, and who has which of its classes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    net::Ipv4Addr,
};

use super::{
    ShaperError, Way,
    tc::{self, Class},
};
use crate::{
    Error,
    gate::{Direction, classes},
    netlink::{Message, Netlink},
};

/// Classes that are made with one system call.
const BATCH: u16 = 16;

/// A subscriber's class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    minor: u16,
    class: Class,
}

/// See the module. Classes are numbered from 1.
#[derive(Debug)]
pub struct Side {
    pub direction: Direction,
    way: Way,
    /// The tree's number, in the upper half.
    root: u32,
    /// The number of the next class to be made.
    next: u16,
    /// Made and nobody's, the longest unused first: what its last holder left in the queue is gone by then.
    free: VecDeque<u16>,
    held: BTreeMap<Ipv4Addr, Held>,
}

impl Side {
    pub fn new(direction: Direction, way: &Way, root: u32) -> Self {
        Self { direction, way: way.clone(), root, next: 1, free: VecDeque::new(), held: BTreeMap::new() }
    }

    /// Whether the tree is there. Somebody else's is an error.
    pub fn is_there(&self, tc: &mut Netlink) -> Result<bool, ShaperError> {
        match self.found(tc)? {
            Some(found) if self.is_ours(&found) => Ok(true),
            Some(found) if found.handle != 0 => Err(self.foreign(found)),
            _ => Ok(false),
        }
    }

    pub fn make(&self, tc: &mut Netlink) -> Result<(), ShaperError> {
        tc.series(&[tc::make_root(self.way.index, self.root)]).map_err(no_tree)
    }

    /// Compares the map with the classes: who is in both keeps his, whose class is missing has none. Returns the latter.
    pub fn adopt(&mut self, tc: &mut Netlink, map: BTreeMap<Ipv4Addr, u32>) -> Result<Vec<Ipv4Addr>, ShaperError> {
        let mut made = BTreeMap::new();
        tc.dump(&tc::dump_classes(self.way.index, self.root), |octets| made.extend(tc::decode_class(&octets)))
            .map_err(Error::tc("listing classes"))?;
        self.held.clear();
        let mut stray = Vec::new();
        let mut unheld = made.clone();
        for (ip, id) in map {
            let minor = id as u16; // the lower half
            match unheld.remove(&minor).filter(|_| tc::class_id(self.root, minor) == id) {
                Some(class) => drop(self.held.insert(ip, Held { minor, class })),
                None => stray.push(ip),
            }
        }
        self.next = made.last_key_value().map_or(1, |(last, _)| last.saturating_add(1));
        let taken: BTreeSet<u16> = self.held.values().map(|held| held.minor).collect();
        // What is missing in between is made when it is given to somebody.
        self.free = (1..self.next).filter(|minor| !taken.contains(minor)).collect();
        Ok(stray)
    }

    /// Whether packets still leave by this tree, and it is still ours.
    pub fn check(&self, tc: &mut Netlink, way: &Way) -> Result<(), ShaperError> {
        if self.way == *way && self.is_there(tc)? {
            return Ok(());
        }
        Err(ShaperError::Gone { interface: way.interface.clone() })
    }

    /// Who is sent to which class.
    pub fn map(&self) -> BTreeMap<Ipv4Addr, u32> {
        self.held.iter().map(|(ip, held)| (*ip, tc::class_id(self.root, held.minor))).collect()
    }

    pub fn holders(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.held.keys().copied()
    }

    /// Gives a subscriber a class, or changes his. A message says what the map is to be told. False: none is left of `classes`.
    pub fn hold(
        &mut self,
        tc: &mut Netlink,
        table: &str,
        (ip, class): (Ipv4Addr, Class),
        classes: u16,
    ) -> Result<(bool, Option<Message>), ShaperError> {
        let before = self.held.get(&ip).copied();
        if before.is_some_and(|held| held.class == class) {
            return Ok((true, None));
        }
        let Some(minor) = before.map(|held| held.minor).or_else(|| self.take(classes)) else {
            return Ok((false, None));
        };
        if let Err(error) = tc.series(&tc::set_class(self.way.index, self.root, minor, &class)) {
            if before.is_none() {
                self.free.push_front(minor);
            }
            return Err(Error::tc("setting a class")(error).into());
        }
        self.held.insert(ip, Held { minor, class });
        let id = tc::class_id(self.root, minor);
        Ok((true, before.is_none().then(|| classes::add(table, self.direction, ip, id))))
    }

    /// Takes it away: a message for the map, where there was one.
    pub fn release(&mut self, table: &str, ip: Ipv4Addr) -> Option<Message> {
        let held = self.held.remove(&ip)?;
        self.free.push_back(held.minor);
        Some(classes::delete(table, self.direction, ip))
    }

    /// Makes a few of the classes that are still missing; false = all are there.
    pub fn make_some(&mut self, tc: &mut Netlink, classes: u16) -> Result<bool, ShaperError> {
        let end = classes.min(self.next.saturating_add(BATCH - 1));
        let minors = self.next..=end;
        if minors.is_empty() {
            return Ok(false);
        }
        let idle = Class::idle();
        let requests: Vec<_> =
            minors.clone().flat_map(|minor| tc::set_class(self.way.index, self.root, minor, &idle)).collect();
        tc.series(&requests).map_err(Error::tc("making classes"))?;
        self.free.extend(minors);
        self.next = end + 1;
        Ok(true)
    }

    /// Removes the tree with everything in it, if it is ours; what waits in it is lost.
    pub fn remove(&self, tc: &mut Netlink) -> Result<(), ShaperError> {
        if self.found(tc)?.is_some_and(|found| self.is_ours(&found)) {
            tc.series(&[tc::delete_root(self.way.index, self.root)]).map_err(Error::tc("removing a tree"))?;
        }
        Ok(())
    }

    pub fn has_class_for(&self, ip: Ipv4Addr, classes: u16) -> bool {
        !self.held.contains_key(&ip) && self.has_room(classes)
    }

    fn has_room(&self, classes: u16) -> bool {
        self.held.len() < usize::from(classes)
    }

    fn take(&mut self, classes: u16) -> Option<u16> {
        if !self.has_room(classes) {
            return None;
        }
        self.free.pop_front().or_else(|| {
            // Nobody waits for those that are made ahead.
            let minor = self.next;
            self.next += 1;
            Some(minor)
        })
    }

    fn found(&self, tc: &mut Netlink) -> Result<Option<tc::Root>, ShaperError> {
        match tc.get(&tc::get_root(self.way.index)) {
            Ok(reply) => Ok(tc::decode_root(&reply)),
            // An interface that needs no queue shows none: an acknowledgement is the whole answer.
            Err(error) if matches!(error.raw_os_error(), Some(0 | libc::EINVAL | libc::ENOENT)) => Ok(None),
            Err(error) => Err(Error::tc("reading an interface's queueing discipline")(error).into()),
        }
    }

    fn is_ours(&self, found: &tc::Root) -> bool {
        found.handle == self.root && found.kind == "htb"
    }

    fn foreign(&self, found: tc::Root) -> ShaperError {
        ShaperError::Foreign { interface: self.way.interface.clone(), kind: found.kind, handle: found.handle >> 16 }
    }
}

/// Why there is no tree. Where the discipline's module is neither built in nor found, the kernel says so by one of the first two.
fn no_tree(error: io::Error) -> ShaperError {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::EOPNOTSUPP) => ShaperError::NoHtb,
        _ => Error::tc("making a tree of classes")(error).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_htb_is_told_from_one_that_refuses() {
        let refused = |code| no_tree(io::Error::from_raw_os_error(code));
        assert!(matches!(refused(libc::ENOENT), ShaperError::NoHtb));
        assert!(matches!(refused(libc::EOPNOTSUPP), ShaperError::NoHtb));
        assert!(matches!(refused(libc::EPERM), ShaperError::Kernel(_)));
    }
}
