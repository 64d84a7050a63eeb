//! Where a subscriber's packets come from: in frames of the access router that their source address is behind, or, on the
//! gateway's own link, in the subscriber's own.

use std::{collections::BTreeMap, net::Ipv4Addr};

use lastmile_types::MacAddr;

use super::{Chain, GENUINE, GateConfig, Routers, names, spoofed};
use crate::gate::term::Term::{self, ByRouter, Dhcp, Drop, Goto, Saddr, SourceBound};

/// One chain for each router: its own addresses and those behind it are genuine.
pub fn chains(config: &GateConfig, routers: &Routers) -> Vec<Chain> {
    let by_mac = by_mac(routers);
    let chain = |next_hops: &Vec<Ipv4Addr>| {
        let own = next_hops.iter().map(|next_hop| (*next_hop).into());
        let behind = next_hops.iter().flat_map(|next_hop| config.behind(*next_hop));
        let genuine = own.chain(behind).map(|network| vec![Saddr(network), Goto(GENUINE.to_owned())]);
        let name = names::router(next_hops[0]);
        Chain { name, hook: None, rules: genuine.chain([spoofed(&next_hops[0].to_string())]).collect() }
    };
    by_mac.values().map(chain).collect()
}

/// What the map of routers holds: a MAC and the name of a chain.
pub fn elements(routers: &Routers) -> Vec<(MacAddr, String)> {
    by_mac(routers).into_iter().map(|(mac, next_hops)| (mac, names::router(next_hops[0]))).collect()
}

/// Before anything else is looked at. The relays' DHCP was captured; whoever sends it has a source of his own.
pub fn from_subscriber_raw(config: &GateConfig) -> Vec<Vec<Term>> {
    // Nobody who sleeps is bound: what comes in his name is only noticed.
    let on_link = [vec![SourceBound, Goto(GENUINE.to_owned())], vec![Term::From(names::DORMANT.to_owned()), Drop]];
    let on_link = on_link.into_iter().filter(|_| config.on_link());
    [vec![Dhcp, Drop], vec![ByRouter]].into_iter().chain(on_link).chain([spoofed(names::UNKNOWN)]).collect()
}

/// A router may have several addresses; each MAC comes with at least one.
fn by_mac(routers: &Routers) -> BTreeMap<MacAddr, Vec<Ipv4Addr>> {
    let mut by_mac: BTreeMap<MacAddr, Vec<Ipv4Addr>> = BTreeMap::new();
    routers.iter().for_each(|(next_hop, mac)| by_mac.entry(*mac).or_default().push(*next_hop));
    by_mac
}
