//! What a rule is made of.

use std::{fmt, net::SocketAddrV4};

use ipnet::Ipv4Net;

use super::{
    element::Direction,
    names::{BOUND, ROUTERS},
};

/// A condition or a statement of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// Came in by.
    IifName(String),
    /// Goes out by.
    OifName(String),
    /// IPv4 source.
    Saddr(Ipv4Net),
    /// IPv4 destination.
    Daddr(Ipv4Net),
    /// UDP to one of the DHCP ports.
    Dhcp,
    /// UDP to this port.
    Udp(u16),
    /// TCP to this port.
    Tcp(u16),
    /// ICMP of this type.
    Icmp(u8),
    /// Conntrack knows it in one of these states ([`ct`]).
    Ct(u32),
    /// The source address is in this set.
    From(String),
    /// The destination address is in this set.
    To(String),
    /// Source address and MAC are those of a subscriber on the link.
    SourceBound,
    /// Goes to the chain of the router that the source MAC is of, if it is one's.
    ByRouter,
    /// Admitted in this direction, within the limit; counts.
    Admitted(Direction),
    /// Goes to its subscriber's class in this direction; ends the rule for who has none.
    Classify(Direction),
    /// Counts.
    Counter,
    /// Counts in the counter of this name.
    Count(String),
    /// Keeps the packet out of conntrack.
    Notrack,
    /// Gives the flow another destination.
    Dnat(SocketAddrV4),
    /// Verdict.
    Jump(String),
    /// Verdict.
    Goto(String),
    /// Verdict.
    Return,
    /// Verdict.
    Drop,
}

/// `NF_CT_STATE_BIT`s.
pub mod ct {
    pub const INVALID: u32 = 1;
    pub const ESTABLISHED: u32 = 2;
    pub const RELATED: u32 = 4;
    pub const NEW: u32 = 8;
    /// What `notrack` has not kept out.
    pub const TRACKED: u32 = INVALID | ESTABLISHED | RELATED | NEW;
    /// What belongs to a flow, or begins one.
    pub const SOUND: u32 = ESTABLISHED | RELATED | NEW;
    /// What answers a flow.
    pub const ANSWER: u32 = ESTABLISHED | RELATED;
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IifName(name) => write!(f, "iifname \"{name}\""),
            Self::OifName(name) => write!(f, "oifname \"{name}\""),
            Self::Saddr(network) => write!(f, "ip saddr {network}"),
            Self::Daddr(network) => write!(f, "ip daddr {network}"),
            Self::Dhcp => f.write_str("udp dport 67-68"),
            Self::Udp(port) => write!(f, "udp dport {port}"),
            Self::Tcp(port) => write!(f, "tcp dport {port}"),
            Self::Icmp(kind) => write!(f, "icmp type {kind}"),
            Self::Ct(states) => {
                let names = [
                    (ct::INVALID, "invalid"),
                    (ct::ESTABLISHED, "established"),
                    (ct::RELATED, "related"),
                    (ct::NEW, "new"),
                ];
                let names: Vec<_> = names.iter().filter(|(bit, _)| states & bit != 0).map(|(_, name)| *name).collect();
                write!(f, "ct state {}", names.join(","))
            }
            Self::From(set) => write!(f, "ip saddr @{set}"),
            Self::To(set) => write!(f, "ip daddr @{set}"),
            Self::SourceBound => write!(f, "ip saddr . ether saddr @{BOUND}"),
            Self::ByRouter => write!(f, "ether saddr vmap @{ROUTERS}"),
            Self::Admitted(Direction::Up) => f.write_str("ip saddr @up"),
            Self::Admitted(Direction::Down) => f.write_str("ip daddr @down"),
            Self::Classify(Direction::Up) => f.write_str("meta priority set ip saddr map @shape_up"),
            Self::Classify(Direction::Down) => f.write_str("meta priority set ip daddr map @shape_down"),
            Self::Counter => f.write_str("counter"),
            Self::Count(name) => write!(f, "counter name \"{name}\""),
            Self::Notrack => f.write_str("notrack"),
            Self::Dnat(to) => write!(f, "dnat to {to}"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
            Self::Return => f.write_str("return"),
            Self::Drop => f.write_str("drop"),
        }
    }
}
