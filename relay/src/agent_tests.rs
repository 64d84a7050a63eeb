//! Every rule of the agent, one case each; and what must hold of any frame.

use lastmile_types::relay::{Port as ConfiguredPort, Side};
use lastmile_wire::{
    dhcp::{BROADCAST, Builder, option},
    frame,
};
use proptest::{collection::vec, prelude::*};

use super::*;

const ROUTER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 231, 1, 3);
const CLIENT: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 10);
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const EVERYBODY: MacAddr = MacAddr([0xff; 6]);

const T: Duration = Duration::from_secs(1000);
const HOUR: Duration = Duration::from_secs(3600);

fn agent() -> Agent {
    Agent::new(&config())
}

fn config() -> RelayConfig {
    let port = |interface: &str, remote_id: &str| ConfiguredPort {
        interface: interface.to_owned(),
        circuit_id: "{router}|{slot}/{port}".to_owned(),
        remote_id: remote_id.to_owned(),
        slot: Some(1),
        port: interface[4..].parse().ok(),
    };
    RelayConfig {
        router: "ar-01".to_owned(),
        lan: Side { interface: "lan0".to_owned(), address: ROUTER },
        uplink: Side { interface: "up0".to_owned(), address: [10, 231, 11, 2].into() },
        servers: vec![SERVER, OTHER],
        ports: vec![port("port1", "line-01"), port("port2", "line-02")],
        mode: Mode::Route,
        hops_limit: 16,
        source_guard: true,
    }
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
    assert_eq!(agent.handle(T, input), []);
    assert_eq!(agent.counters().values().sum::<u64>(), 1);
    agent.counters().keys().next().unwrap()
}

#[test]
fn a_discover_goes_to_every_server_with_giaddr_and_option_82() {
    let payload = message(MessageType::Discover).build();
    let mut agent = agent();
    let effects = agent.handle(T, Input::FromPort(1, client(&payload)));
    let servers = effects.iter().map(|effect| match effect {
        Effect::ToServer { src, dst, payload } => {
            let sent = Message::parse(payload).unwrap();
            assert_eq!((*src, sent.giaddr(), sent.hops()), (SocketAddrV4::new(ROUTER, 67), ROUTER, 1));
            assert_eq!(sent.option82().unwrap(), Some(Option82::of(b"ar-01|1/2", b"line-02")));
            *dst
        }
        _ => panic!("{effect:?}"),
    });
    let servers = servers.collect::<Vec<_>>();
    assert_eq!(servers, [SocketAddrV4::new(SERVER, 67), SocketAddrV4::new(OTHER, 67)]);
    assert_eq!(agent.counters(), &Counters::from([("discover", 1)]));
}

#[test]
fn a_request_goes_to_the_server_that_it_names() {
    let payload = message(MessageType::Request).option(option::SERVER_ID, &OTHER.octets()).build();
    let effects = agent().handle(T, Input::FromPort(0, client(&payload)));
    assert!(matches!(&effects[..], [Effect::ToServer { dst, .. }] if *dst.ip() == OTHER));
}

/// On the heap, from a frame to what is sent: the list of effects, the message with option 82, and for a packet the octets around it.
#[test]
fn a_message_costs_few_allocations() {
    let mut agent = agent();
    let of = |builder: Builder, server: Ipv4Addr| builder.option(option::SERVER_ID, &server.octets()).build();
    let ack = reply(MessageType::Ack).option(option::LEASE_TIME, &3600u32.to_be_bytes()).build();
    let (discover, request) = (message(MessageType::Discover).build(), of(message(MessageType::Request), SERVER));
    let offer = of(reply(MessageType::Offer), SERVER);
    let renewal = message(MessageType::Request).ciaddr(CLIENT).build();
    let cases = [
        ("ACK", Input::FromUplink(server(&ack)), 3),
        ("OFFER", Input::FromUplink(server(&offer)), 3),
        ("REQUEST to one server", Input::FromPort(1, client(&request)), 4),
        ("renewal", Input::FromPort(1, frame((CLIENT, 68), (SERVER, 67), &renewal)), 4),
        ("DISCOVER to two servers", Input::FromPort(1, client(&discover)), 6),
    ];
    for (what, input, most) in cases {
        let mut message = || agent.handle(T, input).into_iter().for_each(sent);
        message(); // what is made once
        let count = allocation_counter::measure(message).count_total;
        assert!(count <= most, "{what}: {count} allocations, at most {most}");
    }
}

