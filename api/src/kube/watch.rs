//! Watch: changes from a revision on, as lines of JSON.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use super::{
    object,
    read::pushed_down,
    request::{Form, ListParams, is_true, revision},
    selector::Selector,
    status::Failure,
    table::table,
};
use crate::{
    app::App,
    changes::Batch,
    store::sessions::{self, SessionRow},
};

/// The longest that one watch lasts unless the client says otherwise.
const LASTS: Duration = Duration::from_secs(30 * 60);
/// Between bookmarks, for those who want them.
const BOOKMARK: Duration = Duration::from_secs(60);
/// More changes than this are not replayed: listing again is cheaper.
const REPLAYED: usize = 20_000;

/// What one watcher wants and what it has been told.
struct Watcher {
    namespace: Option<String>,
    selector: Selector,
    form: Form,
    /// Sessions that the client knows and that match.
    known: HashSet<Uuid>,
    /// How far it has been told.
    revision: i64,
}

impl Watcher {
    /// What is to be said about a change; `unsure` = the client may know the session though we do not know that it does.
    fn tell(&mut self, row: &SessionRow, unsure: bool) -> Option<Value> {
        self.revision = self.revision.max(row.revision);
        if self.namespace.as_ref().is_some_and(|namespace| namespace != row.bng_id.namespace()) {
            return None;
        }
        if row.ended.is_none() && self.selector.matches(row) {
            let kind = if self.known.insert(row.id) { "ADDED" } else { "MODIFIED" };
            return Some(self.event(kind, row));
        }
        (self.known.remove(&row.id) || unsure).then(|| self.event("DELETED", row))
    }

    fn event(&self, kind: &str, row: &SessionRow) -> Value {
        let object = match self.form {
            Form::Objects => object::object(row),
            Form::Partial => object::partial(row),
            Form::Table(include) => {
                let metadata = json!({"resourceVersion": row.revision.to_string()});
                table(std::slice::from_ref(row), metadata, include, Timestamp::now())
            }
        };
        json!({"type": kind, "object": object})
    }

    fn bookmark(&self, initial_events_end: bool) -> Value {
        let mut metadata = json!({"resourceVersion": self.revision.to_string(), "creationTimestamp": null});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let bare = json!({"kind": "Session", "apiVersion": object::api_version(), "metadata": metadata});
        let object = match self.form {
            Form::Objects => bare,
            Form::Partial => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Form::Table(include) => {
                let mut bookmark =
                    table(&[], json!({"resourceVersion": self.revision.to_string()}), include, Timestamp::now());
                bookmark["rows"] = json!([{"cells": [], "object": bare}]);
                bookmark
            }
        };
        json!({"type": "BOOKMARK", "object": object})
    }
}

/// Watch.
pub async fn watch(
    app: &App,
    headers: &HeaderMap,
    namespace: Option<&str>,
    params: &ListParams,
) -> Result<Response, Failure> {
    let selector = Selector::parse(&params.label_selector, &params.field_selector)?;
    let filter = pushed_down(namespace, &selector);
    let bookmarks = is_true(params.allow_watch_bookmarks.as_deref());
    let initial = is_true(params.send_initial_events.as_deref());
    if initial && (params.resource_version_match != "NotOlderThan" || !bookmarks) {
        let message = "sendInitialEvents needs resourceVersionMatch=NotOlderThan and allowWatchBookmarks=true";
        return Err(Failure::bad_request(message));
    }
    let from = revision(&params.resource_version)?.filter(|_| !initial);
    // Before the question below: a change in between is then seen twice rather than never, and the second is left out.
    let changes = app.changes.subscribe();
    let (now, rows) = sessions::active_at_revision(&app.pool, &filter).await?;
    let form = Form::of(headers, &params.include_object);
    let mut watcher =
        Watcher { namespace: filter.namespace.clone(), selector, form, known: HashSet::new(), revision: now };
    let mut first = Vec::new();
    match from {
        None => first.extend(rows.iter().filter_map(|row| watcher.tell(row, false))),
        Some(from) => {
            watcher.known = rows
                .iter()
                .filter(|row| row.revision <= from && watcher.selector.matches(row))
                .map(|row| row.id)
                .collect();
            for row in missed(app, from, now).await? {
                first.extend(watcher.tell(&row, true));
            }
        }
    }
    watcher.revision = now;
    if initial {
        first.push(watcher.bookmark(true));
    }
    let lasts = params.timeout_seconds.filter(|seconds| *seconds > 0).map_or(LASTS, Duration::from_secs);
    let (lines, body) = mpsc::channel(64);
    tokio::spawn(follow(watcher, first, changes, lines, bookmarks, lasts));
    let body = Body::from_stream(ReceiverStream::new(body));
    Ok(([(header::CONTENT_TYPE, "application/json;stream=watch")], body).into_response())
}

