//! Access routers.

use jiff::Timestamp;
use lastmile_types::Octets;
use sqlx::{PgPool, QueryBuilder, Row, postgres::PgRow};

use super::{
    StoreError,
    cursor::{Page, decode},
    get_timestamp,
    sessions::push_bng,
};

/// One access router as its gateway last told of it.
#[derive(Debug, Clone)]
pub struct RouterRow {
    /// The gateway.
    pub bng_id: String,
    /// The name as it came.
    pub raw_id: Octets,
    /// The name, printable.
    pub name: String,
    /// The address it relays from.
    pub giaddr: Option<String>,
    /// Whether it answers.
    pub alive: bool,
    /// Round trip, microseconds.
    pub rtt_us: Option<i64>,
    /// When DHCP first came through it.
    pub first_seen: Timestamp,
    /// When it last showed life.
    pub last_seen: Timestamp,
    /// Active sessions through it.
    pub sessions: i64,
}

fn from_row(row: PgRow) -> Result<RouterRow, sqlx::Error> {
    Ok(RouterRow {
        bng_id: row.try_get("bng_id")?,
        raw_id: Octets::from(row.try_get::<Vec<u8>, _>("raw_id")?),
        name: row.try_get("name")?,
        giaddr: row.try_get("giaddr")?,
        alive: row.try_get("alive")?,
        rtt_us: row.try_get("rtt_us")?,
        first_seen: get_timestamp(&row, "first_seen")?,
        last_seen: get_timestamp(&row, "last_seen")?,
        sessions: row.try_get("sessions")?,
    })
}

/// Access routers by gateway and name.
pub async fn list(
    pool: &PgPool,
    bng: Option<&str>,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<RouterRow>, StoreError> {
    let mut query = QueryBuilder::new(
        "SELECT r.bng_id, r.raw_id, r.name, host(r.giaddr) AS giaddr, r.alive, r.rtt_us, r.first_seen, r.last_seen, (SELECT count(*) FROM sessions_active s \
         WHERE s.bng_id = r.bng_id AND s.router = r.name) AS sessions FROM (\
         SELECT bng_id, raw_id, name, giaddr, alive, rtt_us, first_seen, last_seen FROM access_routers WHERE true",
    );
    if let Some(bng) = bng {
        push_bng(&mut query, bng);
    }
    if let Some(cursor) = cursor {
        let (bng_id, raw_id): (String, Octets) = decode(cursor)?;
        query
            .push(" AND (bng_id, raw_id) > (")
            .push_bind(bng_id)
            .push(", ")
            .push_bind(raw_id.as_bytes().to_vec())
            .push(")");
    }
    query.push(" ORDER BY bng_id, raw_id LIMIT ").push_bind(limit as i64 + 1);
    query.push(") r ORDER BY bng_id, raw_id");
    let rows = query.build().fetch_all(pool).await?;
    let rows = rows.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |row| (row.bng_id.clone(), row.raw_id.clone())))
}
