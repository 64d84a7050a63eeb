//! What is said of a session whose gateway is gone.

use lastmile_types::{
    Event, InstanceId,
    event::{Position, SessionStop},
    session::{Ended, SessionSnapshot, SessionState, TerminateCause},
};

/// Why a gateway cannot say it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It is another instance by now.
    JournalLost(InstanceId),
    /// Its object is deleted.
    Deleted,
}

/// A live session as the database has it, and the last event that it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// The session, as it last was.
    pub session: SessionSnapshot,
    /// Its gateway's last word.
    pub last: Position,
}

impl Gone {
    /// The instance whose sessions live.
    pub fn current(self) -> Option<InstanceId> {
        match self {
            Self::JournalLost(instance) => Some(instance),
            Self::Deleted => None,
        }
    }

    /// For people.
    pub fn detail(self) -> &'static str {
        match self {
            Self::JournalLost(_) => "the gateway lost its journal",
            Self::Deleted => "the gateway was deleted without a drain",
        }
    }

    fn cause(self) -> TerminateCause {
        match self {
            Self::JournalLost(_) => TerminateCause::NasReboot,
            Self::Deleted => TerminateCause::AdminReboot,
        }
    }
}

/// The end of it, with the counters that are known.
pub fn stop(orphan: Orphan, gone: Gone) -> Event {
    let ended = Ended { cause: gone.cause(), detail: gone.detail().to_owned() };
    let session = SessionSnapshot { state: SessionState::Expired, ended: Some(ended), ..orphan.session };
    Event::SessionStop(Box::new(SessionStop { session, provisional_after: Some(orphan.last) }))
}

#[cfg(test)]
mod tests {
    use lastmile_types::{SessionId, session::AuthState};
    use uuid::Uuid;

    use super::*;

    fn orphan() -> Orphan {
        let session = SessionSnapshot {
            session_id: SessionId(Uuid::from_u128(7)),
            acct_session_id: "7".to_owned(),
            subscriber: "line-01".to_owned(),
            circuit_id: "ar-01|1/1".into(),
            remote_id: "line-01".into(),
            router: "ar-01".to_owned(),
            giaddr: None,
            mac: "02:00:5e:10:00:01".parse().expect("a MAC address"),
            ip: [100, 64, 1, 10].into(),
            hostname: None,
            adopted: false,
            state: SessionState::Active,
            auth: AuthState::Authorized,
            policy: None,
            rates: Default::default(),
            counters: Default::default(),
            started_at: "2026-11-23T12:00:00Z".parse().expect("a time"),
            elapsed_ms: 60_000,
            lease_expires_at: "2026-11-23T13:00:00Z".parse().expect("a time"),
            ended: None,
        };
        Orphan { session, last: Position { bng_instance_id: InstanceId(Uuid::from_u128(1)), seq: 42 } }
    }

    #[test]
    fn the_end_stands_behind_the_gateways_last_word() {
        let orphan = orphan();
        let gone = Gone::JournalLost(InstanceId(Uuid::from_u128(2)));
        let Event::SessionStop(stop) = stop(orphan.clone(), gone) else { panic!("no stop") };
        assert_eq!(stop.provisional_after, Some(orphan.last));
        assert_eq!(stop.session.state, SessionState::Expired);
        assert_eq!(stop.session.ended.map(|ended| ended.cause), Some(TerminateCause::NasReboot));
        assert_eq!((stop.session.elapsed_ms, stop.session.counters), (60_000, orphan.session.counters));
    }
}
