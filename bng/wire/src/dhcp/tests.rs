//! Goldens, and properties of reading and editing.

use dhcproto::{Decodable, Encodable, v4};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::option82::{RELAY_ID, TooLong};

const MAC: MacAddr = MacAddr([2, 0, 0x5e, 0x10, 0, 1]);

fn discover() -> Builder {
    Builder::new(MessageType::Discover, 0x1234_5678, MAC)
}

#[test]
fn reads_what_dhcproto_writes() {
    let mut theirs = v4::Message::default();
    theirs.set_xid(7).set_chaddr(&MAC.0).set_giaddr([100, 64, 1, 1]).set_flags(v4::Flags::default().set_broadcast());
    theirs.opts_mut().insert(v4::DhcpOption::MessageType(v4::MessageType::Request));
    theirs.opts_mut().insert(v4::DhcpOption::RequestedIpAddress([100, 64, 1, 10].into()));
    theirs.opts_mut().insert(v4::DhcpOption::AddressLeaseTime(600));
    let bytes = theirs.to_vec().unwrap();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.message_type(), message.xid(), message.chaddr()), (MessageType::Request, 7, MAC));
    assert_eq!(message.giaddr(), Ipv4Addr::new(100, 64, 1, 1));
    assert_eq!(message.requested_ip(), Some(Ipv4Addr::new(100, 64, 1, 10)));
    assert_eq!(message.lease_seconds(), Some(600));
    assert!(message.broadcast());
}

#[test]
fn dhcproto_reads_what_an_edit_writes() {
    let bytes = discover().option(12, b"host").build();
    let mut edit = Message::parse(&bytes).unwrap().edit();
    edit.set_giaddr([100, 64, 1, 1].into()).set_hops(1);
    let mut option = Option82::of(b"ar-01|1/1", b"line-01");
    option.set(RELAY_ID, b"bng-01");
    edit.set_option82(&option).unwrap();
    let theirs = v4::Message::from_bytes(&edit.into_bytes()).unwrap();
    assert_eq!((theirs.giaddr(), theirs.hops()), ([100, 64, 1, 1].into(), 1));
    let Some(v4::DhcpOption::RelayAgentInformation(info)) = theirs.opts().get(v4::OptionCode::RelayAgentInformation)
    else {
        panic!("no option 82")
    };
    assert_eq!(
        info.get(v4::relay::RelayCode::AgentCircuitId),
        Some(&v4::relay::RelayInfo::AgentCircuitId(b"ar-01|1/1".to_vec()))
    );
}

#[test]
fn option82_goes_last_before_the_padding_and_comes_off_without_a_trace() {
    let bytes = discover().build();
    let message = Message::parse(&bytes).unwrap();
    let mut edit = message.edit();
    edit.set_option82(&Option82::of(b"c", b"r")).unwrap();
    assert_eq!(&edit.clone().into_bytes()[240..253], b"\x35\x01\x01\x52\x06\x01\x01c\x02\x01r\xff\x00");
    edit.remove_option82();
    assert_eq!(edit.into_bytes(), bytes);
}

#[test]
fn overloaded_fields_are_read_and_stripped() {
    let mut bytes = discover().option(option::OVERLOAD, &[3]).build();
    bytes[at::FILE..at::FILE + 5].copy_from_slice(&[82, 3, 1, 1, b'a']);
    bytes[at::FILE + 5] = options::END;
    bytes[at::SNAME..at::SNAME + 5].copy_from_slice(&[82, 3, 2, 1, b'b']);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.option82().unwrap(), Some(Option82::of(b"a", b"b")));
    let mut edit = message.edit();
    edit.remove_option82();
    assert_eq!(edit.message().unwrap().option82_raw(), None);
    assert_eq!(edit.into_bytes().len(), bytes.len());
}

#[test]
fn split_options_are_one() {
    let long: Vec<u8> = (0..=255).chain(0..40).collect();
    let bytes = discover().option(61, &long).build();
    assert_eq!(Message::parse(&bytes).unwrap().client_id().as_deref(), Some(&long[..]));
}

