//! The shaper with real packets: how much arrives, how long it waits, what outlives the process.

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use lastmile_netio::{
    gate::{Change, Commits, Gate, GateConfig, Terms},
    links::Links,
    ping::Pinger,
    shaper::{Shaper, ShaperConfig, ShaperError, Way},
};
use lastmile_types::session::Rates;

use crate::{
    gate,
    netns::{Bench, measured},
};

const SUBSCRIBER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 10);
const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const UNLIMITED: Rates = Rates { down_kbps: None, up_kbps: None, down_burst_kbit: None, up_burst_kbit: None };
const ETHERNET_HEADER: u64 = 14;

fn rates(kbps: u32) -> Rates {
    Rates { down_kbps: Some(kbps), up_kbps: Some(kbps), ..UNLIMITED }
}

fn other(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x6440_1000 + number)
}

/// A gateway that lets the subscriber through unlimited, and a shaper beside it. Packets are as long as on a wire.
fn open(bench: &Bench, classes: u16) -> (Gate, Shaper, ShaperConfig) {
    for (namespace, interfaces) in
        [("subscriber", &["eth0"][..]), ("gateway", &["access0", "uplink0"]), ("host", &["eth0"])]
    {
        for interface in interfaces {
            run(bench, namespace, &format!("ethtool -K {interface} tso off gso off gro off"));
        }
    }
    let config = GateConfig { protected: vec![], shaped: true, ..gate::config() };
    let (mut gate, _) = gate::open(bench, &config);
    gate.apply(&[Change::Admit { ip: SUBSCRIBER, terms: Terms::default() }]).unwrap();
    let way = |interface: &str| {
        let index =
            bench.within_async("gateway", async || Links::open().unwrap().get(interface).await.unwrap().unwrap().index);
        Way { interface: interface.to_owned(), index }
    };
    let config = ShaperConfig {
        bng_id: "edge/test".parse().unwrap(),
        subscriber: way("access0"),
        uplink: way("uplink0"),
        classes,
    };
    let shaper = reopen(bench, &config).unwrap();
    (gate, shaper, config)
}

fn reopen(bench: &Bench, config: &ShaperConfig) -> Result<Shaper, ShaperError> {
    bench.within("gateway", || Shaper::open(config, &Commits::default()))
}

fn spawn(bench: &Bench, namespace: &str, line: &str) -> Child {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    bench.within(namespace, || command.spawn().unwrap())
}

