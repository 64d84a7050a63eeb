//! How sessions end.

use serde_json::Value;

use crate::{
    causes, dhcp, end,
    gateway::octets,
    kubernetes::condition,
    lab::{EDGE, Lab, ensure, eventually},
    record,
};

pub fn uid(session: &Value) -> String {
    session["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

/// `cause|input octets|output octets` of a session in the history.
pub fn history(lab: &Lab, uid: &str) -> Result<(String, u64, u64), String> {
    let row = lab.sql(
        "lastmile",
        &format!(
            "SELECT terminate_cause, input_octets, output_octets FROM sessions_history WHERE session_id = '{uid}'"
        ),
    )?;
    let mut cells = row.split('|');
    let cause = cells.next().filter(|cause| !cause.is_empty()).ok_or_else(|| format!("{uid} is not in the history"))?;
    let mut number = || cells.next().and_then(|cell| cell.parse().ok()).unwrap_or_default();
    Ok((cause.to_owned(), number(), number()))
}

/// The session's one row in radacct is closed with these octets, named from the port's side.
pub fn accounted(lab: &Lab, session: &Value, cause: &str, download: u64, upload: u64) -> Result<(), String> {
    let id = session["spec"]["acctSessionId"].as_str().ok_or_else(|| format!("no acctSessionId in {session:#}"))?;
    let query = format!(
        "SELECT acctterminatecause, acctoutputoctets, acctinputoctets, acctstoptime IS NOT NULL FROM radacct WHERE acctsessionid = '{id}'"
    );
    eventually(15, || {
        let rows = lab.sql("radius", &query)?;
        ensure(rows == format!("{cause}|{download}|{upload}|t"), || format!("radacct has {rows:?}"))
    })
}

/// While a session lives its row in radacct is open and follows the counters.
pub fn interim(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-03")?;
    let id = session["spec"]["acctSessionId"].as_str().unwrap_or_default();
    let query = format!(
        "SELECT acctoutputoctets FROM radacct WHERE acctsessionid = '{id}' AND acctstoptime IS NULL AND acctupdatetime > acctstarttime"
    );
    eventually(75, || {
        let octets = lab.sql("radius", &query)?;
        ensure(octets.parse::<u64>().is_ok_and(|octets| octets > 1_000_000), || format!("radacct says {octets:?}"))
    })
}

pub fn release(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-03")?;
    ensure(octets(&session, "inputOctets") > 1_000_000, || format!("no traffic on record: {session:#}"))?;
    lab.run(&["subscriber", "release", "sub-03"])?;
    causes::ended(lab, "bng-01", &session, "User-Request", 20)?;
    let lease = causes::leases(lab, causes::ip(&session))?;
    ensure(lease.is_empty(), || format!("Kea keeps the lease of {lease}"))?;
    let (_, download, _) = history(lab, &uid(&session))?;
    ensure(download >= octets(&session, "inputOctets"), || format!("the history has only {download} octets"))?;
    lab.run(&["subscriber", "start", "sub-03"])?;
    let next = eventually(40, || lab.session_of("line-03"))?;
    ensure(uid(&next) != uid(&session), || "a new session has the old one's identity".into())
}

pub fn delete_session(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-02")?;
    let name = session["metadata"]["name"].as_str().unwrap_or_default();
    lab.kubectl(&format!("delete session {name} -n {EDGE} --wait=false"))?;
    causes::ended(lab, "bng-01", &session, "Admin-Reset", 20)?;
    causes::lease_kept(lab, &session)?;
    dhcp::sent_back(lab, "sub-02", &session)
}

pub fn delete_bng(lab: &Lab) -> Result<(), String> {
    let sessions: Vec<Value> = lab
        .sessions()?
        .into_iter()
        .filter(|session| session["metadata"]["labels"]["lastmile.io/bng"] == "bng-02")
        .collect();
    ensure(sessions.len() == 4, || format!("{} sessions on bng-02", sessions.len()))?;
    let bng = lab.json(&format!("get bng bng-02 -n {EDGE}"))?;
    ensure(condition(&bng, "Ready") == Some("True"), || format!("{:#}", bng["status"]))?;
    lab.kubectl(&format!("delete bng bng-02 -n {EDGE} --timeout=60s"))?;
    for session in &sessions {
        let (cause, download, upload) = eventually(20, || history(lab, &uid(session)))?;
        ensure(cause == "Admin-Reboot", || cause)?;
        if session["status"]["auth"] == "AUTHORIZED" {
            accounted(lab, session, "Admin-Reboot", download, upload)?;
        }
        causes::lease_kept(lab, session)?;
    }
    record::gapless(lab)?;
    end::nothing_left(lab, "bng-02")
}