#[test]
fn nothing_is_cut_to_fit() {
    let mut bytes = discover().option(61, &[1; 1200]).build();
    bytes[at::SNAME] = b's';
    bytes[at::FILE] = b'f';
    let mut edit = Message::parse(&bytes).unwrap().edit();
    let before = edit.clone();
    let refused = edit.set_option82(&Option82::of(&[1; 120], &[2; 120])).unwrap_err();
    assert_eq!(refused, EditError::MessageTooLong { needed: 1700, limit: MAX_MESSAGE });
    assert_eq!(edit.set_option82(&Option82::of(&[1; 256], b"")), Err(TooLong(256).into()));
    assert_eq!(edit, before);
}

/// Option 82 over 255 octets: two options (RFC 3396 §5), for an independent reader too, and for one that does not join them.
#[test]
fn a_long_option82_is_split() {
    let option = Option82::of(&[1; 200], &[2; 200]);
    let bytes = discover().option(12, b"host").build();
    let mut edit = Message::parse(&bytes).unwrap().edit();
    edit.set_option82(&option).unwrap();
    assert_eq!(edit.message().unwrap().option82().unwrap().as_ref(), Some(&option));
    let sent = edit.clone().into_bytes();
    let found = walk(&sent, at::OPTIONS..sent.len()).map(Result::unwrap).filter(|found| found.code == option82::CODE);
    let alone: Vec<_> =
        found.flat_map(|found| Option82::parse(&sent[found.value()]).unwrap().subs().to_vec()).collect();
    assert_eq!(alone, option.subs());
    let theirs = v4::Message::from_bytes(&sent).unwrap();
    assert_eq!(circuit_id(theirs.opts()), Some(vec![1; 200]));
    edit.remove_option82();
    assert_eq!(edit.into_bytes(), bytes);
}

/// A message that has room for so many more octets of options, at most 190.
fn nearly_full(room: usize) -> Vec<u8> {
    let most = discover().option(61, &[9; 1020]);
    let rest = MAX_MESSAGE - most.clone().build().len() - room;
    if rest < 2 { most } else { most.option(60, &vec![8; rest - 2]) }.build()
}

#[test]
fn a_full_message_has_room_in_file_and_sname() {
    let cases: [(usize, usize, u8); 6] = [(40, 30, 0), (10, 30, 1), (0, 3, 0), (3, 100, 1), (100, 200, 1), (3, 174, 3)];
    for (room, circuit, overload) in cases {
        let bytes = nearly_full(room);
        assert_eq!(bytes.len(), MAX_MESSAGE - room);
        let option = Option82::of(&vec![5; circuit], b"r");
        let mut edit = Message::parse(&bytes).unwrap().edit();
        let fits = edit.set_option82(&option).is_ok();
        assert_eq!(fits, room >= 3, "not even option 52 fits into {room}");
        let sent = edit.clone().into_bytes();
        assert!(sent.len() <= MAX_MESSAGE);
        let message = Message::parse(&sent).unwrap();
        if !fits {
            assert_eq!(sent, bytes);
            continue;
        }
        assert_eq!(message.option82().unwrap(), Some(option), "room {room}, circuit {circuit}");
        assert_eq!(
            message.option(option::OVERLOAD).map_or(0, |value| value[0]),
            overload,
            "room {room}, circuit {circuit}"
        );
        assert_eq!(message.client_id().unwrap(), Message::parse(&bytes).unwrap().client_id().unwrap());
        // An independent reader, given the fields one after the other as RFC 3396 §5 joins them.
        assert_eq!(circuit_id(&joined(&sent)), Some(vec![5; circuit]));
        edit.remove_option82();
        assert_eq!(edit.message().unwrap().option82_raw(), None);
    }
}

#[test]
fn names_in_file_and_sname_are_kept() {
    let mut bytes = nearly_full(10);
    bytes[at::FILE..at::FILE + 4].copy_from_slice(b"boot");
    let mut edit = Message::parse(&bytes).unwrap().edit();
    edit.set_option82(&Option82::of(&[5; 40], b"r")).unwrap();
    let sent = edit.clone().into_bytes();
    assert_eq!(&sent[at::FILE..at::COOKIE], &bytes[at::FILE..at::COOKIE]);
    assert_eq!(Message::parse(&sent).unwrap().option(option::OVERLOAD).as_deref(), Some(&[2][..]));
    assert!(edit.set_option82(&Option82::of(&[5; 80], b"r")).is_err(), "sname has 64 octets");
}

