//! The gate with real packets: what passes, what is counted, what outlives the process.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use lastmile_netio::{
    gate::{Admitted, Change, Final, Gate, GateConfig, Pool, Routers, Terms},
    links::Links,
    ping::Pinger,
};
use lastmile_types::{Counters, MacAddr, session::Rates};

use crate::netns::Bench;

pub const SUBSCRIBER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 10);
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 1);
pub const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub const PROTECTED: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The subscriber's namespace is the access router as well.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 2);
pub const ADMIT: Change = Change::Admit { ip: SUBSCRIBER, terms: FREE };
pub const FREE: Terms = Terms { rates: UNLIMITED, mac: None, garden: None };
pub const UNLIMITED: Rates = Rates { down_kbps: None, up_kbps: None, down_burst_kbit: None, up_burst_kbit: None };
/// 100 octets and their UDP and IPv4 headers.
const PACKET: u64 = 128;

pub fn config() -> GateConfig {
    GateConfig {
        bng_id: "edge/test".parse().unwrap(),
        subscriber: vec!["access0".to_owned()],
        uplink: vec!["uplink0".to_owned()],
        dhcp: vec![],
        gateways: vec![GATEWAY],
        pools: vec![Pool { prefix: "100.64.1.0/24".parse().unwrap(), next_hop: Some(ROUTER) }],
        protected: vec!["198.51.100.0/24".parse().unwrap()],
        gardens: BTreeMap::new(),
        size: 4096,
        shaped: false,
    }
}

/// The gate of this configuration, which knows the access router.
pub fn open(bench: &Bench, config: &GateConfig) -> (Gate, Vec<Admitted>) {
    let (mut gate, admitted) = bench.within("gateway", || Gate::open(config).unwrap());
    gate.learn(&Routers::from([(ROUTER, mac_of(bench, "subscriber"))])).unwrap();
    (gate, admitted)
}

pub fn mac_of(bench: &Bench, name: &str) -> MacAddr {
    bench.within_async(name, async || Links::open().unwrap().get("eth0").await.unwrap().unwrap().mac)
}

/// Sends datagrams of 100 octets from one namespace to another; how many arrived. In pieces that the receiver's buffer holds.
pub fn send(bench: &Bench, from: &str, to: &str, address: impl Into<IpAddr>, port: u16, count: usize) -> usize {
    let address = SocketAddr::new(address.into(), port);
    let receiver = bench.within(to, || bind(address));
    receiver.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let sender = bench.within(from, || UdpSocket::bind((any, 0)).unwrap());
    let (mut room, mut arrived) = ([0; 200], 0);
    for sent in (0..count).step_by(100) {
        let piece = (count - sent).min(100);
        (0..piece).for_each(|_| assert_eq!(sender.send_to(&[0; 100], address).unwrap(), 100));
        arrived += std::iter::from_fn(|| receiver.recv(&mut room).ok()).take(piece).count();
    }
    arrived
}

/// A program that another test is starting holds our last socket open until its exec.
fn bind(address: SocketAddr) -> UdpSocket {
    let tries =
        (0..50).map(|_| UdpSocket::bind(address).inspect_err(|_| std::thread::sleep(Duration::from_millis(10))));
    tries.flatten().next().expect("the address is free within half a second")
}

pub fn up(bench: &Bench, count: usize) -> usize {
    send(bench, "subscriber", "host", HOST, 5000, count)
}

pub fn down(bench: &Bench, count: usize) -> usize {
    send(bench, "host", "subscriber", SUBSCRIBER, 5000, count)
}

pub fn counters(up: u64, down: u64) -> Counters {
    Counters { input_octets: down * PACKET, input_packets: down, output_octets: up * PACKET, output_packets: up }
}

