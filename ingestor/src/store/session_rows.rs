//! The statements of `sessions_active` and `sessions_history`. The sessions are locked.

use std::collections::HashMap;

use lastmile_types::{Counters, SessionId};
use sqlx::{
    PgConnection, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use time::OffsetDateTime;

use super::{StoreError, column, int, time};
use crate::{
    decode::end_of,
    project::{Change, Place, Rank},
};

/// What a session's row is made of.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// The weight of `change`.
    pub rank: Rank,
    /// The last word.
    pub change: Change,
    /// The greatest counters known.
    pub counters: Counters,
}

// What both tables have, in the order in which `bind_common` binds it.
macro_rules! common {
    () => {
        "session_id, bng_id, bng_instance_id, acct_session_id, subscriber, circuit_id, remote_id, router, giaddr, mac, ip, \
         hostname, auth, policy, down_kbps, up_kbps, input_octets, output_octets, input_packets, output_packets, started_at, \
         last_seq"
    };
}

macro_rules! select {
    () => {
        "SELECT session_id, bng_id, bng_instance_id, acct_session_id, subscriber, circuit_id, remote_id, router, \
         giaddr::inet, mac::macaddr, ip::inet, hostname, auth::auth_state, policy, down_kbps, up_kbps, \
         input_octets::numeric, output_octets::numeric, input_packets::numeric, output_packets::numeric, started_at, last_seq"
    };
}

macro_rules! unnest {
    () => {
        "unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::text[], \
         $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bigint[], $17::bigint[], \
         $18::text[], $19::text[], $20::text[], $21::text[], $22::timestamptz[], $23::bigint[]"
    };
}

macro_rules! update {
    () => {
        "bng_id = excluded.bng_id, bng_instance_id = excluded.bng_instance_id, \
         acct_session_id = excluded.acct_session_id, subscriber = excluded.subscriber, circuit_id = excluded.circuit_id, \
         remote_id = excluded.remote_id, router = excluded.router, giaddr = excluded.giaddr, mac = excluded.mac, \
         ip = excluded.ip, hostname = excluded.hostname, auth = excluded.auth, policy = excluded.policy, \
         down_kbps = excluded.down_kbps, up_kbps = excluded.up_kbps, \
         input_octets = greatest(known.input_octets, excluded.input_octets), \
         output_octets = greatest(known.output_octets, excluded.output_octets), \
         input_packets = greatest(known.input_packets, excluded.input_packets), \
         output_packets = greatest(known.output_packets, excluded.output_packets), \
         started_at = excluded.started_at, last_seq = excluded.last_seq, revision = excluded.revision"
    };
}

const UPSERT_ACTIVE: &str = concat!(
    "INSERT INTO sessions_active AS known (",
    common!(),
    ", state, updated_at, lease_expires_at, revision) ",
    select!(),
    ", state::session_state, updated_at, lease_expires_at, $1 FROM ",
    unnest!(),
    ", $24::text[], $25::timestamptz[], $26::timestamptz[]) AS session (",
    common!(),
    ", state, updated_at, lease_expires_at) ON CONFLICT (session_id) DO UPDATE SET ",
    update!(),
    ", state = excluded.state, updated_at = excluded.updated_at, lease_expires_at = excluded.lease_expires_at",
);

const UPSERT_HISTORY: &str = concat!(
    "INSERT INTO sessions_history AS known (",
    common!(),
    ", ended_at, terminate_cause, terminate_detail, provisional, revision) ",
    select!(),
    ", ended_at, terminate_cause::terminate_cause, terminate_detail, provisional, $1 FROM ",
    unnest!(),
    ", $24::timestamptz[], $25::text[], $26::text[], $27::boolean[]) AS session (",
    common!(),
    ", ended_at, terminate_cause, terminate_detail, provisional) ON CONFLICT (session_id) DO UPDATE SET ",
    update!(),
    ", ended_at = excluded.ended_at, terminate_cause = excluded.terminate_cause, \
    terminate_detail = excluded.terminate_detail, provisional = excluded.provisional",
);

/// Writes the rows' last words.
pub async fn upsert(
    connection: &mut PgConnection,
    place: Place,
    rows: &[SessionRow],
    revision: i64,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let query = match place {
        Place::Active => bind_common(sqlx::query(UPSERT_ACTIVE).bind(revision), rows)
            .bind(column(rows, |row| row.change.snapshot.state.as_str()))
            .bind(column(rows, |row| time(row.change.ts)))
            .bind(column(rows, |row| time(row.change.snapshot.lease_expires_at))),
        Place::History => bind_common(sqlx::query(UPSERT_HISTORY).bind(revision), rows)
            .bind(column(rows, ended_at))
            .bind(column(rows, |row| row.change.snapshot.ended.as_ref().map(|ended| ended.cause.as_str())))
            .bind(column(rows, |row| row.change.snapshot.ended.as_ref().map(|ended| ended.detail.as_str())))
            .bind(column(rows, |row| row.rank.provisional)),
    };
    query.execute(connection).await?;
    Ok(())
}

