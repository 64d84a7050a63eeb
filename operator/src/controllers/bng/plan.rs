//! What a gateway's objects shall be. Pure: the world in, the desired objects and the findings out.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use ipnet::Ipv4Net;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::ResourceExt;
use lastmile_crds::{AccessRouter, BNG, SecretKey, SubscriberPolicy};

use super::{
    cleaning,
    conditions::Finding,
    placement::{NodeFacts, place},
};
use crate::{
    ca::{Authority, Material},
    controllers::accessrouter,
    render::{
        CONFIG_REVISION,
        config::{Ingredients, Rendered, render},
        policies,
        workload::{Image, disruption_budget, service, stateful_set},
    },
};

/// All that a plan depends on.
pub struct World<'a> {
    /// The gateway.
    pub bng: &'a BNG,
    /// Every node.
    pub nodes: &'a [NodeFacts],
    /// The nodes of other gateways.
    pub taken: &'a BTreeSet<String>,
    /// Its pod.
    pub pod: Option<&'a Pod>,
    /// By its own word it holds no session and owes nobody anything, or it has no pod.
    pub empty: bool,
    /// Jobs that take away what the gateway, or an earlier one of its name, left on nodes.
    pub jobs: &'a [Job],
    /// The policies of its namespace.
    pub policies: &'a [SubscriberPolicy],
    /// The access routers of its namespace.
    pub routers: &'a [AccessRouter],
    /// The Secrets' keys that it refers to, as far as they exist.
    pub secrets: &'a BTreeMap<SecretKey, Vec<u8>>,
    /// Its endpoint's certificate.
    pub material: &'a Material,
    /// Who signed it.
    pub authority: &'a Authority,
    /// Networks that no subscriber may reach.
    pub protected: &'a [Ipv4Net],
    /// The gateways' image.
    pub image: &'a Image,
}

/// What shall be, and what is found.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The node.
    pub node: Option<String>,
    /// The node's address.
    pub address: Option<Ipv4Addr>,
    /// NodePrepared.
    pub node_prepared: Finding,
    /// The configuration and the objects, where they can be made; else why not.
    pub objects: Result<Objects, Finding>,
    /// The node that it leaves.
    pub leaves: Option<String>,
    /// The Jobs for its node that have ended: while it is there, nothing is taken away from there.
    pub ended: Vec<cleaning::Ended>,
}

/// The desired objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Objects {
    /// The configuration.
    pub config: Rendered,
    /// The pod's StatefulSet.
    pub stateful_set: serde_json::Value,
    /// Its PodDisruptionBudget.
    pub disruption_budget: serde_json::Value,
    /// Its Service.
    pub service: serde_json::Value,
    /// The live pod shall be annotated with the configuration's revision, so that it sees it at once.
    pub nudge_pod: bool,
}

/// Makes the plan.
pub fn plan(world: &World<'_>) -> Plan {
    let bng = world.bng;
    let current = bng.status.as_ref().and_then(|status| status.node.as_deref());
    let placed = place(&bng.spec.placement, world.nodes, current, world.empty, world.taken);
    let (objects, ended) = match &placed.node {
        Some(node @ NodeFacts { address: Some(address), .. }) => match cleaning::ended(world.jobs, bng, &node.name) {
            Ok(ended) => (objects(world, &node.name, *address), ended),
            Err(still) => (Err(still), Vec::new()),
        },
        _ => (Err(Finding::unknown("NotPlaced", "the gateway has no node yet")), Vec::new()),
    };
    let moves = |from: &&NodeFacts| placed.node.as_ref().is_some_and(|node| node.name != from.name);
    let from = world.nodes.iter().find(|node| Some(&*node.name) == current).filter(moves);
    // It stays where it is until it can be made where it shall be.
    let node = if objects.is_ok() { placed.node.as_ref() } else { from.or(placed.node.as_ref()) };
    Plan {
        node: node.map(|node| node.name.clone()),
        address: node.and_then(|node| node.address),
        node_prepared: placed.finding,
        leaves: from.filter(|_| objects.is_ok()).map(|node| node.name.clone()),
        objects,
        ended,
    }
}