fn circuit_id(options: &v4::DhcpOptions) -> Option<Vec<u8>> {
    let Some(v4::DhcpOption::RelayAgentInformation(info)) = options.get(v4::OptionCode::RelayAgentInformation) else {
        return None;
    };
    match info.get(v4::relay::RelayCode::AgentCircuitId) {
        Some(v4::relay::RelayInfo::AgentCircuitId(id)) => Some(id.clone()),
        _ => None,
    }
}

fn joined(bytes: &[u8]) -> v4::DhcpOptions {
    let fields = options::Fields::of(bytes).unwrap();
    let part = |field: &std::ops::Range<usize>| bytes[field.start..options::end_of(bytes, field.clone())].to_vec();
    let all: Vec<u8> = fields.iter().flat_map(part).chain([options::END]).collect();
    v4::DhcpOptions::decode(&mut v4::Decoder::new(&all)).unwrap()
}

#[test]
fn end_and_300_octets_whatever_is_taken_away() {
    let mut bytes = discover().option(82, &[1, 1, b'a']).option(12, b"host").build();
    bytes.truncate(254); // no End
    let mut edit = Message::parse(&bytes).unwrap().edit();
    edit.remove_option82();
    let sent = edit.into_bytes();
    assert_eq!((sent.len(), &sent[240..251]), (MIN_MESSAGE, &b"\x35\x01\x01\x0c\x04host\xff\0"[..]));
}

#[test]
fn a_client_says_how_much_it_takes() {
    let said = |size: &[u8]| Message::parse(&discover().option(option::MAX_SIZE, size).build()).unwrap().max_reply();
    assert_eq!(Message::parse(&discover().build()).unwrap().max_reply(), 548);
    assert_eq!(said(&1200u16.to_be_bytes()), 1172);
    assert_eq!(said(&9000u16.to_be_bytes()), MAX_MESSAGE, "more than a frame");
    assert_eq!((said(&300u16.to_be_bytes()), said(&[1])), (548, 548), "less than is legal, and nonsense");
}

#[test]
fn a_nak_is_no_longer_than_its_client_takes() {
    let nak = |id: usize, size: u16| {
        let request = discover().option(61, &vec![1; id]).option(option::MAX_SIZE, &size.to_be_bytes()).build();
        nak(&Message::parse(&request).unwrap(), [10, 231, 1, 2].into(), "no session")
    };
    let text = |bytes: &[u8]| Message::parse(bytes).unwrap().option(option::MESSAGE).is_some();
    assert!(text(&nak(10, 576).unwrap()));
    assert!(!text(&nak(290, 576).unwrap()), "the text goes first");
    assert_eq!(nak(400, 576), Err(EditError::MessageTooLong { needed: 654, limit: 548 }));
    assert!(text(&nak(400, 700).unwrap()));
}

#[test]
fn refusals_have_their_reasons() {
    let good = discover().build();
    let with = |place: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[place] = value;
        Message::parse(&bytes).err()
    };
    assert_eq!(Message::parse(&good[..239]).err(), Some(Drop::DhcpTruncated));
    assert_eq!(with(at::COOKIE, 0), Some(Drop::DhcpNoCookie));
    assert_eq!(with(at::HTYPE, 6), Some(Drop::DhcpHeader));
    assert_eq!(with(at::OP, 2), Some(Drop::DhcpHeader));
    assert_eq!(with(at::OPTIONS + 2, 99), Some(Drop::DhcpType));
    assert_eq!(with(at::OPTIONS + 1, 200), Some(Drop::DhcpOption));
    assert_eq!(with(at::OPTIONS, 54), Some(Drop::DhcpType));
    let overloaded = |builder: Builder| Message::parse(&builder.build()).err();
    assert_eq!(overloaded(discover().option(52, &[1]).option(52, &[2])), Some(Drop::DhcpOverload));
    assert_eq!(overloaded(discover().option(52, &[4])), Some(Drop::DhcpOverload));
    assert_eq!(overloaded(discover().option(52, &[])), Some(Drop::DhcpOverload));
}

