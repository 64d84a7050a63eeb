//! A session's life: the one way it starts, and the one way it stops.

use std::net::Ipv4Addr;

use lastmile_types::{
    Counters, Event, SessionId, SessionKey,
    event::SessionStop,
    session::{AuthState, Ended, SessionState, TerminateCause},
    status::DisconnectAnswer,
};

use crate::{
    accounting::{AccountingKind, POLL_MS},
    auth::user_name,
    effect::{Action, Effects},
    input::Grant,
    machine::Machine,
    policy::Terms,
    record::Change,
    session::{Ending, Meter, Path, Session, Waiting},
    time::Now,
};

/// What a DHCPACK says.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub key: SessionKey,
    pub ip: Ipv4Addr,
    pub seconds: u32,
    pub server: Ipv4Addr,
    pub path: Path,
    pub hostname: Option<String>,
    /// It is Kea's word, not an ACK.
    pub adopted: bool,
}

impl Machine {
    /// A lease for a session that we have prolongs it; any other starts one, after whatever stands in its way was stopped.
    pub(crate) fn on_lease(&mut self, now: Now, lease: Lease, effects: &mut Effects) {
        self.settled(lease.ip, effects);
        let present = self.table.by_key(&lease.key).filter(|session| session.ip == lease.ip).map(|session| session.id);
        match present {
            Some(id) => self.renew(now, id, lease, effects),
            None => {
                self.clear_the_way(now, &lease, effects);
                self.start(now, lease, effects);
            }
        }
    }

    fn start(&mut self, now: Now, lease: Lease, effects: &mut Effects) {
        let id = SessionId(now.fresh);
        if self.table.get(id).is_some() {
            return; // an id that is not fresh: the caller broke its word, and two sessions must not become one
        }
        let subscriber = user_name(&self.settings.config, &lease.key);
        let session = Session {
            id,
            key: lease.key,
            ip: lease.ip,
            subscriber,
            hostname: lease.hostname,
            path: lease.path,
            server: lease.server,
            state: SessionState::Pending,
            auth: AuthState::PendingAuth,
            grant: Grant::default(),
            terms: Terms::default(),
            started: now.stamp(),
            lease_end: now.after(u64::from(lease.seconds) * 1000),
            meter: Meter { upload_ms: now.boot_ms, ..Meter::default() },
            adopted: lease.adopted,
            admitted: false,
            accounted: false,
            attempt: 0,
            auth_retry_ms: None,
            interim_ms: None,
            ending: None,
            interim_due: false,
            orders: Vec::new(),
        };
        let snapshot = session.snapshot(now.boot_ms);
        if self.table.len() == 0 {
            self.poll_ms = now.boot_ms + POLL_MS; // nobody's counters were read for a while
        }
        self.table.insert(session);
        self.say(now, Event::SessionStart(Box::new(snapshot)), effects);
        self.authenticate(id, effects);
    }

    fn renew(&mut self, now: Now, id: SessionId, lease: Lease, effects: &mut Effects) {
        let lease_end = now.after(u64::from(lease.seconds) * 1000);
        let same = |session: &Session| {
            session.server == lease.server
                && session.path == lease.path
                && (lease.hostname.is_none() || session.hostname == lease.hostname)
                && session.auth != AuthState::Rejected
        };
        if self.table.get(id).is_some_and(same) {
            self.table.observe(id, |session| session.lease_end = lease_end);
            return effects.record.changes.push(Change::Prolonged { id, lease_end });
        }
        let ask_again = self.table.edit(id, |session| {
            session.lease_end = lease_end;
            session.server = lease.server;
            session.path = lease.path;
            session.hostname = lease.hostname.or(session.hostname.take());
            session.auth == AuthState::Rejected
        });
        if ask_again == Some(true) {
            self.authenticate(id, effects);
        }
    }

    /// The one way in which a session ends: the decision is journalled and the gate closed; [`Machine::finish`] does the rest
    /// when the final counters are there.
    pub(crate) fn stop(&mut self, now: Now, id: SessionId, cause: TerminateCause, detail: &str, effects: &mut Effects) {
        self.bury(now, id, effects);
        self.stop_at(now, id, cause, detail, now.boot_ms, effects);
    }

