//! `rebuild`: all projections anew from the log, in one transaction. Ingestors wait; readers of the projections too.

use sqlx::PgPool;
use tracing::info;

use crate::{
    project::Projections,
    store::{self, StoreError, events},
};

/// Events taken into memory at once.
const PAGE: i64 = 5000;

/// Makes the projections anew, and says from how many events.
pub async fn rebuild(pool: &PgPool) -> Result<u64, StoreError> {
    let mut transaction = pool.begin().await?;
    store::begin_rebuild(&mut transaction).await?;
    let mut last = Some(events::Key::first());
    let mut count = 0;
    while let Some(key) = last {
        let (page, next) = events::page(&mut transaction, &key, PAGE).await?;
        store::apply(&mut transaction, &Projections::of(&page)).await?;
        count += page.len() as u64;
        last = next;
        info!(events = count, "replayed");
    }
    transaction.commit().await?;
    Ok(count)
}
