//! Replays a recording to a fresh machine and says what it does: `bng-replay FILE`.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufRead, Write},
};

use lastmile_session::{Effects, Input, Line, Replay, ReplayError};
use lastmile_types::status::SessionCounts;

/// How effects are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line for people per input.
    Text,
    /// `{"line", "told", "effects"}` per input.
    Json,
    /// The summary alone.
    Summary,
}

/// Why a replay did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Files.
    #[error("cannot read the recording or write the result")]
    Io(#[from] io::Error),
    /// Not a recording.
    #[error("line {line} is not a recording's")]
    Json {
        /// From 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The machine.
    #[error("line {line}")]
    Replay {
        /// From 1.
        line: usize,
        /// What is wrong.
        source: ReplayError,
    },
}

/// What a recording came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Inputs replayed.
    pub inputs: usize,
    /// Processes, that is, beginnings.
    pub starts: usize,
    /// Events by kind.
    pub events: BTreeMap<&'static str, usize>,
    /// Sessions at the end.
    pub sessions: SessionCounts,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SessionCounts { total, authorized, rejected, .. } = self.sessions;
        writeln!(f, "{} inputs, {} starts of the gateway", self.inputs, self.starts)?;
        writeln!(f, "{total} sessions at the end: {authorized} authorized, {rejected} rejected")?;
        self.events.iter().try_for_each(|(kind, count)| writeln!(f, "{count:>8} {kind}"))?;
        write!(f, "the machine's indexes agreed after every input")
    }
}

/// Replays `recording` and writes what comes of it to `out`. A last line without its end is what a crash left: it is no error.
pub fn replay(mut recording: impl BufRead, form: Form, out: &mut impl Write) -> Result<Summary, Error> {
    let (mut replay, mut summary) = (Replay::default(), Summary::default());
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        if recording.read_line(&mut text)? == 0 || !text.ends_with('\n') {
            break;
        }
        let parsed: Line = serde_json::from_str(&text).map_err(|source| Error::Json { line, source })?;
        let told = match &parsed {
            Line::Opened(_) => None,
            Line::Told(told) => Some((told.now, told.input.clone())),
        };
        let effects = replay.take(parsed).map_err(|source| Error::Replay { line, source })?;
        match (told, effects) {
            (Some((now, input)), Some(effects)) => {
                summary.inputs += 1;
                for event in &effects.record.events {
                    *summary.events.entry(event.event.event_type()).or_default() += 1;
                }
                print(form, out, line, now.boot_ms, &input, &effects)?;
            }
            _ => summary.starts += 1,
        }
    }
    summary.sessions = replay.machine().map(|machine| machine.counts()).unwrap_or_default();
    Ok(summary)
}

fn print(
    form: Form,
    out: &mut impl Write,
    line: usize,
    boot_ms: u64,
    input: &Input,
    effects: &Effects,
) -> io::Result<()> {
    match form {
        Form::Summary => Ok(()),
        Form::Json => writeln!(out, "{}", serde_json::json!({ "line": line, "told": input, "effects": effects })),
        Form::Text => {
            writeln!(out, "{line} +{}.{:03}s {}", boot_ms / 1000, boot_ms % 1000, summary_of(input))?;
            for event in &effects.record.events {
                writeln!(out, "    {} {}", event.seq, event.event.event_type())?;
            }
            for record in &effects.record.accounting {
                writeln!(out, "    accounting {:?} {}", record.kind, record.session)?;
            }
            effects.actions.iter().try_for_each(|action| writeln!(out, "    {action:?}"))
        }
    }
}

/// An input in one line.
fn summary_of(input: &Input) -> String {
    match input {
        Input::Dhcp(message) => format!(
            "{:?} {:?} xid {:08x} {} giaddr {} ciaddr {} yiaddr {} from {}",
            message.side,
            message.kind,
            message.xid,
            message.chaddr,
            message.giaddr,
            message.ciaddr,
            message.yiaddr,
            message.source_ip
        ),
        Input::Config(settings) => format!("Config {}", settings.config.config_revision),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(name: &str) -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../session/tests/scenarios");
        std::fs::read_to_string(format!("{folder}/{name}/input.jsonl")).unwrap()
    }

    #[test]
    fn a_recording_comes_to_its_summary() {
        let mut out = Vec::new();
        let summary = replay(scenario("disconnect").as_bytes(), Form::Text, &mut out).unwrap();
        assert_eq!((summary.starts, summary.sessions.authorized), (1, 1));
        assert_eq!((summary.events["SESSION_START"], summary.events["SESSION_STOP"]), (2, 1));
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("SESSION_STOP") && text.contains("Nak"), "{text}");
        let mut out = Vec::new();
        replay(scenario("reboot").as_bytes(), Form::Json, &mut out).unwrap();
        assert!(
            out.split(|octet| *octet == b'\n')
                .filter(|line| !line.is_empty())
                .all(|line| { serde_json::from_slice::<serde_json::Value>(line).is_ok() })
        );
    }

    #[test]
    fn a_torn_end_is_no_error_and_a_missing_beginning_is() {
        let whole = scenario("dora_accept");
        let torn = &whole[..whole.len() - 9];
        assert!(replay(torn.as_bytes(), Form::Summary, &mut Vec::new()).is_ok());
        let headless = whole.split_once('\n').unwrap().1;
        let error = replay(headless.as_bytes(), Form::Summary, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, Error::Replay { line: 1, source: ReplayError::NotOpened }));
        assert!(matches!(replay(&b"{}\n"[..], Form::Summary, &mut Vec::new()), Err(Error::Json { line: 1, .. })));
    }
}
