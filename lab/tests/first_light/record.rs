//! What is on record: Kea's leases, the stream's events, the tables.

use crate::lab::{Lab, ensure, eventually};

pub fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

pub fn kea_saw_option_82(lab: &Lab) -> Result<(), String> {
    let contexts = lab.sql("kea", "SELECT upper(user_context) FROM lease4 WHERE state = 0")?;
    let leases: Vec<&str> = contexts.lines().collect();
    for line in 1..=8 {
        let circuit = hex(&format!("ar-0{}|1/{}", (line + 1) / 2, (line + 1) % 2 + 1));
        let remote = hex(&format!("line-0{line}"));
        let lease = leases.iter().find(|lease| lease.contains(&remote));
        let lease = lease.ok_or_else(|| format!("no lease with remote-id line-0{line} in\n{contexts}"))?;
        ensure(lease.contains(&circuit), || format!("line-0{line}: no circuit-id {circuit} in {lease}"))?;
        // Sub-option 12 holds the gateway's identity; a relay that does not add it leaves none.
        ensure(lease.contains("0C"), || format!("line-0{line}: no relay-id in {lease}"))?;
    }
    Ok(())
}

pub fn events_and_tables(lab: &Lab) -> Result<(), String> {
    eventually(60, || {
        let kinds = lab.sql(
            "lastmile",
            "SELECT string_agg(DISTINCT event_type::text, ' ' ORDER BY event_type::text) FROM session_events",
        )?;
        for kind in ["SESSION_START", "SESSION_UPDATE", "POLICY_APPLY", "ROUTER_UPDATE", "BNG_HEALTH_UPDATE"] {
            ensure(kinds.contains(kind), || format!("only {kinds}"))?;
        }
        for (table, least) in
            [("sessions_active", 8), ("access_routers", 4), ("bng_registry", 2), ("bng_health_events", 2)]
        {
            let rows = lab.sql("lastmile", &format!("SELECT count(*) FROM {table}"))?;
            ensure(rows.parse::<u64>().is_ok_and(|rows| rows >= least), || format!("{table} has {rows} rows"))?;
        }
        gapless(lab)
    })
}

/// Every instance's events are stored from 1 to the last, each once, and none was thrown away.
pub fn gapless(lab: &Lab) -> Result<(), String> {
    let gaps = lab.sql(
        "lastmile",
        "SELECT bng_id, count(*), max(seq) FROM session_events GROUP BY bng_id, bng_instance_id HAVING count(*) <> max(seq)",
    )?;
    ensure(gaps.is_empty(), || format!("missing or double events: {gaps}"))?;
    let dead = lab.sql("lastmile", "SELECT reason FROM dead_letters LIMIT 3")?;
    ensure(dead.is_empty(), || format!("dead letters: {dead}"))
}
