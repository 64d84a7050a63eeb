//! `session_progress` and the moves between `sessions_active` and `sessions_history` that follow from it.

use std::collections::HashMap;

use lastmile_types::{InstanceId, SessionId, event::Position};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    StoreError, column, int,
    session_rows::{self, SessionRow},
};
use crate::project::{Decision, Place, Projections, Rank, SessionChange, decide};

// Existing rows are not touched, new ones appear in id order: with the lock that follows, two transactions can only wait for
// each other in one direction.
const ENSURE: &str =
    "INSERT INTO session_progress (session_id) SELECT unnest($1::uuid[]) ORDER BY 1 ON CONFLICT DO NOTHING";

const LOCK: &str = "
SELECT session_id, stopped, bng_instance_id, last_seq, provisional, event_instance_id, event_seq
FROM session_progress WHERE session_id = ANY ($1) ORDER BY session_id FOR UPDATE";

/// Locks the batch's sessions and weighs its words against theirs.
pub async fn lock_and_decide(
    connection: &mut PgConnection,
    projections: &Projections,
) -> Result<Vec<(Decision, SessionRow)>, StoreError> {
    let ids: Vec<Uuid> = projections.sessions.keys().map(|id| id.0).collect();
    sqlx::query(ENSURE).bind(&ids).execute(&mut *connection).await?;
    let locked = sqlx::query(LOCK).bind(&ids).fetch_all(connection).await?;
    let stored: HashMap<SessionId, Option<Rank>> = locked.iter().map(rank).collect::<Result<_, _>>()?;
    let plan = |(id, change): (&SessionId, &SessionChange)| {
        let decision = decide(stored.get(id).copied().flatten(), change.rank);
        (decision, SessionRow { rank: change.rank, change: change.change.clone(), counters: change.counters })
    };
    Ok(projections.sessions.iter().map(plan).collect())
}

fn rank(row: &PgRow) -> Result<(SessionId, Option<Rank>), sqlx::Error> {
    let id = SessionId(row.try_get(0)?);
    let Some(stopped) = row.try_get(1)? else { return Ok((id, None)) };
    let position = |instance: &str, seq: &str| -> Result<Position, sqlx::Error> {
        let seq: i64 = row.try_get(seq)?;
        Ok(Position { bng_instance_id: InstanceId(row.try_get(instance)?), seq: seq.cast_unsigned() })
    };
    let rank = Rank {
        stopped,
        after: position("bng_instance_id", "last_seq")?,
        provisional: row.try_get("provisional")?,
        event: position("event_instance_id", "event_seq")?,
    };
    Ok((id, Some(rank)))
}

/// Carries `plan` out: rows leave the table they no longer belong to and bring their counters along.
pub async fn carry_out(connection: &mut PgConnection, plan: Vec<(Decision, SessionRow)>) -> Result<(), StoreError> {
    let revision = next_revision(connection).await?;
    for place in [Place::Active, Place::History] {
        let other = if place == Place::Active { Place::History } else { Place::Active };
        let (mut write, mut leaving, mut grow) = (Vec::new(), Vec::new(), Vec::new());
        for (decision, row) in &plan {
            match *decision {
                Decision::Write { to, from } if to == place => {
                    leaving.extend(from.map(|_| row.change.snapshot.session_id.0));
                    write.push(row.clone());
                }
                Decision::CountersOnly(at) if at == place => grow.push(row.clone()),
                _ => {}
            }
        }
        let brought = session_rows::delete(connection, other, &leaving).await?;
        for row in &mut write {
            if let Some(counters) = brought.get(&row.change.snapshot.session_id) {
                row.counters = row.counters.max(*counters);
            }
        }
        session_rows::upsert(connection, place, &write, revision).await?;
        session_rows::grow(connection, place, &grow, revision).await?;
        remember(connection, &write).await?;
    }
    Ok(())
}

/// Taken last, held until the commit: revisions become visible in order.
async fn next_revision(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let row =
        sqlx::query("UPDATE session_revision SET value = value + 1 RETURNING value").fetch_one(connection).await?;
    Ok(row.try_get(0)?)
}

const REMEMBER: &str = "
UPDATE session_progress known SET stopped = word.stopped, bng_instance_id = word.bng_instance_id,
    last_seq = word.last_seq, provisional = word.provisional, event_instance_id = word.event_instance_id,
    event_seq = word.event_seq
FROM unnest($1::uuid[], $2::boolean[], $3::uuid[], $4::bigint[], $5::boolean[], $6::uuid[], $7::bigint[])
    AS word (session_id, stopped, bng_instance_id, last_seq, provisional, event_instance_id, event_seq)
WHERE known.session_id = word.session_id";

async fn remember(connection: &mut PgConnection, rows: &[SessionRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(REMEMBER)
        .bind(column(rows, |row| row.change.snapshot.session_id.0))
        .bind(column(rows, |row| row.rank.stopped))
        .bind(column(rows, |row| row.rank.after.bng_instance_id.0))
        .bind(column(rows, |row| int(row.rank.after.seq)))
        .bind(column(rows, |row| row.rank.provisional))
        .bind(column(rows, |row| row.rank.event.bng_instance_id.0))
        .bind(column(rows, |row| int(row.rank.event.seq)))
        .execute(connection)
        .await?;
    Ok(())
}
