//! `/stream/sessions`: changes as they happen, by server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use utoipa::ToSchema;

use super::model::Session;
use crate::app::App;

/// The data of an event named `session`. An event named `reset` (no data worth reading) says that changes were missed: ask for the
/// list again.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionChange {
    /// The session as it is now; `ended` is set when this change ended it.
    pub session: Session,
}

/// Changes of sessions from now on, as server-sent events: each `session` event's data is a SessionChange and its id the revision.
#[utoipa::path(get, path = "/api/v1/stream/sessions", operation_id = "streamSessions", tag = "sessions",
    responses((status = 200, body = SessionChange, content_type = "text/event-stream")))]
pub async fn sessions(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = BroadcastStream::new(app.changes.subscribe()).flat_map(|received| {
        let events: Vec<Event> = match received {
            Ok(batch) => batch.rows.iter().map(|row| change(row.clone().into())).collect(),
            Err(BroadcastStreamRecvError::Lagged(_)) => vec![Event::default().event("reset").data("{}")],
        };
        futures::stream::iter(events.into_iter().map(Ok))
    });
    Sse::new(changes).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

fn change(session: Session) -> Event {
    let id = session.revision.to_string();
    Event::default().event("session").id(id).json_data(SessionChange { session }).unwrap_or_default()
}
