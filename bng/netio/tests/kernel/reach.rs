//! What a subscriber does not reach on the node, and what everybody else on it still does.

use std::net::Ipv4Addr;

use lastmile_netio::gate::{Change, GateConfig, Terms};

use crate::{
    gate::{GATEWAY, HOST, SUBSCRIBER, config, open, send},
    netns::{Bench, ask, listen},
};

/// The API server: a service's address, translated on the node to the host's.
const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
const POD: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 2);
const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// As kube-proxy does it in its nftables mode: in prerouting for pods, in output for the node itself.
const KUBE_PROXY: &str = "table ip kube-proxy {
  chain services { ip daddr 10.96.0.1 tcp dport 443 dnat to 192.0.2.2:6443; }
  chain pods { type nat hook prerouting priority dstnat; jump services; }
  chain node { type nat hook output priority -100; jump services; }
  chain leaving { type nat hook postrouting priority srcnat; ip saddr 10.244.0.0/16 masquerade; }
}";

#[test]
fn subscribers_reach_no_port_of_the_node_and_no_service() {
    let mut bench = Bench::new();
    bench.add_pod();
    bench.ip("gateway", "route add 10.96.0.0/16 via 192.0.2.2");
    bench.nft("gateway", KUBE_PROXY);
    listen(&bench, "host", (HOST, 6443), "API server");
    for (port, name) in [(10_250, "kubelet"), (8443, "status"), (9100, "metrics"), (22, "ssh")] {
        listen(&bench, "gateway", (Ipv4Addr::UNSPECIFIED, port), name);
    }
    listen(&bench, "pod", (POD, 8080), "pod");
    let subscriber = |address, port| ask(&bench, "subscriber", address, port);
    assert_eq!(subscriber(CLUSTER_IP, 443).as_deref(), Some("API server"), "without the gate they reach everything");
    assert_eq!(subscriber(GATEWAY, 10_250).as_deref(), Some("kubelet"));
    assert_eq!(subscriber(POD, 8080).as_deref(), Some("pod"));

    let protected = ["10.96.0.0/16", "10.244.0.0/16"].map(|network| network.parse().unwrap());
    let config = GateConfig { protected: protected.to_vec(), ..config() };
    let (mut gate, _) = open(&bench, &config);
    gate.apply(&[Change::Admit { ip: SUBSCRIBER, terms: Terms::default() }]).unwrap();
    assert_eq!(send(&bench, "subscriber", "host", HOST, 5000, 3), 3, "admitted");
    for own in [GATEWAY, NODE, Ipv4Addr::new(10, 244, 1, 1)] {
        for port in [10_250, 8443, 9100, 22] {
            assert_eq!(subscriber(own, port), None, "{own}:{port}");
        }
        assert_eq!(send(&bench, "subscriber", "gateway", own, 3799, 3), 0, "CoA at {own}");
    }
    assert_eq!(subscriber(CLUSTER_IP, 443), None);
    assert_eq!(subscriber(POD, 8080), None);

    assert_eq!(ask(&bench, "pod", CLUSTER_IP, 443).as_deref(), Some("API server"), "a pod still does");
    assert_eq!(ask(&bench, "gateway", CLUSTER_IP, 443).as_deref(), Some("API server"), "and the node");
    assert_eq!(ask(&bench, "host", NODE, 10_250).as_deref(), Some("kubelet"), "and the kubelet is reached");
    assert_eq!(ask(&bench, "gateway", POD, 8080).as_deref(), Some("pod"));
}
