//! Packets: encoding with signature, and verification before anything else.

use super::{
    attributes::{Attributes, TooLong, attr, walk},
    crypto::{hide_password, hmac_md5, md5, same},
};
use crate::Drop;

/// A Request or Response Authenticator.
pub type Authenticator = [u8; AUTHENTICATOR];
/// Octets of an authenticator.
pub const AUTHENTICATOR: usize = 16;

const HEADER: usize = 20;
const MAX: usize = 4096;
const NONE: Authenticator = [0; AUTHENTICATOR];
/// A Message-Authenticator that is to be filled in.
const NO_SIGNATURE: [u8; 18] = {
    let mut octets = [0; 18];
    (octets[0], octets[1]) = (attr::MESSAGE_AUTHENTICATOR, 18);
    octets
};
/// Room for most packets.
const COMMON: usize = 512;

/// A packet's code (RFC 2865 §4, RFC 2866 §4, RFC 5176 §2.3, RFC 5997).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u8);

#[allow(missing_docs)] // the names are the RFCs'
impl Code {
    pub const ACCESS_REQUEST: Self = Self(1);
    pub const ACCESS_ACCEPT: Self = Self(2);
    pub const ACCESS_REJECT: Self = Self(3);
    pub const ACCOUNTING_REQUEST: Self = Self(4);
    pub const ACCOUNTING_RESPONSE: Self = Self(5);
    pub const ACCESS_CHALLENGE: Self = Self(11);
    pub const STATUS_SERVER: Self = Self(12);
    pub const DISCONNECT_REQUEST: Self = Self(40);
    pub const DISCONNECT_ACK: Self = Self(41);
    pub const DISCONNECT_NAK: Self = Self(42);
    pub const COA_REQUEST: Self = Self(43);
    pub const COA_ACK: Self = Self(44);
    pub const COA_NAK: Self = Self(45);
}

/// A packet whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub code: Code,
    /// Matches replies to requests.
    pub identifier: u8,
    /// As received.
    pub authenticator: Authenticator,
    /// As received, Message-Authenticator included.
    pub attributes: Attributes,
}

/// An encoded request: what to send, and what its reply is verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The datagram. Retransmit these octets as they are: same identifier, same authenticator.
    pub bytes: Vec<u8>,
    /// Its code.
    pub code: Code,
    /// Its identifier.
    pub identifier: u8,
    /// Its Request Authenticator.
    pub authenticator: Authenticator,
}

/// Whether a packet without Message-Authenticator is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequireMessageAuthenticator {
    /// Refuse it.
    Yes,
    /// Take it by its authenticator; when there is one it is verified all the same.
    No,
}

/// The identifier of a datagram, to find the request it may answer before verifying it.
pub fn identifier_of(datagram: &[u8]) -> Option<u8> {
    datagram.get(1).copied()
}

/// An Access-Request: Message-Authenticator first, User-Password hidden. `authenticator` must be unpredictable (16 random octets).
/// `attributes` hold neither of the two. A password has at most 128 octets.
pub fn access_request(
    identifier: u8,
    authenticator: Authenticator,
    password: Option<&[u8]>,
    attributes: &Attributes,
    secret: &[u8],
) -> Result<Request, TooLong> {
    let mut hidden = Attributes::new();
    if let Some(password) = password {
        if password.len() > 128 {
            return Err(TooLong(password.len()));
        }
        hidden.push(attr::USER_PASSWORD, &hide_password(password, secret, &authenticator))?;
    }
    sealed_request(Code::ACCESS_REQUEST, identifier, authenticator, &[attributes, &hidden], secret)
}

/// A Status-Server (RFC 5997 §3): asks whether a server lives; Message-Authenticator is mandatory.
pub fn status_request(
    identifier: u8,
    authenticator: Authenticator,
    attributes: &Attributes,
    secret: &[u8],
) -> Result<Request, TooLong> {
    sealed_request(Code::STATUS_SERVER, identifier, authenticator, &[attributes], secret)
}

