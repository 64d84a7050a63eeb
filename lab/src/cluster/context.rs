//! What the cluster is made of, and the commands that talk to it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ipnet::Ipv4Net;

use super::layout::ClusterLayout;
use crate::process::Place;

/// What the cluster is made of. Everything comes from the topology and the lab's folders.
#[derive(Clone, Debug)]
pub struct ClusterContext {
    /// The lab's run folder (0700): state, keys, kubeconfig.
    pub run: PathBuf,
    /// A short folder for unix sockets, whose addresses hold 107 bytes, e.g. `/run/lastmile-lab`.
    pub sockets: PathBuf,
    /// Folder of the logs, `PART.log`.
    pub logs: PathBuf,
    /// The folder of `lab-kube` and `pause`, e.g. `target/lab`.
    pub programs: PathBuf,
    /// Where image archives are cached, e.g. `target/lab/images`.
    pub image_cache: PathBuf,
    /// Where Debian's `containernetworking-plugins` are, `/usr/lib/cni`.
    pub cni_programs: PathBuf,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The address of the root namespace on the management network, where the API server listens.
    pub api_address: Ipv4Addr,
    /// The port of the API server.
    pub api_port: u16,
    /// The range of the Services' addresses.
    pub service_cidr: Ipv4Net,
    /// Network namespaces beside the nodes (none: the root one) that reach pods through the nodes.
    pub pod_clients: Vec<Option<String>>,
}

/// A node of the cluster: a network namespace that takes the part of a machine.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name, as Kubernetes knows it.
    pub name: String,
    /// Its address on the management network.
    pub address: Ipv4Addr,
    /// Its network namespace, a name below `/run/netns`.
    pub netns: String,
    /// The range of its pods' addresses.
    pub pod_cidr: Ipv4Net,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl ClusterContext {
    /// Where the cluster keeps its files.
    pub fn layout(&self) -> ClusterLayout {
        ClusterLayout::new(&self.run, &self.sockets)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout().kubeconfig()
    }

    /// The URL of the API server.
    pub fn server(&self) -> String {
        format!("https://{}:{}", self.api_address, self.api_port)
    }

    /// A `kubectl` command as administrator. An inherited KUBECONFIG has no say.
    pub fn kubectl(&self) -> Command {
        let mut command = self.kubectl_of(&self.kubeconfig());
        command.arg("--cache-dir").arg(self.run.join("kube-cache"));
        command
    }

    /// A `kubectl` command with another kubeconfig.
    pub fn kubectl_of(&self, kubeconfig: &Path) -> Command {
        let mut command = self.lab_kube("kubectl");
        command.arg("--kubeconfig").arg(kubeconfig);
        command
    }

    /// A `helm` command as administrator, with its own folders.
    pub fn helm(&self) -> Command {
        let mut command = self.lab_kube("helm");
        command.arg("--kubeconfig").arg(self.kubeconfig());
        for (variable, folder) in
            [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            command.env(variable, self.run.join("helm").join(folder));
        }
        command
    }

    pub(super) fn lab_kube(&self, part: &str) -> Command {
        let mut command = Command::new(self.programs.join("lab-kube"));
        command.arg(part).env_remove("KUBECONFIG");
        command
    }

    pub(super) fn place(&self, netns: Option<&str>) -> Place {
        Place { netns: netns.map(str::to_owned), logs: self.logs.clone() }
    }

    pub(super) fn node_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }
}
