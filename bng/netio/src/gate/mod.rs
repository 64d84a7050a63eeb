//! The gate: which subscribers' packets the kernel forwards, how fast, and how many it forwarded.
//!
//! One nftables table of the gateway's own holds two sets, `up` (keyed by source address) and `down` (by destination). An
//! admitted subscriber has one element in each; the element polices and counts, so one lookup is gate, limit and counter at
//! once and no rule belongs to a subscriber. The counter stands behind the limit: what is counted was let through.
//!
//! Every base chain accepts by default and its rules match the subscriber interfaces only, so nothing else on the node is
//! touched. Elements outlive the process: [`Gate::open`] adopts them and replaces the rules around them in one transaction.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use lastmile_types::{BngId, Counters, session::Rates};

use crate::Error;

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
}

/// A subscriber that the kernel lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The subscriber.
    pub ip: Ipv4Addr,
    /// Since it was admitted: IP octets and packets that passed the gate, whichever process admitted it.
    pub counters: Counters,
    /// Whether a limit polices it, per direction (down, up).
    pub limited: (bool, bool),
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
pub struct Gate {}

impl Gate {
    /// Makes the table, or adopts the one that is there with every subscriber in it, and sets the rules to `config`.
    pub fn open(config: &GateConfig) -> Result<(Self, Vec<Admitted>), Error> {
        let _ = config;
        todo!()
    }

    /// Replaces the rules; no subscriber and no counter is touched.
    pub fn reconfigure(&mut self, config: &GateConfig) -> Result<(), Error> {
        let _ = config;
        todo!()
    }

    /// Makes all changes, in order, in transactions of a few hundred; returns the final counters of those evicted. After an error
    /// the kernel holds a prefix of the changes: read [`Gate::dump`] and start over.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Vec<Final>, Error> {
        let _ = changes;
        todo!()
    }

    /// One subscriber's counters, exact at the moment of reading; `None` when it is not admitted.
    pub fn read(&mut self, ip: Ipv4Addr) -> Result<Option<Admitted>, Error> {
        let _ = ip;
        todo!()
    }

    /// Every subscriber. During changes by others it may miss or repeat some: never conclude from it that one has ended.
    pub fn dump(&mut self) -> Result<Vec<Admitted>, Error> {
        todo!()
    }

    /// Removes the table with everything in it, whether or not it exists.
    pub fn remove_table(self) -> Result<(), Error> {
        todo!()
    }
}
