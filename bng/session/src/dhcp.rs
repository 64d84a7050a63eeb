//! What clients and relays send: whom to believe, and what to pass on (RFC 2131, RFC 3046).

use std::{net::Ipv4Addr, slice};

use lastmile_types::{Attachment, Octets, SessionKey, config::TrustMode, session::TerminateCause};

use crate::{
    effect::{Action, Dropped, Edit, Effects, RelayInfoEdit},
    exchange::Exchange,
    input::{DhcpKind, DhcpMessage, RelayInfo, Side},
    machine::Machine,
    renewal::Holder,
    session::Path,
    time::Now,
};

/// RFC 1542 §4.1.1: a message that passed so many relays goes in circles.
const MAX_HOPS: u8 = 16;
/// RFC 6925 §5: Relay Agent Identifier sub-option.
const RELAY_ID: u8 = 12;

impl Machine {
    pub(crate) fn on_dhcp(&mut self, now: Now, message: &DhcpMessage, effects: &mut Effects) {
        match (message.side, message.kind.is_reply()) {
            (Side::Subscriber, true) => effects.drop(Dropped::ServerMessageFromAccess),
            (Side::Server, false) => effects.drop(Dropped::ClientMessageFromServer),
            (Side::Server, true) => self.on_reply(now, message, effects),
            (Side::Subscriber, false) if message.hops >= MAX_HOPS => effects.drop(Dropped::TooManyHops),
            (Side::Subscriber, false) if !self.to_relay(message) => self.on_unicast(now, message, effects),
            (Side::Subscriber, false) => match self.believe(message) {
                Ok((attachment, path)) => {
                    let class = self.class_of(message, &attachment);
                    match self.admit_message(now, class, Some(&attachment)) {
                        Ok(()) => self.on_relayed(now, message, attachment, path, effects),
                        Err(label) => effects.drop(label),
                    }
                }
                Err(label) => effects.drop(label),
            },
        }
    }

    /// Where a relayed message comes from, if it is to be believed: giaddr within our pools and not our own, sent by that relay
    /// or its router (RFC 3046 §5), which may have to be a declared one.
    fn believe(&self, message: &DhcpMessage) -> Result<(Attachment, Path), Dropped> {
        if self.bridged() {
            return self.believe_link(message);
        }
        if self.settings.own.contains(&message.giaddr) {
            return Err(Dropped::OwnGiaddr);
        }
        let pools = &self.settings.config.pools;
        let pool = pools.iter().find(|pool| pool.prefix.contains(&message.giaddr)).ok_or(Dropped::ForeignGiaddr)?;
        if message.source_ip != message.giaddr && Some(message.source_ip) != pool.next_hop {
            return Err(Dropped::NotFromItsRelay);
        }
        let info = message.relay_info.as_ref().ok_or(Dropped::NoCircuitId)?;
        let RelayInfo { circuit_id: Some(circuit_id), remote_id, raw } = info else { return Err(Dropped::NoCircuitId) };
        let attachment = Attachment {
            bng_id: self.settings.config.bng_id.clone(),
            circuit_id: circuit_id.clone(),
            remote_id: remote_id.clone().unwrap_or_default(),
        };
        let router = router_name(circuit_id, &self.settings.config.routers.name_separator, message.giaddr);
        if !self.lists(&router) {
            return Err(Dropped::UnlistedRouter);
        }
        Ok((
            attachment,
            Path { router, giaddr: message.giaddr, relay_info: raw.clone(), relay_mac: message.source_mac },
        ))
    }

    /// Whether a router of this name is believed.
    pub(crate) fn lists(&self, router: &str) -> bool {
        let trust = &self.settings.config.trust;
        trust.mode == TrustMode::Prefixes || trust.routers.iter().any(|listed| listed == router)
    }

