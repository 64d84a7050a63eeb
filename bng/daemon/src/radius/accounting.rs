//! Delivery of accounting: in order per session, many sessions at once, for as long as it takes.
//!
//! A record leaves the journal only when a server acknowledged it. While nobody answers, interims coalesce (a newer one says all that
//! an older one said); starts and stops never do.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use lastmile_session::{AccountingKind, AccountingRecord};
use lastmile_types::SessionId;
use lastmile_wire::radius::accounting_request;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tracing::error;

use super::{Answer, Nas, attributes, pool::Pool, server::AskError};

/// Sessions whose records are on their way at the same time.
const IN_FLIGHT: usize = 256;
/// Pause after nobody answered, doubled up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What became of one delivery.
enum Outcome {
    Delivered,
    /// It can never be sent.
    Impossible,
    Unanswered,
}

#[derive(Default)]
struct Queues {
    waiting: HashMap<SessionId, VecDeque<AccountingRecord>>,
    /// Sessions with something to send and nothing on its way, in turn.
    ready: VecDeque<SessionId>,
}

/// Runs until the sender of records is dropped.
pub async fn deliver(
    pool: Arc<Pool>,
    nas: Arc<Nas>,
    mut records: mpsc::UnboundedReceiver<AccountingRecord>,
    answers: mpsc::UnboundedSender<Answer>,
) {
    let mut queues = Queues::default();
    let mut flights = JoinSet::new();
    let mut pause = PAUSE;
    loop {
        while flights.len() < IN_FLIGHT
            && let Some(record) = queues.next()
        {
            flights.spawn(send(pool.clone(), nas.clone(), record));
        }
        tokio::select! {
            record = records.recv() => {
                let Some(record) = record else { return };
                if let Some(number) = queues.push(record) {
                    let _ = answers.send(Answer::Accounted { number });
                }
            }
            Some(Ok((session, number, outcome))) = flights.join_next() => match outcome {
                Outcome::Delivered | Outcome::Impossible => {
                    pause = PAUSE;
                    queues.delivered(session);
                    let _ = answers.send(Answer::Accounted { number });
                }
                Outcome::Unanswered => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    queues.ready.push_back(session);
                }
            },
        }
    }
}

async fn send(pool: Arc<Pool>, nas: Arc<Nas>, record: AccountingRecord) -> (SessionId, u64, Outcome) {
    let build = |identifier, secret: &[u8]| {
        // Dated anew at every server: a changed Acct-Delay-Time is a new request with a new identifier.
        let attributes = attributes::accounting(&nas, &record, jiff::Timestamp::now())?;
        accounting_request(identifier, &attributes, secret)
    };
    let outcome = match pool.ask(build).await {
        Ok(_) => Outcome::Delivered,
        Err(AskError::Silent { .. }) => Outcome::Unanswered,
        Err(AskError::TooLong(source)) => {
            error!(session = %record.session, error = %source, "an accounting record cannot be sent and is given up");
            Outcome::Impossible
        }
    };
    (record.session, record.number, outcome)
}

impl Queues {
    /// Takes a record; returns the number of one that it made superfluous.
    fn push(&mut self, record: AccountingRecord) -> Option<u64> {
        let session = record.session;
        let queue = self.waiting.entry(session).or_default();
        if queue.is_empty() {
            self.ready.push_back(session);
        }
        // The first may be on its way.
        let coalesces = queue.len() > 1 && record.kind == AccountingKind::Interim;
        let superfluous = queue.back().filter(|last| coalesces && last.kind == AccountingKind::Interim).map(|last| last.number);
        if superfluous.is_some() {
            queue.pop_back();
        }
        queue.push_back(record);
        superfluous
    }

    fn next(&mut self) -> Option<AccountingRecord> {
        let session = self.ready.pop_front()?;
        self.waiting.get(&session)?.front().cloned()
    }

    fn delivered(&mut self, session: SessionId) {
        let Some(queue) = self.waiting.get_mut(&session) else { return };
        queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&session);
        } else {
            self.ready.push_back(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use lastmile_session::Subject;
    use lastmile_types::{Counters, MacAddr, Octets};
    use uuid::Uuid;

    use super::*;

    fn record(number: u64, session: u128, kind: AccountingKind) -> AccountingRecord {
        AccountingRecord {
            number,
            session: SessionId(Uuid::from_u128(session)),
            kind,
            at: jiff::Timestamp::UNIX_EPOCH,
            subject: Subject {
                acct_session_id: "a".into(),
                user_name: "u".into(),
                ip: [192, 0, 2, 1].into(),
                mac: MacAddr([2; 6]),
                circuit_id: Octets::default(),
                remote_id: Octets::default(),
                class: vec![],
            },
            counters: Counters::default(),
            seconds: 0,
            ended: None,
        }
    }

    #[test]
    fn a_sessions_records_go_one_after_the_other_and_sessions_side_by_side() {
        use AccountingKind::{Start, Stop};
        let mut queues = Queues::default();
        for record in [record(1, 1, Start), record(2, 1, Stop), record(3, 2, Start)] {
            assert_eq!(queues.push(record), None);
        }
        assert_eq!(queues.next().unwrap().number, 1);
        assert_eq!(queues.next().unwrap().number, 3);
        assert!(queues.next().is_none(), "2 waits for 1");
        queues.delivered(SessionId(Uuid::from_u128(1)));
        assert_eq!(queues.next().unwrap().number, 2);
    }

    #[test]
    fn interims_coalesce_starts_and_stops_never() {
        use AccountingKind::{Interim, Start, Stop};
        let mut queues = Queues::default();
        assert_eq!(queues.push(record(1, 1, Start)), None);
        assert_eq!(queues.push(record(2, 1, Interim)), None);
        assert_eq!(queues.push(record(3, 1, Interim)), Some(2));
        assert_eq!(queues.push(record(4, 1, Stop)), None);
        assert_eq!(queues.push(record(5, 1, Interim)), None);
    }
}
