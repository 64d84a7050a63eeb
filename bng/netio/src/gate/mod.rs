//! The gate: which subscribers' packets the kernel forwards, how fast, and how many it forwarded.
//!
//! One nftables table of the gateway's own holds two sets, `up` (keyed by source address) and `down` (by destination). An
//! admitted subscriber has one element in each; the element polices and counts, so one lookup is gate, limit and counter at
//! once and no rule belongs to a subscriber. The counter stands behind the limit: what is counted was let through.
//!
//! Every base chain accepts by default and its rules match the subscriber interfaces only, so nothing else on the node is
//! touched. Elements outlive the process: [`Gate::open`] adopts them and replaces the rules around them in one transaction.

use std::{collections::BTreeMap, ffi::CString, io, net::Ipv4Addr};

use ipnet::Ipv4Net;
use lastmile_types::{BngId, Counters, session::Rates};

use crate::Error;

pub(crate) mod classes;
mod element;
mod members;
mod plan;
mod rules;

use crate::netlink::{self, Message, Netlink, Reply};
pub(crate) use element::Direction;
use element::{Count, Element};
use members::{Member, Pending, Side, collect_deleted};

/// Changes per transaction: an echo for each must fit the socket's buffer, and forwarding waits for none of them.
const CHUNK: usize = 256;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;

/// What the gate's rules are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateConfig {
    /// Names the table.
    pub bng_id: BngId,
    /// Interfaces towards subscribers; at least one.
    pub subscriber: Vec<String>,
    /// Interfaces towards the internet; a subscriber's packets leave by these only (or to another admitted subscriber).
    pub uplink: Vec<String>,
    /// Interfaces towards the DHCP servers; no UDP port 67 or 68 is forwarded from or to them.
    pub dhcp: Vec<String>,
    /// The gateway's addresses on the subscriber side: they answer ICMP echo and nothing else.
    pub gateways: Vec<Ipv4Addr>,
    /// The subscribers' prefixes; their traffic is kept out of conntrack.
    pub pools: Vec<Ipv4Net>,
    /// Networks that no subscriber may reach (node, pod, service, management, DHCP); dropped before any DNAT.
    pub protected: Vec<Ipv4Net>,
    /// The most subscribers at once; a hard limit of the kernel's sets. An existing table keeps the size it was made with.
    pub size: u32,
    /// Packets of subscribers who have a class go there; see [`crate::shaper`].
    pub shaped: bool,
}

/// A subscriber that the kernel lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The subscriber.
    pub ip: Ipv4Addr,
    /// Since it was admitted: IP octets and packets that passed the gate, whichever process admitted it.
    pub counters: Counters,
    /// How it is policed, as the kernel holds it: a burst is always given where a rate is.
    pub rates: Rates,
}

/// What to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Let a subscriber through, counting from zero. One that is already there keeps its counters and gets these limits.
    Admit {
        /// The subscriber.
        ip: Ipv4Addr,
        /// Policed when a rate is given. A burst defaults to 125 ms of the rate and is at least 64 KiB.
        rates: Rates,
    },
    /// Police at other rates; the counters go on. A subscriber that is not there stays out.
    SetRates {
        /// The subscriber.
        ip: Ipv4Addr,
        /// `None` in a direction = unlimited.
        rates: Rates,
    },
    /// Shut a subscriber out. One that is not there is no error and has no [`Final`].
    Evict {
        /// The subscriber.
        ip: Ipv4Addr,
    },
}

/// The last counters of an evicted subscriber: nothing was let through after they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Final {
    /// The subscriber.
    pub ip: Ipv4Addr,
    /// Exact.
    pub counters: Counters,
}

/// The gate. Calls block for microseconds (a system call each); call them from one thread. Needs CAP_NET_ADMIN.
#[derive(Debug)]
pub struct Gate {
    netlink: Netlink,
    table: String,
    /// Who is in the sets, with what the limits' replacement cost: packets that passed between reading and replacing.
    members: BTreeMap<Ipv4Addr, Member>,
}

impl Gate {
    /// Makes the table, or adopts the one that is there with every subscriber in it, and sets the rules to `config`.
    pub fn open(config: &GateConfig) -> Result<(Self, Vec<Admitted>), Error> {
        let netlink = Netlink::open().map_err(Error::nftables("opening the netlink socket"))?;
        let mut gate = Self { netlink, table: table_name(&config.bng_id), members: BTreeMap::new() };
        gate.reconfigure(config)?;
        let admitted = gate.adopt()?;
        Ok((gate, admitted))
    }

    /// Replaces the rules; no subscriber and no counter is touched.
    pub fn reconfigure(&mut self, config: &GateConfig) -> Result<(), Error> {
        let existing = self.existing()?;
        let name = CString::new(self.table.as_str()).unwrap_or_default(); // see table_name: no NUL
        let transaction = rules::replace(&name, &plan::ipv4(config), &plan::ipv6(config), config.size, &existing);
        self.netlink
            .exchange(&transaction.octets, transaction.begin, transaction.last)
            .map_err(Error::nftables("replacing the rules"))?;
        Ok(())
    }

