//! The gateway's host reboots: the journal is all that is left.

use std::collections::BTreeMap;

use lastmile_types::{Counters, event::STREAM};
use nix::sys::signal::Signal;
use redis::{Commands, streams::StreamRangeReply};
use serde_json::{Value, json};

use crate::{
    bed::{Bed, env, wait},
    sql::row,
};

const NAS: &str = "127.0.81.1";

#[test]
fn a_reboot_ends_every_session_with_what_the_journal_knew() {
    let mut bed = Bed::new();
    bed.kea();
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
    let known: BTreeMap<_, _> =
        journal.snapshot.sessions.iter().map(|(id, one)| (id.to_string(), one.meter.total())).collect();
    assert!(known.len() == 2 && known.values().all(|total| total.output_octets > 0), "{known:?}");
    bed.reboot();
    bed.gateway_with(fields);
    opened(&bed, 3);
    wait("everybody's end", || counts() == ["3", "0"]);
    for (id, total) in &known {
        let octets = [total.output_octets, total.input_octets].map(|octets| octets.to_string());
        assert_eq!(accounted(id), ["NAS-Reboot", &octets[0], &octets[1]]);
    }
    assert_eq!(accounted("lost")[0], "NAS-Reboot", "by the Accounting-On");
    wait("the events", || stops(&journal.instance_id.to_string()) == known);
    assert!(!bed.online("sub1") && !bed.online("sub2"), "the gate is closed until they return");

    bed.client("sub1", "dhclient");
    bed.signal(udhcpc, Signal::SIGUSR1);
    wait("both to be back", || bed.online("sub1") && bed.online("sub2"));
    wait("their accounting", || counts() == ["5", "2"]);
    assert_eq!(stops(&journal.instance_id.to_string()), known, "and nobody was stopped again");
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

/// The sessions that an instance's events stop because of the reboot, with their counters; each once.
fn stops(instance: &str) -> BTreeMap<String, Counters> {
    let mut connection = redis::Client::open(env("LASTMILE_TEST_REDIS")).unwrap().get_connection().unwrap();
    let all: StreamRangeReply = connection.xrange_all(STREAM).unwrap();
    let ours = all.ids.iter().filter(|entry| {
        let is = |field: &str, wanted: &str| entry.get::<String>(field).as_deref() == Some(wanted);
        is("bng_instance_id", instance) && is("event_type", "SESSION_STOP")
    });
    let mut stopped = BTreeMap::new();
    for entry in ours {
        let stop: Value = serde_json::from_str(&entry.get::<String>("payload").unwrap()).unwrap();
        assert_eq!(stop["ended"]["cause"], "NAS-Reboot", "{stop:#}");
        let counters = serde_json::from_value(stop["counters"].clone()).unwrap();
        let id = stop["sessionId"].as_str().unwrap().to_owned();
        assert!(stopped.insert(id, counters).is_none(), "stopped twice: {stop:#}");
    }
    stopped
}
