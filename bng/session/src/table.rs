//! The sessions and their indexes. What is changed through [`Table::edit`] is remembered for the record.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    ops::{Bound, Deref},
};

use lastmile_types::{
    Attachment, BngId, MacAddr, Octets, SessionId, SessionKey, Shared,
    session::{AuthState, SessionState},
    status::SessionCounts,
};

use crate::{session::Session, uses::Uses};

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

    fn check(&self, sessions: &BTreeMap<SessionId, Shared<Session>>) -> Result<(), String> {
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
///
/// Sessions are shared with the records and snapshots that hold them, and copied only when one of those is kept over a change.
#[derive(Debug, Default)]
pub(crate) struct Table {
    sessions: BTreeMap<SessionId, Shared<Session>>,
    by_place: BTreeSet<(Attachment, SessionId)>,
    by_ip: BTreeMap<Ipv4Addr, SessionId>,
    by_mac: BTreeSet<(MacAddr, SessionId)>,
    names: Names,
    deadlines: BTreeSet<(u64, SessionId)>,
    dirty: BTreeSet<SessionId>,
    counts: SessionCounts,
    uses: Uses,
}

/// What of a session the indexes depend on; its key is its own for life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Indexed {
    live: bool,
    ip: Ipv4Addr,
    deadline: Option<u64>,
    state: SessionState,
    auth: AuthState,
}

impl Indexed {
    fn of(session: &Session) -> Self {
        Self {
            live: session.ending.is_none(),
            ip: session.ip,
            deadline: session.deadline(),
            state: session.state,
            auth: session.auth,
        }
    }
}

impl Table {
    pub(crate) fn restore(sessions: impl IntoIterator<Item = Shared<Session>>) -> Self {
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
        self.sessions.get(&id).map(Shared::deref)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().map(Shared::deref)
    }

    /// All of them, to be kept.
    pub(crate) fn shared(&self) -> BTreeMap<SessionId, Shared<Session>> {
        self.sessions.clone()
    }

    /// One of them, to be kept over changes.
    pub(crate) fn share(&self, id: SessionId) -> Option<Shared<Session>> {
        self.sessions.get(&id).cloned()
    }

    pub(crate) fn ids(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    /// Ids in order.
    pub(crate) fn ids_from(&self, from: Bound<SessionId>) -> impl Iterator<Item = SessionId> {
        self.sessions.range((from, Bound::Unbounded)).map(|(id, _)| *id)
    }

    /// Sessions by state, those that are ending not included.
    pub(crate) fn counts(&self) -> SessionCounts {
        self.counts
    }

    /// Sessions by policy, likewise.
    pub(crate) fn uses(&self) -> &Uses {
        &self.uses
    }

    pub(crate) fn by_ip(&self, ip: Ipv4Addr) -> Option<&Session> {
        self.by_ip.get(&ip).and_then(|id| self.get(*id))
    }

    /// A device has few sessions, so it is asked first.
    pub(crate) fn by_key(&self, key: &SessionKey) -> Option<&Session> {
        self.of_device(&key.attachment, key.mac)
    }

    /// As [`Table::by_key`], of a key in its parts.
    pub(crate) fn of_device(&self, attachment: &Attachment, mac: MacAddr) -> Option<&Session> {
        let own = self.of_mac(mac).filter_map(|id| self.get(id));
        own.filter(|session| session.key.attachment == *attachment).last()
    }

    pub(crate) fn at(&self, attachment: &Attachment) -> impl Iterator<Item = SessionId> {
        let first = (attachment.clone(), SessionId(uuid::Uuid::nil()));
        let last = (attachment.clone(), SessionId(uuid::Uuid::max()));
        self.by_place.range(first..=last).map(|(_, id)| *id)
    }

    pub(crate) fn of_mac(&self, mac: MacAddr) -> impl Iterator<Item = SessionId> {
        let bounds = (mac, SessionId(uuid::Uuid::nil()))..=(mac, SessionId(uuid::Uuid::max()));
        self.by_mac.range(bounds).map(|(_, id)| *id)
    }

    /// Of a circuit; with `whole` false, of all circuits that begin so.
    pub(crate) fn of_circuit(&self, bng_id: &BngId, circuit: &Octets, whole: bool) -> impl Iterator<Item = SessionId> {
        let attachment =
            Attachment { bng_id: bng_id.clone(), circuit_id: circuit.clone(), remote_id: Octets::default() };
        let first = (attachment, SessionId(uuid::Uuid::nil()));
        let here = move |place: &Attachment| same(&place.circuit_id, circuit, whole);
        self.by_place.range(first..).take_while(move |(place, _)| here(place)).map(|(_, id)| *id)
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
        self.place(Shared::new(session));
    }

    /// Changes a session; the change is journalled.
    pub(crate) fn edit<T>(&mut self, id: SessionId, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let changed = self.observe(id, change);
        if changed.is_some() {
            self.dirty.insert(id);
        }
        changed
    }

    /// As [`Table::edit`], for a change of its grant or its terms, which are counted.
    pub(crate) fn grant<T>(&mut self, id: SessionId, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let live = |session: &&Shared<Session>| session.ending.is_none();
        if let Some(session) = self.sessions.get(&id).filter(live) {
            self.uses.leave(session);
        }
        let changed = self.edit(id, change);
        if let Some(session) = self.sessions.get(&id).filter(live) {
            self.uses.enter(session);
        }
        changed
    }

    /// Changes what is not worth a record, such as a reading that the kernel still has after a restart, or what its caller records.
    pub(crate) fn observe<T>(&mut self, id: SessionId, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let session = self.sessions.get_mut(&id)?.make_mut();
        let before = Indexed::of(session);
        let result = change(session);
        let after = Indexed::of(session);
        if before != after {
            let session = self.sessions.get(&id)?.clone();
            self.reindex(&session, before, after);
        }
        Some(result)
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        self.unindex(&session, Indexed::of(&session));
        self.names.remove(&session);
        self.dirty.remove(&id);
        Some(session.into_inner())
    }

    /// What was changed since this was last asked.
    pub(crate) fn take_dirty(&mut self) -> impl Iterator<Item = Shared<Session>> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().filter_map(|id| self.sessions.get(&id).cloned())
    }