/// As the shell sends it.
fn sent(effect: Effect) {
    let built = match effect {
        Effect::ToServer { src, dst, payload } => frame::packet(src, dst, &payload),
        Effect::ToPort { dst_mac, src, dst, payload, .. } => frame::ethernet(MAC, dst_mac, src, dst, &payload),
        _ => return,
    };
    assert!(built.is_ok());
}

#[test]
fn what_a_client_claims_in_option_82_is_replaced() {
    let claim = Option82::of(b"ar-01|1/1", b"line-01").encode().unwrap();
    let payload = message(MessageType::Discover).option(82, &claim).build();
    let mut agent = agent();
    let effects = agent.handle(T, Input::FromPort(1, client(&payload)));
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
    let renewal = message(MessageType::Request).ciaddr(CLIENT).build();
    let unicast = |src, dst| Input::FromPort(0, frame((src, 68), (dst, 67), &renewal));
    assert_eq!(refusal(unicast(CLIENT, SERVER)), "not_the_holder", "nobody leased it here");
    assert_eq!(refusal(unicast(CLIENT, [198, 51, 100, 1].into())), "unlisted_server");
    let rogue = frame((CLIENT, 67), (Ipv4Addr::BROADCAST, 68), &offer);
    let cases = [
        ("server_on_access_port", rogue),
        ("server_on_access_port", client(&offer)),
        ("giaddr_on_access_port", client(&relayed)),
        ("hops", client(&far)),
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
        ("unlisted_server", frame(([198, 51, 100, 1].into(), 67), (ROUTER, 67), &ack)),
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
        let effects = agent().handle(T, Input::FromUplink(server(&payload)));
        let [Effect::ToPort { port: 1, src_mac: None, dst_mac, src, dst, payload }] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!((*dst_mac, *dst.ip(), dst.port(), src.port()), (mac, address, 68, 67));
        assert_eq!(Message::parse(payload).unwrap().option82_raw(), None);
    }
}

fn binding(port: PortIndex) -> Binding {
    Binding { port, ip: CLIENT, mac: MAC }
}

/// Port 2 (index 1) gets the address for an hour.
fn leased() -> Agent {
    let mut agent = agent();
    let payload = reply(MessageType::Ack).option(option::LEASE_TIME, &3600u32.to_be_bytes()).build();
    let effects = agent.handle(T, Input::FromUplink(server(&payload)));
    assert_eq!(effects[0], Effect::Bind(binding(1), Some(HOUR)), "before the client is told");
    assert!(matches!(effects[1..], [Effect::ToPort { port: 1, .. }]));
    agent
}

#[test]
fn what_leases_nothing_binds_nothing() {
    let lease = 3600u32.to_be_bytes();
    let replies = [
        reply(MessageType::Offer).option(option::LEASE_TIME, &lease),
        reply(MessageType::Nak).option(option::LEASE_TIME, &lease),
        reply(MessageType::Ack),
        reply(MessageType::Ack).yiaddr(Ipv4Addr::UNSPECIFIED).option(option::LEASE_TIME, &lease),
    ];
    for reply in replies {
        let payload = reply.build();
        let effects = agent().handle(T, Input::FromUplink(server(&payload)));
        assert!(matches!(effects[..], [Effect::ToPort { .. }]), "{effects:?}");
    }
}

