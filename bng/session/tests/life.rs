//! The transition table: every way a session starts, changes and ends.

mod world;

use std::collections::BTreeSet;

use lastmile_session::*;
use lastmile_types::{
    SessionId,
    config::{Trust, TrustMode},
    session::{AuthState, SessionState},
};
use world::{KEA, World, address};

const IP: u8 = 50;

fn state(world: &World, id: SessionId) -> (SessionState, AuthState) {
    let session = world.machine.sessions().find(|session| session.id == id).expect("the session lives");
    (session.state, session.auth)
}

#[test]
fn an_ack_starts_a_session_and_an_accept_opens_the_gate() {
    let mut world = World::new();
    world.dora(1, IP, 1);
    assert_eq!(world.kinds(), ["ROUTER_UPDATE", "SESSION_START"]);
    assert!(world.gate.is_empty(), "nobody is let through before AAA says so");
    assert_eq!(world.requests[0].subject.user_name, "bng-01/line-01/ar-01|1%2F1");
    let id = world.accept("gold").unwrap();
    assert_eq!(state(&world, id), (SessionState::Pending, AuthState::Authorized));
    assert!(world.gate.contains_key(&address(IP)));
    assert_eq!(world.kinds(), ["ROUTER_UPDATE", "SESSION_START", "POLICY_APPLY"]);
    assert_eq!(world.accounting.len(), 1);
    world.traffic(IP, 10);
    world.sleep(6_000);
    assert_eq!(state(&world, id), (SessionState::Active, AuthState::Authorized));
    world.sleep(40_000);
    assert_eq!(state(&world, id), (SessionState::Idle, AuthState::Authorized));
    world.traffic(IP, 10);
    world.sleep(6_000);
    assert_eq!(state(&world, id), (SessionState::Active, AuthState::Authorized));
}

#[test]
fn the_record_is_in_the_same_effects_as_the_ack() {
    let mut world = World::new();
    world.dora(1, IP, 1);
    assert!(matches!(world.actions[0], Action::Reply { from: KEA, to: Destination::Relay(world::GIADDR), .. }));
    assert!(matches!(world.journal.last().unwrap().changes[0], Change::Session(_)));
}

#[test]
fn a_rejected_subscriber_stays_shut_out_and_is_asked_for_again_at_its_renewal() {
    let mut world = World::new();
    world.dora(1, IP, 1);
    let id = world.answer(AuthAnswer::Reject { message: "no such line".into() }).unwrap();
    assert_eq!(state(&world, id), (SessionState::Pending, AuthState::Rejected));
    assert!(world.gate.is_empty() && world.accounting.is_empty());
    world.renewal(IP, 1);
    assert_eq!(world.accept("gold"), Some(id));
    assert!(world.gate.contains_key(&address(IP)));
    world.input(Input::Drain);
    assert_eq!(world.stops(), [("Admin-Reboot", 0)]);
}

#[test]
fn after_a_drain_sessions_start_when_told() {
    let mut world = World::new();
    world.input(Input::Drain);
    world.dora(1, IP, 1);
    assert_eq!(world.accept("gold"), None);
    world.input(Input::Resume);
    world.dora(1, IP, 1);
    assert!(world.accept("gold").is_some());
}

#[test]
fn another_framed_address_is_a_reject() {
    let mut world = World::new();
    world.dora(1, IP, 1);
    let grant = Grant { framed_ip: Some(address(99)), ..Grant::default() };
    let id = world.answer(AuthAnswer::Accept(Box::new(grant))).unwrap();
    assert_eq!(state(&world, id).1, AuthState::Rejected);
}

#[test]
fn silence_of_radius_is_asked_again() {
    let mut world = World::new();
    world.dora(1, IP, 1);
    let id = world.answer(AuthAnswer::NoAnswer).unwrap();
    world.sleep(6_000);
    assert_eq!(world.accept("gold"), Some(id));
}