/// What changed between the client's revision and now.
async fn missed(app: &App, from: i64, now: i64) -> Result<Vec<SessionRow>, Failure> {
    if from > now {
        return Err(Failure::expired(format!("resource version {from} is of another database: it is at {now}")));
    }
    let rows = sessions::changes(&app.pool, from, now).await?;
    if rows.len() > REPLAYED {
        return Err(Failure::expired(format!("too old resource version: {from} ({now})")));
    }
    Ok(rows)
}

type Lines = mpsc::Sender<Result<Bytes, std::convert::Infallible>>;

/// Sends one event; false = the client is gone.
async fn say(lines: &Lines, event: &Value) -> bool {
    lines.send(Ok(Bytes::from(format!("{event}\n")))).await.is_ok()
}

async fn follow(
    mut watcher: Watcher,
    first: Vec<Value>,
    mut changes: broadcast::Receiver<Arc<Batch>>,
    lines: Lines,
    bookmarks: bool,
    lasts: Duration,
) {
    for event in first {
        if !say(&lines, &event).await {
            return;
        }
    }
    let end = tokio::time::sleep(lasts);
    tokio::pin!(end);
    let mut marks = tokio::time::interval_at(tokio::time::Instant::now() + BOOKMARK, BOOKMARK);
    loop {
        let event = tokio::select! {
            () = &mut end => return,
            () = lines.closed() => return,
            _ = marks.tick(), if bookmarks => Some(watcher.bookmark(false)),
            batch = changes.recv() => match batch {
                Ok(batch) => {
                    if !tell_batch(&mut watcher, &batch, &lines).await {
                        return;
                    }
                    None
                }
                Err(broadcast::error::RecvError::Closed) => return,
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let failure = Failure::expired("the watch fell behind: list again");
                    say(&lines, &json!({"type": "ERROR", "object": failure.to_json()})).await;
                    return;
                }
            },
        };
        if let Some(event) = event
            && !say(&lines, &event).await
        {
            return;
        }
    }
}

async fn tell_batch(watcher: &mut Watcher, batch: &Batch, lines: &Lines) -> bool {
    let told = watcher.revision;
    for row in batch.rows.iter().filter(|row| row.revision > told) {
        if let Some(event) = watcher.tell(row, false)
            && !say(lines, &event).await
        {
            return false;
        }
    }
    watcher.revision = watcher.revision.max(batch.through);
    true
}

#[cfg(test)]
mod tests {
    use lastmile_types::session::{SessionState, TerminateCause};

    use super::*;
    use crate::{kube::fixture::session, store::sessions::EndedRow};

    fn watcher(labels: &str) -> Watcher {
        let selector = Selector::parse(labels, "").unwrap();
        Watcher {
            namespace: Some("edge".to_owned()),
            selector,
            form: Form::Partial,
            known: HashSet::new(),
            revision: 0,
        }
    }

    fn kind(event: Option<Value>) -> Option<String> {
        event.map(|event| event["type"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_session_is_added_modified_and_deleted() {
        let mut watcher = watcher("");
        let mut row = session();
        assert_eq!(kind(watcher.tell(&row, false)).as_deref(), Some("ADDED"));
        assert_eq!(kind(watcher.tell(&row, false)).as_deref(), Some("MODIFIED"));
        row.state = SessionState::Expired;
        row.ended = Some(EndedRow {
            at: row.started_at,
            cause: TerminateCause::UserRequest,
            detail: String::new(),
            provisional: false,
        });
        assert_eq!(kind(watcher.tell(&row, false)).as_deref(), Some("DELETED"));
        assert_eq!(kind(watcher.tell(&row, false)), None);
        assert_eq!(kind(watcher.tell(&row, true)).as_deref(), Some("DELETED"));
    }

    #[test]
    fn one_that_stops_matching_is_deleted_and_one_that_never_did_is_not_told() {
        let mut watcher = watcher("lastmile.io/state=ACTIVE");
        let mut row = session();
        row.state = SessionState::Idle;
        assert_eq!(kind(watcher.tell(&row, false)), None);
        row.state = SessionState::Active;
        assert_eq!(kind(watcher.tell(&row, false)).as_deref(), Some("ADDED"));
        row.state = SessionState::Idle;
        assert_eq!(kind(watcher.tell(&row, false)).as_deref(), Some("DELETED"));
    }

    #[test]
    fn other_namespaces_are_not_told() {
        let mut watcher = watcher("");
        watcher.namespace = Some("other".to_owned());
        assert_eq!(kind(watcher.tell(&session(), true)), None);
    }
}
