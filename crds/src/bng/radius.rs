//! Authentication, authorisation and accounting.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{rates::RateAttribute, text::Ipv4};

use super::SecretKey;

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
    /// counts as dead until it does so again; one that answers it and no requests, until it answers one that is tried with it after
    /// this time, twice this time, and so on up to 32 times.
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

mod defaults {
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
    pub fn yes() -> bool {
        true
    }
}
