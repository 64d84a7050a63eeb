//! A gateway's status, from what was prepared for it and what it says of itself. Pure.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use lastmile_crds::{BngStatus, SessionCounts};
use lastmile_types::status::BngStatus as Word;

use super::conditions::Finding;
use crate::{endpoint, observe::Observation};

/// A gateway that has not answered for so long is Unreachable.
const PATIENCE: SignedDuration = SignedDuration::from_secs(5);
/// The conditions that the gateway itself reports, besides ConfigApplied.
const REPORTED: [&str; 10] = [
    "LinksReady",
    "PoolsMatch",
    "DhcpReachable",
    "RadiusReachable",
    "AccountingDelivered",
    "EventsFlowing",
    "LeasesReconciled",
    "PoliciesFound",
    "ShapingAvailable",
    "CoaListening",
];
/// Of those, what Ready needs.
const NEEDED: [&str; 3] = ["LinksReady", "DhcpReachable", "RadiusReachable"];

/// What the reconciler prepared.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// Of the spec that it was prepared from.
    pub generation: Option<i64>,
    /// The node.
    pub node: Option<String>,
    /// Its address.
    pub address: Option<std::net::Ipv4Addr>,
    /// The pod, where it exists.
    pub pod: Option<String>,
    /// Why the pod does not run.
    pub pod_problem: Option<Finding>,
    /// NodePrepared.
    pub node_prepared: Finding,
    /// The rendered configuration's revision; else why there is none.
    pub config: Result<String, Finding>,
}

/// Where a gateway stands towards the operator.
enum Contact<'a> {
    /// It speaks.
    Heard(&'a Word),
    /// It was asked and did not answer for a while.
    Lost(String),
    /// Nothing is known yet.
    Waiting,
}

/// The status to show.
pub fn status(prepared: &Prepared, observation: &Observation, previous: &BngStatus, now: Timestamp) -> BngStatus {
    let contact = contact(prepared, observation, now);
    let mut findings = vec![
        ("ConfigApplied", config_applied(prepared, &contact, previous)),
        ("NodePrepared", prepared.node_prepared.clone()),
    ];
    findings.extend(REPORTED.map(|kind| (kind, reported(kind, &contact, previous))));
    let ready = ready(prepared, &contact, &findings, previous);
    let phase = phase(prepared, &contact, &ready, &findings, previous);
    let condition = |(kind, finding): (&str, Finding)| -> Condition {
        finding.condition(kind, &previous.conditions, prepared.generation, now)
    };
    let mut status = BngStatus {
        phase: Some(phase),
        observed_generation: prepared.generation,
        node: prepared.node.clone(),
        pod: prepared.pod.clone(),
        endpoint: prepared.address.map(|address| format!("{address}:{}", endpoint::PORT)),
        conditions: std::iter::once(("Ready", ready)).chain(findings).map(condition).collect(),
        ..previous.clone()
    };
    if let Contact::Heard(word) = contact {
        load(&mut status, word, observation.heard_at);
    } else if matches!(contact, Contact::Lost(_)) {
        (status.cpu, status.memory) = (None, None);
    }
    status
}

fn contact<'a>(prepared: &Prepared, observation: &'a Observation, now: Timestamp) -> Contact<'a> {
    match (&observation.failing, &observation.status) {
        (Some((since, error)), _) if now.duration_since(*since) >= PATIENCE => Contact::Lost(error.clone()),
        (_, Some(word)) => Contact::Heard(word),
        _ if prepared.pod.is_none() => Contact::Lost("it has no pod".to_owned()),
        _ => Contact::Waiting,
    }
}

fn config_applied(prepared: &Prepared, contact: &Contact<'_>, previous: &BngStatus) -> Finding {
    let revision = match &prepared.config {
        Ok(revision) => revision,
        Err(finding) => return finding.clone(),
    };
    match contact {
        Contact::Heard(word) => {
            let said = word.conditions.iter().find(|condition| condition.kind == "ConfigApplied");
            match said {
                Some(said) if said.status == Some(false) => Finding::bad(&said.reason, said.message.clone()),
                _ if word.config_revision == *revision => {
                    Finding::good("Applied", format!("configuration {revision} is in force"))
                }
                _ => Finding::unknown("Pending", format!("configuration {revision} is on its way to the gateway")),
            }
        }
        Contact::Lost(error) => Finding::unknown("Unreachable", error.clone()),
        Contact::Waiting => before("ConfigApplied", previous),
    }
}