fn run(bench: &Bench, namespace: &str, line: &str) -> String {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    let output = bench.within(namespace, || command.args(words).output().unwrap());
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Stops with the test, whatever its end.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// IP octets that an end has received so far, by its interface's own count.
pub fn received(bench: &Bench, namespace: &str) -> u64 {
    let text = bench.within(namespace, || std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
    let numbers: Vec<u64> = line.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers[0] - numbers[1] * ETHERNET_HEADER
}

/// Traffic between subscriber and host, as much as goes.
pub fn load(bench: &Bench, arguments: &str) -> [Running; 2] {
    let server = Running(spawn(bench, "host", "iperf3 -s"));
    sleep(Duration::from_millis(300));
    [server, Running(spawn(bench, "subscriber", &format!("iperf3 -c {HOST} -t 30 {arguments}")))]
}

/// IP octets per second at the receiver.
fn throughput(bench: &Bench, kbps: u32, udp: bool, down: bool) -> f64 {
    let (end, reverse) = if down { ("subscriber", "-R") } else { ("host", "") };
    let protocol = if udp { format!("-u -l 1400 -b {}k", kbps + kbps / 4) } else { "-M 1460".to_owned() };
    let _running = load(bench, format!("{protocol} {reverse}").trim());
    sleep(Duration::from_millis(1_500));
    let (begin, before) = (Instant::now(), received(bench, end));
    sleep(Duration::from_secs(3));
    (received(bench, end) - before) as f64 / begin.elapsed().as_secs_f64()
}

#[test]
fn what_arrives_is_what_the_policy_says() {
    let bench = Bench::alone();
    let (_gate, mut shaper, _) = open(&bench, 2_000);
    for number in 0..1_000 {
        assert_eq!(shaper.shape(other(number), &rates(10_000)).unwrap(), UNLIMITED);
    }
    for kbps in [1_000, 10_000, 100_000] {
        assert_eq!(shaper.shape(SUBSCRIBER, &rates(kbps)).unwrap(), UNLIMITED);
        for (udp, down) in [(false, false), (false, true), (true, false), (true, true)] {
            let what = format!("{kbps} kbit/s, UDP {udp}, down {down}: share of the rate");
            let good = |share: &f64| (0.97..=1.03).contains(share);
            measured(&what, good, || throughput(&bench, kbps, udp, down) / f64::from(kbps * 125));
        }
    }
}

#[test]
fn a_slow_subscribers_round_trip_stays_short() {
    let bench = Bench::alone();
    let (_gate, mut shaper, _) = open(&bench, 10);
    shaper.shape(SUBSCRIBER, &rates(1_000)).unwrap();
    for direction in ["-R", "-M 1460"] {
        let _running = load(&bench, direction);
        sleep(Duration::from_secs(1));
        let ping = async || {
            let pinger = Pinger::open().unwrap();
            let mut answers = Vec::new();
            for _ in 0..20 {
                answers.extend(pinger.ping(HOST, Duration::from_secs(1)).await.unwrap()); // one that met a full queue is lost, not late
                sleep(Duration::from_millis(100));
            }
            (answers.len(), answers.into_iter().max().unwrap_or_default())
        };
        // Shorter than that, the queue was not in use; and a few answers say nothing of those that were lost.
        let in_time = Duration::from_millis(10)..Duration::from_millis(150);
        let good = |(answers, longest): &(usize, Duration)| *answers >= 10 && in_time.contains(longest);
        measured(direction, good, || bench.within_async("subscriber", ping));
    }
}

#[test]
fn a_burst_of_the_policys_goes_at_once_each_way() {
    let bench = Bench::alone();
    let (_gate, mut shaper, _) = open(&bench, 10);
    let policy = Rates { up_burst_kbit: Some(512), down_burst_kbit: Some(1_024), ..rates(256) };
    assert_eq!(shaper.shape(SUBSCRIBER, &policy).unwrap(), UNLIMITED);
    for (from, to, address, burst) in
        [("subscriber", "host", HOST, 512 * 125), ("host", "subscriber", SUBSCRIBER, 1_024 * 125)]
    {
        let _receiver = bench.within(to, || UdpSocket::bind((address, 6_000)).unwrap());
        let sender = bench.within(from, || UdpSocket::bind("0.0.0.0:0").unwrap());
        let at_once = || {
            sleep(Duration::from_millis(4_500)); // as long as the longer burst is saved at the rate, and half a second
            let before = received(&bench, to);
            (0..2_000).for_each(|_| assert_eq!(sender.send_to(&[0; 100], (address, 6_000)).unwrap(), 100));
            received(&bench, to) - before
        };
        // The rate adds what it may while the sender goes on: a second's worth and more would be another burst.
        measured(&format!("octets to the {to}"), |octets| (burst..burst * 3 / 2).contains(octets), at_once);
    }
}

#[test]
fn limits_change_without_loss() {
    let bench = Bench::new();
    let (mut gate, mut shaper, _) = open(&bench, 10);
    shaper.shape(SUBSCRIBER, &rates(1_000)).unwrap();
    let receiver = bench.within("host", || UdpSocket::bind(SocketAddrV4::new(HOST, 6_000)).unwrap());
    receiver.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let sender = bench.within("subscriber", || UdpSocket::bind("0.0.0.0:0").unwrap());
    let stop = AtomicBool::new(false);
    let (sent, arrived) = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                sender.send_to(&[0; 172], (HOST, 6_000)).unwrap(); // 200 octets a millisecond: more than 1 Mbit/s, less than 2
                sent += 1;
                sleep(Duration::from_micros(1_200));
            }
            sent
        });
        let receiving = scope.spawn(|| {
            let mut room = [0; 200];
            std::iter::from_fn(|| receiver.recv(&mut room).ok()).count()
        });
        for step in 0..60u32 {
            // Bursts of a slow rate wait in the queue while it changes.
            let rates = rates(if step.is_multiple_of(2) { 3_000 } else { 1_900 });
            if step % 6 < 4 {
                let left = shaper.shape(SUBSCRIBER, &rates).unwrap();
                gate.apply(&[Change::SetTerms { ip: SUBSCRIBER, terms: Terms { rates: left, ..Terms::default() } }])
                    .unwrap();
            } else {
                gate.apply(&[Change::SetTerms { ip: SUBSCRIBER, terms: Terms { rates, ..Terms::default() } }]).unwrap();
                shaper.release(SUBSCRIBER).unwrap();
            }
            sleep(Duration::from_millis(25));
        }
        stop.store(true, Ordering::Relaxed);
        (sending.join().unwrap(), receiving.join().unwrap())
    });
    assert!(sent > 500, "{sent}");
    assert_eq!(arrived, sent);
    let counted = gate.read(SUBSCRIBER).unwrap().unwrap().counters.output_packets;
    assert_eq!(counted, sent as u64, "the gate goes on counting");
}

