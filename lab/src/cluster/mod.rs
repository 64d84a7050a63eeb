//! The embedded Kubernetes: etcd, API server, controller manager and scheduler in the root network namespace, and
//! per node a containerd, a kubelet and a kube-proxy inside the node's namespace, all from one binary of our own
//! (`lab/kubernetes`) and Debian's containerd.
//!
//! [`up`] expects to run in the lab's own PID and mount namespaces with a private `/run/netns`, the nodes' network
//! namespaces made and the management bridge up. It changes nothing of the machine that [`Cluster::down`] or the end
//! of those namespaces does not undo; what then is left of a killed run, [`clear_leftovers`] removes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ipnet::Ipv4Net;
use nix::sys::signal::Signal;

use crate::images::{self, Image};
use crate::process::{Part, Place};

mod cgroups;
mod control_plane;
mod kubeconfig;
mod layout;
mod mounts;
mod node;
mod node_files;
mod pki;
mod ready;
mod routes;

pub use layout::{ClusterLayout, NodeLayout};

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

    fn lab_kube(&self, part: &str) -> Command {
        let mut command = Command::new(self.programs.join("lab-kube"));
        command.arg(part).env_remove("KUBECONFIG");
        command
    }

    fn place(&self, netns: Option<&str>) -> Place {
        Place { netns: netns.map(str::to_owned), logs: self.logs.clone() }
    }

    fn node_names(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    context: ClusterContext,
    /// The control plane, in the order in which it is taken down: the API server hangs without etcd.
    control_plane: Vec<Part>,
    nodes: Vec<node::RunningNode>,
}

/// Starts the cluster and returns when the API answers, every node is Ready and pods can be made.
/// What a failed start has begun is taken down again.
pub fn up(context: &ClusterContext) -> Result<Cluster> {
    clear_leftovers(context);
    start(context).inspect_err(|_| {
        mounts::release(context);
        clear_leftovers(context);
    })
}

fn start(context: &ClusterContext) -> Result<Cluster> {
    let pause = images::Source::program("lastmile/pause", &context.programs.join("pause"));
    let pause = images::build(&pause, &context.image_cache)?;
    mounts::isolate(context)?;
    routes::add(context)?;
    let keys = control_plane::write_keys(context)?;
    for node in &context.nodes {
        cgroups::create(&node.name)?;
        node::write_files(context, node, &keys, &pause)?;
    }
    write_programs(context)?;
    let mut cluster = Cluster { context: context.clone(), control_plane: Vec::new(), nodes: Vec::new() };
    match cluster.start(&keys, &pause) {
        Ok(()) => Ok(cluster),
        Err(error) => {
            cluster.down();
            Err(error)
        }
    }
}

impl Cluster {
    /// containerd and etcd come up together, then the API server, then whatever talks to it.
    fn start(&mut self, keys: &control_plane::Keys, pause: &Image) -> Result<()> {
        let context = self.context.clone();
        self.control_plane.push(control_plane::start_etcd(&context, keys)?);
        for node in &context.nodes {
            self.nodes.push(node::RunningNode::start_runtime(&context, node)?);
        }
        self.control_plane.iter_mut().try_for_each(control_plane::wait_for_etcd)?;
        self.control_plane.insert(0, control_plane::start_api_server(&context, keys)?);
        self.nodes.iter_mut().try_for_each(node::RunningNode::wait_for_runtime)?;
        import_images(&context, std::slice::from_ref(pause))?;
        ready::wait_for_api(&context, &mut self.control_plane[0])?;
        for controller in control_plane::start_controllers(&context, keys)? {
            self.control_plane.insert(0, controller);
        }
        self.nodes.iter_mut().try_for_each(|node| node.start_agents(&context))?;
        ready::wait_for_nodes(self)?;
        ready::wait_for_service_account(&context)
    }

    /// Every program of the cluster, for a status.
    pub fn parts(&mut self) -> Vec<&mut Part> {
        let mut parts: Vec<_> = self.control_plane.iter_mut().collect();
        parts.extend(self.nodes.iter_mut().flat_map(node::RunningNode::parts));
        parts
    }

    /// Takes everything down. The order matters: the nodes' agents first, as they would start containers again.
    pub fn down(&mut self) {
        for node in &mut self.nodes {
            node.stop_agents();
        }
        for name in self.context.node_names() {
            cgroups::kill(name);
        }
        for node in &mut self.nodes {
            node.stop_runtime();
        }
        for part in &mut self.control_plane {
            // Nothing of it is kept: what is told to end has no reason to linger.
            part.stop(Signal::SIGKILL, Duration::from_secs(2));
        }
        mounts::release(&self.context);
        node::delete_pod_namespaces();
        clear_leftovers(&self.context);
    }
}

/// Imports images into every node that does not have them yet.
pub fn import_images(context: &ClusterContext, wanted: &[Image]) -> Result<()> {
    std::thread::scope(|scope| {
        let imports: Vec<_> = context
            .nodes
            .iter()
            .map(|node| {
                let socket = context.layout().node(&node.name).containerd_socket();
                scope.spawn(move || images::import(&socket, wanted).with_context(|| format!("node {}", node.name)))
            })
            .collect();
        imports.into_iter().try_for_each(|import| import.join().expect("an import does not panic"))
    })
}

/// Removes what a killed run left of the nodes outside its namespaces: their control groups.
pub fn clear_leftovers(context: &ClusterContext) {
    for name in context.node_names() {
        cgroups::remove(name);
    }
    cgroups::remove_parent();
    mounts::remove_mount_points(context);
}

/// Puts `kubectl` and `helm` into the run folder's `bin`: the binary is what it is called.
fn write_programs(context: &ClusterContext) -> Result<()> {
    let folder = context.layout().programs();
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    for name in ["kubectl", "helm"] {
        let link = folder.join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(context.programs.join("lab-kube"), &link)
            .with_context(|| format!("link {}", link.display()))?;
    }
    Ok(())
}
