//! Too much: who is served under overload, counted in messages.

mod world;

use std::collections::BTreeMap;

use lastmile_session::*;
use lastmile_types::{MacAddr, Octets};
use world::{KEA, World, address};

/// A client on a circuit of its own.
fn client(world: &World, kind: DhcpKind, number: u32) -> DhcpMessage {
    let circuit = Octets::from(format!("ar-01|{number}").as_str());
    let raw = [&[1, circuit.as_bytes().len() as u8][..], circuit.as_bytes()].concat();
    let [_, b, c, d] = number.to_be_bytes();
    let relay_info = RelayInfo { circuit_id: Some(circuit), remote_id: None, raw: raw.into() };
    let chaddr = MacAddr([2, 0, 1, b, c, d]);
    let server_id = (kind == DhcpKind::Request).then_some(KEA);
    DhcpMessage { xid: number, chaddr, relay_info: Some(relay_info), server_id, ..world.client(kind, 1, 1) }
}

/// Hands it in; the label under which it was dropped, `passed` if it was not.
fn send(world: &mut World, message: DhcpMessage) -> &'static str {
    world.recording.clear(); // hundreds of thousands of them
    world.dhcp(message);
    world.dropped().map_or("passed", Dropped::label)
}

#[test]
fn one_circuits_storm_costs_no_other_circuit_a_message() {
    let mut world = World::new();
    let mut storm: BTreeMap<&str, u32> = BTreeMap::new();
    for ms in 0..10_000_u32 {
        world.boot_ms += 1;
        let discover = DhcpMessage { xid: ms, ..client(&world, DhcpKind::Discover, 0) };
        *storm.entry(send(&mut world, discover)).or_default() += 1;
        if ms % 10 == 0 {
            let other = client(&world, DhcpKind::Discover, 1 + ms);
            assert_eq!(send(&mut world, other), "passed", "another circuit's");
        }
    }
    // Half of the burst of 40 is for better messages; then its 20 a second.
    assert_eq!(storm["passed"], 20 + 199);
    assert_eq!(storm["shed-discover-of-circuit"], 10_000 - 219);
    // The circuit can still finish what it began.
    let request = client(&world, DhcpKind::Request, 0);
    assert_eq!(send(&mut world, request), "passed");
}

#[test]
fn a_mass_power_up_is_no_overload() {
    let mut world = World::new();
    for number in 0..20_000 {
        world.boot_ms += u64::from(number % 10 == 0);
        for kind in [DhcpKind::Discover, DhcpKind::Request] {
            let message = client(&world, kind, number);
            assert_eq!(send(&mut world, message), "passed", "10,000 set-ups a second, number {number}");
        }
    }
}

#[test]
fn under_overload_renewals_go_on_and_requests_go_before_discovers() {
    let mut world = World::new();
    let mut settings = world.machine.settings().clone();
    settings.config.dhcp.shedding.per_second = 1_000;
    world.input(Input::Config(Box::new(settings)));
    world.online(1, 50, 1);
    let mut got: BTreeMap<(DhcpKindName, &str), u32> = BTreeMap::new();
    for ms in 0..4_000_u32 {
        world.boot_ms += 1;
        // Four times what is served, three quarters of it DISCOVERs.
        for place in 0..3 {
            let discover = client(&world, DhcpKind::Discover, 4 * ms + place);
            *got.entry(("DISCOVER", send(&mut world, discover))).or_default() += 1;
        }
        let request = client(&world, DhcpKind::Request, 4 * ms + 3);
        *got.entry(("REQUEST", send(&mut world, request))).or_default() += u32::from(ms % 2 == 0);
        if ms % 100 == 0 {
            let renewal = world.unicast(DhcpKind::Request, 50, 1);
            assert_eq!(send(&mut world, renewal), "passed", "a renewal at {ms} ms");
        }
    }
    assert_eq!(got.get(&("REQUEST", "shed-request")).copied().unwrap_or(0), 0, "{got:?}");
    assert!(got[&("DISCOVER", "shed-discover")] > 10_000, "{got:?}");
    // More REQUESTs than are served: now they are shed, and renewals still are not.
    let mut shed = 0;
    for ms in 0..4_000_u32 {
        world.boot_ms += 1;
        for place in 0..2 {
            let request = client(&world, DhcpKind::Request, 100_000 + 2 * ms + place);
            shed += u32::from(send(&mut world, request) == "shed-request");
        }
        if ms % 100 == 0 {
            let renewal = world.unicast(DhcpKind::Request, 50, 1);
            assert_eq!(send(&mut world, renewal), "passed", "a renewal at {ms} ms");
        }
    }
    assert!(shed > 2_000, "{shed}");
}