/// The ends of leases are boot times.
#[test]
fn a_step_of_the_clock_expires_nobody_and_extends_nothing() {
    for hours in [-1, 1] {
        let mut world = World::new();
        let id = world.online(1, IP, 1);
        world.wall_step_ms = hours * 3_600_000;
        world.sleep(599_000);
        assert_eq!(state(&world, id).1, AuthState::Authorized, "{hours} h");
        world.sleep(2_000);
        assert_eq!(world.machine.sessions().count(), 0, "{hours} h");
    }
}

/// Every cause, with what brings it about.
#[test]
fn every_stop_has_its_cause_and_its_final_counters() {
    type Act = fn(&mut World);
    let table: &[(&str, Act)] = &[
        ("User-Request", |world| world.dhcp(world.unicast(DhcpKind::Release, IP, 1))),
        ("User-Request", |world| {
            let release = DhcpMessage { ciaddr: address(IP), ..world.client(DhcpKind::Release, 1, 1) };
            world.dhcp(release);
        }),
        ("Lost-Carrier", |world| world.sleep(601_000)),
        ("NAS-Request", |world| world.dora(1, IP + 1, 1)),
        ("Port-Preempted", |world| world.dora(1, IP + 1, 2)),
        ("Port-Preempted", |world| world.dora(2, IP + 1, 1)),
        ("Admin-Reset", |world| {
            let session = world.machine.sessions().next().unwrap().id;
            world.input(Input::Disconnect { session, order: 7, detail: "kubectl".into() });
            assert!(
                world.actions.iter().any(|action| matches!(action, Action::Answer { order: 7, answer } if answer.done))
            );
        }),
        ("Admin-Reboot", |world| world.input(Input::Drain)),
        ("NAS-Request", |world| {
            let request = DhcpMessage { requested_ip: Some(address(IP)), ..world.client(DhcpKind::Request, 1, 1) };
            world.dhcp(request);
            world.dhcp(world.server(DhcpKind::Nak, 0, 1));
        }),
    ];
    for (cause, act) in table {
        let mut world = World::new();
        let id = world.online(1, IP, 1);
        world.traffic(IP, 1234);
        act(&mut world);
        assert_eq!(world.stops(), [(*cause, 1234)]);
        let stop =
            world.accounting.iter().find(|record| record.kind == AccountingKind::Stop && record.session == id).unwrap();
        assert_eq!(stop.counters.input_octets, 1234);
        assert!(!world.gate.contains_key(&address(IP)), "{cause}: the gate is still open");
    }
}

#[test]
fn timeouts_come_from_radius_and_from_the_policy() {
    let mut world = World::new();
    world.dora(1, IP, 1);
    let grant = Grant { session_timeout_seconds: Some(90), ..Grant::default() };
    world.answer(AuthAnswer::Accept(Box::new(grant)));
    world.sleep(91_000);
    assert_eq!(world.stops(), [("Session-Timeout", 0)]);
    world.online(1, IP, 1);
    world.dora(2, 60, 2);
    world.accept("basic");
    world.sleep(130_000);
    assert_eq!(world.stops()[1..], [("Idle-Timeout", 0)]);
}

#[test]
fn after_a_disconnect_the_next_renewal_is_refused() {
    let mut world = World::new();
    let session = world.online(1, IP, 1);
    world.input(Input::Disconnect { session, order: 1, detail: String::new() });
    world.dhcp(world.unicast(DhcpKind::Request, IP, 1));
    let client = Destination::Client(address(IP));
    assert!(matches!(world.actions[..], [Action::Nak { server: KEA, to, .. }] if to == client));
}

