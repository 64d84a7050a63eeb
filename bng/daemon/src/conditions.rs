//! What is said of the gateway on its BNG object.

use lastmile_types::status::Condition;

/// The conditions, each with the last that was found out.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    list: Vec<Condition>,
}

/// What is said of the DHCP servers.
pub const DHCP_REACHABLE: &str = "DhcpReachable";

/// The types, in the order in which they are shown.
const KINDS: [&str; 11] = [
    "ConfigApplied",
    "LinksReady",
    "PoolsMatch",
    DHCP_REACHABLE,
    "RadiusReachable",
    "AccountingDelivered",
    "EventsFlowing",
    "LeasesReconciled",
    "PoliciesFound",
    "ShapingAvailable",
    "CoaListening",
];

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which condition.
    pub kind: &'static str,
    /// `None` = unknown.
    pub status: Option<bool>,
    /// CamelCase.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl Finding {
    /// It is as it should be.
    pub fn good(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, status: Some(true), reason, message: message.into() }
    }

    /// It is not.
    pub fn bad(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, status: Some(false), reason, message: message.into() }
    }
}

impl Conditions {
    /// Nothing is known yet.
    pub fn new() -> Self {
        let unknown = |kind: &str| Condition {
            kind: kind.to_owned(),
            status: None,
            reason: "NotYetKnown".to_owned(),
            message: "was not looked at yet".to_owned(),
        };
        Self { list: KINDS.into_iter().map(unknown).collect() }
    }

    /// Takes a finding on; a change of status is logged.
    pub fn set(&mut self, finding: Finding) {
        let Some(condition) = self.list.iter_mut().find(|condition| condition.kind == finding.kind) else { return };
        if condition.status != finding.status {
            let Finding { kind, reason, message, .. } = &finding;
            match finding.status {
                Some(false) => tracing::warn!(condition = kind, reason, message, "a condition became False"),
                _ => tracing::info!(condition = kind, status = finding.status, reason, message, "a condition changed"),
            }
        }
        condition.status = finding.status;
        condition.reason = finding.reason.to_owned();
        condition.message = finding.message;
    }

    /// All of them.
    pub fn list(&self) -> &[Condition] {
        &self.list
    }
}
