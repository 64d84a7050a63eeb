//! The transition table: every state of a session × everything that can happen to it. The table lies beside this file;
//! `LASTMILE_UPDATE=1` writes it again.

mod world;

use std::{env, fmt::Write, fs, path::Path};

use lastmile_session::*;
use lastmile_types::{Event, SessionId};
use world::{World, address};

const IP: u8 = 50;

type State = (&'static str, fn(&mut World) -> SessionId);
type Happening = (&'static str, fn(&mut World, SessionId));

/// How a session gets there, on port 1 with device 1. The policy stops the idle after two minutes.
const STATES: &[State] = &[
    ("asking AAA", |world| {
        world.dora(1, IP, 1);
        world.requests[0].session
    }),
    ("rejected", |world| {
        world.dora(1, IP, 1);
        world.answer(AuthAnswer::Reject { message: String::new() }).unwrap()
    }),
    ("admitted", online),
    ("active", |world| {
        let id = online(world);
        world.traffic(IP, 10);
        world.sleep(5_000);
        id
    }),
    ("idle", |world| {
        let id = online(world);
        world.traffic(IP, 10);
        world.sleep(45_000);
        id
    }),
    ("dormant", |world| {
        let id = online(world);
        world.sleep(130_000);
        id
    }),
    ("disconnected", |world| {
        let id = online(world);
        world.input(Input::Disconnect { session: id, order: 1, detail: String::new() });
        id
    }),
];

const HAPPENINGS: &[Happening] = &[
    ("renewal is ACKed", |world, _| world.renewal(IP, 1)),
    ("renewal is NAKed", |world, _| {
        world.dhcp(world.unicast(DhcpKind::Request, IP, 1));
        world.dhcp(world.server(DhcpKind::Nak, 0, 1));
    }),
    ("renewal without answer", |world, _| world.dhcp(world.unicast(DhcpKind::Request, IP, 1))),
    ("another address is NAKed", |world, _| {
        let request = DhcpMessage { requested_ip: Some(address(99)), ..world.client(DhcpKind::Request, 1, 1) };
        world.dhcp(request);
        world.dhcp(world.server(DhcpKind::Nak, 0, 1));
    }),
    ("INFORM is ACKed", |world, _| {
        world.dhcp(world.unicast(DhcpKind::Inform, IP, 1));
        world.dhcp(DhcpMessage { lease_seconds: None, ..world.server(DhcpKind::Ack, 0, 1) });
    }),
    ("DISCOVER", |world, _| world.dhcp(world.client(DhcpKind::Discover, 1, 1))),
    ("DORA, same address", |world, _| world.dora(1, IP, 1)),
    ("DORA, another address", |world, _| world.dora(1, IP + 1, 1)),
    ("DORA of another device", |world, _| world.dora(1, IP + 1, 2)),
    ("DORA at another port", |world, _| world.dora(2, IP, 1)),
    ("address is leased to another", |world, _| world.dora(2, IP, 2)),
    ("RELEASE", |world, _| world.dhcp(world.unicast(DhcpKind::Release, IP, 1))),
    ("RELEASE by a stranger", |world, _| world.dhcp(world.unicast(DhcpKind::Release, IP, 2))),
    ("DECLINE", |world, _| {
        let decline = DhcpMessage { requested_ip: Some(address(IP)), ..world.client(DhcpKind::Decline, 1, 1) };
        world.dhcp(decline);
    }),
    ("Access-Accept", |world, _| _ = world.accept("basic")),
    ("Access-Reject", |world, _| _ = world.answer(AuthAnswer::Reject { message: String::new() })),
    ("no answer of AAA", |world, _| _ = world.answer(AuthAnswer::NoAnswer)),
    ("AAA's answer, a second time", |world, id| {
        let answer = AuthAnswer::Reject { message: String::new() };
        world.input(Input::Auth { session: id, attempt: 1, answer });
    }),
    ("upload", |world, _| {
        world.traffic(IP, 10);
        world.sleep(5_000);
    }),
    ("40 s without upload", |world, _| world.sleep(40_000)),
    ("idle for its timeout", |world, _| world.sleep(130_000)),
    ("the lease runs out", |world, _| world.sleep(601_000)),
    ("a policy changes", |world, _| {
        let mut settings = world.machine.settings().clone();
        settings.config.policies[1].rates.down_kbps = Some(7);
        world.input(Input::Config(Box::new(settings)));
    }),
    ("disconnect", |world, session| {
        world.input(Input::Disconnect { session, order: 2, detail: String::new() });
    }),
    ("CoA to another policy", |world, id| coa(world, id, Some("gold"))),
    ("CoA, and the kernel refuses it", |world, id| {
        world.refuses = true;
        coa(world, id, Some("gold"));
        world.refuses = false;
        world.undos.pop().into_iter().for_each(|undo| world.input(Input::CoaRefused(Box::new(undo))));
    }),
    ("CoA, refused after its end", |world, id| {
        world.refuses = true;
        coa(world, id, Some("gold"));
        world.refuses = false;
        world.input(Input::Disconnect { session: id, order: 2, detail: String::new() });
        world.undos.pop().into_iter().for_each(|undo| world.input(Input::CoaRefused(Box::new(undo))));
    }),
    ("Disconnect-Request", |world, id| coa(world, id, None)),
    ("its element is removed", |world, _| world.element_gone(IP)),
    ("the gate is made anew", |world, _| world.gate_anew()),
    ("drain", |world, _| world.input(Input::Drain)),
    ("Kea has no such lease", |world, _| {
        world.with_kea();
        world.boot_ms += 1_000;
        world.pass();
    }),
    ("Kea has its lease", |world, _| {
        world.with_kea();
        world.boot_ms += 1_000;
        world.leased(1, IP, 1, 1, 600);
        world.pass();
    }),
    ("Kea leased it to another", |world, _| {
        world.with_kea();
        world.boot_ms += 1_000;
        world.leased(2, IP, 2, 0, 600);
        world.pass();
    }),
    ("Kea moved it", |world, _| {
        world.with_kea();
        world.boot_ms += 1_000;
        world.leased(1, IP + 1, 1, 0, 600);
        world.pass();
    }),
    ("kill -9", |world, _| world.restart()),
    ("reboot", |world, _| {
        world.machine = Machine::new(world.machine.settings().clone(), world.machine.snapshot());
        world.reboot();
    }),
];

/// A CoA-Request that wants this policy, or a Disconnect-Request.
fn coa(world: &mut World, id: SessionId, policy: Option<&str>) {
    let target = Target { acct_session_id: Some(id.to_string()), ..Target::default() };
    let wish = match policy {
        Some(policy) => CoaWish::Change(Box::new(Patch { filter_id: Some(policy.to_owned()), ..Patch::default() })),
        None => CoaWish::Disconnect { detail: String::new() },
    };
    world.input(Input::Coa(Box::new(CoaRequest { order: 2, target, wish })));
}

fn online(world: &mut World) -> SessionId {
    world.dora(1, IP, 1);
    world.accept("basic").expect("an Access-Request")
}

/// What became of the session, and who else there is.
fn outcome(world: &World, id: SessionId) -> String {
    let stop = world.events.iter().find_map(|event| match &event.event {
        Event::SessionStop(stop) if stop.session.session_id == id => stop.session.ended.clone(),
        _ => None,
    });
    let mut text = match (stop, world.machine.session(id)) {
        (Some(ended), None) => format!("ended: {}, {}", ended.cause, ended.detail),
        (None, Some(session)) => {
            let gate = if session.admitted { "open" } else { "shut" };
            format!("{} {} {gate}", session.state, session.auth)
        }
        other => format!("impossible: {other:?}"),
    };
    for other in world.machine.sessions().filter(|session| session.id != id) {
        let device = if other.key.mac.0[5] == 1 { "" } else { ", another device" };
        let how = if other.adopted { "adopted" } else { "started" };
        let _ = write!(text, "; {} is {how}{device}", other.ip);
    }
    world.machine.dormant().for_each(|ip| _ = write!(text, "; {ip} is watched"));
    text
}

#[test]
fn every_state_and_everything_that_can_happen() {
    let mut table = String::new();
    for (state, reach) in STATES {
        let mut world = World::new();
        let id = reach(&mut world);
        let _ = writeln!(table, "{state}: {}", outcome(&world, id));
        for (happening, happen) in HAPPENINGS {
            let mut world = World::new();
            let id = reach(&mut world);
            happen(&mut world, id);
            world.machine.check().unwrap();
            let _ = writeln!(table, "    {happening:30} {}", outcome(&world, id));
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transitions.txt");
    if env::var_os("LASTMILE_UPDATE").is_some() {
        fs::write(&file, &table).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    for (is, was) in table.lines().zip(golden.lines()) {
        assert_eq!(is, was, "LASTMILE_UPDATE=1 takes the change over");
    }
    assert_eq!(table.lines().count(), golden.lines().count());
}
