//! What is shown in which situation.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lastmile_crds::BngStatus;
use lastmile_types::status::BngStatus as Word;
use serde_json::json;

use super::{
    conditions::Finding,
    status::{Prepared, status},
};
use crate::{observe::Observation, render::fixtures::NOW};

fn prepared() -> Prepared {
    Prepared {
        generation: Some(3),
        node: Some("bng-01".into()),
        address: Some([10, 231, 0, 11].into()),
        pod: Some("bng-01-0".into()),
        pod_problem: None,
        node_prepared: Finding::good("Placed", "on node bng-01"),
        config: Ok("r1".into()),
    }
}

fn word(revision: &str, bad: &str) -> Word {
    let kinds = [
        "ConfigApplied",
        "LinksReady",
        "PoolsMatch",
        "DhcpReachable",
        "RadiusReachable",
        "EventsFlowing",
        "LeasesReconciled",
        "PoliciesFound",
        "ShapingAvailable",
        "CoaListening",
    ];
    let conditions: Vec<_> = kinds
        .iter()
        .map(|kind| {
            let good = *kind != bad;
            json!({ "type": kind, "status": good, "reason": if good { "Fine" } else { "Broken" }, "message": "so it is" })
        })
        .collect();
    serde_json::from_value(json!({
        "version": 7, "bngId": "edge/bng-01", "instanceId": "0198c5a0-0000-7000-8000-000000000001", "configRevision": revision,
        "conditions": conditions,
        "sessions": { "total": 4, "pending": 0, "active": 3, "idle": 1, "authorized": 3, "rejected": 1 },
        "health": { "cpuCores": 0.0123, "memoryBytes": 12_000_000, "sessions": 4, "authorized": 3, "uptimeSeconds": 60 },
        "lastSeq": 42, "committedSeq": 40, "draining": false, "drained": false, "drops": {}, "at": "2026-09-21T14:13:20Z",
    }))
    .unwrap()
}

fn heard(word: Word) -> Observation {
    Observation { status: Some(Arc::new(word)), heard_at: Some(NOW), failing: None }
}

fn silent(since: Timestamp) -> Observation {
    Observation { failing: Some((since, "connection refused".into())), ..heard(word("r1", "")) }
}

/// `Phase Ready=status/reason`, and one condition more.
fn seen(prepared: &Prepared, observation: &Observation, previous: &BngStatus, kind: &str) -> (String, String) {
    let status = status(prepared, observation, previous, NOW);
    let text = |kind: &str| {
        let condition = status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
        format!("{}/{}", condition.status, condition.reason)
    };
    (format!("{} {}", status.phase.clone().unwrap(), text("Ready")), text(kind))
}

#[test]
fn a_gateway_that_speaks() {
    let shown = status(&prepared(), &heard(word("r1", "")), &BngStatus::default(), NOW);
    insta::assert_yaml_snapshot!(shown);
}

#[test]
fn situations() {
    let none = BngStatus::default();
    let see = |prepared: &Prepared, observation: &Observation, kind: &str| {
        let (ready, condition) = seen(prepared, observation, &none, kind);
        (ready, condition)
    };
    let is = |ready: &str, condition: &str| (ready.to_owned(), condition.to_owned());
    let ok = prepared();
    assert_eq!(see(&ok, &heard(word("r0", "")), "ConfigApplied"), is("Running True/Serving", "Unknown/Pending"));
    assert_eq!(
        see(&ok, &heard(word("r1", "DhcpReachable")), "DhcpReachable"),
        is("Degraded False/Broken", "False/Broken")
    );
    assert_eq!(
        see(&ok, &heard(word("r1", "EventsFlowing")), "EventsFlowing"),
        is("Degraded True/Serving", "False/Broken")
    );
    assert_eq!(see(&ok, &Observation::default(), "LinksReady"), is("Starting Unknown/Starting", "Unknown/Starting"));
    let missing = Prepared { config: Err(Finding::bad("SecretMissing", "no")), ..prepared() };
    assert_eq!(
        see(&missing, &heard(word("r1", "")), "ConfigApplied"),
        is("Degraded False/SecretMissing", "False/SecretMissing")
    );
    let nowhere = Prepared {
        node: None,
        address: None,
        pod: None,
        node_prepared: Finding::bad("UnknownNode", "no"),
        config: Err(Finding::unknown("NotPlaced", "no")),
        ..prepared()
    };
    assert_eq!(
        see(&nowhere, &Observation::default(), "NodePrepared"),
        is("Pending False/UnknownNode", "False/UnknownNode")
    );
    let stuck = Prepared { pod_problem: Some(Finding::bad("ErrImageNeverPull", "no")), ..prepared() };
    assert_eq!(see(&stuck, &Observation::default(), "LinksReady").0, "Starting False/ErrImageNeverPull");
    let mut draining = word("r1", "");
    draining.draining = true;
    assert_eq!(see(&ok, &heard(draining), "LinksReady").0, "Draining False/Draining");
}

#[test]
fn silence_is_believed_after_five_seconds() {
    let before = status(&prepared(), &heard(word("r1", "")), &BngStatus::default(), NOW);
    let short = silent(NOW - SignedDuration::from_secs(4));
    assert_eq!(seen(&prepared(), &short, &before, "LinksReady").0, "Running True/Serving");
    let long = silent(NOW - SignedDuration::from_secs(5));
    let (ready, links) = seen(&prepared(), &long, &before, "LinksReady");
    assert_eq!((ready.as_str(), links.as_str()), ("Unreachable False/Unreachable", "Unknown/Unreachable"));
}

#[test]
fn a_new_operator_keeps_what_is_shown_until_it_hears_more() {
    let before = status(&prepared(), &heard(word("r1", "")), &BngStatus::default(), NOW);
    let after = status(&prepared(), &Observation::default(), &before, NOW + SignedDuration::from_secs(60));
    assert_eq!(after, before);
}
