//! What the kernel does not forward, whoever is admitted.

use std::net::{Ipv4Addr, Ipv6Addr};

use lastmile_netio::gate::{Change, GateConfig, Terms};

use crate::{
    gate::{GATEWAY, HOST, SUBSCRIBER, config, mac_of, open, send},
    netns::Bench,
};

const SUBSCRIBER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 10);
const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);
const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2);
const UPLINK6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1);

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 2);
const SERVER_SIDE: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 1);

/// Everybody has an IPv6 address, and the gateway forwards.
fn dual_stack() -> Bench {
    let bench = Bench::new();
    for (namespace, address, interface) in [
        ("subscriber", SUBSCRIBER6, "eth0"),
        ("gateway", GATEWAY6, "access0"),
        ("gateway", UPLINK6, "uplink0"),
        ("host", HOST6, "eth0"),
    ] {
        bench.ip(namespace, &format!("addr add {address}/64 dev {interface} nodad"));
    }
    bench.ip("subscriber", &format!("route add default via {GATEWAY6}"));
    bench.ip("host", &format!("route add default via {UPLINK6}"));
    bench.within("gateway", || std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap());
    // The subscriber is known for good: what meets the gate is packets to it, not the question where it is.
    let subscriber = mac_of(&bench, "subscriber");
    bench.ip("gateway", &format!("neigh add {SUBSCRIBER6} lladdr {subscriber} dev access0 nud permanent"));
    bench.run("subscriber", &format!("ping -c1 -w10 {HOST6}"));
    bench
}

#[test]
fn ipv6_of_subscribers_goes_nowhere() {
    let bench = dual_stack();
    let up = || send(&bench, "subscriber", "host", HOST6, 5000, 3);
    let down = || send(&bench, "host", "subscriber", SUBSCRIBER6, 5000, 3);
    let to_gateway = || send(&bench, "subscriber", "gateway", GATEWAY6, 5000, 3);
    assert_eq!((up(), down(), to_gateway()), (3, 3, 3), "without the gate it passes");

    let (mut gate, _) = open(&bench, &config());
    gate.apply(&[Change::Admit { ip: SUBSCRIBER, terms: Terms::default() }]).unwrap();
    assert_eq!((up(), down(), to_gateway()), (0, 0, 0));
    assert_eq!(send(&bench, "host", "gateway", UPLINK6, 5000, 3), 3, "the node's other traffic is untouched");
    let counted = bench.nft("gateway", "list table ip6 lastmile_edge_test");
    assert!(counted.contains("oifname \"access0\" counter packets 3 "), "they met the rule: {counted}");

    drop(gate);
    bench.within("gateway", || lastmile_netio::gate::remove(&config().bng_id).unwrap());
    assert_eq!((up(), down(), to_gateway()), (3, 3, 3), "without the table again");
}

#[test]
fn dhcp_is_the_gateways_on_every_side() {
    let mut bench = Bench::new();
    bench.add_server();
    let ways = [
        ("subscriber", "server", SERVER),
        ("server", "subscriber", SUBSCRIBER),
        ("host", "server", SERVER),
        ("server", "host", HOST),
        ("host", "subscriber", SUBSCRIBER),
        ("subscriber", "host", HOST),
        ("server", "gateway", SERVER_SIDE),
        ("subscriber", "gateway", GATEWAY),
    ];
    let pass = |port| ways.map(|(from, to, address)| send(&bench, from, to, address, port, 3));
    assert_eq!((pass(67), pass(68)), ([3; 8], [3; 8]), "without the gate it passes");

    let config = GateConfig { dhcp: vec!["dhcp0".to_owned()], ..config() };
    let (mut gate, _) = open(&bench, &config);
    gate.apply(&[Change::Admit { ip: SUBSCRIBER, terms: Terms::default() }]).unwrap();
    assert_eq!((pass(67), pass(68)), ([0; 8], [0; 8]));
    // Nothing but DHCP: a subscriber has the uplink alone, and everybody else what they had.
    assert_eq!(pass(5000), [0, 3, 3, 3, 3, 3, 3, 0]);
}
