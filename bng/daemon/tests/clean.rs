//! The end of a gateway, with the real program and a real kernel in a network namespace that goes with the test. Needs root.

mod node;

use std::{collections::BTreeSet, net::Ipv4Addr, path::Path, process::Command};

use lastmile_bng::{
    journal::{Entry, Journal},
    plane::Plane,
};
use lastmile_netio::gate::{Change, Gate, GateConfig, Terms};
use lastmile_session::{AccountingKind, AccountingRecord, Record};
use lastmile_types::{Counters, InstanceId, SessionId};
use node::{config, on_a_node, run};
use uuid::Uuid;

const SUBSCRIBER: Ipv4Addr = Ipv4Addr::new(100, 64, 1, 10);

/// Whether it succeeded, and what it said.
fn clean(state: &Path) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lastmile-bng"));
    let output = command.args(["clean", "--bng-id", "edge/test", "--state-dir"]).arg(state).output().unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

/// A gateway that was killed with a subscriber online and an accounting record that no server has acknowledged.
async fn killed(state: &Path) -> Journal {
    let config = config(5);
    let (mut plane, _) = Plane::open(&config).await.unwrap();
    plane.shape(&config, false);
    plane.gate.apply(&[Change::Admit { ip: SUBSCRIBER, terms: Terms::default() }]).unwrap();
    run(&format!("ip neigh replace {SUBSCRIBER} lladdr 02:00:00:00:00:10 nud permanent dev access0"));
    let (mut journal, _) = Journal::open(state, InstanceId(Uuid::from_u128(1))).unwrap();
    let record = AccountingRecord {
        number: 7,
        session: SessionId(Uuid::from_u128(2)),
        kind: AccountingKind::Stop,
        at: jiff::Timestamp::UNIX_EPOCH,
        subject: None,
        counters: Counters::default(),
        seconds: 0,
        ended: None,
    };
    journal.append(&[Entry::Record(Box::new(Record { accounting: vec![record], ..Record::default() }))]).unwrap();
    journal
}

fn kernel() -> [String; 4] {
    ["nft list tables", "tc qdisc show", "ip route show proto 176", "ip neigh show nud permanent"].map(run)
}

fn files(state: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(state).unwrap().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn nothing_is_left_but_what_is_somebody_else_s_and_what_people_must_see() {
    on_a_node(async || {
        let state = tempfile::tempdir().unwrap();
        run("nft add table inet others");
        run("tc qdisc add dev dhcp0 root handle 7: bfifo limit 100000");
        run("ip neigh replace 100.64.1.99 lladdr 02:00:00:00:00:99 nud permanent dev access0");
        let journal = killed(state.path()).await;
        let before = kernel();
        assert!(
            before[0].contains("table ip lastmile_edge_test") && before[0].contains("table ip6 lastmile_edge_test")
        );
        assert_eq!(before[1].matches("qdisc htb").count(), 2);
        assert!(before[2].contains("100.64.1.0/24 via 10.231.11.2"), "{}", before[2]);
        assert!(before[3].contains("100.64.1.10 "), "{}", before[3]);

        let (done, said) = clean(state.path());
        assert!(!done && said.contains("another gateway uses"), "the gateway's journal is in use: {said}");
        assert_eq!(kernel(), before, "and nothing was touched");
        drop(journal);

        let (done, said) = clean(state.path());
        assert!(done, "{said}");
        let [tables, queues, routes, neighbours] = kernel();
        assert_eq!(tables, "table inet others\n");
        assert!(!queues.contains("htb") && queues.contains("bfifo 7: dev dhcp0"), "{queues}");
        assert_eq!(routes, "");
        assert!(!neighbours.contains("100.64.1.10 ") && neighbours.contains("100.64.1.99 "), "{neighbours}");
        assert_eq!(files(state.path()), ["accounting-dead-letters.jsonl".to_owned(), "lock".to_owned()].into());
        let letters = std::fs::read_to_string(state.path().join("accounting-dead-letters.jsonl")).unwrap();
        assert!(letters.lines().count() == 1 && letters.contains("gatewayEnded"), "{letters}");

        assert!(clean(state.path()).0, "and again");
        assert_eq!(letters.lines().count(), 1);
        let (_journal, image) = Journal::open(state.path(), InstanceId(Uuid::from_u128(9))).unwrap();
        assert_eq!(image.instance_id, InstanceId(Uuid::from_u128(9)), "whoever comes next is somebody else");
    });
}

#[test]
fn another_gateway_on_the_node_keeps_what_it_has() {
    on_a_node(async || {
        let state = tempfile::tempdir().unwrap();
        drop(killed(state.path()).await);
        let own = GateConfig {
            bng_id: "edge/other".parse().unwrap(),
            subscriber: vec!["access0".into()],
            uplink: vec!["uplink0".into()],
            dhcp: vec!["dhcp0".into()],
            gateways: vec![],
            pools: vec![],
            protected: vec![],
            gardens: Default::default(),
            size: 16,
            shaped: false,
        };
        let (_other, _) = Gate::open(&own).unwrap();
        let (done, said) = clean(state.path());
        assert!(done, "{said}");
        let [tables, queues, routes, _] = kernel();
        assert_eq!(tables, "table ip lastmile_edge_other\ntable ip6 lastmile_edge_other\n");
        assert!(!queues.contains("htb"));
        assert!(routes.contains("100.64.1.0/24"), "its own or not, it knows: {routes}");
    });
}

#[test]
fn a_damaged_journal_keeps_nobody_s_table() {
    on_a_node(async || {
        let state = tempfile::tempdir().unwrap();
        drop(killed(state.path()).await);
        std::fs::write(state.path().join("image-1.json"), "{").unwrap();
        let (done, said) = clean(state.path());
        assert!(!done && said.contains("is damaged"), "{said}");
        assert_eq!(run("nft list tables"), "");
        assert!(files(state.path()).contains("image-1.json"), "people may want to look at it");
    });
}
