//! What is done every few seconds beside the batches.

use sqlx::PgPool;

use super::{
    LoopError,
    stream::{Stream, done_before},
};
use crate::{metrics::Metrics, store};

/// Publishes committed seqs anew (a Redis that lost its data gets them back), trims what every group is done with, and
/// measures how far behind this one is.
pub async fn house(stream: &mut Stream, pool: &PgPool, metrics: &Metrics) -> Result<(), LoopError> {
    stream.publish(&store::committed(pool).await?).await?;
    let groups = stream.groups().await?;
    if let Some(group) = groups.iter().find(|group| group.name == super::GROUP) {
        metrics.lag.set(group.lag.unwrap_or_default() + group.pending);
    }
    if let Some(id) = done_before(&groups) {
        stream.trim(&id).await?;
    }
    Ok(())
}
