//! The table's sets as messages, and the elements of those that count nothing: who is confined where, who is bound to which MAC,
//! which router has which chain.

use std::net::Ipv4Addr;

use lastmile_types::MacAddr;

use super::names::{self, BOUND, CONFINED, DORMANT, ROUTERS};
use crate::netlink::{Attributes, Message, attribute, attributes};

// linux/netfilter/nf_tables.h
const NFTA_LIST_ELEM: u16 = 1;
pub const NFTA_SET_TABLE: u16 = 1;
pub const NFTA_SET_NAME: u16 = 2;
pub const NFTA_SET_FLAGS: u16 = 3;
pub const NFTA_SET_KEY_TYPE: u16 = 4;
pub const NFTA_SET_KEY_LEN: u16 = 5;
pub const NFTA_SET_DATA_TYPE: u16 = 6;
pub const NFTA_SET_DATA_LEN: u16 = 7;
pub const NFTA_SET_DESC: u16 = 9;
pub const NFTA_SET_ID: u16 = 10;
pub const NFTA_SET_USERDATA: u16 = 13;
pub const NFTA_SET_DESC_SIZE: u16 = 1;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
pub const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;

/// nft's numbers for its data types, so that `nft list` shows what keys mean; six bits each in a concatenation.
pub const TYPE_IPV4_ADDR: u32 = 7;
const TYPE_ETHER_ADDR: u32 = 9;
const TYPE_IPV4_AND_ETHER: u32 = (TYPE_IPV4_ADDR << 6) | TYPE_ETHER_ADDR;
/// NFT_DATA_VERDICT.
const TYPE_VERDICT: u32 = 0xffff_ff00;
const VERDICT_LEN: u32 = 16;

/// Declares a set. Neither dynamic nor with timeouts: with a size the kernel then takes its fixed hash, whose dumps are sound. No
/// expression is declared for all elements, so that in `up` and `down` each has a counter and those with a rate a limit as well.
pub fn declare(table: &str, set: &str, id: u32, size: u32) -> Message {
    let key = match set {
        BOUND => (TYPE_IPV4_AND_ETHER, 12),
        ROUTERS => (TYPE_ETHER_ADDR, 6),
        _ => (TYPE_IPV4_ADDR, 4),
    };
    let flags = if set == ROUTERS { libc::NFT_SET_MAP as u32 } else { 0 };
    let mut attributes = Attributes::default()
        .text(NFTA_SET_TABLE, table)
        .text(NFTA_SET_NAME, set)
        .u32(NFTA_SET_FLAGS, flags)
        .u32(NFTA_SET_KEY_TYPE, key.0)
        .u32(NFTA_SET_KEY_LEN, key.1)
        .u32(NFTA_SET_ID, id);
    if set == ROUTERS {
        attributes = attributes.u32(NFTA_SET_DATA_TYPE, TYPE_VERDICT).u32(NFTA_SET_DATA_LEN, VERDICT_LEN);
    } else if !names::is_garden(set) {
        attributes = attributes.nest(NFTA_SET_DESC, Attributes::default().u32(NFTA_SET_DESC_SIZE, size));
    }
    message(libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE, attributes)
}

/// Deletes a set with what is in it.
pub fn delete(table: &str, set: &str) -> Message {
    message(libc::NFT_MSG_DELSET, 0, of_set(table, set))
}

/// Asks for all sets of the family.
pub fn list() -> Message {
    message(libc::NFT_MSG_GETSET, libc::NLM_F_DUMP, Attributes::default())
}

/// Table and name of a listed set.
pub fn decode(octets: &[u8]) -> Option<(&str, &str)> {
    Some((text(octets, NFTA_SET_TABLE)?, text(octets, NFTA_SET_NAME)?))
}

/// Puts a key into a set, or takes it out.
pub fn element(kind: i32, table: &str, set: &str, key: &[u8]) -> Message {
    change(kind, table, set, Attributes::default().nest(NFTA_SET_ELEM_KEY, value(key)))
}

/// Puts a key and what it stands for into a map.
pub fn mapped(table: &str, map: &str, key: &[u8], data: Attributes) -> Message {
    let element = Attributes::default().nest(NFTA_SET_ELEM_KEY, value(key)).nest(NFTA_SET_ELEM_DATA, data);
    change(libc::NFT_MSG_NEWSETELEM, table, map, element)
}

