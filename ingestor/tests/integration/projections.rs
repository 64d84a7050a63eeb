//! The same events in any order, any number of times, in any batches: the same tables.

use lastmile_ingestor::{rebuild::rebuild, store};
use lastmile_types::Envelope;
use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use crate::{
    events::{golden, life, provisional},
    harness::{Database, batch},
};

/// A small world with everything in it: ends, a provisional stop that holds, one that is superseded, one that is outrun.
fn world() -> Vec<Envelope> {
    let mut events = life(6);
    events.extend(golden().into_iter().filter(|event| event.event.session().is_none()).map(|mut event| {
        event.seq += 100;
        event
    }));
    events.extend([provisional(0, 1, 19), provisional(1, 2, 8), provisional(5, 3, 18), provisional(0, 4, 19)]);
    events
}

async fn store_all(database: &Database, events: &[Envelope], size: usize) {
    for part in events.chunks(size) {
        store::store(&database.pool, &batch(part)).await.unwrap();
    }
}

async fn clear(database: &Database) {
    for statement in ["TRUNCATE session_events, instance_progress", "TRUNCATE session_progress, sessions_active"] {
        sqlx::query(statement).execute(&database.pool).await.unwrap();
    }
    sqlx::query("TRUNCATE sessions_history, session_traffic, access_routers, bng_registry, bng_health_events")
        .execute(&database.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn any_permutation_with_any_duplicates() {
    let database = Database::create().await;
    let events = world();
    store_all(&database, &events, 500).await;
    let expected = database.projections().await;
    assert!(expected.iter().any(|row| row.starts_with("sessions_active")), "{expected:#?}");
    assert!(expected.iter().any(|row| row.contains("\"provisional\": true")), "{expected:#?}");

    let mut runner = TestRunner::default();
    let shuffled = (Just(events.clone()).prop_shuffle(), Just(events).prop_shuffle(), 1_usize..12);
    for _ in 0..12 {
        clear(&database).await;
        let (first, second, size) = shuffled.new_tree(&mut runner).unwrap().current();
        let mixed: Vec<Envelope> = first.iter().zip(&second).flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
        store_all(&database, &mixed, size).await;
        assert_eq!(database.projections().await, expected, "batches of {size}: {mixed:#?}");
    }
    database.drop_it().await;
}

#[tokio::test]
async fn two_ingestors_at_once() {
    let database = Database::create().await;
    let events = life(60);
    store_all(&database, &events, 500).await;
    let expected = database.projections().await;
    clear(&database).await;
    let reversed: Vec<Envelope> = events.iter().rev().cloned().collect();
    tokio::join!(
        store_all(&database, &events, 7),
        store_all(&database, &reversed, 11),
        store_all(&database, &events, 13)
    );
    assert_eq!(database.projections().await, expected);
    assert_eq!(database.text("SELECT committed_seq::text FROM instance_progress").await, "240");
    database.drop_it().await;
}

#[tokio::test]
async fn rebuilt_tables_are_the_same() {
    let database = Database::create().await;
    let events = world();
    store_all(&database, &events, 9).await;
    let expected = database.projections().await;
    sqlx::query("DELETE FROM sessions_active").execute(&database.pool).await.unwrap();
    assert_eq!(rebuild(&database.pool).await.unwrap(), events.len() as u64);
    assert_eq!(database.projections().await, expected);
    database.drop_it().await;
}

#[tokio::test]
async fn a_stop_moves_the_row_with_its_greatest_counters() {
    let database = Database::create().await;
    let mut events: Vec<Envelope> = golden();
    store_all(&database, &events[..3], 1).await;
    assert_eq!(
        database.text("SELECT state || ' ' || auth || ' ' || policy FROM sessions_active").await,
        "ACTIVE AUTHORIZED gold"
    );
    events.swap(0, 3);
    store_all(&database, &events, 1).await;
    assert_eq!(database.text("SELECT count(*)::text FROM sessions_active").await, "0");
    let row = "SELECT input_octets || ' ' || terminate_cause || ' ' || (ended_at - started_at) || ' ' || host(ip) || ' ' || mac \
               FROM sessions_history";
    assert_eq!(database.text(row).await, "9000000 User-Request 00:09:59.75 100.64.1.10 02:00:5e:10:00:01");
    database.drop_it().await;
}
