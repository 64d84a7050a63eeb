//! One server in one of its two roles, authentication or accounting: its secret, its requests in flight, and whether it lives.
//!
//! A server is suspected when a transmission brings nothing, and asked by Status-Server (RFC 5997) at once; nothing at all heard of it
//! since, and it is dead: new requests go to others, those under way move on. A dead one is probed until it answers. One that was never
//! heard to answer Status-Server gets, each time its dead time is over, one request as a trial.
//!
//! Status-Server says that a server is there, not that it does its work. One that answers it and lets several requests in a row go
//! unanswered is dead as well, and no probe brings it back: it gets one request as a trial, after its dead time, then after twice that
//! time, and so on, until it answers one.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lastmile_types::config::Recovery;
use lastmile_wire::{
    Drop as Refused,
    radius::{Attributes, Packet, Request, RequireMessageAuthenticator, TooLong, status_request, verify_response},
};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tracing::{info, warn};

use super::{
    channel::{Channel, ExchangeError, Patience, Sign},
    tally::Tally,
};
use crate::{chain, time::boot_ms};

/// So many requests in a row must go unanswered, so many transmissions each, before a server that answers Status-Server is dead: of one
/// or two it may have its reasons.
const UNSERVED: u32 = 3;
const TRANSMISSIONS: u32 = 2;
/// The time between two trials doubles so often.
const DOUBLINGS: u32 = 5;

/// One server in one role.
#[derive(Debug)]
pub struct Peer {
    /// Where it is asked.
    pub address: SocketAddr,
    secret: Vec<u8>,
    require: RequireMessageAuthenticator,
    recovery: Recovery,
    patience: Patience,
    channel: Channel,
    state: watch::Sender<State>,
    suspected: Notify,
    tally: Arc<Tally>,
}

/// What is known of it; times are boot times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct State {
    /// Its last valid reply.
    heard_ms: Option<u64>,
    /// The last Status-Server to it.
    probed_ms: Option<u64>,
    /// Its last reply to a request.
    served_ms: Option<u64>,
    /// Its last reply to a Status-Server.
    status_ms: Option<u64>,
    /// Why it counts as dead: it is not heard at all.
    silent: Option<String>,
    /// Requests in a row that nothing came of, and when the last of them was made.
    unserved: u32,
    unserved_ms: u64,
    /// It answers Status-Server, and no request.
    idle: bool,
    /// From when on a request may try it though it is dead.
    trial_ms: u64,
    /// How often that was in vain.
    trials: u32,
}

impl State {
    /// Whether it answers Status-Server, and no request: of that it is cured by an answer to a request alone.
    fn judge_idleness(&mut self) {
        self.idle |= self.unserved >= UNSERVED && self.status_ms.is_some_and(|status| status >= self.unserved_ms);
    }

    fn dead(&self) -> bool {
        self.silent.is_some() || self.idle
    }
}

/// What a reply answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Request,
    Status,
}

impl Peer {
    /// Opens nothing yet; a server lives until the contrary is seen. `tally` goes on.
    pub fn new(
        address: SocketAddr,
        secret: Vec<u8>,
        require: RequireMessageAuthenticator,
        patience: Patience,
        recovery: Recovery,
        tally: Arc<Tally>,
    ) -> Self {
        let channel = Channel::new(address);
        let state = watch::Sender::new(State::default());
        Self { address, secret, require, recovery, patience, channel, state, suspected: Notify::new(), tally }
    }

