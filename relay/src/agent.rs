//! The relay agent (RFC 1542 §4, RFC 3046), pure: a frame and where it was seen go in, what to send comes out.
//!
//! A reply finds its port by the circuit-id that the server echoed, so nothing a subscriber sends can turn somebody else's replies
//! his way. What he sends straight to a server (RFC 2131 §4.3.2 RENEWING, §4.4.6 RELEASE) is relayed like everything else, with
//! giaddr and option 82: RFC 3046 §2.1 allows it, the server then identifies him as in the first exchange, and its answer comes
//! back here instead of showing him the option. The only table is of what the servers leased ([`Bindings`]).
//!
//! In mode Bridge (an access node of layer 2) a message leaves by the uplink as it came, from the client's own addresses, with
//! giaddr 0 and the port's option 82; the first relay is the gateway. Its answers name the port in the same way.

use std::{
    collections::BTreeMap,
    iter::repeat_n,
    net::{Ipv4Addr, SocketAddrV4},
    slice,
    time::Duration,
};

use lastmile_types::{
    MacAddr,
    relay::{Mode, RelayConfig},
};
use lastmile_wire::{
    Drop,
    dhcp::{CLIENT_PORT, INFINITE, Message, MessageType, Op, SERVER_PORT},
    frame::UdpFrame,
    option82::{self, CIRCUIT_ID, Option82, REMOTE_ID},
};

use crate::bindings::{Binding, Bindings};

/// A port's place in the configuration.
pub type PortIndex = usize;

/// How long a [`Effect::Prolong`] may wait: what a binding has left at least when it is only prolonged.
pub const PROLONG_WITHIN: Duration = Duration::from_secs(2);

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
    /// A frame out of the uplink, the client's own but for option 82.
    ToUplink {
        /// The client.
        src_mac: MacAddr,
        /// The gateway, or broadcast.
        dst_mac: MacAddr,
        /// The client's address, if it has one.
        src: SocketAddrV4,
        /// The server, or broadcast.
        dst: SocketAddrV4,
        /// The message.
        payload: Vec<u8>,
    },
    /// A frame out of one port.
    ToPort {
        /// The port.
        port: PortIndex,
        /// Whose frame it is; `None` = the router's.
        src_mac: Option<MacAddr>,
        /// The client, or broadcast.
        dst_mac: MacAddr,
        /// The router, or what the gateway said.
        src: SocketAddrV4,
        /// The client's address, or broadcast.
        dst: SocketAddrV4,
        /// The message.
        payload: Vec<u8>,
    },
    /// Let the kernel's source guard pass what is sent from there, for so long (`None` = for ever). Comes before the effect that
    /// tells the client.
    Bind(Binding, Option<Duration>),
    /// Let the guard, which passes it for another [`PROLONG_WITHIN`] at least, pass it for so long from now. No client waits for it.
    Prolong(Binding, Option<Duration>),
    /// Let the guard pass it no longer.
    Unbind(Binding),
}

/// What happened how often, by a stable label.
pub type Counters = BTreeMap<&'static str, u64>;

struct Port {
    circuit_id: Vec<u8>,
    remote_id: Vec<u8>,
    /// Both as the option's content.
    option82: Vec<u8>,
}

/// The agent.
pub struct Agent {
    mode: Mode,
    address: Ipv4Addr,
    servers: Vec<Ipv4Addr>,
    hops_limit: u8,
    ports: Vec<Port>,
    guard: bool,
    bindings: Bindings,
    counters: Counters,
}

/// A reason to send nothing, as a counter's label.
type Refusal = &'static str;

impl Agent {
    /// From a checked configuration.
    pub fn new(config: &RelayConfig) -> Self {
        let port = |port| {
            let circuit_id = config.circuit_id(port).unwrap_or_default().into_bytes(); // checked
            let remote_id = port.remote_id.clone().into_bytes();
            let option82 = Option82::of(&circuit_id, &remote_id).encode().unwrap_or_default(); // checked
            Port { circuit_id, remote_id, option82 }
        };
        Self {
            mode: config.mode,
            address: config.lan.address,
            servers: config.servers.clone(),
            hops_limit: config.hops_limit,
            ports: config.ports.iter().map(port).collect(),
            guard: config.source_guard,
            bindings: Bindings::default(),
            counters: Counters::new(),
        }
    }

