//! CoA and Disconnect: who is meant, what is refused and why, what a change does and outlives.

mod world;

use lastmile_session::*;
use lastmile_types::{
    Event, Octets, SessionId,
    session::{AuthState, Rates},
};
use world::{World, address};

const IP: u8 = 50;
/// Set by hand in `Target`s below: the name that the template makes.
const NAME: &str = "bng-01/line-01/ar-01|1%2F1";

fn ask(world: &mut World, target: Target, wish: CoaWish) -> Result<(), ErrorCause> {
    world.input(Input::Coa(Box::new(CoaRequest { order: 9, target, wish })));
    let answers: Vec<_> = world
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::CoaAnswer { order: 9, refused, .. } => Some(*refused),
            _ => None,
        })
        .collect();
    assert_eq!(answers.len(), 1, "one answer: {:?}", world.actions);
    answers[0].map_or(Ok(()), Err)
}

fn change(world: &mut World, target: Target, patch: Patch) -> Result<(), ErrorCause> {
    ask(world, target, CoaWish::Change(Box::new(patch)))
}

fn disconnect(world: &mut World, target: Target) -> Result<(), ErrorCause> {
    ask(world, target, CoaWish::Disconnect { detail: "Disconnect-Request from 10.231.0.2".to_owned() })
}

fn filter(id: &str) -> Patch {
    Patch { filter_id: Some(id.to_owned()), ..Patch::default() }
}

fn by_ip(ip: u8) -> Target {
    Target { framed_ip: Some(address(ip)), ..Target::default() }
}

/// One target for each identifier of the session of port 1, device 1.
fn each_identifier(id: SessionId) -> Vec<Target> {
    let none = Target::default;
    vec![
        Target { acct_session_id: Some(id.to_string()), ..none() },
        Target { user_name: Some(NAME.to_owned()), ..none() },
        by_ip(IP),
        Target { calling_station_id: Some("02-00-00-01-00-01".to_owned()), ..none() },
        Target { nas_port_id: Some("ar-01|1/1".to_owned()), ..none() },
        Target { circuit_id: Some(Octets::from("ar-01|1/1")), ..none() },
        Target { remote_id: Some(Octets::from("line-01")), ..none() },
    ]
}

fn merged(one: Target, other: Target) -> Target {
    Target {
        nas_identifier: one.nas_identifier.or(other.nas_identifier),
        nas_ip_address: one.nas_ip_address.or(other.nas_ip_address),
        acct_session_id: one.acct_session_id.or(other.acct_session_id),
        user_name: one.user_name.or(other.user_name),
        framed_ip: one.framed_ip.or(other.framed_ip),
        calling_station_id: one.calling_station_id.or(other.calling_station_id),
        nas_port_id: one.nas_port_id.or(other.nas_port_id),
        circuit_id: one.circuit_id.or(other.circuit_id),
        remote_id: one.remote_id.or(other.remote_id),
    }
}

#[test]
fn each_identifier_finds_its_session_and_all_given_must_match() {
    let mut world = World::new();
    let id = world.online(1, IP, 1);
    let other = world.online(2, IP + 1, 2);
    let others = world.machine.session(other).cloned();
    let ours = Target {
        nas_identifier: Some("bng-01".to_owned()),
        nas_ip_address: Some([10, 231, 0, 11].into()),
        ..Target::default()
    };
    let targets = each_identifier(id);
    let all = targets.iter().cloned().fold(ours, merged);
    for (place, target) in targets.iter().chain([&all]).enumerate() {
        let wanted = if place % 2 == 0 { "basic" } else { "gold" };
        assert_eq!(change(&mut world, target.clone(), filter(wanted)), Ok(()), "{target:?}");
        assert_eq!(world.machine.session(id).unwrap().terms.policy.as_deref(), Some(wanted), "{target:?}");
        // With one identifier of another session nobody is meant.
        if *target != by_ip(IP) {
            let both = merged(by_ip(IP + 1), target.clone());
            assert_eq!(disconnect(&mut world, both), Err(ErrorCause::SessionContextNotFound), "{target:?}");
        }
    }
    assert_eq!(world.machine.session(other).cloned(), others, "only the session named changes");
    let longer = Target { nas_port_id: Some("ar-01|1/11".to_owned()), ..Target::default() };
    assert_eq!(disconnect(&mut world, longer), Err(ErrorCause::SessionContextNotFound));
    let shorter = Target { circuit_id: Some(Octets::from("ar-01|1/")), ..Target::default() };
    assert_eq!(disconnect(&mut world, shorter), Err(ErrorCause::SessionContextNotFound));
}

