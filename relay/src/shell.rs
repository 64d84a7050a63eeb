//! The sockets and the kernel's source guard around the agent, on one thread: it waits for all interfaces at once, hands the agent what
//! came on any of them, and does what that led to together: one transaction with the guard, one call to the servers, one to the ports.

use std::{
    collections::BTreeMap,
    io,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use lastmile_netio::{
    capture::{BATCH, Batch, Captured, Filter, PortSender, Tap},
    guard::{self, Change, Guard, GuardConfig},
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
use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        signal::Signal,
        signalfd::SignalFd,
    },
};
use socket2::{Domain, SockFilter, Socket, Type};

use crate::{
    agent::{Agent, Effect, Input, PROLONG_WITHIN, PortIndex},
    bindings::Binding,
};

/// The relay at work.
pub struct Shell {
    agent: Agent,
    guard: Guard,
    /// What the guard is to prolong, by address, and until when (`None` = for ever): many renewals are one transaction.
    prolonged: BTreeMap<Ipv4Addr, (Binding, Option<Duration>)>,
    /// When it is told of them.
    prolong_at: Option<Duration>,
    /// What the agent said since the last [`Shell::settle`].
    effects: Vec<Effect>,
    /// The agent's time counts from here.
    start: Instant,
    names: Vec<String>,
    mac: MacAddr,
    servers: RawIp,
    /// Out of the ports, and at the last place out of the uplink.
    frames: PortSender,
    taps: Vec<(Place, Tap)>,
    /// Says which tap has frames, by its place, and after the last one whether there are signals.
    epoll: Epoll,
    signals: SignalFd,
    /// Occupies the relay's port where it has one; see [`occupy_port`].
    _port: Option<Socket>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Port(PortIndex),
    Uplink,
}

impl Shell {
    /// Opens everything and starts receiving. `mac` is the router's towards the subscribers.
    pub fn open(config: &RelayConfig, mac: MacAddr, signals: SignalFd) -> Result<Self> {
        let names: Vec<String> = config.ports.iter().map(|port| port.interface.clone()).collect();
        let mut taps = Vec::new();
        for (index, name) in names.iter().enumerate() {
            taps.push((Place::Port(index), tap(name, Filter::Dhcp)?));
        }
        taps.push((Place::Uplink, tap(&config.uplink.interface, Filter::DhcpFromServers)?));
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = |place: usize| EpollEvent::new(EpollFlags::EPOLLIN, place as u64);
        for (place, (_, tap)) in taps.iter().enumerate() {
            epoll.add(tap, readable(place))?;
        }
        epoll.add(&signals, readable(taps.len()))?;
        let (agent, guard) = adopt(config, &names)?;
        let interfaces: Vec<&String> = names.iter().chain([&config.uplink.interface]).collect();
        Ok(Self {
            agent,
            guard,
            prolonged: BTreeMap::new(),
            prolong_at: None,
            effects: Vec::new(),
            start: Instant::now(),
            mac,
            servers: RawIp::open()?,
            frames: PortSender::open(&interfaces)?,
            names,
            taps,
            epoll,
            signals,
            _port: (config.mode == Mode::Route).then(|| occupy_port(config)).transpose()?,
        })
    }

    /// Relays until a signal other than SIGUSR1, which logs the counters.
    pub fn run(&mut self) -> Result<()> {
        let (mut events, mut batch) = ([EpollEvent::empty(); BATCH], Batch::new());
        loop {
            let count = match self.epoll.wait(&mut events, self.patience()) {
                Err(Errno::EINTR) => 0,
                count => count?,
            };
            for event in &events[..count] {
                let place = event.data() as usize;
                if place < self.taps.len() {
                    self.receive(place, &mut batch)?;
                } else if self.ended()? {
                    return Ok(());
                }
            }
            self.settle();
            if self.prolong_at.is_some_and(|at| at <= self.start.elapsed()) {
                self.prolong();
            }
        }
    }

    /// Has the guard prolong what is gathered.
    pub fn prolong(&mut self) {
        self.prolong_at = None;
        let now = self.start.elapsed();
        let prolonged = std::mem::take(&mut self.prolonged).into_values();
        let left = prolonged.map(|(binding, until)| (binding, until.map(|until| until.saturating_sub(now))));
        let changes: Vec<Change> =
            left.filter_map(|(binding, left)| Some(Change::Bind(named(&self.names, &binding)?, left))).collect();
        self.change(&changes);
    }

    /// What happened so far, for a log's line.
    pub fn report(&mut self) -> String {
        let drops = self.guard.drops().unwrap_or_default();
        let decided = self.agent.counters().iter().map(|(label, count)| format!("{label}={count}"));
        let dropped = drops.iter().map(|(label, count)| format!("kernel_drop_{label}={count}"));
        decided.chain(dropped).collect::<Vec<_>>().join(" ")
    }

