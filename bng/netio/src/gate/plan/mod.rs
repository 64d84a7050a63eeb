//! The gate's rules as data, from its configuration. No subscriber occurs in them.

use super::{
    config::{GateConfig, Routers},
    element::Direction,
    names::{self, CONFINED, DORMANT},
    term::{Term, ct},
};
use Term::{
    Admitted, Classify, Count, Counter, Ct, Daddr, Dhcp, Drop, Goto, Icmp, IifName, Jump, Notrack, OifName, Return, To,
};

mod garden;
mod source;

pub use source::elements as routers;

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where it hooks in; `None` = jumped to.
    pub hook: Option<Hook>,
    /// Its rules.
    pub rules: Vec<Vec<Term>>,
}

/// Where a base chain stands; its policy is accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before conntrack and every NAT (priority raw, −300).
    PreroutingRaw,
    /// Before kube-proxy's NAT (priority dstnat − 10).
    PreroutingNat,
    /// Priority filter.
    Forward,
    /// Behind what was forwarded (priority filter + 1).
    Forwarded,
    /// Priority filter.
    Input,
}

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

/// The chain that a packet from a subscriber goes through when its source is genuine.
const GENUINE: &str = "genuine";
/// The chain that looks up the map of routers, which leads to chains before this one.
pub const FROM_SUBSCRIBER_RAW: &str = "from_subscriber_raw";

/// The IPv4 chains. A chain is jumped to only by chains behind it in the list; the map of routers stands before
/// [`FROM_SUBSCRIBER_RAW`].
pub fn ipv4(config: &GateConfig, routers: &Routers) -> Vec<Chain> {
    let chain = |name: &str, rules| Chain { name: name.to_owned(), hook: None, rules };
    let base = |name: &str, hook, rules| Chain { hook: Some(hook), ..chain(name, rules) };
    let mut chains = garden::chains(config);
    chains.push(chain(GENUINE, genuine(config)));
    chains.extend(source::chains(config, routers));
    chains.extend([
        chain(FROM_SUBSCRIBER_RAW, source::from_subscriber_raw(config)),
        chain("from_subscriber", from_subscriber(config)),
        chain("to_subscriber", to_subscriber(config)),
        chain("to_gateway", to_gateway(config)),
        base("prerouting", Hook::PreroutingRaw, prerouting(config)),
        base("forward", Hook::Forward, forward(config)),
        base("input", Hook::Input, input(config)),
    ]);
    chains.extend(config.shaped.then(|| base("shape", Hook::Forwarded, shape(config))));
    let redirect = garden::redirect(config);
    if !redirect.is_empty() {
        chains.push(base("redirect", Hook::PreroutingNat, redirect));
    }
    chains
}

/// The IPv6 chains: nothing from or to a subscriber.
pub fn ipv6(config: &GateConfig) -> Vec<Chain> {
    let each = |term: fn(String) -> Term| {
        config.subscriber.iter().map(|name| vec![term(name.clone()), Counter, Drop]).collect::<Vec<_>>()
    };
    vec![
        Chain { name: "prerouting".to_owned(), hook: Some(Hook::PreroutingRaw), rules: each(IifName) },
        Chain { name: "forward".to_owned(), hook: Some(Hook::Forward), rules: each(OifName) },
    ]
}

/// The routers whose spoofed packets are counted.
pub fn spoofed_counters(config: &GateConfig) -> impl Iterator<Item = String> {
    let routers = config.next_hops().into_iter().map(|next_hop| next_hop.to_string());
    routers.chain([names::UNKNOWN.to_owned()]).map(|by| names::spoofed(&by))
}

fn prerouting(config: &GateConfig) -> Vec<Vec<Term>> {
    let from = config.subscriber.iter().map(|name| vec![IifName(name.clone()), Jump(FROM_SUBSCRIBER_RAW.to_owned())]);
    // The other half of a subscriber's flows; without it conntrack would see replies to what it never saw.
    let to = config.uplink.iter().flat_map(|name| {
        let confined = garden::any(config).then(|| vec![IifName(name.clone()), To(CONFINED.to_owned()), Return]);
        let pools = config.pools.iter().map(|pool| vec![IifName(name.clone()), Daddr(pool.prefix), Notrack]);
        confined.into_iter().chain(pools).collect::<Vec<_>>()
    });
    from.chain(to).collect()
}

/// Before kube-proxy's DNAT, so that a service's address is no way around.
fn genuine(config: &GateConfig) -> Vec<Vec<Term>> {
    let confined =
        garden::any(config).then(|| vec![Term::From(CONFINED.to_owned()), Goto(garden::FROM_CONFINED.to_owned())]);
    let gateways = config.gateways.iter().map(|gateway| vec![Daddr((*gateway).into()), Return]);
    let protected = config.protected.iter().map(|network| vec![Daddr(*network), Counter, Drop]);
    confined.into_iter().chain([vec![Notrack]]).chain(gateways).chain(protected).collect()
}

fn forward(config: &GateConfig) -> Vec<Vec<Term>> {
    // The gateway is the only way for DHCP: it has captured what came, and sends what goes itself.
    let to_subscriber = config.subscriber.iter().map(|name| OifName(name.clone()));
    let server_side = config.dhcp.iter().flat_map(|name| [IifName(name.clone()), OifName(name.clone())]);
    let dhcp = to_subscriber.chain(server_side).map(|side| vec![side, Dhcp, Drop]);
    let from = config.subscriber.iter().map(|name| vec![IifName(name.clone()), Jump("from_subscriber".to_owned())]);
    let to = config.subscriber.iter().map(|name| vec![OifName(name.clone()), Jump("to_subscriber".to_owned())]);
    dhcp.chain(from).chain(to).collect()
}

