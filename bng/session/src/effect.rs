//! What the machine wants done.

use std::net::Ipv4Addr;

use lastmile_types::{
    MacAddr, Octets, SessionId,
    config::{Enforcement, is_default},
    session::Rates,
    status::DisconnectAnswer,
};
use serde::{Serialize, Serializer};

use crate::{
    auth::AuthRequest,
    coa::{CoaUndo, ErrorCause},
    reconcile::Adoption,
    record::Record,
    session::Session,
};

/// Everything that one input leads to. The record comes first: it is written before any action is carried out.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effects {
    /// To the journal, unless it is empty.
    #[serde(skip_serializing_if = "Record::is_empty")]
    pub record: Record,
    /// Then these, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
}

impl Effects {
    /// Ready for the next input.
    pub fn clear(&mut self) {
        self.record = Record::default();
        self.actions.clear();
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn drop(&mut self, label: Dropped) {
        self.actions.push(Action::Drop(label));
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Send the message in hand to a DHCP server, port 67.
    ToServer {
        /// The server.
        server: Ipv4Addr,
        /// Changed like this.
        edit: Edit,
    },
    /// Send the message in hand back towards the client.
    Reply {
        /// The packet's source: the server's address, as the client knows it.
        from: Ipv4Addr,
        /// Where to.
        to: Destination,
        /// Changed like this.
        edit: Edit,
    },
    /// Answer the request in hand with a DHCPNAK (RFC 2131 §4.3.2).
    Nak {
        /// In whose name (option 54 and the packet's source).
        server: Ipv4Addr,
        /// Where to.
        to: Destination,
        /// For people (option 56).
        reason: &'static str,
    },
    /// The message in hand goes no further.
    Drop(Dropped),
    /// Ask AAA; answered by `Input::Auth`.
    Authenticate(Box<AuthRequest>),
    /// Open the gate.
    Admit(Admission),
    /// Close it; answered by `Input::Evicted` when nobody passes any more.
    Evict {
        /// The session.
        session: SessionId,
        /// Its address.
        ip: Ipv4Addr,
    },
    /// Remove an element that belongs to nobody.
    EvictStray {
        /// Its address.
        ip: Ipv4Addr,
    },
    /// Change the terms of an open gate (limits, their enforcement, the garden); its counters run on.
    SetLimits(Admission),
    /// Keep an address out, and notice what comes from it; again is no change.
    Watch {
        /// The address.
        ip: Ipv4Addr,
    },
    /// Notice it no more; one that is not watched is fine.
    Unwatch {
        /// The address.
        ip: Ipv4Addr,
    },
    /// Say from which watched addresses something came; answered by one `Input::Stirred` for each.
    ReadStirred,
    /// Read counters; answered by `Input::Counters`. `None` = of everybody.
    ReadCounters(Option<Ipv4Addr>),
    /// Ping a router; answered by `Input::Ping`.
    Ping {
        /// Its name.
        router: String,
        /// Its address.
        address: Ipv4Addr,
    },
    /// Ask Kea about one address; answered by `Input::Lease`. A message in hand is kept and handed in again after the answer,
    /// unless Kea gave none.
    AskLease {
        /// The address.
        ip: Ipv4Addr,
    },
    /// Ask a DHCP server for a sign of life: a DHCPINFORM in the gateway's own name (RFC 2131 §4.3.5).
    ProbeServer {
        /// The server.
        server: Ipv4Addr,
        /// Says which of its subnets is asked about.
        giaddr: Ipv4Addr,
    },
    /// Hand this in again as `Input::Adopt`.
    Adopt(Box<Adoption>),
    /// Delete a lease in Kea, if it is still this device's.
    DeleteLease {
        /// The address.
        ip: Ipv4Addr,
        /// The device.
        mac: MacAddr,
    },
    /// An order is done or refused.
    Answer {
        /// Which.
        order: u64,
        /// How.
        answer: DisconnectAnswer,
    },
    /// A CoA-Request or Disconnect-Request is done, or refused. An acknowledgement waits for the journal; and where the kernel refused
    /// what it asked for, `undo` comes back in its place.
    CoaAnswer {
        /// Which.
        order: u64,
        /// Why not.
        refused: Option<ErrorCause>,
        /// How to take the change back.
        #[serde(skip_serializing_if = "Option::is_none")]
        undo: Option<Box<CoaUndo>>,
    },
}

/// Where a reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Destination {
    /// To the relay that asked: giaddr, port 67.
    Relay(Ipv4Addr),
    /// To the client that asked by unicast: ciaddr, port 68.
    Client(Ipv4Addr),
    /// To port 68 by a frame on the subscribers' link: to one client, which may not answer ARP yet, or to all.
    Link {
        /// The frame's receiver.
        mac: MacAddr,
        /// The packet's receiver.
        ip: Ipv4Addr,
    },
}

/// What to change in a message on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    /// Count one hop (RFC 1542 §4.1.1).
    pub add_hop: bool,
    /// Put this into giaddr.
    pub giaddr: Option<Ipv4Addr>,
    /// What becomes of option 82.
    pub relay_info: RelayInfoEdit,
}

