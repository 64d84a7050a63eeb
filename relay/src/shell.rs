//! The sockets and the kernel's source guard around the agent: one task per interface receives, all of them on one thread, so the agent needs no lock.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    net::Ipv4Addr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use lastmile_netio::{
    capture::{Batch, Capture, Captured, Filter, FrameSender},
    guard::{self, Change, Guard, GuardConfig},
    links::Links,
    rawip::RawIp,
};
use lastmile_types::{
    MacAddr,
    relay::{Mode, RelayConfig},
};
use lastmile_wire::{
    Drop,
    dhcp::SERVER_PORT,
    frame::{self, Checksum, UdpFrame},
};
use socket2::{Domain, SockFilter, Socket, Type};
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    agent::{Agent, Effect, Input, PROLONG_WITHIN, PortIndex},
    bindings::Binding,
};

/// How long a receiver rests when its interface went down.
const REST: Duration = Duration::from_millis(500);

/// The relay at work.
pub struct Shell {
    agent: RefCell<Agent>,
    guard: RefCell<Guard>,
    /// What the guard is to prolong, by address, and until when (`None` = for ever): many renewals are one transaction.
    prolonged: RefCell<BTreeMap<Ipv4Addr, (Binding, Option<Duration>)>>,
    /// Said with the first of them.
    gathering: Notify,
    /// The agent's time counts from here.
    start: Instant,
    names: Vec<String>,
    mac: MacAddr,
    servers: RawIp,
    ports: Vec<FrameSender>,
    uplink: FrameSender,
    /// Occupies the relay's port where it has one; see [`occupy_port`].
    _port: Option<Socket>,
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
        let names: Vec<String> = config.ports.iter().map(|port| port.interface.clone()).collect();
        let (agent, guard) = adopt(config, &names)?;
        let shell = Rc::new(Self {
            agent: RefCell::new(agent),
            guard: RefCell::new(guard),
            prolonged: RefCell::default(),
            gathering: Notify::new(),
            start: Instant::now(),
            names,
            mac: lan.mac,
            servers: RawIp::open()?,
            ports,
            uplink: FrameSender::open(&config.uplink.interface)?,
            _port: (config.mode == Mode::Route).then(|| occupy_port(config)).transpose()?,
        });
        for (place, capture) in receivers {
            tasks.spawn_local(shell.clone().receive(place, capture));
        }
        tasks.spawn_local(shell.clone().gather());
        Ok(shell)
    }

    /// Has the guard prolong what is gathered.
    pub fn prolong(&self) {
        let now = self.start.elapsed();
        let prolonged = std::mem::take(&mut *self.prolonged.borrow_mut()).into_values();
        let left = prolonged.map(|(binding, until)| (binding, until.map(|until| until.saturating_sub(now))));
        let changes = left.filter_map(|(binding, left)| Some(Change::Bind(named(&self.names, &binding)?, left)));
        self.change(&changes.collect::<Vec<_>>());
    }

    /// What happened so far, for a log's line.
    pub fn report(&self) -> String {
        let agent = self.agent.borrow();
        let drops = self.guard.borrow_mut().drops().unwrap_or_default();
        let decided = agent.counters().iter().map(|(label, count)| format!("{label}={count}"));
        let dropped = drops.iter().map(|(label, count)| format!("kernel_drop_{label}={count}"));
        decided.chain(dropped).collect::<Vec<_>>().join(" ")
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
        let now = self.start.elapsed();
        let mut agent = self.agent.borrow_mut();
        let mut effects = Vec::new();
        for captured in batch.frames() {
            match (parse(&captured), place) {
                (Ok(frame), Place::Port(port)) => effects.extend(agent.handle(now, Input::FromPort(port, frame))),
                (Ok(frame), Place::Uplink) => effects.extend(agent.handle(now, Input::FromUplink(frame))),
                (Err(drop), _) => agent.refused(drop),
            }
        }
        // The guard first, in one transaction: a client that reads its ACK may send.
        let changes: Vec<Change> = effects.iter().filter_map(|effect| self.guarded(now, effect)).collect();
        self.change(&changes);
        effects.into_iter().for_each(|effect| self.send(effect));
    }

    /// What the guard has to do at once; a prolonged binding is kept for later, until something else becomes of its address.
    fn guarded(&self, now: Duration, effect: &Effect) -> Option<Change> {
        let mut prolonged = self.prolonged.borrow_mut();
        match effect {
            Effect::Prolong(binding, lease) => {
                if prolonged.is_empty() {
                    self.gathering.notify_one();
                }
                prolonged.insert(binding.ip, (*binding, lease.map(|lease| now + lease)));
                None
            }
            Effect::Bind(binding, _) | Effect::Unbind(binding) => {
                prolonged.remove(&binding.ip);
                change(&self.names, effect)
            }
            Effect::ToServer { .. } | Effect::ToUplink { .. } | Effect::ToPort { .. } => None,
        }
    }

    async fn gather(self: Rc<Self>) -> Result<()> {
        loop {
            self.gathering.notified().await;
            tokio::time::sleep(PROLONG_WITHIN / 2).await;
            self.prolong();
        }
    }

    fn change(&self, changes: &[Change]) {
        if let Err(error) = self.guard.borrow_mut().apply(changes) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(
                error,
                "the kernel refused a change of the source guard; a subscriber stays shut out until the next ACK: compare \
                 `nft list table netdev lastmile_relay` with the leases"
            );
        }
    }

    fn send(&self, effect: Effect) {
        tracing::trace!(?effect);
        let sent = match effect {
            Effect::Bind(..) | Effect::Prolong(..) | Effect::Unbind(_) => return,
            Effect::ToServer { src, dst, payload } => frame::packet(src, dst, &payload)
                .map_err(io::Error::other)
                .and_then(|packet| self.servers.send(&[packet])),
            Effect::ToUplink { src_mac, dst_mac, src, dst, payload } => {
                frame::ethernet(src_mac, dst_mac, src, dst, &payload)
                    .map_err(io::Error::other)
                    .and_then(|frame| self.uplink.send(&[frame]))
            }
            Effect::ToPort { port, src_mac, dst_mac, src, dst, payload } => {
                frame::ethernet(src_mac.unwrap_or(self.mac), dst_mac, src, dst, &payload)
                    .map_err(io::Error::other)
                    .and_then(|frame| self.ports[port].send(&[frame]))
            }
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a message could not be sent; the client will repeat it");
        }
    }
}

