//! What the tests of the cluster's pure parts share.

use super::{ClusterContext, Node, node_files};

/// A cluster of two nodes.
pub fn context() -> ClusterContext {
    let node = |number: u8| Node {
        name: format!("node-{number}"),
        address: [10, 0, 0, 10 + number].into(),
        netns: format!("node-{number}"),
        pod_cidr: format!("10.1.{number}.0/24").parse().unwrap(),
        labels: [("lastmile.io/wired".to_owned(), "true".to_owned())].into(),
    };
    ClusterContext {
        run: "/lab/run".into(),
        sockets: "/run/lab".into(),
        logs: "/lab/run/logs".into(),
        programs: "/lab/bin".into(),
        image_cache: "/lab/images".into(),
        cni_programs: "/usr/lib/cni".into(),
        nodes: vec![node(1), node(2)],
        api_address: [10, 0, 0, 1].into(),
        api_port: 6443,
        service_cidr: "10.2.0.0/16".parse().unwrap(),
        pod_clients: vec![None, Some("services".to_owned())],
    }
}

#[test]
fn two_nodes_on_one_kernel_share_no_folder() {
    let context = context();
    let [first, second] = [0, 1].map(|index: usize| {
        let node = &context.nodes[index];
        let layout = context.layout().node(&node.name);
        [
            node_files::kubelet(node, &layout, "/group", "/lab/run/pki/ca.crt".as_ref()).to_string(),
            node_files::kube_proxy(node, &layout).to_string(),
            node_files::pod_network(node, &layout).to_string(),
            node_files::containerd(&layout, "pause:1", "/usr/lib/cni".as_ref(), "overlayfs"),
        ]
        .join("\n")
    });
    let paths = |text: &str| -> Vec<String> {
        let words = text.split(['"', ' ']).filter(|word| word.contains("/lab/"));
        words.map(str::to_owned).collect()
    };
    let shared: Vec<_> = paths(&first).into_iter().filter(|path| paths(&second).contains(path)).collect();
    assert_eq!(shared, ["/lab/run/pki/ca.crt"]);
    assert!(paths(&first).len() > 10);
}

#[test]
fn containerds_configuration_is_toml() {
    let context = context();
    let layout = context.layout().node("node-1");
    let text = node_files::containerd(&layout, "pause:1", "/usr/lib/cni".as_ref(), "overlayfs");
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["grpc"]["address"].as_str(), Some("/run/lab/node-1/containerd.sock"));
}
