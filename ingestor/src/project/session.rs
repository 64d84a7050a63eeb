//! Which event of a session has the last word, and in which table the session therefore is.

use jiff::Timestamp;
use lastmile_types::{BngId, Counters, Envelope, Event, event::Position, session::SessionSnapshot};

/// The weight of an event's word about its session; the greatest of all events seen wins. The clock has no say.
///
/// A gateway's stop is final. Before it, the later event counts, and a provisional stop stands right behind the event that its
/// author had seen last: above that one, below the next. The winner of a set and one more event is either the old winner or
/// that event, so the winner's snapshot is always at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The gateway itself stopped the session.
    pub stopped: bool,
    /// The gateway's event that is known; for a provisional stop the last one that its author had seen.
    pub after: Position,
    /// A provisional stop.
    pub provisional: bool,
    /// The event's own place: tells two provisional stops apart.
    pub event: Position,
}

/// The table that a session is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `sessions_active`
    Active,
    /// `sessions_history`
    History,
}

impl Rank {
    /// Where a session with this last word belongs.
    pub const fn place(&self) -> Place {
        if self.stopped || self.provisional { Place::History } else { Place::Active }
    }
}

/// The word itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The gateway.
    pub bng_id: BngId,
    /// When it was said.
    pub ts: Timestamp,
    /// The session then.
    pub snapshot: SessionSnapshot,
}

/// What a batch says about one session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionChange {
    /// The weight of `change`.
    pub rank: Rank,
    /// The batch's weightiest event.
    pub change: Change,
    /// The greatest counters of all the batch's events.
    pub counters: Counters,
}

impl SessionChange {
    /// What one event says; `None` if it is not about a session.
    pub fn of(envelope: &Envelope) -> Option<Self> {
        let snapshot = envelope.event.session()?.clone();
        let event = envelope.position();
        let rank = match &envelope.event {
            Event::SessionStop(stop) => Rank {
                stopped: stop.provisional_after.is_none(),
                after: stop.provisional_after.unwrap_or(event),
                provisional: stop.provisional_after.is_some(),
                event,
            },
            _ => Rank { stopped: false, after: event, provisional: false, event },
        };
        let counters = snapshot.counters;
        Some(Self { rank, change: Change { bng_id: envelope.bng_id.clone(), ts: envelope.ts, snapshot }, counters })
    }

    /// Takes in what `other` says of the same session.
    pub fn join(&mut self, other: &Self) {
        self.counters = self.counters.max(other.counters);
        if other.rank > self.rank {
            self.rank = other.rank;
            self.change = other.change.clone();
        }
    }
}

/// What is to be done for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Only its counters may have grown, in the table it is in.
    CountersOnly(Place),
    /// The batch has the last word: write the row to `to`, and take it out of the other table if it is there.
    Write {
        /// The table the session belongs to now.
        to: Place,
        /// The table that it was in, where it differs.
        from: Option<Place>,
    },
}

/// Weighs the batch's word against the one that is stored.
pub fn decide(stored: Option<Rank>, batch: Rank) -> Decision {
    match stored {
        Some(stored) if stored >= batch => Decision::CountersOnly(stored.place()),
        Some(stored) => {
            let (from, to) = (stored.place(), batch.place());
            Decision::Write { to, from: (from != to).then_some(from) }
        }
        None => Decision::Write { to: batch.place(), from: None },
    }
}

#[cfg(test)]
mod tests {
    use lastmile_types::InstanceId;
    use uuid::Uuid;

    use super::*;

    fn at(instance: u128, seq: u64) -> Position {
        Position { bng_instance_id: InstanceId(Uuid::from_u128(instance)), seq }
    }

    fn said(instance: u128, seq: u64) -> Rank {
        Rank { stopped: false, after: at(instance, seq), provisional: false, event: at(instance, seq) }
    }

    fn stop(instance: u128, seq: u64) -> Rank {
        Rank { stopped: true, ..said(instance, seq) }
    }

    fn provisional(after: Position, seq: u64) -> Rank {
        Rank { stopped: false, after, provisional: true, event: at(99, seq) }
    }

    #[test]
    fn who_has_the_last_word() {
        let ascending = [
            said(1, 5),
            provisional(at(1, 5), 1),
            provisional(at(1, 5), 2),
            said(1, 6),
            said(2, 1),
            provisional(at(2, 1), 1),
            stop(1, 3),
        ];
        assert!(ascending.is_sorted(), "{ascending:?}");
    }

    #[test]
    fn decisions() {
        use Place::{Active, History};
        let write = |to, from| Decision::Write { to, from };
        let cases = [
            (None, said(1, 1), write(Active, None)),
            (None, stop(1, 4), write(History, None)),
            (Some(said(1, 1)), said(1, 2), write(Active, None)),
            (Some(said(1, 2)), said(1, 1), Decision::CountersOnly(Active)),
            (Some(said(1, 2)), stop(1, 4), write(History, Some(Active))),
            (Some(stop(1, 4)), said(1, 1), Decision::CountersOnly(History)),
            (Some(stop(1, 4)), stop(1, 4), Decision::CountersOnly(History)),
            (Some(provisional(at(1, 2), 1)), said(1, 3), write(Active, Some(History))),
            (Some(provisional(at(1, 2), 1)), stop(1, 3), write(History, None)),
            (Some(said(1, 3)), provisional(at(1, 2), 1), Decision::CountersOnly(Active)),
        ];
        for (stored, batch, expected) in cases {
            assert_eq!(decide(stored, batch), expected, "{stored:?} {batch:?}");
        }
    }
}
