//! Access mode Bridged: a gateway that the operator placed on the subscribers' own link, behind an access node that adds option 82
//! and no giaddr.

use crate::{
    causes::{ask_once, ended, gate, ip, leases, mac, mac_of, restored, set_mac},
    end,
    kubernetes::condition,
    lab::{EDGE, Lab, ensure, eventually},
    life::{accounted, history, uid},
    record::hex,
};

const BNG: &str = "bng-01";

pub fn ready(lab: &Lab) -> Result<(), String> {
    eventually(60, || {
        let bng = lab.json(&format!("get bng {BNG} -n {EDGE}"))?;
        for kind in ["Ready", "LinksReady", "PoolsMatch", "DhcpReachable", "RadiusReachable", "EventsFlowing"] {
            ensure(condition(&bng, kind) == Some("True"), || format!("{kind} of {:#}", bng["status"]))?;
        }
        ensure(bng["spec"]["accessMode"] == "Bridged" && bng["status"]["node"] == BNG, || format!("{bng:#}"))
    })
}

/// kubectl, Kea, radacct, the database and the gate know each subscriber by what the access node said of him.
pub fn on_record(lab: &Lab) -> Result<(), String> {
    for port in 1..=2 {
        let (node, line, circuit) = (format!("sub-0{port}"), format!("line-0{port}"), format!("an-01|1/{port}"));
        let session = lab.session_of(&line)?;
        ensure(session["spec"]["circuitId"] == circuit && session["status"]["auth"] == "AUTHORIZED", || {
            format!("{session:#}")
        })?;
        let address = ip(&session);
        eventually(10, || lab.exec(&node, &["ping", "-c", "1", "-W", "1", "198.51.100.10"]))?;

        let number = address.parse::<std::net::Ipv4Addr>().map(u32::from).map_err(|error| error.to_string())?;
        let lease = lab.sql("kea", &format!("SELECT upper(user_context) FROM lease4 WHERE address = {number}"))?;
        let option = [("01", circuit.as_str()), ("02", &line), ("0C", BNG)];
        for (code, text) in option {
            let part = format!("{code}{:02X}{}", text.len(), hex(text));
            ensure(lease.contains(&part), || format!("{line}: no {part} in {lease}"))?;
        }

        let id = session["spec"]["acctSessionId"].as_str().unwrap_or_default();
        let fields = "SELECT framedipaddress, acctstoptime IS NULL FROM radacct WHERE acctsessionid";
        eventually(15, || {
            let row = lab.sql("radius", &format!("{fields} = '{id}'"))?;
            ensure(row == format!("{address}|t"), || format!("radacct has {row:?}"))
        })?;

        let fields = "SELECT host(ip), mac FROM sessions_active WHERE session_id";
        let row = lab.sql("lastmile", &format!("{fields} = '{}'", uid(&session)))?;
        ensure(row == format!("{address}|{}", mac(&session)), || format!("sessions_active has {row:?}"))?;

        ensure(gate(lab, BNG)?.contains(&format!("{address} ")), || format!("{address} is not in the gate"))?;
        let neighbour = lab.exec(BNG, &["ip", "neigh", "show", address, "dev", "access0"])?;
        ensure(neighbour.contains(mac(&session)) && neighbour.contains("PERMANENT"), || neighbour)?;
    }
    Ok(())
}

pub fn release(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-02")?;
    lab.run(&["subscriber", "release", "sub-02"])?;
    ended(lab, BNG, &session, "User-Request", 20)?;
    let lease = leases(lab, ip(&session))?;
    ensure(lease.is_empty(), || format!("Kea keeps the lease of {lease}"))?;
    restored(lab, "sub-02", "line-02")
}

/// Another device on the port: one stop, one start, and the old lease is free at once.
pub fn another_device(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-01")?;
    lab.run(&["subscriber", "stop", "sub-01"])?;
    let own = mac_of(lab, "sub-01")?;
    set_mac(lab, "sub-01", "02:00:5e:20:00:01")?;
    let checked = ask_once(lab, "sub-01", 600).and_then(|()| {
        ended(lab, BNG, &session, "Port-Preempted", 20)?;
        let next = eventually(10, || lab.session_of("line-01"))?;
        ensure(mac(&next) == "02:00:5e:20:00:01", || format!("{next:#}"))?;
        let old = leases(lab, ip(&session))?;
        ensure(old.is_empty() || ip(&next) == ip(&session), || format!("Kea keeps the lease of {old}"))
    });
    set_mac(lab, "sub-01", &own)?;
    restored(lab, "sub-01", "line-01")?;
    checked
}

pub fn delete_bng(lab: &Lab) -> Result<(), String> {
    let sessions = lab.sessions()?;
    ensure(sessions.len() == 2, || format!("{} sessions", sessions.len()))?;
    lab.kubectl(&format!("delete bng {BNG} -n {EDGE} --timeout=60s"))?;
    for session in &sessions {
        let (cause, download, upload) = eventually(20, || history(lab, &uid(session)))?;
        ensure(cause == "Admin-Reboot", || cause)?;
        accounted(lab, session, "Admin-Reboot", download, upload)?;
    }
    end::nothing_left(lab, BNG)
}
