//! What the rules in the schemas refuse, and the sentence that a person reads. The same rules run in the lab's API server.

use kube_cel::Validator;
use lastmile_crds::{BNG, SubscriberPolicy};
use serde_json::{Value, json};

fn bng() -> Value {
    let secret = json!({ "name": "radius", "key": "secret" });
    json!({
        "apiVersion": "lastmile.io/v1alpha1", "kind": "BNG", "metadata": { "name": "bng-01", "namespace": "edge" },
        "spec": {
            "placement": { "nodeSelector": { "lastmile.io/bng": "bng-01" } },
            "network": {
                "mode": "HostNetwork",
                "subscriber": { "interface": "access0" },
                "uplink": { "interface": "uplink0" },
                "dhcp": { "interface": "dhcp0" },
            },
            "accessMode": "Routed",
            "pools": [
                { "prefix": "100.64.1.0/24", "gateway": "100.64.1.1", "nextHop": "10.231.11.2" },
                { "prefix": "100.64.2.0/24", "gateway": "100.64.2.1", "nextHop": "10.231.11.3" },
            ],
            "dhcp": { "servers": ["10.231.1.2"] },
            "radius": {
                "servers": [{ "address": "10.231.0.2", "secretRef": secret }],
                "passwordSecretRef": secret,
            },
            "eventBus": { "secretRef": secret },
        },
    })
}

fn refusals<K: kube::CustomResourceExt>(object: &Value) -> Vec<String> {
    let schema = serde_json::to_value(&K::crd().spec.versions[0].schema).unwrap();
    match Validator::new().validate(&schema["openAPIV3Schema"], object, None) {
        Ok(()) => vec![],
        Err(errors) => errors.into_vec().into_iter().map(|error| error.message).collect(),
    }
}

/// The BNG with `value` at `pointer` (nothing there, where it is null) is refused with a sentence that has `words`.
fn refused(pointer: &str, value: Value, words: &str) {
    let mut object = bng();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Array(list), value) => list[field.parse::<usize>().unwrap()] = value,
        (Value::Object(map), Value::Null) => drop(map.remove(field)),
        (Value::Object(map), value) => drop(map.insert(field.to_owned(), value)),
        _ => panic!("{pointer} leads nowhere"),
    }
    let refusals = refusals::<BNG>(&object);
    assert!(refusals.iter().any(|sentence| sentence.contains(words)), "{pointer}: {refusals:?} does not say {words:?}");
}

#[test]
fn a_bng_that_can_work_is_accepted() {
    assert_eq!(refusals::<BNG>(&bng()), Vec::<String>::new());
    let mut bridged = bng();
    bridged["spec"]["accessMode"] = json!("Bridged");
    bridged["spec"]["pools"] = json!([{ "prefix": "100.64.1.0/24", "gateway": "100.64.1.1" }]);
    bridged["spec"]["network"]["dhcp"] = json!({ "interface": "uplink0" });
    assert_eq!(refusals::<BNG>(&bridged), Vec::<String>::new());
}

#[test]
fn a_bng_that_cannot_work_is_refused_with_a_sentence() {
    refused("/spec/pools/0/nextHop", Value::Null, "with accessMode Routed every pool needs nextHop");
    refused("/spec/accessMode", json!("Bridged"), "with accessMode Bridged a pool has no nextHop");
    refused("/spec/trust", json!({ "option82": true }), "trust.option82 belongs to accessMode Bridged");
    refused("/spec/pools/1/gateway", json!("100.64.3.1"), "the pool's gateway must lie within its prefix");
    refused("/spec/pools/1/prefix", json!("100.64.1.0/24"), "two pools have the same prefix");
    refused("/spec/pools/1/prefix", json!("100.64.2.7/24"), "must be an IPv4 network, like 100.64.1.0/24");
    refused("/spec/pools/1/prefix", json!("fd00::/64"), "must be an IPv4 network");
    refused("/spec/pools/1/gateway", json!("fd00::1"), "must be an IPv4 address");
    let mut bridged = bng();
    bridged["spec"]["accessMode"] = json!("Bridged");
    bridged["spec"]["trust"] = json!({ "mode": "ListedOnly" });
    assert!(refusals::<BNG>(&bridged).iter().any(|one| one.contains("ListedOnly needs accessMode Routed")));
    refused("/spec/dhcp/servers/0", json!("kea"), "must be an IPv4 address, like 10.0.0.1");
    refused("/spec/network/subscriber/interface", json!("uplink0"), "subscribers need an interface of their own");
    refused("/spec/network/subscriber/interface", json!("dhcp0"), "subscribers need an interface of their own");
    refused("/spec/network/dhcp/interface", Value::Null, "name the node's interface for each side");
    refused("/spec/network/mode", json!("Multus"), "name a NetworkAttachmentDefinition for each side");
    refused("/spec/placement/nodeName", json!("bng-01"), "give either nodeName or nodeSelector");
    refused("/spec/placement/nodeSelector", Value::Null, "give either nodeName or nodeSelector");
    refused("/metadata/name", json!("a".repeat(41)), "at most 40 characters");
}