#[test]
fn a_renewal_goes_on_with_giaddr_and_option_82_and_comes_back_without() {
    let mut world = World::new();
    world.online(1, IP, 1);
    world.dhcp(world.unicast(DhcpKind::Request, IP, 1));
    let [Action::ToServer { server: KEA, edit }] = &world.actions[..] else { panic!("{:?}", world.actions) };
    assert_eq!(edit.giaddr, Some(world::GIADDR));
    assert!(matches!(&edit.relay_info, RelayInfoEdit::Set(raw) if raw.as_bytes().ends_with(b"\x0c\x06bng-01")));
    world.dhcp(world.server(DhcpKind::Ack, IP, 1));
    let [Action::Reply { from: KEA, to: Destination::Client(to), edit }] = &world.actions[..] else { panic!() };
    assert_eq!((*to, &edit.relay_info), (address(IP), &RelayInfoEdit::Strip));
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "SESSION_START").count(), 1);
}

#[test]
fn an_inform_that_a_relay_passed_on_is_answered_to_who_has_the_address() {
    let mut world = World::new();
    world.online(1, IP, 1);
    let ack = |world: &World| DhcpMessage {
        ciaddr: address(IP),
        yiaddr: [0; 4].into(),
        giaddr: [0; 4].into(),
        lease_seconds: None,
        ..world.server(DhcpKind::Ack, 0, 1)
    };
    for (ciaddr, to) in
        [(address(IP), Destination::Client(address(IP))), (address(IP + 1), Destination::Relay(world::GIADDR))]
    {
        world.next_xid();
        world.dhcp(DhcpMessage { ciaddr, ..world.client(DhcpKind::Inform, 1, 1) });
        assert!(
            matches!(&world.actions[..], [Action::ToServer { server: KEA, edit }] if edit.giaddr == Some(world::GIADDR))
        );
        world.dhcp(ack(&world));
        assert!(matches!(&world.actions[..], [Action::Reply { from: KEA, to: sent, .. }] if *sent == to));
    }
    assert_eq!(world.kinds(), ["ROUTER_UPDATE", "SESSION_START", "POLICY_APPLY"], "and nothing comes of it");
}

#[test]
fn nobody_ends_or_prolongs_a_strangers_session() {
    let mut world = World::new();
    world.online(1, IP, 1);
    world.dhcp(world.unicast(DhcpKind::Release, IP, 2));
    assert_eq!(world.dropped(), Some(Dropped::NotTheHolder));
    let elsewhere =
        DhcpMessage { source_mac: lastmile_types::MacAddr([2; 6]), ..world.unicast(DhcpKind::Release, IP, 1) };
    world.dhcp(elsewhere);
    assert_eq!(world.dropped(), Some(Dropped::NotTheHolder));
    assert_eq!(world.stops(), []);
}

#[test]
fn what_is_not_believed_is_dropped_under_its_label() {
    let mut world = World::new();
    let good = world.client(DhcpKind::Discover, 1, 1);
    let cases = [
        (DhcpMessage { giaddr: [10, 231, 11, 1].into(), ..good.clone() }, Dropped::OwnGiaddr),
        (DhcpMessage { giaddr: [192, 0, 2, 1].into(), ..good.clone() }, Dropped::ForeignGiaddr),
        (DhcpMessage { source_ip: [10, 231, 11, 9].into(), ..good.clone() }, Dropped::NotFromItsRelay),
        (DhcpMessage { relay_info: None, ..good.clone() }, Dropped::NoCircuitId),
        (DhcpMessage { hops: 16, ..good.clone() }, Dropped::TooManyHops),
        (DhcpMessage { giaddr: [0; 4].into(), ..good.clone() }, Dropped::NotRelayed),
        (DhcpMessage { kind: DhcpKind::Ack, ..good.clone() }, Dropped::ServerMessageFromAccess),
        (DhcpMessage { side: Side::Server, ..good.clone() }, Dropped::ClientMessageFromServer),
        (world.server(DhcpKind::Ack, IP, 1), Dropped::Unsolicited),
        (
            DhcpMessage { relay_info: good.relay_info.clone(), ..world.unicast(DhcpKind::Request, IP, 1) },
            Dropped::UntrustedOption82,
        ),
        (
            DhcpMessage { source_ip: [10, 231, 1, 9].into(), ..world.server(DhcpKind::Ack, IP, 1) },
            Dropped::UnlistedServer,
        ),
    ];
    for (message, label) in cases {
        world.dhcp(message);
        assert_eq!(world.dropped(), Some(label));
    }
    assert!(world.events.is_empty());
}

