//! Sessions against Kea's leases: what is adopted, what is stopped, and what stays dead.

mod world;

use lastmile_session::*;
use lastmile_types::SessionId;
use world::{World, address};

const IP: u8 = 50;

fn world() -> World {
    let mut world = World::new();
    world.with_kea();
    world
}

fn only(world: &World) -> SessionId {
    let mut sessions = world.machine.sessions();
    let session = sessions.next().expect("a session");
    assert!(sessions.next().is_none(), "more than one session");
    session.id
}

#[test]
fn a_lost_journal_is_made_good_by_adoption() {
    let mut world = world();
    for line in 1..4 {
        world.online(line, IP + line, line);
        world.leased(line, IP + line, line, 5, 600);
    }
    let before: Vec<_> = world.machine.sessions().map(|session| session.key.clone()).collect();
    world.forget_journal();
    assert!(world.gate.is_empty() && world.machine.sessions().next().is_none());
    world.pass();
    while world.accept("gold").is_some() {}
    let mut after: Vec<_> = world.machine.sessions().map(|session| session.key.clone()).collect();
    after.sort();
    assert_eq!(after, before);
    assert_eq!(world.gate.len(), 3);
    assert_eq!(world.machine.drift().adopted, 3);
    assert!(world.machine.sessions().all(|session| session.adopted && session.path.router == "ar-01"));
    let starts: Vec<_> = world.events.iter().filter(|event| event.event.event_type() == "SESSION_START").collect();
    assert_eq!(starts.len(), 3);
    assert!(starts.iter().all(|start| start.event.session().unwrap().adopted));
    world.pass();
    assert_eq!(world.machine.drift().adopted, 3, "a second pass finds nothing");
    // Its first renewal goes the usual way, and shows whose frames are its.
    world.renewal(IP + 1, 1);
    let renewed = world.machine.sessions().find(|session| session.ip == address(IP + 1)).unwrap();
    assert_eq!(renewed.path.relay_mac, world::ROUTER_MAC);
    assert_eq!(world.machine.sessions().count(), 3);
}

#[test]
fn a_session_whose_lease_is_gone_or_anothers_is_stopped() {
    let mut world = world();
    world.online(1, IP, 1);
    world.boot_ms += 1_000;
    world.pass();
    assert_eq!(world.stops(), [("Lost-Carrier", 0)]);
    world.online(1, IP, 1);
    world.leased(2, IP, 2, 0, 600);
    world.boot_ms += 1_000;
    world.pass();
    assert_eq!(world.stops().len(), 2);
    let id = only(&world);
    assert_eq!(world.machine.session(id).unwrap().key.mac.0[5], 2, "the heir is adopted");
    assert_eq!((world.machine.drift().stopped, world.machine.drift().adopted), (2, 1));
}

#[test]
fn kea_down_changes_nothing() {
    let mut world = world();
    let id = world.online(1, IP, 1);
    world.boot_ms += 1_000;
    // The page came, and then Kea died: nobody can say whether this very lease is gone.
    let page = LeasePage { first: true, last: true, leases: Vec::new() };
    world.kea = None;
    world.input(Input::Leases(page));
    assert!(world.actions.contains(&Action::AskLease { ip: address(IP) }));
    assert_eq!((only(&world), world.stops().len()), (id, 0));
    // A renewal without session is neither adopted nor refused.
    world.dhcp(world.unicast(DhcpKind::Request, IP + 1, 2));
    assert_eq!(world.actions, [Action::AskLease { ip: address(IP + 1) }]);
}

#[test]
fn an_ack_withdraws_the_question() {
    let mut world = world();
    let id = world.online(1, IP, 1);
    world.boot_ms += 1_000;
    world.keep_questions = true;
    world.pass();
    world.renewal(IP, 1);
    world.input(Input::Lease { ip: address(IP), answer: LeaseAnswer::None });
    assert_eq!((only(&world), world.stops().len()), (id, 0));
}

#[test]
fn what_was_ended_here_stays_dead_until_a_dora() {
    let ends: &[fn(&mut World)] = &[
        |world| world.dhcp(world.unicast(DhcpKind::Release, IP, 1)),
        |world| {
            let session = only(world);
            world.input(Input::Disconnect { session, order: 1, detail: String::new() });
        },
        |world| world.sleep(601_000),
    ];
    for end in ends {
        let mut world = world();
        world.online(1, IP, 1);
        // The lease outlives the session a little: the clocks differ.
        world.leased(1, IP, 1, 0, 630);
        end(&mut world);
        world.pass();
        world.restart();
        world.pass();
        assert_eq!(world.machine.sessions().count(), 0);
        assert_eq!(world.machine.drift().ended_here, 1);
        world.dhcp(world.unicast(DhcpKind::Request, IP, 1));
        assert!(matches!(world.actions[..], [Action::Nak { .. }]), "{:?}", world.actions);
        world.online(1, IP, 1);
        world.pass();
        assert_eq!(world.machine.sessions().count(), 1);
        assert_eq!(world.machine.drift().ended_here, 0);
    }
}

