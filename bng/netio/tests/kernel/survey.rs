//! Reading everybody at once, beside the gate.

use std::{net::Ipv4Addr, time::Instant};

use lastmile_netio::gate::{Change, GateConfig, Pool, Terms};
use lastmile_types::session::Rates;

use super::gate::{HOST, ROUTER, SUBSCRIBER, config, open, send};
use crate::netns::Bench;

const SUBSCRIBERS: u32 = 100_000;

#[test]
fn a_survey_says_what_single_readings_say() {
    let bench = Bench::new();
    let pool = Pool { prefix: "100.64.0.0/14".parse().unwrap(), next_hop: Some(ROUTER) };
    let config = GateConfig { pools: vec![pool], size: 131_072, ..config() };
    let (mut gate, _) = open(&bench, &config);
    let addresses = (0..SUBSCRIBERS).map(|number| Ipv4Addr::from(u32::from(SUBSCRIBER) + number));
    let admit: Vec<_> = addresses.map(|ip| Change::Admit { ip, terms: Terms::default() }).collect();
    gate.apply(&admit).unwrap();
    assert_eq!(send(&bench, "subscriber", "host", HOST, 5000, 7), 7);
    let rates = Rates { up_kbps: Some(100_000), ..Rates::default() };
    gate.apply(&[Change::SetTerms { ip: SUBSCRIBER, terms: Terms { rates, ..Terms::default() } }]).unwrap();
    assert_eq!(send(&bench, "subscriber", "host", HOST, 5000, 5), 5);

    let began = Instant::now();
    let sightings = bench.within("gateway", || gate.survey().read().unwrap());
    eprintln!("{} subscribers, both directions: {:?}", sightings.len(), began.elapsed());
    assert_eq!(sightings.len(), SUBSCRIBERS as usize);
    for sighting in &sightings {
        assert_eq!(gate.sighted(sighting), gate.read(sighting.ip()).unwrap());
    }
    let one = sightings.iter().find(|sighting| sighting.ip() == SUBSCRIBER).and_then(|one| gate.sighted(one)).unwrap();
    assert_eq!(one.counters.output_packets, 12);
}

#[test]
fn a_survey_leaves_out_who_is_gone_and_nobody_else() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    let ips: Vec<Ipv4Addr> = (0..2000).map(|number| Ipv4Addr::from(0x6440_0200 + number)).collect();
    gate.apply(&ips.iter().map(|ip| Change::Admit { ip: *ip, terms: Terms::default() }).collect::<Vec<_>>()).unwrap();
    let survey = gate.survey();
    let gone =
        |ip: &Ipv4Addr| u32::from(*ip).is_multiple_of(300) || *ip == ips[0] || *ip == ips[511] || *ip == ips[1999];
    let evict: Vec<_> = ips.iter().filter(|ip| gone(ip)).map(|ip| Change::Evict { ip: *ip }).collect();
    gate.apply(&evict).unwrap();
    bench.nft("gateway", &format!("delete element ip lastmile_edge_test down {{ {} }}", ips[1]));
    let read = || bench.within("gateway", || survey.read().unwrap());
    let left: Vec<_> = ips.iter().copied().filter(|ip| !gone(ip) && *ip != ips[1]).collect();
    assert_eq!(read().iter().map(|sighting| sighting.ip()).collect::<Vec<_>>(), left);
    bench.within("gateway", || lastmile_netio::gate::remove(&config().bng_id).unwrap());
    assert_eq!(read(), [], "the table is gone");
}