#[test]
fn admits_counts_adopts_and_evicts() {
    let bench = Bench::new();
    let open = || open(&bench, &config());
    let (mut gate, admitted) = open();
    assert_eq!(admitted, []);
    assert_eq!((up(&bench, 3), down(&bench, 3)), (0, 0), "nobody is admitted");

    assert_eq!(gate.apply(&[ADMIT]).unwrap(), []);
    assert_eq!((up(&bench, 10), down(&bench, 5)), (10, 5));
    assert_eq!(gate.read(SUBSCRIBER).unwrap().unwrap().counters, counters(10, 5));
    assert_eq!(gate.read(HOST).unwrap(), None);
    let list = bench.within("gateway", || {
        std::process::Command::new("nft").args(["list", "table", "ip", "lastmile_edge_test"]).output().unwrap()
    });
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("100.64.1.10 counter packets 10 bytes 1280"), "people can read it with nft: {list}");

    drop(gate);
    assert_eq!(up(&bench, 1), 1, "the kernel goes on without us");
    let (mut gate, admitted) = open();
    assert_eq!(admitted.iter().map(|one| (one.ip, one.counters)).collect::<Vec<_>>(), [(SUBSCRIBER, counters(11, 5))]);
    assert_eq!(gate.dump().unwrap(), admitted);
    gate.apply(&[ADMIT]).unwrap();
    assert_eq!((up(&bench, 2), down(&bench, 2)), (2, 2));

    let finals = gate.apply(&[Change::Evict { ip: SUBSCRIBER }, Change::Evict { ip: HOST }]).unwrap();
    assert_eq!(finals, [Final { ip: SUBSCRIBER, counters: counters(13, 7) }]);
    assert_eq!((up(&bench, 3), down(&bench, 3)), (0, 0), "evicted");

    drop(gate);
    let remove = || bench.within("gateway", || lastmile_netio::gate::remove(&config().bng_id).unwrap());
    remove();
    assert_eq!(up(&bench, 1), 1, "without the table nothing is filtered");
    remove();
}

#[test]
fn limits_police_and_keep_the_counters() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    gate.apply(&[ADMIT]).unwrap();
    assert_eq!(up(&bench, 10), 10);
    let rates = Rates { up_kbps: Some(8), ..UNLIMITED };
    gate.apply(&[Change::SetTerms { ip: SUBSCRIBER, terms: Terms { rates, ..FREE } }]).unwrap();
    let admitted = gate.read(SUBSCRIBER).unwrap().unwrap();
    assert_eq!(admitted.counters, counters(10, 0), "the counters go on");
    assert_eq!((admitted.terms.rates.up_kbps, admitted.terms.rates.down_kbps), (Some(8), None));

    // 64 KiB of burst and a second of the rate hold 519 packets.
    let passed = up(&bench, 1000);
    assert!((510..600).contains(&passed), "{passed} of 1000 passed");
    let counted = gate.read(SUBSCRIBER).unwrap().unwrap().counters;
    assert_eq!(counted, counters(10 + passed as u64, 0), "only what passed is counted");

    gate.apply(&[Change::SetTerms { ip: SUBSCRIBER, terms: FREE }]).unwrap();
    assert_eq!(up(&bench, 100), 100);
    let finals = gate.apply(&[Change::Evict { ip: SUBSCRIBER }]).unwrap();
    assert_eq!(finals[0].counters, counters(110 + passed as u64, 0));
}

#[test]
fn a_burst_of_the_policys_passes_at_once_each_way() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    let rates =
        Rates { up_kbps: Some(8), down_kbps: Some(8), up_burst_kbit: Some(1_024), down_burst_kbit: Some(2_048) };
    gate.apply(&[Change::Admit { ip: SUBSCRIBER, terms: Terms { rates, ..FREE } }]).unwrap();
    assert_eq!(gate.read(SUBSCRIBER).unwrap().unwrap().terms.rates, rates);
    // 128,000 and 256,000 octets; the rate adds eight packets a second.
    let passed = (up(&bench, 2_000), down(&bench, 3_000));
    assert!((1_000..1_400).contains(&passed.0) && (2_000..2_400).contains(&passed.1), "{passed:?}");
}