#[test]
fn tombstones_last_as_long_as_the_lease() {
    let mut world = world();
    world.online(1, IP, 1);
    world.dhcp(world.unicast(DhcpKind::Release, IP, 1));
    assert_eq!(world.machine.snapshot().tombstones.len(), 1);
    world.sleep(700_000);
    world.pass();
    assert!(world.machine.snapshot().tombstones.is_empty());
    world.leased(1, IP, 1, 0, 600);
    world.pass();
    assert_eq!(world.machine.sessions().count(), 1);
}

#[test]
fn a_reboot_keeps_tombstones_by_the_wall_clock() {
    let mut world = world();
    world.online(1, IP, 1);
    world.leased(1, IP, 1, 0, 600);
    world.dhcp(world.unicast(DhcpKind::Release, IP, 1));
    world.machine = Machine::new(world.machine.settings().clone(), world.machine.snapshot());
    world.reboot();
    world.pass();
    assert_eq!(world.machine.sessions().count(), 0);
    assert_eq!(world.machine.snapshot().tombstones.len(), 1);
}

#[test]
fn a_renewal_without_session_is_adopted_or_refused() {
    let mut world = world();
    world.leased(1, IP, 1, 5, 600);
    world.dhcp(world.unicast(DhcpKind::Request, IP, 1));
    only(&world);
    // The shell hands the message in again.
    world.renewal(IP, 1);
    assert!(world.actions.iter().any(|action| matches!(action, Action::Reply { .. })));
    // Nobody's, or another's: refused.
    world.leased(2, 60, 2, 5, 600);
    for (ip, mac) in [(70, 3), (60, 3)] {
        world.dhcp(world.unicast(DhcpKind::Request, ip, mac));
        world.dhcp(world.unicast(DhcpKind::Request, ip, mac));
        let nak = matches!(world.actions[..], [Action::Nak { .. }]);
        let missed = world.machine.sessions().any(|session| session.ip == address(ip) && session.key.mac.0[5] == 2);
        assert!(nak || missed, "{:?}", world.actions);
    }
}

#[test]
fn a_moved_subscriber_is_followed_and_an_old_lease_is_not() {
    let mut world = world();
    world.online(1, IP, 1);
    world.leased(1, IP, 1, 100, 600);
    world.boot_ms += 1_000;
    world.leased(1, 40, 1, 300, 600);
    world.pass();
    assert_eq!((world.stops().len(), world.machine.drift().moved), (0, 0), "an older lease of the same device");
    world.leased(1, 60, 1, 2, 600);
    world.pass();
    assert_eq!(world.stops(), [("NAS-Request", 0)]);
    assert_eq!(world.machine.session(only(&world)).unwrap().ip, address(60));
    assert_eq!(world.machine.drift().moved, 1);
    world.pass();
    assert_eq!(world.stops().len(), 1, "it does not go back");
}

#[test]
fn a_replaced_devices_lease_is_deleted_in_kea() {
    let mut world = world();
    world.online(1, IP, 1);
    world.leased(1, IP, 1, 0, 600);
    world.dora(1, IP + 1, 2);
    let mac = world.client(DhcpKind::Discover, 1, 1).chaddr;
    assert!(world.actions.contains(&Action::DeleteLease { ip: address(IP), mac }));
}

#[test]
fn leases_that_tell_nothing_or_are_not_ours_are_left_alone() {
    let mut world = world();
    world.leased(1, IP, 1, 0, 600);
    world.leased(2, IP + 1, 2, 0, 600);
    world.leased(3, IP + 2, 3, 700, 600);
    let leases = world.kea.as_mut().unwrap();
    leases.get_mut(&address(IP)).unwrap().relay_info = None;
    leases.get_mut(&address(IP + 1)).unwrap().active = false;
    let foreign = KeaLease { ip: [192, 0, 2, 1].into(), ..leases[&address(IP)].clone() };
    leases.insert(foreign.ip, foreign);
    world.pass();
    assert_eq!(world.machine.sessions().count(), 0);
    let drift = world.machine.drift();
    assert_eq!((drift.leases, drift.unattributed), (1, 1));
}
