//! A node's programs: containerd, kubelet and kube-proxy, inside the node's network namespace.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::control_plane::{Keys, flag};
use super::layout::NodeLayout;
use super::pki::{self, Identity, Store};
use super::{ClusterContext, Node, cgroups, mounts, node_files};
use crate::images::Image;
use crate::process::Part;

/// Where network namespaces have their names.
const NETNS_DIR: &str = "/run/netns";
/// How a pod's network namespace is named by containerd.
const POD_NETNS_PREFIX: &str = "cni-";

/// The running programs of one node.
#[derive(Debug)]
pub struct RunningNode {
    node: Node,
    layout: NodeLayout,
    containerd: Part,
    /// The kubelet and kube-proxy.
    agents: Vec<Part>,
}

/// Writes a node's keys and configuration.
pub fn write_files(context: &ClusterContext, node: &Node, keys: &Keys, pause: &Image) -> Result<()> {
    let layout = context.layout().node(&node.name);
    for folder in layout.folders() {
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let store = Store::open(&layout.pki())?;
    keys.write_kubelet_server(&store, node)?;
    let user = format!("system:node:{}", node.name);
    keys.write_kubeconfig(context, &layout.kubelet_kubeconfig(), &Identity::client(user, Some("system:nodes")))?;
    let proxy = Identity::client("system:kube-proxy", None);
    keys.write_kubeconfig(context, &layout.kube_proxy_kubeconfig(), &proxy)?;

    let kubelet = node_files::kubelet(node, &layout, &cgroups::path(&node.name), &keys.authority_file);
    let snapshotter = mounts::snapshotter(&layout.containerd_root());
    let containerd = node_files::containerd(&layout, &pause.reference, &context.cni_programs, snapshotter);
    pki::write_private(&layout.kubelet_config(), &format!("{kubelet:#}\n"))?;
    pki::write_private(&layout.kube_proxy_config(), &format!("{:#}\n", node_files::kube_proxy(node, &layout)))?;
    pki::write_private(&layout.containerd_config(), &containerd)?;
    let network = node_files::pod_network(node, &layout);
    pki::write_private(&layout.cni_networks().join("10-pods.conflist"), &format!("{network:#}\n"))
}

impl RunningNode {
    /// Starts a node's containerd.
    pub fn start_runtime(context: &ClusterContext, node: &Node) -> Result<Self> {
        let layout = context.layout().node(&node.name);
        let place = context.place(Some(&node.netns));
        let mut command = place.command("containerd");
        command.arg("--config").arg(layout.containerd_config());
        let containerd = place.start(&format!("containerd-{}", node.name), &mut command)?;
        Ok(RunningNode { node: node.clone(), layout, containerd, agents: Vec::new() })
    }

    /// Waits until containerd answers.
    pub fn wait_for_runtime(&mut self) -> Result<()> {
        let socket = self.layout.containerd_socket();
        self.containerd.wait_until(Duration::from_secs(20), || {
            let version =
                Command::new("ctr").arg("--address").arg(&socket).args(["--timeout", "2s", "version"]).output();
            version.is_ok_and(|output| output.status.success())
        })
    }

    /// Starts the kubelet and kube-proxy.
    pub fn start_agents(&mut self, context: &ClusterContext) -> Result<()> {
        let kubelet = [
            flag("config", self.layout.kubelet_config().display()),
            flag("kubeconfig", self.layout.kubelet_kubeconfig().display()),
            flag("root-dir", self.layout.kubelet_root().display()),
            flag("cert-dir", self.layout.pki().display()),
            flag("hostname-override", &self.node.name),
            flag("node-ip", self.node.address),
            flag("node-labels", labels(&self.node)),
        ];
        let kube_proxy = [flag("config", self.layout.kube_proxy_config().display())];
        let place = context.place(Some(&self.node.netns));
        for (part, arguments) in [("kubelet", kubelet.as_slice()), ("kube-proxy", kube_proxy.as_slice())] {
            let mut command = place.command(context.programs.join("lab-kube"));
            command.arg(part).args(arguments);
            self.agents.push(place.start(&format!("{part}-{}", self.node.name), &mut command)?);
        }
        Ok(())
    }

    /// Every program of the node.
    pub fn parts(&mut self) -> Vec<&mut Part> {
        std::iter::once(&mut self.containerd).chain(self.agents.iter_mut()).collect()
    }

    /// Ends the kubelet and kube-proxy; containers go on.
    pub fn stop_agents(&mut self) {
        for agent in &self.agents {
            agent.signal(Signal::SIGTERM);
        }
        for agent in &mut self.agents {
            agent.stop(Signal::SIGTERM, Duration::from_secs(1));
        }
    }

    /// Ends containerd and its shims. The containers have to be gone.
    pub fn stop_runtime(&mut self) {
        self.containerd.stop(Signal::SIGTERM, Duration::from_secs(2));
        for pid in shims(&self.layout.containerd_socket()) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

fn labels(node: &Node) -> String {
    node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// The shims of the containerd that listens on `socket`, found by their command lines.
fn shims(socket: &Path) -> Vec<Pid> {
    let socket = socket.as_os_str().as_encoded_bytes();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0);
        let shim = words.next().is_some_and(|program| program.windows(15).any(|part| part == b"containerd-shim"));
        shim && words.any(|word| word == socket)
    })
    .map(Pid::from_raw)
    .collect()
}

/// Deletes the network namespaces of pods. In the lab's private `/run/netns` all of them are the lab's.
pub fn delete_pod_namespaces() {
    let Ok(entries) = std::fs::read_dir(NETNS_DIR) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(POD_NETNS_PREFIX) {
            let _ = nix::mount::umount2(&entry.path(), nix::mount::MntFlags::MNT_DETACH);
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