    /// Makes all changes, in order, in transactions of a few hundred; returns the final counters of those evicted. After an error
    /// the kernel holds a prefix of the changes: read [`Gate::dump`] and start over.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Vec<Final>, Error> {
        let mut finals = Vec::new();
        let mut pending = Pending::default();
        for change in changes {
            let ip = change.ip();
            if pending.messages.len() >= CHUNK * 2 || pending.touched.contains(&ip) {
                self.commit(&mut pending, &mut finals)?;
            }
            match *change {
                Change::Admit { rates, .. } if !self.members.contains_key(&ip) => {
                    let member = Member::new(&rates);
                    pending.admit(&self.table, ip, &member);
                    self.members.insert(ip, member);
                }
                Change::Admit { rates, .. } | Change::SetRates { rates, .. } => {
                    self.commit(&mut pending, &mut finals)?;
                    self.set_rates(ip, &rates)?;
                }
                Change::Evict { .. } => {
                    if let Some(member) = self.members.remove(&ip) {
                        pending.evict(&self.table, ip, member);
                    }
                }
            }
        }
        self.commit(&mut pending, &mut finals)?;
        Ok(finals)
    }

    /// One subscriber's counters, exact at the moment of reading; `None` when it is not admitted.
    pub fn read(&mut self, ip: Ipv4Addr) -> Result<Option<Admitted>, Error> {
        let Some(member) = self.members.get(&ip).copied() else { return Ok(None) };
        let (Some(up), Some(down)) = (self.read_element(Direction::Up, ip)?, self.read_element(Direction::Down, ip)?)
        else {
            return Ok(None);
        };
        Ok(Some(member.admitted(&up, &down)))
    }

    /// Every subscriber. During changes by others it may miss or repeat some: never conclude from it that one has ended.
    pub fn dump(&mut self) -> Result<Vec<Admitted>, Error> {
        let up = self.dump_set(Direction::Up)?;
        let down = self.dump_set(Direction::Down)?;
        let both = up.values().filter_map(|up| Some((up, down.get(&up.ip)?)));
        Ok(both.map(|(up, down)| self.members.get(&up.ip).copied().unwrap_or_default().admitted(up, down)).collect())
    }

    /// Removes the table with everything in it, whether or not it exists.
    pub fn remove_table(mut self) -> Result<(), Error> {
        let name = CString::new(self.table.as_str()).unwrap_or_default(); // see table_name: no NUL
        let transaction = rules::remove(&name);
        self.netlink
            .exchange(&transaction.octets, transaction.begin, transaction.last)
            .map_err(Error::nftables("removing the table"))?;
        Ok(())
    }

    /// Takes over what the sets hold. An address in one set only is no subscriber (somebody edited the table): it goes.
    fn adopt(&mut self) -> Result<Vec<Admitted>, Error> {
        let up = self.dump_set(Direction::Up)?;
        let down = self.dump_set(Direction::Down)?;
        let orphan = |direction, own: &BTreeMap<Ipv4Addr, Element>, other: &BTreeMap<Ipv4Addr, Element>| {
            let alone: Vec<_> = own.keys().filter(|ip| !other.contains_key(ip)).map(|ip| (direction, *ip)).collect();
            alone
        };
        let orphans = [orphan(Direction::Up, &up, &down), orphan(Direction::Down, &down, &up)].concat();
        for (direction, ip) in orphans {
            tracing::warn!(%ip, set = direction.set(), "removing a half-admitted address from the gate: it was not put there by us");
            let delete = element::message(libc::NFT_MSG_DELSETELEM, 0, &self.table, direction, ip, None);
            self.netlink.transaction(&[delete]).map_err(Error::nftables("removing an element"))?;
        }
        let both = || up.values().filter_map(|up| Some((up, down.get(&up.ip)?)));
        let side = |element: &Element| Side { limit: element.limit, carry: Count::default() };
        self.members = both().map(|(up, down)| (up.ip, Member { up: side(up), down: side(down) })).collect();
        Ok(both().map(|(up, down)| Member::default().admitted(up, down)).collect())
    }

    fn existing(&mut self) -> Result<rules::Existing, Error> {
        let wanted = [self.table.as_bytes(), &[0]].concat();
        let mut existing = rules::Existing::default();
        let list = |kind| Message {
            kind,
            flags: libc::NLM_F_DUMP,
            family: libc::NFPROTO_IPV4,
            attributes: netlink::Attributes::default(),
        };
        self.netlink
            .dump(&list(libc::NFT_MSG_GETCHAIN), |chain| {
                if netlink::attribute(&chain, NFTA_CHAIN_TABLE) == Some(&wanted) {
                    let name = netlink::attribute(&chain, NFTA_CHAIN_NAME).unwrap_or_default();
                    existing.chains.extend(CString::from_vec_with_nul(name.to_vec()));
                }
            })
            .map_err(Error::nftables("listing chains"))?;
        for direction in [Direction::Up, Direction::Down] {
            let lists = [
                (element::dump_message(&self.table, direction), &mut existing.sets),
                (classes::dump(&self.table, direction), &mut existing.maps),
            ];
            for (message, found) in lists {
                match self.netlink.dump(&message, |_| ()) {
                    Ok(()) => found.push(direction),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(Error::nftables("looking for the table")(error)),
                }
            }
        }
        Ok(existing)
    }

    fn commit(&mut self, pending: &mut Pending, finals: &mut Vec<Final>) -> Result<(), Error> {
        let Pending { messages, evicted, .. } = std::mem::take(pending);
        let replies = match self.netlink.transaction(&messages) {
            Ok(replies) => replies,
            Err(error) => {
                // Nothing of it took effect; what we believed of it is wrong.
                self.adopt()?;
                return Err(Error::nftables("changing the sets")(error));
            }
        };
        let mut echoes = BTreeMap::new();
        collect_deleted(&replies, &mut echoes);
        for (ip, member) in evicted {
            let (Some(up), Some(down)) = echoes.remove(&ip).unwrap_or_default() else {
                return Err(Error::Malformed { operation: "reading final counters" });
            };
            finals.push(Final { ip, counters: member.admitted(&up, &down).counters });
        }
        Ok(())
    }

    /// Replaces the element in one transaction with one that starts at the old counters. What passed between the reading and the
    /// replacement is known from the echo and carried along.
    fn set_rates(&mut self, ip: Ipv4Addr, rates: &Rates) -> Result<(), Error> {
        let Some(old) = self.members.get(&ip).copied() else { return Ok(()) };
        let new = Member::new(rates);
        for direction in [Direction::Up, Direction::Down] {
            if old.side(direction).limit == new.side(direction).limit {
                continue;
            }
            let Some(before) = self.read_element(direction, ip)? else { continue };
            let limit = new.side(direction).limit;
            let replacement = Element { limit, ..before };
            let table = &self.table;
            let messages = [
                element::message(libc::NFT_MSG_DELSETELEM, libc::NLM_F_ECHO, table, direction, ip, None),
                element::message(
                    libc::NFT_MSG_NEWSETELEM,
                    libc::NLM_F_CREATE,
                    table,
                    direction,
                    ip,
                    Some(&replacement),
                ),
            ];
            let replies = self.netlink.transaction(&messages).map_err(Error::nftables("replacing limits"))?;
            let mut echoes = BTreeMap::new();
            collect_deleted(&replies, &mut echoes);
            let (up, down) = echoes.remove(&ip).unwrap_or_default();
            let after = if direction == Direction::Up { up } else { down };
            let after = after.ok_or(Error::Malformed { operation: "replacing limits" })?;
            if let Some(member) = self.members.get_mut(&ip) {
                let side = member.side_mut(direction);
                side.limit = limit;
                side.carry = side.carry.plus(after.count.minus(before.count));
            }
        }
        Ok(())
    }

    fn read_element(&mut self, direction: Direction, ip: Ipv4Addr) -> Result<Option<Element>, Error> {
        let message = element::message(libc::NFT_MSG_GETSETELEM, 0, &self.table, direction, ip, None);
        match self.netlink.get(&message) {
            Ok(Reply { attributes, .. }) => Ok(element::decode(&attributes).1.find(|element| element.ip == ip)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::nftables("reading an element")(error)),
        }
    }

    fn dump_set(&mut self, direction: Direction) -> Result<BTreeMap<Ipv4Addr, Element>, Error> {
        let mut elements = BTreeMap::new();
        self.netlink
            .dump(&element::dump_message(&self.table, direction), |attributes| {
                elements.extend(element::decode(&attributes).1.map(|element| (element.ip, element)));
            })
            .map_err(Error::nftables("reading a set"))?;
        Ok(elements)
    }
}

