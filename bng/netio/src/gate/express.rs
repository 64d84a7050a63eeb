//! Terms as expressions, by libnftnl.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use nftnl::{
    ProtoFamily, Rule,
    expr::{
        Bitwise, Cmp, CmpOp, Conntrack, Counter, Immediate, Ipv4HeaderField, Meta, Nat, NatType, NetworkHeaderField,
        Payload, Register, TcpHeaderField, TransportHeaderField, UdpHeaderField, Verdict,
    },
    nftnl_sys as sys,
};

use super::{
    classes,
    element::Direction,
    names::{BOUND, ROUTERS},
    native::{Native, c_name},
    term::Term,
};

/// Where addresses and the Ethernet source stand in their headers.
const IPV4_SADDR: u32 = 12;
const ETHER_SADDR: u32 = 6;

pub fn add(rule: &mut Rule<'_>, term: &Term) {
    let equal = CmpOp::Eq;
    match term {
        Term::IifName(name) => {
            rule.add_expr(&Meta::IifName);
            rule.add_expr(&Cmp::new(equal, &interface(name)[..]));
        }
        Term::OifName(name) => {
            rule.add_expr(&Meta::OifName);
            rule.add_expr(&Cmp::new(equal, &interface(name)[..]));
        }
        Term::Saddr(prefix) => network(rule, Ipv4HeaderField::Saddr, prefix),
        Term::Daddr(prefix) => network(rule, Ipv4HeaderField::Daddr, prefix),
        Term::Dhcp => {
            protocol(rule, libc::IPPROTO_UDP);
            rule.add_expr(&Payload::Transport(TransportHeaderField::Udp(UdpHeaderField::Dport)));
            rule.add_expr(&Cmp::new(CmpOp::Gte, &67u16.to_be_bytes()[..]));
            rule.add_expr(&Cmp::new(CmpOp::Lte, &68u16.to_be_bytes()[..]));
        }
        Term::Udp(port) => {
            protocol(rule, libc::IPPROTO_UDP);
            rule.add_expr(&Payload::Transport(TransportHeaderField::Udp(UdpHeaderField::Dport)));
            rule.add_expr(&Cmp::new(equal, &port.to_be_bytes()[..]));
        }
        Term::Tcp(port) => {
            protocol(rule, libc::IPPROTO_TCP);
            rule.add_expr(&Payload::Transport(TransportHeaderField::Tcp(TcpHeaderField::Dport)));
            rule.add_expr(&Cmp::new(equal, &port.to_be_bytes()[..]));
        }
        Term::Icmp(kind) => {
            protocol(rule, libc::IPPROTO_ICMP);
            // libnftnl counts octets, whatever these fields are called.
            rule.add_expr(&Payload::Transport(TransportHeaderField::Raw { offset_bits: 0, length_bits: 1 }));
            rule.add_expr(&Cmp::new(equal, *kind));
        }
        Term::Ct(states) => {
            rule.add_expr(&Conntrack::State);
            rule.add_expr(&Bitwise::new(&states.to_ne_bytes()[..], &[0u8; 4][..]));
            rule.add_expr(&Cmp::new(CmpOp::Neq, &[0u8; 4][..]));
        }
        Term::From(set) => member(rule, Ipv4HeaderField::Saddr, set),
        Term::To(set) => member(rule, Ipv4HeaderField::Daddr, set),
        Term::SourceBound => {
            ethernet(rule);
            rule.add_expr(&load(libc::NFT_PAYLOAD_NETWORK_HEADER, IPV4_SADDR, 4, libc::NFT_REG32_00));
            rule.add_expr(&load(libc::NFT_PAYLOAD_LL_HEADER, ETHER_SADDR, 6, libc::NFT_REG32_01));
            rule.add_expr(&lookup(BOUND, None));
        }
        Term::ByRouter => {
            ethernet(rule);
            rule.add_expr(&load(libc::NFT_PAYLOAD_LL_HEADER, ETHER_SADDR, 6, libc::NFT_REG32_00));
            rule.add_expr(&lookup(ROUTERS, Some(libc::NFT_REG_VERDICT)));
        }
        Term::Admitted(direction) => member(rule, address(*direction), direction.set()),
        Term::Classify(direction) => {
            rule.add_expr(&Payload::Network(NetworkHeaderField::Ipv4(address(*direction))));
            rule.add_expr(&lookup(classes::name(*direction), Some(libc::NFT_REG_1)));
            rule.add_expr(&set_priority());
        }
        Term::Counter => rule.add_expr(&Counter),
        Term::Count(name) => rule.add_expr(&counter(name)),
        Term::Notrack => rule.add_expr(&Native::new(c"notrack")),
        Term::Dnat(to) => {
            rule.add_expr(&Immediate::new(to.ip().octets(), Register::Reg1));
            rule.add_expr(&Immediate::new(to.port().to_be_bytes(), Register::Reg2));
            let (ip_register, port_register) = (Register::Reg1, Some(Register::Reg2));
            rule.add_expr(&Nat { nat_type: NatType::DNat, family: ProtoFamily::Ipv4, ip_register, port_register });
        }
        Term::Jump(chain) => rule.add_expr(&Verdict::Jump { chain: c_name(chain) }),
        Term::Goto(chain) => rule.add_expr(&Verdict::Goto { chain: c_name(chain) }),
        Term::Return => rule.add_expr(&Verdict::Return),
        Term::Drop => rule.add_expr(&Verdict::Drop),
    }
}