#[test]
fn coa_clients_are_networks_each_once() {
    let coa = |clients: Value| {
        let mut object = bng();
        object["spec"]["coa"] = json!({ "clients": clients });
        refusals::<BNG>(&object)
    };
    let client = |cidr: &str| json!({ "cidr": cidr, "secretRef": { "name": "radius", "key": "secret" } });
    assert_eq!(coa(json!([client("10.231.0.2/32"), client("10.231.0.0/24")])), Vec::<String>::new());
    let twice = coa(json!([client("10.231.0.2/32"), client("10.231.0.2/32")]));
    assert_eq!(twice, ["two CoA clients have the same cidr"]);
    assert!(coa(json!([client("10.231.0.2")]))[0].contains("must be an IPv4 network"));
}

#[test]
fn a_burst_needs_a_rate() {
    let policy = |rates: Value| json!({ "metadata": { "name": "gold" }, "spec": { "rates": rates } });
    assert_eq!(
        refusals::<SubscriberPolicy>(&policy(json!({ "downKbps": 1000, "downBurstKbit": 512 }))),
        Vec::<String>::new()
    );
    assert_eq!(
        refusals::<SubscriberPolicy>(&policy(json!({ "downBurstKbit": 512 }))),
        ["downBurstKbit needs downKbps"]
    );
    assert_eq!(refusals::<SubscriberPolicy>(&policy(json!({ "upBurstKbit": 512 }))), ["upBurstKbit needs upKbps"]);
}

/// What the API server does before it checks the rules.
fn with_defaults(mut spec: Value) -> Value {
    let fill = |object: &mut Value, field: &str, value: Value| {
        if object[field].is_null() {
            object[field] = value;
        }
    };
    for (field, value) in [("access", json!("Full")), ("onReject", json!("Drop")), ("selector", json!({}))] {
        fill(&mut spec, field, value);
    }
    fill(&mut spec["selector"], "default", json!(false));
    if !spec["walledGarden"].is_null() {
        fill(&mut spec["walledGarden"], "destinations", json!([]));
    }
    json!({ "metadata": { "name": "unpaid" }, "spec": spec })
}

#[test]
fn a_walled_garden_is_there_where_it_is_needed() {
    let garden = json!({ "destinations": ["203.0.113.0/24"], "dnsServers": ["10.231.2.1"], "portal": { "address": "203.0.113.1" } });
    let refusals = |spec: Value| refusals::<SubscriberPolicy>(&with_defaults(spec));
    let accepted = [
        json!({}),
        json!({ "access": "WalledGarden", "walledGarden": garden }),
        json!({ "onReject": "WalledGarden", "walledGarden": garden, "selector": { "default": true } }),
        json!({ "onReject": "WalledGarden", "walledGarden": garden, "selector": { "remoteId": "line-*" } }),
        json!({ "walledGarden": { "portal": { "address": "203.0.113.1" } } }),
    ];
    for spec in accepted {
        assert_eq!(refusals(spec.clone()), Vec::<String>::new(), "{spec}");
    }
    let refused = [
        (json!({ "access": "WalledGarden" }), "say what confined subscribers reach"),
        (json!({ "onReject": "WalledGarden", "selector": { "default": true } }), "say what confined subscribers reach"),
        (
            json!({ "onReject": "WalledGarden", "walledGarden": garden }),
            "RADIUS names no Filter-Id for whom it rejects",
        ),
        (json!({ "walledGarden": { "dnsServers": ["10.231.2.1"] } }), "a DNS server alone leads nowhere"),
        (
            json!({ "walledGarden": { "destinations": ["203.0.113.1/24"] } }),
            "without bits set behind the prefix length",
        ),
        (json!({ "walledGarden": { "portal": { "address": "portal.example" } } }), "must be an IPv4 address"),
    ];
    for (spec, words) in refused {
        let said = refusals(spec.clone());
        assert!(said.iter().any(|sentence| sentence.contains(words)), "{spec}: {said:?}");
    }
}
