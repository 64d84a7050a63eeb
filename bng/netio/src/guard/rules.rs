//! The guard's table as messages. No subscriber occurs in its rules.

use std::fmt;

use super::{GuardConfig, TABLE, attribute, element, message, text};
use crate::netlink::{Attributes, Message};

/// The most bindings of a router; a hard limit of the kernel's set.
const SIZE: u32 = 65_536;
/// What is counted when it is dropped.
const COUNTERS: [&str; 4] = ["dhcp", "ipv4", "arp", "other"];
/// Where every port's chain jumps to.
const FROM_PORT: &str = "from_port";
/// The chain of an uplink in the ports' bridge.
const UPLINK: &str = "uplink";

// linux/netfilter/nf_tables.h; the table's name is attribute 1 of everything.
const NFTA_TABLE: u16 = 1;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_HOOK_DEV: u16 = 3;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DESC: u16 = 9;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_DESC_SIZE: u16 = 1;
const NFTA_OBJ_NAME: u16 = 2;
const NFTA_OBJ_TYPE: u16 = 3;
const NFTA_OBJ_DATA: u16 = 4;
const NFT_OBJECT_COUNTER: u32 = 1;
const NFTA_COUNTER_PACKETS: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
/// nft's number for `ifname . ipv4_addr . ether_addr`, six bits each, so that `nft list` shows them.
const TYPE_KEY: u32 = (41 << 12) | (7 << 6) | 9;

/// A condition or a statement of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// The frame carries this, an Ethernet type.
    Protocol(i32),
    /// UDP to one of the DHCP ports.
    Dhcp,
    /// Port, IPv4 source and Ethernet source are bound.
    SourceBound,
    /// ARP's sender says no address (RFC 5227 §1.1: a probe).
    ArpProbe,
    /// Port, this address of ARP's and the Ethernet source are bound.
    ArpFrameBound(ArpAddress),
    /// Port, this address of ARP's and the sender's MAC are bound.
    ArpSenderBound(ArpAddress),
    Count(&'static str),
    Accept,
    Drop,
}

/// Where an ARP packet has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArpAddress {
    Sender = 14,
    Target = 24,
}

use ArpAddress::{Sender, Target};
use Term::{Accept, ArpFrameBound, ArpProbe, ArpSenderBound, Count, Dhcp, Drop, Protocol, SourceBound};

/// What applies to a frame from a subscriber's port.
fn from_port(enforce: bool) -> Vec<Vec<Term>> {
    let mut rules = vec![no_dhcp()];
    if enforce {
        rules.extend([
            vec![Protocol(libc::ETH_P_IP), SourceBound, Accept],
            vec![Protocol(libc::ETH_P_IP), Count("ipv4"), Drop],
            // Both: the router's neighbour table takes the sender's MAC, a bridge's the frame's.
            vec![Protocol(libc::ETH_P_ARP), ArpFrameBound(Sender), ArpSenderBound(Sender), Accept],
            // A client asks whether anybody has what was leased to him (RFC 2131 §3.1); nobody learns anything of it.
            vec![Protocol(libc::ETH_P_ARP), ArpProbe, ArpFrameBound(Target), ArpSenderBound(Target), Accept],
            vec![Protocol(libc::ETH_P_ARP), Count("arp"), Drop],
            vec![Count("other"), Drop],
        ]);
    }
    rules
}

/// DHCP has no way past the relay.
fn no_dhcp() -> Vec<Term> {
    vec![Protocol(libc::ETH_P_IP), Dhcp, Count("dhcp"), Drop]
}

/// One transaction: makes what is missing, replaces all rules; the set and the counters keep what they hold.
pub fn replace(config: &GuardConfig, existing: &[String]) -> Vec<Message> {
    let mut messages = vec![create(libc::NFT_MSG_NEWTABLE, of_table()), new_set()];
    messages.extend(COUNTERS.map(new_counter));
    messages.push(message(libc::NFT_MSG_DELRULE, 0, of_table()));
    let base_first =
        || existing.iter().filter(|name| *name != FROM_PORT).chain(existing.iter().filter(|name| *name == FROM_PORT));
    messages
        .extend(base_first().map(|name| message(libc::NFT_MSG_DELCHAIN, 0, of_table().text(NFTA_CHAIN_NAME, name))));
    messages.push(create(libc::NFT_MSG_NEWCHAIN, of_table().text(NFTA_CHAIN_NAME, FROM_PORT)));
    for terms in from_port(config.enforce) {
        messages.push(new_rule(FROM_PORT, terms.iter().flat_map(expressions)));
    }
    for (place, port) in config.ports.iter().enumerate() {
        let name = format!("port_{place}");
        messages.push(new_base_chain(&name, port));
        messages.push(new_rule(&name, [verdict(libc::NFT_JUMP, Some(FROM_PORT))].into_iter()));
    }
    if let Some(uplink) = &config.uplink {
        messages.push(new_base_chain(UPLINK, uplink));
        messages.push(new_rule(UPLINK, no_dhcp().iter().flat_map(expressions)));
    }
    messages
}

