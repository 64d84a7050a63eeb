//! What a session's grant and the policies make of it.

use lastmile_types::{
    config::{Access, BngConfig, Enforcement, Policy, is_default},
    session::{AuthState, Rates},
};
use serde::{Deserialize, Serialize};

use crate::{
    effect::{Action, Admission, Effects},
    input::{Grant, Settings},
    machine::Machine,
    time::Now,
};

/// The terms in force for a session. Precedence: RADIUS attribute, then policy, then the gateway's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terms {
    /// The policy's name.
    pub policy: Option<String>,
    /// The limits.
    pub rates: Rates,
    /// How they are enforced.
    #[serde(skip_serializing_if = "is_default")]
    pub enforcement: Enforcement,
    /// The policy whose walled garden is all that the subscriber reaches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub garden: Option<String>,
    /// Seconds a session may last.
    pub session_timeout_seconds: Option<u32>,
    /// Seconds without upload until it is stopped.
    pub idle_timeout_seconds: Option<u32>,
    /// Seconds between interim records.
    pub interim_seconds: u32,
}

impl Terms {
    /// The policy that Filter-Id names, else the default one, under what RADIUS itself granted. Zero means unlimited.
    pub fn compile(config: &BngConfig, grant: &Grant) -> Self {
        let policy = choose(&config.policies, grant.filter_id.as_deref());
        let some = |seconds: Option<u32>| seconds.filter(|seconds| *seconds > 0);
        let interim = some(grant.interim_seconds).or(policy.and_then(|policy| some(policy.interim_seconds)));
        Self {
            policy: policy.map(|policy| policy.name.clone()),
            rates: grant.rates.or(policy.map(|policy| policy.rates)).unwrap_or_default(),
            enforcement: policy.map(|policy| policy.enforcement).unwrap_or_default(),
            garden: policy.filter(|policy| policy.access == Access::WalledGarden).map(|policy| policy.name.clone()),
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
}

fn choose<'a>(policies: &'a [Policy], filter_id: Option<&str>) -> Option<&'a Policy> {
    let named = filter_id.and_then(|wanted| {
        policies.iter().find(|policy| policy.filter_id.as_deref().unwrap_or(&policy.name) == wanted)
    });
    named.or_else(|| policies.iter().find(|policy| policy.default))
}

impl Machine {
    pub(crate) fn on_config(&mut self, now: Now, settings: Settings, effects: &mut Effects) {
        self.settings = settings;
        self.apply_policies(now, effects);
    }

    /// Gives every session the terms that the configuration now says.
    pub(crate) fn apply_policies(&mut self, now: Now, effects: &mut Effects) {
        let affected: Vec<_> = self
            .table
            .iter()
            .filter(|session| session.ending.is_none() && session.auth == AuthState::Authorized)
            .map(|session| (session.id, Terms::compile(&self.settings.config, &session.grant)))
            .filter(|(id, terms)| self.table.get(*id).is_some_and(|session| session.terms != *terms))
            .collect();
        for (id, terms) in affected {
            let admission = self.table.edit(id, |session| {
                let gate = |terms: &Terms| (terms.rates, terms.enforcement, terms.garden.clone());
                let limits_change = gate(&session.terms) != gate(&terms);
                let next = now.boot_ms + u64::from(terms.interim_seconds) * 1000;
                session.interim_ms = Some(session.interim_ms.map_or(next, |at| at.min(next)));
                session.terms = terms;
                (limits_change && session.admitted).then(|| Admission::of(session))
            });
            effects.actions.extend(admission.flatten().map(Action::SetLimits));
            if let Some(session) = self.table.get(id).cloned() {
                self.say_applied(now, &session, "the policy changed", effects);
            }
        }
    }
}
