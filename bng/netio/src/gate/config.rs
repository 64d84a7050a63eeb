//! What the gate's rules are made from.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use ipnet::Ipv4Net;
use lastmile_types::{BngId, MacAddr, config::WalledGarden};

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
    /// The subscribers' addresses; their traffic is kept out of conntrack, but for that of walled gardens.
    pub pools: Vec<Pool>,
    /// Networks that no subscriber may reach (node, pod, service, management, DHCP); dropped before any DNAT.
    pub protected: Vec<Ipv4Net>,
    /// Walled gardens by name: what their members reach. The portal and the DNS servers may lie in a protected network and beyond
    /// any interface, but not behind a service's address or on this node.
    pub gardens: BTreeMap<String, WalledGarden>,
    /// The most subscribers at once; a hard limit of the kernel's sets. An existing table keeps the size it was made with.
    pub size: u32,
    /// Packets of subscribers who have a class go there; see [`crate::shaper`].
    pub shaped: bool,
}

/// Addresses of subscribers, and where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// The addresses.
    pub prefix: Ipv4Net,
    /// The access router whose frames, and no others, carry them; `None` = on the link, each with a MAC of its own.
    pub next_hop: Option<Ipv4Addr>,
}

/// The MAC of each access router that is known, by its address on the subscriber interface's link.
pub type Routers = BTreeMap<Ipv4Addr, MacAddr>;

impl GateConfig {
    /// The access routers' addresses.
    pub fn next_hops(&self) -> BTreeSet<Ipv4Addr> {
        self.pools.iter().filter_map(|pool| pool.next_hop).collect()
    }

    /// The prefixes behind a router.
    pub(super) fn behind(&self, next_hop: Ipv4Addr) -> impl Iterator<Item = Ipv4Net> {
        self.pools.iter().filter(move |pool| pool.next_hop == Some(next_hop)).map(|pool| pool.prefix)
    }

    /// Whether some subscribers are on the link itself.
    pub(super) fn on_link(&self) -> bool {
        self.pools.iter().any(|pool| pool.next_hop.is_none())
    }
}
