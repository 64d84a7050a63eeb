//! What is fuzzed: each decoder with the invariants of its own. Shared by `tests/corpus.rs` and the libFuzzer targets in `fuzz/`.
#![allow(dead_code)] // a libFuzzer target uses one function

use lastmile_fuzz_harness::Target;
use lastmile_types::Event;
use lastmile_wire::{
    dhcp::{Edit, MAX_MESSAGE, MIN_MESSAGE, Message, nak, option},
    frame::{self, Checksum},
    option82::{self, Option82, RELAY_ID},
    radius::{
        AUTHENTICATOR, Attributes, Code, Dictionary, Packet, Request, RequireMessageAuthenticator::No,
        accounting_request, attr, vendor, verify_request, verify_response,
    },
    stream,
};
use md5::{Digest, Md5};

/// Every target by its name, which is that of its corpus folder.
pub const TARGETS: &[Target] = &[
    ("dhcp", dhcp),
    ("frame", frame),
    ("option82", option82),
    ("radius_dictionary", radius_dictionary),
    ("radius_request", radius_request),
    ("radius_response", radius_response),
    ("stream", stream),
];

/// An Ethernet frame. What parses is rebuilt, and parses to the same.
pub fn frame(bytes: &[u8]) {
    let parsed = frame::parse(bytes, Checksum::Verify);
    let unverified = frame::parse(bytes, Checksum::Unfinished);
    if let Ok(found) = parsed {
        assert_eq!(unverified, Ok(found));
    }
    let Ok(found) = unverified else { return };
    let (src, dst) =
        (std::net::SocketAddrV4::new(found.src, found.sport), std::net::SocketAddrV4::new(found.dst, found.dport));
    let rebuilt = frame::ethernet(found.src_mac, found.dst_mac, src, dst, found.payload).expect("it came in a packet");
    assert_eq!(frame::parse(&rebuilt, Checksum::Verify), Ok(found));
}

/// A DHCP message. Every accessor is total; an edited message parses, says what was set, and keeps every other option.
pub fn dhcp(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    let _ = format!("{message:?} {:?} {:?}", message.option82(), message.lease_seconds());
    match nak(&message, [10, 0, 0, 1].into(), "no session") {
        Ok(nak) => {
            assert!(nak.len() <= message.max_reply());
            Message::parse(&nak).expect("a NAK to anything is a message");
        }
        Err(_) => assert!(message.client_id().is_some_and(|id| id.len() > 250), "a NAK that does not fit"),
    }

    let mut edit = message.edit();
    edit.set_hops(9).set_giaddr([100, 64, 1, 1].into()).set_flags(0x8000).remove_option82();
    keeps_the_rest(&message, &edit);
    assert_eq!(edit.message().expect("the fixed part has room for all").option82_raw(), None);
    let bare = edit.clone().into_bytes();

    // Long enough that a full message has to spill into its fixed fields.
    let long = [7; 200];
    let mut split = edit.clone();
    if split.set_option82(&Option82::of(&long, &long)).is_ok() {
        assert_eq!(split.message().expect("an edited message parses").option82(), Ok(Some(Option82::of(&long, &long))));
        assert!(split.clone().into_bytes().len() <= MAX_MESSAGE);
        keeps_the_rest(&message, &split);
    }

    let mut option = Option82::of(b"ar-01|1/1", b"line-01");
    option.set(RELAY_ID, b"bng-01");
    if edit.set_option82(&option).is_err() {
        assert_eq!(edit.into_bytes(), bare, "a refused edit changes nothing");
        return;
    }
    let edited = edit.message().expect("an edited message parses");
    assert_eq!((edited.hops(), edited.giaddr()), (9, [100, 64, 1, 1].into()));
    assert_eq!(edited.option82(), Ok(Some(option)));
    assert!(edited.bytes().len() <= MAX_MESSAGE);
    keeps_the_rest(&message, &edit);
    let sent = edit.into_bytes();
    assert!(sent.len() >= MIN_MESSAGE && sent.contains(&255), "padded, with End");
}

fn keeps_the_rest(before: &Message<'_>, after: &Edit) {
    let after = after.message().expect("an edited message parses");
    assert_eq!(
        (after.message_type(), after.xid(), after.chaddr()),
        (before.message_type(), before.xid(), before.chaddr())
    );
    // Option 52 only says where the others are.
    for code in (1..=254).filter(|code| ![option82::CODE, option::OVERLOAD].contains(code)) {
        assert_eq!(after.option(code), before.option(code), "option {code}");
    }
}

