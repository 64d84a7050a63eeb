//! `/policies`.

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    bngs::{Condition, conditions},
    model::Page,
    problem::Problem,
};
use crate::{app::App, store::kube_status};

/// A SubscriberPolicy as the operator last saw it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid in Kubernetes.
    pub uid: Uuid,
    /// The generation of its spec.
    pub generation: i64,
    /// The operator's word for it.
    pub phase: String,
    /// As the operator last saw them.
    pub conditions: Vec<Condition>,
    /// As the user wrote it.
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    pub spec: serde_json::Value,
    /// When the operator last wrote this.
    pub observed_at: Timestamp,
}

/// All policies, by namespace and name: one page.
#[utoipa::path(get, path = "/api/v1/policies", operation_id = "listPolicies", tag = "policies",
    responses((status = 200, body = Page<Policy>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<App>) -> Result<Json<Page<Policy>>, Problem> {
    let rows = kube_status::list(&app.pool, "SubscriberPolicy").await?;
    let policy = |row: kube_status::KubeStatusRow| Policy {
        namespace: row.namespace,
        name: row.name,
        uid: row.uid,
        generation: row.generation,
        phase: row.phase,
        conditions: conditions(row.conditions),
        spec: row.spec,
        observed_at: row.observed_at,
    };
    Ok(Json(Page { items: rows.into_iter().map(policy).collect(), next_cursor: None }))
}
