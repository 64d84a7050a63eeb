//! The source guard of an access router: from which address and MAC a subscriber's port may send.
//!
//! One nftables table of the router's own, family netdev, stands at the ports' ingress: before the bridge learns a MAC and before
//! anything is routed, but behind the taps, so a [`crate::capture::Capture`] sees what is dropped here. DHCP never passes: the
//! relay has its copy and is the only way for it; an uplink in the same bridge is closed to DHCP likewise. Everything else passes
//! when the set `bindings` holds the port with the frame's source address and MAC, ARP alike, and a probe for the address that is
//! bound; what cannot be checked (IPv6, other protocols) does not pass.
//!
//! The set's elements carry the lease's end, so the kernel forgets a binding by itself, and they outlive the process:
//! [`Guard::open`] adopts them and replaces the rules around them in one transaction.

use std::{collections::BTreeMap, io, net::Ipv4Addr, time::Duration};

use lastmile_types::MacAddr;

use crate::{
    Error,
    netlink::{Attributes, Message, Netlink, attribute, attributes},
};

mod element;
mod rules;

/// The table's name: a network namespace has one access router.
const TABLE: &str = "lastmile_relay";
/// Changes per transaction: their messages and acknowledgement fit the socket's buffers.
const CHUNK: usize = 256;

/// What the guard's rules are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardConfig {
    /// The subscribers' ports; all must exist.
    pub ports: Vec<String>,
    /// The interface towards the gateway where it is a port of the same bridge: DHCP from there is the relay's too.
    pub uplink: Option<String>,
    /// False = only DHCP is dropped; bindings are kept all the same.
    pub enforce: bool,
}

/// Who may send from where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    /// The port's interface.
    pub port: String,
    /// The source address.
    pub ip: Ipv4Addr,
    /// The source MAC.
    pub mac: MacAddr,
}

/// A binding and the time it has left; `None` = for ever.
pub type Bound = (Binding, Option<Duration>);

/// What to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Let it send, from now on for so long; `None` = for ever. Replaces the time of one that is there.
    Bind(Binding, Option<Duration>),
    /// No longer. One that is not there is no error.
    Unbind(Binding),
}

/// The guard. Calls block for microseconds; call them from one thread. Needs CAP_NET_ADMIN.
#[derive(Debug)]
pub struct Guard {
    netlink: Netlink,
}

impl Guard {
    /// Makes the table, or adopts the one that is there, and sets the rules to `config`. Returns the bindings that the kernel
    /// holds.
    pub fn open(config: &GuardConfig) -> Result<(Self, Vec<Bound>), Error> {
        let mut guard = Self { netlink: Netlink::open().map_err(Error::nftables("opening the netlink socket"))? };
        let chains = guard.chains()?;
        let messages = rules::replace(config, &chains);
        guard.netlink.transaction(&messages).map_err(Error::nftables("replacing the source guard's rules"))?;
        let bindings = guard.bindings()?;
        Ok((guard, bindings))
    }

    /// Makes all changes in order. When the kernel refuses one, the others are made all the same and the first refusal is returned
    /// (`ENFILE` = the set is full).
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), Error> {
        let mut result = Ok(());
        for chunk in changes.chunks(CHUNK) {
            let together: Vec<Message> = chunk.iter().flat_map(element::messages).collect();
            if self.netlink.transaction(&together).is_ok() {
                continue;
            }
            for change in chunk {
                let messages: Vec<Message> = element::messages(change).collect();
                let made = self.netlink.transaction(&messages).map_err(Error::nftables("changing the source guard"));
                result = result.and(made.map(|_| ()));
            }
        }
        result
    }

    /// What the kernel holds.
    pub fn bindings(&mut self) -> Result<Vec<Bound>, Error> {
        let mut bindings = Vec::new();
        self.netlink
            .dump(&element::dump_message(), |octets| bindings.extend(element::decode(&octets)))
            .map_err(Error::nftables("reading the source guard"))?;
        Ok(bindings)
    }

    /// Packets dropped since the table was made, by what they were: `dhcp` (the relay has a copy of those), `ipv4`, `arp`, `other`.
    pub fn drops(&mut self) -> Result<BTreeMap<&'static str, u64>, Error> {
        let mut drops = BTreeMap::new();
        self.netlink
            .dump(&rules::dump_counters(), |octets| drops.extend(rules::decode_counter(&octets)))
            .map_err(Error::nftables("reading the source guard's counters"))?;
        Ok(drops)
    }

    /// Removes the table with everything in it, whether or not it exists.
    pub fn remove_table(mut self) -> Result<(), Error> {
        let operation = "removing the source guard";
        self.netlink.transaction(&rules::remove()).map(|_| ()).map_err(Error::nftables(operation))
    }

    /// The names of the chains that are there.
    fn chains(&mut self) -> Result<Vec<String>, Error> {
        let mut chains = Vec::new();
        let list = rules::list_chains();
        match self.netlink.dump(&list, |octets| chains.extend(rules::decode_chain(&octets))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::nftables("listing chains")(error)),
            _ => Ok(chains),
        }
    }
}

fn message(kind: i32, flags: i32, attributes: Attributes) -> Message {
    Message { kind, flags, family: libc::NFPROTO_NETDEV, attributes }
}

fn text(octets: &[u8], kind: u16) -> Option<&str> {
    attribute(octets, kind).and_then(|value| std::str::from_utf8(value.strip_suffix(&[0])?).ok())
}
