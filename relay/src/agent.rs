//! The relay agent (RFC 1542 §4, RFC 3046), pure: a frame and where it was seen go in, what to send comes out.
//!
//! It keeps no table: a reply finds its port by the circuit-id that the server echoed, so nothing a subscriber sends can turn
//! somebody else's replies his way. It never looks at a message that is routed (a renewal sent straight to the server): that is
//! the kernel's.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
};

use lastmile_types::{MacAddr, relay::RelayConfig};
use lastmile_wire::{
    Drop,
    dhcp::{CLIENT_PORT, Message, MessageType, Op, SERVER_PORT},
    frame::UdpFrame,
    option82::Option82,
};

/// A port's place in the configuration.
pub type PortIndex = usize;

/// A frame, and where it was seen.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// On a subscriber's port.
    FromPort(PortIndex, UdpFrame<'a>),
    /// On the uplink.
    FromUplink(UdpFrame<'a>),
}

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A packet for the kernel to route.
    ToServer {
        /// The giaddr.
        src: SocketAddrV4,
        /// The server.
        dst: SocketAddrV4,
        /// The message.
        payload: Vec<u8>,
    },
    /// A frame out of one port.
    ToPort {
        /// The port.
        port: PortIndex,
        /// The client, or broadcast.
        dst_mac: MacAddr,
        /// The router.
        src: SocketAddrV4,
        /// The client's address, or broadcast.
        dst: SocketAddrV4,
        /// The message.
        payload: Vec<u8>,
    },
}

/// What happened how often, by a stable label.
pub type Counters = BTreeMap<&'static str, u64>;

struct Port {
    circuit_id: Vec<u8>,
    remote_id: Vec<u8>,
}

/// The agent.
pub struct Agent {
    address: Ipv4Addr,
    servers: Vec<Ipv4Addr>,
    hops_limit: u8,
    ports: Vec<Port>,
    counters: Counters,
}

/// A reason to send nothing, as a counter's label.
type Refusal = &'static str;

impl Agent {
    /// From a checked configuration.
    pub fn new(config: &RelayConfig) -> Self {
        let port = |port| Port {
            circuit_id: config.circuit_id(port).into_bytes(),
            remote_id: port.remote_id.clone().into_bytes(),
        };
        Self {
            address: config.lan.address,
            servers: config.servers.clone(),
            hops_limit: config.hops_limit,
            ports: config.ports.iter().map(port).collect(),
            counters: Counters::new(),
        }
    }

    /// What to do about a frame.
    pub fn handle(&mut self, input: Input<'_>) -> Vec<Effect> {
        let result = match input {
            Input::FromPort(port, frame) => self.relay_request(port, &frame),
            Input::FromUplink(frame) => self.relay_reply(&frame),
        };
        match result {
            Ok(effects) => effects,
            Err(refusal) => {
                self.count(refusal);
                Vec::new()
            }
        }
    }

    /// Counts a frame that was refused before it got here.
    pub fn refused(&mut self, drop: Drop) {
        self.count(drop.label());
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn relay_request(&mut self, port: PortIndex, frame: &UdpFrame<'_>) -> Result<Vec<Effect>, Refusal> {
        if frame.dport == CLIENT_PORT || frame.sport == SERVER_PORT {
            return Err("server_on_access_port");
        }
        if frame.dst != Ipv4Addr::BROADCAST && frame.dst != self.address {
            return Err("routed");
        }
        let message = Message::parse(frame.payload).map_err(Drop::label)?;
        if message.op() == Op::BootReply {
            return Err("server_on_access_port");
        }
        // Subscribers are no relays: a giaddr of theirs would send the reply elsewhere (RFC 3046 §2.1).
        if !message.giaddr().is_unspecified() {
            return Err("giaddr_on_access_port");
        }
        if message.hops() >= self.hops_limit {
            return Err("hops");
        }
        let Port { circuit_id, remote_id } = self.ports.get(port).ok_or("unknown_port")?;
        let mut edit = message.edit();
        edit.set_giaddr(self.address).set_hops(message.hops() + 1);
        edit.set_option82(&Option82::of(circuit_id, remote_id)).map_err(|_| "option82_does_not_fit")?;
        let payload = edit.into_bytes();
        let src = SocketAddrV4::new(self.address, SERVER_PORT);
        let send =
            |server| Effect::ToServer { src, dst: SocketAddrV4::new(server, SERVER_PORT), payload: payload.clone() };
        let effects = self.servers_for(&message).map(send).collect();
        if message.option82_raw().is_some() {
            self.count("option82_stripped");
        }
        self.count(message.message_type().label());
        Ok(effects)
    }

    /// The server that the client chose (option 54), when it is one of ours; else all.
    fn servers_for(&self, message: &Message<'_>) -> impl Iterator<Item = Ipv4Addr> {
        let chosen = message.server_id().filter(|server| self.servers.contains(server));
        self.servers.iter().copied().filter(move |server| chosen.is_none_or(|chosen| chosen == *server))
    }

    fn relay_reply(&mut self, frame: &UdpFrame<'_>) -> Result<Vec<Effect>, Refusal> {
        if frame.dst != self.address || frame.dport != SERVER_PORT {
            return Err("routed");
        }
        let message = Message::parse(frame.payload).map_err(Drop::label)?;
        if message.op() != Op::BootReply || message.giaddr() != self.address {
            return Err("not_for_this_relay");
        }
        let option = message.option82().map_err(Drop::label)?.ok_or("no_option82")?;
        let named = |port: &Port| {
            option.circuit_id() == Some(&port.circuit_id[..]) && option.remote_id() == Some(&port.remote_id[..])
        };
        let port = self.ports.iter().position(named).ok_or("unknown_circuit")?;
        let (dst_mac, dst) = destination(&message);
        let mut edit = message.edit();
        edit.remove_option82();
        self.count(message.message_type().label());
        Ok(vec![Effect::ToPort {
            port,
            dst_mac,
            src: SocketAddrV4::new(self.address, SERVER_PORT),
            dst: SocketAddrV4::new(dst, CLIENT_PORT),
            payload: edit.into_bytes(),
        }])
    }

    fn count(&mut self, label: &'static str) {
        *self.counters.entry(label).or_default() += 1;
    }
}

/// RFC 2131 §4.1: a NAK is broadcast; a client with an address gets it there; else the broadcast bit decides.
fn destination(message: &Message<'_>) -> (MacAddr, Ipv4Addr) {
    const BROADCAST: (MacAddr, Ipv4Addr) = (MacAddr([0xff; 6]), Ipv4Addr::BROADCAST);
    if message.message_type() == MessageType::Nak {
        BROADCAST
    } else if !message.ciaddr().is_unspecified() {
        (message.chaddr(), message.ciaddr())
    } else if message.broadcast() || message.yiaddr().is_unspecified() {
        BROADCAST
    } else {
        (message.chaddr(), message.yiaddr())
    }
}

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
