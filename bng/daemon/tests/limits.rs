//! Who is shaped and who is policed, with a real kernel in a network namespace that goes with the test. Needs root.

mod node;

use std::net::Ipv4Addr;

use lastmile_bng::{conditions::Finding, plane::Plane};
use lastmile_session::Admission;
use lastmile_types::{
    MacAddr, SessionId,
    config::{BngConfig, Enforcement},
    session::Rates,
};
use node::{config, on_a_node, run};
use uuid::Uuid;

const UNLIMITED: Rates = Rates { down_kbps: None, up_kbps: None, down_burst_kbit: None, up_burst_kbit: None };
const RATES: Rates = Rates { down_kbps: Some(2_000), up_kbps: Some(1_000), ..UNLIMITED };

fn subscriber(number: u8, enforcement: Enforcement) -> Admission {
    Admission {
        session: SessionId(Uuid::nil()),
        ip: Ipv4Addr::new(100, 64, 1, number),
        mac: MacAddr::default(),
        relay_mac: MacAddr::default(),
        rates: RATES,
        enforcement,
        garden: None,
    }
}

/// What the driver does; returns what the gate was told to police.
fn set(plane: &mut Plane, admission: &Admission) -> Rates {
    let left = plane.limits.police(admission);
    plane.limits.settle(admission);
    left
}

/// What the driver does once a second; returns who was told to be policed at which rates.
fn second(plane: &mut Plane, config: &BngConfig) -> Vec<(u8, Rates)> {
    let again = plane.shape(config, false);
    again.iter().map(|admission| (admission.ip.octets()[3], set(plane, admission))).collect()
}

fn finding(plane: &mut Plane, config: &BngConfig) -> Finding {
    plane.limits.finding(config.shaping.classes).0
}

#[test]
fn who_finds_no_class_is_policed_until_there_is_one() {
    on_a_node(async || {
        let two = config(2);
        let (mut plane, _) = Plane::open(&two).await.unwrap();
        let [one, other, third] = [10, 11, 12].map(|number| subscriber(number, Enforcement::Shape));
        assert_eq!(set(&mut plane, &one), UNLIMITED);
        assert_eq!(set(&mut plane, &other), UNLIMITED);
        assert_eq!(finding(&mut plane, &two).status, Some(true));
        assert_eq!(set(&mut plane, &third), RATES);
        assert_eq!(second(&mut plane, &two), []);
        let bad = finding(&mut plane, &two);
        assert_eq!((bad.status, bad.reason), (Some(false), "TooManySubscribers"));
        assert!(bad.message.contains("1 more subscribers are policed"), "{}", bad.message);

        plane.limits.forget(one.ip);
        assert_eq!(second(&mut plane, &two), [(12, UNLIMITED)]);
        second(&mut plane, &two);
        assert_eq!(finding(&mut plane, &two).reason, "Ready");

        // Live from Shape to Police and back.
        assert_eq!(set(&mut plane, &subscriber(12, Enforcement::Police)), RATES);
        assert!(!run("nft list map ip lastmile_edge_test shape_down").contains("100.64.1.12"));
        assert_eq!(set(&mut plane, &third), UNLIMITED);
    });
}

#[test]
fn a_change_of_the_number_reaches_those_online() {
    on_a_node(async || {
        let (none, some) = (config(0), config(5));
        let (mut plane, _) = Plane::open(&none).await.unwrap();
        assert!(!run("tc qdisc show").contains("htb"), "no interface is touched");
        assert_eq!(set(&mut plane, &subscriber(10, Enforcement::Shape)), RATES);
        second(&mut plane, &none);
        assert_eq!(finding(&mut plane, &none).reason, "NotConfigured");
        assert_eq!(finding(&mut plane, &none).status, Some(false));

        plane.refresh(&some, true).await.unwrap();
        assert_eq!(second(&mut plane, &some), [(10, UNLIMITED)]);
        assert_eq!(run("tc qdisc show").matches("qdisc htb").count(), 2);
        second(&mut plane, &some);
        assert_eq!(run("tc class show dev uplink0").lines().count(), 5, "made ahead");
        assert_eq!(finding(&mut plane, &some).status, Some(true));

        plane.refresh(&none, true).await.unwrap();
        assert_eq!(second(&mut plane, &none), [(10, RATES)]);
        second(&mut plane, &none);
        assert!(!run("tc qdisc show").contains("htb"), "it is removed a second later, when the queues are empty");

        // So it is when the gateway is drained.
        plane.refresh(&some, true).await.unwrap();
        second(&mut plane, &some);
        plane.limits.forget(Ipv4Addr::new(100, 64, 1, 10));
        assert!(plane.shape(&some, true).is_empty() && plane.shape(&some, true).is_empty());
        assert!(!run("tc qdisc show").contains("htb"));
    });
}