    /// One request; `build` makes it of an identifier and the secret. When the server dies meanwhile and `elsewhere` says that another
    /// could be asked, it is abandoned.
    pub async fn ask(
        &self,
        build: impl FnOnce(u8, &[u8]) -> Result<Request, TooLong>,
        elsewhere: impl Fn() -> bool,
    ) -> Result<Packet, ExchangeError> {
        let since = boot_ms();
        let hopeless = self.is_dead();
        let abandoned = async {
            if !hopeless {
                self.until(State::dead).await;
            }
            if hopeless || !elsewhere() {
                std::future::pending::<()>().await;
            }
        };
        // A trial is no reason to let anybody wait long.
        let most = if hopeless && elsewhere() { TRANSMISSIONS - 1 } else { u32::MAX };
        let patience = Patience { retries: self.patience.retries.min(most), ..self.patience };
        let exchange = self.channel.exchange(
            patience,
            |identifier| build(identifier, &self.secret),
            |datagram, request| self.verify(datagram, request),
            |sign| {
                self.tally.request(sign);
                if let Sign::Nothing(sent) = sign {
                    self.suspected.notify_one();
                    if sent == TRANSMISSIONS.min(patience.retries + 1) {
                        self.unserved(since);
                    }
                }
            },
        );
        let reply = tokio::select! {
            reply = exchange => reply,
            () = abandoned => Err(ExchangeError::Abandoned { address: self.address }),
        };
        match &reply {
            Ok(packet) => self.tally.answered(packet),
            Err(ExchangeError::Silent { .. }) => self.tally.timed_out(),
            Err(_) => {}
        }
        self.judge(since, Asked::Request, reply)
    }

    /// Asks whether it lives, by so many Status-Servers more than one.
    pub async fn probe(&self, list: &Attributes, retries: u32) -> bool {
        let since = boot_ms();
        self.state.send_if_modified(|state| {
            state.probed_ms = Some(since);
            false
        });
        let reply = self.channel.exchange(
            Patience { retries, ..self.patience },
            |identifier| status_request(identifier, rand::random(), list, &self.secret),
            |datagram, request| verify_response(datagram, request, &self.secret, RequireMessageAuthenticator::No),
            |sign| self.tally.probe(sign),
        );
        self.judge(since, Asked::Status, reply.await).is_ok()
    }

    /// Resolves when it should be probed: it is suspected, it was not heard for `quiet`, or it is dead and its time has come. Gives how
    /// often the probe is worth repeating: two packets must be lost before a server counts as dead, and a suspect has lost one.
    pub async fn probe_is_due(&self, quiet: Duration) -> u32 {
        if self.is_dead() {
            sleep(Duration::from_secs(self.recovery.probe_seconds.into())).await;
            return 0;
        }
        tokio::select! {
            () = self.suspected.notified() => 0,
            () = self.quiet_for(quiet) => 1,
        }
    }

    /// Resolves when it was neither heard nor probed for so long.
    async fn quiet_for(&self, quiet: Duration) {
        loop {
            let last = {
                let state = self.state.borrow();
                state.heard_ms.max(state.probed_ms)
            };
            let age = last.map(|last| Duration::from_millis(boot_ms().saturating_sub(last)));
            let rest = age.map_or(Duration::ZERO, |age| quiet.saturating_sub(age));
            if rest.is_zero() {
                return;
            }
            sleep(rest).await;
        }
    }

    /// Why it counts as dead, if it does.
    pub fn dead(&self) -> Option<String> {
        let state = self.state.borrow();
        let idle = || state.idle.then(|| format!("{} answers Status-Server, but no request", self.address));
        state.silent.clone().or_else(idle)
    }

    /// Whether it does.
    pub fn is_dead(&self) -> bool {
        self.state.borrow().dead()
    }

    /// What was counted.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// It was heard.
    pub fn known(&self) -> bool {
        self.state.borrow().heard_ms.is_some()
    }

    /// It was heard at or after this boot time.
    pub fn heard_since(&self, boot_ms: u64) -> bool {
        self.state.borrow().heard_ms.is_some_and(|heard| heard >= boot_ms)
    }

    /// It is silent, and a probe will tell when it is there again.
    pub fn tells_by_probe(&self) -> bool {
        let state = self.state.borrow();
        state.silent.is_some() && state.status_ms.is_some()
    }

