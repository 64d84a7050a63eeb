//! The RADIUS servers, and who may change sessions by RADIUS.

use std::net::SocketAddr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{FileName, is_default};

/// AAA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Radius {
    /// In order of preference; at least one.
    pub servers: Vec<RadiusServer>,
    /// User-Password of every Access-Request.
    pub password_file: FileName,
    /// `{nas}`, `{circuit}`, `{remote}`, `{mac}` are replaced; `/` inside a part becomes `%2F` and `%` becomes `%25`.
    pub user_name_template: String,
    /// Until a request is sent again the first time, milliseconds (100–60,000); then twice as long each time, up to 16 s, each within
    /// ±10 % (RFC 5080 §2.2.1).
    pub timeout_ms: u32,
    /// How often a request is sent again to one server (0–10).
    pub retries: u32,
    /// When a server that fell silent is asked again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub recovery: Recovery,
    /// Dictionaries in FreeRADIUS' format, beside the one that the gateway has.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dictionary_files: Vec<FileName>,
    /// Attributes of an Access-Accept or CoA-Request that carry limits; of several for one limit, the one that stands first. Empty:
    /// the gateway's own table.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rate_attributes: Vec<RateAttribute>,
}

/// One RADIUS server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RadiusServer {
    /// Access-Request goes here.
    pub auth: SocketAddr,
    /// Accounting-Request goes here.
    pub acct: SocketAddr,
    /// The shared secret.
    pub secret_file: FileName,
    /// Refuse replies to Access-Request without Message-Authenticator (CVE-2024-3596).
    pub require_message_authenticator: bool,
}

/// When a server that fell silent is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Recovery {
    /// Seconds for which a silent server counts as dead (1–3,600). One that answers Status-Server counts as dead until it does again;
    /// one that answers it and no requests, until it answers one that is tried with it after this time, twice this time, up to 32 times.
    pub dead_time_seconds: u32,
    /// Seconds between Status-Servers (RFC 5997) to a dead server (1–600).
    pub probe_seconds: u32,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { dead_time_seconds: 30, probe_seconds: 5 }
    }
}

/// A RADIUS attribute that carries a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateAttribute {
    /// Its name in a dictionary.
    pub attribute: String,
    /// What it says.
    pub meaning: RateMeaning,
}

/// What a RADIUS attribute says of a subscriber's limits. Zero lifts a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateMeaning {
    /// Towards the subscriber, bit/s.
    DownloadBps,
    /// From the subscriber, bit/s.
    UploadBps,
    /// Towards the subscriber, kbit/s.
    DownloadKbps,
    /// From the subscriber, kbit/s.
    UploadKbps,
    /// Towards the subscriber, kbit.
    DownloadBurstKbit,
    /// From the subscriber, kbit.
    UploadBurstKbit,
    /// Both directions, as text: the string of Mikrotik-Rate-Limit.
    MikrotikRateLimit,
    /// One direction, as text: the `rate-limit` command within a Cisco-AVPair.
    CiscoRateLimit,
}

/// Dynamic authorization (RFC 5176): who may change and disconnect sessions by CoA-Request and Disconnect-Request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Coa {
    /// UDP; port 3799 by RFC 5176 §2.
    pub listen: SocketAddr,
    /// Whose requests are taken, at least one; where several networks hold a sender, the smallest counts.
    pub clients: Vec<CoaClient>,
    /// How far a request's Event-Timestamp may lie from now, seconds (10–3,600; RFC 5176 §6.3 asks for 300).
    pub window_seconds: u32,
    /// Drop requests without Event-Timestamp.
    #[serde(default)]
    pub require_event_timestamp: bool,
}

/// Senders of CoA-Requests and Disconnect-Requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CoaClient {
    /// Their addresses.
    pub network: Ipv4Net,
    /// The secret that they share with the gateway.
    pub secret_file: FileName,
    /// Drop requests without Message-Authenticator.
    #[serde(default)]
    pub require_message_authenticator: bool,
}
