//! What a message costs on the heap, from its frame through the machine to the packet that leaves.

#[allow(dead_code)] // only its configuration is wanted here
mod node;

use std::net::{Ipv4Addr, SocketAddrV4};

use lastmile_bng::dhcp_io;
use lastmile_netio::capture::Captured;
use lastmile_session::{Action, AuthAnswer, Effects, Input, Machine, Now, Settings, Side, Snapshot, Started};
use lastmile_types::{MacAddr, Timestamp};
use lastmile_wire::{
    dhcp::{Builder, CLIENT_PORT, MessageType, SERVER_PORT, option},
    frame,
    option82::Option82,
};
use uuid::Uuid;

const KEA: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 1);
/// The access router: its giaddr, and whose frames carry it.
const GIADDR: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 1);
const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const CLIENT: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 50);
const MAC: MacAddr = MacAddr([2, 0, 0x5e, 0, 0, 1]);

/// Where a renewal comes from and goes to, and with which giaddr: by a relay, or as its client sent it.
const RELAYED: (SocketAddrV4, Ipv4Addr) = (SocketAddrV4::new(GIADDR, SERVER_PORT), GIADDR);
const UNICAST: (SocketAddrV4, Ipv4Addr) = (SocketAddrV4::new(CLIENT, CLIENT_PORT), Ipv4Addr::UNSPECIFIED);

#[test]
fn a_renewal_of_a_known_session_costs_few_allocations() {
    let mut gateway = Gateway::new();
    gateway.comes_online();
    for (what, way, most) in [("relayed", RELAYED, [13, 10]), ("unicast", UNICAST, [12, 9])] {
        let [request, ack] = [asks(way, 7, CLIENT), answers(7)];
        let mut renewal = || {
            [(Side::Subscriber, &request), (Side::Server, &ack)]
                .map(|(side, frame)| allocation_counter::measure(|| gateway.takes(side, frame)).count_total)
        };
        renewal(); // what is made once
        let counts = renewal();
        assert!(counts.iter().zip(most).all(|(count, most)| *count <= most), "{what}: {counts:?}, at most {most:?}");
    }
}

struct Gateway {
    machine: Machine,
    effects: Effects,
    boot_ms: u64,
}

impl Gateway {
    fn new() -> Self {
        let settings = Settings { config: node::config(0), own: [GATEWAY].into() };
        let machine = Machine::new(settings, Snapshot::default());
        let mut gateway = Self { machine, effects: Effects::default(), boot_ms: 1_000_000 };
        gateway.told(Input::Started(Started { same_boot: true, last_boot_ms: 0, elements: Vec::new() }));
        gateway
    }

    fn told(&mut self, input: Input) {
        let wall = Timestamp::from_second(1_700_000_000).unwrap();
        let now = Now { boot_ms: self.boot_ms, wall, fresh: Uuid::from_u128(self.boot_ms.into()) };
        self.machine.handle(now, input, &mut self.effects);
    }

    /// As the driver does it; something leaves.
    fn takes(&mut self, side: Side, frame: &[u8]) {
        let in_hand = dhcp_io::read(&Captured { bytes: frame, checksum_ready: true, truncated: false }).unwrap();
        self.told(Input::Dhcp(Box::new(dhcp_io::describe(&in_hand, side).unwrap())));
        let packets = self.effects.actions.iter().filter_map(|action| match action {
            Action::ToServer { server, edit } => Some(dhcp_io::to_server(&in_hand, edit, GATEWAY, *server)),
            Action::Reply { from, to, edit } => Some(dhcp_io::reply(&in_hand, edit, *from, *to, ROUTER)),
            _ => None,
        });
        assert_eq!(packets.filter(Result::is_ok).count(), 1, "{:?}", self.effects.actions);
        self.boot_ms += 1;
    }

    fn comes_online(&mut self) {
        self.takes(Side::Subscriber, &asks(RELAYED, 1, Ipv4Addr::UNSPECIFIED));
        self.takes(Side::Server, &answers(1));
        let asked = self.effects.actions.iter().find_map(|action| match action {
            Action::Authenticate(request) => Some((request.session, request.attempt)),
            _ => None,
        });
        let (session, attempt) = asked.expect("an ACK starts a session");
        self.told(Input::Auth { session, attempt, answer: AuthAnswer::Accept(Box::default()) });
    }
}

fn asks((from, giaddr): (SocketAddrV4, Ipv4Addr), xid: u32, ciaddr: Ipv4Addr) -> Vec<u8> {
    let request = Builder::new(MessageType::Request, xid, MAC).ciaddr(ciaddr).giaddr(giaddr).option(12, b"box");
    let request = match giaddr.is_unspecified() {
        true => request,
        false => request.option(82, &line()),
    };
    frame::ethernet(ROUTER, ROUTER, from, SocketAddrV4::new(KEA, SERVER_PORT), &request.build()).unwrap()
}

fn answers(xid: u32) -> Vec<u8> {
    let mut info = Option82::parse(&line()).unwrap();
    info.set(12, b"test");
    let ack = Builder::new(MessageType::Ack, xid, MAC)
        .giaddr(GIADDR)
        .yiaddr(CLIENT)
        .option(option::SERVER_ID, &KEA.octets())
        .option(option::LEASE_TIME, &3600u32.to_be_bytes())
        .option(82, &info.encode().unwrap());
    let to = SocketAddrV4::new(GIADDR, SERVER_PORT);
    frame::ethernet(ROUTER, ROUTER, SocketAddrV4::new(KEA, SERVER_PORT), to, &ack.build()).unwrap()
}

fn line() -> Vec<u8> {
    Option82::of(b"ar-01|1/1", b"line-01").encode().unwrap()
}
