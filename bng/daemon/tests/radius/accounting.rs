//! Accounting records are delivered, in order per session, whatever happens to the servers.

use std::{sync::Arc, time::Duration};

use lastmile_bng::{
    journal::{Entry, Journal},
    radius::{
        Client, Settings,
        accounting::Delivering,
        dead_letters::{self, DeadLetters},
    },
};
use lastmile_session::{AccountingKind, AccountingRecord, Record, Subject};
use lastmile_types::{InstanceId, Shared};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::{accepted, client, hasty, record, server::FreeRadius, settings, settings_for, sql, subject, until};

/// The task of the gateway, its ends in the test's hands.
struct Delivery {
    records: mpsc::UnboundedSender<AccountingRecord>,
    done: mpsc::UnboundedReceiver<u64>,
    dead: watch::Receiver<u64>,
    folder: TempDir,
    client: watch::Sender<Arc<Client>>,
}

impl Delivery {
    fn start(client: Arc<Client>) -> Self {
        let (records, waiting) = mpsc::unbounded_channel();
        let (client, seen) = watch::channel(client);
        let (done, dealt_with) = mpsc::unbounded_channel();
        let (dead, counted) = watch::channel(0);
        let folder = TempDir::new().unwrap();
        let dead_letters = DeadLetters::open(folder.path(), dead);
        tokio::spawn(Delivering { records: waiting, client: seen, done, dead_letters }.run());
        Self { records, done: dealt_with, dead: counted, folder, client }
    }

    fn send(&self, records: impl IntoIterator<Item = AccountingRecord>) {
        records.into_iter().for_each(|record| self.records.send(record).unwrap());
    }

    /// The next numbers that are dealt with.
    async fn dealt_with(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let next = tokio::time::timeout(Duration::from_secs(30), self.done.recv()).await;
            numbers.push(next.unwrap_or_else(|_| panic!("only {numbers:?} were acknowledged")).unwrap());
        }
        numbers
    }
}

fn life(first: u64, session: Uuid) -> [AccountingRecord; 3] {
    [AccountingKind::Start, AccountingKind::Interim, AccountingKind::Stop]
        .map(|kind| record(first + kind as u64, session, kind))
}

#[tokio::test]
async fn records_arrive_in_order_with_64_bit_counters() {
    let mut delivery = Delivery::start(client(settings()).0);
    let sessions = [Uuid::now_v7(), Uuid::now_v7()];
    delivery.send(life(1, sessions[0]).into_iter().chain(life(4, sessions[1])));
    let numbers = delivery.dealt_with(6).await;
    let place = |number: u64| numbers.iter().position(|other| *other == number).unwrap();
    assert!(place(1) < place(3) && place(4) < place(6), "{numbers:?}");
    for session in sessions {
        let row = sql::row(&format!(
            "SELECT acctinputoctets, acctoutputoctets, acctsessiontime, acctterminatecause FROM radacct WHERE acctsessionid = '{session}'"
        ));
        assert_eq!(row, ["7", "21474836480", "60", "User-Request"]);
    }
}

/// Class goes back as it came with the Access-Accept, every one of it (RFC 2865 §5.25); of the gateway itself less is said.
#[tokio::test]
async fn every_record_says_whose_it_is_and_brings_class_back() {
    let server = FreeRadius::start("first", "a secret");
    let (client, _) = client(settings_for(vec![server.as_server()]));
    let class = accepted(&client, "all").await.class;
    let mut delivery = Delivery::start(client);
    let mut life = life(1, Uuid::now_v7());
    for record in &mut life {
        record.subject = Some(Subject { class: class.clone(), ..subject("all", &record.session.to_string()) });
    }
    for record in life.into_iter().chain([record(4, Uuid::now_v7(), AccountingKind::Off)]) {
        let number = record.number;
        delivery.send([record]);
        assert_eq!(delivery.dealt_with(1).await, [number]);
    }
    let session = "all bng-01 127.0.0.1 ar-01|1/1 Ethernet 02:00:5e:10:00:01 100.64.1.10 0x616c6c,0x7365636f6e64";
    let mut expected = ["Start", "Interim-Update", "Stop"].map(|kind| format!("{kind} {session}")).to_vec();
    expected.push("Accounting-Off  bng-01 127.0.0.1     ".into());
    assert_eq!(server.identities(), expected);
}

