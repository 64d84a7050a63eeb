//! What is known of a gateway.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of a gateway, mostly by its own word. Written when a condition or a number of sessions changes, else at
/// most every 30 seconds.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BngStatus {
    /// Pending (not placed), Starting, Running, Degraded (a condition is False), Unreachable, Draining or Drained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Ready, ConfigApplied, NodePrepared, LinksReady, PoolsMatch, DhcpReachable, RadiusReachable, AccountingDelivered,
    /// EventsFlowing, LeasesReconciled, PoliciesFound, ShapingAvailable, CoaListening.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 32))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The node it is placed on. It stays there while the placement allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Its pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Address and port of its status and control endpoint (mutual TLS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The life of its journal: the bng_instance_id of its events.
    #[serde(rename = "instanceID", skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// The configuration in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_revision: Option<String>,
    /// Sessions by state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<SessionCounts>,
    /// Cores in use, like `12m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Memory in use, like `34Mi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// The seq of the last event it gave out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event_seq: Option<i64>,
    /// The seq up to which its events are in the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committed_event_seq: Option<i64>,
    /// When the gateway was last heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_heartbeat: Option<Time>,
}

/// Sessions by state.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionCounts {
    /// All.
    pub total: i32,
    /// With an address, no traffic seen yet.
    pub pending: i32,
    /// With traffic lately.
    pub active: i32,
    /// Without upload for a while.
    pub idle: i32,
    /// Accepted by RADIUS.
    pub authorized: i32,
    /// Rejected by RADIUS.
    pub rejected: i32,
}