#[test]
fn who_finds_no_class_is_left_to_the_policer() {
    let bench = Bench::new();
    let (_gate, mut shaper, _) = open(&bench, 2);
    assert!(!shaper.make_ahead(Duration::from_secs(5)).unwrap(), "two classes are soon made");
    assert_eq!(shaper.shape(other(1), &rates(1_000)).unwrap(), UNLIMITED);
    let down_only = Rates { up_kbps: None, ..rates(1_000) };
    assert_eq!(shaper.shape(other(2), &down_only).unwrap(), UNLIMITED);
    let left = shaper.shape(other(3), &rates(5_000)).unwrap();
    assert_eq!(left, Rates { down_kbps: Some(5_000), ..UNLIMITED }, "a class is left upwards only");
    assert_eq!(shaper.shape(other(1), &rates(2_000)).unwrap(), UNLIMITED, "who has one keeps it");

    shaper.release(other(1)).unwrap();
    assert_eq!(shaper.shape(other(3), &rates(5_000)).unwrap(), UNLIMITED, "and it is used again");
    shaper.set_classes(3);
    assert_eq!(shaper.shape(other(4), &rates(1_000)).unwrap(), UNLIMITED);
    assert_eq!(shaper.holders().into_iter().collect::<Vec<_>>(), [other(2), other(3), other(4)]);
    let map = run(&bench, "gateway", "nft list map ip lastmile_edge_test shape_up");
    assert!(map.contains("type ipv4_addr : classid"), "people can read it with nft: {map}");
}

#[test]
fn trees_are_adopted_and_removed() {
    let bench = Bench::new();
    let (_gate, mut shaper, config) = open(&bench, 20);
    assert!(!shaper.make_ahead(Duration::from_secs(5)).unwrap());
    shaper.shape(SUBSCRIBER, &rates(1_000)).unwrap();
    shaper.shape(other(1), &rates(2_000)).unwrap();
    drop(shaper); // as after kill -9
    let classes = |interface: &str| run(&bench, "gateway", &format!("tc class show dev {interface}"));
    let before = [classes("access0"), classes("uplink0")];
    assert_eq!(before[0].lines().count(), 20);

    let mut shaper = reopen(&bench, &config).unwrap();
    assert_eq!(shaper.holders().into_iter().collect::<Vec<_>>(), [SUBSCRIBER, other(1)]);
    assert_eq!(shaper.shape(SUBSCRIBER, &rates(1_000)).unwrap(), UNLIMITED);
    shaper.make_ahead(Duration::from_secs(5)).unwrap();
    assert_eq!([classes("access0"), classes("uplink0")], before, "nothing was to be done");
    drop(shaper);

    // A class that somebody deleted: its holder is nobody's any longer, and gets another.
    let class = before[0].lines().find(|line| line.contains("rate 2Mbit")).unwrap().split(' ').nth(2).unwrap();
    run(&bench, "gateway", &format!("tc class del dev access0 classid {class}"));
    let mut shaper = reopen(&bench, &config).unwrap();
    assert!(!run(&bench, "gateway", "nft list map ip lastmile_edge_test shape_down").contains("100.64.16.1"));
    assert_eq!(shaper.shape(other(1), &rates(2_000)).unwrap(), UNLIMITED);
    assert!(classes("access0").contains("rate 2Mbit"));

    run(&bench, "gateway", "tc qdisc del dev uplink0 root");
    assert!(matches!(shaper.check(&config), Err(ShaperError::Gone { interface }) if interface == "uplink0"));
    let shaper = reopen(&bench, &config).unwrap();
    shaper.remove().unwrap();
    assert_eq!(classes("access0") + &classes("uplink0"), "");
    assert!(!run(&bench, "gateway", "nft list map ip lastmile_edge_test shape_down").contains("100.64"));
}

#[test]
fn what_others_put_there_stays() {
    let bench = Bench::new();
    let (_gate, shaper, config) = open(&bench, 20);
    shaper.remove().unwrap();
    run(&bench, "gateway", "tc qdisc add dev access0 root handle 1: htb");
    let refused = reopen(&bench, &config).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "access0 has a queueing discipline that is not the gateway's, htb 1: remove it with tc"
    );
    assert!(run(&bench, "gateway", "tc qdisc show dev access0").contains("htb 1: root"));
    assert!(!run(&bench, "gateway", "tc qdisc show dev uplink0").contains("htb"), "one side alone serves nobody");

    run(&bench, "gateway", "tc qdisc del dev access0 root");
    let mut shaper = reopen(&bench, &config).unwrap();
    shaper.check(&config).unwrap();
    run(&bench, "gateway", "tc qdisc replace dev access0 root handle 2: bfifo limit 100000");
    assert!(matches!(shaper.check(&config), Err(ShaperError::Foreign { kind, handle: 2, .. }) if kind == "bfifo"));
    shaper.remove().unwrap();
    assert!(run(&bench, "gateway", "tc qdisc show dev access0").contains("bfifo 2: root"));
}
