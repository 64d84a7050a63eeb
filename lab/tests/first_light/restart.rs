//! What a crash or an upgrade must not change: who is online, and which session is whose.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    kubernetes::condition,
    lab::{EDGE, Lab, ensure, eventually, output},
    record,
};

fn identities(lab: &Lab) -> Result<BTreeSet<String>, String> {
    let uid = |session: &Value| session["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    Ok(lab.sessions()?.iter().map(uid).collect())
}

/// Kills every process of that name inside the lab and says how many there were. The lab's processes are told from others by
/// the machine's process table as the lab's own namespace shows it.
fn kill(lab: &Lab, program: &str) -> Result<usize, String> {
    let pids = lab.exec("bng-01", &["sh", "-c", &format!("pgrep -x {program} || true")])?;
    let pids: Vec<&str> = pids.split_whitespace().collect();
    ensure(!pids.is_empty(), || format!("no process {program} runs in the lab"))?;
    lab.exec("bng-01", &[&["kill", "-9"], pids.as_slice()].concat())?;
    Ok(pids.len())
}

/// The same sessions, all traffic flowing.
fn unchanged(lab: &Lab, before: &BTreeSet<String>) -> Result<(), String> {
    eventually(60, || {
        let after = identities(lab)?;
        ensure(&after == before, || format!("sessions changed from {before:?} to {after:?}"))
    })?;
    lab.exec("sub-01", &["ping", "-c", "1", "-W", "1", "198.51.100.10"])?;
    record::gapless(lab)
}

fn ready(lab: &Lab) -> Result<(), String> {
    eventually(60, || {
        for name in ["bng-01", "bng-02"] {
            let bng = lab.json(&format!("get bng {name} -n {EDGE}"))?;
            ensure(condition(&bng, "Ready") == Some("True"), || format!("{name}: {:#}", bng["status"]["conditions"]))?;
        }
        Ok(())
    })
}

pub fn gateway_killed(lab: &Lab) -> Result<(), String> {
    let before = identities(lab)?;
    let events = "SELECT count(*) FROM session_events WHERE event_type IN ('SESSION_START', 'SESSION_STOP')";
    let said = lab.sql("lastmile", events)?;
    let killed = kill(lab, "lastmile-bng")?;
    ensure(killed == 2, || format!("{killed} gateways ran"))?;
    // The kernel's state stays: traffic flows while the process is away.
    for _ in 0..5 {
        lab.exec("sub-01", &["ping", "-c", "1", "-W", "1", "198.51.100.10"])?;
    }
    ready(lab)?;
    unchanged(lab, &before)?;
    let says = lab.sql("lastmile", events)?;
    ensure(says == said, || format!("{said} starts and stops before the kill, {says} after"))
}

pub fn control_plane_killed(lab: &Lab) -> Result<(), String> {
    let before = identities(lab)?;
    // The kernel keeps 15 characters of a process's name.
    for program in ["lastmile-operat", "lastmile-ingest", "lastmile-api"] {
        kill(lab, program)?;
    }
    eventually(90, || {
        let pods = lab.kubectl("get pods -n lastmile-system --no-headers")?;
        let settled = |pod: &str| pod.contains("Completed") || (pod.contains("Running") && pod.contains("1/1"));
        ensure(pods.lines().all(settled), || pods.clone())
    })?;
    ready(lab)?;
    unchanged(lab, &before)
}

pub fn helm_upgrade(lab: &Lab) -> Result<(), String> {
    let before = identities(lab)?;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut helm = lab.command("helm");
    helm.current_dir(root).args([
        "upgrade",
        "lastmile",
        "charts/lastmile",
        "-n",
        "lastmile-system",
        "--reuse-values",
        "--wait",
    ]);
    output(helm.args(["--timeout", "90s", "--set", "log.filter=debug"]))?;
    ready(lab)?;
    unchanged(lab, &before)
}

/// A lab of another clone is refused with a sentence, the same one says that it is up, and nobody is cut off.
pub fn second_lab(lab: &Lab) -> Result<(), String> {
    let again = lab.run(&["up"])?;
    ensure(again.contains("up already"), || again)?;
    let clone = std::env::temp_dir().join(format!("lastmile-e2e-clone-{}", std::process::id()));
    let refused = lab.run_as_another_clone(&clone, &["up"]);
    let _ = std::fs::remove_dir_all(&clone);
    let refusal = refused.err().ok_or("a second lab came up")?;
    ensure(refusal.contains("lab down") && !refusal.contains("panicked"), || refusal)?;
    lab.exec("sub-01", &["ping", "-c", "1", "-W", "1", "198.51.100.10"]).map(drop)
}

/// Stops a service: its condition is False within 15 s while those online stay online, and True again when it is back.
fn outage(lab: &Lab, service: &str, kind: &str) -> Result<(), String> {
    let is = |wanted: &str| {
        let bng = lab.json(&format!("get bng bng-01 -n {EDGE}"))?;
        let status = condition(&bng, kind).unwrap_or("missing").to_owned();
        ensure(status == wanted, || format!("{service} is stopped or started; {kind} is {status}, not {wanted}"))
    };
    lab.run(&["service", "stop", service])?;
    let said = eventually(15, || is("False"));
    let online = lab.exec("sub-01", &["ping", "-c", "1", "-W", "1", "198.51.100.10"]);
    lab.run(&["service", "start", service])?;
    said?;
    online?;
    eventually(30, || is("True"))
}

pub fn services_stopped(lab: &Lab) -> Result<(), String> {
    let before = identities(lab)?;
    outage(lab, "kea-dhcp4", "DhcpReachable")?;
    outage(lab, "freeradius", "RadiusReachable")?;
    outage(lab, "redis", "EventsFlowing")?;
    unchanged(lab, &before)
}