/// A circuit-id longer than its attributes: what they carry of it is enough, unless two begin alike.
#[test]
fn identifiers_that_were_cut_off_are_found_by_what_was_sent() {
    let mut world = World::new();
    let long = |last: u8| Octets::from([&[0xff; 253][..], &[last]].concat());
    for last in 1..=2 {
        let mut message = world.client(DhcpKind::Discover, last, last);
        message.relay_info.as_mut().unwrap().circuit_id = Some(long(last));
        world.dhcp(message.clone());
        world.dhcp(world.server(DhcpKind::Ack, IP + last, last));
        world.accept("gold");
    }
    let circuit = long(1);
    for target in [
        Target { circuit_id: Some(agent_id(&circuit).into()), ..Target::default() },
        Target { nas_port_id: Some(nas_port_id(&circuit)), ..Target::default() },
    ] {
        let several = disconnect(&mut world, target.clone());
        assert_eq!(several, Err(ErrorCause::MultipleSessionSelectionUnsupported));
        let with_remote = Target { remote_id: Some(Octets::from("line-01")), ..target };
        assert_eq!(change(&mut world, with_remote, filter("basic")), Ok(()));
    }
}

#[test]
fn every_refusal_has_its_cause_and_changes_nothing() {
    use ErrorCause::*;
    let mut world = World::new();
    let id = world.online(1, IP, 1);
    world.dora(2, IP + 1, 2); // RADIUS has not answered yet
    world.dora(3, IP + 2, 3);
    world.requests.swap(0, 1);
    world.answer(AuthAnswer::Reject { message: String::new() });
    let before = (world.events.len(), world.journal.len(), world.machine.session(id).cloned());
    let nas = |target: Target| merged(target, by_ip(IP));
    let gold = filter("gold");
    let interim = Patch { interim_seconds: Some(9), ..Patch::default() };
    let session = Target { acct_session_id: Some("no UUID".to_owned()), ..Target::default() };
    let elsewhere = Target { nas_identifier: Some("bng-02".to_owned()), ..Target::default() };
    let other_address = Target { nas_ip_address: Some([10, 231, 0, 12].into()), ..Target::default() };
    for (target, patch, cause) in [
        (Target::default(), gold.clone(), MissingAttribute),
        (by_ip(IP), Patch::default(), MissingAttribute),
        (nas(elsewhere), gold.clone(), NasIdentificationMismatch),
        (nas(other_address), gold.clone(), NasIdentificationMismatch),
        (by_ip(IP), filter("platinum"), InvalidAttributeValue),
        (by_ip(IP), interim, InvalidAttributeValue),
        (by_ip(IP + 1), gold.clone(), AdministrativelyProhibited),
        (by_ip(IP + 2), gold.clone(), AdministrativelyProhibited),
        (by_ip(IP + 3), gold.clone(), SessionContextNotFound),
        (session, gold, SessionContextNotFound),
    ] {
        assert_eq!(change(&mut world, target.clone(), patch), Err(cause), "{target:?}");
    }
    assert_eq!((world.events.len(), world.journal.len(), world.machine.session(id).cloned()), before);
}

