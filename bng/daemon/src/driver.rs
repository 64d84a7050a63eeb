//! The one task that owns machine, journal and gate.
//!
//! An input is handed to the machine; the records of all that came together are written to the journal, then their actions are carried
//! out ([`crate::settle`], [`crate::actions`]), then the packets leave. Nothing here waits for a network.

use std::{
    collections::{BTreeMap, VecDeque},
    future::ready,
    io,
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};

use lastmile_netio::{capture::Batch, ping::Pinger};
use lastmile_session::{AccountingRecord, Effects, Input, Load, Machine, RecordedEvent, Settings, Side};
use lastmile_types::{
    Shared,
    status::{BngStatus, DisconnectAnswer, Shaped},
};
use rustls::ServerConfig;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tracing::{debug, info, trace, warn};

use crate::{
    coa,
    conditions::{Conditions, Finding},
    config::{Config, Watch},
    dhcp_io::{self, Held},
    health::Gauge,
    journal::{Entry, Image, Journal, JournalError},
    leases::Ask,
    outbox,
    plane::Plane,
    radius::{Client, Reachability},
    recorder::Recorder,
    settle,
    status::Order,
    survey::{Found, Surveys},
    time::boot_ms,
};

/// Status, conditions and configuration are looked at this often.
const TICK: Duration = Duration::from_secs(1);
/// Of what others tell, so much is taken together: packets must not wait for more.
const AT_ONCE: usize = 64;
/// A sleep while nothing is due.
const FAR: Duration = Duration::from_secs(3600);

/// What the driver is told by others.
pub struct Sources {
    /// Answers of RADIUS and pings.
    pub inputs: mpsc::UnboundedReceiver<Input>,
    /// From the status endpoint.
    pub orders: mpsc::Receiver<Order>,
    /// CoA and Disconnect.
    pub coa: mpsc::Receiver<coa::Order>,
    /// Accounting records that are dealt with.
    pub accounted: mpsc::UnboundedReceiver<u64>,
    /// From the probes.
    pub findings: mpsc::UnboundedReceiver<Finding>,
    /// Everybody's counters.
    pub surveys: mpsc::UnboundedReceiver<Found>,
    /// How the outbox is.
    pub outbox: watch::Receiver<outbox::State>,
    /// How RADIUS is.
    pub reachability: watch::Receiver<Reachability>,
    /// How many accounting records no server took.
    pub dead_letters: watch::Receiver<u64>,
}

/// Whom the driver tells.
pub struct Sinks {
    /// To the event bus.
    pub events: mpsc::UnboundedSender<Shared<RecordedEvent>>,
    /// To accounting.
    pub accounting: mpsc::UnboundedSender<AccountingRecord>,
    /// To the status endpoint.
    pub status: watch::Sender<BngStatus>,
    /// Its certificate.
    pub tls: watch::Sender<Arc<ServerConfig>>,
    /// To the probes.
    pub config: watch::Sender<Arc<Config>>,
}

/// See the module.
pub struct Driver {
    pub(crate) plane: Plane,
    pub(crate) radius: watch::Sender<Arc<Client>>,
    pub(crate) inputs: mpsc::UnboundedSender<Input>,
    pub(crate) pinger: Arc<Pinger>,
    pub(crate) batch: settle::Batch,
    /// For what is not the packets' path.
    pub(crate) beside: Handle,
    pub(crate) surveys: Surveys,
    pub(crate) orders_waiting: BTreeMap<u64, oneshot::Sender<Option<DisconnectAnswer>>>,
    pub(crate) last_order: u64,
    pub(crate) coa: coa::Desk,
    /// To Kea.
    pub(crate) kea: mpsc::UnboundedSender<Ask>,
    /// Renewals that wait for its answers.
    pub(crate) held: BTreeMap<Ipv4Addr, Held>,
    pub(crate) config: Arc<Config>,
    pub(crate) watch: Watch,
    pub(crate) machine: Machine,
    pub(crate) effects: Effects,
    pub(crate) recorder: Recorder,
    pub(crate) journal: Journal,
    /// What a rotation writes; its snapshot is filled in only then.
    pub(crate) image: Image,
    /// Records that the disk did not take.
    pub(crate) unwritten: VecDeque<Entry>,
    pub(crate) conditions: Conditions,
    /// What Kea's control API says of the DHCP server.
    pub(crate) dhcp_api: Option<Finding>,
    pub(crate) drops: BTreeMap<&'static str, u64>,
    /// By access router.
    pub(crate) spoofed: BTreeMap<String, u64>,
    /// As last counted.
    pub(crate) shaped: Shaped,
    pub(crate) gauge: Gauge,
    pub(crate) load: Load,
    pub(crate) started: Instant,
    /// The last seq when the drain had stopped the last session.
    pub(crate) drained_at: Option<u64>,
    pub(crate) sources: Sources,
    pub(crate) sinks: Sinks,
}

