//! A node of a gateway: a network namespace that goes with the test. Needs root.

use std::{process::Command, thread};

use lastmile_types::config::BngConfig;
use nix::sched::{CloneFlags, unshare};
use serde_json::json;

/// The configuration of the gateway `edge/test` there, with so many classes.
pub fn config(classes: u32) -> BngConfig {
    serde_json::from_value(json!({
        "configRevision": "1", "bngId": "edge/test", "nasIdentifier": "test", "nasIpAddress": "192.0.2.1",
        "interfaces": { "subscriber": "access0", "uplink": "uplink0", "dhcp": "dhcp0" }, "accessMode": "Routed",
        "pools": [{ "prefix": "100.64.1.0/24", "gateway": "100.64.1.1", "nextHop": "10.231.11.2" }],
        "dhcp": { "servers": ["10.231.1.2"] },
        "radius": { "servers": [], "passwordFile": "", "userNameTemplate": "", "timeoutMs": 1000, "retries": 0 },
        "accounting": { "interimSeconds": 60, "idleAfterSeconds": 60, "healthSeconds": 10 },
        "eventBus": { "urlFile": "" }, "kea": null, "routers": { "nameSeparator": "|", "livenessSeconds": 10 },
        "policies": [], "shaping": { "classes": classes }, "protected": [],
        "status": { "listen": "127.0.0.1:0", "metricsListen": "127.0.0.1:0", "certFile": "", "keyFile": "", "caFile": "" },
    }))
    .unwrap()
}

/// In a namespace with the gateway's three interfaces.
pub fn on_a_node(work: impl AsyncFnOnce() + Send) {
    let node = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests make network namespaces: run them as root");
        for (name, address) in [("access0", "10.231.11.1/24"), ("uplink0", "192.0.2.1/24"), ("dhcp0", "10.231.1.1/24")]
        {
            run(&format!("ip link add {name} type veth peer name {name}-far"));
            run(&format!("ip link set {name}-far up"));
            run(&format!("ip link set {name} up"));
            run(&format!("ip addr add {address} dev {name}"));
        }
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work());
    };
    thread::scope(|scope| scope.spawn(node).join().unwrap());
}

/// A command in the caller's namespace; its output.
pub fn run(line: &str) -> String {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
