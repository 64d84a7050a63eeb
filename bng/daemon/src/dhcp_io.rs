//! Captured frames to the machine's messages, and the machine's edits to packets.

use std::net::{Ipv4Addr, SocketAddrV4};

use lastmile_netio::capture::Captured;
use lastmile_session::{Destination, DhcpKind, DhcpMessage, Edit, PROBE_MAC, RelayInfo, RelayInfoEdit, Side};
use lastmile_types::{MacAddr, Octets};
use lastmile_wire::{
    Drop,
    dhcp::{self, Builder, CLIENT_PORT, Message, MessageType, SERVER_PORT},
    frame::{self, Checksum, UdpFrame},
    option82,
};

/// Host Name (RFC 2132 §3.14).
const HOST_NAME: u8 = 12;
/// What is kept of one.
const HOST_NAME_MAX: usize = 63;

/// The message in hand while its input is dealt with.
#[derive(Debug, Clone, Copy)]
pub struct InHand<'a> {
    /// The datagram.
    pub frame: UdpFrame<'a>,
    /// What it carries.
    pub message: Message<'a>,
}

/// A message that is kept.
#[derive(Debug, Clone)]
pub struct Held {
    frame: UdpFrame<'static>,
    payload: Vec<u8>,
}

impl Held {
    /// A copy.
    pub fn of(in_hand: &InHand<'_>) -> Self {
        Self { frame: UdpFrame { payload: &[], ..in_hand.frame }, payload: in_hand.frame.payload.to_vec() }
    }

    /// In hand again.
    pub fn in_hand(&self) -> Result<InHand<'_>, Drop> {
        Ok(InHand { frame: UdpFrame { payload: &self.payload, ..self.frame }, message: Message::parse(&self.payload)? })
    }
}

/// Why a packet could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// An option does not fit.
    #[error("an option does not fit")]
    Edit(#[from] dhcp::EditError),
    /// Option 82 is no list of sub-options.
    #[error("option 82 cannot be read")]
    Option82(#[from] Drop),
    /// Too long for UDP.
    #[error("the packet is too long")]
    TooLong(#[from] frame::TooLong),
}

impl BuildError {
    /// The counter's stable label. What does not fit is dropped, never cut (RFC 3046 §2.1).
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Edit(_) => "option-does-not-fit",
            Self::Option82(refused) => refused.label(),
            Self::TooLong(_) => "packet-too-long",
        }
    }
}

/// Takes a frame apart.
pub fn read<'a>(captured: &Captured<'a>) -> Result<InHand<'a>, Drop> {
    if captured.truncated {
        return Err(Drop::Truncated);
    }
    let checksum = if captured.checksum_ready { Checksum::Verify } else { Checksum::Unfinished };
    let frame = frame::parse(captured.bytes, checksum)?;
    let message = Message::parse(frame.payload)?;
    Ok(InHand { frame, message })
}

/// What the machine needs of it.
pub fn describe(in_hand: &InHand<'_>, side: Side) -> Result<DhcpMessage, Drop> {
    let InHand { frame, message } = in_hand;
    let relay_info = match message.option82_raw() {
        None => None,
        Some(raw) => {
            option82::subs(&raw).try_for_each(|sub| sub.map(drop))?;
            let octets = |code| option82::first(&raw, code).filter(|value| !value.is_empty()).map(Octets::from);
            let (circuit_id, remote_id) = (octets(option82::CIRCUIT_ID), octets(option82::REMOTE_ID));
            Some(RelayInfo { circuit_id, remote_id, raw: Octets::from(&*raw) })
        }
    };
    Ok(DhcpMessage {
        side,
        kind: DhcpKind::from_code(message.message_type() as u8).ok_or(Drop::DhcpType)?,
        xid: message.xid(),
        hops: message.hops(),
        chaddr: message.chaddr(),
        ciaddr: message.ciaddr(),
        yiaddr: message.yiaddr(),
        broadcast: message.broadcast(),
        giaddr: message.giaddr(),
        server_id: message.server_id(),
        requested_ip: message.requested_ip(),
        lease_seconds: message.lease_seconds(),
        relay_info,
        hostname: message.option(HOST_NAME).and_then(|name| printable(&name)),
        source_mac: frame.src_mac,
        source_ip: frame.src,
        destination_ip: frame.dst,
    })
}

fn printable(name: &[u8]) -> Option<String> {
    let text = Octets::text_of(&name[..name.len().min(HOST_NAME_MAX)]);
    (!text.is_empty()).then_some(text)
}

