//! The gate: which subscribers' packets the kernel forwards, how fast, and how many it forwarded.
//!
//! One nftables table of the gateway's own holds two sets, `up` (keyed by source address) and `down` (by destination). An
//! admitted subscriber has one element in each; the element polices and counts, so one lookup is gate, limit and counter at
//! once and no rule belongs to a subscriber. The counter stands behind the limit: what is counted was let through.
//!
//! Before that a packet's source is checked: it comes in a frame of the access router that its address is behind, or, on the
//! gateway's own link, in the subscriber's own (set `bound`). What does not is dropped and counted by router. Subscribers in the set
//! `confined` reach only their walled garden, one set and one chain each.
//!
//! Addresses in the set `dormant` are shut out like everybody who is not admitted; their elements count what comes from them.
//!
//! Every base chain accepts by default and its rules match the subscriber interfaces only, so nothing else on the node is
//! touched. Elements outlive the process: [`Gate::open`] adopts them and replaces the rules around them in one transaction.

use std::{collections::BTreeMap, io, net::Ipv4Addr};

use crate::{
    Error,
    conntrack::Conntrack,
    netlink::{Netlink, Reply},
};

mod adopt;
mod change;
pub(crate) mod classes;
mod config;
mod dormant;
mod element;
mod end;
mod express;
mod look;
mod members;
mod names;
mod native;
mod plan;
mod rules;
mod sets;
mod survey;
mod term;
mod terms;

pub use crate::netlink::Commits;
use adopt::dump_both;
pub use change::{Admitted, Change, Final, Refused, Terms};
pub use config::{GateConfig, Pool, Routers};
pub(crate) use element::Direction;
use element::Element;
pub use end::{Remains, remains, remove};
use look::{Doubt, Frame};
use members::{Member, Pending, collect_deleted};
pub(crate) use names::table as table_name;
pub use survey::{Sighting, Survey};

/// Messages per transaction: an echo for each must fit the socket's buffer, and forwarding waits for none of them.
const CHUNK: usize = 512;

/// A set's content.
type Elements = BTreeMap<Ipv4Addr, Element>;

/// The gate. Calls block for microseconds (a system call each); call them from one thread. Needs CAP_NET_ADMIN.
#[derive(Debug)]
pub struct Gate {
    netlink: Netlink,
    /// For one of two sets that are read at once.
    reader: Netlink,
    conntrack: Conntrack,
    table: String,
    config: GateConfig,
    routers: Routers,
    /// The rules and what they stand in, as they were left.
    frame: Frame,
    doubt: Doubt,
    commits: Commits,
    /// Who is in the sets, with what the limits' replacement cost: packets that passed between reading and replacing.
    members: BTreeMap<Ipv4Addr, Member>,
    /// The table was made, and who is in it is not known yet.
    new: bool,
}

impl Gate {
    /// Makes the table, or adopts the one that is there with every subscriber and every router in it, and sets the rules to
    /// `config`.
    pub fn open(config: &GateConfig) -> Result<(Self, Vec<Admitted>), Error> {
        let commits = Commits::default();
        let mut gate = Self {
            netlink: Netlink::counted(&commits).map_err(Error::nftables("opening the netlink socket"))?,
            reader: Netlink::open().map_err(Error::nftables("opening the netlink socket"))?,
            conntrack: Conntrack::open().map_err(Error::nftables("opening the conntrack socket"))?,
            table: names::table(&config.bng_id),
            config: config.clone(),
            routers: Routers::new(),
            frame: Frame::default(),
            doubt: Doubt::default(),
            commits,
            members: BTreeMap::new(),
            new: false,
        };
        gate.routers = gate.known_routers()?;
        gate.reconfigure(config)?;
        let admitted = gate.adopt()?;
        gate.new = false;
        Ok((gate, admitted))
    }

    /// Makes the rules anew where somebody changed them or what they look into, with what is missing around them, and returns who is let
    /// through then; `None` = what was looked at is as it was left. Nothing is looked at but nftables' generation until somebody else
    /// changes that; then the rules are, and the subscribers some at a time, call by call.
    pub fn restore(&mut self) -> Result<Option<Vec<Admitted>>, Error> {
        if !self.new && self.is_as_left()? {
            return Ok(None);
        }
        let config = self.config.clone();
        self.reconfigure(&config)?;
        let admitted = self.adopt()?;
        self.new = false;
        Ok(Some(admitted))
    }

    /// Replaces the rules; no subscriber and no counter is touched. Members of a garden that is no more reach nothing until they
    /// have other terms.
    pub fn reconfigure(&mut self, config: &GateConfig) -> Result<(), Error> {
        self.wake()?;
        let existing = self.existing()?;
        let next_hops = config.next_hops();
        let mut routers = self.routers.clone();
        routers.retain(|next_hop, _| next_hops.contains(next_hop));
        let mut kept = config.clone();
        if existing.confined {
            // One without a name and with nothing in it: without any garden the rules would not look who is confined.
            kept.gardens.entry(String::new()).or_default();
        }
        let transaction = rules::replace(&self.table, &kept, &routers, &existing);
        self.netlink
            .exchange(&transaction.octets, transaction.begin, transaction.last)
            .map_err(Error::nftables("replacing the rules"))?;
        (self.config, self.routers) = (config.clone(), routers);
        self.new |= existing.chains.is_empty();
        for member in self.members.values_mut() {
            if let Some(garden) = &mut member.place.garden
                && !config.gardens.contains_key(&**garden)
            {
                *garden = "".into();
            }
        }
        self.frame = self.frame_there()?;
        Ok(())
    }

