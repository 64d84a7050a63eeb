//! Desired objects, built without I/O.

pub mod cleaning;
pub mod config;
pub mod policies;
pub mod workload;

#[cfg(test)]
pub mod fixtures;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kube::{Resource, ResourceExt};
use lastmile_crds::BNG;
use serde_json::{Value, json};

/// Whose gateway an object belongs to.
pub const BNG_LABEL: &str = "lastmile.io/bng";
/// On a pod: the configuration that it shall have. Changing it makes the kubelet refresh the volume at once.
pub const CONFIG_REVISION: &str = "lastmile.io/config-revision";

/// The labels of everything that is made for a gateway.
pub fn labels(bng: &BNG) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "lastmile-bng".to_owned()),
        ("app.kubernetes.io/managed-by".to_owned(), "lastmile-operator".to_owned()),
        (BNG_LABEL.to_owned(), bng.name_any()),
    ])
}

/// Deleting the gateway deletes the object, but never waits for it.
pub fn owner(bng: &BNG) -> Value {
    json!({
        "apiVersion": BNG::api_version(&()), "kind": BNG::kind(&()), "name": bng.name_any(),
        "uid": bng.uid().unwrap_or_default(), "controller": true, "blockOwnerDeletion": false,
    })
}

fn metadata(bng: &BNG, name: &str) -> Value {
    json!({ "name": name, "namespace": bng.namespace(), "labels": labels(bng), "ownerReferences": [owner(bng)] })
}
