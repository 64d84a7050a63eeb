//! Policies: who gets which, what an edit or a deletion does to live sessions, and walled gardens.

mod world;

use lastmile_session::*;
use lastmile_types::{
    Counters, Event, SessionId,
    config::{Access, BngConfig, OnReject, Policy, Selector, WalledGarden},
    event::PolicyApply,
    session::{AuthState, Rates, TerminateCause},
};
use world::{World, address};

const IP: u8 = 50;

fn policy(name: &str, down_kbps: u32) -> Policy {
    Policy {
        name: name.to_owned(),
        rates: Rates { down_kbps: Some(down_kbps), ..Rates::default() },
        ..Policy::default()
    }
}

fn remote(pattern: &str) -> Selector {
    Selector { remote_id: Some(pattern.to_owned()), ..Selector::default() }
}

/// The default policy of rejected subscribers.
fn unpaid() -> Policy {
    let garden = WalledGarden { destinations: vec!["192.0.2.0/24".parse().unwrap()], ..WalledGarden::default() };
    Policy {
        default: true,
        on_reject: OnReject::WalledGarden,
        walled_garden: Some(garden),
        interim_seconds: Some(60),
        ..policy("unpaid", 500)
    }
}

fn with(world: &mut World, policies: Vec<Policy>) {
    let mut settings = world.machine.settings().clone();
    settings.config.policies = policies;
    assert_eq!(settings.config.check(), Ok(()));
    world.input(Input::Config(Box::new(settings)));
}

fn session(world: &World, id: SessionId) -> Session {
    world.machine.session(id).expect("the session lives").clone()
}

fn last_apply(world: &World) -> PolicyApply {
    let found = world.events.iter().rev().find_map(|event| match &event.event {
        Event::PolicyApply(apply) => Some((**apply).clone()),
        _ => None,
    });
    found.expect("a POLICY_APPLY")
}

fn rejected(world: &mut World) -> SessionId {
    world.dora(1, IP, 1);
    world.answer(AuthAnswer::Reject { message: "unpaid bill".to_owned() }).expect("an Access-Request")
}

