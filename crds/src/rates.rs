//! Which RADIUS attributes carry limits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A RADIUS attribute that carries a limit.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateAttribute {
    /// Its name in a dictionary, like `WISPr-Bandwidth-Max-Down`.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9_.:/-]+$"))]
    pub attribute: String,
    /// What it says. Zero lifts a limit.
    pub meaning: RateMeaning,
}

/// What a RADIUS attribute says of a subscriber's limits.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Both directions: the string of Mikrotik-Rate-Limit (receive/transmit rate, burst rate, burst threshold, burst time).
    MikrotikRateLimit,
    /// One direction: `lcp:interface-config#1=rate-limit output BPS NORMAL MAX conform-action transmit exceed-action drop`.
    CiscoRateLimit,
}
