//! Every rule of the agent, one case each; and what must hold of any frame.

use lastmile_types::relay::{Port as ConfiguredPort, Side};
use lastmile_wire::dhcp::{BROADCAST, Builder, option};
use proptest::{collection::vec, prelude::*};

use super::*;

const ROUTER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 3);
const CLIENT: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 10);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const EVERYBODY: MacAddr = MacAddr([0xff; 6]);

fn agent() -> Agent {
    let port = |interface: &str, remote_id: &str| ConfiguredPort {
        interface: interface.to_owned(),
        circuit_id: format!("{{router}}|1/{}", &interface[4..]),
        remote_id: remote_id.to_owned(),
    };
    Agent::new(&RelayConfig {
        router: "ar-01".to_owned(),
        lan: Side { interface: "lan0".to_owned(), address: ROUTER },
        uplink: Side { interface: "up0".to_owned(), address: [10, 231, 11, 2].into() },
        servers: vec![SERVER, OTHER],
        ports: vec![port("port1", "line-01"), port("port2", "line-02")],
        hops_limit: 16,
    })
}

fn message(kind: MessageType) -> Builder {
    Builder::new(kind, 7, MAC)
}

fn frame(src: (Ipv4Addr, u16), dst: (Ipv4Addr, u16), payload: &[u8]) -> UdpFrame<'_> {
    UdpFrame { src_mac: MAC, dst_mac: EVERYBODY, src: src.0, dst: dst.0, sport: src.1, dport: dst.1, payload }
}

fn client(payload: &[u8]) -> UdpFrame<'_> {
    frame((Ipv4Addr::UNSPECIFIED, 68), (Ipv4Addr::BROADCAST, 67), payload)
}

fn server(payload: &[u8]) -> UdpFrame<'_> {
    frame((SERVER, 67), (ROUTER, 67), payload)
}

fn reply(kind: MessageType) -> Builder {
    let option = Option82::of(b"ar-01|1/2", b"line-02").encode().unwrap();
    message(kind).giaddr(ROUTER).yiaddr(CLIENT).option(82, &option)
}

