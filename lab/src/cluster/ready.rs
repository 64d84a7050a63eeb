//! Waiting for the cluster, with bounds: each wait ends with a sentence that says what did not come.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use super::{Cluster, ClusterContext};
use crate::process::{Part, run, tail};

const API_LIMIT: Duration = Duration::from_secs(60);
const NODES_LIMIT: Duration = Duration::from_secs(90);
const SERVICE_ACCOUNT_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(150);

/// Waits until the API server says that it is ready. It is asked only once it listens: asking costs it time.
pub fn wait_for_api(context: &ClusterContext, api_server: &mut Part) -> Result<()> {
    let address = SocketAddr::from((context.api_address, context.api_port));
    let listens = || TcpStream::connect_timeout(&address, PAUSE).is_ok();
    let is_ready = || run(context.kubectl().args(["get", "--raw", "/readyz"])).is_ok();
    api_server.wait_until(API_LIMIT, || listens() && is_ready())
}

/// Waits until every node is Ready.
pub fn wait_for_nodes(cluster: &mut Cluster) -> Result<()> {
    let end = Instant::now() + NODES_LIMIT;
    loop {
        let missing = match run(cluster.context.kubectl().args(["get", "nodes", "-o", "json"])) {
            Ok(nodes) => not_ready(&nodes, cluster.context.node_names()),
            Err(_) => cluster.context.node_names().map(str::to_owned).collect(),
        };
        if missing.is_empty() {
            return Ok(());
        }
        fail_on_a_dead_part(cluster)?;
        if Instant::now() > end {
            let logs: Vec<_> =
                missing.iter().map(|node| cluster.context.logs.join(format!("kubelet-{node}.log"))).collect();
            let tails: Vec<_> = logs.iter().map(|log| tail(log, 15)).collect();
            bail!("not Ready within {} s: {}\n{}", NODES_LIMIT.as_secs(), missing.join(", "), tails.join("\n"));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Waits until pods can be made: the controller manager makes each namespace's account a moment after its start.
pub fn wait_for_service_account(context: &ClusterContext) -> Result<()> {
    let end = Instant::now() + SERVICE_ACCOUNT_LIMIT;
    while run(context.kubectl().args(["-n", "default", "get", "serviceaccount", "default"])).is_err() {
        if Instant::now() > end {
            let log = context.logs.join("kube-controller-manager.log");
            bail!("no default service account within {} s\n{}", SERVICE_ACCOUNT_LIMIT.as_secs(), tail(&log, 15));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn fail_on_a_dead_part(cluster: &mut Cluster) -> Result<()> {
    for part in cluster.parts() {
        if let Some(status) = part.exited() {
            bail!("{} ended with {status}\n{}", part.name, tail(&part.log, 15));
        }
    }
    Ok(())
}

/// Which of `wanted` are not Ready in a list of nodes, JSON.
fn not_ready<'a>(nodes: &str, wanted: impl Iterator<Item = &'a str>) -> Vec<String> {
    let nodes: Value = serde_json::from_str(nodes).unwrap_or_default();
    let items = nodes["items"].as_array().cloned().unwrap_or_default();
    let is_ready = |name: &str| {
        let node = items.iter().find(|node| node["metadata"]["name"] == name);
        let conditions = node.and_then(|node| node["status"]["conditions"].as_array());
        conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
    };
    wanted.filter(|name| !is_ready(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::not_ready;

    #[test]
    fn a_node_is_missing_until_its_ready_condition_is_true() {
        let nodes = r#"{"items": [
            {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            {"metadata": {"name": "b"}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}},
            {"metadata": {"name": "c"}}
        ]}"#;
        assert_eq!(not_ready(nodes, ["a", "b", "c", "d"].into_iter()), ["b", "c", "d"]);
        assert_eq!(not_ready("garbage", ["a"].into_iter()), ["a"]);
    }
}
