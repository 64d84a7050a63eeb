//! Addresses got, renewed and given back through the relay.

use std::net::Ipv4Addr;

use lastmile_wire::dhcp::MessageType;
use nix::sys::signal::Signal;

use crate::bench::{Bench, ROUTER, Seen, hex, wait};

#[test]
fn clients_get_leases_that_say_where_they_are_and_release_them() {
    let mut bench = Bench::new();
    bench.kea();
    let relay = bench.relay();
    let seen = bench.sniff();

    bench.client("sub1", "dhclient");
    let udhcpc = bench.client("sub2", "udhcpc");
    let (first, second) = (bench.bound("sub1"), bench.bound("sub2"));
    assert_ne!(first, second);
    for (address, circuit, line) in [(&first, "ar-01|1/1", "line-01"), (&second, "ar-01|1/2", "line-02")] {
        let leases = bench.leases().to_uppercase();
        let lease = leases.lines().find(|lease| lease.starts_with(address.as_str())).unwrap();
        assert!(lease.contains(&hex(circuit)) && lease.contains(&hex(line)), "{lease}");
    }

    // udhcpc sends its renewal straight to the server.
    seen.try_iter().for_each(drop);
    bench.signal(udhcpc, Signal::SIGUSR1);
    wait("the renewal", || bench.log("sub2").matches("lease of").count() >= 2);
    // SIGTERM makes it release (-R).
    bench.signal(udhcpc, Signal::SIGTERM);
    wait("the release", || {
        let leases = bench.leases();
        leases
            .lines()
            .rfind(|lease| lease.starts_with(&second))
            .is_some_and(|lease| lease.split(',').nth(3) == Some("0"))
    });
    let second: Ipv4Addr = second.parse().unwrap();
    let marked = |kind| Seen { kind, src: ROUTER, ciaddr: second, giaddr: ROUTER, circuit_id: "ar-01|1/2".to_owned() };
    let seen: Vec<Seen> = seen.try_iter().filter(|seen| seen.ciaddr == second).collect();
    assert_eq!(seen, [marked(MessageType::Request), marked(MessageType::Release)], "once each, and only by the relay");

    bench.signal(relay, Signal::SIGTERM);
    assert!(bench.children[relay].wait().unwrap().success(), "SIGTERM is a clean end");
    let log = bench.log("router");
    for counter in ["discover=2", "offer=2", "release=1"] {
        assert!(log.contains(counter), "{counter} in {log}");
    }
}
