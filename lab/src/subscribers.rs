//! Subscribers: a real DHCP client each, with a script of ours that sets address and route and nothing else.
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::paths::{MACHINE_DIR, Paths};
use crate::process::{Part, Place, run};
use crate::services::{find_program, private_copy};
use crate::topology::{Client, Subscriber, Topology};

/// dhclient calls this with `$reason` and `$new_…`. Debian's own would rewrite resolv.conf.
const DHCLIENT_SCRIPT: &str = r#"#!/bin/sh
# Address and default route, nothing else.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
case "$reason" in
  PREINIT) ip link set "$interface" up ;;
  BOUND|RENEW|REBIND|REBOOT)
    [ -n "$old_ip_address" ] && [ "$old_ip_address" != "$new_ip_address" ] && ip -4 address flush dev "$interface"
    ip address replace "$new_ip_address/$new_subnet_mask" dev "$interface"
    for router in $new_routers; do ip route replace default via "$router" dev "$interface"; break; done ;;
  EXPIRE|FAIL|RELEASE|STOP) ip -4 address flush dev "$interface" ;;
esac
exit 0
"#;

/// udhcpc calls this with its reason as the argument.
const UDHCPC_SCRIPT: &str = r#"#!/bin/sh
# Address and default route, nothing else.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
case "$1" in
  deconfig) ip link set "$interface" up; ip -4 address flush dev "$interface" ;;
  bound|renew)
    ip address replace "$ip/${mask:-24}" dev "$interface"
    for first in $router; do ip route replace default via "$first" dev "$interface"; break; done ;;
esac
exit 0
"#;

const DHCLIENT_CONF: &str = "timeout 20;\nretry 3;\nreboot 3;\ninitial-interval 1;\nbackoff-cutoff 4;\nselect-timeout 0;\n\
    request subnet-mask, routers, dhcp-lease-time, dhcp-renewal-time, dhcp-rebinding-time;\n";

/// The clients that run, by subscriber.
#[derive(Debug)]
pub struct Subscribers {
    folder: PathBuf,
    logs: PathBuf,
    running: BTreeMap<String, Part>,
}

impl Subscribers {
    /// Writes the scripts; starts nobody.
    pub fn prepare(paths: &Paths) -> Result<Self> {
        let folder = paths.run.join("subscribers");
        fs::create_dir_all(&folder)?;
        for (name, text, mode) in [
            ("dhclient-script", DHCLIENT_SCRIPT, 0o755),
            ("udhcpc-script", UDHCPC_SCRIPT, 0o755),
            ("dhclient.conf", DHCLIENT_CONF, 0o644),
        ] {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        Ok(Self { folder, logs: paths.run.join("logs"), running: BTreeMap::new() })
    }

    /// Starts every client.
    pub fn start_all(&mut self, topology: &Topology) -> Result<()> {
        topology.subscribers.iter().try_for_each(|subscriber| self.start(subscriber))
    }

    /// Starts a client; one that runs is left alone.
    pub fn start(&mut self, subscriber: &Subscriber) -> Result<()> {
        let name = &subscriber.name;
        if self.running.get_mut(name).is_some_and(|part| part.exited().is_none()) {
            return Ok(());
        }
        let place = self.place(subscriber);
        run(place.command("ip").args(["-4", "address", "flush", "dev", "eth0"]))?;
        let mut command = match subscriber.client {
            Client::Dhclient => self.dhclient(&place, name)?,
            Client::Udhcpc => {
                let mut command = place.command(find_program("udhcpc")?);
                command.args(["-f", "-i", "eth0", "-T", "2", "-A", "2", "-s"]).arg(self.folder.join("udhcpc-script"));
                command
            }
        };
        let part = place.start(name, &mut command)?;
        self.running.insert(name.clone(), part);
        Ok(())
    }

    /// Ends a client without a word to the server, as if its power went.
    pub fn stop(&mut self, subscriber: &Subscriber) {
        if let Some(mut part) = self.running.remove(&subscriber.name) {
            part.stop(Signal::SIGKILL, Duration::from_secs(2));
        }
    }

    /// Has the client send DHCPRELEASE, then ends it.
    pub fn release(&mut self, subscriber: &Subscriber) -> Result<()> {
        let name = &subscriber.name;
        let mut part = self.running.remove(name).with_context(|| format!("{name}'s client does not run"))?;
        match subscriber.client {
            Client::Dhclient => {
                // `-r` ends the running client by its pid file and releases its lease.
                let place = self.place(subscriber);
                run(self.dhclient(&place, name)?.arg("-r"))?;
            }
            Client::Udhcpc => {
                part.signal(Signal::SIGUSR2);
                std::thread::sleep(Duration::from_millis(300));
            }
        }
        part.stop(Signal::SIGTERM, Duration::from_secs(2));
        Ok(())
    }

    /// Whether the client runs.
    pub fn runs(&mut self, name: &str) -> bool {
        self.running.get_mut(name).is_some_and(|part| part.exited().is_none())
    }

    fn dhclient(&self, place: &Place, name: &str) -> Result<Command> {
        let program = private_copy("dhclient", &PathBuf::from(MACHINE_DIR).join("bin"))?;
        let mut command = place.command(program);
        command
            .args(["-4", "-d", "-v", "-sf"])
            .arg(self.folder.join("dhclient-script"))
            .arg("-cf")
            .arg(self.folder.join("dhclient.conf"))
            .arg("-pf")
            .arg(self.folder.join(format!("{name}.pid")))
            .arg("-lf")
            .arg(self.folder.join(format!("{name}.leases")))
            .arg("eth0");
        Ok(command)
    }

    fn place(&self, subscriber: &Subscriber) -> Place {
        Place { netns: Some(subscriber.name.clone()), logs: self.logs.clone() }
    }
}

/// The IPv4 address of a subscriber, if it has one.
pub fn address(name: &str) -> Option<String> {
    let shown = run(Command::new("ip").args(["-n", name, "-4", "-o", "address", "show", "dev", "eth0"])).ok()?;
    let mut words = shown.split_whitespace().skip_while(|word| *word != "inet");
    words.nth(1).map(|address| address.split('/').next().unwrap_or(address).to_owned())
}
