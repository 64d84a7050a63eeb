//! Shaping on live sessions: switched on and off by the policy and the BNG.

use crate::{
    kubernetes::condition,
    lab::{EDGE, Lab, ensure, eventually},
    life::uid,
};

/// The host behind the uplink.
const INTERNET: &str = "198.51.100.10";

/// A policy that says Shape polices and says so until its BNG has classes; then its sessions have them and stay the ones they
/// were. Switched off, nothing of it is left on the interfaces.
pub fn on_and_off(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-01")?;
    let text = |field: &str| session["status"][field].as_str().unwrap_or_default();
    let (policy, address) = (text("policy"), text("ip"));
    let enforcement = |kind: &str| {
        lab.kubectl(&format!(
            r#"patch subpol {policy} -n {EDGE} --type=merge -p {{"spec":{{"enforcement":"{kind}"}}}}"#
        ))
    };
    enforcement("Shape")?;
    let said = eventually(10, || available(lab, "False", "are policed"));
    classes(lab, 10)?;
    let shaped = said.and_then(|()| {
        eventually(10, || {
            available(lab, "True", "up to 10 subscribers")?;
            let ruleset = lab.exec("bng-01", &["nft", "list", "ruleset", "ip"])?;
            ensure(ruleset.contains(&format!("{address} : ")), || format!("{address} has no class in {ruleset}"))?;
            let queues = lab.exec("bng-01", &["tc", "class", "show", "dev", "access0"])?;
            let rate = format!("rate {}Mbit", session["status"]["downKbps"].as_i64().unwrap_or_default() / 1_000);
            ensure(queues.lines().count() == 10 && queues.contains(&rate), || queues.clone())
        })?;
        ensure(uid(&lab.session_of("line-01")?) == uid(&session), || "the session is another one".into())?;
        lab.exec("sub-01", &["ping", "-c", "1", "-W", "1", INTERNET]).map(drop)
    });
    enforcement("Police")?;
    classes(lab, 0)?;
    shaped?;
    eventually(10, || {
        let queues = lab.exec("bng-01", &["tc", "qdisc", "show"])?;
        ensure(!queues.contains("htb"), || format!("classes are left behind: {queues}"))?;
        available(lab, "True", "nobody is to be shaped")
    })?;
    lab.exec("sub-01", &["ping", "-c", "1", "-W", "1", INTERNET]).map(drop)
}

fn classes(lab: &Lab, number: u32) -> Result<String, String> {
    let patch = format!(r#"{{"spec":{{"shaping":{{"maxSubscribers":{number}}}}}}}"#);
    lab.kubectl(&format!("patch bng bng-01 -n {EDGE} --type=merge -p {patch}"))
}

fn available(lab: &Lab, status: &str, message: &str) -> Result<(), String> {
    let bng = lab.json(&format!("get bng bng-01 -n {EDGE}"))?;
    let conditions = bng["status"]["conditions"].to_string();
    ensure(condition(&bng, "ShapingAvailable") == Some(status) && conditions.contains(message), || conditions)
}
