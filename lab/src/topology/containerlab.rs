//! The topology as a Containerlab file, for machines with Docker: SR Linux as access routers, kind nodes as BNGs.
use std::fmt::Write;

use super::Topology;

/// Renders the file.
pub fn render(topology: &Topology) -> String {
    let mut text = format!(
        "# Rendered by `lab containerlab` from lab/topology.toml.\nname: {}\nmgmt:\n  network: {}\n  ipv4-subnet: {}\n",
        topology.name,
        topology.management.host_interface,
        topology.management.host.trunc()
    );
    text.push_str("topology:\n  kinds:\n    nokia_srlinux:\n      image: ghcr.io/nokia/srlinux:latest\n  nodes:\n");
    nodes(topology, &mut text);
    links(topology, &mut text);
    text
}

fn nodes(topology: &Topology, text: &mut String) {
    let _ = writeln!(text, "    k8s:\n      kind: k8s-kind\n      startup-config: kind.yaml");
    for (number, bng) in (1..).zip(&topology.bngs) {
        let _ = writeln!(text, "    # {}: label it lastmile.io/wired=true, lastmile.io/bng={}", bng.name, bng.name);
        let _ = writeln!(text, "    {}:\n      kind: ext-container\n      exec:", worker(number));
        let access = topology.access_addresses(bng).into_iter().map(|address| ("access0", address));
        for (link, address) in [("dhcp0", bng.dhcp), ("uplink0", bng.uplink)].into_iter().chain(access) {
            let _ = writeln!(text, "        - ip address add {address} dev {link}");
        }
    }
    for name in [&topology.services.node, &topology.internet.node] {
        let _ = writeln!(text, "    {name}:\n      kind: linux\n      image: debian:12");
    }
    for bridge in ["b-dhcp", "b-uplink"] {
        let _ = writeln!(text, "    {bridge}:\n      kind: bridge");
    }
    for bng in &topology.bngs {
        let _ = writeln!(text, "    a-{}:\n      kind: bridge", bng.name);
    }
    for router in &topology.routers {
        let _ = writeln!(text, "    {}:\n      kind: nokia_srlinux", router.name);
    }
    for subscriber in &topology.subscribers {
        let _ = writeln!(text, "    {}:\n      kind: linux\n      image: debian:12", subscriber.name);
    }
}

/// The container of kind's n-th worker: `k8s-worker`, `k8s-worker2`, …
fn worker(number: u32) -> String {
    if number == 1 { "k8s-worker".to_owned() } else { format!("k8s-worker{number}") }
}

fn links(topology: &Topology, text: &mut String) {
    text.push_str("  links:\n");
    let mut link = |one: String, other: String| {
        let _ = writeln!(text, "    - endpoints: [\"{one}\", \"{other}\"]");
    };
    link(format!("{}:svc0", topology.services.node), format!("b-dhcp:d-{}", topology.services.node));
    link(format!("{}:uplink0", topology.internet.node), format!("b-uplink:u-{}", topology.internet.node));
    for (number, bng) in (1..).zip(&topology.bngs) {
        let (node, name) = (worker(number), &bng.name);
        link(format!("{node}:dhcp0"), format!("b-dhcp:d-{name}"));
        link(format!("{node}:uplink0"), format!("b-uplink:u-{name}"));
        link(format!("{node}:access0"), format!("a-{name}:x-{name}"));
    }
    for router in &topology.routers {
        // SR Linux: e1-1 is the uplink, subscribers begin at e1-2.
        link(format!("{}:e1-1", router.name), format!("a-{}:r-{}", router.bng, router.name));
    }
    for subscriber in &topology.subscribers {
        link(format!("{}:eth0", subscriber.name), format!("{}:e1-{}", subscriber.router, subscriber.port + 1));
    }
}
