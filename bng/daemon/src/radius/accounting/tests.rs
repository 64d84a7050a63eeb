//! What waits for what.

use lastmile_types::Counters;
use uuid::Uuid;

use super::*;

fn record(number: u64, session: u128, kind: AccountingKind) -> AccountingRecord {
    AccountingRecord {
        number,
        session: SessionId(Uuid::from_u128(session)),
        kind,
        at: jiff::Timestamp::UNIX_EPOCH,
        subject: None,
        counters: Counters::default(),
        seconds: 0,
        ended: None,
    }
}

/// What is sent (positive) and what is superseded (negative), after these records.
fn released(queues: &mut Queues, records: &[AccountingRecord]) -> Vec<i64> {
    queues.held.extend(records.iter().cloned());
    let number = |step| match step {
        Step::Send(record) => record.number as i64,
        Step::Superseded(number) => -(number as i64),
    };
    queues.release().into_iter().map(number).collect()
}

#[test]
fn one_at_a_time_per_session_and_only_the_newest_interim() {
    use AccountingKind::*;
    let mut queues = Queues::default();
    let first = [record(1, 1, Start), record(2, 2, Start), record(3, 1, Interim), record(4, 1, Interim)];
    assert_eq!(released(&mut queues, &first), [1, 2, -3]);
    assert!(released(&mut queues, &[record(5, 1, Stop)]).is_empty());
    let session = SessionId(Uuid::from_u128(1));
    let next: Vec<_> = (0..3).map(|_| queues.next_of(session).map(|record| record.number)).collect();
    assert_eq!(next, [Some(4), Some(5), None]);
}

#[test]
fn on_waits_for_all_before_it_and_all_after_wait_for_it() {
    use AccountingKind::*;
    let mut queues = Queues::default();
    let all = [record(1, 1, Stop), record(2, 2, Stop), record(3, 9, On), record(4, 1, Start), record(5, 3, Start)];
    assert_eq!(released(&mut queues, &all), [1, 2]);
    assert!(queues.next_of(all[0].session).is_none());
    assert!(released(&mut queues, &[]).is_empty(), "one stop is still under way");
    assert!(queues.next_of(all[1].session).is_none());
    assert_eq!(released(&mut queues, &[]), [3]);
    assert!(released(&mut queues, &[record(6, 4, Start)]).is_empty());
    assert!(queues.next_of(all[2].session).is_none());
    assert_eq!(released(&mut queues, &[]), [4, 5, 6]);
}
