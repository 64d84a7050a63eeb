//! The plan's chains as one nftables transaction, by libnftnl.

use std::{
    ffi::{CStr, CString, c_void},
    net::Ipv4Addr,
    ptr,
};

use nftnl::{
    Batch, Chain, ChainType, Hook, MsgType, NlMsg, Policy, Priority, ProtoFamily, Rule, Table,
    expr::{
        Bitwise, Cmp, CmpOp, Counter, Expression, Ipv4HeaderField, Lookup, Meta, NetworkHeaderField, Payload,
        TransportHeaderField, UdpHeaderField, Verdict,
    },
    nftnl_sys,
    set::Set,
};

use super::{
    classes::{self, ClassOf, SetPriority},
    element::Direction,
    plan::{self, Term},
};
use crate::netlink::{Attributes, Message, Request};

const NFTA_RULE_TABLE: u16 = 1;
const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DESC: u16 = 9;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_DESC_SIZE: u16 = 1;
/// nft's number for its data type `ipv4_addr`, so that `nft list` shows addresses.
const TYPE_IPV4_ADDR: u32 = 7;

/// The maps' declarations are numbered behind the sets'.
const MAP_ID: u32 = 0x100;

/// A transaction's octets, and the sequence numbers of its first message and of the last inside.
pub struct Transaction {
    pub octets: Vec<u8>,
    pub begin: u32,
    pub last: u32,
}

/// What the kernel has of the table already.
#[derive(Debug, Default)]
pub struct Existing {
    /// The IPv4 table's chains.
    pub chains: Vec<CString>,
    /// Which sets are there.
    pub sets: Vec<Direction>,
    /// Which maps to classes are there.
    pub maps: Vec<Direction>,
}

/// Replaces all rules and makes what is missing; sets that exist are left alone.
pub fn replace(name: &CStr, ipv4: &[plan::Chain], ipv6: &[plan::Chain], size: u32, existing: &Existing) -> Transaction {
    let mut batch = Batch::new();
    let table = Table::new(name, ProtoFamily::Ipv4);
    batch.add(&table, MsgType::Add);
    for direction in [Direction::Up, Direction::Down].into_iter().filter(|set| !existing.sets.contains(set)) {
        batch.add(&Raw(new_set(name, direction, size)), MsgType::Add);
    }
    for direction in [Direction::Up, Direction::Down].into_iter().filter(|map| !existing.maps.contains(map)) {
        batch.add(&Raw(classes::declaration(name, direction, direction as u32 + MAP_ID)), MsgType::Add);
    }
    let all_rules = Attributes::default().octets(NFTA_RULE_TABLE, name.to_bytes_with_nul());
    batch.add(&Raw(message(libc::NFT_MSG_DELRULE, 0, all_rules)), MsgType::Del);
    for chain in &existing.chains {
        batch.add(&Chain::new(chain, &table), MsgType::Del);
    }
    add_chains(&mut batch, &table, ipv4);

    // No set of it is worth keeping: add, so that the deletion succeeds; delete; add.
    let table = Table::new(name, ProtoFamily::Ipv6);
    batch.add(&table, MsgType::Add);
    batch.add(&table, MsgType::Del);
    batch.add(&table, MsgType::Add);
    add_chains(&mut batch, &table, ipv6);
    finish(batch)
}

/// Removes both tables, whether or not they exist.
pub fn remove(name: &CStr) -> Transaction {
    let mut batch = Batch::new();
    for family in [ProtoFamily::Ipv4, ProtoFamily::Ipv6] {
        let table = Table::new(name, family);
        batch.add(&table, MsgType::Add);
        batch.add(&table, MsgType::Del);
    }
    finish(batch)
}

fn finish(batch: Batch) -> Transaction {
    let batch = batch.finalize();
    let octets = batch.iter().collect::<Vec<_>>().concat();
    let sequences: Vec<u32> = sequences(&octets).collect();
    let begin = sequences.first().copied().unwrap_or(0);
    let last = sequences.iter().rev().nth(1).copied().unwrap_or(0);
    Transaction { octets, begin, last }
}

/// The sequence number of each message.
fn sequences(mut octets: &[u8]) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let header = octets.first_chunk::<16>()?;
        let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        octets = octets.get((word(0) as usize).max(16).next_multiple_of(4)..).unwrap_or(&[]);
        Some(word(8))
    })
}

fn add_chains(batch: &mut Batch, table: &Table, chains: &[plan::Chain]) {
    for plan in chains {
        let chain = kernel_chain(table, plan);
        batch.add(&chain, MsgType::Add);
        for terms in &plan.rules {
            let mut rule = Rule::new(&chain);
            terms.iter().for_each(|term| add_term(&mut rule, table, term));
            batch.add(&rule, MsgType::Add);
        }
    }
}

fn kernel_chain<'a>(table: &'a Table, plan: &plan::Chain) -> Chain<'a> {
    let mut chain = Chain::new(c_name(plan.name), table);
    let hook = match plan.hook {
        None => return chain,
        Some(plan::Hook::PreroutingRaw) => (Hook::PreRouting, libc::NF_IP_PRI_RAW),
        Some(plan::Hook::Forward) => (Hook::Forward, libc::NF_IP_PRI_FILTER),
        Some(plan::Hook::Forwarded) => (Hook::Forward, libc::NF_IP_PRI_FILTER + 1),
        Some(plan::Hook::Input) => (Hook::In, libc::NF_IP_PRI_FILTER),
    };
    chain.set_type(ChainType::Filter);
    chain.set_hook(hook.0, hook.1 as Priority);
    chain.set_policy(Policy::Accept);
    chain
}

