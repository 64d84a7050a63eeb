//! Scenario folders: `input.jsonl` is a recording, `output.jsonl` what the machine makes of it, line for line.
//!
//! `LASTMILE_UPDATE=1` writes both again. A recording from the field becomes a scenario by lying here as `NAME/input.jsonl`; its
//! output is written by the same command.

mod world;

use std::{env, fs, path::Path};

use lastmile_session::*;
use lastmile_types::config::{OnReject, Policy, Trust, TrustMode, WalledGarden};
use world::{World, address, bridged::bridged};

const IP: u8 = 50;

type Scenario = (&'static str, fn(&mut World));

const SCENARIOS: &[Scenario] = &[
    ("dora_accept", |world| _ = world.online(1, IP, 1)),
    ("dora_reject", |world| {
        world.dora(1, IP, 1);
        world.answer(AuthAnswer::Reject { message: "no such line".to_owned() });
    }),
    ("radius_silent", |world| {
        world.dora(1, IP, 1);
        world.answer(AuthAnswer::NoAnswer);
        world.sleep(6_000);
        world.accept("gold");
    }),
    ("renewal", |world| {
        world.online(1, IP, 1);
        world.sleep(300_000);
        world.renewal(IP, 1);
    }),
    ("release", |world| {
        online_with_traffic(world);
        world.dhcp(world.unicast(DhcpKind::Release, IP, 1));
    }),
    ("expiry", |world| {
        online_with_traffic(world);
        world.sleep(601_000);
    }),
    ("ip_change", |world| {
        online_with_traffic(world);
        world.dora(1, IP + 1, 1);
        world.accept("gold");
    }),
    ("mac_change", |world| {
        online_with_traffic(world);
        world.dora(1, IP + 1, 2);
        world.accept("gold");
    }),
    ("port_move", |world| {
        online_with_traffic(world);
        world.dora(2, IP, 1);
        world.accept("gold");
    }),
    ("disconnect", |world| {
        let session = online_with_traffic(world);
        world.input(Input::Disconnect { session, order: 7, detail: "kubectl".to_owned() });
        world.renewal(IP, 1); // refused: back through DISCOVER
        world.online(1, IP, 1);
    }),
    ("drain", |world| {
        online_with_traffic(world);
        world.input(Input::Drain);
        world.dora(1, IP, 1);
        world.input(Input::Resume);
        world.online(1, IP, 1);
    }),
    ("nak", |world| {
        online_with_traffic(world);
        let request = DhcpMessage { requested_ip: Some(address(IP)), ..world.client(DhcpKind::Request, 1, 1) };
        world.dhcp(request);
        world.dhcp(world.server(DhcpKind::Nak, 0, 1));
    }),
    ("restart_same_boot", |world| {
        online_with_traffic(world);
        world.sleep(6_000);
        world.traffic(IP, 500);
        world.restart();
        world.sleep(6_000);
    }),
    ("reboot", |world| {
        online_with_traffic(world);
        world.sleep(6_000);
        world.gate.clear();
        world.boot_ms = 5_000;
        world.machine = Machine::new(world::settings(), world.machine.snapshot());
        world.started(false);
        world.online(1, IP, 1);
    }),
    ("garden_reject", confined),
    ("garden_left", |world| {
        confined(world);
        world.renewal(IP, 1);
        world.accept("gold");
        world.dhcp(world.unicast(DhcpKind::Release, IP, 1));
    }),
    ("policy_edited", |world| {
        online_with_traffic(world);
        policies(world, |policies| policies[0].rates.down_kbps = Some(80_000));
    }),
    ("policy_deleted", |world| {
        online_with_traffic(world);
        policies(world, |policies| drop(policies.remove(0)));
    }),
    ("selector", |world| {
        policies(world, |policies| {
            policies[0].selector.circuit_id = Some("ar-01|1/*".to_owned());
            policies[0].selector.user_name = Some("*/line-01/*".to_owned());
        });
        for port in [1, 2] {
            world.dora(port, IP + port, port);
            world.answer(AuthAnswer::Accept(Box::default()));
        }
    }),
    ("untrusted", untrusted),
    ("bridged_dora", |world| {
        *world = bridged(true);
        world.link_online(3, IP, 1);
        world.link_online(0, IP + 1, 2);
    }),
    ("bridged_renew", |world| {
        *world = bridged(true);
        world.link_online(3, IP, 1);
        world.sleep(300_000);
        world.link_renewal(3, IP, 1);
    }),
    ("bridged_untrusted_82", |world| {
        *world = bridged(false);
        world.link_online(0, IP, 1);
        world.dhcp(world.on_link(DhcpKind::Discover, 3, 2));
        world.dhcp(world.holders(DhcpKind::Release, 3, IP, 1));
    }),
    ("bridged_release", |world| {
        *world = bridged(true);
        world.link_online(3, IP, 1);
        world.traffic(IP, 1_234);
        world.dhcp(world.holders(DhcpKind::Release, 3, IP, 1));
    }),
    ("coa_filter_id", |world| {
        online_with_traffic(world);
        let patch = Patch { filter_id: Some("basic".to_owned()), ..Patch::default() };
        coa(world, by_name(), CoaWish::Change(Box::new(patch)));
        world.restart();
    }),
    ("coa_timeout", |world| {
        online_with_traffic(world);
        let patch = Patch { session_timeout_seconds: Some(30), ..Patch::default() };
        coa(world, by_name(), CoaWish::Change(Box::new(patch)));
        world.sleep(31_000);
    }),
    ("coa_disconnect", |world| {
        online_with_traffic(world);
        coa(world, by_name(), CoaWish::Disconnect { detail: "Disconnect-Request from 10.231.0.2".to_owned() });
        world.renewal(IP, 1); // refused: back through DISCOVER
        world.online(1, IP, 1);
    }),
    ("coa_none", |world| {
        online_with_traffic(world);
        let target = Target { framed_ip: Some(address(IP + 1)), ..by_name() };
        coa(world, target, CoaWish::Disconnect { detail: String::new() });
    }),
    ("coa_several", |world| {
        let mut settings = world::settings();
        settings.config.radius.user_name_template = "{nas}".to_owned();
        world.input(Input::Config(Box::new(settings)));
        world.online(1, IP, 1);
        world.online(2, IP + 1, 2);
        let target = Target { user_name: Some("bng-01".to_owned()), ..Target::default() };
        coa(world, target, CoaWish::Disconnect { detail: String::new() });
    }),
    ("listed_only", |world| {
        let mut settings = world.machine.settings().clone();
        settings.config.trust =
            Trust { mode: TrustMode::ListedOnly, routers: vec!["ar-02".to_owned()], ..Trust::default() };
        world.input(Input::Config(Box::new(settings.clone())));
        world.dora(1, IP, 1);
        settings.config.trust.routers.push("ar-01".to_owned());
        world.input(Input::Config(Box::new(settings)));
        world.online(1, IP, 1);
    }),
    ("shed", |world| {
        for _ in 0..25 {
            world.dhcp(world.client(DhcpKind::Discover, 1, 1));
        }
        world.online(2, IP, 2); // another circuit's is served
    }),
    ("held_down", |world| {
        world.online(1, IP, 1);
        for turn in 0..7 {
            world.boot_ms += 500;
            world.dora(1, IP + 1 - turn % 2, 2 - turn % 2);
        }
        world.sleep(31_000);
        world.dora(1, IP, 1);
    }),
    ("several_sessions_per_circuit", |world| {
        let mut settings = world.machine.settings().clone();
        settings.config.sessions_per_circuit = 2;
        world.input(Input::Config(Box::new(settings)));
        for mac in 1..=3 {
            world.boot_ms += 1_000;
            world.online(1, IP + mac, mac);
        }
    }),
    ("decline", |world| {
        online_with_traffic(world);
        let decline = DhcpMessage { requested_ip: Some(address(IP)), ..world.client(DhcpKind::Decline, 1, 1) };
        world.dhcp(decline);
    }),
    ("inform", |world| {
        online_with_traffic(world);
        world.dhcp(world.unicast(DhcpKind::Inform, IP, 1));
        world.dhcp(DhcpMessage { lease_seconds: None, ..world.server(DhcpKind::Ack, 0, 1) });
    }),
    ("nak_of_another_address", |world| {
        online_with_traffic(world);
        let request = DhcpMessage { requested_ip: Some(address(99)), ..world.client(DhcpKind::Request, 1, 1) };
        world.dhcp(request);
        world.dhcp(world.server(DhcpKind::Nak, 0, 1));
    }),
    ("release_by_strangers", |world| {
        online_with_traffic(world);
        world.dhcp(world.unicast(DhcpKind::Release, IP, 2));
        world.dhcp(DhcpMessage { source_ip: address(IP + 1), ..world.unicast(DhcpKind::Release, IP, 1) });
        world.dhcp(DhcpMessage { ciaddr: address(IP), ..world.client(DhcpKind::Release, 2, 1) });
    }),
    ("quarantine", |world| {
        let other = [10, 231, 1, 3].into();
        let mut settings = world.machine.settings().clone();
        settings.config.dhcp.servers.push(other);
        world.input(Input::Config(Box::new(settings)));
        for port in 1..=3 {
            world.online(port, IP + port, port); // the one server answers, the other does not
        }
        world.sleep(7_000);
        world.dhcp(world.client(DhcpKind::Discover, 4, 4));
        world.dhcp(DhcpMessage { source_ip: other, server_id: Some(other), ..world.server(DhcpKind::Offer, 60, 9) });
        world.dhcp(world.client(DhcpKind::Discover, 5, 5));
    }),
    ("renewal_without_answer", |world| {
        online_with_traffic(world);
        world.sleep(300_000);
        world.dhcp(world.unicast(DhcpKind::Request, IP, 1));
        world.sleep(225_000);
        world.dhcp(DhcpMessage { ciaddr: address(IP), ..world.client(DhcpKind::Request, 1, 1) }); // REBINDING
        world.sleep(76_000);
    }),
    ("dormant", |world| {
        world.dora(1, IP, 1);
        world.accept("basic");
        world.sleep(130_000);
        world.traffic(IP, 100);
        world.sleep(2_000);
        world.accept("basic");
    }),
    ("kea_missed_session", |world| {
        world.with_kea();
        world.leased(1, IP, 1, 5, 600);
        world.pass();
        world.accept("gold");
    }),
    ("kea_zombie", |world| {
        world.with_kea();
        online_with_traffic(world);
        world.boot_ms += 1_000;
        world.pass();
    }),
    ("kea_moved", |world| {
        world.with_kea();
        online_with_traffic(world);
        world.leased(1, IP, 1, 100, 600);
        world.leased(1, IP + 1, 1, 2, 600);
        world.boot_ms += 1_000;
        world.pass();
        world.accept("gold");
    }),
    ("kea_tombstone", |world| {
        world.with_kea();
        let session = online_with_traffic(world);
        world.leased(1, IP, 1, 5, 600);
        world.input(Input::Disconnect { session, order: 1, detail: "kubectl".to_owned() });
        world.pass(); // the lease is dead to reconciliation
        world.online(1, IP, 1); // but not to a DORA
        world.pass();
    }),
    ("kea_down", |world| {
        world.with_kea();
        online_with_traffic(world);
        world.boot_ms += 1_000;
        world.kea = None;
        world.input(Input::Leases(LeasePage { first: true, last: true, leases: Vec::new() }));
        world.dhcp(world.unicast(DhcpKind::Request, IP + 1, 2));
        world.sleep(60_000);
    }),
];

fn by_name() -> Target {
    Target { user_name: Some("bng-01/line-01/ar-01|1%2F1".to_owned()), ..Target::default() }
}

fn coa(world: &mut World, target: Target, wish: CoaWish) {
    world.input(Input::Coa(Box::new(CoaRequest { order: 9, target, wish })));
}

fn online_with_traffic(world: &mut World) -> lastmile_types::SessionId {
    let session = world.online(1, IP, 1);
    world.traffic(IP, 1_234);
    session
}

fn policies(world: &mut World, edit: impl FnOnce(&mut Vec<Policy>)) {
    let mut settings = world.machine.settings().clone();
    edit(&mut settings.config.policies);
    world.input(Input::Config(Box::new(settings)));
}

/// Rejected into the default policy's walled garden, with traffic in it.
fn confined(world: &mut World) {
    policies(world, |policies| {
        policies[1].on_reject = OnReject::WalledGarden;
        policies[1].walled_garden = Some(WalledGarden { dns_servers: vec![world::UP0], ..WalledGarden::default() });
    });
    world.dora(1, IP, 1);
    world.answer(AuthAnswer::Reject { message: "unpaid bill".to_owned() });
    world.traffic(IP, 300);
    world.sleep(6_000);
}

/// One message of each kind that is not believed, beside a session that must not notice.
fn untrusted(world: &mut World) {
    world.online(1, IP, 1);
    let discover = world.client(DhcpKind::Discover, 2, 2);
    let relay = |giaddr: [u8; 4]| DhcpMessage { giaddr: giaddr.into(), ..discover.clone() };
    for message in [
        relay([10, 231, 11, 1]),
        relay([192, 0, 2, 1]),
        relay([0; 4]),
        DhcpMessage { source_ip: [10, 231, 11, 9].into(), ..discover.clone() },
        DhcpMessage { relay_info: None, ..discover.clone() },
        DhcpMessage { hops: 16, ..discover.clone() },
        DhcpMessage { relay_info: discover.relay_info.clone(), ..world.unicast(DhcpKind::Request, IP, 1) },
        DhcpMessage { relay_info: discover.relay_info.clone(), ..world.unicast(DhcpKind::Request, IP + 9, 1) },
        DhcpMessage { kind: DhcpKind::Ack, ..discover.clone() },
        DhcpMessage { side: Side::Server, ..discover.clone() },
        world.server(DhcpKind::Ack, 60, 2),
        DhcpMessage { source_ip: [10, 231, 1, 9].into(), ..world.server(DhcpKind::Ack, 60, 2) },
        world.unicast(DhcpKind::Release, IP, 2),
        DhcpMessage {
            source_mac: world.client(DhcpKind::Discover, 2, 2).chaddr,
            ..world.unicast(DhcpKind::Release, IP, 1)
        },
    ] {
        world.dhcp(message);
    }
}

#[test]
fn every_recording_gives_what_it_gave() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let update = env::var_os("LASTMILE_UPDATE").is_some();
    if update {
        SCENARIOS.iter().for_each(|(name, act)| write(&folder.join(name), *act));
    }
    let mut seen = Vec::new();
    for scenario in fs::read_dir(&folder).expect("the scenarios' folder").flatten() {
        let (name, path) = (scenario.file_name().to_string_lossy().into_owned(), scenario.path());
        let output = replay(&name, &fs::read_to_string(path.join("input.jsonl")).expect("input.jsonl"));
        if update {
            fs::write(path.join("output.jsonl"), &output).unwrap();
        }
        let golden = fs::read_to_string(path.join("output.jsonl")).unwrap_or_default();
        for (place, (is, was)) in output.lines().zip(golden.lines()).enumerate() {
            assert_eq!(is, was, "{name}, line {}: LASTMILE_UPDATE=1 takes the change over", place + 1);
        }
        assert_eq!(output.lines().count(), golden.lines().count(), "{name}");
        seen.push(name);
    }
    assert!(SCENARIOS.iter().all(|(name, _)| seen.iter().any(|one| one == name)), "a scenario has no folder");
}

fn write(folder: &Path, act: fn(&mut World)) {
    let mut world = World::new();
    act(&mut world);
    let lines = world.recording.iter().map(|line| serde_json::to_string(line).unwrap() + "\n");
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("input.jsonl"), lines.collect::<String>()).unwrap();
}

fn replay(name: &str, recording: &str) -> String {
    let mut replay = Replay::default();
    let mut output = String::new();
    for (place, line) in recording.lines().enumerate() {
        let fail = |error: &dyn std::fmt::Display| -> ! { panic!("{name}, line {}: {error}", place + 1) };
        let line = serde_json::from_str(line).unwrap_or_else(|error| fail(&error));
        let effects = replay.take(line).unwrap_or_else(|error| fail(&error));
        output += &effects.map_or("\"opened\"".to_owned(), |effects| serde_json::to_string(&effects).unwrap());
        output += "\n";
    }
    output
}
