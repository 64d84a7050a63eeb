//! Access routers: the relay in each router's namespace, configured from the topology.
use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use lastmile_types::relay::{Mode, Port, RelayConfig, Side};

use crate::paths::Paths;
use crate::process::{Part, Place};
use crate::topology::{Router, Topology};

/// The relay's configuration of a router.
pub fn relay_config(topology: &Topology, router: &Router) -> RelayConfig {
    let address = |net: Option<Ipv4Net>| net.map_or(Ipv4Addr::UNSPECIFIED, |net| net.addr());
    RelayConfig {
        router: router.name.clone(),
        lan: Side { interface: "lan0".to_owned(), address: address(router.uplink.and(Some(router.lan))) },
        uplink: Side { interface: "up0".to_owned(), address: address(router.uplink) },
        servers: vec![topology.services.dhcp.addr()],
        ports: topology
            .subscribers_of(&router.name)
            .map(|subscriber| Port {
                interface: subscriber.router_port(),
                circuit_id: subscriber.circuit_id(),
                remote_id: subscriber.line.clone(),
                slot: None,
                port: None,
            })
            .collect(),
        mode: if router.uplink.is_some() { Mode::Route } else { Mode::Bridge },
        hops_limit: 16,
        source_guard: true,
    }
}

/// Starts a router's relay.
pub fn start(paths: &Paths, topology: &Topology, router: &Router) -> Result<Part> {
    let program = paths.program("lastmile-relay")?;
    let folder = paths.run.join("routers");
    let file = folder.join(format!("{}.json", router.name));
    let config = relay_config(topology, router);
    config.check().with_context(|| format!("router {}", router.name))?;
    fs::create_dir_all(&folder)?;
    fs::write(&file, serde_json::to_string_pretty(&config)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    let place = Place { netns: Some(router.name.clone()), logs: paths.run.join("logs") };
    place.start(&router.name, place.command(program).arg("run").arg("--config").arg(&file))
}
