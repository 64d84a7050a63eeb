//! From the stream to the tables, and what happens when something breaks on the way.

use lastmile_ingestor::store;
use lastmile_types::Event;
use redis::{Value, cmd};
use std::time::Duration;

use crate::{
    events::{golden, instance, life},
    harness::{Database, Redis, Running, batch, spawn, until},
};

const COUNT: &str = "SELECT count(*)::text FROM session_events";

#[tokio::test]
async fn events_become_rows_and_are_acknowledged_published_and_trimmed() {
    let (database, mut redis) = (Database::create().await, Redis::database(1).await);
    redis.publish(&golden()).await;
    let consumer = Running::start(&database, &redis, "a");
    let instance = instance().to_string();
    until("all committed", async || redis.committed(&instance).await == Some(6)).await;
    until("all but the last trimmed", async || redis.int(&["XLEN", "bng_events"]).await == 1).await;
    assert_eq!(database.text(COUNT).await, "7");
    for table in ["sessions_history", "access_routers", "bng_registry", "bng_health_events"] {
        assert!(database.projections().await.iter().any(|row| row.starts_with(table)), "{table}");
    }
    consumer.stop().await;
    database.drop_it().await;
}

/// Option 82 carries any octets, and up to 255 of them.
#[tokio::test]
async fn ids_that_are_no_text_are_the_same_octets_in_every_table() {
    let (database, mut redis) = (Database::create().await, Redis::database(6).await);
    let circuit: Vec<u8> = (0..=254).collect();
    let remote: Vec<u8> = (1..=255).rev().collect();
    let mut events = life(3);
    for event in &mut events {
        let session = match &mut event.event {
            Event::SessionStart(session) | Event::SessionUpdate(session) => &mut **session,
            Event::SessionStop(stop) => &mut stop.session,
            other => panic!("no event of a life: {other:?}"),
        };
        (session.circuit_id, session.remote_id) = (circuit.clone().into(), remote.clone().into());
    }
    redis.publish(&events).await;
    let consumer = Running::start(&database, &redis, "a");
    let instance = instance().to_string();
    until("all committed", async || redis.committed(&instance).await == Some(events.len() as u64)).await;
    for (query, rows) in [
        ("SELECT circuit_id, remote_id FROM sessions_active", 2),
        ("SELECT circuit_id, remote_id FROM sessions_history", 1),
    ] {
        let found: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(query).fetch_all(&database.pool).await.unwrap();
        assert_eq!(found, vec![(circuit.clone(), remote.clone()); rows], "{query}");
    }
    consumer.stop().await;
    database.drop_it().await;
}

#[tokio::test]
async fn poison_is_kept_with_its_reason_and_holds_nobody_up() {
    let (database, mut redis) = (Database::create().await, Redis::database(2).await);
    let events = life(3);
    redis.publish(&events[..2]).await;
    let instance = instance().to_string();
    let poison =
        [("schema", "1"), ("bng_id", "edge/bng-01"), ("bng_instance_id", &instance), ("seq", "3"), ("payload", "{")];
    let _: String =
        cmd("XADD").arg("bng_events").arg("*").arg(&poison).query_async(&mut redis.connection).await.unwrap();
    // PostgreSQL's jsonb refuses this number, this program does not look at it.
    let fields = lastmile_wire::stream::encode(&events[3]).unwrap().map(|(name, value)| {
        let unknown = format!("{{\"unknown\":1{},", "0".repeat(200_000));
        (name, if name == "payload" { value.replacen('{', &unknown, 1) } else { value })
    });
    let _: String =
        cmd("XADD").arg("bng_events").arg("*").arg(&fields[..]).query_async(&mut redis.connection).await.unwrap();
    redis.publish(&events[4..]).await;
    let consumer = Running::start(&database, &redis, "a");
    until("all committed", async || redis.committed(&instance).await == Some(events.len() as u64)).await;
    let reasons = database.text("SELECT string_agg(seq || ' ' || reason, '; ' ORDER BY seq) FROM dead_letters").await;
    assert!(reasons.starts_with("3 the field event_type is missing; 4 "), "{reasons}");
    consumer.stop().await;
    database.drop_it().await;
}

#[tokio::test]
async fn a_connection_lost_before_the_commit_loses_nothing() {
    let (database, mut redis) = (Database::create().await, Redis::database(3).await);
    let events = life(20);
    redis.publish(&events).await;
    // A consumer reads everything, writes it, and dies before the commit.
    let () =
        cmd("XGROUP").arg(&["CREATE", "bng_events", "ingestor", "0"]).query_async(&mut redis.connection).await.unwrap();
    let read = ["GROUP", "ingestor", "dead", "STREAMS", "bng_events", ">"];
    let _: Value = cmd("XREADGROUP").arg(&read).query_async(&mut redis.connection).await.unwrap();
    let mut transaction = database.pool.begin().await.unwrap();
    store::write(&mut transaction, &batch(&events)).await.unwrap();
    drop(transaction);
    assert_eq!(database.text(COUNT).await, "0");
    let consumer = Running::start(&database, &redis, "b");
    let instance = instance().to_string();
    until("all claimed and committed", async || redis.committed(&instance).await == Some(80)).await;
    consumer.stop().await;
    database.drop_it().await;
}

#[tokio::test]
async fn killed_again_and_again_it_loses_nothing() {
    let (database, mut redis) = (Database::create().await, Redis::database(4).await);
    let events = life(500);
    redis.publish(&events).await;
    let mut kills = 0;
    for wait in [150_u64, 230, 310, 190, 270] {
        let mut child = spawn(&database, &redis);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        kills += i32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(kills, 5, "it ran until it was killed");
    let mut child = spawn(&database, &redis);
    let instance = instance().to_string();
    until("all committed", async || redis.committed(&instance).await == Some(2000)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let survived = database.projections().await;
    let fresh = Database::create().await;
    store::store(&fresh.pool, &batch(&events)).await.unwrap();
    assert_eq!(survived, fresh.projections().await);
    fresh.drop_it().await;
    database.drop_it().await;
}

#[tokio::test]
async fn connections_cut_and_redis_emptied_it_goes_on() {
    let (database, mut redis) = (Database::create().await, Redis::database(5).await);
    let events = life(100);
    let consumer = Running::start(&database, &redis, "a");
    let instance = instance().to_string();
    for (round, part) in events.chunks(100).enumerate() {
        redis.publish(part).await;
        let cut = "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        database.text(cut).await;
        let done = (round as u64 + 1) * 100;
        until("committed", async || redis.committed(&instance).await == Some(done)).await;
        let () = cmd("FLUSHDB").query_async(&mut redis.connection).await.unwrap();
    }
    until("published anew", async || redis.committed(&instance).await == Some(400)).await;
    assert_eq!(database.text(COUNT).await, "400");
    consumer.stop().await;
    database.drop_it().await;
}