/// The subscriber's.
fn address(direction: Direction) -> Ipv4HeaderField {
    match direction {
        Direction::Up => Ipv4HeaderField::Saddr,
        Direction::Down => Ipv4HeaderField::Daddr,
    }
}

fn network(rule: &mut Rule<'_>, field: Ipv4HeaderField, network: &Ipv4Net) {
    rule.add_expr(&Payload::Network(NetworkHeaderField::Ipv4(field)));
    if network.prefix_len() < 32 {
        rule.add_expr(&Bitwise::new(network.netmask(), Ipv4Addr::UNSPECIFIED));
    }
    rule.add_expr(&Cmp::new(CmpOp::Eq, network.network()));
}

fn member(rule: &mut Rule<'_>, field: Ipv4HeaderField, set: &str) {
    rule.add_expr(&Payload::Network(NetworkHeaderField::Ipv4(field)));
    rule.add_expr(&lookup(set, None));
}

fn protocol(rule: &mut Rule<'_>, protocol: i32) {
    rule.add_expr(&Meta::L4Proto);
    rule.add_expr(&Cmp::new(CmpOp::Eq, protocol as u8));
}

/// Only Ethernet has the source MAC where we look; nft shows the field by its name when this is said.
fn ethernet(rule: &mut Rule<'_>) {
    rule.add_expr(&Meta::IifType);
    rule.add_expr(&Cmp::new(CmpOp::Eq, &libc::ARPHRD_ETHER.to_ne_bytes()[..]));
}

/// The kernel compares all 16 octets of an interface's name.
fn interface(name: &str) -> [u8; 16] {
    let mut octets = [0; 16];
    octets.iter_mut().zip(name.bytes().take(15)).for_each(|(octet, byte)| *octet = byte);
    octets
}

/// Loads octets of a header into a register: the nftnl crate knows the first one only.
fn load(base: i32, offset: u32, length: u32, register: i32) -> Native {
    Native::new(c"payload")
        .number(sys::NFTNL_EXPR_PAYLOAD_BASE, base as u32)
        .number(sys::NFTNL_EXPR_PAYLOAD_OFFSET, offset)
        .number(sys::NFTNL_EXPR_PAYLOAD_LEN, length)
        .number(sys::NFTNL_EXPR_PAYLOAD_DREG, register as u32)
}

/// Looks up what stands in the first register; of a map, what goes into another one.
fn lookup(set: &str, value: Option<i32>) -> Native {
    let lookup = Native::new(c"lookup")
        .number(sys::NFTNL_EXPR_LOOKUP_SREG, libc::NFT_REG_1 as u32)
        .text(sys::NFTNL_EXPR_LOOKUP_SET, set);
    value.into_iter().fold(lookup, |lookup, register| lookup.number(sys::NFTNL_EXPR_LOOKUP_DREG, register as u32))
}

/// The packet's priority becomes what is in the first register.
fn set_priority() -> Native {
    Native::new(c"meta")
        .number(sys::NFTNL_EXPR_META_KEY, libc::NFT_META_PRIORITY as u32)
        .number(sys::NFTNL_EXPR_META_SREG, libc::NFT_REG_1 as u32)
}

/// `NFT_OBJECT_COUNTER`.
const OBJECT_COUNTER: u32 = 1;

fn counter(name: &str) -> Native {
    Native::new(c"objref")
        .number(sys::NFTNL_EXPR_OBJREF_IMM_TYPE, OBJECT_COUNTER)
        .text(sys::NFTNL_EXPR_OBJREF_IMM_NAME, name)
}
