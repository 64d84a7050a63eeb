//! Which subscriber's packets go to which class of traffic control: two maps, `shape_up` (keyed by source address) and
//! `shape_down` (by destination), whose values are class ids. Who is not in them has no class. `crate::shaper` fills them.

use std::{ffi::CStr, net::Ipv4Addr};

use super::{Direction, sets};
use crate::netlink::{Attributes, Message, attribute};

/// nft's number for its data type `classid`, so that `nft list` shows classes.
const TYPE_CLASSID: u32 = 23;
/// nft's own notes to a map, kind, length and value of each: keys are in network order (2), classes in the host's (1).
const BYTE_ORDERS: [u8; 12] = {
    let (key, data) = (2u32.to_ne_bytes(), 1u32.to_ne_bytes());
    [0, 4, key[0], key[1], key[2], key[3], 1, 4, data[0], data[1], data[2], data[3]]
};
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
        .octets(sets::NFTA_SET_TABLE, table.to_bytes_with_nul())
        .text(sets::NFTA_SET_NAME, name(direction))
        .u32(sets::NFTA_SET_FLAGS, libc::NFT_SET_MAP as u32)
        .u32(sets::NFTA_SET_KEY_TYPE, sets::TYPE_IPV4_ADDR)
        .u32(sets::NFTA_SET_KEY_LEN, 4)
        .u32(sets::NFTA_SET_DATA_TYPE, TYPE_CLASSID)
        .u32(sets::NFTA_SET_DATA_LEN, 4)
        .u32(sets::NFTA_SET_ID, id)
        .octets(sets::NFTA_SET_USERDATA, &BYTE_ORDERS)
        .nest(sets::NFTA_SET_DESC, Attributes::default().u32(sets::NFTA_SET_DESC_SIZE, SIZE));
    sets::message(libc::NFT_MSG_NEWSET, libc::NLM_F_CREATE | libc::NLM_F_ACK, attributes)
}

/// Gives an address its class.
pub fn add(table: &str, direction: Direction, ip: Ipv4Addr, class: u32) -> Message {
    // As the kernel has it: skb->priority.
    sets::mapped(table, name(direction), &ip.octets(), sets::value(&class.to_ne_bytes()))
}

/// Takes it away again.
pub fn delete(table: &str, direction: Direction, ip: Ipv4Addr) -> Message {
    sets::element(libc::NFT_MSG_DELSETELEM, table, name(direction), &ip.octets())
}

/// Reads a whole map.
pub fn dump(table: &str, direction: Direction) -> Message {
    sets::dump(table, name(direction))
}

/// The addresses and classes that a message tells of.
pub fn decode(octets: &[u8]) -> impl Iterator<Item = (Ipv4Addr, u32)> {
    sets::pairs(octets).filter_map(|(key, data)| {
        let class = attribute(data, sets::NFTA_DATA_VALUE)?.try_into().ok()?;
        Some((<[u8; 4]>::try_from(key).ok()?.into(), u32::from_ne_bytes(class)))
    })
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
