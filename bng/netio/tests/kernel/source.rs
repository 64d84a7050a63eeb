//! Where packets come from: frames of the right router, or of the right subscriber on the link.

use std::{net::Ipv4Addr, time::Duration};

use lastmile_netio::{
    gate::{Change, Gate, GateConfig, Pool, Routers, Terms},
    links::Links,
    neighbours::{NeighbourWatch, Neighbours},
};
use lastmile_types::MacAddr;
use tokio::time::timeout;

use crate::{
    gate::{GATEWAY, HOST, ROUTER, SUBSCRIBER, config, mac_of, open, send},
    netns::Bench,
};

/// Behind another router, which is not there.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(100, 64, 2, 10);
const OTHER_ROUTER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 3);
const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);

fn two_routers() -> GateConfig {
    let elsewhere = Pool { prefix: "100.64.2.0/24".parse().unwrap(), next_hop: Some(OTHER_ROUTER) };
    GateConfig { pools: [config().pools, vec![elsewhere]].concat(), ..config() }
}

fn admit(ip: Ipv4Addr, mac: Option<MacAddr>) -> Change {
    Change::Admit { ip, terms: Terms { mac, ..Terms::default() } }
}

/// As the subscriber's namespace, under any source address that it has.
fn up_from(bench: &Bench, source: Ipv4Addr, count: usize) -> usize {
    bench.ip("subscriber", &format!("route replace {HOST} via {GATEWAY} src {source}"));
    send(bench, "subscriber", "host", HOST, 5000, count)
}

fn spoofed(gate: &mut Gate, by: &str) -> u64 {
    gate.spoofed().unwrap()[by]
}

/// As if the router had been replaced by another device.
fn replace_router(bench: &Bench, mac: MacAddr) {
    bench.ip("subscriber", &format!("link set eth0 address {mac}"));
    bench.ip("subscriber", &format!("route replace default via {GATEWAY}"));
}

#[test]
fn only_its_routers_frames_carry_a_subscriber() {
    let bench = Bench::new();
    bench.ip("subscriber", "addr add 100.64.2.10/32 dev eth0");
    bench.ip("subscriber", "addr add 203.0.113.9/32 dev eth0");
    let (mut gate, _) = open(&bench, &two_routers());
    gate.learn(&Routers::from([(OTHER_ROUTER, OTHER_MAC)])).unwrap();
    gate.apply(&[admit(SUBSCRIBER, None), admit(ELSEWHERE, None)]).unwrap();

    assert_eq!(up_from(&bench, SUBSCRIBER, 3), 3);
    assert_eq!(up_from(&bench, ELSEWHERE, 4), 0, "admitted, but behind another router");
    assert_eq!(up_from(&bench, Ipv4Addr::new(203, 0, 113, 9), 5), 0, "behind no router");
    assert_eq!(spoofed(&mut gate, "100.64.1.2"), 9, "counted for the router that sent them");
    assert_eq!((spoofed(&mut gate, "100.64.1.3"), spoofed(&mut gate, "unknown")), (0, 0));
    let counted = gate.read(ELSEWHERE).unwrap().unwrap().counters;
    assert_eq!(counted.output_packets, 0, "nobody pays for what others forge");

    replace_router(&bench, MacAddr([2, 0, 0, 0, 0, 7]));
    assert_eq!(up_from(&bench, SUBSCRIBER, 3), 0, "nobody knows this one");
    assert_eq!(spoofed(&mut gate, "unknown"), 3);
    drop(gate);
    let (mut gate, _) = bench.within("gateway", || Gate::open(&two_routers()).unwrap());
    assert_eq!((spoofed(&mut gate, "100.64.1.2"), spoofed(&mut gate, "unknown")), (9, 3), "the counters go on");
    assert!(!gate.learn(&Routers::from([(OTHER_ROUTER, OTHER_MAC)])).unwrap(), "what was known still is");
    assert!(gate.learn(&Routers::from([(ROUTER, MacAddr([2, 0, 0, 0, 0, 7]))])).unwrap());
    assert_eq!(up_from(&bench, SUBSCRIBER, 3), 3);

    // Another router's address on the same device, and a configuration without the first.
    gate.learn(&Routers::from([(OTHER_ROUTER, MacAddr([2, 0, 0, 0, 0, 7]))])).unwrap();
    assert_eq!((up_from(&bench, SUBSCRIBER, 3), up_from(&bench, ELSEWHERE, 3)), (3, 3));
    let without = GateConfig { pools: two_routers().pools.split_off(1), ..config() };
    gate.reconfigure(&without).unwrap();
    assert_eq!((up_from(&bench, SUBSCRIBER, 3), up_from(&bench, ELSEWHERE, 3)), (0, 3));
}

