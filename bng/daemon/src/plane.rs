//! The kernel's side of the gateway: captures on both sides, the gate, the pools' routes.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use lastmile_netio::{
    capture::{Capture, Filter, FrameSender},
    gate::{Admitted, Gate, GateConfig, Pool},
    links::{Link, LinkWatch, Links},
    rawip::RawIp,
    routes::{Route, Routes},
    shaper::{ShaperConfig, Way},
};
use lastmile_session::Admission;
use lastmile_types::{
    MacAddr,
    config::{self, AccessMode, BngConfig},
};

use crate::{limits::Limits, next_hops::NextHops, pins::Pins};

/// The most subscribers at once.
const SIZE: u32 = 131_072;

/// Why the wires are not ready.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// An interface is not there (yet).
    #[error("interface {0} does not exist on this node: create it, or correct the BNG's interfaces")]
    Missing(String),
    /// It is there and has no address.
    #[error("interface {0} has no IPv4 address: give it one")]
    NoAddress(String),
    /// Bridged: the subscribers' default gateway is nobody, and so is the giaddr.
    #[error(
        "interface {interface} does not carry {address}: give it the gateway address of each pool, with the pool's prefix length"
    )]
    NoGateway {
        /// The subscriber interface.
        interface: String,
        /// The pool's gateway.
        address: Ipv4Addr,
    },
    /// Closing it to subscribers would cut the node off.
    #[error(
        "interface {interface} carries the node's own address {address}: subscribers need an interface of their own"
    )]
    NodeAddress {
        /// The subscriber interface.
        interface: String,
        /// The node's address.
        address: IpAddr,
    },
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] lastmile_netio::Error),
}

impl PlaneError {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "InterfaceMissing",
            Self::NoAddress(_) => "NoAddress",
            Self::NoGateway { .. } => "GatewayAddressMissing",
            Self::NodeAddress { .. } => "NodeAddress",
            Self::Kernel(_) => "KernelRefused",
        }
    }
}

/// Everything that is open towards the kernel.
pub struct Plane {
    /// Who is let through.
    pub gate: Gate,
    /// Who is shaped.
    pub limits: Limits,
    /// Sends packets.
    pub raw: RawIp,
    /// What subscribers and relays send.
    pub subscriber: Capture,
    /// Sends frames to subscribers on the gateway's own link.
    link: FrameSender,
    /// Binds their addresses to their MACs.
    pins: Pins,
    /// What DHCP servers send.
    pub server: Capture,
    /// Our address towards the DHCP servers.
    pub dhcp_address: Ipv4Addr,
    /// The node's addresses on our interfaces.
    pub own: Vec<Ipv4Addr>,
    /// The access routers.
    pub next_hops: NextHops,
    /// The subscribers' link.
    pub link_watch: SubscriberLink,
    wires: Wires,
    links: Links,
    routes: Routes,
}

/// The subscribers' interface, watched: one that was down and is up again looks as before.
pub struct SubscriberLink {
    watch: LinkWatch,
    index: u32,
    /// It went down since it was last followed: the kernel has forgotten its routes and neighbours.
    fell: bool,
}

impl SubscriberLink {
    /// Resolves when it changed, however shortly. Cancel safe.
    pub async fn changed(&mut self) {
        loop {
            let change = self.watch.changed().await;
            if change.index == self.index || change.index == 0 {
                self.fell |= change.down;
                return;
            }
        }
    }
}

/// The three interfaces as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wires {
    subscriber: Link,
    uplink: Link,
    dhcp: Link,
}

impl Wires {
    async fn look(links: &Links, config: &BngConfig) -> Result<Self, PlaneError> {
        let names = &config.interfaces;
        let find = async |name: &str| {
            links.get(name).await?.filter(|link| link.up).ok_or_else(|| PlaneError::Missing(name.to_owned()))
        };
        let wires = Self {
            subscriber: find(&names.subscriber).await?,
            uplink: find(&names.uplink).await?,
            dhcp: find(&names.dhcp).await?,
        };
        let listen = config.status.listen.ip();
        let address = |link: &Link| link.addresses.iter().any(|net| IpAddr::V4(net.addr()) == listen);
        if address(&wires.subscriber) {
            return Err(PlaneError::NodeAddress { interface: names.subscriber.clone(), address: listen });
        }
        if wires.dhcp.addresses.is_empty() {
            return Err(PlaneError::NoAddress(names.dhcp.clone()));
        }
        let missing = |pool: &&config::Pool| !wires.subscriber.addresses.iter().any(|net| net.addr() == pool.gateway);
        if config.access_mode == AccessMode::Bridged
            && let Some(pool) = config.pools.iter().find(missing)
        {
            return Err(PlaneError::NoGateway { interface: names.subscriber.clone(), address: pool.gateway });
        }
        Ok(wires)
    }

