//! Who may change live sessions.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Prefix;

use super::SecretKey;

/// Where CoA-Requests and Disconnect-Requests go unless a BNG says otherwise (RFC 5176 section 2), UDP.
pub const COA_PORT: u16 = 3799;

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

mod defaults {
    pub fn coa_port() -> i32 {
        super::COA_PORT.into()
    }
    pub fn coa_window() -> i32 {
        300
    }
}
