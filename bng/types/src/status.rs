//! The gateway's status and control endpoint: HTTPS with mutual TLS on the node's address, for the operator and the api.
//!
//! - `GET /v1/status?after=VERSION&waitSeconds=N` answers a [`BngStatus`] as soon as its version is past VERSION, at the
//!   latest after N (0–60) seconds;
//! - `POST /v1/sessions/{session id}/disconnect` answers a [`DisconnectAnswer`] when it is done (404: no such session);
//! - `POST /v1/drain` stops every session; [`BngStatus::drained`] tells when that is done and published. It holds across
//!   restarts until `DELETE /v1/drain` lets sessions start again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    config::is_default,
    event::BngHealth,
    id::{BngId, InstanceId},
};

/// How the gateway is, by its own word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BngStatus {
    /// Grows with every change; for the next `after`. A restart of the daemon may lower it.
    pub version: u64,
    /// The gateway.
    pub bng_id: BngId,
    /// The life of its journal.
    pub instance_id: InstanceId,
    /// The `configRevision` of the configuration in force.
    pub config_revision: String,
    /// ConfigApplied, LinksReady, PoolsMatch, DhcpReachable, RadiusReachable, AccountingDelivered, EventsFlowing,
    /// LeasesReconciled, PoliciesFound, ShapingAvailable, CoaListening.
    pub conditions: Vec<Condition>,
    /// Sessions by state.
    pub sessions: SessionCounts,
    /// The load.
    pub health: BngHealth,
    /// The last seq given out.
    pub last_seq: u64,
    /// The last seq known to be committed in the database.
    pub committed_seq: u64,
    /// A drain was ordered.
    pub draining: bool,
    /// Every session is stopped, accounted, and its events are committed.
    pub drained: bool,
    /// Dropped messages by label, since the daemon started.
    pub drops: BTreeMap<String, u64>,
    /// Packets dropped since the gate was made because they came from elsewhere than their source address is; by the address of the
    /// access router that sent them, and `unknown` for frames of no known router or of nobody on the link.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spoofed: BTreeMap<String, u64>,
    /// Access routers by name: whether each shows life.
    #[serde(default, skip_serializing_if = "is_default")]
    pub routers: BTreeMap<String, bool>,
    /// How sessions and the DHCP server's leases differed.
    #[serde(default)]
    pub leases: LeaseDrift,
    /// How sessions and policies go together.
    #[serde(default)]
    pub policies: PolicyUse,
    /// The DHCP servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dhcp_servers: Vec<DhcpServer>,
    /// The RADIUS servers, each in both of its roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub radius_servers: Vec<RadiusServer>,
    /// Subscribers whose policy says Shape.
    #[serde(default)]
    pub shaping: Shaped,
    /// How far RADIUS accounting is.
    #[serde(default)]
    pub accounting: AccountingState,
    /// CoA-Requests and Disconnect-Requests that were answered, by kind (`coa`, `disconnect`) and outcome (`ack`, `nak-503`, …;
    /// `repeated` = a retransmission, answered again), since the daemon started. Those that were not believed are in `drops`.
    #[serde(default, skip_serializing_if = "crate::config::is_default")]
    pub coa: std::collections::BTreeMap<String, std::collections::BTreeMap<String, u64>>,
    /// How long the last reading of everybody's counters took, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters_read_ms: Option<u64>,
    /// When this was said.
    pub at: Timestamp,
}

/// One condition, to be shown on the BNG object (Kubernetes API conventions).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// CamelCase type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `None` = Unknown.
    pub status: Option<bool>,
    /// CamelCase reason.
    pub reason: String,
    /// For people; says what to do when the condition is bad.
    pub message: String,
}

/// Sessions by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionCounts {
    /// All.
    pub total: u32,
    /// SessionState PENDING.
    pub pending: u32,
    /// SessionState ACTIVE.
    pub active: u32,
    /// SessionState IDLE.
    pub idle: u32,
    /// AuthState AUTHORIZED.
    pub authorized: u32,
    /// AuthState REJECTED.
    pub rejected: u32,
}

