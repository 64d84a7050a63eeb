//! Walled gardens: what their members reach, and what becomes of them when they leave.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
};

use lastmile_netio::gate::{Change, Gate, GateConfig, Pool, Routers, Terms};
use lastmile_types::{config::WalledGarden, session::Rates};

use crate::{
    gate::{GATEWAY, HOST, PROTECTED, SUBSCRIBER, config, mac_of, open, send},
    netns::{Bench, ask, listen},
};

/// On the host's loopback.
pub const DESTINATION: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const PORTAL: SocketAddrV4 = SocketAddrV4::new(PROTECTED, 8080);
const PACKET: u64 = 128;

pub fn with_garden() -> GateConfig {
    let unpaid = WalledGarden {
        destinations: vec!["203.0.113.0/24".parse().unwrap(), "198.51.100.0/24".parse().unwrap()],
        dns_servers: vec![PROTECTED],
        portal: Some(PORTAL),
    };
    let closed = WalledGarden::default();
    let gardens = BTreeMap::from([("unpaid".to_owned(), unpaid), ("closed".to_owned(), closed)]);
    GateConfig { gardens, ..config() }
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.ip("host", "addr add 203.0.113.1/32 dev lo");
    bench.ip("gateway", "route add 203.0.113.0/24 via 192.0.2.2");
    bench
}

fn terms(garden: Option<&str>) -> Terms {
    Terms { garden: garden.map(str::to_owned), ..Terms::default() }
}

pub fn in_garden(garden: Option<&str>) -> Change {
    Change::Admit { ip: SUBSCRIBER, terms: terms(garden) }
}

fn set(garden: Option<&str>) -> Change {
    Change::SetTerms { ip: SUBSCRIBER, terms: terms(garden) }
}

fn up(bench: &Bench, to: Ipv4Addr, port: u16) -> usize {
    send(bench, "subscriber", "host", to, port, 3)
}

/// Of flows that the subscriber began.
fn flows(bench: &Bench) -> usize {
    bench.run("gateway", "conntrack -L -s 100.64.1.10").lines().count()
}

#[test]
fn its_members_reach_the_garden_and_nothing_else() {
    let bench = bench();
    for (address, name) in [
        ((PROTECTED, 8080), "portal"),
        ((PROTECTED, 53), "dns"),
        ((PROTECTED, 8081), "secret"),
        ((PROTECTED, 80), "secret"),
        ((HOST, 80), "internet"),
        ((HOST, 443), "internet"),
        ((DESTINATION, 80), "destination"),
        ((DESTINATION, 443), "destination"),
    ] {
        listen(&bench, "host", address, name);
    }
    let (mut gate, _) = open(&bench, &with_garden());
    gate.apply(&[in_garden(Some("unpaid"))]).unwrap();
    let answer = |address, port| ask(&bench, "subscriber", address, port);

    assert_eq!(up(&bench, DESTINATION, 5000), 3, "any protocol, any port");
    assert_eq!(answer(DESTINATION, 443).as_deref(), Some("destination"));
    assert_eq!(answer(DESTINATION, 80).as_deref(), Some("destination"), "it is not redirected");
    assert_eq!((up(&bench, PROTECTED, 53), answer(PROTECTED, 53).as_deref()), (3, Some("dns")));
    assert_eq!(answer(*PORTAL.ip(), PORTAL.port()).as_deref(), Some("portal"));
    for anywhere in [HOST, GATEWAY, PROTECTED, Ipv4Addr::new(192, 0, 2, 77)] {
        assert_eq!(answer(anywhere, 80).as_deref(), Some("portal"), "web requests to {anywhere}");
    }

    assert_eq!((up(&bench, HOST, 5000), answer(HOST, 443)), (0, None), "the internet");
    assert_eq!(
        (up(&bench, PROTECTED, 5000), answer(PROTECTED, 8081)),
        (0, None),
        "protected, though it is a destination"
    );
    assert_eq!(up(&bench, HOST, 53), 0, "another DNS server");
    assert_eq!(send(&bench, "host", "subscriber", SUBSCRIBER, 5000, 3), 0, "nothing comes unasked");
    assert_eq!(send(&bench, "subscriber", "gateway", GATEWAY, 10_250, 3), 0);

    gate.apply(&[set(Some("closed"))]).unwrap();
    assert_eq!((up(&bench, DESTINATION, 5000), answer(HOST, 80)), (0, None), "the other garden has nothing in it");
}

