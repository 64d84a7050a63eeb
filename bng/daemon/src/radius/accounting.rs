//! Delivers accounting records: in order per session, for as long as it takes.
//!
//! One task; per session at most one request is under way. A record leaves the journal when a server acknowledged it. Of the
//! interims that wait for one session only the newest is worth sending; starts and stops all are.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use lastmile_session::{AccountingKind, AccountingRecord};
use lastmile_types::SessionId;
use tokio::sync::{Semaphore, mpsc, watch};

use super::Client;

/// Requests under way at once.
const AT_ONCE: usize = 256;
/// First pause after no server answered; doubled each time.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Runs until `records` is closed and empty; tells the number of each record that is dealt with.
pub async fn deliver(
    mut records: mpsc::UnboundedReceiver<AccountingRecord>,
    client: watch::Receiver<Arc<Client>>,
    done: mpsc::UnboundedSender<u64>,
) {
    let room = Semaphore::new(AT_ONCE);
    // Per session what waits behind the one that is under way.
    let mut queues: BTreeMap<SessionId, VecDeque<AccountingRecord>> = BTreeMap::new();
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            record = records.recv() => {
                let Some(record) = record else { return };
                match queues.get_mut(&record.session) {
                    Some(queue) => {
                        if let Some(number) = superseded(queue, record) {
                            let _ = done.send(number);
                        }
                    }
                    None => {
                        queues.insert(record.session, VecDeque::new());
                        under_way.push(send(record, client.clone(), &room));
                    }
                }
            }
            Some(record) = under_way.next(), if !under_way.is_empty() => {
                let _ = done.send(record.number);
                match queues.get_mut(&record.session).and_then(VecDeque::pop_front) {
                    Some(next) => under_way.push(send(next, client.clone(), &room)),
                    None => drop(queues.remove(&record.session)),
                }
            }
        }
    }
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

async fn send(
    record: AccountingRecord,
    mut client: watch::Receiver<Arc<Client>>,
    room: &Semaphore,
) -> AccountingRecord {
    let mut pause = PAUSE;
    loop {
        let permit = room.acquire().await;
        let current = client.borrow_and_update().clone();
        if current.account(&record).await {
            return record;
        }
        drop(permit);
        // A new configuration may be the cure: try it at once.
        let _ = tokio::time::timeout(pause, client.changed()).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
