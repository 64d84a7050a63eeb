//! `/events`.

use axum::{Json, extract::State};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    model::Page,
    problem::Problem,
    query::{Paging, Params, given},
};
use crate::{
    app::App,
    store::events::{self, EventRow, Filter},
};

/// One event of a gateway.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The gateway's namespace.
    pub namespace: String,
    /// The gateway's name.
    pub bng: String,
    /// The life of its journal.
    pub bng_instance_id: Uuid,
    /// Its place in the instance's order, from 1.
    pub seq: i64,
    /// When the gateway journalled it.
    pub ts: Timestamp,
    /// What happened.
    #[schema(value_type = EventType)]
    pub event_type: String,
    /// The session it is about.
    #[schema(required)]
    pub session_id: Option<Uuid>,
    /// As the gateway sent it.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub payload: serde_json::Value,
}

/// The kinds of events.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventType {
    /// A DHCPACK assigned an address to a new session.
    SessionStart,
    /// Interim accounting, or a change of state.
    SessionUpdate,
    /// The session ended.
    SessionStop,
    /// AAA answered, or a policy changed.
    PolicyApply,
    /// An access router was discovered, or its liveness changed.
    RouterUpdate,
    /// The gateway's own load.
    BngHealthUpdate,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        let (namespace, bng) = row.bng_id.split_once('/').unwrap_or(("", &row.bng_id));
        Self {
            namespace: namespace.to_owned(),
            bng: bng.to_owned(),
            bng_instance_id: row.bng_instance_id,
            seq: row.seq,
            ts: row.ts,
            event_type: row.event_type,
            session_id: row.session_id,
            payload: row.payload,
        }
    }
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// One kind.
    #[serde(rename = "type")]
    #[param(inline)]
    event_type: Option<EventType>,
    /// A gateway, `name` or `namespace/name`.
    bng: Option<String>,
}

/// Events of all gateways, the latest first.
#[utoipa::path(get, path = "/api/v1/events", operation_id = "listEvents", tag = "events", params(EventQuery, Paging),
    responses((status = 200, body = Page<Event>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    Params(query): Params<EventQuery>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Event>>, Problem> {
    let event_type = match query.event_type.map(serde_json::to_value).transpose() {
        Ok(value) => value.and_then(|value| value.as_str().map(str::to_owned)),
        Err(error) => return Err(Problem::new(StatusCode::BAD_REQUEST, error.to_string())),
    };
    let filter = Filter { event_type, bng: given(query.bng), session: None };
    Ok(Json(Page::of(events::list(&app.pool, &filter, paging.limit()?, paging.cursor()).await?)))
}