    /// Where others that change this table count their transactions.
    pub fn commits(&self) -> &Commits {
        &self.commits
    }

    /// Takes the access routers' MACs on, of those that the configuration names; who is not in `found` keeps the MAC it had. Returns
    /// whether anything changed. Until a router is known, nothing that comes from it passes.
    pub fn learn(&mut self, found: &Routers) -> Result<bool, Error> {
        let next_hops = self.config.next_hops();
        let new = found.iter().filter(|(next_hop, _)| next_hops.contains(next_hop));
        let routers: Routers = self.routers.iter().chain(new).map(|(next_hop, mac)| (*next_hop, *mac)).collect();
        if routers == self.routers {
            return Ok(false);
        }
        let before = std::mem::replace(&mut self.routers, routers);
        let config = self.config.clone();
        self.reconfigure(&config).inspect_err(|_| self.routers = before)?;
        Ok(true)
    }

    /// Makes all changes, in order, in transactions of a few hundred; returns the final counters of those evicted. When one is refused the
    /// kernel holds a prefix of the changes: making them all again changes nothing of that.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Vec<Final>, Refused> {
        let mut finals = Vec::new();
        match self.change(changes, &mut finals) {
            Ok(()) => Ok(finals),
            Err(source) => Err(Refused { finals, source }),
        }
    }

    fn change(&mut self, changes: &[Change], finals: &mut Vec<Final>) -> Result<(), Error> {
        let mut pending = Pending::default();
        for change in changes {
            let ip = change.ip();
            if pending.messages.len() >= CHUNK || pending.touched.contains(&ip) {
                self.commit(&mut pending, finals)?;
            }
            match change {
                Change::Admit { terms, .. } if !self.members.contains_key(&ip) => {
                    let member = Member::new(terms);
                    pending.admit(&self.table, ip, &member);
                    self.members.insert(ip, member);
                }
                Change::Admit { terms, .. } | Change::SetTerms { terms, .. } => {
                    self.commit(&mut pending, finals)?;
                    self.set_terms(ip, terms)?;
                }
                Change::Evict { .. } => {
                    if let Some(member) = self.members.remove(&ip) {
                        pending.evict(&self.table, ip, member);
                    }
                }
            }
        }
        self.commit(&mut pending, finals)
    }

    /// One subscriber's counters, exact at the moment of reading; `None` when it is not admitted.
    pub fn read(&mut self, ip: Ipv4Addr) -> Result<Option<Admitted>, Error> {
        if !self.members.contains_key(&ip) {
            return Ok(None);
        }
        let (up, down) = (self.read_element(Direction::Up, ip)?, self.read_element(Direction::Down, ip)?);
        let member = self.members.get(&ip);
        Ok(member.and_then(|member| Some(member.admitted(&up?, &down?))))
    }

    /// Every subscriber. During changes by others it may miss or repeat some: never conclude from it that one has ended.
    pub fn dump(&mut self) -> Result<Vec<Admitted>, Error> {
        let (up, down) = self.dump_sets()?;
        let known = self.members.iter();
        Ok(known.filter_map(|(ip, member)| Some(member.admitted(up.get(ip)?, down.get(ip)?))).collect())
    }

    /// Packets dropped since the table was made because they came from elsewhere than their source address is; by the address of
    /// the router that sent them, and `unknown` for frames of no known router or of nobody on the link.
    pub fn spoofed(&mut self) -> Result<BTreeMap<String, u64>, Error> {
        let wanted: Vec<String> = plan::spoofed_counters(&self.config).collect();
        let mut spoofed = BTreeMap::new();
        let table = self.table.as_str();
        self.netlink
            .dump(&rules::list_counters(table), |octets| {
                let counter = rules::decode_counter(table, &octets);
                let of_ours = counter.filter(|(name, _)| wanted.iter().any(|wanted| wanted == name));
                let by = of_ours.and_then(|(name, packets)| Some((names::spoofed_by(name)?.to_owned(), packets)));
                spoofed.extend(by);
            })
            .map_err(Error::nftables("reading the counters of spoofed packets"))?;
        Ok(spoofed)
    }

    fn commit(&mut self, pending: &mut Pending, finals: &mut Vec<Final>) -> Result<(), Error> {
        let Pending { messages, evicted, .. } = std::mem::take(pending);
        let replies = match self.netlink.transaction(&messages) {
            Ok(replies) => replies,
            Err(error) => {
                // Nothing of it took effect; what we believed of it is wrong. Where it cannot be read either, who was to go is there.
                self.members.extend(evicted);
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
            finals.push(Final { ip, counters: member.counters(&up, &down) });
            if member.place.garden.is_some() {
                self.forget_flows(ip);
            }
        }
        Ok(())
    }

    fn dump_sets(&mut self) -> Result<(Elements, Elements), Error> {
        dump_both(&mut self.netlink, &mut self.reader, &self.table)
    }

    fn read_element(&mut self, direction: Direction, ip: Ipv4Addr) -> Result<Option<Element>, Error> {
        let message = element::message(libc::NFT_MSG_GETSETELEM, 0, &self.table, direction, ip, None);
        match self.netlink.get(&message) {
            Ok(Reply { attributes, .. }) => Ok(element::decode(&attributes).1.find(|element| element.ip == ip)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::nftables("reading an element")(error)),
        }
    }
}
