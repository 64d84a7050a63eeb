//! Who is in the sets, and a transaction about them in the making.

use std::{
    collections::{BTreeMap, HashSet},
    net::Ipv4Addr,
};

use lastmile_types::{Counters, session::Rates};

use super::{
    Admitted,
    element::{self, Count, Direction, Element, Limit},
};
use crate::netlink::{Message, Reply};

/// An admitted subscriber, as far as the kernel does not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Member {
    pub up: Side,
    pub down: Side,
}

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Side {
    pub limit: Option<Limit>,
    /// What passed between the reading of an old element and its replacement; see `Gate::set_rates`.
    pub carry: Count,
}

impl Member {
    pub fn new(rates: &Rates) -> Self {
        let side = |kbps, burst| Side { limit: Limit::new(kbps, burst), carry: Count::default() };
        Self { up: side(rates.up_kbps, rates.up_burst_kbit), down: side(rates.down_kbps, rates.down_burst_kbit) }
    }

    pub fn side(&self, direction: Direction) -> &Side {
        if direction == Direction::Up { &self.up } else { &self.down }
    }

    pub fn side_mut(&mut self, direction: Direction) -> &mut Side {
        if direction == Direction::Up { &mut self.up } else { &mut self.down }
    }

    pub fn admitted(&self, up: &Element, down: &Element) -> Admitted {
        let (sent, received) = (up.count.plus(self.up.carry), down.count.plus(self.down.carry));
        let counters = Counters {
            input_octets: received.octets,
            output_octets: sent.octets,
            input_packets: received.packets,
            output_packets: sent.packets,
        };
        let kbps = |element: &Element| element.limit.map(|limit| (limit.rate / 125) as u32);
        let burst = |element: &Element| element.limit.map(|limit| limit.burst / 125);
        let rates =
            Rates { down_kbps: kbps(down), up_kbps: kbps(up), down_burst_kbit: burst(down), up_burst_kbit: burst(up) };
        Admitted { ip: up.ip, counters, rates }
    }
}

impl Count {
    pub fn plus(self, other: Self) -> Self {
        Self { octets: self.octets.saturating_add(other.octets), packets: self.packets.saturating_add(other.packets) }
    }

    pub fn minus(self, other: Self) -> Self {
        Self { octets: self.octets.saturating_sub(other.octets), packets: self.packets.saturating_sub(other.packets) }
    }
}

/// A transaction in the making. An address occurs at most once in it.
#[derive(Default)]
pub struct Pending {
    pub messages: Vec<Message>,
    pub touched: HashSet<Ipv4Addr>,
    pub evicted: Vec<(Ipv4Addr, Member)>,
}

impl Pending {
    pub fn admit(&mut self, table: &str, ip: Ipv4Addr, member: &Member) {
        self.touched.insert(ip);
        for direction in [Direction::Up, Direction::Down] {
            let element = Element { ip, count: Count::default(), limit: member.side(direction).limit };
            let flags = libc::NLM_F_CREATE;
            self.messages.push(element::message(libc::NFT_MSG_NEWSETELEM, flags, table, direction, ip, Some(&element)));
        }
    }

    pub fn evict(&mut self, table: &str, ip: Ipv4Addr, member: Member) {
        self.touched.insert(ip);
        self.evicted.push((ip, member));
        for direction in [Direction::Up, Direction::Down] {
            let flags = libc::NLM_F_ECHO;
            self.messages.push(element::message(libc::NFT_MSG_DELSETELEM, flags, table, direction, ip, None));
        }
    }
}

/// The elements that a transaction's echo says were deleted: from `up` and from `down`.
pub fn collect_deleted(replies: &[Reply], echoes: &mut BTreeMap<Ipv4Addr, (Option<Element>, Option<Element>)>) {
    for reply in replies.iter().filter(|reply| reply.kind == libc::NFT_MSG_DELSETELEM) {
        let (direction, elements) = element::decode(&reply.attributes);
        for element in elements {
            let (up, down) = echoes.entry(element.ip).or_default();
            match direction {
                Some(Direction::Up) => *up = Some(element),
                Some(Direction::Down) => *down = Some(element),
                None => {}
            }
        }
    }
}
