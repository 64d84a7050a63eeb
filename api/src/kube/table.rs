//! What `kubectl get sessions` shows.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::object;
use crate::store::sessions::SessionRow;

/// Name, description, and whether only `-o wide` shows it.
const COLUMNS: [(&str, &str, bool); 18] = [
    ("Name", "s- and the session's id.", false),
    ("Subscriber", "User-Name as sent to RADIUS.", false),
    ("IP", "The leased address.", false),
    ("MAC", "The client's hardware address.", false),
    ("State", "PENDING: no traffic yet; ACTIVE; IDLE: no upload for a while.", false),
    ("Auth", "What RADIUS said: PENDING_AUTH, AUTHORIZED or REJECTED.", false),
    ("Policy", "The SubscriberPolicy in force.", false),
    ("Down", "Downloaded since the session's start.", false),
    ("Up", "Uploaded since the session's start.", false),
    ("Age", "Since the session's start.", false),
    ("BNG", "The gateway.", true),
    ("Circuit", "Agent Circuit ID.", true),
    ("Remote ID", "Agent Remote ID.", true),
    ("Router", "The access router.", true),
    ("Hostname", "As the client named itself.", true),
    ("Rate", "Limits down/up.", true),
    ("Lease", "Until the lease ends.", true),
    ("Acct Session ID", "Acct-Session-Id as sent to RADIUS.", true),
];

/// What each row carries beside its cells (`includeObject`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// The metadata.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// A `Table` of sessions.
pub fn table(rows: &[SessionRow], metadata: Value, include: Include, now: Timestamp) -> Value {
    let columns: Vec<Value> = COLUMNS
        .iter()
        .map(|(name, description, wide)| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({"name": name, "type": "string", "format": format, "description": description, "priority": i32::from(*wide)})
        })
        .collect();
    let rows: Vec<Value> = rows.iter().map(|row| table_row(row, include, now)).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": columns, "rows": rows})
}

fn table_row(row: &SessionRow, include: Include, now: Timestamp) -> Value {
    let mut value = json!({"cells": cells(row, now)});
    match include {
        Include::None => {}
        Include::Metadata => value["object"] = object::partial(row),
        Include::Object => value["object"] = object::object(row),
    }
    value
}

fn cells(row: &SessionRow, now: Timestamp) -> [String; 18] {
    let or_none = |text: Option<&str>| text.unwrap_or("<none>").to_owned();
    [
        object::name(row.id),
        row.subscriber.clone(),
        row.ip.to_string(),
        row.mac.to_string(),
        row.state.to_string(),
        row.auth.to_string(),
        or_none(row.policy.as_deref()),
        octets(row.counters.input_octets),
        octets(row.counters.output_octets),
        duration(now.duration_since(row.started_at).as_secs()),
        row.bng_id.name().to_owned(),
        row.circuit_id.to_string(),
        row.remote_id.to_string(),
        row.router.clone(),
        or_none(row.hostname.as_deref()),
        format!("{}/{}", rate(row.down_kbps), rate(row.up_kbps)),
        row.lease_expires_at.map_or_else(|| "<none>".to_owned(), |at| duration(at.duration_since(now).as_secs())),
        row.acct_session_id.clone(),
    ]
}

/// Octets for people: `0B`, `1023B`, `1.2GiB`.
fn octets(octets: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if octets < 1024 {
        return format!("{octets}B");
    }
    let mut value = octets as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1}{}", UNITS[unit])
}

/// A rate for people: `50M`, `1.5M`, `512k`, `-` for none.
fn rate(kbps: Option<i64>) -> String {
    match kbps {
        None => "-".to_owned(),
        Some(kbps) if kbps < 1_000 => format!("{kbps}k"),
        Some(kbps) if kbps % 1_000 == 0 => format!("{}M", kbps / 1_000),
        Some(kbps) => format!("{:.1}M", kbps as f64 / 1_000.0),
    }
}

/// A length of time the way `kubectl` writes it.
fn duration(seconds: i64) -> String {
    let pair = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => pair(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => pair(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => pair(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        _ => pair(days / 365, "y", days % 365, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::fixture::{now, session};

    #[test]
    fn a_table_is_what_it_was() {
        insta::assert_json_snapshot!(table(&[session()], json!({"resourceVersion": "7"}), Include::Metadata, now()));
    }

    #[test]
    fn octets_for_people() {
        let cases = [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0KiB"),
            (1_288_490_189, "1.2GiB"),
            (1_048_575, "1.0MiB"),
            (u64::MAX, "16.0EiB"),
        ];
        for (value, text) in cases {
            assert_eq!(octets(value), text);
        }
    }

    #[test]
    fn durations_for_people() {
        let cases = [
            (-1, "0s"),
            (119, "119s"),
            (150, "2m30s"),
            (900, "15m"),
            (11_000, "3h3m"),
            (100_000, "27h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
        ];
        for (value, text) in cases {
            assert_eq!(duration(value), text);
        }
    }

    #[test]
    fn rates_for_people() {
        assert_eq!([None, Some(512), Some(50_000), Some(1_500)].map(rate), ["-", "512k", "50M", "1.5M"]);
    }
}
