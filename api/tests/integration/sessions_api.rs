//! The aggregated sessions API.

use axum::response::Response;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::harness::{Database, aggregated, json, session_id};

const ALL: &str = "/apis/sessions.lastmile.io/v1alpha1/sessions";
const EDGE: &str = "/apis/sessions.lastmile.io/v1alpha1/namespaces/edge/sessions";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

async fn get(app: &lastmile_api::app::App, path: &str) -> Value {
    let (status, body) = json(aggregated(app, "GET", path, "application/json").await).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

fn count(list: &Value) -> usize {
    list["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn get_and_list_in_every_form() {
    let database = Database::create().await;
    for n in 1..=3 {
        database.session(n, if n == 3 { "REJECTED" } else { "AUTHORIZED" }).await;
    }
    let app = database.app();
    let name = format!("s-{}", session_id(1));
    let list = get(&app, ALL).await;
    assert_eq!(
        (list["kind"].as_str(), count(&list), list["metadata"]["resourceVersion"].as_str()),
        (Some("SessionList"), 3, Some("4"))
    );
    let one = get(&app, &format!("{EDGE}/{name}")).await;
    assert_eq!((&one["metadata"]["uid"], &one["spec"]["circuitId"]), (&json!(session_id(1)), &json!("ar-01|1/1")));
    assert_eq!(
        one["status"]["conditions"][1],
        json!({"type": "Online", "status": "True", "reason": "Authorized", "message": "", "lastTransitionTime": one["metadata"]["creationTimestamp"]})
    );
    for (query, expected) in [
        (format!("fieldSelector=metadata.name%3D{name}"), 1),
        ("labelSelector=lastmile.io/bng%3Dbng-01".to_owned(), 2),
        ("labelSelector=lastmile.io/auth+notin+(REJECTED)".to_owned(), 2),
        ("fieldSelector=metadata.namespace%3Dother".to_owned(), 0),
        ("fieldSelector=status.ip%3D100.64.1.12".to_owned(), 1),
    ] {
        assert_eq!(count(&get(&app, &format!("{ALL}?{query}")).await), expected, "{query}");
    }
    let (_, table) = json(aggregated(&app, "GET", EDGE, TABLE).await).await;
    assert_eq!((table["kind"].as_str(), table["rows"].as_array().unwrap().len()), (Some("Table"), 3));
    assert_eq!(table["rows"][0]["object"]["metadata"]["name"], json!(name));
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let (_, partial) = json(aggregated(&app, "GET", EDGE, partial).await).await;
    assert_eq!(partial["items"][0]["kind"], "PartialObjectMetadata");
    let (status, gone) = json(aggregated(&app, "GET", &format!("{EDGE}/s-{}", session_id(9)), "").await).await;
    assert_eq!((status.as_u16(), gone["reason"].as_str()), (404, Some("NotFound")));
    database.drop().await;
}

#[tokio::test]
async fn pages_go_on_where_they_stopped_whatever_happens_between() {
    let database = Database::create().await;
    for n in 1..=5 {
        database.session(n, "AUTHORIZED").await;
    }
    let app = database.app();
    let mut path = format!("{ALL}?limit=2");
    let mut seen = Vec::new();
    loop {
        let page = get(&app, &path).await;
        assert_eq!(page["metadata"]["resourceVersion"], "6");
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["metadata"]["uid"].as_str().unwrap().to_owned()),
        );
        database.end(2).await; // already given out, gone by the second page
        match page["metadata"]["continue"].as_str() {
            Some(token) => path = format!("{ALL}?limit=2&continue={token}"),
            None => break,
        }
    }
    assert_eq!(seen, (1..=5).map(|n| session_id(n).to_string()).collect::<Vec<_>>());
    assert_eq!(aggregated(&app, "GET", &format!("{ALL}?continue=x"), "").await.status(), 400);
    database.drop().await;
}

/// The next event of a watch: its type, and the name of its object.
async fn next(stream: &mut axum::body::BodyDataStream) -> (String, String) {
    let line = tokio::time::timeout(std::time::Duration::from_secs(5), stream.next())
        .await
        .expect("no event")
        .unwrap()
        .unwrap();
    let event: Value = serde_json::from_slice(&line).unwrap();
    let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
    (event["type"].as_str().unwrap().to_owned(), name.to_owned())
}

fn stream(response: Response) -> axum::body::BodyDataStream {
    assert_eq!(response.status(), 200);
    response.into_body().into_data_stream()
}

#[tokio::test]
async fn a_watch_tells_every_change_from_its_revision_on() {
    let database = Database::create().await;
    let app = database.app();
    let follower = tokio::spawn(lastmile_api::changes::run(app.pool.clone(), app.changes.clone()));
    app.changes.subscribe().recv().await.unwrap();
    database.session(1, "AUTHORIZED").await;
    let revision = get(&app, ALL).await["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    database.session(2, "AUTHORIZED").await;
    database.end(1).await;
    let name = |n| format!("s-{}", session_id(n));
    let mut watch = stream(aggregated(&app, "GET", &format!("{EDGE}?watch=1&resourceVersion={revision}"), "").await);
    assert_eq!(next(&mut watch).await, ("ADDED".to_owned(), name(2)));
    assert_eq!(next(&mut watch).await, ("DELETED".to_owned(), name(1)));
    database.session(3, "AUTHORIZED").await;
    assert_eq!(next(&mut watch).await, ("ADDED".to_owned(), name(3)));
    database.end(3).await;
    assert_eq!(next(&mut watch).await, ("DELETED".to_owned(), name(3)));
    let initial = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = stream(aggregated(&app, "GET", &format!("{ALL}?{initial}"), "").await);
    assert_eq!(next(&mut watch).await, ("ADDED".to_owned(), name(2)));
    assert_eq!(next(&mut watch).await.0, "BOOKMARK");
    let (status, gone) = json(aggregated(&app, "GET", &format!("{ALL}?watch=1&resourceVersion=999"), "").await).await;
    assert_eq!((status.as_u16(), gone["reason"].as_str()), (410, Some("Expired")));
    follower.abort();
    database.drop().await;
}

#[tokio::test]
async fn a_delete_says_what_really_happened() {
    let database = Database::create().await;
    let id = database.session(1, "AUTHORIZED").await;
    let app = database.app();
    let path = format!("{EDGE}/s-{id}");
    let (status, answer) = json(aggregated(&app, "DELETE", &format!("{path}?dryRun=All"), "").await).await;
    assert_eq!((status.as_u16(), answer["status"].as_str()), (200, Some("Success")));
    // No gateway can be reached here: nothing may look as if it had been done.
    assert_eq!(aggregated(&app, "DELETE", &path, "").await.status(), 503);
    assert_eq!(aggregated(&app, "DELETE", EDGE, "").await.status(), 405);
    assert_eq!(aggregated(&app, "POST", EDGE, "").await.status(), 405);
    assert_eq!(aggregated(&app, "PATCH", &path, "").await.status(), 405);
    database.drop().await;
}

#[tokio::test]
async fn without_postgresql_lists_fail_and_discovery_does_not() {
    let database = Database::create().await;
    let app = database.app();
    app.pool.close().await;
    assert_eq!(aggregated(&app, "GET", ALL, "").await.status(), 503);
    for path in [
        "/apis",
        "/apis/sessions.lastmile.io",
        "/apis/sessions.lastmile.io/v1alpha1",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/apis/sessions.lastmile.io/v1alpha1",
        "/readyz",
    ] {
        assert_eq!(aggregated(&app, "GET", path, "").await.status(), 200, "{path}");
    }
    database.drop().await;
}
