//! Which node a gateway runs on. Pure.

use std::{collections::BTreeSet, net::Ipv4Addr};

use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;
use lastmile_crds::Placement;

use super::conditions::Finding;

/// It has to be elsewhere, and waits until it owes nothing.
pub const DRAIN_TO_MOVE: &str = "DrainToMove";

/// What counts of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// Its InternalIP.
    pub address: Option<Ipv4Addr>,
    /// Its kubelet says that it is well.
    pub ready: bool,
    /// Its pods' networks.
    pub pods: Vec<Ipv4Net>,
    /// Its labels.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// A choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The node, where there is one.
    pub node: Option<NodeFacts>,
    /// What is said of it: NodePrepared.
    pub finding: Finding,
}

impl NodeFacts {
    /// Reads them.
    pub fn of(node: &Node) -> Self {
        let status = node.status.as_ref();
        let addresses = status.and_then(|status| status.addresses.as_ref()).into_iter().flatten();
        let conditions = status.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
        let ranges = node.spec.as_ref().and_then(|spec| spec.pod_cidrs.as_ref()).into_iter().flatten();
        Self {
            name: node.name_any(),
            address: addresses.filter(|at| at.type_ == "InternalIP").find_map(|at| at.address.parse().ok()),
            ready: conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            pods: ranges.filter_map(|range| range.parse().ok()).collect(),
            labels: node.labels().clone(),
        }
    }

    fn fits(&self, placement: &Placement) -> bool {
        let named = placement.node_name.as_ref().is_none_or(|name| *name == self.name);
        let wanted = placement.node_selector.iter().flatten();
        named && wanted.into_iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

/// Chooses. `current` is kept as long as it fits; where it does not, the gateway moves only when it is `empty`.
pub fn place(
    placement: &Placement,
    nodes: &[NodeFacts],
    current: Option<&str>,
    empty: bool,
    taken: &BTreeSet<String>,
) -> Placed {
    let here = current.and_then(|name| nodes.iter().find(|node| node.name == name));
    match here {
        Some(node) if node.fits(placement) => return on(node),
        Some(node) if !empty => {
            let message = format!(
                "it runs on node {}, which spec.placement no longer allows: it moves when it holds no session and owes no record (set spec.drain)",
                node.name
            );
            return Placed { node: Some(node.clone()), finding: Finding::bad(DRAIN_TO_MOVE, message) };
        }
        _ => (),
    }
    let fitting = nodes.iter().filter(|node| node.fits(placement));
    // Free and healthy ones first, then by name.
    match fitting.min_by_key(|node| (taken.contains(&node.name), !node.ready, &node.name)) {
        Some(node) => on(node),
        None => Placed { node: None, finding: Finding::bad("UnknownNode", nobody(placement)) },
    }
}

fn on(node: &NodeFacts) -> Placed {
    let finding = match (node.address, node.ready) {
        (None, _) => Finding::bad("NodeWithoutAddress", format!("node {} has no IPv4 InternalIP", node.name)),
        (_, false) => {
            Finding::bad("NodeNotReady", format!("node {} is not Ready: see kubectl describe node", node.name))
        }
        _ => Finding::good("Placed", format!("on node {}", node.name)),
    };
    Placed { node: Some(node.clone()), finding }
}

fn nobody(placement: &Placement) -> String {
    let labels = placement.node_selector.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let labels: Vec<String> = labels.collect();
    match &placement.node_name {
        Some(name) => format!("there is no node {name}: see kubectl get nodes"),
        None => format!("no node has the labels {}: see kubectl get nodes --show-labels", labels.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, ready: bool) -> NodeFacts {
        let labels = [("lastmile.io/wired".to_owned(), "true".to_owned())].into();
        NodeFacts { name: name.into(), address: Some(Ipv4Addr::LOCALHOST), ready, pods: vec![], labels }
    }

    fn wired() -> Placement {
        Placement { node_name: None, node_selector: Some([("lastmile.io/wired".into(), "true".into())].into()) }
    }

    fn chosen(current: Option<&str>, empty: bool, placement: &Placement, nodes: &[NodeFacts]) -> Option<String> {
        place(placement, nodes, current, empty, &BTreeSet::from(["a".to_owned()])).node.map(|node| node.name)
    }

    #[test]
    fn a_free_and_healthy_node_is_chosen() {
        let nodes = [node("a", true), node("b", false), node("c", true)];
        assert_eq!(chosen(None, true, &wired(), &nodes).as_deref(), Some("c"));
    }

    #[test]
    fn it_stays_while_the_node_fits_even_when_it_is_not_ready() {
        let nodes = [node("b", false), node("c", true)];
        assert_eq!(chosen(Some("b"), true, &wired(), &nodes).as_deref(), Some("b"));
        let placed = place(&wired(), &nodes, Some("b"), true, &BTreeSet::new());
        assert_eq!(placed.finding.reason, "NodeNotReady");
    }

    #[test]
    fn it_moves_only_when_empty_or_when_the_node_is_gone() {
        let to_c = Placement { node_name: Some("c".into()), node_selector: None };
        let nodes = [node("b", true), node("c", true)];
        assert_eq!(chosen(Some("b"), false, &to_c, &nodes).as_deref(), Some("b"));
        assert_eq!(chosen(Some("b"), true, &to_c, &nodes).as_deref(), Some("c"));
        assert_eq!(chosen(Some("gone"), false, &to_c, &nodes).as_deref(), Some("c"));
    }

    #[test]
    fn an_unknown_node_is_said() {
        let placement = Placement { node_name: Some("nowhere".into()), node_selector: None };
        let placed = place(&placement, &[node("a", true)], None, true, &BTreeSet::new());
        assert_eq!((placed.node, placed.finding.reason.as_str()), (None, "UnknownNode"));
        assert_eq!(placed.finding.message, "there is no node nowhere: see kubectl get nodes");
    }
}
