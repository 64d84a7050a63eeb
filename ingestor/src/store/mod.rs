//! One batch, one transaction. A file per table (or two that belong together); each statement stands once.
//!
//! Locks are taken in one order by everybody: events by key, routers, gateways, instances, sessions by id, the revision. So
//! any number of ingestors may write overlapping batches without a deadlock.

mod bngs;
mod dead_letters;
pub mod events;
mod instances;
mod routers;
mod session_rows;
mod sessions;
mod traffic;

use std::collections::HashSet;

use lastmile_types::{InstanceId, Timestamp, event::Position};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::{
    decode::{Decoded, Poison},
    project::Projections,
};

pub use instances::all as committed;

/// Held shared by every batch and exclusively by a rebuild.
const REBUILD_LOCK: i64 = 0x6c61_7374_6d69_6c65;

/// Why a batch was not stored. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL or the way to it.
    #[error("PostgreSQL")]
    Database(#[from] sqlx::Error),
    /// A stored value is not what this program writes.
    #[error("{table} holds a value that is not understood: {value:?}")]
    Stored {
        /// The table.
        table: &'static str,
        /// The value.
        value: String,
    },
}

impl StoreError {
    /// The database refuses the data itself (SQLSTATE classes 22, 23 and 54): to try again would change nothing.
    pub fn is_data(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
    }
}

/// What came from the stream at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Events to store.
    pub events: Vec<Decoded>,
    /// Entries that cannot be.
    pub poison: Vec<Poison>,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Places of the events that were not there before.
    pub new: HashSet<Position>,
    /// Per instance of the batch: everything up to this seq is stored.
    pub committed: Vec<(InstanceId, u64)>,
}

/// Stores `batch` in a transaction of its own.
pub async fn store(pool: &PgPool, batch: &Batch) -> Result<Stored, StoreError> {
    let mut transaction = pool.begin().await?;
    let stored = write(&mut transaction, batch).await?;
    transaction.commit().await?;
    Ok(stored)
}

/// Stores `batch` in the transaction that `connection` has open.
pub async fn write(connection: &mut PgConnection, batch: &Batch) -> Result<Stored, StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock_shared($1)").bind(REBUILD_LOCK).execute(&mut *connection).await?;
    let new = events::insert(connection, &batch.events).await?;
    dead_letters::insert(connection, &batch.poison).await?;
    let fresh = batch.events.iter().map(|event| &event.envelope).filter(|envelope| new.contains(&envelope.position()));
    let projections = Projections::of(fresh);
    apply_gateways(connection, &projections).await?;
    let committed = instances::advance(connection, batch).await?;
    apply_sessions(connection, &projections).await?;
    Ok(Stored { new, committed })
}

/// Applies `projections` to their tables, without the log.
pub async fn apply(connection: &mut PgConnection, projections: &Projections) -> Result<(), StoreError> {
    apply_gateways(connection, projections).await?;
    apply_sessions(connection, projections).await
}

/// Empties the projections and keeps every batch out until the transaction ends.
pub async fn begin_rebuild(connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(REBUILD_LOCK).execute(&mut *connection).await?;
    sqlx::query(
        "TRUNCATE session_progress, sessions_active, sessions_history, session_traffic, access_routers, bng_registry, \
         bng_health_events",
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}

async fn apply_gateways(connection: &mut PgConnection, projections: &Projections) -> Result<(), StoreError> {
    routers::upsert(connection, projections).await?;
    bngs::upsert(connection, projections).await?;
    bngs::insert_health(connection, projections).await
}

async fn apply_sessions(connection: &mut PgConnection, projections: &Projections) -> Result<(), StoreError> {
    if projections.sessions.is_empty() {
        return Ok(());
    }
    let plan = sessions::lock_and_decide(connection, projections).await?;
    traffic::upsert(connection, projections).await?;
    sessions::carry_out(connection, plan).await
}

/// One column of `rows`.
fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// The whole range of `Timestamp` fits; the database keeps microseconds.
fn time(ts: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(ts.as_nanosecond()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// For numbers that are checked where they come in, or of which nobody has this many.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
