//! Access mode Bridged: clients on the gateway's own link, with nothing but bridges and access nodes between (RFC 2131 §4.1; RFC 3046
//! §2.1; TR-101 §3.8.2).
//!
//! The gateway is the first relay. Its giaddr is the gateway address of a pool: of the address that the client has or asks for, else
//! of the first pool. Where several pools share the link the servers have to know them as one shared network, and then give an
//! address of any of them. An answer leaves as a frame on the link, to the client alone or to all, as RFC 2131 §4.1 says.

use std::net::Ipv4Addr;

use lastmile_types::{Attachment, MacAddr, Octets, config::AccessMode};

use crate::{
    dhcp::{address_of, router_name},
    effect::{Destination, Dropped, RelayInfoEdit},
    exchange::Exchange,
    input::{DhcpKind, DhcpMessage, RelayInfo},
    machine::Machine,
    session::Path,
};

/// RFC 3046 §3.1 and §3.2.
const CIRCUIT_ID: u8 = 1;
const REMOTE_ID: u8 = 2;
/// Everybody on the link.
const EVERYBODY: Destination = Destination::Link { mac: MacAddr([0xff; 6]), ip: Ipv4Addr::BROADCAST };

impl Machine {
    /// Subscribers are on the gateway's own link.
    pub(crate) fn bridged(&self) -> bool {
        self.settings.config.access_mode == AccessMode::Bridged
    }

    /// Whether a client says here by whom it is to be heard: a relay's messages, and on the own link what is broadcast or meant for
    /// the gateway. What goes straight to a server is a renewal or a release.
    pub(crate) fn to_relay(&self, message: &DhcpMessage) -> bool {
        let to = message.destination_ip;
        if !self.bridged() {
            return !message.giaddr.is_unspecified();
        }
        let pools = &self.settings.config.pools;
        !message.giaddr.is_unspecified()
            || to.is_broadcast()
            || pools.iter().any(|pool| pool.gateway == to || pool.prefix.broadcast() == to)
    }

    /// Where a client on the link is. An access node's option 82 says it, if such nodes are trusted (RFC 3046 §2.1: only on a trusted
    /// circuit may option 82 come with giaddr 0); else the interface and the client's MAC.
    pub(crate) fn believe_link(&self, message: &DhcpMessage) -> Result<(Attachment, Path), Dropped> {
        if self.settings.own.contains(&message.giaddr) {
            return Err(Dropped::OwnGiaddr);
        }
        if !message.giaddr.is_unspecified() {
            return Err(Dropped::UntrustedGiaddr);
        }
        if message.source_mac != message.chaddr {
            return Err(Dropped::NotItsSender);
        }
        let info = self.link_info(message)?;
        let RelayInfo { circuit_id: Some(circuit_id), remote_id, raw } = info else { return Err(Dropped::NoCircuitId) };
        let giaddr = self.own_giaddr(address_of(message));
        let router = router_name(&circuit_id, &self.settings.config.routers.name_separator, giaddr);
        let attachment = Attachment {
            bng_id: self.settings.config.bng_id.clone(),
            circuit_id,
            remote_id: remote_id.unwrap_or_default(),
        };
        Ok((attachment, Path { router, giaddr, relay_info: raw, relay_mac: message.source_mac }))
    }

    fn link_info(&self, message: &DhcpMessage) -> Result<RelayInfo, Dropped> {
        match &message.relay_info {
            None => Ok(self.own_info(message.chaddr)),
            Some(_) if !self.settings.config.trust.option82 => Err(Dropped::UntrustedOption82),
            Some(info) => Ok(info.clone()),
        }
    }

    /// What the gateway says of a client of whom no access node says anything.
    fn own_info(&self, mac: MacAddr) -> RelayInfo {
        let circuit_id = Octets::from(self.settings.config.interfaces.subscriber.as_str());
        let remote_id = Octets::from(mac.to_string().as_str());
        let sub_option = |code, value: &Octets| [&[code, value.as_bytes().len() as u8], value.as_bytes()].concat(); // both are short
        let raw = [sub_option(CIRCUIT_ID, &circuit_id), sub_option(REMOTE_ID, &remote_id)].concat();
        RelayInfo { circuit_id: Some(circuit_id), remote_id: Some(remote_id), raw: raw.into() }
    }

    fn own_giaddr(&self, address: Option<Ipv4Addr>) -> Ipv4Addr {
        let pools = &self.settings.config.pools;
        let its = address.and_then(|address| pools.iter().find(|pool| pool.prefix.contains(&address)));
        its.or(pools.first()).map_or(Ipv4Addr::UNSPECIFIED, |pool| pool.gateway)
    }

    /// A client's unicast on the link is its own, from its MAC.
    pub(crate) fn of_its_sender(&self, message: &DhcpMessage) -> Result<(), Dropped> {
        match self.bridged() {
            true if message.source_mac != message.chaddr => Err(Dropped::NotItsSender),
            true => self.link_info(message).map(drop),
            false => Ok(()),
        }
    }

    /// Where the answer to a message goes that a relay made, or that is dealt with as if one had.
    pub(crate) fn way_back(&self, path: &Path) -> Destination {
        if self.bridged() { EVERYBODY } else { Destination::Relay(path.giaddr) }
    }

    /// Where the answer to a client goes that sent from its address.
    pub(crate) fn way_to_holder(&self, message: &DhcpMessage) -> Destination {
        if self.bridged() {
            Destination::Link { mac: message.chaddr, ip: message.ciaddr }
        } else {
            Destination::Client(message.ciaddr)
        }
    }

    /// What an answer on the link carries: the option of an access node, which finds its port by it; nothing of ours.
    pub(crate) fn link_info_back(&self, exchange: &Exchange, mac: MacAddr) -> RelayInfoEdit {
        if exchange.path.relay_info == self.own_info(mac).raw {
            RelayInfoEdit::Strip
        } else {
            RelayInfoEdit::Set(exchange.path.relay_info.clone())
        }
    }
}

/// Where on the link a server's answer goes (RFC 2131 §4.1): a NAK to all; to the client's address if it has one; to all if it cannot
/// take unicast yet; else to the address that it is given.
pub(crate) fn on_link(answer: &DhcpMessage) -> Destination {
    let to = |ip| Destination::Link { mac: answer.chaddr, ip };
    if answer.kind == DhcpKind::Nak {
        EVERYBODY
    } else if !answer.ciaddr.is_unspecified() {
        to(answer.ciaddr)
    } else if answer.broadcast || answer.yiaddr.is_unspecified() {
        EVERYBODY
    } else {
        to(answer.yiaddr)
    }
}
