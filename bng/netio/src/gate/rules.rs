//! The plan's chains as one nftables transaction, by libnftnl; sets and counters keep what they hold.

use std::{
    ffi::{CString, c_void},
    ptr,
};

use nftnl::{Batch, Chain, ChainType, Hook, MsgType, NlMsg, Policy, Priority, ProtoFamily, Rule, Table};

use super::{
    classes,
    config::{GateConfig, Routers},
    element::Direction,
    express,
    names::{self, ROUTERS},
    native::c_name,
    plan, sets,
};
use crate::netlink::{Attributes, Message, Request, attribute};

const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_HANDLE: u16 = 3;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_HANDLE: u16 = 2;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
const NFTA_OBJ_TABLE: u16 = 1;
const NFTA_OBJ_NAME: u16 = 2;
const NFTA_OBJ_TYPE: u16 = 3;
const NFTA_OBJ_DATA: u16 = 4;
const NFT_OBJECT_COUNTER: u32 = 1;
const NFTA_COUNTER_PACKETS: u16 = 2;

/// The maps' declarations are numbered behind the sets'.
const MAP_ID: u32 = 0x1_0000;

/// A transaction's octets, and the sequence numbers of its first message and of the last inside.
pub struct Transaction {
    pub octets: Vec<u8>,
    pub begin: u32,
    pub last: u32,
}

/// What the kernel has of the IPv4 table already.
#[derive(Debug, Default)]
pub struct Existing {
    /// Its chains.
    pub chains: Vec<String>,
    /// Its sets.
    pub sets: Vec<String>,
    /// Somebody is confined to a garden.
    pub confined: bool,
}

/// Replaces all rules and makes what is missing; sets that exist are left alone, but for the map of routers and gardens that are
/// no more.
pub fn replace(name: &str, config: &GateConfig, routers: &Routers, existing: &Existing) -> Transaction {
    let mut batch = Batch::new();
    let c_table = c_name(name);
    let table = Table::new(&c_table, ProtoFamily::Ipv4);
    batch.add(&table, MsgType::Add);
    let gardens: Vec<String> = config.gardens.keys().map(|garden| names::garden(garden)).collect();
    let wanted = sets::ALWAYS.into_iter().chain(gardens.iter().map(String::as_str));
    for (place, set) in wanted.enumerate().filter(|(_, set)| !existing.sets.iter().any(|is| is == set)) {
        add(&mut batch, sets::declare(name, set, place as u32 + 1, config.size));
    }
    for direction in [Direction::Up, Direction::Down] {
        if !existing.sets.iter().any(|set| set == classes::name(direction)) {
            add(&mut batch, classes::declaration(&c_table, direction, direction as u32 + MAP_ID));
        }
    }
    plan::spoofed_counters(config).for_each(|counter| add(&mut batch, new_counter(name, &counter)));

    add(&mut batch, message(libc::NFT_MSG_DELRULE, 0, Attributes::default().text(NFTA_RULE_TABLE, name)));
    let stale = existing.sets.iter().filter(|set| *set == ROUTERS || names::is_garden(set) && !gardens.contains(set));
    stale.for_each(|set| add(&mut batch, sets::delete(name, set)));
    for chain in &existing.chains {
        batch.add(&Chain::new(c_name(chain), &table), MsgType::Del);
    }
    let chains = plan::ipv4(config, routers);
    let map = chains.iter().position(|chain| chain.name == plan::FROM_SUBSCRIBER_RAW).unwrap_or(chains.len());
    let (routers_and_before, behind) = chains.split_at(map);
    add_chains(&mut batch, &table, routers_and_before);
    add(&mut batch, sets::declare(name, ROUTERS, u32::MAX, 0));
    for (mac, chain) in plan::routers(routers) {
        add(&mut batch, sets::router(name, mac, &chain));
    }
    add_chains(&mut batch, &table, behind);

    // No set of it is worth keeping: add, so that the deletion succeeds; delete; add.
    let table = Table::new(&c_table, ProtoFamily::Ipv6);
    batch.add(&table, MsgType::Add);
    batch.add(&table, MsgType::Del);
    batch.add(&table, MsgType::Add);
    add_chains(&mut batch, &table, &plan::ipv6(config));
    finish(batch)
}

/// Removes both tables, whether or not they exist.
pub fn remove(name: &str) -> Transaction {
    let mut batch = Batch::new();
    let name = c_name(name);
    for family in [ProtoFamily::Ipv4, ProtoFamily::Ipv6] {
        let table = Table::new(&name, family);
        batch.add(&table, MsgType::Add);
        batch.add(&table, MsgType::Del);
    }
    finish(batch)
}

/// Asks for the table of this family.
pub fn table(family: i32, name: &str) -> Message {
    Message { family, ..message(libc::NFT_MSG_GETTABLE, 0, Attributes::default().text(NFTA_TABLE_NAME, name)) }
}

/// The flags of a table that was asked for.
pub fn decode_table(octets: &[u8]) -> Option<u32> {
    attribute(octets, NFTA_TABLE_FLAGS)?.try_into().ok().map(u32::from_be_bytes)
}

/// Takes all flags from a table.
pub fn without_flags(family: i32, name: &str) -> Message {
    let attributes = Attributes::default().text(NFTA_TABLE_NAME, name).u32(NFTA_TABLE_FLAGS, 0);
    Message { family, ..message(libc::NFT_MSG_NEWTABLE, 0, attributes) }
}

