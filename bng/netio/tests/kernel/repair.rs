//! What somebody else does to the gate's tables is noticed at the next look, and only then is anything compared.

use std::net::Ipv4Addr;

use lastmile_netio::gate::{Admitted, Change, Gate, Terms};
use lastmile_types::{MacAddr, session::Rates};

use crate::{
    garden::{DESTINATION, in_garden, with_garden},
    gate::{ADMIT, FREE, HOST, SUBSCRIBER, UNLIMITED, config, counters, down, open, send, up},
    netns::Bench,
};

/// Somebody's change, and who the gate says is let through when it has noticed.
fn noticed(bench: &Bench, gate: &mut Gate, change: &str) -> Vec<Admitted> {
    assert_eq!(gate.restore().unwrap(), None, "before {change}");
    bench.nft("gateway", change);
    gate.restore().unwrap().expect(change)
}

#[test]
fn rules_that_somebody_changed_are_made_anew_and_nobody_is_counted_twice() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    gate.apply(&[ADMIT]).unwrap();
    let mut counted = 0;
    let ipv6 = || bench.run("gateway", "nft -s list ruleset ip6");
    let rules = ipv6();
    for change in [
        "flush table ip lastmile_edge_test",
        "flush chain ip6 lastmile_edge_test prerouting",
        "delete table ip6 lastmile_edge_test",
        "insert rule ip lastmile_edge_test forward accept",
    ] {
        assert_eq!(gate.restore().unwrap(), None, "before {change}");
        bench.nft("gateway", change);
        let admitted = gate.restore().unwrap().expect(change);
        assert_eq!(admitted.iter().map(|one| one.counters).collect::<Vec<_>>(), [counters(counted, 0)], "{change}");
        assert_eq!(ipv6(), rules, "{change}");
        assert_eq!(up(&bench, 10), 10);
        counted += 10;
    }
    assert_eq!(gate.restore().unwrap(), None);
    assert_eq!(gate.read(SUBSCRIBER).unwrap().unwrap().counters, counters(counted, 0));
    gate.apply(&[Change::Evict { ip: SUBSCRIBER }]).unwrap();
    assert_eq!((up(&bench, 3), down(&bench, 3)), (0, 0), "the rules hold back whom they should");
}

#[test]
fn a_policy_or_a_table_that_sleeps_is_put_right_and_the_counters_go_on() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    gate.apply(&[ADMIT]).unwrap();
    let ruleset = || bench.run("gateway", "nft -s list ruleset");
    let (before, mut counted) = (ruleset(), 0);
    for change in [
        "chain ip lastmile_edge_test forward { policy drop; }",
        "chain ip6 lastmile_edge_test forward { policy drop; }",
        "add table ip lastmile_edge_test { flags dormant; }",
        "add table ip6 lastmile_edge_test { flags dormant; }",
        "add chain ip lastmile_edge_test closed { type filter hook forward priority 5; policy drop; }",
    ] {
        let admitted = noticed(&bench, &mut gate, change);
        assert_eq!(
            admitted.iter().map(|one| one.counters).collect::<Vec<_>>(),
            [counters(counted, counted)],
            "{change}"
        );
        assert_eq!((up(&bench, 10), down(&bench, 10)), (10, 10), "after {change}");
        counted += 10;
        assert_eq!(ruleset(), before, "{change}");
    }
    gate.apply(&[Change::Evict { ip: SUBSCRIBER }]).unwrap();
    assert_eq!((up(&bench, 3), down(&bench, 3)), (0, 0), "and the table is awake");
}

