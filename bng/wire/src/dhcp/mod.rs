//! DHCPv4 messages as views of their octets (RFC 2131, RFC 2132).
//!
//! A relay passes on what it does not understand, so a message stays the octets that came: [`Message`] reads them,
//! [`Edit`] changes single fields and options and keeps every other octet. Options are read as RFC 3396 says (an option that
//! occurs twice is one, concatenated) through `file` and `sname` when option 52 overloads them, and written so when they are long
//! or the message is full.

use std::{borrow::Cow, net::Ipv4Addr};

use lastmile_types::MacAddr;

use crate::{Drop, option82, option82::Option82};

mod build;
mod edit;
mod options;
mod spill;
#[cfg(test)]
mod tests;

pub use build::{Builder, nak};
pub use edit::{Edit, EditError};
use options::{Fields, walk};

/// UDP port of servers and relays.
pub const SERVER_PORT: u16 = 67;
/// UDP port of clients.
pub const CLIENT_PORT: u16 = 68;
/// The broadcast bit of `flags` (RFC 2131 §2, figure 2).
pub const BROADCAST: u16 = 0x8000;
/// The longest message that is sent, octets: what fits an Ethernet frame unfragmented.
pub const MAX_MESSAGE: usize = 1500 - UDP_IPV4;
/// The shortest message that every old relay and client takes (RFC 1542 §2.1), octets.
pub const MIN_MESSAGE: usize = 300;
/// What a client takes that does not say (RFC 2131 §2): an IPv4 packet of so many octets.
const DEFAULT_PACKET: u16 = 576;
/// The headers around a message.
const UDP_IPV4: usize = 28;
/// A lease that never expires (RFC 2131 §3.3).
pub const INFINITE: u32 = u32::MAX;

/// Option codes (RFC 2132).
pub mod option {
    /// Requested IP Address.
    pub const REQUESTED_IP: u8 = 50;
    /// IP Address Lease Time, seconds.
    pub const LEASE_TIME: u8 = 51;
    /// Option Overload.
    pub const OVERLOAD: u8 = 52;
    /// DHCP Message Type.
    pub const MESSAGE_TYPE: u8 = 53;
    /// Server Identifier.
    pub const SERVER_ID: u8 = 54;
    /// Message, text for people.
    pub const MESSAGE: u8 = 56;
    /// Maximum DHCP Message Size, octets of the IPv4 packet.
    pub const MAX_SIZE: u8 = 57;
    /// Renewal (T1) Time, seconds.
    pub const RENEWAL_TIME: u8 = 58;
    /// Rebinding (T2) Time, seconds.
    pub const REBINDING_TIME: u8 = 59;
    /// Client Identifier.
    pub const CLIENT_ID: u8 = 61;
}

/// Where the fixed fields stand (RFC 2131 §2, figure 1).
pub(crate) mod at {
    pub const OP: usize = 0;
    pub const HTYPE: usize = 1;
    pub const HLEN: usize = 2;
    pub const HOPS: usize = 3;
    pub const XID: usize = 4;
    pub const SECS: usize = 8;
    pub const FLAGS: usize = 10;
    pub const CIADDR: usize = 12;
    pub const YIADDR: usize = 16;
    pub const SIADDR: usize = 20;
    pub const GIADDR: usize = 24;
    pub const CHADDR: usize = 28;
    pub const SNAME: usize = 44;
    pub const FILE: usize = 108;
    pub const COOKIE: usize = 236;
    pub const OPTIONS: usize = 240;
}

pub(crate) const COOKIE: [u8; 4] = [99, 130, 83, 99];
const ETHERNET: u8 = 1;

/// `op`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// From a client.
    BootRequest = 1,
    /// From a server.
    BootReply = 2,
}

/// DHCP Message Type (RFC 2132 §9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// DHCPDISCOVER.
    Discover = 1,
    /// DHCPOFFER.
    Offer = 2,
    /// DHCPREQUEST.
    Request = 3,
    /// DHCPDECLINE.
    Decline = 4,
    /// DHCPACK.
    Ack = 5,
    /// DHCPNAK.
    Nak = 6,
    /// DHCPRELEASE.
    Release = 7,
    /// DHCPINFORM.
    Inform = 8,
}

impl MessageType {
    fn from_octet(octet: u8) -> Option<Self> {
        use MessageType::*;
        [Discover, Offer, Request, Decline, Ack, Nak, Release, Inform].into_iter().find(|kind| *kind as u8 == octet)
    }

    /// Who sends it.
    pub fn op(self) -> Op {
        match self {
            Self::Offer | Self::Ack | Self::Nak => Op::BootReply,
            _ => Op::BootRequest,
        }
    }

    /// A stable name in snake case, for a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Offer => "offer",
            Self::Request => "request",
            Self::Decline => "decline",
            Self::Ack => "ack",
            Self::Nak => "nak",
            Self::Release => "release",
            Self::Inform => "inform",
        }
    }
}

/// A well-formed DHCP message of a client or server on Ethernet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    bytes: &'a [u8],
    kind: MessageType,
}

