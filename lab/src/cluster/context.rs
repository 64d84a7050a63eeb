//! What the cluster is made of, and the commands that talk to it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ipnet::Ipv4Net;

use super::layout::ClusterLayout;
use crate::paths::{Paths, SOCKET_DIR};
use crate::process::Place;
use crate::topology::{Bng, Topology};

/// Where Debian puts the programs of `containernetworking-plugins`.
pub const CNI_PROGRAMS: &str = "/usr/lib/cni";

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
    /// The cluster of the lab's topology, with the lab's folders.
    pub fn for_lab(paths: &Paths, topology: &Topology) -> Self {
        ClusterContext {
            run: paths.run.clone(),
            sockets: Path::new(SOCKET_DIR).join("nodes"),
            logs: paths.run.join("logs"),
            programs: paths.root.join("target/lab"),
            image_cache: paths.root.join("target/lab/images"),
            cni_programs: CNI_PROGRAMS.into(),
            nodes: topology.bngs.iter().map(Node::for_bng).collect(),
            api_address: topology.management.host.addr(),
            api_port: topology.kubernetes.api_port,
            service_cidr: topology.kubernetes.service_prefix,
            pod_clients: vec![None, Some(topology.services.node.clone())],
        }
    }

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
        let mut command = self.lab_kube("kubectl");
        command.arg("--kubeconfig").arg(self.kubeconfig());
        command.arg("--cache-dir").arg(self.run.join("kube-cache"));
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

impl Node {
    /// The node that a BNG runs on. Its labels are what the BNG's object selects it by.
    fn for_bng(bng: &Bng) -> Self {
        let labels = [("lastmile.io/wired", "true"), ("lastmile.io/bng", bng.name.as_str())];
        Node {
            name: bng.name.clone(),
            address: bng.management.addr(),
            netns: bng.name.clone(),
            pod_cidr: bng.pods,
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        }
    }
}
