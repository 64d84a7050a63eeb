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
    let bytes = discover().option(61, &[1; 1200]).build();
    let mut edit = Message::parse(&bytes).unwrap().edit();
    let before = edit.clone();
    assert!(matches!(edit.set_option82(&Option82::of(&[1; 120], &[2; 120])), Err(EditError::MessageTooLong(_))));
    assert_eq!(edit.set_option82(&Option82::of(&[1; 200], &[2; 120])), Err(TooLong(324).into()));
    assert_eq!(edit, before);
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
}

#[test]
fn a_nak_names_the_server_and_the_transaction() {
    let request =
        Builder::new(MessageType::Request, 9, MAC).giaddr([100, 64, 1, 1].into()).option(61, b"\x01id").build();
    let bytes = nak(&Message::parse(&request).unwrap(), [10, 231, 1, 2].into(), "no session");
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
    fn edits_keep_every_other_option(bytes in any_message(), circuit in vec(any::<u8>(), 0..100)) {
        let message = Message::parse(&bytes).unwrap();
        let mut edit = message.edit();
        edit.set_option82(&Option82::of(&circuit, b"r")).unwrap().set_giaddr([1, 2, 3, 4].into());
        let edited = edit.message().unwrap();
        prop_assert_eq!(edited.option82().unwrap(), Some(Option82::of(&circuit, b"r")));
        for code in (1..=254u8).filter(|code| *code != 82) {
            prop_assert_eq!(edited.option(code), message.option(code));
        }
        prop_assert_eq!(&edited.bytes()[at::CHADDR..at::OPTIONS], &bytes[at::CHADDR..at::OPTIONS]);
    }
}
