//! The source guard with real packets: what passes, for how long, and what outlives the process. The gateway plays the router.

use std::{collections::BTreeSet, net::Ipv4Addr, process::Command, time::Duration};

use lastmile_netio::{
    guard::{Binding, Bound, Change, Guard, GuardConfig},
    links::Links,
};

use crate::{gate::send, netns::Bench};

const SUBSCRIBER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 10);
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn open(bench: &Bench, enforce: bool) -> (Guard, Vec<Bound>) {
    let config = GuardConfig { ports: vec!["access0".to_owned(), "lo".to_owned()], uplink: None, enforce };
    bench.within("gateway", || Guard::open(&config).unwrap())
}

fn binding(bench: &Bench) -> Binding {
    let link = bench.within_async("subscriber", async || Links::open().unwrap().get("eth0").await.unwrap());
    Binding { port: "access0".to_owned(), ip: SUBSCRIBER, mac: link.unwrap().mac }
}

fn passed(bench: &Bench) -> usize {
    send(bench, "subscriber", "host", HOST, 5000, 3)
}

#[test]
fn binds_adopts_expires_and_unbinds() {
    let bench = Bench::new();
    let binding = binding(&bench);
    // Unanswered ARP is repeated only after a second.
    let router = bench.within_async("gateway", async || Links::open().unwrap().get("access0").await.unwrap());
    bench.ip("subscriber", &format!("neigh add 100.64.1.1 lladdr {} dev eth0", router.unwrap().mac));
    let (mut guard, adopted) = open(&bench, true);
    assert_eq!(adopted, []);
    assert_eq!(passed(&bench), 0, "nobody is bound");

    // Bound again, it has the new time: the kernel alone would keep the old one.
    let bind = |seconds| Change::Bind(binding.clone(), Some(Duration::from_secs(seconds)));
    guard.apply(&[bind(1)]).unwrap();
    guard.apply(&[bind(600)]).unwrap();
    assert_eq!(passed(&bench), 3);
    let list = bench.within("gateway", || Command::new("nft").args(["list", "ruleset"]).output().unwrap().stdout);
    let list = String::from_utf8(list).unwrap();
    let element = format!("\"access0\" . 100.64.1.10 . {}", binding.mac);
    let rules =
        ["iifname . ip saddr . ether saddr @bindings accept", "udp dport 67-68 counter name \"dhcp\" drop", &element];
    for part in rules {
        assert!(list.contains(part), "people can read it with nft: {part} in {list}");
    }

    drop(guard);
    assert_eq!(passed(&bench), 3, "the kernel goes on without us");
    let (mut guard, adopted) = open(&bench, true);
    let [(held, Some(left))] = &adopted[..] else { panic!("{adopted:?}") };
    assert_eq!(*held, binding);
    assert!((590..=600).contains(&left.as_secs()), "{left:?}");
    assert_eq!(guard.drops().unwrap()["ipv4"], 3, "the counters go on");

    guard.apply(&[bind(1)]).unwrap();
    assert_eq!(passed(&bench), 3);
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(passed(&bench), 0, "the kernel knows when the lease ends");
    let (bind, unbind) = (Change::Bind(binding.clone(), None), Change::Unbind(binding));
    guard.apply(&[unbind.clone(), bind.clone(), unbind.clone(), bind]).unwrap();
    assert_eq!(guard.bindings().unwrap().iter().map(|(_, left)| *left).collect::<Vec<_>>(), [None], "for ever");
    assert_eq!(passed(&bench), 3);
    guard.apply(&[unbind]).unwrap();
    assert_eq!(passed(&bench), 0);

    let (guard, _) = open(&bench, false);
    assert_eq!(passed(&bench), 3, "not enforced");
    assert_eq!(send(&bench, "subscriber", "host", HOST, 67, 3), 0, "DHCP is the relay's all the same");
    guard.remove_table().unwrap();
    assert_eq!(send(&bench, "subscriber", "host", HOST, 67, 3), 3);
}

#[test]
fn many_bindings_are_whole() {
    let bench = Bench::new();
    let (mut guard, _) = open(&bench, true);
    let own = binding(&bench);
    let all: BTreeSet<Binding> =
        (0..5000u32).map(|n| Binding { ip: Ipv4Addr::from(0x6440_0200 + n), ..own.clone() }).collect();
    let lease = Some(Duration::from_secs(600));
    guard.apply(&all.iter().map(|binding| Change::Bind(binding.clone(), lease)).collect::<Vec<_>>()).unwrap();
    drop(guard);
    let (mut guard, adopted) = open(&bench, true);
    assert!(adopted.into_iter().map(|(binding, _)| binding).collect::<BTreeSet<_>>() == all);
    guard.apply(&all.into_iter().map(Change::Unbind).collect::<Vec<_>>()).unwrap();
    assert_eq!(guard.bindings().unwrap(), []);
}