fn objects(world: &World<'_>, node: &str, address: Ipv4Addr) -> Result<Objects, Finding> {
    let nodes = world.nodes.iter();
    let of_nodes = nodes.flat_map(|node| node.pods.iter().copied().chain(node.address.map(Ipv4Net::from)));
    let config = render(&Ingredients {
        bng: world.bng,
        address,
        policies: policies::applied(world.policies),
        routers: declared(world.bng, world.routers),
        protected: world.protected.iter().copied().chain(of_nodes).collect(),
        secrets: world.secrets,
        material: world.material,
        authority: world.authority,
    })
    .map_err(|problem| Finding::bad(problem.reason, problem.message))?;
    let annotation = world.pod.and_then(|pod| pod.annotations().get(CONFIG_REVISION).cloned());
    let nudge_pod = world.pod.is_some() && annotation.as_ref() != Some(&config.revision);
    Ok(Objects {
        nudge_pod,
        config,
        stateful_set: stateful_set(world.bng, node, world.image),
        disruption_budget: disruption_budget(world.bng),
        service: service(world.bng),
    })
}

/// The names of the routers that somebody declared for this gateway, each once and in order.
fn declared(bng: &BNG, routers: &[AccessRouter]) -> Vec<String> {
    let ours = |router: &&AccessRouter| {
        let at = router.spec.bng_ref.as_ref().is_some_and(|reference| reference.name == bng.name_any());
        at && !accessrouter::is_discovered(router) && router.metadata.deletion_timestamp.is_none()
    };
    let names: BTreeSet<String> = routers.iter().filter(ours).map(accessrouter::circuit_name).collect();
    names.into_iter().collect()
}

