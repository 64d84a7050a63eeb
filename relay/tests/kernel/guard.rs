//! What a subscriber cannot do on his port.

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::bench::{Bench, SERVER, text, wait};

const STRANGER: &str = "02:00:00:00:00:99";

impl Bench {
    /// Whether a datagram from an address of the subscriber's reaches the server.
    fn reaches(&self, subscriber: &str, source: Ipv4Addr) -> bool {
        // Any port: the last one's may be held for a moment more by a child that was forked meanwhile.
        let receiver = self.within("server", || UdpSocket::bind((SERVER, 0)).unwrap());
        receiver.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        let sender = self.within(subscriber, || UdpSocket::bind((source, 0)).unwrap());
        let _ = sender.send_to(b"hello", receiver.local_addr().unwrap());
        let mut room = [0; 16];
        receiver.recv_from(&mut room).is_ok_and(|(_, from)| from.ip() == source)
    }

    fn mac(&self, subscriber: &str) -> String {
        self.output(subscriber, "cat /sys/class/net/eth0/address").trim().to_owned()
    }

    fn set_mac(&self, subscriber: &str, mac: &str) {
        self.ip(subscriber, &format!("link set eth0 address {mac}"));
    }
}

#[test]
fn only_what_was_leased_passes_also_when_the_relay_is_gone() {
    only_what_was_leased_passes(Bench::new());
}

#[test]
fn a_bridge_guards_its_ports_as_a_router_does() {
    only_what_was_leased_passes(Bench::bridged());
}

fn only_what_was_leased_passes(mut bench: Bench) {
    bench.kea();
    let relay = bench.relay();
    let client = bench.client("sub1", "udhcpc");
    let address: Ipv4Addr = bench.bound("sub1").parse().unwrap();
    let (spoofed, mac) = (Ipv4Addr::new(100, 64, 1, 200), bench.mac("sub1"));
    bench.ip("sub1", &format!("addr add {spoofed}/24 dev eth0"));
    bench.ip("sub2", &format!("addr add {address}/24 dev eth0"));
    bench.ip("sub2", "route replace default via 100.64.1.1");

    let check = |bench: &Bench, when: &str| {
        assert!(bench.reaches("sub1", address), "what was leased passes, {when}");
        assert!(!bench.reaches("sub1", spoofed), "another address, {when}");
        bench.set_mac("sub1", STRANGER);
        assert!(!bench.reaches("sub1", address), "another MAC, {when}");
        bench.set_mac("sub1", &mac);
        // The neighbour's address and MAC from the wrong port, and his address alone.
        let own = bench.mac("sub2");
        bench.set_mac("sub2", &mac);
        assert!(!bench.reaches("sub2", address), "the neighbour's address and MAC, {when}");
        bench.set_mac("sub2", &own);
        assert!(!bench.reaches("sub2", address), "the neighbour's address, {when}");
        let learned = bench.output("router", "bridge fdb show br lan0");
        let neighbours = bench.output(bench.gateway(), &format!("ip neigh show {address}"));
        let learned: Vec<&str> = learned.lines().filter(|line| !line.contains("permanent")).collect();
        let places = |mac: &str| learned.iter().filter(|line| line.contains(mac)).copied().collect::<Vec<_>>();
        assert!(matches!(places(&mac)[..], [place] if place.contains("port1")), "{learned:?}, {when}");
        assert_eq!(places(STRANGER), [""; 0], "the bridge learned it, {when}");
        assert!(!neighbours.contains(&own) && !neighbours.contains(STRANGER), "{neighbours}, {when}");
        assert!(bench.reaches("sub1", address), "and still passes, {when}");
    };
    check(&bench, "with the relay");

    bench.signal(relay, Signal::SIGKILL);
    bench.children[relay].wait().unwrap();
    check(&bench, "after kill -9");

    let again = bench.relay();
    assert!(bench.log("router").contains("adopted=1"), "{}", bench.log("router"));
    check(&bench, "after the restart");
    // It knows who may renew: the unicast renewal is passed on, and its ACK prolongs what was adopted.
    bench.signal(client, Signal::SIGUSR1);
    wait("the renewal", || bench.log("sub1").matches("lease of").count() >= 2);
    bench.signal(again, Signal::SIGUSR1);
    wait("the counters", || bench.log("router").contains("kernel_drop_ipv4="));
    let log = bench.log("router");
    let counters = log.lines().rfind(|line| line.contains("kernel_drop_ipv4=")).unwrap();
    assert!(counters.contains("request=1") && !counters.contains("not_the_holder"), "{counters}");
    assert!(!counters.contains("kernel_drop_ipv4=0 ") && !counters.contains("kernel_drop_arp=0 "), "{counters}");

    bench.signal(client, Signal::SIGTERM);
    wait("the release", || !bench.output("router", "nft list set netdev lastmile_relay bindings").contains("elements"));
    assert!(!bench.reaches("sub1", address), "released");
}

