//! `access_routers`.

use sqlx::PgConnection;

use super::{StoreError, column, int, time};
use crate::project::Projections;

const UPSERT: &str = "
INSERT INTO access_routers AS known
    (bng_id, raw_id, name, giaddr, alive, rtt_us, first_seen, last_seen, bng_instance_id, last_seq)
SELECT bng_id, raw_id, name, giaddr::inet, alive, rtt_us, first_seen, last_seen, bng_instance_id, last_seq
FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::boolean[], $6::bigint[], $7::timestamptz[],
        $8::timestamptz[], $9::uuid[], $10::bigint[])
    AS router (bng_id, raw_id, name, giaddr, alive, rtt_us, first_seen, last_seen, bng_instance_id, last_seq)
ORDER BY bng_id, raw_id
ON CONFLICT (bng_id, raw_id) DO UPDATE SET
    (name, giaddr, alive, rtt_us, bng_instance_id, last_seq) = (
        SELECT latest.* FROM (VALUES
            (known.name, known.giaddr, known.alive, known.rtt_us, known.bng_instance_id, known.last_seq),
            (excluded.name, excluded.giaddr, excluded.alive, excluded.rtt_us, excluded.bng_instance_id, excluded.last_seq)
        ) AS latest (name, giaddr, alive, rtt_us, bng_instance_id, last_seq)
        ORDER BY bng_instance_id DESC, last_seq DESC LIMIT 1),
    first_seen = least(known.first_seen, excluded.first_seen),
    last_seen = greatest(known.last_seen, excluded.last_seen)";

/// Joins what is said of access routers to what is known.
pub async fn upsert(connection: &mut PgConnection, projections: &Projections) -> Result<(), StoreError> {
    let rows: Vec<_> = projections.routers.iter().map(|((bng_id, _), router)| (bng_id, router)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(UPSERT)
        .bind(column(&rows, |(bng_id, _)| bng_id.as_str()))
        .bind(column(&rows, |(_, router)| router.update.raw_id.as_bytes()))
        .bind(column(&rows, |(_, router)| router.update.name.as_str()))
        .bind(column(&rows, |(_, router)| router.update.giaddr.map(|giaddr| giaddr.to_string())))
        .bind(column(&rows, |(_, router)| router.update.alive))
        .bind(column(&rows, |(_, router)| router.update.rtt_us.map(i64::from)))
        .bind(column(&rows, |(_, router)| time(router.update.first_seen)))
        .bind(column(&rows, |(_, router)| time(router.update.last_seen)))
        .bind(column(&rows, |(_, router)| router.position.bng_instance_id.0))
        .bind(column(&rows, |(_, router)| int(router.position.seq)))
        .execute(connection)
        .await?;
    Ok(())
}