/// Down from before the start until after the stop: everything arrives, late and dated, and one interim is enough.
#[tokio::test]
async fn what_happened_while_no_server_was_there_arrives_afterwards() {
    let mut server = FreeRadius::down("first", "a secret");
    let (client, state) = client(hasty(vec![server.as_server()]));
    let mut delivery = Delivery::start(client);
    let session = Uuid::now_v7();
    let mut all = life(1, session).to_vec();
    let mut earlier = all[1].clone();
    (earlier.number, all[1].number, all[2].number) = (2, 3, 4);
    all.insert(1, earlier);
    let at = all[0].at.as_second();
    delivery.send(all);
    assert_eq!(delivery.dealt_with(1).await, [2], "a newer interim says what an older one did");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    server.run();
    assert_eq!(delivery.dealt_with(3).await, [1, 3, 4]);
    until("RADIUS is known to be there", || state.borrow().reachable == Some(true)).await;
    let heard = server.heard();
    let kinds: Vec<_> = heard.iter().filter_map(|line| line.split_once(' ')).map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["Start", "Interim-Update", "Stop"], "{heard:?}");
    let field = |line: &str, name: &str| -> i64 {
        line.split(' ').find_map(|word| word.strip_prefix(name)).unwrap().parse().unwrap()
    };
    assert_eq!(field(&heard[0], "at="), at);
    assert!((2..30).contains(&field(&heard[0], "delay=")), "{heard:?}");
    assert!(heard[2].ends_with("octets=5/0"), "{heard:?}");
}

#[tokio::test]
async fn a_server_that_dies_during_a_stop_gets_it_when_it_is_back() {
    let mut server = FreeRadius::start("first", "a secret");
    let mut delivery = Delivery::start(client(hasty(vec![server.as_server()])).0);
    let [start, interim, stop] = life(1, Uuid::now_v7());
    delivery.send([start, interim]);
    assert_eq!(delivery.dealt_with(2).await, [1, 2]);
    server.kill();
    delivery.send([stop]);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(delivery.done.try_recv().is_err());
    server.run();
    assert_eq!(delivery.dealt_with(1).await, [3]);
}

/// The server lives and answers everybody else: after some tries the record is put aside, and its session goes on.
#[tokio::test]
async fn what_a_living_server_never_answers_becomes_a_dead_letter() {
    let server = FreeRadius::start("first", "a secret");
    let impatient =
        Settings { timeout: Duration::from_millis(100), retries: 0, ..settings_for(vec![server.as_server()]) };
    let mut delivery = Delivery::start(client(impatient).0);
    let mut poison = record(1, Uuid::now_v7(), AccountingKind::Start);
    poison.subject.as_mut().unwrap().user_name = "poison".into();
    let stop = record(2, poison.session.0, AccountingKind::Stop);
    let others: Vec<_> = (3..23).map(|number| record(number, Uuid::now_v7(), AccountingKind::Start)).collect();
    delivery.send([poison, stop].into_iter().chain(others));
    let others = delivery.dealt_with(20).await;
    assert!(others.iter().all(|number| *number >= 3), "nobody waits for it: {others:?}");
    assert_eq!(delivery.dealt_with(2).await, [1, 2]);
    assert_eq!(*delivery.dead.borrow(), 1);
    let text = std::fs::read_to_string(delivery.folder.path().join(dead_letters::FILE)).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!((&line["reason"], &line["record"]["number"]), (&"unanswered".into(), &1.into()));
    assert!(server.heard().iter().filter(|line| line.starts_with("Start")).count() >= 25, "it was offered again");
}

