//! Counters: what readings do to a session's state, and the records that RADIUS accounting is owed.

use lastmile_types::{
    Counters, Event, SessionId, Timestamp,
    config::is_default,
    session::{Ended, SessionState, TerminateCause},
};
use serde::{Deserialize, Serialize};

use crate::{
    auth::Subject,
    effect::{Action, Effects},
    input::Reading,
    machine::Machine,
    session::Session,
    time::Now,
};

/// Everybody's counters are read this often, milliseconds: how soon ACTIVE and IDLE are seen.
pub(crate) const POLL_MS: u64 = 5_000;

/// One Accounting-Request that is owed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountingRecord {
    /// From 1, without gaps, per instance.
    pub number: u64,
    /// Whose: records of one session are delivered in order. Of an On or Off: an identity of its own.
    pub session: SessionId,
    /// Which.
    pub kind: AccountingKind,
    /// Event-Timestamp.
    pub at: Timestamp,
    /// Who; `None` = the gateway itself (On, Off).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// As the subscriber sees them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub counters: Counters,
    /// Acct-Session-Time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub seconds: u32,
    /// Acct-Terminate-Cause, of a Stop.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ended: Option<Ended>,
}

/// Acct-Status-Type (RFC 2866 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AccountingKind {
    /// Start.
    Start,
    /// Interim-Update.
    Interim,
    /// Stop.
    Stop,
    /// Accounting-On: the host rebooted. Every session before it is over.
    On,
    /// Accounting-Off: a drain is done. Every session before it is over.
    Off,
}

impl Machine {
    pub(crate) fn account(&mut self, now: Now, session: &Session, kind: AccountingKind, effects: &mut Effects) {
        self.last_accounting += 1;
        effects.record.accounting.push(AccountingRecord {
            number: self.last_accounting,
            session: session.id,
            kind,
            at: now.wall,
            subject: Some(Subject::of(session)),
            counters: session.meter.total(),
            seconds: u32::try_from(session.elapsed_ms(now.boot_ms) / 1000).unwrap_or(u32::MAX),
            ended: session.ending.as_ref().map(|ending| ending.ended.clone()),
        });
    }

    /// Says of the gateway itself that no session of before is left (RFC 2866 §5.1); after the Stops of them all.
    pub(crate) fn account_all(&mut self, now: Now, kind: AccountingKind, effects: &mut Effects) {
        self.last_accounting += 1;
        effects.record.accounting.push(AccountingRecord {
            number: self.last_accounting,
            session: SessionId(now.fresh),
            kind,
            at: now.wall,
            subject: None,
            counters: Counters::default(),
            seconds: 0,
            ended: None,
        });
    }

    /// Reads the session's counters; the reading makes the record.
    pub(crate) fn interim_is_due(&mut self, now: Now, id: SessionId, effects: &mut Effects) {
        let ip = self.table.edit(id, |session| {
            let interval = u64::from(session.terms.interim_seconds.max(1)) * 1000;
            session.interim_ms = Some(now.boot_ms + interval);
            session.interim_due = true;
            session.ip
        });
        effects.actions.extend(ip.map(|ip| Action::ReadCounters(Some(ip))));
    }

    pub(crate) fn on_readings(&mut self, now: Now, readings: &[Reading], effects: &mut Effects) {
        for reading in readings {
            let Some(id) = self.table.by_ip(reading.ip).filter(|session| session.admitted).map(|session| session.id)
            else {
                continue;
            };
            self.on_reading(now, id, reading.counters, effects);
        }
    }

    fn on_reading(&mut self, now: Now, id: SessionId, counters: Counters, effects: &mut Effects) {
        let idle_after_ms = u64::from(self.settings.config.accounting.idle_after_seconds) * 1000;
        let seen = self.table.observe(id, |session| {
            let (traffic, upload) = session.meter.read(counters, now.boot_ms);
            let quiet_ms = now.boot_ms.saturating_sub(session.meter.upload_ms);
            let timed_out =
                session.terms.idle_timeout_seconds.is_some_and(|seconds| quiet_ms >= u64::from(seconds) * 1000);
            let state = next_state(session.state, traffic, upload, quiet_ms >= idle_after_ms);
            (state != session.state, state, timed_out, std::mem::take(&mut session.interim_due))
        });
        let Some((changed, state, timed_out, interim)) = seen else { return };
        if timed_out {
            self.doze(now, id, effects);
            return self.stop(now, id, TerminateCause::IdleTimeout, "no upload for the idle time", effects);
        }
        if !changed && !interim {
            return;
        }
        self.table.edit(id, |session| session.state = state);
        let Some(session) = self.table.share(id) else { return };
        self.say(now, Event::SessionUpdate(Box::new(session.snapshot(now.boot_ms))), effects);
        if interim && session.accounted {
            self.account(now, &session, AccountingKind::Interim, effects);
        }
    }
}

/// PENDING until the first packet; then ACTIVE while it uploads, IDLE when it did not for a while.
fn next_state(state: SessionState, traffic: bool, upload: bool, quiet: bool) -> SessionState {
    match state {
        SessionState::Pending if traffic => SessionState::Active,
        SessionState::Active if quiet => SessionState::Idle,
        SessionState::Idle if upload => SessionState::Active,
        same => same,
    }
}

/// Within ±10 % of the pause, by the session's id: many sessions that start together do not report together.
pub(crate) fn jitter(id: SessionId, pause_ms: u64) -> u64 {
    let tenth = pause_ms / 10;
    let spread = (tenth * 2).max(1);
    pause_ms - tenth + (id.0.as_u128() as u64) % spread
}
