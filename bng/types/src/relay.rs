//! An access router's configuration: the file that `lastmile-relay run --config` reads.

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, is_default};

/// Everything an access router is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelayConfig {
    /// The router's name; the gateway knows it by the circuit-id up to `|`.
    pub router: String,
    /// How clients' messages go on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// Towards the subscribers: a bridge of the ports. In mode Route its address is the giaddr.
    pub lan: Side,
    /// Towards the gateway. In mode Bridge a port of the bridge too.
    pub uplink: Side,
    /// Where clients' messages are sent (mode Route), whose answers are passed on, and the only addresses that a client's own unicast may name; at least one.
    pub servers: Vec<Ipv4Addr>,
    /// The subscribers' ports; at least one.
    pub ports: Vec<Port>,
    /// Messages that passed this many relays are dropped (1–16, RFC 1542 §4.1.1).
    #[serde(default = "hops_limit")]
    pub hops_limit: u8,
    /// Forward from a port only what comes from an address and a MAC that a server leased there. Off = the leases are learned all
    /// the same, so that it can be switched on while subscribers are online.
    #[serde(default = "source_guard")]
    pub source_guard: bool,
}

/// How clients' messages go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Mode {
    /// As a router's: with giaddr, to the servers (RFC 1542 §4).
    #[default]
    Route,
    /// As a layer-2 access node's: as they came but for option 82, giaddr 0, through the bridge's uplink (RFC 3046 §2.1, TR-101
    /// §3.8.2). For a gateway of access mode Bridged that trusts option 82.
    Bridge,
}

/// An interface and the router's address on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Side {
    /// Its name.
    pub interface: String,
    /// Its address; mode Bridge needs none.
    #[serde(default = "no_address", skip_serializing_if = "Ipv4Addr::is_unspecified")]
    pub address: Ipv4Addr,
}

/// A subscriber's port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    /// The interface, a port of the LAN's bridge.
    pub interface: String,
    /// Template of the Agent Circuit ID (RFC 3046 §3.1): `{router}`, `{interface}`, `{slot}` and `{port}` are replaced. By
    /// convention the router's name stands before `|`.
    #[serde(default = "circuit_id")]
    pub circuit_id: String,
    /// Agent Remote ID (RFC 3046 §3.2): the subscriber's line.
    pub remote_id: String,
    /// What `{slot}` stands for. Never counted from the port's place: ids must not shift when a port is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u16>,
    /// What `{port}` stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

const fn no_address() -> Ipv4Addr {
    Ipv4Addr::UNSPECIFIED
}

const fn hops_limit() -> u8 {
    16
}

const fn source_guard() -> bool {
    true
}

fn circuit_id() -> String {
    "{router}|{slot}/{port}".to_owned()
}

