//! Access routers: the relay in each router's namespace, configured from the topology.
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::paths::Paths;
use crate::process::{Part, Place};
use crate::topology::{Router, Topology};

/// The relay's configuration of a router.
pub fn relay_config(topology: &Topology, router: &Router) -> Value {
    json!({
        "router": router.name,
        "server": topology.services.dhcp.addr(),
        "uplink": "up0",
        "giaddr": router.lan.addr(),
        "ports": topology.subscribers_of(&router.name).map(|subscriber| json!({
            "interface": subscriber.router_port(),
            "slot": subscriber.slot,
            "port": subscriber.port,
            "line": subscriber.line,
        })).collect::<Vec<_>>(),
    })
}

/// Starts a router's relay.
pub fn start(paths: &Paths, topology: &Topology, router: &Router) -> Result<Part> {
    let program = paths.program("lastmile-relay")?;
    let file = paths.run.join("routers").join(format!("{}.json", router.name));
    fs::create_dir_all(paths.run.join("routers"))?;
    fs::write(&file, serde_json::to_string_pretty(&relay_config(topology, router))?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    let place = Place { netns: Some(router.name.clone()), logs: paths.run.join("logs") };
    place.start(&router.name, place.command(program).arg("run").arg("--config").arg(&file))
}
