use super::{Client, Topology, TopologyError};

const FILE: &str = include_str!("../../topology.toml");
const BRIDGED: &str = include_str!("../../bridged/topology.toml");

fn broken(from: &str, to: &str) -> TopologyError {
    assert!(FILE.contains(from), "{from} is not in the topology");
    Topology::parse(&FILE.replacen(from, to, 1)).expect_err("must be refused")
}

#[test]
fn the_shipped_topology_is_the_two_bng_lab() {
    let topology = Topology::parse(FILE).expect("valid");
    assert_eq!(topology.bngs.len(), 2);
    assert_eq!(topology.routers_of("bng-01").count(), 2);
    assert_eq!(topology.subscribers.len(), 8);
    assert_eq!(topology.subscribers.iter().filter(|s| s.policy.is_none()).count(), 1);
    assert_eq!(topology.subscribers[0].client, Client::Dhclient);
    assert_eq!(topology.subscribers[1].circuit_id(), "ar-01|1/2");
    assert_eq!(topology.user_name(&topology.subscribers[0]), "bng-01/line-01/ar-01|1%2F1");
}

#[test]
fn what_cannot_be_built_is_refused_with_its_reason() {
    let cases = [
        (r#"name = "ar-01""#, r#"name = "router-with-a-name""#, "name \"router-with-a-name\""),
        (r#"name = "ar-02""#, r#"name = "ar-01""#, "name ar-01 is used twice"),
        (r#"bng = "bng-01""#, r#"bng = "bng-09""#, "ar-01 names bng-09"),
        (r#"router = "ar-01""#, r#"router = "ar-09""#, "sub-01 names ar-09"),
        ("10.231.11.3/24", "10.231.11.2/24", "address 10.231.11.2 is used twice"),
        ("10.231.11.3/24", "10.231.12.9/24", "ar-02: 10.231.12.9 is outside 10.231.11.0/24"),
        ("100.64.1.250", "100.64.9.250", "ar-01: 100.64.9.250 is outside 100.64.1.0/24"),
        ("10.244.2.0/24", "10.244.1.0/24", "networks 10.244.1.0/24 and 10.244.1.0/24 overlap"),
        ("port = 2", "port = 1", "port ar-01|1/1 is used twice"),
        ("renew_seconds = 300", "renew_seconds = 600", "renew_seconds < rebind_seconds"),
    ];
    for (from, to, expected) in cases {
        let text = broken(from, to).to_string();
        assert!(text.starts_with(expected) || text.contains(expected), "{from} -> {to}: {text}");
    }
}

#[test]
fn a_bng_and_its_router_are_of_one_access_mode() {
    let mixed = broken("access = \"10.231.11.1/24\"\n", "").to_string();
    assert!(mixed.starts_with("bng-01 and ar-01"), "{mixed}");
    let two = BRIDGED.replace(
        "[[subscriber]]\nname = \"sub-01\"",
        concat!(
            "[[router]]\nname = \"an-02\"\nbng = \"bng-01\"\nlan = \"100.64.6.1/24\"\n",
            "pool = { first = \"100.64.6.10\", last = \"100.64.6.20\" }\n\n[[subscriber]]\nname = \"sub-01\""
        ),
    );
    let two = Topology::parse(&two).expect_err("must be refused").to_string();
    assert!(two.starts_with("bng-01: without `access`"), "{two}");
}

#[test]
fn unknown_fields_are_refused() {
    assert!(matches!(broken("[dhcp]", "[dhcp]\nlease = 1"), TopologyError::Syntax(_)));
}

#[test]
fn the_containerlab_twin_has_every_wire() {
    let text = super::containerlab::render(&Topology::parse(FILE).expect("valid"));
    insta::assert_snapshot!(text);
}

#[test]
fn rendered_configurations_can_work() {
    let topology = Topology::parse(FILE).expect("valid");
    for router in &topology.routers {
        crate::routers::relay_config(&topology, router).check().expect("a relay that works");
    }
    for bng in &topology.bngs {
        assert_eq!(crate::gateways::config(&topology, bng).expect("a gateway that works").pools.len(), 2);
    }
    let topology = Topology::parse(BRIDGED).expect("valid");
    let relay = crate::routers::relay_config(&topology, &topology.routers[0]);
    relay.check().expect("an access node that works");
    assert_eq!(relay.mode, lastmile_types::relay::Mode::Bridge);
    crate::gateways::config(&topology, &topology.bngs[0]).expect("a gateway that works");
}