/// Asks for all chains of the family.
pub fn list_chains(family: i32) -> Message {
    Message { family, ..message(libc::NFT_MSG_GETCHAIN, libc::NLM_F_DUMP, Attributes::default()) }
}

/// Table and name of a listed chain.
pub fn decode_chain(octets: &[u8]) -> Option<(&str, &str)> {
    Some((text(octets, NFTA_CHAIN_TABLE)?, text(octets, NFTA_CHAIN_NAME)?))
}

/// A listed chain's handle, and its policy if it has one.
pub fn decode_base(octets: &[u8]) -> Option<(u64, Option<u32>)> {
    let handle = attribute(octets, NFTA_CHAIN_HANDLE)?.try_into().ok().map(u64::from_be_bytes)?;
    let policy = attribute(octets, NFTA_CHAIN_POLICY).and_then(|policy| policy.try_into().ok()).map(u32::from_be_bytes);
    Some((handle, policy))
}

/// Asks for all rules of the table of this family.
pub fn list_rules(family: i32, table: &str) -> Message {
    let attributes = Attributes::default().text(NFTA_RULE_TABLE, table);
    Message { family, ..message(libc::NFT_MSG_GETRULE, libc::NLM_F_DUMP, attributes) }
}

/// A listed rule's handle.
pub fn decode_rule(octets: &[u8]) -> Option<u64> {
    attribute(octets, NFTA_RULE_HANDLE)?.try_into().ok().map(u64::from_be_bytes)
}

/// Asks for the table's counters.
pub fn list_counters(table: &str) -> Message {
    let wanted = Attributes::default().text(NFTA_OBJ_TABLE, table).u32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
    message(libc::NFT_MSG_GETOBJ, libc::NLM_F_DUMP, wanted)
}

/// A listed counter's name and packets.
pub fn decode_counter<'a>(table: &str, octets: &'a [u8]) -> Option<(&'a str, u64)> {
    let name = text(octets, NFTA_OBJ_NAME).filter(|_| text(octets, NFTA_OBJ_TABLE) == Some(table))?;
    let packets = attribute(attribute(octets, NFTA_OBJ_DATA)?, NFTA_COUNTER_PACKETS)?;
    Some((name, u64::from_be_bytes(packets.try_into().ok()?)))
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
        let name = c_name(&plan.name);
        let chain = kernel_chain(table, &name, plan.hook);
        batch.add(&chain, MsgType::Add);
        for terms in &plan.rules {
            let mut rule = Rule::new(&chain);
            terms.iter().for_each(|term| express::add(&mut rule, term));
            batch.add(&rule, MsgType::Add);
        }
    }
}

fn kernel_chain<'a>(table: &'a Table, name: &CString, hook: Option<plan::Hook>) -> Chain<'a> {
    let mut chain = Chain::new(name, table);
    let (kind, hook, priority) = match hook {
        None => return chain,
        Some(plan::Hook::PreroutingRaw) => (ChainType::Filter, Hook::PreRouting, libc::NF_IP_PRI_RAW),
        Some(plan::Hook::PreroutingNat) => (ChainType::Nat, Hook::PreRouting, libc::NF_IP_PRI_NAT_DST - 10),
        Some(plan::Hook::Forward) => (ChainType::Filter, Hook::Forward, libc::NF_IP_PRI_FILTER),
        Some(plan::Hook::Forwarded) => (ChainType::Filter, Hook::Forward, libc::NF_IP_PRI_FILTER + 1),
        Some(plan::Hook::Input) => (ChainType::Filter, Hook::In, libc::NF_IP_PRI_FILTER),
    };
    chain.set_type(kind);
    chain.set_hook(hook, priority as Priority);
    chain.set_policy(Policy::Accept);
    chain
}

/// One that is there goes on.
fn new_counter(table: &str, name: &str) -> Message {
    let attributes = Attributes::default()
        .text(NFTA_OBJ_TABLE, table)
        .text(NFTA_OBJ_NAME, name)
        .u32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER)
        .nest(NFTA_OBJ_DATA, Attributes::default());
    message(libc::NFT_MSG_NEWOBJ, libc::NLM_F_CREATE, attributes)
}

fn message(kind: i32, flags: i32, attributes: Attributes) -> Message {
    Message { kind, flags, family: libc::NFPROTO_IPV4, attributes }
}

fn text(octets: &[u8], kind: u16) -> Option<&str> {
    attribute(octets, kind).and_then(|value| std::str::from_utf8(value.strip_suffix(&[0])?).ok())
}

fn add(batch: &mut Batch, message: Message) {
    let message = Message { flags: message.flags | libc::NLM_F_ACK, ..message };
    batch.add(&Raw(message), MsgType::Add);
}

/// A message of our own making in libnftnl's batch.
struct Raw(Message);

// SAFETY: `write` writes one whole message and no more than the buffer holds: see there.
unsafe impl NlMsg for Raw {
    unsafe fn write(&self, buf: *mut c_void, seq: u32, _: MsgType) {
        let octets = self.0.encode(seq);
        assert!(
            octets.len() <= nftnl::nft_nlmsg_maxsize() as usize,
            "a declaration or an element has a few hundred octets"
        );
        // SAFETY: the caller guarantees room for nft_nlmsg_maxsize() octets at `buf`, and a fresh Vec does not overlap it.
        unsafe { ptr::copy_nonoverlapping(octets.as_ptr(), buf.cast(), octets.len()) };
    }
}
