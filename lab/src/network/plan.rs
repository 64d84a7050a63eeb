//! What `ip` is told, as a pure function of the topology.
use std::fmt::Write;

use ipnet::Ipv4Net;

use crate::topology::{Bng, Router, Topology};

/// The namespace of the segments' bridges.
pub const SWITCH: &str = "switch";

type Lines = String;

/// Where the BNGs' nodes come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nodes {
    /// The lab makes their namespaces, and they are its own.
    #[default]
    Made,
    /// Nodes of an existing cluster: only the wires are the lab's.
    Found,
}

/// Everything to be made, in order.
#[derive(Debug, Default)]
pub struct NetworkPlan {
    /// Where the BNGs' nodes come from.
    pub nodes: Nodes,
    /// Namespaces with their settings below `/proc/sys/net/ipv4`, made before any link so that links inherit them.
    pub namespaces: Vec<(String, Vec<(&'static str, &'static str)>)>,
    /// Lines for `ip -batch` per namespace (none: this machine's).
    pub batches: Vec<(Option<String>, Lines)>,
    /// Links whose offloads are off: counters count real packets, and captured checksums are finished.
    pub offloads: Vec<(String, Vec<String>)>,
}

/// Renders the topology.
pub fn plan(topology: &Topology, nodes: Nodes) -> NetworkPlan {
    let mut plan = NetworkPlan { nodes, ..NetworkPlan::default() };
    plan.namespaces(topology);
    plan.switch(topology);
    plan.host(topology);
    plan.services(topology);
    plan.internet(topology);
    for bng in &topology.bngs {
        plan.bng(topology, bng);
    }
    for router in &topology.routers {
        plan.router(topology, router);
    }
    for (number, subscriber) in (1_u16..).zip(&topology.subscribers) {
        let [high, low] = number.to_be_bytes();
        let lines =
            format!("link set lo up\nlink set eth0 address 02:00:5e:10:{high:02x}:{low:02x}\nlink set eth0 up\n");
        plan.node(&subscriber.name, lines, &["eth0"]);
    }
    plan
}

/// The first IPv4 route of `ip -o route` that overlaps `network` and is not through `own`.
pub fn overlapping<'a>(routes: &'a str, network: Ipv4Net, own: &str) -> Option<&'a str> {
    routes.lines().map(str::trim).find(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ours = words.windows(2).any(|pair| pair == ["dev", own]);
        let destination = words.first().copied().unwrap_or_default();
        let prefix = destination.parse::<Ipv4Net>().or_else(|_| format!("{destination}/32").parse());
        !ours && prefix.is_ok_and(|prefix| prefix.contains(&network) || network.contains(&prefix))
    })
}

impl NetworkPlan {
    fn namespaces(&mut self, topology: &Topology) {
        const FORWARDS: [(&str, &str); 3] =
            [("ip_forward", "1"), ("conf/all/rp_filter", "0"), ("conf/default/rp_filter", "0")];
        const ENDS: [(&str, &str); 2] = [("conf/all/rp_filter", "0"), ("conf/default/rp_filter", "0")];
        let is_bng = |name: &str| topology.bngs.iter().any(|bng| bng.name == name);
        let forwards = |name: &str| is_bng(name) || topology.router(name).is_some();
        self.namespaces.push((SWITCH.to_owned(), Vec::new()));
        for name in topology.nodes().into_iter().filter(|name| self.nodes == Nodes::Made || !is_bng(name)) {
            let settings = if forwards(name) { FORWARDS.to_vec() } else { ENDS.to_vec() };
            self.namespaces.push((name.to_owned(), settings));
        }
    }

    /// Bridges, and a veth pair per leg whose other end lies in the node.
    fn switch(&mut self, topology: &Topology) {
        let mut lines = String::new();
        let access: Vec<String> = topology.bngs.iter().map(|bng| format!("a-{}", bng.name)).collect();
        for bridge in ["b-mgmt", "b-dhcp", "b-uplink"].into_iter().chain(access.iter().map(String::as_str)) {
            let _ =
                writeln!(lines, "link add {bridge} type bridge mcast_snooping 0 forward_delay 0\nlink set {bridge} up");
        }
        let mut leg = |port: String, bridge: &str, node: &str, link: &str| {
            let _ = writeln!(lines, "link add {port} type veth peer name {link} netns {node}");
            let _ = writeln!(lines, "link set {port} master {bridge} up");
        };
        let (services, internet) = (&topology.services.node, &topology.internet.node);
        leg(format!("m-{services}"), "b-mgmt", services, "mgmt0");
        leg(format!("d-{services}"), "b-dhcp", services, "svc0");
        leg(format!("u-{internet}"), "b-uplink", internet, "uplink0");
        for Bng { name, .. } in &topology.bngs {
            leg(format!("m-{name}"), "b-mgmt", name, "mgmt0");
            leg(format!("d-{name}"), "b-dhcp", name, "dhcp0");
            leg(format!("u-{name}"), "b-uplink", name, "uplink0");
            leg(format!("x-{name}"), &format!("a-{name}"), name, "access0");
        }
        for Router { name, bng, .. } in &topology.routers {
            leg(format!("r-{name}"), &format!("a-{bng}"), name, "up0");
        }
        self.batches.push((Some(SWITCH.to_owned()), lines));
    }