#[test]
fn option_82_past_the_relay_is_believed_where_it_says_what_the_relay_said() {
    let mut world = World::new();
    world.online(1, IP, 1);
    let said = |world: &World, port| DhcpMessage {
        relay_info: world.client(DhcpKind::Discover, port, 1).relay_info,
        ..world.unicast(DhcpKind::Request, IP, 1)
    };
    world.dhcp(said(&world, 2));
    assert_eq!(world.dropped(), Some(Dropped::UntrustedOption82));
    world.dhcp(said(&world, 1));
    assert!(matches!(world.actions[..], [Action::ToServer { .. }]), "{:?}", world.actions);
}

#[test]
fn only_declared_routers_are_believed_where_the_configuration_says_so() {
    let mut world = World::new();
    world.online(1, IP, 1);
    let mut settings = world::settings();
    settings.config.trust =
        Trust { mode: TrustMode::ListedOnly, routers: vec!["ar-02".to_owned()], ..Trust::default() };
    world.input(Input::Config(Box::new(settings.clone())));
    for message in [world.client(DhcpKind::Discover, 1, 1), world.unicast(DhcpKind::Request, IP, 1)] {
        world.dhcp(message);
        assert_eq!(world.actions, [Action::Drop(Dropped::UnlistedRouter)]);
    }
    settings.config.trust.routers.push("ar-01".to_owned());
    world.input(Input::Config(Box::new(settings)));
    world.renewal(IP, 1);
    assert!(world.actions.iter().any(|action| matches!(action, Action::Reply { .. })));
}

#[test]
fn a_policy_change_reaches_live_sessions() {
    let mut world = World::new();
    world.online(1, IP, 1);
    let mut settings = world::settings();
    settings.config.policies[0].rates.down_kbps = Some(7);
    world.input(Input::Config(Box::new(settings)));
    assert!(matches!(&world.actions[..], [Action::SetLimits(admission)] if admission.rates.down_kbps == Some(7)));
    assert_eq!(world.kinds().last(), Some(&"POLICY_APPLY"));
}

#[test]
fn a_router_dies_and_comes_back() {
    let mut world = World::new();
    world.online(1, IP, 1);
    world.sleep(11_000);
    world.input(Input::Ping { router: "ar-01".into(), rtt_us: None });
    world.input(Input::Ping { router: "ar-01".into(), rtt_us: None });
    world.input(Input::Ping { router: "ar-01".into(), rtt_us: Some(80) });
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "ROUTER_UPDATE").count(), 3);
}

#[test]
fn a_reboot_ends_every_session_once() {
    let mut world = World::new();
    world.online(1, IP, 1);
    world.traffic(IP, 500);
    world.sleep(6_000);
    world.gate.clear();
    world.boot_ms = 5_000;
    let snapshot = world.machine.snapshot();
    world.machine = Machine::new(world::settings(), snapshot);
    world.started(false);
    assert_eq!(world.stops(), [("NAS-Reboot", 500)]);
    let said: Vec<_> = world.accounting.iter().map(|record| record.kind).collect();
    assert_eq!(said, [AccountingKind::Start, AccountingKind::Stop, AccountingKind::On], "On comes after the last stop");
    world.restart();
    assert_eq!(world.accounting.len(), 3, "a restart of the process says nothing");
}

