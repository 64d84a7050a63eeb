//! What is fuzzed: each decoder with the invariants of its own. Shared by `tests/corpus.rs` and the libFuzzer targets in `fuzz/`.
#![allow(dead_code)] // a libFuzzer target uses one function

use std::sync::LazyLock;

use lastmile_bng::{
    coa::request,
    dhcp_io,
    journal::{Entry, Image, frame},
    kea_lease,
    radius::RateTable,
};
use lastmile_fuzz_harness::Target;
use lastmile_netio::capture::Captured;
use lastmile_session::{CoaRequest, CoaWish, Destination, Edit, Input, KeaLease, RelayInfoEdit, Side};
use lastmile_types::{InstanceId, MacAddr, session::Rates};
use lastmile_wire::radius::{Code, Dictionary, Packet, RequireMessageAuthenticator, verify_request};
use md5::{Digest, Md5};

/// Every target by its name, which is that of its corpus folder.
pub const TARGETS: &[Target] =
    &[("captured", captured), ("coa", coa), ("journal", journal), ("lease", lease), ("rates", rates)];

/// A captured frame, on its way through the gateway: what is understood can be passed on in both directions, or is refused.
pub fn captured(bytes: &[u8]) {
    let captured = Captured { bytes, checksum_ready: false, truncated: false };
    let Ok(in_hand) = dhcp_io::read(&captured) else { return };
    let Ok(message) = dhcp_io::describe(&in_hand, Side::Subscriber) else { return };
    let json = serde_json::to_string(&message).expect("a message is JSON");
    assert_eq!(serde_json::from_str::<lastmile_session::DhcpMessage>(&json).expect("its own JSON"), message);
    let relay_info = match message.relay_info {
        Some(info) => RelayInfoEdit::Set(info.raw),
        None => RelayInfoEdit::Strip,
    };
    let edit = Edit { add_hop: true, giaddr: Some([100, 64, 1, 1].into()), relay_info };
    let client = Destination::Client(message.ciaddr);
    let relay = Destination::Relay(message.giaddr);
    let link = MacAddr([2, 0, 0, 0, 0, 1]);
    let _ = dhcp_io::to_server(&in_hand, &edit, [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let _ = dhcp_io::reply(
        &in_hand,
        &Edit { relay_info: RelayInfoEdit::Strip, ..edit },
        [10, 0, 0, 2].into(),
        client,
        link,
    );
    let _ = dhcp_io::nak(&in_hand, [10, 0, 0, 2].into(), relay, "no session", link);
}

static RATES: LazyLock<RateTable> = LazyLock::new(|| {
    let dictionary = Dictionary::shipped().expect("the dictionaries that are shipped");
    RateTable::new(&[], &dictionary).expect("the gateway's own table")
});

/// The attributes of a CoA-Request, and of a Disconnect-Request, whose signature holds: an order that survives its recording, or an
/// Error-Cause.
pub fn coa(attributes: &[u8]) {
    for code in [Code::COA_REQUEST, Code::DISCONNECT_REQUEST] {
        let Some(packet) = signed(code, attributes) else { return };
        let Ok((target, wish)) = request::decode(&packet, [10, 0, 0, 1].into(), &RATES) else { continue };
        assert_eq!(matches!(wish, CoaWish::Disconnect { .. }), code == Code::DISCONNECT_REQUEST);
        let input = Input::Coa(Box::new(CoaRequest { order: 1, target, wish }));
        let json = serde_json::to_string(&input).expect("an input is JSON");
        assert_eq!(serde_json::from_str::<Input>(&json).expect("its own JSON"), input);
    }
}

/// A request with these attributes, whose signature holds; `None` where they are malformed.
fn signed(code: Code, attributes: &[u8]) -> Option<Packet> {
    let length = u16::try_from(20 + attributes.len()).ok()?;
    let mut datagram = [&[code.0, 7][..], &length.to_be_bytes(), &[0; 16], attributes].concat();
    let authenticator = Md5::new().chain_update(&datagram).chain_update(b"secret").finalize();
    datagram[4..20].copy_from_slice(&authenticator);
    verify_request(&datagram, b"secret", RequireMessageAuthenticator::No).ok()
}

/// The attributes of an Access-Accept that carry limits, those of vendors' texts among them: what is understood survives its
/// recording.
pub fn rates(attributes: &[u8]) {
    let Some(packet) = signed(Code::COA_REQUEST, attributes) else { return };
    let rates = RATES.read(&packet.attributes);
    let json = serde_json::to_string(&rates).expect("limits are JSON");
    assert_eq!(serde_json::from_str::<Option<Rates>>(&json).expect("their own JSON"), rates);
}

/// A lease in Kea's JSON: one that the machine can be told of and that survives its recording, or nobody's.
pub fn lease(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice(bytes) else { return };
    let Some(lease) = kea_lease::read(&value) else { return };
    let json = serde_json::to_string(&lease).expect("a lease is JSON");
    assert_eq!(serde_json::from_str::<KeaLease>(&json).expect("its own JSON"), lease);
}

/// A log as a crash or a bad disk may leave it: as it came, and with every checksum put right, so that the JSON is reached. What is
/// read is written, and reads the same; what is torn is what is left.
pub fn journal(bytes: &[u8]) {
    replays(bytes);
    replays(&repaired(bytes));
}

fn repaired(mut bytes: &[u8]) -> Vec<u8> {
    let mut log = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let (body, rest) = rest.split_at(length.min(rest.len()));
        log.extend((body.len() as u32).to_le_bytes());
        log.extend(crc32fast::hash(body).to_le_bytes());
        log.extend(body);
        bytes = rest;
    }
    log
}

fn replays(bytes: &[u8]) {
    let mut entries: Vec<Entry> = Vec::new();
    let replay = frame::replay(bytes, |entry| entries.push(entry));
    assert_eq!(replay.entries, entries.len());
    assert!(replay.torn <= bytes.len());
    let mut log = Vec::new();
    let mut image = Image::new(InstanceId(uuid::Uuid::nil()));
    for entry in &entries {
        frame::encode(entry, &mut log);
        image.apply(entry.clone());
    }
    let mut again = Vec::new();
    let whole = frame::replay(&log, |entry| again.push(entry));
    assert_eq!((whole.torn, whole.entries), (0, entries.len()));
    assert_eq!(again, entries);
}