/// What a driver begins with.
#[allow(missing_docs)] // the names are the driver's fields
pub struct Parts {
    pub plane: Plane,
    pub pinger: Pinger,
    pub config: Arc<Config>,
    pub watch: Watch,
    pub journal: Journal,
    pub image: Image,
    pub conditions: Conditions,
    pub radius: watch::Sender<Arc<Client>>,
    pub coa: coa::Desk,
    pub inputs: mpsc::UnboundedSender<Input>,
    pub kea: mpsc::UnboundedSender<Ask>,
    pub beside: Handle,
    pub surveys: Surveys,
    pub sources: Sources,
    pub sinks: Sinks,
}

enum Woken {
    Dhcp(Side, io::Result<usize>),
    Input(Input),
    Order(Order),
    Coa(coa::Order),
    Accounted(u64),
    Finding(Finding),
    NextHops,
    Link,
    Survey(Found),
    Slice,
    Outbox,
    Health,
    Tick,
    Timer,
}

impl Driver {
    /// Takes over; the machine goes on where the journal ends.
    pub fn new(mut parts: Parts, mut recorder: Recorder) -> Self {
        let settings = Settings { config: parts.config.bng.clone(), own: parts.plane.own.clone() };
        recorder.opened(&settings, &parts.image.snapshot);
        let machine = Machine::new(settings, std::mem::take(&mut parts.image.snapshot));
        Self {
            plane: parts.plane,
            radius: parts.radius,
            inputs: parts.inputs,
            pinger: Arc::new(parts.pinger),
            batch: settle::Batch::default(),
            beside: parts.beside,
            surveys: parts.surveys,
            orders_waiting: BTreeMap::new(),
            last_order: 0,
            coa: parts.coa,
            kea: parts.kea,
            held: BTreeMap::new(),
            config: parts.config,
            watch: parts.watch,
            machine,
            effects: Effects::default(),
            recorder,
            journal: parts.journal,
            image: parts.image,
            unwritten: VecDeque::new(),
            conditions: parts.conditions,
            dhcp_api: None,
            drops: BTreeMap::new(),
            spoofed: BTreeMap::new(),
            shaped: Shaped::default(),
            gauge: Gauge::find(),
            load: Load { cpu_cores: 0.0, memory_bytes: 0, uptime_seconds: 0 },
            started: Instant::now(),
            drained_at: None,
            sources: parts.sources,
            sinks: parts.sinks,
        }
    }