#[test]
fn several_sessions_are_none_of_them() {
    let mut world = World::new();
    let mut settings = world::settings();
    settings.config.radius.user_name_template = "everybody".to_owned();
    world.input(Input::Config(Box::new(settings)));
    world.online(1, IP, 1);
    world.online(2, IP + 1, 2);
    let target = Target { user_name: Some("everybody".to_owned()), ..Target::default() };
    assert_eq!(disconnect(&mut world, target.clone()), Err(ErrorCause::MultipleSessionSelectionUnsupported));
    assert_eq!(disconnect(&mut world, merged(by_ip(IP), target.clone())), Ok(()));
    assert_eq!(disconnect(&mut world, target), Ok(()), "the one that is left");
}

#[test]
fn a_change_is_said_enforced_and_outlives_restart_and_policy() {
    let mut world = World::new();
    let id = world.online(1, IP, 1);
    assert_eq!(change(&mut world, by_ip(IP), filter("basic")), Ok(()));
    let limits: Vec<_> =
        world.actions.iter().filter(|action| matches!(action, Action::SetLimits(one) if one.session == id)).collect();
    assert_eq!(limits.len(), 1, "{:?}", world.actions);
    let Event::PolicyApply(apply) = &world.events.last().unwrap().event else { panic!("no POLICY_APPLY") };
    assert_eq!((apply.reason.as_str(), apply.filter_id.as_deref()), ("CoA", Some("basic")));
    assert_eq!((apply.session.rates.down_kbps, apply.session.policy.as_deref()), (Some(1_000), Some("basic")));

    let rates = Rates { up_kbps: Some(77), ..Rates::default() };
    assert_eq!(change(&mut world, by_ip(IP), Patch { rates: Some(rates), ..Patch::default() }), Ok(()));
    let both = Rates { down_kbps: Some(1_000), up_kbps: Some(77), ..Rates::default() };
    assert_eq!(world.machine.session(id).unwrap().terms.rates, both, "a direction without a rate stays");
    let lifted = Rates { down_kbps: Some(0), ..Rates::default() };
    assert_eq!(change(&mut world, by_ip(IP), Patch { rates: Some(lifted), ..Patch::default() }), Ok(()));
    let up = Rates { up_kbps: Some(77), ..Rates::default() };
    assert_eq!(world.machine.session(id).unwrap().terms.rates, up, "0 lifts the policy's limit");
    let burst = Rates { up_burst_kbit: Some(700), ..Rates::default() };
    assert_eq!(change(&mut world, by_ip(IP), Patch { rates: Some(burst), ..Patch::default() }), Ok(()));
    let up = Rates { up_burst_kbit: Some(700), ..up };
    assert_eq!(world.machine.session(id).unwrap().terms.rates, up, "and stays lifted");
    let class = Patch { class: vec![Octets::from("c")], ..Patch::default() };
    assert_eq!(change(&mut world, by_ip(IP), class), Ok(()));
    assert_eq!(world.machine.session(id).unwrap().grant.class, [Octets::from("c")]);

    let events = world.events.len();
    assert_eq!(change(&mut world, by_ip(IP), filter("basic")), Ok(()), "it is so already");
    assert_eq!(world.events.len(), events, "and nothing happened");

    world.restart();
    let mut settings = world::settings();
    settings.config.policies[1].rates.down_kbps = Some(2);
    world.input(Input::Config(Box::new(settings)));
    let session = world.machine.session(id).unwrap();
    assert_eq!((session.terms.policy.as_deref(), session.terms.rates), (Some("basic"), up));
}

#[test]
fn timeouts_and_interim_follow_a_change() {
    let mut world = World::new();
    let id = world.online(1, IP, 1);
    world.sleep(10_000);
    let patch = Patch { session_timeout_seconds: Some(100), interim_seconds: Some(20), ..Patch::default() };
    assert_eq!(change(&mut world, by_ip(IP), patch), Ok(()));
    world.sleep(21_000);
    assert_eq!(world.accounting.last().unwrap().kind, AccountingKind::Interim);
    world.sleep(68_000);
    assert!(world.machine.session(id).is_some(), "99 s since its start");
    world.sleep(1_000);
    assert_eq!(world.stops(), [("Session-Timeout", 0)]);

    world.online(2, IP + 1, 2);
    world.sleep(50_000);
    let idle = |seconds| Patch { idle_timeout_seconds: Some(seconds), ..Patch::default() };
    assert_eq!(change(&mut world, by_ip(IP + 1), idle(60)), Ok(()));
    assert_eq!(change(&mut world, by_ip(IP + 1), idle(0)), Ok(()));
    world.sleep(50_000);
    assert_eq!(world.stops().len(), 1, "0 is no limit");
    assert_eq!(change(&mut world, by_ip(IP + 1), idle(60)), Ok(()));
    world.sleep(6_000);
    assert_eq!(world.stops()[1].0, "Idle-Timeout");
}