/// Option 82's content. What parses encodes to itself; a set sub-option is there once.
pub fn option82(content: &[u8]) {
    let Ok(mut option) = Option82::parse(content) else { return };
    assert_eq!(option.encoded_len(), content.len());
    assert_eq!(option.encode().expect("each came with its length"), content);
    option.set(RELAY_ID, b"bng-01");
    assert_eq!(option.relay_id(), Some(&b"bng-01"[..]));
    assert_eq!(option.subs().iter().filter(|(code, _)| *code == RELAY_ID).count(), 1);
    option.remove(RELAY_ID);
    assert_eq!(option.relay_id(), None);
}

const SECRET: &[u8] = b"xyzzy5461";

/// A reply to an Access-Request of ours, as it came and with its header and signature put right, so that the attributes are reached.
pub fn radius_response(datagram: &[u8]) {
    let request =
        Request { bytes: vec![], code: Code::ACCESS_REQUEST, identifier: 7, authenticator: [0; AUTHENTICATOR] };
    let _ = verify_response(datagram, &request, SECRET, No);
    if let Some(signed) = signed(datagram, Code::ACCESS_ACCEPT, request.identifier)
        && let Ok(packet) = verify_response(&signed, &request, SECRET, No)
    {
        attributes_survive(&packet);
    }
}

/// A CoA-Request, Disconnect-Request or Accounting-Request, likewise.
pub fn radius_request(datagram: &[u8]) {
    let _ = verify_request(datagram, SECRET, No);
    if let Some(signed) = signed(datagram, Code::COA_REQUEST, 7)
        && let Ok(packet) = verify_request(&signed, SECRET, No)
    {
        attributes_survive(&packet);
    }
}

/// The datagram with this code and identifier, the right length, and an authenticator over sixteen zero octets.
fn signed(datagram: &[u8], code: Code, identifier: u8) -> Option<Vec<u8>> {
    let attributes = datagram.get(4 + AUTHENTICATOR..)?;
    let length = u16::try_from(datagram.len()).ok()?.to_be_bytes();
    let header = [code.0, identifier, length[0], length[1]];
    let digest = Md5::new().chain_update(header).chain_update([0; AUTHENTICATOR]).chain_update(attributes);
    let authenticator: [u8; AUTHENTICATOR] = digest.chain_update(SECRET).finalize().into();
    Some([&header[..], &authenticator, attributes].concat())
}

/// Every accessor is total, and the attributes come back as they are from a packet of our own.
fn attributes_survive(packet: &Packet) {
    let found = &packet.attributes;
    for kind in 0..=u8::MAX {
        let _ = (found.u32(kind), found.address(kind), found.text(kind), found.vendor(vendor::ADSL_FORUM, kind));
    }
    let _ = found.counter(attr::ACCT_INPUT_OCTETS, attr::ACCT_INPUT_GIGAWORDS);
    let mut sent = Attributes::new();
    // An empty attribute may come, and may not be sent (RFC 2865 §5); the Message-Authenticator is the packet's own.
    for (kind, value) in found.iter().filter(|(kind, _)| *kind != attr::MESSAGE_AUTHENTICATOR) {
        sent.push(kind, value).expect("it came in a packet");
    }
    let request = accounting_request(7, &sent, SECRET).expect("they came in a packet");
    assert_eq!(verify_request(&request.bytes, SECRET, No).expect("it is ours").attributes, sent);
}

/// A dictionary file. What is taken is found by its name, whatever its case; what is refused says which line.
pub fn radius_dictionary(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut dictionary = Dictionary::default();
    if let Err(error) = dictionary.read("file", &text) {
        assert!((1..=text.lines().count().max(1)).contains(&error.line), "{error}");
    }
    for one in dictionary.iter() {
        assert_eq!(dictionary.get(&one.name.to_ascii_uppercase()), Some(one));
        let _ = one.place.map(|place| Attributes::new().at(place).count());
    }
}

/// A stream entry as lines of `name value`. What decodes encodes, and decodes to the same.
pub fn stream(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(envelope) = stream::decode(text.lines().filter_map(|line| line.split_once(' '))) else { return };
    let fields = stream::encode(&envelope).expect("what was read can be written");
    let again = stream::decode(fields.iter().map(|(name, value)| (*name, value.as_str())))
        .expect("what is written can be read");
    match again.event {
        // The one field that is no integer: its last binary digit may differ.
        Event::BngHealthUpdate(_) => assert_eq!((again.seq, again.ts), (envelope.seq, envelope.ts)),
        _ => assert_eq!(again, envelope),
    }
}
