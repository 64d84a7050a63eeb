//! `/sessions` and `/history`.

use axum::{
    Json,
    extract::{Path, State},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    events::Event,
    model::{AuthState, Page, Session, SessionState},
    problem::Problem,
    query::{Paging, Params, given, moment},
};
use crate::{
    app::App,
    auth::{User, Verb},
    store::{
        self, events,
        sessions::{self as rows, Filter},
        traffic::{self, Sample},
    },
};

/// Which active sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// Found anywhere in subscriber, address, MAC, circuit-id or remote-id, whatever the case.
    q: Option<String>,
    /// A gateway, `name` or `namespace/name`.
    bng: Option<String>,
    /// One state.
    #[param(inline)]
    state: Option<SessionState>,
    /// What AAA said.
    #[param(inline)]
    auth: Option<AuthState>,
}

/// Active sessions, the latest first.
#[utoipa::path(get, path = "/api/v1/sessions", operation_id = "listSessions", tag = "sessions",
    params(SessionQuery, Paging),
    responses((status = 200, body = Page<Session>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    Params(query): Params<SessionQuery>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Session>>, Problem> {
    let filter = Filter {
        text: given(query.q),
        bng: given(query.bng),
        state: query.state.map(Into::into),
        auth: query.auth.map(Into::into),
    };
    Ok(Json(Page::of(rows::active(&app.pool, &filter, paging.limit()?, paging.cursor()).await?)))
}

/// Which sessions of the past.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// Sessions that were there at this time or later, RFC 3339.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Sessions that were there at this time or before, RFC 3339.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Found anywhere in subscriber, address, MAC, circuit-id or remote-id, whatever the case.
    q: Option<String>,
    /// A gateway, `name` or `namespace/name`.
    bng: Option<String>,
}

/// Sessions of the past, the latest end first.
#[utoipa::path(get, path = "/api/v1/history", operation_id = "listHistory", tag = "sessions",
    params(HistoryQuery, Paging),
    responses((status = 200, body = Page<Session>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn history(
    State(app): State<App>,
    Params(query): Params<HistoryQuery>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Session>>, Problem> {
    let filter = Filter { text: given(query.q), bng: given(query.bng), ..Filter::default() };
    let range = (moment("from", query.from)?, moment("to", query.to)?);
    if let (Some(from), Some(to)) = range
        && from > to
    {
        return Err(Problem::new(http::StatusCode::BAD_REQUEST, "from is later than to"));
    }
    Ok(Json(Page::of(rows::history(&app.pool, &filter, range, paging.limit()?, paging.cursor()).await?)))
}

/// One session, or the problem that it is not there.
async fn find(app: &App, id: Uuid) -> Result<store::sessions::SessionRow, Problem> {
    rows::one(&app.pool, id).await?.ok_or_else(|| Problem::not_found(format!("no session {id}")))
}

/// One session, active or of the past.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", operation_id = "getSession", tag = "sessions", params(("id" = Uuid, Path)),
    responses((status = 200, body = Session), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn get(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Json<Session>, Problem> {
    Ok(Json(find(&app, id).await?.into()))
}

/// A session's events, the latest first.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/events", operation_id = "listSessionEvents", tag = "sessions",
    params(("id" = Uuid, Path), Paging),
    responses((status = 200, body = Page<Event>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn session_events(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Event>>, Problem> {
    let filter = events::Filter { session: Some(id), ..events::Filter::default() };
    Ok(Json(Page::of(events::list(&app.pool, &filter, paging.limit()?, paging.cursor()).await?)))
}

/// How fine a traffic series is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Resolution {
    /// One point an interim report, the last 2,000.
    #[default]
    Report,
    /// One point every five minutes, the whole session.
    Rollup,
}

/// How fine a traffic series is.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TrafficQuery {
    /// `report` = one point an interim report, the last 2,000; `rollup` = one point every five minutes.
    #[serde(default)]
    #[param(inline, default = "report")]
    resolution: Resolution,
}

/// What a session moved over time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// The session.
    pub session_id: Uuid,
    /// Oldest first.
    pub points: Vec<TrafficPoint>,
}

/// A session's counters at a moment and its rate since the point before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPoint {
    /// The moment.
    pub at: Timestamp,
    /// Octets downloaded since the session's start.
    pub input_octets: u64,
    /// Octets uploaded since the session's start.
    pub output_octets: u64,
    /// Download since the point before, bit/s.
    pub input_bps: f64,
    /// Upload since the point before, bit/s.
    pub output_bps: f64,
}

/// A session's traffic, oldest point first.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/traffic", operation_id = "getSessionTraffic", tag = "sessions",
    params(("id" = Uuid, Path), TrafficQuery),
    responses((status = 200, body = Traffic), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn session_traffic(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Params(query): Params<TrafficQuery>,
) -> Result<Json<Traffic>, Problem> {
    let session = find(&app, id).await?;
    let samples = match query.resolution {
        Resolution::Report => traffic::samples(&app.pool, id).await?,
        Resolution::Rollup => traffic::rollup(&app.pool, id).await?,
    };
    Ok(Json(Traffic { session_id: id, points: points(session.started_at, &samples) }))
}

/// Rates between samples; before the first one the session had moved nothing. Counters that seem to run backwards, and samples
/// of one moment, make a rate of zero.
fn points(started_at: Timestamp, samples: &[Sample]) -> Vec<TrafficPoint> {
    let mut before = Sample { at: started_at, input_octets: 0, output_octets: 0 };
    let mut points = Vec::with_capacity(samples.len());
    for sample in samples {
        let seconds = sample.at.duration_since(before.at).as_secs_f64();
        let rate =
            |now: u64, then: u64| if seconds > 0.0 { now.saturating_sub(then) as f64 * 8.0 / seconds } else { 0.0 };
        points.push(TrafficPoint {
            at: sample.at,
            input_octets: sample.input_octets,
            output_octets: sample.output_octets,
            input_bps: rate(sample.input_octets, before.input_octets),
            output_bps: rate(sample.output_octets, before.output_octets),
        });
        before = *sample;
    }
    points
}

/// What came of an order to disconnect.
#[derive(Debug, Serialize, ToSchema)]
pub struct Disconnected {
    /// Always true: the gateway stopped the session and journalled it. Anything else is a problem.
    pub done: bool,
}

/// Disconnects the subscriber: needs the right to delete sessions.sessions.lastmile.io in the session's namespace.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/disconnect", operation_id = "disconnectSession", tag = "sessions",
    params(("id" = Uuid, Path)),
    responses((status = 200, body = Disconnected), (status = 409, description = "The gateway refused", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "The gateway did not answer", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn disconnect(
    State(app): State<App>,
    user: axum::Extension<User>,
    Path(id): Path<Uuid>,
) -> Result<Json<Disconnected>, Problem> {
    let session = find(&app, id).await?;
    app.auth.allow(&user, Verb::Delete, Some(session.bng_id.namespace())).await?;
    if session.ended.is_some() {
        return Err(Problem::new(http::StatusCode::CONFLICT, "the session has ended"));
    }
    app.gateways.disconnect(&session.bng_id, id).await?;
    tracing::info!(session = %id, user = %user.name, "session disconnected");
    Ok(Json(Disconnected { done: true }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_between_points() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let sample = |second, input_octets| Sample { at: at(second), input_octets, output_octets: 0 };
        let rates: Vec<f64> = points(at(0), &[sample(0, 0), sample(10, 1_000), sample(10, 2_000), sample(20, 500)])
            .iter()
            .map(|point| point.input_bps)
            .collect();
        assert_eq!(rates, [0.0, 800.0, 0.0, 0.0]);
    }
}
