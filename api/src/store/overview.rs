//! Totals.

use sqlx::{PgPool, Row};

use super::StoreError;

/// Sessions, gateways and routers, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Active sessions.
    pub sessions: i64,
    /// Of those PENDING.
    pub pending: i64,
    /// Of those ACTIVE.
    pub active: i64,
    /// Of those IDLE.
    pub idle: i64,
    /// Of those PENDING_AUTH.
    pub pending_auth: i64,
    /// Of those AUTHORIZED.
    pub authorized: i64,
    /// Of those REJECTED.
    pub rejected: i64,
    /// Gateways heard of.
    pub bngs: i64,
    /// Of those, heard of within the last minute.
    pub bngs_up: i64,
    /// Access routers.
    pub routers: i64,
    /// Of those alive.
    pub routers_alive: i64,
}

/// The totals now.
pub async fn totals(pool: &PgPool) -> Result<Totals, StoreError> {
    let row = sqlx::query(
        "SELECT s.*, b.*, r.* FROM \
         (SELECT count(*) AS sessions, count(*) FILTER (WHERE state = 'PENDING') AS pending, \
            count(*) FILTER (WHERE state = 'ACTIVE') AS active, count(*) FILTER (WHERE state = 'IDLE') AS idle, \
            count(*) FILTER (WHERE auth = 'PENDING_AUTH') AS pending_auth, \
            count(*) FILTER (WHERE auth = 'AUTHORIZED') AS authorized, \
            count(*) FILTER (WHERE auth = 'REJECTED') AS rejected FROM sessions_active) s, \
         (SELECT count(*) AS bngs, count(*) FILTER (WHERE last_seen >= now() - interval '60 seconds') AS bngs_up \
            FROM bng_registry) b, \
         (SELECT count(*) AS routers, count(*) FILTER (WHERE alive) AS routers_alive FROM access_routers) r",
    )
    .fetch_one(pool)
    .await?;
    Ok(Totals {
        sessions: row.try_get("sessions")?,
        pending: row.try_get("pending")?,
        active: row.try_get("active")?,
        idle: row.try_get("idle")?,
        pending_auth: row.try_get("pending_auth")?,
        authorized: row.try_get("authorized")?,
        rejected: row.try_get("rejected")?,
        bngs: row.try_get("bngs")?,
        bngs_up: row.try_get("bngs_up")?,
        routers: row.try_get("routers")?,
        routers_alive: row.try_get("routers_alive")?,
    })
}