/// One DHCP server, as clients' exchanges and the gateway's own probes show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DhcpServer {
    /// Its address.
    pub address: std::net::Ipv4Addr,
    /// False: it left several clients and a probe without an answer.
    pub answers: bool,
    /// It gets DISCOVERs. Where no server answers, all of them do.
    pub in_service: bool,
    /// Clients' messages that were passed on to it and want an answer, since the daemon started.
    pub asked: u64,
    /// Its answers, those to probes included.
    pub answered: u64,
}

/// One RADIUS server in one of its roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RadiusServer {
    /// Where it is asked.
    pub address: std::net::SocketAddr,
    /// What for.
    pub role: RadiusRole,
    /// False: others are asked first.
    pub alive: bool,
    /// Since the daemon started.
    #[serde(flatten)]
    pub counts: RadiusCounts,
}

/// What a RADIUS server is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RadiusRole {
    /// Access-Request.
    Auth,
    /// Accounting-Request.
    Acct,
}

/// What was asked of a RADIUS server, and what came of it. A request that moves on to another server counts for each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RadiusCounts {
    /// Requests, Status-Server not among them.
    pub requests: u64,
    /// How often one was sent again.
    pub retransmissions: u64,
    /// Answers that verified, by kind: `access-accept`, `access-reject`, `access-challenge`, `accounting-response`.
    pub answers: BTreeMap<String, u64>,
    /// Replies that did not verify.
    pub refused: u64,
    /// Requests of which no transmission was answered.
    pub timeouts: u64,
    /// Status-Server packets.
    pub probes: u64,
    /// Of those, answered.
    pub probes_answered: u64,
    /// How often it died.
    pub deaths: u64,
    /// Answers to requests that were sent once: of those it is known how long they took.
    pub round_trips: u64,
    /// How long these took together, microseconds.
    pub round_trips_us: u64,
}

/// How far RADIUS accounting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AccountingState {
    /// Records that wait in the journal for a server.
    pub waiting: u64,
    /// Records that no server took and that lie in the state directory for somebody to look at.
    pub dead_letters: u64,
}

/// How sessions and the DHCP server's leases differed. Counts of the last pass, and of what was healed since the daemon started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseDrift {
    /// Active leases within the pools, in the last whole pass.
    pub leases: u32,
    /// Of those, leases whose session was ended here on purpose: they stay without one.
    pub ended_here: u32,
    /// Of those, leases without usable option 82: nobody knows whose they are.
    pub unattributed: u32,
    /// Leases without a session that were given one.
    pub adopted: u64,
    /// Sessions without a lease that were stopped.
    pub stopped: u64,
    /// Sessions whose subscriber had moved to another lease.
    pub moved: u64,
}

/// How sessions and policies go together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyUse {
    /// Sessions by the policy in force.
    pub sessions: BTreeMap<String, u32>,
    /// Sessions that reach a walled garden only.
    pub confined: u32,
    /// Sessions whose Filter-Id names no policy: the next in precedence applies.
    pub unknown: u32,
    /// Of those, how many by Filter-Id; at most 64 Filter-Ids.
    pub unknown_filter_ids: BTreeMap<String, u32>,
    /// Sessions whose policy was deleted while it applied, by its name, since the daemon started; the last 64 names at most.
    pub fell_back: BTreeMap<String, u64>,
}

/// Subscribers whose policy says Shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shaped {
    /// They have classes.
    pub shaped: u32,
    /// They are policed instead, in one direction at least.
    pub policed: u32,
}

/// What came of an order to disconnect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DisconnectAnswer {
    /// True: the session is stopped and journalled.
    pub done: bool,
    /// Why not, for people.
    pub reason: Option<String>,
}