/// By the session's own clock, so that a step of the wall clock ends nothing before its start. `decode` lets only times pass.
fn ended_at(row: &SessionRow) -> Option<OffsetDateTime> {
    end_of(row.change.snapshot.started_at, row.change.snapshot.elapsed_ms).map(time)
}

type Arguments<'q> = Query<'q, Postgres, PgArguments>;

fn bind_common<'q>(query: Arguments<'q>, rows: &'q [SessionRow]) -> Arguments<'q> {
    query
        .bind(column(rows, |row| row.change.snapshot.session_id.0))
        .bind(column(rows, |row| row.change.bng_id.to_string()))
        .bind(column(rows, |row| row.rank.after.bng_instance_id.0))
        .bind(column(rows, |row| row.change.snapshot.acct_session_id.clone()))
        .bind(column(rows, |row| row.change.snapshot.subscriber.clone()))
        .bind(column(rows, |row| row.change.snapshot.circuit_id.as_bytes().to_vec()))
        .bind(column(rows, |row| row.change.snapshot.remote_id.as_bytes().to_vec()))
        .bind(column(rows, |row| row.change.snapshot.router.clone()))
        .bind(column(rows, |row| row.change.snapshot.giaddr.map(|giaddr| giaddr.to_string())))
        .bind(column(rows, |row| row.change.snapshot.mac.to_string()))
        .bind(column(rows, |row| row.change.snapshot.ip.to_string()))
        .bind(column(rows, |row| row.change.snapshot.hostname.clone()))
        .bind(column(rows, |row| row.change.snapshot.auth.as_str()))
        .bind(column(rows, |row| row.change.snapshot.policy.clone()))
        .bind(column(rows, |row| row.change.snapshot.rates.down_kbps.map(i64::from)))
        .bind(column(rows, |row| row.change.snapshot.rates.up_kbps.map(i64::from)))
        .bind(column(rows, |row| row.counters.input_octets.to_string()))
        .bind(column(rows, |row| row.counters.output_octets.to_string()))
        .bind(column(rows, |row| row.counters.input_packets.to_string()))
        .bind(column(rows, |row| row.counters.output_packets.to_string()))
        .bind(column(rows, |row| time(row.change.snapshot.started_at)))
        .bind(column(rows, |row| int(row.rank.after.seq)))
}

macro_rules! delete {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE session_id = ANY ($1) RETURNING session_id, input_octets::text, \
            output_octets::text, input_packets::text, output_packets::text"
        )
    };
}

/// Takes rows out of a table, and says what they had counted.
pub async fn delete(
    connection: &mut PgConnection,
    place: Place,
    ids: &[uuid::Uuid],
) -> Result<HashMap<SessionId, Counters>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let statement = match place {
        Place::Active => delete!("sessions_active"),
        Place::History => delete!("sessions_history"),
    };
    let rows = sqlx::query(statement).bind(ids).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((SessionId(row.try_get(0)?), counters(row)?))).collect()
}

fn counters(row: &PgRow) -> Result<Counters, StoreError> {
    let counter = |column: usize| -> Result<u64, StoreError> {
        let value: String = row.try_get(column)?;
        value.parse().map_err(|_| StoreError::Stored { table: "a session's counters", value })
    };
    Ok(Counters {
        input_octets: counter(1)?,
        output_octets: counter(2)?,
        input_packets: counter(3)?,
        output_packets: counter(4)?,
    })
}

macro_rules! grow {
    ($table:literal) => {
        concat!(
            "UPDATE ", $table, " known SET \
            input_octets = greatest(known.input_octets, new.input_octets::numeric), \
            output_octets = greatest(known.output_octets, new.output_octets::numeric), \
            input_packets = greatest(known.input_packets, new.input_packets::numeric), \
            output_packets = greatest(known.output_packets, new.output_packets::numeric), \
            revision = $1 \
            FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[]) \
                AS new (session_id, input_octets, output_octets, input_packets, output_packets) \
            WHERE known.session_id = new.session_id AND ( \
                known.input_octets < new.input_octets::numeric OR known.output_octets < new.output_octets::numeric OR \
                known.input_packets < new.input_packets::numeric OR known.output_packets < new.output_packets::numeric)"
        )
    };
}

/// Lets counters grow where an event that came late knew more.
pub async fn grow(
    connection: &mut PgConnection,
    place: Place,
    rows: &[SessionRow],
    revision: i64,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let statement = match place {
        Place::Active => grow!("sessions_active"),
        Place::History => grow!("sessions_history"),
    };
    sqlx::query(statement)
        .bind(revision)
        .bind(column(rows, |row| row.change.snapshot.session_id.0))
        .bind(column(rows, |row| row.counters.input_octets.to_string()))
        .bind(column(rows, |row| row.counters.output_octets.to_string()))
        .bind(column(rows, |row| row.counters.input_packets.to_string()))
        .bind(column(rows, |row| row.counters.output_packets.to_string()))
        .execute(connection)
        .await?;
    Ok(())
}
