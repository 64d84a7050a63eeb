//! Policies on live sessions: edited, deleted, and a walled garden for whom RADIUS rejects.

use serde_json::Value;

use crate::{
    kubernetes::condition,
    lab::{EDGE, Lab, ensure, eventually},
    life::uid,
};

/// The host behind the uplink.
const INTERNET: &str = "198.51.100.10";
/// The gateway of sub-08.
const BNG: &str = "bng-02";

fn status<'a>(session: &'a Value, field: &str) -> &'a str {
    session["status"][field].as_str().unwrap_or_default()
}

/// All that the gate has of an address but the counts: rates, bursts, where it is a member.
fn gate(lab: &Lab, bng: &str, address: &str) -> Result<String, String> {
    let ruleset = lab.exec(bng, &["nft", "-s", "list", "ruleset", "ip"])?;
    let entries = ruleset.split([',', '\n']).filter(|entry| entry.split_whitespace().any(|word| word == address));
    let bare = |entry: &str| entry.trim().trim_start_matches("elements = {").trim_end_matches('}').trim().to_owned();
    Ok(entries.map(bare).collect::<Vec<_>>().join("\n"))
}

fn patch(lab: &Lab, policy: &str, patch: &str) -> Result<String, String> {
    lab.kubectl(&format!("patch subpol {policy} -n {EDGE} --type=merge -p {patch}"))
}

/// An edited policy reaches the kernel within five seconds; the session stays the one it was, and stays online.
pub fn edited(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-01")?;
    let (policy, address) = (status(&session, "policy"), status(&session, "ip"));
    let before = gate(lab, "bng-01", address)?;
    ensure(!before.is_empty(), || format!("the gate has nothing of {address}"))?;
    let rate = session["status"]["downKbps"].as_i64().ok_or("the session has no rate")?;
    patch(lab, policy, r#"{"spec":{"rates":{"downKbps":33000}}}"#)?;
    let reached = eventually(5, || {
        let now = gate(lab, "bng-01", address)?;
        ensure(now != before, || format!("the gate still has {now}"))
    });
    let told = eventually(10, || {
        let now = lab.session_of("line-01")?;
        ensure(now["status"]["downKbps"] == 33_000 && uid(&now) == uid(&session), || format!("{:#}", now["status"]))?;
        let table = lab.kubectl(&format!("get subpol {policy} -n {EDGE} --no-headers"))?;
        ensure(table.contains("33 Mbit/s"), || table.clone())
    });
    patch(lab, policy, &format!(r#"{{"spec":{{"rates":{{"downKbps":{rate}}}}}}}"#))?;
    reached.and(told)?;
    eventually(10, || {
        let now = gate(lab, "bng-01", address)?;
        ensure(now == before, || format!("the gate should have {before} again, and has {now}"))
    })?;
    lab.exec("sub-01", &["ping", "-c", "1", "-W", "1", INTERNET]).map(drop)
}

/// A policy that is deleted in use: its sessions stay online under the next in precedence, and that is said on the sessions, on
/// the gateway and in an Event. When it is back they have it again.
pub fn deleted(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-02")?;
    let policy = status(&session, "policy").to_owned();
    let mut object = lab.json(&format!("get subpol {policy} -n {EDGE}"))?;
    for field in ["resourceVersion", "uid", "creationTimestamp", "managedFields", "annotations", "generation"] {
        object["metadata"].as_object_mut().map(|metadata| metadata.remove(field));
    }
    object.as_object_mut().map(|object| object.remove("status"));
    lab.kubectl(&format!("delete subpol {policy} -n {EDGE}"))?;
    let said = fell_back(lab, &session, &policy);
    lab.apply(&object.to_string())?;
    said?;
    eventually(10, || {
        let now = lab.session_of("line-02")?;
        ensure(status(&now, "policy") == policy && uid(&now) == uid(&session), || format!("{:#}", now["status"]))?;
        let bng = lab.json(&format!("get bng bng-01 -n {EDGE}"))?;
        ensure(condition(&bng, "PoliciesFound") == Some("True"), || format!("{:#}", bng["status"]["conditions"]))
    })
}

fn fell_back(lab: &Lab, session: &Value, policy: &str) -> Result<(), String> {
    eventually(10, || {
        let now = lab.session_of("line-02")?;
        ensure(status(&now, "policy") != policy && uid(&now) == uid(session), || format!("{:#}", now["status"]))?;
        let bng = lab.json(&format!("get bng bng-01 -n {EDGE}"))?;
        let conditions = bng["status"]["conditions"].to_string();
        ensure(condition(&bng, "PoliciesFound") == Some("False"), || conditions.clone())?;
        ensure(conditions.contains(policy), || conditions)?;
        let events = lab.json(&format!("get events -n {EDGE}"))?.to_string();
        ensure(events.contains("PolicyDeleted") && events.contains(&format!("SubscriberPolicy {policy} was")), || {
            "no Event tells of the deletion".into()
        })?;
        let query = format!(
            "SELECT count(*) FROM session_events WHERE event_type = 'POLICY_APPLY' AND session_id = '{}' AND payload ->> 'reason' LIKE 'policy {policy} was deleted%'",
            uid(session)
        );
        ensure(lab.sql("lastmile", &query)? == "1", || "not exactly one POLICY_APPLY tells of it".into())
    })?;
    lab.exec("sub-02", &["ping", "-c", "1", "-W", "1", INTERNET]).map(drop)
}

/// Whom RADIUS rejects reaches what a policy's walled garden holds as soon as there is one, and nothing else; without it, nothing.
pub fn garden(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-08")?;
    ensure(status(&session, "auth") == "REJECTED", || format!("{:#}", session["status"]))?;
    let neighbour = lab.session_of("line-07")?;
    lab.apply(&format!(
        "apiVersion: lastmile.io/v1alpha1\nkind: SubscriberPolicy\nmetadata: {{name: unpaid, namespace: {EDGE}}}\nspec:\n  \
         selector: {{remoteId: line-08, priority: 10}}\n  rates: {{downKbps: 2000, upKbps: 2000}}\n  onReject: WalledGarden\n  \
         walledGarden: {{destinations: [{INTERNET}/32]}}\n"
    ))?;
    let confined =
        eventually(10, || lab.exec("sub-08", &["ping", "-c", "1", "-W", "1", INTERNET]).map(drop)).and_then(|()| {
            let other = lab.exec("sub-08", &["ping", "-c", "2", "-W", "1", status(&neighbour, "ip")]);
            ensure(other.is_err(), || "another subscriber can be reached from the walled garden".into())?;
            eventually(10, || {
                let now = lab.session_of("line-08")?;
                let same = uid(&now) == uid(&session) && status(&now, "auth") == "REJECTED";
                ensure(same && status(&now, "policy") == "unpaid", || format!("{:#}", now["status"]))
            })?;
            let id = session["spec"]["acctSessionId"].as_str().unwrap_or_default();
            let accounted = lab.sql("radius", &format!("SELECT count(*) FROM radacct WHERE acctsessionid = '{id}'"))?;
            ensure(accounted == "0", || "a rejected session is accounted".into())
        });
    lab.kubectl(&format!("delete subpol unpaid -n {EDGE}"))?;
    confined?;
    eventually(10, || {
        let inside = lab.exec("sub-08", &["ping", "-c", "1", "-W", "1", INTERNET]);
        ensure(inside.is_err(), || "the garden is gone and still open".into())
    })?;
    let left = gate(lab, BNG, status(&session, "ip"))?;
    ensure(left.is_empty(), || format!("{BNG}'s gate still has {left}"))
}
