//! Capturing and sending.

use std::{net::UdpSocket, time::Duration};

use lastmile_netio::{
    capture::{Batch, Capture, Filter, FrameSender},
    rawip::RawIp,
};
use tokio::time::timeout;

use crate::netns::Bench;

fn send_udp(port: u16, payloads: &[&str]) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    for payload in payloads {
        socket.send_to(payload.as_bytes(), ("100.64.1.1", port)).unwrap();
    }
}

/// The last octets of each captured frame.
async fn tails(capture: &Capture, count: usize, length: usize) -> Vec<String> {
    let (mut batch, mut found) = (Batch::new(), Vec::new());
    while found.len() < count {
        if timeout(Duration::from_millis(500), capture.recv(&mut batch)).await.is_err() {
            break;
        }
        found.extend(
            batch
                .frames()
                .map(|frame| String::from_utf8_lossy(&frame.bytes[frame.bytes.len() - length..]).into_owned()),
        );
    }
    found
}

#[test]
fn only_dhcp_is_captured_and_checksums_are_known_to_be_unfinished() {
    let bench = Bench::new();
    bench.within_async("gateway", async || {
        let capture = Capture::open("access0", Filter::DhcpFromClients).unwrap();
        let others = Capture::open("access0", Filter::DhcpFromServers).unwrap();
        bench.within("subscriber", || {
            send_udp(5000, &["x"]);
            send_udp(67, &["a", "b"]);
            send_udp(68, &["y"]);
        });
        let mut batch = Batch::new();
        timeout(Duration::from_secs(1), capture.recv(&mut batch)).await.unwrap().unwrap();
        assert!(batch.frames().all(|frame| !frame.checksum_ready && !frame.truncated));
        assert_eq!(batch.frames().map(|frame| frame.bytes[42]).collect::<Vec<_>>(), b"ab");
        assert_eq!(tails(&others, 1, 1).await, Vec::<String>::new());
        assert_eq!(capture.take_overruns().unwrap(), 0);
    });
}

#[test]
fn frames_and_packets_go_out_in_batches() {
    let bench = Bench::new();
    bench.within_async("gateway", async || {
        let capture = Capture::open("access0", Filter::Dhcp).unwrap();
        let frames: Vec<Vec<u8>> = (0..100).map(|n| frame(format!("{n:03}").as_bytes())).collect();
        let packets: Vec<Vec<u8>> = frames.iter().map(|frame| frame[14..].to_vec()).collect();
        bench.within("subscriber", || {
            assert_eq!(FrameSender::open("eth0").unwrap().send(&frames).unwrap(), 100);
            assert_eq!(RawIp::open().unwrap().send(&packets).unwrap(), 100);
            assert!(RawIp::open().unwrap().send(&[vec![0x45]]).is_err());
        });
        let found = tails(&capture, 200, 3).await;
        assert_eq!(found.len(), 200);
        assert_eq!((found[0].as_str(), found[99].as_str(), found[100].as_str()), ("000", "099", "000"));
    });
}

#[test]
fn a_captures_interface_must_exist() {
    let bench = Bench::new();
    bench.within_async("gateway", async || {
        assert_eq!(Capture::open("nope0", Filter::Dhcp).unwrap_err().to_string(), "there is no interface nope0");
        assert!(Capture::open("much too long a name", Filter::Dhcp).is_err());
    });
}

/// Ethernet broadcast, IPv4 100.64.1.10 to 100.64.1.1, UDP 68 to 67; checksums are the kernel's or nobody's business here.
fn frame(payload: &[u8]) -> Vec<u8> {
    let length = 28 + payload.len() as u8;
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, length, 0, 0, 0, 0, 64, 17, 0, 0, 100, 64, 1, 10, 100, 64, 1, 1]);
    frame.extend([0, 68, 0, 67, 0, length - 20, 0, 0]);
    frame.extend(payload);
    frame
}
