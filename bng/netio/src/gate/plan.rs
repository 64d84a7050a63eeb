//! The gate's rules as data, from its configuration. No subscriber occurs in them.

use std::fmt;

use ipnet::Ipv4Net;

use super::{GateConfig, element::Direction};

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: &'static str,
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
    /// Priority filter.
    Forward,
    /// Behind what was forwarded (priority filter + 1).
    Forwarded,
    /// Priority filter.
    Input,
}

/// A condition or a statement of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// Came in by.
    IifName(String),
    /// Goes out by.
    OifName(String),
    /// IPv4 destination.
    Daddr(Ipv4Net),
    /// UDP to one of the DHCP ports.
    Dhcp,
    /// ICMP of this type.
    Icmp(u8),
    /// Admitted in this direction, within the limit; counts.
    Admitted(Direction),
    /// Goes to its subscriber's class in this direction; ends the rule for who has none.
    Classify(Direction),
    /// Counts.
    Counter,
    /// Keeps the packet out of conntrack.
    Notrack,
    /// Verdict.
    Jump(&'static str),
    /// Verdict.
    Return,
    /// Verdict.
    Drop,
}

use Term::{Admitted, Classify, Counter, Daddr, Dhcp, Drop, Icmp, IifName, Jump, Notrack, OifName, Return};

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

/// The IPv4 chains. A chain is jumped to only by chains behind it in the list.
pub fn ipv4(config: &GateConfig) -> Vec<Chain> {
    let chain = |name, hook, rules| Chain { name, hook, rules };
    let shape = config.shaped.then(|| chain("shape", Some(Hook::Forwarded), shape(config)));
    let mut chains = vec![
        chain("from_subscriber_raw", None, from_subscriber_raw(config)),
        chain("from_subscriber", None, from_subscriber(config)),
        chain("to_subscriber", None, to_subscriber()),
        chain("to_gateway", None, to_gateway(config)),
        chain("prerouting", Some(Hook::PreroutingRaw), prerouting(config)),
        chain("forward", Some(Hook::Forward), forward(config)),
        chain("input", Some(Hook::Input), input(config)),
    ];
    chains.extend(shape);
    chains
}

/// The IPv6 chains: nothing from or to a subscriber.
pub fn ipv6(config: &GateConfig) -> Vec<Chain> {
    let each = |term: fn(String) -> Term| {
        config.subscriber.iter().map(|name| vec![term(name.clone()), Counter, Drop]).collect::<Vec<_>>()
    };
    vec![
        Chain { name: "prerouting", hook: Some(Hook::PreroutingRaw), rules: each(IifName) },
        Chain { name: "forward", hook: Some(Hook::Forward), rules: each(OifName) },
    ]
}

fn prerouting(config: &GateConfig) -> Vec<Vec<Term>> {
    let from = config.subscriber.iter().map(|name| vec![IifName(name.clone()), Jump("from_subscriber_raw")]);
    // The other half of a subscriber's flows; without it conntrack would see replies to what it never saw.
    let pools = || config.pools.iter();
    let to =
        config.uplink.iter().flat_map(|name| pools().map(|pool| vec![IifName(name.clone()), Daddr(*pool), Notrack]));
    from.chain(to).collect()
}

/// Before kube-proxy's DNAT, so that a service's address is no way around.
fn from_subscriber_raw(config: &GateConfig) -> Vec<Vec<Term>> {
    let gateways = config.gateways.iter().map(|gateway| vec![Daddr((*gateway).into()), Return]);
    let protected = config.protected.iter().map(|network| vec![Daddr(*network), Counter, Drop]);
    std::iter::once(vec![Notrack]).chain(gateways).chain(protected).collect()
}

fn forward(config: &GateConfig) -> Vec<Vec<Term>> {
    // The gateway is the only way for DHCP: it has captured what came, and sends what goes itself.
    let sides = || config.subscriber.iter().chain(&config.dhcp);
    let dhcp =
        sides().flat_map(|name| [IifName(name.clone()), OifName(name.clone())]).map(|side| vec![side, Dhcp, Drop]);
    let from = config.subscriber.iter().map(|name| vec![IifName(name.clone()), Jump("from_subscriber")]);
    let to = config.subscriber.iter().map(|name| vec![OifName(name.clone()), Jump("to_subscriber")]);
    dhcp.chain(from).chain(to).collect()
}

/// The way out is checked first: the element's limit and counter are for packets that have one.
fn from_subscriber(config: &GateConfig) -> Vec<Vec<Term>> {
    let ways = config.uplink.iter().chain(&config.subscriber);
    let admitted = ways.map(|name| vec![OifName(name.clone()), Admitted(Direction::Up), Return]);
    admitted.chain([vec![Counter, Drop]]).collect()
}

fn to_subscriber() -> Vec<Vec<Term>> {
    vec![vec![Admitted(Direction::Down), Return], vec![Counter, Drop]]
}

/// What the gate let through, and only that: the gateway's own packets to a subscriber wait in no queue of his.
fn shape(config: &GateConfig) -> Vec<Vec<Term>> {
    let down = config.subscriber.iter().map(|name| vec![OifName(name.clone()), Classify(Direction::Down)]);
    let up = config.uplink.iter().map(|name| vec![OifName(name.clone()), Classify(Direction::Up)]);
    down.chain(up).collect()
}

fn input(config: &GateConfig) -> Vec<Vec<Term>> {
    let from = config.subscriber.iter().map(|name| vec![IifName(name.clone()), Jump("to_gateway")]);
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

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IifName(name) => write!(f, "iifname \"{name}\""),
            OifName(name) => write!(f, "oifname \"{name}\""),
            Daddr(network) => write!(f, "ip daddr {network}"),
            Dhcp => f.write_str("udp dport 67-68"),
            Icmp(kind) => write!(f, "icmp type {kind}"),
            Admitted(Direction::Up) => f.write_str("ip saddr @up"),
            Admitted(Direction::Down) => f.write_str("ip daddr @down"),
            Classify(Direction::Up) => f.write_str("meta priority set ip saddr map @shape_up"),
            Classify(Direction::Down) => f.write_str("meta priority set ip daddr map @shape_down"),
            Counter => f.write_str("counter"),
            Notrack => f.write_str("notrack"),
            Jump(chain) => write!(f, "jump {chain}"),
            Return => f.write_str("return"),
            Drop => f.write_str("drop"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn golden() {
        let config = GateConfig {
            bng_id: "edge/bng-01".parse().unwrap(),
            subscriber: vec!["access0".to_owned()],
            uplink: vec!["uplink0".to_owned()],
            dhcp: vec!["dhcp0".to_owned()],
            gateways: vec![[10, 231, 11, 1].into()],
            pools: vec!["100.64.1.0/24".parse().unwrap()],
            protected: vec!["10.96.0.0/16".parse().unwrap()],
            size: 1024,
            shaped: true,
        };
        assert_eq!(render(&ipv4(&config)), include_str!("testdata/ipv4.txt"));
        assert_eq!(render(&ipv6(&config)), include_str!("testdata/ipv6.txt"));
        let plain = render(&ipv4(&GateConfig { shaped: false, ..config }));
        assert!(!plain.contains("shape"), "{plain}");
    }
}
