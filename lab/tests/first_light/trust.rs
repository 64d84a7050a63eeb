//! Whose DHCP is believed: with `trust.mode: ListedOnly` that of declared routers.

use serde_json::json;

use crate::{
    causes::{ask_once, restored},
    lab::{EDGE, Lab, ensure, eventually},
    life::uid,
};

/// Seconds: what the clients ask for.
const LEASE: u32 = 600;

/// An undeclared router's subscribers get no lease, and that is counted; who was online stays online. `kubectl apply` of the router
/// brings it in.
pub fn listed_only(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-03")?;
    declare(lab, "ar-01")?;
    trust(lab, r#"{"mode":"ListedOnly"}"#)?;
    let checked = refused_then_let_in(lab);
    trust(lab, "null")?;
    lab.kubectl(&format!("delete accessrouter ar-01 ar-02 -n {EDGE} --ignore-not-found"))?;
    for (subscriber, line) in [("sub-01", "line-01"), ("sub-03", "line-03")] {
        lab.run(&["subscriber", "stop", subscriber])?;
        restored(lab, subscriber, line)?;
    }
    checked?;
    ensure(uid(&lab.session_of("line-03")?) == uid(&session), || "the session is another one".into())
}

fn refused_then_let_in(lab: &Lab) -> Result<(), String> {
    lab.run(&["subscriber", "stop", "sub-01"])?;
    lab.run(&["subscriber", "stop", "sub-03"])?;
    // Behind ar-02, which is in nobody's list; sub-04 there is online already.
    eventually(30, || {
        let before = drops(lab)?;
        let served = ask_once(lab, "sub-03", LEASE).is_ok();
        let after = drops(lab)?;
        ensure(!served && after > before, || format!("served: {served}, drops: {before}, then {after}"))
    })?;
    lab.exec("sub-04", &["ping", "-c", "1", "-W", "1", "198.51.100.10"])?;
    ask_once(lab, "sub-01", LEASE)?;
    declare(lab, "ar-02")?;
    eventually(30, || ask_once(lab, "sub-03", LEASE))
}

fn declare(lab: &Lab, router: &str) -> Result<String, String> {
    let object = json!({
        "apiVersion": "lastmile.io/v1alpha1",
        "kind": "AccessRouter",
        "metadata": { "name": router, "namespace": EDGE },
        "spec": { "bngRef": { "name": "bng-01" } },
    });
    lab.apply(&object.to_string())
}

fn trust(lab: &Lab, trust: &str) -> Result<String, String> {
    lab.kubectl(&format!(r#"patch bng bng-01 -n {EDGE} --type=merge -p {{"spec":{{"trust":{trust}}}}}"#))
}

/// Messages of routers that nobody declared.
fn drops(lab: &Lab) -> Result<u64, String> {
    let metrics = lab.exec("bng-01", &["curl", "-s", "--max-time", "5", "http://10.231.0.11:9100/metrics"])?;
    let of = |line: &str| line.strip_prefix(r#"lastmile_bng_dropped_total{reason="unlisted-router"} "#)?.parse().ok();
    Ok(metrics.lines().find_map(of).unwrap_or(0))
}
