//! The null responders: a DHCP server and a RADIUS server that decide nothing, in a process of their own, so that what is measured is
//! the gateway. The address comes from the client's number, every subscriber is accepted, every record is acknowledged.
use std::convert::Infallible;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use lastmile_netio::capture::{Batch, Capture, Filter, FrameSender};
use lastmile_wire::dhcp::{Builder, Message, MessageType, SERVER_PORT, option};
use lastmile_wire::frame::{self, Checksum};
use lastmile_wire::option82;
use lastmile_wire::radius::{Attributes, Code, Packet, attr, reply};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

use super::frames::address_of;
use crate::bench::wires::SERVER;

/// Lease time of every ACK, seconds: nothing runs out while it is measured.
const LEASE: u32 = 86_400;
/// RADIUS requests that are answered together, and the octets of the longest (RFC 2865 §3).
const REQUESTS: usize = 64;
const LARGEST: usize = 4096;
/// Octets of requests that wait: what finds no room is asked again seconds later, and then that pause is what is measured.
const QUEUE: usize = 8 * 1024 * 1024;

/// Answers until it is killed; the shared secret is in the environment, not on the command line.
pub fn run(interfaces: &[String]) -> Result<ExitCode> {
    let secret = std::env::var(super::SECRET).context("this verb is the lab's own")?;
    // The kernel would call the port unreachable.
    let _taken = UdpSocket::bind((SERVER, SERVER_PORT)).context("cannot take the DHCP port")?;
    for port in [1812, 1813] {
        let socket = UdpSocket::bind((SERVER, port)).context("cannot take a RADIUS port")?;
        setsockopt(&socket, sockopt::RcvBufForce, &QUEUE).context("cannot make room for RADIUS requests")?;
        let secret = secret.clone();
        std::thread::spawn(move || radius(socket, secret.as_bytes()));
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

async fn dhcp(capture: Capture, sender: FrameSender) -> Result<Infallible> {
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

fn radius(socket: UdpSocket, secret: &[u8]) -> Result<Infallible> {
    let mut server = Radius::new(socket, secret)?;
    loop {
        server.serve()?;
    }
}

/// A RADIUS server.
struct Radius<'a> {
    socket: UdpSocket,
    secret: &'a [u8],
    accept: Attributes,
    rooms: Vec<[u8; LARGEST]>,
    headers: MultiHeaders<SockaddrIn>,
}

impl<'a> Radius<'a> {
    fn new(socket: UdpSocket, secret: &'a [u8]) -> Result<Self> {
        let mut accept = Attributes::new();
        accept.push(attr::FILTER_ID, b"gold")?;
        let headers = MultiHeaders::preallocate(REQUESTS, None);
        Ok(Self { socket, secret, accept, rooms: vec![[0; LARGEST]; REQUESTS], headers })
    }

    /// Waits for requests, and answers all that are there.
    fn serve(&mut self) -> Result<()> {
        let socket = self.socket.as_raw_fd();
        let mut rooms: Vec<_> = self.rooms.iter_mut().map(|room| [IoSliceMut::new(room)]).collect();
        let requests = recvmmsg(socket, &mut self.headers, rooms.iter_mut(), MsgFlags::MSG_WAITFORONE, None)?;
        let (answers, askers): (Vec<_>, Vec<_>) = requests
            .filter_map(|request| {
                let answer = radius_answer(request.iovs().next()?, &self.accept, self.secret)?;
                Some((answer, request.address))
            })
            .unzip();
        let answers: Vec<_> = answers.iter().map(|answer| [IoSlice::new(answer)]).collect();
        // Others than for receiving: they go on pointing at these addresses.
        let mut headers = MultiHeaders::preallocate(answers.len(), None);
        // What is not taken is lost: who asked asks again.
        let _ = sendmmsg(socket, &mut headers, &answers, askers, [], MsgFlags::empty());
        Ok(())
    }
}

/// Signed as the request wants it, which itself is taken unread.
fn radius_answer(request: &[u8], accept: &Attributes, secret: &[u8]) -> Option<Vec<u8>> {
    let header = request.first_chunk::<20>()?;
    let nothing = Attributes::new();
    let (code, attributes) = match Code(header[0]) {
        Code::ACCESS_REQUEST => (Code::ACCESS_ACCEPT, accept),
        Code::STATUS_SERVER => (Code::ACCESS_ACCEPT, &nothing),
        Code::ACCOUNTING_REQUEST => (Code::ACCOUNTING_RESPONSE, &nothing),
        _ => return None,
    };
    let authenticator = *header[4..].first_chunk()?;
    let request = Packet { code: Code(header[0]), identifier: header[1], authenticator, attributes: Attributes::new() };
    reply(&request, code, attributes, secret).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lastmile_types::MacAddr;
    use lastmile_wire::radius::{
        RequireMessageAuthenticator, access_request, accounting_request, status_request, verify_response,
    };

    use super::*;
    use crate::bench::null::frames::{Template, mac_of};

    #[test]
    fn whoever_asks_gets_a_reply_that_verifies() {
        let list = Attributes::new();
        let requests = [
            access_request(7, [9; 16], None, &list, b"secret").unwrap(),
            accounting_request(8, &list, b"secret").unwrap(),
            status_request(9, [8; 16], &list, b"secret").unwrap(),
        ];
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = socket.local_addr().unwrap();
        std::thread::spawn(move || radius(socket, b"secret"));
        // Twice: nothing of what was answered before is left.
        for _ in 0..2 {
            let asker = || UdpSocket::bind("127.0.0.1:0").unwrap();
            let askers: Vec<_> = requests.iter().map(|request| (asker(), request)).collect();
            for (asker, request) in &askers {
                asker.send_to(&request.bytes, at).unwrap();
            }
            for (asker, request) in askers {
                let mut room = [0; LARGEST];
                asker.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let length = asker.recv(&mut room).unwrap();
                let reply = &room[..length];
                let verify = |secret: &[u8]| verify_response(reply, request, secret, RequireMessageAuthenticator::Yes);
                verify(b"secret").unwrap();
                assert!(verify(b"others").is_err());
            }
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
