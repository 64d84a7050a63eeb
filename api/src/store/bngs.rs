//! Gateways: what their events say.

use jiff::Timestamp;
use sqlx::{PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use super::{StoreError, get_optional_timestamp, get_timestamp};

/// A gateway that was heard of.
#[derive(Debug, Clone)]
pub struct BngRow {
    /// `namespace/name`.
    pub bng_id: String,
    /// The life of its journal.
    pub instance_id: Uuid,
    /// The last event.
    pub last_seq: i64,
    /// When it was first heard of.
    pub first_seen: Timestamp,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// No event for a minute, by the database's clock.
    pub stale: bool,
    /// Active sessions.
    pub sessions: i64,
    /// Of those, authorised ones.
    pub authorized: i64,
    /// Its last health report.
    pub health: Option<HealthRow>,
}

/// One health report.
#[derive(Debug, Clone)]
pub struct HealthRow {
    /// When it was made.
    pub ts: Timestamp,
    /// Cores in use.
    pub cpu_cores: f64,
    /// Memory in octets.
    pub memory_bytes: i64,
    /// Sessions that have an address.
    pub sessions: i64,
    /// Of those, authorised ones.
    pub authorized: i64,
    /// Seconds since the daemon started.
    pub uptime_seconds: i64,
}

fn health(row: &PgRow, ts: Timestamp) -> Result<HealthRow, sqlx::Error> {
    Ok(HealthRow {
        ts,
        cpu_cores: row.try_get("cpu_cores")?,
        memory_bytes: row.try_get("memory_bytes")?,
        sessions: row.try_get("health_sessions")?,
        authorized: row.try_get("health_authorized")?,
        uptime_seconds: row.try_get("uptime_seconds")?,
    })
}

/// Every gateway that was heard of, by id.
pub async fn list(pool: &PgPool) -> Result<Vec<BngRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT b.bng_id, b.bng_instance_id, b.last_seq, b.first_seen, b.last_seen, \
           b.last_seen < now() - interval '60 seconds' AS stale, s.sessions, s.authorized, h.ts, h.cpu_cores, \
           h.memory_bytes, h.sessions AS health_sessions, h.authorized AS health_authorized, h.uptime_seconds \
         FROM bng_registry b \
         LEFT JOIN LATERAL (SELECT count(*) AS sessions, count(*) FILTER (WHERE auth = 'AUTHORIZED') AS authorized \
           FROM sessions_active a WHERE a.bng_id = b.bng_id) s ON true \
         LEFT JOIN LATERAL (SELECT * FROM bng_health_events e WHERE e.bng_id = b.bng_id ORDER BY ts DESC LIMIT 1) h ON true \
         ORDER BY b.bng_id",
    )
    .fetch_all(pool)
    .await?;
    let mut bngs = Vec::with_capacity(rows.len());
    for row in &rows {
        bngs.push(BngRow {
            bng_id: row.try_get("bng_id")?,
            instance_id: row.try_get("bng_instance_id")?,
            last_seq: row.try_get("last_seq")?,
            first_seen: get_timestamp(row, "first_seen")?,
            last_seen: get_timestamp(row, "last_seen")?,
            stale: row.try_get("stale")?,
            sessions: row.try_get("sessions")?,
            authorized: row.try_get("authorized")?,
            health: match get_optional_timestamp(row, "ts")? {
                Some(ts) => Some(health(row, ts)?),
                None => None,
            },
        });
    }
    Ok(bngs)
}

/// A gateway's health reports of the last `minutes`, oldest first, at most 2,000.
pub async fn health_series(pool: &PgPool, bng_id: &str, minutes: u32) -> Result<Vec<HealthRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT ts, cpu_cores, memory_bytes, sessions AS health_sessions, authorized AS health_authorized, uptime_seconds \
         FROM bng_health_events WHERE bng_id = $1 AND ts > now() - make_interval(mins => $2) ORDER BY ts DESC LIMIT 2000",
    )
    .bind(bng_id)
    .bind(minutes as i32)
    .fetch_all(pool)
    .await?;
    let mut series = Vec::with_capacity(rows.len());
    for row in rows.iter().rev() {
        series.push(health(row, get_timestamp(row, "ts")?)?);
    }
    Ok(series)
}
