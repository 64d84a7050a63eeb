//! Option 82 octet by octet, in access mode Routed too: the test is the access router, the others are real.

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use lastmile_netio::capture::{Batch, Capture, Filter, FrameSender};
use lastmile_types::{MacAddr, Octets, event::STREAM, session::SessionSnapshot};
use lastmile_wire::{
    dhcp::{Builder, MAX_MESSAGE, Message, MessageType, SERVER_PORT, option},
    frame::{self, Checksum},
    option82::{self, CIRCUIT_ID, Option82, RELAY_ID, REMOTE_ID},
};
use redis::{Commands, streams::StreamRangeReply};
use serde_json::{Value, json};

use crate::{
    bed::{Bed, SERVERS, env, run, wait},
    radius::FreeRadius,
};

/// The router's giaddr, and its address on the gateway's link.
const ROUTER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 1);
const NEXT_HOP: &str = "10.65.0.2";
/// The gateway's NAS-Identifier.
const RELAY: &[u8] = b"bridged";
/// A sub-option that nobody knows.
const UNKNOWN: u8 = 151;
/// Options that nobody knows, from here on.
const FILLING: u8 = 224;
const DROPPED: &str = "lastmile_bng_dropped_total{reason=\"option-does-not-fit\"}";

#[test]
fn binary_ids_reach_everybody_as_they_came() {
    let edge = Edge::new(json!([]));
    let client = Client::new(
        1,
        &[(CIRCUIT_ID, b"\0ar\xff|1/\xc3\x28\\\0"), (REMOTE_ID, b"\xfe\0/|\x80\n"), (UNKNOWN, b"\0\xff|")],
    );
    let address = edge.serve(&client);
    edge.everybody_knows(&client, address, true);
}

#[test]
fn full_messages_and_long_options_lose_nothing() {
    let edge = Edge::new(json!([]));
    let octets: Vec<u8> = (0..=255).collect();
    let long = Client::new(2, &[(CIRCUIT_ID, &octets[..220]), (REMOTE_ID, &octets[36..]), (UNKNOWN, b"\0")]);
    let address = edge.serve(&long);
    edge.everybody_knows(&long, address, false);
    // Room for the relay-id to the octet, and for one less.
    for (number, room, fits) in [(3, 2 + RELAY.len(), true), (4, 1 + RELAY.len(), false), (5, 0, false)] {
        let ids: [(u8, &[u8]); 2] = [(CIRCUIT_ID, &[b'|', 0, 0xff, number]), (REMOTE_ID, b"line\0")];
        let client = Client { room: Some(room), ..Client::new(number, &ids) };
        let address = edge.serve(&client);
        edge.everybody_knows(&client, address, fits);
    }
    assert_eq!(edge.bed.metric(DROPPED), None, "{}", edge.bed.metrics());
}

/// Option 57 is between client and server (RFC 2132 §9.10): what the server answers all the same is passed on, and is no longer.
#[test]
fn an_answer_longer_than_its_client_takes_is_what_the_server_made() {
    let option =
        |code: u8| json!({ "code": code, "csv-format": false, "data": hex(&[code; 250]), "always-send": true });
    let edge = Edge::new((FILLING..FILLING + 4).map(option).collect());
    let client = Client::new(6, &[(CIRCUIT_ID, b"ar-01|1/6"), (REMOTE_ID, b"line-06")]);
    let discover = client.message(MessageType::Discover, &[(option::MAX_SIZE, &576u16.to_be_bytes())]);
    let mut answer = Vec::new();
    let made = heard(edge.bed.dhcp_side(), Filter::DhcpFromServers, || {
        answer = edge.ask(&discover, MessageType::Offer);
    });
    let (made, passed) = (Message::parse(&made).unwrap(), Message::parse(&answer).unwrap());
    assert!(made.bytes().len() > 1200, "{made:?}");
    assert_eq!(passed.bytes().len() + 2 + RELAY.len(), made.bytes().len(), "all but the relay-id");
    let without = |message: &Message<'_>| message.edit().remove_option82().clone().into_bytes();
    assert_eq!(without(&passed), without(&made));
}

