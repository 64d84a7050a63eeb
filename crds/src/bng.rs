//! `BNG`: one broadband network gateway on one node.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bng_status::BngStatus,
    rates::RateAttribute,
    text::{Ipv4, Prefix},
};

/// Where CoA-Requests and Disconnect-Requests go unless a BNG says otherwise (RFC 5176 section 2), UDP.
pub const COA_PORT: u16 = 3799;

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

/// Which node a gateway runs on. It stays on the node that it was placed on as long as that node fits.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.nodeName) != has(self.nodeSelector)").message("say where the gateway runs: give either nodeName or nodeSelector")
)]
pub struct Placement {
    /// The node's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub node_name: Option<String>,
    /// Labels that the node must have, like `lastmile.io/bng: bng-01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 16, "minProperties" = 1))]
    pub node_selector: Option<BTreeMap<String, String>>,
}

/// A gateway's sides. With mode HostNetwork each names an interface of the node, with mode Multus a
/// NetworkAttachmentDefinition.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.mode != 'HostNetwork' || (has(self.subscriber.interface) && has(self.uplink.interface) && has(self.dhcp.interface))")
        .message("with mode HostNetwork name the node's interface for each side: subscriber.interface, uplink.interface, dhcp.interface"),
    validation = Rule::new("self.mode != 'Multus' || (has(self.subscriber.networkAttachment) && has(self.uplink.networkAttachment) && has(self.dhcp.networkAttachment))")
        .message("with mode Multus name a NetworkAttachmentDefinition for each side: subscriber.networkAttachment, uplink.networkAttachment, dhcp.networkAttachment"),
    validation = Rule::new("!has(self.subscriber.interface) || ((!has(self.uplink.interface) || self.subscriber.interface != self.uplink.interface) && (!has(self.dhcp.interface) || self.subscriber.interface != self.dhcp.interface))")
        .message("subscribers need an interface of their own: subscriber.interface must differ from uplink.interface and dhcp.interface")
)]
pub struct Network {
    /// HostNetwork (the node's own interfaces) or Multus (attachments of the pod; rendered by a later version).
    #[serde(default)]
    pub mode: NetworkMode,
    /// Towards the subscribers or their access routers. An interface that carries the node's own address is refused.
    pub subscriber: Attachment,
    /// Towards the internet.
    pub uplink: Attachment,
    /// Towards the DHCP servers. May be the uplink's.
    pub dhcp: Attachment,
}

/// How the gateway's pod reaches the wires.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// The pod stands in the node's network.
    #[default]
    HostNetwork,
    /// The pod has its own network, with attachments.
    Multus,
}

/// One side of the gateway.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The name of the node's interface (mode HostNetwork).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = r"^[^/\s:]+$"))]
    pub interface: Option<String>,
    /// The name of a NetworkAttachmentDefinition in the same namespace (mode Multus).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub network_attachment: Option<String>,
}

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

/// Authentication, authorisation and accounting by RADIUS (RFC 2865, RFC 2866).
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Radius {
    /// The servers in order of preference.
    #[schemars(length(min = 1, max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub servers: Vec<RadiusServer>,
    /// The User-Password of every Access-Request.
    pub password_secret_ref: SecretKey,
    /// User-Name. `{nas}`, `{circuit}`, `{remote}` and `{mac}` are replaced; in a part `/` becomes `%2F` and `%` becomes `%25`.
    #[serde(default = "defaults::user_name_template")]
    #[schemars(length(min = 1, max = 253))]
    pub user_name_template: String,
    /// Milliseconds until a request is sent again the first time; then twice as long each time, up to 16 seconds.
    #[serde(default = "defaults::radius_timeout")]
    #[schemars(range(min = 100, max = 60000))]
    pub timeout_milliseconds: i32,
    /// How often a request is sent again to one server before the next is tried.
    #[serde(default = "defaults::radius_retries")]
    #[schemars(range(min = 0, max = 10))]
    pub retries: i32,
    /// Seconds for which a server that fell silent counts as dead: the others are asked first. A server that answers Status-Server
    /// counts as dead until it does so again.
    #[serde(default = "defaults::radius_dead_time")]
    #[schemars(range(min = 1, max = 3600))]
    pub dead_time_seconds: i32,
    /// Seconds between Status-Servers (RFC 5997) to a dead server.
    #[serde(default = "defaults::radius_probe")]
    #[schemars(range(min = 1, max = 600))]
    pub probe_seconds: i32,
    /// Dictionaries in FreeRADIUS' format, each a key of a Secret: names for rateAttributes beside those that the gateway knows
    /// (RFC 2865, 2866, 2869, WISPr, Mikrotik, Cisco-AVPair, vendor 43242). `$INCLUDE` is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub dictionary_secret_refs: Vec<SecretKey>,
    /// Attributes of an Access-Accept or CoA-Request that carry a subscriber's limits; of several for one limit, the one that stands
    /// first. Default: WISPr-Bandwidth-Max-Down and -Up (bit/s), Mikrotik-Rate-Limit, Cisco-AVPair (`rate-limit`), and vendor 43242's
    /// attributes 1 to 4 (download, upload in kbit/s, download burst, upload burst in kbit).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub rate_attributes: Vec<RateAttribute>,
}

