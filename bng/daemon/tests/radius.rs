//! The RADIUS client against a real FreeRADIUS. Run under `lab services --`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lastmile_bng::radius::{Client, Reachability, Server, Settings, accounting};
use lastmile_session::{AccountingKind, AccountingRecord, AuthAnswer, Subject};
use lastmile_types::{
    Counters, SessionId,
    session::{Ended, TerminateCause},
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this test under `lab services --`"))
}

fn settings() -> Settings {
    let address = |name| env(name).parse::<SocketAddr>().expect("an address with port");
    Settings {
        servers: vec![Server {
            auth: address("LASTMILE_TEST_RADIUS"),
            acct: address("LASTMILE_TEST_RADIUS_ACCT"),
            secret: env("LASTMILE_TEST_RADIUS_SECRET").into_bytes(),
            require_message_authenticator: true,
        }],
        password: env("LASTMILE_TEST_RADIUS_PASSWORD").into_bytes(),
        nas_identifier: "bng-01".into(),
        nas_ip_address: [127, 0, 0, 1].into(),
        timeout: Duration::from_millis(1500),
        retries: 1,
    }
}

fn subject(user_name: &str, acct_session_id: &str) -> Subject {
    Subject {
        acct_session_id: acct_session_id.into(),
        user_name: user_name.into(),
        ip: [100, 64, 1, 10].into(),
        mac: "02:00:5e:10:00:01".parse().unwrap(),
        circuit_id: "ar-01|1/1".into(),
        remote_id: "line-01".into(),
        class: vec!["class".into()],
    }
}

fn client(settings: Settings) -> (Arc<Client>, watch::Receiver<Reachability>) {
    let (sender, receiver) = watch::channel(Reachability::default());
    (Client::new(settings, sender), receiver)
}

#[tokio::test]
async fn a_known_subscriber_is_accepted_with_its_policy() {
    let (client, state) = client(settings());
    let answer = client.authenticate(&subject(&env("LASTMILE_TEST_RADIUS_USER"), "a")).await;
    let AuthAnswer::Accept(grant) = answer else { panic!("{answer:?}") };
    assert_eq!(grant.filter_id.as_deref(), Some("gold"));
    assert_eq!(state.borrow().reachable, Some(true));
}

#[tokio::test]
async fn an_unknown_one_is_rejected() {
    let (client, _) = client(settings());
    let answer = client.authenticate(&subject("nobody", "b")).await;
    assert!(matches!(answer, AuthAnswer::Reject { .. }), "{answer:?}");
}

#[tokio::test]
async fn replies_under_another_secret_are_no_answer() {
    let mut settings = settings();
    settings.servers[0].secret = b"another".to_vec();
    settings.retries = 0;
    let (client, state) = client(settings);
    assert_eq!(client.authenticate(&subject("nobody", "c")).await, AuthAnswer::NoAnswer);
    assert_eq!(state.borrow().reachable, Some(false));
}

#[tokio::test]
async fn a_dead_server_is_passed_over() {
    let mut settings = settings();
    let mut dead = settings.servers[0].clone();
    (dead.auth, dead.acct) = (([127, 0, 0, 1], 9).into(), ([127, 0, 0, 1], 9).into());
    settings.servers.insert(0, dead);
    settings.timeout = Duration::from_millis(300);
    let (client, _) = client(settings);
    let answer = client.authenticate(&subject(&env("LASTMILE_TEST_RADIUS_USER"), "d")).await;
    assert!(matches!(answer, AuthAnswer::Accept(_)), "{answer:?}");
    assert!(client.probe().await);
}

#[tokio::test]
async fn many_requests_at_once_need_few_sockets() {
    let (client, _) = client(settings());
    let subject = Arc::new(subject(&env("LASTMILE_TEST_RADIUS_USER"), "e"));
    let all = (0..300).map(|_| {
        let (client, subject) = (client.clone(), subject.clone());
        tokio::spawn(async move { client.authenticate(&subject).await })
    });
    for answer in futures::future::join_all(all).await {
        assert!(matches!(answer.unwrap(), AuthAnswer::Accept(_)));
    }
}

#[tokio::test]
async fn accounting_arrives_in_order_and_is_dealt_with() {
    let (client, _) = client(settings());
    let (records, waiting) = mpsc::unbounded_channel();
    let (_client_sender, client) = watch::channel(client);
    let (done, mut dealt_with) = mpsc::unbounded_channel();
    tokio::spawn(accounting::deliver(waiting, client, done));
    let ids = [Uuid::now_v7(), Uuid::now_v7()];
    let mut number = 0;
    for kind in [AccountingKind::Start, AccountingKind::Interim, AccountingKind::Stop] {
        for id in ids {
            number += 1;
            let ended = Ended { cause: TerminateCause::UserRequest, detail: "DHCPRELEASE".into() };
            let record = AccountingRecord {
                number,
                session: SessionId(id),
                kind,
                at: jiff::Timestamp::now(),
                subject: subject(&env("LASTMILE_TEST_RADIUS_USER"), &id.to_string()),
                counters: Counters { input_octets: 5 << 32, output_octets: 7, input_packets: 2, output_packets: 1 },
                seconds: 60,
                ended: (kind == AccountingKind::Stop).then_some(ended),
            };
            records.send(record).unwrap();
        }
    }
    let mut numbers = Vec::new();
    while numbers.len() < 6 {
        let next = tokio::time::timeout(Duration::from_secs(20), dealt_with.recv()).await;
        numbers.push(next.expect("FreeRADIUS acknowledges").unwrap());
    }
    let place = |number: u64| numbers.iter().position(|other| *other == number).unwrap();
    assert!(place(1) < place(5) && place(2) < place(6), "{numbers:?}");
}
