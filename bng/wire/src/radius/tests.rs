//! RFC examples, round trips, and forgeries that must be refused.

use proptest::{collection::vec, prelude::*};

use super::{RequireMessageAuthenticator::*, crypto::hide_password, *};
use crate::Drop;

const SECRET: &[u8] = b"xyzzy5461";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn authenticator(text: &str) -> Authenticator {
    hex(text).try_into().unwrap()
}

/// RFC 2865 §7.1.
#[test]
fn rfc2865_example() {
    let request_authenticator = authenticator("0f403f9473978057bd83d5cb98f4227a");
    let hidden = hide_password(b"arctangent", SECRET, &request_authenticator);
    assert_eq!(hidden, hex("0d be 70 8d 93 d4 13 ce 31 96 e4 3f 78 2a 0a ee"));
    let accept = hex(
        "02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2 06 06 00 00 00 01 0f 06 00 00 00 00 0e 06 c0 a8 01 03",
    );
    let request =
        Request { bytes: vec![], code: Code::ACCESS_REQUEST, identifier: 0, authenticator: request_authenticator };
    let packet = verify_response(&accept, &request, SECRET, No).unwrap();
    assert_eq!((packet.code, packet.attributes.u32(attr::SERVICE_TYPE)), (Code::ACCESS_ACCEPT, Some(1)));
    assert_eq!(verify_response(&accept, &request, SECRET, Yes), Err(Drop::RadiusNoMessageAuthenticator));
    assert_eq!(verify_response(&accept, &request, b"other", No), Err(Drop::RadiusAuthenticator));
}

/// RFC 2865 §7.2.
#[test]
fn rfc2865_chap_example() {
    let accept = hex(
        "02 01 00 38 15 ef bc 7d ab 26 cf a3 dc 34 d9 c0 3c 86 01 a4 06 06 00 00 00 02 07 06 00 00 00 01 08 06 ff ff ff fe
         0a 06 00 00 00 02 0d 06 00 00 00 01 0c 06 00 00 05 dc",
    );
    assert_eq!(
        accept,
        include_bytes!("../../tests/corpus/radius_response/rfc2865-7.2-accept"),
        "the corpus has the same"
    );
    let authenticator = authenticator("2aee86f08d0d55969ca5978e0d3367a2");
    let request = Request { bytes: vec![], code: Code::ACCESS_REQUEST, identifier: 1, authenticator };
    let packet = verify_response(&accept, &request, SECRET, No).unwrap();
    assert_eq!(packet.attributes.u32(attr::SERVICE_TYPE), Some(attr::SERVICE_FRAMED));
    assert_eq!(packet.attributes.address(attr::FRAMED_IP_ADDRESS), Some([255, 255, 255, 254].into()));
}

/// What a real server answered, to the last octet: it verifies, and says what that server was told to say.
#[test]
fn captured_from_freeradius() {
    let lines = include_str!("captured.txt").lines().filter(|line| !line.starts_with('#'));
    let replies = lines.map(|line| {
        let mut words = line.split(' ');
        let (name, request, reply) = (words.next().unwrap(), hex(words.next().unwrap()), hex(words.next().unwrap()));
        let code = Code(request[0]);
        let authenticator = request[4..20].try_into().unwrap();
        let request = Request { identifier: request[1], bytes: request, code, authenticator };
        let require = if code == Code::ACCESS_REQUEST { Yes } else { No };
        let packet = verify_response(&reply, &request, b"a secret", require).expect(name);
        assert!(verify_response(&reply, &request, b"another", No).is_err());
        (name, packet)
    });
    let replies: std::collections::BTreeMap<_, _> = replies.collect();
    let of = |name| &replies[name].attributes;
    let all = of("all");
    assert_eq!((all.text(attr::FILTER_ID), all.u32(attr::SESSION_TIMEOUT)), (Some("first"), Some(3600)));
    assert_eq!((all.u32(attr::IDLE_TIMEOUT), all.u32(attr::ACCT_INTERIM_INTERVAL)), (Some(600), Some(300)));
    assert_eq!(all.address(attr::FRAMED_IP_ADDRESS), Some([100, 64, 1, 10].into()));
    assert_eq!(all.all(attr::CLASS).collect::<Vec<_>>(), [&b"all"[..], b"second"]);
    assert_eq!(of("wispr").vendor(14122, 8), Some(&20_000_000_u32.to_be_bytes()[..]));
    assert_eq!(of("mikrotik").vendor(14988, 8), Some(&b"2M/10M 4M/20M 2M/10M 8/8"[..]));
    assert_eq!(of("cisco").vendor_all(9, 1).count(), 2);
    assert_eq!(of("broadband").vendor(43242, 4), Some(&200_u32.to_be_bytes()[..]));
    assert_eq!(
        (replies["nobody"].code, of("nobody").text(attr::REPLY_MESSAGE)),
        (Code::ACCESS_REJECT, Some("not paid"))
    );
    assert_eq!((replies["status"].code, replies["accounting"].code), (Code::ACCESS_ACCEPT, Code::ACCOUNTING_RESPONSE));
}