fn reported(kind: &str, contact: &Contact<'_>, previous: &BngStatus) -> Finding {
    match contact {
        Contact::Heard(word) => match word.conditions.iter().find(|condition| condition.kind == kind) {
            Some(said) => Finding { status: said.status, reason: said.reason.clone(), message: said.message.clone() },
            None => Finding::unknown("NotReported", "the gateway does not report it"),
        },
        Contact::Lost(error) => Finding::unknown("Unreachable", error.clone()),
        Contact::Waiting => before(kind, previous),
    }
}

fn before(kind: &str, previous: &BngStatus) -> Finding {
    let known = previous.conditions.iter().find(|condition| condition.type_ == kind);
    known.map_or_else(|| Finding::unknown("Starting", "the gateway has not been heard yet"), Finding::of)
}

fn ready(prepared: &Prepared, contact: &Contact<'_>, findings: &[(&str, Finding)], previous: &BngStatus) -> Finding {
    if let Err(problem) = &prepared.config
        && !matches!(contact, Contact::Heard(_))
    {
        let cause = if prepared.address.is_none() { &prepared.node_prepared } else { problem };
        return Finding::bad(&cause.reason, cause.message.clone());
    }
    match contact {
        Contact::Lost(error) => match &prepared.pod_problem {
            Some(problem) => problem.clone(),
            None if prepared.pod.is_none() => Finding::bad("NoPod", "the gateway's pod does not exist yet"),
            None => Finding::bad("Unreachable", format!("the gateway's endpoint does not answer: {error}")),
        },
        Contact::Waiting => match (&prepared.pod_problem, before("Ready", previous)) {
            (Some(problem), Finding { status: None, .. }) => problem.clone(),
            (_, known) => known,
        },
        Contact::Heard(word) if word.draining => Finding::bad("Draining", "it was ordered to stop every session"),
        Contact::Heard(_) => {
            let needed = |kind: &str| kind == "ConfigApplied" || kind == "NodePrepared" || NEEDED.contains(&kind);
            match findings.iter().find(|(kind, finding)| needed(kind) && finding.status == Some(false)) {
                Some((kind, finding)) => Finding::bad(&finding.reason, format!("{kind}: {}", finding.message)),
                None => match findings.iter().find(|(kind, finding)| *kind == "LinksReady" && finding.status.is_none())
                {
                    Some((kind, finding)) => Finding::unknown(&finding.reason, format!("{kind}: {}", finding.message)),
                    None => Finding::good("Serving", "subscribers are served"),
                },
            }
        }
    }
}

fn phase(
    prepared: &Prepared,
    contact: &Contact<'_>,
    ready: &Finding,
    findings: &[(&str, Finding)],
    previous: &BngStatus,
) -> String {
    let phase = match contact {
        Contact::Heard(word) if word.drained => "Drained",
        Contact::Heard(word) if word.draining => "Draining",
        Contact::Heard(_) => {
            let bad = findings.iter().any(|(_, finding)| finding.status == Some(false));
            if ready.status == Some(true) && !bad { "Running" } else { "Degraded" }
        }
        _ if prepared.node.is_none() => "Pending",
        Contact::Waiting => previous.phase.as_deref().unwrap_or("Starting"),
        Contact::Lost(_) if previous.last_heartbeat.is_some() => "Unreachable",
        Contact::Lost(_) => "Starting",
    };
    phase.to_owned()
}

fn load(status: &mut BngStatus, word: &Word, heard_at: Option<Timestamp>) {
    let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let seq = |seq: u64| i64::try_from(seq).ok();
    status.instance_id = Some(word.instance_id.to_string());
    status.config_revision = Some(word.config_revision.clone());
    status.sessions = Some(SessionCounts {
        total: count(word.sessions.total),
        pending: count(word.sessions.pending),
        active: count(word.sessions.active),
        idle: count(word.sessions.idle),
        authorized: count(word.sessions.authorized),
        rejected: count(word.sessions.rejected),
    });
    status.cpu = Some(format!("{}m", (word.health.cpu_cores * 1_000.0).round() as i64));
    status.memory = Some(format!("{}Mi", word.health.memory_bytes.div_ceil(1 << 20)));
    status.last_event_seq = seq(word.last_seq);
    status.committed_event_seq = seq(word.committed_seq);
    status.last_heartbeat = heard_at.map(Time);
}
