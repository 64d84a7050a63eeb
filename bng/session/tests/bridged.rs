//! Access mode Bridged: what the gateway says to servers, where its answers go, and whom it does not believe.

mod world;

use std::net::Ipv4Addr;

use lastmile_session::*;
use lastmile_types::{MacAddr, Octets};
use world::{GIADDR, KEA, World, address, bridged::bridged};

const IP: u8 = 50;
const EVERYBODY: Destination = Destination::Link { mac: MacAddr([0xff; 6]), ip: Ipv4Addr::BROADCAST };

fn to_server(world: &World) -> (Ipv4Addr, Edit) {
    let mut sent = world.actions.iter().filter_map(|action| match action {
        Action::ToServer { server, edit } => Some((*server, edit.clone())),
        _ => None,
    });
    sent.next_back().expect("a message to the server")
}

fn reply(world: &World) -> (Destination, Edit) {
    let mut sent = world.actions.iter().filter_map(|action| match action {
        Action::Reply { from, to, edit } => Some((*from, *to, edit.clone())),
        _ => None,
    });
    let (from, to, edit) = sent.next_back().expect("an answer to the client");
    assert_eq!((from, edit.giaddr), (KEA, Some(Ipv4Addr::UNSPECIFIED)));
    (to, edit)
}

fn client(mac: u8) -> MacAddr {
    MacAddr([2, 0, 0, 1, 0, mac])
}

/// Circuit = the interface, remote = the MAC; the server is told so, the client is not.
#[test]
fn without_an_access_node_the_circuit_is_the_interface() {
    for trusted in [false, true] {
        let mut world = bridged(trusted);
        world.dhcp(world.on_link(DhcpKind::Discover, 0, 1));
        let (server, edit) = to_server(&world);
        assert_eq!((server, edit.add_hop, edit.giaddr), (KEA, true, Some(GIADDR)));
        let info = b"\x01\x07access0\x02\x1102:00:00:01:00:01\x0c\x06bng-01";
        assert_eq!(edit.relay_info, RelayInfoEdit::Set(info.to_vec().into()));
        world.link_dora(0, IP, 1);
        assert_eq!(reply(&world).1.relay_info, RelayInfoEdit::Strip);
        let session = world.machine.sessions().next().unwrap();
        assert_eq!(session.key.attachment.circuit_id, Octets::from("access0"));
        assert_eq!(session.key.attachment.remote_id, Octets::from("02:00:00:01:00:01"));
    }
}

/// Any number of clients without an access node: each is an attachment of its own.
#[test]
fn clients_of_one_link_do_not_displace_each_other() {
    let mut world = bridged(false);
    world.link_online(0, IP, 1);
    world.link_online(0, IP + 1, 2);
    assert_eq!(world.gate.len(), 2);
    assert_eq!(world.stops(), []);
}

/// The access node's option goes to the server with our relay-id, and comes back to the access node without it.
#[test]
fn a_trusted_access_node_names_the_circuit() {
    let mut world = bridged(true);
    let option = world.on_link(DhcpKind::Discover, 3, 1).relay_info.unwrap().raw;
    world.dhcp(world.on_link(DhcpKind::Discover, 3, 1));
    let with_id = Octets::from([option.as_bytes(), b"\x0c\x06bng-01"].concat());
    assert_eq!(to_server(&world).1.relay_info, RelayInfoEdit::Set(with_id));
    let session = world.link_online(3, IP, 1);
    let admitted = world.actions.iter().any(|action| {
        matches!(action, Action::Admit(admission) if (admission.ip, admission.mac) == (address(IP), client(1)))
    });
    assert!(admitted, "{:?}", world.actions);
    world.link_renewal(3, IP, 1);
    assert_eq!(reply(&world).1.relay_info, RelayInfoEdit::Set(option));
    let session = world.machine.session(session).unwrap();
    assert_eq!(session.key.attachment.circuit_id, Octets::from("ar-01|1/3"));
    assert_eq!(session.path.router, "ar-01");
    assert!(world.kinds().iter().all(|kind| *kind != "ROUTER_UPDATE"), "an access node has no address to be pinged at");
}

/// RFC 2131 §4.1.
#[test]
fn an_answer_goes_where_its_client_can_hear_it() {
    let mut world = bridged(false);
    let one = |ip| Destination::Link { mac: client(1), ip };
    world.dhcp(world.on_link(DhcpKind::Request, 0, 1));
    let offer = world.server(DhcpKind::Offer, IP, 1);
    let cases = [
        (offer.clone(), one(address(IP))),
        (DhcpMessage { broadcast: true, ..offer.clone() }, EVERYBODY),
        (DhcpMessage { broadcast: true, ciaddr: address(IP), ..offer.clone() }, one(address(IP))),
        (DhcpMessage { yiaddr: Ipv4Addr::UNSPECIFIED, ..offer.clone() }, EVERYBODY),
        (DhcpMessage { kind: DhcpKind::Nak, ciaddr: address(IP), ..offer }, EVERYBODY),
    ];
    for (answer, to) in cases {
        world.dhcp(answer);
        assert_eq!(reply(&world).0, to);
    }
}

/// One relay address per pool: of the address in question, else of the first pool.
#[test]
fn giaddr_is_the_gateway_of_the_addresss_pool() {
    let mut world = bridged(false);
    let second: Ipv4Addr = [100, 64, 2, 77].into();
    let discover = world.on_link(DhcpKind::Discover, 0, 1);
    let rebinding = DhcpMessage { ciaddr: second, source_ip: second, ..world.on_link(DhcpKind::Inform, 0, 1) };
    for (message, giaddr) in [
        (DhcpMessage { requested_ip: Some(second), ..discover.clone() }, [100, 64, 2, 1]),
        (rebinding, [100, 64, 2, 1]),
        (DhcpMessage { requested_ip: Some([192, 0, 2, 1].into()), ..discover }, [100, 64, 1, 1]),
    ] {
        world.dhcp(message);
        assert_eq!(to_server(&world).1.giaddr, Some(giaddr.into()));
    }
}