/// Message-Authenticator first, over the whole packet with its own octets zero.
fn sealed_request(
    code: Code,
    identifier: u8,
    authenticator: Authenticator,
    attributes: &[&Attributes],
    secret: &[u8],
) -> Result<Request, TooLong> {
    let mut bytes = begin(code, identifier, &authenticator);
    bytes.extend(NO_SIGNATURE);
    let mut bytes = finish(bytes, attributes)?;
    sign(&mut bytes, secret);
    Ok(Request { bytes, code, identifier, authenticator })
}

/// An Accounting-Request (RFC 2866 §3): signed by its Request Authenticator.
pub fn accounting_request(identifier: u8, attributes: &Attributes, secret: &[u8]) -> Result<Request, TooLong> {
    signed_request(Code::ACCOUNTING_REQUEST, identifier, &[attributes], secret)
}

/// A CoA-Request or Disconnect-Request with Message-Authenticator (RFC 5176 §3.4): what a server sends.
pub fn dynamic_request(code: Code, identifier: u8, attributes: &Attributes, secret: &[u8]) -> Result<Request, TooLong> {
    let mut unsigned = Attributes::new();
    unsigned.push(attr::MESSAGE_AUTHENTICATOR, &NONE)?;
    signed_request(code, identifier, &[&unsigned, attributes], secret)
}

fn signed_request(code: Code, identifier: u8, attributes: &[&Attributes], secret: &[u8]) -> Result<Request, TooLong> {
    let mut bytes = finish(begin(code, identifier, &NONE), attributes)?;
    if bytes.get(HEADER) == Some(&attr::MESSAGE_AUTHENTICATOR) {
        sign(&mut bytes, secret);
    }
    let authenticator = md5(&[&bytes, secret]);
    bytes[4..HEADER].copy_from_slice(&authenticator);
    Ok(Request { bytes, code, identifier, authenticator })
}

/// A reply to a verified request: Message-Authenticator first, Proxy-State echoed (RFC 2865 §5.33), then the attributes.
pub fn reply(request: &Packet, code: Code, attributes: &Attributes, secret: &[u8]) -> Result<Vec<u8>, TooLong> {
    let mut states = Attributes::new();
    for state in request.attributes.all(attr::PROXY_STATE) {
        states.push(attr::PROXY_STATE, state)?;
    }
    let mut bytes = begin(code, request.identifier, &request.authenticator);
    bytes.extend(NO_SIGNATURE);
    let mut bytes = finish(bytes, &[&states, attributes])?;
    sign(&mut bytes, secret);
    let authenticator = md5(&[&bytes, secret]);
    bytes[4..HEADER].copy_from_slice(&authenticator);
    Ok(bytes)
}

/// Decodes a datagram that claims to answer `request`, and verifies that its server knew request and secret: Response
/// Authenticator (RFC 2865 §3) always, Message-Authenticator when there is one or it is required.
pub fn verify_response(
    datagram: &[u8],
    request: &Request,
    secret: &[u8],
    require: RequireMessageAuthenticator,
) -> Result<Packet, Drop> {
    let (packet, bytes) = decode(datagram)?;
    let answers: &[Code] = match request.code {
        Code::ACCESS_REQUEST => &[Code::ACCESS_ACCEPT, Code::ACCESS_REJECT, Code::ACCESS_CHALLENGE],
        Code::ACCOUNTING_REQUEST => &[Code::ACCOUNTING_RESPONSE],
        Code::STATUS_SERVER => &[Code::ACCESS_ACCEPT, Code::ACCOUNTING_RESPONSE],
        Code::DISCONNECT_REQUEST => &[Code::DISCONNECT_ACK, Code::DISCONNECT_NAK],
        Code::COA_REQUEST => &[Code::COA_ACK, Code::COA_NAK],
        _ => &[],
    };
    if packet.identifier != request.identifier || !answers.contains(&packet.code) {
        return Err(Drop::RadiusUnexpected);
    }
    let expected = md5(&[&bytes[..4], &request.authenticator, &bytes[HEADER..], secret]);
    if !same(&expected, &packet.authenticator) {
        return Err(Drop::RadiusAuthenticator);
    }
    verify_message_authenticator(bytes, &request.authenticator, secret, require)?;
    Ok(packet)
}