    fn place(&mut self, session: Shared<Session>) {
        self.index(&session, Indexed::of(&session));
        self.sessions.insert(session.id, session);
    }

    /// A lease is prolonged far more often than anything else changes: then its deadline alone moves.
    fn reindex(&mut self, session: &Session, before: Indexed, after: Indexed) {
        if (before.live, before.ip) != (after.live, after.ip) {
            self.unindex(session, before);
            return self.index(session, after);
        }
        if before.live {
            tally(&mut self.counts, before, |count| *count -= 1);
            tally(&mut self.counts, after, |count| *count += 1);
        }
        if before.deadline != after.deadline {
            before.deadline.map(|at| self.deadlines.remove(&(at, session.id)));
            after.deadline.map(|at| self.deadlines.insert((at, session.id)));
        }
    }

    fn index(&mut self, session: &Session, indexed: Indexed) {
        if indexed.live {
            self.by_place.insert((session.key.attachment.clone(), session.id));
            self.by_ip.insert(indexed.ip, session.id);
            self.by_mac.insert((session.key.mac, session.id));
            tally(&mut self.counts, indexed, |count| *count += 1);
            self.uses.enter(session);
        }
        if let Some(at) = indexed.deadline {
            self.deadlines.insert((at, session.id));
        }
    }

    fn unindex(&mut self, session: &Session, indexed: Indexed) {
        if indexed.live {
            self.by_place.remove(&(session.key.attachment.clone(), session.id));
            self.by_ip.remove(&indexed.ip);
            self.by_mac.remove(&(session.key.mac, session.id));
            tally(&mut self.counts, indexed, |count| *count -= 1);
            self.uses.leave(session);
        }
        if let Some(at) = indexed.deadline {
            self.deadlines.remove(&(at, session.id));
        }
    }

    /// Every index says what the sessions say: for tests, which call it after every step.
    pub(crate) fn check(&self) -> Result<(), String> {
        let live = || self.iter().filter(|session| session.ending.is_none());
        let same = |what: &str, index: usize| {
            let count = live().count();
            if index == count { Ok(()) } else { Err(format!("{what} has {index} entries, {count} sessions are live")) }
        };
        same("by_place", self.by_place.len())?;
        same("by_ip", self.by_ip.len())?;
        same("by_mac", self.by_mac.len())?;
        self.names.check(&self.sessions)?;
        for session in live() {
            let indexed = self.by_key(&session.key).map(|found| found.id) == Some(session.id)
                && self.at(&session.key.attachment).any(|id| id == session.id)
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
        let mut counts = SessionCounts::default();
        live().for_each(|session| tally(&mut counts, Indexed::of(session), |count| *count += 1));
        if counts != self.counts {
            return Err(format!("{:?} were counted, {counts:?} are there", self.counts));
        }
        let mut uses = Uses::default();
        live().for_each(|session| uses.enter(session));
        if uses != self.uses {
            return Err(format!("{:?} were counted, {uses:?} are there", self.uses));
        }
        Ok(())
    }
}

/// Counts a live session in or out.
fn tally(counts: &mut SessionCounts, session: Indexed, count: impl Fn(&mut u32)) {
    count(&mut counts.total);
    match session.state {
        SessionState::Pending => count(&mut counts.pending),
        SessionState::Active => count(&mut counts.active),
        SessionState::Idle => count(&mut counts.idle),
        SessionState::Expired => {}
    }
    match session.auth {
        AuthState::PendingAuth => {}
        AuthState::Authorized => count(&mut counts.authorized),
        AuthState::Rejected => count(&mut counts.rejected),
    }
}