/// What becomes of option 82.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RelayInfoEdit {
    /// As it is.
    #[default]
    Keep,
    /// These sub-options instead.
    Set(Octets),
    /// None at all.
    Strip,
}

/// Whom the gate lets through, and how fast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    /// The session.
    pub session: SessionId,
    /// Its address.
    pub ip: Ipv4Addr,
    /// The client.
    pub mac: MacAddr,
    /// Whose frames carry it: the access router.
    pub relay_mac: MacAddr,
    /// The limits.
    pub rates: Rates,
    /// How they are enforced.
    #[serde(skip_serializing_if = "is_default")]
    pub enforcement: Enforcement,
    /// The policy whose walled garden is all that it reaches; `None` = everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub garden: Option<String>,
}

impl Admission {
    pub(crate) fn of(session: &Session) -> Self {
        Self {
            session: session.id,
            ip: session.ip,
            mac: session.key.mac,
            relay_mac: session.path.relay_mac,
            rates: session.terms.rates,
            enforcement: session.terms.enforcement,
            garden: session.terms.garden.clone(),
        }
    }
}

macro_rules! dropped {
    ($($(#[$doc:meta])* $variant:ident => $label:literal),* $(,)?) => {
        /// Why a message goes no further. Expected, counted by label, never an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Dropped { $($(#[$doc])* $variant),* }

        impl Dropped {
            /// The counter's stable label.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),* }
            }
        }

        impl Serialize for Dropped {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.label())
            }
        }
    };
}

dropped! {
    /// A server's message type on the subscribers' side.
    ServerMessageFromAccess => "server-message-from-access",
    /// A client's message type on the servers' side.
    ClientMessageFromServer => "client-message-from-server",
    /// A server that is not listed.
    UnlistedServer => "unlisted-server",
    /// An answer to nothing that was asked.
    Unsolicited => "unsolicited-reply",
    /// giaddr is the gateway's own.
    OwnGiaddr => "own-giaddr",
    /// giaddr is not within the pools.
    ForeignGiaddr => "foreign-giaddr",
    /// The sender is neither the relay that the message names nor its router.
    NotFromItsRelay => "not-from-its-relay",
    /// giaddr on the gateway's own link, where nobody relays.
    UntrustedGiaddr => "untrusted-giaddr",
    /// On the gateway's own link, from another MAC than chaddr.
    NotItsSender => "not-its-sender",
    /// No giaddr, and no session that it could belong to.
    NotRelayed => "not-relayed",
    /// Option 82 without giaddr, and no trusted access node (RFC 3046 §2.1).
    UntrustedOption82 => "untrusted-option-82",
    /// Only declared routers are believed, and this is none.
    UnlistedRouter => "unlisted-router",
    /// The relay named no circuit.
    NoCircuitId => "no-circuit-id",
    /// More than 16 relays.
    TooManyHops => "too-many-hops",
    /// Too many exchanges are open.
    TooManyExchanges => "too-many-exchanges",
    /// An ACK without address, lease time or within no pool.
    UselessAck => "useless-ack",
    /// A release or renewal by somebody else than the address's holder.
    NotTheHolder => "not-the-holder",
    /// A renewal without a session, while Kea is asked already or about too many.
    KeaIsAsked => "kea-is-asked",
    /// Its circuit begins too much.
    ShedDiscoverOfCircuit => "shed-discover-of-circuit",
    /// Its circuit asks too much.
    ShedRequestOfCircuit => "shed-request-of-circuit",
    /// Its circuit renews too often.
    ShedRenewalOfCircuit => "shed-renewal-of-circuit",
    /// All circuits together begin too much.
    ShedDiscover => "shed-discover",
    /// All circuits together ask too much.
    ShedRequest => "shed-request",
    /// All circuits together renew too often.
    ShedRenewal => "shed-renewal",
    /// Sessions of this circuit or device took each other's place too often; the next one waits.
    HeldDown => "held-down",
    /// More addresses are declined than a server's pool can bear.
    TooManyDeclines => "too-many-declines",
    /// A server's answer to the gateway's own question.
    ProbeAnswer => "probe-answer",
    /// No new sessions while draining.
    Draining => "draining",
}
