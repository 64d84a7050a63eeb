//! What every handler holds.

use std::sync::Arc;

use sqlx::PgPool;

use crate::{auth::Authenticator, changes::Changes, disconnect::Gateways, metrics::Metrics};

/// Shared by all requests.
#[derive(Clone)]
pub struct App {
    /// PostgreSQL.
    pub pool: PgPool,
    /// Who may do what.
    pub auth: Arc<Authenticator>,
    /// Orders to gateways.
    pub gateways: Arc<Gateways>,
    /// Changes of sessions as they happen.
    pub changes: Changes,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
}
