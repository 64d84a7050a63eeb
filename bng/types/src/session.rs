//! What is said about a session: its states, its causes of ending, and the full snapshot that every session event carries.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    access::Octets,
    counters::Counters,
    id::{MacAddr, SessionId},
};

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionState {
    /// It has an address, no traffic was seen yet.
    Pending,
    /// Traffic was seen lately.
    Active,
    /// No upload for a while.
    Idle,
    /// It ended.
    Expired,
}

/// What AAA said of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthState {
    /// No answer yet.
    PendingAuth,
    /// Access-Accept.
    Authorized,
    /// Access-Reject.
    Rejected,
}

macro_rules! text_form {
    ($type:ty { $($variant:ident => $text:literal),* $(,)? }) => {
        impl $type {
            /// The value's name on the stream, in the database and in Kubernetes.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

text_form!(SessionState { Pending => "PENDING", Active => "ACTIVE", Idle => "IDLE", Expired => "EXPIRED" });
text_form!(AuthState { PendingAuth => "PENDING_AUTH", Authorized => "AUTHORIZED", Rejected => "REJECTED" });

/// Why a session ended: Acct-Terminate-Cause, RFC 2866 §5.10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TerminateCause {
    /// The client released its address.
    #[serde(rename = "User-Request")]
    UserRequest,
    /// The lease ran out.
    #[serde(rename = "Lost-Carrier")]
    LostCarrier,
    /// No upload for the policy's idle time.
    #[serde(rename = "Idle-Timeout")]
    IdleTimeout,
    /// The session's allotted time ran out.
    #[serde(rename = "Session-Timeout")]
    SessionTimeout,
    /// An operator disconnected it.
    #[serde(rename = "Admin-Reset")]
    AdminReset,
    /// The gateway was drained.
    #[serde(rename = "Admin-Reboot")]
    AdminReboot,
    /// The client got another address, or another reason of the gateway's own.
    #[serde(rename = "NAS-Request")]
    NasRequest,
    /// The host rebooted: the kernel's counters are gone.
    #[serde(rename = "NAS-Reboot")]
    NasReboot,
    /// Another device took the circuit, or the device moved.
    #[serde(rename = "Port-Preempted")]
    PortPreempted,
}

text_form!(TerminateCause {
    UserRequest => "User-Request",
    LostCarrier => "Lost-Carrier",
    IdleTimeout => "Idle-Timeout",
    SessionTimeout => "Session-Timeout",
    AdminReset => "Admin-Reset",
    AdminReboot => "Admin-Reboot",
    NasRequest => "NAS-Request",
    NasReboot => "NAS-Reboot",
    PortPreempted => "Port-Preempted",
});

impl TerminateCause {
    /// The value of the RADIUS attribute (RFC 2866 §5.10).
    pub const fn code(self) -> u32 {
        match self {
            Self::UserRequest => 1,
            Self::LostCarrier => 2,
            Self::IdleTimeout => 4,
            Self::SessionTimeout => 5,
            Self::AdminReset => 6,
            Self::AdminReboot => 7,
            Self::NasRequest => 10,
            Self::NasReboot => 11,
            Self::PortPreempted => 13,
        }
    }
}

/// A subscriber's limits in kbit/s of IP octets, with bursts in kbit. `None` = no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rates {
    /// Towards the subscriber, kbit/s.
    pub down_kbps: Option<u32>,
    /// From the subscriber, kbit/s.
    pub up_kbps: Option<u32>,
    /// Towards the subscriber, kbit.
    pub down_burst_kbit: Option<u32>,
    /// From the subscriber, kbit.
    pub up_burst_kbit: Option<u32>,
}

impl Rates {
    /// These limits under what RADIUS granted, which wins direction by direction; there zero lifts the limit.
    pub fn under(self, granted: Self) -> Self {
        let (down_kbps, down_burst_kbit) =
            side((self.down_kbps, self.down_burst_kbit), (granted.down_kbps, granted.down_burst_kbit));
        let (up_kbps, up_burst_kbit) =
            side((self.up_kbps, self.up_burst_kbit), (granted.up_kbps, granted.up_burst_kbit));
        Self { down_kbps, up_kbps, down_burst_kbit, up_burst_kbit }
    }
}

/// Rate and burst of one direction. A burst belongs to its rate: a granted rate does not take over another rate's burst.
fn side(policy: (Option<u32>, Option<u32>), granted: (Option<u32>, Option<u32>)) -> (Option<u32>, Option<u32>) {
    let (rate, burst) = match granted {
        (None, burst) => (policy.0, burst.or(policy.1)),
        granted => granted,
    };
    let rate = rate.filter(|rate| *rate > 0);
    (rate, burst.filter(|burst| rate.is_some() && *burst > 0))
}

/// All that is known of one session at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionSnapshot {
    /// The session.
    pub session_id: SessionId,
    /// Acct-Session-Id, RFC 2866 §5.5.
    pub acct_session_id: String,
    /// User-Name as sent to RADIUS.
    pub subscriber: String,
    /// Agent Circuit ID.
    pub circuit_id: Octets,
    /// Agent Remote ID.
    pub remote_id: Octets,
    /// The access router's name.
    pub router: String,
    /// The access router's address, where the session came through one.
    pub giaddr: Option<Ipv4Addr>,
    /// The client's hardware address.
    pub mac: MacAddr,
    /// The leased address.
    pub ip: Ipv4Addr,
    /// Host Name (DHCP option 12) as the client sent it, made printable; for people only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// It did not begin with an ACK that the gateway saw: it was adopted from the DHCP server's leases.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Where it is in its life.
    pub state: SessionState,
    /// What AAA said.
    pub auth: AuthState,
    /// The SubscriberPolicy in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The limits in force.
    pub rates: Rates,
    /// What it moved since its start.
    pub counters: Counters,
    /// When it started.
    pub started_at: Timestamp,
    /// Length so far in milliseconds of boot time: no clock step shows in it.
    pub elapsed_ms: u64,
    /// When the lease ends, as far as the server's last ACK says.
    pub lease_expires_at: Timestamp,
    /// Set on the last event of the session only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// Acct-Terminate-Cause.
    pub cause: TerminateCause,
    /// More exactly, for people: e.g. `DHCPRELEASE`.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(down: (Option<u32>, Option<u32>), up: (Option<u32>, Option<u32>)) -> Rates {
        Rates { down_kbps: down.0, down_burst_kbit: down.1, up_kbps: up.0, up_burst_kbit: up.1 }
    }

    #[test]
    fn what_radius_grants_wins_direction_by_direction() {
        let policy = rates((Some(100), Some(10)), (Some(50), Some(5)));
        let none = (None, None);
        assert_eq!(policy.under(Rates::default()), policy);
        assert_eq!(policy.under(rates((Some(7), None), none)), rates((Some(7), None), (Some(50), Some(5))));
        assert_eq!(policy.under(rates(none, (None, Some(9)))), rates((Some(100), Some(10)), (Some(50), Some(9))));
        assert_eq!(
            policy.under(rates((Some(0), Some(3)), none)),
            rates(none, (Some(50), Some(5))),
            "zero lifts the limit"
        );
    }
}
