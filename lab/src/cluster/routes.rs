//! Routes between the nodes' pod ranges, and to them for whoever else talks to pods.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::Result;
use ipnet::Ipv4Net;

use super::ClusterContext;
use crate::process::run;

/// One route: in a network namespace (none: the caller's), to a range, by a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Route<'a> {
    netns: Option<&'a str>,
    to: Ipv4Net,
    via: Ipv4Addr,
}

/// Adds every route; one that is there already is replaced.
pub fn add(context: &ClusterContext) -> Result<()> {
    for route in plan(context) {
        let mut command = Command::new("ip");
        if let Some(netns) = route.netns {
            command.args(["-n", netns]);
        }
        run(command.args(["route", "replace", &route.to.to_string(), "via", &route.via.to_string()]))?;
    }
    Ok(())
}

fn plan(context: &ClusterContext) -> Vec<Route<'_>> {
    let between = context.nodes.iter().flat_map(|from| {
        let others = context.nodes.iter().filter(|to| to.name != from.name);
        others.map(|to| Route { netns: Some(&from.netns), to: to.pod_cidr, via: to.address })
    });
    let from_clients = context.pod_clients.iter().flat_map(|client| {
        context.nodes.iter().map(|to| Route { netns: client.as_deref(), to: to.pod_cidr, via: to.address })
    });
    between.chain(from_clients).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::context;
    use super::*;

    #[test]
    fn every_node_and_every_client_reaches_every_other_nodes_pods() {
        let context = context();
        let shown: Vec<_> = plan(&context)
            .iter()
            .map(|route| format!("{} {} via {}", route.netns.unwrap_or("-"), route.to, route.via))
            .collect();
        let expected = [
            "node-1 10.1.2.0/24 via 10.0.0.12",
            "node-2 10.1.1.0/24 via 10.0.0.11",
            "- 10.1.1.0/24 via 10.0.0.11",
            "- 10.1.2.0/24 via 10.0.0.12",
            "services 10.1.1.0/24 via 10.0.0.11",
            "services 10.1.2.0/24 via 10.0.0.12",
        ];
        assert_eq!(shown, expected);
    }
}
