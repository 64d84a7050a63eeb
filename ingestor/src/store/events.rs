//! `session_events`: the log.

use std::collections::HashSet;

use lastmile_types::{Envelope, InstanceId, event::Position};
use lastmile_wire::stream;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{StoreError, column, int, time};
use crate::decode::{Decoded, chain};

const INSERT: &str = "
INSERT INTO session_events (bng_id, bng_instance_id, seq, ts, event_type, session_id, payload)
SELECT bng_id, bng_instance_id, seq, ts, event_type::event_type, session_id, payload::jsonb
FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::text[], $6::uuid[], $7::text[])
    AS event (bng_id, bng_instance_id, seq, ts, event_type, session_id, payload)
ORDER BY bng_id, bng_instance_id, seq, ts
ON CONFLICT DO NOTHING
RETURNING bng_instance_id, seq";

/// Inserts what is not there yet, and says which that was.
pub async fn insert(connection: &mut PgConnection, events: &[Decoded]) -> Result<HashSet<Position>, StoreError> {
    if events.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query(INSERT)
        .bind(column(events, |event| event.envelope.bng_id.as_str()))
        .bind(column(events, |event| event.envelope.bng_instance_id.0))
        .bind(column(events, |event| int(event.envelope.seq)))
        .bind(column(events, |event| time(event.envelope.ts)))
        .bind(column(events, |event| event.envelope.event.event_type()))
        .bind(column(events, |event| event.envelope.event.session().map(|session| session.session_id.0)))
        .bind(column(events, |event| event.payload.as_str()))
        .fetch_all(connection)
        .await?;
    let position = |row: &sqlx::postgres::PgRow| -> Result<Position, sqlx::Error> {
        let seq: i64 = row.try_get(1)?;
        Ok(Position { bng_instance_id: InstanceId(row.try_get(0)?), seq: seq.cast_unsigned() })
    };
    Ok(rows.iter().map(position).collect::<Result<_, _>>()?)
}

/// The key of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    bng_id: String,
    bng_instance_id: Uuid,
    seq: i64,
    ts: OffsetDateTime,
}

impl Key {
    /// Before every event.
    pub fn first() -> Self {
        Self { bng_id: String::new(), bng_instance_id: Uuid::nil(), seq: 0, ts: OffsetDateTime::UNIX_EPOCH }
    }
}

const PAGE: &str = "
SELECT bng_id, bng_instance_id, seq, ts, event_type::text, payload::text,
    to_char(ts AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
FROM session_events WHERE (bng_id, bng_instance_id, seq, ts) > ($1, $2, $3, $4)
ORDER BY bng_id, bng_instance_id, seq, ts LIMIT $5";

/// The next `limit` events after `after` in the order of the key, and the key of the last one (`None`: there were none).
pub async fn page(
    connection: &mut PgConnection,
    after: &Key,
    limit: i64,
) -> Result<(Vec<Envelope>, Option<Key>), StoreError> {
    let rows = sqlx::query(PAGE)
        .bind(&after.bng_id)
        .bind(after.bng_instance_id)
        .bind(after.seq)
        .bind(after.ts)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    let mut envelopes = Vec::with_capacity(rows.len());
    let mut last = None;
    for row in &rows {
        let key = Key {
            bng_id: row.try_get(0)?,
            bng_instance_id: row.try_get(1)?,
            seq: row.try_get(2)?,
            ts: row.try_get(3)?,
        };
        let (event_type, payload, ts): (String, String, String) = (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
        let (instance, seq) = (key.bng_instance_id.to_string(), key.seq.to_string());
        let schema = lastmile_types::event::SCHEMA.to_string();
        let fields = [
            ("schema", schema.as_str()),
            ("bng_id", &key.bng_id),
            ("bng_instance_id", &instance),
            ("seq", &seq),
            ("event_type", &event_type),
            ("ts", &ts),
            ("payload", &payload),
        ];
        envelopes.push(stream::decode(fields).map_err(|error| StoreError::Stored {
            table: "session_events",
            value: format!("{instance} {seq}: {}", chain(&error)),
        })?);
        last = Some(key);
    }
    Ok((envelopes, last))
}
