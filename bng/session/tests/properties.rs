//! Random operations and faults on a virtual clock; the invariants are checked after every one.

mod world;

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lastmile_session::*;
use lastmile_types::{
    Counters, Event, SessionId,
    config::{Access, OnReject, Policy, WalledGarden},
    session::AuthState,
};
use proptest::prelude::*;
use world::World;

#[derive(Debug, Clone)]
enum Step {
    Dora { port: u8, ip: u8, mac: u8 },
    Renew { ip: u8, mac: u8 },
    Release { ip: u8, mac: u8 },
    Nak { port: u8, mac: u8, ip: u8 },
    Decline { port: u8, ip: u8, mac: u8 },
    PerCircuit(u32),
    Accept(bool),
    Reject,
    NoAnswer,
    Traffic { ip: u8, octets: u64 },
    Sleep(u64),
    Disconnect(usize),
    Coa { target: CoaTarget, wish: Option<u32>, refuse: bool },
    Refused,
    GateAnew,
    ElementGone(u8),
    Restart,
    Policy(u32),
    Policies { gold: bool, garden: bool, confine: bool, selector: bool },
    Drain,
    Kea { port: u8, ip: u8, mac: u8, age: i64 },
    Forgotten(u8),
    Pass,
    KeaDown(bool),
}

/// How a CoA or Disconnect names its session.
#[derive(Debug, Clone)]
enum CoaTarget {
    Address(u8),
    Device(u8),
    Circuit(u8),
    Line(u8),
    /// The User-Name, and an address that may be another's.
    Name {
        port: u8,
        ip: u8,
    },
}

