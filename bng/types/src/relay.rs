//! An access router's configuration: the file that `lastmile-relay run --config` reads.

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// Everything an access router is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelayConfig {
    /// The router's name; the gateway knows it by the circuit-id up to `|`.
    pub router: String,
    /// Towards the subscribers: a bridge of the ports. Its address is the giaddr.
    pub lan: Side,
    /// Towards the gateway.
    pub uplink: Side,
    /// Where clients' messages are sent; at least one.
    pub servers: Vec<Ipv4Addr>,
    /// The subscribers' ports; at least one.
    pub ports: Vec<Port>,
    /// Messages that passed this many relays are dropped (1–16, RFC 1542 §4.1.1).
    #[serde(default = "hops_limit")]
    pub hops_limit: u8,
}

/// An interface and the router's address on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Side {
    /// Its name.
    pub interface: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// A subscriber's port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Port {
    /// The interface, a port of the LAN's bridge.
    pub interface: String,
    /// Agent Circuit ID (RFC 3046 §3.1), `ROUTER|slot/port` by convention; `{router}` stands for the router's name.
    pub circuit_id: String,
    /// Agent Remote ID (RFC 3046 §3.2): the subscriber's line.
    pub remote_id: String,
}

const fn hops_limit() -> u8 {
    16
}

impl RelayConfig {
    /// A port's Agent Circuit ID.
    pub fn circuit_id(&self, port: &Port) -> String {
        port.circuit_id.replace("{router}", &self.router)
    }

    /// Says the first thing that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fail = |field, problem: String| Err(ConfigError { field, problem });
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
            let circuit = self.circuit_id(port);
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
            { "interface": "port2", "circuitId": "ar-01|1/2", "remoteId": "line-02" }
        ]
    }"#;

    #[test]
    fn the_example_is_read() {
        let config: RelayConfig = serde_json::from_str(EXAMPLE).unwrap();
        config.check().unwrap();
        assert_eq!((config.hops_limit, config.circuit_id(&config.ports[0]).as_str()), (16, "ar-01|1/1"));
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
        assert_eq!(refused(|config| config.ports.clear()), "ports");
        assert_eq!(refused(|config| config.hops_limit = 17), "hopsLimit");
        assert_eq!(refused(|config| config.ports[1].circuit_id = "ar-01|1/1".to_owned()), "ports");
        assert_eq!(refused(|config| config.ports[0].remote_id = "x".repeat(200)), "ports");
    }
}
