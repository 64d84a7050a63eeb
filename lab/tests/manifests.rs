//! The manifests of each topology say what its `topology.toml` says.

use std::path::{Path, PathBuf};

use lastmile_lab::topology::Topology;
use serde_json::Value;

fn folders() -> [PathBuf; 2] {
    ["", "bridged"].map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
}

fn objects(folder: &Path, file: &str) -> Vec<Value> {
    use serde::Deserialize;
    let text = std::fs::read_to_string(folder.join("manifests").join(file)).expect("a manifest");
    serde_yaml_ng::Deserializer::from_str(&text).map(|document| Value::deserialize(document).expect("YAML")).collect()
}

#[test]
fn a_bng_per_node_with_the_pools_of_its_routers() {
    for folder in folders() {
        let topology = Topology::load(&folder).expect("valid");
        for bng in &topology.bngs {
            let object = objects(&folder, &format!("{}.yaml", bng.name)).remove(0);
            let spec = &object["spec"];
            assert_eq!(object["metadata"]["name"], bng.name);
            assert_eq!(spec["placement"]["nodeSelector"]["lastmile.io/bng"], bng.name);
            assert_eq!(spec["accessMode"], format!("{:?}", bng.access_mode()));
            assert_eq!(spec["dhcp"]["servers"][0], topology.services.dhcp.addr().to_string());
            assert_eq!(spec["radius"]["servers"][0]["address"], topology.services.management.addr().to_string());
            let pools = spec["pools"].as_array().expect("pools");
            let routers: Vec<_> = topology.routers_of(&bng.name).collect();
            assert_eq!(pools.len(), routers.len());
            for (pool, router) in pools.iter().zip(routers) {
                assert_eq!(pool["prefix"], router.lan.trunc().to_string());
                assert_eq!(pool["gateway"], router.lan.addr().to_string());
                let next_hop = router.uplink.map(|uplink| uplink.addr().to_string());
                assert_eq!(pool["nextHop"].as_str(), next_hop.as_deref());
            }
        }
    }
}

#[test]
fn a_policy_for_each_filter_id() {
    for folder in folders() {
        let topology = Topology::load(&folder).expect("valid");
        let policies = objects(&folder, "policies.yaml");
        for wanted in topology.subscribers.iter().filter_map(|subscriber| subscriber.policy.as_deref()) {
            assert!(policies.iter().any(|policy| policy["metadata"]["name"] == wanted), "no policy {wanted}");
        }
    }
}
