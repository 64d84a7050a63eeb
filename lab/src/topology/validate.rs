//! What makes a topology buildable.
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use thiserror::Error;

use super::{Router, Subscriber, Topology};

/// Longest node name: interface names are at most 15 octets, and the switch prefixes nodes with up to four.
const NAME_LIMIT: usize = 11;

/// Why a topology cannot be built.
#[derive(Debug, Error)]
pub enum TopologyError {
    /// Not TOML, or not these fields.
    #[error("it does not parse")]
    Syntax(#[from] toml::de::Error),
    /// A name that cannot be an interface or object name.
    #[error("name {0:?}: 1 to {NAME_LIMIT} of a-z, 0-9 and -, starting with a letter")]
    Name(String),
    /// A name or address used twice.
    #[error("{0} is used twice")]
    Duplicate(String),
    /// A reference to nothing.
    #[error("{who} names {whom}, which does not exist")]
    Unknown {
        /// Who refers.
        who: String,
        /// To whom.
        whom: String,
    },
    /// An address outside the network that it must lie in.
    #[error("{who}: {address} is outside {network}")]
    Outside {
        /// Whose address.
        who: String,
        /// The address.
        address: Ipv4Addr,
        /// Where it should lie.
        network: Ipv4Net,
    },
    /// A BNG and its router are not of the same access mode.
    #[error("{0} and {1}: `access` and `uplink` go together, in mode Bridged there is neither")]
    Mode(String, String),
    /// Several pools on one link.
    #[error("{0}: without `access` a BNG has one router, as several pools on one link need a shared network in Kea")]
    Link(String),
    /// Two networks overlap.
    #[error("networks {0} and {1} overlap")]
    Overlap(Ipv4Net, Ipv4Net),
    /// T1 < T2 < lease does not hold.
    #[error("dhcp: renew_seconds < rebind_seconds < lease_seconds must hold")]
    Timers,
}

/// Checks everything that later stages rely on.
pub fn validate(topology: &Topology) -> Result<(), TopologyError> {
    names(topology)?;
    references(topology)?;
    addresses(topology)?;
    networks(topology)?;
    let dhcp = &topology.dhcp;
    if !(dhcp.renew_seconds < dhcp.rebind_seconds && dhcp.rebind_seconds < dhcp.lease_seconds) {
        return Err(TopologyError::Timers);
    }
    Ok(())
}

fn names(topology: &Topology) -> Result<(), TopologyError> {
    let mut seen = BTreeSet::from(["switch"]);
    for name in topology.nodes() {
        let good = name.len() <= NAME_LIMIT
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !good {
            return Err(TopologyError::Name(name.to_owned()));
        }
        if !seen.insert(name) {
            return Err(TopologyError::Duplicate(format!("name {name}")));
        }
    }
    let mut attachments = BTreeSet::new();
    for subscriber in &topology.subscribers {
        if !attachments.insert(subscriber.circuit_id()) {
            return Err(TopologyError::Duplicate(format!("port {}", subscriber.circuit_id())));
        }
    }
    Ok(())
}

fn references(topology: &Topology) -> Result<(), TopologyError> {
    let unknown = |who: &str, whom: &str| TopologyError::Unknown { who: who.to_owned(), whom: whom.to_owned() };
    for Router { name, bng, .. } in &topology.routers {
        if !topology.bngs.iter().any(|other| &other.name == bng) {
            return Err(unknown(name, bng));
        }
    }
    for Subscriber { name, router, .. } in &topology.subscribers {
        if topology.router(router).is_none() {
            return Err(unknown(name, router));
        }
    }
    Ok(())
}

fn addresses(topology: &Topology) -> Result<(), TopologyError> {
    let inside = |who: &str, address: Ipv4Addr, network: Ipv4Net| match network.contains(&address) {
        true => Ok(()),
        false => Err(TopologyError::Outside { who: who.to_owned(), address, network: network.trunc() }),
    };
    let services = &topology.services;
    inside(&services.node, services.management.addr(), topology.management.host)?;
    inside(&topology.internet.node, topology.internet.host, topology.internet.network)?;
    let mut used = vec![topology.management.host, services.management, services.dhcp, topology.internet.uplink];
    for bng in &topology.bngs {
        inside(&bng.name, bng.management.addr(), topology.management.host)?;
        inside(&bng.name, bng.dhcp.addr(), services.dhcp)?;
        inside(&bng.name, bng.uplink.addr(), topology.internet.uplink)?;
        used.extend([bng.management, bng.dhcp, bng.uplink]);
        used.extend(bng.access);
        for router in topology.routers_of(&bng.name) {
            match (bng.access, router.uplink) {
                (Some(access), Some(uplink)) => inside(&router.name, uplink.addr(), access)?,
                (None, None) => {}
                _ => return Err(TopologyError::Mode(bng.name.clone(), router.name.clone())),
            }
            inside(&router.name, router.pool.first, router.lan)?;
            inside(&router.name, router.pool.last, router.lan)?;
            used.extend(router.uplink);
            used.push(router.lan);
        }
        if bng.access.is_none() && topology.routers_of(&bng.name).count() > 1 {
            return Err(TopologyError::Link(bng.name.clone()));
        }
    }
    let mut seen = BTreeSet::new();
    match used.iter().find(|net| !seen.insert(net.addr())) {
        Some(net) => Err(TopologyError::Duplicate(format!("address {}", net.addr()))),
        None => Ok(()),
    }
}

fn networks(topology: &Topology) -> Result<(), TopologyError> {
    let mut all = vec![
        topology.management.host.trunc(),
        topology.services.dhcp.trunc(),
        topology.internet.uplink.trunc(),
        topology.internet.network,
        topology.kubernetes.service_prefix,
    ];
    all.extend(topology.bngs.iter().filter_map(|bng| bng.access).map(|access| access.trunc()));
    all.extend(topology.bngs.iter().map(|bng| bng.pods));
    all.extend(topology.routers.iter().map(|router| router.lan.trunc()));
    for (index, one) in all.iter().enumerate() {
        if let Some(other) = all[index + 1..].iter().find(|other| one.contains(*other) || other.contains(one)) {
            return Err(TopologyError::Overlap(*one, *other));
        }
    }
    Ok(())
}
