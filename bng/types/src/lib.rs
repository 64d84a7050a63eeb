//! The vocabulary that every part of Lastmile shares.
//!
//! Plain data and its serialised forms, nothing else: no clock is read here, nothing is sent or stored.
//! [`event`] is what travels on the stream, [`config`] is what the operator renders for a gateway, and
//! [`status`] is what the gateway answers to it.

pub mod access;
pub mod config;
pub mod counters;
pub mod event;
pub mod id;
pub mod relay;
pub mod session;
pub mod shared;
pub mod status;

pub use access::{Attachment, Octets, SessionKey};
pub use counters::Counters;
pub use event::{Envelope, Event};
pub use id::{BngId, InstanceId, MacAddr, SessionId};
pub use jiff::Timestamp;
pub use shared::Shared;
