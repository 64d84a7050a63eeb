//! UDP over IPv4 over Ethernet (RFC 768, RFC 791).
//!
//! Fragments and VLAN tags are refused; IP options are stepped over. Built packets have TTL 64, DF, no options, and both
//! checksums.

use std::net::{Ipv4Addr, SocketAddrV4};

use lastmile_types::MacAddr;
use pnet_packet::{
    Packet,
    ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket},
    ip::IpNextHeaderProtocols,
    ipv4::{Ipv4Flags, Ipv4Packet, MutableIpv4Packet},
    udp::{MutableUdpPacket, UdpPacket},
};

use crate::Drop;

const ETHERNET_HEADER: usize = EthernetPacket::minimum_packet_size();
const IPV4_HEADER: usize = Ipv4Packet::minimum_packet_size();
const UDP_HEADER: usize = UdpPacket::minimum_packet_size();
/// The longest UDP payload of an IPv4 packet without options, octets.
pub const MAX_PAYLOAD: usize = u16::MAX as usize - IPV4_HEADER - UDP_HEADER;

/// Whether a captured packet's UDP checksum is worth looking at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// Verify it; zero means that the sender computed none (RFC 768).
    Verify,
    /// The sender is on this host and left it to the network card.
    Unfinished,
}

/// One UDP datagram and where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpFrame<'a> {
    /// Ethernet source.
    pub src_mac: MacAddr,
    /// Ethernet destination.
    pub dst_mac: MacAddr,
    /// IPv4 source.
    pub src: Ipv4Addr,
    /// IPv4 destination.
    pub dst: Ipv4Addr,
    /// UDP source port.
    pub sport: u16,
    /// UDP destination port.
    pub dport: u16,
    /// What the datagram carries.
    pub payload: &'a [u8],
}

/// Takes a frame apart, from its Ethernet header on. Octets after the IPv4 packet (Ethernet padding) are ignored.
pub fn parse(bytes: &[u8], checksum: Checksum) -> Result<UdpFrame<'_>, Drop> {
    let ethernet = EthernetPacket::new(bytes).ok_or(Drop::Truncated)?;
    if ethernet.get_ethertype() != EtherTypes::Ipv4 {
        return Err(Drop::NotIpv4);
    }
    let (src, dst, datagram) = parse_ipv4(&bytes[ETHERNET_HEADER..])?;
    let header = UdpPacket::new(datagram).ok_or(Drop::Truncated)?;
    let length = usize::from(header.get_length());
    if length < UDP_HEADER || length > datagram.len() {
        return Err(Drop::UdpMalformed);
    }
    let datagram = &datagram[..length];
    let verify = checksum == Checksum::Verify && header.get_checksum() != 0;
    if verify && udp_sum(datagram, src, dst) != 0xffff {
        return Err(Drop::UdpChecksum);
    }
    Ok(UdpFrame {
        src_mac: MacAddr(ethernet.get_source().octets()),
        dst_mac: MacAddr(ethernet.get_destination().octets()),
        src,
        dst,
        sport: header.get_source(),
        dport: header.get_destination(),
        payload: &datagram[UDP_HEADER..],
    })
}

fn parse_ipv4(bytes: &[u8]) -> Result<(Ipv4Addr, Ipv4Addr, &[u8]), Drop> {
    let header = Ipv4Packet::new(bytes).ok_or(Drop::Truncated)?;
    let header_length = usize::from(header.get_header_length()) * 4;
    let total_length = usize::from(header.get_total_length());
    if header.get_version() != 4 || header_length < IPV4_HEADER || total_length < header_length {
        return Err(Drop::Ipv4Malformed);
    }
    if total_length > bytes.len() {
        return Err(Drop::Truncated);
    }
    if ones_complement_sum(&bytes[..header_length]) != 0xffff {
        return Err(Drop::Ipv4Checksum);
    }
    if header.get_fragment_offset() != 0 || header.get_flags() & Ipv4Flags::MoreFragments != 0 {
        return Err(Drop::Fragment);
    }
    if header.get_next_level_protocol() != IpNextHeaderProtocols::Udp {
        return Err(Drop::NotUdp);
    }
    Ok((header.get_source(), header.get_destination(), &bytes[header_length..total_length]))
}