/// The message in hand, changed, as a packet to a server.
pub fn to_server(
    in_hand: &InHand<'_>,
    edit: &Edit,
    source: Ipv4Addr,
    server: Ipv4Addr,
) -> Result<Outgoing, BuildError> {
    let payload = edited(&in_hand.message, edit)?;
    let (source, server) = (SocketAddrV4::new(source, SERVER_PORT), SocketAddrV4::new(server, SERVER_PORT));
    Ok(Outgoing::Packet(frame::packet(source, server, &payload)?))
}

/// A message that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A packet for the kernel to route.
    Packet(Vec<u8>),
    /// A frame on the subscribers' link.
    Frame(Vec<u8>),
}

/// The gateway's own question to a server: a DHCPINFORM as through the relay of one of its subnets, to be answered to `source`
/// (RFC 2131 §4.3.5). It leases nothing.
pub fn probe(source: Ipv4Addr, server: Ipv4Addr, giaddr: Ipv4Addr) -> Result<Vec<u8>, BuildError> {
    let inform = Builder::new(MessageType::Inform, u32::from(server), PROBE_MAC).ciaddr(source).giaddr(giaddr);
    let (source, server) = (SocketAddrV4::new(source, SERVER_PORT), SocketAddrV4::new(server, SERVER_PORT));
    Ok(frame::packet(source, server, &inform.build())?)
}

/// The message in hand, changed, towards the client; `link` is our address on the subscribers' link.
pub fn reply(
    in_hand: &InHand<'_>,
    edit: &Edit,
    from: Ipv4Addr,
    to: Destination,
    link: MacAddr,
) -> Result<Outgoing, BuildError> {
    towards_client(&edited(&in_hand.message, edit)?, from, to, link)
}

/// A DHCPNAK to the request in hand. A relay or access node gets its option 82 back (RFC 3046 §2.2): it finds the port by it.
pub fn nak(
    in_hand: &InHand<'_>,
    server: Ipv4Addr,
    to: Destination,
    reason: &str,
    link: MacAddr,
) -> Result<Outgoing, BuildError> {
    let mut payload = dhcp::nak(&in_hand.message, server, reason)?;
    if let (Destination::Relay(_) | Destination::Link { .. }, Some(raw)) = (to, in_hand.message.option82_raw()) {
        let edit = Edit { relay_info: RelayInfoEdit::Set(raw.into_owned().into()), ..Edit::default() };
        payload = edited(&Message::parse(&payload)?, &edit)?;
    }
    towards_client(&payload, server, to, link)
}

fn towards_client(payload: &[u8], from: Ipv4Addr, to: Destination, link: MacAddr) -> Result<Outgoing, BuildError> {
    let from = SocketAddrV4::new(from, SERVER_PORT);
    let packet = |to, port| Ok(Outgoing::Packet(frame::packet(from, SocketAddrV4::new(to, port), payload)?));
    match to {
        Destination::Relay(address) => packet(address, SERVER_PORT),
        Destination::Client(address) => packet(address, CLIENT_PORT),
        Destination::Link { mac, ip } => {
            Ok(Outgoing::Frame(frame::ethernet(link, mac, from, SocketAddrV4::new(ip, CLIENT_PORT), payload)?))
        }
    }
}

fn edited(message: &Message<'_>, edit: &Edit) -> Result<Vec<u8>, BuildError> {
    let mut changed = message.edit();
    if edit.add_hop {
        changed.set_hops(message.hops().saturating_add(1));
    }
    if let Some(giaddr) = edit.giaddr {
        changed.set_giaddr(giaddr);
    }
    match &edit.relay_info {
        RelayInfoEdit::Keep => {}
        RelayInfoEdit::Strip => {
            changed.remove_option82();
        }
        RelayInfoEdit::Set(raw) => {
            // The relay knows this option; a server that never echoed it must not make one appear from nothing on a reply.
            option82::subs(raw.as_bytes()).try_for_each(|sub| sub.map(drop))?;
            // What is added to a relay's own is not worth a place in `file` or `sname`, where Kea does not look for options.
            let its_own = message.option82_raw().is_some_and(|own| raw.as_bytes().starts_with(&own));
            if !its_own || changed.has_room_for_option82(raw.as_bytes()) {
                changed.set_option82_raw(raw.as_bytes())?;
            }
        }
    }
    Ok(changed.into_bytes())
}
