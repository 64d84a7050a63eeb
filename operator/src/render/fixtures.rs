//! A gateway as in the lab, for tests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lastmile_crds::{BNG, SecretKey, SubscriberPolicy};
use serde_json::json;

use crate::ca::{Authority, Material};

/// A moment.
pub const NOW: Timestamp = Timestamp::constant(1_790_000_000, 0);

/// The gateway `edge/bng-01`.
pub fn bng() -> BNG {
    let secret = |name: &str, key: &str| json!({ "name": name, "key": key });
    serde_json::from_value(json!({
        "apiVersion": "lastmile.io/v1alpha1", "kind": "BNG",
        "metadata": {
            "name": "bng-01", "namespace": "edge", "uid": "5b3c7b0e-8d0c-4e0a-9f5e-0d5b5b0f9a11", "generation": 3,
        },
        "spec": {
            "placement": { "nodeSelector": { "lastmile.io/bng": "bng-01" } },
            "network": {
                "subscriber": { "interface": "access0" },
                "uplink": { "interface": "uplink0" },
                "dhcp": { "interface": "dhcp0" },
            },
            "pools": [
                { "prefix": "100.64.1.0/24", "gateway": "100.64.1.1", "nextHop": "10.231.11.2" },
                { "prefix": "100.64.2.0/24", "gateway": "100.64.2.1", "nextHop": "10.231.11.3" },
            ],
            "dhcp": { "servers": ["10.231.1.2"] },
            "radius": {
                "servers": [{ "address": "10.231.0.2", "secretRef": secret("radius", "secret") }],
                "passwordSecretRef": secret("radius", "password"),
            },
            "eventBus": { "secretRef": secret("redis", "url") },
            "kea": { "url": "http://10.231.0.2:8000" },
            "shaping": { "maxSubscribers": 1000 },
            "coa": {
                "clients": [
                    { "cidr": "10.231.0.2/32", "secretRef": secret("radius", "secret") },
                    { "cidr": "10.231.0.64/26", "secretRef": secret("portal", "coa"), "requireMessageAuthenticator": true },
                ],
            },
            "resources": { "requests": { "cpu": "100m", "memory": "64Mi" }, "limits": { "memory": "512Mi" } },
        },
    }))
    .unwrap()
}

/// A policy of the same namespace.
pub fn policy(name: &str, spec: serde_json::Value) -> SubscriberPolicy {
    serde_json::from_value(json!({
        "apiVersion": "lastmile.io/v1alpha1", "kind": "SubscriberPolicy",
        "metadata": { "name": name, "namespace": "edge", "generation": 1 }, "spec": spec,
    }))
    .unwrap()
}

/// The Secrets' keys that the gateway refers to.
pub fn secrets() -> BTreeMap<SecretKey, Vec<u8>> {
    let key = |name: &str, key: &str| SecretKey { name: name.into(), key: key.into() };
    BTreeMap::from([
        (key("radius", "secret"), b"radius-shared-secret".to_vec()),
        (key("radius", "password"), b"subscriber-password".to_vec()),
        (key("portal", "coa"), b"portal-shared-secret".to_vec()),
        (key("redis", "url"), b"redis://:p@10.231.0.2:6379/0".to_vec()),
    ])
}

/// A certificate that nobody could use.
pub fn material() -> Material {
    Material { certificate: "CERTIFICATE".into(), key: "KEY".into(), not_after: NOW }
}

/// An authority of its own.
pub fn authority() -> Authority {
    Authority::generate(NOW).unwrap()
}
