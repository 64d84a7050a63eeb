//! Sessions in each other's way: how many a circuit has, and how often they may take turns.

mod world;

use lastmile_session::*;
use world::{World, address};

fn several(count: u32) -> World {
    let mut world = World::new();
    let mut settings = world::settings();
    settings.config.sessions_per_circuit = count;
    world.input(Input::Config(Box::new(settings)));
    world
}

fn live(world: &World) -> Vec<u8> {
    let mut macs: Vec<_> = world.machine.sessions().map(|session| session.key.mac.0[5]).collect();
    macs.sort_unstable();
    macs
}

#[test]
fn a_circuit_has_as_many_sessions_as_it_may_and_the_oldest_goes() {
    let mut world = several(3);
    for mac in 1..=3 {
        world.boot_ms += 10;
        world.online(1, 50 + mac, mac);
    }
    assert_eq!((live(&world), world.stops().len()), (vec![1, 2, 3], 0));
    world.boot_ms += 10;
    world.online(1, 60, 4);
    assert_eq!((live(&world), world.stops()), (vec![2, 3, 4], vec![("Port-Preempted", 0)]));
    // A new address of one of them is its own affair.
    world.online(1, 61, 3);
    assert_eq!((live(&world), world.stops().len()), (vec![2, 3, 4], 2));
    // When fewer are allowed, those who are there stay until the next one comes.
    let mut settings = world::settings();
    settings.config.sessions_per_circuit = 1;
    world.input(Input::Config(Box::new(settings)));
    assert_eq!(live(&world), [2, 3, 4]);
    world.online(1, 62, 5);
    assert_eq!(live(&world), [5]);
}

#[test]
fn missed_sessions_of_one_circuit_are_all_adopted() {
    let mut world = several(3);
    let mut settings = world.machine.settings().clone();
    settings.config.kea =
        Some(serde_json::from_value(serde_json::json!({ "url": "http://kea", "form": "Direct" })).unwrap());
    world.input(Input::Config(Box::new(settings)));
    world.kea = Some(Default::default());
    for mac in 1..=3 {
        world.leased(1, 50 + mac, mac, 5, 600);
    }
    world.pass();
    assert_eq!(live(&world), [1, 2, 3]);
    world.pass();
    assert_eq!(world.stops(), []);
}

/// One stop and one start for each turn.
fn turns(world: &World) -> (usize, usize) {
    (world.stops().len(), world.kinds().iter().filter(|kind| **kind == "SESSION_START").count())
}

#[test]
fn two_devices_that_fight_for_a_circuit_take_a_few_turns_and_then_wait() {
    let mut world = World::new();
    world.online(1, 50, 1);
    world.boot_ms += 100;
    world.online(1, 51, 2);
    assert_eq!((turns(&world), live(&world)), ((1, 2), vec![2]), "the first is served at once");
    for _ in 0..100 {
        world.boot_ms += 100;
        world.dora(1, 50, 1);
        world.boot_ms += 100;
        world.dora(1, 51, 2);
    }
    assert_eq!(turns(&world), (5, 6), "five turns in twenty seconds, not two hundred");
    assert_eq!(live(&world), [2]);
    assert_eq!(world.machine.sessions().next().unwrap().ip, address(51), "whoever is online stays, and is served");
    world.dhcp(world.client(DhcpKind::Discover, 1, 1));
    assert_eq!(world.dropped(), Some(Dropped::HeldDown));
    // Half a minute later there is a turn again.
    world.sleep(31_000);
    world.dora(1, 50, 1);
    assert_eq!((turns(&world), live(&world)), ((6, 7), vec![1]));
}

#[test]
fn a_device_that_seems_to_be_at_two_places_takes_a_few_turns_and_then_waits() {
    let mut world = World::new();
    world.online(1, 50, 1);
    for turn in 0..200 {
        world.boot_ms += 100;
        world.dora(1 + turn % 2, 50, 1);
    }
    assert_eq!(turns(&world), (5, 6));
    assert_eq!(world.machine.sessions().count(), 1);
}

#[test]
fn an_ack_that_was_under_way_when_the_turns_ran_out_starts_nothing() {
    let mut world = World::new();
    world.online(1, 50, 1);
    for turn in 0..5_u8 {
        world.dora(1, 51 + turn, 2 + turn % 2);
    }
    let (before, xid) = (turns(&world), 4711);
    assert_eq!(before, (5, 6));
    // An address of its own choice: the holder may ask at any time, but not change addresses for ever.
    let request = DhcpMessage { xid, requested_ip: Some(address(99)), ..world.client(DhcpKind::Request, 1, 2) };
    world.dhcp(request);
    assert_eq!(world.dropped(), None);
    world.dhcp(DhcpMessage { xid, ..world.server(DhcpKind::Ack, 99, 2) });
    assert_eq!(world.actions, [Action::Drop(Dropped::HeldDown)]);
    assert_eq!(turns(&world), before);
    assert_eq!(world.machine.session(world.machine.sessions().next().unwrap().id).unwrap().ip, address(55));
}
