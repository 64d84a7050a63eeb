//! The RADIUS client against real FreeRADIUS: those of `lab services --`, with accounting in PostgreSQL, and instances that a test starts,
//! stops and disturbs itself.

mod accounting;
mod answers;
mod dictionaries;
mod disturbance;
mod faults;
mod idle;
mod server;
mod sql;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lastmile_bng::radius::{Client, RateTable, Reachability, Server, Settings};
use lastmile_session::{AccountingKind, AccountingRecord, AuthAnswer, Grant, Subject};
use lastmile_types::{
    Counters, SessionId,
    config::Recovery,
    session::{Ended, TerminateCause},
};
use lastmile_wire::radius::Dictionary;
use tokio::sync::watch;
use uuid::Uuid;

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this test under `lab services --`"))
}

/// Of the FreeRADIUS of `lab services --`.
fn settings() -> Settings {
    let address = |name| env(name).parse().expect("an address with port");
    settings_for(vec![Server {
        auth: address("LASTMILE_TEST_RADIUS"),
        acct: address("LASTMILE_TEST_RADIUS_ACCT"),
        secret: env("LASTMILE_TEST_RADIUS_SECRET").into_bytes(),
        require_message_authenticator: true,
    }])
}

fn settings_for(servers: Vec<Server>) -> Settings {
    Settings {
        servers,
        password: env("LASTMILE_TEST_RADIUS_PASSWORD").into_bytes(),
        nas_identifier: "bng-01".into(),
        nas_ip_address: [127, 0, 0, 1].into(),
        timeout: Duration::from_millis(1500),
        retries: 1,
        recovery: Recovery { dead_time_seconds: 1, probe_seconds: 1 },
        rates: RateTable::new(&[], &Dictionary::shipped().unwrap()).unwrap(),
    }
}

/// Impatient, for servers that shall not answer.
fn hasty(servers: Vec<Server>) -> Settings {
    Settings { timeout: Duration::from_millis(200), ..settings_for(servers) }
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

/// A client with its probes, as the gateway runs them.
fn client(settings: Settings) -> (Arc<Client>, watch::Receiver<Reachability>) {
    let (sender, receiver) = watch::channel(Reachability::default());
    let client = Client::new(settings, sender);
    let watched = client.clone();
    tokio::spawn(async move { watched.watch_over(Duration::from_secs(8)).await });
    (client, receiver)
}

async fn accepted(client: &Client, user_name: &str) -> Grant {
    match client.authenticate(&subject(user_name, "a")).await {
        AuthAnswer::Accept(grant) => *grant,
        other => panic!("{user_name}: {other:?}"),
    }
}

/// Waits for something that must come.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn record(number: u64, session: Uuid, kind: AccountingKind) -> AccountingRecord {
    let stop = Ended { cause: TerminateCause::UserRequest, detail: "DHCPRELEASE".into() };
    AccountingRecord {
        number,
        session: SessionId(session),
        kind,
        at: jiff::Timestamp::now(),
        subject: (!matches!(kind, AccountingKind::On | AccountingKind::Off))
            .then(|| subject(&env("LASTMILE_TEST_RADIUS_USER"), &session.to_string())),
        counters: Counters { input_octets: 5 << 32, output_octets: 7, input_packets: 2, output_packets: 1 },
        seconds: 60,
        ended: (kind == AccountingKind::Stop).then_some(stop),
    }
}
