//! Idle subscribers: stopped where a policy says so, watched, and back with their first packet.

mod world;

use lastmile_session::*;
use lastmile_types::SessionId;
use world::{World, address};

const IP: u8 = 50;

/// A subscriber whose policy stops the idle after two minutes, and who was. His lease of ten minutes was renewed a minute ago.
fn asleep() -> (World, SessionId) {
    let mut world = World::new();
    world.dora(1, IP, 1);
    let id = world.accept("basic").unwrap();
    world.traffic(IP, 10);
    world.sleep(60_000);
    world.renewal(IP, 1);
    world.sleep(70_000);
    assert_eq!(world.stops(), [("Idle-Timeout", 10)]);
    (world, id)
}

fn watched(world: &World) -> Vec<std::net::Ipv4Addr> {
    world.watched.keys().copied().collect()
}

#[test]
fn the_first_packet_of_a_dormant_address_brings_it_back() {
    let (mut world, old) = asleep();
    assert_eq!(watched(&world), [address(IP)]);
    world.sleep(10_000);
    assert_eq!(world.machine.sessions().count(), 0, "nothing came");
    world.traffic(IP, 1);
    world.sleep(2_000);
    let session = world.machine.sessions().next().expect("a session").clone();
    assert!(session.id != old && session.ip == address(IP) && !session.adopted);
    assert_eq!(session.auth, lastmile_types::session::AuthState::PendingAuth, "AAA is asked anew");
    assert!(world.gate.is_empty() && watched(&world).is_empty());
    // The lease is what it was: 600 s from the renewal, 82 s ago.
    assert!(session.lease_end.boot_ms.abs_diff(world.boot_ms + 518_000) <= 1_000);
    world.accept("basic");
    assert!(world.gate.contains_key(&address(IP)));
    assert_eq!(world.kinds().iter().filter(|kind| **kind == "SESSION_START").count(), 2);
}

#[test]
fn download_alone_keeps_nobody_online_and_wakes_nobody() {
    let mut world = World::new();
    world.dora(1, IP, 1);
    world.accept("basic");
    for _ in 0..13 {
        world.sleep(10_000);
        if let Some(counters) = world.gate.get_mut(&address(IP)) {
            counters.input_octets += 1_000;
        }
    }
    assert_eq!(world.stops().first().map(|stop| stop.0), Some("Idle-Timeout"));
}

#[test]
fn a_sleeping_subscribers_dhcp_works_on() {
    let (mut world, _) = asleep();
    let server = |action: &Action| matches!(action, Action::ToServer { server: world::KEA, .. });
    world.dhcp(world.unicast(DhcpKind::Request, IP, 2));
    assert_eq!(world.dropped(), Some(Dropped::NotTheHolder));
    world.dhcp(world.unicast(DhcpKind::Request, IP, 1));
    assert!(world.actions.iter().any(server), "{:?}", world.actions);
    assert_eq!(world.machine.sessions().count(), 0, "an ACK starts a session, a REQUEST does not");
    world.dhcp(world.server(DhcpKind::Ack, IP, 1));
    assert_eq!(world.machine.sessions().count(), 1);
    assert!(watched(&world).is_empty());

    let (mut world, _) = asleep();
    world.dhcp(world.unicast(DhcpKind::Release, IP, 1));
    assert!(world.actions.iter().any(server));
    assert!(watched(&world).is_empty());
    assert_eq!(world.stops().len(), 1, "he had no session that could be stopped");
}

#[test]
fn a_sleep_ends_with_its_lease() {
    let (mut world, _) = asleep();
    world.sleep(529_000);
    assert_eq!(watched(&world), [address(IP)]);
    world.sleep(2_000);
    assert!(watched(&world).is_empty() && world.machine.dormant().next().is_none());
}

#[test]
fn whoever_sleeps_is_watched_across_restart_and_reboot() {
    let (mut world, _) = asleep();
    world.watched.clear(); // as if the table had gone
    world.restart();
    assert_eq!(watched(&world), [address(IP)]);
    world.watched.insert(address(99), true); // as if the journal had lost one
    world.machine = Machine::new(world.machine.settings().clone(), world.machine.snapshot());
    let stray = world.watched.clone();
    world.reboot();
    world.watched.extend(stray);
    world.traffic(IP, 1);
    world.sleep(2_000);
    assert_eq!(world.machine.sessions().map(|session| session.ip).collect::<Vec<_>>(), [address(IP)]);
    assert!(watched(&world).is_empty());
}

#[test]
fn reconciliation_wakes_nobody() {
    let (mut world, _) = asleep();
    world.with_kea();
    world.leased(1, IP, 1, 70, 600);
    world.pass();
    assert_eq!((world.machine.sessions().count(), world.machine.drift().ended_here), (0, 1));
    assert_eq!(watched(&world), [address(IP)]);
}

#[test]
fn a_place_that_was_taken_since_is_not_taken_back() {
    let (mut world, _) = asleep();
    world.with_kea();
    world.online(1, IP + 1, 2);
    assert!(watched(&world).is_empty(), "another device came to his circuit");
    let mac = world.client(DhcpKind::Discover, 1, 1).chaddr;
    assert!(world.actions.iter().all(|action| !matches!(action, Action::Evict { .. })));
    assert!(world.machine.sessions().all(|session| session.key.mac != mac));

    // The same device is online elsewhere.
    let (mut world, _) = asleep();
    world.online(2, IP + 1, 1);
    world.traffic(IP, 1);
    world.sleep(2_000);
    assert_eq!(world.machine.sessions().map(|session| session.ip).collect::<Vec<_>>(), [address(IP + 1)]);
    assert!(watched(&world).is_empty());
}

#[test]
fn a_drain_wakes_nobody_and_watches_nobody() {
    let (mut world, _) = asleep();
    world.input(Input::Drain);
    assert!(watched(&world).is_empty());
    world.input(Input::Stirred { ip: address(IP) });
    assert_eq!(world.actions, [Action::Unwatch { ip: address(IP) }]);
}