#[test]
fn an_infinite_lease_is_bound_for_ever_and_a_move_unbinds_the_old_port() {
    let mut agent = leased();
    let option = Option82::of(b"ar-01|1/1", b"line-01").encode().unwrap();
    let ack = message(MessageType::Ack).giaddr(ROUTER).yiaddr(CLIENT).option(82, &option);
    let payload = ack.option(option::LEASE_TIME, &[0xff; 4]).build();
    let effects = agent.handle(T, Input::FromUplink(server(&payload)));
    assert_eq!(effects[..2], [Effect::Unbind(binding(1)), Effect::Bind(binding(0), None)]);
}

#[test]
fn a_renewal_is_prolonged_at_leisure_and_a_lease_that_is_nearly_over_bound_at_once() {
    let payload = reply(MessageType::Ack).option(option::LEASE_TIME, &3600u32.to_be_bytes()).build();
    let at = |agent: &mut Agent, now| agent.handle(now, Input::FromUplink(server(&payload))).swap_remove(0);
    let mut agent = leased();
    assert_eq!(at(&mut agent, T + HOUR / 2), Effect::Prolong(binding(1), Some(HOUR)));
    let end = T + HOUR / 2 + HOUR;
    assert_eq!(at(&mut agent, end - PROLONG_WITHIN), Effect::Bind(binding(1), Some(HOUR)));
    let release = message(MessageType::Release).ciaddr(CLIENT).build();
    let released = Input::FromPort(1, frame((CLIENT, 68), (SERVER, 67), &release));
    assert!(agent.handle(end, released).contains(&Effect::Unbind(binding(1))));
    assert_eq!(at(&mut agent, end), Effect::Bind(binding(1), Some(HOUR)), "the guard no longer has it");
}

#[test]
fn a_holders_unicast_is_relayed_to_its_server_with_giaddr_and_option_82() {
    let claim = Option82::of(b"ar-01|1/1", b"line-01").encode().unwrap();
    for kind in [MessageType::Request, MessageType::Release, MessageType::Inform] {
        let payload = message(kind).ciaddr(CLIENT).option(82, &claim).build();
        let effects = leased().handle(T, Input::FromPort(1, frame((CLIENT, 68), (OTHER, 67), &payload)));
        let Effect::ToServer { src, dst, payload } = &effects[0] else { panic!("{effects:?}") };
        let sent = Message::parse(payload).unwrap();
        assert_eq!((*src.ip(), *dst.ip(), sent.giaddr(), sent.ciaddr()), (ROUTER, OTHER, ROUTER, CLIENT));
        assert_eq!(sent.option82().unwrap(), Some(Option82::of(b"ar-01|1/2", b"line-02")));
        let rest: &[Effect] = if kind == MessageType::Release { &[Effect::Unbind(binding(1))] } else { &[] };
        assert_eq!(&effects[1..], rest);
    }
}

#[test]
fn unicast_of_others_is_refused() {
    let release = message(MessageType::Release).ciaddr(CLIENT).build();
    let stranger = Builder::new(MessageType::Release, 7, MacAddr([2, 0, 0, 0, 0, 9])).ciaddr(CLIENT).build();
    let honest = frame((CLIENT, 68), (SERVER, 67), &release);
    let cases = [
        (T, 0, honest, "another port"),
        (T + HOUR, 1, honest, "the lease is over"),
        (T, 1, UdpFrame { src: OTHER, ..honest }, "another source"),
        (T, 1, UdpFrame { src_mac: EVERYBODY, ..honest }, "another frame's MAC"),
        (T, 1, UdpFrame { payload: &stranger, ..honest }, "another chaddr"),
    ];
    for (now, port, frame, what) in cases {
        let mut agent = leased();
        assert_eq!(agent.handle(now, Input::FromPort(port, frame)), [], "{what}");
        assert_eq!(agent.counters()["not_the_holder"], 1, "{what}");
    }
    // Without the guard nothing is known of leases from before a restart; the frame has to agree with itself all the same.
    let unguarded = || Agent::new(&RelayConfig { source_guard: false, ..config() });
    assert_eq!(unguarded().handle(T, Input::FromPort(0, honest)).len(), 1);
    assert_eq!(unguarded().handle(T, Input::FromPort(0, UdpFrame { src: OTHER, ..honest })), []);
}

