//! The ways from the clients to Kea, each in network namespaces of its own.
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lastmile_types::relay::{Mode, Port, RelayConfig, Side};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::gateway::{self, Limits, Site};
use super::load::{self, Pace};
use super::wires;
use crate::network;
use crate::paths::Paths;
use crate::process::{Part, Place, tail};
use crate::services::{Services, ServicesSpec, find_program, private_copy};
use wires::{LAN, MIDDLE, ROUTER, SERVER, UPLINK, Wires};

/// Until the first exchange must have gone through.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Where a bed's programs keep things.
#[derive(Debug, Clone)]
pub struct Folders {
    /// On the machine's disk: leases, the gateway's journal. What waits for the disk waits for a real one.
    pub disk: PathBuf,
    /// In memory, and open to PostgreSQL's user: the services around.
    pub memory: PathBuf,
    /// The programs' logs.
    pub logs: PathBuf,
}

/// One way from the clients to the server.
#[derive(Debug)]
pub struct Bed {
    /// What it consists of.
    pub name: &'static str,
    /// The clients' interfaces, in the caller's namespace.
    pub clients: Vec<String>,
    server: Part,
    relaying: Vec<Part>,
    services: Option<Services>,
}

impl Bed {
    /// Kea alone, with raw sockets on the bridge of the ports.
    pub fn alone(way: &str, ports: usize, folders: &Folders) -> Result<Self> {
        let wires = wires::alone(way, ports);
        build(&wires)?;
        let server = start_kea(way, LAN, "raw", folders)?;
        Ok(Self { name: "Kea alone", clients: wires.clients, server, relaying: Vec::new(), services: None })
    }

    /// Debian's isc-dhcp-relay before Kea.
    pub fn isc_relay(way: &str, ports: usize, folders: &Folders) -> Result<Self> {
        let wires = wires::apart(way, ports);
        build(&wires)?;
        let server = start_kea(way, "svc0", "udp", folders)?;
        let place = Place { netns: Some(format!("{way}-router")), logs: folders.logs.clone() };
        let mut command = place.command(find_program("dhcrelay")?);
        command.args(["-4", "-d", "-a", "--no-pid", "-iu", "up0"]);
        for number in 1..=ports {
            command.args(["-id", &wires::port(number)]);
        }
        let relay = place.start(&format!("{way}-dhcrelay"), command.arg(SERVER.to_string()))?;
        Ok(Self { name: "isc-dhcp-relay", clients: wires.clients, server, relaying: vec![relay], services: None })
    }

    /// Lastmile's relay in its place.
    pub fn relay(way: &str, ports: usize, paths: &Paths, folders: &Folders) -> Result<Self> {
        let wires = wires::bridged(way, ports);
        build(&wires)?;
        let server = start_kea(way, "svc0", "udp", folders)?;
        let relay = start_relay(way, &relay_config(ports, MIDDLE), paths, folders)?;
        Ok(Self { name: "Lastmile relay", clients: wires.clients, server, relaying: vec![relay], services: None })
    }

    /// Lastmile's relay and gateway before Kea, with FreeRADIUS to ask and Redis to tell.
    pub fn lastmile(way: &str, limits: Limits, paths: &Paths, folders: &Folders, spec: &ServicesSpec) -> Result<Self> {
        let ports = spec.users.len();
        let wires = wires::routed(way, ports);
        build(&wires)?;
        let server = start_kea(way, "svc0", "udp", folders)?;
        let services = Some(crate::services::start_beside_dhcp(spec)?);
        let site = Site { netns: format!("{way}-gateway"), pool: wires::POOL, limits };
        let gateway = gateway::start(paths, folders, spec, &site)?;
        let relay = start_relay(way, &relay_config(ports, UPLINK), paths, folders)?;
        let relaying = vec![relay, gateway];
        Ok(Self { name: "Lastmile relay + gateway", clients: wires.clients, server, relaying, services })
    }

    /// Returns once every client got an address: leases, sessions and caches are there before it counts.
    pub fn wait_serving(&mut self) -> Result<()> {
        let end = Instant::now() + START_LIMIT;
        while load::run(&self.clients[..1], Pace::PerSecond(4), Duration::from_millis(500))?.exchanges == 0 {
            self.check()?;
            if Instant::now() > end {
                let logs: Vec<String> = self.parts().map(|part| tail(&part.log, 10)).collect();
                bail!("{}: no client got an address within 30 s\n{}", self.name, logs.join("\n"));
            }
        }
        load::run(&self.clients, Pace::PerSecond(4), Duration::from_secs(1))?;
        println!("ready: {}", self.name);
        Ok(())
    }

    /// Fails when one of the programs has ended.
    pub fn check(&mut self) -> Result<()> {
        for part in self.relaying.iter_mut().chain([&mut self.server]) {
            if let Some(status) = part.exited() {
                bail!("{} ended with {status}\n{}", part.name, tail(&part.log, 15));
            }
        }
        Ok(())
    }

    /// CPU seconds that each program between the clients and the server has used so far, user and kernel, in the order of a request's way.
    pub fn relaying_cpu(&self) -> Result<Vec<f64>> {
        self.relaying.iter().map(|part| cpu_seconds(part.pid())).collect()
    }

    /// Ends the programs, the gateway before those that it talks to.
    pub fn stop(&mut self) {
        for part in self.relaying.iter_mut().chain([&mut self.server]) {
            part.stop(nix::sys::signal::Signal::SIGTERM, Duration::from_secs(5));
        }
        if let Some(services) = &mut self.services {
            services.stop();
        }
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.relaying.iter().chain([&self.server])
    }
}

