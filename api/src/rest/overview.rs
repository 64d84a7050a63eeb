//! `/overview` and `/me`.

use axum::{Extension, Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::{
    app::App,
    auth::{User, Verb},
    store::{overview, traffic},
};

/// The network at a glance.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    /// Active sessions.
    pub sessions: SessionTotals,
    /// Gateways.
    pub bngs: BngTotals,
    /// Access routers.
    pub routers: RouterTotals,
    /// What all subscribers moved together.
    pub throughput: Throughput,
    /// When this was so.
    pub at: Timestamp,
}

/// Active sessions, counted.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionTotals {
    /// All.
    pub total: i64,
    /// State PENDING.
    pub pending: i64,
    /// State ACTIVE.
    pub active: i64,
    /// State IDLE.
    pub idle: i64,
    /// AAA has not answered.
    pub pending_auth: i64,
    /// Access-Accept.
    pub authorized: i64,
    /// Access-Reject.
    pub rejected: i64,
}

/// Gateways, counted.
#[derive(Debug, Serialize, ToSchema)]
pub struct BngTotals {
    /// All that were ever heard of.
    pub total: i64,
    /// Heard of within the last 60 seconds.
    pub up: i64,
    /// The others.
    pub stale: i64,
}

/// Access routers, counted.
#[derive(Debug, Serialize, ToSchema)]
pub struct RouterTotals {
    /// All.
    pub total: i64,
    /// Those that answer.
    pub alive: i64,
}

/// What all subscribers moved together.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Throughput {
    /// Download in the latest bucket, bit/s.
    pub input_bps: f64,
    /// Upload in the latest bucket, bit/s.
    pub output_bps: f64,
    /// The last hour in buckets of five minutes, oldest first.
    pub points: Vec<ThroughputPoint>,
}

/// One bucket of five minutes.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThroughputPoint {
    /// The bucket's start.
    pub at: Timestamp,
    /// Download on average, bit/s.
    pub input_bps: f64,
    /// Upload on average, bit/s.
    pub output_bps: f64,
}

/// The network at a glance.
#[utoipa::path(get, path = "/api/v1/overview", operation_id = "getOverview", tag = "overview",
    responses((status = 200, body = Overview), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn overview(State(app): State<App>) -> Result<Json<Overview>, Problem> {
    let totals = overview::totals(&app.pool).await?;
    let buckets = traffic::throughput(&app.pool).await?;
    let points: Vec<_> = buckets
        .iter()
        .map(|bucket| ThroughputPoint { at: bucket.at, input_bps: bucket.input_bps, output_bps: bucket.output_bps })
        .collect();
    // A bucket that is over without a successor means that nothing was counted lately.
    let now = Timestamp::now();
    let latest = points.last().filter(|point| now.duration_since(point.at).as_secs() < 600);
    Ok(Json(Overview {
        sessions: SessionTotals {
            total: totals.sessions,
            pending: totals.pending,
            active: totals.active,
            idle: totals.idle,
            pending_auth: totals.pending_auth,
            authorized: totals.authorized,
            rejected: totals.rejected,
        },
        bngs: BngTotals { total: totals.bngs, up: totals.bngs_up, stale: totals.bngs - totals.bngs_up },
        routers: RouterTotals { total: totals.routers, alive: totals.routers_alive },
        throughput: Throughput {
            input_bps: latest.map_or(0.0, |point| point.input_bps),
            output_bps: latest.map_or(0.0, |point| point.output_bps),
            points,
        },
        at: now,
    }))
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The Kubernetes user.
    pub name: String,
    /// May delete sessions.sessions.lastmile.io in every namespace.
    pub can_disconnect: bool,
}

/// Who asks, and what they may do.
#[utoipa::path(get, path = "/api/v1/me", operation_id = "getMe", tag = "overview",
    responses((status = 200, body = Me), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn me(State(app): State<App>, Extension(user): Extension<User>) -> Json<Me> {
    let can_disconnect = app.auth.allow(&user, Verb::Delete, None).await.is_ok();
    Json(Me { name: user.name, can_disconnect })
}