    /// Runs until `stop` resolves; then everything is on the disk and the kernel's state stays as it is.
    pub async fn run(mut self, first: Input, stop: impl Future<Output = ()>) -> Result<(), JournalError> {
        self.input(first, None);
        self.pin_all();
        self.measure();
        // One for each side: a select drops the future that loses, and must not share its room with the one that wins.
        let (mut from_subscribers, mut from_servers) = (Batch::new(), Batch::new());
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut health = interval(Duration::from_secs(self.config.bng.accounting.health_seconds.into()));
        health.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let timer = sleep(FAR);
        let mut set_for = None;
        tokio::pin!(stop, timer);
        loop {
            let deadline = self.machine.next_deadline();
            if set_for != Some(deadline) {
                set_for = Some(deadline);
                let left = deadline.map_or(FAR, |at| Duration::from_millis(at.saturating_sub(boot_ms())));
                timer.as_mut().reset(Instant::now() + left);
            }
            let woken = tokio::select! {
                () = &mut stop => break,
                heard = self.plane.subscriber.recv(&mut from_subscribers) => Woken::Dhcp(Side::Subscriber, heard),
                heard = self.plane.server.recv(&mut from_servers) => Woken::Dhcp(Side::Server, heard),
                Some(input) = self.sources.inputs.recv() => Woken::Input(input),
                Some(order) = self.sources.orders.recv() => Woken::Order(order),
                Some(order) = self.sources.coa.recv() => Woken::Coa(order),
                Some(number) = self.sources.accounted.recv() => Woken::Accounted(number),
                Some(finding) = self.sources.findings.recv() => Woken::Finding(finding),
                () = self.plane.next_hops.changed() => Woken::NextHops,
                () = self.plane.link_watch.changed() => Woken::Link,
                Some(found) = self.sources.surveys.recv() => Woken::Survey(found),
                () = ready(()), if self.surveys.has_rest() => Woken::Slice,
                Ok(()) = self.sources.outbox.changed() => Woken::Outbox,
                _ = health.tick() => Woken::Health,
                _ = tick.tick() => Woken::Tick,
                () = &mut timer => {
                    set_for = None;
                    Woken::Timer
                }
            };
            match woken {
                Woken::Dhcp(Side::Subscriber, heard) => self.dhcp(Side::Subscriber, heard, &from_subscribers).await,
                Woken::Dhcp(Side::Server, heard) => self.dhcp(Side::Server, heard, &from_servers).await,
                Woken::Input(input) => self.told_all(input),
                Woken::Order(order) => self.order(order),
                Woken::Coa(order) => self.coa_order(order),
                Woken::Accounted(number) => self.accounted_all(number),
                Woken::Survey(found) => self.surveyed(found),
                Woken::Slice => self.slice(),
                Woken::NextHops => self.next_hops().await,
                Woken::Link => self.wires(false).await,
                Woken::Finding(finding) => self.found(finding),
                Woken::Outbox => self.outbox(),
                Woken::Health => self.health(),
                Woken::Tick => {
                    set_for = None; // the timer does not count while the host sleeps
                    self.tick().await;
                }
                Woken::Timer => self.input(Input::Timer, None),
            }
        }
        info!("stopping: everybody stays online, the next start goes on from the journal");
        self.journal.flush()
    }

    async fn dhcp(&mut self, side: Side, heard: io::Result<usize>, batch: &Batch) {
        if let Err(error) = heard {
            // The interface went down; the next tick says so, and until then there is nothing to hear.
            debug!(%error, ?side, "cannot capture");
            sleep(Duration::from_millis(50)).await;
            return;
        }
        for captured in batch.frames() {
            let read = dhcp_io::read(&captured);
            match read.and_then(|in_hand| dhcp_io::describe(&in_hand, side).map(|message| (in_hand, message))) {
                Ok((in_hand, message)) => {
                    trace!(?side, message = ?in_hand.message, "DHCP");
                    self.take(Input::Dhcp(Box::new(message)), Some(&in_hand));
                }
                Err(refused) => self.count(refused.label()),
            }
        }
        self.settle();
    }

    /// What others told, as much as is there.
    fn told_all(&mut self, first: Input) {
        self.told(first);
        for _ in 1..AT_ONCE {
            let Ok(input) = self.sources.inputs.try_recv() else { break };
            self.told(input);
        }
        self.settle();
    }

    fn accounted_all(&mut self, first: u64) {
        let more = std::iter::from_fn(|| self.sources.accounted.try_recv().ok()).take(AT_ONCE);
        let numbers: Vec<u64> = [first].into_iter().chain(more).collect();
        self.unwritten.extend(numbers.into_iter().map(|number| Entry::Accounted { number }));
        self.write();
    }

    /// Whether everything is journalled.
    pub(crate) fn written(&self) -> bool {
        self.unwritten.is_empty()
    }

    pub(crate) fn count(&mut self, label: &'static str) {
        *self.drops.entry(label).or_default() += 1;
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Drain => {
                warn!("a drain was ordered: every session is stopped, no new one starts");
                self.input(Input::Drain, None);
            }
            Order::Resume => {
                info!("the drain is over: sessions may start again");
                self.drained_at = None;
                self.input(Input::Resume, None);
            }
            Order::Disconnect { session, detail, answer } => {
                if self.machine.session(session).is_none() {
                    let _ = answer.send(None); // who asked may be gone
                    return;
                }
                self.last_order += 1;
                self.orders_waiting.insert(self.last_order, answer);
                self.input(Input::Disconnect { session, order: self.last_order, detail }, None);
            }
        }
    }

    fn outbox(&mut self) {
        let outbox::State { trouble, committed } = self.sources.outbox.borrow_and_update().clone();
        self.conditions.set(match trouble {
            None => Finding::good("EventsFlowing", "Connected", "events reach the event bus"),
            Some(trouble) => Finding::bad("EventsFlowing", "EventBusUnreachable", trouble),
        });
        if committed > self.image.committed {
            self.unwritten.push_back(Entry::Committed { seq: committed });
            self.write();
        }
    }
}