/// The way out is checked first: the element's limit and counter are for packets that have one. Whom a garden confines conntrack
/// follows, nobody else; where these may go was decided before. What comes from an address that only sleeps is noticed.
fn from_subscriber(config: &GateConfig) -> Vec<Vec<Term>> {
    let confined = garden::any(config).then(|| vec![Ct(ct::TRACKED), Goto(garden::LEAVING.to_owned())]);
    let ways = config.uplink.iter().chain(&config.subscriber);
    let admitted = ways.map(|name| vec![OifName(name.clone()), Admitted(Direction::Up), Return]);
    let shut_out = [vec![Term::From(DORMANT.to_owned()), Drop], vec![Counter, Drop]];
    confined.into_iter().chain(admitted).chain(shut_out).collect()
}

fn to_subscriber(config: &GateConfig) -> Vec<Vec<Term>> {
    let confined = garden::any(config).then(|| vec![To(CONFINED.to_owned()), Goto(garden::TO_CONFINED.to_owned())]);
    confined.into_iter().chain([vec![Admitted(Direction::Down), Return], vec![Counter, Drop]]).collect()
}

/// What the gate let through, and only that: the gateway's own packets to a subscriber wait in no queue of his.
fn shape(config: &GateConfig) -> Vec<Vec<Term>> {
    let down = config.subscriber.iter().map(|name| vec![OifName(name.clone()), Classify(Direction::Down)]);
    let up = config.uplink.iter().map(|name| vec![OifName(name.clone()), Classify(Direction::Up)]);
    down.chain(up).collect()
}

fn input(config: &GateConfig) -> Vec<Vec<Term>> {
    let from = config.subscriber.iter().map(|name| vec![IifName(name.clone()), Jump("to_gateway".to_owned())]);
    // Servers' answers to a relay address of ours are captured; without this the kernel would call the port unreachable.
    let dhcp = config.dhcp.iter().map(|name| vec![IifName(name.clone()), Dhcp, Drop]);
    from.chain(dhcp).collect()
}

/// Echo requests to the gateway, and the replies of access routers to its own. ARP is not IP, DHCP is captured.
fn to_gateway(config: &GateConfig) -> Vec<Vec<Term>> {
    let kinds = [ECHO_REQUEST, ECHO_REPLY];
    let echo =
        config.gateways.iter().flat_map(|gateway| kinds.map(|kind| vec![Daddr((*gateway).into()), Icmp(kind), Return]));
    echo.chain([vec![Counter, Drop]]).collect()
}

/// Counts a packet with a wrong source, and drops it.
fn spoofed(by: &str) -> Vec<Term> {
    vec![Count(names::spoofed(by)), Drop]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lastmile_types::{MacAddr, config::WalledGarden};

    use super::*;
    use crate::gate::config::Pool;

    fn render(chains: &[Chain]) -> String {
        let mut text = String::new();
        for chain in chains {
            text += &format!("{} {:?}\n", chain.name, chain.hook);
            for rule in &chain.rules {
                text += &format!("  {}\n", rule.iter().map(Term::to_string).collect::<Vec<_>>().join(" "));
            }
        }
        text
    }

    fn config() -> GateConfig {
        GateConfig {
            bng_id: "edge/bng-01".parse().unwrap(),
            subscriber: vec!["access0".to_owned()],
            uplink: vec!["uplink0".to_owned()],
            dhcp: vec!["dhcp0".to_owned()],
            gateways: vec![[10, 231, 11, 1].into()],
            pools: vec![Pool { prefix: "100.64.1.0/24".parse().unwrap(), next_hop: Some([10, 231, 11, 2].into()) }],
            protected: vec!["10.96.0.0/16".parse().unwrap()],
            gardens: BTreeMap::new(),
            size: 1024,
            shaped: true,
        }
    }

    fn check(golden: &str, text: &str) {
        let path = format!("{}/src/gate/testdata/{golden}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("LASTMILE_UPDATE").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(path).unwrap(), "LASTMILE_UPDATE=1 writes {golden}");
    }

    #[test]
    fn golden() {
        let config = config();
        let routers = Routers::from([([10, 231, 11, 2].into(), MacAddr([2, 0, 0, 0, 0, 1]))]);
        check("ipv4.txt", &render(&ipv4(&config, &routers)));
        check("ipv6.txt", &render(&ipv6(&config)));
        let plain = render(&ipv4(&GateConfig { shaped: false, ..config }, &routers));
        assert!(!plain.contains("shape"), "{plain}");
    }

    #[test]
    fn golden_with_a_garden_on_the_link() {
        let mut config = config();
        config.pools[0].next_hop = None;
        let garden = WalledGarden {
            destinations: vec!["203.0.113.0/24".parse().unwrap()],
            dns_servers: vec![[10, 96, 0, 10].into()],
            portal: Some("10.96.7.7:8080".parse().unwrap()),
        };
        let closed = WalledGarden::default();
        config.gardens = BTreeMap::from([("unpaid".to_owned(), garden), ("closed".to_owned(), closed)]);
        check("garden.txt", &render(&ipv4(&config, &Routers::new())));
    }

    #[test]
    fn one_router_with_two_addresses_has_one_chain() {
        let mut config = config();
        let other = Pool { prefix: "100.64.2.0/24".parse().unwrap(), next_hop: Some([10, 231, 11, 3].into()) };
        config.pools.push(other);
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let routers = Routers::from([([10, 231, 11, 2].into(), mac), ([10, 231, 11, 3].into(), mac)]);
        let chains = source::chains(&config, &routers);
        assert_eq!(chains.len(), 1);
        assert_eq!(chains[0].rules.len(), 5, "two addresses, two prefixes, the end");
        assert_eq!(source::elements(&routers), [(mac, "router_10.231.11.2".to_owned())]);
    }
}
