//! `migrate`: the schema, as it stands in `migrations/` when this program is built.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tracing::{info, warn};

use crate::decode::chain;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

const ATTEMPT_EVERY: Duration = Duration::from_secs(2);

/// Why the schema was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It never answered.
    #[error("the database did not answer within {} s: see that it runs, is reachable from here and takes the password", waited.as_secs())]
    Unreachable {
        /// How long was waited.
        waited: Duration,
        /// The last attempt's end.
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed, or the database is newer than this program.
    #[error("the schema cannot be brought up to date")]
    Migrate(#[from] MigrateError),
}

/// A pool for `url`, which connects when it is first used.
pub fn pool(url: &str, connections: u32) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?.application_name("lastmile-ingestor");
    Ok(PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(true)
        .connect_lazy_with(options))
}

/// Waits for the database, at most `wait`, and applies what is missing.
pub async fn migrate(pool: &PgPool, wait: Duration) -> Result<(), SchemaError> {
    let started = Instant::now();
    // Not through the pool, which does not say why it has no connection.
    while let Err(error) = PgConnection::connect_with(&pool.connect_options()).await {
        if started.elapsed() + ATTEMPT_EVERY > wait {
            return Err(SchemaError::Unreachable { waited: started.elapsed(), source: error });
        }
        warn!(error = chain(&error), "waiting for the database: see that it runs and takes the configured password");
        tokio::time::sleep(ATTEMPT_EVERY).await;
    }
    MIGRATIONS.run(pool).await?;
    info!(migrations = MIGRATIONS.iter().count(), "the schema is up to date");
    Ok(())
}
