//! Entries of the event stream: an [`Envelope`] as the flat fields of a Redis Stream entry, and back.

use std::str::FromStr;

use lastmile_types::{BngId, Envelope, Event, InstanceId, Timestamp, event::SCHEMA};
use serde_json::{Value, json};

/// The fields of an entry, in the order in which they are sent.
pub type Fields = [(&'static str, String); 7];

/// Why an entry could not be read. It will never be readable: this is for the dead-letter table.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A field is not there.
    #[error("the field {0} is missing")]
    Missing(&'static str),
    /// A field is not what it should be.
    #[error("the field {field} cannot be read: {value:?}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value, shortened to 200 characters.
        value: String,
    },
    /// Written by a newer gateway.
    #[error("schema {0} is not known here")]
    Schema(u32),
    /// The payload does not fit the event type, or the type is unknown.
    #[error("the payload of {event_type} cannot be read")]
    Payload {
        /// The event type.
        event_type: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// The fields of one entry.
pub fn encode(envelope: &Envelope) -> Result<Fields, serde_json::Error> {
    let Envelope { bng_id, bng_instance_id, seq, ts, event } = envelope;
    fields(bng_id, *bng_instance_id, *seq, *ts, event)
}

/// As [`encode`], of an envelope in its parts.
pub fn fields(
    bng_id: &BngId,
    instance: InstanceId,
    seq: u64,
    ts: Timestamp,
    event: &Event,
) -> Result<Fields, serde_json::Error> {
    Ok([
        ("schema", SCHEMA.to_string()),
        ("bng_id", bng_id.to_string()),
        ("bng_instance_id", instance.to_string()),
        ("seq", seq.to_string()),
        ("event_type", event.event_type().to_owned()),
        ("ts", ts.to_string()),
        ("payload", payload(event)?),
    ])
}

fn payload(event: &Event) -> Result<String, serde_json::Error> {
    match event {
        Event::SessionStart(session) | Event::SessionUpdate(session) => serde_json::to_string(session),
        Event::SessionStop(stop) => serde_json::to_string(stop),
        Event::PolicyApply(apply) => serde_json::to_string(apply),
        Event::RouterUpdate(router) => serde_json::to_string(router),
        Event::BngHealthUpdate(health) => serde_json::to_string(health),
    }
}

/// Reads the fields of one entry, in any order; unknown fields are ignored.
pub fn decode<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Envelope, DecodeError> {
    const NAMES: [&str; 7] = ["schema", "bng_id", "bng_instance_id", "seq", "event_type", "ts", "payload"];
    let mut values = [None; NAMES.len()];
    for (name, value) in fields {
        if let Some(place) = NAMES.iter().position(|known| *known == name) {
            values[place] = Some(value);
        }
    }
    let value = |place: usize| values[place].ok_or(DecodeError::Missing(NAMES[place]));
    let schema = parse(NAMES[0], value(0)?)?;
    if schema != SCHEMA {
        return Err(DecodeError::Schema(schema));
    }
    let event_type = value(4)?;
    Ok(Envelope {
        bng_id: parse(NAMES[1], value(1)?)?,
        bng_instance_id: from_json(NAMES[2], value(2)?)?,
        seq: parse(NAMES[3], value(3)?)?,
        ts: parse(NAMES[5], value(5)?)?,
        event: event(event_type, value(6)?)
            .map_err(|source| DecodeError::Payload { event_type: shorten(event_type), source })?,
    })
}

fn event(event_type: &str, payload: &str) -> Result<Event, serde_json::Error> {
    let payload: Value = serde_json::from_str(payload)?;
    serde_json::from_value(json!({ "eventType": event_type, "payload": payload }))
}

fn parse<T: FromStr>(field: &'static str, value: &str) -> Result<T, DecodeError> {
    value.parse().map_err(|_| DecodeError::Field { field, value: shorten(value) })
}

fn from_json<T: serde::de::DeserializeOwned>(field: &'static str, value: &str) -> Result<T, DecodeError> {
    serde_json::from_value(Value::String(value.to_owned()))
        .map_err(|_| DecodeError::Field { field, value: shorten(value) })
}

fn shorten(value: &str) -> String {
    value.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use lastmile_types::event::{BngHealth, RouterUpdate};
    use proptest::prelude::*;

    use super::*;

    fn envelope(event: Event) -> Envelope {
        Envelope {
            bng_id: "edge/bng-01".parse().unwrap(),
            bng_instance_id: from_json("", "019388d2-1f3c-7a00-8000-000000000001").unwrap(),
            seq: 42,
            ts: "2026-11-23T13:00:00.123456Z".parse().unwrap(),
            event,
        }
    }

    fn health() -> Event {
        Event::BngHealthUpdate(BngHealth {
            cpu_cores: 0.25,
            memory_bytes: 1 << 24,
            sessions: 8,
            authorized: 7,
            uptime_seconds: 60,
        })
    }

    fn borrowed(fields: &Fields) -> Vec<(&str, &str)> {
        fields.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    #[test]
    fn golden() {
        let fields = encode(&envelope(health())).unwrap();
        let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(
            lines.join("\n"),
            "schema 1\nbng_id edge/bng-01\nbng_instance_id 019388d2-1f3c-7a00-8000-000000000001\nseq 42\n\
             event_type BNG_HEALTH_UPDATE\nts 2026-11-23T13:00:00.123456Z\n\
             payload {\"cpuCores\":0.25,\"memoryBytes\":16777216,\"sessions\":8,\"authorized\":7,\"uptimeSeconds\":60}"
        );
    }

    #[test]
    fn round_trip_in_any_order() {
        let router = RouterUpdate {
            name: "ar-01".to_owned(),
            raw_id: "ar-01".into(),
            giaddr: Some([100, 64, 1, 1].into()),
            alive: true,
            rtt_us: Some(300),
            first_seen: "2026-11-23T12:00:00Z".parse().unwrap(),
            last_seen: "2026-11-23T13:00:00Z".parse().unwrap(),
        };
        for event in [health(), Event::RouterUpdate(router)] {
            let before = envelope(event);
            let fields = encode(&before).unwrap();
            let mut reversed = borrowed(&fields);
            reversed.reverse();
            assert_eq!(decode(reversed).unwrap(), before);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let fields = encode(&envelope(health())).unwrap();
        for place in 0..fields.len() {
            let mut missing = borrowed(&fields);
            let (name, _) = missing.remove(place);
            assert!(matches!(decode(missing), Err(DecodeError::Missing(field)) if field == name));
            let mut wrong = borrowed(&fields);
            wrong[place].1 = "?";
            assert!(decode(wrong).is_err(), "{name}");
        }
        let mut newer = borrowed(&fields);
        newer[0].1 = "2";
        assert!(matches!(decode(newer), Err(DecodeError::Schema(2))));
    }

    proptest! {
        #[test]
        fn decode_is_total(values in proptest::collection::vec(".{0,20}", 7)) {
            let names = ["schema", "bng_id", "bng_instance_id", "seq", "event_type", "ts", "payload"];
            let _ = decode(names.into_iter().zip(values.iter().map(String::as_str)));
        }
    }
}
