//! Access mode Bridged: real clients, an access node's relay, the gateway's own program, real Kea, FreeRADIUS and Redis. Needs root;
//! run under `lab services --`.

mod aaa;
mod bed;
mod crashes;
mod leases;
mod moves;
mod octets;
#[allow(dead_code)] // here is only one, which always answers
#[path = "../radius/server.rs"]
mod radius;
mod reboot;
mod servers;
#[path = "../radius/sql.rs"]
mod sql;
mod tools;

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    process::Command,
};

use bed::{Bed, env, hex, wait};
use lastmile_netio::capture::FrameSender;
use lastmile_types::MacAddr;
use lastmile_wire::{
    dhcp::{Builder, MessageType},
    frame,
};
use nix::sys::signal::Signal;

const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);

#[test]
fn an_access_node_says_where_subscribers_are() {
    let mut bed = Bed::new();
    bed.kea();
    let first = bed.gateway(true);
    wait("the gateway to say what it lacks", || bed.log("gateway").contains("GatewayAddressMissing"));
    bed.gateway_addresses();
    wait("the gateway", || bed.log("gateway").contains("the gateway is open"));
    bed.relay();

    bed.client("sub1", "dhclient");
    let one = bed.bound("sub1");
    let udhcpc = bed.client("sub2", "udhcpc");
    let two = bed.bound("sub2");
    assert_eq!((one.octets()[2], two.octets()[2]), (1, 2), "a full pool gives way to the other of the shared network");
    for (address, circuit, line) in [(one, "ar-01|1/1", "line-01"), (two, "ar-01|1/2", "line-02")] {
        let lease = bed.lease(address);
        let option = [("01", circuit), ("02", line), ("0C", "bridged")]
            .map(|(code, text)| format!("{code}{:02X}{}", text.len(), hex(text)));
        assert!(lease.contains(&option.concat()), "{lease}");
    }
    wait("both to be let through", || bed.online("sub1") && bed.online("sub2"));
    let accepted = format!(
        "lastmile_bng_radius_answers_total{{server=\"{}\",role=\"auth\",kind=\"access-accept\"}} 2\n",
        env("LASTMILE_TEST_RADIUS")
    );
    wait("RADIUS' answers to be counted", || bed.metrics().contains(&accepted));
    only_with_its_address_and_mac(&bed, two);
    nobody_sends_as_another(&bed, one);
    a_removed_gate_is_made_anew(&bed);

    bed.signal(udhcpc, Signal::SIGUSR1);
    wait("the renewal", || bed.log("sub2").matches("lease of").count() >= 2);

    bed.killed(first);
    let second = everybody_stays(&mut bed, 2);
    let status = bed.ended_by(second, Signal::SIGTERM);
    assert!(status.success(), "{status}");
    let third = everybody_stays(&mut bed, 3);

    bed.signal(udhcpc, Signal::SIGTERM);
    wait("the release", || bed.lease(two).split(',').nth(3) == Some("0"));
    wait("its end", || !bed.online("sub2"));
    assert!(!bed.neighbour(two).contains("PERMANENT"), "{}", bed.neighbour(two));
    assert!(bed.online("sub1"));
    assert!(!bed.metrics().contains("untrusted"), "{}", bed.metrics());

    assert!(bed.ended_by(third, Signal::SIGTERM).success());
    let replayed = replay(&bed);
    for line in ["3 starts of the gateway", "1 sessions at the end: 1 authorized", "2 SESSION_START", "1 SESSION_STOP"]
    {
        assert!(replayed.contains(line), "{line}: {replayed}");
    }
}

/// What bng-replay says of the gateways' recording.
fn replay(bed: &Bed) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bng-replay")).arg("--quiet").arg(bed.recording()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// Both are online without a gateway and with the next, which is the `starts`th.
fn everybody_stays(bed: &mut Bed, starts: usize) -> usize {
    assert!(bed.online("sub1") && bed.online("sub2"), "without the gateway");
    let gateway = bed.gateway(true);
    wait("the gateway", || bed.log("gateway").matches("the gateway is open").count() == starts);
    let log = bed.log("gateway");
    assert!(log.lines().rfind(|line| line.contains("the gateway is open")).unwrap().contains("adopted=2"), "{log}");
    assert!(bed.online("sub1") && bed.online("sub2"), "after its restart");
    gateway
}

