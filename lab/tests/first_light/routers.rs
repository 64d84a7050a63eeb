//! Access routers: whether they live is seen, and is nobody's end.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    dhcp::metric,
    kubernetes::condition,
    lab::{EDGE, Lab, ensure, eventually},
    life::uid,
};

const ROUTER: &str = "ar-02";

/// Its link to the gateway goes down: that is said in the object, in the database and in the metrics, and its subscribers' sessions
/// live on. When the link is back, so are router and subscribers.
pub fn dies_and_comes_back(lab: &Lab) -> Result<(), String> {
    said(lab, true, 20)?;
    let before = sessions(lab)?;
    ensure(!before.is_empty(), || format!("no session behind {ROUTER}"))?;
    let died = deaths(lab)?;
    link(lab, "down")?;
    let seen = said(lab, false, 40);
    let online = lab.exec("sub-03", &["ping", "-c", "1", "-W", "1", "198.51.100.10"]);
    link(lab, "up")?;
    seen?;
    ensure(online.is_err(), || "its subscriber is online without it".into())?;
    said(lab, true, 40)?;
    ensure(deaths(lab)? > died, || "no ROUTER_UPDATE says that it was dead".into())?;
    eventually(20, || lab.exec("sub-03", &["ping", "-c", "1", "-W", "1", "198.51.100.10"]))?;
    ensure(sessions(lab)? == before, || "its subscribers have other sessions".into())
}

/// Where it meets the gateway's link. Its own end stays up, and keeps its routes.
fn link(lab: &Lab, state: &str) -> Result<(), String> {
    lab.exec("switch", &["ip", "link", "set", "dev", &format!("r-{ROUTER}"), state]).map(drop)
}

/// Everybody agrees on whether it lives.
fn said(lab: &Lab, alive: bool, seconds: u64) -> Result<(), String> {
    eventually(seconds, || {
        let objects = lab.json(&format!("get accessrouters -n {EDGE}"))?;
        let object =
            objects["items"].as_array().and_then(|all| all.iter().find(|one| one["status"]["routerName"] == ROUTER));
        let object = object.ok_or_else(|| format!("no AccessRouter of {ROUTER}"))?;
        let word = if alive { "True" } else { "False" };
        ensure(object["status"]["alive"] == alive && condition(object, "Alive") == Some(word), || {
            format!("{:#}", object["status"])
        })?;
        let query = format!("SELECT alive FROM access_routers WHERE bng_id = 'edge/bng-01' AND name = '{ROUTER}'");
        let row = lab.sql("lastmile", &query)?;
        ensure((row == "t") == alive, || format!("the database says {row:?}"))?;
        let number = metric(lab, "bng-01", &format!(r#"lastmile_bng_router_alive{{router="{ROUTER}"}}"#))?;
        ensure(number == u64::from(alive), || format!("the gateway's metrics say {number}"))
    })
}

/// How often a gateway said that it died.
fn deaths(lab: &Lab) -> Result<u64, String> {
    let query = format!(
        "SELECT count(*) FROM session_events WHERE event_type = 'ROUTER_UPDATE' AND payload ->> 'name' = '{ROUTER}' AND payload ->> 'alive' = 'false'"
    );
    lab.sql("lastmile", &query)?.parse().map_err(|error| format!("{error}"))
}

fn sessions(lab: &Lab) -> Result<BTreeSet<String>, String> {
    let behind = |session: &&Value| session["spec"]["router"] == ROUTER;
    Ok(lab.sessions()?.iter().filter(behind).map(uid).collect())
}
