//! The status and control endpoint (see `lastmile_types::status`): HTTPS with mutual TLS, one task per connection; and beside
//! it, in plain HTTP, `/metrics` and `/healthz`.
//!
//! It never touches the machine: the driver publishes a status, and orders go to the driver as [`Order`]s.

pub mod metrics;
mod radius;
mod tls;

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use lastmile_types::{
    SessionId,
    status::{BngStatus, DisconnectAnswer},
};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};

pub use tls::{TlsError, serve, server_config};

/// The longest that a question for a newer status waits, seconds.
const LONGEST_WAIT: u64 = 60;
/// The longest that an order waits for its end.
const ORDER_PATIENCE: Duration = Duration::from_secs(10);

/// What somebody orders; the driver answers when it is done.
#[derive(Debug)]
pub enum Order {
    /// End one session. `None` = there is no such session.
    Disconnect {
        /// Which.
        session: SessionId,
        /// For the record.
        detail: String,
        /// The outcome.
        answer: oneshot::Sender<Option<DisconnectAnswer>>,
    },
    /// End all sessions and start none.
    Drain,
    /// Sessions may start again.
    Resume,
}

/// What the endpoint works with.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Published by the driver.
    pub status: watch::Receiver<BngStatus>,
    /// Taken by the driver.
    pub orders: mpsc::Sender<Order>,
}

/// The routes.
pub fn router(endpoint: Endpoint) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/sessions/{session}/disconnect", post(disconnect))
        .route("/v1/drain", post(drain).delete(resume))
        .with_state(endpoint)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wait {
    after: Option<u64>,
    wait_seconds: u64,
}

impl Default for Wait {
    fn default() -> Self {
        Self { after: None, wait_seconds: LONGEST_WAIT / 2 }
    }
}

/// Answers as soon as the version is another than the one the asker has seen: a restart of the daemon may lower it.
async fn status(State(mut endpoint): State<Endpoint>, Query(wait): Query<Wait>) -> Json<BngStatus> {
    let patience = Duration::from_secs(wait.wait_seconds.min(LONGEST_WAIT));
    let newer = endpoint.status.wait_for(|status| Some(status.version) != wait.after);
    let _ = tokio::time::timeout(patience, newer).await;
    let status = endpoint.status.borrow().clone();
    Json(status)
}

async fn disconnect(State(endpoint): State<Endpoint>, Path(session): Path<SessionId>) -> Response {
    let (answer, answered) = oneshot::channel();
    let detail = "disconnected by an operator".to_owned();
    if endpoint.orders.send(Order::Disconnect { session, detail, answer }).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match tokio::time::timeout(ORDER_PATIENCE, answered).await {
        Ok(Ok(Some(answer))) => Json(answer).into_response(),
        Ok(Ok(None)) => StatusCode::NOT_FOUND.into_response(),
        Ok(Err(_)) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
    }
}

async fn drain(State(endpoint): State<Endpoint>) -> StatusCode {
    order(&endpoint, Order::Drain).await
}

async fn resume(State(endpoint): State<Endpoint>) -> StatusCode {
    order(&endpoint, Order::Resume).await
}

async fn order(endpoint: &Endpoint, order: Order) -> StatusCode {
    match endpoint.orders.send(order).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
