//! The mirror of the custom resources that the operator keeps.

use jiff::Timestamp;
use sqlx::{PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use super::{StoreError, get_timestamp};

/// One custom resource as the operator last saw it.
#[derive(Debug, Clone)]
pub struct KubeStatusRow {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: Uuid,
    /// The generation of its spec.
    pub generation: i64,
    /// One word.
    pub phase: String,
    /// Kubernetes conditions.
    pub conditions: serde_json::Value,
    /// Where it runs.
    pub node: Option<String>,
    /// As the user wrote it.
    pub spec: serde_json::Value,
    /// When the operator wrote this.
    pub observed_at: Timestamp,
}

fn from_row(row: PgRow) -> Result<KubeStatusRow, sqlx::Error> {
    Ok(KubeStatusRow {
        namespace: row.try_get("namespace")?,
        name: row.try_get("name")?,
        uid: row.try_get("uid")?,
        generation: row.try_get("generation")?,
        phase: row.try_get("phase")?,
        conditions: row.try_get("conditions")?,
        node: row.try_get("node")?,
        spec: row.try_get("spec")?,
        observed_at: get_timestamp(&row, "observed_at")?,
    })
}

/// Every resource of a kind, by namespace and name.
pub async fn list(pool: &PgPool, kind: &str) -> Result<Vec<KubeStatusRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT namespace, name, uid, generation, phase, conditions, node, spec, observed_at FROM kube_status \
         WHERE kind = $1 ORDER BY namespace, name",
    )
    .bind(kind)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(from_row).collect::<Result<_, _>>()?)
}
