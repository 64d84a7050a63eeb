//! One entry of the stream → one event that the database will take, or the reason why never. Pure.

use jiff::{SignedDuration, Timestamp};
use lastmile_types::{Envelope, Event, event::Position};
use lastmile_wire::stream;

/// An entry as Redis hands it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's id, `milliseconds-number`.
    pub id: String,
    /// Names and values as they came, not necessarily text.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
}

/// An event with the text it came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The entry it came in, kept for the case that the database refuses it.
    pub entry: Entry,
    /// The event.
    pub envelope: Envelope,
    /// The payload as it came: fields that this version does not know are kept.
    pub payload: String,
}

/// An entry that can never be ingested.
#[derive(Debug, Clone, PartialEq)]
pub struct Poison {
    /// The entry.
    pub entry: Entry,
    /// Its place, if that much could be read: it then counts as done, so that its gateway's outbox does not wait for it.
    pub position: Option<Position>,
    /// Why.
    pub reason: String,
}

/// Why an event that can be read cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefuseError {
    /// An entry name or value is not UTF-8.
    #[error("the entry is not UTF-8")]
    NotUtf8,
    /// Sequence numbers are from 1 to 2^63 - 1.
    #[error("seq {0} is out of range")]
    Seq(u64),
    /// PostgreSQL has no such text.
    #[error("a text contains U+0000")]
    Nul,
    /// A stop says how.
    #[error("a SESSION_STOP must say how the session ended")]
    NotEnded,
    /// `startedAt + elapsedMs` is not a time.
    #[error("started at {started_at}, {elapsed_ms} ms long: that is no time")]
    End {
        /// When the session started.
        started_at: Timestamp,
        /// Its length, milliseconds.
        elapsed_ms: u64,
    },
}

/// Decodes `entry` and checks what the types alone do not.
pub fn decode(entry: Entry) -> Result<Decoded, Box<Poison>> {
    match read(&entry) {
        Ok((envelope, payload)) => Ok(Decoded { entry, envelope, payload }),
        Err(error) => {
            let position = position(&entry);
            Err(Box::new(Poison { entry, position, reason: chain(&*error) }))
        }
    }
}

/// When a session of this start and length ended: `None` past the end of time.
pub fn end_of(started_at: Timestamp, elapsed_ms: u64) -> Option<Timestamp> {
    let elapsed = SignedDuration::from_millis(i64::try_from(elapsed_ms).ok()?);
    started_at.checked_add(elapsed).ok()
}

fn read(entry: &Entry) -> Result<(Envelope, String), Box<dyn std::error::Error>> {
    let fields = text(entry).ok_or(RefuseError::NotUtf8)?;
    let envelope = stream::decode(fields.iter().copied())?;
    let payload = fields.iter().rev().find(|(name, _)| *name == "payload").map_or("", |(_, value)| value);
    check(&envelope, payload)?;
    Ok((envelope, payload.to_owned()))
}

fn check(envelope: &Envelope, payload: &str) -> Result<(), RefuseError> {
    if envelope.seq == 0 || i64::try_from(envelope.seq).is_err() {
        return Err(RefuseError::Seq(envelope.seq));
    }
    // The escape may itself be escaped and mean something else; so rare that it is refused all the same.
    if payload.contains("\\u0000") || envelope.bng_id.as_str().contains('\0') {
        return Err(RefuseError::Nul);
    }
    match &envelope.event {
        Event::SessionStop(stop) if stop.session.ended.is_none() => Err(RefuseError::NotEnded),
        Event::SessionStop(stop) => {
            let (started_at, elapsed_ms) = (stop.session.started_at, stop.session.elapsed_ms);
            end_of(started_at, elapsed_ms).map(drop).ok_or(RefuseError::End { started_at, elapsed_ms })
        }
        _ => Ok(()),
    }
}

fn text(entry: &Entry) -> Option<Vec<(&str, &str)>> {
    entry.fields.iter().map(|(name, value)| Some((str::from_utf8(name).ok()?, str::from_utf8(value).ok()?))).collect()
}

fn position(entry: &Entry) -> Option<Position> {
    let field = |wanted: &str| {
        let (_, value) = entry.fields.iter().rev().find(|(name, _)| name == wanted.as_bytes())?;
        str::from_utf8(value).ok()
    };
    let bng_instance_id = lastmile_types::InstanceId(field("bng_instance_id")?.parse().ok()?);
    let seq = field("seq")?.parse().ok().filter(|seq| (1..=i64::MAX as u64).contains(seq))?;
    Some(Position { bng_instance_id, seq })
}

/// The error and all its causes, `: ` between them. Some libraries' errors repeat their cause: it is said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: &str) -> Entry {
        let envelope: Envelope = serde_json::from_str(line).unwrap();
        let fields = stream::encode(&envelope).unwrap();
        let fields = fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        Entry { id: "1-1".to_owned(), fields }
    }

    fn golden() -> Vec<&'static str> {
        include_str!("../../bng/types/tests/golden/events.jsonl").lines().collect()
    }

    fn set(entry: &mut Entry, field: &str, value: &[u8]) {
        entry.fields.iter_mut().find(|(name, _)| name == field.as_bytes()).unwrap().1 = value.to_vec();
    }

    #[test]
    fn every_kind_decodes() {
        for line in golden() {
            let decoded = decode(entry(line)).unwrap();
            assert_eq!(decoded.envelope, serde_json::from_str(line).unwrap());
            assert!(line.contains(&decoded.payload), "{line}");
        }
    }

    #[test]
    fn poison_says_why_and_keeps_its_place() {
        let stop = golden().into_iter().find(|line| line.contains("SESSION_STOP")).unwrap();
        let cases: [(&str, &[u8], &str, bool); 7] = [
            ("payload", b"{", "the payload of SESSION_STOP cannot be read: EOF", true),
            ("payload", b"\xff", "not UTF-8", true),
            ("schema", b"7", "schema 7", true),
            ("event_type", b"SESSION_DANCE", "SESSION_DANCE", true),
            ("seq", b"0", "seq 0", false),
            ("seq", b"18446744073709551615", "out of range", false),
            ("bng_instance_id", b"?", "bng_instance_id", false),
        ];
        for (field, value, reason, placed) in cases {
            let mut wrong = entry(stop);
            set(&mut wrong, field, value);
            let poison = decode(wrong).unwrap_err();
            assert!(poison.reason.contains(reason), "{}", poison.reason);
            assert_eq!(poison.position.is_some(), placed, "{field}");
        }
    }

    #[test]
    fn what_the_database_cannot_hold_is_refused() {
        let stop = golden().into_iter().find(|line| line.contains("SESSION_STOP")).unwrap();
        for (from, to, reason) in [
            ("\"hostname\":\"", "\"hostname\":\"\\u0000", "U+0000"),
            ("\"elapsedMs\":", "\"elapsedMs\":9000000000", "that is no time"),
            ("\"ended\":", "\"finished\":", "how the session ended"),
        ] {
            let wrong = stop.replace(from, to);
            assert_ne!(wrong, stop);
            let mut wrong_entry = entry(stop);
            let payload = serde_json::from_str::<serde_json::Value>(&wrong).unwrap()["event"]["payload"].to_string();
            set(&mut wrong_entry, "payload", payload.as_bytes());
            assert!(decode(wrong_entry).unwrap_err().reason.contains(reason), "{reason}");
        }
    }
}
