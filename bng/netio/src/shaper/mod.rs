//! The shaper: packets of a subscriber who is not to be policed wait in a short queue of his own.
//!
//! One HTB tree where subscribers' packets leave towards them, one where they leave towards the internet. Its classes are made
//! ahead, since making one takes longer the more there are and changing one does not; they are given to subscribers and taken
//! back, and the gate's maps say whose packets go to which ([`crate::gate`]). Behind each class stands a queue of about
//! 50 ms. Lengths are counted as a policy means them: whole IP packets without Ethernet's header.
//!
//! Packets without a class pass by the tree: the node's own, and those of subscribers who are policed or not limited. What one
//! subscriber sends to another leaves by the subscribers' interface and waits in the receiver's class: the sender's rate does not
//! hold for it. The gate counts a packet before it waits, also one that finds the queue full.
//!
//! Trees, classes and maps outlive the process: [`Shaper::open`] compares and takes them over. An interface that has a queueing discipline of
//! somebody else's is left alone and refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use lastmile_types::{BngId, session::Rates};

use crate::{
    Error,
    gate::{Direction, classes, table_name},
    netlink::{Commits, Message, Netlink},
};

mod side;
mod tc;

use side::Side;
use tc::Class;

/// The most classes of a side: queues are numbered like their classes, and the upper half of the numbers belongs to the trees.
pub const MAX_CLASSES: u16 = 32_767;

/// Why nobody can be shaped.
#[derive(Debug, thiserror::Error)]
pub enum ShaperError {
    /// The kernel was built without it, or its module is not loaded.
    #[error("this node's kernel has no HTB: load its module sch_htb")]
    NoHtb,
    /// Somebody else decides in which order packets leave by this interface.
    #[error("{interface} has a queueing discipline that is not the gateway's, {kind} {handle:x}: remove it with tc")]
    Foreign {
        /// The interface.
        interface: String,
        /// Like `fq_codel`.
        kind: String,
        /// Its number, as tc shows it.
        handle: u32,
    },
    /// Somebody removed the tree, or the interface was made anew.
    #[error("the classes of {interface} are gone")]
    Gone {
        /// The interface.
        interface: String,
    },
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] Error),
}

/// An interface by which packets leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Its name.
    pub interface: String,
    /// The kernel's number for it.
    pub index: u32,
}

/// Where and for how many packets are shaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShaperConfig {
    /// The gateway; its gate must be open and `shaped`.
    pub bng_id: BngId,
    /// Towards subscribers.
    pub subscriber: Way,
    /// Towards the internet.
    pub uplink: Way,
    /// The most subscribers of a side, up to [`MAX_CLASSES`].
    pub classes: u16,
}

/// The shaper. Calls block for microseconds; call them from one thread. Needs CAP_NET_ADMIN.
#[derive(Debug)]
pub struct Shaper {
    tc: Netlink,
    nftables: Netlink,
    table: String,
    classes: u16,
    up: Side,
    down: Side,
    /// Others' transactions with nftables up to which the maps are known.
    others: Option<u32>,
}

impl Shaper {
    /// Makes the trees, or takes over those that are there with everybody who has a class. Transactions are counted where the gate's are.
    pub fn open(config: &ShaperConfig, commits: &Commits) -> Result<Self, ShaperError> {
        let mut tc = Netlink::open_route().map_err(Error::socket("opening the rtnetlink socket"))?;
        let nftables = Netlink::counted(commits).map_err(Error::nftables("opening the netlink socket"))?;
        let table = table_name(&config.bng_id);
        let root = root_of(&table);
        let up = Side::new(Direction::Up, &config.uplink, root);
        let down = Side::new(Direction::Down, &config.subscriber, root);
        // One side alone serves nobody: both are looked at before one is touched.
        let missing = [(&up, up.is_there(&mut tc)?), (&down, down.is_there(&mut tc)?)];
        for (side, _) in missing.into_iter().filter(|(_, is_there)| !is_there) {
            side.make(&mut tc)?;
        }
        let mut shaper = Self { tc, nftables, table, classes: config.classes.min(MAX_CLASSES), up, down, others: None };
        shaper.adopt()?;
        Ok(shaper)
    }

    /// Another number of classes. Who has one keeps it; a lower number counts for those who come.
    pub fn set_classes(&mut self, classes: u16) {
        self.classes = classes.min(MAX_CLASSES);
    }

    /// Whether both trees are as we left them, on the interfaces by which packets leave now. False: somebody else changed who is sent
    /// to which class; whom that concerns has none now.
    pub fn check(&mut self, config: &ShaperConfig) -> Result<bool, ShaperError> {
        self.up.check(&mut self.tc, &config.uplink)?;
        self.down.check(&mut self.tc, &config.subscriber)?;
        let others = Some(self.nftables.others().map_err(Error::nftables("reading the generation"))?);
        let same = self.others == others || self.maps_are_as_left()?;
        if !same {
            self.adopt()?;
        }
        self.others = others;
        Ok(same)
    }

