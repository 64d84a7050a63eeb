//! What a reply says reaches the session machine.

use std::time::Duration;

use futures::StreamExt;
use lastmile_bng::radius::{Client, Reachability};
use lastmile_session::{AccountingKind, AuthAnswer};
use lastmile_types::session::Rates;
use tokio::sync::watch;
use uuid::Uuid;

use super::{accepted, client, env, hasty, record, server::FreeRadius, settings, settings_for, subject, until};

#[tokio::test]
async fn a_known_subscriber_is_accepted_with_its_policy() {
    let (client, state) = client(settings());
    let grant = accepted(&client, &env("LASTMILE_TEST_RADIUS_USER")).await;
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
async fn every_attribute_of_an_accept_is_taken() {
    let server = FreeRadius::start("first", "a secret");
    let (client, _) = client(settings_for(vec![server.as_server()]));
    let grant = accepted(&client, "all").await;
    assert_eq!(grant.session_timeout_seconds, Some(3600));
    assert_eq!(grant.idle_timeout_seconds, Some(600));
    assert_eq!(grant.interim_seconds, Some(300));
    assert_eq!(grant.framed_ip, Some([100, 64, 1, 10].into()));
    assert_eq!(grant.class, ["all".into(), "second".into()]);
    assert_eq!((grant.filter_id.as_deref(), grant.rates), (Some("first"), None));
    let answer = client.authenticate(&subject("nobody", "a")).await;
    assert_eq!(answer, AuthAnswer::Reject { message: "not paid".into() });
    assert_eq!(server.agents(), ["0x61722d30317c312f31 0x6c696e652d3031"; 2]);
}

#[tokio::test]
async fn rates_of_four_vendors() {
    let server = FreeRadius::start("first", "a secret");
    let (client, _) = client(settings_for(vec![server.as_server()]));
    let rates = |down, up, down_burst, up_burst| {
        Some(Rates { down_kbps: Some(down), up_kbps: Some(up), down_burst_kbit: down_burst, up_burst_kbit: up_burst })
    };
    assert_eq!(accepted(&client, "wispr").await.rates, rates(20_000, 5_000, None, None));
    assert_eq!(accepted(&client, "mikrotik").await.rates, rates(10_000, 2_000, Some(40_000), Some(8_000)));
    assert_eq!(accepted(&client, "cisco").await.rates, rates(10_000, 2_000, Some(15_000), Some(3_000)));
    assert_eq!(accepted(&client, "broadband").await.rates, rates(8_000, 2_000, Some(800), Some(200)));
}

/// Each answer is its own subscriber's, and no socket is left over.
#[tokio::test]
async fn ten_thousand_requests_need_few_sockets() {
    let server = FreeRadius::start("first", "a secret");
    let (client, _) = client(settings_for(vec![server.as_server()]));
    let port = server.as_server().auth.port();
    let mut after = Vec::new();
    for round in 0..2 {
        let names = (0..5_000).map(|number| format!("user-{round}-{number}"));
        let all = futures::stream::iter(names).map(|name| {
            let client = client.clone();
            async move { assert_eq!(accepted(&client, &name).await.class, [name.as_str().into()]) }
        });
        all.buffer_unordered(1_000).collect::<Vec<_>>().await;
        after.push(sockets_to(port));
    }
    assert!(after[0] <= 5, "{after:?}");
    assert_eq!(after[0], after[1], "sockets grow");
}

/// As the gateway does at every change of its configuration, with a server that lives, dies and comes back meanwhile.
#[tokio::test]
async fn a_client_that_is_succeeded_leaves_no_socket() {
    let mut server = FreeRadius::start("first", "a secret");
    let ports = [server.as_server().auth.port(), server.as_server().acct.port()];
    let sockets = || ports.map(sockets_to).iter().sum::<usize>();
    let mut current = Client::new(hasty(vec![server.as_server()]), watch::channel(Reachability::default()).0);
    let mut most = 0;
    for round in 0..30 {
        match round {
            10 => server.kill(),
            20 => server.run(),
            _ => {}
        }
        let next = current.succeeded_by(current.settings().clone());
        drop(std::mem::replace(&mut current, next));
        let start = record(1, Uuid::now_v7(), AccountingKind::Start);
        let who = subject("somebody", "a");
        tokio::select! {
            () = current.watch_over(Duration::from_millis(10)) => {}
            _ = futures::future::join(current.authenticate(&who), current.account(&start)) => {}
        }
        if round == 0 {
            most = sockets();
            assert!(most >= 2, "one for each of its roles");
        }
    }
    until("as few sockets as at first", || sockets() <= most).await;
    drop(current);
    until("no socket", || sockets() == 0).await;
}

/// Connected UDP sockets of this network namespace towards a port, as /proc says.
fn sockets_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/udp").unwrap();
    table
        .lines()
        .filter(|line| line.split_whitespace().nth(2).is_some_and(|peer| peer.ends_with(&format!(":{port:04X}"))))
        .count()
}
