//! Delivers accounting records: in order per session, for as long as it takes.
//!
//! One task; per session at most one request is under way. A record leaves the journal when a server acknowledged it. Of the
//! interims that wait for one session only the newest is worth sending; starts and stops all are. Accounting-On and -Off are about
//! every session (RFC 2866 §5.1), and servers close what they think is open: they wait for all records before them, and all records
//! after them wait. A record that a living server does not answer, again and again, becomes a dead letter, so that nobody waits for it.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use lastmile_session::{AccountingKind, AccountingRecord};
use lastmile_types::SessionId;
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::error;

use super::{
    Client,
    client::Delivery,
    dead_letters::{DeadLetters, Reason},
};
use crate::{chain, time::boot_ms};

/// Requests under way at once.
const AT_ONCE: usize = 256;
/// Longest pause after no server answered. The first is the timeout of a request; it doubles each time that a server lived.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Whether somebody has dealt with the dead letters is looked at this often.
const LOOK: Duration = Duration::from_secs(10);
/// So often, all retransmissions included, a record is offered to servers that live.
const TRIES: u32 = 8;
/// The pause doubles so often.
const DOUBLINGS: u32 = 5;

/// What the task works with.
pub struct Delivering {
    /// Records in the order of their numbers.
    pub records: mpsc::UnboundedReceiver<AccountingRecord>,
    /// Whoever is current.
    pub client: watch::Receiver<Arc<Client>>,
    /// Told the number of each record that is dealt with.
    pub done: mpsc::UnboundedSender<u64>,
    /// For what nobody answers.
    pub dead_letters: DeadLetters,
}

impl Delivering {
    /// Runs until `records` is closed.
    pub async fn run(mut self) {
        let room = Semaphore::new(AT_ONCE);
        let (client, dead_letters) = (self.client.clone(), &self.dead_letters);
        let send = |record| Box::pin(send(record, client.clone(), dead_letters, &room)) as Sending<'_>;
        let mut queues = Queues::default();
        let mut under_way: FuturesUnordered<Sending<'_>> = FuturesUnordered::new();
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = look.tick() => dead_letters.look(),
                record = self.records.recv() => {
                    let Some(record) = record else { return };
                    queues.held.push_back(record);
                }
                Some(record) = under_way.next(), if !under_way.is_empty() => {
                    let _ = self.done.send(record.number);
                    under_way.extend(queues.next_of(record.session).map(&send));
                }
            }
            for step in queues.release() {
                match step {
                    Step::Send(record) => under_way.push(send(*record)),
                    Step::Superseded(number) => drop(self.done.send(number)),
                }
            }
        }
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = AccountingRecord> + Send + 'a>>;

/// What waits.
#[derive(Default)]
struct Queues {
    /// Per session with a record under way, what waits behind it.
    sessions: BTreeMap<SessionId, VecDeque<AccountingRecord>>,
    /// Not looked at yet: behind an Accounting-On or -Off.
    held: VecDeque<AccountingRecord>,
    /// An Accounting-On or -Off is under way.
    barrier: bool,
}

enum Step {
    Send(Box<AccountingRecord>),
    /// The interim with this number is superfluous.
    Superseded(u64),
}

impl Queues {
    /// The session's record that was under way is dealt with.
    fn next_of(&mut self, session: SessionId) -> Option<AccountingRecord> {
        let next = self.sessions.get_mut(&session).and_then(VecDeque::pop_front);
        if next.is_none() {
            self.sessions.remove(&session);
            // While one is under way, nothing else is.
            self.barrier = false;
        }
        next
    }

    /// Looks at what was held, as far as it may go.
    fn release(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        while !self.barrier
            && let Some(record) = self.held.pop_front()
        {
            if about_all(record.kind) {
                if !self.sessions.is_empty() {
                    self.held.push_front(record);
                    break;
                }
                self.barrier = true;
            }
            steps.extend(self.queue(record));
        }
        steps
    }

    fn queue(&mut self, record: AccountingRecord) -> Option<Step> {
        match self.sessions.get_mut(&record.session) {
            Some(queue) => superseded(queue, record).map(Step::Superseded),
            None => {
                self.sessions.insert(record.session, VecDeque::new());
                Some(Step::Send(Box::new(record)))
            }
        }
    }
}

fn about_all(kind: AccountingKind) -> bool {
    matches!(kind, AccountingKind::On | AccountingKind::Off)
}

/// Queues a record; the number of the interim that it makes superfluous, if it does.
fn superseded(queue: &mut VecDeque<AccountingRecord>, record: AccountingRecord) -> Option<u64> {
    let interim = |record: &AccountingRecord| record.kind == AccountingKind::Interim;
    let old = match queue.back() {
        Some(last) if interim(last) && interim(&record) => queue.pop_back(),
        _ => None,
    };
    queue.push_back(record);
    old.map(|old| old.number)
}

/// Resolves when the record is dealt with.
async fn send(
    record: AccountingRecord,
    mut client: watch::Receiver<Arc<Client>>,
    dead_letters: &DeadLetters,
    room: &Semaphore,
) -> AccountingRecord {
    let mut tries = 0;
    loop {
        let permit = room.acquire().await;
        let current = client.borrow_and_update().clone();
        let since = boot_ms();
        let outcome = current.account(&record).await;
        drop(permit);
        let reason = match outcome {
            Delivery::Acknowledged => return record,
            Delivery::Impossible(_) => Some(Reason::DoesNotFit),
            Delivery::Unanswered => None,
        };
        if let Some(reason) = reason.or((tries >= TRIES).then_some(Reason::Unanswered))
            && put_aside(&record, reason, dead_letters)
        {
            return record;
        }
        let pause = (current.settings().timeout * (1 << tries.min(DOUBLINGS))).min(PAUSE_MAX);
        // A new configuration may be the cure: try it at once.
        let _ = tokio::time::timeout(pause, client.changed()).await;
        // What no server answers while none is there says nothing of the record.
        tries += u32::from(current.accounting_heard_since(since));
    }
}

fn put_aside(record: &AccountingRecord, reason: Reason, dead_letters: &DeadLetters) -> bool {
    let written = dead_letters.write(record, reason);
    if let Err(error) = &written {
        error!(
            error = chain(error),
            "an accounting record that nobody answers cannot be put aside: check the disk below the state directory"
        );
    }
    written.is_ok()
}

#[cfg(test)]
mod tests;