fn refusal(input: Input<'_>) -> &'static str {
    let mut agent = agent();
    assert_eq!(agent.handle(input), []);
    assert_eq!(agent.counters().values().sum::<u64>(), 1);
    agent.counters().keys().next().unwrap()
}

#[test]
fn a_discover_goes_to_every_server_with_giaddr_and_option_82() {
    let payload = message(MessageType::Discover).build();
    let mut agent = agent();
    let effects = agent.handle(Input::FromPort(1, client(&payload)));
    let servers = effects.iter().map(|effect| match effect {
        Effect::ToServer { src, dst, payload } => {
            let sent = Message::parse(payload).unwrap();
            assert_eq!((*src, sent.giaddr(), sent.hops()), (SocketAddrV4::new(ROUTER, 67), ROUTER, 1));
            assert_eq!(sent.option82().unwrap(), Some(Option82::of(b"ar-01|1/2", b"line-02")));
            *dst
        }
        Effect::ToPort { .. } => panic!("{effect:?}"),
    });
    let servers = servers.collect::<Vec<_>>();
    assert_eq!(servers, [SocketAddrV4::new(SERVER, 67), SocketAddrV4::new(OTHER, 67)]);
    assert_eq!(agent.counters(), &Counters::from([("discover", 1)]));
}

#[test]
fn a_request_goes_to_the_server_that_it_names() {
    let payload = message(MessageType::Request).option(option::SERVER_ID, &OTHER.octets()).build();
    let effects = agent().handle(Input::FromPort(0, client(&payload)));
    assert!(matches!(&effects[..], [Effect::ToServer { dst, .. }] if *dst.ip() == OTHER));
}

#[test]
fn what_a_client_claims_in_option_82_is_replaced() {
    let claim = Option82::of(b"ar-01|1/1", b"line-01").encode().unwrap();
    let payload = message(MessageType::Discover).option(82, &claim).build();
    let mut agent = agent();
    let effects = agent.handle(Input::FromPort(1, client(&payload)));
    let Effect::ToServer { payload, .. } = &effects[0] else { panic!() };
    assert_eq!(Message::parse(payload).unwrap().option82().unwrap(), Some(Option82::of(b"ar-01|1/2", b"line-02")));
    assert_eq!(agent.counters()["option82_stripped"], 1);
}

#[test]
fn refusals_on_a_port() {
    let discover = message(MessageType::Discover).build();
    let offer = message(MessageType::Offer).build();
    let relayed = message(MessageType::Discover).giaddr(ROUTER).build();
    let mut far = discover.clone();
    far[3] = 16;
    let renewal = frame((CLIENT, 68), (SERVER, 67), &discover);
    let rogue = frame((CLIENT, 67), (Ipv4Addr::BROADCAST, 68), &offer);
    let cases = [
        ("server_on_access_port", rogue),
        ("server_on_access_port", client(&offer)),
        ("giaddr_on_access_port", client(&relayed)),
        ("hops", client(&far)),
        ("routed", renewal),
        ("dhcp_truncated", client(&discover[..100])),
    ];
    for (label, frame) in cases {
        assert_eq!(refusal(Input::FromPort(0, frame)), label);
    }
}

#[test]
fn refusals_on_the_uplink() {
    let ack = reply(MessageType::Ack).build();
    let other_relay = reply(MessageType::Ack).giaddr([100, 64, 9, 1].into()).build();
    let discover = message(MessageType::Discover).giaddr(ROUTER).build();
    let bare = message(MessageType::Ack).giaddr(ROUTER).build();
    let mixed = Option82::of(b"ar-01|1/2", b"line-01").encode().unwrap();
    let mixed = message(MessageType::Ack).giaddr(ROUTER).option(82, &mixed).build();
    let cases = [
        ("routed", frame((SERVER, 67), (CLIENT, 68), &ack)),
        ("not_for_this_relay", server(&other_relay)),
        ("not_for_this_relay", server(&discover)),
        ("no_option82", server(&bare)),
        ("unknown_circuit", server(&mixed)),
    ];
    for (label, frame) in cases {
        assert_eq!(refusal(Input::FromUplink(frame)), label);
    }
}

#[test]
fn a_reply_goes_to_its_port_where_the_client_can_hear_it() {
    let cases = [
        (reply(MessageType::Offer), (MAC, CLIENT)),
        (reply(MessageType::Offer).flags(BROADCAST), (EVERYBODY, Ipv4Addr::BROADCAST)),
        (reply(MessageType::Ack).ciaddr(CLIENT).flags(BROADCAST), (MAC, CLIENT)),
        (reply(MessageType::Nak), (EVERYBODY, Ipv4Addr::BROADCAST)),
    ];
    for (reply, (mac, address)) in cases {
        let payload = reply.build();
        let effects = agent().handle(Input::FromUplink(server(&payload)));
        let [Effect::ToPort { port: 1, dst_mac, src, dst, payload }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((*dst_mac, *dst.ip(), dst.port(), src.port()), (mac, address, 68, 67));
        assert_eq!(Message::parse(payload).unwrap().option82_raw(), None);
    }
}

proptest! {
    #[test]
    fn whatever_comes_replies_leave_by_the_named_port_and_requests_are_marked(
        kind in 0..8usize,
        circuit in prop::sample::select(vec!["ar-01|1/1", "ar-01|1/2", "ar-02|1/1", ""]),
        remote in prop::sample::select(vec!["line-01", "line-02", ""]),
        noise in vec(any::<u8>(), 0..60),
        from_port in any::<bool>(),
        giaddr in prop::sample::select(vec![ROUTER, Ipv4Addr::UNSPECIFIED, OTHER]),
    ) {
        use MessageType::*;
        let kind = [Discover, Offer, Request, Decline, Ack, Nak, Release, Inform][kind];
        let option = Option82::of(circuit.as_bytes(), remote.as_bytes()).encode().unwrap();
        let mut payload = message(kind).giaddr(giaddr).option(82, &option).build();
        payload.truncate(payload.len().min(260 + noise.len()));
        payload.extend(&noise);
        let input = if from_port { Input::FromPort(0, client(&payload)) } else { Input::FromUplink(server(&payload)) };
        for effect in agent().handle(input) {
            match effect {
                Effect::ToServer { payload, .. } => {
                    prop_assert!(from_port);
                    let sent = Message::parse(&payload).unwrap();
                    prop_assert_eq!(sent.option82().unwrap(), Some(Option82::of(b"ar-01|1/1", b"line-01")));
                }
                Effect::ToPort { port, .. } => {
                    prop_assert!(!from_port);
                    prop_assert_eq!((circuit, remote), [("ar-01|1/1", "line-01"), ("ar-01|1/2", "line-02")][port]);
                }
            }
        }
    }
}