impl<'a> Message<'a> {
    /// Checks the octets of a UDP payload; afterwards every accessor is infallible.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Drop> {
        if bytes.len() < at::OPTIONS {
            return Err(Drop::DhcpTruncated);
        }
        if bytes[at::COOKIE..at::OPTIONS] != COOKIE {
            return Err(Drop::DhcpNoCookie);
        }
        if bytes[at::HTYPE] != ETHERNET || bytes[at::HLEN] != 6 {
            return Err(Drop::DhcpHeader);
        }
        for field in Fields::of(bytes)?.iter() {
            walk(bytes, field.clone()).try_for_each(|option| option.map(|_| ()))?;
        }
        let mut message = Self { bytes, kind: MessageType::Discover };
        let kind = message.option(option::MESSAGE_TYPE);
        message.kind = match kind.as_deref() {
            Some([octet]) => MessageType::from_octet(*octet).ok_or(Drop::DhcpType)?,
            _ => return Err(Drop::DhcpType),
        };
        // A server's message type in a client's envelope (or the other way round) is somebody's trick.
        if bytes[at::OP] != message.kind.op() as u8 {
            return Err(Drop::DhcpHeader);
        }
        Ok(message)
    }

    /// The octets.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// DHCP Message Type.
    pub fn message_type(&self) -> MessageType {
        self.kind
    }

    /// Who sent it.
    pub fn op(&self) -> Op {
        self.kind.op()
    }

    /// Relay hops so far.
    pub fn hops(&self) -> u8 {
        self.bytes[at::HOPS]
    }

    /// Transaction id.
    pub fn xid(&self) -> u32 {
        u32::from_be_bytes(self.octets(at::XID))
    }

    /// Seconds since the client began, as it says.
    pub fn secs(&self) -> u16 {
        u16::from_be_bytes(self.octets(at::SECS))
    }

    /// Flags.
    pub fn flags(&self) -> u16 {
        u16::from_be_bytes(self.octets(at::FLAGS))
    }

    /// The client cannot receive unicast before it is configured.
    pub fn broadcast(&self) -> bool {
        self.flags() & BROADCAST != 0
    }

    /// The address that the client has.
    pub fn ciaddr(&self) -> Ipv4Addr {
        self.octets(at::CIADDR).into()
    }

    /// "Your" address: what the server gives.
    pub fn yiaddr(&self) -> Ipv4Addr {
        self.octets(at::YIADDR).into()
    }

    /// Next server.
    pub fn siaddr(&self) -> Ipv4Addr {
        self.octets(at::SIADDR).into()
    }

    /// The first relay's address; 0.0.0.0 = not relayed.
    pub fn giaddr(&self) -> Ipv4Addr {
        self.octets(at::GIADDR).into()
    }

    /// The client's hardware address.
    pub fn chaddr(&self) -> MacAddr {
        MacAddr(self.octets(at::CHADDR))
    }

    /// An option's content: all its occurrences, concatenated (RFC 3396).
    pub fn option(&self, code: u8) -> Option<Cow<'a, [u8]>> {
        let mut content: Option<Cow<'a, [u8]>> = None;
        for field in Fields::of(self.bytes).iter().flat_map(Fields::iter) {
            for found in walk(self.bytes, field.clone()).map_while(Result::ok).filter(|found| found.code == code) {
                let part = &self.bytes[found.value()];
                content = Some(match content {
                    None => Cow::Borrowed(part),
                    Some(before) => Cow::Owned([&before, part].concat()),
                });
            }
        }
        content
    }

    /// Server Identifier.
    pub fn server_id(&self) -> Option<Ipv4Addr> {
        self.address(option::SERVER_ID)
    }

    /// Requested IP Address.
    pub fn requested_ip(&self) -> Option<Ipv4Addr> {
        self.address(option::REQUESTED_IP)
    }

    /// Lease time, seconds; [`INFINITE`] never ends.
    pub fn lease_seconds(&self) -> Option<u32> {
        self.seconds(option::LEASE_TIME)
    }

    /// T1, seconds.
    pub fn renewal_seconds(&self) -> Option<u32> {
        self.seconds(option::RENEWAL_TIME)
    }

    /// T2, seconds.
    pub fn rebinding_seconds(&self) -> Option<u32> {
        self.seconds(option::REBINDING_TIME)
    }

    /// The longest message that its client takes, octets: option 57 counts the IPv4 packet and is never less than 576
    /// (RFC 2132 §9.10, RFC 2131 §2). No more than what is sent at all.
    pub fn max_reply(&self) -> usize {
        let said = self.option(option::MAX_SIZE).and_then(|size| <[u8; 2]>::try_from(size.as_ref()).ok());
        let packet = said.map_or(DEFAULT_PACKET, u16::from_be_bytes).max(DEFAULT_PACKET);
        (usize::from(packet) - UDP_IPV4).min(MAX_MESSAGE)
    }

    /// Client Identifier.
    pub fn client_id(&self) -> Option<Cow<'a, [u8]>> {
        self.option(option::CLIENT_ID)
    }

    /// Option 82's content as it came.
    pub fn option82_raw(&self) -> Option<Cow<'a, [u8]>> {
        self.option(option82::CODE)
    }

    /// Option 82's sub-options; `None` when there is no option 82.
    pub fn option82(&self) -> Result<Option<Option82>, Drop> {
        self.option82_raw().map(|content| Option82::parse(&content)).transpose()
    }

    /// Starts a changed copy.
    pub fn edit(&self) -> Edit {
        Edit::of(self)
    }

    fn address(&self, code: u8) -> Option<Ipv4Addr> {
        <[u8; 4]>::try_from(self.option(code)?.as_ref()).ok().map(Ipv4Addr::from)
    }

    fn seconds(&self, code: u8) -> Option<u32> {
        <[u8; 4]>::try_from(self.option(code)?.as_ref()).ok().map(u32::from_be_bytes)
    }

    /// A fixed field; `parse` made sure that all of them are there.
    fn octets<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut octets = [0; N];
        octets.copy_from_slice(&self.bytes[at..at + N]);
        octets
    }
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("type", &self.kind)
            .field("xid", &format_args!("{:08x}", self.xid()))
            .field("hops", &self.hops())
            .field("ciaddr", &self.ciaddr())
            .field("yiaddr", &self.yiaddr())
            .field("giaddr", &self.giaddr())
            .field("chaddr", &self.chaddr())
            .finish_non_exhaustive()
    }
}