fn sample() -> Attributes {
    let mut attributes = Attributes::new();
    attributes.push(attr::USER_NAME, b"bng-01/line-01/ar-01|1%2F1").unwrap();
    attributes.push_address(attr::NAS_IP_ADDRESS, [10, 231, 0, 11].into());
    attributes.push_vendor(vendor::ADSL_FORUM, vendor::AGENT_CIRCUIT_ID, b"ar-01|1/1").unwrap();
    attributes.push_vendor(vendor::ADSL_FORUM, vendor::AGENT_REMOTE_ID, b"line-01").unwrap();
    attributes
}

fn as_packet(request: &Request) -> Packet {
    Packet {
        code: request.code,
        identifier: request.identifier,
        authenticator: request.authenticator,
        attributes: Attributes::new(),
    }
}

#[test]
fn message_authenticator_is_first_in_an_access_request() {
    let request = access_request(7, [9; 16], Some(b"secret of the line"), &sample(), SECRET).unwrap();
    assert_eq!(request.bytes[20..22], [attr::MESSAGE_AUTHENTICATOR, 18]);
    assert_eq!(usize::from(u16::from_be_bytes([request.bytes[2], request.bytes[3]])), request.bytes.len());
    let mut zeroed = request.bytes.clone();
    zeroed[22..38].fill(0);
    assert_eq!(request.bytes[22..38], super::crypto::hmac_md5(SECRET, &[&zeroed]));
}

#[test]
fn replies_are_verified_to_the_last_bit() {
    let request = access_request(7, [9; 16], None, &sample(), SECRET).unwrap();
    let mut attributes = Attributes::new();
    attributes.push(attr::FILTER_ID, b"gold").unwrap();
    let good = reply(&as_packet(&request), Code::ACCESS_ACCEPT, &attributes, SECRET).unwrap();
    let packet = verify_response(&good, &request, SECRET, Yes).unwrap();
    assert_eq!(packet.attributes.text(attr::FILTER_ID), Some("gold"));
    for bit in 0..good.len() * 8 {
        let mut forged = good.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(verify_response(&forged, &request, SECRET, Yes).is_err(), "bit {bit}");
    }
}

/// What CVE-2024-3596 makes: a Response Authenticator that holds over a packet whose Message-Authenticator does not.
#[test]
fn a_wrong_message_authenticator_is_refused_even_when_not_required() {
    let request = access_request(7, [9; 16], None, &sample(), SECRET).unwrap();
    let mut forged = reply(&as_packet(&request), Code::ACCESS_ACCEPT, &Attributes::new(), SECRET).unwrap();
    forged[25] ^= 1;
    let signed = super::crypto::md5(&[&forged[..4], &request.authenticator, &forged[20..], SECRET]);
    forged[4..20].copy_from_slice(&signed);
    assert_eq!(verify_response(&forged, &request, SECRET, No), Err(Drop::RadiusMessageAuthenticator));
}

#[test]
fn another_identifier_or_code_is_no_answer() {
    let request = accounting_request(7, &sample(), SECRET).unwrap();
    let accept = reply(&as_packet(&request), Code::ACCESS_ACCEPT, &Attributes::new(), SECRET).unwrap();
    assert_eq!(verify_response(&accept, &request, SECRET, No), Err(Drop::RadiusUnexpected));
    let other = Packet { identifier: 8, ..as_packet(&request) };
    let response = reply(&other, Code::ACCOUNTING_RESPONSE, &Attributes::new(), SECRET).unwrap();
    assert_eq!(verify_response(&response, &request, SECRET, No), Err(Drop::RadiusUnexpected));
}

#[test]
fn accounting_carries_64_bits_and_verifies() {
    let mut attributes = sample();
    attributes.push_counter(attr::ACCT_INPUT_OCTETS, attr::ACCT_INPUT_GIGAWORDS, 5 << 32 | 7);
    let request = accounting_request(1, &attributes, SECRET).unwrap();
    let packet = verify_request(&request.bytes, SECRET, No).unwrap();
    assert_eq!(packet.attributes.counter(attr::ACCT_INPUT_OCTETS, attr::ACCT_INPUT_GIGAWORDS), Some(5 << 32 | 7));
    assert_eq!(packet.attributes.vendor(vendor::ADSL_FORUM, vendor::AGENT_REMOTE_ID), Some(&b"line-01"[..]));
    assert_eq!(verify_request(&request.bytes, b"other", No), Err(Drop::RadiusAuthenticator));
}