/// Bridged, where the gateway itself has to add all of it.
#[test]
fn what_a_full_message_has_no_room_for_is_never_cut() {
    let mut bed = Bed::new();
    bed.kea();
    bed.gateway_addresses();
    bed.gateway(false);
    wait("the gateway", || bed.log("gateway").contains("the gateway is open"));
    let mac: MacAddr = bed.mac("sub1").parse().unwrap();
    let sender = bed.within("sub1", || FrameSender::open("eth0").unwrap());
    let send = |payload: &[u8]| {
        let (from, to) = (SocketAddrV4::new([0; 4].into(), 68), SocketAddrV4::new([255; 4].into(), SERVER_PORT));
        let frame = frame::ethernet(mac, MacAddr([0xff; 6]), from, to, payload).unwrap();
        assert_eq!(sender.send(&[frame]).unwrap(), 1);
    };
    let discover = |room| filled(Builder::new(MessageType::Discover, 7, mac), room);

    // Option 52 needs three octets.
    let asked = discover(3);
    let relayed = bed.within("server", || heard("svc0", Filter::DhcpFromClients, || send(&asked)));
    let (asked, relayed) = (Message::parse(&asked).unwrap(), Message::parse(&relayed).unwrap());
    let mut whole = Option82::of(bed.access().as_bytes(), mac.to_string().as_bytes());
    whole.set(RELAY_ID, RELAY);
    assert_eq!(relayed.option82().unwrap(), Some(whole));
    assert_eq!((relayed.bytes().len(), relayed.option(option::OVERLOAD).as_deref()), (MAX_MESSAGE, Some(&[1][..])));
    for code in FILLING..=FILLING + 10 {
        assert_eq!(relayed.option(code), asked.option(code));
    }
    let offer = bed.within("sub1", || heard("eth0", Filter::DhcpFromServers, || send(asked.bytes())));
    let offer = Message::parse(&offer).unwrap();
    assert_eq!((offer.message_type(), offer.option82_raw()), (MessageType::Offer, None));

    send(&discover(2));
    wait("the drop to be counted", || bed.metric(DROPPED) == Some(1));
}

/// A routed gateway between the test and Kea, with a FreeRADIUS of its own.
struct Edge {
    bed: Bed,
    radius: FreeRadius,
    router: UdpSocket,
}

impl Edge {
    /// With options that Kea sends to everybody.
    fn new(options: Value) -> Self {
        let mut bed = Bed::new();
        let secret = env("LASTMILE_TEST_RADIUS_SECRET");
        let radius = FreeRadius::start("gold", &secret);
        let server = radius.as_server();
        bed.options = options;
        bed.kea_of("kea", SERVERS[0], ["10-100.64.1.99", "10-100.64.2.99"], 600);
        run(&format!("ip addr add 10.65.0.1/24 dev {}", bed.access()));
        for line in
            ["addr add 10.65.0.2/24 dev lan0", "addr add 100.64.1.1/32 dev lan0", "route add default via 10.65.0.1"]
        {
            bed.ip("node", line);
        }
        bed.gateway_with(json!({
            "accessMode": "Routed", "trust": {},
            "pools": [{ "prefix": "100.64.1.0/24", "gateway": ROUTER, "nextHop": NEXT_HOP }],
            "radius": { "servers": [{ "auth": server.auth, "acct": server.acct, "secretFile": "radius-secret",
                                      "requireMessageAuthenticator": true }],
                        "passwordFile": "radius-password", "userNameTemplate": "{nas}/{remote}/{circuit}",
                        "timeoutMs": 1000, "retries": 2 },
        }));
        wait("the gateway", || bed.log("gateway").contains("the gateway is open"));
        let router = bed.within("node", || UdpSocket::bind((ROUTER, SERVER_PORT)).unwrap());
        router.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        Self { bed, radius, router }
    }

    /// What the router gets for a message that it relays.
    fn ask(&self, message: &[u8], wanted: MessageType) -> Vec<u8> {
        let xid = Message::parse(message).unwrap().xid();
        let mut buffer = [0; 2048];
        for _ in 0..10 {
            self.router.send_to(message, (SERVERS[0], SERVER_PORT)).unwrap();
            while let Ok(length) = self.router.recv(&mut buffer) {
                let answer = Message::parse(&buffer[..length]).unwrap();
                if (answer.xid(), answer.message_type()) == (xid, wanted) {
                    return answer.bytes().to_vec();
                }
            }
        }
        panic!("no {wanted:?}");
    }

    /// An address for a client; each answer has the router's option as the router made it.
    fn serve(&self, client: &Client) -> Ipv4Addr {
        let offer = self.ask(&client.message(MessageType::Discover, &[]), MessageType::Offer);
        let offer = Message::parse(&offer).unwrap();
        let chosen = [(option::REQUESTED_IP, offer.yiaddr().octets()), (option::SERVER_ID, SERVERS[0].octets())];
        let chosen = chosen.each_ref().map(|(code, address)| (*code, &address[..]));
        let ack = self.ask(&client.message(MessageType::Request, &chosen), MessageType::Ack);
        let ack = Message::parse(&ack).unwrap();
        for answer in [offer, ack] {
            assert_eq!(answer.option82_raw().as_deref(), Some(client.info.as_slice()));
        }
        ack.yiaddr()
    }