/// The kernel's source guard, and an agent that knows what it holds.
fn adopt(config: &RelayConfig, names: &[String]) -> Result<(Agent, Guard)> {
    let uplink = (config.mode == Mode::Bridge).then(|| config.uplink.interface.clone());
    let wanted = GuardConfig { ports: names.to_vec(), uplink, enforce: config.source_guard };
    let (mut guard, bindings) = Guard::open(&wanted).context("cannot set up the source guard")?;
    let (mut agent, mut changes, count) = (Agent::new(config), Vec::new(), bindings.len());
    for (binding, left) in bindings {
        let Some(port) = names.iter().position(|name| *name == binding.port) else {
            changes.push(Change::Unbind(binding)); // no port of ours any more
            continue;
        };
        let effects = agent.adopt(Duration::ZERO, Binding { port, ip: binding.ip, mac: binding.mac }, left);
        changes.extend(effects.iter().filter_map(|effect| change(names, effect)));
    }
    guard.apply(&changes).context("cannot clear the source guard of what is no longer bound")?;
    tracing::info!(enforced = config.source_guard, adopted = count, "source guard");
    Ok((agent, guard))
}

fn change(names: &[String], effect: &Effect) -> Option<Change> {
    match effect {
        Effect::Bind(binding, lease) | Effect::Prolong(binding, lease) => {
            Some(Change::Bind(named(names, binding)?, *lease))
        }
        Effect::Unbind(binding) => Some(Change::Unbind(named(names, binding)?)),
        Effect::ToServer { .. } | Effect::ToUplink { .. } | Effect::ToPort { .. } => None,
    }
}

fn named(names: &[String], binding: &Binding) -> Option<guard::Binding> {
    let port = names.get(binding.port)?.clone();
    Some(guard::Binding { port, ip: binding.ip, mac: binding.mac })
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
