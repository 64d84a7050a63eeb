//! Who is in the sets, and a transaction about them in the making.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    net::Ipv4Addr,
};

use lastmile_types::{Counters, MacAddr, session::Rates};

use super::{
    Admitted, Terms,
    element::{self, Count, Direction, Element, Limit},
    names::{self, BOUND, CONFINED},
    sets,
};
use crate::netlink::{Message, Reply};

/// An admitted subscriber, as far as the kernel does not know it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    pub up: Side,
    pub down: Side,
    pub place: Place,
}

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Side {
    pub limit: Option<Limit>,
    /// What passed between the reading of an old element and its replacement; see `Gate::set_limits`.
    pub carry: Count,
}

/// Where it may come from and where it may go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    pub mac: Option<MacAddr>,
    /// Empty = a garden that is no more: it is confined, and reaches nothing.
    pub garden: Option<Box<str>>,
}

impl Member {
    pub fn new(terms: &Terms) -> Self {
        let side = |kbps, burst| Side { limit: Limit::new(kbps, burst), carry: Count::default() };
        let rates = &terms.rates;
        Self {
            up: side(rates.up_kbps, rates.up_burst_kbit),
            down: side(rates.down_kbps, rates.down_burst_kbit),
            place: Place { mac: terms.mac, garden: terms.garden.as_deref().map(Into::into) },
        }
    }

    pub fn side(&self, direction: Direction) -> &Side {
        if direction == Direction::Up { &self.up } else { &self.down }
    }

    pub fn side_mut(&mut self, direction: Direction) -> &mut Side {
        if direction == Direction::Up { &mut self.up } else { &mut self.down }
    }

    pub fn admitted(&self, up: &Element, down: &Element) -> Admitted {
        let kbps = |element: &Element| element.limit.map(|limit| (limit.rate / 125) as u32);
        let burst = |element: &Element| element.limit.map(|limit| limit.burst / 125);
        let rates =
            Rates { down_kbps: kbps(down), up_kbps: kbps(up), down_burst_kbit: burst(down), up_burst_kbit: burst(up) };
        let terms = Terms { rates, mac: self.place.mac, garden: self.place.garden.as_deref().map(str::to_owned) };
        Admitted { ip: up.ip, counters: self.counters(up, down), terms }
    }

    pub fn counters(&self, up: &Element, down: &Element) -> Counters {
        let (sent, received) = (up.count.plus(self.up.carry), down.count.plus(self.down.carry));
        Counters {
            input_octets: received.octets,
            output_octets: sent.octets,
            input_packets: received.packets,
            output_packets: sent.packets,
        }
    }
}

impl Place {
    /// What it is in the sets: a key in each of these.
    pub fn keys(&self, ip: Ipv4Addr) -> impl Iterator<Item = (Cow<'static, str>, Vec<u8>)> {
        let address = move || ip.octets().to_vec();
        let confined = self.garden.iter().map(move |_| (CONFINED.into(), address()));
        let known = self.garden.iter().filter(|name| !name.is_empty());
        let garden = known.map(move |name| (names::garden(name).into(), address()));
        let bound = self.mac.iter().map(move |mac| (BOUND.into(), sets::bound_key(ip, *mac).to_vec()));
        confined.chain(garden).chain(bound)
    }

    /// Puts it into the sets, or takes it out.
    pub fn messages(&self, kind: i32, table: &str, ip: Ipv4Addr) -> Vec<Message> {
        self.keys(ip).map(|(set, key)| sets::element(kind, table, &set, &key)).collect()
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
        self.messages.extend(member.place.messages(libc::NFT_MSG_NEWSETELEM, table, ip));
        for direction in [Direction::Up, Direction::Down] {
            let element = Element { ip, count: Count::default(), limit: member.side(direction).limit };
            let flags = libc::NLM_F_CREATE;
            self.messages.push(element::message(libc::NFT_MSG_NEWSETELEM, flags, table, direction, ip, Some(&element)));
        }
    }

    pub fn evict(&mut self, table: &str, ip: Ipv4Addr, member: Member) {
        self.touched.insert(ip);
        for direction in [Direction::Up, Direction::Down] {
            let flags = libc::NLM_F_ECHO;
            self.messages.push(element::message(libc::NFT_MSG_DELSETELEM, flags, table, direction, ip, None));
        }
        self.messages.extend(member.place.messages(libc::NFT_MSG_DELSETELEM, table, ip));
        self.evicted.push((ip, member));
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