    fn gate(&self, config: &BngConfig) -> GateConfig {
        GateConfig {
            bng_id: config.bng_id.clone(),
            subscriber: vec![self.subscriber.name.clone()],
            uplink: vec![self.uplink.name.clone()],
            dhcp: vec![self.dhcp.name.clone()],
            gateways: self.subscriber.addresses.iter().map(ipnet::Ipv4Net::addr).collect(),
            pools: config.pools.iter().map(|pool| Pool { prefix: pool.prefix, next_hop: pool.next_hop }).collect(),
            protected: config.protected.clone(),
            gardens: config
                .policies
                .iter()
                .filter_map(|policy| Some((policy.name.clone(), policy.walled_garden.clone()?)))
                .collect(),
            size: SIZE,
            shaped: config.shaping.classes > 0,
        }
    }

    fn shaper(&self, config: &BngConfig) -> Option<ShaperConfig> {
        let way = |link: &Link| Way { interface: link.name.clone(), index: link.index };
        let classes = u16::try_from(config.shaping.classes).unwrap_or(u16::MAX);
        let (subscriber, uplink) = (way(&self.subscriber), way(&self.uplink));
        (classes > 0).then(|| ShaperConfig { bng_id: config.bng_id.clone(), subscriber, uplink, classes })
    }
}

impl Plane {
    /// Opens everything; the subscribers whom the kernel lets through already are adopted and returned.
    pub async fn open(config: &BngConfig) -> Result<(Self, Vec<Admitted>), PlaneError> {
        let (watch, links) = (LinkWatch::open()?, Links::open()?);
        let wires = Wires::look(&links, config).await?;
        let gate_config = wires.gate(config);
        let next_hops = NextHops::open(wires.subscriber.index, gate_config.next_hops())?;
        let (gate, admitted) = Gate::open(&gate_config)?;
        let limits = Limits::open(wires.shaper(config).as_ref(), gate.commits());
        let routes = Routes::open()?;
        let all = [&wires.subscriber, &wires.uplink, &wires.dhcp];
        let mut plane = Self {
            gate,
            limits,
            raw: RawIp::open()?,
            subscriber: Capture::open(&wires.subscriber.name, Filter::DhcpFromClients)?,
            link: FrameSender::open(&wires.subscriber.name)?,
            pins: Pins::open()?,
            server: Capture::open(&wires.dhcp.name, Filter::DhcpFromServers)?,
            dhcp_address: wires.dhcp.addresses.first().map_or(Ipv4Addr::UNSPECIFIED, ipnet::Ipv4Net::addr),
            own: all.iter().flat_map(|link| &link.addresses).map(ipnet::Ipv4Net::addr).collect(),
            next_hops,
            link_watch: SubscriberLink { watch, index: wires.subscriber.index, fell: false },
            wires,
            links,
            routes,
        };
        plane.route(config).await?;
        plane.learn().await?;
        plane.next_hops.verify().await?;
        Ok((plane, admitted))
    }

