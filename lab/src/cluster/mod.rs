//! The embedded Kubernetes: etcd, API server, controller manager and scheduler in the root network namespace, and
//! per node a containerd, a kubelet and a kube-proxy inside the node's namespace, all from one binary of our own
//! (`lab/kubernetes`) and Debian's containerd.
//!
//! [`up`] expects to run in the lab's own PID and mount namespaces with a private `/run/netns`, the nodes' network
//! namespaces made and the management bridge up. It changes nothing of the machine that [`Cluster::down`] or the end
//! of those namespaces does not undo; what then is left of a killed run, [`clear_leftovers`] removes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use crate::images::{self, Image};
use crate::process::Part;

mod cgroups;
mod context;
mod control_plane;
mod kubeconfig;
mod layout;
mod mounts;
mod node;
mod node_files;
mod pki;
mod ready;
mod routes;
#[cfg(test)]
mod tests;

pub use context::{ClusterContext, Node};
pub use layout::{ClusterLayout, NodeLayout};

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
pub fn write_programs(context: &ClusterContext) -> Result<()> {
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
