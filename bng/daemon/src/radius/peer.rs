//! One server in one of its two roles, authentication or accounting: its secret, its requests in flight, and whether it lives.
//!
//! A server is suspected when a transmission brings nothing, and asked by Status-Server (RFC 5997) at once; nothing at all heard of it
//! since, and it is dead: new requests go to others, those under way move on. A dead one is probed until it answers. One that was never
//! heard to answer Status-Server gets, each time its dead time is over, one request as a trial.

use std::{net::SocketAddr, time::Duration};

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

use super::channel::{Channel, ExchangeError, Patience};
use crate::{chain, time::boot_ms};

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
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct State {
    /// Boot time of its last valid reply, milliseconds.
    heard_ms: Option<u64>,
    /// Boot time of the last Status-Server to it.
    probed_ms: Option<u64>,
    /// Why it counts as dead.
    dead: Option<String>,
    /// Boot time from which a request may try it though it is dead.
    trial_ms: u64,
    /// It answered a request.
    answers_requests: bool,
    /// It answered a Status-Server.
    answers_status: bool,
}

/// What a reply answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Request,
    Status,
}

impl Peer {
    /// Opens nothing yet; a server lives until the contrary is seen.
    pub fn new(
        address: SocketAddr,
        secret: Vec<u8>,
        require: RequireMessageAuthenticator,
        patience: Patience,
        recovery: Recovery,
    ) -> Self {
        let channel = Channel::new(address);
        let state = watch::Sender::new(State::default());
        Self { address, secret, require, recovery, patience, channel, state, suspected: Notify::new() }
    }

    /// One request; `build` makes it of an identifier and the secret. When the server dies meanwhile and `elsewhere` says that another
    /// could be asked, it is abandoned.
    pub async fn ask(
        &self,
        build: impl FnOnce(u8, &[u8]) -> Result<Request, TooLong>,
        elsewhere: impl Fn() -> bool,
    ) -> Result<Packet, ExchangeError> {
        let since = boot_ms();
        let hopeless = self.dead().is_some();
        let abandoned = async {
            if !hopeless {
                self.until(|state| state.dead.is_some()).await;
            }
            if hopeless || !elsewhere() {
                std::future::pending::<()>().await;
            }
        };
        let exchange = self.channel.exchange(
            self.patience,
            |identifier| build(identifier, &self.secret),
            |datagram, request| self.verify(datagram, request),
            || self.suspected.notify_one(),
        );
        let reply = tokio::select! {
            reply = exchange => reply,
            () = abandoned => Err(ExchangeError::Abandoned { address: self.address }),
        };
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
            || {},
        );
        self.judge(since, Asked::Status, reply.await).is_ok()
    }

    /// Resolves when it should be probed: it is suspected, it was not heard for `quiet`, or it is dead and its time has come. Gives how
    /// often the probe is worth repeating: two packets must be lost before a server counts as dead, and a suspect has lost one.
    pub async fn probe_is_due(&self, quiet: Duration) -> u32 {
        if self.dead().is_some() {
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
        self.state.borrow().dead.clone()
    }

    /// It was heard.
    pub fn known(&self) -> bool {
        self.state.borrow().heard_ms.is_some()
    }

    /// It was heard at or after this boot time.
    pub fn heard_since(&self, boot_ms: u64) -> bool {
        self.state.borrow().heard_ms.is_some_and(|heard| heard >= boot_ms)
    }

    /// It answers Status-Server, so a probe will tell when it lives again.
    pub fn tells_by_probe(&self) -> bool {
        self.state.borrow().answers_status
    }

    /// Whether the caller may try it though it is dead: one, each time its dead time is over.
    pub fn on_trial(&self) -> bool {
        let now = boot_ms();
        self.state.send_if_modified(|state| {
            let due = state.dead.is_some() && !state.answers_status && state.trial_ms <= now;
            if due {
                state.trial_ms = now + self.dead_time_ms();
            }
            due
        })
    }

    /// Resolves when it does not count as dead.
    pub async fn alive(&self) {
        self.until(|state| state.dead.is_none()).await;
    }

    async fn until(&self, holds: impl FnMut(&State) -> bool) {
        // An error would be the end of `self`.
        let _ = self.state.subscribe().wait_for(holds).await;
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
        let revived = self.state.send_if_modified(|state| {
            state.heard_ms = Some(boot_ms());
            state.answers_requests |= asked == Asked::Request;
            state.answers_status |= asked == Asked::Status;
            state.dead.take().is_some()
        });
        if revived {
            info!(server = %self.address, "a RADIUS server answers again");
        }
    }

    /// Nothing came of something that was asked at `since`.
    fn unheard(&self, since: u64, asked: Asked, why: String) {
        let died = self.state.send_if_modified(|state| {
            // Many servers do not know Status-Server; their silence to it says nothing. Of the others it alone says all: a server
            // may have its reasons not to answer a request.
            let telling = match asked {
                Asked::Request => !state.answers_status,
                Asked::Status => state.answers_status || !state.answers_requests,
            };
            let dies = telling && state.dead.is_none() && state.heard_ms.is_none_or(|heard| heard < since);
            if dies {
                state.dead = Some(why);
                state.trial_ms = boot_ms() + self.dead_time_ms();
            }
            dies
        });
        if died {
            warn!(server = %self.address, "a RADIUS server does not answer and counts as dead: check that it runs and knows this NAS");
        }
    }

    fn dead_time_ms(&self) -> u64 {
        u64::from(self.recovery.dead_time_seconds) * 1000
    }
}
