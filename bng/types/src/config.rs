//! A gateway's configuration: the file `bng.json` of its configuration directory.
//!
//! The operator renders it, the daemon reads it; secrets are never in it but in files beside it that it names. Every field has
//! a unit in its name or its doc. Numbers are checked by [`BngConfig::check`].

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::{id::BngId, session::Rates};

mod radius;

pub use radius::{RateAttribute, RateMeaning, Recovery};

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

/// The DHCP servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dhcp {
    /// At least one.
    pub servers: Vec<Ipv4Addr>,
    /// What is too much.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shedding: Shedding,
}

/// How many messages of clients are served. Of what is too much, DISCOVERs go first and renewals last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Shedding {
    /// Of one circuit a second, for each session that it may have (1–1,000); what two seconds bring may come at once.
    pub per_circuit_per_second: u32,
    /// Of all circuits a second (100–1,000,000); what one second brings may come at once. A session's set-up is two messages.
    pub per_second: u32,
    /// DECLINEs of one circuit an hour (0–1,000). All circuits together may decline an eighth of the pools an hour.
    pub declines_per_circuit_per_hour: u32,
}

impl Default for Shedding {
    fn default() -> Self {
        Self { per_circuit_per_second: 20, per_second: 50_000, declines_per_circuit_per_hour: 6 }
    }
}

/// Whose DHCP messages are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Trust {
    /// What a relay has to show.
    pub mode: TrustMode,
    /// The names of the declared access routers.
    pub routers: Vec<String>,
    /// Bridged: option 82 without giaddr is an access node's (TR-101) and names the circuit. Else it is a subscriber's, and the
    /// message is dropped (RFC 3046 §2.1).
    #[serde(skip_serializing_if = "is_default")]
    pub option82: bool,
}

/// What a relay has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TrustMode {
    /// Its place: the subscriber interface, a giaddr within the pools, and that router's source address.
    #[default]
    Prefixes,
    /// Also its name, which must be a declared router's.
    ListedOnly,
}

/// AAA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Radius {
    /// In order of preference; at least one.
    pub servers: Vec<RadiusServer>,
    /// User-Password of every Access-Request.
    pub password_file: FileName,
    /// `{nas}`, `{circuit}`, `{remote}`, `{mac}` are replaced; `/` inside a part becomes `%2F` and `%` becomes `%25`.
    pub user_name_template: String,
    /// Until a request is sent again the first time, milliseconds (100–60,000); then twice as long each time, up to 16 s, each within
    /// ±10 % (RFC 5080 §2.2.1).
    pub timeout_ms: u32,
    /// How often a request is sent again to one server (0–10).
    pub retries: u32,
    /// When a server that fell silent is asked again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recovery: Recovery,
    /// Dictionaries in FreeRADIUS' format, beside the one that the gateway has.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dictionary_files: Vec<FileName>,
    /// Attributes of an Access-Accept or CoA-Request that carry limits; of several for one limit, the one that stands first. Empty:
    /// the gateway's own table.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rate_attributes: Vec<RateAttribute>,
}

/// One RADIUS server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RadiusServer {
    /// Access-Request goes here.
    pub auth: SocketAddr,
    /// Accounting-Request goes here.
    pub acct: SocketAddr,
    /// The shared secret.
    pub secret_file: FileName,
    /// Refuse replies to Access-Request without Message-Authenticator (CVE-2024-3596).
    pub require_message_authenticator: bool,
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

/// A SubscriberPolicy as the gateway applies it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    /// The object's name; what Filter-Id names unless `filter_id` says otherwise.
    pub name: String,
    /// Chosen by an Access-Accept with this Filter-Id.
    pub filter_id: Option<String>,
    /// Chosen where no Filter-Id chooses; of several that match, the one that stands first in the list.
    #[serde(default, skip_serializing_if = "is_default")]
    pub selector: Selector,
    /// Chosen where nothing else chooses.
    pub default: bool,
    /// The limits.
    pub rates: Rates,
    /// How the limits are enforced.
    #[serde(default, skip_serializing_if = "is_default")]
    pub enforcement: Enforcement,
    /// What its accepted subscribers reach.
    #[serde(default, skip_serializing_if = "is_default")]
    pub access: Access,
    /// What becomes of its subscribers whom RADIUS rejects.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_reject: OnReject,
    /// Where its subscribers go who are confined; required where `access` or `on_reject` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub walled_garden: Option<WalledGarden>,
    /// Seconds without upload until the session is stopped.
    pub idle_timeout_seconds: Option<u32>,
    /// Seconds a session may last.
    pub session_timeout_seconds: Option<u32>,
    /// Seconds between interim records.
    pub interim_seconds: Option<u32>,
}

impl Policy {
    /// The Filter-Id that chooses it.
    pub fn filter_id(&self) -> &str {
        self.filter_id.as_deref().unwrap_or(&self.name)
    }

    /// Some of its subscribers are confined.
    fn confines(&self) -> bool {
        self.access == Access::WalledGarden || self.on_reject == OnReject::WalledGarden
    }
}

/// Which subscribers a policy is for, by where and who they are. All given patterns must match; without any, it selects nobody.
/// A pattern is compared with the whole text form; `*` stands for any octets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Selector {
    /// Agent Circuit ID.
    pub circuit_id: Option<String>,
    /// Agent Remote ID.
    pub remote_id: Option<String>,
    /// User-Name.
    pub user_name: Option<String>,
}

