//! What a session costs in memory, indexes included.

use std::net::Ipv4Addr;

use lastmile_session::*;
use lastmile_types::{MacAddr, Octets, Timestamp};
use uuid::Uuid;

mod world;

/// The most that a session may take, octets.
const MOST: usize = 1536;
const SESSIONS: u32 = 50_000;
const BOOT_MS: u64 = 1_000_000;

struct Gateway {
    machine: Machine,
    effects: Effects,
}

impl Gateway {
    fn new() -> Self {
        let mut settings = world::settings();
        settings.config.pools[0].prefix = "100.64.0.0/10".parse().unwrap();
        let mut gateway = Self { machine: Machine::new(settings, Snapshot::default()), effects: Effects::default() };
        gateway.told(0, Input::Started(Started { same_boot: true, last_boot_ms: 0, elements: Vec::new() }));
        gateway
    }

    fn told(&mut self, fresh: u32, input: Input) {
        let wall = Timestamp::from_second(1_700_000_000).unwrap();
        let fresh = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(fresh));
        // One after the other: nobody is shed.
        let boot_ms = BOOT_MS + fresh.as_u128() as u64 % (1 << 32);
        self.machine.handle(Now { boot_ms, wall, fresh }, input, &mut self.effects);
    }

    /// DISCOVER to ACK, then Access-Accept.
    fn comes_online(&mut self, client: u32) {
        for (kind, side) in [(DhcpKind::Request, Side::Subscriber), (DhcpKind::Ack, Side::Server)] {
            self.told(client, Input::Dhcp(Box::new(message(client, kind, side))));
        }
        let request = self.effects.actions.iter().find_map(|action| match action {
            Action::Authenticate(request) => Some((request.session, request.attempt)),
            _ => None,
        });
        let (session, attempt) =
            request.unwrap_or_else(|| panic!("client {client} has no session: {:?}", self.effects));
        let grant = Grant {
            filter_id: Some("gold".to_owned()),
            interim_seconds: Some(600),
            class: vec![Octets::from("a class of twenty-six octets")],
            ..Grant::default()
        };
        self.told(client, Input::Auth { session, attempt, answer: AuthAnswer::Accept(Box::new(grant)) });
    }
}

fn message(client: u32, kind: DhcpKind, side: Side) -> DhcpMessage {
    let [_, a, b, c] = client.to_be_bytes();
    let circuit = Octets::from(format!("ar-01|1/{client:06}").as_str());
    let remote = Octets::from(format!("line-{client:06}").as_str());
    let raw = [&[1, 14][..], circuit.as_bytes(), &[2, 11], remote.as_bytes()].concat().into();
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(100, 80, 0, 0)) + client);
    let from_server = side == Side::Server;
    DhcpMessage {
        side,
        kind,
        xid: client,
        hops: 1,
        broadcast: false,
        chaddr: MacAddr([2, 0, 1, a, b, c]),
        ciaddr: Ipv4Addr::UNSPECIFIED,
        yiaddr: if from_server { address } else { Ipv4Addr::UNSPECIFIED },
        giaddr: world::GIADDR,
        server_id: Some(world::KEA),
        requested_ip: (!from_server).then_some(address),
        lease_seconds: from_server.then_some(3600),
        relay_info: Some(RelayInfo { circuit_id: Some(circuit), remote_id: Some(remote), raw }),
        hostname: Some(format!("router-of-{client}")),
        source_mac: world::ROUTER_MAC,
        source_ip: if from_server { world::KEA } else { world::UP0 },
        destination_ip: if from_server { world::GIADDR } else { world::KEA },
    }
}

#[test]
fn a_session_takes_no_more_than_it_may() {
    let mut gateway = Gateway::new();
    (0..1_000).for_each(|client| gateway.comes_online(client)); // what is made once
    let change = allocation_counter::measure(|| {
        (1_000..1_000 + SESSIONS).for_each(|client| gateway.comes_online(client));
        gateway.effects.clear();
    });
    assert_eq!(gateway.machine.counts().authorized, SESSIONS + 1_000);
    let each = usize::try_from(change.bytes_current).unwrap() / SESSIONS as usize;
    println!("{each} octets a session, indexes included");
    assert!(each <= MOST, "{each} octets a session, at most {MOST} are wanted");
}
