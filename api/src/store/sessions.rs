//! Sessions: the active ones and those of the past, in one shape.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use lastmile_types::{
    BngId, Counters, MacAddr, Octets,
    session::{AuthState, SessionState, TerminateCause},
};
use sqlx::{PgPool, Postgres, QueryBuilder, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    StoreError, contains,
    cursor::{Page, decode},
    get_named, get_optional_timestamp, get_parsed, get_timestamp, get_u64, to_sql,
};

/// A session, active or of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRow {
    /// The session.
    pub id: Uuid,
    /// Its gateway.
    pub bng_id: BngId,
    /// The life of the gateway's journal that it belongs to.
    pub bng_instance_id: Uuid,
    /// Acct-Session-Id.
    pub acct_session_id: String,
    /// User-Name.
    pub subscriber: String,
    /// Agent Circuit ID.
    pub circuit_id: Octets,
    /// Agent Remote ID.
    pub remote_id: Octets,
    /// The access router's name.
    pub router: String,
    /// The access router's address.
    pub giaddr: Option<Ipv4Addr>,
    /// The client's hardware address.
    pub mac: MacAddr,
    /// The leased address.
    pub ip: Ipv4Addr,
    /// As the client named itself.
    pub hostname: Option<String>,
    /// EXPIRED once it ended.
    pub state: SessionState,
    /// What AAA said.
    pub auth: AuthState,
    /// The SubscriberPolicy in force.
    pub policy: Option<String>,
    /// Limit towards the subscriber, kbit/s.
    pub down_kbps: Option<i64>,
    /// Limit from the subscriber, kbit/s.
    pub up_kbps: Option<i64>,
    /// Octets and packets since its start.
    pub counters: Counters,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was last heard of.
    pub updated_at: Option<Timestamp>,
    /// When the lease ends.
    pub lease_expires_at: Option<Timestamp>,
    /// Set once it ended.
    pub ended: Option<EndedRow>,
    /// When the row last changed, in `session_revision`'s order.
    pub revision: i64,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedRow {
    /// When.
    pub at: Timestamp,
    /// Why, in RADIUS's words.
    pub cause: TerminateCause,
    /// Why, more exactly.
    pub detail: String,
    /// The operator closed it for a gateway that is gone.
    pub provisional: bool,
}

/// Both tables' columns in one shape.
const COMMON: &str = "session_id, bng_id, bng_instance_id, acct_session_id, subscriber, circuit_id, remote_id, router, \
    host(giaddr) AS giaddr, mac::text AS mac, host(ip) AS ip, hostname, auth::text AS auth, policy, down_kbps, up_kbps, \
    input_octets::text AS input_octets, output_octets::text AS output_octets, input_packets::text AS input_packets, \
    output_packets::text AS output_packets, started_at, revision";
const ACTIVE: &str = "state::text AS state, updated_at, lease_expires_at, NULL::timestamptz AS ended_at, \
    NULL::text AS terminate_cause, NULL::text AS terminate_detail, NULL::boolean AS provisional FROM sessions_active";
const HISTORY: &str = "'EXPIRED' AS state, NULL::timestamptz AS updated_at, NULL::timestamptz AS lease_expires_at, ended_at, \
    terminate_cause::text AS terminate_cause, terminate_detail, provisional FROM sessions_history";

fn select(table: &str) -> QueryBuilder<Postgres> {
    QueryBuilder::new(format!("SELECT {COMMON}, {table}"))
}