/// RFC 1071: of 16-bit words, added four octets at a time.
fn ones_complement_sum(bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut sum: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum += u64::from(u32::from_be_bytes(last));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Of a UDP datagram with its pseudo header (RFC 768), its checksum included.
fn udp_sum(datagram: &[u8], src: Ipv4Addr, dst: Ipv4Addr) -> u16 {
    let mut pseudo = [0; 12];
    pseudo[..4].copy_from_slice(&src.octets());
    pseudo[4..8].copy_from_slice(&dst.octets());
    pseudo[9] = IpNextHeaderProtocols::Udp.0;
    pseudo[10..].copy_from_slice(&(datagram.len() as u16).to_be_bytes()); // whoever calls has it from a 16-bit field
    let sum = u32::from(ones_complement_sum(&pseudo)) + u32::from(ones_complement_sum(datagram));
    if sum > 0xffff { (sum - 0xffff) as u16 } else { sum as u16 }
}

/// The payload is longer than an IPv4 packet can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payload of {0} octets does not fit a UDP datagram")]
pub struct TooLong(pub usize);

/// An IPv4 packet for a raw socket (`IP_HDRINCL`).
pub fn packet(src: SocketAddrV4, dst: SocketAddrV4, payload: &[u8]) -> Result<Vec<u8>, TooLong> {
    let mut bytes = vec![0; IPV4_HEADER + UDP_HEADER + payload.len()];
    fill_packet(&mut bytes, src, dst, payload)?;
    Ok(bytes)
}

/// A whole Ethernet frame.
pub fn ethernet(
    src_mac: MacAddr,
    dst_mac: MacAddr,
    src: SocketAddrV4,
    dst: SocketAddrV4,
    payload: &[u8],
) -> Result<Vec<u8>, TooLong> {
    let mut bytes = vec![0; ETHERNET_HEADER + IPV4_HEADER + UDP_HEADER + payload.len()];
    fill_packet(&mut bytes[ETHERNET_HEADER..], src, dst, payload)?;
    if let Some(mut header) = MutableEthernetPacket::new(&mut bytes) {
        header.set_source(src_mac.0.into());
        header.set_destination(dst_mac.0.into());
        header.set_ethertype(EtherTypes::Ipv4);
    }
    Ok(bytes)
}

fn fill_packet(bytes: &mut [u8], src: SocketAddrV4, dst: SocketAddrV4, payload: &[u8]) -> Result<(), TooLong> {
    let too_long = TooLong(payload.len());
    if payload.len() > MAX_PAYLOAD {
        return Err(too_long);
    }
    let total_length = bytes.len() as u16;
    {
        let mut datagram = MutableUdpPacket::new(&mut bytes[IPV4_HEADER..]).ok_or(too_long)?;
        datagram.set_source(src.port());
        datagram.set_destination(dst.port());
        datagram.set_length(total_length - IPV4_HEADER as u16);
        datagram.set_payload(payload);
        let checksum = match !udp_sum(datagram.packet(), *src.ip(), *dst.ip()) {
            0 => 0xffff, // RFC 768: a computed zero is sent as all ones
            sum => sum,
        };
        datagram.set_checksum(checksum);
    }
    let mut header = MutableIpv4Packet::new(bytes).ok_or(too_long)?;
    header.set_version(4);
    header.set_header_length(5);
    header.set_total_length(total_length);
    header.set_flags(Ipv4Flags::DontFragment);
    header.set_ttl(64);
    header.set_next_level_protocol(IpNextHeaderProtocols::Udp);
    header.set_source(*src.ip());
    header.set_destination(*dst.ip());
    let checksum = !ones_complement_sum(&header.packet()[..IPV4_HEADER]);
    header.set_checksum(checksum);
    debug_assert_eq!(header.packet().len(), usize::from(total_length));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const FROM: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const TO: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn built(payload: &[u8]) -> Vec<u8> {
        let (src, dst) = ("10.231.11.2:67".parse().unwrap(), "10.231.1.2:67".parse().unwrap());
        ethernet(FROM, TO, src, dst, payload).unwrap()
    }

    /// Checked with tcpdump: both checksums right.
    #[test]
    fn golden() {
        let frame = built(b"ab");
        let expected = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\x00\
            \x45\0\0\x1e\0\0\x40\0\x40\x11\x18\xfe\x0a\xe7\x0b\x02\x0a\xe7\x01\x02\
            \0\x43\0\x43\0\x0a\x7c\x20ab";
        assert_eq!(frame, expected);
        let (src, dst) = ("10.231.11.2:67".parse().unwrap(), "10.231.1.2:67".parse().unwrap());
        assert_eq!(packet(src, dst, b"ab").unwrap(), frame[14..]);
    }

    fn refusal(change: impl Fn(&mut Vec<u8>)) -> Drop {
        let mut frame = built(b"payload");
        change(&mut frame);
        parse(&frame, Checksum::Verify).unwrap_err()
    }

    /// Makes the IPv4 header's checksum right again.
    fn resign(frame: &mut [u8]) {
        frame[24..26].fill(0);
        let sum = !ones_complement_sum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }

    #[test]
    fn refusals_have_their_reasons() {
        assert_eq!(refusal(|frame| frame.truncate(13)), Drop::Truncated);
        assert_eq!(refusal(|frame| frame.truncate(30)), Drop::Truncated);
        assert_eq!(refusal(|frame| frame.truncate(44)), Drop::Truncated);
        assert_eq!(refusal(|frame| frame[12] = 0x86), Drop::NotIpv4);
        assert_eq!(refusal(|frame| frame[14] = 0x44), Drop::Ipv4Malformed);
        assert_eq!(refusal(|frame| frame[14] = 0x65), Drop::Ipv4Malformed);
        assert_eq!(refusal(|frame| frame[22] = 3), Drop::Ipv4Checksum);
        assert_eq!(refusal(|frame| frame[45] ^= 1), Drop::UdpChecksum);
        let resigned = |place: usize, value: u8| {
            refusal(|frame| {
                frame[place] = value;
                resign(frame);
            })
        };
        assert_eq!(resigned(20, 0x20), Drop::Fragment);
        assert_eq!(resigned(21, 1), Drop::Fragment);
        assert_eq!(resigned(23, 6), Drop::NotUdp);
        assert_eq!(resigned(39, 100), Drop::UdpMalformed);
    }

    #[test]
    fn unfinished_and_absent_checksums_are_taken() {
        let mut frame = built(b"payload");
        frame[40] ^= 0xff;
        assert!(parse(&frame, Checksum::Unfinished).is_ok());
        frame[40..42].fill(0);
        assert!(parse(&frame, Checksum::Verify).is_ok());
    }

    #[test]
    fn options_are_stepped_over_and_padding_is_ignored() {
        let mut frame = built(b"payload");
        frame.splice(34..34, [1, 1, 1, 1]);
        frame[14] = 0x46;
        frame[17] += 4;
        frame[24..26].fill(0);
        let sum = !ones_complement_sum(&frame[14..38]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame.resize(60, 0);
        assert_eq!(parse(&frame, Checksum::Verify).unwrap().payload, b"payload");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let address = "10.0.0.1:67".parse().unwrap();
        assert!(packet(address, address, &vec![0; MAX_PAYLOAD]).is_ok());
        assert_eq!(packet(address, address, &vec![0; MAX_PAYLOAD + 1]), Err(TooLong(MAX_PAYLOAD + 1)));
    }

    proptest! {
        #[test]
        fn parse_is_total(bytes in vec(any::<u8>(), 0..100), header in any::<bool>()) {
            let mut bytes = bytes;
            if header && bytes.len() > 14 {
                bytes[12..15].copy_from_slice(&[8, 0, 0x45]);
            }
            let _ = parse(&bytes, Checksum::Verify);
        }

        #[test]
        fn what_is_built_parses(src: [u8; 4], dst: [u8; 4], sport: u16, dport: u16, payload in vec(any::<u8>(), 0..300)) {
            let (from, to) = (SocketAddrV4::new(src.into(), sport), SocketAddrV4::new(dst.into(), dport));
            let bytes = ethernet(FROM, TO, from, to, &payload).unwrap();
            let frame = parse(&bytes, Checksum::Verify).unwrap();
            prop_assert_eq!((frame.src_mac, frame.dst_mac, frame.payload), (FROM, TO, &payload[..]));
            prop_assert_eq!((frame.src, frame.dst, frame.sport, frame.dport), (*from.ip(), *to.ip(), sport, dport));
        }

        #[test]
        fn one_flipped_bit_is_noticed_or_harmless(payload in vec(any::<u8>(), 1..60), bit in 0usize..800) {
            let mut bytes = built(&payload);
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Ethernet addresses carry no checksum here, and a checksum of zero says that there is none.
            if let Ok(frame) = parse(&bytes, Checksum::Verify) {
                prop_assert!(bit < 12 * 8 || bytes[40..42] == [0, 0]);
                prop_assert_eq!(frame.payload, &payload[..]);
            }
        }
    }
}
