//! Every rendered object as it is sent to the API server.

use ipnet::Ipv4Net;
use k8s_openapi::ByteString;
use lastmile_crds::SubscriberPolicy;
use serde_json::{Value, json};

use super::{
    cleaning::{clean_job, clean_job_name},
    config::{Ingredients, Rendered, config_secret_name, referenced, render},
    fixtures::{NOW, authority, bng, material, policy, secrets},
    policies::{Compiled, applied, compile, rate_text},
    workload::{Image, disruption_budget, service, stateful_set},
};

fn image() -> Image {
    Image { reference: "lastmile/bng:0123abcd".into(), pull_policy: "Never".into(), log: "info".into() }
}

fn gold() -> SubscriberPolicy {
    policy("gold", json!({ "rates": { "downKbps": 100_000, "upKbps": 50_000 }, "enforcement": "Shape" }))
}

/// With everything that a policy can say.
fn unpaid() -> SubscriberPolicy {
    let spec = json!({
        "selector": { "circuitId": "ar-0*", "remoteId": "line-08", "userName": "*/line-08/*", "priority": 10, "default": true },
        "rates": { "downKbps": 512, "upKbps": 512 },
        "access": "WalledGarden",
        "onReject": "WalledGarden",
        "walledGarden": {
            "destinations": ["203.0.113.0/24"],
            "dnsServers": ["10.231.2.1"],
            "portal": { "address": "203.0.113.1", "port": 8080 },
        },
    });
    policy("unpaid", spec)
}

fn rendered(bng: &lastmile_crds::BNG) -> Result<Rendered, super::config::Problem> {
    let routers = vec!["ar-01".to_owned(), "ar-02".to_owned()];
    let protected: Vec<Ipv4Net> = ["10.231.0.0/24", "10.96.0.0/16"].map(|net| net.parse().unwrap()).into();
    render(&Ingredients {
        bng,
        address: [10, 231, 0, 11].into(),
        policies: applied(&[gold(), unpaid()]),
        routers,
        protected,
        secrets: &secrets(),
        material: &material(),
        authority: &authority(),
    })
}

/// The Secret with its files as text and what differs in every run taken out.
fn readable(rendered: &Rendered) -> Value {
    let mut secret = rendered.secret.clone();
    for (name, value) in secret["data"].as_object_mut().unwrap() {
        let bytes: ByteString = serde_json::from_value(value.clone()).unwrap();
        let text = String::from_utf8(bytes.0).unwrap().replace(&rendered.revision, "REVISION");
        *value = match name.as_str() {
            "bng.json" => serde_json::from_str(&text).unwrap(),
            "ca.crt" => json!("AUTHORITY"),
            _ => json!(text),
        };
    }
    let annotations = secret["metadata"]["annotations"].as_object_mut().unwrap();
    annotations["lastmile.io/signed-by"] = json!("FINGERPRINT");
    annotations["lastmile.io/config-revision"] = json!("REVISION");
    secret
}

#[test]
fn the_configuration() {
    insta::assert_yaml_snapshot!(readable(&rendered(&bng()).unwrap()));
}

#[test]
fn what_is_believed_and_served() {
    let mut bng = bng();
    bng.spec.trust.mode = lastmile_crds::TrustMode::ListedOnly;
    bng.spec.sessions_per_circuit = 4;
    bng.spec.dhcp.shedding.per_second = 10_000;
    let config = &readable(&rendered(&bng).unwrap())["data"]["bng.json"];
    assert_eq!(config["trust"], json!({ "mode": "ListedOnly", "routers": ["ar-01", "ar-02"] }));
    assert_eq!(config["sessionsPerCircuit"], 4);
    assert_eq!(config["dhcp"]["shedding"]["perSecond"], 10_000);
    // Where every relay is believed the list says nothing, so declaring a router changes no configuration.
    assert_eq!(readable(&rendered(&super::fixtures::bng()).unwrap())["data"]["bng.json"]["trust"], Value::Null);
}

#[test]
fn dictionaries_and_the_table_of_rates_reach_the_gateway() {
    let mut bng = bng();
    let radius = &mut bng.spec.radius;
    radius.dictionary_secret_refs = vec![radius.password_secret_ref.clone()];
    radius.rate_attributes =
        serde_json::from_value(json!([{ "attribute": "Acme-Rate", "meaning": "DownloadKbps" }])).unwrap();
    radius.dead_time_seconds = 60;
    assert!(referenced(&bng).contains(&bng.spec.radius.password_secret_ref));
    let secret = readable(&rendered(&bng).unwrap());
    assert_eq!(secret["data"]["radius-dictionary-0"], "subscriber-password");
    let radius = &secret["data"]["bng.json"]["radius"];
    assert_eq!(radius["dictionaryFiles"], json!(["radius-dictionary-0"]));
    assert_eq!(radius["rateAttributes"], json!([{ "attribute": "Acme-Rate", "meaning": "DownloadKbps" }]));
    assert_eq!(radius["recovery"], json!({ "deadTimeSeconds": 60, "probeSeconds": 5 }));
}

#[test]
fn the_workload() {
    let bng = bng();
    insta::assert_yaml_snapshot!("stateful_set", stateful_set(&bng, "bng-01", &image()));
    insta::assert_yaml_snapshot!("disruption_budget", disruption_budget(&bng));
    insta::assert_yaml_snapshot!("service", service(&bng));
    insta::assert_yaml_snapshot!("clean_job", clean_job(&bng, "bng-01", &image()));
}

