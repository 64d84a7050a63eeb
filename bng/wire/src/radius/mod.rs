//! RADIUS packets (RFC 2865, 2866, 2869, 5176; Message-Authenticator as CVE-2024-3596 asks for).
//!
//! Requests are encoded in one go, signature included. A received packet becomes a [`Packet`] only when its signature holds, so
//! that no caller can look at an unverified one: [`verify_response`] for replies to us, [`verify_request`] for what
//! servers ask of us (and, in tests, for what we ask of them).

mod attributes;
mod crypto;
mod dictionary;
mod packet;
#[cfg(test)]
mod tests;

pub use attributes::{Attributes, TooLong, Typed, attr, vendor, vendor_attributes};
pub use dictionary::{Definition, Dictionary, DictionaryError, DictionaryProblem, Form, Place};
pub use packet::{
    AUTHENTICATOR, Authenticator, Code, Packet, Request, RequireMessageAuthenticator, access_request,
    accounting_request, dynamic_request, identifier_of, reply, status_request, verify_request, verify_response,
};
