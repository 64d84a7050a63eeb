//! How long everybody's counters take to read, and a look at the gate after somebody else changed nftables: `cargo bench -p lastmile-netio --features integration --bench survey`, as root.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use lastmile_netio::gate::{Change, Gate, GateConfig, Terms};
use lastmile_types::session::Rates;

#[path = "../tests/kernel/netns.rs"]
#[allow(dead_code)] // the tests use all of it
mod netns;

use netns::Bench;

const ROUNDS: usize = 9;
const RATES: Rates =
    Rates { down_kbps: Some(100_000), up_kbps: Some(50_000), down_burst_kbit: None, up_burst_kbit: None };

fn main() {
    println!("subscribers  policed  what    median ms  lowest – highest");
    for (subscribers, policed) in [(10_000, true), (100_000, false), (100_000, true)] {
        for (what, took) in ["survey", "look"].iter().zip(measure(subscribers, policed)) {
            let [lowest, median, highest] = [0, ROUNDS / 2, ROUNDS - 1].map(|place| took[place].as_millis());
            println!("{subscribers:11}  {policed:7}  {what:6}  {median:9}  {lowest} – {highest}");
        }
    }
}

/// What each round of both took, the shortest first.
fn measure(subscribers: u32, policed: bool) -> [Vec<Duration>; 2] {
    let bench = Bench::new();
    let config = GateConfig {
        bng_id: "edge/bench".parse().unwrap(),
        subscriber: vec!["access0".to_owned()],
        uplink: vec!["uplink0".to_owned()],
        dhcp: vec![],
        gateways: vec![],
        pools: vec![],
        protected: vec![],
        gardens: Default::default(),
        size: 131_072,
        shaped: false,
    };
    let (mut gate, _) = bench.within("gateway", || Gate::open(&config).unwrap());
    let rates = if policed { RATES } else { Rates::default() };
    let admit =
        |number| Change::Admit { ip: Ipv4Addr::from(0x6450_0000 + number), terms: Terms { rates, ..Terms::default() } };
    gate.apply(&(0..subscribers).map(admit).collect::<Vec<_>>()).unwrap();
    let survey = gate.survey();
    let read = || assert_eq!(survey.read().unwrap().len(), subscribers as usize);
    let surveys = bench.within("gateway", || rounds(|| {}, read));
    let looks = rounds(
        || drop(bench.nft("gateway", "add table ip other; delete table ip other")),
        || assert!(gate.restore().unwrap().is_none(), "nothing of the gate was changed"),
    );
    [surveys, looks]
}

fn rounds(mut before: impl FnMut(), mut work: impl FnMut()) -> Vec<Duration> {
    let round = || {
        before();
        let began = Instant::now();
        work();
        began.elapsed()
    };
    let mut took: Vec<_> = std::iter::repeat_with(round).take(ROUNDS).collect();
    took.sort_unstable();
    took
}
