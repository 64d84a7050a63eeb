//! What a gateway works with: secrets, the event bus, Kea, the node's CPU and memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
