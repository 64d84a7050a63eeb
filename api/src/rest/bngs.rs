//! `/bngs`.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{model::Page, problem::Problem, query::Params};
use crate::{
    app::App,
    store::{
        bngs::{self, BngRow, HealthRow},
        kube_status::{self, KubeStatusRow},
    },
};

/// A gateway: what Kubernetes says of it and what it says itself.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bng {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// No event for 60 seconds, or none ever.
    pub stale: bool,
    /// The operator's word for it; null when Kubernetes has no such object (any more).
    #[schema(required)]
    pub phase: Option<String>,
    /// The Kubernetes node.
    #[schema(required)]
    pub node: Option<String>,
    /// As the operator last saw them.
    pub conditions: Vec<Condition>,
    /// The life of its journal; null until it was heard of.
    #[schema(required)]
    pub instance_id: Option<Uuid>,
    /// Its last event.
    #[schema(required)]
    pub last_seq: Option<i64>,
    /// When it was first heard of.
    #[schema(required)]
    pub first_seen: Option<Timestamp>,
    /// When it was last heard of.
    #[schema(required)]
    pub last_seen: Option<Timestamp>,
    /// Active sessions.
    pub sessions: i64,
    /// Of those, authorised ones.
    pub authorized: i64,
    /// Its last report.
    #[schema(required)]
    pub health: Option<Health>,
}

/// A Kubernetes condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Its type, e.g. `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word.
    #[serde(default)]
    pub reason: String,
    /// Why, for people.
    #[serde(default)]
    pub message: String,
    /// Since when.
    #[serde(default)]
    #[schema(required)]
    pub last_transition_time: Option<Timestamp>,
}

/// A gateway's load over the interval before a report.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// When the report was made.
    pub at: Timestamp,
    /// Cores in use (1.0 = one core busy).
    pub cpu_cores: f64,
    /// Memory, octets.
    pub memory_bytes: i64,
    /// Sessions that have an address.
    pub sessions: i64,
    /// Of those, authorised ones.
    pub authorized: i64,
    /// Seconds since the daemon started.
    pub uptime_seconds: i64,
}

impl From<HealthRow> for Health {
    fn from(row: HealthRow) -> Self {
        Self {
            at: row.ts,
            cpu_cores: row.cpu_cores,
            memory_bytes: row.memory_bytes,
            sessions: row.sessions,
            authorized: row.authorized,
            uptime_seconds: row.uptime_seconds,
        }
    }
}

/// Conditions that can be read; others are left out.
pub fn conditions(value: serde_json::Value) -> Vec<Condition> {
    let serde_json::Value::Array(items) = value else { return Vec::new() };
    items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect()
}

/// Both halves by id: a gateway may be declared and not heard of yet, or heard of and not declared any more.
fn join(registry: Vec<BngRow>, mirror: Vec<KubeStatusRow>) -> Vec<Bng> {
    let mut bngs = BTreeMap::<(String, String), Bng>::new();
    for row in mirror {
        let key = (row.namespace.clone(), row.name.clone());
        bngs.insert(
            key,
            Bng {
                namespace: row.namespace,
                name: row.name,
                stale: true,
                phase: Some(row.phase),
                node: row.node,
                conditions: conditions(row.conditions),
                ..Bng::default()
            },
        );
    }
    for row in registry {
        let (namespace, name) = row.bng_id.split_once('/').unwrap_or(("", &row.bng_id));
        let bng = bngs.entry((namespace.to_owned(), name.to_owned())).or_insert_with(|| Bng {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Bng::default()
        });
        bng.stale = row.stale;
        bng.instance_id = Some(row.instance_id);
        bng.last_seq = Some(row.last_seq);
        bng.first_seen = Some(row.first_seen);
        bng.last_seen = Some(row.last_seen);
        bng.sessions = row.sessions;
        bng.authorized = row.authorized;
        bng.health = row.health.map(Into::into);
    }
    bngs.into_values().collect()
}

/// All gateways, by namespace and name: one page.
#[utoipa::path(get, path = "/api/v1/bngs", operation_id = "listBngs", tag = "bngs",
    responses((status = 200, body = Page<Bng>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<App>) -> Result<Json<Page<Bng>>, Problem> {
    let registry = bngs::list(&app.pool).await?;
    let mirror = kube_status::list(&app.pool, "BNG").await?;
    Ok(Json(Page { items: join(registry, mirror), next_cursor: None }))
}

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HealthQuery {
    /// Minutes back from now, 1 to 10,080; 60 unless given.
    #[param(minimum = 1, maximum = 10080, default = 60)]
    minutes: Option<u32>,
}

/// A gateway's health reports, oldest first: at most the last 2,000.
#[utoipa::path(get, path = "/api/v1/bngs/{namespace}/{name}/health", operation_id = "listBngHealth", tag = "bngs",
    params(("namespace" = String, Path), ("name" = String, Path), HealthQuery),
    responses((status = 200, body = Page<Health>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn health(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
    Params(query): Params<HealthQuery>,
) -> Result<Json<Page<Health>>, Problem> {
    let minutes = query.minutes.unwrap_or(60).clamp(1, 10_080);
    let series = bngs::health_series(&app.pool, &format!("{namespace}/{name}"), minutes).await?;
    Ok(Json(Page { items: series.into_iter().map(Into::into).collect(), next_cursor: None }))
}