#[test]
fn radius_goes_before_filter_id_before_selector_before_default() {
    let selected = Policy { selector: remote("line-*"), idle_timeout_seconds: Some(70), ..policy("selected", 3) };
    let also = Policy { selector: remote("line-01"), ..policy("also", 4) };
    let by_id = Policy { filter_id: Some("GOLD".into()), interim_seconds: Some(90), ..policy("gold", 2) };
    let default = Policy { default: true, idle_timeout_seconds: Some(80), ..policy("default", 5) };
    let all = [&selected, &also, &by_id, &default];
    let rates = Rates { down_kbps: Some(1), ..Rates::default() };
    let grant =
        |filter_id: Option<&str>, rates| Grant { filter_id: filter_id.map(Into::into), rates, ..Grant::default() };
    type Said = (Option<&'static str>, Option<u32>, Option<u32>, u32);
    let cases: &[(&[&Policy], Grant, Said)] = &[
        (&all, grant(Some("GOLD"), Some(rates)), (Some("gold"), Some(1), None, 90)),
        (&all, grant(Some("GOLD"), None), (Some("gold"), Some(2), None, 90)),
        (&all, grant(Some("gold"), None), (Some("selected"), Some(3), Some(70), 60)),
        (&all, grant(None, Some(rates)), (Some("selected"), Some(1), Some(70), 60)),
        (&all, grant(None, None), (Some("selected"), Some(3), Some(70), 60)),
        (&[&also, &selected, &default], grant(None, None), (Some("also"), Some(4), None, 60)),
        (&[&default, &also], grant(None, None), (Some("also"), Some(4), None, 60)),
        (&[&by_id, &default], grant(None, None), (Some("default"), Some(5), Some(80), 60)),
        (&[&by_id], grant(None, None), (None, None, None, 60)),
        (&[&by_id], grant(None, Some(rates)), (None, Some(1), None, 60)),
    ];
    for (policies, grant, expected) in cases {
        let mut world = World::new();
        with(&mut world, policies.iter().map(|policy| (*policy).clone()).collect());
        world.dora(1, IP, 1);
        let id = world.answer(AuthAnswer::Accept(Box::new(grant.clone()))).unwrap();
        let terms = session(&world, id).terms;
        let said = (terms.policy.as_deref(), terms.rates.down_kbps, terms.idle_timeout_seconds, terms.interim_seconds);
        assert_eq!(said, *expected, "{grant:?}");
    }
}

#[test]
fn a_filter_id_that_names_no_policy_is_counted_and_said() {
    let mut world = World::new();
    world.dora(1, IP, 1);
    let id = world.accept("platinum").unwrap();
    assert_eq!(session(&world, id).terms.policy.as_deref(), Some("basic"));
    assert_eq!(last_apply(&world).reason, "Access-Accept; Filter-Id \"platinum\" names no policy");
    let found = world.machine.policy_use();
    assert_eq!((found.unknown, found.unknown_filter_ids.get("platinum")), (1, Some(&1)));
    assert_eq!(found.sessions.get("basic"), Some(&1));
    with(&mut world, vec![policy("platinum", 9)]);
    assert_eq!(session(&world, id).terms.policy.as_deref(), Some("platinum"));
    assert_eq!(last_apply(&world).reason, "policy basic was deleted");
    assert_eq!(world.machine.policy_use().unknown, 0);
}

#[test]
fn an_edited_policy_changes_the_session_and_leaves_it_online() {
    let mut world = World::new();
    let id = world.online(1, IP, 1);
    world.traffic(IP, 700);
    let mut policies = world::settings().config.policies;
    policies[0].rates.down_kbps = Some(7);
    policies[0].enforcement = lastmile_types::config::Enforcement::Shape;
    with(&mut world, policies.clone());
    assert!(matches!(&world.actions[..], [Action::SetLimits(admission)] if admission.rates.down_kbps == Some(7)));
    assert_eq!(last_apply(&world).reason, "the policy changed");
    world.sleep(6_000);
    assert_eq!(session(&world, id).meter.total().input_octets, 700, "the counters run on");
    // What the gate does not know is not told to it.
    policies[0].session_timeout_seconds = Some(3_600);
    with(&mut world, policies.clone());
    assert_eq!(world.actions, []);
    assert_eq!(session(&world, id).timeout_ms(), Some(session(&world, id).started.boot_ms + 3_600_000));
    // What is as before changes nothing.
    let events = world.events.len();
    with(&mut world, policies);
    assert_eq!((world.actions.len(), world.events.len()), (0, events));
    assert_eq!(world.stops(), []);
}

#[test]
fn a_deleted_policy_falls_back_to_the_next_and_says_so() {
    let selected = Policy { selector: remote("line-01"), ..policy("selected", 3) };
    let default = Policy { default: true, ..policy("default", 5) };
    let mut world = World::new();
    with(&mut world, vec![policy("gold", 2), selected.clone(), default.clone()]);
    let id = world.online(1, IP, 1);
    for (left, name, reason) in [
        (
            vec![selected, default.clone()],
            Some("selected"),
            "policy gold was deleted; Filter-Id \"gold\" names no policy",
        ),
        (vec![default], Some("default"), "policy selected was deleted; Filter-Id \"gold\" names no policy"),
        (vec![], None, "policy default was deleted; Filter-Id \"gold\" names no policy"),
        (vec![policy("gold", 2)], Some("gold"), "another policy applies"),
    ] {
        with(&mut world, left);
        assert!(matches!(&world.actions[..], [Action::SetLimits(_)]), "{:?}", world.actions);
        assert_eq!((session(&world, id).terms.policy.as_deref(), last_apply(&world).reason.as_str()), (name, reason));
    }
    let fell_back = world.machine.policy_use().fell_back;
    assert_eq!(fell_back, [("gold", 1), ("selected", 1), ("default", 1)].map(|(name, n)| (name.to_owned(), n)).into());
}

#[test]
fn a_rejected_subscriber_is_let_into_its_policys_garden_and_leaves_it_when_accepted() {
    let mut world = World::new();
    with(&mut world, vec![policy("gold", 2), unpaid()]);
    let id = rejected(&mut world);
    let admission = world.actions.iter().find_map(|action| match action {
        Action::Admit(admission) => Some(admission.clone()),
        _ => None,
    });
    let admission = admission.expect("it is let in");
    assert_eq!((admission.garden.as_deref(), admission.rates.down_kbps), (Some("unpaid"), Some(500)));
    let apply = last_apply(&world);
    assert_eq!(apply.session.auth, AuthState::Rejected);
    assert_eq!(apply.reason, "Access-Reject: unpaid bill; only the walled garden of unpaid is open");
    assert_eq!(world.machine.policy_use().confined, 1);
    // Counted and reported as any session; RADIUS is told nothing.
    world.traffic(IP, 300);
    world.sleep(67_000);
    let told = world.events.iter().filter(|event| matches!(event.event, Event::SessionUpdate(_)));
    assert!(told.clone().count() >= 2, "its first traffic, and an interim");
    assert_eq!(world.accounting, []);
    assert_eq!(world.requests.len(), 1, "asked again by the timer");
    world.accept("gold").unwrap();
    assert!(matches!(&world.actions[..], [Action::SetLimits(admission)] if admission.garden.is_none()));
    let session = session(&world, id);
    assert_eq!((session.auth, session.terms.policy.as_deref()), (AuthState::Authorized, Some("gold")));
    assert_eq!(session.meter.total().input_octets, 300);
    assert_eq!(world.accounting.iter().map(|record| record.kind).collect::<Vec<_>>(), [AccountingKind::Start]);
}

#[test]
fn an_accepted_subscriber_can_be_confined_too() {
    let confined = Policy { access: Access::WalledGarden, ..Policy { name: "late".into(), ..unpaid() } };
    let mut world = World::new();
    with(&mut world, vec![confined.clone()]);
    world.dora(1, IP, 1);
    let id = world.accept("late").unwrap();
    assert_eq!(session(&world, id).terms.garden.as_deref(), Some("late"));
    assert_eq!(world.accounting.len(), 1, "it was accepted: it is accounted");
    with(&mut world, vec![Policy { access: Access::Full, ..confined }]);
    assert!(matches!(&world.actions[..], [Action::SetLimits(admission)] if admission.garden.is_none()));
}

#[test]
fn a_garden_that_closes_shuts_the_rejected_out_and_keeps_what_they_moved() {
    let mut world = World::new();
    with(&mut world, vec![unpaid()]);
    let id = rejected(&mut world);
    world.traffic(IP, 300);
    with(&mut world, vec![]);
    assert!(matches!(world.actions[..], [Action::Evict { .. }]));
    assert!(world.gate.is_empty());
    assert_eq!(last_apply(&world).reason, "policy unpaid was deleted");
    assert_eq!(session(&world, id).interim_ms, None);
    with(&mut world, vec![unpaid()]);
    assert!(world.gate.contains_key(&address(IP)), "a garden opens for those who were rejected before it");
    world.traffic(IP, 50);
    world.dhcp(world.unicast(DhcpKind::Release, IP, 1));
    assert_eq!(world.stops(), [("User-Request", 350)]);
    assert_eq!(world.accounting, []);
}

/// The record of the decision is written, the element not yet taken away: nobody who was rejected gets more than nothing.
#[test]
fn a_gateway_killed_while_it_closes_a_garden_closes_it_at_its_next_start() {
    let mut world = World::new();
    with(&mut world, vec![unpaid()]);
    let id = rejected(&mut world);
    let mut settings = world.machine.settings().clone();
    settings.config.policies.clear();
    for element_is_left in [true, false] {
        let mut killed = Machine::new(world.machine.settings().clone(), world.machine.snapshot());
        let now = Now { boot_ms: world.boot_ms, wall: lastmile_types::Timestamp::UNIX_EPOCH, fresh: uuid::Uuid::nil() };
        let mut effects = Effects::default();
        killed.handle(now, Input::Config(Box::new(settings.clone())), &mut effects);
        assert!(matches!(effects.actions[..], [Action::Evict { .. }]));
        let mut next = Machine::new(settings.clone(), killed.snapshot());
        let elements =
            if element_is_left { vec![Reading { ip: address(IP), counters: Counters::default() }] } else { vec![] };
        let started = Started { same_boot: true, last_boot_ms: 0, elements };
        next.handle(now, Input::Started(started), &mut effects);
        assert!(matches!(effects.actions[..], [Action::Evict { .. }]), "{:?}", effects.actions);
        next.handle(now, Input::Evicted { session: id, counters: None }, &mut effects);
        assert!(!next.session(id).unwrap().admitted && effects.actions.is_empty());
    }
}

/// The policy was deleted while the gateway was down: the gate is never told of a garden that it does not have.
#[test]
fn a_garden_that_went_while_the_gateway_was_down_is_not_mentioned_at_its_start() {
    let confined = Policy { access: Access::WalledGarden, ..unpaid() };
    let mut world = World::new();
    with(&mut world, vec![confined]);
    world.dora(1, IP, 1);
    let id = world.accept("unpaid").unwrap();
    let mut settings = world.machine.settings().clone();
    settings.config.policies = vec![policy("gold", 2)];
    for element_is_left in [true, false] {
        let mut next = Machine::new(settings.clone(), world.machine.snapshot());
        let now = Now { boot_ms: world.boot_ms, wall: lastmile_types::Timestamp::UNIX_EPOCH, fresh: uuid::Uuid::nil() };
        let element = Reading { ip: address(IP), counters: Counters::default() };
        let elements = element_is_left.then_some(element).into_iter().collect();
        let mut effects = Effects::default();
        let started = Started { same_boot: true, last_boot_ms: 0, elements };
        next.handle(now, Input::Started(started), &mut effects);
        match (&effects.actions[..], element_is_left) {
            ([Action::SetLimits(admission)], true) | ([Action::Admit(admission)], false) => {
                assert_eq!(admission.garden, None);
            }
            (others, _) => panic!("{others:?}"),
        }
        assert!(next.session(id).unwrap().admitted);
    }
}

#[test]
fn aaa_is_asked_again_about_the_rejected_with_bounded_back_off() {
    let mut world = World::new();
    rejected(&mut world);
    world.dhcp(world.unicast(DhcpKind::Request, IP, 1));
    world.dhcp(DhcpMessage { lease_seconds: Some(100_000), ..world.server(DhcpKind::Ack, IP, 1) });
    assert_eq!(world.requests.len(), 1, "a DHCP exchange asks at once");
    let mut pauses = Vec::new();
    for _ in 0..8 {
        world.answer(AuthAnswer::Reject { message: String::new() });
        let before = world.boot_ms;
        while world.requests.is_empty() {
            world.sleep(5_000);
        }
        pauses.push((world.boot_ms - before) / 1000);
    }
    assert!(pauses[0] < 140 && pauses.windows(2).all(|two| two[1] >= two[0]), "{pauses:?}");
    assert!(pauses[7] >= 810 && pauses[7] < 1_000, "{pauses:?}");
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "POLICY_APPLY").count(), 1, "said once");
}

