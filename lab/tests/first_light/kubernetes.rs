//! What `kubectl` shows.

use serde_json::Value;

use crate::lab::{EDGE, Lab, ensure, eventually};

/// The status of a condition of an object.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)?["status"].as_str()
}

pub fn bngs_are_ready(lab: &Lab) -> Result<(), String> {
    eventually(60, || {
        for name in ["bng-01", "bng-02"] {
            let bng = lab.json(&format!("get bng {name} -n {EDGE}"))?;
            for kind in ["Ready", "ConfigApplied", "LinksReady", "DhcpReachable", "RadiusReachable", "EventsFlowing"] {
                ensure(condition(&bng, kind) == Some("True"), || format!("{name}: {kind} of {:#}", bng["status"]))?;
            }
            ensure(bng["status"]["node"] == name, || format!("{name} is on {}", bng["status"]["node"]))?;
        }
        let table = lab.kubectl(&format!("get bngs -n {EDGE}"))?;
        for column in ["NODE", "READY", "SESSIONS", "AUTHORIZED", "CPU", "MEMORY", "AGE"] {
            ensure(table.contains(column), || format!("no column {column} in\n{table}"))?;
        }
        let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
        ensure(rows.len() == 2, || table.clone())?;
        for row in rows {
            ensure(row.len() == 8 && row[2] == "True" && row[3] == "4", || table.clone())?;
            ensure(row[4] == if row[0] == "bng-01" { "4" } else { "3" }, || table.clone())?;
        }
        Ok(())
    })
}

pub fn sessions_are_listed(lab: &Lab) -> Result<(), String> {
    eventually(30, || {
        let table = lab.kubectl(&format!("get sessions -n {EDGE} -o wide"))?;
        let count = |word: &str| table.lines().filter(|line| line.split_whitespace().any(|cell| cell == word)).count();
        ensure(count("AUTHORIZED") == 7 && count("REJECTED") == 1, || table.clone())?;
        ensure(table.lines().count() == 9, || table.clone())?;
        for column in
            ["NAME", "SUBSCRIBER", "IP", "MAC", "STATE", "AUTH", "POLICY", "DOWN", "UP", "AGE", "BNG", "CIRCUIT"]
        {
            ensure(table.lines().next().is_some_and(|head| head.contains(column)), || format!("{column}:\n{table}"))?;
        }
        let rejected = lab.session_of("line-08")?;
        ensure(rejected["status"]["auth"] == "REJECTED", || format!("{rejected:#}"))
    })
}

pub fn sessions_by_name_and_label(lab: &Lab) -> Result<(), String> {
    let session = lab.session_of("line-01")?;
    let name = session["metadata"]["name"].as_str().unwrap_or_default();
    ensure(name.strip_prefix("s-") == session["metadata"]["uid"].as_str(), || format!("{session:#}"))?;
    let again = lab.json(&format!("get session {name} -n {EDGE}"))?;
    ensure(again["spec"] == session["spec"], || format!("{again:#}"))?;
    let yaml = lab.kubectl(&format!("get session {name} -n {EDGE} -o yaml"))?;
    ensure(yaml.contains("remoteId: line-01"), || yaml.clone())?;
    for (selector, count) in
        [("lastmile.io/bng=bng-01", 4), ("lastmile.io/auth=REJECTED", 1), ("lastmile.io/router in (ar-03,ar-04)", 4)]
    {
        let mut command = lab.command("kubectl");
        command.args(["get", "sessions", "-A", "--no-headers", "-l", selector]);
        let rows = crate::lab::output(&mut command)?;
        ensure(rows.lines().count() == count, || format!("-l '{selector}':\n{rows}"))?;
    }
    let selected = lab.kubectl(&format!("get sessions -A --field-selector metadata.name={name} --no-headers"))?;
    ensure(selected.lines().count() == 1, || selected.clone())?;
    let paged = lab.kubectl("get sessions -A --chunk-size=3 --no-headers")?;
    ensure(paged.lines().count() == 8, || paged.clone())?;
    let missing = lab.kubectl(&format!("get session s-00000000-0000-0000-0000-000000000000 -n {EDGE}"));
    ensure(missing.is_err_and(|error| error.contains("NotFound")), || "a session that never was is found".into())
}

pub fn describe_and_explain(lab: &Lab) -> Result<(), String> {
    let described = lab.kubectl(&format!("describe sessions -n {EDGE}"))?;
    ensure(described.matches("Remote Id:").count() == 8, || described.clone())?;
    let explained = lab.kubectl("explain bng.spec")?;
    ensure(explained.contains("DESCRIPTION") && explained.contains("pools"), || explained.clone())?;
    let explained = lab.kubectl("explain session.status")?;
    ensure(explained.contains("auth"), || explained.clone())
}