/// Removes the table, whether or not it exists.
pub fn remove() -> Vec<Message> {
    vec![create(libc::NFT_MSG_NEWTABLE, of_table()), message(libc::NFT_MSG_DELTABLE, 0, of_table())]
}

/// Asks for all chains of the family.
pub fn list_chains() -> Message {
    message(libc::NFT_MSG_GETCHAIN, libc::NLM_F_DUMP, Attributes::default())
}

/// The name of a chain of ours.
pub fn decode_chain(octets: &[u8]) -> Option<String> {
    let ours = text(octets, NFTA_TABLE) == Some(TABLE);
    text(octets, NFTA_CHAIN_NAME).filter(|_| ours).map(str::to_owned)
}

/// Asks for the counters.
pub fn dump_counters() -> Message {
    let wanted = of_table().u32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
    message(libc::NFT_MSG_GETOBJ, libc::NLM_F_DUMP, wanted)
}

/// A counter of ours and its packets.
pub fn decode_counter(octets: &[u8]) -> Option<(&'static str, u64)> {
    let name = text(octets, NFTA_OBJ_NAME).filter(|_| text(octets, NFTA_TABLE) == Some(TABLE))?;
    let name = COUNTERS.into_iter().find(|ours| *ours == name)?;
    let packets = attribute(attribute(octets, NFTA_OBJ_DATA)?, NFTA_COUNTER_PACKETS)?;
    Some((name, u64::from_be_bytes(packets.try_into().ok()?)))
}

fn of_table() -> Attributes {
    Attributes::default().text(NFTA_TABLE, TABLE)
}

fn create(kind: i32, attributes: Attributes) -> Message {
    message(kind, libc::NLM_F_CREATE, attributes)
}

fn new_set() -> Message {
    let attributes = of_table()
        .text(NFTA_SET_NAME, element::SET)
        .u32(NFTA_SET_FLAGS, libc::NFT_SET_TIMEOUT as u32)
        .u32(NFTA_SET_KEY_TYPE, TYPE_KEY)
        .u32(NFTA_SET_KEY_LEN, element::KEY as u32)
        .u32(NFTA_SET_ID, 1)
        .nest(NFTA_SET_DESC, Attributes::default().u32(NFTA_SET_DESC_SIZE, SIZE));
    create(libc::NFT_MSG_NEWSET, attributes)
}

fn new_counter(name: &str) -> Message {
    let attributes = of_table()
        .text(NFTA_OBJ_NAME, name)
        .u32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER)
        .nest(NFTA_OBJ_DATA, Attributes::default());
    create(libc::NFT_MSG_NEWOBJ, attributes)
}

/// At the port's ingress; what no rule drops passes.
fn new_base_chain(name: &str, port: &str) -> Message {
    let hook = Attributes::default()
        .u32(NFTA_HOOK_HOOKNUM, libc::NF_NETDEV_INGRESS as u32)
        .u32(NFTA_HOOK_PRIORITY, 0)
        .text(NFTA_HOOK_DEV, port);
    let attributes = of_table()
        .text(NFTA_CHAIN_NAME, name)
        .nest(NFTA_CHAIN_HOOK, hook)
        .u32(NFTA_CHAIN_POLICY, libc::NF_ACCEPT as u32)
        .text(NFTA_CHAIN_TYPE, "filter");
    create(libc::NFT_MSG_NEWCHAIN, attributes)
}

fn new_rule(chain: &str, expressions: impl Iterator<Item = Attributes>) -> Message {
    let list = expressions.fold(Attributes::default(), |list, expression| list.nest(NFTA_LIST_ELEM, expression));
    let attributes = of_table().text(NFTA_RULE_CHAIN, chain).nest(NFTA_RULE_EXPRESSIONS, list);
    message(libc::NFT_MSG_NEWRULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, attributes)
}

/// Registers: the first 16 octets are `NFT_REG_1`, the address and the MAC follow, so that the three are one key.
const KEY_NAME: i32 = libc::NFT_REG_1;
const KEY_ADDRESS: i32 = libc::NFT_REG_2;
const KEY_MAC: i32 = libc::NFT_REG32_05;

