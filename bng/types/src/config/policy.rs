//! SubscriberPolicies, as the operator compiled them.

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::is_default;
use crate::session::Rates;

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
    pub(super) fn confines(&self) -> bool {
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
