//! The outbox against a real Redis. Run under `lab services --`.

use std::{collections::VecDeque, time::Duration};

use lastmile_bng::outbox::{Outbox, State};
use lastmile_session::RecordedEvent;
use lastmile_types::{
    Event, InstanceId, Shared,
    event::{BngHealth, COMMITTED, STREAM},
};
use redis::{AsyncCommands, streams::StreamRangeReply};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

fn event(seq: u64) -> Shared<RecordedEvent> {
    let health = BngHealth { cpu_cores: 0.1, memory_bytes: 1, sessions: 0, authorized: 0, uptime_seconds: seq };
    Shared::new(RecordedEvent { seq, ts: jiff::Timestamp::now(), event: Event::BngHealthUpdate(health) })
}

/// The seqs of this instance on the stream.
async fn seqs(connection: &mut redis::aio::MultiplexedConnection, instance: InstanceId) -> Vec<u64> {
    let all: StreamRangeReply = connection.xrange_all(STREAM).await.unwrap();
    let ours = all.ids.iter().filter(|id| id.get::<String>("bng_instance_id") == Some(instance.to_string()));
    ours.filter_map(|id| id.get("seq")).collect()
}

async fn wait_for(connection: &mut redis::aio::MultiplexedConnection, instance: InstanceId, wanted: &[u64]) {
    let mut found = Vec::new();
    for _ in 0..200 {
        found = seqs(connection, instance).await;
        if found == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the stream holds {found:?}, not {wanted:?}");
}

#[tokio::test]
async fn events_are_sent_in_order_kept_until_committed_and_sent_again_when_the_stream_is_lost() {
    let url =
        std::env::var("LASTMILE_TEST_REDIS").expect("LASTMILE_TEST_REDIS is not set: run this under `lab services --`");
    let folder = tempfile::tempdir().unwrap();
    let url_file = folder.path().join("redis-url");
    std::fs::write(&url_file, format!("{url}\n")).unwrap();
    let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();

    let instance_id = InstanceId(Uuid::now_v7());
    let (events, events_seen) = mpsc::unbounded_channel();
    let (state, mut state_seen) = watch::channel(State { trouble: None, committed: 0 });
    let outbox = Outbox {
        bng_id: "edge/bng-01".parse().unwrap(),
        instance_id,
        url_file,
        waiting: VecDeque::from([event(1), event(2)]),
        events: events_seen,
        state,
    };
    tokio::spawn(outbox.run());
    events.send(event(3)).unwrap();
    wait_for(&mut connection, instance_id, &[1, 2, 3]).await;

    let _: () = connection.hset(COMMITTED, instance_id.to_string(), 2).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), state_seen.wait_for(|state| state.committed == 2))
        .await
        .unwrap()
        .unwrap();

    let _: () = connection.del(STREAM).await.unwrap();
    wait_for(&mut connection, instance_id, &[3]).await;
}