/// The second subscriber's address and MAC belong together, for the gateway and in its neighbour table.
fn only_with_its_address_and_mac(bed: &Bed, address: Ipv4Addr) {
    let mac = bed.mac("sub2");
    assert!(bed.neighbour(address).contains(&format!("{mac} PERMANENT")), "{}", bed.neighbour(address));
    bed.ip("sub2", "link set eth0 address 02:00:00:00:00:99");
    assert!(!bed.online("sub2"), "another MAC");
    assert!(bed.neighbour(address).contains(&mac), "and the neighbour is whom it was");
    bed.ip("sub2", &format!("link set eth0 address {mac}"));
    assert!(bed.online("sub2"));
    bed.ip("sub2", "addr add 100.64.2.200/32 dev eth0");
    assert!(!bed.online_from("sub2", "100.64.2.200"), "an address that nobody leased");
    assert!(bed.online_from("sub2", &address.to_string()));
}

/// The second subscriber says that it is the first: nothing of it gets through, and the operator sees it.
fn nobody_sends_as_another(bed: &Bed, first: Ipv4Addr) {
    let spoofed = || {
        let metrics = bed.metrics();
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("lastmile_bng_spoofed_packets_total{router=\"unknown\"} "));
        line.and_then(|count| count.parse::<u64>().ok()).unwrap_or_default()
    };
    let (before, heard) = (spoofed(), bed.echoes());
    bed.ip("sub2", &format!("addr add {first}/32 dev eth0"));
    assert!(!bed.online_from("sub2", &first.to_string()), "the first subscriber's address");
    assert_eq!(bed.echoes(), heard, "nothing arrived");
    wait("the spoofed packets to be counted", || spoofed() > before);
    bed.ip("sub2", &format!("addr del {first}/32 dev eth0"));
    assert!(bed.online("sub1") && bed.online("sub2"));
    assert!(bed.echoes() > heard, "the host counts what arrives");
}

/// Somebody removes the gate's table. Without it everybody passes; when it is made anew, those who are online do.
fn a_removed_gate_is_made_anew(bed: &Bed) {
    let nft = Command::new("nft").args(["delete", "table", "ip", "lastmile_edge_bridged"]).status().unwrap();
    assert!(nft.success(), "the gateway stands in the test's own namespace");
    wait("the gate to be made anew", || bed.metrics().contains("{reason=\"gate-restored\"} 1\n"));
    wait("both to be let through", || bed.online("sub1") && bed.online("sub2"));
    assert!(!bed.online_from("sub2", "100.64.2.200"), "an address that nobody leased");
}

#[test]
fn without_an_access_node_option_82_is_a_subscribers_invention() {
    let mut bed = Bed::new();
    bed.kea();
    bed.gateway_addresses();
    bed.gateway(false);
    wait("the gateway", || bed.log("gateway").contains("the gateway is open"));
    bed.client("sub1", "udhcpc");
    let address = bed.bound("sub1");
    let mac = bed.mac("sub1");
    let lease = bed.lease(address);
    assert!(lease.contains(&hex(bed.access())) && lease.contains(&hex(&mac)), "{lease}");
    wait("it to be let through", || bed.online("sub1"));

    let option = [1, 1, b'x'];
    let payload = Builder::new(MessageType::Discover, 7, STRANGER).option(82, &option).build();
    bed.within("sub2", || {
        let (from, to) = (SocketAddrV4::new([0; 4].into(), 68), SocketAddrV4::new([255; 4].into(), 67));
        let frame = frame::ethernet(STRANGER, MacAddr([0xff; 6]), from, to, &payload).unwrap();
        assert_eq!(FrameSender::open("eth0").unwrap().send(&[frame]).unwrap(), 1);
    });
    wait("the drop to be counted", || bed.metrics().contains("untrusted-option-82"));
}

/// The kernel forgets even permanent neighbours of an interface that goes down, however soon it is up again.
#[test]
fn a_link_that_fell_for_a_moment_binds_everybody_again() {
    let mut bed = Bed::new();
    bed.kea();
    bed.gateway_addresses();
    bed.gateway(true);
    wait("the gateway", || bed.log("gateway").contains("the gateway is open"));
    bed.relay();
    bed.client("sub1", "udhcpc");
    let address = bed.bound("sub1");
    let bound = format!("{} PERMANENT", bed.mac("sub1"));
    wait("it to be bound", || bed.neighbour(address).contains(&bound));
    for _ in 0..3 {
        bed.flap();
        wait("it to be bound again", || bed.neighbour(address).contains(&bound));
    }
    wait("it to be let through", || bed.online("sub1"));
}
