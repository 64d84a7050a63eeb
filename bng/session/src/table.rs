//! The sessions and their indexes. What is changed through [`Table::edit`] is remembered for the record.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    ops::Bound,
};

use lastmile_types::{Attachment, BngId, MacAddr, Octets, SessionId, SessionKey};

use crate::session::Session;

/// What a session is called for its whole life: unlike the other indexes, these are not touched when it changes.
#[derive(Debug, Default)]
struct Names {
    by_name: BTreeSet<(String, SessionId)>,
    by_remote: BTreeSet<(Octets, SessionId)>,
}

impl Names {
    fn insert(&mut self, session: &Session) {
        self.by_name.insert((session.subscriber.clone(), session.id));
        self.by_remote.insert((session.key.attachment.remote_id.clone(), session.id));
    }

    fn remove(&mut self, session: &Session) {
        self.by_name.remove(&(session.subscriber.clone(), session.id));
        self.by_remote.remove(&(session.key.attachment.remote_id.clone(), session.id));
    }

    fn check(&self, sessions: &BTreeMap<SessionId, Session>) -> Result<(), String> {
        let mut fresh = Self::default();
        sessions.values().for_each(|session| fresh.insert(session));
        if fresh.by_name == self.by_name && fresh.by_remote == self.by_remote {
            Ok(())
        } else {
            Err("the names differ from the sessions'".to_owned())
        }
    }
}

fn same(id: &Octets, wanted: &Octets, whole: bool) -> bool {
    if whole { id == wanted } else { id.as_bytes().starts_with(wanted.as_bytes()) }
}

/// All sessions. A session that is ending keeps its place by id only: its key and its address are free again.
#[derive(Debug, Default)]
pub(crate) struct Table {
    sessions: BTreeMap<SessionId, Session>,
    by_key: BTreeMap<SessionKey, SessionId>,
    by_ip: BTreeMap<Ipv4Addr, SessionId>,
    by_mac: BTreeSet<(MacAddr, SessionId)>,
    names: Names,
    deadlines: BTreeSet<(u64, SessionId)>,
    dirty: BTreeSet<SessionId>,
}

