//! The command line and its environment.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

/// Moves the edge's events from Redis to PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "lastmile-ingestor", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Consume the event stream until told to stop.
    Run(RunArgs),
    /// Bring the database's schema up to date, and end.
    Migrate(MigrateArgs),
    /// Make all projections anew from the stored events, and end.
    Rebuild(DatabaseArgs),
}

/// Where the database is.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// postgres://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, env = "LASTMILE_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A file that holds the URL; read again at every start.
    #[arg(long, env = "LASTMILE_DATABASE_URL_FILE", conflicts_with = "database_url")]
    database_url_file: Option<PathBuf>,
}

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// redis://:PASSWORD@HOST:PORT/
    #[arg(long, env = "LASTMILE_REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// A file that holds the URL.
    #[arg(long, env = "LASTMILE_REDIS_URL_FILE", conflicts_with = "redis_url")]
    redis_url_file: Option<PathBuf>,
    /// This ingestor's name within the consumer group; the host's name unless given.
    #[arg(long, env = "LASTMILE_CONSUMER")]
    consumer: Option<String>,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "LASTMILE_LISTEN", default_value = "0.0.0.0:9100")]
    pub listen: SocketAddr,
    /// Entries in a transaction, at most.
    #[arg(long, env = "LASTMILE_BATCH", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Seconds after which another consumer's unacknowledged entries are taken over.
    #[arg(long, env = "LASTMILE_CLAIM_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    claim_seconds: u32,
}

/// Arguments of `migrate`.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How long to wait for the database, seconds.
    #[arg(long, env = "LASTMILE_WAIT_SECONDS", default_value_t = 120)]
    wait_seconds: u32,
}

/// Why the configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither form was given.
    #[error("no {what} address: set {variable}, or {variable}_FILE to a file that holds it")]
    Missing {
        /// Of what.
        what: &'static str,
        /// The variable.
        variable: &'static str,
    },
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The host's name is needed to be a consumer.
    #[error("the host's name is not known: set LASTMILE_CONSUMER")]
    NoName,
}

impl DatabaseArgs {
    /// The database's URL.
    pub fn url(&self) -> Result<String, ConfigError> {
        value(&self.database_url, &self.database_url_file, "database", "LASTMILE_DATABASE_URL")
    }
}

impl RunArgs {
    /// Redis' URL.
    pub fn redis_url(&self) -> Result<String, ConfigError> {
        value(&self.redis_url, &self.redis_url_file, "Redis", "LASTMILE_REDIS_URL")
    }

    /// This ingestor's name within the consumer group.
    pub fn consumer(&self) -> Result<String, ConfigError> {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        self.consumer.clone().or_else(host).filter(|name| !name.is_empty()).ok_or(ConfigError::NoName)
    }

    /// The age at which an unacknowledged entry is taken over.
    pub fn claim_after(&self) -> Duration {
        Duration::from_secs(self.claim_seconds.into())
    }
}

impl MigrateArgs {
    /// How long to wait for the database.
    pub fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_seconds.into())
    }
}

fn value(
    given: &Option<String>,
    file: &Option<PathBuf>,
    what: &'static str,
    variable: &'static str,
) -> Result<String, ConfigError> {
    match (given, file) {
        (Some(value), _) => Ok(value.clone()),
        (None, Some(path)) => std::fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .map_err(|source| ConfigError::File { path: path.clone(), source }),
        (None, None) => Err(ConfigError::Missing { what, variable }),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_given_says_what_to_set() {
        let error = value(&None, &None, "Redis", "LASTMILE_REDIS_URL").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no Redis address: set LASTMILE_REDIS_URL, or LASTMILE_REDIS_URL_FILE to a file that holds it"
        );
    }
}
