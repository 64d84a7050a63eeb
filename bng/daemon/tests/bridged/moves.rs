//! Devices that are replaced, that move to another port, and that fight for one.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::{
    bed::{Bed, SERVERS, wait},
    sql::row,
};

const NAS: &str = "127.0.83.1";
const DROPPED: &str = "lastmile_bng_dropped_total{reason=\"held-down\"}";

#[test]
fn who_comes_to_a_port_ends_whom_was_there_once_and_not_for_ever() {
    let mut bed = Bed::new();
    bed.kea_of("kea", SERVERS[0], ["10-100.64.1.99", "10-100.64.2.99"], 600);
    bed.gateway_addresses();
    bed.gateway_with(json!({ "nasIpAddress": NAS }));
    wait("the gateway", || bed.log("gateway").contains("the gateway is open"));
    bed.relay();
    let client = bed.client("sub1", "udhcpc");
    wait("it to be let through", || bed.online("sub1"));
    wait("its accounting", || accounting() == ["1", "1", ""]);

    bed.killed(client);
    set_mac(&bed, "sub1", 1);
    let client = bed.client("sub1", "udhcpc");
    wait("the new device to be let through", || bed.online("sub1"));
    wait("its accounting", || accounting() == ["2", "1", "Port-Preempted"]);

    let address = bed.bound("sub1");
    bed.killed(client);
    set_mac(&bed, "sub1", 2);
    set_mac(&bed, "sub2", 1);
    let client = bed.client("sub2", "udhcpc");
    wait("the device to be let through on its new port", || bed.online("sub2"));
    assert_eq!(bed.bound("sub2"), address, "it keeps its lease");
    assert!(bed.lease(address).contains(&crate::hex("ar-01|1/2")), "{}", bed.lease(address));
    wait("its accounting", || accounting() == ["3", "1", "Port-Preempted"]);

    // Two devices in turn: each turn is one stop and one start, and then they wait.
    bed.killed(client);
    let mut turns = 3;
    for device in (3..5).cycle().take(20) {
        set_mac(&bed, "sub2", device);
        turns += u32::from(asks_once(&bed, "sub2"));
        if bed.metric(DROPPED).is_some() {
            break;
        }
    }
    assert!(bed.metric(DROPPED).is_some(), "nobody had to wait:\n{}", bed.metrics());
    wait("their accounting", || accounting() == [&turns.to_string(), "1", "Port-Preempted"]);
}

/// Records in radacct, those that are open, and the causes of the others.
fn accounting() -> Vec<String> {
    row(&format!(
        "SELECT count(*), count(*) FILTER (WHERE acctstoptime IS NULL), coalesce(string_agg(DISTINCT acctterminatecause, ' ')
         FILTER (WHERE acctstoptime IS NOT NULL), '') FROM radacct WHERE nasipaddress = '{NAS}'"
    ))
}

fn set_mac(bed: &Bed, name: &str, device: u8) {
    bed.ip(name, "addr flush dev eth0");
    bed.ip(name, "link set eth0 down");
    bed.ip(name, &format!("link set eth0 address 02:00:5e:00:00:0{device}"));
    bed.ip(name, "link set eth0 up");
}

/// One exchange by a client that then goes away without a word; whether it got an address.
fn asks_once(bed: &Bed, name: &str) -> bool {
    let mut client = Command::new("udhcpc");
    client.args(["-n", "-q", "-f", "-t", "3", "-T", "1", "-i", "eth0", "-s", "/bin/true"]);
    client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    bed.within(name, || client.status().unwrap().success())
}
