//! What the machine is told. Every input is serialisable: a recording of them is a bug report.

use std::net::Ipv4Addr;

use lastmile_types::{
    Counters, MacAddr, Octets, SessionId,
    config::{BngConfig, is_default},
    session::Rates,
};
use serde::{Deserialize, Serialize};

use crate::{
    coa::{CoaRequest, CoaUndo},
    reconcile::{Adoption, LeaseAnswer, LeasePage},
};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Input {
    /// The shell stands; the first input of a process. Later, the gate had to be made anew.
    Started(Started),
    /// The configuration changed.
    Config(Box<Settings>),
    /// A DHCP message was captured.
    Dhcp(Box<DhcpMessage>),
    /// AAA answered, or did not.
    Auth {
        /// Whose request it was.
        session: SessionId,
        /// Which of the session's requests it was.
        attempt: u32,
        /// The outcome.
        answer: AuthAnswer,
    },
    /// Counters were read.
    Counters(Vec<Reading>),
    /// The gate is closed for a session; with the element's final counters, unless the element was gone.
    Evicted {
        /// The session.
        session: SessionId,
        /// Final.
        counters: Option<Counters>,
    },
    /// Something came from an address that is watched ([`crate::Action::Watch`]).
    Stirred {
        /// The address.
        ip: Ipv4Addr,
    },
    /// `next_deadline` is reached.
    Timer,
    /// Somebody wants a session ended.
    Disconnect {
        /// The session.
        session: SessionId,
        /// To be named in the answer.
        order: u64,
        /// Who or why, for people.
        detail: String,
    },
    /// A CoA-Request or Disconnect-Request that may be believed.
    Coa(Box<CoaRequest>),
    /// The kernel refused what such a request changed ([`crate::Action::CoaAnswer`]); of several of one session the latest goes first.
    CoaRefused(Box<CoaUndo>),
    /// End every session and start none, until [`Input::Resume`].
    Drain,
    /// The drain is over: sessions may start again.
    Resume,
    /// A router was pinged.
    Ping {
        /// Its name.
        router: String,
        /// Round trip in microseconds; `None` = no answer.
        rtt_us: Option<u32>,
    },
    /// The gateway's own load.
    Health(Load),
    /// A page of Kea's leases.
    Leases(LeasePage),
    /// Kea was asked about one address.
    Lease {
        /// The address.
        ip: Ipv4Addr,
        /// What it said, if anything.
        answer: LeaseAnswer,
    },
    /// [`crate::Action::Adopt`] comes back, so that every start has an identity of its own.
    Adopt(Box<Adoption>),
}

/// What the shell found when it started, or in a gate that it made anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The journal was last written during this same boot of the host. False: boot times of before mean nothing now, and the
    /// kernel's state is gone.
    pub same_boot: bool,
    /// Boot time of the journal's last record, in that boot's terms.
    pub last_boot_ms: u64,
    /// The gate's elements as found in the kernel.
    pub elements: Vec<Reading>,
}

/// The configuration as the machine sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// As rendered by the operator.
    pub config: BngConfig,
    /// The node's own addresses: nobody outside may claim to relay from one.
    pub own: Vec<Ipv4Addr>,
}

/// Where a message was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// The subscribers' interface.
    Subscriber,
    /// The interface towards the DHCP servers.
    Server,
}

/// DHCP message type (option 53, RFC 2132 §9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DhcpKind {
    /// From a client.
    Discover,
    /// From a server.
    Offer,
    /// From a client.
    Request,
    /// From a client.
    Decline,
    /// From a server.
    Ack,
    /// From a server.
    Nak,
    /// From a client.
    Release,
    /// From a client.
    Inform,
}

impl DhcpKind {
    /// The type by its code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Discover,
            2 => Self::Offer,
            3 => Self::Request,
            4 => Self::Decline,
            5 => Self::Ack,
            6 => Self::Nak,
            7 => Self::Release,
            8 => Self::Inform,
            _ => return None,
        })
    }

    /// Servers send these.
    pub const fn is_reply(self) -> bool {
        matches!(self, Self::Offer | Self::Ack | Self::Nak)
    }
}

/// Option 82 (RFC 3046).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayInfo {
    /// Sub-option 1.
    pub circuit_id: Option<Octets>,
    /// Sub-option 2.
    pub remote_id: Option<Octets>,
    /// All sub-options as they came, without the option's own code and length.
    pub raw: Octets,
}

/// What the machine needs of a DHCP message (RFC 2131 §2); the shell keeps the packet itself at hand for the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DhcpMessage {
    /// Where it was captured.
    pub side: Side,
    /// Option 53.
    pub kind: DhcpKind,
    /// Transaction.
    pub xid: u32,
    /// Relays passed so far.
    pub hops: u8,
    /// The client.
    pub chaddr: MacAddr,
    /// The client's address, as it says.
    pub ciaddr: Ipv4Addr,
    /// The address given.
    pub yiaddr: Ipv4Addr,
    /// The relay's address.
    pub giaddr: Ipv4Addr,
    /// The broadcast flag: the client takes no unicast yet (RFC 2131 §4.1).
    #[serde(default, skip_serializing_if = "is_default")]
    pub broadcast: bool,
    /// Option 54.
    pub server_id: Option<Ipv4Addr>,
    /// Option 50.
    pub requested_ip: Option<Ipv4Addr>,
    /// Option 51, seconds.
    pub lease_seconds: Option<u32>,
    /// Option 82.
    pub relay_info: Option<RelayInfo>,
    /// Option 12, printable.
    pub hostname: Option<String>,
    /// The frame's sender.
    pub source_mac: MacAddr,
    /// The packet's sender.
    pub source_ip: Ipv4Addr,
    /// The packet's receiver.
    pub destination_ip: Ipv4Addr,
}

/// What came of an Access-Request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthAnswer {
    /// Access-Accept.
    Accept(Box<Grant>),
    /// Access-Reject, with its Reply-Message.
    Reject {
        /// For people; may be empty.
        message: String,
    },
    /// No server answered.
    NoAnswer,
}

/// What an Access-Accept grants; `None` = it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Grant {
    /// Filter-Id (RFC 2865 §5.11): names a policy.
    #[serde(skip_serializing_if = "is_default")]
    pub filter_id: Option<String>,
    /// Session-Timeout (RFC 2865 §5.27), seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub session_timeout_seconds: Option<u32>,
    /// Idle-Timeout (RFC 2865 §5.28), seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub idle_timeout_seconds: Option<u32>,
    /// Acct-Interim-Interval (RFC 2869 §5.16), seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub interim_seconds: Option<u32>,
    /// Framed-IP-Address (RFC 2865 §5.8).
    #[serde(skip_serializing_if = "is_default")]
    pub framed_ip: Option<Ipv4Addr>,
    /// Class (RFC 2865 §5.25), echoed in accounting, in order.
    #[serde(skip_serializing_if = "is_default")]
    pub class: Vec<Octets>,
    /// Limits that the reply itself carried; they win over the policy's.
    #[serde(skip_serializing_if = "is_default")]
    pub rates: Option<Rates>,
}

/// One element of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reading {
    /// The subscriber's address.
    pub ip: Ipv4Addr,
    /// Since the element was made.
    pub counters: Counters,
}

/// The gateway's load as the shell measured it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Cores in use since the last measurement.
    pub cpu_cores: f64,
    /// Octets.
    pub memory_bytes: u64,
    /// Since the process started.
    pub uptime_seconds: u64,
}
