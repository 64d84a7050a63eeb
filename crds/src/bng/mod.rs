//! `BNG`: one broadband network gateway on one node.

mod access;
mod coa;
mod network;
mod radius;
mod services;
mod status;

pub use access::{AccessMode, Dhcp, Pool, Routers, Shedding, Trust, TrustMode};
pub use coa::{COA_PORT, Coa, CoaClient};
pub use network::{Attachment, Network, NetworkMode, Placement};
pub use radius::{Accounting, Radius, RadiusServer};
pub use services::{Amounts, EventBus, Kea, KeaForm, Resources, SecretKey, Shaping};
pub use status::{BngStatus, SessionCounts};

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// What a gateway shall be.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "lastmile.io",
    version = "v1alpha1",
    kind = "BNG",
    plural = "bngs",
    singular = "bng",
    namespaced,
    status = "BngStatus",
    derive = "PartialEq",
    category = "lastmile",
    doc = "A broadband network gateway: it brings the subscribers of some access routers online on one node.",
    validation = Rule::new("size(self.metadata.name) <= 40").message("a BNG's name may have at most 40 characters, since pods and secrets are named after it"),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.node", description = "Where the gateway runs"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status", description = "It serves subscribers as its spec says"),
    printcolumn(name = "Sessions", type_ = "integer", json_path = ".status.sessions.total", description = "Subscribers with an address"),
    printcolumn(name = "Authorized", type_ = "integer", json_path = ".status.sessions.authorized", description = "Of those, accepted by RADIUS"),
    printcolumn(name = "CPU", type_ = "string", json_path = ".status.cpu", description = "Cores in use"),
    printcolumn(name = "Memory", type_ = "string", json_path = ".status.memory", description = "Memory in use"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", priority = 1, description = "Where it is in its life"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason", priority = 1, description = "Why it is ready, or not"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint", priority = 1, description = "Its status and control endpoint"),
    printcolumn(name = "Seq", type_ = "integer", json_path = ".status.lastEventSeq", priority = 1, description = "The last event it gave out"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.accessMode != 'Routed' || self.pools.all(p, has(p.nextHop))")
        .message("with accessMode Routed every pool needs nextHop: the address, on the subscriber link, of the access router that the pool lies behind")
        .field_path(".pools"),
    validation = Rule::new("self.accessMode != 'Bridged' || self.pools.all(p, !has(p.nextHop))")
        .message("with accessMode Bridged a pool has no nextHop: its subscribers are on the gateway's own link")
        .field_path(".pools"),
    validation = Rule::new("self.accessMode != 'Bridged' || self.trust.mode != 'ListedOnly'")
        .message("trust.mode ListedOnly needs accessMode Routed: subscribers on the gateway's own link have no router that could be listed")
        .field_path(".trust.mode"),
    validation = Rule::new("self.accessMode == 'Bridged' || !self.trust.option82")
        .message("trust.option82 belongs to accessMode Bridged: with Routed the relays' option 82 is believed together with their giaddr")
        .field_path(".trust.option82")
)]
pub struct BngSpec {
    /// Which node the gateway runs on.
    pub placement: Placement,
    /// Its three sides: subscribers, uplink, DHCP servers.
    pub network: Network,
    /// How subscribers reach the gateway: Routed (through access routers that relay DHCP) or Bridged (on its own link).
    #[serde(default)]
    pub access_mode: AccessMode,
    /// The subscribers' addresses. They must be pools of the DHCP server too.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(
        validation = Rule::new("self.all(a, self.filter(b, b.prefix == a.prefix).size() == 1)").message("two pools have the same prefix"),
        merge_strategy = ListMerge::Atomic
    )]
    pub pools: Vec<Pool>,
    /// The DHCP servers that requests are relayed to.
    pub dhcp: Dhcp,
    /// Whose DHCP messages are believed.
    #[serde(default)]
    pub trust: Trust,
    /// How many sessions one circuit may have at a time. A further one ends the oldest.
    #[serde(default = "defaults::one")]
    #[schemars(range(min = 1, max = 64))]
    pub sessions_per_circuit: i32,
    /// Authentication, authorisation and accounting.
    pub radius: Radius,
    /// Accounting, where neither RADIUS nor a SubscriberPolicy says otherwise.
    #[serde(default)]
    pub accounting: Accounting,
    /// Where events go.
    pub event_bus: EventBus,
    /// Kea's control API. Without it leases and sessions are not reconciled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kea: Option<Kea>,
    /// Who may change and disconnect live sessions by CoA-Request and Disconnect-Request (RFC 5176). Without it nobody may, and
    /// nothing listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coa: Option<Coa>,
    /// How access routers are recognised and watched.
    #[serde(default)]
    pub routers: Routers,
    /// Subscribers whose limits are shaped rather than policed.
    #[serde(default)]
    pub shaping: Shaping,
    /// NAS-Identifier towards RADIUS (RFC 2865 section 5.32). Default: the object's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub nas_identifier: Option<String>,
    /// Order a drain: every session is stopped, accounted and published, and none begins, until this is false again.
    #[serde(default)]
    pub drain: bool,
    /// How many seconds the deletion of this object waits for the drain.
    #[serde(default = "defaults::drain_timeout")]
    #[schemars(range(min = 0, max = 3600))]
    pub drain_timeout_seconds: i32,
    /// The pod's CPU and memory.
    #[serde(default)]
    pub resources: Resources,
}

mod defaults {
    pub fn one() -> i32 {
        1
    }
    pub fn drain_timeout() -> i32 {
        60
    }
}
