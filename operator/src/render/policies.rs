//! SubscriberPolicies as gateways apply them.

use std::{cmp::Reverse, net::SocketAddrV4};

use kube::ResourceExt;
use lastmile_crds::{Ipv4, SubscriberPolicy};
use lastmile_types::{
    config::{Access, Enforcement, OnReject, Policy, Selector, WalledGarden},
    session::Rates,
};

/// What became of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiled {
    /// Gateways have it.
    Applied(Box<Policy>),
    /// Another policy has the same Filter-Id; the one named here counts.
    SameFilterId(String),
    /// Something in it has no meaning; this is what.
    Invalid(String),
}

/// Compiles the policies of a namespace, in the order of their priorities, of equal ones in that of their names. Of two with one
/// Filter-Id the first counts, of several defaults too.
pub fn compile(policies: &[SubscriberPolicy]) -> Vec<(String, Compiled)> {
    let mut sorted: Vec<_> = policies.iter().filter(|policy| policy.metadata.deletion_timestamp.is_none()).collect();
    sorted.sort_by_key(|policy| (Reverse(policy.spec.selector.priority), policy.name_any()));
    let mut compiled: Vec<(String, Compiled)> = Vec::new();
    let mut default_is_taken = false;
    for policy in sorted {
        let outcome = match one(policy) {
            Err(problem) => Compiled::Invalid(problem),
            Ok(mut fresh) => match holder(&compiled, fresh.filter_id()) {
                Some(other) => Compiled::SameFilterId(other),
                None => {
                    fresh.default &= !default_is_taken;
                    default_is_taken |= fresh.default;
                    Compiled::Applied(Box::new(fresh))
                }
            },
        };
        compiled.push((policy.name_any(), outcome));
    }
    compiled
}

fn holder(compiled: &[(String, Compiled)], filter_id: &str) -> Option<String> {
    compiled.iter().find_map(|(name, other)| match other {
        Compiled::Applied(other) if other.filter_id() == filter_id => Some(name.clone()),
        _ => None,
    })
}

/// The policies that gateways get.
pub fn applied(policies: &[SubscriberPolicy]) -> Vec<Policy> {
    let applied = compile(policies).into_iter().filter_map(|(_, compiled)| match compiled {
        Compiled::Applied(policy) => Some(*policy),
        Compiled::SameFilterId(_) | Compiled::Invalid(_) => None,
    });
    applied.collect()
}

fn one(policy: &SubscriberPolicy) -> Result<Policy, String> {
    let spec = &policy.spec;
    let selector = &spec.selector;
    Ok(Policy {
        name: policy.name_any(),
        filter_id: Some(selector.filter_id.clone().unwrap_or_else(|| policy.name_any())),
        selector: Selector {
            circuit_id: selector.circuit_id.clone(),
            remote_id: selector.remote_id.clone(),
            user_name: selector.user_name.clone(),
        },
        default: selector.default,
        rates: Rates {
            down_kbps: positive(spec.rates.down_kbps),
            up_kbps: positive(spec.rates.up_kbps),
            down_burst_kbit: positive(spec.rates.down_burst_kbit),
            up_burst_kbit: positive(spec.rates.up_burst_kbit),
        },
        enforcement: match spec.enforcement {
            lastmile_crds::Enforcement::Police => Enforcement::Police,
            lastmile_crds::Enforcement::Shape => Enforcement::Shape,
        },
        access: match spec.access {
            lastmile_crds::Access::Full => Access::Full,
            lastmile_crds::Access::WalledGarden => Access::WalledGarden,
        },
        on_reject: match spec.on_reject {
            lastmile_crds::OnReject::Drop => OnReject::Drop,
            lastmile_crds::OnReject::WalledGarden => OnReject::WalledGarden,
        },
        walled_garden: spec.walled_garden.as_ref().map(garden).transpose()?,
        idle_timeout_seconds: positive(spec.idle_timeout_seconds),
        session_timeout_seconds: positive(spec.session_timeout_seconds),
        interim_seconds: positive(spec.interim_seconds),
    })
}

fn garden(garden: &lastmile_crds::WalledGarden) -> Result<WalledGarden, String> {
    let network = |text: &lastmile_crds::Prefix| text.0.parse().map_err(|_| format!("{:?} is no IPv4 network", text.0));
    let portal = |portal: &lastmile_crds::Portal| -> Result<SocketAddrV4, String> {
        let port = u16::try_from(portal.port).map_err(|_| format!("{} is no TCP port", portal.port))?;
        Ok(SocketAddrV4::new(address(&portal.address)?, port))
    };
    Ok(WalledGarden {
        destinations: garden.destinations.iter().map(network).collect::<Result<_, _>>()?,
        dns_servers: garden.dns_servers.iter().map(address).collect::<Result<_, _>>()?,
        portal: garden.portal.as_ref().map(portal).transpose()?,
    })
}

fn address(text: &Ipv4) -> Result<std::net::Ipv4Addr, String> {
    text.0.parse().map_err(|_| format!("{:?} is no IPv4 address", text.0))
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
