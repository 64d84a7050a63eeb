//! One session, as the machine keeps and journals it.

use std::net::Ipv4Addr;

use lastmile_types::{
    Counters, MacAddr, Octets, SessionId, SessionKey,
    config::is_default,
    session::{AuthState, Ended, SessionSnapshot, SessionState},
};
use serde::{Deserialize, Serialize};

use crate::{
    accounting::jitter,
    effect::Admission,
    input::Grant,
    policy::Terms,
    time::{Now, Stamp},
};

/// A session from its first ACK to its recorded end. What is as it was at first is not written: each set-up journals two of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Its identity for ever.
    pub id: SessionId,
    /// Place and device.
    pub key: SessionKey,
    /// The leased address.
    pub ip: Ipv4Addr,
    /// User-Name.
    pub subscriber: String,
    /// Option 12.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hostname: Option<String>,
    /// How DHCP reaches the client.
    pub path: Path,
    /// The DHCP server that gave the lease.
    pub server: Ipv4Addr,
    /// Where it is in its life.
    pub state: SessionState,
    /// What AAA said.
    pub auth: AuthState,
    /// What the last Access-Accept granted.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grant: Grant,
    /// What follows from that and the policies.
    pub terms: Terms,
    /// When it started.
    pub started: Stamp,
    /// When the lease ends.
    pub lease_end: Stamp,
    /// What it moved.
    pub meter: Meter,
    /// Not its ACK was seen, but Kea's lease.
    #[serde(default, skip_serializing_if = "is_default")]
    pub adopted: bool,
    /// The gate is open.
    #[serde(default, skip_serializing_if = "is_default")]
    pub admitted: bool,
    /// An Accounting Start was made: a Stop is owed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub accounted: bool,
    /// Access-Requests so far.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempt: u32,
    /// Boot time at which AAA is asked again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub auth_retry_ms: Option<u64>,
    /// Boot time of the next interim record.
    #[serde(default, skip_serializing_if = "is_default")]
    pub interim_ms: Option<u64>,
    /// Set from the decision to end it until the end is recorded.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ending: Option<Ending>,
    /// The next reading makes an interim record.
    #[serde(skip)]
    pub interim_due: bool,
    /// Who waits for its end.
    #[serde(skip)]
    pub orders: Vec<Waiting>,
}

/// An order that is answered when its session has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// [`crate::Input::Disconnect`].
    Operator(u64),
    /// A Disconnect-Request, [`crate::Input::Coa`].
    Coa(u64),
}

/// How DHCP reaches the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Path {
    /// The access router's name.
    pub router: String,
    /// The relay's address.
    pub giaddr: Ipv4Addr,
    /// Option 82 as the relay made it.
    pub relay_info: Octets,
    /// Whose frames carry the client's packets on the subscriber interface; all zero where only Kea's lease is known.
    pub relay_mac: MacAddr,
}

impl Path {
    /// Whether frames of this sender may be the client's. Before the first one is seen, any may.
    pub fn carries(&self, source: MacAddr) -> bool {
        self.relay_mac == source || self.relay_mac == MacAddr([0; 6])
    }
}

/// The decision to end a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// Why.
    #[serde(flatten)]
    pub ended: Ended,
    /// Boot time of the decision; the session's length ends here.
    pub at_ms: u64,
}

/// What a session moved: earlier elements of the gate plus the present one. It never runs backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meter {
    /// By elements that are gone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prior: Counters,
    /// By the present element, when last read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reading: Counters,
    /// Boot time at which upload was last seen to grow.
    pub upload_ms: u64,
}

impl Meter {
    /// Since the session's start.
    pub fn total(&self) -> Counters {
        self.prior + self.reading
    }

    /// Takes a reading of the present element; true if anything (first) or upload (second) grew.
    pub fn read(&mut self, counters: Counters, boot_ms: u64) -> (bool, bool) {
        let before = self.reading;
        self.reading = before.max(counters);
        let upload = self.reading.output_octets > before.output_octets;
        if upload {
            self.upload_ms = boot_ms;
        }
        (self.reading != before, upload)
    }

    /// The present element is gone.
    pub fn close(&mut self) {
        self.prior = self.total();
        self.reading = Counters::default();
    }
}

impl Session {
    /// Boot time at which something is due, if anything is.
    pub fn deadline(&self) -> Option<u64> {
        if self.ending.is_some() {
            return None;
        }
        [Some(self.lease_end.boot_ms), self.timeout_ms(), self.interim_ms, self.auth_retry_ms]
            .into_iter()
            .flatten()
            .min()
    }

    /// Boot time at which its allotted time is over.
    pub fn timeout_ms(&self) -> Option<u64> {
        let seconds = self.terms.session_timeout_seconds?;
        Some(self.started.boot_ms.saturating_add(u64::from(seconds) * 1000))
    }

    /// Whether the gate is to be open: AAA accepted it, or rejected it into a walled garden.
    pub fn may_pass(&self) -> bool {
        match self.auth {
            AuthState::PendingAuth => false,
            AuthState::Authorized => true,
            AuthState::Rejected => self.terms.garden.is_some(),
        }
    }

    /// The gate opens: a new element counts from zero.
    pub(crate) fn admit(&mut self, now: Now) -> Admission {
        self.admitted = true;
        self.meter.upload_ms = now.boot_ms;
        Admission::of(self)
    }

    /// AAA is asked again after a pause that doubles with each request.
    pub(crate) fn ask_again(&mut self, now: Now, first_ms: u64, longest_ms: u64) {
        let pause = first_ms.saturating_mul(1 << self.attempt.saturating_sub(1).min(10)).min(longest_ms);
        self.auth_retry_ms = Some(now.boot_ms + jitter(self.id, pause));
    }

    /// Its length in milliseconds: so far, or for good.
    pub fn elapsed_ms(&self, boot_ms: u64) -> u64 {
        self.ending.as_ref().map_or(boot_ms, |ending| ending.at_ms).saturating_sub(self.started.boot_ms)
    }

    /// Acct-Session-Id.
    pub fn acct_session_id(&self) -> String {
        self.id.to_string()
    }

    /// What events say of it.
    pub fn snapshot(&self, boot_ms: u64) -> SessionSnapshot {
        SessionSnapshot {
            session_id: self.id,
            acct_session_id: self.acct_session_id(),
            subscriber: self.subscriber.clone(),
            circuit_id: self.key.attachment.circuit_id.clone(),
            remote_id: self.key.attachment.remote_id.clone(),
            router: self.path.router.clone(),
            giaddr: Some(self.path.giaddr),
            mac: self.key.mac,
            ip: self.ip,
            hostname: self.hostname.clone(),
            state: if self.ending.is_some() { SessionState::Expired } else { self.state },
            auth: self.auth,
            policy: self.terms.policy.clone(),
            rates: self.terms.rates,
            adopted: self.adopted,
            counters: self.meter.total(),
            started_at: self.started.wall,
            elapsed_ms: self.elapsed_ms(boot_ms),
            lease_expires_at: self.lease_end.wall,
            ended: self.ending.as_ref().map(|ending| ending.ended.clone()),
        }
    }
}
