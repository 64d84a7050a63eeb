//! The wires: network namespaces, bridges, veth pairs, addresses and routes of the topology.
//!
//! [`plan::plan`] says what `ip` is to be told, [`build`] tells it. Every segment is a bridge in the namespace
//! `switch`; this machine itself has one veth leg in the management network and nothing else, so that all of it goes
//! when the namespaces go.
mod plan;

use std::process::Command;

use anyhow::{Context, Result};

use crate::isolation;
use crate::process::{run, run_with_input};
use crate::topology::Topology;

pub use plan::{NetworkPlan, Nodes, SWITCH, plan};

/// Builds all wires. Expects the lab's own mount namespace: `/run/netns` becomes a private one, which holds the nodes
/// of an existing cluster too.
pub fn build(topology: &Topology, nodes: Nodes) -> Result<()> {
    let plan = plan(topology, nodes);
    refuse_overlap(topology)?;
    let found = topology.bngs.iter().filter(|_| nodes == Nodes::Found).map(|bng| bng.name.as_str());
    let found: Vec<_> = found.map(isolation::open_netns).collect::<Result<_>>()?;
    isolation::mount_tmpfs("/run/netns")?;
    found.iter().try_for_each(isolation::OpenNetns::show)?;
    let names: String = plan.namespaces.iter().map(|(name, _)| format!("netns add {name}\n")).collect();
    ip(None, &names)?;
    for (name, sysctls) in &plan.namespaces {
        let script: String =
            sysctls.iter().map(|(key, value)| format!("echo {value} > /proc/sys/net/ipv4/{key}\n")).collect();
        // IPv6 is not served yet: without it no node chats on the subscribers' wires.
        let script = format!("{script}echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null || true\n");
        in_namespace(name, &script).with_context(|| format!("kernel settings of {name}"))?;
    }
    for (namespace, batch) in &plan.batches {
        ip(namespace.as_deref(), batch)
            .with_context(|| format!("links of {}", namespace.as_deref().unwrap_or("this machine")))?;
    }
    std::thread::scope(|scope| {
        let all: Vec<_> = plan
            .offloads
            .iter()
            .map(|(namespace, links)| {
                let script: String =
                    links.iter().map(|link| format!("ethtool -K {link} tx off tso off gso off gro off\n")).collect();
                scope
                    .spawn(move || in_namespace(namespace, &script).with_context(|| format!("offloads of {namespace}")))
            })
            .collect();
        all.into_iter().try_for_each(|done| done.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread ended"))))
    })
}

/// Takes away this machine's leg. The rest ends with the namespaces.
pub fn remove(topology: &Topology) {
    let _ = Command::new("ip").args(["link", "delete", &topology.management.host_interface]).output();
}

/// Feeds lines to `ip -batch`, in a namespace or this machine's own.
pub(crate) fn ip(namespace: Option<&str>, batch: &str) -> Result<()> {
    let mut command = Command::new("ip");
    if let Some(name) = namespace {
        command.args(["-n", name]);
    }
    run_with_input(command.args(["-batch", "-"]), batch).map(drop)
}

/// Runs shell lines in a namespace; the first that fails ends them.
pub(crate) fn in_namespace(name: &str, script: &str) -> Result<()> {
    run_with_input(Command::new("nsenter").arg(format!("--net=/run/netns/{name}")).args(["sh", "-e"]), script).map(drop)
}

/// Refuses a machine that uses the management network already, before anything is changed.
fn refuse_overlap(topology: &Topology) -> Result<()> {
    let ours = topology.management.host.trunc();
    let routes = run(Command::new("ip").args(["-4", "-o", "route", "show"]))?;
    let taken = plan::overlapping(&routes, ours, &topology.management.host_interface);
    if let Some(route) = taken {
        anyhow::bail!("this machine uses {ours} already ({route}): change [management] in lab/topology.toml");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