/// Makes the namespaces and their wires.
pub fn build(wires: &Wires) -> Result<()> {
    for namespace in &wires.namespaces {
        network::ip(None, &format!("netns add {}\n", namespace.name))?;
        // IPv6 and path filters are not what is measured.
        let script = "cd /proc/sys/net\necho 1 > ipv4/ip_forward\necho 0 > ipv4/conf/all/rp_filter\n\
                      echo 0 > ipv4/conf/default/rp_filter\n\
                      echo 1 > ipv6/conf/default/disable_ipv6 2>/dev/null || true\n";
        network::in_namespace(&namespace.name, script)?;
    }
    network::ip(None, &wires.between).context("wires between the namespaces")?;
    for namespace in &wires.namespaces {
        network::ip(Some(&namespace.name), &namespace.lines).with_context(|| format!("links of {}", namespace.name))?;
        let script: String = namespace
            .finished
            .iter()
            .map(|link| format!("ethtool -K {link} tx off tso off gso off gro off\n"))
            .collect();
        network::in_namespace(&namespace.name, &script).with_context(|| format!("offloads of {}", namespace.name))?;
    }
    Ok(())
}

/// The same server for every way, but for its sockets: leases in its file, one thread.
fn kea_config(interface: &str, sockets: &str, folder: &Path) -> Value {
    json!({ "Dhcp4": {
        "interfaces-config": { "interfaces": [interface], "dhcp-socket-type": sockets },
        "lease-database": {
            "type": "memfile", "persist": true, "name": folder.join("leases.csv"), "lfc-interval": 0,
        },
        "valid-lifetime": 3600,
        "renew-timer": 1800,
        "rebind-timer": 2700,
        "store-extended-info": true,
        "authoritative": true,
        "multi-threading": { "enable-multi-threading": false },
        "subnet4": [{
            "id": 1,
            "subnet": wires::POOL,
            "pools": [{ "pool": "10.64.1.0 - 10.64.255.254" }],
            "relay": { "ip-addresses": [ROUTER] },
            "option-data": [{ "name": "routers", "data": ROUTER }],
        }],
        // A line per lease would be measured too.
        "loggers": [{ "name": "kea-dhcp4", "severity": "WARN", "output_options": [{ "output": "stdout" }] }],
    }})
}

fn start_kea(way: &str, interface: &str, sockets: &str, folders: &Folders) -> Result<Part> {
    let namespace = format!("{way}-services");
    let folder = folders.disk.join(&namespace);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let file = folder.join("kea-dhcp4.conf");
    fs::write(&file, serde_json::to_string_pretty(&kea_config(interface, sockets, &folder))?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    let program = private_copy("kea-dhcp4", &folders.memory.join("bin"))?;
    let place = Place { netns: Some(namespace.clone()), logs: folders.logs.clone() };
    let mut command = place.command(program);
    command.env("KEA_PIDFILE_DIR", &folder).env("KEA_LOCKFILE_DIR", &folder).arg("-c").arg(&file);
    place.start(&format!("{namespace}-kea"), &mut command)
}

/// One circuit-id per port.
fn relay_config(ports: usize, uplink: Ipv4Addr) -> RelayConfig {
    let port = |number| Port {
        interface: wires::port(number),
        circuit_id: format!("{{router}}|1/{number}"),
        remote_id: line(number),
        slot: None,
        port: None,
    };
    RelayConfig {
        router: "ar-01".to_owned(),
        lan: Side { interface: LAN.to_owned(), address: ROUTER },
        uplink: Side { interface: "up0".to_owned(), address: uplink },
        servers: vec![SERVER],
        ports: (1..=ports).map(port).collect(),
        mode: Mode::Route,
        hops_limit: 16,
        source_guard: true,
    }
}

/// A subscriber's line: the remote-id of his port, and his name for RADIUS.
pub fn line(number: usize) -> String {
    format!("line-{number:03}")
}

fn start_relay(way: &str, config: &RelayConfig, paths: &Paths, folders: &Folders) -> Result<Part> {
    config.check()?;
    let file = folders.disk.join(format!("{way}-relay.json"));
    fs::write(&file, serde_json::to_string_pretty(config)?)?;
    let place = Place { netns: Some(format!("{way}-router")), logs: folders.logs.clone() };
    let mut command = place.command(paths.program("lastmile-relay")?);
    place.start(&format!("{way}-relay"), command.arg("run").arg("--config").arg(&file))
}

/// CPU seconds that a process has used so far, user and kernel. Its CPU clock has nanoseconds, where `/proc/PID/stat` has hundredths
/// of a second.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let clock =
        clock_getcpuclockid(Pid::from_raw(pid.try_into()?)).with_context(|| format!("process {pid} is gone"))?;
    Ok(Duration::from(clock_gettime(clock)?).as_secs_f64())
}

/// How many events the gateway published: proof that its whole work was measured.
pub fn events(services: &ServicesSpec) -> Result<u64> {
    let mut command = services.place.command(find_program("redis-cli")?);
    command.env("REDISCLI_AUTH", &services.secrets.redis).args([
        "-h",
        &services.listen.to_string(),
        "XLEN",
        "bng_events",
    ]);
    let answer = crate::process::run(&mut command)?;
    let count = answer.trim().parse().with_context(|| format!("Redis answered {answer:?}"))?;
    ensure!(count > 0, "the gateway published no event: its sessions did not come up, so this measures nothing");
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_takes_its_configuration() {
        relay_config(64, UPLINK).check().expect("valid");
    }
}
