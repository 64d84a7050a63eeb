//! The driver's end: orders to the machine, and answers that wait for the journal.

use std::{collections::BTreeMap, sync::Arc};

use lastmile_session::{CoaRequest, ErrorCause, Input};
use tokio::sync::oneshot;
use tracing::debug;

use super::{Order, Tally};
use crate::driver::Driver;

/// Orders that are not answered yet.
pub struct Desk {
    waiting: BTreeMap<u64, oneshot::Sender<Result<(), ErrorCause>>>,
    /// Done, but not journalled.
    unwritten: Vec<u64>,
    /// What became of requests.
    pub(crate) tally: Arc<Tally>,
}

impl Desk {
    /// An empty one.
    pub fn new(tally: Arc<Tally>) -> Self {
        Self { waiting: BTreeMap::new(), unwritten: Vec::new(), tally }
    }

    fn answer(&mut self, order: u64, answer: Result<(), ErrorCause>) {
        if let Some(waiting) = self.waiting.remove(&order) {
            let _ = waiting.send(answer); // who asked may be gone
        }
    }
}

impl Driver {
    pub(crate) fn coa_order(&mut self, order: Order) {
        let Order { target, wish, answer } = order;
        debug!(?target, ?wish, "a CoA or Disconnect order");
        if !self.written() {
            let _ = answer.send(Err(ErrorCause::ResourcesUnavailable));
            return;
        }
        self.last_order += 1;
        self.coa.waiting.insert(self.last_order, answer);
        self.input(Input::Coa(Box::new(CoaRequest { order: self.last_order, target, wish })), None);
    }

    pub(crate) fn coa_answer(&mut self, order: u64, refused: Option<ErrorCause>) {
        match refused {
            Some(cause) => self.coa.answer(order, Err(cause)),
            None if self.written() => self.coa.answer(order, Ok(())),
            None => self.coa.unwritten.push(order),
        }
    }

    /// Everything is journalled: what was done may be said.
    pub(crate) fn coa_answers_leave(&mut self) {
        for order in std::mem::take(&mut self.coa.unwritten) {
            self.coa.answer(order, Ok(()));
        }
    }
}
