//! A database and a Redis database per test, made and dropped.

use std::{
    process::{Child, Command, Stdio},
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use lastmile_ingestor::{
    consume::{Consumer, Settings},
    decode::{Decoded, Entry, decode},
    metrics::Metrics,
    migrate,
    store::Batch,
};
use lastmile_types::Envelope;
use lastmile_wire::stream;
use redis::{aio::MultiplexedConnection, cmd};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row, postgres::PgConnectOptions};
use tokio_util::sync::CancellationToken;

/// The tables that are made from the log. Revisions are left out: they tell the order of commits.
const PROJECTIONS: [&str; 7] = [
    "session_progress",
    "sessions_active",
    "sessions_history",
    "session_traffic",
    "access_routers",
    "bng_registry",
    "bng_health_events",
];

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run this as `target/debug/lab services -- cargo test -p lastmile-ingestor --features integration`")
    })
}

/// A database of its own; dropped by [`Database::drop_it`].
pub struct Database {
    pub pool: PgPool,
    pub url: String,
    name: String,
}

impl Database {
    pub async fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("ingestor_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let maintenance = variable("LASTMILE_TEST_POSTGRES");
        let mut connection = PgConnection::connect(&maintenance).await.expect("LASTMILE_TEST_POSTGRES answers");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        let options = PgConnectOptions::from_str(&maintenance).unwrap().database(&name);
        let url = sqlx::ConnectOptions::to_url_lossy(&options).to_string();
        let pool = migrate::pool(&url, 4).unwrap();
        migrate::migrate(&pool, Duration::from_secs(10)).await.unwrap();
        Self { pool, url, name }
    }

    /// All rows of all projections, sorted.
    pub async fn projections(&self) -> Vec<String> {
        let mut all = Vec::new();
        for table in PROJECTIONS {
            let query = format!("SELECT (to_jsonb(t) - 'revision')::text FROM {table} t ORDER BY 1");
            for row in sqlx::query(AssertSqlSafe(query)).fetch_all(&self.pool).await.unwrap() {
                all.push(format!("{table} {}", row.get::<String, _>(0)));
            }
        }
        all
    }

    /// The first column of the first row, as text.
    pub async fn text(&self, query: &'static str) -> String {
        let row = sqlx::query(query).fetch_optional(&self.pool).await.unwrap();
        row.map(|row| row.get::<String, _>(0)).unwrap_or_default()
    }

    pub async fn drop_it(self) {
        self.pool.close().await;
        let mut connection = PgConnection::connect(&variable("LASTMILE_TEST_POSTGRES")).await.unwrap();
        let name = self.name;
        sqlx::query(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

/// One Redis database, emptied. The stream's key is fixed, so each test that needs one has its own number.
pub struct Redis {
    pub connection: MultiplexedConnection,
    pub url: String,
}

impl Redis {
    pub async fn database(number: u8) -> Self {
        let base = variable("LASTMILE_TEST_REDIS");
        let scheme = base.find("://").expect("a URL") + 3;
        let host = base[scheme..].find('/').map_or(base.as_str(), |slash| &base[..scheme + slash]);
        let url = format!("{host}/{number}");
        let client = redis::Client::open(url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.expect("LASTMILE_TEST_REDIS answers");
        let () = cmd("FLUSHDB").query_async(&mut connection).await.unwrap();
        Self { connection, url }
    }

    pub async fn publish<'a>(&mut self, events: impl IntoIterator<Item = &'a Envelope>) {
        let mut pipe = redis::pipe();
        for event in events {
            let fields = stream::encode(event).unwrap();
            pipe.cmd("XADD").arg("bng_events").arg("*");
            for (name, value) in &fields {
                pipe.arg(*name).arg(value);
            }
        }
        let _: Vec<String> = pipe.query_async(&mut self.connection).await.unwrap();
    }

    pub async fn int(&mut self, words: &[&str]) -> i64 {
        cmd(words[0]).arg(&words[1..]).query_async(&mut self.connection).await.unwrap()
    }

    pub async fn committed(&mut self, instance: &str) -> Option<u64> {
        cmd("HGET").arg("bng_events:committed").arg(instance).query_async(&mut self.connection).await.unwrap()
    }
}

/// A consumer in a task.
pub struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    pub fn start(database: &Database, redis: &Redis, name: &str) -> Self {
        let settings = Settings {
            redis_url: redis.url.clone(),
            consumer: name.to_owned(),
            batch: 50,
            claim_after: Duration::from_millis(100),
        };
        let stop = CancellationToken::new();
        let pool = database.pool.clone();
        let consumer = Consumer { settings, pool, metrics: Metrics::default(), stop: stop.clone() };
        Self { stop, task: tokio::spawn(async move { consumer.run().await }) }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// The real binary.
pub fn spawn(database: &Database, redis: &Redis) -> Child {
    Command::new(env!("CARGO_BIN_EXE_lastmile-ingestor"))
        .args(["run", "--listen", "127.0.0.1:0", "--consumer", "killed", "--batch", "20"])
        .env("LASTMILE_DATABASE_URL", &database.url)
        .env("LASTMILE_REDIS_URL", &redis.url)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits up to 30 s for `condition`.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(30), "after 30 s still not: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A batch as the stream would hand it out.
pub fn batch<'a>(events: impl IntoIterator<Item = &'a Envelope>) -> Batch {
    Batch { events: events.into_iter().map(decoded).collect(), poison: Vec::new() }
}

fn decoded(event: &Envelope) -> Decoded {
    let fields = stream::encode(event).unwrap();
    let fields = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    decode(Entry { id: "1-1".to_owned(), fields }).unwrap()
}
