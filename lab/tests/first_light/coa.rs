//! What the RADIUS server orders: FreeRADIUS' radclient, from the services' node, to the gateway's port 3799.

use crate::{
    causes, dhcp,
    lab::{EDGE, Lab, ensure, eventually},
};

/// radclient's words about one request to bng-01, attributes separated by commas.
fn radclient(lab: &Lab, kind: &str, attributes: &str) -> Result<String, String> {
    let secret = lab.json(&format!("get secret radius -n {EDGE}"))?;
    let secret = secret["data"]["secret"].as_str().ok_or("the Secret radius has no key secret")?;
    let script = format!(
        "echo \"{attributes}\" | radclient -x -t 2 -r 3 10.231.0.11:3799 {kind} $(echo {secret} | base64 -d) 2>&1; true"
    );
    lab.exec("services", &["sh", "-c", &script])
}

/// A live session gets another policy, and its old one back; nobody is cut off.
pub fn filter_id_changes_live(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-01")?;
    let policy = session["status"]["policy"].as_str().unwrap_or_default().to_owned();
    let other = if policy == "gold" { "silver" } else { "gold" };
    let id = session["spec"]["acctSessionId"].as_str().unwrap_or_default();
    for wanted in [other, &policy] {
        let answer = radclient(lab, "coa", &format!("Acct-Session-Id = '{id}', Filter-Id = '{wanted}'"))?;
        ensure(answer.contains("Received CoA-ACK"), || answer.clone())?;
        eventually(10, || {
            let now = lab.session_of("line-01")?;
            ensure(now["metadata"]["uid"] == session["metadata"]["uid"], || "it is another session".into())?;
            ensure(now["status"]["policy"] == wanted, || format!("its policy is {}", now["status"]["policy"]))
        })?;
    }
    let answer = radclient(lab, "coa", &format!("Acct-Session-Id = '{id}', Filter-Id = 'no-such-policy'"))?;
    ensure(answer.contains("Error-Cause = Invalid-Attribute-Value"), || answer.clone())
}

/// A subscriber is disconnected, is in the history with its cause, and hears of it at his next renewal.
pub fn disconnects(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-04")?;
    let address = session["status"]["ip"].as_str().ok_or_else(|| format!("no address in {session:#}"))?;
    let answer = radclient(lab, "disconnect", &format!("Framed-IP-Address = {address}"))?;
    ensure(answer.contains("Received Disconnect-ACK"), || answer.clone())?;
    causes::ended(lab, "bng-01", &session, "Admin-Reset", 20)?;
    causes::lease_kept(lab, &session)?;
    let again = radclient(lab, "disconnect", &format!("Framed-IP-Address = {address}"))?;
    ensure(again.contains("Error-Cause = Session-Context-Not-Found"), || again.clone())?;
    dhcp::sent_back(lab, "sub-04", &session)
}
