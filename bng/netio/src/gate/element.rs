//! Set elements as octets: an address with its counter and, when policed, its limit in front of the counter.

use std::net::Ipv4Addr;

use crate::netlink::{Attributes, Message, attribute, attributes};

// linux/netfilter/nf_tables.h
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_EXPR: u16 = 7;
const NFTA_SET_ELEM_EXPRESSIONS: u16 = 11;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_COUNTER_BYTES: u16 = 1;
const NFTA_COUNTER_PACKETS: u16 = 2;
const NFTA_LIMIT_RATE: u16 = 1;
const NFTA_LIMIT_UNIT: u16 = 2;
const NFTA_LIMIT_BURST: u16 = 3;
const NFTA_LIMIT_TYPE: u16 = 4;
const NFT_LIMIT_PKT_BYTES: u32 = 1;

/// A segmented packet may have 64 KiB: with a smaller burst it would never pass.
const MIN_BURST: u32 = 64 << 10;
/// The kernel's arithmetic overflows past this, and no link is faster: 100 Gbit/s in kbit/s.
const MAX_KBPS: u32 = 100_000_000;

/// A direction's set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the subscriber, keyed by source address.
    Up,
    /// To the subscriber, keyed by destination address.
    Down,
}

impl Direction {
    /// The set's name.
    pub const fn set(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A counter of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// IP octets.
    pub octets: u64,
    /// Packets.
    pub packets: u64,
}

/// A policer of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Octets per second.
    pub rate: u64,
    /// Octets.
    pub burst: u32,
}

impl Limit {
    /// From kbit/s and kbit. Without a rate, or with one that no link reaches, there is no limit. A burst defaults to 125 ms.
    pub fn new(kbps: Option<u32>, burst_kbit: Option<u32>) -> Option<Self> {
        let kbps = kbps.filter(|kbps| *kbps <= MAX_KBPS)?;
        let burst_kbit = burst_kbit.unwrap_or(kbps / 8);
        Some(Self { rate: u64::from(kbps.max(1)) * 125, burst: burst_kbit.saturating_mul(125).max(MIN_BURST) })
    }
}

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// The subscriber.
    pub ip: Ipv4Addr,
    /// What passed.
    pub count: Count,
    /// The policer.
    pub limit: Option<Limit>,
}

/// A message about one element. To delete or read it, its address is enough.
pub fn message(
    kind: i32,
    flags: i32,
    table: &str,
    direction: Direction,
    ip: Ipv4Addr,
    state: Option<&Element>,
) -> Message {
    in_set(kind, flags, table, direction.set(), ip, state)
}

/// As [`message`], for an element of any set of addresses.
pub fn in_set(kind: i32, flags: i32, table: &str, set: &str, ip: Ipv4Addr, state: Option<&Element>) -> Message {
    let mut element = key(&ip.octets());
    if let Some(state) = state {
        // The limit first: it ends the element's evaluation when it is exceeded, so only what passes is counted.
        let limit = state.limit.iter().map(|limit| expression("limit", encode_limit(limit)));
        let expressions = limit.chain([expression("counter", encode_count(&state.count))]);
        let list = expressions.fold(Attributes::default(), |list, expression| list.nest(NFTA_LIST_ELEM, expression));
        element = element.nest(NFTA_SET_ELEM_EXPRESSIONS, list);
    }
    let attributes =
        of_set(table, set).nest(NFTA_SET_ELEM_LIST_ELEMENTS, Attributes::default().nest(NFTA_LIST_ELEM, element));
    Message { kind, flags, family: libc::NFPROTO_IPV4, attributes }
}

/// Asks for several elements, which the kernel answers one by one and in order, up to the first that is not there.
pub fn get_several<K: AsRef<[u8]>>(table: &str, set: &str, keys: impl IntoIterator<Item = K>) -> Message {
    let list =
        keys.into_iter().fold(Attributes::default(), |list, octets| list.nest(NFTA_LIST_ELEM, key(octets.as_ref())));
    let attributes = of_set(table, set).nest(NFTA_SET_ELEM_LIST_ELEMENTS, list);
    Message { kind: libc::NFT_MSG_GETSETELEM, flags: libc::NLM_F_ACK, family: libc::NFPROTO_IPV4, attributes }
}

/// A message about all elements.
pub fn dump_message(table: &str, direction: Direction) -> Message {
    let attributes = of_set(table, direction.set());
    Message { kind: libc::NFT_MSG_GETSETELEM, flags: libc::NLM_F_DUMP, family: libc::NFPROTO_IPV4, attributes }
}

