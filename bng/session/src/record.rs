//! The journal's one record: a change of state with its events and its accounting.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use lastmile_types::{Event, SessionId, Shared};
use serde::{Deserialize, Serialize};

use crate::{
    accounting::AccountingRecord, dormant::Dormant, router::Router, session::Session, time::Stamp, tombstone::Tombstone,
};

/// What one input changed, said and owes. Applying records in order to a [`Snapshot`] rebuilds the machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// Boot time of the input, milliseconds.
    pub boot_ms: u64,
    /// The new state of what changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What happened, numbered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<RecordedEvent>,
    /// What RADIUS accounting has to be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounting: Vec<AccountingRecord>,
}

impl Record {
    /// Nothing to write.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.events.is_empty() && self.accounting.is_empty()
    }
}

/// The new state of one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Change {
    /// A session, whole.
    Session(Shared<Session>),
    /// A session's lease was prolonged, and nothing else of it changed: by far the most frequent change.
    Prolonged {
        /// The session.
        id: SessionId,
        /// When its lease ends now.
        lease_end: Stamp,
    },
    /// A session is no more.
    Ended(SessionId),
    /// A router, whole.
    Router(Box<Router>),
    /// A drain was ordered.
    Draining(bool),
    /// A subscriber who was stopped for being idle, or (`None`) is so no more.
    Dormant {
        /// His address.
        ip: Ipv4Addr,
        /// What he needs to come back.
        dormant: Option<Box<Dormant>>,
    },
    /// A lease whose session was ended here on purpose, or (`None`) may have one again.
    Tombstone {
        /// Its address.
        ip: Ipv4Addr,
        /// The lease.
        tombstone: Option<Tombstone>,
    },
}

/// An event with its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedEvent {
    /// From 1, without gaps.
    pub seq: u64,
    /// Fixed here for good.
    pub ts: Timestamp,
    /// What happened.
    pub event: Event,
}

/// All that the machine must know after a restart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Snapshot {
    /// The last seq given out.
    pub last_seq: u64,
    /// The last accounting number given out.
    pub last_accounting: u64,
    /// Boot time of the last record.
    pub boot_ms: u64,
    /// A drain was ordered.
    pub draining: bool,
    /// Every session, those that are ending included.
    pub sessions: std::collections::BTreeMap<SessionId, Shared<Session>>,
    /// Every router.
    pub routers: std::collections::BTreeMap<String, Router>,
    /// Leases whose sessions were ended here on purpose, by address.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub tombstones: std::collections::BTreeMap<Ipv4Addr, Tombstone>,
    /// Subscribers who were stopped for being idle, by address.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub dormant: std::collections::BTreeMap<Ipv4Addr, Dormant>,
}

impl Snapshot {
    /// Takes one record on.
    pub fn apply(&mut self, record: &Record) {
        self.boot_ms = record.boot_ms;
        for change in &record.changes {
            match change {
                Change::Session(session) => {
                    self.sessions.insert(session.id, session.clone());
                }
                Change::Prolonged { id, lease_end } => {
                    if let Some(session) = self.sessions.get_mut(id) {
                        session.make_mut().lease_end = *lease_end;
                    }
                }
                Change::Ended(id) => {
                    self.sessions.remove(id);
                }
                Change::Router(router) => {
                    self.routers.insert(router.name.clone(), (**router).clone());
                }
                Change::Draining(draining) => self.draining = *draining,
                Change::Dormant { ip, dormant: Some(dormant) } => {
                    self.dormant.insert(*ip, (**dormant).clone());
                }
                Change::Dormant { ip, dormant: None } => {
                    self.dormant.remove(ip);
                }
                Change::Tombstone { ip, tombstone: Some(tombstone) } => {
                    self.tombstones.insert(*ip, *tombstone);
                }
                Change::Tombstone { ip, tombstone: None } => {
                    self.tombstones.remove(ip);
                }
            }
        }
        if let Some(event) = record.events.last() {
            self.last_seq = event.seq;
        }
        if let Some(accounting) = record.accounting.last() {
            self.last_accounting = accounting.number;
        }
    }
}