    fn host(&mut self, topology: &Topology) {
        let link = &topology.management.host_interface;
        let lines = format!(
            "link add {link} type veth peer name m-host netns {SWITCH}\naddress add {} dev {link}\nlink set {link} up\n",
            topology.management.host
        );
        self.batches.push((None, lines));
        self.batches.push((Some(SWITCH.to_owned()), "link set m-host master b-mgmt up\n".to_owned()));
    }

    fn services(&mut self, topology: &Topology) {
        let services = &topology.services;
        let mut lines = up(&[("mgmt0", services.management), ("svc0", services.dhcp)]);
        for bng in &topology.bngs {
            for router in topology.routers_of(&bng.name) {
                let _ = writeln!(lines, "route add {} via {}", router.lan.trunc(), bng.dhcp.addr());
            }
        }
        self.node(&services.node, lines, &["mgmt0", "svc0"]);
    }

    fn internet(&mut self, topology: &Topology) {
        let internet = &topology.internet;
        let mut lines = up(&[("uplink0", internet.uplink)]);
        let _ = writeln!(lines, "address add {}/32 dev lo", internet.host);
        for bng in &topology.bngs {
            for router in topology.routers_of(&bng.name) {
                let _ = writeln!(lines, "route add {} via {}", router.lan.trunc(), bng.uplink.addr());
            }
        }
        self.node(&internet.node, lines, &["uplink0"]);
    }

    /// A BNG's node. The pools' routes are the BNG's own to make.
    fn bng(&mut self, topology: &Topology, bng: &Bng) {
        let mut links = vec![("mgmt0", bng.management), ("dhcp0", bng.dhcp), ("uplink0", bng.uplink)];
        links.extend(topology.access_addresses(bng).into_iter().map(|address| ("access0", address)));
        let mut lines = up(&links);
        if self.nodes == Nodes::Made {
            let _ = writeln!(lines, "route add default via {}", topology.management.host.addr());
        }
        let _ = writeln!(lines, "route add {} via {}", topology.internet.network, topology.internet.uplink.addr());
        self.node(&bng.name, lines, &["mgmt0", "dhcp0", "uplink0", "access0"]);
    }

    /// A router: subscribers' ports in one bridge, isolated from each other. An access node of layer 2 has its uplink in it too.
    fn router(&mut self, topology: &Topology, router: &Router) {
        let mut lines = String::from("link add lan0 type bridge mcast_snooping 0 forward_delay 0\n");
        let mut links = vec!["up0".to_owned()];
        for subscriber in topology.subscribers_of(&router.name) {
            let port = subscriber.router_port();
            let _ = writeln!(lines, "link add {port} type veth peer name eth0 netns {}", subscriber.name);
            let _ = writeln!(lines, "link set {port} master lan0 up");
            let _ = writeln!(lines, "link set {port} type bridge_slave isolated on");
            links.push(port);
        }
        if let Some(uplink) = router.uplink {
            lines.push_str(&up(&[("up0", uplink), ("lan0", router.lan)]));
        } else {
            lines.push_str("link set lo up\nlink set up0 master lan0 up\nlink set lan0 up\n");
        }
        let bng = topology.bngs.iter().find(|bng| bng.name == router.bng);
        if let Some(access) = bng.and_then(|bng| bng.access) {
            let _ = writeln!(lines, "route add default via {}", access.addr());
        }
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        self.node(&router.name, lines, &links);
    }

    fn node(&mut self, name: &str, lines: Lines, links: &[&str]) {
        self.batches.push((Some(name.to_owned()), lines));
        self.offloads.push((name.to_owned(), links.iter().map(|link| (*link).to_owned()).collect()));
    }
}

fn up(links: &[(&str, Ipv4Net)]) -> Lines {
    let mut lines = String::from("link set lo up\n");
    for (link, address) in links {
        let _ = writeln!(lines, "address add {address} dev {link}\nlink set {link} up");
    }
    lines
}
