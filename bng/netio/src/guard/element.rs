//! Bindings as set elements: port, address and MAC in one key, and the time it has left.

use std::time::Duration;

use lastmile_types::MacAddr;

use super::{Binding, Bound, Change, TABLE, attribute, attributes, message};
use crate::netlink::{Attributes, Message};

/// The set's name.
pub const SET: &str = "bindings";
/// Octets of a key: an interface's name, an IPv4 address, and a MAC padded to whole registers.
pub const KEY: usize = NAME + 4 + 8;
const NAME: usize = libc::IFNAMSIZ;

// linux/netfilter/nf_tables.h
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_TIMEOUT: u16 = 4;
const NFTA_SET_ELEM_EXPIRATION: u16 = 5;
const NFTA_DATA_VALUE: u16 = 1;

/// The messages that make a change, whatever the kernel holds. Adding an element that is there changes nothing and deleting one
/// that is not there fails, so each change starts with an addition and a deletion.
pub fn messages(change: &Change) -> impl Iterator<Item = Message> + use<> {
    let (binding, bound) = match change {
        Change::Bind(binding, lease) => (binding, Some(*lease)),
        Change::Unbind(binding) => (binding, None),
    };
    let (new, create) = (libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE);
    let gone = [about(new, create, binding, None), about(libc::NFT_MSG_DELSETELEM, 0, binding, None)];
    gone.into_iter().chain(bound.map(|lease| about(new, create, binding, lease)))
}

/// A message about all elements.
pub fn dump_message() -> Message {
    message(libc::NFT_MSG_GETSETELEM, libc::NLM_F_DUMP, of_set())
}

/// The bindings that a message tells of, with the time each has left.
pub fn decode(octets: &[u8]) -> impl Iterator<Item = Bound> {
    let elements = attribute(octets, NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or_default();
    attributes(elements).filter_map(|(_, element)| {
        let key = attribute(attribute(element, NFTA_SET_ELEM_KEY)?, NFTA_DATA_VALUE)?;
        let left = attribute(element, NFTA_SET_ELEM_EXPIRATION).and_then(|value| value.try_into().ok());
        Some((decode_key(key)?, left.map(|left| Duration::from_millis(u64::from_be_bytes(left)))))
    })
}

fn about(kind: i32, flags: i32, binding: &Binding, lease: Option<Duration>) -> Message {
    let key = Attributes::default().octets(NFTA_DATA_VALUE, &encode_key(binding));
    let mut element = Attributes::default().nest(NFTA_SET_ELEM_KEY, key);
    if let Some(lease) = lease {
        // 0 would mean for ever.
        element = element.u64(NFTA_SET_ELEM_TIMEOUT, (lease.as_millis() as u64).max(1));
    }
    let elements = Attributes::default().nest(NFTA_LIST_ELEM, element);
    message(kind, flags, of_set().nest(NFTA_SET_ELEM_LIST_ELEMENTS, elements))
}

fn of_set() -> Attributes {
    Attributes::default().text(NFTA_SET_ELEM_LIST_TABLE, TABLE).text(NFTA_SET_ELEM_LIST_SET, SET)
}

fn encode_key(binding: &Binding) -> [u8; KEY] {
    let mut key = [0; KEY];
    key.iter_mut().zip(binding.port.bytes().take(NAME - 1)).for_each(|(octet, byte)| *octet = byte);
    key[NAME..NAME + 4].copy_from_slice(&binding.ip.octets());
    key[NAME + 4..NAME + 10].copy_from_slice(&binding.mac.0);
    key
}

fn decode_key(key: &[u8]) -> Option<Binding> {
    let key: &[u8; KEY] = key.try_into().ok()?;
    let name = key[..NAME].split(|byte| *byte == 0).next()?;
    let ip: [u8; 4] = key[NAME..NAME + 4].try_into().ok()?;
    let mac = key[NAME + 4..NAME + 10].try_into().ok()?;
    Some(Binding { port: std::str::from_utf8(name).ok()?.to_owned(), ip: ip.into(), mac: MacAddr(mac) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_round_trip() {
        for port in ["port1", "fifteen-octets-"] {
            let binding =
                Binding { port: port.to_owned(), ip: [100, 64, 1, 10].into(), mac: MacAddr([2, 0, 0, 0, 0, 1]) };
            let change = Change::Bind(binding.clone(), Some(Duration::from_secs(600)));
            let messages: Vec<Message> = messages(&change).collect();
            let kinds: Vec<i32> = messages.iter().map(|message| message.kind).collect();
            assert_eq!(kinds, [libc::NFT_MSG_NEWSETELEM, libc::NFT_MSG_DELSETELEM, libc::NFT_MSG_NEWSETELEM]);
            for message in messages {
                assert_eq!(decode(&message.attributes.0).collect::<Vec<_>>(), [(binding.clone(), None)]);
            }
        }
        assert_eq!(decode_key(&[0; 27]), None);
    }
}
