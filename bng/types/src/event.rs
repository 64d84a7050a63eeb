//! Events: what a gateway says happened, in the order in which it happened.
//!
//! On the Redis stream `bng_events` an [`Envelope`] is an entry of flat fields (`schema`, `bng_id`, `bng_instance_id`, `seq`,
//! `event_type`, `ts`) whose `payload` field is the JSON of the [`Event`]'s content.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    access::Octets,
    id::{BngId, InstanceId},
    session::SessionSnapshot,
};

/// The stream's key.
pub const STREAM: &str = "bng_events";
/// The hash in which the ingestor publishes, per instance, the highest seq up to which everything is committed.
pub const COMMITTED: &str = "bng_events:committed";
/// The version of the envelope and the payloads.
pub const SCHEMA: u32 = 1;

/// One event with its place in its gateway's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The gateway.
    pub bng_id: BngId,
    /// The life of the gateway's journal.
    pub bng_instance_id: InstanceId,
    /// From 1, without gaps, per instance.
    pub seq: u64,
    /// Fixed when the event was journalled; a re-send carries the same.
    pub ts: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "eventType", content = "payload", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Event {
    /// A DHCPACK assigned an address to a new session.
    SessionStart(Box<SessionSnapshot>),
    /// Interim accounting, or a change of state.
    SessionUpdate(Box<SessionSnapshot>),
    /// The session ended; `ended` is set and the counters are final.
    SessionStop(Box<SessionStop>),
    /// Access-Accept or Access-Reject was received, or a policy changed.
    PolicyApply(Box<PolicyApply>),
    /// An access router was discovered, or its liveness changed.
    RouterUpdate(RouterUpdate),
    /// The gateway's own load.
    BngHealthUpdate(BngHealth),
}

impl Envelope {
    /// The event's place in its gateway's order.
    pub const fn position(&self) -> Position {
        Position { bng_instance_id: self.bng_instance_id, seq: self.seq }
    }
}

impl Event {
    /// The entry's `event_type` field.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::SessionStart(_) => "SESSION_START",
            Self::SessionUpdate(_) => "SESSION_UPDATE",
            Self::SessionStop(_) => "SESSION_STOP",
            Self::PolicyApply(_) => "POLICY_APPLY",
            Self::RouterUpdate(_) => "ROUTER_UPDATE",
            Self::BngHealthUpdate(_) => "BNG_HEALTH_UPDATE",
        }
    }

    /// The session that the event is about, whole.
    pub fn session(&self) -> Option<&SessionSnapshot> {
        match self {
            Self::SessionStart(session) | Self::SessionUpdate(session) => Some(session),
            Self::SessionStop(stop) => Some(&stop.session),
            Self::PolicyApply(apply) => Some(&apply.session),
            Self::RouterUpdate(_) | Self::BngHealthUpdate(_) => None,
        }
    }
}

/// The end of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionStop {
    /// Final state; `ended` is set.
    #[serde(flatten)]
    pub session: SessionSnapshot,
    /// Set when the operator closed the session of a gateway that is gone: the last event of that gateway that it saw. Any
    /// later event of the session from a gateway supersedes this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisional_after: Option<Position>,
}

/// The place of an event in its gateway's order. Ordered by instance first: a later life of the journal sorts later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// The life of the gateway's journal.
    pub bng_instance_id: InstanceId,
    /// From 1, without gaps, per instance.
    pub seq: u64,
}

/// What AAA or a policy change did to a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyApply {
    /// The session with the outcome already applied.
    #[serde(flatten)]
    pub session: SessionSnapshot,
    /// Filter-Id of the Access-Accept (RFC 2865 §5.11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_id: Option<String>,
    /// Why, for people: e.g. `Access-Accept`, `Access-Reject: no such line`.
    pub reason: String,
}

/// What is known of an access router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouterUpdate {
    /// The name, printable; the circuit-id's prefix, else the giaddr.
    pub name: String,
    /// The name's octets as they came.
    pub raw_id: Octets,
    /// The address it relays from.
    pub giaddr: Option<Ipv4Addr>,
    /// Whether it answers, as DHCP traffic or ICMP showed.
    pub alive: bool,
    /// Last ICMP round trip, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u32>,
    /// When DHCP first came through it.
    pub first_seen: Timestamp,
    /// When it last showed life.
    pub last_seen: Timestamp,
}

/// A gateway's load, over the interval since its last report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BngHealth {
    /// Cores in use (1.0 = one core busy) by the gateway's cgroup.
    pub cpu_cores: f64,
    /// Memory of the gateway's cgroup, octets.
    pub memory_bytes: u64,
    /// Sessions that have an address.
    pub sessions: u32,
    /// Of those, sessions that AAA authorised.
    pub authorized: u32,
    /// Seconds since the daemon started.
    pub uptime_seconds: u64,
}