fn expressions(term: &Term) -> Vec<Attributes> {
    use libc::{NFT_PAYLOAD_LL_HEADER as FRAME, NFT_PAYLOAD_NETWORK_HEADER as NETWORK};
    let port = || meta(libc::NFT_META_IIFNAME, KEY_NAME);
    // Only Ethernet has the source MAC there; nft shows the field by its name when this is said.
    let ethernet = || compare(libc::NFT_CMP_EQ, &libc::ARPHRD_ETHER.to_ne_bytes());
    let bound =
        |address, mac| vec![meta(libc::NFT_META_IIFTYPE, libc::NFT_REG_1), ethernet(), port(), address, mac, lookup()];
    match term {
        Protocol(protocol) => vec![
            meta(libc::NFT_META_PROTOCOL, libc::NFT_REG_1),
            compare(libc::NFT_CMP_EQ, &(*protocol as u16).to_be_bytes()),
        ],
        Dhcp => vec![
            meta(libc::NFT_META_L4PROTO, libc::NFT_REG_1),
            compare(libc::NFT_CMP_EQ, &[libc::IPPROTO_UDP as u8]),
            payload(libc::NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, libc::NFT_REG_1),
            compare(libc::NFT_CMP_GTE, &67u16.to_be_bytes()),
            compare(libc::NFT_CMP_LTE, &68u16.to_be_bytes()),
        ],
        SourceBound => bound(payload(NETWORK, 12, 4, KEY_ADDRESS), payload(FRAME, 6, 6, KEY_MAC)),
        ArpProbe => {
            let sender = payload(NETWORK, Sender as u32, 4, libc::NFT_REG_1);
            vec![sender, compare(libc::NFT_CMP_EQ, &[0; 4])]
        }
        ArpFrameBound(address) => {
            bound(payload(NETWORK, *address as u32, 4, KEY_ADDRESS), payload(FRAME, 6, 6, KEY_MAC))
        }
        ArpSenderBound(address) => {
            bound(payload(NETWORK, *address as u32, 4, KEY_ADDRESS), payload(NETWORK, 8, 6, KEY_MAC))
        }
        Count(name) => {
            vec![expression("objref", Attributes::default().u32(1, NFT_OBJECT_COUNTER).text(2, name))]
        }
        Accept => vec![verdict(libc::NF_ACCEPT, None)],
        Drop => vec![verdict(libc::NF_DROP, None)],
    }
}

fn expression(name: &str, data: Attributes) -> Attributes {
    Attributes::default().text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data)
}

fn meta(key: i32, register: i32) -> Attributes {
    expression("meta", Attributes::default().u32(1, register as u32).u32(2, key as u32))
}

/// With the first register.
fn compare(operation: i32, value: &[u8]) -> Attributes {
    let value = Attributes::default().octets(NFTA_DATA_VALUE, value);
    let data = Attributes::default().u32(1, libc::NFT_REG_1 as u32).u32(2, operation as u32).nest(3, value);
    expression("cmp", data)
}

fn payload(base: i32, offset: u32, length: u32, register: i32) -> Attributes {
    let data = Attributes::default().u32(1, register as u32).u32(2, base as u32).u32(3, offset).u32(4, length);
    expression("payload", data)
}

fn lookup() -> Attributes {
    expression("lookup", Attributes::default().text(1, element::SET).u32(2, KEY_NAME as u32))
}

fn verdict(code: i32, chain: Option<&str>) -> Attributes {
    let mut verdict = Attributes::default().u32(1, code as u32);
    if let Some(chain) = chain {
        verdict = verdict.text(2, chain);
    }
    let data = Attributes::default().nest(NFTA_DATA_VERDICT, verdict);
    expression("immediate", Attributes::default().u32(1, libc::NFT_REG_VERDICT as u32).nest(2, data))
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Protocol(protocol) => write!(f, "meta protocol {protocol:#06x}"),
            Dhcp => f.write_str("udp dport 67-68"),
            SourceBound => f.write_str("iifname . ip saddr . ether saddr @bindings"),
            ArpProbe => f.write_str("arp saddr ip 0.0.0.0"),
            ArpFrameBound(address) => write!(f, "iifname . arp {address} ip . ether saddr @bindings"),
            ArpSenderBound(address) => write!(f, "iifname . arp {address} ip . arp saddr ether @bindings"),
            Count(name) => write!(f, "counter name {name}"),
            Accept => f.write_str("accept"),
            Drop => f.write_str("drop"),
        }
    }
}

impl fmt::Display for ArpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sender => "saddr",
            Target => "daddr",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let render = |enforce| {
            let rules = from_port(enforce);
            let lines = rules.iter().map(|rule| rule.iter().map(Term::to_string).collect::<Vec<_>>().join(" ") + "\n");
            lines.collect::<String>()
        };
        assert_eq!(render(true), include_str!("testdata/enforced.txt"));
        assert_eq!(render(false), "meta protocol 0x0800 udp dport 67-68 counter name dhcp drop\n");
    }
}
