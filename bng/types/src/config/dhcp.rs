//! The DHCP servers, and what of DHCP is believed and served.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::is_default;

/// The DHCP servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dhcp {
    /// At least one.
    pub servers: Vec<Ipv4Addr>,
    /// What is too much.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shedding: Shedding,
}

/// How many messages of clients are served. Of what is too much, DISCOVERs go first and renewals last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Shedding {
    /// Of one circuit a second, for each session that it may have (1–1,000); what two seconds bring may come at once.
    pub per_circuit_per_second: u32,
    /// Of all circuits a second (100–1,000,000); what one second brings may come at once. A session's set-up is two messages.
    pub per_second: u32,
    /// DECLINEs of one circuit an hour (0–1,000). All circuits together may decline an eighth of the pools an hour.
    pub declines_per_circuit_per_hour: u32,
}

impl Default for Shedding {
    fn default() -> Self {
        Self { per_circuit_per_second: 20, per_second: 50_000, declines_per_circuit_per_hour: 6 }
    }
}

/// Whose DHCP messages are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Trust {
    /// What a relay has to show.
    pub mode: TrustMode,
    /// The names of the declared access routers.
    pub routers: Vec<String>,
    /// Bridged: option 82 without giaddr is an access node's (TR-101) and names the circuit. Else it is a subscriber's, and the
    /// message is dropped (RFC 3046 §2.1).
    #[serde(skip_serializing_if = "is_default")]
    pub option82: bool,
}

/// What a relay has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum TrustMode {
    /// Its place: the subscriber interface, a giaddr within the pools, and that router's source address.
    #[default]
    Prefixes,
    /// Also its name, which must be a declared router's.
    ListedOnly,
}
