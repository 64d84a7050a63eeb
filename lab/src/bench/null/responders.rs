//! The null responders: a DHCP server and a RADIUS server that decide nothing, in a process of their own, so that what is measured is
//! the gateway. The address comes from the client's number, every subscriber is accepted, every record is acknowledged.
use std::net::{SocketAddrV4, UdpSocket};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use lastmile_netio::capture::{Batch, Capture, Filter, FrameSender};
use lastmile_wire::dhcp::{Builder, Message, MessageType, SERVER_PORT, option};
use lastmile_wire::frame::{self, Checksum};
use lastmile_wire::option82;
use lastmile_wire::radius::{Attributes, Code, Packet, attr, reply};

use super::frames::address_of;
use crate::bench::wires::SERVER;

/// Lease time of every ACK, seconds: nothing runs out while it is measured.
const LEASE: u32 = 86_400;

/// Answers until it is killed; the shared secret is in the environment, not on the command line.
pub fn run(interfaces: &[String]) -> Result<ExitCode> {
    let secret = std::env::var(super::SECRET).context("this verb is the lab's own")?;
    // The kernel would call the port unreachable.
    let _taken = UdpSocket::bind((SERVER, SERVER_PORT)).context("cannot take the DHCP port")?;
    for port in [1812, 1813] {
        let (socket, secret) = (UdpSocket::bind((SERVER, port)).context("cannot take a RADIUS port")?, secret.clone());
        std::thread::spawn(move || radius(&socket, secret.as_bytes()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut servers = tokio::task::JoinSet::new();
        for interface in interfaces {
            let (capture, sender) = (Capture::open(interface, Filter::DhcpFromClients)?, FrameSender::open(interface)?);
            servers.spawn(dhcp(capture, sender));
        }
        let ended = servers.join_next().await.ok_or_else(|| anyhow!("no interface was named"))?;
        ended?.map(|never| match never {})
    })
}

async fn dhcp(capture: Capture, sender: FrameSender) -> Result<std::convert::Infallible> {
    let mut batch = Batch::new();
    let mut answers = Vec::new();
    loop {
        capture.recv(&mut batch).await?;
        answers.extend(batch.frames().filter_map(|captured| answer(captured.bytes)));
        sender.send(&answers)?; // what its queue does not take is lost, and counted by who asked
        answers.clear();
    }
}

/// OFFER to DISCOVER, ACK to REQUEST, with option 82 echoed (RFC 3046 §2.2).
fn answer(bytes: &[u8]) -> Option<Vec<u8>> {
    let asked = frame::parse(bytes, Checksum::Unfinished).ok()?;
    let message = Message::parse(asked.payload).ok()?;
    let kind = match message.message_type() {
        MessageType::Discover => MessageType::Offer,
        MessageType::Request => MessageType::Ack,
        _ => return None,
    };
    let mut builder = Builder::new(kind, message.xid(), message.chaddr())
        .ciaddr(message.ciaddr())
        .yiaddr(address_of(message.chaddr()))
        .giaddr(message.giaddr())
        .option(option::SERVER_ID, &SERVER.octets())
        .option(option::LEASE_TIME, &LEASE.to_be_bytes());
    if let Some(raw) = message.option82_raw() {
        builder = builder.option(option82::CODE, &raw);
    }
    let (from, to) = (SocketAddrV4::new(SERVER, SERVER_PORT), SocketAddrV4::new(message.giaddr(), SERVER_PORT));
    frame::ethernet(asked.dst_mac, asked.src_mac, from, to, &builder.build()).ok()
}

fn radius(socket: &UdpSocket, secret: &[u8]) {
    let mut room = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut room) {
        if let Some(answer) = radius_answer(&room[..length], secret) {
            let _ = socket.send_to(&answer, from); // who asked asks again
        }
    }
}

/// Signed as the request wants it, which itself is taken unread.
fn radius_answer(request: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let header = request.first_chunk::<20>()?;
    let mut attributes = Attributes::new();
    let code = match Code(header[0]) {
        Code::ACCESS_REQUEST => {
            attributes.push(attr::FILTER_ID, b"gold").ok()?;
            Code::ACCESS_ACCEPT
        }
        Code::STATUS_SERVER => Code::ACCESS_ACCEPT,
        Code::ACCOUNTING_REQUEST => Code::ACCOUNTING_RESPONSE,
        _ => return None,
    };
    let authenticator = *header[4..].first_chunk()?;
    let request = Packet { code: Code(header[0]), identifier: header[1], authenticator, attributes: Attributes::new() };
    reply(&request, code, &attributes, secret).ok()
}

#[cfg(test)]
mod tests {
    use lastmile_types::MacAddr;
    use lastmile_wire::radius::{RequireMessageAuthenticator, access_request, accounting_request, verify_response};

    use super::*;
    use crate::bench::null::frames::{Template, mac_of};

    #[test]
    fn replies_verify() {
        let list = Attributes::new();
        let requests = [
            access_request(7, [9; 16], None, &list, b"secret").unwrap(),
            accounting_request(8, &list, b"secret").unwrap(),
        ];
        for request in requests {
            let reply = radius_answer(&request.bytes, b"secret").unwrap();
            verify_response(&reply, &request, b"secret", RequireMessageAuthenticator::Yes).unwrap();
            assert!(verify_response(&reply, &request, b"other", RequireMessageAuthenticator::Yes).is_err());
        }
    }

    #[test]
    fn a_client_gets_its_own_address_and_its_option_82() {
        let template = Template::new(MacAddr([2; 6]), MacAddr([4; 6]));
        let frame = answer(&template.discover(70_000, 5)).unwrap();
        let udp = frame::parse(&frame, Checksum::Verify).unwrap();
        let offer = Message::parse(udp.payload).unwrap();
        assert_eq!((offer.message_type(), offer.xid(), offer.chaddr()), (MessageType::Offer, 5, mac_of(70_000)));
        assert_eq!(offer.yiaddr(), address_of(mac_of(70_000)));
        assert_eq!(offer.option82().unwrap().unwrap().remote_id(), Some(&b"line-070000"[..]));
    }
}