#[test]
fn what_others_do_to_the_interfaces_is_said_and_healed() {
    on_a_node(async || {
        let config = config(5);
        run("tc qdisc add dev uplink0 root handle 7: bfifo limit 100000");
        let (mut plane, _) = Plane::open(&config).await.unwrap();
        assert_eq!(set(&mut plane, &subscriber(10, Enforcement::Shape)), RATES);
        second(&mut plane, &config);
        let bad = finding(&mut plane, &config);
        assert_eq!((bad.status, bad.reason), (Some(false), "ForeignQdisc"));
        assert!(bad.message.contains("uplink0") && bad.message.contains("bfifo 7"), "{}", bad.message);
        assert!(run("tc qdisc show dev uplink0").contains("bfifo 7:"));

        run("tc qdisc del dev uplink0 root");
        assert_eq!(second(&mut plane, &config), [(10, UNLIMITED)], "as soon as it is gone");
        run("tc qdisc del dev access0 root");
        assert_eq!(second(&mut plane, &config), [(10, RATES)], "policed at once");
        assert_eq!(second(&mut plane, &config), [(10, UNLIMITED)], "and shaped again");
        assert!(run("tc class show dev access0").contains("rate 2Mbit"));
        assert_eq!(finding(&mut plane, &config).status, Some(true));

        // An interface that is made anew.
        run("ip link del uplink0");
        for line in ["ip link add uplink0 type veth peer name far", "ip link set uplink0 up", "ip link set far up"] {
            run(line);
        }
        assert!(plane.refresh(&config, false).await.unwrap());
        assert_eq!(second(&mut plane, &config), [(10, RATES)]);
        assert_eq!(second(&mut plane, &config), [(10, UNLIMITED)]);
        assert!(run("tc class show dev uplink0").contains("rate 1Mbit"));
    });
}

#[test]
fn a_restart_takes_over_who_is_shaped() {
    on_a_node(async || {
        let config = config(5);
        let (mut plane, _) = Plane::open(&config).await.unwrap();
        let [one, other] = [10, 11].map(|number| subscriber(number, Enforcement::Shape));
        set(&mut plane, &one);
        set(&mut plane, &other);
        second(&mut plane, &config);
        drop(plane); // as after kill -9
        let (classes, map) = ("tc class show dev uplink0", "nft list map ip lastmile_edge_test shape_up");
        let before = run(classes);

        let (mut plane, _) = Plane::open(&config).await.unwrap();
        assert_eq!(set(&mut plane, &one), UNLIMITED);
        assert!(run(map).contains("100.64.1.11"));
        assert_eq!(second(&mut plane, &config), []);
        assert_eq!(run(classes), before, "nothing was changed");
        let map = run(map);
        assert!(map.contains("100.64.1.10") && !map.contains("100.64.1.11"), "nobody speaks of him any longer: {map}");
    });
}

#[test]
fn maps_that_somebody_emptied_are_filled_again_and_the_classes_stay() {
    on_a_node(async || {
        let config = config(5);
        let (mut plane, _) = Plane::open(&config).await.unwrap();
        assert_eq!(set(&mut plane, &subscriber(10, Enforcement::Shape)), UNLIMITED);
        let classes = || run("tc class show dev uplink0").matches("rate 1Mbit").count();
        for change in [
            "flush map ip lastmile_edge_test shape_up",
            "delete element ip lastmile_edge_test shape_down { 100.64.1.10 }",
        ] {
            second(&mut plane, &config);
            assert_eq!(second(&mut plane, &config), [], "before {change}");
            run(&format!("nft {change}"));
            assert_eq!(second(&mut plane, &config), [(10, UNLIMITED)], "after {change}");
            for map in ["shape_up", "shape_down"] {
                assert!(
                    run(&format!("nft list map ip lastmile_edge_test {map}")).contains("100.64.1.10"),
                    "after {change}"
                );
            }
        }
        assert_eq!(second(&mut plane, &config), []);
        assert!(classes() > 0);
    });
}

#[test]
fn who_is_shaped_is_shaped_again_in_a_gate_made_anew() {
    on_a_node(async || {
        let config = config(5);
        let (mut plane, _) = Plane::open(&config).await.unwrap();
        let [one, other] = [10, 11].map(|number| subscriber(number, Enforcement::Shape));
        assert_eq!(set(&mut plane, &one), UNLIMITED);
        assert_eq!(set(&mut plane, &other), UNLIMITED);
        second(&mut plane, &config);
        assert!(plane.restore(&config).unwrap().is_none());
        run("nft delete table ip lastmile_edge_test");
        assert_eq!(plane.restore(&config).unwrap(), Some(Vec::new()));
        // One came back before the next second, one did not.
        assert_eq!(set(&mut plane, &one), UNLIMITED);
        assert_eq!(second(&mut plane, &config), []);
        for (map, interface, rate) in [("shape_up", "uplink0", "rate 1Mbit"), ("shape_down", "access0", "rate 2Mbit")] {
            let map = run(&format!("nft list map ip lastmile_edge_test {map}"));
            assert!(map.contains("100.64.1.10") && !map.contains("100.64.1.11"), "{map}");
            assert!(run(&format!("tc class show dev {interface}")).contains(rate));
        }
        assert!(run("nft list chain ip lastmile_edge_test shape").contains("@shape_down"), "packets go there");
        assert_eq!(set(&mut plane, &other), UNLIMITED);
        second(&mut plane, &config);
        assert_eq!(finding(&mut plane, &config).reason, "Ready");
    });
}
