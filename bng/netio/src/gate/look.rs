//! Whether somebody else changed the gate. The kernel numbers the generations of nftables: while the number grows by our own transactions
//! only, nothing is compared. After a foreign one the rules are, at once, and then the subscribers, some at each look.

use std::{collections::BTreeMap, io, net::Ipv4Addr};

use super::{
    Error, Gate,
    element::{self, Direction},
    members::Member,
    rules,
};

/// Subscribers compared at one look, for which DHCP waits: some 15 ms on a virtual machine of two cores, however many there are
/// (`benches/survey.rs`).
const LOOK: usize = 4096;
/// Asked for in one request, by keys of up to twelve octets: a refusal repeats the request, and has to fit where one answer is put.
const TOGETHER: usize = 128;

const FAMILIES: [i32; 2] = [libc::NFPROTO_IPV4, libc::NFPROTO_IPV6];

/// What holds the sets: one that is replaced has another handle.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The tables' flags; `None` = there is no such table.
    tables: Vec<Option<u32>>,
    /// Handles, and the policies of base chains.
    chains: Vec<(u64, Option<u32>)>,
    /// Handles.
    rules: Vec<u64>,
}

/// How far the gate is compared with what it was told.
#[derive(Debug)]
pub struct Doubt {
    /// The others' transactions up to which the frame was seen to be as it was left.
    others: Option<u32>,
    /// Who is to be compared next.
    next: Ipv4Addr,
    /// How many from there on, and round again from the first.
    left: usize,
}

impl Default for Doubt {
    fn default() -> Self {
        Self { others: None, next: Ipv4Addr::UNSPECIFIED, left: 0 }
    }
}

impl Gate {
    /// False where somebody else changed something that was looked at.
    pub(super) fn is_as_left(&mut self) -> Result<bool, Error> {
        let others = self.netlink.others().map_err(Error::nftables("reading the generation"))?;
        if self.doubt.others != Some(others) {
            tracing::debug!(others, "somebody else changed nftables: the gate is compared with what it was told");
            if self.frame_there()? != self.frame || self.known_routers()? != self.routers {
                return Ok(false);
            }
            self.doubt = Doubt { others: Some(others), left: self.members.len(), ..self.doubt };
        }
        self.next_are_as_told()
    }

    /// The frame as the kernel has it.
    pub(super) fn frame_there(&mut self) -> Result<Frame, Error> {
        let mut frame = Frame::default();
        for family in FAMILIES {
            frame.tables.push(self.flags(family)?);
            let (netlink, table) = (&mut self.netlink, self.table.as_str());
            netlink
                .dump(&rules::list_chains(family), |octets| {
                    let ours = rules::decode_chain(&octets).is_some_and(|(of, _)| of == table);
                    frame.chains.extend(rules::decode_base(&octets).filter(|_| ours));
                })
                .map_err(Error::nftables("listing chains"))?;
            netlink
                .dump(&rules::list_rules(family, table), |octets| frame.rules.extend(rules::decode_rule(&octets)))
                .map_err(Error::nftables("listing rules"))?;
        }
        Ok(frame)
    }

    /// Somebody may have put a table to sleep. No chain can be made in the transaction that wakes it.
    pub(super) fn wake(&mut self) -> Result<(), Error> {
        for family in FAMILIES {
            if self.flags(family)?.is_some_and(|flags| flags != 0) {
                let message = rules::without_flags(family, &self.table);
                self.netlink.transaction(&[message]).map_err(Error::nftables("waking the table"))?;
            }
        }
        Ok(())
    }

    fn flags(&mut self, family: i32) -> Result<Option<u32>, Error> {
        match self.netlink.get(&rules::table(family, &self.table)) {
            Ok(reply) => Ok(rules::decode_table(&reply.attributes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::nftables("reading the table")(error)),
        }
    }

    fn next_are_as_told(&mut self) -> Result<bool, Error> {
        let Doubt { next, left, .. } = self.doubt;
        let ring = self.members.range(next..).chain(self.members.range(..next));
        let slice: Vec<(Ipv4Addr, Member)> =
            ring.take(left.min(LOOK)).map(|(ip, member)| (*ip, member.clone())).collect();
        for some in slice.chunks(TOGETHER) {
            if !self.are_as_told(some)? {
                return Ok(false);
            }
        }
        if let Some((last, _)) = slice.last() {
            self.doubt.next = Ipv4Addr::from(u32::from(*last).wrapping_add(1));
        }
        self.doubt.left = left.saturating_sub(LOOK);
        Ok(true)
    }

    fn are_as_told(&mut self, members: &[(Ipv4Addr, Member)]) -> Result<bool, Error> {
        for direction in [Direction::Up, Direction::Down] {
            let mut limits = Vec::with_capacity(members.len());
            let keys = members.iter().map(|(ip, _)| ip.octets());
            let found = self.find(direction.set(), keys, |octets| {
                limits.extend(element::decode(octets).1.map(|element| (element.ip, element.limit)));
            })?;
            if !found || members.iter().map(|(ip, member)| (*ip, member.side(direction).limit)).ne(limits) {
                return Ok(false);
            }
        }
        let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (set, key) in members.iter().flat_map(|(ip, member)| member.place.keys(*ip)) {
            places.entry(set).or_default().push(key);
        }
        for (set, keys) in places {
            if !self.find(&set, keys, |_| {})? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads these elements of a set; false when one is missing.
    fn find<K: AsRef<[u8]>>(
        &mut self,
        set: &str,
        keys: impl IntoIterator<Item = K>,
        each: impl FnMut(&[u8]),
    ) -> Result<bool, Error> {
        match self.netlink.get_several(&element::get_several(&self.table, set, keys), each) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::nftables("reading elements")(error)),
        }
    }
}
