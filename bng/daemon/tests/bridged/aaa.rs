//! RADIUS servers that are not there when subscribers come and go.

use std::{net::UdpSocket, time::Duration};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    bed::{Bed, env, wait},
    sql::row,
};

const NAS: &str = "127.0.86.1";
/// RADIUS' code of an Access-Request (RFC 2865 §4.1).
const ACCESS_REQUEST: u8 = 1;

#[test]
fn a_client_is_bound_while_a_server_swallows_what_it_is_asked() {
    let mut bed = Bed::new();
    bed.kea();
    bed.gateway_addresses();
    let [auth, acct] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let [to_auth, to_acct] = [&auth, &acct].map(|socket| socket.local_addr().unwrap().to_string());
    // So patient that no request is given up before the end of the test.
    let mut fields = radius(&to_auth, &to_acct);
    fields["radius"]["timeoutMs"] = json!(60_000);
    bed.gateway_with(fields);
    opened(&bed, 1);
    bed.relay();
    bed.client("sub1", "udhcpc");
    asked(&auth);
    bed.bound("sub1");
    wait("a session without an answer", || bed.metric("lastmile_bng_sessions{state=\"pending\"}") == Some(1));
    assert!(!bed.online("sub1"), "nobody has authorized it");
}

#[test]
fn what_a_killed_gateway_owed_to_radius_the_next_one_delivers() {
    let mut bed = Bed::new();
    bed.kea();
    bed.gateway_addresses();
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let gateway = bed.gateway_with(radius(&env("LASTMILE_TEST_RADIUS"), &nobody));
    opened(&bed, 1);
    bed.relay();
    let client = bed.client("sub1", "udhcpc");
    wait("it to be let through", || bed.online("sub1"));
    bed.signal(client, Signal::SIGTERM);
    wait("its end", || !bed.online("sub1"));
    // The Accounting-On, its Start and its Stop.
    wait("what is owed", || bed.metric("lastmile_bng_accounting_waiting") >= Some(2));
    assert_eq!(accounted(), ["0", "0", ""]);

    bed.killed(gateway);
    bed.gateway_with(radius(&env("LASTMILE_TEST_RADIUS"), &env("LASTMILE_TEST_RADIUS_ACCT")));
    opened(&bed, 2);
    wait("its record", || accounted()[0] == "1" && accounted()[1] == "1");
    assert_eq!(accounted(), ["1", "1", "User-Request"]);
}

/// The gateway asks at these addresses.
fn radius(auth: &str, acct: &str) -> Value {
    json!({ "nasIpAddress": NAS, "radius": {
        "servers": [{ "auth": auth, "acct": acct, "secretFile": "radius-secret", "requireMessageAuthenticator": true }],
        "passwordFile": "radius-password", "userNameTemplate": env("LASTMILE_TEST_RADIUS_USER"),
        "timeoutMs": 1000, "retries": 2 } })
}

/// Swallows everything up to the first Access-Request.
fn asked(server: &UdpSocket) {
    server.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut packet = [0; 4096];
    while server.recv(&mut packet).expect("an Access-Request") == 0 || packet[0] != ACCESS_REQUEST {}
}

fn opened(bed: &Bed, times: usize) {
    wait("the gateway", || bed.log("gateway").matches("the gateway is open").count() == times);
}

/// The records of the NAS, those with start and stop, and why they ended.
fn accounted() -> Vec<String> {
    row(&format!(
        "SELECT count(*), count(*) FILTER (WHERE acctstarttime IS NOT NULL AND acctstoptime IS NOT NULL),
         coalesce(string_agg(acctterminatecause, ' '), '') FROM radacct WHERE nasipaddress = '{NAS}'"
    ))
}
