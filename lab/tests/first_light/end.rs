//! The end of a gateway, and what is left of it on its node.

use std::path::Path;

use serde_json::Value;

use crate::{
    kubernetes::condition,
    lab::{EDGE, Lab, ensure, eventually},
};

/// The process of the gateway on a node.
pub fn pid(lab: &Lab, node: &str) -> Result<String, String> {
    let find = "ss -Hlnpt sport = :9443 | grep -o 'pid=[0-9]*' | head -n 1 | cut -d= -f2";
    let pid = lab.exec(node, &["sh", "-c", find])?.trim().to_owned();
    ensure(!pid.is_empty(), || format!("no gateway listens on {node}"))?;
    Ok(pid)
}

/// Neither table nor classes, routes or journal, within two minutes: a stopped pod has half a one to end.
pub fn nothing_left(lab: &Lab, bng: &str) -> Result<(), String> {
    eventually(120, || {
        for (what, command) in [
            ("lastmile_", "nft list tables"),
            ("htb", "tc qdisc show"),
            ("100.64.", "ip route show proto 176"),
            ("image-", &format!("ls /var/lib/lastmile/{EDGE}/{bng}")),
        ] {
            let left = lab.exec(bng, &command.split(' ').collect::<Vec<_>>())?;
            ensure(!left.contains(what), || format!("`{command}` on {bng} shows\n{left}"))?;
        }
        let jobs = lab.kubectl(&format!("get jobs -n {EDGE} -l lastmile.io/bng={bng} --no-headers"))?;
        ensure(jobs.lines().count() == 1 && jobs.contains("Complete"), || format!("Jobs: {jobs}"))
    })
}

/// A gateway that does not hear is deleted all the same. What it left on its node goes, its sessions are closed, and the BNG applied
/// again serves the subscribers as a gateway without a past.
pub fn undrained(lab: &Lab) -> Result<(), String> {
    let patch = r#"{"spec":{"drainTimeoutSeconds":2,"shaping":{"maxSubscribers":10}}}"#;
    lab.kubectl(&format!("patch bng bng-01 -n {EDGE} --type=merge -p {patch}"))?;
    eventually(20, || {
        let queues = lab.exec("bng-01", &["tc", "qdisc", "show"])?;
        ensure(queues.contains("htb"), || queues.clone())
    })?;
    let before = lab.json(&format!("get bng bng-01 -n {EDGE}"))?["status"]["instanceID"].clone();
    let live = "SELECT count(*) FROM sessions_active WHERE bng_id = 'edge/bng-01' AND bng_instance_id =";
    let live = format!("{live} '{}'", before.as_str().unwrap_or_default());
    let online = online(lab)?;
    ensure(!online.is_empty(), || "nobody is online on bng-01".into())?;

    lab.exec("bng-01", &["kill", "-STOP", &pid(lab, "bng-01")?])?;
    lab.kubectl(&format!("delete bng bng-01 -n {EDGE} --timeout=60s"))?;
    nothing_left(lab, "bng-01")?;
    let events = lab.kubectl(&format!("get events -n {EDGE} --field-selector involvedObject.name=bng-01"))?;
    for reason in ["DrainTimeout", "CleaningUp"] {
        ensure(events.contains(reason), || format!("no Event {reason} in\n{events}"))?;
    }

    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/bng-01.yaml");
    lab.kubectl(&format!("apply -f {}", manifest.display()))?;
    eventually(60, || {
        let bng = lab.json(&format!("get bng bng-01 -n {EDGE}"))?;
        let status = &bng["status"];
        ensure(condition(&bng, "Ready") == Some("True"), || format!("{:#}", status["conditions"]))?;
        ensure(status["instanceID"] != before, || "it goes on with the journal of the one before".into())
    })?;
    // Kea's leases are looked through every minute, and at the start.
    eventually(90, || {
        for subscriber in &online {
            lab.exec(subscriber, &["ping", "-c", "1", "-W", "1", "198.51.100.10"])?;
        }
        Ok(())
    })?;
    eventually(90, || {
        let open = lab.sql("lastmile", &live)?;
        ensure(open == "0", || format!("{open} sessions of the gateway before are open"))
    })
}

/// Subscribers whom bng-01 lets through. Lines and subscribers are numbered alike.
fn online(lab: &Lab) -> Result<Vec<String>, String> {
    let sessions = lab.sessions()?;
    let authorized = |session: &&Value| session["spec"]["bng"] == "bng-01" && session["status"]["auth"] == "AUTHORIZED";
    let line = |session: &Value| Some(session["spec"]["remoteId"].as_str()?.replace("line", "sub"));
    Ok(sessions.iter().filter(authorized).filter_map(line).collect())
}
