//! Watched addresses with real packets.

use lastmile_netio::gate::{Change, Terms};

use crate::{
    gate::{HOST, SUBSCRIBER, config, open, send},
    netns::Bench,
};

#[test]
fn a_watched_address_is_shut_out_and_noticed() {
    let bench = Bench::new();
    let (mut gate, _) = open(&bench, &config());
    let up = |count| send(&bench, "subscriber", "host", HOST, 5000, count);
    let admit = Change::Admit { ip: SUBSCRIBER, terms: Terms::default() };
    gate.apply(std::slice::from_ref(&admit)).unwrap();
    gate.watch(SUBSCRIBER).unwrap();
    assert_eq!(up(10), 10);
    assert!(gate.stirred().unwrap().is_empty(), "what passes wakes nobody");
    gate.apply(&[Change::Evict { ip: SUBSCRIBER }]).unwrap();
    assert!(gate.stirred().unwrap().is_empty());
    assert_eq!(up(3), 0);
    assert_eq!(gate.stirred().unwrap(), [SUBSCRIBER]);
    // It outlives the process, and being watched again.
    drop(gate);
    let (mut gate, admitted) = open(&bench, &config());
    assert!(admitted.is_empty());
    gate.watch(SUBSCRIBER).unwrap();
    assert_eq!(gate.stirred().unwrap(), [SUBSCRIBER]);
    gate.unwatch(SUBSCRIBER).unwrap();
    gate.unwatch(SUBSCRIBER).unwrap();
    assert_eq!(up(3), 0);
    assert!(gate.stirred().unwrap().is_empty());
    gate.apply(&[admit]).unwrap();
    assert_eq!(up(10), 10);
}