fn coa() -> impl Strategy<Value = Step> {
    let (port, ip, mac) = (1..4_u8, 10..14_u8, 1..4_u8);
    let target = prop_oneof![
        ip.clone().prop_map(CoaTarget::Address),
        mac.prop_map(CoaTarget::Device),
        port.clone().prop_map(CoaTarget::Circuit),
        port.clone().prop_map(CoaTarget::Line),
        (port, ip).prop_map(|(port, ip)| CoaTarget::Name { port, ip }),
    ];
    (target, proptest::option::weighted(0.8, 0..200_u32), any::<bool>()).prop_map(|(target, wish, refuse)| Step::Coa {
        target,
        wish,
        refuse,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let (port, ip, mac) = (1..4_u8, 10..14_u8, 1..4_u8);
    prop_oneof![
        6 => (port.clone(), ip.clone(), mac.clone()).prop_map(|(port, ip, mac)| Step::Dora { port, ip, mac }),
        2 => (ip.clone(), mac.clone()).prop_map(|(ip, mac)| Step::Renew { ip, mac }),
        1 => (ip.clone(), mac.clone()).prop_map(|(ip, mac)| Step::Release { ip, mac }),
        3 => (port.clone(), ip.clone(), mac.clone(), 0..500_i64)
            .prop_map(|(port, ip, mac, age)| Step::Kea { port, ip, mac, age }),
        1 => ip.clone().prop_map(Step::Forgotten),
        1 => (port.clone(), ip.clone(), mac.clone()).prop_map(|(port, ip, mac)| Step::Decline { port, ip, mac }),
        1 => (1..=2_u32).prop_map(Step::PerCircuit),
        4 => Just(Step::Pass),
        1 => any::<bool>().prop_map(Step::KeaDown),
        1 => (port, mac, ip.clone()).prop_map(|(port, mac, ip)| Step::Nak { port, mac, ip }),
        6 => any::<bool>().prop_map(Step::Accept),
        1 => Just(Step::Reject),
        1 => Just(Step::NoAnswer),
        1 => ip.clone().prop_map(Step::ElementGone),
        1 => Just(Step::GateAnew),
        4 => (ip, 1..1_000_000_u64).prop_map(|(ip, octets)| Step::Traffic { ip, octets }),
        4 => (1..200_000_u64).prop_map(Step::Sleep),
        1 => (0..4_usize).prop_map(Step::Disconnect),
        4 => coa(),
        3 => Just(Step::Refused),
        1 => Just(Step::Restart),
        1 => (1..9_u32).prop_map(Step::Policy),
        2 => any::<(bool, bool, bool, bool)>()
            .prop_map(|(gold, garden, confine, selector)| Step::Policies { gold, garden, confine, selector }),
        1 => prop_oneof![9 => Just(Step::Sleep(1)), 1 => Just(Step::Drain)],
    ]
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Dora { port, ip, mac } => world.dora(port, ip, mac),
        Step::Renew { ip, mac } => world.renewal(ip, mac),
        Step::Release { ip, mac } => world.dhcp(world.unicast(DhcpKind::Release, ip, mac)),
        Step::Nak { port, mac, ip } => {
            let request =
                DhcpMessage { requested_ip: Some(world::address(ip)), ..world.client(DhcpKind::Request, port, mac) };
            world.dhcp(request);
            world.dhcp(world.server(DhcpKind::Nak, 0, mac));
        }
        Step::Decline { port, ip, mac } => {
            let requested_ip = Some(world::address(ip));
            world.dhcp(DhcpMessage { requested_ip, ..world.client(DhcpKind::Decline, port, mac) });
        }
        Step::PerCircuit(count) => {
            let mut settings = world.machine.settings().clone();
            settings.config.sessions_per_circuit = count;
            world.input(Input::Config(Box::new(settings)));
        }
        Step::Accept(gold) => drop(world.accept(if gold { "gold" } else { "basic" })),
        Step::Reject => drop(world.answer(AuthAnswer::Reject { message: String::new() })),
        Step::NoAnswer => drop(world.answer(AuthAnswer::NoAnswer)),
        Step::Traffic { ip, octets } => world.traffic(ip, octets),
        Step::Sleep(milliseconds) => world.sleep(milliseconds),
        Step::Disconnect(place) => {
            let session = world.machine.sessions().nth(place).map(|session| session.id);
            if let Some(session) = session {
                world.input(Input::Disconnect { session, order: 1, detail: String::new() });
            }
        }
        Step::Coa { target, wish, refuse } => {
            world.refuses = refuse;
            take_coa(world, target, wish);
            world.refuses = false;
        }
        Step::Refused => take_refused(world),
        Step::GateAnew => world.gate_anew(),
        Step::ElementGone(ip) => world.element_gone(ip),
        Step::Restart => world.restart(),
        Step::Policy(rate) => {
            let mut settings = world.machine.settings().clone();
            settings.config.policies.iter_mut().for_each(|policy| policy.rates.down_kbps = Some(rate));
            world.input(Input::Config(Box::new(settings)));
        }
        Step::Policies { gold, garden, confine, selector } => {
            let mut settings = world.machine.settings().clone();
            settings.config.policies = policies(gold, garden, confine, selector);
            world.input(Input::Config(Box::new(settings)));
        }
        Step::Drain => world.input(Input::Drain),
        Step::Kea { port, ip, mac, age } => world.leased(port, ip, mac, age, 600),
        Step::Forgotten(ip) => drop(world.kea.as_mut().and_then(|leases| leases.remove(&world::address(ip)))),
        Step::Pass => world.pass(),
        Step::KeaDown(down) => world.kea = (!down).then(|| world.kea.take().unwrap_or_default()),
    }
}

/// `gold` exists; rejected subscribers have a garden; accepted ones are confined to it; a selector takes those of line-01.
fn policies(gold: bool, garden: bool, confine: bool, selector: bool) -> Vec<Policy> {
    let mut policies = world::settings().config.policies;
    if garden {
        policies[1].on_reject = OnReject::WalledGarden;
    }
    if confine {
        policies[1].access = Access::WalledGarden;
    }
    policies[1].walled_garden = Some(WalledGarden::default());
    if selector {
        policies[1].selector.remote_id = Some("line-01".to_owned());
        policies[1].default = false;
    }
    policies.drain(..usize::from(!gold));
    policies
}

/// Whatever it does, it is answered once; of all sessions at most one changes, and a refusal changes none.
fn take_coa(world: &mut World, target: CoaTarget, wish: Option<u32>) {
    let none = Target::default;
    let target = match target {
        CoaTarget::Address(ip) => Target { framed_ip: Some(world::address(ip)), ..none() },
        CoaTarget::Device(mac) => Target { calling_station_id: Some(format!("0200.0001.00{mac:02x}")), ..none() },
        CoaTarget::Circuit(port) => Target { nas_port_id: Some(format!("ar-01|1/{port}")), ..none() },
        CoaTarget::Line(port) => Target { remote_id: Some(format!("line-{port:02}").as_str().into()), ..none() },
        CoaTarget::Name { port, ip } => {
            let name = format!("bng-01/line-{port:02}/ar-01|1%2F{port}");
            Target { user_name: Some(name), framed_ip: Some(world::address(ip)), ..none() }
        }
    };
    let wish = match wish {
        None => CoaWish::Disconnect { detail: String::new() },
        Some(n) => CoaWish::Change(Box::new(Patch {
            filter_id: (n % 3 > 0).then(|| ["", "gold", "basic"][n as usize % 3].to_owned()),
            session_timeout_seconds: n.is_multiple_of(2).then_some(n * 3),
            interim_seconds: n.is_multiple_of(5).then_some(n),
            ..Patch::default()
        })),
    };
    let before = world.machine.snapshot().sessions;
    world.input(Input::Coa(Box::new(CoaRequest { order: 1, target, wish })));
    let answers: Vec<_> =
        world.actions.iter().filter(|action| matches!(action, Action::CoaAnswer { .. })).cloned().collect();
    let [Action::CoaAnswer { refused, .. }] = answers[..] else { panic!("not one answer: {answers:?}") };
    let after = world.machine.snapshot().sessions;
    let changed = before.iter().filter(|(id, session)| after.get(id) != Some(session)).count();
    assert!(changed <= usize::from(refused.is_none()), "{changed} sessions changed, {refused:?}");
}

/// Whatever became of the session since the kernel refused a change of it, that is answered once and touches nobody else; and who was
/// not changed again has what he had.
fn take_refused(world: &mut World) {
    let Some(undo) = world.undos.pop() else { return };
    let before = world.machine.snapshot().sessions;
    world.input(Input::CoaRefused(Box::new(undo.clone())));
    let answers: Vec<_> =
        world.actions.iter().filter(|action| matches!(action, Action::CoaAnswer { .. })).cloned().collect();
    let refused = Some(ErrorCause::ResourcesUnavailable);
    assert_eq!(answers, [Action::CoaAnswer { order: undo.order, refused, undo: None }]);
    let after = world.machine.snapshot().sessions;
    for (id, session) in &before {
        let now = after.get(id);
        if *id != undo.session || session.ending.is_some() {
            assert_eq!(now, Some(session), "somebody else changed");
        } else if session.grant == undo.changed {
            assert_eq!(now.map(|now| &now.grant), Some(&undo.grant));
        }
    }
}

/// What was said of one session so far.
#[derive(Default)]
struct Said {
    starts: u32,
    stops: u32,
    counters: Counters,
    account: Vec<AccountingKind>,
}

fn holds(world: &World) -> Result<(), TestCaseError> {
    world.machine.check().map_err(TestCaseError::fail)?;
    let mut said: BTreeMap<SessionId, Said> = BTreeMap::new();
    for (place, event) in world.events.iter().enumerate() {
        prop_assert_eq!(event.seq, place as u64 + 1, "seq has a gap");
        let Some(session) = event.event.session() else { continue };
        let entry = said.entry(session.session_id).or_default();
        prop_assert_eq!(entry.stops, 0, "an event after the stop");
        prop_assert_eq!(session.counters.max(entry.counters), session.counters, "counters ran backwards");
        entry.counters = session.counters;
        entry.starts += u32::from(matches!(event.event, Event::SessionStart(_)));
        entry.stops += u32::from(matches!(event.event, Event::SessionStop(_)));
        prop_assert_eq!(entry.starts, 1, "not exactly one start");
    }
    for (place, record) in world.accounting.iter().enumerate() {
        prop_assert_eq!(record.number, place as u64 + 1);
        if matches!(record.kind, AccountingKind::On | AccountingKind::Off) {
            let open = |said: &Said| {
                said.account.contains(&AccountingKind::Start) && !said.account.contains(&AccountingKind::Stop)
            };
            prop_assert!(!said.values().any(open), "a session is open at an Accounting-{:?}", record.kind);
        } else {
            said.entry(record.session).or_default().account.push(record.kind);
        }
    }
    for (id, said) in &said {
        let lives = world.machine.sessions().any(|session| session.id == *id);
        prop_assert_eq!(said.stops, u32::from(!lives), "the stop of {} is missing or too early", id);
        let count = |kind| said.account.iter().filter(|other| **other == kind).count();
        let started = count(AccountingKind::Start);
        prop_assert!(started <= 1);
        prop_assert_eq!(count(AccountingKind::Stop), if lives { 0 } else { started }, "accounting of {}", id);
    }
    let admitted: Vec<_> =
        world.machine.sessions().filter(|session| session.admitted).map(|session| session.ip).collect();
    prop_assert_eq!(admitted.len(), world.gate.len(), "the kernel and the machine disagree");
    prop_assert!(admitted.iter().all(|ip| world.gate.contains_key(ip)));
    let mut per_circuit: BTreeMap<_, usize> = BTreeMap::new();
    for session in world.machine.sessions().filter(|session| session.ending.is_none()) {
        *per_circuit.entry(&session.key.attachment).or_default() += 1;
    }
    prop_assert!(per_circuit.values().all(|count| *count <= 2), "sessions of a circuit leak");
    let dormant: Vec<_> = world.machine.dormant().collect();
    prop_assert_eq!(&dormant, &world.watched.keys().copied().collect::<Vec<_>>(), "the kernel watches others");
    prop_assert!(dormant.iter().all(|ip| world.machine.sessions().all(|one| one.ip != *ip || one.ending.is_some())));
    Ok(())
}

/// Whom AAA accepted is let in, whom it rejected into its garden at most; the gate confines whom the machine confines, and nobody
/// who was never accepted is accounted.
fn gardens_are_kept(world: &World) -> Result<(), TestCaseError> {
    let mut confined = 0;
    for session in world.machine.sessions().filter(|session| session.ending.is_none()) {
        let garden = session.terms.garden.as_ref();
        let passes = match session.auth {
            AuthState::PendingAuth => false,
            AuthState::Authorized => true,
            AuthState::Rejected => garden.is_some(),
        };
        prop_assert_eq!(session.admitted, passes, "{:?}", session);
        // What the kernel refused is in the machine until it is taken back.
        if world.undos.iter().all(|undo| undo.session != session.id) {
            prop_assert_eq!(world.gardens.get(&session.ip), garden);
            let limits = Some((session.terms.rates, session.terms.enforcement)).filter(|_| session.admitted);
            prop_assert_eq!(world.limits.get(&session.ip).copied().filter(|_| session.admitted), limits);
        }
        prop_assert_eq!(session.accounted, session.auth == AuthState::Authorized);
        prop_assert_eq!(&session.terms, &Terms::of(&world.machine.settings().config, session), "stale terms");
        confined += usize::from(world.gardens.contains_key(&session.ip));
    }
    prop_assert_eq!(world.gardens.len(), confined, "somebody is confined who is not there");
    Ok(())
}

/// A lease whose session was ended on purpose has no adopted session before it runs out, unless its client was heard of since.
fn the_dead_stay_dead(world: &World) -> Result<(), TestCaseError> {
    let mut holder = BTreeMap::new();
    let mut dead = BTreeMap::new();
    for event in &world.events {
        let Some(session) = event.event.session() else { continue };
        match &event.event {
            Event::SessionStart(start) => {
                // Leases of Kea's own making last 600 s: from when is the client's last transmission.
                let last = start.lease_expires_at - SignedDuration::from_secs(600);
                let stone = dead.get(&(start.ip, start.mac));
                let covered = stone.is_some_and(|(ended, until)| last <= *ended && event.ts < *until);
                prop_assert!(!(start.adopted && covered), "{} rose", start.ip);
                dead.retain(|(ip, _), _| *ip != start.ip);
                holder.insert(start.ip, start.session_id);
            }
            Event::SessionStop(_) if holder.get(&session.ip) == Some(&session.session_id) => {
                let ended = session.ended.as_ref().expect("a stop has its cause");
                let ours = ended.cause.as_str() != "Admin-Reboot" && !ended.detail.starts_with("the lease is");
                if ours {
                    dead.insert((session.ip, session.mac), (event.ts, session.lease_expires_at));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The journal alone rebuilds the machine, but for readings that the kernel still has.
fn journal_is_enough(world: &World) -> Result<(), TestCaseError> {
    let mut replayed = Snapshot::default();
    for record in &world.journal {
        replayed.apply(record);
    }
    let mut live = world.machine.snapshot();
    let pairs = live.sessions.values_mut().zip(replayed.sessions.values_mut());
    for (one, other) in pairs {
        for session in [one.make_mut(), other.make_mut()] {
            session.meter.reading = Counters::default();
            session.meter.upload_ms = 0;
            session.interim_due = false;
        }
    }
    prop_assert_eq!(live.sessions, replayed.sessions);
    prop_assert_eq!((live.last_seq, live.last_accounting), (replayed.last_seq, replayed.last_accounting));
    prop_assert_eq!(live.draining, replayed.draining);
    prop_assert_eq!(live.tombstones, replayed.tombstones);
    prop_assert_eq!(live.dormant, replayed.dormant);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn invariants_hold_after_every_step(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        world.with_kea();
        for step in steps {
            take(&mut world, step);
            holds(&world)?;
            gardens_are_kept(&world)?;
            the_dead_stay_dead(&world)?;
            journal_is_enough(&world)?;
        }
    }
}
