//! Frames as an access router would send them, one client per circuit, made by changing a few octets of a ready one: the generator must
//! not cost more than what it measures.
use std::net::{Ipv4Addr, SocketAddrV4};

use lastmile_types::MacAddr;
use lastmile_wire::dhcp::{Builder, Message, MessageType, SERVER_PORT, option};
use lastmile_wire::frame;
use lastmile_wire::option82::{self, Option82};

use crate::bench::wires::{ROUTER, SERVER};

/// Ethernet, IPv4 and UDP headers.
const PAYLOAD: usize = 14 + 20 + 8;
const UDP_CHECKSUM: usize = 14 + 20 + 6;
const XID: usize = PAYLOAD + 4;
const CIADDR: usize = PAYLOAD + 12;
const CHADDR: usize = PAYLOAD + 28;
/// The client's number stands in its circuit-id and its remote-id.
const DIGITS: &[u8; 6] = b"000000";

/// A client's hardware address.
pub fn mac_of(client: u32) -> MacAddr {
    let [_, a, b, c] = client.to_be_bytes();
    MacAddr([0x02, 0x4c, 0x4e, a, b, c])
}

/// The address that the null server gives to a client, and no other.
pub fn address_of(mac: MacAddr) -> Ipv4Addr {
    let [.., a, b, c] = mac.0;
    // Past the router's own.
    Ipv4Addr::from(u32::from(ROUTER) + 0x100 + u32::from_be_bytes([0, a, b, c]))
}

/// Ready frames.
#[derive(Debug, Clone)]
pub struct Template {
    discover: Vec<u8>,
    select: Vec<u8>,
    renew: Vec<u8>,
    digits: Vec<usize>,
}

impl Template {
    /// From an access router to its gateway.
    pub fn new(router: MacAddr, gateway: MacAddr) -> Self {
        let circuit = [b"ar-01|1/", &DIGITS[..]].concat();
        let remote = [b"line-", &DIGITS[..]].concat();
        let build = |kind, options: &[(u8, [u8; 4])]| {
            let info = Option82::of(&circuit, &remote).encode().unwrap_or_default();
            // First, so that it stands at the same place in every frame.
            let mut builder = Builder::new(kind, 0, MacAddr::default()).giaddr(ROUTER).option(option82::CODE, &info);
            for (code, content) in options {
                builder = builder.option(*code, content);
            }
            let (from, to) = (SocketAddrV4::new(ROUTER, SERVER_PORT), SocketAddrV4::new(SERVER, SERVER_PORT));
            let mut frame = frame::ethernet(router, gateway, from, to, &builder.build()).unwrap_or_default();
            frame[UDP_CHECKSUM..UDP_CHECKSUM + 2].fill(0); // RFC 768: the sender computed none
            frame
        };
        let discover = build(MessageType::Discover, &[]);
        let places = discover.windows(DIGITS.len()).enumerate();
        let digits = places.filter(|(_, window)| window == DIGITS).map(|(place, _)| place).collect();
        let chosen = [(option::REQUESTED_IP, [0; 4]), (option::SERVER_ID, SERVER.octets())];
        Self { digits, discover, select: build(MessageType::Request, &chosen), renew: build(MessageType::Request, &[]) }
    }

    /// A client that has nothing.
    pub fn discover(&self, client: u32, xid: u32) -> Vec<u8> {
        self.made(&self.discover, client, xid)
    }

    /// It takes what it was offered.
    pub fn select(&self, client: u32, xid: u32) -> Vec<u8> {
        let mut frame = self.made(&self.select, client, xid);
        let code = self.digits.last().map_or(0, |last| last + DIGITS.len());
        frame[code + 2..code + 6].copy_from_slice(&address_of(mac_of(client)).octets());
        frame
    }

    /// It renews what it has.
    pub fn renew(&self, client: u32, xid: u32) -> Vec<u8> {
        let mut frame = self.made(&self.renew, client, xid);
        frame[CIADDR..CIADDR + 4].copy_from_slice(&address_of(mac_of(client)).octets());
        frame
    }

    fn made(&self, template: &[u8], client: u32, xid: u32) -> Vec<u8> {
        let mut frame = template.to_vec();
        frame[XID..XID + 4].copy_from_slice(&xid.to_be_bytes());
        frame[CHADDR..CHADDR + 6].copy_from_slice(&mac_of(client).0);
        for &place in &self.digits {
            let mut rest = client;
            for digit in frame[place..place + DIGITS.len()].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        frame
    }
}

/// The transaction and the kind of an answer.
pub fn read(bytes: &[u8]) -> Option<(u32, MessageType)> {
    let message = Message::parse(bytes.get(PAYLOAD..)?).ok()?;
    Some((message.xid(), message.message_type()))
}

#[cfg(test)]
mod tests {
    use lastmile_wire::frame::Checksum;

    use super::*;

    #[test]
    fn what_is_changed_is_what_is_read() {
        let template = Template::new(MacAddr([2; 6]), MacAddr([4; 6]));
        for frame in [template.discover(123_456, 9), template.select(123_456, 9), template.renew(123_456, 9)] {
            let udp = frame::parse(&frame, Checksum::Verify).unwrap();
            let message = Message::parse(udp.payload).unwrap();
            let info = message.option82().unwrap().unwrap();
            assert_eq!((message.xid(), message.chaddr(), message.giaddr()), (9, mac_of(123_456), ROUTER));
            assert_eq!(info.circuit_id(), Some(&b"ar-01|1/123456"[..]));
            assert_eq!(info.remote_id(), Some(&b"line-123456"[..]));
            let address = Some(address_of(mac_of(123_456)));
            let holds = message.message_type() == MessageType::Discover
                || message.requested_ip() == address
                || Some(message.ciaddr()) == address;
            assert!(holds, "{message:?}");
        }
    }
}