/// Sends a router's frames to its chain.
pub fn router(table: &str, mac: MacAddr, chain: &str) -> Message {
    let verdict = Attributes::default().u32(NFTA_VERDICT_CODE, libc::NFT_GOTO as u32).text(NFTA_VERDICT_CHAIN, chain);
    mapped(table, ROUTERS, &mac.0, Attributes::default().nest(NFTA_DATA_VERDICT, verdict))
}

/// Asks for all elements of a set.
pub fn dump(table: &str, set: &str) -> Message {
    message(libc::NFT_MSG_GETSETELEM, libc::NLM_F_DUMP, of_set(table, set))
}

/// The keys that a message tells of.
pub fn keys(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    elements(octets).filter_map(|element| attribute(attribute(element, NFTA_SET_ELEM_KEY)?, NFTA_DATA_VALUE))
}

/// The keys of a map that a message tells of, and what they stand for.
pub fn pairs(octets: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    elements(octets).filter_map(|element| {
        let key = attribute(attribute(element, NFTA_SET_ELEM_KEY)?, NFTA_DATA_VALUE)?;
        Some((key, attribute(element, NFTA_SET_ELEM_DATA)?))
    })
}

/// The routers that a message tells of: a MAC and its chain.
pub fn routers(octets: &[u8]) -> impl Iterator<Item = (MacAddr, &str)> {
    pairs(octets).filter_map(|(mac, data)| {
        let verdict = attribute(data, NFTA_DATA_VERDICT)?;
        Some((MacAddr(mac.try_into().ok()?), text(verdict, NFTA_VERDICT_CHAIN)?))
    })
}

/// A subscriber on the link, as a key of [`BOUND`].
pub fn bound_key(ip: Ipv4Addr, mac: MacAddr) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&ip.octets());
    key[4..10].copy_from_slice(&mac.0);
    key
}

/// The subscriber on the link whose key this is.
pub fn bound_of(key: &[u8]) -> Option<(Ipv4Addr, MacAddr)> {
    let ip: [u8; 4] = key.get(..4)?.try_into().ok()?;
    Some((ip.into(), MacAddr(key.get(4..10)?.try_into().ok()?)))
}

/// The sets that every table has, besides those of its gardens; in the order of their creation.
pub const ALWAYS: [&str; 5] = ["up", "down", CONFINED, BOUND, DORMANT];

fn elements(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = attribute(octets, NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or_default();
    attributes(list).map(|(_, element)| element)
}

fn change(kind: i32, table: &str, set: &str, element: Attributes) -> Message {
    let flags = if kind == libc::NFT_MSG_NEWSETELEM { libc::NLM_F_CREATE } else { 0 };
    let list = Attributes::default().nest(NFTA_LIST_ELEM, element);
    message(kind, flags, of_set(table, set).nest(NFTA_SET_ELEM_LIST_ELEMENTS, list))
}

/// Octets as a key or as what a key stands for.
pub fn value(key: &[u8]) -> Attributes {
    Attributes::default().octets(NFTA_DATA_VALUE, key)
}

/// A set and its elements are named by the same attributes.
fn of_set(table: &str, set: &str) -> Attributes {
    Attributes::default().text(NFTA_SET_TABLE, table).text(NFTA_SET_NAME, set)
}

/// Of the table's family.
pub fn message(kind: i32, flags: i32, attributes: Attributes) -> Message {
    Message { kind, flags, family: libc::NFPROTO_IPV4, attributes }
}

fn text(octets: &[u8], kind: u16) -> Option<&str> {
    attribute(octets, kind).and_then(|value| std::str::from_utf8(value.strip_suffix(&[0])?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_routers_are_read_back() {
        let (ip, mac) = (Ipv4Addr::new(100, 64, 1, 10), MacAddr([2, 0, 0, 0, 0, 1]));
        let message = element(libc::NFT_MSG_NEWSETELEM, "t", BOUND, &bound_key(ip, mac));
        assert_eq!(keys(&message.attributes.0).map(bound_of).collect::<Vec<_>>(), [Some((ip, mac))]);
        let message = router("t", mac, "router_10.0.0.1");
        assert_eq!(routers(&message.attributes.0).collect::<Vec<_>>(), [(mac, "router_10.0.0.1")]);
        let message = declare("t", "up", 1, 8);
        assert_eq!(decode(&message.attributes.0), Some(("t", "up")));
    }
}
