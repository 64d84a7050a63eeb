//! `bng_registry` and `bng_health_events`.

use sqlx::PgConnection;

use super::{StoreError, column, int, time};
use crate::project::Projections;

const UPSERT: &str = "
INSERT INTO bng_registry AS known (bng_id, bng_instance_id, last_seq, first_seen, last_seen)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
    AS bng (bng_id, bng_instance_id, last_seq, first_seen, last_seen)
ORDER BY bng_id
ON CONFLICT (bng_id) DO UPDATE SET
    last_seq = CASE WHEN excluded.bng_instance_id = known.bng_instance_id THEN greatest(excluded.last_seq, known.last_seq)
                    WHEN excluded.bng_instance_id > known.bng_instance_id THEN excluded.last_seq
                    ELSE known.last_seq END,
    bng_instance_id = greatest(known.bng_instance_id, excluded.bng_instance_id),
    first_seen = least(known.first_seen, excluded.first_seen),
    last_seen = greatest(known.last_seen, excluded.last_seen)";

/// Joins what was heard of gateways to what is known.
pub async fn upsert(connection: &mut PgConnection, projections: &Projections) -> Result<(), StoreError> {
    let rows: Vec<_> = projections.bngs.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(UPSERT)
        .bind(column(&rows, |(bng_id, _)| bng_id.as_str()))
        .bind(column(&rows, |(_, bng)| bng.last.bng_instance_id.0))
        .bind(column(&rows, |(_, bng)| int(bng.last.seq)))
        .bind(column(&rows, |(_, bng)| time(bng.first_seen)))
        .bind(column(&rows, |(_, bng)| time(bng.last_seen)))
        .execute(connection)
        .await?;
    Ok(())
}

const INSERT_HEALTH: &str = "
INSERT INTO bng_health_events
    (bng_id, bng_instance_id, seq, ts, cpu_cores, memory_bytes, sessions, authorized, uptime_seconds)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::float8[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[])
ON CONFLICT DO NOTHING";

/// Adds reports of load.
pub async fn insert_health(connection: &mut PgConnection, projections: &Projections) -> Result<(), StoreError> {
    let rows: Vec<_> = projections.health.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(INSERT_HEALTH)
        .bind(column(&rows, |((bng_id, _), _)| bng_id.as_str()))
        .bind(column(&rows, |((_, position), _)| position.bng_instance_id.0))
        .bind(column(&rows, |((_, position), _)| int(position.seq)))
        .bind(column(&rows, |(_, (ts, _))| time(*ts)))
        .bind(column(&rows, |(_, (_, health))| health.cpu_cores))
        .bind(column(&rows, |(_, (_, health))| int(health.memory_bytes)))
        .bind(column(&rows, |(_, (_, health))| i64::from(health.sessions)))
        .bind(column(&rows, |(_, (_, health))| i64::from(health.authorized)))
        .bind(column(&rows, |(_, (_, health))| int(health.uptime_seconds)))
        .execute(connection)
        .await?;
    Ok(())
}