fn from_row(row: PgRow) -> Result<SessionRow, sqlx::Error> {
    let ended = match get_optional_timestamp(&row, "ended_at")? {
        None => None,
        Some(at) => Some(EndedRow {
            at,
            cause: get_named(&row, "terminate_cause")?,
            detail: row.try_get("terminate_detail")?,
            provisional: row.try_get("provisional")?,
        }),
    };
    Ok(SessionRow {
        id: row.try_get("session_id")?,
        bng_id: get_parsed(&row, "bng_id")?,
        bng_instance_id: row.try_get("bng_instance_id")?,
        acct_session_id: row.try_get("acct_session_id")?,
        subscriber: row.try_get("subscriber")?,
        circuit_id: Octets::from(row.try_get::<Vec<u8>, _>("circuit_id")?),
        remote_id: Octets::from(row.try_get::<Vec<u8>, _>("remote_id")?),
        router: row.try_get("router")?,
        giaddr: row.try_get::<Option<String>, _>("giaddr")?.and_then(|text| text.parse().ok()),
        mac: get_parsed(&row, "mac")?,
        ip: get_parsed(&row, "ip")?,
        hostname: row.try_get("hostname")?,
        state: get_named(&row, "state")?,
        auth: get_named(&row, "auth")?,
        policy: row.try_get("policy")?,
        down_kbps: row.try_get("down_kbps")?,
        up_kbps: row.try_get("up_kbps")?,
        counters: Counters {
            input_octets: get_u64(&row, "input_octets")?,
            output_octets: get_u64(&row, "output_octets")?,
            input_packets: get_u64(&row, "input_packets")?,
            output_packets: get_u64(&row, "output_packets")?,
        },
        started_at: get_timestamp(&row, "started_at")?,
        updated_at: get_optional_timestamp(&row, "updated_at")?,
        lease_expires_at: get_optional_timestamp(&row, "lease_expires_at")?,
        ended,
        revision: row.try_get("revision")?,
    })
}

/// Which sessions.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Found anywhere in subscriber, address, MAC, circuit-id or remote-id.
    pub text: Option<String>,
    /// `namespace/name`, or the name alone.
    pub bng: Option<String>,
    /// Only active sessions have one.
    pub state: Option<SessionState>,
    /// What AAA said.
    pub auth: Option<AuthState>,
}

impl Filter {
    /// Adds the filter's conditions, each with a leading `AND`.
    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        if let Some(bng) = &self.bng {
            push_bng(query, bng);
        }
        if let Some(state) = self.state {
            query.push(" AND state = ").push_bind(state.as_str()).push("::session_state");
        }
        if let Some(auth) = self.auth {
            query.push(" AND auth = ").push_bind(auth.as_str()).push("::auth_state");
        }
        if let Some(text) = &self.text {
            let pattern = contains(text);
            query.push(" AND (subscriber ILIKE ").push_bind(pattern.clone());
            query.push(" OR host(ip) ILIKE ").push_bind(pattern.clone());
            query.push(" OR mac::text ILIKE ").push_bind(pattern.clone());
            query.push(" OR encode(circuit_id, 'escape') ILIKE ").push_bind(pattern.clone());
            query.push(" OR encode(remote_id, 'escape') ILIKE ").push_bind(pattern).push(")");
        }
    }
}

/// Adds `AND bng_id …` for `namespace/name` or a name alone.
pub fn push_bng(query: &mut QueryBuilder<Postgres>, bng: &str) {
    if bng.contains('/') {
        query.push(" AND bng_id = ").push_bind(bng.to_owned());
    } else {
        query.push(" AND split_part(bng_id, '/', 2) = ").push_bind(bng.to_owned());
    }
}

async fn fetch(pool: &PgPool, mut query: QueryBuilder<Postgres>) -> Result<Vec<SessionRow>, StoreError> {
    let rows = query.build().fetch_all(pool).await?;
    Ok(rows.into_iter().map(from_row).collect::<Result<_, _>>()?)
}