/// RENEWING: unicast, sent on with giaddr and the stored option 82, answered to ciaddr. REBINDING: broadcast.
#[test]
fn renewals_prolong_the_session() {
    let mut world = bridged(true);
    let id = world.link_online(3, IP, 1);
    let ends = |world: &World| world.machine.session(id).unwrap().lease_end.boot_ms;
    let before = ends(&world);
    world.sleep(300_000);
    // The access node may leave unicast alone.
    world.link_renewal(0, IP, 1);
    assert_eq!(reply(&world).0, Destination::Link { mac: client(1), ip: address(IP) });
    assert_eq!(ends(&world), before + 300_000);
    world.sleep(200_000);
    let broadcast = DhcpMessage { destination_ip: Ipv4Addr::BROADCAST, ..world.holders(DhcpKind::Request, 3, IP, 1) };
    world.dhcp(broadcast);
    assert_eq!(to_server(&world).1.giaddr, Some(GIADDR));
    world.dhcp(world.server(DhcpKind::Ack, IP, 1));
    assert_eq!(ends(&world), before + 500_000);
    assert_eq!(world.stops(), []);
}

/// An ended session's renewal is refused to everybody on the link, so that its client comes back through DISCOVER.
#[test]
fn a_renewal_without_a_session_is_refused() {
    let mut world = bridged(false);
    for (message, to) in [
        (world.holders(DhcpKind::Request, 0, IP, 1), Destination::Link { mac: client(1), ip: address(IP) }),
        (DhcpMessage { destination_ip: Ipv4Addr::BROADCAST, ..world.holders(DhcpKind::Request, 0, IP, 1) }, EVERYBODY),
    ] {
        world.dhcp(message);
        assert!(
            matches!(world.actions[..], [Action::Nak { server: KEA, to: is, .. }] if is == to),
            "{:?}",
            world.actions
        );
    }
}

#[test]
fn a_release_is_its_holders() {
    let mut world = bridged(true);
    world.link_online(3, IP, 1);
    let release = world.holders(DhcpKind::Release, 3, IP, 1);
    let stranger = world.holders(DhcpKind::Release, 4, IP, 2);
    for (message, label) in [
        (stranger, Dropped::NotTheHolder),
        (DhcpMessage { source_mac: client(2), ..release.clone() }, Dropped::NotTheHolder),
        (world.holders(DhcpKind::Release, 4, IP, 1), Dropped::UntrustedOption82),
    ] {
        world.dhcp(message);
        assert_eq!(world.dropped(), Some(label));
    }
    world.dhcp(release);
    assert_eq!(to_server(&world).1.giaddr, Some(GIADDR));
    assert_eq!(world.stops(), [("User-Request", 0)]);
}

#[test]
fn whom_it_does_not_believe() {
    let mut world = bridged(false);
    world.link_online(0, IP, 1);
    let good = world.on_link(DhcpKind::Discover, 0, 2);
    let with_option = world.on_link(DhcpKind::Discover, 3, 2);
    let cases = [
        (with_option, Dropped::UntrustedOption82),
        (world.holders(DhcpKind::Release, 3, IP, 1), Dropped::UntrustedOption82),
        (DhcpMessage { giaddr: GIADDR, ..good.clone() }, Dropped::OwnGiaddr),
        (DhcpMessage { giaddr: [100, 64, 1, 9].into(), ..good.clone() }, Dropped::UntrustedGiaddr),
        (DhcpMessage { source_mac: client(3), ..good.clone() }, Dropped::NotItsSender),
        (DhcpMessage { destination_ip: KEA, ..good.clone() }, Dropped::NotRelayed),
        (DhcpMessage { hops: 16, ..good.clone() }, Dropped::TooManyHops),
        (DhcpMessage { kind: DhcpKind::Ack, ..good }, Dropped::ServerMessageFromAccess),
    ];
    for (message, label) in cases {
        world.dhcp(message);
        assert_eq!(world.dropped(), Some(label));
        assert_eq!(world.actions.len(), 1, "nothing else happens: {:?}", world.actions);
    }
    let mut world = bridged(true);
    let mut nameless = world.on_link(DhcpKind::Discover, 3, 2);
    nameless.relay_info.as_mut().unwrap().circuit_id = None;
    world.dhcp(nameless);
    assert_eq!(world.dropped(), Some(Dropped::NoCircuitId));
}

#[test]
fn an_adopted_lease_is_renewed_by_its_own_mac_only() {
    let mut world = bridged(false);
    let mut settings = world.machine.settings().clone();
    settings.config.kea =
        Some(serde_json::from_value(serde_json::json!({ "url": "http://kea", "form": "Direct" })).unwrap());
    world.input(Input::Config(Box::new(settings)));
    world.kea = Some(Default::default());
    world.leased(3, IP, 1, 10, 600);
    world.pass();
    assert_eq!(world.machine.sessions().count(), 1);
    let renewal = world.holders(DhcpKind::Request, 0, IP, 1);
    world.dhcp(DhcpMessage { source_mac: client(2), ..renewal.clone() });
    assert_eq!(world.dropped(), Some(Dropped::NotItsSender));
    world.dhcp(renewal);
    assert_eq!(to_server(&world).1.giaddr, Some(GIADDR));
}