/// Decodes and verifies a request that is signed by its Request Authenticator: CoA, Disconnect (RFC 5176 §3.4), accounting.
pub fn verify_request(datagram: &[u8], secret: &[u8], require: RequireMessageAuthenticator) -> Result<Packet, Drop> {
    let (packet, bytes) = decode(datagram)?;
    if ![Code::COA_REQUEST, Code::DISCONNECT_REQUEST, Code::ACCOUNTING_REQUEST].contains(&packet.code) {
        return Err(Drop::RadiusUnexpected);
    }
    if !same(&md5(&[&bytes[..4], &NONE, &bytes[HEADER..], secret]), &packet.authenticator) {
        return Err(Drop::RadiusAuthenticator);
    }
    verify_message_authenticator(bytes, &NONE, secret, require)?;
    Ok(packet)
}

fn verify_message_authenticator(
    bytes: &[u8],
    authenticator: &Authenticator,
    secret: &[u8],
    require: RequireMessageAuthenticator,
) -> Result<(), Drop> {
    let mut place = HEADER;
    let mut found = None;
    for (kind, value) in walk(&bytes[HEADER..]).map_while(Result::ok) {
        if kind == attr::MESSAGE_AUTHENTICATOR && (found.replace(place + 2).is_some() || value.len() != AUTHENTICATOR) {
            return Err(Drop::RadiusMessageAuthenticator);
        }
        place += 2 + value.len();
    }
    let Some(at) = found else {
        return match require {
            RequireMessageAuthenticator::Yes => Err(Drop::RadiusNoMessageAuthenticator),
            RequireMessageAuthenticator::No => Ok(()),
        };
    };
    let (before, after) = (&bytes[HEADER..at], &bytes[at + AUTHENTICATOR..]);
    let expected = hmac_md5(secret, &[&bytes[..4], authenticator, before, &NONE, after]);
    if same(&expected, &bytes[at..at + AUTHENTICATOR]) { Ok(()) } else { Err(Drop::RadiusMessageAuthenticator) }
}

/// The packet and its octets without padding (RFC 2865 §3: octets past Length are ignored).
fn decode(datagram: &[u8]) -> Result<(Packet, &[u8]), Drop> {
    let header = datagram.first_chunk::<HEADER>().ok_or(Drop::RadiusMalformed)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if !(HEADER..=MAX).contains(&length) {
        return Err(Drop::RadiusMalformed);
    }
    let bytes = datagram.get(..length).ok_or(Drop::RadiusMalformed)?;
    let mut authenticator = NONE;
    authenticator.copy_from_slice(&header[4..]);
    let attributes = Attributes::decode(&bytes[HEADER..])?;
    Ok((Packet { code: Code(header[0]), identifier: header[1], authenticator, attributes }, bytes))
}

/// A packet without attributes, and without its length.
fn begin(code: Code, identifier: u8, authenticator: &Authenticator) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(COMMON);
    bytes.extend([code.0, identifier, 0, 0]);
    bytes.extend(authenticator);
    bytes
}

/// The attributes follow, and its length is known.
fn finish(mut bytes: Vec<u8>, attributes: &[&Attributes]) -> Result<Vec<u8>, TooLong> {
    attributes.iter().for_each(|list| bytes.extend_from_slice(list.octets()));
    if bytes.len() > MAX {
        return Err(TooLong(bytes.len()));
    }
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// Fills the Message-Authenticator in that stands first.
fn sign(bytes: &mut [u8], secret: &[u8]) {
    let signature = hmac_md5(secret, &[bytes]);
    bytes[HEADER + 2..HEADER + 18].copy_from_slice(&signature);
}