fn add_term(rule: &mut Rule<'_>, table: &Table, term: &Term) {
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
        Term::Daddr(network) => {
            rule.add_expr(&ipv4_field(Ipv4HeaderField::Daddr));
            if network.prefix_len() < 32 {
                rule.add_expr(&Bitwise::new(network.netmask(), Ipv4Addr::UNSPECIFIED));
            }
            rule.add_expr(&Cmp::new(equal, network.network()));
        }
        Term::Dhcp => {
            protocol(rule, libc::IPPROTO_UDP);
            rule.add_expr(&Payload::Transport(TransportHeaderField::Udp(UdpHeaderField::Dport)));
            rule.add_expr(&Cmp::new(CmpOp::Gte, &67u16.to_be_bytes()[..]));
            rule.add_expr(&Cmp::new(CmpOp::Lte, &68u16.to_be_bytes()[..]));
        }
        Term::Icmp(kind) => {
            protocol(rule, libc::IPPROTO_ICMP);
            // libnftnl counts octets, whatever these fields are called.
            rule.add_expr(&Payload::Transport(TransportHeaderField::Raw { offset_bits: 0, length_bits: 1 }));
            rule.add_expr(&Cmp::new(equal, *kind));
        }
        Term::Admitted(direction) => {
            rule.add_expr(&ipv4_field(address(*direction)));
            rule.add_expr(&Lookup::new(&Set::<Ipv4Addr>::new_named(
                &c_name(direction.set()),
                0,
                table,
                ProtoFamily::Ipv4,
            )));
        }
        Term::Classify(direction) => {
            rule.add_expr(&ipv4_field(address(*direction)));
            rule.add_expr(&ClassOf(*direction));
            rule.add_expr(&SetPriority);
        }
        Term::Counter => rule.add_expr(&Counter),
        Term::Notrack => rule.add_expr(&Notrack),
        Term::Jump(chain) => rule.add_expr(&Verdict::Jump { chain: c_name(chain) }),
        Term::Return => rule.add_expr(&Verdict::Return),
        Term::Drop => rule.add_expr(&Verdict::Drop),
    }
}

fn protocol(rule: &mut Rule<'_>, protocol: i32) {
    rule.add_expr(&Meta::L4Proto);
    rule.add_expr(&Cmp::new(CmpOp::Eq, protocol as u8));
}

/// The subscriber's.
fn address(direction: Direction) -> Ipv4HeaderField {
    match direction {
        Direction::Up => Ipv4HeaderField::Saddr,
        Direction::Down => Ipv4HeaderField::Daddr,
    }
}

fn ipv4_field(field: Ipv4HeaderField) -> Payload {
    Payload::Network(NetworkHeaderField::Ipv4(field))
}

/// The kernel compares all 16 octets of an interface's name.
fn interface(name: &str) -> [u8; 16] {
    let mut octets = [0; 16];
    octets.iter_mut().zip(name.bytes().take(15)).for_each(|(octet, byte)| *octet = byte);
    octets
}

/// Our own names hold no NUL.
fn c_name(name: &str) -> CString {
    CString::new(name).unwrap_or_default()
}

fn new_set(table: &CStr, direction: Direction, size: u32) -> Message {
    // Neither dynamic nor with timeouts: the kernel then takes its fixed hash, whose dumps are sound. No expression is declared
    // for all elements, so that each has a counter and those with a rate a limit as well.
    let attributes = Attributes::default()
        .octets(NFTA_SET_TABLE, table.to_bytes_with_nul())
        .text(NFTA_SET_NAME, direction.set())
        .u32(NFTA_SET_FLAGS, 0)
        .u32(NFTA_SET_KEY_TYPE, TYPE_IPV4_ADDR)
        .u32(NFTA_SET_KEY_LEN, 4)
        .u32(NFTA_SET_ID, direction as u32 + 1)
        .nest(NFTA_SET_DESC, Attributes::default().u32(NFTA_SET_DESC_SIZE, size));
    message(libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE, attributes)
}

fn message(kind: i32, flags: i32, attributes: Attributes) -> Message {
    Message { kind, flags: flags | libc::NLM_F_ACK, family: libc::NFPROTO_IPV4, attributes }
}

/// A message of our own making in libnftnl's batch.
struct Raw(Message);

// SAFETY: `write` writes one whole message and no more than the buffer holds: see there.
unsafe impl NlMsg for Raw {
    unsafe fn write(&self, buf: *mut c_void, seq: u32, _: MsgType) {
        let octets = self.0.encode(seq);
        assert!(octets.len() <= nftnl::nft_nlmsg_maxsize() as usize, "a set's declaration has a few hundred octets");
        // SAFETY: the caller guarantees room for nft_nlmsg_maxsize() octets at `buf`, and a fresh Vec does not overlap it.
        unsafe { ptr::copy_nonoverlapping(octets.as_ptr(), buf.cast(), octets.len()) };
    }
}

/// `notrack`, which the nftnl crate lacks.
struct Notrack;

impl Expression for Notrack {
    fn to_expr(&self, _: &Rule) -> ptr::NonNull<nftnl_sys::nftnl_expr> {
        // SAFETY: the name is a C string; the rule takes ownership of what is returned.
        let expression = unsafe { nftnl_sys::nftnl_expr_alloc(c"notrack".as_ptr()) };
        // Null = out of memory (as the nftnl crate handles it), or a libnftnl from before 2014.
        ptr::NonNull::new(expression).unwrap_or_else(|| std::process::abort())
    }
}
