//! Everybody's counters: read by a thread of its own, dealt with in slices, so that packets wait for neither.

use std::{
    collections::BTreeSet,
    io,
    net::Ipv4Addr,
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
    vec,
};

use lastmile_netio::{
    Error,
    gate::{Sighting, Survey},
};
use lastmile_session::Input;
use tokio::sync::mpsc;

use crate::{actions::reading, driver::Driver};

/// Readings of one slice.
const SLICE: usize = 256;

/// What a survey found, and how long it took.
pub type Found = (Result<Vec<Sighting>, Error>, Duration);

/// The thread, and what of its last answer is still to be dealt with.
#[derive(Debug)]
pub struct Surveys {
    ask: std::sync::mpsc::SyncSender<Survey>,
    under_way: bool,
    /// Whose element was changed since the survey was asked for: what it says of them may be of the time before.
    changed: BTreeSet<Ipv4Addr>,
    rest: vec::IntoIter<Sighting>,
    took: Option<Duration>,
}

impl Surveys {
    /// Starts the thread; its answers come by the channel.
    pub fn start() -> io::Result<(Self, mpsc::UnboundedReceiver<Found>)> {
        let (ask, asked) = sync_channel::<Survey>(1);
        let (found, answers) = mpsc::unbounded_channel();
        thread::Builder::new().name("survey".to_owned()).spawn(move || {
            while let Ok(survey) = asked.recv() {
                let began = Instant::now();
                let all = survey.read();
                let _ = found.send((all, began.elapsed())); // nobody waits at the end
            }
        })?;
        let rest = Vec::new().into_iter();
        Ok((Self { ask, under_way: false, changed: BTreeSet::new(), rest, took: None }, answers))
    }

    /// Asks for one, unless one is under way.
    pub fn ask(&mut self, survey: impl FnOnce() -> Survey) {
        if !self.under_way && self.ask.try_send(survey()).is_ok() {
            self.under_way = true;
        }
    }

    /// A subscriber's element is about to change.
    pub fn changes(&mut self, ip: Ipv4Addr) {
        if self.under_way {
            self.changed.insert(ip);
        }
    }

    /// How long the last one took that succeeded, milliseconds.
    pub fn took_ms(&self) -> Option<u64> {
        self.took.map(|took| took.as_millis() as u64)
    }

    /// Some of an answer is left.
    pub fn has_rest(&self) -> bool {
        self.rest.len() > 0
    }

    fn end(&mut self) {
        self.under_way = false;
        self.changed.clear();
    }
}

impl Driver {
    /// A survey's answer is there.
    pub(crate) fn surveyed(&mut self, (found, took): Found) {
        match found {
            Ok(all) => {
                self.surveys.took = Some(took);
                self.surveys.rest = all.into_iter();
                self.slice();
            }
            Err(error) => {
                self.surveys.end();
                self.gate_failed(&error);
            }
        }
    }

    /// The next slice of an answer.
    pub(crate) fn slice(&mut self) {
        let Surveys { rest, changed, .. } = &mut self.surveys;
        let owed = &self.batch.owed;
        let theirs = |sighting: &Sighting| !changed.contains(&sighting.ip()) && !owed.holds(sighting.ip());
        let slice = rest.take(SLICE).filter(theirs);
        let readings: Vec<_> = slice.filter_map(|sighting| self.plane.gate.sighted(&sighting)).map(reading).collect();
        if !self.surveys.has_rest() {
            self.surveys.end();
        }
        self.input(Input::Counters(readings), None);
    }
}