#[test]
fn a_drain_ends_with_one_accounting_off() {
    let mut world = World::new();
    world.online(1, IP, 1);
    world.online(2, 11, 2);
    let said = |world: &World| -> Vec<_> { world.accounting.iter().skip(2).map(|record| record.kind).collect() };
    world.input(Input::Drain);
    world.input(Input::Drain);
    world.restart();
    assert_eq!(said(&world), [AccountingKind::Stop, AccountingKind::Stop, AccountingKind::Off]);
    world.input(Input::Resume);
    world.input(Input::Drain);
    assert_eq!(said(&world).last(), Some(&AccountingKind::Off), "an empty gateway is drained at once");
    assert_eq!(said(&world).len(), 4);
}

#[test]
fn interims_carry_the_counters_of_their_moment() {
    let mut world = World::new();
    world.online(1, IP, 1);
    world.traffic(IP, 42);
    world.sleep(67_000);
    let interims: Vec<_> = world.accounting.iter().filter(|record| record.kind == AccountingKind::Interim).collect();
    assert_eq!(interims.len(), 1);
    assert_eq!(interims[0].counters.input_octets, 42);
}

/// Each comes within a tenth of the interval, and they do not come together.
#[test]
fn interims_of_a_hundred_that_start_together_are_spread() {
    let mut world = World::new();
    for number in 1..=100 {
        world.online(number, 100 + number, number);
    }
    let interims = |world: &World| -> Vec<_> {
        let interims = world.accounting.iter().filter(|record| record.kind == AccountingKind::Interim);
        interims.map(|record| (record.session, record.at.as_millisecond())).collect()
    };
    let began = world.accounting[0].at.as_millisecond();
    assert!(world.accounting.iter().all(|record| record.at.as_millisecond() == began));
    world.sleep(53_999);
    assert_eq!(interims(&world), []);
    world.sleep(12_001);
    let (sessions, times): (BTreeSet<_>, Vec<_>) = interims(&world).into_iter().unzip();
    assert_eq!((sessions.len(), times.len()), (100, 100), "one of each");
    let mut seconds = [0; 13];
    times.iter().for_each(|at| seconds[(at - began) as usize / 1_000 - 54] += 1);
    assert!(seconds[..12].iter().all(|count| (1..=25).contains(count)), "{seconds:?}");
}

/// RFC 2865 §5.1: a User-Name has at least one octet; a part cannot run into the next.
#[test]
fn a_user_name_is_never_empty() {
    let name = |template: &str| {
        let mut settings = world::settings();
        settings.config.radius.user_name_template = template.into();
        let mut world = World::new();
        world.input(Input::Config(Box::new(settings)));
        world.dora(1, IP, 1);
        world.requests[0].subject.user_name.clone()
    };
    assert_eq!(name(""), "02:00:00:01:00:01");
    assert_eq!(name("  "), "02:00:00:01:00:01");
    assert_eq!(name("{mac}!"), "02:00:00:01:00:01!");
    assert_eq!(name("a{nas"), "a{nas");
    assert_eq!(name("{nobody}"), "{nobody}");
    assert_eq!(name(&"x".repeat(300)).len(), 253);
}

#[test]
fn a_gate_that_is_made_anew_lets_everybody_in_and_goes_on_counting() {
    type Lose = fn(&mut World);
    let mut world = World::new();
    let id = world.online(1, IP, 1);
    world.dora(2, IP + 1, 2);
    world.answer(AuthAnswer::Reject { message: String::new() });
    world.traffic(IP, 100);
    world.sleep(5_000);
    let losses: [(u64, Lose); 2] = [(100, World::gate_anew), (107, |world| world.element_gone(IP))];
    for (counted, lose) in losses {
        lose(&mut world);
        assert_eq!(world.gate.keys().copied().collect::<Vec<_>>(), [address(IP)], "nobody else comes in by it");
        assert_eq!(world.machine.session(id).unwrap().meter.total().input_octets, counted);
        world.traffic(IP, 7);
        world.sleep(5_000);
    }
    world.input(Input::Disconnect { session: id, order: 1, detail: String::new() });
    assert_eq!(world.stops(), [("Admin-Reset", 114)]);
}
