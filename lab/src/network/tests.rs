use super::plan::overlapping;
use super::{Nodes, plan};
use crate::topology::Topology;

fn batch(namespace: Option<&str>) -> String {
    let topology = Topology::parse(include_str!("../../topology.toml")).expect("valid");
    let all = plan(&topology, Nodes::Made).batches;
    all.into_iter().filter(|(name, _)| name.as_deref() == namespace).map(|(_, lines)| lines).collect()
}

#[test]
fn a_gateway_node_has_its_four_sides() {
    insta::assert_snapshot!(batch(Some("bng-02")), @r"
    link set lo up
    address add 10.231.0.12/24 dev mgmt0
    link set mgmt0 up
    address add 10.231.1.12/24 dev dhcp0
    link set dhcp0 up
    address add 10.231.2.12/24 dev uplink0
    link set uplink0 up
    address add 10.231.12.1/24 dev access0
    link set access0 up
    route add default via 10.231.0.1
    route add 198.51.100.0/24 via 10.231.2.1
    ");
}

#[test]
fn a_routers_ports_are_isolated() {
    insta::assert_snapshot!(batch(Some("ar-03")), @r"
    link add lan0 type bridge mcast_snooping 0 forward_delay 0
    link add port1 type veth peer name eth0 netns sub-05
    link set port1 master lan0 up
    link set port1 type bridge_slave isolated on
    link add port2 type veth peer name eth0 netns sub-06
    link set port2 master lan0 up
    link set port2 type bridge_slave isolated on
    link set lo up
    address add 10.231.12.2/24 dev up0
    link set up0 up
    address add 100.64.3.1/24 dev lan0
    link set lan0 up
    route add default via 10.231.12.1
    ");
}

#[test]
fn an_access_node_bridges_and_the_gateway_has_its_address() {
    let topology = Topology::parse(include_str!("../../bridged/topology.toml")).expect("valid");
    let lines = |node: &str| -> String {
        let all = plan(&topology, Nodes::Made).batches;
        all.into_iter().filter(|(name, _)| name.as_deref() == Some(node)).map(|(_, lines)| lines).collect()
    };
    assert!(lines("an-01").contains("link set up0 master lan0 up\n") && !lines("an-01").contains("address add"));
    assert!(lines("bng-01").contains("address add 100.64.5.1/24 dev access0\n"), "{}", lines("bng-01"));
}

#[test]
fn this_machine_has_one_leg() {
    assert_eq!(batch(None).lines().count(), 3);
}

#[test]
fn interface_names_fit() {
    let topology = Topology::parse(include_str!("../../topology.toml")).expect("valid");
    for (_, lines) in plan(&topology, Nodes::Made).batches {
        for line in lines.lines().filter(|line| line.starts_with("link add")) {
            let name = line.split_whitespace().nth(2).expect("a name");
            assert!(name.len() <= 15, "{name}");
        }
    }
}

#[test]
fn a_foreign_route_into_the_management_network_is_seen() {
    let net = "10.231.0.0/24".parse().expect("a prefix");
    let routes = "default via 192.0.2.1 dev eth0\n10.231.0.0/24 dev lm-mgmt\n10.0.0.0/8 dev vpn0\n";
    assert_eq!(overlapping(routes, net, "lm-mgmt"), Some("10.0.0.0/8 dev vpn0"));
    assert_eq!(overlapping("default dev eth0\n10.231.0.5 dev lm-mgmt\n", net, "lm-mgmt"), None);
}

#[test]
fn a_node_of_an_existing_cluster_keeps_its_settings_and_its_default_route() {
    let topology = Topology::parse(include_str!("../../topology.toml")).expect("valid");
    let plan = plan(&topology, Nodes::Found);
    assert!(plan.namespaces.iter().all(|(name, _)| !name.starts_with("bng-")));
    let lines: String = plan
        .batches
        .iter()
        .filter(|(name, _)| name.as_deref().is_some_and(|name| name.starts_with("bng-")))
        .map(|(_, lines)| lines.as_str())
        .collect();
    assert!(lines.contains("address add 10.231.11.1/24 dev access0") && !lines.contains("default"), "{lines}");
}
