//! The gateway's host reboots: the journal is all that is left.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    bed::{Bed, drop_database, wait},
    sql::{psql, row, row_of},
};

const NAS: &str = "127.0.81.1";
/// Where the ingestor keeps what happens.
const DATABASE: &str = "lastmile_reboot";

#[test]
fn a_reboot_ends_every_session_with_what_the_journal_knew() {
    let mut bed = Bed::new();
    bed.kea();
    bed.ingestor(DATABASE);
    bed.gateway_addresses();
    let accounting = json!({ "interimSeconds": 10, "idleAfterSeconds": 300, "healthSeconds": 10 });
    let fields = json!({ "nasIpAddress": NAS, "accounting": accounting });
    let first = bed.gateway_with(fields.clone());
    opened(&bed, 1);
    bed.relay();
    bed.client("sub1", "dhclient");
    let udhcpc = bed.client("sub2", "udhcpc");
    wait("both to be let through", || bed.online("sub1") && bed.online("sub2"));
    // Nobody will ever stop this one but an Accounting-On.
    let lost = format!(
        "WITH lost AS (INSERT INTO radacct (acctsessionid, acctuniqueid, nasipaddress, acctstarttime)
         VALUES ('lost', 'lost at {NAS}', '{NAS}', now()) RETURNING 1) SELECT count(*) FROM lost"
    );
    assert_eq!(row(&lost), ["1"]);
    accounted_more_than(&bed, 0);

    bed.killed(first);
    let second = bed.gateway_with(fields.clone());
    opened(&bed, 2);
    assert!(bed.log("gateway").contains("adopted=2"), "{}", bed.log("gateway"));
    accounted_more_than(&bed, octets());
    assert_eq!(counts(), ["3", "3"], "a process that starts again ends nothing");

    bed.killed(second);
    let journal = bed.journal();
    let known = journal.snapshot.sessions.iter().map(|(id, one)| (id.to_string(), one.meter.total()));
    let known: BTreeMap<_, _> = known.map(|(id, total)| (id, (total.input_octets, total.output_octets))).collect();
    assert!(known.len() == 2 && known.values().all(|(_, upload)| *upload > 0), "{known:?}");
    bed.reboot();
    bed.gateway_with(fields);
    opened(&bed, 3);
    wait("everybody's end", || counts() == ["3", "0"]);
    for (id, (download, upload)) in &known {
        assert_eq!(accounted(id), ["NAS-Reboot", &upload.to_string(), &download.to_string()]);
    }
    assert_eq!(accounted("lost")[0], "NAS-Reboot", "by the Accounting-On");
    wait("the history", || recorded() == known);
    assert!(!bed.online("sub1") && !bed.online("sub2"), "the gate is closed until they return");

    bed.client("sub1", "dhclient");
    bed.signal(udhcpc, Signal::SIGUSR1);
    wait("both to be back", || bed.online("sub1") && bed.online("sub2"));
    wait("their accounting", || counts() == ["5", "2"]);
    wait("the new sessions", || row_of(DATABASE, "SELECT count(*) FROM sessions_active") == ["2"]);
    let stops = "SELECT count(*) FROM session_events WHERE event_type = 'SESSION_STOP'";
    assert_eq!(row_of(DATABASE, stops), ["2"], "and nobody was stopped again");
    assert_eq!(recorded(), known);
    drop(bed);
    drop_database(DATABASE);
}

fn opened(bed: &Bed, times: usize) {
    wait("the gateway", || bed.log("gateway").matches("the gateway is open").count() == times);
}

/// All rows of the NAS in radacct, and those that are open.
fn counts() -> Vec<String> {
    row(&format!(
        "SELECT count(*), count(*) FILTER (WHERE acctstoptime IS NULL) FROM radacct WHERE nasipaddress = '{NAS}'"
    ))
}

/// What a session's accounting ended with: the cause, what was uploaded, what was downloaded.
fn accounted(session: &str) -> Vec<String> {
    let fields = "acctterminatecause, acctinputoctets, acctoutputoctets";
    row(&format!("SELECT {fields} FROM radacct WHERE nasipaddress = '{NAS}' AND acctsessionid = '{session}'"))
}

/// What all sessions uploaded, by their accounting so far.
fn octets() -> i64 {
    let sum = row(&format!("SELECT coalesce(sum(acctinputoctets), 0) FROM radacct WHERE nasipaddress = '{NAS}'"));
    sum[0].parse().unwrap()
}

/// Both subscribers send something, and it is in an Interim-Update of each.
fn accounted_more_than(bed: &Bed, before: i64) {
    let open = format!("FROM radacct WHERE nasipaddress = '{NAS}' AND acctinputoctets > 0 AND acctstoptime IS NULL");
    wait("an interim record", || {
        assert!(bed.online("sub1") && bed.online("sub2"));
        octets() > before && row(&format!("SELECT count(*) {open}")) == ["2"]
    });
}

/// What is on record of the sessions that the reboot ended: what each downloaded and uploaded, in octets.
fn recorded() -> BTreeMap<String, (u64, u64)> {
    let text = psql(
        DATABASE,
        "SELECT session_id, input_octets, output_octets FROM sessions_history WHERE terminate_cause = 'NAS-Reboot'",
    );
    let record = |line: &str| -> Option<_> {
        let mut fields = line.split('\t');
        Some((fields.next()?.to_owned(), (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?)))
    };
    text.lines().map(|line| record(line).unwrap_or_else(|| panic!("{line:?}"))).collect()
}
