//! Kea DHCPv4 with leases in PostgreSQL, the lease_cmds hook, and its control agent.
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{ServicesSpec, postgres, private_copy};
use crate::process::Part;
use crate::secrets::write_private;

/// The control agent's port.
pub const AGENT_PORT: u16 = 8000;
const SCHEMA: &str = "/usr/share/kea/scripts/pgsql/dhcpdb_create.pgsql";

/// Kea's schema, by the script that `kea-admin db-init` runs.
pub fn init_database(spec: &ServicesSpec) -> Result<()> {
    let script =
        fs::read_to_string(SCHEMA).with_context(|| format!("cannot read {SCHEMA}: `make setup` installs it"))?;
    // The script has transactions of its own; without the fsyncs of its many statements it takes a fifth.
    let script = format!("SET synchronous_commit = off;\n{script}");
    postgres::psql(spec, "kea", "kea", &spec.secrets.kea, &script)
}

/// `kea-dhcp4.conf`.
pub fn dhcp4_config(spec: &ServicesSpec) -> Value {
    let dir = spec.dir.join("kea");
    json!({ "Dhcp4": {
        // Relayed traffic only: plain sockets, and any number of subnets on one interface.
        "interfaces-config": { "interfaces": [spec.dhcp_interface], "dhcp-socket-type": "udp" },
        "control-socket": { "socket-type": "unix", "socket-name": dir.join("dhcp4.sock") },
        "lease-database": {
            "type": "postgresql", "host": spec.listen.to_string(), "port": postgres::PORT,
            "name": "kea", "user": "kea", "password": spec.secrets.kea,
            // Without these a restart of PostgreSQL ends Kea.
            "max-reconnect-tries": 100_000, "reconnect-wait-time": 1_000, "on-fail": "serve-retry-continue",
        },
        "hooks-libraries": [{ "library": hook("libdhcp_lease_cmds.so") }],
        // Clients that ask for a shorter lease (option 51) get it.
        "min-valid-lifetime": 20.min(spec.dhcp.lease_seconds),
        "valid-lifetime": spec.dhcp.lease_seconds,
        "renew-timer": spec.dhcp.renew_seconds,
        "rebind-timer": spec.dhcp.rebind_seconds,
        "calculate-tee-times": false,
        // Option 82 is kept with the lease, so that a BNG without its journal can adopt it.
        "store-extended-info": true,
        "authoritative": true,
        // One thread: with more, a stray NAK now and then from PostgreSQL leases.
        "multi-threading": { "enable-multi-threading": false },
        "subnet4": spec.subnets.iter().map(|subnet| json!({
            "id": subnet.id,
            "subnet": subnet.prefix.to_string(),
            "pools": [{ "pool": format!("{} - {}", subnet.pool.first, subnet.pool.last) }],
            "relay": { "ip-addresses": [subnet.router.to_string()] },
            "option-data": [{ "name": "routers", "data": subnet.router.to_string() }],
        })).collect::<Vec<_>>(),
        "loggers": [{ "name": "kea-dhcp4", "severity": "INFO", "output_options": [{ "output": "stdout" }] }],
    }})
}

/// `kea-ctrl-agent.conf`.
pub fn agent_config(spec: &ServicesSpec) -> Value {
    let socket = spec.dir.join("kea/dhcp4.sock");
    json!({ "Control-agent": {
        "http-host": spec.listen.to_string(),
        "http-port": AGENT_PORT,
        "control-sockets": { "dhcp4": { "socket-type": "unix", "socket-name": socket } },
        "loggers": [{ "name": "kea-ctrl-agent", "severity": "WARN", "output_options": [{ "output": "stdout" }] }],
    }})
}

/// Starts the DHCP server.
pub fn start_dhcp4(spec: &ServicesSpec) -> Result<Part> {
    start(spec, "kea-dhcp4", &dhcp4_config(spec))
}

/// Starts the control agent.
pub fn start_agent(spec: &ServicesSpec) -> Result<Part> {
    start(spec, "kea-ctrl-agent", &agent_config(spec))
}

fn start(spec: &ServicesSpec, name: &str, config: &Value) -> Result<Part> {
    let dir = spec.dir.join("kea");
    let file = dir.join(format!("{name}.conf"));
    write_private(&file, &serde_json::to_string_pretty(config)?)?;
    let program = private_copy(name, &spec.dir.join("bin"))?;
    let mut command = spec.place.command(program);
    command.env("KEA_PIDFILE_DIR", &dir).env("KEA_LOCKFILE_DIR", &dir).arg("-c").arg(&file);
    spec.place.start(name, &mut command)
}

/// Waits until the DHCP server serves and the agent answers. `parts` are the two.
pub fn wait_ready(spec: &ServicesSpec, parts: &mut [Part]) -> Result<()> {
    parts[0].wait_until_it_says(Duration::from_secs(15), "DHCP4_STARTED")?;
    let spec = spec.clone();
    parts[1].wait_until(Duration::from_secs(10), || command(&spec, "version-get").is_ok())
}

/// Asks the control agent for an argument-less command, from inside its namespace.
pub fn command(spec: &ServicesSpec, name: &str) -> Result<String> {
    let body = json!({ "command": name, "service": ["dhcp4"] }).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: kea\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let address = SocketAddr::from((spec.listen, AGENT_PORT));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(500))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    anyhow::ensure!(answer.contains("\"result\": 0"), "Kea's control agent answered: {answer}");
    Ok(answer)
}

/// A shipped hook, wherever this architecture keeps it.
fn hook(name: &str) -> PathBuf {
    let fallback = PathBuf::from("/usr/lib/x86_64-linux-gnu/kea/hooks").join(name);
    if fallback.exists() {
        return fallback;
    }
    let triplet = Command::new("gcc").arg("-print-multiarch").output().ok().map(|out| out.stdout);
    let triplet = triplet.and_then(|out| String::from_utf8(out).ok()).unwrap_or_default();
    PathBuf::from(format!("/usr/lib/{}/kea/hooks", triplet.trim())).join(name)
}
