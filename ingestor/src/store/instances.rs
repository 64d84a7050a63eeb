//! `instance_progress`: how far each instance's events are stored without a gap.

use std::collections::BTreeMap;

use lastmile_types::InstanceId;
use sqlx::{PgConnection, PgPool, Row, postgres::PgRow};
use uuid::Uuid;

use super::{Batch, StoreError};

const ENSURE: &str = "
INSERT INTO instance_progress (bng_instance_id, bng_id, committed_seq)
SELECT bng_instance_id, bng_id, 0 FROM unnest($1::uuid[], $2::text[]) AS instance (bng_instance_id, bng_id)
ORDER BY bng_instance_id
ON CONFLICT DO NOTHING";

// A statement of its own: the next one then sees what those committed that held the rows before.
const LOCK: &str =
    "SELECT 1 FROM instance_progress WHERE bng_instance_id = ANY ($1) ORDER BY bng_instance_id FOR UPDATE";

// Dead letters count: a gateway must not wait for an event that will never be stored. The limit keeps a gap that stays from
// costing more with every event behind it.
const ADVANCE: &str = "
UPDATE instance_progress SET committed_seq = coalesce((
    SELECT max(seq) FROM (
        SELECT seq, row_number() OVER (ORDER BY seq) AS place FROM (
            (SELECT seq FROM session_events event
             WHERE event.bng_id = instance_progress.bng_id AND event.bng_instance_id = instance_progress.bng_instance_id
                 AND event.seq > committed_seq
             ORDER BY seq LIMIT 20000)
            UNION
            (SELECT seq FROM dead_letters letter
             WHERE letter.bng_instance_id = instance_progress.bng_instance_id AND letter.seq > committed_seq
             ORDER BY seq LIMIT 20000)
        ) AS known
    ) AS numbered
    WHERE seq = committed_seq + place
), committed_seq)
WHERE bng_instance_id = ANY ($1)
RETURNING bng_instance_id, committed_seq";

/// Moves the batch's instances on as far as their events go without a gap.
pub async fn advance(connection: &mut PgConnection, batch: &Batch) -> Result<Vec<(InstanceId, u64)>, StoreError> {
    let known: BTreeMap<Uuid, &str> =
        batch.events.iter().map(|event| (event.envelope.bng_instance_id.0, event.envelope.bng_id.as_str())).collect();
    let dead = batch.poison.iter().filter_map(|poison| poison.position).map(|position| position.bng_instance_id.0);
    let mut instances: Vec<Uuid> = known.keys().copied().chain(dead).collect();
    instances.sort_unstable();
    instances.dedup();
    if instances.is_empty() {
        return Ok(Vec::new());
    }
    let (ids, bngs): (Vec<Uuid>, Vec<&str>) = known.into_iter().unzip();
    sqlx::query(ENSURE).bind(ids).bind(bngs).execute(&mut *connection).await?;
    sqlx::query(LOCK).bind(&instances).execute(&mut *connection).await?;
    let rows = sqlx::query(ADVANCE).bind(&instances).fetch_all(connection).await?;
    Ok(rows.iter().map(progress).collect::<Result<_, _>>()?)
}

/// How far every instance is.
pub async fn all(pool: &PgPool) -> Result<Vec<(InstanceId, u64)>, StoreError> {
    let rows = sqlx::query("SELECT bng_instance_id, committed_seq FROM instance_progress").fetch_all(pool).await?;
    Ok(rows.iter().map(progress).collect::<Result<_, _>>()?)
}

fn progress(row: &PgRow) -> Result<(InstanceId, u64), sqlx::Error> {
    let seq: i64 = row.try_get(1)?;
    Ok((InstanceId(row.try_get(0)?), seq.cast_unsigned()))
}
