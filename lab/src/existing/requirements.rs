//! What an existing cluster must be like, as a pure function of what it answered.
use serde_json::Value;

use crate::images::Image;
use crate::release::{EDGE, SYSTEM};
use crate::topology::Topology;

/// The label of every node on the wires.
const WIRED: &str = "lastmile.io/wired";
/// The label that names a node's BNG.
const BNG: &str = "lastmile.io/bng";
/// A kubelet tells of this many images at most.
const IMAGES_TOLD: usize = 50;

/// What the cluster answered: three lists.
#[derive(Debug)]
pub struct Found {
    /// Its nodes.
    pub nodes: Value,
    /// Its namespaces.
    pub namespaces: Value,
    /// Its CustomResourceDefinitions.
    pub kinds: Value,
}

/// A node that is labelled for a BNG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its InternalIP.
    pub address: String,
}

/// Everything that the cluster lacks, a sentence each, with the command that helps.
pub fn missing(topology: &Topology, images: &[Image], found: &Found) -> Vec<String> {
    let mut lacks = taken(found);
    for bng in &topology.bngs {
        match labelled(&found.nodes, &bng.name).as_slice() {
            [] => lacks.push(format!(
                "no node is labelled for {0}: `kubectl label node NODE {WIRED}=true {BNG}={0}`",
                bng.name
            )),
            [node] => {
                if !is_ready(node) {
                    lacks.push(format!("node {}, labelled for {}, is not Ready", name(node), bng.name));
                }
                lacks.extend(images.iter().filter(|image| !has(node, image)).map(|image| {
                    format!("node {} lacks {}: import {}", name(node), image.reference, image.archive.display())
                }));
            }
            [first, second, ..] => lacks.push(format!(
                "nodes {} and {} are both labelled for {}: `kubectl label node NODE {BNG}-` on all but one",
                name(first),
                name(second),
                bng.name
            )),
        }
    }
    lacks.extend(items(&found.nodes).filter(|node| takes_pods(node) && !is_wired(node)).map(|node| {
        format!(
            "node {0} takes pods, which could not reach the lab's services from there: `kubectl cordon {0}`",
            name(node)
        )
    }));
    if lacks.iter().any(|lack| lack.contains(": import ")) {
        lacks.push(
            "(import: `kind load image-archive FILE`, or on the node `ctr -n k8s.io images import FILE`; a kubelet tells of \
             new images within a minute)"
                .to_owned(),
        );
    }
    lacks
}

/// The node of each BNG that has just one.
pub fn nodes_of<'a>(topology: &'a Topology, found: &Found) -> Vec<(&'a str, Node)> {
    let one = |bng: &str| match labelled(&found.nodes, bng).as_slice() {
        [node] => Some(Node { name: name(node).to_owned(), address: address(node).to_owned() }),
        _ => None,
    };
    topology.bngs.iter().filter_map(|bng| Some((bng.name.as_str(), one(&bng.name)?))).collect()
}

/// What stands where the lab would install, and would be deleted with it.
fn taken(found: &Found) -> Vec<String> {
    let namespaces = items(&found.namespaces).filter(|one| [EDGE, SYSTEM].contains(&name(one))).map(|one| {
        format!(
            "namespace {0} exists already and is not this lab's: `kubectl delete namespace {0}` if nobody needs it",
            name(one)
        )
    });
    let kinds = items(&found.kinds).filter(|kind| kind["spec"]["group"] == "lastmile.io").map(|kind| {
        format!(
            "Lastmile is installed already: `helm uninstall` it, then `kubectl delete crd {}` if nobody needs it",
            name(kind)
        )
    });
    namespaces.chain(kinds).collect()
}

fn labelled<'a>(nodes: &'a Value, bng: &str) -> Vec<&'a Value> {
    items(nodes).filter(|node| is_wired(node) && node["metadata"]["labels"][BNG] == bng).collect()
}

fn is_wired(node: &Value) -> bool {
    node["metadata"]["labels"][WIRED] == "true"
}

fn is_ready(node: &Value) -> bool {
    let mut conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn takes_pods(node: &Value) -> bool {
    let mut taints = node["spec"]["taints"].as_array().into_iter().flatten();
    node["spec"]["unschedulable"] != true && !taints.any(|taint| taint["effect"] != "PreferNoSchedule")
}

/// Whether a node has an image; where the kubelet told as many as it tells, there is no saying.
fn has(node: &Value, image: &Image) -> bool {
    let told = node["status"]["images"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted = format!("docker.io/{}", image.reference);
    let mut names = told.iter().flat_map(|one| one["names"].as_array().into_iter().flatten());
    told.len() >= IMAGES_TOLD || names.any(|name| name == wanted.as_str() || name == image.reference.as_str())
}

fn address(node: &Value) -> &str {
    let mut addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    let internal = addresses.find(|one| one["type"] == "InternalIP");
    internal.and_then(|one| one["address"].as_str()).unwrap_or_default()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, labels: Value, ready: &str, images: &[&str]) -> Value {
        json!({
            "metadata": { "name": name, "labels": labels },
            "status": {
                "addresses": [{ "type": "InternalIP", "address": "172.18.0.3" }],
                "conditions": [{ "type": "Ready", "status": ready }],
                "images": [{ "names": images }],
            },
        })
    }

    fn of(nodes: &[Value]) -> Found {
        Found { nodes: json!({ "items": nodes }), namespaces: json!({ "items": [] }), kinds: json!({ "items": [] }) }
    }

    fn lacks(found: &Found) -> String {
        let topology = Topology::parse(include_str!("../../topology.toml")).expect("valid");
        let image = Image { reference: "lastmile/bng:0123".into(), archive: "/clone/lastmile-bng.tar".into() };
        missing(&topology, &[image], found).join("\n")
    }

    fn labels(bng: &str) -> Value {
        json!({ WIRED: "true", BNG: bng })
    }

    #[test]
    fn a_cluster_that_has_everything_lacks_nothing() {
        let mut control_plane = node("control-plane", json!({}), "True", &[]);
        control_plane["spec"]["taints"] = json!([{ "effect": "NoSchedule" }]);
        let images = ["docker.io/lastmile/bng:0123"];
        let found = of(&[
            control_plane,
            node("one", labels("bng-01"), "True", &images),
            node("two", labels("bng-02"), "True", &images),
        ]);
        assert_eq!(lacks(&found), "");
    }

    #[test]
    fn everything_that_lacks_is_said_at_once_with_what_helps() {
        let mut found = of(&[
            node("other", json!({}), "True", &[]),
            node("two", labels("bng-02"), "False", &["docker.io/lastmile/bng:4567"]),
        ]);
        found.namespaces =
            json!({ "items": [{ "metadata": { "name": "edge" } }, { "metadata": { "name": "default" } }] });
        insta::assert_snapshot!(lacks(&found));
    }
}
