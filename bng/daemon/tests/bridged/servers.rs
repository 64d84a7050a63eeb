//! DHCP servers that die under their clients.

use std::net::Ipv4Addr;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    bed::{Bed, SERVERS, wait},
    sql::row,
};

/// The addresses of the first server end below this, those of the second begin here.
const SECOND: u8 = 100;

fn first_server(bed: &mut Bed) -> usize {
    bed.kea_of("kea1", SERVERS[0], ["10-100.64.1.19", "10-100.64.2.19"], 600)
}

fn second_server(bed: &mut Bed) -> usize {
    bed.kea_of("kea2", SERVERS[1], ["100-100.64.1.119", "100-100.64.2.119"], 600)
}

#[test]
fn a_dead_server_is_left_alone_until_it_speaks_and_the_last_one_never() {
    let mut bed = Bed::new();
    let (one, two) = (first_server(&mut bed), second_server(&mut bed));
    bed.gateway_addresses();
    bed.gateway_with(json!({ "dhcp": { "servers": SERVERS } }));
    wait("the gateway", || bed.log("gateway").contains("the gateway is open"));
    bed.relay();
    bed.client("sub1", "dhclient");
    bed.bound("sub1");
    wait("both servers to be in service", || each(&bed, "in_service") == [Some(1); 2] && condition(&bed) == Some(-1));

    bed.signal(one, Signal::SIGSTOP);
    let clients = ["sub2", "sub3", "sub4"].map(|name| (name, bed.client(name, "udhcpc")));
    for (name, _) in clients {
        assert!(last_octet(bed.bound(name)) >= SECOND, "the other server serves");
    }
    wait("the quarantine", || each(&bed, "in_service") == [Some(0), Some(1)]);
    wait("its condition", || condition(&bed) == Some(0) && each(&bed, "answers") == [Some(0), Some(1)]);
    let asked = each(&bed, "asked_total");
    comes_again(&mut bed, clients[0]);
    wait("the other to be asked", || each(&bed, "asked_total")[1] > asked[1]);
    assert_eq!(each(&bed, "asked_total")[0], asked[0], "no DISCOVER goes to the dead one");

    bed.signal(one, Signal::SIGCONT);
    wait("its first word", || each(&bed, "in_service") == [Some(1); 2] && condition(&bed) == Some(-1));

    // Both die: somebody is asked all the same.
    bed.killed(one);
    bed.killed(two);
    let asked = each(&bed, "asked_total");
    for client in clients {
        leaves_and_asks(&mut bed, client);
    }
    wait("both to be silent", || each(&bed, "answers") == [Some(0); 2]);
    assert_eq!(each(&bed, "in_service"), [Some(1); 2], "where all are dead none is left alone");
    first_server(&mut bed);
    for (name, _) in clients {
        wait("the first server to serve", || last_octet(bed.bound(name)) < SECOND);
    }
    wait("the quarantine of the other", || each(&bed, "in_service") == [Some(1), Some(0)]);
    assert!(each(&bed, "asked_total")[0] > asked[0]);
}

#[test]
fn a_renewal_that_nobody_answers_extends_nothing() {
    const NAS: &str = "127.0.82.1";
    const LEASE: u32 = 20;
    let mut bed = Bed::new();
    let kea = bed.kea_of("kea", SERVERS[0], ["10-100.64.1.19", "10-100.64.2.19"], LEASE);
    bed.gateway_addresses();
    bed.gateway_with(json!({ "nasIpAddress": NAS }));
    wait("the gateway", || bed.log("gateway").contains("the gateway is open"));
    bed.relay();
    let client = bed.client("sub1", "udhcpc");
    wait("it to be let through", || bed.online("sub1"));
    bed.signal(client, Signal::SIGUSR1);
    wait("a renewal", || bed.log("sub1").matches("lease of").count() == 2);
    assert!(!bed.log("sub1").contains("NAK"), "{}", bed.log("sub1"));

    bed.killed(kea);
    let asked = bed.log("sub1").matches("sending renew").count();
    bed.signal(client, Signal::SIGUSR1);
    let ended = || {
        let fields = "count(*), coalesce(string_agg(acctterminatecause, ' '), '')";
        row(&format!("SELECT {fields} FROM radacct WHERE nasipaddress = '{NAS}' AND acctstoptime IS NOT NULL"))
    };
    wait("the lease's end", || ended()[0] != "0");
    assert_eq!(ended(), ["1", "Lost-Carrier"]);
    assert!(bed.log("sub1").matches("sending renew").count() > asked, "it asked to renew: {}", bed.log("sub1"));
    assert!(!bed.online("sub1"));
}

/// A metric of each server.
fn each(bed: &Bed, name: &str) -> [Option<i64>; 2] {
    SERVERS.map(|server| bed.metric(&format!("lastmile_bng_dhcp_server_{name}{{server=\"{server}\"}}")))
}

/// What DhcpReachable says; -1 = nothing known, as no Kea endpoint is configured.
fn condition(bed: &Bed) -> Option<i64> {
    bed.metric("lastmile_bng_condition{type=\"DhcpReachable\"}")
}

/// udhcpc gives its lease back and asks for a new one.
pub fn leaves_and_asks(bed: &mut Bed, (name, client): (&str, usize)) {
    let before = bed.log(name).matches("entering released state").count();
    bed.signal(client, Signal::SIGUSR2);
    wait("the release", || bed.log(name).matches("entering released state").count() > before);
    bed.signal(client, Signal::SIGUSR1);
}

fn comes_again(bed: &mut Bed, client: (&str, usize)) {
    let name = client.0;
    let before = bed.log(name).matches("lease of").count();
    leaves_and_asks(bed, client);
    wait("a new lease", || bed.log(name).matches("lease of").count() > before);
}

fn last_octet(address: Ipv4Addr) -> u8 {
    address.octets()[3]
}
