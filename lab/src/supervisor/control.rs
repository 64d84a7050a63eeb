//! Requests to the keeper: a line of JSON each way on a unix socket that only root can reach.
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::paths::SOCKET_DIR;

/// What the keeper can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Request {
    /// What runs.
    Status,
    /// Start, stop or release a subscriber's client.
    Subscriber {
        /// What to do.
        action: Action,
        /// The subscriber.
        name: String,
    },
    /// Start or stop a service, router or gateway.
    Service {
        /// What to do.
        action: Action,
        /// The part, as `lab status` names it.
        name: String,
    },
}

/// What to do with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Give the lease back, then stop.
    Release,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    ok: bool,
    text: String,
}

fn path() -> PathBuf {
    Path::new(SOCKET_DIR).join("control.sock")
}

/// Asks the keeper.
pub fn ask(request: &Request) -> Result<String> {
    let mut stream = UnixStream::connect(path()).context("the lab does not answer: is it up? (`lab up`)")?;
    writeln!(stream, "{}", serde_json::to_string(request)?)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let answer: Answer = serde_json::from_str(&line).context("the lab ended while it was asked")?;
    if !answer.ok {
        bail!("{}", answer.text);
    }
    Ok(answer.text)
}

/// Answers requests, one after the other, for as long as the keeper lives.
pub fn serve(mut handle: impl FnMut(Request) -> Result<String>) -> Result<()> {
    std::fs::create_dir_all(SOCKET_DIR).with_context(|| format!("cannot make {SOCKET_DIR}"))?;
    let _ = std::fs::remove_file(path());
    let listener = UnixListener::bind(path()).with_context(|| format!("cannot listen on {}", path().display()))?;
    for stream in listener.incoming() {
        // A client that went away is its own affair.
        let _ = stream.map_err(anyhow::Error::from).and_then(|stream| answer(stream, &mut handle));
    }
    Ok(())
}

fn answer(mut stream: UnixStream, handle: &mut impl FnMut(Request) -> Result<String>) -> Result<()> {
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut line)?;
    let done = serde_json::from_str(&line).map_err(anyhow::Error::from).and_then(handle);
    let answer = match done {
        Ok(text) => Answer { ok: true, text },
        Err(error) => Answer { ok: false, text: format!("{error:#}") },
    };
    writeln!(stream, "{}", serde_json::to_string(&answer)?)?;
    Ok(())
}