/// By FreeRADIUS' own queries On closes every open row: it must find none of ours, and not those of sessions that began after it.
#[tokio::test]
async fn accounting_on_closes_only_what_nobody_stopped() {
    let mut settings = settings();
    settings.nas_ip_address = [127, 0, 77, 1].into();
    let mut delivery = Delivery::start(client(settings).0);
    let [stopped, lost, later] = [(); 3].map(|()| Uuid::now_v7());
    delivery.send([record(1, lost, AccountingKind::Start)]);
    delivery.dealt_with(1).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let mut stop = record(3, stopped, AccountingKind::Stop);
    stop.ended.as_mut().unwrap().cause = lastmile_types::session::TerminateCause::NasReboot;
    delivery.send([
        record(2, stopped, AccountingKind::Start),
        stop,
        record(4, Uuid::now_v7(), AccountingKind::On),
        record(5, later, AccountingKind::Start),
    ]);
    assert_eq!(delivery.dealt_with(4).await, [2, 3, 4, 5]);
    let row = |session: Uuid| {
        sql::row(&format!(
            "SELECT acctterminatecause, acctoutputoctets, acctstoptime IS NULL FROM radacct WHERE acctsessionid = '{session}'"
        ))
    };
    assert_eq!(row(stopped), ["NAS-Reboot", "21474836480", "f"], "with its final counters");
    assert_eq!(row(lost), ["NAS-Reboot", "0", "f"]);
    assert_eq!(row(later)[2], "t", "it began after the reboot");
    delivery.send([record(6, later, AccountingKind::Stop), record(7, Uuid::now_v7(), AccountingKind::Off)]);
    assert_eq!(delivery.dealt_with(2).await, [6, 7]);
    assert_eq!(row(later), ["User-Request", "21474836480", "f"]);
}

/// What the journal owed when the gateway was killed, less what was acknowledged, in its order.
#[tokio::test]
async fn what_was_owed_before_a_restart_is_delivered_after_it() {
    let server = FreeRadius::start("first", "a secret");
    let state = TempDir::new().unwrap();
    let (mut journal, image) = Journal::open(state.path(), InstanceId(Uuid::now_v7())).unwrap();
    assert!(image.accounting.is_empty());
    for record in life(1, Uuid::now_v7()).into_iter().chain(life(4, Uuid::now_v7())) {
        let entry = Entry::Record(Box::new(Record { accounting: vec![record], ..Record::default() }));
        journal.append(&[entry]).unwrap();
    }
    for number in [4, 1] {
        journal.append(&[Entry::Accounted { number }]).unwrap();
    }
    drop(journal);
    let (_journal, image) = Journal::open(state.path(), InstanceId(Uuid::now_v7())).unwrap();
    let owed: Vec<_> = image.accounting.iter().map(|record| record.number).collect();
    assert_eq!(owed, [2, 3, 5, 6]);
    let mut delivery = Delivery::start(client(hasty(vec![server.as_server()])).0);
    delivery.send(image.accounting.into_iter().map(Shared::into_inner));
    let mut numbers = delivery.dealt_with(4).await;
    let place = |number: u64| numbers.iter().position(|other| *other == number).unwrap();
    assert!(place(2) < place(3) && place(5) < place(6), "{numbers:?}");
    numbers.sort_unstable();
    assert_eq!(numbers, owed);
    assert_eq!(server.heard().len(), 4);
}

#[tokio::test]
async fn a_new_configuration_is_tried_at_once() {
    let server = FreeRadius::start("first", "a secret");
    let mut wrong = server.as_server();
    wrong.secret = b"another".to_vec();
    let mut delivery = Delivery::start(client(hasty(vec![wrong])).0);
    delivery.send([record(1, Uuid::now_v7(), AccountingKind::Start)]);
    tokio::time::sleep(Duration::from_millis(700)).await;
    delivery.client.send_replace(client(hasty(vec![server.as_server()])).0);
    assert_eq!(delivery.dealt_with(1).await, [1]);
    assert_eq!(server.heard().len(), 1);
}