pub fn routers_and_policies(lab: &Lab) -> Result<(), String> {
    eventually(60, || {
        let routers = lab.kubectl(&format!("get accessrouters -n {EDGE}"))?;
        ensure(routers.lines().count() == 5, || routers.clone())?;
        ensure(routers.matches("True").count() + routers.matches("true").count() >= 4, || routers.clone())?;
        let policies = lab.kubectl(&format!("get subscriberpolicies -n {EDGE}"))?;
        ensure(policies.contains("gold") && policies.contains("silver"), || policies.clone())
    })
}

pub fn bad_bng_is_refused(lab: &Lab) -> Result<(), String> {
    let mut bng = lab.json(&format!("get bng bng-01 -n {EDGE}"))?;
    bng["metadata"] = serde_json::json!({ "name": "bng-bad", "namespace": EDGE });
    let spec = bng["spec"].clone();
    bng["spec"]["pools"][0]["nextHop"] = Value::Null;
    let refusal = lab.apply(&bng.to_string()).err().ok_or("a routed pool without next hop was accepted")?;
    ensure(refusal.contains("nextHop"), || refusal)?;
    bng["spec"] = spec;
    bng["spec"]["dhcp"]["servers"] = serde_json::json!([]);
    let refusal = lab.apply(&bng.to_string()).err().ok_or("a BNG without DHCP servers was accepted")?;
    ensure(refusal.contains("servers"), || refusal)
}

pub fn unknown_node_is_said(lab: &Lab) -> Result<(), String> {
    let mut bng = lab.json(&format!("get bng bng-01 -n {EDGE}"))?;
    bng["metadata"] = serde_json::json!({ "name": "bng-nowhere", "namespace": EDGE });
    bng["status"] = Value::Null;
    bng["spec"]["placement"] = serde_json::json!({ "nodeName": "no-such-node" });
    lab.apply(&bng.to_string())?;
    let said = eventually(30, || {
        let bng = lab.json(&format!("get bng bng-nowhere -n {EDGE}"))?;
        ensure(condition(&bng, "Ready") == Some("False"), || format!("{:#}", bng["status"]))?;
        Ok(bng["status"]["conditions"].to_string())
    })?;
    lab.kubectl(&format!("delete bng bng-nowhere -n {EDGE} --timeout=30s"))?;
    ensure(said.contains("no-such-node"), || said)
}

/// The gateway goes on with the configuration that it has, and says what is missing until it is there again.
pub fn missing_secret_heals(lab: &Lab) -> Result<(), String> {
    let mut secret = lab.json(&format!("get secret radius -n {EDGE}"))?;
    for field in ["resourceVersion", "uid", "creationTimestamp", "managedFields", "annotations"] {
        secret["metadata"].as_object_mut().map(|metadata| metadata.remove(field));
    }
    lab.kubectl(&format!("delete secret radius -n {EDGE}"))?;
    let said = eventually(30, || {
        let bng = lab.json(&format!("get bng bng-01 -n {EDGE}"))?;
        let conditions = bng["status"]["conditions"].to_string();
        ensure(condition(&bng, "ConfigApplied") == Some("False"), || conditions.clone())?;
        Ok(conditions)
    });
    lab.apply(&secret.to_string())?;
    ensure(said.as_ref().is_ok_and(|said| said.contains("radius")), || format!("{said:?}"))?;
    eventually(30, || {
        let bng = lab.json(&format!("get bng bng-01 -n {EDGE}"))?;
        let healed = condition(&bng, "ConfigApplied") == Some("True") && condition(&bng, "Ready") == Some("True");
        ensure(healed, || format!("{:#}", bng["status"]["conditions"]))
    })
}

/// `kubectl get sessions -w` tells of a session's end and of the next one's beginning while it runs.
pub fn watch(lab: &Lab) -> Result<(), String> {
    let mut watch = lab.command("kubectl");
    watch.args(["get", "sessions", "-n", EDGE, "--watch-only", "--output-watch-events", "--no-headers"]);
    let mut watch = watch.stdout(std::process::Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    let told = lab.run(&["subscriber", "release", "sub-06"]).and_then(|_| {
        eventually(20, || lab.session_of("line-06").map_or(Ok(()), |_| Err("line-06 is still online".to_owned())))?;
        lab.run(&["subscriber", "start", "sub-06"])?;
        eventually(30, || {
            let session = lab.session_of("line-06")?;
            ensure(session["status"]["auth"] == "AUTHORIZED", || format!("{session:#}"))
        })
    });
    std::thread::sleep(std::time::Duration::from_secs(2));
    let _ = watch.kill();
    let seen = watch.wait_with_output().map_err(|error| error.to_string())?;
    told?;
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    let line = |event: &str| seen.lines().any(|line| line.starts_with(event) && line.contains("line-06"));
    ensure(line("DELETED") && line("ADDED"), || format!("the watch saw\n{seen}"))
}
