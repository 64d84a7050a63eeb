//! Clients on the gateway's own link.

use std::net::Ipv4Addr;

use lastmile_session::*;

use super::{GIADDR, KEA, World, address, settings};

/// A gateway of access mode Bridged with two pools, .1.0/24 and .2.0/24.
pub fn bridged(trusted: bool) -> World {
    let mut settings = settings();
    let config = &mut settings.config;
    config.access_mode = lastmile_types::config::AccessMode::Bridged;
    config.pools[0].next_hop = None;
    config.pools.push(lastmile_types::config::Pool {
        prefix: "100.64.2.0/24".parse().unwrap(),
        gateway: [100, 64, 2, 1].into(),
        next_hop: None,
    });
    config.trust.option82 = trusted;
    config.check().unwrap();
    settings.own = vec![GIADDR, [100, 64, 2, 1].into()];
    World::with(settings)
}

impl World {
    /// A broadcast; an access node put option 82 on it, or nobody did (port 0).
    pub fn on_link(&self, kind: DhcpKind, port: u8, mac: u8) -> DhcpMessage {
        let client = self.client(kind, port, mac);
        DhcpMessage {
            giaddr: Ipv4Addr::UNSPECIFIED,
            hops: 0,
            relay_info: client.relay_info.filter(|_| port > 0),
            source_mac: client.chaddr,
            source_ip: Ipv4Addr::UNSPECIFIED,
            destination_ip: Ipv4Addr::BROADCAST,
            ..client
        }
    }

    /// From the client's address straight to the server.
    pub fn holders(&self, kind: DhcpKind, port: u8, ip: u8, mac: u8) -> DhcpMessage {
        DhcpMessage {
            ciaddr: address(ip),
            source_ip: address(ip),
            destination_ip: KEA,
            ..self.on_link(kind, port, mac)
        }
    }

    /// A whole DISCOVER … ACK.
    pub fn link_dora(&mut self, port: u8, ip: u8, mac: u8) {
        self.next_xid();
        self.dhcp(self.on_link(DhcpKind::Discover, port, mac));
        self.dhcp(self.server(DhcpKind::Offer, ip, mac));
        let request = self.on_link(DhcpKind::Request, port, mac);
        self.dhcp(DhcpMessage { requested_ip: Some(address(ip)), server_id: Some(KEA), ..request });
        self.dhcp(self.server(DhcpKind::Ack, ip, mac));
    }

    pub fn link_online(&mut self, port: u8, ip: u8, mac: u8) -> lastmile_types::SessionId {
        self.link_dora(port, ip, mac);
        self.accept("gold").expect("an Access-Request")
    }

    pub fn link_renewal(&mut self, port: u8, ip: u8, mac: u8) {
        self.next_xid();
        self.dhcp(self.holders(DhcpKind::Request, port, ip, mac));
        self.dhcp(DhcpMessage { ciaddr: address(ip), ..self.server(DhcpKind::Ack, ip, mac) });
    }
}
