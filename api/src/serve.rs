//! Both servers, from the settings to the sockets.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Extension, Router,
    extract::{ConnectInfo, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    app::App,
    auth::{Authenticator, Peer},
    changes,
    disconnect::Gateways,
    kube as sessions_api, metrics, rest, store,
    tls::{self, Current, Files},
    web::Dashboard,
};

/// What the server is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// A file that holds the PostgreSQL URL.
    #[arg(long, env = "LASTMILE_DATABASE_URL_FILE", required_unless_present = "database_url")]
    pub database_url_file: Option<PathBuf>,
    /// The PostgreSQL URL itself (visible to whoever can see the process; prefer the file).
    #[arg(long, env = "LASTMILE_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// REST API, dashboard, metrics: plain HTTP.
    #[arg(long, env = "LASTMILE_HTTP_LISTEN", default_value = "0.0.0.0:8080")]
    pub http_listen: SocketAddr,
    /// The aggregated sessions API: HTTPS.
    #[arg(long, env = "LASTMILE_HTTPS_LISTEN", default_value = "0.0.0.0:8443")]
    pub https_listen: SocketAddr,
    /// Serving certificate chain, PEM; without it there is no HTTPS. May appear and change later.
    #[arg(long, env = "LASTMILE_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, env = "LASTMILE_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Holds tls.crt, tls.key and ca.crt to speak to gateways with.
    #[arg(long, env = "LASTMILE_BNG_CLIENT_DIR", default_value = "/etc/lastmile/bng-client")]
    pub bng_client_dir: PathBuf,
    /// The dashboard's files.
    #[arg(long, env = "LASTMILE_WEB_DIR")]
    pub web_dir: Option<PathBuf>,
    /// Ask for no token on requests from this machine's loopback interface.
    #[arg(long)]
    pub insecure_loopback: bool,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file is missing or unreadable.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// Not a PostgreSQL URL.
    #[error("the database URL cannot be used")]
    DatabaseUrl(#[source] sqlx::Error),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// Serving HTTP ended.
    #[error("the HTTP server ended")]
    Http(#[source] std::io::Error),
}

/// Serves until SIGTERM or SIGINT.
pub async fn run(settings: Settings) -> Result<(), ServeError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = database_url(&settings)?;
    let kube = match kube::Client::try_default().await {
        Ok(client) => Some(client),
        Err(error) => {
            tracing::warn!(%error, "no Kubernetes found: tokens cannot be checked and nobody can be disconnected");
            None
        }
    };
    let app = App {
        pool: store::connect_lazily(&url).map_err(ServeError::DatabaseUrl)?,
        auth: Arc::new(Authenticator::new(kube.clone(), settings.insecure_loopback)),
        gateways: Arc::new(Gateways::new(kube.clone(), settings.bng_client_dir.clone())),
        changes: changes::channel(),
        metrics: Arc::default(),
    };
    tokio::spawn(changes::run(app.pool.clone(), app.changes.clone()));
    let (sender, current) = watch::channel(None);
    let https = settings.tls_cert.clone().zip(settings.tls_key.clone());
    if let Some((cert, key)) = https.clone() {
        let listener = listen(settings.https_listen).await?;
        tokio::spawn(tls::refresh(Files { cert, key }, kube, sender));
        tokio::spawn(tls::serve(listener, https_router(app.clone()), current.clone()));
    }
    let dashboard = settings.web_dir.as_deref().map(open_dashboard).transpose()?;
    let readiness = https.map(|_| current);
    let router = http_router(app, dashboard, readiness).into_make_service_with_connect_info::<SocketAddr>();
    let listener = listen(settings.http_listen).await?;
    tracing::info!(address = %settings.http_listen, "serving HTTP");
    tokio::select! {
        served = axum::serve(listener, router) => served.map_err(ServeError::Http),
        () = stop() => {
            tracing::info!("told to stop");
            Ok(())
        }
    }
}

fn database_url(settings: &Settings) -> Result<String, ServeError> {
    match (&settings.database_url_file, &settings.database_url) {
        (Some(path), _) => std::fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .map_err(|source| ServeError::Read { path: path.clone(), source }),
        (None, url) => Ok(url.clone().unwrap_or_default()),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

fn open_dashboard(dir: &Path) -> Result<Dashboard, ServeError> {
    Dashboard::open(dir).map_err(|source| ServeError::Read { path: dir.to_owned(), source })
}

async fn stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        _ => std::future::pending().await,
    }
}

/// The aggregated API.
pub fn https_router(app: App) -> Router {
    sessions_api::router().layer(middleware::from_fn_with_state(app.clone(), metrics::count)).with_state(app)
}

/// REST API, dashboard and the rest. Ready = HTTPS is ready where it is wanted, whatever PostgreSQL does.
pub fn http_router(app: App, dashboard: Option<Dashboard>, https: Option<watch::Receiver<Option<Current>>>) -> Router {
    let ready = move || {
        let ready = https.as_ref().is_none_or(|current| current.borrow().is_some());
        std::future::ready(if ready {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "HTTPS waits for its certificate")
        })
    };
    let router = rest::router(app.clone())
        .route("/metrics", get(metrics::show))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .layer(middleware::from_fn_with_state(app.clone(), metrics::count));
    let router = match dashboard {
        Some(dashboard) => router.fallback(any(move |request: Request| dashboard.clone().serve(request))),
        None => router.fallback(async || rest::problem::Problem::not_found("this server has no dashboard (--web-dir)")),
    };
    router.layer(middleware::from_fn(note_peer)).with_state(app)
}

/// Tells handlers where a request comes from.
async fn note_peer(
    connection: Option<Extension<ConnectInfo<SocketAddr>>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(Extension(ConnectInfo(address))) = connection {
        request.extensions_mut().insert(Peer(address));
    }
    next.run(request).await.into_response()
}
