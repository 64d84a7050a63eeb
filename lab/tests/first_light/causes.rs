//! Each way in which a session ends by itself, provoked as the world does it, and what must then be on record: the cause in the
//! database and in radacct with the same octets, Kea's lease, the gate.

use serde_json::Value;

use crate::{
    end,
    lab::{EDGE, Lab, ensure, eventually},
    life::{accounted, history, uid},
};

/// Seconds: the shortest lease that the lab's Kea gives.
const SHORT: u32 = 20;

pub fn ip(session: &Value) -> &str {
    session["status"]["ip"].as_str().unwrap_or_default()
}

pub fn mac(session: &Value) -> &str {
    session["spec"]["mac"].as_str().unwrap_or_default()
}

/// One whole exchange by a real client that then goes away: it neither renews nor releases.
pub fn ask_once(lab: &Lab, node: &str, lease_seconds: u32) -> Result<(), String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/run/subscribers/udhcpc-script");
    let lease = format!("0x33:{lease_seconds:08x}");
    let client = ["udhcpc", "-n", "-q", "-f", "-i", "eth0", "-t", "8", "-T", "1", "-x", &lease, "-s", script];
    lab.exec(node, &client).map(drop)
}

pub fn set_mac(lab: &Lab, node: &str, mac: &str) -> Result<(), String> {
    for change in [&["down"][..], &["address", mac], &["up"]] {
        lab.exec(node, &[&["ip", "link", "set", "dev", "eth0"], change].concat())?;
    }
    Ok(())
}

pub fn mac_of(lab: &Lab, node: &str) -> Result<String, String> {
    let line = lab.exec(node, &["ip", "-br", "link", "show", "dev", "eth0"])?;
    line.split_whitespace().nth(2).map(str::to_owned).ok_or(line)
}

/// The session is over for this cause, everywhere.
pub fn ended(lab: &Lab, bng: &str, session: &Value, wanted: &str, seconds: u64) -> Result<(), String> {
    let (cause, download, upload) = eventually(seconds, || history(lab, &uid(session)))?;
    ensure(cause == wanted, || format!("{cause}, not {wanted}"))?;
    accounted(lab, session, wanted, download, upload)?;
    let stops = format!(
        "SELECT count(*) FROM session_events WHERE event_type = 'SESSION_STOP' AND session_id = '{}'",
        uid(session)
    );
    ensure(lab.sql("lastmile", &stops)? == "1", || "not exactly one SESSION_STOP".into())?;
    let live = lab.sessions()?.iter().any(|other| uid(other) == uid(session));
    ensure(!live, || "kubectl still lists it".into())?;
    let address = ip(session);
    let heir = lab.sessions()?.iter().any(|other| ip(other) == address);
    // One element each way, if the address has an heir.
    let elements = gate(lab, bng)?.matches(&format!("{address} ")).count();
    ensure(elements <= if heir { 2 } else { 0 }, || format!("{address} is still in {bng}'s gate"))
}

/// The gate's elements: the sets `up` and `down` as nft shows them. Watched addresses of idle subscribers are in another.
pub fn gate(lab: &Lab, bng: &str) -> Result<String, String> {
    let ruleset = lab.exec(bng, &["nft", "list", "ruleset", "ip"])?;
    let open = |block: &&str| block.starts_with("up {") || block.starts_with("down {");
    let sets: Vec<&str> = ruleset.split("\tset ").skip(1).filter(open).collect();
    ensure(sets.len() == 2, || format!("{} sets of a gate in\n{ruleset}", sets.len()))?;
    Ok(sets.iter().map(|set| set.split("\n\t}").next().unwrap_or_default()).collect())
}

/// An address as Kea's table has it.
pub fn number(address: &str) -> u32 {
    address.parse::<std::net::Ipv4Addr>().map(u32::from).unwrap_or_default()
}

/// Whose lease an address is, as Kea has it: MAC addresses.
pub fn leases(lab: &Lab, address: &str) -> Result<String, String> {
    let query = format!(
        "SELECT encode(hwaddr, 'hex') FROM lease4 WHERE address = {} AND state = 0 AND expire > now()",
        number(address)
    );
    lab.sql("kea", &query)
}