fn of_set(table: &str, set: &str) -> Attributes {
    Attributes::default().text(NFTA_SET_ELEM_LIST_TABLE, table).text(NFTA_SET_ELEM_LIST_SET, set)
}

fn key(octets: &[u8]) -> Attributes {
    Attributes::default().nest(NFTA_SET_ELEM_KEY, Attributes::default().octets(NFTA_DATA_VALUE, octets))
}

fn expression(name: &str, data: Attributes) -> Attributes {
    Attributes::default().text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data)
}

fn encode_count(count: &Count) -> Attributes {
    Attributes::default().u64(NFTA_COUNTER_BYTES, count.octets).u64(NFTA_COUNTER_PACKETS, count.packets)
}

fn encode_limit(limit: &Limit) -> Attributes {
    Attributes::default()
        .u64(NFTA_LIMIT_RATE, limit.rate)
        .u64(NFTA_LIMIT_UNIT, 1)
        .u32(NFTA_LIMIT_BURST, limit.burst)
        .u32(NFTA_LIMIT_TYPE, NFT_LIMIT_PKT_BYTES)
}

/// The set and the elements that a message tells of.
pub fn decode(octets: &[u8]) -> (Option<Direction>, impl Iterator<Item = Element>) {
    let direction = match attribute(octets, NFTA_SET_ELEM_LIST_SET) {
        Some(b"up\0") => Some(Direction::Up),
        Some(b"down\0") => Some(Direction::Down),
        _ => None,
    };
    let elements = attribute(octets, NFTA_SET_ELEM_LIST_ELEMENTS).unwrap_or_default();
    (direction, attributes(elements).filter_map(|(_, element)| decode_element(element)))
}

fn decode_element(octets: &[u8]) -> Option<Element> {
    let key = attribute(attribute(octets, NFTA_SET_ELEM_KEY)?, NFTA_DATA_VALUE)?;
    let ip = <[u8; 4]>::try_from(key).ok()?.into();
    let mut element = Element { ip, count: Count::default(), limit: None };
    // The kernel says one expression in one way and several in another.
    let one = attribute(octets, NFTA_SET_ELEM_EXPR).into_iter();
    let several =
        attribute(octets, NFTA_SET_ELEM_EXPRESSIONS).into_iter().flat_map(attributes).map(|(_, expression)| expression);
    for expression in one.chain(several) {
        let data = attribute(expression, NFTA_EXPR_DATA).unwrap_or_default();
        let number = |kind| attribute(data, kind).and_then(|value| value.try_into().ok()).map_or(0, u64::from_be_bytes);
        match attribute(expression, NFTA_EXPR_NAME) {
            Some(b"counter\0") => {
                element.count = Count { octets: number(NFTA_COUNTER_BYTES), packets: number(NFTA_COUNTER_PACKETS) };
            }
            Some(b"limit\0") => {
                let burst = attribute(data, NFTA_LIMIT_BURST).and_then(|value| value.try_into().ok());
                element.limit =
                    Some(Limit { rate: number(NFTA_LIMIT_RATE), burst: burst.map_or(0, u32::from_be_bytes) });
            }
            _ => {}
        }
    }
    Some(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_round_trip() {
        let count = Count { octets: 1 << 40, packets: 7 };
        for limit in [None, Some(Limit { rate: 125_000, burst: MIN_BURST })] {
            let element = Element { ip: [100, 64, 1, 10].into(), count, limit };
            let message = message(libc::NFT_MSG_NEWSETELEM, 0, "t", Direction::Down, element.ip, Some(&element));
            let (direction, elements) = decode(&message.attributes.0);
            assert_eq!(direction, Some(Direction::Down));
            assert_eq!(elements.collect::<Vec<_>>(), [element]);
        }
    }

    #[test]
    fn limits_have_room_for_a_segmented_packet_and_an_end() {
        assert_eq!(Limit::new(Some(1000), None), Some(Limit { rate: 125_000, burst: MIN_BURST }));
        assert_eq!(Limit::new(Some(100_000), None), Some(Limit { rate: 12_500_000, burst: 1_562_500 }));
        assert_eq!(Limit::new(Some(100_000), Some(10_000)), Some(Limit { rate: 12_500_000, burst: 1_250_000 }));
        assert_eq!(Limit::new(Some(0), None).map(|limit| limit.rate), Some(125));
        assert_eq!(Limit::new(None, Some(1)), None);
        assert_eq!(Limit::new(Some(MAX_KBPS + 1), None), None);
    }
}
