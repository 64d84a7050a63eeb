//! A virtual gateway around the machine: a clock, a kernel gate that counts, and what was journalled.
#![allow(dead_code)] // each test target uses its own part

use std::{collections::BTreeMap, net::Ipv4Addr};

use lastmile_session::*;
use lastmile_types::{Counters, Event, MacAddr, Octets, SessionId, Timestamp, config::Enforcement, session::Rates};
use uuid::Uuid;

pub mod bridged;

pub const KEA: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 2);
pub const GIADDR: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 1);
pub const UP0: Ipv4Addr = Ipv4Addr::new(10, 231, 11, 2);
pub const ROUTER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

pub fn settings() -> Settings {
    let config = serde_json::json!({
        "configRevision": "1", "bngId": "edge/bng-01", "nasIdentifier": "bng-01", "nasIpAddress": "10.231.0.11",
        "interfaces": {"subscriber": "access0", "uplink": "uplink0", "dhcp": "dhcp0"}, "accessMode": "Routed",
        "pools": [{"prefix": "100.64.1.0/24", "gateway": "100.64.1.1", "nextHop": "10.231.11.2"}],
        "dhcp": {"servers": ["10.231.1.2"]},
        "radius": {"servers": [{"auth": "10.231.0.2:1812", "acct": "10.231.0.2:1813", "secretFile": "s", "requireMessageAuthenticator": true}],
                   "passwordFile": "p", "userNameTemplate": "{nas}/{remote}/{circuit}", "timeoutMs": 1000, "retries": 2},
        "accounting": {"interimSeconds": 60, "idleAfterSeconds": 30, "healthSeconds": 10},
        "eventBus": {"urlFile": "u"}, "kea": null, "routers": {"nameSeparator": "|", "livenessSeconds": 10},
        "policies": [
            {"name": "gold", "filterId": null, "default": false, "rates": {"downKbps": 50000, "upKbps": 10000},
             "idleTimeoutSeconds": null, "sessionTimeoutSeconds": null, "interimSeconds": null},
            {"name": "basic", "filterId": null, "default": true, "rates": {"downKbps": 1000}, "idleTimeoutSeconds": 120,
             "sessionTimeoutSeconds": null, "interimSeconds": null}],
        "protected": [], "status": {"listen": "10.231.0.11:9443", "metricsListen": "10.231.0.11:9100", "certFile": "c", "keyFile": "k", "caFile": "a"}
    });
    Settings { config: serde_json::from_value(config).unwrap(), own: vec![Ipv4Addr::new(10, 231, 11, 1)] }
}

/// The world around one machine.
pub struct World {
    pub machine: Machine,
    pub boot_ms: u64,
    /// How far the wall clock was set since.
    pub wall_step_ms: i64,
    pub gate: BTreeMap<Ipv4Addr, Counters>,
    /// The walled gardens of those whom the gate confines.
    pub gardens: BTreeMap<Ipv4Addr, String>,
    /// The limits, and how they are enforced.
    pub limits: BTreeMap<Ipv4Addr, (Rates, Enforcement)>,
    /// The gate refuses other terms for whom it has.
    pub refuses: bool,
    /// What it refused and is still to be taken back.
    pub undos: Vec<CoaUndo>,
    pub journal: Vec<Record>,
    pub events: Vec<RecordedEvent>,
    pub accounting: Vec<AccountingRecord>,
    pub requests: Vec<AuthRequest>,
    /// What Kea has; `None` = it does not answer.
    pub kea: Option<BTreeMap<Ipv4Addr, KeaLease>>,
    /// Watched addresses, and whether something came from there.
    pub watched: BTreeMap<Ipv4Addr, bool>,
    /// Questions to Kea stay open.
    pub keep_questions: bool,
    /// Of the last input only.
    pub actions: Vec<Action>,
    /// As a gateway would record it.
    pub recording: Vec<Line>,
    ids: u128,
    xid: u32,
}

