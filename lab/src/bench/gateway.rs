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
#[derive(Debug, Clone)]
pub struct Site {
    /// Its namespace.
    pub netns: String,
    /// Its subscribers' addresses.
    pub pool: &'static str,
    /// How much it takes from whom.
    pub limits: Limits,
}

/// How much a gateway takes from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// What a configuration has that says nothing about it.
    Default,
    /// A device asks as fast as it is answered: the limits are at their highest, and its circuit has room for 64 sessions.
    Highest,
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

fn config(site: &Site) -> Result<BngConfig> {
    let highest = Shedding { per_circuit_per_second: 1_000, per_second: 1_000_000, ..Shedding::default() };
    let (shedding, sessions_per_circuit) = match site.limits {
        Limits::Default => (Shedding::default(), 1),
        Limits::Highest => (highest, 64),
    };
    let config = BngConfig {
        config_revision: "bench".to_owned(),
        bng_id: BngId::new("bench", "bng-01").context("a BNG's id")?,
        nas_identifier: "bng-01".to_owned(),
        nas_ip_address: MIDDLE,
        interfaces: Interfaces { subscriber: "access0".into(), uplink: "uplink0".into(), dhcp: "dhcp0".into() },
        access_mode: AccessMode::Routed,
        pools: vec![Pool { prefix: site.pool.parse()?, gateway: ROUTER, next_hop: Some(UPLINK) }],
        dhcp: Dhcp { servers: vec![SERVER], shedding },
        trust: Trust::default(),
        sessions_per_circuit,
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

/// Writes the configuration folder and starts the gateway.
pub fn start(paths: &Paths, folders: &Folders, services: &ServicesSpec, site: &Site) -> Result<Part> {
    let own = folders.disk.join(&site.netns);
    let (folder, state) = (own.join("config"), own.join("state"));
    for path in [&folder, &state] {
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    let secrets = &services.secrets;
    write_private(&folder.join("bng.json"), &serde_json::to_string_pretty(&config(site)?)?)?;
    write_private(&folder.join("radius-secret"), &secrets.radius)?;
    write_private(&folder.join("radius-password"), &secrets.subscriber)?;
    write_private(&folder.join("redis-url"), &redis_url(services))?;
    write_keys(&folder, "bng-01.bench.bng.lastmile.io")?;
    let place = Place { netns: Some(site.netns.clone()), logs: folders.logs.clone() };
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
    use super::*;
    use crate::bench::wires::POOL;

    #[test]
    fn the_gateway_takes_its_configuration() {
        for limits in [Limits::Default, Limits::Highest] {
            config(&Site { netns: "gateway".to_owned(), pool: POOL, limits }).expect("valid");
        }
    }
}