    /// A message that a relay made, or on the own link what a relay would have made of it: everything that clients broadcast.
    fn on_relayed(
        &mut self,
        now: Now,
        message: &DhcpMessage,
        attachment: Attachment,
        path: Path,
        effects: &mut Effects,
    ) {
        if !self.bridged() {
            self.sighted(now, &attachment, &path, effects);
        }
        let key = SessionKey { attachment, mac: message.chaddr };
        match message.kind {
            DhcpKind::Discover | DhcpKind::Inform if self.draining => return effects.drop(Dropped::Draining),
            DhcpKind::Request if self.must_restart(message, &key) => {
                let server = message.server_id.unwrap_or(self.settings.config.dhcp.servers[0]);
                return self.adopt_or_refuse(now, message, server, self.way_back(&path), effects);
            }
            DhcpKind::Release | DhcpKind::Decline => return self.on_relayed_end(now, message, &key, &path, effects),
            DhcpKind::Discover | DhcpKind::Request
                if self.table.by_key(&key).is_none() && !self.may_claim(now, &key) =>
            {
                return effects.drop(Dropped::HeldDown);
            }
            _ => {}
        }
        let edit = self.towards_server(&path);
        // An INFORM is answered to the client itself, past the relay and as if there was none (RFC 2131 §4.3.5).
        let inform = message.kind == DhcpKind::Inform;
        let straight = inform && self.holds(&key, message.ciaddr);
        let exchange = Exchange {
            to: if straight { self.way_to_holder(message) } else { self.way_back(&path) },
            attachment: key.attachment,
            path,
            hostname: message.hostname.clone(),
            address: address_of(message),
            inform,
        };
        self.pass_on(now, message, exchange, edit, effects);
    }

    /// A client that is renewing (ciaddr set, RFC 2131 §4.3.2) an address whose session was ended, or any client while the
    /// gateway is drained, has to come back through DISCOVER.
    fn must_restart(&self, message: &DhcpMessage, key: &SessionKey) -> bool {
        self.draining || (!message.ciaddr.is_unspecified() && !self.holds(key, message.ciaddr))
    }

    /// Whether this client has a session with this address.
    pub(crate) fn online(&self, key: &SessionKey, ip: Ipv4Addr) -> bool {
        self.table.by_key(key).is_some_and(|session| session.ip == ip)
    }

    /// Whether this address is this client's: he has a session with it, or sleeps.
    fn holds(&self, key: &SessionKey, ip: Ipv4Addr) -> bool {
        self.online(key, ip) || self.dormants.get(ip).is_some_and(|dormant| dormant.key == *key)
    }

    /// A relay that adds option 82 to what subscribers send unicast, or a DECLINE.
    fn on_relayed_end(
        &mut self,
        now: Now,
        message: &DhcpMessage,
        key: &SessionKey,
        path: &Path,
        effects: &mut Effects,
    ) {
        let released = message.kind == DhcpKind::Release;
        let address = if released { Some(message.ciaddr) } else { message.requested_ip };
        let holder = address.and_then(|address| self.holder(address)).filter(|holder| holder.key == *key);
        let (Some(address), Some(Holder { session, server, .. })) = (address, holder) else {
            return effects.drop(Dropped::NotTheHolder);
        };
        if !released && !self.may_decline(now, &key.attachment) {
            return effects.drop(Dropped::TooManyDeclines);
        }
        effects.act(Action::ToServer { server, edit: self.towards_server(path) });
        let Some(id) = session else { return drop(self.forget(address, effects)) };
        if released {
            self.stop(now, id, TerminateCause::UserRequest, "DHCPRELEASE", effects);
        } else {
            self.stop(now, id, TerminateCause::NasRequest, "DHCPDECLINE", effects);
        }
    }

    pub(crate) fn towards_server(&self, path: &Path) -> Edit {
        Edit {
            add_hop: true,
            giaddr: Some(path.giaddr),
            relay_info: RelayInfoEdit::Set(with_relay_id(&path.relay_info, &self.settings.config.nas_identifier)),
        }
    }