#[test]
fn on_the_link_each_has_his_own_mac() {
    let bench = Bench::new();
    let on_link = Pool { next_hop: None, ..config().pools[0] };
    let on_link = GateConfig { pools: vec![on_link], ..config() };
    let (mut gate, _) = bench.within("gateway", || Gate::open(&on_link).unwrap());
    let mac = mac_of(&bench, "subscriber");
    let neighbour: Ipv4Addr = [100, 64, 1, 11].into();
    bench.ip("subscriber", "addr add 100.64.1.11/32 dev eth0");
    gate.apply(&[admit(SUBSCRIBER, Some(mac)), admit(neighbour, Some(OTHER_MAC))]).unwrap();
    assert_eq!((up_from(&bench, SUBSCRIBER, 3), up_from(&bench, neighbour, 4)), (3, 0));
    assert_eq!(spoofed(&mut gate, "unknown"), 4);
    let list = bench.nft("gateway", "list set ip lastmile_edge_test bound");
    assert!(list.contains(&format!("100.64.1.10 . {mac}")), "people can read it with nft: {list}");

    drop(gate);
    let (mut gate, admitted) = bench.within("gateway", || Gate::open(&on_link).unwrap());
    let macs: Vec<_> = admitted.iter().map(|one| (one.ip, one.terms.mac)).collect();
    assert_eq!(macs, [(SUBSCRIBER, Some(mac)), (neighbour, Some(OTHER_MAC))]);
    let terms = Terms { mac: Some(mac), ..Terms::default() };
    gate.apply(&[Change::SetTerms { ip: neighbour, terms }]).unwrap();
    assert_eq!(up_from(&bench, neighbour, 3), 3, "it has another device");
    let finals = gate.apply(&[Change::Evict { ip: SUBSCRIBER }, Change::Evict { ip: neighbour }]).unwrap();
    assert_eq!(finals.iter().map(|last| last.counters.output_packets).collect::<Vec<_>>(), [3, 3]);
    assert!(!bench.nft("gateway", "list set ip lastmile_edge_test bound").contains("elements"), "nobody is left");
    assert_eq!(up_from(&bench, SUBSCRIBER, 2), 0);
}

#[test]
fn neighbours_are_resolved_watched_and_pinned() {
    let bench = Bench::new();
    bench.ip("subscriber", "addr add 100.64.1.2/32 dev eth0");
    let mac = mac_of(&bench, "subscriber");
    bench.within_async("gateway", async || {
        let index = Links::open().unwrap().get("access0").await.unwrap().unwrap().index;
        let neighbours = Neighbours::open().unwrap();
        let mut watch = NeighbourWatch::open().unwrap();
        let find = async |ip| {
            let all = neighbours.list(index).await.unwrap();
            all.into_iter().find(|one| one.ip == ip).filter(|one| one.mac.is_some())
        };
        assert_eq!(find(ROUTER).await, None);
        neighbours.resolve(index, ROUTER).await.unwrap();
        let known = async {
            while find(ROUTER).await.is_none() {
                watch.changed(index, |ip| ip == ROUTER).await;
            }
        };
        timeout(Duration::from_secs(2), known).await.unwrap();
        let found = find(ROUTER).await.unwrap();
        assert_eq!((found.mac, found.confirmed), (Some(mac), true));

        // Another device takes its place and says nothing of itself but the question that every router has.
        let other = MacAddr([2, 0, 0, 0, 0, 7]);
        replace_router(&bench, other);
        let ping = bench.within("subscriber", || {
            std::process::Command::new("ping").args(["-c1", "-W1", "-I", "100.64.1.2", "100.64.1.1"]).output().unwrap()
        });
        assert!(ping.status.success());
        let replaced = async {
            while find(ROUTER).await.and_then(|one| one.mac) != Some(other) {
                watch.changed(index, |ip| ip == ROUTER).await;
            }
        };
        timeout(Duration::from_secs(5), replaced).await.unwrap();

        neighbours.pin(index, SUBSCRIBER, OTHER_MAC).await.unwrap();
        bench.within("subscriber", || {
            let _ = std::process::Command::new("ping").args(["-c1", "-W1", "-I", "100.64.1.10", "100.64.1.1"]).output();
        });
        let pinned = find(SUBSCRIBER).await.unwrap();
        assert_eq!((pinned.mac, pinned.confirmed), (Some(OTHER_MAC), true), "no ARP changes it");
        neighbours.unpin(index, SUBSCRIBER).await.unwrap();
        neighbours.unpin(index, SUBSCRIBER).await.unwrap();
        assert_eq!(find(SUBSCRIBER).await, None);
    });
}
