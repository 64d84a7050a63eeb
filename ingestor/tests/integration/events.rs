//! Made-up lives of sessions.

use lastmile_types::{
    Counters, Envelope, Event, InstanceId, SessionId,
    event::{Position, SessionStop},
    session::SessionSnapshot,
};
use uuid::Uuid;

/// One event per kind, and a provisional stop.
pub fn golden() -> Vec<Envelope> {
    let lines = include_str!("../../../bng/types/tests/golden/events.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The gateway instance of [`life`].
pub fn instance() -> InstanceId {
    InstanceId(Uuid::from_u128(0x0193_88d2_1f3c_7a00_8000_0000_0000_0001))
}

fn snapshot(session: u128, counted: u64) -> SessionSnapshot {
    let golden = golden();
    let mut snapshot = golden[3].event.session().unwrap().clone();
    snapshot.session_id = SessionId(Uuid::from_u128(0x0193_88d2_2a00_7000_8000_0000_0000_0000 + session));
    snapshot.acct_session_id = format!("session-{session}");
    snapshot.counters = Counters {
        input_octets: counted * 1000,
        output_octets: counted * 10,
        input_packets: counted,
        output_packets: counted,
    };
    snapshot.elapsed_ms = counted * 1000;
    snapshot.ended = None;
    snapshot
}

fn at(seq: u64, event: Event) -> Envelope {
    let ts = "2026-11-23T13:00:00Z".parse::<lastmile_types::Timestamp>().unwrap();
    let ts = lastmile_types::Timestamp::from_second(ts.as_second() + i64::try_from(seq).unwrap() * 60).unwrap();
    Envelope { bng_id: "edge/bng-01".parse().unwrap(), bng_instance_id: instance(), seq, ts, event }
}

/// `sessions` sessions of four events each, interleaved: starts, then three rounds; the last third of the sessions ends.
pub fn life(sessions: u64) -> Vec<Envelope> {
    let mut events = Vec::new();
    for round in 0..4 {
        for session in 0..sessions {
            let seq = events.len() as u64 + 1;
            let snapshot = snapshot(session.into(), seq);
            let ends = round == 3 && session >= sessions * 2 / 3;
            events.push(at(
                seq,
                match round {
                    0 => Event::SessionStart(Box::new(snapshot)),
                    _ if ends => stop(snapshot, None),
                    _ => Event::SessionUpdate(Box::new(snapshot)),
                },
            ));
        }
    }
    events
}

fn stop(mut session: SessionSnapshot, provisional_after: Option<Position>) -> Event {
    session.ended = golden()[3].event.session().unwrap().ended.clone();
    Event::SessionStop(Box::new(SessionStop { session, provisional_after }))
}

/// The operator's word that `session` is over, having seen seq `after`.
pub fn provisional(session: u64, seq: u64, after: u64) -> Envelope {
    let operator = InstanceId(Uuid::from_u128(0x0193_88d2_1f3c_7a00_8000_0000_0000_00ff));
    let position = Position { bng_instance_id: instance(), seq: after };
    let mut envelope = at(seq, stop(snapshot(session.into(), after), Some(position)));
    envelope.bng_instance_id = operator;
    envelope
}
