//! Octets to values and back: Ethernet, IPv4 and UDP ([`frame`]), DHCP ([`dhcp`]) with its Relay Agent Information
//! ([`option82`]), RADIUS ([`radius`]), and the entries of the event stream ([`stream`]).
//!
//! No I/O, no clock, no randomness. Every decoder is total: it takes any octets and either understands them or says, as a
//! value, why not. What a decoder refuses is expected on a wire, so refusals are [`Drop`]s with a stable label for a counter.

pub mod dhcp;
mod drop;
pub mod frame;
pub mod option82;
pub mod radius;
pub mod stream;

pub use drop::Drop;