#[test]
fn what_is_given_up_is_unbound_and_only_by_its_holder() {
    let decline = |port| {
        let payload = message(MessageType::Decline).option(option::REQUESTED_IP, &CLIENT.octets()).build();
        let effects = leased().handle(T, Input::FromPort(port, client(&payload)));
        effects.into_iter().filter(|effect| matches!(effect, Effect::Unbind(_))).collect::<Vec<_>>()
    };
    assert_eq!(decline(1), [Effect::Unbind(binding(1))]);
    assert_eq!(decline(0), []);
}

#[test]
fn adopted_bindings_count() {
    let mut agent = agent();
    assert_eq!(agent.adopt(T, binding(1), Some(HOUR)), []);
    let payload = message(MessageType::Request).ciaddr(CLIENT).build();
    let renewal = frame((CLIENT, 68), (SERVER, 67), &payload);
    assert_eq!(agent.handle(T, Input::FromPort(1, renewal)).len(), 1);
    assert_eq!(agent.handle(T + HOUR, Input::FromPort(1, renewal)), []);
}

const GATEWAY: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

fn bridge() -> Agent {
    Agent::new(&RelayConfig { mode: Mode::Bridge, ..config() })
}

/// From the gateway to a client or to all.
fn from_gateway(dst_mac: MacAddr, dst: Ipv4Addr, payload: &[u8]) -> UdpFrame<'_> {
    UdpFrame { src_mac: GATEWAY, dst_mac, ..frame((SERVER, 67), (dst, 68), payload) }
}