impl Change {
    fn ip(&self) -> Ipv4Addr {
        match self {
            Self::Admit { ip, .. } | Self::SetRates { ip, .. } | Self::Evict { ip } => *ip,
        }
    }
}

/// `lastmile_<namespace>_<name>`: Kubernetes names hold no underscore, so no two gateways share a table. What is not a Kubernetes
/// name, or too long for a table's, is told apart by a hash.
pub(crate) fn table_name(bng_id: &BngId) -> String {
    let id = bng_id.to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let name: String = id.bytes().map(|byte| if plain(byte) { char::from(byte) } else { '_' }).collect();
    let kubernetes = id.bytes().all(|byte| plain(byte) || byte == b'/');
    if kubernetes && name.len() <= 200 {
        return format!("lastmile_{name}");
    }
    // FNV-1a, 64 bits: stable across versions of this program.
    let hash =
        id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("lastmile_{}_{hash:016x}", &name[..name.len().min(200)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_different_gateways_differ_and_fit() {
        let name = |id: &str| table_name(&id.parse().unwrap());
        assert_eq!(name("edge/bng-01"), "lastmile_edge_bng-01");
        assert_ne!(name("a/b_c"), name("a_b/c"));
        let long = format!("edge/{}", "x".repeat(250));
        assert!(name(&long).len() < 250 && name(&long) != name(&format!("{long}y")));
    }
}