    fn maps_are_as_left(&mut self) -> Result<bool, ShaperError> {
        for side in [&self.up, &self.down] {
            if read_map(&mut self.nftables, &self.table, side.direction)? != side.map() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Everybody who has a class.
    pub fn holders(&self) -> BTreeSet<Ipv4Addr> {
        self.up.holders().chain(self.down.holders()).collect()
    }

    /// Shapes a subscriber at these rates, from now on; packets that wait go on waiting. Returns what is left to the policer: the
    /// rates of a direction in which no class was left for him.
    pub fn shape(&mut self, ip: Ipv4Addr, rates: &Rates) -> Result<Rates, ShaperError> {
        let mut left = *rates;
        let mut messages = Vec::new();
        let up = Class::new(rates.up_kbps, rates.up_burst_kbit);
        if self.one(Direction::Up, ip, up, &mut messages)? {
            (left.up_kbps, left.up_burst_kbit) = (None, None);
        }
        let down = Class::new(rates.down_kbps, rates.down_burst_kbit);
        if self.one(Direction::Down, ip, down, &mut messages)? {
            (left.down_kbps, left.down_burst_kbit) = (None, None);
        }
        self.tell(&messages)?;
        Ok(left)
    }

    /// Whether a subscriber would be shaped in a direction in which he is not.
    pub fn has_class_for(&self, ip: Ipv4Addr, rates: &Rates) -> bool {
        (rates.up_kbps.is_some() && self.up.has_class_for(ip, self.classes))
            || (rates.down_kbps.is_some() && self.down.has_class_for(ip, self.classes))
    }

    /// Shapes a subscriber no longer.
    pub fn release(&mut self, ip: Ipv4Addr) -> Result<(), ShaperError> {
        let table = &self.table;
        let messages: Vec<_> =
            [&mut self.up, &mut self.down].into_iter().filter_map(|side| side.release(table, ip)).collect();
        self.tell(&messages)
    }

    /// Makes missing classes for about this long; false = all are there.
    pub fn make_ahead(&mut self, budget: Duration) -> Result<bool, ShaperError> {
        let begin = Instant::now();
        let mut more = true;
        while more && begin.elapsed() < budget {
            let up = self.up.make_some(&mut self.tc, self.classes)?;
            more = self.down.make_some(&mut self.tc, self.classes)? || up;
        }
        Ok(more)
    }

    /// Removes the trees; packets that wait in them are lost. Nobody has a class any longer.
    pub fn remove(mut self) -> Result<(), ShaperError> {
        let released = self.holders().into_iter().try_for_each(|ip| self.release(ip));
        let (up, down) = (self.up.remove(&mut self.tc), self.down.remove(&mut self.tc));
        released.and(up).and(down)
    }

    fn one(
        &mut self,
        direction: Direction,
        ip: Ipv4Addr,
        class: Option<Class>,
        messages: &mut Vec<Message>,
    ) -> Result<bool, ShaperError> {
        let side = if direction == Direction::Up { &mut self.up } else { &mut self.down };
        let Some(class) = class else {
            messages.extend(side.release(&self.table, ip));
            return Ok(false);
        };
        let (held, message) = side.hold(&mut self.tc, &self.table, (ip, class), self.classes)?;
        messages.extend(message);
        Ok(held)
    }

    fn tell(&mut self, messages: &[Message]) -> Result<(), ShaperError> {
        match self.nftables.transaction(messages) {
            Ok(_) => Ok(()),
            Err(error) => {
                // Nothing of it took effect; what we believed of it is wrong.
                self.adopt()?;
                Err(Error::nftables("changing the maps to classes")(error).into())
            }
        }
    }

    /// Takes over what the maps and the trees agree upon.
    fn adopt(&mut self) -> Result<(), ShaperError> {
        let mut strays = Vec::new();
        for side in [&mut self.up, &mut self.down] {
            let map = read_map(&mut self.nftables, &self.table, side.direction)?;
            let stray = side.adopt(&mut self.tc, map)?;
            strays.extend(stray.into_iter().map(|ip| classes::delete(&self.table, side.direction, ip)));
        }
        self.nftables.transaction(&strays).map_err(Error::nftables("removing who has no class from a map"))?;
        Ok(())
    }
}

fn read_map(nftables: &mut Netlink, table: &str, direction: Direction) -> Result<BTreeMap<Ipv4Addr, u32>, Error> {
    let mut map = BTreeMap::new();
    nftables
        .dump(&classes::dump(table, direction), |octets| map.extend(classes::decode(&octets)))
        .map_err(Error::nftables("reading a map to classes"))?;
    Ok(map)
}

/// Removes a gateway's trees from these interfaces, whoever made them; what waits in them is lost. Other trees stay.
pub fn remove(bng_id: &BngId, interfaces: &[Way]) -> Result<(), ShaperError> {
    let mut tc = Netlink::open_route().map_err(Error::socket("opening the rtnetlink socket"))?;
    let root = root_of(&table_name(bng_id));
    interfaces.iter().try_for_each(|way| Side::new(Direction::Down, way, root).remove(&mut tc))
}

/// The number of a gateway's trees, so that another gateway's are somebody else's: from its table's name, within 0xa000–0xefff, where
/// neither people nor the kernel number theirs.
fn root_of(table: &str) -> u32 {
    // FNV-1a, 32 bits: stable across versions of this program.
    let hash = table.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0xa000 + hash % 0x5000) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_have_numbers_of_their_own() {
        let one = root_of("lastmile_edge_bng-01");
        assert_eq!(one, root_of("lastmile_edge_bng-01"));
        assert_ne!(one, root_of("lastmile_edge_bng-02"));
        assert!((0xa000_0000..0xf000_0000).contains(&one) && one.trailing_zeros() >= 16, "{one:x}");
    }
}