    /// Takes over a binding that the kernel holds, with the time it has left.
    pub fn adopt(&mut self, now: Duration, binding: Binding, left: Option<Duration>) -> Vec<Effect> {
        self.bindings.bind(now, binding, left).into_iter().map(Effect::Unbind).collect()
    }

    /// What to do about a frame, at a time since any fixed moment.
    pub fn handle(&mut self, now: Duration, input: Input<'_>) -> Vec<Effect> {
        let result = match input {
            Input::FromPort(port, frame) => self.relay_request(now, port, &frame),
            Input::FromUplink(frame) => self.relay_reply(now, &frame),
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

    fn relay_request(&mut self, now: Duration, port: PortIndex, frame: &UdpFrame<'_>) -> Result<Vec<Effect>, Refusal> {
        if frame.dport == CLIENT_PORT || frame.sport == SERVER_PORT {
            return Err("server_on_access_port");
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
        let servers = self.servers_for(now, port, frame, &message)?;
        let mut effects = match self.mode {
            Mode::Route => self.route(servers, self.marked(port, &message)?),
            Mode::Bridge => vec![self.bridge(port, frame, &message)?],
        };
        effects.extend(self.given_up(port, &message).map(Effect::Unbind));
        if message.option82_raw().is_some() {
            self.count("option82_stripped");
        }
        self.count(message.message_type().label());
        Ok(effects)
    }

    fn route(&self, servers: &[Ipv4Addr], payload: Vec<u8>) -> Vec<Effect> {
        let src = SocketAddrV4::new(self.address, SERVER_PORT);
        let copies = repeat_n(payload, servers.len()).zip(servers);
        let send = |(payload, server): (_, &_)| Effect::ToServer {
            src,
            dst: SocketAddrV4::new(*server, SERVER_PORT),
            payload,
        };
        copies.map(send).collect()
    }

    /// The client's own frame. The gateway takes it only from chaddr itself, and so does this.
    fn bridge(&self, port: PortIndex, frame: &UdpFrame<'_>, message: &Message<'_>) -> Result<Effect, Refusal> {
        if frame.src_mac != message.chaddr() {
            return Err("not_its_sender");
        }
        Ok(Effect::ToUplink {
            src_mac: frame.src_mac,
            dst_mac: frame.dst_mac,
            src: SocketAddrV4::new(frame.src, frame.sport),
            dst: SocketAddrV4::new(frame.dst, frame.dport),
            payload: self.marked(port, message)?,
        })
    }

    /// Where a message goes. Broadcast: to the server that the client chose (option 54), when it is one of ours; else to all.
    /// Unicast: to the server it was sent to, if the client holds the address he sends from.
    fn servers_for(
        &self,
        now: Duration,
        port: PortIndex,
        frame: &UdpFrame<'_>,
        message: &Message<'_>,
    ) -> Result<&[Ipv4Addr], Refusal> {
        let listed = |server| self.servers.iter().find(|listed| **listed == server).map(slice::from_ref);
        if frame.dst == Ipv4Addr::BROADCAST || frame.dst == self.address {
            return Ok(message.server_id().and_then(listed).unwrap_or(&self.servers));
        }
        let server = listed(frame.dst).ok_or("unlisted_server")?;
        let binding = Binding { port, ip: message.ciaddr(), mac: message.chaddr() };
        let says_who_he_is = !binding.ip.is_unspecified() && frame.src == binding.ip && frame.src_mac == binding.mac;
        if !says_who_he_is || (self.guard && !self.bindings.holds(now, &binding)) {
            return Err("not_the_holder");
        }
        Ok(server)
    }

    /// The message with the port's option 82 in place of the client's own, and in mode Route with this relay's giaddr and one hop
    /// more: a bridge is none (RFC 3046 §2.1).
    fn marked(&self, port: PortIndex, message: &Message<'_>) -> Result<Vec<u8>, Refusal> {
        let Port { option82, .. } = self.ports.get(port).ok_or("unknown_port")?;
        let mut edit = message.edit();
        if self.mode == Mode::Route {
            edit.set_giaddr(self.address).set_hops(message.hops() + 1);
        }
        edit.set_option82_raw(option82).map_err(|_| "option82_does_not_fit")?;
        Ok(edit.into_bytes())
    }

    /// What a client says he will not use any more: RELEASE (ciaddr), DECLINE (option 50).
    fn given_up(&mut self, port: PortIndex, message: &Message<'_>) -> Option<Binding> {
        let ip = match message.message_type() {
            MessageType::Release => message.ciaddr(),
            MessageType::Decline => message.requested_ip()?,
            _ => return None,
        };
        let binding = Binding { port, ip, mac: message.chaddr() };
        self.bindings.unbind(&binding).then_some(binding)
    }

    fn relay_reply(&mut self, now: Duration, frame: &UdpFrame<'_>) -> Result<Vec<Effect>, Refusal> {
        let ours = match self.mode {
            Mode::Route => frame.dst == self.address && frame.dport == SERVER_PORT,
            Mode::Bridge => frame.dport == CLIENT_PORT,
        };
        if !ours {
            return Err("routed");
        }
        let message = Message::parse(frame.payload).map_err(Drop::label)?;
        if message.op() != Op::BootReply || message.giaddr() != self.giaddr() {
            return Err("not_for_this_relay");
        }
        if !self.servers.contains(&frame.src) {
            return Err("unlisted_server");
        }
        let option = message.option82_raw().ok_or("no_option82")?;
        option82::subs(&option).try_for_each(|sub| sub.map(drop)).map_err(Drop::label)?;
        let (circuit, remote) = (option82::first(&option, CIRCUIT_ID), option82::first(&option, REMOTE_ID));
        let named = |port: &Port| circuit == Some(&port.circuit_id[..]) && remote == Some(&port.remote_id[..]);
        let port = self.ports.iter().position(named).ok_or("unknown_circuit")?;
        let (dst_mac, dst) = match self.mode {
            Mode::Route => destination(&message),
            Mode::Bridge => (frame.dst_mac, frame.dst), // the gateway chose it by the same rule
        };
        let (src_mac, src) = match self.mode {
            Mode::Route => (None, self.address),
            Mode::Bridge => (Some(frame.src_mac), frame.src),
        };
        let mut edit = message.edit();
        edit.remove_option82();
        self.count(message.message_type().label());
        let mut effects = Vec::with_capacity(2);
        self.leased(now, port, &message, &mut effects);
        effects.push(Effect::ToPort {
            port,
            src_mac,
            dst_mac,
            src: SocketAddrV4::new(src, SERVER_PORT),
            dst: SocketAddrV4::new(dst, CLIENT_PORT),
            payload: edit.into_bytes(),
        });
        Ok(effects)
    }

    /// What an answer for this relay carries.
    fn giaddr(&self) -> Ipv4Addr {
        match self.mode {
            Mode::Route => self.address,
            Mode::Bridge => Ipv4Addr::UNSPECIFIED,
        }
    }

    /// What an ACK leases. The answer to an INFORM leases nothing: it has neither yiaddr nor a lease time (RFC 2131 §4.3.5).
    fn leased(&mut self, now: Duration, port: PortIndex, message: &Message<'_>, effects: &mut Vec<Effect>) {
        let (MessageType::Ack, ip, Some(seconds)) = (message.message_type(), message.yiaddr(), message.lease_seconds())
        else {
            return;
        };
        if ip.is_unspecified() {
            return;
        }
        let binding = Binding { port, ip, mac: message.chaddr() };
        let lease = (seconds != INFINITE).then(|| Duration::from_secs(seconds.into()));
        let bind = if self.bindings.holds(now + PROLONG_WITHIN, &binding) { Effect::Prolong } else { Effect::Bind };
        let displaced = self.bindings.bind(now, binding, lease);
        effects.extend(displaced.into_iter().map(Effect::Unbind).chain([bind(binding, lease)]));
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
