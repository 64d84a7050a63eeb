//! Messages from nothing.

use std::net::Ipv4Addr;

use lastmile_types::MacAddr;

use super::{BROADCAST, COOKIE, ETHERNET, EditError, MIN_MESSAGE, Message, MessageType, at, option, spill};
use crate::dhcp::options::END;

/// Builds a message.
#[derive(Debug, Clone)]
pub struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    /// A message of this type, with everything else zero.
    pub fn new(kind: MessageType, xid: u32, chaddr: MacAddr) -> Self {
        let mut bytes = vec![0; at::OPTIONS];
        bytes[at::OP] = kind.op() as u8;
        bytes[at::HTYPE] = ETHERNET;
        bytes[at::HLEN] = 6;
        bytes[at::XID..at::XID + 4].copy_from_slice(&xid.to_be_bytes());
        bytes[at::CHADDR..at::CHADDR + 6].copy_from_slice(&chaddr.0);
        bytes[at::COOKIE..].copy_from_slice(&COOKIE);
        Self { bytes }.option(option::MESSAGE_TYPE, &[kind as u8])
    }

    /// Sets `flags`.
    pub fn flags(mut self, flags: u16) -> Self {
        self.bytes[at::FLAGS..at::FLAGS + 2].copy_from_slice(&flags.to_be_bytes());
        self
    }

    /// Sets `ciaddr`.
    pub fn ciaddr(self, address: Ipv4Addr) -> Self {
        self.address(at::CIADDR, address)
    }

    /// Sets `yiaddr`.
    pub fn yiaddr(self, address: Ipv4Addr) -> Self {
        self.address(at::YIADDR, address)
    }

    /// Sets `giaddr`.
    pub fn giaddr(self, address: Ipv4Addr) -> Self {
        self.address(at::GIADDR, address)
    }

    /// Appends an option; content past 255 octets goes into further occurrences (RFC 3396).
    pub fn option(mut self, code: u8, content: &[u8]) -> Self {
        self.bytes.extend(spill::pieces(code, content));
        self
    }

    /// Octets so far, with End.
    fn len(&self) -> usize {
        self.bytes.len() + 1
    }

    /// The message, with End, padded to 300 octets.
    pub fn build(mut self) -> Vec<u8> {
        self.bytes.push(END);
        let length = self.bytes.len().max(MIN_MESSAGE);
        self.bytes.resize(length, 0);
        self.bytes
    }

    fn address(mut self, at: usize, address: Ipv4Addr) -> Self {
        self.bytes[at..at + 4].copy_from_slice(&address.octets());
        self
    }
}

/// A DHCPNAK to a DHCPREQUEST, in the name of the server (RFC 2131 §4.3.2, table 3). Through a relay the broadcast bit is set, so
/// that it reaches a client whose address is wrong; the client identifier is echoed (RFC 6842). No longer than its client takes
/// (option 57): the text for people is left out before anything else is refused.
pub fn nak(request: &Message<'_>, server_id: Ipv4Addr, reason: &str) -> Result<Vec<u8>, EditError> {
    let relayed = !request.giaddr().is_unspecified();
    let flags = if relayed { request.flags() | BROADCAST } else { request.flags() };
    let mut builder = Builder::new(MessageType::Nak, request.xid(), request.chaddr())
        .flags(flags)
        .giaddr(request.giaddr())
        .option(option::SERVER_ID, &server_id.octets());
    if let Some(client_id) = request.client_id() {
        builder = builder.option(option::CLIENT_ID, &client_id);
    }
    let limit = request.max_reply();
    if builder.len() > limit {
        return Err(EditError::MessageTooLong { needed: builder.len(), limit });
    }
    let text = builder.len() + spill::encoded_len(reason.len()) <= limit;
    Ok(if text && !reason.is_empty() { builder.option(option::MESSAGE, reason.as_bytes()) } else { builder }.build())
}
