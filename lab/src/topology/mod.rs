//! `lab/topology.toml`: the one typed description of the lab, from which everything else is rendered.
//!
//! Parsing and validation are pure. A topology that passes [`Topology::parse`] can be built: names fit interface
//! names, references resolve, addresses lie where they must and nothing is used twice.
pub mod containerlab;
mod validate;

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context;
use ipnet::Ipv4Net;
use lastmile_types::config::AccessMode;
use serde::Deserialize;

pub use validate::TopologyError;

/// The whole lab.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Name of the lab (Containerlab's `name`).
    pub name: String,
    /// The management network.
    pub management: Management,
    /// The embedded Kubernetes.
    pub kubernetes: Kubernetes,
    /// The services' node.
    pub services: Services,
    /// Lease times.
    pub dhcp: Dhcp,
    /// The far end of the uplinks.
    pub internet: Internet,
    /// The BNGs' nodes.
    #[serde(rename = "bng")]
    pub bngs: Vec<Bng>,
    /// The access routers.
    #[serde(rename = "router")]
    pub routers: Vec<Router>,
    /// The subscribers.
    #[serde(rename = "subscriber")]
    pub subscribers: Vec<Subscriber>,
}

/// The management network, with this machine's own leg in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Management {
    /// The machine's address and the network's prefix.
    pub host: Ipv4Net,
    /// The machine's interface.
    pub host_interface: String,
}

/// Addresses and ports of the embedded Kubernetes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// Port of the API server on the machine's management address.
    pub api_port: u16,
    /// Prefix of ClusterIPs.
    pub service_prefix: Ipv4Net,
    /// NodePort of the dashboard and REST API, on every node.
    pub dashboard_node_port: u16,
}

/// The node of PostgreSQL, Redis, FreeRADIUS and Kea.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// Its namespace.
    pub node: String,
    /// Its address in the management network.
    pub management: Ipv4Net,
    /// Kea's address in the DHCP network.
    pub dhcp: Ipv4Net,
}

/// Lease times, in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dhcp {
    /// Option 51.
    pub lease_seconds: u32,
    /// Option 58 (T1).
    pub renew_seconds: u32,
    /// Option 59 (T2).
    pub rebind_seconds: u32,
}

/// The far end of the uplinks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Internet {
    /// Its namespace.
    pub node: String,
    /// Its address in the uplink network: the BNGs' next hop.
    pub uplink: Ipv4Net,
    /// The network behind it.
    pub network: Ipv4Net,
    /// The host to talk to.
    pub host: Ipv4Addr,
}

/// A BNG's Kubernetes node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bng {
    /// Its namespace, node name and BNG object.
    pub name: String,
    /// The node's address.
    pub management: Ipv4Net,
    /// Its address in the DHCP network.
    pub dhcp: Ipv4Net,
    /// Its address in the uplink network.
    pub uplink: Ipv4Net,
    /// Its address towards its routers. None = it is of access mode Bridged: its router is an access node of layer 2, and the
    /// address of that one's LAN is the gateway's own.
    pub access: Option<Ipv4Net>,
    /// Prefix of the node's pods.
    pub pods: Ipv4Net,
}

/// An access router.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// Its namespace, and the circuit-ids' prefix.
    pub name: String,
    /// The BNG that it hangs on.
    pub bng: String,
    /// Its address towards the BNG: the pool's next hop. An access node of layer 2 has none.
    pub uplink: Option<Ipv4Net>,
    /// The subscribers' router, which is the giaddr, and the pool's prefix.
    pub lan: Ipv4Net,
    /// The addresses that Kea hands out.
    pub pool: Range,
}

/// An inclusive range of addresses.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The first address.
    pub first: Ipv4Addr,
    /// The last address.
    pub last: Ipv4Addr,
}

/// A subscriber on a router's port.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscriber {
    /// Its namespace.
    pub name: String,
    /// The router it hangs on.
    pub router: String,
    /// The router's slot.
    #[serde(default = "first_slot")]
    pub slot: u8,
    /// The slot's port.
    pub port: u8,
    /// The subscriber line: the remote-id.
    pub line: String,
    /// Its DHCP client.
    pub client: Client,
    /// The Filter-Id that RADIUS answers; none = unknown to RADIUS, so rejected.
    pub policy: Option<String>,
}

/// A DHCP client program.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Client {
    /// ISC's dhclient.
    Dhclient,
    /// Busybox' udhcpc.
    Udhcpc,
}

fn first_slot() -> u8 {
    1
}

impl Topology {
    /// Parses and validates.
    pub fn parse(text: &str) -> Result<Self, TopologyError> {
        let topology: Self = toml::from_str(text)?;
        validate::validate(&topology)?;
        Ok(topology)
    }

    /// Reads the `topology.toml` of a folder.
    pub fn load(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("topology.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} cannot be built", path.display()))
    }

    /// The routers of a BNG, in the file's order.
    pub fn routers_of<'a>(&'a self, bng: &'a str) -> impl Iterator<Item = &'a Router> {
        self.routers.iter().filter(move |router| router.bng == bng)
    }

    /// The addresses of a BNG's `access0`.
    pub fn access_addresses(&self, bng: &Bng) -> Vec<Ipv4Net> {
        bng.access
            .map_or_else(|| self.routers_of(&bng.name).map(|router| router.lan).collect(), |address| vec![address])
    }

    /// The subscribers of a router, in the file's order.
    pub fn subscribers_of<'a>(&'a self, router: &'a str) -> impl Iterator<Item = &'a Subscriber> {
        self.subscribers.iter().filter(move |subscriber| subscriber.router == router)
    }

    /// A router by name. Subscribers' routers exist: validation says so.
    pub fn router(&self, name: &str) -> Option<&Router> {
        self.routers.iter().find(|router| router.name == name)
    }

    /// The BNG that a subscriber ends on.
    pub fn bng_of(&self, subscriber: &Subscriber) -> Option<&str> {
        self.router(&subscriber.router).map(|router| router.bng.as_str())
    }

    /// Every namespace but the switch: services, internet, BNGs, routers, subscribers.
    pub fn nodes(&self) -> Vec<&str> {
        let fixed = [self.services.node.as_str(), self.internet.node.as_str()];
        let bngs = self.bngs.iter().map(|node| node.name.as_str());
        let routers = self.routers.iter().map(|node| node.name.as_str());
        let subscribers = self.subscribers.iter().map(|node| node.name.as_str());
        fixed.into_iter().chain(bngs).chain(routers).chain(subscribers).collect()
    }

    /// The User-Name that the BNG derives for a subscriber by its default template `{nas}/{remote}/{circuit}`.
    pub fn user_name(&self, subscriber: &Subscriber) -> String {
        let part = |text: &str| text.replace('%', "%25").replace('/', "%2F");
        let nas = self.bng_of(subscriber).unwrap_or_default();
        format!("{}/{}/{}", part(nas), part(&subscriber.line), part(&subscriber.circuit_id()))
    }
}

impl Bng {
    /// How its subscribers reach it.
    pub fn access_mode(&self) -> AccessMode {
        if self.access.is_some() { AccessMode::Routed } else { AccessMode::Bridged }
    }
}

impl Subscriber {
    /// Option 82 sub-option 1 as the relay writes it: `ROUTER|slot/port`.
    pub fn circuit_id(&self) -> String {
        format!("{}|{}/{}", self.router, self.slot, self.port)
    }

    /// The router's interface towards this subscriber.
    pub fn router_port(&self) -> String {
        format!("port{}", self.port)
    }
}

#[cfg(test)]
mod tests;