#[test]
fn a_nak_names_the_server_and_the_transaction() {
    let request =
        Builder::new(MessageType::Request, 9, MAC).giaddr([100, 64, 1, 1].into()).option(61, b"\x01id").build();
    let bytes = nak(&Message::parse(&request).unwrap(), [10, 231, 1, 2].into(), "no session").unwrap();
    let nak = Message::parse(&bytes).unwrap();
    assert_eq!((nak.message_type(), nak.xid(), nak.server_id()), (MessageType::Nak, 9, Some([10, 231, 1, 2].into())));
    assert!(nak.broadcast());
    assert_eq!(nak.client_id().as_deref(), Some(&b"\x01id"[..]));
}

fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let options = vec((1..=254u8, vec(any::<u8>(), 0..40)), 0..8);
    (options, any::<[u8; 4]>(), any::<bool>()).prop_map(|(options, giaddr, overload)| {
        let codes = |code: &u8| ![option::MESSAGE_TYPE, option::OVERLOAD].contains(code);
        let mut builder = discover().giaddr(giaddr.into());
        if overload {
            builder = builder.option(option::OVERLOAD, &[1]);
        }
        options
            .iter()
            .filter(|(code, _)| codes(code))
            .fold(builder, |builder, (code, value)| builder.option(*code, value))
            .build()
    })
}

proptest! {
    #[test]
    fn parse_is_total(bytes in vec(any::<u8>(), 0..400)) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn parse_of_noisy_options_is_total(noise in vec(any::<u8>(), 0..200)) {
        let mut bytes = discover().build();
        bytes.truncate(243);
        bytes.extend(noise);
        if let Ok(message) = Message::parse(&bytes) {
            let _ = (message.option82(), message.server_id(), message.client_id());
            let mut edit = message.edit();
            edit.remove_option82();
            prop_assert!(edit.message().is_ok());
            edit.set_option82(&Option82::of(b"c", b"r")).unwrap();
            prop_assert_eq!(edit.message().unwrap().option82().unwrap(), Some(Option82::of(b"c", b"r")));
        }
    }

    #[test]
    fn edits_keep_every_other_option(bytes in any_message(), circuit in vec(any::<u8>(), 0..=255)) {
        let message = Message::parse(&bytes).unwrap();
        let option = Option82::of(&circuit, b"r");
        let mut edit = message.edit();
        edit.set_option82(&option).unwrap().set_giaddr([1, 2, 3, 4].into());
        let edited = edit.message().unwrap();
        prop_assert_eq!(edited.option82().unwrap(), Some(option));
        for code in (1..=254u8).filter(|code| *code != 82) {
            prop_assert_eq!(edited.option(code), message.option(code));
        }
        prop_assert_eq!(&edited.bytes()[at::CHADDR..at::OPTIONS], &bytes[at::CHADDR..at::OPTIONS]);
    }

    /// Whatever the room: all of it or nothing, and never a message that is malformed, too long or says something else.
    #[test]
    fn a_full_message_takes_an_option_whole_or_not_at_all(
        room in 0usize..190, circuit in 0usize..=255, remote in 0usize..=255, names in 0u8..4,
    ) {
        let mut bytes = nearly_full(room);
        bytes[at::FILE] = names & 1;
        bytes[at::SNAME] = names & 2;
        let option = Option82::of(&vec![5; circuit], &vec![6; remote]);
        let mut edit = Message::parse(&bytes).unwrap().edit();
        let set = edit.set_option82(&option).is_ok();
        let sent = edit.into_bytes();
        let message = Message::parse(&sent).unwrap();
        prop_assert_eq!(message.option82().unwrap(), set.then_some(option));
        prop_assert!(sent.len() <= MAX_MESSAGE && (set || sent == bytes));
        let before = Message::parse(&bytes).unwrap();
        for code in [option::CLIENT_ID, 60] {
            prop_assert_eq!(message.option(code), before.option(code));
        }
        for (bit, field) in [(1, at::FILE..at::COOKIE), (2, at::SNAME..at::FILE)] {
            prop_assert!(names & bit == 0 || sent[field.clone()] == bytes[field]);
        }
    }
}