/// The session was ended here, not by its client: its lease is Kea's business.
pub fn lease_kept(lab: &Lab, session: &Value) -> Result<(), String> {
    let whose = leases(lab, ip(session))?;
    ensure(whose == mac(session).replace(':', ""), || {
        format!("{} is leased to {whose:?} in Kea: {session:#}", ip(session))
    })
}

/// The subscriber's own client runs again, and he is online.
pub fn restored(lab: &Lab, subscriber: &str, line: &str) -> Result<(), String> {
    lab.run(&["subscriber", "start", subscriber])?;
    eventually(40, || {
        let session = lab.session_of(line)?;
        ensure(session["status"]["auth"] == "AUTHORIZED", || format!("{:#}", session["status"]))
    })?;
    eventually(10, || lab.exec(subscriber, &["ping", "-c", "1", "-W", "1", "198.51.100.10"]).map(drop))
}

/// A client that vanishes: its lease runs out, and no sooner.
pub fn lease_runs_out(lab: &Lab) -> Result<(), String> {
    lab.run(&["subscriber", "stop", "sub-05"])?;
    let session = lab.session_of("line-05")?;
    ask_once(lab, "sub-05", SHORT)?;
    let same = lab.session_of("line-05")?;
    ensure(uid(&same) == uid(&session), || "the same device on the same address got another session".into())?;
    lab.exec("sub-05", &["ping", "-c", "1", "-W", "1", "198.51.100.10"])?;
    ended(lab, "bng-02", &session, "Lost-Carrier", u64::from(SHORT) + 20)?;
    let kept = leases(lab, ip(&session))?;
    ensure(kept.is_empty(), || format!("Kea still has the lease of {kept}"))?;
    restored(lab, "sub-05", "line-05")
}

/// Another device on the circuit takes it over: one stop, one start, and the old lease is free at once.
pub fn another_device(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-05")?;
    lab.run(&["subscriber", "stop", "sub-05"])?;
    let own = mac_of(lab, "sub-05")?;
    set_mac(lab, "sub-05", "02:00:5e:20:00:05")?;
    let asked = ask_once(lab, "sub-05", 600);
    let checked = asked.and_then(|()| {
        ended(lab, "bng-02", &session, "Port-Preempted", 20)?;
        let next = eventually(10, || lab.session_of("line-05"))?;
        ensure(mac(&next) == "02:00:5e:20:00:05", || format!("{next:#}"))?;
        let old = leases(lab, ip(&session))?;
        ensure(old.is_empty() || ip(&next) == ip(&session), || format!("Kea keeps the lease of {old}"))
    });
    set_mac(lab, "sub-05", &own)?;
    restored(lab, "sub-05", "line-05")?;
    checked
}

/// The address belongs to another device by now: the client gets another one, and with it another session.
pub fn another_address(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-06")?;
    lab.run(&["subscriber", "stop", "sub-06"])?;
    let address = ip(&session);
    // What an operator's script would do through Kea's API; it is in the table that Kea asks.
    let query = "UPDATE lease4 SET hwaddr = '\\x02005e300006', client_id = NULL WHERE address =";
    lab.sql("kea", &format!("{query} {}", number(address)))?;
    ask_once(lab, "sub-06", 600)?;
    let next = eventually(10, || lab.session_of("line-06"))?;
    ensure(ip(&next) != address && uid(&next) != uid(&session), || format!("{next:#}"))?;
    ended(lab, "bng-02", &session, "NAS-Request", 20)?;
    restored(lab, "sub-06", "line-06")
}

