//! What clients send past their relay, straight to the server: renewals and releases (RFC 2131 §4.3.2, §4.3.4).
//!
//! The server must see them with the giaddr and option 82 of the first exchange, or it takes the client for another one; the
//! answer goes to ciaddr, without them.

use std::net::Ipv4Addr;

use lastmile_types::{SessionId, SessionKey, session::TerminateCause};

use crate::{
    dormant::Dormant,
    effect::{Action, Dropped, Effects},
    exchange::Exchange,
    input::{DhcpKind, DhcpMessage},
    machine::Machine,
    session::{Path, Session},
    shed::Class,
    time::Now,
};

/// Whose an address is.
pub(crate) struct Holder {
    /// `None`: he sleeps.
    pub session: Option<SessionId>,
    pub key: SessionKey,
    pub path: Path,
    pub server: Ipv4Addr,
}

impl Machine {
    pub(crate) fn on_unicast(&mut self, now: Now, message: &DhcpMessage, effects: &mut Effects) {
        let known = !message.ciaddr.is_unspecified() && message.source_ip == message.ciaddr;
        if !known {
            return effects.drop(Dropped::NotRelayed);
        }
        let Some(holder) = self.holder(message.ciaddr) else {
            return self.nobodys(now, message, effects);
        };
        // The frame must come the way the session's own frames come, or anybody could end or prolong it.
        if holder.key.mac != message.chaddr || !holder.path.carries(message.source_mac) {
            return effects.drop(Dropped::NotTheHolder);
        }
        if let Err(label) = self.of_its_sender(message) {
            return effects.drop(label);
        }
        // What the relay of a session adds on the way says the same; anything else was added by somebody (RFC 3046 §2.1).
        let circuit = message.relay_info.as_ref().map(|info| info.circuit_id.as_ref());
        if circuit.is_some_and(|circuit| circuit != Some(&holder.key.attachment.circuit_id)) {
            return effects.drop(Dropped::UntrustedOption82);
        }
        if !self.lists(&holder.path.router) {
            return effects.drop(Dropped::UnlistedRouter);
        }
        let Holder { session, server, path, key } = holder;
        let (path, attachment) = (Path { relay_mac: message.source_mac, ..path }, key.attachment);
        let edit = self.towards_server(&path);
        let class = if message.kind == DhcpKind::Inform { Class::Discover } else { Class::Renewal };
        if let Err(label) = self.admit_message(now, class, Some(&attachment)) {
            return effects.drop(label);
        }
        match message.kind {
            DhcpKind::Release => {
                effects.act(Action::ToServer { server, edit });
                match session {
                    Some(id) => self.stop(now, id, TerminateCause::UserRequest, "DHCPRELEASE", effects),
                    None => drop(self.forget(message.ciaddr, effects)),
                }
            }
            DhcpKind::Request | DhcpKind::Inform => {
                let exchange = Exchange {
                    attachment,
                    path,
                    to: self.way_to_holder(message),
                    hostname: message.hostname.clone(),
                    address: Some(message.ciaddr),
                    inform: message.kind == DhcpKind::Inform,
                };
                // RENEWING carries no option 54: the packet's destination is the server; we know it from the lease. REBINDING is
                // broadcast and for all (RFC 2131 §4.3.2).
                let rebinding = message.destination_ip.is_broadcast();
                let addressed = DhcpMessage { server_id: (!rebinding).then_some(server), ..message.clone() };
                self.pass_on(now, &addressed, exchange, edit, effects);
            }
            _ => effects.drop(Dropped::NotRelayed),
        }
    }

    /// Whose an address is: a session's, or that of a subscriber who only sleeps.
    pub(crate) fn holder(&self, ip: Ipv4Addr) -> Option<Holder> {
        if let Some(Session { id, key, path, server, .. }) = self.table.by_ip(ip) {
            return Some(Holder { session: Some(*id), key: key.clone(), path: path.clone(), server: *server });
        }
        let Dormant { key, path, server, .. } = self.dormants.get(ip)?.clone();
        Some(Holder { session: None, key, path, server })
    }

    /// A renewal of an address that has no session: it was ended, or we do not know it yet.
    fn nobodys(&mut self, now: Now, message: &DhcpMessage, effects: &mut Effects) {
        let server = message.destination_ip;
        if let Err(label) = self.of_its_sender(message) {
            return effects.drop(label);
        }
        if message.relay_info.is_some() && !self.bridged() {
            return effects.drop(Dropped::UntrustedOption82);
        }
        if let Err(label) = self.admit_message(now, Class::Request, None) {
            return effects.drop(label);
        }
        if message.kind == DhcpKind::Request
            && self.in_pools(message.ciaddr)
            && self.settings.config.dhcp.servers.contains(&server)
        {
            self.adopt_or_refuse(now, message, server, self.way_to_holder(message), effects);
        } else {
            effects.drop(Dropped::NotTheHolder);
        }
    }
}
