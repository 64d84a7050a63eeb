//! The pod that is the gateway, and what stands around it.

use kube::ResourceExt;
use lastmile_crds::{Amounts, BNG, COA_PORT};
use serde_json::{Map, Value, json};

use super::{BNG_LABEL, config::config_secret_name, labels, metadata};
use crate::endpoint;

/// Lets a drain of the node take the gateway's pod, when it is "true" on the BNG.
const ALLOW_DISRUPTION: &str = "lastmile.io/allow-disruption";
/// Plain HTTP: `/metrics`, `/healthz`.
pub const METRICS_PORT: u16 = 9100;
/// Journals: all of them on a node, the gateway's own in its pod.
pub const STATE_DIR: &str = "/var/lib/lastmile";
const DHCP_PORT: u16 = 67;

/// The operator's settings for every gateway.
#[derive(Debug, Clone)]
pub struct Image {
    /// Full reference.
    pub reference: String,
    /// Always, IfNotPresent or Never.
    pub pull_policy: String,
    /// LASTMILE_LOG.
    pub log: String,
}

/// A StatefulSet of one: it never runs two pods, not even for a moment.
pub fn stateful_set(bng: &BNG, node: &str, image: &Image) -> Value {
    let name = bng.name_any();
    let pod = pod(node, container(bng, image), vec![config(bng), state(bng)]);
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": metadata(bng, &name),
        "spec": {
            "replicas": 1,
            "serviceName": name,
            "selector": { "matchLabels": selector(bng) },
            "template": { "metadata": { "labels": labels(bng) }, "spec": pod },
        },
    })
}

/// No eviction, unless the BNG says so: it would cut nobody off, but nobody new comes online meanwhile.
pub fn disruption_budget(bng: &BNG) -> Value {
    let allowed = bng.annotations().get(ALLOW_DISRUPTION).is_some_and(|value| value == "true");
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": metadata(bng, &bng.name_any()),
        "spec": { "maxUnavailable": i32::from(allowed), "selector": { "matchLabels": selector(bng) } },
    })
}

/// For scrapers, and for who changes and disconnects sessions.
pub fn service(bng: &BNG) -> Value {
    let mut ports = vec![json!({ "name": "metrics", "port": METRICS_PORT, "protocol": "TCP" })];
    ports.extend(bng.spec.coa.as_ref().map(|coa| json!({ "name": "coa", "port": coa.port, "protocol": "UDP" })));
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": metadata(bng, &bng.name_any()),
        "spec": {
            "clusterIP": "None",
            "selector": selector(bng),
            "publishNotReadyAddresses": true,
            "ports": ports,
        },
    })
}

fn selector(bng: &BNG) -> Value {
    json!({ "app.kubernetes.io/name": "lastmile-bng", BNG_LABEL: bng.name_any() })
}

/// A pod in the network of a node, which bears whatever becomes of the node.
pub fn pod(node: &str, container: Value, volumes: Vec<Value>) -> Value {
    let on_node = json!({ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [node] }] });
    json!({
        "hostNetwork": true,
        "dnsPolicy": "Default",
        "priorityClassName": "system-node-critical",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 30,
        "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } },
        // An affinity, not nodeName: a pod that is bound past the scheduler ends as Failed where its ports are taken.
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [on_node],
        } } },
        "tolerations": tolerations(),
        "containers": [container],
        "volumes": volumes,
    })
}

/// The folder of the gateway's journal on its node.
pub fn state(bng: &BNG) -> Value {
    let path = format!("{STATE_DIR}/{}/{}", bng.namespace().unwrap_or_default(), bng.name_any());
    json!({ "name": "state", "hostPath": { "path": path, "type": "DirectoryOrCreate" } })
}

fn config(bng: &BNG) -> Value {
    json!({ "name": "config", "secret": { "secretName": config_secret_name(bng), "defaultMode": 0o400 } })
}

fn container(bng: &BNG, image: &Image) -> Value {
    // Declared also where nobody may: so it can be switched on without a restart.
    let coa = bng.spec.coa.as_ref().map_or(COA_PORT.into(), |coa| coa.port);
    let port = |name: &str, port: i32, protocol: &str| json!({ "name": name, "containerPort": port, "hostPort": port, "protocol": protocol });
    let probe = |period: u32, failures: u32| {
        json!({
            "httpGet": { "path": "/healthz", "port": METRICS_PORT, "scheme": "HTTP" },
            "periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": 2,
        })
    };
    json!({
        "name": "bng",
        "image": image.reference,
        "imagePullPolicy": image.pull_policy,
        "args": ["run", "--config-dir", "/etc/lastmile", "--state-dir", STATE_DIR],
        "env": [{ "name": "LASTMILE_LOG", "value": image.log }],
        // Declared, so that the scheduler never puts two gateways on one node.
        "ports": [
            port("status", endpoint::PORT.into(), "TCP"),
            port("metrics", METRICS_PORT.into(), "TCP"),
            port("dhcp", DHCP_PORT.into(), "UDP"),
            port("coa", coa, "UDP"),
        ],
        "startupProbe": probe(1, 60),
        "readinessProbe": probe(3, 2),
        "livenessProbe": probe(5, 6),
        "resources": resources(bng),
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE"] },
        },
        "volumeMounts": [
            { "name": "config", "mountPath": "/etc/lastmile", "readOnly": true },
            { "name": "state", "mountPath": STATE_DIR },
        ],
    })
}

fn resources(bng: &BNG) -> Value {
    let amounts = |amounts: &Amounts| {
        let mut map = Map::new();
        map.extend(amounts.cpu.iter().map(|cpu| ("cpu".to_owned(), json!(cpu))));
        map.extend(amounts.memory.iter().map(|memory| ("memory".to_owned(), json!(memory))));
        map
    };
    let mut map = Map::new();
    for (name, amounts) in
        [("requests", amounts(&bng.spec.resources.requests)), ("limits", amounts(&bng.spec.resources.limits))]
    {
        if !amounts.is_empty() {
            map.insert(name.to_owned(), Value::Object(amounts));
        }
    }
    Value::Object(map)
}

/// A gateway stays where its wires are, whatever is said of the node.
fn tolerations() -> Value {
    let tolerate = |key: &str, effect: &str| json!({ "key": key, "operator": "Exists", "effect": effect });
    json!([
        tolerate("node.kubernetes.io/not-ready", "NoExecute"),
        tolerate("node.kubernetes.io/unreachable", "NoExecute"),
        tolerate("node.kubernetes.io/disk-pressure", "NoSchedule"),
        tolerate("node.kubernetes.io/memory-pressure", "NoSchedule"),
        tolerate("node.kubernetes.io/pid-pressure", "NoSchedule"),
        tolerate("node.kubernetes.io/unschedulable", "NoSchedule"),
        tolerate("node.kubernetes.io/network-unavailable", "NoSchedule"),
    ])
}
