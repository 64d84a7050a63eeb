//! Several DHCP servers: who is asked, who is in quarantine, who comes back.

mod world;

use std::net::Ipv4Addr;

use lastmile_session::*;
use world::{GIADDR, KEA, World, address};

const OTHER: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 3);

fn world() -> World {
    let mut world = World::new();
    let mut settings = world::settings();
    settings.config.dhcp.servers = vec![KEA, OTHER];
    world.input(Input::Config(Box::new(settings)));
    world
}

/// Whom the last input went to.
fn asked(world: &World) -> Vec<Ipv4Addr> {
    let servers = world.actions.iter().filter_map(|action| match action {
        Action::ToServer { server, .. } => Some(*server),
        _ => None,
    });
    servers.collect()
}

fn probed(world: &World) -> Vec<Ipv4Addr> {
    let servers = world.actions.iter().filter_map(|action| match action {
        Action::ProbeServer { server, giaddr: GIADDR } => Some(*server),
        _ => None,
    });
    servers.collect()
}

fn discover(world: &mut World, mac: u8) -> Vec<Ipv4Addr> {
    world.dhcp(world.client(DhcpKind::Discover, mac, mac));
    asked(world)
}

/// A word of a server to anybody, even to nobody.
fn word(world: &mut World, server: Ipv4Addr) {
    let offer = DhcpMessage { server_id: Some(server), source_ip: server, ..world.server(DhcpKind::Offer, 99, 99) };
    world.dhcp(offer);
}

fn answering(world: &World) -> Vec<bool> {
    world.machine.dhcp_servers().iter().map(|server| server.answers).collect()
}

/// Three clients are answered by the one server and not by the other, whose probes stay without answer too.
fn quarantine(world: &mut World, silent: Ipv4Addr, well: Ipv4Addr) {
    for mac in 11..14 {
        discover(world, mac);
        word(world, well);
    }
    world.sleep(5_000);
    assert_eq!(probed(world), [silent]);
    world.sleep(1_000);
    assert_eq!(probed(world), [silent]);
    assert_eq!(answering(world), [true, true], "a probe still waits");
    world.sleep(1_000);
}

#[test]
fn a_server_that_answers_neither_clients_nor_a_probe_gets_no_discovers() {
    let mut world = world();
    assert_eq!(discover(&mut world, 1), [KEA, OTHER]);
    word(&mut world, KEA);
    word(&mut world, OTHER);
    quarantine(&mut world, OTHER, KEA);
    assert_eq!(answering(&world), [true, false]);
    assert_eq!(discover(&mut world, 2), [KEA]);
    // It is probed on, and any word brings it back.
    world.sleep(5_000);
    assert_eq!(probed(&world), [OTHER]);
    word(&mut world, OTHER);
    assert_eq!(answering(&world), [true, true]);
    assert_eq!(discover(&mut world, 3), [KEA, OTHER]);
}

#[test]
fn an_answered_probe_clears_it() {
    let mut world = world();
    for mac in 11..14 {
        discover(&mut world, mac);
        word(&mut world, KEA);
    }
    world.sleep(5_000);
    assert_eq!(probed(&world), [OTHER]);
    let answer = DhcpMessage {
        chaddr: PROBE_MAC,
        server_id: Some(OTHER),
        source_ip: OTHER,
        ..world.server(DhcpKind::Ack, 0, 0)
    };
    world.dhcp(answer);
    assert_eq!(world.dropped(), Some(Dropped::ProbeAnswer));
    world.sleep(60_000);
    assert_eq!(answering(&world), [true, true]);
}

#[test]
fn one_silent_client_and_messages_that_want_no_answer_prove_nothing() {
    let mut world = world();
    world.online(1, 50, 1);
    word(&mut world, OTHER);
    for _ in 0..20 {
        discover(&mut world, 2);
        word(&mut world, KEA);
        world.sleep(1_000);
    }
    for (port, ip) in [(3, 53), (4, 54), (5, 55)] {
        world.online(port, ip, port);
        word(&mut world, OTHER);
        let release = world.unicast(DhcpKind::Release, ip, port);
        world.dhcp(release);
    }
    world.sleep(60_000);
    assert_eq!(answering(&world), [true, true]);
    assert!(world.recording.len() < 1_000);
}

#[test]
fn the_last_one_is_never_left_out() {
    let mut world = world();
    for mac in 1..4 {
        assert_eq!(discover(&mut world, mac), [KEA, OTHER]);
    }
    world.sleep(8_000);
    assert_eq!(answering(&world), [false, false]);
    assert_eq!(discover(&mut world, 4), [KEA, OTHER]);
    assert!(world.machine.dhcp_servers().iter().all(|server| server.in_service));
    word(&mut world, OTHER);
    assert_eq!(discover(&mut world, 5), [OTHER]);
}

#[test]
fn a_renewal_with_its_server_dead_extends_nothing_and_ends_nothing_early() {
    let mut world = world();
    let id = world.online(1, 50, 1);
    let end = world.machine.session(id).unwrap().lease_end;
    quarantine(&mut world, KEA, OTHER);
    // RENEWING: to the server that leased it and to nobody else, dead or not (RFC 2131 §4.4.5).
    world.dhcp(world.unicast(DhcpKind::Request, 50, 1));
    assert_eq!(asked(&world), [KEA]);
    assert_eq!(world.machine.session(id).unwrap().lease_end, end);
    world.sleep(400_000);
    // REBINDING: to all, and whoever answers is the server from then on.
    let rebind = DhcpMessage { ciaddr: address(50), ..world.client(DhcpKind::Request, 1, 1) };
    world.dhcp(rebind);
    assert_eq!(asked(&world), [KEA, OTHER]);
    let ack = DhcpMessage { server_id: Some(OTHER), source_ip: OTHER, ..world.server(DhcpKind::Ack, 50, 1) };
    world.dhcp(ack);
    let session = world.machine.session(id).expect("the same session");
    assert_eq!((session.server, session.lease_end.boot_ms), (OTHER, world.boot_ms + 600_000));
    world.dhcp(world.unicast(DhcpKind::Request, 50, 1));
    assert_eq!(asked(&world), [OTHER]);
    // With both dead the session lives as long as its lease, and no longer.
    world.sleep(599_000);
    assert!(world.machine.session(id).is_some());
    world.sleep(2_000);
    assert_eq!(world.stops(), [("Lost-Carrier", 0)]);
}

#[test]
fn a_client_that_chose_a_server_gets_that_one() {
    let mut world = world();
    quarantine(&mut world, OTHER, KEA);
    let request = DhcpMessage {
        requested_ip: Some(address(50)),
        server_id: Some(OTHER),
        ..world.client(DhcpKind::Request, 1, 1)
    };
    world.dhcp(request);
    assert_eq!(asked(&world), [OTHER]);
    // A server that is listed no more is nothing to speak of.
    let mut settings = world::settings();
    settings.config.dhcp.servers = vec![KEA];
    world.input(Input::Config(Box::new(settings)));
    assert_eq!(world.machine.dhcp_servers().len(), 1);
    world.sleep(60_000);
}