type DhcpKindName = &'static str;

#[test]
fn somebody_who_renews_all_the_time_is_shed_by_his_circuit() {
    let mut world = World::new();
    world.online(1, 50, 1);
    world.boot_ms += 60_000;
    let labels: Vec<_> = (0..100)
        .map(|_| {
            let renewal = world.unicast(DhcpKind::Request, 50, 1);
            send(&mut world, renewal)
        })
        .collect();
    assert_eq!(labels.iter().filter(|label| **label == "passed").count(), 40);
    assert_eq!(labels[99], "shed-renewal-of-circuit");
    let labels: Vec<_> = (0..100)
        .map(|_| {
            let request = client(&world, DhcpKind::Request, 7);
            send(&mut world, request)
        })
        .collect();
    assert_eq!(labels[99], "shed-request-of-circuit");
}

#[test]
fn even_renewals_have_an_end() {
    let mut world = World::new();
    let mut settings = world.machine.settings().clone();
    settings.config.dhcp.shedding.per_second = 100;
    settings.config.dhcp.shedding.per_circuit_per_second = 1_000;
    world.input(Input::Config(Box::new(settings)));
    world.online(1, 50, 1);
    let renewals = (0..200).map(|_| {
        let renewal = world.unicast(DhcpKind::Request, 50, 1);
        send(&mut world, renewal)
    });
    assert_eq!(renewals.last(), Some("shed-renewal"));
}

/// A client that declines the address that it has, or the next one that it is given.
fn decline(world: &mut World, port: u8, next: u8) -> Option<Dropped> {
    let key = world.client(DhcpKind::Decline, port, port).chaddr;
    let held = world.machine.sessions().find(|session| session.key.mac == key).map(|session| session.ip);
    if held.is_none() {
        world.dora(port, next, port);
    }
    let requested_ip = held.or(Some(address(next)));
    world.dhcp(DhcpMessage { requested_ip, ..world.client(DhcpKind::Decline, port, port) });
    world.dropped()
}

#[test]
fn a_storm_of_declines_does_not_empty_the_pool() {
    let mut world = World::new();
    let mut passed = 0;
    for turn in 0..100_u8 {
        world.boot_ms += 100;
        match decline(&mut world, 1, 10 + turn) {
            None => passed += 1,
            Some(label) => assert_eq!(label, Dropped::TooManyDeclines),
        }
    }
    assert_eq!((passed, world.stops().len()), (6, 6), "of one circuit");
    assert_eq!(world.machine.sessions().count(), 1, "what is not passed on is not believed either");
    // Of many circuits together: an eighth of 256 addresses.
    for port in 2..60 {
        world.boot_ms += 100;
        passed += usize::from(decline(&mut world, port, 120 + port).is_none());
    }
    assert_eq!(passed, 32);
}

#[test]
fn naks_cost_nothing() {
    let mut world = World::new();
    world.online(1, 50, 1);
    world.online(2, 51, 2);
    let (records, events) = (world.journal.len(), world.events.len());
    let before = serde_json::to_string(&world.machine.snapshot()).unwrap();
    for xid in 0..10_000 {
        world.boot_ms += 100;
        // Somebody without session wants an address that is another's, and is refused.
        let mine = |message| DhcpMessage { xid, ..message };
        let request = DhcpMessage { requested_ip: Some(address(50)), ..world.client(DhcpKind::Request, 3, 3) };
        send(&mut world, mine(request));
        let nak = mine(world.server(DhcpKind::Nak, 0, 3));
        assert_eq!(send(&mut world, nak), "passed");
        // And a NAK of the holder's wish for another address.
        let request = DhcpMessage { requested_ip: Some(address(51)), ..world.client(DhcpKind::Request, 1, 1) };
        send(&mut world, mine(request));
        let nak = mine(world.server(DhcpKind::Nak, 0, 1));
        assert_eq!(send(&mut world, nak), "passed");
    }
    assert_eq!((world.journal.len(), world.events.len()), (records, events));
    let after = serde_json::to_string(&world.machine.snapshot()).unwrap();
    assert_eq!(before.len(), after.len(), "nothing grew");
}