/// Every way to end a session that was never authorised: pending, rejected, or rejected into a garden.
#[test]
fn never_authorised_sessions_get_their_stop_and_no_accounting() {
    type Case = (TerminateCause, fn(&mut World, SessionId));
    let ends: &[Case] = &[
        (TerminateCause::UserRequest, |world, _| world.dhcp(world.unicast(DhcpKind::Release, IP, 1))),
        (TerminateCause::LostCarrier, |world, _| world.sleep(601_000)),
        (TerminateCause::PortPreempted, |world, _| world.dora(1, IP + 1, 2)),
        (TerminateCause::NasRequest, |world, _| world.dora(1, IP + 1, 1)),
        (TerminateCause::AdminReset, |world, session| {
            world.input(Input::Disconnect { session, order: 1, detail: String::new() });
        }),
        (TerminateCause::AdminReboot, |world, _| world.input(Input::Drain)),
        (TerminateCause::NasReboot, |world, _| {
            world.machine = Machine::new(world.machine.settings().clone(), world.machine.snapshot());
            world.reboot();
        }),
    ];
    for (cause, end) in ends {
        for (answered, policies) in [(false, vec![]), (true, vec![]), (true, vec![unpaid()])] {
            let mut world = World::new();
            with(&mut world, policies);
            world.dora(1, IP, 1);
            let id = world.requests[0].session;
            if answered {
                world.answer(AuthAnswer::Reject { message: String::new() });
            }
            end(&mut world, id);
            let stops = world.events.iter().filter_map(|event| match &event.event {
                Event::SessionStop(stop) if stop.session.session_id == id => stop.session.ended.clone(),
                _ => None,
            });
            let causes: Vec<_> = stops.map(|ended| ended.cause).collect();
            assert_eq!(causes, [*cause], "answered: {answered}");
            assert!(world.accounting.iter().all(|record| record.subject.is_none()), "{cause}: {:?}", world.accounting);
            assert!(world.gate.is_empty(), "{cause}");
        }
    }
}