    /// Kea with its lease, RADIUS with both requests, and whoever reads the events.
    fn everybody_knows(&self, client: &Client, address: Ipv4Addr, relay_id: bool) {
        let info = Option82::parse(&client.info).unwrap();
        let ids = [info.circuit_id(), info.remote_id()].map(Option::unwrap);
        let mut known = info.subs().to_vec();
        known.extend(relay_id.then(|| (RELAY_ID, Octets::from(RELAY))));
        known.sort();
        assert_eq!(self.kept(address), known, "{}", self.bed.lease(address));
        let line = ids.map(|id| format!("0x{}", hex(id))).join(" ");
        let asked = || self.radius.agents().iter().filter(|agents| agents.eq_ignore_ascii_case(&line)).count();
        wait("Access-Request and Accounting-Request", || asked() >= 2);
        wait("the event", || !started(client.mac, address).is_empty());
        for session in started(client.mac, address) {
            assert_eq!([session.circuit_id.as_bytes(), session.remote_id.as_bytes()], ids);
        }
    }

    /// The sub-options that Kea has with a lease: by their codes, and twice where option 82 came in pieces.
    fn kept(&self, address: Ipv4Addr) -> Vec<(u8, Octets)> {
        let lease = self.bed.lease(address);
        let (_, text) = lease.split_once("0X").unwrap_or_else(|| panic!("no relay-agent-info: {lease}"));
        let digits: Vec<u8> = text.chars().map_while(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        let mut subs = Option82::parse(&bytes).unwrap_or_else(|refused| panic!("{refused}: {lease}")).subs().to_vec();
        subs.sort();
        subs.dedup();
        subs
    }
}

/// Somebody behind the router.
struct Client {
    mac: MacAddr,
    /// The router's option 82.
    info: Vec<u8>,
    /// So many octets short of full, if it is to be so full.
    room: Option<usize>,
}

impl Client {
    fn new(number: u8, subs: &[(u8, &[u8])]) -> Self {
        let mut info = Option82::new();
        subs.iter().for_each(|(code, value)| info.set(*code, value));
        Self { mac: MacAddr([2, 0, 0x5e, 0x82, 0, number]), info: info.encode().unwrap(), room: None }
    }

    fn message(&self, kind: MessageType, options: &[(u8, &[u8])]) -> Vec<u8> {
        let builder = Builder::new(kind, u32::from(self.mac.0[5]), self.mac).giaddr(ROUTER);
        // Cut wherever that may be (RFC 3396 §5).
        let pieces = self.info.chunks(255).map(|piece| (option82::CODE, piece));
        let builder = options
            .iter()
            .copied()
            .chain(pieces)
            .fold(builder, |builder, (code, content)| builder.option(code, content));
        match self.room {
            Some(room) => filled(builder, room),
            None => builder.build(),
        }
    }
}

/// The message with options that nobody knows, until it has so much room.
fn filled(mut builder: Builder, room: usize) -> Vec<u8> {
    for code in FILLING.. {
        let left = MAX_MESSAGE - room - builder.clone().build().len();
        match left {
            0 => break,
            // What is left is never a single octet.
            1..=257 => builder = builder.option(code, &vec![code; left - 2]),
            _ => builder = builder.option(code, &[code; 200]),
        }
    }
    builder.build()
}

/// The first DHCP message that an interface of this namespace receives of what some work leads to.
fn heard(interface: &str, filter: Filter, work: impl FnOnce()) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (capture, mut batch) = (Capture::open(interface, filter).unwrap(), Batch::new());
        work();
        tokio::time::timeout(Duration::from_secs(30), capture.recv(&mut batch)).await.expect("nothing came").unwrap();
        let first = batch.frames().next().unwrap();
        frame::parse(first.bytes, Checksum::Unfinished).unwrap().payload.to_vec()
    })
}

/// The sessions that the stream says a client started with an address.
fn started(mac: MacAddr, address: Ipv4Addr) -> Vec<SessionSnapshot> {
    let mut connection = redis::Client::open(env("LASTMILE_TEST_REDIS")).unwrap().get_connection().unwrap();
    let all: StreamRangeReply = connection.xrange_all(STREAM).unwrap();
    let starts = all.ids.iter().filter(|entry| entry.get::<String>("event_type").as_deref() == Some("SESSION_START"));
    let sessions = starts.map(|entry| serde_json::from_str(&entry.get::<String>("payload").unwrap()).unwrap());
    sessions.filter(|session: &SessionSnapshot| (session.mac, session.ip) == (mac, address)).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}