    /// Whether the caller may try it though it is dead: one, each time its time is over.
    pub fn on_trial(&self) -> bool {
        let now = boot_ms();
        let mut due = false;
        self.state.send_if_modified(|state| {
            let by_probe = state.silent.is_some() && state.status_ms.is_some();
            due = state.dead() && !by_probe && state.trial_ms <= now;
            if due {
                state.trials += u32::from(state.idle);
                state.trial_ms = now + (self.dead_time_ms() << state.trials.min(DOUBLINGS));
            }
            false
        });
        due
    }

    /// Resolves when it is not silent.
    pub async fn there(&self) {
        self.until(|state| state.silent.is_none()).await;
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        // An error would be the end of `self`.
        let _ = self.state.subscribe().wait_for(|state| holds(state)).await;
    }

    fn verify(&self, datagram: &[u8], request: &Request) -> Result<Packet, Refused> {
        verify_response(datagram, request, &self.secret, self.require)
    }

    fn judge(&self, since: u64, asked: Asked, reply: Result<Packet, ExchangeError>) -> Result<Packet, ExchangeError> {
        match &reply {
            Ok(_) => self.heard(asked),
            Err(error @ ExchangeError::Silent { refused, .. }) => {
                if refused.is_some() {
                    warn!(
                        server = %self.address,
                        detail = chain(error),
                        "a RADIUS server's replies were refused: check the shared secret and Message-Authenticator"
                    );
                }
                self.unheard(since, asked, chain(error));
            }
            Err(_) => {}
        }
        reply
    }

    fn heard(&self, asked: Asked) {
        let now = boot_ms();
        self.change(|state| {
            state.heard_ms = Some(now);
            match asked {
                Asked::Request => {
                    state.served_ms = Some(now);
                    (state.idle, state.unserved, state.trials) = (false, 0, 0);
                }
                Asked::Status => {
                    // What it did not answer while it was away says nothing.
                    if state.silent.is_some() {
                        state.unserved = 0;
                    }
                    state.status_ms = Some(now);
                    state.judge_idleness();
                }
            }
            state.silent = None;
        });
    }

    /// Nothing came of something that was asked at `since`.
    fn unheard(&self, since: u64, asked: Asked, why: String) {
        self.change(|state| {
            // Many servers do not know Status-Server; their silence to it says nothing. Of the others it alone says who is away: a
            // server may have its reasons not to answer a request.
            let telling = match asked {
                Asked::Request => state.status_ms.is_none(),
                Asked::Status => state.status_ms.is_some() || state.served_ms.is_none(),
            };
            if telling && state.silent.is_none() && state.heard_ms.is_none_or(|heard| heard < since) {
                state.silent = Some(why);
            }
        });
    }

    /// Nothing came of a request that was made at `since`, though it was sent again.
    fn unserved(&self, since: u64) {
        self.change(|state| {
            if state.served_ms.is_none_or(|served| served < since) {
                state.unserved = state.unserved.saturating_add(1);
                state.unserved_ms = since;
                state.judge_idleness();
            }
        });
    }

    /// Changes what is known; who waits hears of its death and of its life.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let (mut died, mut revived) = (false, false);
        self.state.send_if_modified(|state| {
            let (dead, silent) = (state.dead(), state.silent.is_some());
            change(state);
            died = !dead && state.dead();
            revived = dead && !state.dead();
            if died {
                state.trial_ms = boot_ms() + self.dead_time_ms();
            }
            died || revived || silent != state.silent.is_some()
        });
        if died {
            self.tally.died();
            let detail = self.dead().unwrap_or_default();
            warn!(
                server = %self.address,
                detail,
                "a RADIUS server does not answer and counts as dead: check that it runs, knows this NAS and answers its requests"
            );
        } else if revived {
            info!(server = %self.address, "a RADIUS server answers again");
        }
    }

    fn dead_time_ms(&self) -> u64 {
        u64::from(self.recovery.dead_time_seconds) * 1000
    }
}
