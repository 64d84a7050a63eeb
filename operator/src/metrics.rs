//! `/metrics` and `/healthz`.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, routing::get};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Labels of a reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reconciled {
    /// The controller.
    pub controller: &'static str,
    /// `ok` or `error`.
    pub result: &'static str,
}

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Gateway {
    /// `namespace/name`.
    pub bng_id: String,
}

/// Counters and gauges.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Reconciliations since the start.
    pub reconciles: Family<Reconciled, Counter>,
    /// 1: this operator leads.
    pub leader: Gauge,
    /// 1: the gateway's endpoint answers.
    pub gateway_up: Family<Gateway, Gauge>,
    /// Sessions of a gateway.
    pub gateway_sessions: Family<Gateway, Gauge>,
    /// Sessions that the audit closed.
    pub sessions_closed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("lastmile_operator");
        let (reconciles, leader) = (Family::default(), Gauge::default());
        let (gateway_up, gateway_sessions, sessions_closed) =
            (Family::default(), Family::default(), Counter::default());
        registry.register("reconciles", "Reconciliations by controller and result", reconciles.clone());
        registry.register("leader", "1 where this operator leads", leader.clone());
        registry.register("gateway_up", "1 where the gateway's endpoint answers", gateway_up.clone());
        registry.register("gateway_sessions", "Sessions of a gateway", gateway_sessions.clone());
        let closed = "Sessions closed because their gateway is gone";
        registry.register("sessions_closed", closed, sessions_closed.clone());
        Self { registry: Arc::new(registry), reconciles, leader, gateway_up, gateway_sessions, sessions_closed }
    }
}

impl Metrics {
    /// Counts a reconciliation.
    pub fn reconciled(&self, controller: &'static str, ok: bool) {
        let result = if ok { "ok" } else { "error" };
        self.reconciles.get_or_create(&Reconciled { controller, result }).inc();
    }

    fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}

/// Serves until the process ends.
pub async fn serve(address: SocketAddr, metrics: Metrics) {
    let app = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/metrics", get(move || async move { metrics.text() }));
    let served = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => axum::serve(listener, app).await,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::error!(%address, "metrics and health are not served, the kubelet will restart this pod: {error}");
    }
}
