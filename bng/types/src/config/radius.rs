//! How RADIUS servers are given up and found again, and where limits stand in what they say.

use serde::{Deserialize, Serialize};

/// When a server that fell silent is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Recovery {
    /// Seconds for which a silent server counts as dead (1–3,600). One that answers Status-Server counts as dead until it does again.
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