#[test]
fn a_disconnect_is_answered_when_it_is_done() {
    let mut world = World::new();
    let id = world.online(1, IP, 1);
    world.traffic(IP, 77);
    assert_eq!(disconnect(&mut world, by_ip(IP)), Ok(()));
    assert_eq!(world.stops(), [("Admin-Reset", 77)]);
    let Event::SessionStop(stop) = &world.events.last().unwrap().event else { panic!("no SESSION_STOP") };
    assert_eq!(stop.session.ended.as_ref().unwrap().detail, "Disconnect-Request from 10.231.0.2");
    assert!(world.machine.session(id).is_none() && world.gate.is_empty());
    assert_eq!(disconnect(&mut world, by_ip(IP)), Err(ErrorCause::SessionContextNotFound));
    world.renewal(IP, 1);
    assert!(
        world.actions.iter().any(|action| matches!(action, Action::Nak { .. }) || matches!(action, Action::Drop(_)))
    );
    // Also whom RADIUS has not accepted can be disconnected, and also while draining somebody is answered.
    world.dora(1, IP, 1);
    assert_eq!(world.machine.sessions().next().unwrap().auth, AuthState::PendingAuth);
    assert_eq!(disconnect(&mut world, by_ip(IP)), Ok(()));
    world.input(Input::Drain);
    assert_eq!(disconnect(&mut world, by_ip(IP)), Err(ErrorCause::SessionContextNotFound));
}

#[test]
fn what_the_kernel_refuses_is_taken_back() {
    let mut world = World::new();
    let id = world.online(1, IP, 1);
    let before = world.machine.session(id).unwrap().clone();
    assert_eq!(change(&mut world, by_ip(IP), filter("basic")), Ok(()));
    let undo = world.actions.iter().find_map(|action| match action {
        Action::CoaAnswer { undo: Some(undo), .. } => Some(undo.clone()),
        _ => None,
    });
    world.input(Input::CoaRefused(undo.expect("a change can be taken back")));
    let refused = Action::CoaAnswer { order: 9, refused: Some(ErrorCause::ResourcesUnavailable), undo: None };
    assert!(world.actions.contains(&refused), "{:?}", world.actions);
    let after = world.machine.session(id).unwrap();
    assert_eq!((&after.grant, &after.terms), (&before.grant, &before.terms));
    assert!(
        world.actions.iter().any(|action| matches!(action, Action::SetLimits(old) if old.rates == before.terms.rates))
    );
}

#[test]
fn what_another_change_granted_since_is_not_taken_back() {
    let mut world = World::new();
    let id = world.online(1, IP, 1);
    world.refuses = true;
    assert_eq!(change(&mut world, by_ip(IP), Patch { session_timeout_seconds: Some(100), ..filter("basic") }), Ok(()));
    world.refuses = false;
    let later = Patch { session_timeout_seconds: Some(200), ..Patch::default() };
    assert_eq!(change(&mut world, by_ip(IP), later), Ok(()));
    let undo = world.undos.pop().expect("a change can be taken back");
    world.input(Input::CoaRefused(Box::new(undo)));
    let session = world.machine.session(id).unwrap();
    assert_eq!(session.grant.filter_id.as_deref(), Some("gold"));
    assert_eq!(session.terms.session_timeout_seconds, Some(200), "that was acknowledged");
    assert_eq!(world.limits[&address(IP)].0, session.terms.rates);
}
