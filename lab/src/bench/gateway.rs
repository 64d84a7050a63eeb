//! The gateway under test, and the services that it needs.
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use lastmile_types::BngId;
use lastmile_types::config::{
    AccessMode, Accounting, BngConfig, Dhcp, EventBus, Interfaces, Policy, Pool, Radius, RadiusServer, Recovery,
    Routers, Shedding, StatusEndpoint, Trust,
};
use lastmile_types::session::Rates;

use super::bed::{Folders, line};
use super::wires::{MIDDLE, ROUTER, SERVER, UPLINK};
use crate::gateways::write_keys;
use crate::paths::Paths;
use crate::process::{Part, Place};
use crate::secrets::{Secrets, write_private};
use crate::services::{ServicesSpec, User};
use crate::topology::Topology;

/// Where a gateway runs.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Its namespace.
    pub netns: &'static str,
    /// Its subscribers' addresses.
    pub pool: &'static str,
}

/// FreeRADIUS with a user per port, and Redis, beside the server.
pub fn services(netns: &str, ports: usize, topology: &Topology, folders: &Folders) -> Result<ServicesSpec> {
    let dir: PathBuf = folders.memory.join(netns);
    let user = |number| User { name: line(number), filter_id: "gold".to_owned() };
    Ok(ServicesSpec {
        place: Place { netns: Some(netns.to_owned()), logs: folders.logs.clone() },
        secrets: Secrets::generate(&dir.join("secrets"))?,
        dir,
        listen: SERVER,
        dhcp_interface: "svc0".to_owned(),
        dhcp: topology.dhcp.clone(),
        subnets: Vec::new(),
        clients: vec![Ipv4Net::new(SERVER, 24)?.trunc()],
        users: (1..=ports).map(user).collect(),
        durable: false,
    })
}

fn config(pool: &str) -> Result<BngConfig> {
    let config = BngConfig {
        config_revision: "bench".to_owned(),
        bng_id: BngId::new("bench", "bng-01").context("a BNG's id")?,
        nas_identifier: "bng-01".to_owned(),
        nas_ip_address: MIDDLE,
        interfaces: Interfaces { subscriber: "access0".into(), uplink: "uplink0".into(), dhcp: "dhcp0".into() },
        access_mode: AccessMode::Routed,
        pools: vec![Pool { prefix: pool.parse()?, gateway: ROUTER, next_hop: Some(UPLINK) }],
        dhcp: Dhcp { servers: vec![SERVER], shedding: nothing_is_too_much() },
        trust: Trust::default(),
        sessions_per_circuit: 64,
        radius: Radius {
            servers: vec![RadiusServer {
                auth: SocketAddr::from((SERVER, 1812)),
                acct: SocketAddr::from((SERVER, 1813)),
                secret_file: "radius-secret".into(),
                require_message_authenticator: true,
            }],
            password_file: "radius-password".into(),
            user_name_template: "{remote}".into(),
            timeout_ms: 1_000,
            retries: 2,
            recovery: Recovery::default(),
            dictionary_files: Vec::new(),
            rate_attributes: Vec::new(),
        },
        accounting: Accounting { interim_seconds: 60, idle_after_seconds: 300, health_seconds: 10 },
        event_bus: EventBus { url_file: "redis-url".into() },
        kea: None,
        routers: Routers { name_separator: "|".into(), liveness_seconds: 10 },
        policies: vec![Policy {
            name: "gold".to_owned(),
            filter_id: Some("gold".to_owned()),
            rates: Rates {
                down_kbps: Some(100_000),
                up_kbps: Some(50_000),
                down_burst_kbit: None,
                up_burst_kbit: None,
            },
            ..Policy::default()
        }],
        shaping: lastmile_types::config::Shaping::default(),
        protected: vec![Ipv4Net::new(SERVER, 24)?.trunc()],
        status: StatusEndpoint {
            listen: SocketAddr::from((MIDDLE, 9443)),
            metrics_listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9100)),
            cert_file: "tls.crt".into(),
            key_file: "tls.key".into(),
            ca_file: "ca.crt".into(),
        },
        coa: None,
    };
    config.check()?;
    Ok(config)
}

/// A device alone asks as fast as it is answered: with the limits at their highest, and room for 64 sessions on its circuit, it may.
fn nothing_is_too_much() -> Shedding {
    Shedding { per_circuit_per_second: 1_000, per_second: 1_000_000, ..Shedding::default() }
}

/// Writes the configuration folder and starts the gateway.
pub fn start(paths: &Paths, folders: &Folders, services: &ServicesSpec, site: &Site) -> Result<Part> {
    let own = folders.disk.join(site.netns);
    let (folder, state) = (own.join("config"), own.join("state"));
    for path in [&folder, &state] {
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    let secrets = &services.secrets;
    write_private(&folder.join("bng.json"), &serde_json::to_string_pretty(&config(site.pool)?)?)?;
    write_private(&folder.join("radius-secret"), &secrets.radius)?;
    write_private(&folder.join("radius-password"), &secrets.subscriber)?;
    write_private(&folder.join("redis-url"), &redis_url(services))?;
    write_keys(&folder, "bng-01.bench.bng.lastmile.io")?;
    let place = Place { netns: Some(site.netns.to_owned()), logs: folders.logs.clone() };
    let mut command = place.command(paths.program("lastmile-bng")?);
    place.start(
        &format!("{}-bng", site.netns),
        command.arg("run").arg("--config-dir").arg(&folder).arg("--state-dir").arg(&state),
    )
}

/// The event bus as the gateway, and whoever has a route to it, reaches it.
pub fn redis_url(services: &ServicesSpec) -> String {
    format!("redis://:{}@{SERVER}:6379", services.secrets.redis)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_gateway_takes_its_configuration() {
        super::config(super::super::wires::NULL_POOL).expect("valid");
    }
}
