//! The real services of the lab: PostgreSQL, Redis, Kea DHCPv4 with its control agent, FreeRADIUS.
//!
//! Always private instances (own data, own configuration, addresses of the lab) below one folder that is made anew at
//! each start; a service that the machine runs already is never touched. Each file here renders one service's
//! configuration by a pure function and starts it.
pub mod kea;
mod postgres;
pub mod private;
mod radius;
mod redis;
mod spec;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::process::{Part, run};

pub use spec::{ServicesSpec, Subnet, User, databases};

/// The running services; stopped when told, in the reverse order of their start.
#[derive(Debug)]
pub struct Services {
    /// The programs, in the order of their start.
    pub parts: Vec<Part>,
}

/// Starts all services and returns when each answers.
pub fn start(spec: &ServicesSpec) -> Result<Services> {
    let mut services = Services { parts: Vec::new() };
    if let Err(error) = start_into(spec, &mut services.parts) {
        services.stop();
        return Err(error);
    }
    Ok(services)
}

fn start_into(spec: &ServicesSpec, parts: &mut Vec<Part>) -> Result<()> {
    for folder in ["bin", "redis", "kea", "radius"] {
        let path = spec.dir.join(folder);
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    parts.push(redis::start(spec)?);
    let (postgres, ready) = postgres::start(spec)?;
    parts.push(postgres);
    ready?;
    let (kea_schema, radius_schema) = std::thread::scope(|scope| {
        let kea = scope.spawn(|| kea::init_database(spec));
        let radius = scope.spawn(|| radius::init_database(spec));
        (kea.join(), radius.join())
    });
    kea_schema.map_err(|_| anyhow::anyhow!("the Kea schema's thread ended"))??;
    radius_schema.map_err(|_| anyhow::anyhow!("the RADIUS schema's thread ended"))??;
    let first = parts.len();
    parts.push(kea::start_dhcp4(spec)?);
    parts.push(kea::start_agent(spec)?);
    parts.push(radius::start(spec)?);
    kea::wait_ready(spec, &mut parts[first..first + 2])?;
    radius::wait_ready(spec, &mut parts[first + 2])
}

/// Starts what a gateway needs beside a DHCP server: Redis, and FreeRADIUS with its database.
pub fn start_beside_dhcp(spec: &ServicesSpec) -> Result<Services> {
    let mut services = Services { parts: Vec::new() };
    let start = |parts: &mut Vec<Part>| {
        for folder in ["redis", "radius"] {
            let path = spec.dir.join(folder);
            std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        parts.push(redis::start(spec)?);
        let (postgres, ready) = postgres::start(spec)?;
        parts.push(postgres);
        ready?;
        radius::init_database(spec)?;
        let mut radius = radius::start(spec)?;
        let ready = radius::wait_ready(spec, &mut radius);
        parts.push(radius);
        ready
    };
    if let Err(error) = start(&mut services.parts) {
        services.stop();
        return Err(error);
    }
    Ok(services)
}

/// Starts Redis alone.
pub fn start_event_bus(spec: &ServicesSpec) -> Result<Services> {
    let path = spec.dir.join("redis");
    std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(Services { parts: vec![redis::start(spec)?] })
}

/// Starts one service again on the data that it left.
pub fn restart(spec: &ServicesSpec, name: &str) -> Result<Part> {
    match name {
        "postgres" => postgres::restart(spec),
        "redis" => redis::start(spec),
        "freeradius" => radius::start(spec),
        "kea-dhcp4" => kea::start_dhcp4(spec),
        "kea-ctrl-agent" => kea::start_agent(spec),
        _ => anyhow::bail!("no service {name}"),
    }
}

impl Services {
    /// Ends them; nothing of them runs afterwards.
    pub fn stop(&mut self) {
        while let Some(mut part) = self.parts.pop() {
            // SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
            let signal = if part.name == "postgres" { Signal::SIGINT } else { Signal::SIGTERM };
            part.stop(signal, Duration::from_secs(5));
        }
    }
}

/// A copy of a system program that runs under no AppArmor profile: Debian's profiles of Kea and dhclient go by path and
/// forbid every folder but the packages' own.
pub fn private_copy(program: &str, folder: &Path) -> Result<PathBuf> {
    let source = find_program(program)?;
    let target = folder.join(program);
    if !target.exists() {
        std::fs::create_dir_all(folder)?;
        std::fs::copy(&source, &target)
            .with_context(|| format!("cannot copy {} to {}", source.display(), target.display()))?;
    }
    Ok(target)
}

/// The path of a program, in `PATH` or a system folder.
pub fn find_program(program: &str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"])
        .map(|folder| Path::new(folder).join(program))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("{program} is not installed: `make setup` installs it"))
}

/// Gives a folder to the system user `postgres`.
fn give_to_postgres(path: &Path) -> Result<()> {
    run(std::process::Command::new("chown").arg("postgres:postgres").arg(path)).map(drop)
}

#[cfg(test)]
mod tests;
