//! The machine: who gets which input, and what becomes of the state.

use lastmile_types::{Event, status::SessionCounts};

use crate::{
    accounting,
    claim::HoldDown,
    dormant::Dormants,
    effect::{Action, Effects},
    exchange::Exchanges,
    input::{Input, Load, Settings},
    policy::Policies,
    reconcile::Reconciler,
    record::{Change, RecordedEvent, Snapshot},
    router::Routers,
    servers::Servers,
    session::Session,
    shed::Shedder,
    table::Table,
    time::Now,
    tombstone::Tombstones,
};

/// The session machine of one gateway.
#[derive(Debug)]
pub struct Machine {
    pub(crate) settings: Settings,
    pub(crate) table: Table,
    pub(crate) exchanges: Exchanges,
    pub(crate) routers: Routers,
    pub(crate) tombstones: Tombstones,
    pub(crate) dormants: Dormants,
    pub(crate) reconciler: Reconciler,
    pub(crate) policies: Policies,
    pub(crate) servers: Servers,
    pub(crate) shedder: Shedder,
    pub(crate) hold_down: HoldDown,
    pub(crate) last_seq: u64,
    pub(crate) last_accounting: u64,
    pub(crate) draining: bool,
    /// Boot time at which everybody's counters are read next.
    pub(crate) poll_ms: u64,
    boot_ms: u64,
}

impl Machine {
    /// A machine in the state of a snapshot (the default one for a first start). Its first input is [`Input::Started`].
    pub fn new(settings: Settings, snapshot: Snapshot) -> Self {
        Self {
            settings,
            table: Table::restore(snapshot.sessions.into_values()),
            exchanges: Exchanges::default(),
            routers: Routers::restore(snapshot.routers),
            tombstones: Tombstones::restore(snapshot.tombstones),
            dormants: Dormants::restore(snapshot.dormant),
            reconciler: Reconciler::default(),
            policies: Policies::default(),
            servers: Servers::default(),
            shedder: Shedder::default(),
            hold_down: HoldDown::default(),
            last_seq: snapshot.last_seq,
            last_accounting: snapshot.last_accounting,
            draining: snapshot.draining,
            poll_ms: 0,
            boot_ms: snapshot.boot_ms,
        }
    }

    /// Takes one input; `effects` are cleared first.
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Effects) {
        effects.clear();
        match input {
            Input::Started(started) => self.on_started(now, &started, effects),
            Input::Config(settings) => self.on_config(now, *settings, effects),
            Input::Dhcp(message) => self.on_dhcp(now, &message, effects),
            Input::Auth { session, attempt, answer } => self.on_auth(now, session, attempt, answer, effects),
            Input::Counters(readings) => self.on_readings(now, &readings, effects),
            Input::Evicted { session, counters } => self.on_evicted(now, session, counters, effects),
            Input::Stirred { ip } => self.on_stirred(now, ip, effects),
            Input::Timer => self.on_timer(now, effects),
            Input::Disconnect { session, order, detail } => self.on_disconnect(now, session, order, detail, effects),
            Input::Coa(request) => self.on_coa(now, *request, effects),
            Input::CoaRefused(undo) => self.on_coa_refused(now, *undo, effects),
            Input::Drain => self.on_drain(now, effects),
            Input::Resume => self.on_resume(effects),
            Input::Ping { router, rtt_us } => self.on_ping(now, &router, rtt_us, effects),
            Input::Health(load) => self.on_health(now, load, effects),
            Input::Leases(page) => self.on_leases(now, page, effects),
            Input::Lease { ip, answer } => self.on_lease_answer(now, ip, answer, effects),
            Input::Adopt(adoption) => self.on_adopt(now, *adoption, effects),
        }
        effects.record.changes.extend(self.table.take_dirty().map(Change::Session));
        effects.record.boot_ms = now.boot_ms;
        self.boot_ms = now.boot_ms;
    }

    /// Boot time at which [`Input::Timer`] is wanted.
    pub fn next_deadline(&self) -> Option<u64> {
        let poll = (self.table.len() > 0).then_some(self.poll_ms);
        let dues = [
            self.table.next_deadline(),
            poll,
            self.routers.next_deadline(),
            self.policies.next_deadline(),
            self.servers.next_deadline(),
            self.dormants.next_deadline(),
        ];
        dues.into_iter().flatten().min()
    }

    /// All that has to survive.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            last_seq: self.last_seq,
            last_accounting: self.last_accounting,
            boot_ms: self.boot_ms,
            draining: self.draining,
            sessions: self.table.shared(),
            routers: self.routers.snapshot(),
            tombstones: self.tombstones.snapshot(),
            dormant: self.dormants.snapshot(),
        }
    }

    /// Sessions by state, those that are ending not included.
    pub fn counts(&self) -> SessionCounts {
        self.table.counts()
    }

    /// The last seq given out.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// A drain was ordered.
    pub fn draining(&self) -> bool {
        self.draining
    }

    /// A drain was ordered, and every session is stopped.
    pub fn drained(&self) -> bool {
        self.draining && self.table.len() == 0
    }

    /// The sessions, those that are ending included.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.table.iter()
    }

    /// One session, unless it is recorded as ended.
    pub fn session(&self, id: lastmile_types::SessionId) -> Option<&Session> {
        self.table.get(id)
    }

    /// The configuration in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Every index agrees with every other: for tests, after every step.
    pub fn check(&self) -> Result<(), String> {
        self.table.check()
    }

    /// Numbers an event and puts it into the record.
    pub(crate) fn say(&mut self, now: Now, event: Event, effects: &mut Effects) {
        self.last_seq += 1;
        effects.record.events.push(RecordedEvent { seq: self.last_seq, ts: now.wall, event });
    }

    fn on_timer(&mut self, now: Now, effects: &mut Effects) {
        self.go_on_with_policies(now, effects);
        for id in self.table.due(now.boot_ms) {
            self.on_due(now, id, effects);
        }
        if self.poll_ms <= now.boot_ms && self.table.len() > 0 {
            self.poll_ms = now.boot_ms + accounting::POLL_MS;
            if self.table.iter().any(|session| session.admitted) {
                effects.act(Action::ReadCounters(None));
            }
        }
        let liveness_ms = u64::from(self.settings.config.routers.liveness_seconds) * 1000;
        self.look_at_dormants(now, effects);
        self.probe_servers(now, effects);
        for (router, address) in self.routers.due(now.boot_ms, liveness_ms) {
            effects.act(Action::Ping { router, address });
        }
    }

    fn on_health(&mut self, now: Now, load: Load, effects: &mut Effects) {
        let counts = self.counts();
        let health = lastmile_types::event::BngHealth {
            cpu_cores: load.cpu_cores,
            memory_bytes: load.memory_bytes,
            sessions: counts.total,
            authorized: counts.authorized,
            uptime_seconds: load.uptime_seconds,
        };
        self.say(now, Event::BngHealthUpdate(health), effects);
    }
}
