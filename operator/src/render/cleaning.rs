//! The Job that takes away what a gateway left on a node.

use kube::ResourceExt;
use lastmile_crds::BNG;
use serde_json::{Value, json};

use super::{
    labels,
    workload::{Image, STATE_DIR, pod, state},
};

/// Seconds for which the Job waits for the gateway's pod to end, each time it is tried.
const WAIT: u32 = 60;
/// Seconds until it is given up: by then a node that was away has been restarted.
const PATIENCE: u32 = 86_400;
/// Seconds for which it is kept for people to look at.
const KEPT: u32 = 600;

/// One name for each gateway and node.
pub fn clean_job_name(bng: &str, node: &str) -> String {
    // FNV-1a, 32 bits: a node's name may be too long.
    let hash = node.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{bng}-clean-{hash:08x}")
}

/// The Job. It has no owner: it goes on when the BNG is gone.
pub fn clean_job(bng: &BNG, node: &str, image: &Image) -> Value {
    let (namespace, name) = (bng.namespace().unwrap_or_default(), bng.name_any());
    let container = json!({
        "name": "clean",
        "image": image.reference,
        "imagePullPolicy": image.pull_policy,
        "args": [
            "clean", "--bng-id", format!("{namespace}/{name}"), "--state-dir", STATE_DIR, "--wait", WAIT.to_string(),
        ],
        "env": [{ "name": "LASTMILE_LOG", "value": image.log }],
        "resources": { "requests": { "cpu": "10m", "memory": "16Mi" } },
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"], "add": ["NET_ADMIN"] },
        },
        "volumeMounts": [{ "name": "state", "mountPath": STATE_DIR }],
    });
    let mut pod = pod(node, container, vec![state(bng)]);
    pod["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": clean_job_name(&name, node), "namespace": namespace, "labels": labels(bng) },
        "spec": {
            "backoffLimit": 6,
            "activeDeadlineSeconds": PATIENCE,
            "ttlSecondsAfterFinished": KEPT,
            // Not the gateway's labels: this pod is neither its StatefulSet's nor its Service's.
            "template": { "metadata": { "labels": { "app.kubernetes.io/name": "lastmile-bng-clean" } }, "spec": pod },
        },
    })
}
