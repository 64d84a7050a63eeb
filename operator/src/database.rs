//! PostgreSQL: what the operator reads of sessions and routers. Its absence never stops a controller.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use sqlx::{
    PgPool, Row,
    postgres::PgPoolOptions,
    types::{ipnet::IpNet, time::OffsetDateTime},
};

/// Why nothing was read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The release has none.
    #[error("no database is configured")]
    NotConfigured,
    /// The file with its URL.
    #[error("the file with the database's URL")]
    File(#[from] std::io::Error),
    /// The database itself.
    #[error("the database")]
    Sql(#[from] sqlx::Error),
}

/// PostgreSQL, connected when it is first needed.
pub struct Database {
    url_file: Option<PathBuf>,
    pool: Mutex<Option<(String, PgPool)>>,
}

/// A router as the gateways reported it.
#[derive(Debug, Clone, PartialEq)]
pub struct RouterRow {
    /// `namespace/name` of the gateway.
    pub bng_id: String,
    /// The name's octets.
    pub raw_id: Vec<u8>,
    /// The name, printable.
    pub name: String,
    /// The address it relays from.
    pub giaddr: Option<std::net::IpAddr>,
    /// It answers.
    pub alive: bool,
    /// Last round trip, microseconds.
    pub rtt_us: Option<i64>,
    /// When DHCP first came through it.
    pub first_seen: Timestamp,
    /// When it last showed life.
    pub last_seen: Timestamp,
    /// Sessions behind it.
    pub sessions: i64,
}

impl Database {
    /// Nothing is contacted yet.
    pub fn new(url_file: Option<PathBuf>) -> Self {
        Self { url_file, pool: Mutex::new(None) }
    }

    /// The connections; a changed URL gives new ones.
    pub fn pool(&self) -> Result<PgPool, DatabaseError> {
        let file = self.url_file.as_ref().ok_or(DatabaseError::NotConfigured)?;
        let url = std::fs::read_to_string(file)?.trim().to_owned();
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = pool.as_ref().filter(|(known, _)| *known == url) {
            return Ok(known.clone());
        }
        let options = PgPoolOptions::new().max_connections(3).acquire_timeout(Duration::from_secs(3));
        let fresh = options.connect_lazy(&url)?;
        *pool = Some((url, fresh.clone()));
        Ok(fresh)
    }

    /// Every router that a gateway reported.
    pub async fn routers(&self) -> Result<Vec<RouterRow>, DatabaseError> {
        let rows = sqlx::query(
            "SELECT r.bng_id, r.raw_id, r.name, r.giaddr, r.alive, r.rtt_us, r.first_seen, r.last_seen, \
             (SELECT count(*) FROM sessions_active s WHERE s.bng_id = r.bng_id AND s.router = r.name) AS sessions \
             FROM access_routers r ORDER BY r.bng_id, r.raw_id",
        )
        .fetch_all(&self.pool()?)
        .await?;
        rows.iter().map(router).collect::<Result<_, _>>().map_err(DatabaseError::from)
    }

    /// Sessions by (namespace, policy).
    pub async fn sessions_by_policy(&self) -> Result<HashMap<(String, String), i64>, DatabaseError> {
        let rows = sqlx::query(
            "SELECT split_part(bng_id, '/', 1) AS namespace, policy, count(*) AS sessions FROM sessions_active \
             WHERE policy IS NOT NULL GROUP BY 1, 2",
        )
        .fetch_all(&self.pool()?)
        .await?;
        let one = |row: &sqlx::postgres::PgRow| -> Result<_, sqlx::Error> {
            Ok(((row.try_get("namespace")?, row.try_get("policy")?), row.try_get("sessions")?))
        };
        rows.iter().map(one).collect::<Result<_, _>>().map_err(DatabaseError::from)
    }
}

fn router(row: &sqlx::postgres::PgRow) -> Result<RouterRow, sqlx::Error> {
    let time = |column: &str| -> Result<Timestamp, sqlx::Error> {
        let at: OffsetDateTime = row.try_get(column)?;
        Ok(Timestamp::from_nanosecond(at.unix_timestamp_nanos()).unwrap_or(Timestamp::UNIX_EPOCH))
    };
    Ok(RouterRow {
        bng_id: row.try_get("bng_id")?,
        raw_id: row.try_get("raw_id")?,
        name: row.try_get("name")?,
        giaddr: row.try_get::<Option<IpNet>, _>("giaddr")?.map(|giaddr| giaddr.addr()),
        alive: row.try_get("alive")?,
        rtt_us: row.try_get("rtt_us")?,
        first_seen: time("first_seen")?,
        last_seen: time("last_seen")?,
        sessions: row.try_get("sessions")?,
    })
}
