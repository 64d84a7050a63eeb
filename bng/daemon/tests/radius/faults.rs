//! Everything that can be wrong with a server, and what a subscriber notices of it.

use std::time::{Duration, Instant};

use lastmile_bng::radius::Settings;
use lastmile_session::AuthAnswer;

use super::{
    accepted, client,
    disturbance::{Mode, Wire},
    hasty,
    server::FreeRadius,
    settings_for, subject, until,
};

/// Whose answer it is.
async fn by(client: &lastmile_bng::radius::Client) -> Option<String> {
    match client.authenticate(&subject("somebody", "a")).await {
        AuthAnswer::Accept(grant) => grant.filter_id,
        AuthAnswer::NoAnswer => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn down_at_boot_then_there() {
    let mut server = FreeRadius::down("first", "a secret");
    let (client, state) = client(hasty(vec![server.as_server()]));
    assert_eq!(by(&client).await, None);
    until("RADIUS is known to be away", || state.borrow().reachable == Some(false)).await;
    assert!(state.borrow().detail.contains("does not answer"), "{:?}", state.borrow());
    server.run();
    until("a probe finds it", || state.borrow().reachable == Some(true)).await;
    assert_eq!(by(&client).await.as_deref(), Some("first"));
}

/// A request that is made while it is away waits, and is answered as soon as a probe finds the server.
#[tokio::test]
async fn gone_in_between_and_back() {
    let mut server = FreeRadius::start("first", "a secret");
    let (client, state) = client(hasty(vec![server.as_server()]));
    assert_eq!(by(&client).await.as_deref(), Some("first"));
    // By that it is missed: a server that was never heard to answer Status-Server may have its reasons.
    until("it answers Status-Server", || client.servers().iter().all(|server| server.counts.probes_answered > 0)).await;
    server.kill();
    // For authentication and for accounting: one that is not known to be dead yet would be asked.
    until("it is missed", || state.borrow().detail.matches("does not answer").count() == 2).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { by(&client).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.run();
    assert_eq!(waiting.await.unwrap().as_deref(), Some("first"));
}

#[tokio::test]
async fn another_secret_is_no_answer() {
    let server = FreeRadius::start("first", "a secret");
    let mut wrong = server.as_server();
    wrong.secret = b"another".to_vec();
    let (client, state) = client(Settings { retries: 0, ..hasty(vec![wrong]) });
    assert_eq!(by(&client).await, None);
    until("RADIUS is known to be away", || state.borrow().reachable == Some(false)).await;
}

/// The server works once for each request: what it hears again is the same packet, so it says again what it said.
#[tokio::test]
async fn a_slow_server_is_asked_again_by_the_same_packet() {
    let server = FreeRadius::start("first", "a secret");
    let mut slow = server.as_server();
    let wire = Wire::to(slow.auth, Mode::Late(Duration::from_millis(700))).await;
    slow.auth = wire.address;
    let settings = Settings { timeout: Duration::from_millis(300), retries: 3, ..settings_for(vec![slow]) };
    let (client, _) = client(settings);
    let began = Instant::now();
    assert_eq!(accepted(&client, "patient").await.class, ["patient".into()]);
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    let heard = server.heard();
    assert_eq!(heard.iter().filter(|line| *line == "Access patient").count(), 1, "{heard:?}");
}

/// Replies to requests that were given up do not hurt those that came after.
#[tokio::test]
async fn late_replies_hurt_nobody() {
    let server = FreeRadius::start("first", "a secret");
    let mut late = server.as_server();
    let wire = Wire::to(late.auth, Mode::Late(Duration::from_millis(400))).await;
    late.auth = wire.address;
    let (client, state) = client(Settings { retries: 0, ..hasty(vec![late]) });
    let names: Vec<_> = (0..300).map(|number| format!("given-up-{number}")).collect();
    let subjects: Vec<_> = names.iter().map(|name| subject(name, "a")).collect();
    futures::future::join_all(subjects.iter().map(|subject| client.authenticate(subject))).await;
    wire.set(Mode::Pass);
    until("it lives again", || state.borrow().reachable == Some(true)).await;
    for number in 0..300 {
        let name = format!("later-{number}");
        assert_eq!(accepted(&client, &name).await.class, [name.as_str().into()]);
    }
}

/// The second has a secret of its own; the first is preferred again as soon as it lives.
#[tokio::test]
async fn the_second_server_takes_over_and_gives_back() {
    let mut first = FreeRadius::start("first", "a secret");
    let second = FreeRadius::start("second", "quite another secret");
    let (client, state) = client(hasty(vec![first.as_server(), second.as_server()]));
    assert_eq!(by(&client).await.as_deref(), Some("first"));
    first.kill();
    assert_eq!(by(&client).await.as_deref(), Some("second"));
    until("the first is known to be dead", || !state.borrow().detail.is_empty()).await;
    assert_eq!(state.borrow().reachable, Some(true));
    first.run();
    until("the first is known to live", || state.borrow().detail.is_empty()).await;
    assert_eq!(by(&client).await.as_deref(), Some("first"));
}

/// One pays for finding out; those under way move on together, and nobody after them waits.
#[tokio::test]
async fn a_black_hole_delays_only_those_who_find_it() {
    let first = FreeRadius::start("first", "a secret");
    let second = FreeRadius::start("second", "a secret");
    let mut swallowed = first.as_server();
    let wire = Wire::to(swallowed.auth, Mode::BlackHole).await;
    swallowed.auth = wire.address;
    // All retransmissions together would take half a minute.
    let patient = Settings {
        timeout: Duration::from_millis(1_000),
        retries: 4,
        ..settings_for(vec![swallowed, second.as_server()])
    };
    let (client, _) = client(patient);
    let began = Instant::now();
    let all = (0..200).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { by(&client).await })
    });
    for answer in futures::future::join_all(all).await {
        assert_eq!(answer.unwrap().as_deref(), Some("second"));
    }
    let found = began.elapsed();
    assert!(found < Duration::from_secs(8), "{found:?}");
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(by(&client).await.as_deref(), Some("second"));
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    eprintln!("200 requests found a black hole in {found:?}; the next 50 took {:?}", began.elapsed());
}
