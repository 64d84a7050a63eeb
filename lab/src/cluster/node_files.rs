//! The configuration files of a node's programs, rendered from the node's description. Pure.

use std::path::Path;

use serde_json::{Value, json};

use super::Node;
use super::layout::NodeLayout;

/// The kubelet's configuration. `authority` is the file of the cluster's certificate authority.
pub fn kubelet(node: &Node, layout: &NodeLayout, cgroup_root: &str, authority: &Path) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address.to_string(),
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": authority },
        },
        "authorization": { "mode": "Webhook" },
        "tlsCertFile": layout.pki().join("kubelet.crt"),
        "tlsPrivateKeyFile": layout.pki().join("kubelet.key"),
        "readOnlyPort": 0,
        "containerRuntimeEndpoint": format!("unix://{}", layout.containerd_socket().display()),
        // Two kubelets on one kernel: each keeps to its own part of every hierarchy, and to its
        // own folder of logs (each removes what it does not know from a shared one).
        "cgroupRoot": cgroup_root,
        "cgroupDriver": "cgroupfs",
        "podLogsDir": layout.pod_logs(),
        "volumePluginDir": layout.volume_plugins(),
        "failCgroupV1": false,
        "failSwapOn": false,
        // The node shares the machine: nothing is reserved, nothing is evicted, and no image is
        // collected, as there is no registry to get it back from.
        "enforceNodeAllocatable": [],
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        // The lab has no DNS; peers are addresses.
        "resolvConf": "",
        "clusterDomain": "cluster.local",
    })
}

/// kube-proxy's configuration.
pub fn kube_proxy(node: &Node, layout: &NodeLayout) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": node.address.to_string(),
        "clientConnection": { "kubeconfig": layout.kube_proxy_kubeconfig() },
        "mode": "nftables",
        "detectLocalMode": "ClusterCIDR",
        "clusterCIDR": node.pod_cidr.to_string(),
        "hostnameOverride": node.name,
        // The machine's limits are not the lab's to change.
        "conntrack": { "maxPerCore": 0, "min": 0 },
    })
}

/// The CNI network of a node's pods: a bridge, and addresses from the node's own range.
pub fn pod_network(node: &Node, layout: &NodeLayout) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": true,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": layout.cni_addresses(),
                "ranges": [[{ "subnet": node.pod_cidr.to_string() }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        }],
    })
}

/// containerd's configuration.
pub fn containerd(layout: &NodeLayout, pause_image: &str, cni_programs: &Path, snapshotter: &str) -> String {
    let root = layout.containerd_root();
    let state = layout.containerd_state();
    let socket = layout.containerd_socket();
    let networks = layout.cni_networks();
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause_image}"
disable_apparmor = true
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{programs}"
conf_dir = "{networks}"
"#,
        root = root.display(),
        state = state.display(),
        socket = socket.display(),
        programs = cni_programs.display(),
        networks = networks.display(),
    )
}