/// Active sessions, the latest first (ids are UUIDv7).
pub async fn active(
    pool: &PgPool,
    filter: &Filter,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<SessionRow>, StoreError> {
    let mut query = select(ACTIVE);
    query.push(" WHERE true");
    filter.push(&mut query);
    if let Some(cursor) = cursor {
        query.push(" AND session_id < ").push_bind(decode::<Uuid>(cursor)?);
    }
    query.push(" ORDER BY session_id DESC LIMIT ").push_bind(limit as i64 + 1);
    Ok(Page::cut(fetch(pool, query).await?, limit, |row| row.id))
}

/// A moment and an id: the sort key of lists by time.
type TimeKey = (Timestamp, Uuid);

/// Sessions of the past that touched the time from `from` to `to`, the latest end first.
pub async fn history(
    pool: &PgPool,
    filter: &Filter,
    (from, to): (Option<Timestamp>, Option<Timestamp>),
    limit: usize,
    cursor: Option<&str>,
) -> Result<Page<SessionRow>, StoreError> {
    let mut query = select(HISTORY);
    query.push(" WHERE during && tstzrange(").push_bind(from.map(to_sql));
    query.push(", ").push_bind(to.map(to_sql)).push(", '[]')");
    filter.push(&mut query);
    if let Some(cursor) = cursor {
        let (ended_at, id): TimeKey = decode(cursor)?;
        query.push(" AND (ended_at, session_id) < (").push_bind(to_sql(ended_at)).push(", ").push_bind(id).push(")");
    }
    query.push(" ORDER BY ended_at DESC, session_id DESC LIMIT ").push_bind(limit as i64 + 1);
    let key = |row: &SessionRow| (row.ended.as_ref().map_or(row.started_at, |ended| ended.at), row.id);
    Ok(Page::cut(fetch(pool, query).await?, limit, key))
}

/// One session, active or of the past.
pub async fn one(pool: &PgPool, id: Uuid) -> Result<Option<SessionRow>, StoreError> {
    for table in [ACTIVE, HISTORY] {
        let mut query = select(table);
        query.push(" WHERE session_id = ").push_bind(id);
        if let Some(row) = fetch(pool, query).await?.pop() {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Which active sessions Kubernetes asks for: pages in id order within a namespace.
#[derive(Debug, Clone, Default)]
pub struct KubeFilter {
    /// All namespaces, or one.
    pub namespace: Option<String>,
    /// One session.
    pub id: Option<Uuid>,
    /// Behind this one in the order of ids.
    pub after: Option<Uuid>,
    /// At most so many.
    pub limit: Option<i64>,
}

/// Active sessions, oldest first, and the revision they were seen at.
pub async fn active_at_revision(pool: &PgPool, filter: &KubeFilter) -> Result<(i64, Vec<SessionRow>), StoreError> {
    // One snapshot for both: the revision read must be that of the rows.
    let mut transaction = pool.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *transaction).await?;
    let revision: i64 = sqlx::query_scalar("SELECT value FROM session_revision").fetch_one(&mut *transaction).await?;
    let mut query = select(ACTIVE);
    query.push(" WHERE true");
    push_kube(&mut query, filter);
    query.push(" ORDER BY session_id");
    if let Some(limit) = filter.limit {
        query.push(" LIMIT ").push_bind(limit);
    }
    let rows = query.build().fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    Ok((revision, rows.into_iter().map(from_row).collect::<Result<_, _>>()?))
}

fn push_kube(query: &mut QueryBuilder<Postgres>, filter: &KubeFilter) {
    if let Some(namespace) = &filter.namespace {
        query.push(" AND split_part(bng_id, '/', 1) = ").push_bind(namespace.clone());
    }
    if let Some(id) = filter.id {
        query.push(" AND session_id = ").push_bind(id);
    }
    if let Some(after) = filter.after {
        query.push(" AND session_id > ").push_bind(after);
    }
}

/// What changed after `after`, up to and including `through`, in the order of revisions: active rows as they are, and
/// rows of the past for what ended.
pub async fn changes(pool: &PgPool, after: i64, through: i64) -> Result<Vec<SessionRow>, StoreError> {
    let mut transaction = pool.begin().await?;
    // A row that moves between the two questions would be missed or seen twice.
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *transaction).await?;
    let mut rows = Vec::new();
    for table in [ACTIVE, HISTORY] {
        let mut query = select(table);
        query.push(" WHERE revision > ").push_bind(after).push(" AND revision <= ").push_bind(through);
        for row in query.build().fetch_all(&mut *transaction).await? {
            rows.push(from_row(row)?);
        }
    }
    transaction.commit().await?;
    rows.sort_by_key(|row| (row.revision, row.id));
    Ok(rows)
}