#[test]
fn sets_that_somebody_emptied_are_noticed_and_all_are_let_in_again() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    // More than are compared at one look.
    let others: Vec<_> =
        (0..4000u32).map(|n| Change::Admit { ip: Ipv4Addr::from(0x6440_0200 + n), terms: FREE }).collect();
    let all = [others.as_slice(), &[ADMIT]].concat();
    gate.apply(&all).unwrap();
    for (change, left) in [
        ("flush set ip lastmile_edge_test up", 0),
        ("flush set ip lastmile_edge_test down", 0),
        ("delete element ip lastmile_edge_test down { 100.64.1.10 }", 4000),
        ("flush map ip lastmile_edge_test routers", 4001),
    ] {
        let admitted = noticed(&bench, &mut gate, change);
        assert_eq!(admitted.len(), left, "after {change}");
        gate.apply(&all).unwrap();
        assert_eq!((up(&bench, 10), down(&bench, 10)), (10, 10), "after {change}");
    }
    assert_eq!(gate.read(SUBSCRIBER).unwrap().unwrap().counters, counters(20, 20), "only who was out counts from zero");
    assert_eq!(gate.dump().unwrap().len(), all.len());
}

#[test]
fn a_limit_that_somebody_took_away_is_put_back() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    let limited = |ip| Change::Admit { ip, terms: Terms { rates: Rates { up_kbps: Some(8), ..UNLIMITED }, ..FREE } };
    gate.apply(&[limited(SUBSCRIBER)]).unwrap();
    let element = "element ip lastmile_edge_test up { 100.64.1.10";
    let admitted = noticed(&bench, &mut gate, &format!("delete {element} }}; add {element} }}"));
    assert_eq!(admitted[0].terms.rates, UNLIMITED, "as it is");
    gate.apply(&[limited(SUBSCRIBER)]).unwrap();
    assert_eq!(gate.read(SUBSCRIBER).unwrap().unwrap().terms.rates.up_kbps, Some(8));
}

#[test]
fn who_was_taken_out_of_his_garden_or_from_his_mac_is_put_back() {
    let bench = Bench::new();
    bench.ip("host", "addr add 203.0.113.1/32 dev lo");
    bench.ip("gateway", "route add 203.0.113.0/24 via 192.0.2.2");
    let (mut gate, _) = open(&bench, &with_garden());
    let confined = in_garden(Some("unpaid"));
    gate.apply(std::slice::from_ref(&confined)).unwrap();
    for change in ["flush set ip lastmile_edge_test confined", "flush set ip lastmile_edge_test garden_unpaid"] {
        noticed(&bench, &mut gate, change);
        gate.apply(std::slice::from_ref(&confined)).unwrap();
        let reached = |to| send(&bench, "subscriber", "host", to, 5000, 3);
        assert_eq!((reached(DESTINATION), reached(HOST)), (3, 0), "after {change}");
    }
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let bound = Change::Admit { ip: [100, 64, 1, 11].into(), terms: Terms { mac: Some(mac), ..FREE } };
    gate.apply(std::slice::from_ref(&bound)).unwrap();
    let bindings = || bench.run("gateway", "nft list set ip lastmile_edge_test bound");
    let before = bindings();
    assert!(before.contains(&mac.to_string()), "{before}");
    noticed(&bench, &mut gate, "flush set ip lastmile_edge_test bound");
    gate.apply(&[bound]).unwrap();
    assert_eq!(bindings(), before);
    assert_eq!(gate.restore().unwrap(), None);
}

#[test]
fn everybody_is_compared_in_turn_however_many_there_are() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &lastmile_netio::gate::GateConfig { size: 16_384, ..config() });
    let ips: Vec<_> = (0..10_000u32).map(|n| Ipv4Addr::from(0x6440_0200 + n)).collect();
    let all: Vec<_> = ips.iter().map(|ip| Change::Admit { ip: *ip, terms: FREE }).collect();
    gate.apply(&all).unwrap();
    while gate.restore().unwrap().is_some() {}
    for lost in [ips[0], ips[5000], ips[9_999]] {
        bench.nft("gateway", &format!("delete element ip lastmile_edge_test up {{ {lost} }}"));
        // Others change something else at every second of it.
        let look = |number| {
            bench.nft("gateway", &format!("add table ip others{number}"));
            gate.restore().unwrap()
        };
        let admitted = (0..4).find_map(look).expect("one round of all of them");
        assert_eq!(admitted.len(), all.len() - 1);
        gate.apply(&all).unwrap();
    }
}