#[test]
fn a_client_finds_out_that_somebody_has_his_address() {
    let mut bench = Bench::new();
    bench.ip("router", "addr add 100.64.1.10/32 dev lan0");
    bench.kea();
    bench.relay();
    let script = bench.script("sub1");
    bench.start("sub1", "udhcpc", &["-f", "-a", "-A", "1", "-i", "eth0", "-s", text(&script)]);
    assert_eq!(bench.bound("sub1"), "100.64.1.11", "{}", bench.log("sub1"));
    assert!(bench.log("sub1").contains("declining"), "{}", bench.log("sub1"));
    let bindings = bench.output("router", "nft list set netdev lastmile_relay bindings");
    assert!(bindings.contains("100.64.1.11 ") && !bindings.contains("100.64.1.10 "), "{bindings}");
    assert!(bench.reaches("sub1", Ipv4Addr::new(100, 64, 1, 11)));
    // He may ask for his own address, and for no other: the router has both.
    bench.ip("router", "addr add 100.64.1.11/32 dev lan0");
    let taken = |address: &str| {
        bench.output("sub1", &format!("busybox arping -D -I eth0 -c 1 -w 1 {address}")).contains("reply from")
    };
    assert!(taken("100.64.1.11") && !taken("100.64.1.1"));
}

#[test]
fn switched_off_it_learns_and_switched_on_it_knows() {
    let mut bench = Bench::new();
    bench.kea();
    let relay = bench.relay_with(r#""sourceGuard": false"#);
    bench.client("sub1", "dhclient");
    let address: Ipv4Addr = bench.bound("sub1").parse().unwrap();
    let (spoofed, mac) = (Ipv4Addr::new(100, 64, 1, 200), bench.mac("sub1"));
    bench.ip("sub1", &format!("addr add {spoofed}/24 dev eth0"));
    assert!(bench.reaches("sub1", address) && bench.reaches("sub1", spoofed));
    bench.set_mac("sub1", STRANGER);
    assert!(bench.reaches("sub1", spoofed));
    bench.set_mac("sub1", &mac);

    bench.signal(relay, Signal::SIGTERM);
    bench.children[relay].wait().unwrap();
    bench.relay();
    assert!(bench.reaches("sub1", address) && !bench.reaches("sub1", spoofed));
}

#[test]
fn a_rogue_server_on_a_port_is_not_heard() {
    let mut bench = Bench::new();
    bench.ip("sub1", "addr add 100.64.1.10/24 dev eth0");
    bench.ip("sub2", "addr add 100.64.1.66/24 dev eth0");
    let victim = bench.within("sub1", || UdpSocket::bind("0.0.0.0:68").unwrap());
    victim.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    let rogue = bench.within("sub2", || UdpSocket::bind("100.64.1.66:67").unwrap());
    rogue.set_broadcast(true).unwrap();
    rogue.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    let asks = bench.within("sub1", || UdpSocket::bind("100.64.1.10:0").unwrap());
    asks.set_broadcast(true).unwrap();
    let answer = |to: [u8; 4]| {
        let mut room = [0; 16];
        rogue.send_to(b"offer", SocketAddrV4::new(to.into(), 68)).unwrap();
        victim.recv(&mut room).is_ok()
    };
    assert!(answer([100, 64, 1, 255]) && answer([100, 64, 1, 10]), "without the relay it would be heard");

    bench.kea();
    bench.relay();
    assert!(!answer([100, 64, 1, 255]) && !answer([100, 64, 1, 10]));
    asks.send_to(b"discover", "100.64.1.255:67").unwrap();
    assert!(rogue.recv(&mut [0; 16]).is_err(), "nor does it hear who asks");
    let counter = bench.output("router", "nft list counter netdev lastmile_relay dhcp");
    assert!(counter.contains("packets 3") || counter.contains("packets 4"), "{counter}");
    drop(victim);
    bench.client("sub1", "udhcpc");
    assert!(bench.bound("sub1").starts_with("100.64.1."), "the real server answers");
}
