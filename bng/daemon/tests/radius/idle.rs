//! Servers that say they are there and do not do their work, in one of their roles or in both.

use std::time::{Duration, Instant};

use lastmile_bng::radius::{Client, Delivery, Settings};
use lastmile_session::{AccountingKind, AuthAnswer};
use lastmile_types::status::{RadiusRole, RadiusServer};
use uuid::Uuid;

use super::{
    client, hasty, record,
    server::{FreeRadius, Manners::*},
    settings_for, subject, until,
};

async fn by(client: &Client, user_name: &str) -> Option<String> {
    match client.authenticate(&subject(user_name, "a")).await {
        AuthAnswer::Accept(grant) => grant.filter_id,
        AuthAnswer::NoAnswer => None,
        other => panic!("{other:?}"),
    }
}

/// Of the server that is asked first.
fn first(client: &Client, role: RadiusRole) -> RadiusServer {
    client.servers().into_iter().find(|server| server.role == role).unwrap()
}

/// Whom the server was asked to let in.
fn asked(server: &FreeRadius) -> usize {
    let mut names: Vec<_> = server.heard().into_iter().filter(|line| line.starts_with("Access ")).collect();
    names.dedup(); // retransmissions
    names.len()
}

#[tokio::test]
async fn one_that_answers_no_request_is_left_and_not_taken_back_by_probes() {
    let mut idle = FreeRadius::down("first", "a secret");
    idle.behave(Ignores, Answers);
    let second = FreeRadius::start("second", "a secret");
    let (client, state) = client(hasty(vec![idle.as_server(), second.as_server()]));
    let mut number = 0;
    let mut next = async || {
        number += 1;
        by(&client, &format!("user-{number}")).await
    };
    while first(&client, RadiusRole::Auth).alive {
        assert_eq!(next().await.as_deref(), Some("second"));
    }
    let (died, before) = (Instant::now(), asked(&idle));
    until("it is said", || state.borrow().detail.contains("answers Status-Server, but no request")).await;
    assert_eq!(state.borrow().reachable, Some(true));
    assert!(first(&client, RadiusRole::Acct).alive, "only this half of it");

    // It answers probes all the time, and gets a request after one, two, four … seconds.
    let probed = first(&client, RadiusRole::Auth).counts.probes_answered;
    while died.elapsed() < Duration::from_secs(6) {
        assert_eq!(next().await.as_deref(), Some("second"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let tried = asked(&idle) - before;
    let most = (died.elapsed().as_secs() + 1).ilog2() as usize;
    assert!((1..=most).contains(&tried), "{tried} trials in {:?}", died.elapsed());
    let server = first(&client, RadiusRole::Auth);
    assert!(!server.alive && server.counts.probes_answered > probed, "{server:?}");
    assert_eq!((server.counts.deaths, server.counts.answers.len()), (1, 0));

    // A trial that it answers brings it back.
    idle.behave(Answers, Answers);
    let end = Instant::now() + Duration::from_secs(60);
    while next().await.as_deref() != Some("first") {
        assert!(Instant::now() < end, "it is never tried again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until("it is said that all is well", || state.borrow().detail.is_empty()).await;
    assert_eq!(next().await.as_deref(), Some("first"));
}

/// All retransmissions together would take half a minute.
#[tokio::test]
async fn those_under_way_move_on_when_it_is_found_out() {
    let mut idle = FreeRadius::down("first", "a secret");
    idle.behave(Ignores, Answers);
    let second = FreeRadius::start("second", "a secret");
    let servers = vec![idle.as_server(), second.as_server()];
    let patient = Settings { timeout: Duration::from_millis(500), retries: 5, ..settings_for(servers) };
    let (client, _) = client(patient);
    let began = Instant::now();
    let all = (0..100).map(|number| {
        let client = client.clone();
        tokio::spawn(async move { by(&client, &format!("user-{number}")).await })
    });
    for answer in futures::future::join_all(all).await {
        assert_eq!(answer.unwrap().as_deref(), Some("second"));
    }
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let counts = first(&client, RadiusRole::Auth).counts;
    assert_eq!((counts.requests, counts.timeouts, counts.deaths), (100, 0, 1), "{counts:?}");
}

#[tokio::test]
async fn one_that_answers_access_and_no_accounting_is_left_for_accounting_only() {
    let mut half = FreeRadius::down("first", "a secret");
    half.behave(Answers, Ignores);
    let second = FreeRadius::start("second", "a secret");
    let (client, state) = client(hasty(vec![half.as_server(), second.as_server()]));
    let deliver = async || client.account(&record(1, Uuid::now_v7(), AccountingKind::Start)).await;
    while first(&client, RadiusRole::Acct).alive {
        assert_eq!(deliver().await, Delivery::Acknowledged);
        assert_eq!(by(&client, "somebody").await.as_deref(), Some("first"));
    }
    until("it is said", || state.borrow().detail.matches("but no request").count() == 1).await;
    assert_eq!(state.borrow().reachable, Some(true));
    let timeouts = first(&client, RadiusRole::Acct).counts.timeouts;
    for _ in 0..20 {
        assert_eq!(deliver().await, Delivery::Acknowledged);
    }
    let more = first(&client, RadiusRole::Acct).counts.timeouts - timeouts;
    assert!(more <= 2, "{more} of 20 records were tried with it");
    assert_eq!(by(&client, "somebody").await.as_deref(), Some("first"));
    let counts = first(&client, RadiusRole::Auth).counts;
    assert_eq!(counts.answers["access-accept"], counts.requests, "{counts:?}");
    assert!(counts.round_trips > 0 && counts.round_trips_us > 0, "{counts:?}");
}

/// There is nobody else to ask: it is asked, and serves again with its first answer.
#[tokio::test]
async fn the_only_one_is_asked_all_the_same() {
    let mut only = FreeRadius::down("only", "a secret");
    only.behave(Ignores, Answers);
    let (client, state) = client(hasty(vec![only.as_server()]));
    while first(&client, RadiusRole::Auth).alive {
        assert_eq!(by(&client, "somebody").await, None);
    }
    until("RADIUS is known not to work", || state.borrow().reachable == Some(false)).await;
    only.behave(Answers, Answers);
    assert_eq!(by(&client, "somebody").await.as_deref(), Some("only"));
    until("RADIUS works", || state.borrow().reachable == Some(true)).await;
}
