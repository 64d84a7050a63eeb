//! The subscribers: how they reach the gateway, their addresses, and whose word is believed.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{Ipv4, Prefix};

/// How subscribers reach the gateway.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccessMode {
    /// Through access routers that relay DHCP and set giaddr.
    #[default]
    Routed,
    /// On the gateway's own link.
    Bridged,
}

/// Subscriber addresses.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!isCIDR(self.prefix) || !isIP(self.gateway) || cidr(self.prefix).containsIP(self.gateway)")
        .message("the pool's gateway must lie within its prefix")
)]
pub struct Pool {
    /// The addresses, like `100.64.1.0/24`.
    pub prefix: Prefix,
    /// The subscribers' default gateway, within the prefix. In access mode Routed it is the access router's address towards
    /// its subscribers, and the giaddr of what it relays. In access mode Bridged the subscriber interface has to carry it, and it
    /// is the giaddr of the gateway's own; the DHCP server has to know the pools of one BNG as one shared network.
    pub gateway: Ipv4,
    /// Access mode Routed: the access router's address on the subscriber link, the next hop of the route to the prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<Ipv4>,
}

/// The DHCP servers.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dhcp {
    /// Their addresses. Answers of others are dropped.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub servers: Vec<Ipv4>,
    /// How many messages of clients are served.
    #[serde(default)]
    pub shedding: Shedding,
}

/// How many messages of clients are served. Of what is too much, DISCOVERs go first and renewals last.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shedding {
    /// Messages of one circuit a second, for each session that it may have. What two seconds bring may come at once.
    #[schemars(range(min = 1, max = 1000))]
    pub per_circuit_per_second: i32,
    /// Messages of all circuits a second. What one second brings may come at once. A session's set-up is two messages.
    #[schemars(range(min = 100, max = 1000000))]
    pub per_second: i32,
    /// DECLINEs of one circuit an hour. All circuits together may decline an eighth of the pools an hour.
    #[schemars(range(min = 0, max = 1000))]
    pub declines_per_circuit_per_hour: i32,
}

impl Default for Shedding {
    fn default() -> Self {
        Self { per_circuit_per_second: 20, per_second: 50_000, declines_per_circuit_per_hour: 6 }
    }
}

/// Whose DHCP messages are believed.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Trust {
    /// Prefixes: any relay that sends on the subscriber interface, from a pool's router, with a giaddr within the pools. ListedOnly:
    /// of those, only routers whose AccessRouter object names this BNG in bngRef.
    pub mode: TrustMode,
    /// Access mode Bridged: access nodes on the link add option 82 (TR-101) and take it away from what subscribers send. It then
    /// names the circuit. Without such nodes leave it off: option 82 is then a subscriber's invention and its message is dropped
    /// (RFC 3046 section 2.1), the circuit is the interface, and the remote end the subscriber's MAC.
    pub option82: bool,
}

/// What a relay has to show.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustMode {
    /// Its place.
    #[default]
    Prefixes,
    /// Also that it was declared.
    ListedOnly,
}

/// How access routers are recognised and watched.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Routers {
    /// A router's name is the circuit-id up to this text; where it is missing, the giaddr.
    #[schemars(length(min = 1, max = 8))]
    pub name_separator: String,
    /// Seconds between liveness checks.
    #[schemars(range(min = 1, max = 3600))]
    pub liveness_seconds: i32,
}

impl Default for Routers {
    fn default() -> Self {
        Self { name_separator: "|".into(), liveness_seconds: 10 }
    }
}