#[test]
fn dynamic_requests_and_their_replies() {
    let mut attributes = Attributes::new();
    attributes.push(attr::PROXY_STATE, b"p1").unwrap().push(attr::ACCT_SESSION_ID, b"s").unwrap();
    let request = dynamic_request(Code::DISCONNECT_REQUEST, 3, &attributes, SECRET).unwrap();
    let packet = verify_request(&request.bytes, SECRET, Yes).unwrap();
    let mut cause = Attributes::new();
    cause.push_u32(attr::ERROR_CAUSE, 503);
    let nak = reply(&packet, Code::DISCONNECT_NAK, &cause, SECRET).unwrap();
    let nak = verify_response(&nak, &request, SECRET, Yes).unwrap();
    assert_eq!(
        (nak.attributes.u32(attr::ERROR_CAUSE), nak.attributes.get(attr::PROXY_STATE)),
        (Some(503), Some(&b"p1"[..]))
    );
}

/// Sent by FreeRADIUS' radclient 3.2.1 under the secret `secret`: one without Message-Authenticator, one with it at the end.
#[test]
fn radclients_requests_are_verified() {
    let change = hex(
        "2bee00386ec885931ece32e3270f2c233c04e5300109617c31253246311a1100000de9010b61722d30317c312f312104010237066553f100",
    );
    let packet = verify_request(&change, b"secret", No).unwrap();
    assert_eq!((packet.code, packet.identifier), (Code::COA_REQUEST, 0xee));
    let found = &packet.attributes;
    assert_eq!((found.text(attr::USER_NAME), found.get(attr::PROXY_STATE)), (Some("a|1%2F1"), Some(&[1, 2][..])));
    assert_eq!(found.vendor(vendor::ADSL_FORUM, vendor::AGENT_CIRCUIT_ID), Some(&b"ar-01|1/1"[..]));
    let vsa = found.get(attr::VENDOR_SPECIFIC).unwrap();
    assert_eq!(vendor_attributes(vsa), Ok((vendor::ADSL_FORUM, vec![(vendor::AGENT_CIRCUIT_ID, &b"ar-01|1/1"[..])])));
    assert_eq!(vendor_attributes(&vsa[..9]), Err(Drop::RadiusMalformed));
    assert_eq!(verify_request(&change, b"secret", Yes), Err(Drop::RadiusNoMessageAuthenticator));

    let disconnect =
        hex("28cb002fd19aba09e4843d664c4058be972abdd801036137066553f1005012f2358c270ad198708173c6c79e871541");
    let packet = verify_request(&disconnect, b"secret", Yes).unwrap();
    assert_eq!(
        (packet.code, packet.attributes.u32(attr::EVENT_TIMESTAMP)),
        (Code::DISCONNECT_REQUEST, Some(1_700_000_000))
    );
    for bit in 0..disconnect.len() * 8 {
        let mut forged = disconnect.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(verify_request(&forged, b"secret", Yes).is_err(), "bit {bit}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut attributes = Attributes::new();
    assert_eq!(attributes.push(attr::CLASS, &[0; 254]).err(), Some(TooLong(254)));
    assert_eq!(attributes.push_vendor(1, 1, &[0; 248]).err(), Some(TooLong(248)));
    for _ in 0..20 {
        attributes.push(attr::CLASS, &[1; 253]).unwrap();
    }
    assert!(accounting_request(0, &attributes, SECRET).is_err());
}

proptest! {
    #[test]
    fn verification_is_total(mut bytes in vec(any::<u8>(), 0..200), fix in any::<bool>()) {
        if fix && bytes.len() >= 4 {
            let length = (bytes.len() as u16).to_be_bytes();
            bytes[2..4].copy_from_slice(&length);
        }
        let request = Request { bytes: vec![], code: Code::ACCESS_REQUEST, identifier: 0, authenticator: [0; 16] };
        prop_assert!(verify_response(&bytes, &request, SECRET, No).is_err());
        prop_assert!(verify_request(&bytes, SECRET, No).is_err());
    }

    #[test]
    fn attributes_round_trip(list in vec((any::<u8>(), vec(any::<u8>(), 1..60)), 0..20)) {
        let mut attributes = Attributes::new();
        for (kind, value) in list.iter().filter(|(kind, _)| *kind != attr::MESSAGE_AUTHENTICATOR) {
            attributes.push(*kind, value).unwrap();
        }
        let request = accounting_request(1, &attributes, SECRET).unwrap();
        prop_assert_eq!(verify_request(&request.bytes, SECRET, No).unwrap().attributes, attributes);
    }
}
