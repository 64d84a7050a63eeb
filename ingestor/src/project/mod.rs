//! A batch of events → what it means for each table. Pure.
//!
//! Everything here is a join of a semilattice: the greater rank, the greater counter, the earlier beginning. So the order of
//! the events and their repetition cannot matter, neither within a batch nor between batches.

mod session;

use std::collections::BTreeMap;

use jiff::Timestamp;
use lastmile_types::{
    BngId, Counters, Envelope, Event, Octets, SessionId,
    event::{BngHealth, Position, RouterUpdate},
};

pub use session::{Change, Decision, Place, Rank, SessionChange, decide};

/// The width of a bucket of `session_traffic`, seconds.
pub const BUCKET_SECONDS: i64 = 300;

/// What a batch says, per table and key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Projections {
    /// `session_progress`, `sessions_active` and `sessions_history`.
    pub sessions: BTreeMap<SessionId, SessionChange>,
    /// `session_traffic`, by session and start of the bucket.
    pub traffic: BTreeMap<(SessionId, Timestamp), Traffic>,
    /// `access_routers`, by gateway and raw id.
    pub routers: BTreeMap<(BngId, Octets), Router>,
    /// `bng_registry`.
    pub bngs: BTreeMap<BngId, Bng>,
    /// `bng_health_events`.
    pub health: BTreeMap<(BngId, Position), (Timestamp, BngHealth)>,
}

/// The greatest counters of a session within a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// The gateway.
    pub bng_id: BngId,
    /// Since the session's start.
    pub counters: Counters,
}

/// The last word on an access router.
#[derive(Debug, Clone, PartialEq)]
pub struct Router {
    /// Where it was said.
    pub position: Position,
    /// What was said; `first_seen` and `last_seen` are the earliest and the latest of all that was said.
    pub update: RouterUpdate,
}

/// What was heard of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bng {
    /// Its last event.
    pub last: Position,
    /// The earliest event's time.
    pub first_seen: Timestamp,
    /// The latest event's time.
    pub last_seen: Timestamp,
}

impl Projections {
    /// What `events` say.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Envelope>) -> Self {
        let mut projections = Self::default();
        for envelope in events {
            projections.add(envelope);
        }
        projections
    }

    fn add(&mut self, envelope: &Envelope) {
        // A provisional stop is the operator's word about a gateway, not a sign of life of it.
        let provisional = matches!(&envelope.event, Event::SessionStop(stop) if stop.provisional_after.is_some());
        if !provisional {
            self.add_bng(envelope);
            self.add_traffic(envelope);
        }
        if let Some(change) = SessionChange::of(envelope) {
            self.sessions
                .entry(change.change.snapshot.session_id)
                .and_modify(|known| known.join(&change))
                .or_insert(change);
        }
        match &envelope.event {
            Event::RouterUpdate(update) => self.add_router(envelope, update),
            Event::BngHealthUpdate(health) => {
                let key = (envelope.bng_id.clone(), envelope.position());
                self.health.entry(key).or_insert_with(|| (envelope.ts, health.clone()));
            }
            _ => {}
        }
    }

    fn add_bng(&mut self, envelope: &Envelope) {
        let (ts, position) = (envelope.ts, envelope.position());
        let bng =
            self.bngs.entry(envelope.bng_id.clone()).or_insert(Bng { last: position, first_seen: ts, last_seen: ts });
        bng.last = bng.last.max(position);
        bng.first_seen = bng.first_seen.min(ts);
        bng.last_seen = bng.last_seen.max(ts);
    }

    fn add_traffic(&mut self, envelope: &Envelope) {
        let Some(session) = envelope.event.session() else { return };
        let key = (session.session_id, bucket(envelope.ts));
        let traffic = self
            .traffic
            .entry(key)
            .or_insert_with(|| Traffic { bng_id: envelope.bng_id.clone(), counters: Counters::default() });
        traffic.counters = traffic.counters.max(session.counters);
    }

    fn add_router(&mut self, envelope: &Envelope, update: &RouterUpdate) {
        let new = Router { position: envelope.position(), update: update.clone() };
        let key = (envelope.bng_id.clone(), update.raw_id.clone());
        let router = self.routers.entry(key).or_insert_with(|| new.clone());
        let first_seen = router.update.first_seen.min(update.first_seen);
        let last_seen = router.update.last_seen.max(update.last_seen);
        if new.position > router.position {
            *router = new;
        }
        router.update.first_seen = first_seen;
        router.update.last_seen = last_seen;
    }
}

/// The start of the bucket that `ts` falls into.
fn bucket(ts: Timestamp) -> Timestamp {
    let second = ts.as_second();
    Timestamp::from_second(second - second.rem_euclid(BUCKET_SECONDS)).unwrap_or(ts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn golden() -> Vec<Envelope> {
        let lines = include_str!("../../../bng/types/tests/golden/events.jsonl").lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn golden_events() {
        let events = golden();
        let projections = Projections::of(&events);
        let (_, session) = projections.sessions.first_key_value().unwrap();
        assert_eq!(session.rank.place(), Place::History);
        assert_eq!(session.rank.after.seq, 4, "the real stop supersedes the provisional one");
        assert_eq!(session.counters.input_octets, 9_000_000);
        assert_eq!(projections.bngs.values().next().unwrap().last.seq, 6);
        assert_eq!((projections.sessions.len(), projections.routers.len(), projections.health.len()), (1, 1, 1));
        let buckets: Vec<u64> = projections.traffic.values().map(|traffic| traffic.counters.input_octets).collect();
        assert_eq!(buckets, [0, 5_000_000, 9_000_000]);
    }

    proptest! {
        #[test]
        fn order_and_repetition_do_not_matter(picks in proptest::collection::vec(0_usize..7, 0..20)) {
            let events = golden();
            let expected = Projections::of(&events);
            let mixed: Vec<&Envelope> = picks.iter().map(|&pick| &events[pick]).chain(events.iter().rev()).collect();
            prop_assert_eq!(Projections::of(mixed), expected);
        }
    }
}
