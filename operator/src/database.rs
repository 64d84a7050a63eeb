//! PostgreSQL: what the operator reads of sessions and routers. Its absence never stops a controller.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use lastmile_types::{
    BngId, Counters, InstanceId, Octets, SessionId,
    event::Position,
    session::{Rates, SessionSnapshot, SessionState},
};
use sqlx::{
    PgPool, Row,
    postgres::{PgPoolOptions, PgRow},
    types::{ipnet::IpNet, time::OffsetDateTime},
};

use crate::audit::Orphan;

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
    pub giaddr: Option<IpAddr>,
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

    /// Gateways that reported once and have no BNG object.
    pub async fn gateways_without_object(&self) -> Result<BTreeSet<BngId>, DatabaseError> {
        let rows = sqlx::query(
            "SELECT r.bng_id FROM bng_registry r WHERE NOT EXISTS \
             (SELECT 1 FROM kube_status k WHERE k.kind = 'BNG' AND k.namespace || '/' || k.name = r.bng_id)",
        )
        .fetch_all(&self.pool()?)
        .await?;
        let ids: Vec<String> = rows.iter().map(|row| row.try_get("bng_id")).collect::<Result<_, sqlx::Error>>()?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// Live sessions of a gateway that do not come from its `current` instance, at most a thousand.
    pub async fn orphans(&self, id: &BngId, current: Option<InstanceId>) -> Result<Vec<Orphan>, DatabaseError> {
        let rows = sqlx::query(
            "SELECT *, mac::text AS mac_text, auth::text AS auth_text, \
             input_octets::text AS input_octets_text, output_octets::text AS output_octets_text, \
             input_packets::text AS input_packets_text, output_packets::text AS output_packets_text \
             FROM sessions_active WHERE bng_id = $1 AND ($2::uuid IS NULL OR bng_instance_id < $2) \
             ORDER BY session_id LIMIT 1000",
        )
        .bind(id.as_str())
        .bind(current.map(|instance| instance.0))
        .fetch_all(&self.pool()?)
        .await?;
        rows.iter().map(orphan).collect::<Result<_, _>>().map_err(DatabaseError::from)
    }
}

fn orphan(row: &PgRow) -> Result<Orphan, sqlx::Error> {
    let number = |column: &str| -> Result<u64, sqlx::Error> {
        let text: String = row.try_get(column)?;
        text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
    };
    let ipv4 = |net: IpNet| match net.addr() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    let kbps = |column: &str| -> Result<Option<u32>, sqlx::Error> {
        Ok(row.try_get::<Option<i64>, _>(column)?.and_then(|rate| u32::try_from(rate).ok()))
    };
    let (started_at, updated_at) = (time(row, "started_at")?, time(row, "updated_at")?);
    let session = SessionSnapshot {
        session_id: SessionId(row.try_get("session_id")?),
        acct_session_id: row.try_get("acct_session_id")?,
        subscriber: row.try_get("subscriber")?,
        circuit_id: Octets::from(row.try_get::<Vec<u8>, _>("circuit_id")?),
        remote_id: Octets::from(row.try_get::<Vec<u8>, _>("remote_id")?),
        router: row.try_get("router")?,
        giaddr: row.try_get::<Option<IpNet>, _>("giaddr")?.and_then(ipv4),
        mac: decoded(row.try_get::<String, _>("mac_text")?.parse())?,
        ip: ipv4(row.try_get("ip")?).unwrap_or(Ipv4Addr::UNSPECIFIED),
        hostname: row.try_get("hostname")?,
        adopted: false,
        state: SessionState::Expired,
        auth: decoded(serde_json::from_value(row.try_get::<String, _>("auth_text")?.into()))?,
        policy: row.try_get("policy")?,
        rates: Rates { down_kbps: kbps("down_kbps")?, up_kbps: kbps("up_kbps")?, ..Rates::default() },
        counters: Counters {
            input_octets: number("input_octets_text")?,
            output_octets: number("output_octets_text")?,
            input_packets: number("input_packets_text")?,
            output_packets: number("output_packets_text")?,
        },
        started_at,
        elapsed_ms: u64::try_from(updated_at.duration_since(started_at).as_millis()).unwrap_or(0),
        lease_expires_at: time(row, "lease_expires_at")?,
        ended: None,
    };
    let seq = u64::try_from(row.try_get::<i64, _>("last_seq")?).unwrap_or(0);
    Ok(Orphan { session, last: Position { bng_instance_id: InstanceId(row.try_get("bng_instance_id")?), seq } })
}

fn decoded<T, E: std::error::Error + Send + Sync + 'static>(value: Result<T, E>) -> Result<T, sqlx::Error> {
    value.map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn time(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    let at: OffsetDateTime = row.try_get(column)?;
    Ok(Timestamp::from_nanosecond(at.unix_timestamp_nanos()).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn router(row: &PgRow) -> Result<RouterRow, sqlx::Error> {
    Ok(RouterRow {
        bng_id: row.try_get("bng_id")?,
        raw_id: row.try_get("raw_id")?,
        name: row.try_get("name")?,
        giaddr: row.try_get::<Option<IpNet>, _>("giaddr")?.map(|giaddr| giaddr.addr()),
        alive: row.try_get("alive")?,
        rtt_us: row.try_get("rtt_us")?,
        first_seen: time(row, "first_seen")?,
        last_seen: time(row, "last_seen")?,
        sessions: row.try_get("sessions")?,
    })
}
