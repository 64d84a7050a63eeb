//! `SubscriberPolicy`: what a kind of subscriber gets.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{Ipv4, Prefix};

/// What a kind of subscriber gets, on every gateway of the namespace.
#[derive(CustomResource, KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "lastmile.io",
    version = "v1alpha1",
    kind = "SubscriberPolicy",
    plural = "subscriberpolicies",
    singular = "subscriberpolicy",
    shortname = "subpol",
    namespaced,
    status = "SubscriberPolicyStatus",
    derive = "PartialEq",
    category = "lastmile",
    doc = "What a kind of subscriber gets, on every BNG of its namespace: rates, timeouts, a walled garden.",
    printcolumn(
        name = "Down",
        type_ = "string",
        json_path = ".status.down",
        description = "Limit towards the subscriber"
    ),
    printcolumn(name = "Up", type_ = "string", json_path = ".status.up", description = "Limit from the subscriber"),
    printcolumn(
        name = "Sessions",
        type_ = "integer",
        json_path = ".status.sessions",
        description = "Sessions that it applies to now"
    ),
    printcolumn(
        name = "Filter-Id",
        type_ = "string",
        json_path = ".spec.selector.filterId",
        priority = 1,
        description = "The RADIUS Filter-Id that chooses it"
    ),
    printcolumn(
        name = "Default",
        type_ = "boolean",
        json_path = ".spec.selector.default",
        priority = 1,
        description = "Applies where nothing else does"
    ),
    printcolumn(
        name = "Priority",
        type_ = "integer",
        json_path = ".spec.selector.priority",
        priority = 1,
        description = "Of several that select a subscriber, the highest counts"
    ),
    printcolumn(
        name = "Enforcement",
        type_ = "string",
        json_path = ".spec.enforcement",
        priority = 1,
        description = "What becomes of traffic past the rates"
    ),
    printcolumn(
        name = "Access",
        type_ = "string",
        json_path = ".spec.access",
        priority = 1,
        description = "What accepted subscribers reach"
    ),
    printcolumn(
        name = "On Reject",
        type_ = "string",
        json_path = ".spec.onReject",
        priority = 1,
        description = "What rejected subscribers reach"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.walledGarden) || (self.access != 'WalledGarden' && self.onReject != 'WalledGarden')")
        .message("say what confined subscribers reach: access or onReject is WalledGarden, and there is no walledGarden")
        .field_path(".walledGarden"),
    validation = Rule::new("self.onReject != 'WalledGarden' || self.selector.default || has(self.selector.circuitId) || has(self.selector.remoteId) || has(self.selector.userName)")
        .message("onReject needs a selector by circuitId, remoteId, userName or default: RADIUS names no Filter-Id for whom it rejects")
        .field_path(".onReject")
)]
pub struct SubscriberPolicySpec {
    /// Which subscribers it applies to. What RADIUS says goes first: its attributes, then a Filter-Id that names a policy; then
    /// the patterns here, by priority; then the default policy. Without a selector: those whose Access-Accept carries a
    /// Filter-Id with this object's name.
    #[serde(default)]
    pub selector: Selector,
    /// The limits. Rates from RADIUS go first.
    #[serde(default)]
    pub rates: Rates,
    /// Police: traffic past the rates is dropped, for any number of subscribers. Shape: it waits in a short queue, for as many
    /// subscribers as the BNG has queues for; the others are policed.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// What its subscribers reach whom RADIUS accepted: Full (the uplink and each other) or only the WalledGarden.
    #[serde(default)]
    pub access: Access,
    /// What its subscribers reach whom RADIUS rejected: nothing (Drop) or the WalledGarden. They leave it when RADIUS accepts
    /// them, which it is asked at each DHCP exchange and every few minutes.
    #[serde(default)]
    pub on_reject: OnReject,
    /// What confined subscribers reach, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walled_garden: Option<WalledGarden>,
    /// Seconds without upload until the session is stopped. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 2592000))]
    pub idle_timeout_seconds: Option<i32>,
    /// Seconds that a session may last. Default: for ever. A Session-Timeout from RADIUS goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 31536000))]
    pub session_timeout_seconds: Option<i32>,
    /// Seconds between interim accounting records. Default: the BNG's. An Acct-Interim-Interval from RADIUS goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 86400))]
    pub interim_seconds: Option<i32>,
}