    /// To the server that the client chose (option 54). A REQUEST without one (RFC 2131 §4.3.2: INIT-REBOOT, REBINDING) is for all; what
    /// begins something is for those that are in service.
    pub(crate) fn pass_on(
        &mut self,
        now: Now,
        message: &DhcpMessage,
        exchange: Exchange,
        edit: Edit,
        effects: &mut Effects,
    ) {
        if !self.exchanges.open(now.boot_ms, message.xid, message.chaddr, exchange) {
            return effects.drop(Dropped::TooManyExchanges);
        }
        let listed = &self.settings.config.dhcp.servers;
        let in_service;
        let servers = match message.server_id {
            Some(server) => match listed.iter().find(|listed| **listed == server) {
                Some(listed) => slice::from_ref(listed),
                None => return effects.drop(Dropped::UnlistedServer),
            },
            None if message.kind == DhcpKind::Request => listed,
            None => {
                in_service = self.servers.in_service(listed);
                &in_service
            }
        };
        for server in servers {
            self.servers.asked(now.boot_ms, *server, message.chaddr);
            effects.act(Action::ToServer { server: *server, edit: edit.clone() });
        }
    }
}

/// The address that the client has or wants.
pub(crate) fn address_of(message: &DhcpMessage) -> Option<Ipv4Addr> {
    message.requested_ip.or(Some(message.ciaddr)).filter(|address| !address.is_unspecified())
}

/// The circuit-id up to the separator, else the relay's address.
pub(crate) fn router_name(circuit_id: &Octets, separator: &str, giaddr: Ipv4Addr) -> String {
    let (bytes, separator) = (circuit_id.as_bytes(), separator.as_bytes());
    let place =
        (!separator.is_empty()).then(|| bytes.windows(separator.len()).position(|part| part == separator)).flatten();
    match place {
        Some(place) if place > 0 => Octets::text_of(&bytes[..place]),
        _ => giaddr.to_string(),
    }
}

/// Adds sub-option 12 (RFC 6925) unless the relay sent one or the option would have to be split for it (RFC 3396): a relay's own
/// sub-options are worth that, ours is not.
fn with_relay_id(raw: &Octets, relay_id: &str) -> Octets {
    let (all, id) = (raw.as_bytes(), relay_id.as_bytes());
    if has_sub_option(all, RELAY_ID) || all.len() + 2 + id.len() > 255 {
        return raw.clone();
    }
    [all, &[RELAY_ID, id.len() as u8], id].concat().into() // fits: see above
}

/// Undoes [`with_relay_id`], for what a relay is to get back.
pub(crate) fn without_relay_id(raw: &Octets, relay_id: &str) -> Octets {
    let ours = [&[RELAY_ID, relay_id.len() as u8], relay_id.as_bytes()].concat(); // no match if it is longer than 255
    raw.as_bytes().strip_suffix(ours.as_slice()).map_or_else(|| raw.clone(), Octets::from)
}

fn has_sub_option(mut raw: &[u8], code: u8) -> bool {
    while let [found, length, rest @ ..] = raw {
        if *found == code {
            return true;
        }
        raw = rest.get(usize::from(*length)..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routers_are_named_by_their_circuits() {
        let giaddr = Ipv4Addr::new(100, 64, 1, 1);
        assert_eq!(router_name(&"ar-01|1/1".into(), "|", giaddr), "ar-01");
        assert_eq!(router_name(&"1/1".into(), "|", giaddr), "100.64.1.1");
        assert_eq!(router_name(&"|1/1".into(), "|", giaddr), "100.64.1.1");
        assert_eq!(router_name(&Octets::from(vec![0xff, b'|']), "|", giaddr), "\\xff");
    }

    #[test]
    fn relay_id_is_added_once_and_only_where_it_fits() {
        let raw = Octets::from(&b"\x01\x01a"[..]);
        let with = with_relay_id(&raw, "bng");
        assert_eq!(with.as_bytes(), b"\x01\x01a\x0c\x03bng");
        assert_eq!(with_relay_id(&with, "bng"), with);
        assert_eq!(without_relay_id(&with, "bng"), raw);
        assert_eq!(without_relay_id(&with, "other"), with);
        let full = Octets::from([&[1, 253][..], &[0; 253]].concat());
        assert_eq!(with_relay_id(&full, "bng"), full);
    }
}
