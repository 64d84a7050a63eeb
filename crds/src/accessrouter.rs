//! `AccessRouter`: a router between subscribers and a gateway, declared or discovered.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Ipv4;

/// What is said of an access router. Nothing is required: what is known shows in the status.
#[derive(CustomResource, KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "lastmile.io",
    version = "v1alpha1",
    kind = "AccessRouter",
    plural = "accessrouters",
    singular = "accessrouter",
    shortname = "ar",
    namespaced,
    status = "AccessRouterStatus",
    derive = "PartialEq",
    category = "lastmile",
    doc = "A router between subscribers and a BNG. It is discovered from the DHCP messages it relays, or declared.",
    printcolumn(
        name = "BNG",
        type_ = "string",
        json_path = ".spec.bngRef.name",
        description = "The gateway that it relays to"
    ),
    printcolumn(
        name = "Giaddr",
        type_ = "string",
        json_path = ".status.giaddr",
        description = "The address that it relays from"
    ),
    printcolumn(
        name = "Alive",
        type_ = "boolean",
        json_path = ".status.alive",
        description = "It answers, or relayed DHCP lately"
    ),
    printcolumn(
        name = "Sessions",
        type_ = "integer",
        json_path = ".status.sessions",
        description = "Subscribers behind it"
    ),
    printcolumn(
        name = "Last Seen",
        type_ = "date",
        json_path = ".status.lastSeen",
        description = "When it last showed life"
    ),
    printcolumn(
        name = "Router",
        type_ = "string",
        json_path = ".status.routerName",
        priority = 1,
        description = "Its own name, the circuit-id's prefix"
    ),
    printcolumn(
        name = "RTT",
        type_ = "string",
        json_path = ".status.rtt",
        priority = 1,
        description = "Last round trip"
    ),
    printcolumn(
        name = "Discovered",
        type_ = "boolean",
        json_path = ".status.discovered",
        priority = 1,
        description = "Nobody declared it"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AccessRouterSpec {
    /// The gateway that it is expected at, in the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bng_ref: Option<ObjectName>,
    /// The text before the separator in the circuit-ids that it adds: its name. Default: the object's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub circuit_id_prefix: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Its subscriber ports as they stand in circuit-ids, like `1/1`. For people; others are served all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ports: Vec<String>,
}

/// Another object in the same namespace.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectName {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// What is known of an access router. Written when it changes; numbers and times at most once a minute.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessRouterStatus {
    /// True: found in DHCP traffic, not declared by anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovered: Option<bool>,
    /// Its name as printable text: the circuit-id's prefix, else the giaddr.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router_name: Option<String>,
    /// The name's octets, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_id: Option<String>,
    /// The address that it relays from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub giaddr: Option<Ipv4>,
    /// It answers, or relayed DHCP lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alive: Option<bool>,
    /// The last round trip, like `0.42ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt: Option<String>,
    /// When DHCP first came through it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Time>,
    /// When it last showed life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// Subscribers behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<i64>,
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Alive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
