//! What a session's grant and the policies make of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use lastmile_types::{
    SessionId,
    config::{Access, BngConfig, Enforcement, OnReject, Policy, is_default},
    session::{AuthState, Rates},
    status::PolicyUse,
};
use serde::{Deserialize, Serialize};

use crate::{
    accounting::jitter,
    effect::{Action, Admission, Effects},
    input::{Grant, Settings},
    machine::Machine,
    selector::choose,
    session::Session,
    time::Now,
};

/// So many sessions are looked at in one go after a change of the policies: DHCP does not wait for the others.
const BATCH: usize = 1_000;
/// So many names are kept of what was counted by name.
const NAMES: usize = 64;

/// The terms in force for a session. Precedence: RADIUS attribute, then policy, then the gateway's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terms {
    /// The policy's name.
    #[serde(skip_serializing_if = "is_default")]
    pub policy: Option<String>,
    /// The limits.
    #[serde(skip_serializing_if = "is_default")]
    pub rates: Rates,
    /// How they are enforced.
    #[serde(skip_serializing_if = "is_default")]
    pub enforcement: Enforcement,
    /// The policy whose walled garden is all that the subscriber reaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub garden: Option<String>,
    /// Seconds a session may last.
    #[serde(skip_serializing_if = "is_default")]
    pub session_timeout_seconds: Option<u32>,
    /// Seconds without upload until it is stopped.
    #[serde(skip_serializing_if = "is_default")]
    pub idle_timeout_seconds: Option<u32>,
    /// Seconds between interim records.
    pub interim_seconds: u32,
}

impl Terms {
    /// What a session gets, by what AAA said of it. Whom it rejected gets its policy's walled garden or nothing; whom it has not
    /// answered for yet, nothing.
    pub fn of(config: &BngConfig, session: &Session) -> Self {
        let policy =
            |grant: &Grant| choose(&config.policies, grant.filter_id.as_deref(), &session.key, &session.subscriber);
        match session.auth {
            AuthState::PendingAuth => Self::default(),
            AuthState::Authorized => {
                let policy = policy(&session.grant);
                Self::compile(config, &session.grant, policy, policy.filter(|it| it.access == Access::WalledGarden))
            }
            AuthState::Rejected => {
                let nothing = Grant::default();
                let confines = policy(&nothing).filter(|policy| policy.on_reject == OnReject::WalledGarden);
                confines
                    .map_or_else(Self::default, |policy| Self::compile(config, &nothing, Some(policy), Some(policy)))
            }
        }
    }

    /// The policy under what RADIUS itself granted, field by field. Zero means unlimited.
    fn compile(config: &BngConfig, grant: &Grant, policy: Option<&Policy>, garden: Option<&Policy>) -> Self {
        let some = |seconds: Option<u32>| seconds.filter(|seconds| *seconds > 0);
        let interim = some(grant.interim_seconds).or(policy.and_then(|policy| some(policy.interim_seconds)));
        Self {
            policy: policy.map(|policy| policy.name.clone()),
            rates: policy.map(|policy| policy.rates).unwrap_or_default().under(grant.rates.unwrap_or_default()),
            enforcement: policy.map(|policy| policy.enforcement).unwrap_or_default(),
            garden: garden.map(|policy| policy.name.clone()),
            session_timeout_seconds: some(
                grant.session_timeout_seconds.or(policy.and_then(|policy| policy.session_timeout_seconds)),
            ),
            idle_timeout_seconds: some(
                grant.idle_timeout_seconds.or(policy.and_then(|policy| policy.idle_timeout_seconds)),
            ),
            // RFC 2869 §2.1: no interval below 60 s from RADIUS; ours may go to 10 s.
            interim_seconds: interim.unwrap_or(config.accounting.interim_seconds).max(10),
        }
    }

    /// The part of them that the gate knows.
    fn of_gate(&self) -> (Rates, Enforcement, Option<&str>) {
        (self.rates, self.enforcement, self.garden.as_deref())
    }
}

/// How sessions and policies go together.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    /// A change has reached the sessions up to this one; at this boot time it goes on.
    rollout: Option<(SessionId, u64)>,
    /// Sessions whose policy was deleted, by its name.
    fell_back: BTreeMap<String, u64>,
}

impl Policies {
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.rollout.map(|(_, at_ms)| at_ms)
    }

    fn count_fall_back(&mut self, policy: &str) {
        if self.fell_back.len() >= NAMES && !self.fell_back.contains_key(policy) {
            self.fell_back.pop_first();
        }
        *self.fell_back.entry(policy.to_owned()).or_default() += 1;
    }
}