/// Which subscribers a policy applies to.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// The RADIUS Filter-Id (RFC 2865 section 5.11) that chooses it. Default: the object's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub filter_id: Option<String>,
    /// Agent Circuit ID (RFC 3046). A pattern for the whole of it, as `kubectl get sessions -o wide` shows it; `*` stands for any
    /// octets, also none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1020))]
    pub circuit_id: Option<String>,
    /// Agent Remote ID (RFC 3046). A pattern as for circuitId; where several are given, all must fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1020))]
    pub remote_id: Option<String>,
    /// User-Name, as the BNG makes it for RADIUS. A pattern as for circuitId; where several are given, all must fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub user_name: Option<String>,
    /// Of several policies that fit a subscriber the one with the highest priority counts, of equal ones the first by name.
    #[schemars(range(min = 0, max = 1000000))]
    pub priority: i32,
    /// Apply it where nothing else chooses a policy. Of several, the one with the highest priority counts.
    pub default: bool,
}

/// What becomes of traffic past the rates.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enforcement {
    /// It is dropped.
    #[default]
    Police,
    /// It waits in a short queue.
    Shape,
}

/// What accepted subscribers reach.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// The uplink and each other.
    #[default]
    Full,
    /// The walled garden only.
    WalledGarden,
}

/// What rejected subscribers reach.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnReject {
    /// Nothing.
    #[default]
    Drop,
    /// The walled garden.
    WalledGarden,
}

/// What confined subscribers reach.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("size(self.destinations) > 0 || has(self.portal)")
        .message("a walled garden needs a destination or a portal: a DNS server alone leads nowhere")
)]
pub struct WalledGarden {
    /// Networks that they reach by any protocol, like `203.0.113.0/24`.
    #[serde(default)]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub destinations: Vec<Prefix>,
    /// Name servers: port 53 of these, UDP and TCP.
    #[serde(default)]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub dns_servers: Vec<Ipv4>,
    /// A web server that explains: TCP to port 80 of any address ends here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portal: Option<Portal>,
}

/// A web server.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Portal {
    /// Its address.
    pub address: Ipv4,
    /// Its port; it is spoken to in plain HTTP.
    #[serde(default = "portal_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

fn portal_port() -> i32 {
    80
}

/// Limits of a subscriber's traffic, counted in IP octets. What is not given is not limited.
#[derive(KubeSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.downBurstKbit) || has(self.downKbps)").message("downBurstKbit needs downKbps"),
    validation = Rule::new("!has(self.upBurstKbit) || has(self.upKbps)").message("upBurstKbit needs upKbps")
)]
pub struct Rates {
    /// Towards the subscriber, kbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 64, max = 100000000))]
    pub down_kbps: Option<i32>,
    /// From the subscriber, kbit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 64, max = 100000000))]
    pub up_kbps: Option<i32>,
    /// What may come at once towards the subscriber, kbit. Default: an eighth of a second at the rate, at least 512.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 512, max = 10000000))]
    pub down_burst_kbit: Option<i32>,
    /// What may come at once from the subscriber, kbit. Default: an eighth of a second at the rate, at least 512.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 512, max = 10000000))]
    pub up_burst_kbit: Option<i32>,
}

/// What became of a policy.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriberPolicyStatus {
    /// The limit towards the subscriber, like `50 Mbit/s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
    /// The limit from the subscriber, like `10 Mbit/s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<String>,
    /// Sessions that it applies to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<i64>,
    /// How many BNGs have it in their configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bngs: Option<i32>,
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Compiled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
