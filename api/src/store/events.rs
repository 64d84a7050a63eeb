//! The event log.

use jiff::Timestamp;
use sqlx::{PgPool, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    StoreError,
    cursor::{Page, decode},
    get_timestamp,
    sessions::push_bng,
    to_sql,
};

/// One event as it was ingested.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// The gateway.
    pub bng_id: String,
    /// The life of its journal.
    pub bng_instance_id: Uuid,
    /// Its place in the instance's order.
    pub seq: i64,
    /// When the gateway journalled it.
    pub ts: Timestamp,
    /// One of the six kinds.
    pub event_type: String,
    /// The session it is about.
    pub session_id: Option<Uuid>,
    /// As the gateway sent it.
    pub payload: serde_json::Value,
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// One kind.
    pub event_type: Option<String>,
    /// One gateway.
    pub bng: Option<String>,
    /// One session.
    pub session: Option<Uuid>,
}

type Key = (Timestamp, Uuid, i64);

fn from_row(row: PgRow) -> Result<EventRow, sqlx::Error> {
    Ok(EventRow {
        bng_id: row.try_get("bng_id")?,
        bng_instance_id: row.try_get("bng_instance_id")?,
        seq: row.try_get("seq")?,
        ts: get_timestamp(&row, "ts")?,
        event_type: row.try_get("event_type")?,
        session_id: row.try_get("session_id")?,
        payload: row.try_get("payload")?,
    })
}

/// Events, the latest first.
pub async fn list(
    pool: &PgPool,
    filter: &Filter,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<EventRow>, StoreError> {
    let mut query = QueryBuilder::new(
        "SELECT bng_id, bng_instance_id, seq, ts, event_type::text AS event_type, session_id, payload \
         FROM session_events WHERE true",
    );
    if let Some(event_type) = &filter.event_type {
        query.push(" AND event_type = ").push_bind(event_type.clone()).push("::event_type");
    }
    if let Some(bng) = &filter.bng {
        push_bng(&mut query, bng);
    }
    if let Some(session) = filter.session {
        query.push(" AND session_id = ").push_bind(session);
    }
    if let Some(cursor) = cursor {
        let (ts, instance, seq): Key = decode(cursor)?;
        query.push(" AND (ts, bng_instance_id, seq) < (").push_bind(to_sql(ts));
        query.push(", ").push_bind(instance).push(", ").push_bind(seq).push(")");
    }
    query.push(" ORDER BY ts DESC, bng_instance_id DESC, seq DESC LIMIT ").push_bind(limit as i64 + 1);
    let rows = query.build().fetch_all(pool).await?;
    let rows = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |row| (row.ts, row.bng_instance_id, row.seq)))
}
