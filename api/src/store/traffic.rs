//! What a session moved over time, and what all moved together.

use jiff::Timestamp;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use super::{StoreError, get_timestamp, get_u64};

/// Cumulative counters at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When the counters were so.
    pub at: Timestamp,
    /// Downloaded since the session's start.
    pub input_octets: u64,
    /// Uploaded since the session's start.
    pub output_octets: u64,
}

/// A session's counters as its events carry them: every interim report is a sample. The last 2,000, oldest first.
pub async fn samples(pool: &PgPool, session: Uuid) -> Result<Vec<Sample>, StoreError> {
    let rows = sqlx::query(
        "SELECT ts AS at, coalesce(payload #>> '{counters,inputOctets}', '0') AS input_octets, \
         coalesce(payload #>> '{counters,outputOctets}', '0') AS output_octets \
         FROM session_events WHERE session_id = $1 ORDER BY seq DESC LIMIT 2000",
    )
    .bind(session)
    .fetch_all(pool)
    .await?;
    let mut samples = Vec::with_capacity(rows.len());
    for row in rows.iter().rev() {
        samples.push(Sample {
            at: get_timestamp(row, "at")?,
            input_octets: get_u64(row, "input_octets")?,
            output_octets: get_u64(row, "output_octets")?,
        });
    }
    Ok(samples)
}

/// A session's rollup: the greatest counters of each five-minute bucket, dated by the bucket's end.
pub async fn rollup(pool: &PgPool, session: Uuid) -> Result<Vec<Sample>, StoreError> {
    let rows = sqlx::query(
        "SELECT least(bucket + interval '5 minutes', now()) AS at, input_octets::text AS input_octets, \
         output_octets::text AS output_octets FROM session_traffic WHERE session_id = $1 ORDER BY bucket",
    )
    .bind(session)
    .fetch_all(pool)
    .await?;
    let mut samples = Vec::with_capacity(rows.len());
    for row in &rows {
        samples.push(Sample {
            at: get_timestamp(row, "at")?,
            input_octets: get_u64(row, "input_octets")?,
            output_octets: get_u64(row, "output_octets")?,
        });
    }
    Ok(samples)
}

/// What all sessions moved in one bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BucketRow {
    /// The bucket's start.
    pub at: Timestamp,
    /// Downloaded within it, bit/s on average.
    pub input_bps: f64,
    /// Uploaded within it, bit/s on average.
    pub output_bps: f64,
}

/// The last hour's buckets, oldest first; the one that is not over yet counts with the time it has had.
pub async fn throughput(pool: &PgPool) -> Result<Vec<BucketRow>, StoreError> {
    let rows = sqlx::query(
        "WITH recent AS ( \
           SELECT bucket, session_id, input_octets, output_octets, \
             lag(input_octets) OVER w AS input_before, lag(output_octets) OVER w AS output_before \
           FROM session_traffic WHERE bucket > now() - interval '65 minutes' \
           WINDOW w AS (PARTITION BY session_id ORDER BY bucket)), \
         moved AS ( \
           SELECT r.bucket, r.input_octets - coalesce(r.input_before, p.input_octets, 0) AS input, \
             r.output_octets - coalesce(r.output_before, p.output_octets, 0) AS output \
           FROM recent r LEFT JOIN LATERAL ( \
             SELECT e.input_octets, e.output_octets FROM session_traffic e \
             WHERE r.input_before IS NULL AND e.session_id = r.session_id AND e.bucket < r.bucket \
             ORDER BY e.bucket DESC LIMIT 1) p ON true) \
         SELECT bucket AS at, \
           (sum(input) * 8 / greatest(1, extract(epoch FROM least(now(), bucket + interval '5 minutes') - bucket)))::float8 AS input_bps, \
           (sum(output) * 8 / greatest(1, extract(epoch FROM least(now(), bucket + interval '5 minutes') - bucket)))::float8 AS output_bps \
         FROM moved WHERE bucket > now() - interval '60 minutes' GROUP BY bucket ORDER BY bucket",
    )
    .fetch_all(pool)
    .await?;
    let mut buckets = Vec::with_capacity(rows.len());
    for row in &rows {
        buckets.push(BucketRow {
            at: get_timestamp(row, "at")?,
            input_bps: row.try_get("input_bps")?,
            output_bps: row.try_get("output_bps")?,
        });
    }
    Ok(buckets)
}