    /// How long there may be nothing to do.
    fn patience(&self) -> EpollTimeout {
        let Some(at) = self.prolong_at else { return EpollTimeout::NONE };
        // Whole milliseconds, rounded up: it must not wake for nothing.
        let left = at.saturating_sub(self.start.elapsed()) + Duration::from_millis(1);
        EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
    }

    /// Whether a signal says so.
    fn ended(&mut self) -> Result<bool> {
        while let Some(signal) = self.signals.read_signal()? {
            if signal.ssi_signo != Signal::SIGUSR1 as u32 {
                return Ok(true);
            }
            tracing::info!(counters = self.report(), "counters");
        }
        Ok(false)
    }

    fn receive(&mut self, place: usize, batch: &mut Batch) -> Result<()> {
        let (place, ref tap) = self.taps[place];
        match tap.receive(batch) {
            Ok(_) => self.handle(place, batch),
            // The next round asks again; an interface that is down may come back, and until then there is nothing to receive.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NetworkDown) => {}
            Err(error) => return Err(error).with_context(|| format!("capturing on {place:?}")),
        }
        Ok(())
    }

    fn handle(&mut self, place: Place, batch: &Batch) {
        let now = self.start.elapsed();
        for captured in batch.frames() {
            match (parse(&captured), place) {
                (Ok(frame), Place::Port(port)) => {
                    self.effects.extend(self.agent.handle(now, Input::FromPort(port, frame)))
                }
                (Ok(frame), Place::Uplink) => self.effects.extend(self.agent.handle(now, Input::FromUplink(frame))),
                (Err(drop), _) => self.agent.refused(drop),
            }
        }
        if self.effects.len() >= BATCH {
            self.settle();
        }
    }

    /// Carries out what the agent said: the guard first, in one transaction, for a client that reads its ACK may send.
    fn settle(&mut self) {
        let (now, effects) = (self.start.elapsed(), std::mem::take(&mut self.effects));
        let changes: Vec<Change> = effects.iter().filter_map(|effect| self.guarded(now, effect)).collect();
        self.change(&changes);
        let (mut packets, mut frames) = (Vec::new(), Vec::new());
        for effect in &effects {
            tracing::trace!(?effect);
            match *effect {
                Effect::Bind(..) | Effect::Prolong(..) | Effect::Unbind(_) => {}
                Effect::ToServer { src, dst, ref payload } => packets.extend(frame::packet(src, dst, payload)),
                Effect::ToUplink { src_mac, dst_mac, src, dst, ref payload } => {
                    let frame = frame::ethernet(src_mac, dst_mac, src, dst, payload);
                    frames.extend(frame.map(|frame| (self.names.len(), frame)));
                }
                Effect::ToPort { port, src_mac, dst_mac, src, dst, ref payload } => {
                    let frame = frame::ethernet(src_mac.unwrap_or(self.mac), dst_mac, src, dst, payload);
                    frames.extend(frame.map(|frame| (port, frame)));
                }
            }
        }
        send_all(&packets, |rest| self.servers.send(rest));
        send_all(&frames, |rest| self.frames.send(rest));
    }

    /// What the guard has to do at once; a prolonged binding is kept for later, until something else becomes of its address.
    fn guarded(&mut self, now: Duration, effect: &Effect) -> Option<Change> {
        match effect {
            Effect::Prolong(binding, lease) => {
                self.prolong_at.get_or_insert(now + PROLONG_WITHIN / 2);
                self.prolonged.insert(binding.ip, (*binding, lease.map(|lease| now + lease)));
                None
            }
            Effect::Bind(binding, _) | Effect::Unbind(binding) => {
                self.prolonged.remove(&binding.ip);
                change(&self.names, effect)
            }
            Effect::ToServer { .. } | Effect::ToUplink { .. } | Effect::ToPort { .. } => None,
        }
    }

    fn change(&mut self, changes: &[Change]) {
        if let Err(error) = self.guard.apply(changes) {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(
                error,
                "the kernel refused a change of the source guard; a subscriber stays shut out until the next ACK: compare \
                 `nft list table netdev lastmile_relay` with the leases"
            );
        }
    }
}

/// Sends everything; one that is refused (no route, a port that is down) keeps no other up.
fn send_all<T>(mut rest: &[T], send: impl Fn(&[T]) -> io::Result<usize>) {
    while !rest.is_empty() {
        match send(rest) {
            Ok(taken) if taken > 0 => rest = &rest[taken..],
            outcome => {
                tracing::debug!(?outcome, "a message could not be sent; the client will repeat it");
                rest = &rest[1..];
            }
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

fn tap(interface: &str, filter: Filter) -> Result<Tap> {
    Tap::open(interface, filter).with_context(|| format!("cannot capture on {interface}"))
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
