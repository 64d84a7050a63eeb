//! The gateway is killed again and again while subscribers come and go.

use std::{collections::BTreeMap, thread, time::Duration};

use lastmile_types::event::STREAM;
use redis::{Commands, streams::StreamRangeReply};
use serde_json::{Value, json};

use crate::{
    bed::{Bed, SERVERS, env, wait},
    servers::leaves_and_asks,
    sql::row,
};

const NAS: &str = "127.0.84.1";
const KILLS: u32 = 8;
/// The kills are so much later after the clients' wish each time: amid a hand-shake, amid AAA, after both.
const LATER: Duration = Duration::from_millis(15);

#[test]
fn a_session_begins_once_and_ends_once_however_often_the_gateway_is_killed() {
    let mut bed = Bed::new();
    bed.kea_of("kea", SERVERS[0], ["10-100.64.1.99", "10-100.64.2.99"], 600);
    bed.gateway_addresses();
    let fields = json!({ "nasIpAddress": NAS });
    let mut gateway = bed.gateway_with(fields.clone());
    opened(&bed, 1);
    bed.relay();
    let clients = ["sub1", "sub2", "sub3"].map(|name| (name, bed.client(name, "udhcpc")));
    wait("all to be let through", || clients.iter().all(|(name, _)| bed.online(name)));
    for kill in 1..=KILLS {
        clients.into_iter().for_each(|client| leaves_and_asks(&mut bed, client));
        thread::sleep(LATER * (kill - 1));
        bed.killed(gateway);
        gateway = bed.gateway_with(fields.clone());
        opened(&bed, 1 + kill);
    }
    // Whoever fell silent meanwhile asks again.
    clients.into_iter().for_each(|client| leaves_and_asks(&mut bed, client));
    wait("all to be let through", || clients.iter().all(|(name, _)| bed.online(name)));

    let log = bed.log("gateway");
    let instance = log.split("instance=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect(&log);
    let lives = || lives(&events(instance));
    wait("everybody's start", || lives().values().filter(|stopped| !**stopped).count() == clients.len());
    let lives = lives();
    assert!(lives.len() > 2 * clients.len(), "somebody came and went: {lives:?}");
    let (all, open) = (lives.len().to_string(), clients.len().to_string());
    wait("the accounting to say the same", || accounting() == [&*all, &*all, &*open]);
}

fn opened(bed: &Bed, times: u32) {
    wait("the gateway", || bed.log("gateway").matches("the gateway is open").count() == times as usize);
}

/// The sessions that events tell of, and whether they are over. Each has begun once, and ended once at most.
fn lives(events: &BTreeMap<u64, (String, Value)>) -> BTreeMap<String, bool> {
    assert!(events.keys().copied().eq(1..=events.len() as u64), "a gap: {:?}", events.keys());
    let mut lives = BTreeMap::new();
    for (seq, (kind, payload)) in events {
        let id = payload["sessionId"].as_str().map(str::to_owned);
        match (kind.as_str(), id) {
            ("SESSION_START", Some(id)) => {
                assert_eq!(lives.insert(id, false), None, "{seq}: started twice: {payload:#}")
            }
            ("SESSION_STOP", Some(id)) => {
                assert_eq!(lives.insert(id, true), Some(false), "{seq}: stopped twice, or unheard-of: {payload:#}");
            }
            (_, Some(id)) => assert_eq!(lives.get(&id), Some(&false), "{seq}: {kind} of nobody: {payload:#}"),
            (_, None) => {}
        }
    }
    lives
}

/// An instance's events by their seq. What is sent again after a crash is what was sent before.
fn events(instance: &str) -> BTreeMap<u64, (String, Value)> {
    let mut connection = redis::Client::open(env("LASTMILE_TEST_REDIS")).unwrap().get_connection().unwrap();
    let all: StreamRangeReply = connection.xrange_all(STREAM).unwrap();
    let mut events = BTreeMap::new();
    for entry in &all.ids {
        let field = |name: &str| entry.get::<String>(name).unwrap();
        if field("bng_instance_id") == instance {
            let event = (field("event_type"), serde_json::from_str(&field("payload")).unwrap());
            let before = events.insert(field("seq").parse().unwrap(), event.clone());
            assert!(before.is_none_or(|before| before == event), "another event with the same seq: {event:?}");
        }
    }
    events
}

/// All rows of the NAS in radacct, how many sessions they are of, and those that are open.
fn accounting() -> Vec<String> {
    row(&format!(
        "SELECT count(*), count(DISTINCT acctsessionid), count(*) FILTER (WHERE acctstoptime IS NULL) FROM radacct
         WHERE nasipaddress = '{NAS}'"
    ))
}
