//! Attributes: the list of a packet, in its order.

use std::net::Ipv4Addr;

use super::dictionary::Place;
use crate::Drop;

/// Attribute types that the gateway speaks of, by their RFC's names.
pub mod attr {
    /// RFC 2865 §5.1.
    pub const USER_NAME: u8 = 1;
    /// RFC 2865 §5.2.
    pub const USER_PASSWORD: u8 = 2;
    /// RFC 2865 §5.4.
    pub const NAS_IP_ADDRESS: u8 = 4;
    /// RFC 2865 §5.5.
    pub const NAS_PORT: u8 = 5;
    /// RFC 2865 §5.6.
    pub const SERVICE_TYPE: u8 = 6;
    /// RFC 2865 §5.8.
    pub const FRAMED_IP_ADDRESS: u8 = 8;
    /// RFC 2865 §5.11.
    pub const FILTER_ID: u8 = 11;
    /// RFC 2865 §5.18.
    pub const REPLY_MESSAGE: u8 = 18;
    /// RFC 2865 §5.24.
    pub const STATE: u8 = 24;
    /// RFC 2865 §5.25.
    pub const CLASS: u8 = 25;
    /// RFC 2865 §5.26.
    pub const VENDOR_SPECIFIC: u8 = 26;
    /// RFC 2865 §5.27, seconds.
    pub const SESSION_TIMEOUT: u8 = 27;
    /// RFC 2865 §5.28, seconds.
    pub const IDLE_TIMEOUT: u8 = 28;
    /// RFC 2865 §5.30.
    pub const CALLED_STATION_ID: u8 = 30;
    /// RFC 2865 §5.31.
    pub const CALLING_STATION_ID: u8 = 31;
    /// RFC 2865 §5.32.
    pub const NAS_IDENTIFIER: u8 = 32;
    /// RFC 2865 §5.33.
    pub const PROXY_STATE: u8 = 33;
    /// RFC 2866 §5.1: [`STATUS_START`] and its neighbours.
    pub const ACCT_STATUS_TYPE: u8 = 40;
    /// RFC 2866 §5.2, seconds.
    pub const ACCT_DELAY_TIME: u8 = 41;
    /// RFC 2866 §5.3: received **from** the subscriber, modulo 2^32.
    pub const ACCT_INPUT_OCTETS: u8 = 42;
    /// RFC 2866 §5.4: sent **to** the subscriber, modulo 2^32.
    pub const ACCT_OUTPUT_OCTETS: u8 = 43;
    /// RFC 2866 §5.5.
    pub const ACCT_SESSION_ID: u8 = 44;
    /// RFC 2866 §5.6.
    pub const ACCT_AUTHENTIC: u8 = 45;
    /// RFC 2866 §5.7, seconds.
    pub const ACCT_SESSION_TIME: u8 = 46;
    /// RFC 2866 §5.8.
    pub const ACCT_INPUT_PACKETS: u8 = 47;
    /// RFC 2866 §5.9.
    pub const ACCT_OUTPUT_PACKETS: u8 = 48;
    /// RFC 2866 §5.10.
    pub const ACCT_TERMINATE_CAUSE: u8 = 49;
    /// RFC 2869 §5.1.
    pub const ACCT_INPUT_GIGAWORDS: u8 = 52;
    /// RFC 2869 §5.2.
    pub const ACCT_OUTPUT_GIGAWORDS: u8 = 53;
    /// RFC 2869 §5.3, seconds since 1970.
    pub const EVENT_TIMESTAMP: u8 = 55;
    /// RFC 2865 §5.41.
    pub const NAS_PORT_TYPE: u8 = 61;
    /// RFC 2869 §5.14.
    pub const MESSAGE_AUTHENTICATOR: u8 = 80;
    /// RFC 2869 §5.16, seconds.
    pub const ACCT_INTERIM_INTERVAL: u8 = 85;
    /// RFC 2869 §5.17.
    pub const NAS_PORT_ID: u8 = 87;
    /// RFC 5176 §3.5.
    pub const ERROR_CAUSE: u8 = 101;

    /// Acct-Status-Type Start.
    pub const STATUS_START: u32 = 1;
    /// Acct-Status-Type Stop.
    pub const STATUS_STOP: u32 = 2;
    /// Acct-Status-Type Interim-Update.
    pub const STATUS_INTERIM: u32 = 3;
    /// Acct-Status-Type Accounting-On.
    pub const STATUS_ON: u32 = 7;
    /// Acct-Status-Type Accounting-Off.
    pub const STATUS_OFF: u32 = 8;
    /// NAS-Port-Type Ethernet.
    pub const PORT_TYPE_ETHERNET: u32 = 15;
    /// Service-Type Framed.
    pub const SERVICE_FRAMED: u32 = 2;
    /// Acct-Authentic RADIUS.
    pub const AUTHENTIC_RADIUS: u32 = 1;
}

/// Vendor-specific attributes.
pub mod vendor {
    /// The Broadband Forum's private enterprise number (RFC 4679).
    pub const ADSL_FORUM: u32 = 3561;
    /// RFC 4679 §3.3.1: the circuit-id's octets.
    pub const AGENT_CIRCUIT_ID: u8 = 1;
    /// RFC 4679 §3.3.2: the remote-id's octets.
    pub const AGENT_REMOTE_ID: u8 = 2;
}

/// A value is longer than its attribute can carry, or the packet than 4,096 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("RADIUS cannot carry {0} octets there")]
pub struct TooLong(pub usize);