#[test]
fn the_longest_names_make_a_name_for_a_job() {
    let node = |letter: &str| format!("{}.example", letter.repeat(200));
    let name = clean_job_name(&"b".repeat(40), &node("n"));
    assert!(name.len() <= 63, "{name}");
    assert_ne!(name, clean_job_name(&"b".repeat(40), &node("m")));
}

#[test]
fn without_coa_nothing_listens_and_switching_it_on_restarts_nothing() {
    let mut without = bng();
    without.spec.coa = None;
    let secret = readable(&rendered(&without).unwrap());
    assert_eq!(secret["data"]["bng.json"].get("coa"), None);
    assert_eq!(service(&without)["spec"]["ports"].as_array().unwrap().len(), 1);
    assert_eq!(stateful_set(&without, "bng-01", &image()), stateful_set(&bng(), "bng-01", &image()));
    let mut moved = bng();
    moved.spec.coa.as_mut().unwrap().port = 1700;
    let ports = &stateful_set(&moved, "bng-01", &image())["spec"]["template"]["spec"]["containers"][0]["ports"];
    assert_eq!(ports[3]["hostPort"], 1700, "{ports}");
}

#[test]
fn the_configurations_revision_follows_every_byte() {
    let (authority, material) = (authority(), material());
    let revision = |secrets: &_, bng: &lastmile_crds::BNG| {
        let ingredients = Ingredients {
            bng,
            address: [10, 231, 0, 11].into(),
            policies: vec![],
            routers: vec![],
            protected: vec![],
            secrets,
            material: &material,
            authority: &authority,
        };
        render(&ingredients).unwrap().revision
    };
    let (bng, mut secrets) = (bng(), secrets());
    let before = revision(&secrets, &bng);
    assert_eq!(before, revision(&secrets, &bng));
    secrets.values_mut().next().unwrap().push(b'!');
    assert_ne!(before, revision(&secrets, &bng));
}

#[test]
fn a_missing_secret_is_named() {
    let mut bng = bng();
    bng.spec.event_bus.secret_ref.name = "elsewhere".into();
    let problem = rendered(&bng).unwrap_err();
    assert_eq!(problem.reason, "SecretMissing");
    assert_eq!(problem.message, r#"there is no key "url" in a Secret "elsewhere" in namespace edge: create it"#);
    assert_eq!(referenced(&bng).len(), 4);
    assert_eq!(config_secret_name(&bng), "bng-01-config");
}

#[test]
fn multus_is_refused_for_now() {
    let mut bng = bng();
    bng.spec.network.mode = lastmile_crds::NetworkMode::Multus;
    assert_eq!(rendered(&bng).unwrap_err().reason, "MultusNotSupported");
}

#[test]
fn the_budget_lets_go_when_told() {
    let mut bng = bng();
    assert_eq!(disruption_budget(&bng)["spec"]["maxUnavailable"], 0);
    bng.metadata.annotations = Some([("lastmile.io/allow-disruption".into(), "true".into())].into());
    assert_eq!(disruption_budget(&bng)["spec"]["maxUnavailable"], 1);
}

#[test]
fn of_two_policies_with_one_filter_id_the_first_counts() {
    let default = json!({ "selector": { "default": true } });
    let all = [
        policy("silver", default.clone()),
        policy("bronze", json!({ "selector": { "filterId": "silver", "default": true } })),
        policy("copper", default),
    ];
    let compiled = compile(&all);
    assert_eq!(compiled.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["bronze", "copper", "silver"]);
    assert_eq!(compiled[2].1, Compiled::SameFilterId("bronze".into()));
    let defaults: Vec<_> = applied(&all).into_iter().map(|policy| (policy.name, policy.default)).collect();
    assert_eq!(defaults, [("bronze".to_owned(), true), ("copper".to_owned(), false)]);
    let mut going = policy("gold", json!({}));
    going.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(NOW));
    assert_eq!(applied(&[going]), []);
}

#[test]
fn the_higher_priority_comes_first_and_then_the_name() {
    let named =
        |name: &str, priority: i32| policy(name, json!({ "selector": { "priority": priority, "default": true } }));
    let all = [named("a", 0), named("c", 7), named("b", 7), named("d", 9)];
    let order: Vec<_> = applied(&all).into_iter().map(|policy| (policy.name, policy.default)).collect();
    let expected = [("d", true), ("b", false), ("c", false), ("a", false)];
    assert_eq!(order, expected.map(|(name, default)| (name.to_owned(), default)));
}

/// The API server refuses such text; an object of before its rules stops nobody else.
#[test]
fn a_policy_without_meaning_is_left_out_and_says_why() {
    let garden = |garden: Value| policy("odd", json!({ "walledGarden": garden }));
    for (spec, words) in [
        (json!({ "destinations": ["everything"] }), "\"everything\" is no IPv4 network"),
        (json!({ "dnsServers": ["dns"] }), "\"dns\" is no IPv4 address"),
        (json!({ "portal": { "address": "10.0.0.1", "port": 0x10000 } }), "65536 is no TCP port"),
    ] {
        let compiled = compile(&[garden(spec), gold()]);
        assert_eq!(compiled[1].1, Compiled::Invalid(words.to_owned()));
        assert_eq!(applied(&[garden(json!({ "dnsServers": ["dns"] })), gold()]).len(), 1);
    }
}

#[test]
fn rates_are_for_people() {
    let texts = [None, Some(64), Some(50_000), Some(2_000_000)].map(rate_text);
    assert_eq!(texts, ["unlimited", "64 kbit/s", "50 Mbit/s", "2 Gbit/s"]);
}
