use super::*;
use crate::secrets::Secrets;
use crate::topology::Topology;

fn spec() -> ServicesSpec {
    let topology = Topology::parse(include_str!("../../topology.toml")).expect("valid");
    let secrets = Secrets {
        postgres: "pw-postgres".into(),
        lastmile: "pw-lastmile".into(),
        kea: "pw-kea".into(),
        radius_db: "pw-radius".into(),
        redis: "pw-redis".into(),
        radius: "shared".into(),
        subscriber: "pw-subscriber".into(),
    };
    ServicesSpec::for_lab(&topology, "/data".into(), "/logs".into(), secrets)
}

#[test]
fn kea_is_rendered_from_the_topology() {
    let config = kea::dhcp4_config(&spec());
    let subnets = config["Dhcp4"]["subnet4"].as_array().expect("subnets");
    assert_eq!(subnets.len(), 4);
    assert_eq!(subnets[2]["subnet"], "100.64.3.0/24");
    assert_eq!(subnets[2]["relay"]["ip-addresses"][0], "100.64.3.1");
    assert_eq!(config["Dhcp4"]["store-extended-info"], true);
    assert_eq!(config["Dhcp4"]["lease-database"]["on-fail"], "serve-retry-continue");
}

#[test]
fn every_subscriber_with_a_policy_is_a_radius_user() {
    let sql = radius::users(&spec());
    assert_eq!(sql.matches("INSERT INTO radcheck").count(), 7);
    assert!(sql.contains("'bng-02/line-07/ar-04|1%2F1', 'Filter-Id', ':=', 'gold'"));
    assert!(!sql.contains("line-08"));
}

#[test]
fn nobody_logs_in_without_a_password() {
    let spec = spec();
    assert!(postgres::hba(&spec).lines().all(|line| line.ends_with("scram-sha-256")));
    assert!(redis::config(&spec).contains("requirepass pw-redis\n"));
    assert!(redis::config(&spec).contains("appendonly yes\n"));
}

#[test]
fn radius_signs_accepts_and_rejects() {
    let config = radius::config(&spec());
    assert_eq!(config.matches("Message-Authenticator := 0x00").count(), 2);
    assert!(config.contains("reject_delay = 0"));
}