/// A machine with many sessions, in the middle of their lives.
fn crowd(count: u32, policies: Vec<Policy>) -> (Machine, Now) {
    let mut world = World::new();
    with(&mut world, policies);
    let id = world.online(1, IP, 1);
    let one = session(&world, id);
    let mut snapshot = world.machine.snapshot();
    for number in 1..count {
        let mut session = one.clone();
        session.id =
            SessionId(uuid::Uuid::from_u128(id.0.as_u128() + (u128::from(number) << 64) + u128::from(number) * 7_919));
        session.ip = (u32::from(std::net::Ipv4Addr::new(10, 0, 0, 0)) + number).into();
        session.key.attachment.circuit_id = format!("ar-02|{number}").as_str().into();
        session.key.mac.0[3..].copy_from_slice(&number.to_be_bytes()[1..]);
        snapshot.sessions.insert(session.id, lastmile_types::Shared::new(session));
    }
    let now = Now { boot_ms: world.boot_ms, wall: lastmile_types::Timestamp::UNIX_EPOCH, fresh: uuid::Uuid::nil() };
    (Machine::new(world.machine.settings().clone(), snapshot), now)
}

#[test]
fn a_change_reaches_a_crowd_in_small_steps_and_each_of_it_once() {
    let (mut machine, mut now) = crowd(2_500, vec![policy("gold", 2)]);
    let mut settings = machine.settings().clone();
    settings.config.policies = vec![Policy { interim_seconds: Some(30), ..policy("gold", 3) }];
    let mut effects = Effects::default();
    machine.handle(now, Input::Config(Box::new(settings)), &mut effects);
    let (mut changed, mut steps) = (0, 1);
    loop {
        let limits = effects.actions.iter().filter(|action| matches!(action, Action::SetLimits(_))).count();
        assert!(limits <= 1_000, "{limits} at once");
        changed += limits;
        assert_eq!(effects.record.events.len(), limits);
        if machine.next_deadline().is_none_or(|at| at > now.boot_ms + 1) {
            break;
        }
        now.boot_ms += 1;
        machine.handle(now, Input::Timer, &mut effects);
        steps += 1;
    }
    assert_eq!((changed, steps), (2_500, 3));
    assert!(machine.sessions().all(|session| session.terms.rates.down_kbps == Some(3)));
    // Their interims do not come together.
    let mut seconds = [0_u32; 31];
    machine.sessions().for_each(|session| {
        seconds[(session.interim_ms.unwrap() - now.boot_ms) as usize / 1_000] += 1;
    });
    assert!(seconds.iter().all(|count| *count < 250), "{seconds:?}");
}

#[test]
fn a_policy_that_confines_to_nothing_is_refused() {
    let mut config: BngConfig = world::settings().config;
    config.policies = vec![Policy { walled_garden: None, ..unpaid() }];
    assert_eq!(config.check().unwrap_err().field, "policies.walledGarden");
    config.policies = vec![Policy { access: Access::WalledGarden, ..policy("late", 1) }];
    assert!(config.check().is_err());
}