    /// As [`Machine::stop`], for an end that was earlier than it is known, or that leaves the lease free to have a session again.
    pub(crate) fn stop_at(
        &mut self,
        now: Now,
        id: SessionId,
        cause: TerminateCause,
        detail: &str,
        at_ms: u64,
        effects: &mut Effects,
    ) {
        if self.table.get(id).is_none_or(|session| session.ending.is_some()) {
            return;
        }
        let ending = Ending { ended: Ended { cause, detail: detail.to_owned() }, at_ms };
        let admitted = self.table.edit(id, |session| {
            session.state = SessionState::Expired;
            session.ending = Some(ending);
            session.admitted.then_some(session.ip)
        });
        match admitted.flatten() {
            Some(ip) => effects.act(Action::Evict { session: id, ip }),
            None => self.finish(now, id, None, effects),
        }
    }

    /// The gate is closed: for a session that ends, that is no longer let into a walled garden and lives on outside, or whose element
    /// somebody removed.
    pub(crate) fn on_evicted(&mut self, now: Now, id: SessionId, counters: Option<Counters>, effects: &mut Effects) {
        let Some(session) = self.table.get(id) else { return };
        if session.ending.is_some() {
            return self.finish(now, id, counters, effects);
        }
        let upload_ms = session.meter.upload_ms;
        self.table.edit(id, |session| {
            session.meter.read(counters.unwrap_or_default(), upload_ms);
            session.meter.close();
            session.admitted = false;
        });
        self.comply(now, id, effects); // it may have been let in again meanwhile
    }

    /// The gate is closed: the end is recorded, with the final counters.
    pub(crate) fn finish(&mut self, now: Now, id: SessionId, counters: Option<Counters>, effects: &mut Effects) {
        let Some(session) = self.table.get(id).filter(|session| session.ending.is_some()) else { return };
        let upload_ms = session.meter.upload_ms;
        self.table.observe(id, |session| {
            session.meter.read(counters.unwrap_or_default(), upload_ms);
            session.admitted = false;
        });
        let Some(session) = self.table.remove(id) else { return };
        let stop = SessionStop { session: session.snapshot(now.boot_ms), provisional_after: None };
        self.say(now, Event::SessionStop(Box::new(stop)), effects);
        if session.accounted {
            self.account(now, &session, AccountingKind::Stop, effects);
        }
        effects.record.changes.push(Change::Ended(id));
        if self.drained() {
            self.account_all(now, AccountingKind::Off, effects);
        }
        for waiting in session.orders {
            effects.act(match waiting {
                Waiting::Operator(order) => {
                    Action::Answer { order, answer: DisconnectAnswer { done: true, reason: None } }
                }
                Waiting::Coa(order) => Action::CoaAnswer { order, refused: None, undo: None },
            });
        }
    }

    /// Something of this session is due.
    pub(crate) fn on_due(&mut self, now: Now, id: SessionId, effects: &mut Effects) {
        let Some(session) = self.table.get(id) else { return };
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now.boot_ms);
        if due(Some(session.lease_end.boot_ms)) {
            self.stop(now, id, TerminateCause::LostCarrier, "the lease ran out", effects);
        } else if due(session.timeout_ms()) {
            self.stop(now, id, TerminateCause::SessionTimeout, "the session's time is over", effects);
        } else {
            if due(session.interim_ms) {
                self.interim_is_due(now, id, effects);
            }
            if self.table.get(id).is_some_and(|session| due(session.auth_retry_ms)) {
                self.authenticate(id, effects);
            }
        }
    }

    pub(crate) fn on_disconnect(&mut self, now: Now, id: SessionId, order: u64, detail: String, effects: &mut Effects) {
        let known = self.table.observe(id, |session| session.orders.push(Waiting::Operator(order))).is_some();
        if known {
            self.stop(now, id, TerminateCause::AdminReset, &detail, effects);
        } else {
            let answer = DisconnectAnswer { done: false, reason: Some("there is no such session here".to_owned()) };
            effects.act(Action::Answer { order, answer });
        }
    }

    pub(crate) fn on_drain(&mut self, now: Now, effects: &mut Effects) {
        if !self.draining {
            self.draining = true;
            effects.record.changes.push(Change::Draining(true));
            if self.drained() {
                self.account_all(now, AccountingKind::Off, effects);
            }
        }
        self.forget_all(effects);
        for id in self.table.ids() {
            self.stop_at(now, id, TerminateCause::AdminReboot, "the gateway is drained", now.boot_ms, effects);
        }
    }

    pub(crate) fn on_resume(&mut self, effects: &mut Effects) {
        if self.draining {
            self.draining = false;
            effects.record.changes.push(Change::Draining(false));
        }
    }
}