#[test]
fn a_bridge_adds_option_82_and_nothing_else() {
    let claim = Option82::of(b"ar-01|1/1", b"line-01").encode().unwrap();
    let payload = message(MessageType::Discover).option(82, &claim).build();
    let effects = bridge().handle(T, Input::FromPort(1, client(&payload)));
    let [Effect::ToUplink { src_mac: MAC, dst_mac: EVERYBODY, src, dst, payload }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((src.ip(), src.port(), dst.ip(), dst.port()), (&Ipv4Addr::UNSPECIFIED, 68, &Ipv4Addr::BROADCAST, 67));
    let sent = Message::parse(payload).unwrap();
    assert_eq!((sent.giaddr(), sent.hops()), (Ipv4Addr::UNSPECIFIED, 0));
    assert_eq!(sent.option82().unwrap(), Some(Option82::of(b"ar-01|1/2", b"line-02")));
}

#[test]
fn a_bridge_takes_the_gateways_answer_to_its_port_without_option_82() {
    let answers = [(MAC, CLIENT), (EVERYBODY, Ipv4Addr::BROADCAST)];
    for (mac, address) in answers {
        let ack =
            reply(MessageType::Ack).giaddr(Ipv4Addr::UNSPECIFIED).option(option::LEASE_TIME, &3600u32.to_be_bytes());
        let payload = ack.build();
        let mut agent = bridge();
        let effects = agent.handle(T, Input::FromUplink(from_gateway(mac, address, &payload)));
        assert_eq!(effects[0], Effect::Bind(binding(1), Some(HOUR)), "before the client is told");
        let [Effect::ToPort { port: 1, src_mac, dst_mac, src, dst, payload }] = &effects[1..] else {
            panic!("{effects:?}")
        };
        assert_eq!((*src_mac, *dst_mac, *src.ip(), *dst.ip()), (Some(GATEWAY), mac, SERVER, address));
        assert_eq!(Message::parse(payload).unwrap().option82_raw(), None);
        // The holder's renewal keeps its addresses, and has the option too.
        let renewal = message(MessageType::Request).ciaddr(CLIENT).build();
        let renewal = UdpFrame { dst_mac: GATEWAY, ..frame((CLIENT, 68), (SERVER, 67), &renewal) };
        let effects = agent.handle(T, Input::FromPort(1, renewal));
        assert!(matches!(&effects[..], [Effect::ToUplink { dst_mac: GATEWAY, dst, .. }] if *dst.ip() == SERVER));
        assert_eq!(agent.handle(T, Input::FromPort(0, renewal)), [], "from another port");
    }
}

#[test]
fn refusals_of_a_bridge() {
    let discover = message(MessageType::Discover).build();
    let unrelayed = |kind| reply(kind).giaddr(Ipv4Addr::UNSPECIFIED);
    let (ack, relayed) = (unrelayed(MessageType::Ack).build(), reply(MessageType::Ack).build());
    let foreign = Option82::of(b"ar-02|1/2", b"line-02").encode().unwrap();
    let foreign = message(MessageType::Ack).option(82, &foreign).build();
    let bare = message(MessageType::Ack).build();
    let from = |payload| from_gateway(MAC, CLIENT, payload);
    let cases = [
        ("not_its_sender", Input::FromPort(0, UdpFrame { src_mac: GATEWAY, ..client(&discover) })),
        ("server_on_access_port", Input::FromPort(0, client(&ack))),
        ("routed", Input::FromUplink(server(&relayed))),
        ("not_for_this_relay", Input::FromUplink(from(&relayed))),
        ("unlisted_server", Input::FromUplink(UdpFrame { src: CLIENT, ..from(&ack) })),
        ("no_option82", Input::FromUplink(from(&bare))),
        ("unknown_circuit", Input::FromUplink(from(&foreign))),
    ];
    for (label, input) in cases {
        let mut agent = bridge();
        assert_eq!(agent.handle(T, input), [], "{label}");
        assert_eq!(agent.counters(), &Counters::from([(label, 1)]));
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
        unicast in any::<bool>(),
    ) {
        use MessageType::*;
        let kind = [Discover, Offer, Request, Decline, Ack, Nak, Release, Inform][kind];
        let option = Option82::of(circuit.as_bytes(), remote.as_bytes()).encode().unwrap();
        let claim = message(kind).giaddr(giaddr).ciaddr(CLIENT).yiaddr(CLIENT).option(82, &option);
        let mut payload = claim.option(option::LEASE_TIME, &[0, 0, 1, 0]).build();
        payload.truncate(payload.len().min(260 + noise.len()));
        payload.extend(&noise);
        let sent = if unicast { frame((CLIENT, 68), (SERVER, 67), &payload) } else { client(&payload) };
        let input = if from_port { Input::FromPort(0, sent) } else { Input::FromUplink(server(&payload)) };
        let named = || [("ar-01|1/1", "line-01"), ("ar-01|1/2", "line-02")].iter().position(|id| *id == (circuit, remote));
        // Port 2 holds the address: what port 1 sends does not touch it, and only an ACK from the uplink moves it.
        let mut agent = leased();
        for effect in agent.handle(T, input) {
            match effect {
                Effect::ToServer { payload, .. } => {
                    prop_assert!(from_port && !unicast);
                    let sent = Message::parse(&payload).unwrap();
                    prop_assert_eq!(sent.option82().unwrap(), Some(Option82::of(b"ar-01|1/1", b"line-01")));
                }
                Effect::ToUplink { .. } => prop_assert!(false, "a router is no bridge"),
                Effect::ToPort { port, .. } => {
                    prop_assert!(!from_port);
                    prop_assert_eq!(Some(port), named());
                }
                Effect::Bind(bound, _) | Effect::Prolong(bound, _) => {
                    prop_assert!(!from_port && kind == Ack);
                    prop_assert_eq!(Some(bound.port), named());
                }
                Effect::Unbind(old) => prop_assert!(!from_port && old == binding(1)),
            }
        }
    }
}