impl World {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        let mut world = Self {
            machine: Machine::new(settings, Snapshot::default()),
            boot_ms: 1_000_000,
            wall_step_ms: 0,
            gate: BTreeMap::new(),
            gardens: BTreeMap::new(),
            limits: BTreeMap::new(),
            refuses: false,
            undos: Vec::new(),
            journal: Vec::new(),
            events: Vec::new(),
            accounting: Vec::new(),
            requests: Vec::new(),
            kea: None,
            watched: BTreeMap::new(),
            keep_questions: false,
            actions: Vec::new(),
            recording: Vec::new(),
            ids: 0x0190_0000_0000_7000_8000_0000_0000_0000,
            xid: 0,
        };
        world.started(true);
        world
    }

    pub fn started(&mut self, same_boot: bool) {
        let (settings, snapshot) = (self.machine.settings().clone(), self.machine.snapshot());
        self.recording.push(Line::Opened(Box::new(Opened { settings, snapshot })));
        let elements = self.gate.iter().map(|(ip, counters)| Reading { ip: *ip, counters: *counters }).collect();
        let last_boot_ms = self.journal.last().map_or(0, |record| record.boot_ms);
        self.input(Input::Started(Started { same_boot, last_boot_ms, elements }));
    }

    /// kill -9 and start again: all that is left is the journal and the kernel.
    pub fn restart(&mut self) {
        let mut snapshot = Snapshot::default();
        for record in &self.journal {
            let json = serde_json::to_string(record).unwrap();
            snapshot.apply(&serde_json::from_str(&json).unwrap());
        }
        self.machine = Machine::new(self.machine.settings().clone(), snapshot);
        self.requests.clear();
        self.undos.clear();
        self.started(true);
    }

    /// Somebody removed the gate's table, and it was made anew.
    pub fn gate_anew(&mut self) {
        self.gate.clear();
        self.gardens.clear();
        self.watched.clear();
        self.input(Input::Started(Started { same_boot: true, last_boot_ms: self.boot_ms, elements: Vec::new() }));
    }

    /// Somebody removed an element.
    pub fn element_gone(&mut self, ip: u8) {
        let holder = |session: &&Session| session.ip == address(ip) && session.admitted;
        let Some(session) = self.machine.sessions().find(holder).map(|session| session.id) else { return };
        self.gate.remove(&address(ip));
        self.gardens.remove(&address(ip));
        self.input(Input::Evicted { session, counters: None });
    }

    pub fn input(&mut self, input: Input) {
        self.actions.clear();
        let json = serde_json::to_string(&input).unwrap();
        let mut queue = vec![serde_json::from_str(&json).expect("every input survives JSON")];
        while let Some(input) = queue.pop() {
            self.ids += 7_919; // ids are as scattered as random ones, and the same in every run
            let wall =
                Timestamp::from_millisecond(1_700_000_000_000 + self.boot_ms as i64 + self.wall_step_ms).unwrap();
            let now = Now { boot_ms: self.boot_ms, wall, fresh: Uuid::from_u128(self.ids) };
            self.recording.push(Line::Told(Box::new(Told { now, input: Input::clone(&input) })));
            let mut effects = Effects::default();
            self.machine.handle(now, input, &mut effects);
            if !effects.record.is_empty() {
                self.journal.push(effects.record.clone());
            }
            self.events.extend(effects.record.events);
            self.accounting.extend(effects.record.accounting);
            for action in effects.actions {
                self.actions.push(action.clone());
                queue.extend(self.act(action));
            }
        }
    }

    fn act(&mut self, action: Action) -> Vec<Input> {
        if action == Action::ReadStirred {
            let stirred = self.watched.iter().filter(|(_, stirred)| **stirred);
            return stirred.map(|(ip, _)| Input::Stirred { ip: *ip }).collect();
        }
        self.act_once(action).into_iter().collect()
    }

    fn act_once(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Authenticate(request) => {
                self.requests.push(*request);
                None
            }
            Action::Admit(admission) => {
                let before = self.gate.insert(admission.ip, Counters::default());
                assert_eq!(before, None, "{} was admitted twice", admission.ip);
                self.confine(admission);
                None
            }
            Action::SetLimits(admission) => {
                assert!(self.gate.contains_key(&admission.ip), "limits of {} that is not admitted", admission.ip);
                if !self.refuses {
                    self.confine(admission);
                }
                None
            }
            Action::CoaAnswer { undo: Some(undo), .. } => {
                let limited = |action: &Action| matches!(action, Action::SetLimits(one) if one.session == undo.session);
                if self.refuses && self.actions.iter().any(limited) {
                    self.undos.push(*undo);
                }
                None
            }
            Action::Evict { session, ip } => {
                self.gardens.remove(&ip);
                Some(Input::Evicted { session, counters: self.gate.remove(&ip) })
            }
            Action::EvictStray { ip } => {
                self.gardens.remove(&ip);
                self.gate.remove(&ip);
                None
            }
            Action::Watch { ip } => {
                self.watched.entry(ip).or_default();
                None
            }
            Action::Unwatch { ip } => {
                self.watched.remove(&ip);
                None
            }
            Action::ReadCounters(Some(ip)) => {
                let counters = *self.gate.get(&ip)?;
                Some(Input::Counters(vec![Reading { ip, counters }]))
            }
            Action::ReadCounters(None) => Some(Input::Counters(
                self.gate.iter().map(|(ip, counters)| Reading { ip: *ip, counters: *counters }).collect(),
            )),
            Action::Adopt(adoption) => Some(Input::Adopt(adoption)),
            Action::AskLease { .. } if self.keep_questions => None,
            Action::AskLease { ip } => {
                let answer = match self.kea.as_ref().map(|leases| leases.get(&ip)) {
                    None => LeaseAnswer::Unanswered,
                    Some(None) => LeaseAnswer::None,
                    Some(Some(lease)) => LeaseAnswer::Found(Box::new(lease.clone())),
                };
                Some(Input::Lease { ip, answer })
            }
            Action::DeleteLease { ip, .. } => {
                self.kea.as_mut().and_then(|leases| leases.remove(&ip));
                None
            }
            _ => None,
        }
    }

    fn confine(&mut self, admission: Admission) {
        self.limits.insert(admission.ip, (admission.rates, admission.enforcement));
        match admission.garden {
            Some(garden) => drop(self.gardens.insert(admission.ip, garden)),
            None => drop(self.gardens.remove(&admission.ip)),
        }
    }

    /// Lets time pass, waking the machine whenever it wants.
    pub fn sleep(&mut self, milliseconds: u64) {
        let end = self.boot_ms + milliseconds;
        while let Some(at) = self.machine.next_deadline().filter(|at| *at <= end) {
            self.boot_ms = self.boot_ms.max(at);
            self.input(Input::Timer);
            assert!(
                self.machine.next_deadline().is_none_or(|next| next > self.boot_ms),
                "a deadline was not dealt with"
            );
        }
        self.boot_ms = end;
    }

    pub fn client(&self, kind: DhcpKind, port: u8, mac: u8) -> DhcpMessage {
        let circuit = Octets::from(format!("ar-01|1/{port}").as_str());
        let remote = Octets::from(format!("line-{port:02}").as_str());
        let (one, two) = (circuit.as_bytes(), remote.as_bytes());
        let raw = [&[1, one.len() as u8][..], one, &[2, two.len() as u8], two].concat();
        DhcpMessage {
            side: Side::Subscriber,
            kind,
            xid: self.xid,
            hops: 1,
            chaddr: MacAddr([2, 0, 0, 1, 0, mac]),
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: GIADDR,
            broadcast: false,
            server_id: None,
            requested_ip: None,
            lease_seconds: None,
            relay_info: Some(RelayInfo { circuit_id: Some(circuit), remote_id: Some(remote), raw: raw.into() }),
            hostname: Some("box".to_owned()),
            source_mac: ROUTER_MAC,
            source_ip: UP0,
            destination_ip: KEA,
        }
    }

    pub fn unicast(&self, kind: DhcpKind, ip: u8, mac: u8) -> DhcpMessage {
        let ip = address(ip);
        DhcpMessage {
            ciaddr: ip,
            source_ip: ip,
            giaddr: Ipv4Addr::UNSPECIFIED,
            relay_info: None,
            hops: 0,
            ..self.client(kind, 0, mac)
        }
    }

    pub fn server(&self, kind: DhcpKind, ip: u8, mac: u8) -> DhcpMessage {
        DhcpMessage {
            side: Side::Server,
            yiaddr: address(ip),
            server_id: Some(KEA),
            lease_seconds: Some(600),
            source_ip: KEA,
            relay_info: None,
            ..self.client(kind, 0, mac)
        }
    }

    pub fn dhcp(&mut self, message: DhcpMessage) {
        self.input(Input::Dhcp(Box::new(message)));
    }

    pub fn next_xid(&mut self) {
        self.xid += 1;
    }

    /// A whole DISCOVER … ACK.
    pub fn dora(&mut self, port: u8, ip: u8, mac: u8) {
        self.xid += 1;
        self.dhcp(self.client(DhcpKind::Discover, port, mac));
        self.dhcp(self.server(DhcpKind::Offer, ip, mac));
        let request = DhcpMessage {
            requested_ip: Some(address(ip)),
            server_id: Some(KEA),
            ..self.client(DhcpKind::Request, port, mac)
        };
        self.dhcp(request);
        self.dhcp(self.server(DhcpKind::Ack, ip, mac));
    }

    pub fn renewal(&mut self, ip: u8, mac: u8) {
        self.xid += 1;
        self.dhcp(self.unicast(DhcpKind::Request, ip, mac));
        self.dhcp(self.server(DhcpKind::Ack, ip, mac));
    }

    /// The oldest open Access-Request.
    pub fn answer(&mut self, answer: AuthAnswer) -> Option<SessionId> {
        if self.requests.is_empty() {
            return None;
        }
        let request = self.requests.remove(0);
        self.input(Input::Auth { session: request.session, attempt: request.attempt, answer });
        Some(request.session)
    }

    pub fn accept(&mut self, filter_id: &str) -> Option<SessionId> {
        let grant = Grant { filter_id: Some(filter_id.to_owned()), ..Grant::default() };
        self.answer(AuthAnswer::Accept(Box::new(grant)))
    }

    pub fn online(&mut self, port: u8, ip: u8, mac: u8) -> SessionId {
        self.dora(port, ip, mac);
        self.accept("gold").expect("an Access-Request")
    }

    /// Kea's API is configured and answers.
    pub fn with_kea(&mut self) {
        let mut settings = settings();
        settings.config.kea =
            Some(serde_json::from_value(serde_json::json!({ "url": "http://kea", "form": "Direct" })).unwrap());
        self.kea = Some(BTreeMap::new());
        self.input(Input::Config(Box::new(settings)));
    }

    /// Kea has a lease, last transmitted so many seconds ago.
    pub fn leased(&mut self, port: u8, ip: u8, mac: u8, seconds_ago: i64, valid_seconds: u32) {
        let client = self.client(DhcpKind::Request, port, mac);
        let wall = 1_700_000_000 + self.boot_ms as i64 / 1000;
        let lease = KeaLease {
            ip: address(ip),
            mac: client.chaddr,
            last: Timestamp::from_second(wall - seconds_ago).unwrap(),
            valid_seconds,
            active: true,
            relay_info: client.relay_info,
            hostname: None,
        };
        if let Some(leases) = &mut self.kea {
            leases.insert(lease.ip, lease);
        }
    }

    /// A whole pass in pages of two; none if Kea is down.
    pub fn pass(&mut self) {
        let Some(leases) = self.kea.as_ref().map(|leases| leases.values().cloned().collect::<Vec<_>>()) else { return };
        let pages: Vec<_> = leases.chunks(2).map(<[_]>::to_vec).chain([Vec::new()]).collect();
        let last = pages.len() - 1;
        for (place, leases) in pages.into_iter().enumerate() {
            self.input(Input::Leases(LeasePage { first: place == 0, last: place == last, leases }));
        }
    }

    /// The host rebooted a moment ago; the machine is made already.
    pub fn reboot(&mut self) {
        self.gate.clear();
        self.watched.clear();
        // The wall clock of this world hangs on boot time: as little as possible of it is lost.
        self.boot_ms -= 1_000;
        self.started(false);
    }

    /// The journal is deleted and the gateway killed: all that is left is the kernel.
    pub fn forget_journal(&mut self) {
        self.journal.clear();
        self.events.clear();
        self.accounting.clear();
        self.requests.clear();
        self.machine = Machine::new(self.machine.settings().clone(), Snapshot::default());
        self.started(true);
    }

    pub fn kinds(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.event.event_type()).collect()
    }

    /// The ends so far: cause and final download.
    pub fn stops(&self) -> Vec<(&'static str, u64)> {
        let stops = self.events.iter().filter(|event| matches!(event.event, Event::SessionStop(_)));
        stops
            .filter_map(|event| event.event.session())
            .map(|session| (session.ended.as_ref().unwrap().cause.as_str(), session.counters.input_octets))
            .collect()
    }

    pub fn dropped(&self) -> Option<Dropped> {
        self.actions.iter().find_map(|action| match action {
            Action::Drop(label) => Some(*label),
            _ => None,
        })
    }

    pub fn traffic(&mut self, ip: u8, octets: u64) {
        if let Some(counters) = self.gate.get_mut(&address(ip)) {
            *counters = *counters
                + Counters { input_octets: octets, output_octets: octets, input_packets: 1, output_packets: 1 };
        } else if let Some(stirred) = self.watched.get_mut(&address(ip)) {
            *stirred = true;
        }
    }
}

pub fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(100, 64, 1, last)
}