#[test]
fn subscribers_reach_nothing_they_should_not() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    gate.apply(&[ADMIT]).unwrap();
    assert_eq!(send(&bench, "subscriber", "host", PROTECTED, 5000, 3), 0, "a protected network");
    assert_eq!(send(&bench, "subscriber", "gateway", GATEWAY, 10_250, 3), 0, "a port of the gateway");
    assert_eq!(send(&bench, "subscriber", "gateway", GATEWAY, 3_799, 3), 0, "CoA");
    assert_eq!(send(&bench, "subscriber", "host", HOST, 67, 3), 0, "DHCP is not forwarded");
    let ping = |from: &str, to| {
        bench.within_async(from, async move || {
            Pinger::open().unwrap().ping(to, Duration::from_millis(300)).await.unwrap()
        })
    };
    assert!(ping("subscriber", GATEWAY).is_some(), "the gateway answers echo");
    assert!(ping("gateway", SUBSCRIBER).is_some(), "and pings itself");
    assert!(ping("subscriber", [192, 0, 2, 77].into()).is_none());
    assert_eq!(send(&bench, "host", "gateway", [192, 0, 2, 1], 10_250, 3), 3, "the node's other traffic is untouched");
}

#[test]
fn many_changes_are_whole() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    let ips: Vec<Ipv4Addr> = (0..3000u32).map(|n| Ipv4Addr::from(0x6440_0200 + n)).collect();
    let rates = |n: usize| if n.is_multiple_of(2) { Rates { down_kbps: Some(1000), ..UNLIMITED } } else { UNLIMITED };
    let admits: Vec<_> = ips
        .iter()
        .enumerate()
        .map(|(n, ip)| Change::Admit { ip: *ip, terms: Terms { rates: rates(n), ..FREE } })
        .collect();
    gate.apply(&admits).unwrap();
    let dump = gate.dump().unwrap();
    assert_eq!(dump.len(), ips.len());
    assert_eq!(dump.iter().filter(|one| one.terms.rates.down_kbps == Some(1000)).count(), 1500);
    let evicts: Vec<_> = ips.iter().map(|ip| Change::Evict { ip: *ip }).collect();
    assert_eq!(gate.apply(&evicts).unwrap().len(), ips.len());
    // The same address twice in one call: in order.
    let finals =
        gate.apply(&[ADMIT, Change::Evict { ip: SUBSCRIBER }, ADMIT, Change::Evict { ip: SUBSCRIBER }]).unwrap();
    assert_eq!(finals.len(), 2);
    // More than the sets hold: refused, and what is there stays known.
    let too_many: Vec<_> =
        (0..5000u32).map(|n| Change::Admit { ip: Ipv4Addr::from(0x6450_0000 + n), terms: FREE }).collect();
    assert!(gate.apply(&too_many).is_err());
    let left = gate.dump().unwrap().len();
    assert!((1..=4096).contains(&left), "{left}");
    gate.apply(&[Change::Evict { ip: Ipv4Addr::from(0x6450_0000) }]).unwrap();
}

#[test]
fn what_was_evicted_before_a_refusal_has_its_final_counters() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    gate.apply(&[ADMIT]).unwrap();
    assert_eq!((up(&bench, 10), down(&bench, 5)), (10, 5));
    // More than the sets hold.
    let too_many = (0..5000u32).map(|n| Change::Admit { ip: Ipv4Addr::from(0x6450_0000 + n), terms: FREE });
    let changes: Vec<_> = [Change::Evict { ip: SUBSCRIBER }].into_iter().chain(too_many).collect();
    let refused = gate.apply(&changes).unwrap_err();
    assert_eq!(refused.finals, [Final { ip: SUBSCRIBER, counters: counters(10, 5) }]);
    assert_eq!(gate.apply(&changes[..1]).unwrap(), [], "they are said once");
}
