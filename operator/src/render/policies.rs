//! SubscriberPolicies as gateways apply them.

use kube::ResourceExt;
use lastmile_crds::SubscriberPolicy;
use lastmile_types::{
    config::{Access, Enforcement, OnReject, Policy, Selector},
    session::Rates,
};

/// What became of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiled {
    /// Gateways have it.
    Applied(Box<Policy>),
    /// Another policy has the same Filter-Id; the one named here counts.
    SameFilterId(String),
}

/// Compiles the policies of a namespace, in the order of their names. Of two with one Filter-Id the first counts, of several
/// defaults too.
pub fn compile(policies: &[SubscriberPolicy]) -> Vec<(String, Compiled)> {
    let mut sorted: Vec<_> = policies.iter().filter(|policy| policy.metadata.deletion_timestamp.is_none()).collect();
    sorted.sort_by_key(|policy| policy.name_any());
    let mut compiled: Vec<(String, Compiled)> = Vec::new();
    let mut default_is_taken = false;
    for policy in sorted {
        let mut fresh = one(policy);
        let same = compiled.iter().find_map(|(name, other)| match other {
            Compiled::Applied(other) if other.filter_id == fresh.filter_id => Some(name.clone()),
            _ => None,
        });
        let outcome = match same {
            Some(other) => Compiled::SameFilterId(other),
            None => {
                fresh.default &= !default_is_taken;
                default_is_taken |= fresh.default;
                Compiled::Applied(Box::new(fresh))
            }
        };
        compiled.push((policy.name_any(), outcome));
    }
    compiled
}

/// The policies that gateways get.
pub fn applied(policies: &[SubscriberPolicy]) -> Vec<Policy> {
    let applied = compile(policies).into_iter().filter_map(|(_, compiled)| match compiled {
        Compiled::Applied(policy) => Some(*policy),
        Compiled::SameFilterId(_) => None,
    });
    applied.collect()
}

fn one(policy: &SubscriberPolicy) -> Policy {
    let spec = &policy.spec;
    Policy {
        name: policy.name_any(),
        filter_id: Some(spec.selector.filter_id.clone().unwrap_or_else(|| policy.name_any())),
        selector: Selector::default(),
        default: spec.selector.default,
        rates: Rates {
            down_kbps: positive(spec.rates.down_kbps),
            up_kbps: positive(spec.rates.up_kbps),
            down_burst_kbit: positive(spec.rates.down_burst_kbit),
            up_burst_kbit: positive(spec.rates.up_burst_kbit),
        },
        enforcement: Enforcement::default(),
        access: Access::default(),
        on_reject: OnReject::default(),
        walled_garden: None,
        idle_timeout_seconds: positive(spec.idle_timeout_seconds),
        session_timeout_seconds: positive(spec.session_timeout_seconds),
        interim_seconds: positive(spec.interim_seconds),
    }
}

fn positive(value: Option<i32>) -> Option<u32> {
    value.and_then(|value| u32::try_from(value).ok())
}

/// A rate for people: `50 Mbit/s`.
pub fn rate_text(kbps: Option<i32>) -> String {
    match kbps {
        None => "unlimited".to_owned(),
        Some(kbps) if kbps % 1_000_000 == 0 => format!("{} Gbit/s", kbps / 1_000_000),
        Some(kbps) if kbps % 1_000 == 0 => format!("{} Mbit/s", kbps / 1_000),
        Some(kbps) => format!("{kbps} kbit/s"),
    }
}
