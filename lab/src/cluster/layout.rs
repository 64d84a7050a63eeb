//! Where the cluster keeps its files: state below the run folder, sockets below a short path,
//! as the address of a unix socket holds 107 bytes and a clone may lie deep.

use std::path::{Path, PathBuf};

/// The files of the whole cluster.
#[derive(Debug, Clone)]
pub struct ClusterLayout {
    run: PathBuf,
    sockets: PathBuf,
}

impl ClusterLayout {
    /// The layout below the lab's run folder and its folder of sockets.
    pub fn new(run: &Path, sockets: &Path) -> Self {
        ClusterLayout { run: run.to_owned(), sockets: sockets.to_owned() }
    }

    /// Key material of the control plane.
    pub fn pki(&self) -> PathBuf {
        self.run.join("pki")
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.run.join("kubeconfig")
    }

    /// The folder of `kubectl` and `helm`.
    pub fn programs(&self) -> PathBuf {
        self.run.join("bin")
    }

    /// etcd's data.
    pub fn etcd(&self) -> PathBuf {
        self.run.join("etcd")
    }

    /// What `hostPath` volumes below `/var/lib/lastmile` really hold.
    pub fn product_state(&self) -> PathBuf {
        self.run.join("state")
    }

    /// The folder of all nodes.
    pub fn nodes(&self) -> PathBuf {
        self.run.join("nodes")
    }

    /// The files of one node.
    pub fn node(&self, name: &str) -> NodeLayout {
        NodeLayout { state: self.nodes().join(name), sockets: self.sockets.join(name) }
    }
}

/// The files of one node.
#[derive(Debug, Clone)]
pub struct NodeLayout {
    state: PathBuf,
    sockets: PathBuf,
}

impl NodeLayout {
    /// Every folder that has to exist before the node's programs start.
    pub fn folders(&self) -> Vec<PathBuf> {
        vec![
            self.pki(),
            self.containerd_root(),
            self.containerd_state(),
            self.cni_networks(),
            self.cni_addresses(),
            self.kubelet_root(),
            self.pod_logs(),
        ]
    }

    /// The node's key material.
    pub fn pki(&self) -> PathBuf {
        self.state.join("pki")
    }

    /// The kubelet's kubeconfig.
    pub fn kubelet_kubeconfig(&self) -> PathBuf {
        self.state.join("kubelet.kubeconfig")
    }

    /// The kubelet's configuration.
    pub fn kubelet_config(&self) -> PathBuf {
        self.state.join("kubelet.json")
    }

    /// The kubelet's pods and volumes.
    pub fn kubelet_root(&self) -> PathBuf {
        self.state.join("kubelet")
    }

    /// The logs of the node's containers.
    pub fn pod_logs(&self) -> PathBuf {
        self.state.join("pod-logs")
    }

    /// Volume plugins, of which there are none: the usual place is one of the machine's.
    pub fn volume_plugins(&self) -> PathBuf {
        self.state.join("volume-plugins")
    }

    /// kube-proxy's kubeconfig.
    pub fn kube_proxy_kubeconfig(&self) -> PathBuf {
        self.state.join("kube-proxy.kubeconfig")
    }

    /// kube-proxy's configuration.
    pub fn kube_proxy_config(&self) -> PathBuf {
        self.state.join("kube-proxy.json")
    }

    /// containerd's configuration.
    pub fn containerd_config(&self) -> PathBuf {
        self.state.join("containerd.toml")
    }

    /// containerd's images and snapshots.
    pub fn containerd_root(&self) -> PathBuf {
        self.state.join("containerd")
    }

    /// containerd's running containers.
    pub fn containerd_state(&self) -> PathBuf {
        self.sockets.join("containerd")
    }

    /// Where containerd listens.
    pub fn containerd_socket(&self) -> PathBuf {
        self.sockets.join("containerd.sock")
    }

    /// The folder of CNI networks.
    pub fn cni_networks(&self) -> PathBuf {
        self.state.join("cni")
    }

    /// The addresses that are handed out to pods.
    pub fn cni_addresses(&self) -> PathBuf {
        self.state.join("cni-addresses")
    }
}
