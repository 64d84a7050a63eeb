//! `SubscriberPolicy`: what a kind of subscriber gets.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    doc = "Rates and timeouts for a kind of subscriber, on every BNG of its namespace.",
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
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SubscriberPolicySpec {
    /// Which subscribers it applies to. Without a selector: those whose Access-Accept carries a Filter-Id with this object's
    /// name.
    #[serde(default)]
    pub selector: Selector,
    /// The limits.
    #[serde(default)]
    pub rates: Rates,
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
    /// Apply it where nothing else chooses a policy. Of several, the first by name counts.
    pub default: bool,
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
