//! Changes of sessions, in the order of revisions: one task per process asks PostgreSQL once a second and tells everybody who
//! watches.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio::sync::broadcast;

use crate::store::{self, StoreError, sessions::SessionRow};

/// How often PostgreSQL is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// Everything that changed between two revisions.
#[derive(Debug)]
pub struct Batch {
    /// The revision before.
    pub after: i64,
    /// The revision now.
    pub through: i64,
    /// In the order of revisions; those with `ended` have moved to history.
    pub rows: Vec<SessionRow>,
}

/// Where batches come from: lagging receivers have missed some and must start again.
pub type Changes = broadcast::Sender<Arc<Batch>>;

/// A channel of batches.
pub fn channel() -> Changes {
    broadcast::channel(64).0
}

/// Feeds the channel until the process ends.
pub async fn run(pool: PgPool, changes: Changes) {
    let mut seen = None;
    let mut answered = true;
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let step = step(&pool, seen).await;
        if let Err(error) = &step
            && answered
        {
            tracing::warn!(%error, cause = ?std::error::Error::source(error), "cannot follow the sessions: PostgreSQL does not answer");
        }
        answered = step.is_ok();
        if let Ok(Some(batch)) = step {
            seen = Some(batch.through);
            let _ = changes.send(Arc::new(batch)); // nobody listens: nothing lost
        }
    }
}

/// What changed since `seen`, if anything did. The first step only learns where it stands.
async fn step(pool: &PgPool, seen: Option<i64>) -> Result<Option<Batch>, StoreError> {
    let through = store::revision(pool).await?;
    let Some(after) = seen else { return Ok(Some(Batch { after: through, through, rows: Vec::new() })) };
    if through == after {
        return Ok(None);
    }
    let rows = store::sessions::changes(pool, after, through).await?;
    Ok(Some(Batch { after, through, rows }))
}