    /// Follows a changed configuration or changed interfaces; true if anything had to be done. No subscriber is touched.
    pub async fn refresh(&mut self, config: &BngConfig, force: bool) -> Result<bool, PlaneError> {
        let wires = Wires::look(&self.links, config).await?;
        if !force && !self.link_watch.fell && wires == self.wires {
            return Ok(false);
        }
        let mut gate_config = wires.gate(config);
        gate_config.shaped |= self.limits.in_use();
        self.gate.reconfigure(&gate_config)?;
        self.next_hops.follow(wires.subscriber.index, gate_config.next_hops());
        if wires.subscriber.index != self.wires.subscriber.index {
            self.subscriber = Capture::open(&wires.subscriber.name, Filter::DhcpFromClients)?;
            self.link = FrameSender::open(&wires.subscriber.name)?;
        }
        if wires.dhcp.index != self.wires.dhcp.index {
            self.server = Capture::open(&wires.dhcp.name, Filter::DhcpFromServers)?;
        }
        self.dhcp_address = wires.dhcp.addresses.first().map_or(Ipv4Addr::UNSPECIFIED, ipnet::Ipv4Net::addr);
        let all = [&wires.subscriber, &wires.uplink, &wires.dhcp];
        self.own = all.iter().flat_map(|link| &link.addresses).map(ipnet::Ipv4Net::addr).collect();
        self.link_watch.index = wires.subscriber.index;
        self.wires = wires;
        self.route(config).await?;
        self.learn().await?;
        self.link_watch.fell = false;
        Ok(true)
    }

    /// Makes the gate anew where somebody changed it, and returns who is in it then. With a table went who has which class.
    pub fn restore(&mut self, config: &BngConfig) -> Result<Option<Vec<Admitted>>, lastmile_netio::Error> {
        let admitted = self.gate.restore()?;
        if admitted.is_some() {
            self.limits.reopen(self.wires.shaper(config).as_ref());
        }
        Ok(admitted)
    }

    /// Tells the gate which MACs the access routers have.
    pub async fn learn(&mut self) -> Result<(), PlaneError> {
        let routers = self.next_hops.found().await?;
        if self.gate.learn(&routers)? {
            tracing::info!(?routers, "the gate follows the access routers' MACs");
        }
        Ok(())
    }

    /// Follows what became of the shapers' classes; returns whose limits are to be set again. Of a drained gateway none are left.
    pub fn shape(&mut self, config: &BngConfig, drained: bool) -> Vec<Admission> {
        let shaper = self.wires.shaper(config).filter(|_| !drained);
        self.limits.refresh(shaper.as_ref())
    }

    /// The pools' routes, and no others of ours. A pool that an address of the interface brings with it has one.
    async fn route(&self, config: &BngConfig) -> Result<(), PlaneError> {
        let connected =
            |pool: &&config::Pool| self.wires.subscriber.addresses.iter().any(|net| net.trunc() == pool.prefix);
        let wanted: Vec<_> = config.pools.iter().filter(|pool| !connected(pool)).collect();
        for prefix in self.routes.list().await? {
            if !wanted.iter().any(|pool| pool.prefix == prefix) {
                self.routes.remove(prefix).await?;
            }
        }
        for pool in wanted {
            let interface = self.wires.subscriber.name.clone();
            self.routes.replace(&Route { prefix: pool.prefix, next_hop: pool.next_hop, interface }).await?;
        }
        Ok(())
    }

    /// Our Ethernet address on the subscribers' link.
    pub fn link_address(&self) -> MacAddr {
        self.wires.subscriber.mac
    }

    /// Binds an address on the subscribers' link to a MAC, or binds it no longer.
    pub fn pin(&self, ip: Ipv4Addr, mac: Option<MacAddr>) {
        self.pins.set(self.wires.subscriber.index, ip, mac);
    }

    /// Hands packets to the kernel; returns how many it refused.
    pub fn send(&self, packets: &mut Vec<Vec<u8>>) -> u64 {
        all(packets, |rest| self.raw.send(rest))
    }

    /// Puts frames on the subscribers' link; returns how many the kernel refused.
    pub fn send_frames(&self, frames: &mut Vec<Vec<u8>>) -> u64 {
        all(frames, |rest| self.link.send(rest))
    }
}

/// Sends everything; one that is refused keeps nobody up.
fn all(packets: &mut Vec<Vec<u8>>, send: impl Fn(&[Vec<u8>]) -> io::Result<usize>) -> u64 {
    let mut refused = 0;
    let mut rest = &packets[..];
    while !rest.is_empty() {
        match send(rest) {
            Ok(taken) if taken > 0 => rest = &rest[taken..],
            outcome => {
                tracing::debug!(?outcome, "the kernel refused a DHCP packet");
                refused += 1;
                rest = &rest[1..];
            }
        }
    }
    packets.clear();
    refused
}