/// Why the pod does not run, in its own words.
pub fn pod_problem(pod: &Pod) -> Option<Finding> {
    let status = pod.status.as_ref()?;
    let waiting = status.container_statuses.iter().flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        Some((waiting.reason.clone()?, waiting.message.clone().unwrap_or_default()))
    });
    let unscheduled = status.conditions.iter().flatten().find_map(|condition| {
        let bad = condition.type_ == "PodScheduled" && condition.status == "False";
        bad.then(|| (condition.reason.clone().unwrap_or_default(), condition.message.clone().unwrap_or_default()))
    });
    let (reason, message) = waiting.or(unscheduled)?;
    (reason != "ContainerCreating").then(|| Finding::bad(&reason, format!("pod {}: {message}", pod.name_any())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::{
        cleaning::clean_job_name,
        fixtures::{authority, bng, material, secrets},
    };

    fn nodes() -> Vec<NodeFacts> {
        let node = json!({
            "metadata": { "name": "bng-01", "labels": { "lastmile.io/bng": "bng-01" } },
            "spec": { "podCIDRs": ["10.244.1.0/24"] },
            "status": {
                "addresses": [{ "type": "InternalIP", "address": "10.231.0.11" }],
                "conditions": [{ "type": "Ready", "status": "True" }],
            },
        });
        vec![NodeFacts::of(&serde_json::from_value(node).unwrap())]
    }

    fn planned(bng: &BNG, nodes: &[NodeFacts], secrets: &BTreeMap<SecretKey, Vec<u8>>, jobs: &[Job]) -> Plan {
        plan(&World {
            bng,
            nodes,
            taken: &BTreeSet::new(),
            pod: None,
            empty: true,
            jobs,
            policies: &[],
            routers: &[],
            secrets,
            material: &material(),
            authority: &authority(),
            protected: &[],
            image: &Image { reference: "bng:1".into(), pull_policy: "Never".into(), log: "info".into() },
        })
    }

    #[test]
    fn a_gateway_with_all_it_needs_is_rendered_for_its_node() {
        let plan = planned(&bng(), &nodes(), &secrets(), &[]);
        assert_eq!((plan.node.as_deref(), plan.address), (Some("bng-01"), Some([10, 231, 0, 11].into())));
        assert_eq!(plan.node_prepared.status, Some(true));
        let objects = plan.objects.unwrap();
        assert!(!objects.nudge_pod, "there is no pod to be told");
        assert_eq!(objects.stateful_set["spec"]["replicas"], 1);
    }

    #[test]
    fn what_is_missing_is_said_and_nothing_is_made() {
        let plan = planned(&bng(), &[], &secrets(), &[]);
        assert_eq!(plan.node_prepared.reason, "UnknownNode");
        assert_eq!(plan.objects.unwrap_err().reason, "NotPlaced");
        let plan = planned(&bng(), &nodes(), &BTreeMap::new(), &[]);
        assert_eq!(plan.objects.unwrap_err().reason, "SecretMissing");
    }

    fn job(node: &str, condition: Option<&str>) -> Job {
        let conditions: Vec<_> =
            condition.iter().map(|kind| json!({ "type": kind, "status": "True", "message": "for a reason" })).collect();
        serde_json::from_value(json!({
            "metadata": { "name": clean_job_name("bng-01", node) }, "status": { "conditions": conditions },
        }))
        .unwrap()
    }

    #[test]
    fn a_gateway_starts_where_nothing_is_being_taken_away() {
        let run = |job| planned(&bng(), &nodes(), &secrets(), &[job]);
        for other in [run(job("elsewhere", None)), run(job("elsewhere", Some("Complete")))] {
            assert!(other.objects.is_ok() && other.ended.is_empty());
        }
        let waits = run(job("bng-01", None)).objects.unwrap_err();
        assert_eq!((waits.status, waits.reason.as_str()), (None, "CleaningUp"));
        let goes = run(job("bng-01", Some("Complete")));
        assert!(goes.objects.is_ok() && goes.ended[0].failed.is_none());
        let goes = run(job("bng-01", Some("Failed")));
        assert!(goes.objects.is_ok());
        assert_eq!(goes.ended[0].failed.as_deref(), Some("for a reason"));
    }

    #[test]
    fn a_node_that_it_leaves_is_cleaned_as_soon_as_it_can_be_elsewhere() {
        let mut bng = bng();
        bng.status = Some(serde_json::from_value(json!({ "node": "old" })).unwrap());
        let mut nodes = nodes();
        let moved = planned(&bng, &nodes, &secrets(), &[]);
        assert_eq!((moved.node.as_deref(), moved.leaves), (Some("bng-01"), None), "a node that is gone needs nothing");
        nodes.push(NodeFacts { name: "old".into(), labels: BTreeMap::new(), ..nodes[0].clone() });
        let moved = planned(&bng, &nodes, &secrets(), &[]);
        assert_eq!((moved.node.as_deref(), moved.leaves.as_deref()), (Some("bng-01"), Some("old")));
        let waits = planned(&bng, &nodes, &secrets(), &[job("bng-01", None)]);
        assert_eq!((waits.node.as_deref(), waits.leaves), (Some("old"), None));
        let stays = planned(&bng, &nodes, &BTreeMap::new(), &[]);
        assert_eq!((stays.node.as_deref(), stays.leaves), (Some("old"), None));
    }

    #[test]
    fn only_declared_routers_of_this_gateway_are_listed() {
        let router = |name: &str, bng: &str, prefix: Option<&str>, discovered: &str| -> AccessRouter {
            serde_json::from_value(json!({
                "apiVersion": "lastmile.io/v1alpha1", "kind": "AccessRouter",
                "metadata": { "name": name, "namespace": "edge", "labels": { "lastmile.io/discovered": discovered } },
                "spec": { "bngRef": { "name": bng }, "circuitIdPrefix": prefix },
            }))
            .unwrap()
        };
        let routers = [
            router("ar-02", "bng-01", Some("north"), "false"),
            router("ar-01", "bng-01", None, "false"),
            router("ar-03", "bng-02", None, "false"),
            router("bng-01-0000", "bng-01", Some("stranger"), "true"),
            AccessRouter::new("nobodys", Default::default()),
        ];
        assert_eq!(declared(&bng(), &routers), ["ar-01", "north"]);
    }

    #[test]
    fn only_a_pod_with_another_configuration_is_nudged() {
        let revised = |revision: &str| -> Pod {
            serde_json::from_value(
                json!({ "metadata": { "name": "bng-01-0", "annotations": { CONFIG_REVISION: revision } } }),
            )
            .unwrap()
        };
        let (bng, authority, material, secrets) = (bng(), authority(), material(), secrets());
        let run = |pod: &Pod| {
            plan(&World {
                bng: &bng,
                nodes: &nodes(),
                taken: &BTreeSet::new(),
                pod: Some(pod),
                empty: false,
                jobs: &[],
                policies: &[],
                routers: &[],
                secrets: &secrets,
                material: &material,
                authority: &authority,
                protected: &[],
                image: &Image { reference: "bng:1".into(), pull_policy: "Never".into(), log: "info".into() },
            })
            .objects
            .unwrap()
        };
        let first = run(&revised("old"));
        assert!(first.nudge_pod);
        assert!(!run(&revised(&first.config.revision)).nudge_pod);
    }
}
