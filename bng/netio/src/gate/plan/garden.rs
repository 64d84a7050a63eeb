//! Walled gardens: what their members reach is decided before any NAT, packet by packet; conntrack follows their flows, for the
//! portal's sake, and lets nothing in but answers.

use lastmile_types::config::WalledGarden;

use super::{Chain, GateConfig, names};
use crate::gate::{
    element::Direction,
    term::{
        Term::{self, Admitted, Counter, Ct, Daddr, Dnat, Drop, From, Goto, IifName, Return, Tcp, Udp},
        ct,
    },
};

/// From a member, before NAT.
pub const FROM_CONFINED: &str = "from_confined";
/// From a member, forwarded.
pub const LEAVING: &str = "leaving_garden";
/// To a member, forwarded.
pub const TO_CONFINED: &str = "to_confined";

const DNS: u16 = 53;
const HTTP: u16 = 80;

/// Whether there are gardens at all: packets pay nothing for those that are not.
pub fn any(config: &GateConfig) -> bool {
    !config.gardens.is_empty()
}

/// The chains of all gardens, and those that lead to them. A member of a garden that is no more reaches nothing.
pub fn chains(config: &GateConfig) -> Vec<Chain> {
    if !any(config) {
        return Vec::new();
    }
    let chain = |name: String, rules| Chain { name, hook: None, rules };
    let mut chains: Vec<Chain> =
        config.gardens.iter().map(|(name, garden)| chain(names::garden(name), reach(config, garden))).collect();
    for (name, garden) in &config.gardens {
        chains.extend(portal(config, garden).map(|rules| chain(names::redirect(name), rules)));
    }
    let gardens = config.gardens.keys().map(|name| vec![From(names::garden(name)), Goto(names::garden(name))]);
    let answers = |direction, states| vec![vec![Ct(states), Admitted(direction), Return], vec![Counter, Drop]];
    chains.push(chain(FROM_CONFINED.to_owned(), gardens.chain([vec![Counter, Drop]]).collect()));
    chains.push(chain(LEAVING.to_owned(), answers(Direction::Up, ct::SOUND)));
    chains.push(chain(TO_CONFINED.to_owned(), answers(Direction::Down, ct::ANSWER)));
    chains
}

/// In a protected network only DNS and the portal are reached, at exactly their ports. Web requests to anywhere may pass here,
/// for [`portal`] gives them another destination.
fn reach(config: &GateConfig, garden: &WalledGarden) -> Vec<Vec<Term>> {
    let to = |address: std::net::Ipv4Addr| Daddr(address.into());
    let dns = garden.dns_servers.iter().flat_map(|dns| [Udp(DNS), Tcp(DNS)].map(|port| vec![to(*dns), port, Return]));
    let portal = garden.portal.iter().map(|portal| vec![to(*portal.ip()), Tcp(portal.port()), Return]);
    let gateways = config.gateways.iter().map(|gateway| vec![to(*gateway), Term::Icmp(super::ECHO_REQUEST), Return]);
    let web = garden.portal.iter().map(|_| vec![Tcp(HTTP), Return]);
    let protected = config.protected.iter().map(|network| vec![Daddr(*network), Counter, Drop]);
    let destinations = garden.destinations.iter().map(|network| vec![Daddr(*network), Return]);
    dns.chain(portal)
        .chain(gateways)
        .chain(web)
        .chain(protected)
        .chain(destinations)
        .chain([vec![Counter, Drop]])
        .collect()
}

/// Web requests go to the portal, unless they go to a destination of the garden that no network protects.
fn portal(config: &GateConfig, garden: &WalledGarden) -> Option<Vec<Vec<Term>>> {
    let portal = Dnat(garden.portal?);
    let protected = config.protected.iter().map(|network| vec![Daddr(*network), portal.clone()]);
    let destinations = garden.destinations.iter().map(|network| vec![Daddr(*network), Return]);
    Some(protected.chain(destinations).chain([vec![portal.clone()]]).collect())
}

/// The base chain for new flows of members.
pub fn redirect(config: &GateConfig) -> Vec<Vec<Term>> {
    let portals = || config.gardens.iter().filter(|(_, garden)| garden.portal.is_some());
    let each = config.subscriber.iter().flat_map(|name| {
        portals().map(|(garden, _)| {
            vec![IifName(name.clone()), Tcp(HTTP), From(names::garden(garden)), Goto(names::redirect(garden))]
        })
    });
    each.collect()
}