/// One RADIUS server.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RadiusServer {
    /// Its address.
    pub address: Ipv4,
    /// UDP port for authentication.
    #[serde(default = "defaults::auth_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub auth_port: i32,
    /// UDP port for accounting.
    #[serde(default = "defaults::acct_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub acct_port: i32,
    /// The shared secret.
    pub secret_ref: SecretKey,
    /// Refuse answers to an Access-Request that carry no Message-Authenticator (CVE-2024-3596).
    #[serde(default = "defaults::yes")]
    pub require_message_authenticator: bool,
}

/// Dynamic authorization (RFC 5176): a change of a live session's Filter-Id, rates and timeouts, and its disconnection.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coa {
    /// Whose requests are taken; everybody else's are dropped without an answer. Where several networks hold a sender, the
    /// smallest counts.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(
        validation = Rule::new("self.all(a, self.filter(b, b.cidr == a.cidr).size() == 1)").message("two CoA clients have the same cidr"),
        merge_strategy = ListMerge::Atomic
    )]
    pub clients: Vec<CoaClient>,
    /// UDP port on the node's address. A change restarts the gateway's pod; nobody online is cut off.
    #[serde(default = "defaults::coa_port")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: i32,
    /// How many seconds a request's Event-Timestamp may lie from the gateway's clock; others are dropped without an answer.
    #[serde(default = "defaults::coa_window")]
    #[schemars(range(min = 10, max = 3600))]
    pub window_seconds: i32,
    /// Drop requests without Event-Timestamp. Switch it on where the clients send it: it is what keeps captured requests from being
    /// played again.
    #[serde(default)]
    pub require_event_timestamp: bool,
}

/// Senders of CoA-Requests and Disconnect-Requests.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoaClient {
    /// Their addresses, like `10.231.0.2/32`.
    pub cidr: Prefix,
    /// The secret that they share with the gateway.
    pub secret_ref: SecretKey,
    /// Drop requests without Message-Authenticator. Where there is one, it must be right in any case.
    #[serde(default)]
    pub require_message_authenticator: bool,
}

/// A key of a Secret in the object's namespace.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key within it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Accounting defaults.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Accounting {
    /// Seconds between interim records.
    #[schemars(range(min = 10, max = 86400))]
    pub interim_seconds: i32,
    /// Seconds without upload until a session shows as IDLE. It is stopped only where a SubscriberPolicy says so.
    #[schemars(range(min = 10, max = 86400))]
    pub idle_after_seconds: i32,
    /// Seconds between the gateway's reports of its own load.
    #[schemars(range(min = 1, max = 3600))]
    pub health_seconds: i32,
}

impl Default for Accounting {
    fn default() -> Self {
        Self { interim_seconds: 60, idle_after_seconds: 300, health_seconds: 10 }
    }
}

/// Where events go.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventBus {
    /// Holds the Redis URL, credentials included, like `redis://:password@10.231.0.2:6379/0`.
    pub secret_ref: SecretKey,
}

/// Kea's control API.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kea {
    /// Its address, like `http://10.231.0.2:8000`.
    #[schemars(length(min = 8, max = 512), regex(pattern = r"^https?://\S+$"))]
    pub url: String,
    /// How it is spoken to: ControlAgent (Kea before 3.2) or Direct (the DHCP server's own HTTP socket).
    #[serde(default)]
    pub form: KeaForm,
}

/// How Kea's API is reached.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeaForm {
    /// Through the control agent.
    #[default]
    ControlAgent,
    /// The DHCP server's own HTTP socket.
    Direct,
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

/// Subscribers whose SubscriberPolicy says `enforcement: Shape`: what exceeds their rates waits in a short queue of their own.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shaping {
    /// How many can be shaped at once; who comes after them is policed, and the condition ShapingAvailable says so. With a
    /// number above 0 the gateway takes over the queueing (root qdisc, HTB) of its subscriber and uplink interfaces; one that
    /// somebody else put there is left alone and nobody is shaped. A shaped subscriber's traffic is counted before it waits, also
    /// what finds the queue full; between two subscribers the receiver's rate holds. Each costs the node about 4 KiB.
    #[schemars(range(min = 0, max = 32767))]
    pub max_subscribers: i32,
}

/// The pod's CPU and memory.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// What the node sets aside.
    pub requests: Amounts,
    /// What the gateway may use at most. A gateway that meets its memory limit is killed: leave room.
    pub limits: Amounts,
}

/// Amounts of CPU and memory.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Amounts {
    /// Cores, like `500m` or `"2"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20), regex(pattern = r"^[0-9]+(\.[0-9]+)?m?$"))]
    pub cpu: Option<String>,
    /// Octets, like `256Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20), regex(pattern = r"^[0-9]+(\.[0-9]+)?([kMGT]i?|Ki)?$"))]
    pub memory: Option<String>,
}

mod defaults {
    pub fn one() -> i32 {
        1
    }
    pub fn drain_timeout() -> i32 {
        60
    }
    pub fn user_name_template() -> String {
        "{nas}/{remote}/{circuit}".into()
    }
    pub fn radius_timeout() -> i32 {
        2_000
    }
    pub fn radius_retries() -> i32 {
        2
    }
    pub fn radius_dead_time() -> i32 {
        30
    }
    pub fn radius_probe() -> i32 {
        5
    }
    pub fn auth_port() -> i32 {
        1812
    }
    pub fn acct_port() -> i32 {
        1813
    }
    pub fn coa_port() -> i32 {
        super::COA_PORT.into()
    }
    pub fn coa_window() -> i32 {
        300
    }
    pub fn yes() -> bool {
        true
    }
}