#[test]
fn leaving_a_garden_loses_no_count_and_no_flow_stays_behind() {
    let bench = bench();
    listen(&bench, "host", (PROTECTED, 8080), "portal");
    let (mut gate, _) = open(&bench, &with_garden());
    gate.apply(&[in_garden(Some("unpaid"))]).unwrap();
    assert_eq!(up(&bench, DESTINATION, 5000), 3);
    assert_eq!(ask(&bench, "subscriber", HOST, 80).as_deref(), Some("portal"));
    assert!(flows(&bench) >= 2, "conntrack follows members");
    let before = gate.read(SUBSCRIBER).unwrap().unwrap().counters;
    assert!(
        before.output_octets > 3 * PACKET && before.input_packets > 0,
        "web requests are counted as well: {before:?}"
    );

    let rates = Rates { up_kbps: Some(8000), ..Rates::default() };
    gate.apply(&[Change::SetTerms { ip: SUBSCRIBER, terms: Terms { rates, ..Terms::default() } }]).unwrap();
    assert_eq!(flows(&bench), 0);
    assert_eq!(
        (up(&bench, HOST, 5000), up(&bench, PROTECTED, 53)),
        (3, 0),
        "free, and held off from protected networks"
    );
    assert_eq!(send(&bench, "host", "subscriber", SUBSCRIBER, 5000, 3), 3);
    assert_eq!(flows(&bench), 0, "conntrack does not follow who is free");
    let after = gate.read(SUBSCRIBER).unwrap().unwrap().counters;
    assert_eq!(after.output_octets, before.output_octets + 3 * PACKET);
    assert_eq!(after.input_octets, before.input_octets + 3 * PACKET);

    gate.apply(&[set(Some("unpaid"))]).unwrap();
    assert_eq!((up(&bench, HOST, 5000), up(&bench, DESTINATION, 5000)), (0, 3));
    let finals = gate.apply(&[Change::Evict { ip: SUBSCRIBER }]).unwrap();
    assert_eq!(finals[0].counters.output_octets, after.output_octets + 3 * PACKET);
    assert_eq!((up(&bench, DESTINATION, 5000), flows(&bench)), (0, 0));
}

#[test]
fn members_are_adopted_and_a_garden_that_is_no_more_is_shut() {
    let bench = bench();
    let (mut gate, _) = open(&bench, &with_garden());
    gate.apply(&[in_garden(Some("unpaid"))]).unwrap();
    drop(gate);
    assert_eq!((up(&bench, DESTINATION, 5000), up(&bench, HOST, 5000)), (3, 0), "the kernel goes on without us");
    let (mut gate, admitted) = bench.within("gateway", || Gate::open(&with_garden()).unwrap());
    assert_eq!(admitted[0].terms, terms(Some("unpaid")));
    assert_eq!(admitted[0].counters.output_packets, 3);

    // Another content, live.
    let mut other = with_garden();
    other.gardens.insert("unpaid".to_owned(), WalledGarden { destinations: vec![HOST.into()], ..Default::default() });
    gate.reconfigure(&other).unwrap();
    assert_eq!((up(&bench, DESTINATION, 5000), up(&bench, HOST, 5000)), (0, 3));
    other.gardens.remove("unpaid");
    gate.reconfigure(&other).unwrap();
    assert_eq!((up(&bench, DESTINATION, 5000), up(&bench, HOST, 5000)), (0, 0));
    drop(gate);
    let (mut gate, admitted) = bench.within("gateway", || Gate::open(&other).unwrap());
    assert_eq!(admitted[0].terms, terms(Some("")), "confined to nothing that exists");
    gate.reconfigure(&with_garden()).unwrap();
    gate.apply(&[set(Some("unpaid"))]).unwrap();
    assert_eq!(up(&bench, DESTINATION, 5000), 3);
    gate.reconfigure(&config()).unwrap();
    assert_eq!(up(&bench, DESTINATION, 5000), 0, "no garden at all is no way out");
    gate.apply(&[set(None)]).unwrap();
    assert_eq!(up(&bench, HOST, 5000), 3);
    assert!(gate.apply(&[set(Some("nowhere"))]).is_err());
    assert_eq!(up(&bench, HOST, 5000), 3, "a change that failed changed nothing");
}

#[test]
fn members_and_other_subscribers_do_not_meet() {
    let bench = bench();
    // The host is a subscriber, too, behind a router of his own.
    let host = Pool { prefix: "192.0.2.0/24".parse().unwrap(), next_hop: Some(HOST) };
    let config = GateConfig {
        subscriber: vec!["access0".to_owned(), "uplink0".to_owned()],
        uplink: vec![],
        pools: [config().pools, vec![host]].concat(),
        ..with_garden()
    };
    let (mut gate, _) = open(&bench, &config);
    gate.learn(&Routers::from([(HOST, mac_of(&bench, "host"))])).unwrap();
    gate.apply(&[in_garden(None), Change::Admit { ip: HOST, terms: Terms::default() }]).unwrap();
    let down = || send(&bench, "host", "subscriber", SUBSCRIBER, 5000, 3);
    assert_eq!((up(&bench, HOST, 5000), down()), (3, 3), "subscribers reach each other");
    let counters = gate.read(HOST).unwrap().unwrap().counters;
    assert_eq!((counters.input_packets, counters.output_packets), (3, 3), "and both are counted");
    gate.apply(&[set(Some("unpaid"))]).unwrap();
    assert_eq!((up(&bench, HOST, 5000), down()), (0, 0));
}
