//! What shaping costs: `cargo bench -p lastmile-netio --features integration --bench shaper`, as root. Packets cross one namespace
//! that forwards them, to as many subscribers as there are classes, each in his own.

use std::{
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use lastmile_netio::{
    gate::{Change, Gate, GateConfig, Terms},
    links::Links,
    shaper::{Shaper, ShaperConfig, Way},
};
use lastmile_types::session::Rates;

#[path = "../tests/kernel/netns.rs"]
#[allow(dead_code)] // the tests use all of it
mod netns;

use netns::Bench;

const RATES: Rates =
    Rates { down_kbps: Some(1_000_000), up_kbps: Some(1_000_000), down_burst_kbit: None, up_burst_kbit: None };

fn main() {
    println!("classes  made s  adopted ms  change µs  give and take µs  packets/s policed  packets/s shaped");
    for classes in [1_000, 10_000] {
        measure(classes);
    }
}

fn measure(classes: u16) {
    let bench = Bench::new();
    bench.ip("subscriber", "route add blackhole 100.80.0.0/16");
    bench.ip("gateway", "route add 100.80.0.0/16 via 100.64.1.10");
    let subscribers: Vec<Ipv4Addr> = (0..u32::from(classes)).map(|number| (0x6450_0000 + number).into()).collect();
    let gate_config = GateConfig {
        bng_id: "edge/bench".parse().unwrap(),
        subscriber: vec!["access0".to_owned()],
        uplink: vec!["uplink0".to_owned()],
        dhcp: vec![],
        gateways: vec![],
        pools: vec![],
        protected: vec![],
        gardens: Default::default(),
        size: 65_536,
        shaped: false,
    };
    let (mut gate, _) = bench.within("gateway", || Gate::open(&gate_config).unwrap());
    let policed = |ip: &Ipv4Addr| Change::Admit { ip: *ip, terms: Terms { rates: RATES, ..Terms::default() } };
    gate.apply(&subscribers.iter().map(policed).collect::<Vec<_>>()).unwrap();
    let without = packets_a_second(&bench, &subscribers);

    gate.reconfigure(&GateConfig { shaped: true, ..gate_config }).unwrap();
    let config = shaper_config(&bench, classes);
    let commits = gate.commits().clone();
    let open = || bench.within("gateway", || Shaper::open(&config, &commits).unwrap());
    let mut shaper = open();
    let made = time(|| while shaper.make_ahead(Duration::from_secs(1)).unwrap() {});
    let unlimited = |ip: &Ipv4Addr| Change::SetTerms { ip: *ip, terms: Terms::default() };
    let shape = |shaper: &mut Shaper, rates: &Rates| {
        subscribers.iter().for_each(|ip| assert_eq!(shaper.shape(*ip, rates).unwrap(), Rates::default()));
    };
    let given = time(|| shape(&mut shaper, &RATES));
    gate.apply(&subscribers.iter().map(unlimited).collect::<Vec<_>>()).unwrap();
    let shaped = packets_a_second(&bench, &subscribers);
    let other = Rates { down_kbps: Some(2_000_000), up_kbps: Some(2_000_000), ..RATES };
    let changed = time(|| shape(&mut shaper, &other));
    drop(shaper);
    let mut shaper = None;
    let adopted = time(|| shaper = Some(open()));
    let taken = time(|| subscribers.iter().for_each(|ip| shaper.as_mut().unwrap().release(*ip).unwrap()));
    let each = |total: Duration| total.as_secs_f64() * 1e6 / f64::from(classes);
    println!(
        "{classes:>7} {:>7.2} {:>11.0} {:>10.1} {:>17.1} {without:>18.0} {shaped:>17.0}",
        made.as_secs_f64(),
        adopted.as_secs_f64() * 1e3,
        each(changed) / 2.0, // both sides are changed
        each(given + taken) / 2.0,
    );
}

fn shaper_config(bench: &Bench, classes: u16) -> ShaperConfig {
    let way = |interface: &str| Way {
        interface: interface.to_owned(),
        index: bench
            .within_async("gateway", async || Links::open().unwrap().get(interface).await.unwrap().unwrap().index),
    };
    let (subscriber, uplink) = (way("access0"), way("uplink0"));
    ShaperConfig { bng_id: "edge/bench".parse().unwrap(), subscriber, uplink, classes }
}

/// Small packets from the host to one subscriber after the other, as many as arrive.
fn packets_a_second(bench: &Bench, subscribers: &[Ipv4Addr]) -> f64 {
    let sender = bench.within("host", || UdpSocket::bind("0.0.0.0:0").unwrap());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for ip in subscribers.iter().cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
                let _ = sender.send_to(&[0; 32], SocketAddrV4::new(*ip, 9)); // a full queue on the way is no matter
            }
        });
        thread::sleep(Duration::from_millis(500));
        let (before, begin) = (received(bench), Instant::now());
        thread::sleep(Duration::from_secs(3));
        let rate = (received(bench) - before) as f64 / begin.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        rate
    })
}

/// Packets that the subscribers' end has received.
fn received(bench: &Bench) -> u64 {
    let mut list = Command::new("ip");
    list.args(["-s", "-o", "link", "show", "eth0"]);
    let output = bench.within("subscriber", || list.output().unwrap());
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers = text.split("RX:").nth(1).and_then(|rest| rest.split('\\').nth(1)).unwrap_or_default();
    numbers.split_whitespace().nth(1).and_then(|packets| packets.parse().ok()).unwrap_or_default()
}

fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}
