//! On the same bed: subscribers whose policies say Shape. What a CoA says is in their classes of traffic control.

use std::collections::BTreeMap;

use lastmile_types::session::Rates;
use serde_json::{Value, json};

use crate::{
    ask,
    bed::{Bed, config, parsed},
    sessions,
};

const SIDES: [(&str, &str); 2] = [("shape_up", "uplink0"), ("shape_down", "access0")];

fn shaped() -> Value {
    let mut config = config();
    config["shaping"] = json!({"classes": 8});
    for policy in config["policies"].as_array_mut().unwrap() {
        policy["enforcement"] = json!("Shape");
    }
    config
}

/// Who has which class of the side, as `tc` shows it.
fn classes(bed: &Bed, (map, interface): (&str, &str)) -> BTreeMap<String, String> {
    let all = bed.output("gateway", "tc", &["class", "show", "dev", interface]);
    let line =
        |class: &str| all.lines().find(|line| line.split(' ').nth(2) == Some(class)).unwrap_or_default().to_owned();
    let map = bed.output("gateway", "nft", &["list", "map", "ip", "lastmile_edge_bng-01", map]);
    let elements = map.split_once("elements").map_or("", |(_, elements)| elements);
    let pairs = elements.split(['{', ',', '}']).filter_map(|pair| pair.trim().split_once(" : "));
    pairs.map(|(ip, class)| (ip.to_owned(), line(class))).collect()
}

/// Octets that a class sends at once, as it is printed: in units of 1,024 where that is nearly all of it.
fn burst(class: &str) -> f64 {
    let word = class.split_once(" burst ").and_then(|(_, rest)| rest.split(' ').next()).expect("it has one");
    let digits = word.trim_end_matches(char::is_alphabetic);
    let unit = match &word[digits.len()..] {
        "b" => 1.0,
        "Kb" => 1024.0,
        _ => 1_048_576.0,
    };
    digits.parse::<f64>().unwrap() * unit
}

#[test]
fn a_change_of_rates_reaches_the_class_and_nobody_elses() {
    let mut bed = Bed::without_gateway();
    bed.configure(&shaped());
    sessions::seed(&bed.state(), &parsed(&shaped()), false);
    bed.start();
    let both = |bed: &Bed| SIDES.map(|side| classes(bed, side));
    let shaped = |bed: &Bed, rates: [&str; 2]| {
        let fits = |(side, rate): (&BTreeMap<String, String>, _)| {
            side.len() == 4 && side.values().all(|line| line.contains(rate))
        };
        both(bed).iter().zip(rates).all(fits)
    };
    bed.eventually("everybody is shaped as the policy says", || shaped(&bed, [" rate 10Mbit ", " rate 50Mbit "]));
    let before = both(&bed);

    let me = sessions::address(1).to_string();
    let change = format!("Framed-IP-Address = {me}\nMikrotik-Rate-Limit = '3M/8M 6M/16M 3M/8M 2/2'");
    assert_eq!(ask(&bed, "coa", &change), "CoA-ACK");
    let after = both(&bed);
    for ((before, after), (rate, octets)) in
        before.iter().zip(&after).zip([("3Mbit", 375_000.0), ("8Mbit", 1_000_000.0)])
    {
        let (id, mine) = (|line: &str| line.split(' ').nth(2).map(str::to_owned), &after[&me]);
        assert_eq!(id(mine), id(&before[&me]), "what waits goes on waiting in the class that he has");
        assert!(mine.contains(&format!(" rate {rate} ceil {rate} ")), "{mine}");
        assert!((burst(mine) / octets - 1.0).abs() < 0.01, "{mine}");
        let others = |side: &BTreeMap<String, String>| {
            side.iter().filter(|(ip, _)| **ip != me).map(|(ip, line)| (ip.clone(), line.clone())).collect::<Vec<_>>()
        };
        assert_eq!(others(after), others(before));
    }
    let limits = bed.output("gateway", "nft", &["list", "ruleset"]);
    assert!(!limits.contains("limit rate"), "nobody is policed besides: {limits}");

    bed.kill();
    assert_eq!(both(&bed), after, "the kernel goes on without the process");
    let image = bed.journal();
    let (_, session) = sessions::of(&image.snapshot, 1).expect("it lives");
    let rates = Rates {
        up_kbps: Some(3_000),
        down_kbps: Some(8_000),
        up_burst_kbit: Some(3_000),
        down_burst_kbit: Some(8_000),
    };
    assert_eq!(session.terms.rates, rates);
    bed.start();
    bed.eventually("it is adopted", || bed.metric("lastmile_bng_condition{type=\"ShapingAvailable\"}") == Some(1));
    assert_eq!(both(&bed), after, "and nothing was changed");

    assert_eq!(ask(&bed, "coa", &format!("Framed-IP-Address = {me}\nMikrotik-Rate-Limit = '2M/4M'")), "CoA-ACK");
    let [up, down] = both(&bed).map(|side| side[&me].clone());
    assert!(up.contains(" rate 2Mbit ") && down.contains(" rate 4Mbit "), "{up}\n{down}");
}