impl Table {
    pub(crate) fn restore(sessions: impl IntoIterator<Item = Session>) -> Self {
        let mut table = Self::default();
        for session in sessions {
            table.names.insert(&session);
            table.place(session);
        }
        table
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    pub(crate) fn ids(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    pub(crate) fn ids_from(&self, from: Bound<SessionId>) -> impl Iterator<Item = SessionId> {
        self.sessions.range((from, Bound::Unbounded)).map(|(id, _)| *id)
    }

    pub(crate) fn by_ip(&self, ip: Ipv4Addr) -> Option<&Session> {
        self.by_ip.get(&ip).and_then(|id| self.sessions.get(id))
    }

    pub(crate) fn by_key(&self, key: &SessionKey) -> Option<&Session> {
        self.by_key.get(key).and_then(|id| self.sessions.get(id))
    }

    /// Keys sort by place first, so a place's sessions are neighbours.
    pub(crate) fn at(&self, attachment: &Attachment) -> impl Iterator<Item = SessionId> {
        let first = SessionKey { attachment: attachment.clone(), mac: MacAddr([0; 6]) };
        let last = SessionKey { attachment: attachment.clone(), mac: MacAddr([0xff; 6]) };
        self.by_key.range(first..=last).map(|(_, id)| *id)
    }

    pub(crate) fn of_mac(&self, mac: MacAddr) -> impl Iterator<Item = SessionId> {
        let bounds = (mac, SessionId(uuid::Uuid::nil()))..=(mac, SessionId(uuid::Uuid::max()));
        self.by_mac.range(bounds).map(|(_, id)| *id)
    }

    /// Of a circuit; with `whole` false, of all circuits that begin so.
    pub(crate) fn of_circuit(&self, bng_id: &BngId, circuit: &Octets, whole: bool) -> impl Iterator<Item = SessionId> {
        let attachment =
            Attachment { bng_id: bng_id.clone(), circuit_id: circuit.clone(), remote_id: Octets::default() };
        let first = SessionKey { attachment, mac: MacAddr([0; 6]) };
        let here = move |key: &SessionKey| same(&key.attachment.circuit_id, circuit, whole);
        self.by_key.range(first..).take_while(move |(key, _)| here(key)).map(|(_, id)| *id)
    }

    /// With this User-Name; those that are ending included.
    pub(crate) fn of_name(&self, name: &str) -> impl Iterator<Item = SessionId> {
        let first = (name.to_owned(), SessionId(uuid::Uuid::nil()));
        self.names.by_name.range(first..).take_while(move |(other, _)| other == name).map(|(_, id)| *id)
    }

    /// Of a remote-id, as [`Table::of_circuit`]; those that are ending included.
    pub(crate) fn of_remote(&self, remote: &Octets, whole: bool) -> impl Iterator<Item = SessionId> {
        let first = (remote.clone(), SessionId(uuid::Uuid::nil()));
        self.names.by_remote.range(first..).take_while(move |(other, _)| same(other, remote, whole)).map(|(_, id)| *id)
    }

    /// The earliest deadline of all.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Sessions that are due, earliest first.
    pub(crate) fn due(&self, boot_ms: u64) -> Vec<SessionId> {
        self.deadlines.iter().take_while(|(at, _)| *at <= boot_ms).map(|(_, id)| *id).collect()
    }

    pub(crate) fn insert(&mut self, session: Session) {
        self.dirty.insert(session.id);
        self.names.insert(&session);
        self.place(session);
    }

    /// Changes a session; the change is journalled.
    pub(crate) fn edit<T>(&mut self, id: SessionId, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let changed = self.observe(id, change);
        if changed.is_some() {
            self.dirty.insert(id);
        }
        changed
    }

    /// Changes what is not worth a record, such as a reading that the kernel still has after a restart.
    pub(crate) fn observe<T>(&mut self, id: SessionId, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let mut session = self.sessions.remove(&id)?;
        self.unindex(&session);
        let result = change(&mut session);
        self.place(session);
        Some(result)
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        self.unindex(&session);
        self.names.remove(&session);
        self.dirty.remove(&id);
        Some(session)
    }

    /// What was changed since this was last asked.
    pub(crate) fn take_dirty(&mut self) -> Vec<Session> {
        std::mem::take(&mut self.dirty).iter().filter_map(|id| self.sessions.get(id)).cloned().collect()
    }

    fn place(&mut self, session: Session) {
        if session.ending.is_none() {
            self.by_key.insert(session.key.clone(), session.id);
            self.by_ip.insert(session.ip, session.id);
            self.by_mac.insert((session.key.mac, session.id));
        }
        if let Some(at) = session.deadline() {
            self.deadlines.insert((at, session.id));
        }
        self.sessions.insert(session.id, session);
    }

    fn unindex(&mut self, session: &Session) {
        if session.ending.is_none() {
            self.by_key.remove(&session.key);
            self.by_ip.remove(&session.ip);
            self.by_mac.remove(&(session.key.mac, session.id));
        }
        if let Some(at) = session.deadline() {
            self.deadlines.remove(&(at, session.id));
        }
    }

    /// Every index says what the sessions say: for tests, which call it after every step.
    pub(crate) fn check(&self) -> Result<(), String> {
        let live = || self.sessions.values().filter(|session| session.ending.is_none());
        let same = |what: &str, index: usize| {
            let count = live().count();
            if index == count { Ok(()) } else { Err(format!("{what} has {index} entries, {count} sessions are live")) }
        };
        same("by_key", self.by_key.len())?;
        same("by_ip", self.by_ip.len())?;
        same("by_mac", self.by_mac.len())?;
        self.names.check(&self.sessions)?;
        for session in live() {
            let indexed = self.by_key.get(&session.key) == Some(&session.id)
                && self.by_ip.get(&session.ip) == Some(&session.id)
                && self.by_mac.contains(&(session.key.mac, session.id));
            if !indexed {
                return Err(format!("session {} is missing from an index", session.id));
            }
        }
        let deadlines: BTreeSet<_> = live().filter_map(|session| Some((session.deadline()?, session.id))).collect();
        if deadlines != self.deadlines {
            return Err("the deadlines differ from the sessions'".to_owned());
        }
        Ok(())
    }
}
