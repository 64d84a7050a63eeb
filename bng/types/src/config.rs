//! A gateway's configuration: the file `bng.json` of its configuration directory.
//!
//! The operator renders it, the daemon reads it; secrets are never in it but in files beside it that it names. Every field has
//! a unit in its name or its doc. Numbers are checked by [`BngConfig::check`].

use std::net::{Ipv4Addr, SocketAddr};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::id::BngId;

mod check;
mod dhcp;
mod policy;
mod radius;

pub use check::ConfigError;
pub use dhcp::{Dhcp, Shedding, Trust, TrustMode};
pub use policy::{Access, Enforcement, OnReject, Policy, Selector, WalledGarden};
pub use radius::{Coa, CoaClient, Radius, RadiusServer, RateAttribute, RateMeaning, Recovery};

/// A file of the configuration directory, by its name.
pub type FileName = String;

/// Everything a gateway is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BngConfig {
    /// Says which configuration this is; echoed in the status.
    pub config_revision: String,
    /// The gateway.
    pub bng_id: BngId,
    /// NAS-Identifier (RFC 2865 §5.32).
    pub nas_identifier: String,
    /// NAS-IP-Address (RFC 2865 §5.4).
    pub nas_ip_address: Ipv4Addr,
    /// The three sides.
    pub interfaces: Interfaces,
    /// How subscribers reach the gateway.
    pub access_mode: AccessMode,
    /// The subscribers' addresses.
    pub pools: Vec<Pool>,
    /// The DHCP servers.
    pub dhcp: Dhcp,
    /// Whose DHCP messages are believed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trust: Trust,
    /// Sessions that one circuit may have at a time (1–64); a further one ends the oldest.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub sessions_per_circuit: u32,
    /// AAA.
    pub radius: Radius,
    /// Accounting defaults.
    pub accounting: Accounting,
    /// The event bus.
    pub event_bus: EventBus,
    /// Kea's control API; absent = no reconciliation of leases.
    pub kea: Option<Kea>,
    /// Access routers.
    pub routers: Routers,
    /// SubscriberPolicies, compiled.
    pub policies: Vec<Policy>,
    /// Subscribers whose limits are shaped.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shaping: Shaping,
    /// Networks that no subscriber may reach: nodes, pods, services, management, DHCP.
    pub protected: Vec<Ipv4Net>,
    /// The status and control endpoint.
    pub status: StatusEndpoint,
    /// CoA and Disconnect; absent = nobody may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coa: Option<Coa>,
}

/// The interfaces' names on the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Interfaces {
    /// Towards the subscribers.
    pub subscriber: String,
    /// Towards the internet.
    pub uplink: String,
    /// Towards the DHCP servers.
    pub dhcp: String,
}

/// How subscribers reach the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessMode {
    /// Through access routers that relay DHCP and set giaddr.
    Routed,
    /// On the gateway's own link.
    Bridged,
}

/// Subscriber addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pool {
    /// The addresses.
    pub prefix: Ipv4Net,
    /// The subscribers' default gateway; with `next_hop` set, also the router's giaddr.
    pub gateway: Ipv4Addr,
    /// The access router's address on the subscriber interface's link. Required when routed.
    pub next_hop: Option<Ipv4Addr>,
}

/// Accounting defaults, where neither RADIUS nor a policy says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Accounting {
    /// Seconds between interim records (10–86,400).
    pub interim_seconds: u32,
    /// Seconds without upload until a session shows as IDLE (10–86,400).
    pub idle_after_seconds: u32,
    /// Seconds between health reports (1–3,600).
    pub health_seconds: u32,
}

/// The event bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventBus {
    /// Holds the `redis://` URL, credentials included.
    pub url_file: FileName,
}

/// Kea's control API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kea {
    /// `http://…`
    pub url: String,
    /// How it is spoken to.
    pub form: KeaForm,
}

/// How Kea's API is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeaForm {
    /// Through the control agent (Kea before 3.2): commands carry `"service": ["dhcp4"]`.
    ControlAgent,
    /// The DHCP server's own HTTP socket.
    Direct,
}

/// Access routers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Routers {
    /// The router's name is the circuit-id up to this text; without it, the giaddr.
    pub name_separator: String,
    /// Seconds between liveness checks (1–3,600).
    pub liveness_seconds: u32,
}

/// Subscribers whose limits are shaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Shaping {
    /// How many at once (0–32,767): so many classes are made ahead on the subscriber and on the uplink interface, whose
    /// root queueing disciplines are the gateway's then. Who comes after them is policed. 0 = nobody, and no interface is touched.
    pub classes: u32,
}

/// The status and control endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusEndpoint {
    /// Mutual TLS.
    pub listen: SocketAddr,
    /// Plain HTTP: `/metrics`, `/healthz`.
    pub metrics_listen: SocketAddr,
    /// The gateway's certificate chain, PEM.
    pub cert_file: FileName,
    /// Its key, PEM.
    pub key_file: FileName,
    /// Who may ask, PEM.
    pub ca_file: FileName,
}

/// What goes without saying is not written: files and recordings stay as short as they can be.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn one() -> u32 {
    1
}

fn is_one(value: &u32) -> bool {
    *value == 1
}
