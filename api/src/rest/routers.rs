//! `/routers`.

use axum::{Json, extract::State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    model::Page,
    problem::Problem,
    query::{Paging, Params, given},
};
use crate::{
    app::App,
    store::routers::{self, RouterRow},
};

/// An access router as its gateway sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Router {
    /// The gateway's namespace.
    pub namespace: String,
    /// The gateway's name.
    pub bng: String,
    /// The router's name: the circuit-id's prefix, else the giaddr.
    pub name: String,
    /// The address it relays from.
    #[schema(required)]
    pub giaddr: Option<String>,
    /// Whether it answers.
    pub alive: bool,
    /// Last ICMP round trip, microseconds.
    #[schema(required)]
    pub rtt_us: Option<i64>,
    /// When DHCP first came through it.
    pub first_seen: Timestamp,
    /// When it last showed life.
    pub last_seen: Timestamp,
    /// Active sessions through it.
    pub sessions: i64,
}

impl From<RouterRow> for Router {
    fn from(row: RouterRow) -> Self {
        let (namespace, bng) = row.bng_id.split_once('/').unwrap_or(("", &row.bng_id));
        Self {
            namespace: namespace.to_owned(),
            bng: bng.to_owned(),
            name: row.name,
            giaddr: row.giaddr,
            alive: row.alive,
            rtt_us: row.rtt_us,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            sessions: row.sessions,
        }
    }
}

/// Which routers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RouterQuery {
    /// A gateway, `name` or `namespace/name`.
    bng: Option<String>,
}

/// Access routers by gateway and name.
#[utoipa::path(get, path = "/api/v1/routers", operation_id = "listRouters", tag = "routers", params(RouterQuery, Paging),
    responses((status = 200, body = Page<Router>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    Params(query): Params<RouterQuery>,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Router>>, Problem> {
    let bng = given(query.bng);
    Ok(Json(Page::of(routers::list(&app.pool, bng.as_deref(), paging.limit()?, paging.cursor()).await?)))
}