/// Attributes in their order, as they lie in a packet: a list of them is well-formed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    octets: Vec<u8>,
}

impl Attributes {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends octets. Empty values are left out: RFC 2865 §5 forbids sending them.
    pub fn push(&mut self, kind: u8, value: &[u8]) -> Result<&mut Self, TooLong> {
        if value.len() > 253 {
            return Err(TooLong(value.len()));
        }
        if !value.is_empty() {
            self.append(kind, &[value]);
        }
        Ok(self)
    }

    /// Appends a number (integer, time, enumeration).
    pub fn push_u32(&mut self, kind: u8, value: u32) -> &mut Self {
        self.append(kind, &[&value.to_be_bytes()]);
        self
    }

    /// Appends an address.
    pub fn push_address(&mut self, kind: u8, value: Ipv4Addr) -> &mut Self {
        self.push_u32(kind, value.into())
    }

    /// Appends a 64-bit counter as the octets attribute and its gigawords (RFC 2869 §5.1), the latter only when not zero.
    pub fn push_counter(&mut self, octets: u8, gigawords: u8, value: u64) -> &mut Self {
        self.push_u32(octets, value as u32);
        if value >> 32 != 0 {
            self.push_u32(gigawords, (value >> 32) as u32);
        }
        self
    }

    /// Appends a vendor's attribute (RFC 2865 §5.26), at most 247 octets.
    pub fn push_vendor(&mut self, vendor: u32, kind: u8, value: &[u8]) -> Result<&mut Self, TooLong> {
        if value.len() > 247 {
            return Err(TooLong(value.len()));
        }
        if value.is_empty() {
            return Ok(self);
        }
        self.append(attr::VENDOR_SPECIFIC, &[&vendor.to_be_bytes(), &[kind, value.len() as u8 + 2], value]);
        Ok(self)
    }

    /// The first attribute of this type.
    pub fn get(&self, kind: u8) -> Option<&[u8]> {
        self.all(kind).next()
    }

    /// Every attribute of this type.
    pub fn all(&self, kind: u8) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(other, _)| *other == kind).map(|(_, value)| value)
    }

    /// The first attribute of this type as a number; `None` when it has not four octets.
    pub fn u32(&self, kind: u8) -> Option<u32> {
        self.get(kind)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// The first attribute of this type as an address.
    pub fn address(&self, kind: u8) -> Option<Ipv4Addr> {
        self.u32(kind).map(Ipv4Addr::from)
    }

    /// The first attribute of this type as text; `None` when it is no UTF-8.
    pub fn text(&self, kind: u8) -> Option<&str> {
        std::str::from_utf8(self.get(kind)?).ok()
    }

    /// Octets and gigawords as one number.
    pub fn counter(&self, octets: u8, gigawords: u8) -> Option<u64> {
        Some(u64::from(self.u32(gigawords).unwrap_or(0)) << 32 | u64::from(self.u32(octets)?))
    }

    /// The first of a vendor's attributes of this type.
    pub fn vendor(&self, vendor: u32, kind: u8) -> Option<&[u8]> {
        self.vendor_all(vendor, kind).next()
    }

    /// Every one of a vendor's attributes of this type. Vendor-specific content that is not a list of attributes is skipped.
    pub fn vendor_all(&self, vendor: u32, kind: u8) -> impl Iterator<Item = &[u8]> {
        let lists =
            self.all(attr::VENDOR_SPECIFIC).filter_map(move |content| content.strip_prefix(&vendor.to_be_bytes()));
        let list = |content| walk(content).map_while(Result::ok);
        lists.flat_map(list).filter(move |(other, _)| *other == kind).map(|(_, value)| value)
    }

    /// Every attribute at this place.
    pub fn at(&self, place: Place) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        match place {
            Place::Standard(kind) => Box::new(self.all(kind)),
            Place::Vendor { vendor, kind } => Box::new(self.vendor_all(vendor, kind)),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Typed<'_>> {
        walk(&self.octets).map_while(Result::ok)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Drop> {
        walk(bytes).try_for_each(|found| found.map(drop))?;
        Ok(Self { octets: bytes.to_vec() })
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The parts together have at most 253 octets.
    fn append(&mut self, kind: u8, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.octets.extend([kind, length as u8 + 2]);
        parts.iter().for_each(|part| self.octets.extend_from_slice(part));
    }
}

/// An attribute's type and content.
pub type Typed<'a> = (u8, &'a [u8]);

/// The vendor and its attributes in the content of a Vendor-Specific attribute (RFC 2865 §5.26).
pub fn vendor_attributes(content: &[u8]) -> Result<(u32, Vec<Typed<'_>>), Drop> {
    let (vendor, list) = content.split_first_chunk().ok_or(Drop::RadiusMalformed)?;
    Ok((u32::from_be_bytes(*vendor), walk(list).collect::<Result<_, _>>()?))
}

/// Type and content of each attribute of a list.
pub(super) fn walk(mut bytes: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Drop>> {
    std::iter::from_fn(move || {
        let (kind, length) = match bytes {
            [] => return None,
            [kind, length, ..] if (2..=bytes.len()).contains(&usize::from(*length)) => (*kind, usize::from(*length)),
            _ => {
                bytes = &[];
                return Some(Err(Drop::RadiusMalformed));
            }
        };
        let (attribute, rest) = bytes.split_at(length);
        bytes = rest;
        Some(Ok((kind, &attribute[2..])))
    })
}
