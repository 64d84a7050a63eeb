//! What DHCP servers answer.

use std::net::Ipv4Addr;

use lastmile_types::{SessionKey, session::TerminateCause};

use crate::{
    bridged::on_link,
    effect::{Action, Destination, Dropped, Edit, Effects, RelayInfoEdit},
    exchange::Exchange,
    input::{DhcpKind, DhcpMessage},
    life::Lease,
    machine::Machine,
    renewal::Holder,
    servers::PROBE_MAC,
    time::Now,
};

impl Machine {
    pub(crate) fn on_reply(&mut self, now: Now, message: &DhcpMessage, effects: &mut Effects) {
        let servers = &self.settings.config.dhcp.servers;
        let server = message.server_id.unwrap_or(message.source_ip);
        if !servers.contains(&message.source_ip) || !servers.contains(&server) {
            return effects.drop(Dropped::UnlistedServer);
        }
        self.servers.heard(message.source_ip);
        if message.chaddr == PROBE_MAC {
            return effects.drop(Dropped::ProbeAnswer);
        }
        let Some(exchange) = self.exchanges.find(now.boot_ms, message.xid, message.chaddr).cloned() else {
            return effects.drop(Dropped::Unsolicited);
        };
        match message.kind {
            DhcpKind::Ack if !exchange.inform => {
                let reply = self.reply(server, message, &exchange);
                let Some(lease) = self.lease(message, exchange, server) else {
                    return effects.drop(Dropped::UselessAck);
                };
                self.exchanges.close(message.xid, message.chaddr);
                if !self.online(&lease.key, lease.ip) && !self.claim(now, &lease.key) {
                    return effects.drop(Dropped::HeldDown);
                }
                effects.act(reply);
                self.on_lease(now, lease, effects);
            }
            DhcpKind::Ack => {
                self.exchanges.close(message.xid, message.chaddr);
                effects.act(self.reply(server, message, &exchange));
            }
            DhcpKind::Nak => {
                self.exchanges.close(message.xid, message.chaddr);
                effects.act(self.reply(server, message, &exchange));
                self.refused(now, message, exchange, effects);
            }
            _ => effects.act(self.reply(server, message, &exchange)),
        }
    }

    fn lease(&self, message: &DhcpMessage, exchange: Exchange, server: Ipv4Addr) -> Option<Lease> {
        let ip = message.yiaddr;
        let seconds = message.lease_seconds.filter(|seconds| *seconds > 0)?;
        let ours = self.settings.config.pools.iter().any(|pool| pool.prefix.contains(&ip) && pool.gateway != ip);
        ours.then_some(Lease {
            key: SessionKey { attachment: exchange.attachment, mac: message.chaddr },
            ip,
            seconds,
            server,
            path: exchange.path,
            hostname: exchange.hostname,
            adopted: false,
        })
    }

    /// A NAK of the session's own address ends it, and a sleeper's sleep; of another address, only the attempt.
    fn refused(&mut self, now: Now, message: &DhcpMessage, exchange: Exchange, effects: &mut Effects) {
        let key = SessionKey { attachment: exchange.attachment, mac: message.chaddr };
        let own = exchange.address.and_then(|ip| Some((ip, self.holder(ip)?))).filter(|(_, holder)| holder.key == key);
        match own {
            Some((_, Holder { session: Some(id), .. })) => {
                self.stop(now, id, TerminateCause::NasRequest, "DHCPNAK", effects);
            }
            Some((ip, Holder { session: None, .. })) => drop(self.forget(ip, effects)),
            None => {}
        }
    }

    /// Back the way the request came, without what we added.
    fn reply(&self, from: Ipv4Addr, message: &DhcpMessage, exchange: &Exchange) -> Action {
        let unrelayed = |relay_info| Edit { giaddr: Some(Ipv4Addr::UNSPECIFIED), relay_info, ..Edit::default() };
        let (to, edit) = match exchange.to {
            Destination::Relay(_) => {
                let relay_info = RelayInfoEdit::Set(exchange.path.relay_info.clone());
                (exchange.to, Edit { relay_info, ..Edit::default() })
            }
            Destination::Client(_) => (exchange.to, unrelayed(RelayInfoEdit::Strip)),
            Destination::Link { .. } => (on_link(message), unrelayed(self.link_info_back(exchange, message.chaddr))),
        };
        Action::Reply { from, to, edit }
    }
}
