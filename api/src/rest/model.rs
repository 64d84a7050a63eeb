//! What the answers have in common: pages and sessions.

use jiff::Timestamp;
use lastmile_types::Counters;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::store::{cursor, sessions::SessionRow};

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The rows, in order.
    pub items: Vec<T>,
    /// For `cursor` of the next request; null = this is the last page.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Rows of the store in the API's form.
    pub fn of<R: Into<T>>(page: cursor::Page<R>) -> Self {
        Self { items: page.rows.into_iter().map(Into::into).collect(), next_cursor: page.next }
    }
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SessionState {
    /// It has an address, no traffic was seen yet.
    Pending,
    /// Traffic was seen lately.
    Active,
    /// No upload for a while.
    Idle,
    /// It ended.
    Expired,
}

/// What AAA said of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthState {
    /// No answer yet.
    PendingAuth,
    /// Access-Accept.
    Authorized,
    /// Access-Reject.
    Rejected,
}

/// Both forms of an enum have the same variants: one in the types every part shares, one with an OpenAPI schema.
macro_rules! same {
    ($a:path, $b:path { $($variant:ident),* }) => {
        impl From<$a> for $b {
            fn from(value: $a) -> Self {
                use $a as A;
                match value { $(A::$variant => Self::$variant),* }
            }
        }
        impl From<$b> for $a {
            fn from(value: $b) -> Self {
                use $b as B;
                match value { $(B::$variant => Self::$variant),* }
            }
        }
    };
}
same!(lastmile_types::session::SessionState, SessionState { Pending, Active, Idle, Expired });
same!(lastmile_types::session::AuthState, AuthState { PendingAuth, Authorized, Rejected });

/// What a subscriber moved since the session's start, in IP octets and packets. Input is download, output is upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionCounters {
    /// Octets downloaded.
    pub input_octets: u64,
    /// Octets uploaded.
    pub output_octets: u64,
    /// Packets downloaded.
    pub input_packets: u64,
    /// Packets uploaded.
    pub output_packets: u64,
}

impl From<Counters> for SessionCounters {
    fn from(c: Counters) -> Self {
        Self {
            input_octets: c.input_octets,
            output_octets: c.output_octets,
            input_packets: c.input_packets,
            output_packets: c.output_packets,
        }
    }
}

/// A session, active or of the past.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// The session.
    pub id: Uuid,
    /// Its name in Kubernetes, `s-<id>`.
    pub name: String,
    /// The gateway's namespace.
    pub namespace: String,
    /// The gateway's name.
    pub bng: String,
    /// The life of the gateway's journal that it belongs to.
    pub bng_instance_id: Uuid,
    /// Acct-Session-Id (RFC 2866 §5.5).
    pub acct_session_id: String,
    /// User-Name as sent to RADIUS.
    pub subscriber: String,
    /// Agent Circuit ID (RFC 3046 §3.1); octets that are not printable ASCII as `\xNN`.
    pub circuit_id: String,
    /// Agent Remote ID (RFC 3046 §3.2); octets that are not printable ASCII as `\xNN`.
    pub remote_id: String,
    /// The access router's name.
    pub router: String,
    /// The access router's address.
    #[schema(required)]
    pub giaddr: Option<String>,
    /// The client's hardware address.
    pub mac: String,
    /// The leased address.
    pub ip: String,
    /// As the client named itself.
    #[schema(required)]
    pub hostname: Option<String>,
    /// EXPIRED once it ended.
    pub state: SessionState,
    /// What AAA said.
    pub auth: AuthState,
    /// The SubscriberPolicy in force.
    #[schema(required)]
    pub policy: Option<String>,
    /// Limit towards the subscriber, kbit/s; null = none.
    #[schema(required)]
    pub down_kbps: Option<i64>,
    /// Limit from the subscriber, kbit/s; null = none.
    #[schema(required)]
    pub up_kbps: Option<i64>,
    /// What it moved.
    pub counters: SessionCounters,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was last heard of; null once it ended.
    #[schema(required)]
    pub updated_at: Option<Timestamp>,
    /// When the lease ends; null once the session ended.
    #[schema(required)]
    pub lease_expires_at: Option<Timestamp>,
    /// Null while it is active.
    #[schema(required)]
    pub ended: Option<SessionEnd>,
    /// When it last changed, in the order of all changes.
    pub revision: i64,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SessionEnd {
    /// When.
    pub at: Timestamp,
    /// Acct-Terminate-Cause (RFC 2866 §5.10), e.g. `User-Request`.
    pub cause: String,
    /// More exactly, for people, e.g. `DHCPRELEASE`.
    pub detail: String,
    /// The operator closed it for a gateway that is gone; the gateway may still correct it.
    pub provisional: bool,
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: row.id,
            name: format!("s-{}", row.id),
            namespace: row.bng_id.namespace().to_owned(),
            bng: row.bng_id.name().to_owned(),
            bng_instance_id: row.bng_instance_id,
            acct_session_id: row.acct_session_id,
            subscriber: row.subscriber,
            circuit_id: row.circuit_id.to_string(),
            remote_id: row.remote_id.to_string(),
            router: row.router,
            giaddr: row.giaddr.map(|giaddr| giaddr.to_string()),
            mac: row.mac.to_string(),
            ip: row.ip.to_string(),
            hostname: row.hostname,
            state: row.state.into(),
            auth: row.auth.into(),
            policy: row.policy,
            down_kbps: row.down_kbps,
            up_kbps: row.up_kbps,
            counters: row.counters.into(),
            started_at: row.started_at,
            updated_at: row.updated_at,
            lease_expires_at: row.lease_expires_at,
            ended: row.ended.map(|ended| SessionEnd {
                at: ended.at,
                cause: ended.cause.to_string(),
                detail: ended.detail,
                provisional: ended.provisional,
            }),
            revision: row.revision,
        }
    }
}