/// A policy's timeouts reach sessions that live already.
fn timeout(lab: &Lab, field: &str, seconds: u32, cause: &str) -> Result<(), String> {
    let session = lab.session_of("line-07")?;
    // Of both, each in its own time: the policy has subscribers at both.
    let revisions = || -> Result<Vec<Value>, String> {
        let bngs = lab.json(&format!("get bngs -n {EDGE}"))?;
        let items = bngs["items"].as_array().into_iter().flatten();
        Ok(items.map(|bng| bng["status"]["configRevision"].clone()).collect())
    };
    let before = revisions()?;
    let patch = |value: &str| {
        let mut kubectl = lab.command("kubectl");
        let body = format!(r#"{{"spec":{{"{field}":{value}}}}}"#);
        kubectl.args(["patch", "subpol", "gold", "-n", EDGE, "--type=merge", "-p", &body]);
        crate::lab::output(&mut kubectl).map(drop)
    };
    patch(&seconds.to_string())?;
    eventually(60, || {
        let now = revisions()?;
        let changed = now.len() == 2 && now.iter().zip(&before).all(|(now, before)| now != before);
        ensure(changed, || format!("configurations {now:?}, and {before:?} before"))
    })?;
    let checked = ended(lab, "bng-02", &session, cause, u64::from(seconds) + 30);
    let kept = lease_kept(lab, &session);
    patch("null")?;
    // Until the gateway has it, whoever comes back may end for the same cause again.
    eventually(60, || {
        let now = revisions()?;
        ensure(now == before, || format!("configurations {now:?}, not {before:?}"))
    })?;
    checked.and(kept)?;
    if cause == "Idle-Timeout" {
        // His lease lasts: the first packet is enough, without any DHCP.
        let _ = lab.exec("sub-07", &["ping", "-c", "2", "-W", "1", "198.51.100.10"]);
        let back = eventually(20, || lab.session_of("line-07"))?;
        ensure(uid(&back) != uid(&session) && ip(&back) == ip(&session), || format!("{back:#}"))?;
        eventually(10, || lab.exec("sub-07", &["ping", "-c", "1", "-W", "1", "198.51.100.10"]).map(drop))?;
    }
    for (subscriber, line) in
        [("sub-01", "line-01"), ("sub-03", "line-03"), ("sub-05", "line-05"), ("sub-07", "line-07")]
    {
        lab.run(&["subscriber", "stop", subscriber])?;
        restored(lab, subscriber, line)?;
    }
    Ok(())
}

pub fn idle_timeout(lab: &Lab) -> Result<(), String> {
    timeout(lab, "idleTimeoutSeconds", 10, "Idle-Timeout")
}

pub fn session_timeout(lab: &Lab) -> Result<(), String> {
    timeout(lab, "sessionTimeoutSeconds", 60, "Session-Timeout")
}

/// The node's disk is lost with the journal: a new instance takes over whoever has a lease, and nobody needs to do anything.
pub fn journal_lost(lab: &Lab) -> Result<(), String> {
    let instance = |lab: &Lab| -> Result<String, String> {
        let bng = lab.json(&format!("get bng bng-02 -n {EDGE}"))?;
        Ok(bng["status"]["instanceID"].as_str().unwrap_or_default().to_owned())
    };
    let before = instance(lab)?;
    let kill = format!("rm -rf /var/lib/lastmile/edge/bng-02/*; kill -9 {}", end::pid(lab, "bng-02")?);
    lab.exec("bng-02", &["sh", "-c", &kill])?;
    eventually(60, || {
        let after = instance(lab)?;
        ensure(!after.is_empty() && after != before, || format!("still instance {after:?}"))
    })?;
    // Kea's leases are looked through every minute, and at the start.
    eventually(90, || {
        for subscriber in ["sub-05", "sub-06", "sub-07"] {
            lab.exec(subscriber, &["ping", "-c", "1", "-W", "1", "198.51.100.10"])?;
        }
        Ok(())
    })?;
    // Nobody but the operator can end what the lost journal knew.
    eventually(60, || {
        let live = lab.sessions()?.iter().filter(|session| session["spec"]["bng"] == "bng-02").count();
        ensure(live == 4, || format!("{live} sessions on bng-02"))
    })?;
    let closed = "SELECT count(*) FROM sessions_history WHERE provisional AND terminate_cause = 'NAS-Reboot'";
    let closed = lab.sql("lastmile", closed)?;
    ensure(closed == "4", || format!("{closed} sessions were closed for the lost journal"))
}
