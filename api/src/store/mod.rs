//! What PostgreSQL knows, asked: one file per resource. Rows come out typed; nothing here writes.

pub mod bngs;
pub mod cursor;
pub mod events;
pub mod kube_status;
pub mod overview;
pub mod routers;
pub mod sessions;
pub mod traffic;

use std::time::Duration;

use jiff::Timestamp;
use sqlx::{
    PgPool, Row,
    postgres::{PgPoolOptions, PgRow},
    types::time::OffsetDateTime,
};

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL does not answer, or refuses.
    #[error("PostgreSQL did not answer")]
    Database(#[from] sqlx::Error),
    /// The paging cursor is none of ours.
    #[error("the cursor is not one that this server gave out")]
    Cursor,
}

/// Connections are made when they are needed, so that a server starts while PostgreSQL is down.
pub fn connect_lazily(url: &str) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(10)
        .acquire_timeout(Duration::from_secs(5))
        .idle_timeout(Duration::from_secs(300))
        .connect_lazy(url)
}

/// The revision up to which every change of a session is visible.
pub async fn revision(pool: &PgPool) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT value FROM session_revision").fetch_one(pool).await?)
}

fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp::from_nanosecond(at.unix_timestamp_nanos()).unwrap_or(Timestamp::MAX)
}

fn to_sql(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(at.as_nanosecond()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn get_timestamp(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    Ok(timestamp(row.try_get(column)?))
}

fn get_optional_timestamp(row: &PgRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<OffsetDateTime>, _>(column)?.map(timestamp))
}

/// `numeric(20)` columns are selected as text: they hold the whole of u64, which `bigint` does not.
fn get_u64(row: &PgRow, column: &str) -> Result<u64, sqlx::Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|source| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) })
}

/// Columns that another type of ours is parsed from.
fn get_parsed<T>(row: &PgRow, column: &str) -> Result<T, sqlx::Error>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.try_get(column)?;
    text.parse()
        .map_err(|source: T::Err| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) })
}

/// Columns of an enum type, selected as text, that serde reads by its name in the database.
fn get_named<T: serde::de::DeserializeOwned>(row: &PgRow, column: &str) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_value(serde_json::Value::String(text))
        .map_err(|source| sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) })
}

/// A pattern for `ILIKE` that finds `text` anywhere, with nothing in it special.
fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
