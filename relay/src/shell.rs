//! The sockets around the agent: one task per interface receives, all of them on one thread, so the agent needs no lock.

use std::{cell::RefCell, io, rc::Rc, time::Duration};

use anyhow::{Context, Result, anyhow};
use lastmile_netio::{
    capture::{Batch, Capture, Captured, Filter, FrameSender},
    links::Links,
    rawip::RawIp,
};
use lastmile_types::{MacAddr, relay::RelayConfig};
use lastmile_wire::{
    Drop,
    dhcp::SERVER_PORT,
    frame::{self, Checksum, UdpFrame},
};
use socket2::{Domain, SockFilter, Socket, Type};
use tokio::task::JoinSet;

use crate::agent::{Agent, Effect, Input, PortIndex};

/// How long a receiver rests when its interface went down.
const REST: Duration = Duration::from_millis(500);

/// The relay at work.
pub struct Shell {
    agent: RefCell<Agent>,
    mac: MacAddr,
    servers: RawIp,
    ports: Vec<FrameSender>,
    /// Occupies the relay's port; see [`occupy_port`].
    _port: Socket,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Port(PortIndex),
    Uplink,
}

impl Shell {
    /// Opens everything and starts receiving; what ends in `tasks` ended by an error. Needs a `LocalSet`.
    pub async fn start(config: &RelayConfig, tasks: &mut JoinSet<Result<()>>) -> Result<Rc<Self>> {
        let lan = Links::open()?.get(&config.lan.interface).await?;
        let lan = lan.ok_or_else(|| anyhow!("there is no interface {}", config.lan.interface))?;
        let mut receivers = vec![(Place::Uplink, capture(&config.uplink.interface, Filter::DhcpFromServers)?)];
        let mut ports = Vec::new();
        for (index, port) in config.ports.iter().enumerate() {
            receivers.push((Place::Port(index), capture(&port.interface, Filter::Dhcp)?));
            ports.push(FrameSender::open(&port.interface)?);
        }
        let shell = Rc::new(Self {
            agent: RefCell::new(Agent::new(config)),
            mac: lan.mac,
            servers: RawIp::open()?,
            ports,
            _port: occupy_port(config)?,
        });
        for (place, capture) in receivers {
            tasks.spawn_local(shell.clone().receive(place, capture));
        }
        Ok(shell)
    }

    /// What happened so far, for a log's line.
    pub fn report(&self) -> String {
        let agent = self.agent.borrow();
        agent.counters().iter().map(|(label, count)| format!("{label}={count}")).collect::<Vec<_>>().join(" ")
    }

    async fn receive(self: Rc<Self>, place: Place, capture: Capture) -> Result<()> {
        let mut batch = Batch::new();
        loop {
            match capture.recv(&mut batch).await {
                Ok(_) => self.handle(place, &batch),
                // It may come back; until then there is nothing to receive.
                Err(error) if error.kind() == io::ErrorKind::NetworkDown => tokio::time::sleep(REST).await,
                Err(error) => return Err(error).with_context(|| format!("capturing on {place:?}")),
            }
        }
    }

    fn handle(&self, place: Place, batch: &Batch) {
        let mut agent = self.agent.borrow_mut();
        let mut effects = Vec::new();
        for captured in batch.frames() {
            match (parse(&captured), place) {
                (Ok(frame), Place::Port(port)) => effects.extend(agent.handle(Input::FromPort(port, frame))),
                (Ok(frame), Place::Uplink) => effects.extend(agent.handle(Input::FromUplink(frame))),
                (Err(drop), _) => agent.refused(drop),
            }
        }
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    fn carry_out(&self, effect: Effect) {
        tracing::trace!(?effect);
        let sent = match effect {
            Effect::ToServer { src, dst, payload } => frame::packet(src, dst, &payload)
                .map_err(io::Error::other)
                .and_then(|packet| self.servers.send(&[packet])),
            Effect::ToPort { port, dst_mac, src, dst, payload } => {
                frame::ethernet(self.mac, dst_mac, src, dst, &payload)
                    .map_err(io::Error::other)
                    .and_then(|frame| self.ports[port].send(&[frame]))
            }
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a message could not be sent; the client will repeat it");
        }
    }
}

fn parse<'a>(captured: &Captured<'a>) -> Result<UdpFrame<'a>, Drop> {
    let checksum = if captured.checksum_ready { Checksum::Verify } else { Checksum::Unfinished };
    frame::parse(captured.bytes, checksum)
}

fn capture(interface: &str, filter: Filter) -> Result<Capture> {
    Capture::open(interface, filter).with_context(|| format!("cannot capture on {interface}"))
}

/// Replies are captured on the uplink, where a subscriber cannot forge them. The kernel sees them too: a socket that takes and
/// discards them keeps it from calling the port unreachable.
fn occupy_port(config: &RelayConfig) -> Result<Socket> {
    let address = std::net::SocketAddrV4::new(config.lan.address, SERVER_PORT);
    let open = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        const RETURN: u16 = 0x06; // BPF_RET | BPF_K: keep 0 octets
        socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])?;
        socket.bind(&address.into())?;
        Ok(socket)
    };
    open()
        .map_err(|error: io::Error| error)
        .with_context(|| format!("cannot occupy UDP {address}: is another relay running?"))
}