impl Machine {
    pub(crate) fn on_config(&mut self, now: Now, settings: Settings, effects: &mut Effects) {
        self.servers.retain(&settings.config.dhcp.servers);
        self.settings = settings;
        self.apply_policies(now, effects);
    }

    /// Gives every session the terms that the configuration now says: the first ones at once, the others from the timer.
    pub(crate) fn apply_policies(&mut self, now: Now, effects: &mut Effects) {
        self.roll_out(now, Bound::Unbounded, effects);
    }

    pub(crate) fn go_on_with_policies(&mut self, now: Now, effects: &mut Effects) {
        if let Some((last, _)) = self.policies.rollout.filter(|(_, at_ms)| *at_ms <= now.boot_ms) {
            self.roll_out(now, Bound::Excluded(last), effects);
        }
    }

    fn roll_out(&mut self, now: Now, from: Bound<SessionId>, effects: &mut Effects) {
        let batch: Vec<_> = self.table.ids_from(from).take(BATCH).collect();
        let full = batch.len() == BATCH;
        self.policies.rollout = batch.last().filter(|_| full).map(|last| (*last, now.boot_ms + 1));
        for id in batch {
            self.follow_policies(now, id, effects);
        }
    }

    fn follow_policies(&mut self, now: Now, id: SessionId, effects: &mut Effects) {
        let Some(before) = self.comply(now, id, effects) else { return };
        let Some(session) = self.table.share(id).filter(|session| session.terms != before) else { return };
        let still_there = |name: &str| self.settings.config.policies.iter().any(|policy| policy.name == name);
        let reason = match before.policy {
            Some(gone) if !still_there(&gone) => {
                self.policies.count_fall_back(&gone);
                format!("policy {gone} was deleted")
            }
            same if same == session.terms.policy => "the policy changed".to_owned(),
            _ => "another policy applies".to_owned(),
        };
        self.say_applied(now, &session, &reason, effects);
    }

    /// Brings a session's terms and the gate in line with what AAA and the policies say now. Its former terms, if they changed.
    pub(crate) fn comply(&mut self, now: Now, id: SessionId, effects: &mut Effects) -> Option<Terms> {
        let session = self.table.get(id).filter(|session| session.ending.is_none())?;
        let terms = Terms::of(&self.settings.config, session);
        if session.terms == terms && session.admitted == session.may_pass() {
            return None;
        }
        let gate_changes = session.terms.of_gate() != terms.of_gate();
        let (before, action) = self.table.grant(id, |session| {
            let before = std::mem::replace(&mut session.terms, terms);
            session.interim_ms = next_interim(now, session);
            let action = match (session.admitted, session.may_pass()) {
                (true, true) => gate_changes.then(|| Action::SetLimits(Admission::of(session))),
                (true, false) => Some(Action::Evict { session: id, ip: session.ip }),
                (false, true) => Some(Action::Admit(session.admit(now))),
                (false, false) => None,
            };
            (before, action)
        })?;
        effects.actions.extend(action);
        self.poll_ms = self.poll_ms.min(now.boot_ms + crate::accounting::POLL_MS);
        Some(before)
    }

    /// How sessions and policies go together, now and since the machine was made.
    pub fn policy_use(&self) -> PolicyUse {
        let known: BTreeSet<_> = self.settings.config.policies.iter().map(Policy::filter_id).collect();
        let uses = self.table.uses();
        let unknown = || uses.filter_ids.iter().filter(|(filter_id, _)| !known.contains(filter_id.as_str()));
        PolicyUse {
            sessions: uses.policies.clone(),
            confined: uses.confined,
            unknown: unknown().map(|(_, count)| count).sum(),
            unknown_filter_ids: unknown().take(NAMES).map(|(filter_id, count)| (filter_id.clone(), *count)).collect(),
            fell_back: self.policies.fell_back.clone(),
        }
    }
}

/// A session keeps its rhythm unless its interval became shorter; then many sessions do not report together.
fn next_interim(now: Now, session: &Session) -> Option<u64> {
    let interval_ms = u64::from(session.terms.interim_seconds) * 1000;
    match session.interim_ms {
        _ if interval_ms == 0 => None,
        None => Some(now.boot_ms + jitter(session.id, interval_ms)),
        Some(at) if at <= now.boot_ms + interval_ms => Some(at),
        Some(_) => Some(now.boot_ms + 1 + session.id.0.as_u128() as u64 % interval_ms),
    }
}
