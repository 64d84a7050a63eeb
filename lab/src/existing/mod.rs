//! An existing cluster in the place of the lab's own: `LASTMILE_KUBECONFIG`, and nothing else, selects it.
//!
//! Its nodes carry the gateways and must stand on the lab's wires. They do when this machine runs them (kind, or any
//! other kubelet in a network namespace) and `/run/netns` knows each by the name of its BNG (`ip netns attach`): the
//! lab puts `mgmt0`, `dhcp0`, `uplink0` and `access0` there, and they go with the lab. [`check`] changes nothing and
//! says everything that is missing; [`leave`] takes out of the cluster what the lab has put into it, and that only.
mod requirements;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cluster::{self, ClusterContext};
use crate::paths::Paths;
use crate::process::{append, run};
use crate::release::{self, ADMIN, EDGE, SYSTEM};
use crate::topology::Topology;
use crate::up::cluster_context;

pub use requirements::{Found, Node, missing};

/// The variable that names the kubeconfig.
pub const VARIABLE: &str = "LASTMILE_KUBECONFIG";

/// What the chart teaches the cluster.
const KINDS: [&str; 3] = ["bngs.lastmile.io", "accessrouters.lastmile.io", "subscriberpolicies.lastmile.io"];

/// The kubeconfig that the user selected, if any.
pub fn selected() -> Result<Option<PathBuf>> {
    let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else { return Ok(None) };
    let path = std::path::absolute(path)?;
    anyhow::ensure!(path.is_file(), "{VARIABLE}={}: there is no such file", path.display());
    Ok(Some(path))
}

/// Refuses a cluster that cannot carry the lab, with all that it lacks. Changes nothing.
pub fn check(paths: &Paths, topology: &Topology, kubeconfig: &Path) -> Result<()> {
    let context = cluster_context(paths, topology);
    // Asked by path: without discovery nothing is cached anywhere.
    let get = |path: &str| -> Result<Value> {
        let mut kubectl = context.kubectl_of(kubeconfig);
        Ok(serde_json::from_str(&run(kubectl.args(["--request-timeout=10s", "get", "--raw", path]))?)?)
    };
    let unanswered = || format!("{VARIABLE}={}: this cluster does not answer as it should", kubeconfig.display());
    let found = Found {
        nodes: get("/api/v1/nodes").with_context(unanswered)?,
        namespaces: get("/api/v1/namespaces").with_context(unanswered)?,
        kinds: get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions").with_context(unanswered)?,
    };
    let images = release::build_images(paths, &context)?.all();
    let mut lacks = missing(topology, &images, &found);
    for (bng, node) in requirements::nodes_of(topology, &found) {
        lacks.extend(off_the_wires(bng, &node));
    }
    if lacks.is_empty() {
        return Ok(());
    }
    bail!(
        "{VARIABLE}={}: this cluster cannot carry the lab; nothing was started\n  {}",
        kubeconfig.display(),
        lacks.join("\n  ")
    )
}

/// Why the wires cannot reach a node, if they cannot.
fn off_the_wires(bng: &str, node: &Node) -> Option<String> {
    let ip = |what: &[&str]| run(Command::new("ip").args(["-netns", bng, "-o"]).args(what)).ok();
    let attach = format!(
        "`ip netns attach {bng} PID`, PID being a process of {0} (kind: `docker inspect -f '{{{{.State.Pid}}}}' {0}`)",
        node.name
    );
    let Some(addresses) = ip(&["-4", "address", "show"]) else {
        return Some(format!("the lab does not know the network namespace of node {}: {attach}", node.name));
    };
    if !addresses.contains(&format!("inet {}/", node.address)) {
        return Some(format!("/run/netns/{bng} is not node {} ({}): {attach}", node.name, node.address));
    }
    let links = ip(&["link", "show"]).unwrap_or_default();
    let taken = ["mgmt0", "dhcp0", "uplink0", "access0"]
        .into_iter()
        .find(|link| links.lines().any(|line| line.split([' ', '@', ':']).any(|word| word == *link)))?;
    Some(format!("node {} has an interface {taken} already: that name is for the lab's wire", node.name))
}

/// Takes the selected kubeconfig, whole and pinned to its current context, as the lab's own: what the user changes in
/// the file later does not send the lab elsewhere.
pub fn adopt(context: &ClusterContext, kubeconfig: &Path) -> Result<()> {
    let view = ["config", "view", "--raw", "--flatten", "--minify"];
    let whole = run(context.kubectl_of(kubeconfig).args(view))?;
    crate::secrets::write_private(&context.kubeconfig(), &whole)?;
    cluster::write_programs(context)
}

/// Notes, before the first of it, that the lab puts something into the cluster.
pub fn note(paths: &Paths) -> Result<()> {
    fs::write(mark(paths), "").context("cannot write into lab/run")
}

fn mark(paths: &Paths) -> PathBuf {
    paths.run.join("existing-cluster")
}

/// Where [`leave`] says what it could not take out.
pub fn leftovers_log(paths: &Paths) -> PathBuf {
    paths.log("existing-cluster")
}

/// Takes out what the lab has put in; without a [`note`] that is nothing. First the BNGs, while the operator can still
/// drain them, then the release, its kinds, its namespaces. What fails is logged, and the rest is still tried.
pub fn leave(paths: &Paths, topology: &Topology) {
    if !mark(paths).is_file() {
        return;
    }
    let context = cluster_context(paths, topology);
    let delete = |what: &[&str]| {
        let mut kubectl = context.kubectl();
        kubectl.args(["delete", "--ignore-not-found", "--timeout=60s"]).args(what);
        kubectl
    };
    let mut uninstall = context.helm();
    uninstall.args(["uninstall", "lastmile", "--namespace", SYSTEM, "--ignore-not-found", "--wait", "--timeout=60s"]);
    let mut steps = vec![delete(&[&KINDS.join(","), "--all", "--namespace", EDGE]), uninstall];
    steps.extend(topology.bngs.iter().map(|bng| without_finalizer(&context, &bng.name)));
    // The chart keeps its kinds, as with them all objects would go; here they are the lab's.
    steps.push(delete(&[["crd"].as_slice(), &KINDS].concat()));
    steps.push(delete(&["clusterrolebinding", ADMIN]));
    steps.push(delete(&["namespace", EDGE, SYSTEM]));
    for error in steps.iter_mut().filter_map(|step| run(step).err()) {
        // A BNG that is gone, as it should be, has no finalizer either.
        let text = format!("{error:#}\n");
        if !text.contains("NotFound") && !text.contains("the server doesn't have a resource type") {
            let _ = append(&leftovers_log(paths)).and_then(|mut log| Ok(log.write_all(text.as_bytes())?));
        }
    }
    let _ = fs::remove_file(mark(paths));
}

/// Lets go of a BNG that the operator could not drain in time: nobody is left to do so.
fn without_finalizer(context: &ClusterContext, bng: &str) -> Command {
    let mut kubectl = context.kubectl();
    kubectl.args(["patch", "bng", bng, "--namespace", EDGE, "--type=merge"]);
    kubectl.args(["--patch", r#"{"metadata":{"finalizers":null}}"#]);
    kubectl
}