/// How limits are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Enforcement {
    /// What exceeds the rate is dropped: any number of subscribers.
    #[default]
    Police,
    /// What exceeds the rate waits in a short queue: a limited number of subscribers, the others are policed.
    Shape,
}

/// What an accepted subscriber reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Access {
    /// The uplink and other subscribers.
    #[default]
    Full,
    /// Its policy's walled garden only.
    WalledGarden,
}

/// What becomes of a rejected subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnReject {
    /// Nothing passes.
    #[default]
    Drop,
    /// It reaches its policy's walled garden.
    WalledGarden,
}

/// What confined subscribers reach.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WalledGarden {
    /// Any protocol, any port; of a protected network nothing all the same.
    pub destinations: Vec<Ipv4Net>,
    /// Port 53 of these, UDP and TCP; also within a protected network. Addresses of their own, not of a service.
    pub dns_servers: Vec<Ipv4Addr>,
    /// TCP to port 80 of any address but a destination's is redirected to this address and port; also within a protected network.
    /// Neither a service's address nor one of the gateway's node.
    pub portal: Option<SocketAddrV4>,
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

/// Dynamic authorization (RFC 5176): who may change and disconnect sessions by CoA-Request and Disconnect-Request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Coa {
    /// UDP; port 3799 by RFC 5176 §2.
    pub listen: SocketAddr,
    /// Whose requests are taken, at least one; where several networks hold a sender, the smallest counts.
    pub clients: Vec<CoaClient>,
    /// How far a request's Event-Timestamp may lie from now, seconds (10–3,600; RFC 5176 §6.3 asks for 300).
    pub window_seconds: u32,
    /// Drop requests without Event-Timestamp.
    #[serde(default)]
    pub require_event_timestamp: bool,
}

/// Senders of CoA-Requests and Disconnect-Requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CoaClient {
    /// Their addresses.
    pub network: Ipv4Net,
    /// The secret that they share with the gateway.
    pub secret_file: FileName,
    /// Drop requests without Message-Authenticator.
    #[serde(default)]
    pub require_message_authenticator: bool,
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

/// Why a configuration cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    /// The field's path.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl BngConfig {
    /// Says the first thing that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let fail = |field, problem: &str| Err(ConfigError { field, problem: problem.to_owned() });
        let within = |field, value: u32, low: u32, high: u32| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError { field, problem: format!("{value} is not between {low} and {high}") })
            }
        };
        let Interfaces { subscriber, uplink, dhcp } = &self.interfaces;
        if subscriber == uplink || subscriber == dhcp {
            return fail("interfaces.subscriber", "subscribers need an interface of their own");
        }
        if self.dhcp.servers.is_empty() {
            return fail("dhcp.servers", "name at least one DHCP server");
        }
        if self.radius.servers.is_empty() {
            return fail("radius.servers", "name at least one RADIUS server");
        }
        if self.pools.is_empty() {
            return fail("pools", "name at least one pool");
        }
        for pool in &self.pools {
            if !pool.prefix.contains(&pool.gateway) {
                return fail("pools.gateway", &format!("{} is not within {}", pool.gateway, pool.prefix));
            }
            if self.access_mode == AccessMode::Routed && pool.next_hop.is_none() {
                return fail("pools.nextHop", &format!("routed mode needs the router that {} is behind", pool.prefix));
            }
            if self.access_mode == AccessMode::Bridged && pool.next_hop.is_some() {
                return fail("pools.nextHop", &format!("in bridged mode {} is on the gateway's own link", pool.prefix));
            }
        }
        if let Some(policy) = self.policies.iter().find(|policy| policy.confines() && policy.walled_garden.is_none()) {
            return fail("policies.walledGarden", &format!("policy {} confines subscribers to none", policy.name));
        }
        if self.access_mode == AccessMode::Bridged && self.trust.mode == TrustMode::ListedOnly {
            return fail("trust.mode", "subscribers on the gateway's own link have no router that could be listed");
        }
        let Shedding { per_circuit_per_second, per_second, declines_per_circuit_per_hour } = self.dhcp.shedding;
        within("dhcp.shedding.perCircuitPerSecond", per_circuit_per_second, 1, 1_000)?;
        within("dhcp.shedding.perSecond", per_second, 100, 1_000_000)?;
        within("dhcp.shedding.declinesPerCircuitPerHour", declines_per_circuit_per_hour, 0, 1_000)?;
        within("sessionsPerCircuit", self.sessions_per_circuit, 1, 64)?;
        if let Some(coa) = &self.coa {
            if coa.clients.is_empty() {
                return fail("coa.clients", "name at least one network, or leave coa out");
            }
            within("coa.windowSeconds", coa.window_seconds, 10, 3_600)?;
        }
        within("radius.timeoutMs", self.radius.timeout_ms, 100, 60_000)?;
        within("radius.retries", self.radius.retries, 0, 10)?;
        within("radius.recovery.deadTimeSeconds", self.radius.recovery.dead_time_seconds, 1, 3_600)?;
        within("radius.recovery.probeSeconds", self.radius.recovery.probe_seconds, 1, 600)?;
        within("accounting.interimSeconds", self.accounting.interim_seconds, 10, 86_400)?;
        within("accounting.idleAfterSeconds", self.accounting.idle_after_seconds, 10, 86_400)?;
        within("accounting.healthSeconds", self.accounting.health_seconds, 1, 3_600)?;
        within("shaping.classes", self.shaping.classes, 0, 32_767)?;
        within("routers.livenessSeconds", self.routers.liveness_seconds, 1, 3_600)
    }
}
