//! `session_traffic`: the greatest cumulative counters of each bucket.

use sqlx::PgConnection;

use super::{StoreError, column, time};
use crate::project::Projections;

const UPSERT: &str = "
INSERT INTO session_traffic AS known (session_id, bucket, bng_id, input_octets, output_octets)
SELECT session_id, bucket, bng_id, input_octets::numeric, output_octets::numeric
FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[])
    AS traffic (session_id, bucket, bng_id, input_octets, output_octets)
ON CONFLICT (session_id, bucket) DO UPDATE SET
    input_octets = greatest(known.input_octets, excluded.input_octets),
    output_octets = greatest(known.output_octets, excluded.output_octets)
WHERE known.input_octets < excluded.input_octets OR known.output_octets < excluded.output_octets";

/// Joins the batch's counters to the buckets. The sessions are locked.
pub async fn upsert(connection: &mut PgConnection, projections: &Projections) -> Result<(), StoreError> {
    let rows: Vec<_> = projections.traffic.iter().collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(UPSERT)
        .bind(column(&rows, |((session_id, _), _)| session_id.0))
        .bind(column(&rows, |((_, bucket), _)| time(*bucket)))
        .bind(column(&rows, |(_, traffic)| traffic.bng_id.as_str()))
        .bind(column(&rows, |(_, traffic)| traffic.counters.input_octets.to_string()))
        .bind(column(&rows, |(_, traffic)| traffic.counters.output_octets.to_string()))
        .execute(connection)
        .await?;
    Ok(())
}