impl RelayConfig {
    /// A port's Agent Circuit ID; `Err` says why its template cannot be filled in.
    pub fn circuit_id(&self, port: &Port) -> Result<String, String> {
        let (mut filled, mut rest) = (String::new(), port.circuit_id.as_str());
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a { without its }")?;
            let number = |value: Option<u16>| value.map(|value| value.to_string());
            let value = match name {
                "router" => Some(self.router.clone()),
                "interface" => Some(port.interface.clone()),
                "slot" => number(port.slot),
                "port" => number(port.port),
                _ => return Err(format!("{{{name}}} is no placeholder")),
            };
            filled += before;
            filled += &value.ok_or_else(|| format!("the template has {{{name}}}, the port gives no {name}"))?;
            rest = after;
        }
        Ok(filled + rest)
    }

    /// Says the first thing that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fail = |field, problem: String| Err(ConfigError { field, problem });
        let bare = self.lan.address.is_unspecified() || self.uplink.address.is_unspecified();
        if self.mode == Mode::Route && bare {
            return fail("mode", "Route needs the router's addresses: lan.address and uplink.address".to_owned());
        }
        if self.servers.is_empty() {
            return fail("servers", "name at least one DHCP server".to_owned());
        }
        if self.ports.is_empty() {
            return fail("ports", "name at least one port".to_owned());
        }
        if !(1..=16).contains(&self.hops_limit) {
            return fail("hopsLimit", format!("{} is not between 1 and 16", self.hops_limit));
        }
        let (mut interfaces, mut circuits) = (BTreeSet::new(), BTreeSet::new());
        for port in &self.ports {
            let circuit = match self.circuit_id(port) {
                Ok(circuit) => circuit,
                Err(problem) => return fail("ports", format!("{}: circuit-id: {problem}", port.interface)),
            };
            // Two sub-options with their codes and lengths share the 255 octets of option 82, and the gateway adds its own.
            if circuit.is_empty() || port.remote_id.is_empty() || circuit.len() + port.remote_id.len() > 150 {
                return fail(
                    "ports",
                    format!("{}: circuit-id and remote-id take 2–150 octets together", port.interface),
                );
            }
            if !interfaces.insert(&port.interface) || !circuits.insert(circuit) {
                return fail("ports", format!("{}: interface and circuit-id must be unique", port.interface));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"{
        "router": "ar-01",
        "lan": { "interface": "lan0", "address": "100.64.1.1" },
        "uplink": { "interface": "up0", "address": "10.231.11.2" },
        "servers": ["10.231.1.2"],
        "ports": [
            { "interface": "port1", "circuitId": "{router}|1/1", "remoteId": "line-01" },
            { "interface": "port2", "slot": 1, "port": 2, "remoteId": "line-02" }
        ]
    }"#;

    #[test]
    fn the_example_is_read() {
        let config: RelayConfig = serde_json::from_str(EXAMPLE).unwrap();
        config.check().unwrap();
        assert_eq!((config.hops_limit, config.source_guard), (16, true));
        assert_eq!(config.circuit_id(&config.ports[0]).unwrap(), "ar-01|1/1");
        assert_eq!(config.circuit_id(&config.ports[1]).unwrap(), "ar-01|1/2", "the default template");
    }

    #[test]
    fn circuit_id_templates() {
        let mut config: RelayConfig = serde_json::from_str(EXAMPLE).unwrap();
        // What is filled in is not a template again.
        config.router = "{port}".to_owned();
        let port = config.ports[1].clone();
        let fill = |template: &str| config.circuit_id(&Port { circuit_id: template.to_owned(), ..port.clone() });
        assert_eq!(fill("{router}|{slot}/{port} {interface}").unwrap(), "{port}|1/2 port2");
        assert_eq!(fill("plain } text").unwrap(), "plain } text");
        assert_eq!(fill("{vlan}").unwrap_err(), "{vlan} is no placeholder");
        assert_eq!(fill("{slot").unwrap_err(), "a { without its }");
        let bare = Port { slot: None, circuit_id: "{slot}".to_owned(), ..port.clone() };
        assert_eq!(config.circuit_id(&bare).unwrap_err(), "the template has {slot}, the port gives no slot");
    }

    #[test]
    fn what_cannot_work_is_named() {
        let good: RelayConfig = serde_json::from_str(EXAMPLE).unwrap();
        let refused = |change: fn(&mut RelayConfig)| {
            let mut config = good.clone();
            change(&mut config);
            config.check().unwrap_err().field
        };
        assert_eq!(refused(|config| config.servers.clear()), "servers");
        assert_eq!(refused(|config| config.lan.address = no_address()), "mode");
        let mut bridge = RelayConfig { mode: Mode::Bridge, ..good.clone() };
        (bridge.lan.address, bridge.uplink.address) = (no_address(), no_address());
        bridge.check().unwrap();
        assert_eq!(refused(|config| config.ports.clear()), "ports");
        assert_eq!(refused(|config| config.hops_limit = 17), "hopsLimit");
        assert_eq!(refused(|config| config.ports[1].circuit_id = "ar-01|1/1".to_owned()), "ports");
        assert_eq!(refused(|config| config.ports[0].remote_id = "x".repeat(200)), "ports");
        assert_eq!(refused(|config| config.ports[1].slot = None), "ports");
    }
}
