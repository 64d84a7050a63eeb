//! The REST API.

use futures::StreamExt;
use serde_json::{Value, json};

use crate::harness::{Database, json, rest, session_id};

async fn get(app: &lastmile_api::app::App, path: &str) -> Value {
    let (status, body) = json(rest(app, "GET", path).await).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn sessions_are_listed_found_and_paged() {
    let database = Database::create().await;
    for n in 1..=5 {
        database.session(n, if n == 5 { "REJECTED" } else { "AUTHORIZED" }).await;
    }
    let app = database.app();
    let first = get(&app, "/api/v1/sessions?limit=2").await;
    assert_eq!(ids(&first), [session_id(5).to_string(), session_id(4).to_string()]);
    let next = format!("/api/v1/sessions?limit=3&cursor={}", first["nextCursor"].as_str().unwrap());
    let second = get(&app, &next).await;
    assert_eq!(ids(&second).len(), 3);
    assert_eq!(second["nextCursor"], Value::Null);
    for (query, count) in [
        ("q=LINE-03", 1),
        ("q=100.64.1.12", 1),
        ("q=02:00:5e:10:00:04", 1),
        ("q=ar-01%7C1/5", 1),
        ("q=%25", 5),
        ("q=_", 0),
        ("bng=bng-01", 3),
        ("bng=edge/bng-02", 2),
        ("auth=REJECTED", 1),
        ("state=IDLE", 0),
        ("state=ACTIVE&auth=AUTHORIZED&bng=bng-01", 2),
    ] {
        assert_eq!(ids(&get(&app, &format!("/api/v1/sessions?{query}")).await).len(), count, "{query}");
    }
    assert_eq!(first["items"][0]["counters"]["inputOctets"], json!(u64::MAX));
    for wrong in ["limit=0", "limit=501", "limit=x", "cursor=x", "state=ASLEEP"] {
        let response = rest(&app, "GET", &format!("/api/v1/sessions?{wrong}")).await;
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{wrong}");
        assert_eq!(response.status(), 400, "{wrong}");
    }
    database.drop().await;
}

#[tokio::test]
async fn a_session_that_ended_is_history() {
    let database = Database::create().await;
    let id = database.session(1, "AUTHORIZED").await;
    let app = database.app();
    let path = format!("/api/v1/sessions/{id}");
    assert_eq!(get(&app, &path).await["ended"], Value::Null);
    database.end(1).await;
    let session = get(&app, &path).await;
    assert_eq!((&session["state"], &session["ended"]["cause"]), (&json!("EXPIRED"), &json!("User-Request")));
    assert_eq!(ids(&get(&app, "/api/v1/history?q=line-01&bng=bng-01&from=2020-01-01T00:00:00Z").await).len(), 1);
    assert_eq!(ids(&get(&app, "/api/v1/history?to=2020-01-01T00:00:00Z").await).len(), 0);
    assert_eq!(rest(&app, "GET", "/api/v1/history?from=yesterday").await.status(), 400);
    assert_eq!(rest(&app, "POST", &format!("{path}/disconnect")).await.status(), 409);
    assert_eq!(rest(&app, "GET", &format!("/api/v1/sessions/{}", session_id(9))).await.status(), 404);
    database.drop().await;
}

#[tokio::test]
async fn events_and_traffic_tell_a_session_s_story() {
    let database = Database::create().await;
    let id = database.session(1, "AUTHORIZED").await;
    for seq in 1..=3_i64 {
        sqlx::query(
            "INSERT INTO session_events (bng_id, bng_instance_id, seq, ts, event_type, session_id, payload) VALUES ('edge/bng-01', $1, $2, \
             to_timestamp($5 + $2 * 60), 'SESSION_UPDATE', $3, $4)",
        )
        .bind(uuid::Uuid::from_u128(1))
        .bind(seq)
        .bind(id)
        .bind(json!({"counters": {"inputOctets": seq * 7_500_000, "outputOctets": 0}}))
        .bind((jiff::Timestamp::now().as_second() / 3600 * 3600) as f64)
        .execute(&database.pool)
        .await
        .unwrap();
    }
    database.run("INSERT INTO session_traffic VALUES ('01900000-0000-7000-8000-000000000001', date_trunc('hour', now()), 'edge/bng-01', 8000, 16000)").await;
    let app = database.app();
    let first = get(&app, &format!("/api/v1/sessions/{id}/events?limit=2")).await;
    assert_eq!(first["items"][0]["seq"], 3);
    let next = format!(
        "/api/v1/events?bng=bng-01&type=SESSION_UPDATE&limit=2&cursor={}",
        first["nextCursor"].as_str().unwrap()
    );
    assert_eq!(get(&app, &next).await["items"][0]["seq"], 1);
    assert_eq!(get(&app, "/api/v1/events?type=SESSION_STOP").await["items"], json!([]));
    let traffic = get(&app, &format!("/api/v1/sessions/{id}/traffic")).await;
    let rates: Vec<f64> =
        traffic["points"].as_array().unwrap().iter().map(|point| point["inputBps"].as_f64().unwrap().round()).collect();
    assert_eq!(&rates[1..], [1_000_000.0, 1_000_000.0]);
    let rollup = get(&app, &format!("/api/v1/sessions/{id}/traffic?resolution=rollup")).await;
    assert_eq!(rollup["points"][0]["outputOctets"], 16_000);
    database.drop().await;
}

#[tokio::test]
async fn the_overview_counts() {
    let database = Database::create().await;
    database.session(1, "AUTHORIZED").await;
    database.session(2, "REJECTED").await;
    database
        .run(
            "INSERT INTO bng_registry VALUES ('edge/bng-01', gen_random_uuid(), 9, now(), now()), \
               ('edge/bng-02', gen_random_uuid(), 9, now(), now() - interval '2 minutes'); \
             INSERT INTO bng_health_events SELECT bng_id, bng_instance_id, 9, now(), 0.25, 1024, 1, 1, 60 FROM bng_registry; \
             INSERT INTO access_routers VALUES ('edge/bng-01', 'ar-01', 'ar-01', '100.64.1.1', true, 250, now(), now(), gen_random_uuid(), 1); \
             INSERT INTO kube_status VALUES ('BNG', 'edge', 'bng-01', gen_random_uuid(), 1, 'Running', \
               '[{\"type\": \"Ready\", \"status\": \"True\", \"lastTransitionTime\": \"2026-01-31T12:00:00Z\"}]', 'node', '{}', now()), \
               ('BNG', 'edge', 'bng-03', gen_random_uuid(), 1, 'Pending', '[]', NULL, '{}', now()), \
               ('SubscriberPolicy', 'edge', 'gold', gen_random_uuid(), 1, 'Ready', '[]', NULL, '{\"rates\": {}}', now()); \
             INSERT INTO session_traffic SELECT session_id, to_timestamp(floor(extract(epoch FROM now()) / 300) * 300), bng_id, 3000, 600 \
               FROM sessions_active;",
        )
        .await;
    let app = database.app();
    let overview = get(&app, "/api/v1/overview").await;
    assert_eq!((&overview["sessions"]["total"], &overview["sessions"]["rejected"]), (&json!(2), &json!(1)));
    assert_eq!(overview["bngs"], json!({"total": 2, "up": 1, "stale": 1}));
    assert_eq!(overview["routers"], json!({"total": 1, "alive": 1}));
    assert!(overview["throughput"]["inputBps"].as_f64().unwrap() >= 6_000.0 * 8.0 / 300.0, "{overview}");
    let bngs = get(&app, "/api/v1/bngs").await;
    let told = |n: usize, field: &str| bngs["items"][n][field].clone();
    assert_eq!([told(0, "stale"), told(1, "stale"), told(2, "stale")], [json!(false), json!(true), json!(true)]);
    assert_eq!((told(0, "phase"), told(1, "phase"), told(2, "name")), (json!("Running"), Value::Null, json!("bng-03")));
    assert_eq!(bngs["items"][0]["conditions"][0]["type"], "Ready");
    assert_eq!(get(&app, "/api/v1/bngs/edge/bng-01/health").await["items"][0]["cpuCores"], 0.25);
    let routers = get(&app, "/api/v1/routers?bng=bng-01&limit=1").await;
    assert_eq!((&routers["items"][0]["name"], &routers["items"][0]["sessions"]), (&json!("ar-01"), &json!(1)));
    assert_eq!(get(&app, "/api/v1/policies").await["items"][0]["spec"], json!({"rates": {}}));
    assert_eq!(get(&app, "/api/v1/me").await, json!({"name": "loopback", "canDisconnect": true}));
    database.drop().await;
}

#[tokio::test]
async fn changes_are_streamed() {
    let database = Database::create().await;
    let app = database.app();
    let follower = tokio::spawn(lastmile_api::changes::run(app.pool.clone(), app.changes.clone()));
    let mut first = app.changes.subscribe();
    first.recv().await.unwrap();
    let mut stream = rest(&app, "GET", "/api/v1/stream/sessions").await.into_body().into_data_stream();
    let id = database.session(1, "AUTHORIZED").await;
    let text = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(text.contains("event: session") && text.contains(&id.to_string()), "{text}");
    database.end(1).await;
    let text = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(text.contains("User-Request"), "{text}");
    follower.abort();
    database.drop().await;
}

#[tokio::test]
async fn without_postgresql_the_answer_is_503_and_readiness_stays() {
    let database = Database::create().await;
    let app = database.app();
    app.pool.close().await;
    let (status, problem) = json(rest(&app, "GET", "/api/v1/sessions").await).await;
    assert_eq!((status.as_u16(), &problem["title"]), (503, &json!("Service Unavailable")));
    assert_eq!(rest(&app, "GET", "/readyz").await.status(), 200);
    assert_eq!(rest(&app, "GET", "/metrics").await.status(), 200);
    database.drop().await;
}
