//! A database of its own for each test, its rows, and requests to the servers in it.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode},
    response::Response,
};
use http_body_util::BodyExt;
use lastmile_api::{
    app::App,
    auth::Authenticator,
    changes,
    disconnect::Gateways,
    kube::identity::{Aggregator, RequestHeader},
    serve,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, migrate::Migrator};
use tower::ServiceExt;
use uuid::Uuid;

/// A database with the schema, dropped by [`Database::drop`].
pub struct Database {
    maintenance: String,
    name: String,
    pub pool: PgPool,
}

impl Database {
    pub async fn create() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let maintenance = std::env::var("LASTMILE_TEST_POSTGRES")
            .expect("LASTMILE_TEST_POSTGRES is not set: run this by `lab services -- cargo test …`");
        let name = format!("api_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&maintenance).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        let (server, _) = maintenance.rsplit_once('/').unwrap();
        let pool = PgPool::connect(&format!("{server}/{name}")).await.unwrap();
        let migrations = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
        Migrator::new(std::path::Path::new(migrations)).await.unwrap().run(&pool).await.unwrap();
        Self { maintenance, name, pool }
    }

    pub async fn drop(self) {
        self.pool.close().await;
        let mut connection = PgConnection::connect(&self.maintenance).await.unwrap();
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        sqlx::query(AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
    }

    pub async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }

    /// An active session of line `n` (1 to 9), its id, and a new revision.
    pub async fn session(&self, n: u8, auth: &str) -> Uuid {
        let id = session_id(n);
        let bng = if n % 2 == 1 { "edge/bng-01" } else { "edge/bng-02" };
        let revision = self.next_revision().await;
        sqlx::query(
            "INSERT INTO sessions_active VALUES ($1, $2, $3, $4, $5, $6, $7, 'ar-01', '100.64.1.1', $8::macaddr, $9::inet, 'host', \
             'ACTIVE', $10::auth_state, 'gold', 50000, NULL, 18446744073709551615, 2048, 10, 20, \
             now() - interval '5 minutes', now(), now() + interval '1 hour', 3, $11)",
        )
        .bind(id)
        .bind(bng)
        .bind(Uuid::from_u128(1))
        .bind(format!("{n:016}"))
        .bind(format!("{bng}/line-0{n}/ar-01|1%2F{n}"))
        .bind(format!("ar-01|1/{n}").into_bytes())
        .bind(format!("line-0{n}").into_bytes())
        .bind(format!("02:00:5e:10:00:0{n}"))
        .bind(format!("100.64.1.1{n}"))
        .bind(auth)
        .bind(revision)
        .execute(&self.pool)
        .await
        .unwrap();
        id
    }

    /// Moves a session to history.
    pub async fn end(&self, n: u8) {
        let revision = self.next_revision().await;
        sqlx::query(
            "WITH gone AS (DELETE FROM sessions_active WHERE session_id = $1 RETURNING *) INSERT INTO sessions_history \
             (session_id, bng_id, bng_instance_id, acct_session_id, subscriber, circuit_id, remote_id, router, giaddr, mac, ip, \
              hostname, auth, policy, down_kbps, up_kbps, input_octets, output_octets, input_packets, output_packets, started_at, \
              ended_at, terminate_cause, terminate_detail, provisional, last_seq, revision) \
             SELECT session_id, bng_id, bng_instance_id, acct_session_id, subscriber, circuit_id, remote_id, router, giaddr, mac, ip, \
              hostname, auth, policy, down_kbps, up_kbps, input_octets, output_octets, input_packets, output_packets, started_at, \
              now(), 'User-Request', 'DHCPRELEASE', false, last_seq + 1, $2 FROM gone",
        )
        .bind(session_id(n))
        .bind(revision)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    async fn next_revision(&self) -> i64 {
        sqlx::query_scalar("UPDATE session_revision SET value = value + 1 RETURNING value")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    pub fn app(&self) -> App {
        App {
            pool: self.pool.clone(),
            auth: Arc::new(Authenticator::new(Some(everything_is_allowed()), true)),
            gateways: Arc::new(Gateways::new(None, "/nonexistent".into())),
            changes: changes::channel(),
            metrics: Arc::default(),
        }
    }
}

/// Sessions in the order of their numbers.
pub fn session_id(n: u8) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(n))
}

/// Says yes to every SubjectAccessReview; that Kubernetes itself decides is what the end-to-end tests see.
fn everything_is_allowed() -> kube::Client {
    let service = tower::service_fn(|request: Request<kube::client::Body>| async move {
        assert!(request.uri().path().ends_with("/subjectaccessreviews"), "{}", request.uri());
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {}, "status": {"allowed": true}});
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(review.to_string())))
    });
    kube::Client::new(service, "default")
}

/// Asks the REST server from the loopback interface.
pub async fn rest(app: &App, method: &str, path: &str) -> Response {
    let router = serve::http_router(app.clone(), None, None);
    let mut request =
        Request::builder().method(method).uri(path).header("host", "127.0.0.1").body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo::<SocketAddr>(([127, 0, 0, 1], 40_000).into()));
    router.oneshot(request).await.unwrap()
}

/// Asks the aggregated API as user `ann` by way of the aggregator.
pub async fn aggregated(app: &App, method: &str, path: &str, accept: &str) -> Response {
    let header = RequestHeader {
        client_ca: String::new(),
        allowed_names: Vec::new(),
        username_headers: vec!["X-Remote-User".to_owned()],
        group_headers: Vec::new(),
        extra_prefixes: Vec::new(),
    };
    let router: Router = serve::https_router(app.clone()).layer(axum::Extension(Aggregator(Arc::new(header))));
    let request = Request::builder().method(method).uri(path).header("accept", accept).header("x-remote-user", "ann");
    router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

pub async fn json(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("not JSON: {body:?}")))
}
