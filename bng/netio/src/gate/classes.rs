//! Which subscriber's packets go to which class of traffic control: two maps, `shape_up` (keyed by source address) and
//! `shape_down` (by destination), whose values are class ids. Who is not in them has no class. `crate::shaper` fills them.

use std::{
    ffi::{CStr, CString},
    net::Ipv4Addr,
    ptr,
};

use nftnl::{Rule, expr::Expression, nftnl_sys};

use super::Direction;
use crate::netlink::{Attributes, Message, attribute, attributes};

// linux/netfilter/nf_tables.h
const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_DESC: u16 = 9;
const NFTA_SET_ID: u16 = 10;
const NFTA_SET_DESC_SIZE: u16 = 1;
const NFT_SET_MAP: u32 = 8;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
/// nft's numbers for its data types `ipv4_addr` and `classid`, so that `nft list` shows addresses and classes.
const TYPE_IPV4_ADDR: u32 = 7;
const TYPE_CLASSID: u32 = 23;
/// One more than a side has classes.
const SIZE: u32 = 32_768;

/// The map's name.
pub const fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "shape_up",
        Direction::Down => "shape_down",
    }
}

/// Declares a map. `id` is the declaration's own within its transaction.
pub fn declaration(table: &CStr, direction: Direction, id: u32) -> Message {
    let attributes = Attributes::default()
        .octets(NFTA_SET_TABLE, table.to_bytes_with_nul())
        .text(NFTA_SET_NAME, name(direction))
        .u32(NFTA_SET_FLAGS, NFT_SET_MAP)
        .u32(NFTA_SET_KEY_TYPE, TYPE_IPV4_ADDR)
        .u32(NFTA_SET_KEY_LEN, 4)
        .u32(NFTA_SET_DATA_TYPE, TYPE_CLASSID)
        .u32(NFTA_SET_DATA_LEN, 4)
        .u32(NFTA_SET_ID, id)
        .nest(NFTA_SET_DESC, Attributes::default().u32(NFTA_SET_DESC_SIZE, SIZE));
    let flags = libc::NLM_F_CREATE | libc::NLM_F_ACK;
    Message { kind: libc::NFT_MSG_NEWSET, flags, family: libc::NFPROTO_IPV4, attributes }
}

/// Gives an address its class.
pub fn add(table: &str, direction: Direction, ip: Ipv4Addr, class: u32) -> Message {
    element(libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE, table, direction, ip, Some(class))
}

/// Takes it away again.
pub fn delete(table: &str, direction: Direction, ip: Ipv4Addr) -> Message {
    element(libc::NFT_MSG_DELSETELEM, 0, table, direction, ip, None)
}

/// Reads a whole map.
pub fn dump(table: &str, direction: Direction) -> Message {
    let attributes = of_map(table, direction);
    Message { kind: libc::NFT_MSG_GETSETELEM, flags: libc::NLM_F_DUMP, family: libc::NFPROTO_IPV4, attributes }
}

/// The addresses and classes that a message tells of.
pub fn decode(octets: &[u8]) -> impl Iterator<Item = (Ipv4Addr, u32)> {
    let elements = attribute(octets, NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or_default();
    attributes(elements).filter_map(|(_, element)| {
        let value = |kind| attribute(attribute(element, kind)?, NFTA_DATA_VALUE)?.try_into().ok();
        Some((Ipv4Addr::from(value(NFTA_SET_ELEM_KEY)?), u32::from_ne_bytes(value(NFTA_SET_ELEM_DATA)?)))
    })
}

fn element(kind: i32, flags: i32, table: &str, direction: Direction, ip: Ipv4Addr, class: Option<u32>) -> Message {
    let value = |octets: &[u8]| Attributes::default().octets(NFTA_DATA_VALUE, octets);
    let mut element = Attributes::default().nest(NFTA_SET_ELEM_KEY, value(&ip.octets()));
    if let Some(class) = class {
        element = element.nest(NFTA_SET_ELEM_DATA, value(&class.to_ne_bytes())); // as the kernel has it: skb->priority
    }
    let list = Attributes::default().nest(NFTA_LIST_ELEM, element);
    let attributes = of_map(table, direction).nest(NFTA_SET_ELEM_LIST_ELEMENTS, list);
    Message { kind, flags, family: libc::NFPROTO_IPV4, attributes }
}

fn of_map(table: &str, direction: Direction) -> Attributes {
    Attributes::default().text(NFTA_SET_ELEM_LIST_TABLE, table).text(NFTA_SET_ELEM_LIST_SET, name(direction))
}

/// Register 1 becomes the class of the address that is in it; without one the rule ends.
pub struct ClassOf(pub Direction);

impl Expression for ClassOf {
    fn to_expr(&self, _: &Rule) -> ptr::NonNull<nftnl_sys::nftnl_expr> {
        let map = CString::new(name(self.0)).unwrap_or_default(); // our own names hold no NUL
        let numbers = [
            (nftnl_sys::NFTNL_EXPR_LOOKUP_SREG, libc::NFT_REG_1),
            (nftnl_sys::NFTNL_EXPR_LOOKUP_DREG, libc::NFT_REG_1),
        ];
        let expression = allocate(c"lookup", &numbers);
        // SAFETY: the expression was just allocated as a lookup, and the name is copied.
        unsafe {
            nftnl_sys::nftnl_expr_set_str(expression.as_ptr(), nftnl_sys::NFTNL_EXPR_LOOKUP_SET as u16, map.as_ptr());
        }
        expression
    }
}

/// The packet's priority becomes what is in register 1.
pub struct SetPriority;

impl Expression for SetPriority {
    fn to_expr(&self, _: &Rule) -> ptr::NonNull<nftnl_sys::nftnl_expr> {
        let numbers = [
            (nftnl_sys::NFTNL_EXPR_META_KEY, libc::NFT_META_PRIORITY),
            (nftnl_sys::NFTNL_EXPR_META_SREG, libc::NFT_REG_1),
        ];
        allocate(c"meta", &numbers)
    }
}

fn allocate(name: &CStr, numbers: &[(u32, i32)]) -> ptr::NonNull<nftnl_sys::nftnl_expr> {
    // SAFETY: the name is a C string; the rule takes ownership of what is returned.
    let expression = unsafe { nftnl_sys::nftnl_expr_alloc(name.as_ptr()) };
    // Null = out of memory (as the nftnl crate handles it), or a libnftnl from before 2014.
    let expression = ptr::NonNull::new(expression).unwrap_or_else(|| std::process::abort());
    for (attribute, value) in numbers {
        // SAFETY: the expression is alive, and these attributes of it are 32-bit numbers.
        unsafe { nftnl_sys::nftnl_expr_set_u32(expression.as_ptr(), *attribute as u16, *value as u32) };
    }
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_round_trip() {
        let ip = Ipv4Addr::new(100, 64, 1, 10);
        for direction in [Direction::Up, Direction::Down] {
            let message = add("t", direction, ip, 0xa0bc_001f);
            assert_eq!(decode(&message.attributes.0).collect::<Vec<_>>(), [(ip, 0xa0bc_001f)]);
        }
        assert_eq!(decode(&delete("t", Direction::Up, ip).attributes.0).count(), 0, "a deletion names no class");
    }
}
